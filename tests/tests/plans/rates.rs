//! Everything that is done about exchange rates, and close-outs that need some, in batches of several sizes.

use crate::lists::pages;
use crm_proto::{Money, common::Settings, opportunity as sales, order as trade};
use crm_tests::client::{Client, cancelling, closing};
use futures::future::join_all;
use prost_types::Timestamp;

const CURRENCIES: [&str; 4] = ["USD", "EUR", "GBP", "CNY"];

/// Sets some and deletes one; then closes out what is worth something in several currencies.
pub(crate) async fn manage(client: &Client, customer: &str) {
    let settings = Some(Settings { currency: "CNY".into(), ..Settings::default() });
    client.update_settings(sales::UpdateSettingsRequest { settings, ..Default::default() }).await.unwrap();
    let set = |(currency, day): (&str, i64)| {
        let exchange_rate = sales::ExchangeRate {
            currency: currency.into(),
            effective_time: Some(Timestamp { seconds: 1_500_000_000 + day * 86_400, nanos: 0 }),
            rate: format!("7.{day}"),
            ..Default::default()
        };
        client.set_exchange_rate(sales::SetExchangeRateRequest {
            exchange_rate: Some(exchange_rate),
            ..Default::default()
        })
    };
    let all = CURRENCIES[..3].iter().flat_map(|currency| (1..=40).map(move |day| (*currency, day)));
    let set = join_all(all.map(set)).await;
    let last = set.into_iter().map(|reply| reply.unwrap().exchange_rate.unwrap().name).next_back().unwrap();
    client.delete_exchange_rate(sales::DeleteExchangeRateRequest { name: last, ..Default::default() }).await.unwrap();
    for count in [1, 16, 100] {
        close_some(client, customer, count).await;
    }
}

async fn close_some(client: &Client, customer: &str, count: usize) {
    let worth = |n: usize| Some(Money { currency_code: CURRENCIES[n % 4].into(), units: 100, nanos: 0 });
    let make = |n| {
        let opportunity = sales::Opportunity { title: "x".into(), amount: worth(n), ..Default::default() };
        let request = sales::CreateOpportunityRequest { opportunity: Some(opportunity), ..Default::default() };
        client.create_opportunity(request)
    };
    let made = join_all((0..count).map(make)).await;
    let names: Vec<_> = made.into_iter().map(|reply| reply.unwrap().opportunity.unwrap().name).collect();
    let closed = join_all(names.iter().map(|name| client.close_out_opportunity(closing(name)))).await;
    closed.into_iter().for_each(|reply| drop(reply.unwrap()));
    let order = |n| {
        let line =
            trade::OrderLine { product: "Camera".into(), quantity: 3, unit_price: worth(n), ..Default::default() };
        let order = trade::Order { customer: customer.into(), lines: vec![line], ..Default::default() };
        client.create_order(trade::CreateOrderRequest { order: Some(order), ..Default::default() })
    };
    let made = join_all((0..count).map(order)).await;
    let names: Vec<_> = made.into_iter().map(|reply| reply.unwrap().order.unwrap().name).collect();
    let closed = join_all(names.iter().map(|name| client.close_out_order(cancelling(name)))).await;
    closed.into_iter().for_each(|reply| drop(reply.unwrap()));
}

/// The list, whole and of one currency.
pub(crate) async fn reads(client: &Client) {
    for currency in ["", "USD"] {
        let request = sales::ListExchangeRatesRequest { currency: currency.into(), ..Default::default() };
        pages!(client.rates, list_exchange_rates, request);
    }
}
