//! Searches of both APIs: every result comes once and in the order of the ranks, page by page, while records are added; what is
//! renamed is found on both sides; what makes no sense is refused, field by field.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_proto::{Money, common::Match, opportunity as sales, order as trade};
use crm_tests::{
    client::{Client, cancelling, closing, cny},
    pair::Pair,
    place::Kind,
    stories,
};
use prost_types::Timestamp;
use std::fmt::Debug;
use tonic::{Code, Status};
use tonic_types::StatusExt;

stories!(
    every_result_comes_once_while_records_are_added,
    a_new_name_is_found_on_both_sides,
    what_makes_no_sense_is_refused
);

async fn named(client: &Client, display_name: &str) -> String {
    let customer = sales::Customer { display_name: display_name.into(), ..Default::default() };
    let request = sales::CreateCustomerRequest { customer: Some(customer), ..Default::default() };
    client.create_customer(request).await.unwrap().customer.unwrap().name
}

/// An opportunity and an order with this number.
async fn numbered(client: &Client, customer: &str, number: &str) -> [String; 2] {
    let (customer, number) = (customer.to_owned(), number.to_owned());
    let opportunity = sales::Opportunity {
        title: "Cameras".into(),
        number: number.clone(),
        customer: customer.clone(),
        amount: cny(30),
        ..Default::default()
    };
    let request = sales::CreateOpportunityRequest { opportunity: Some(opportunity), ..Default::default() };
    let opportunity = client.create_opportunity(request).await.unwrap().opportunity.unwrap().name;
    let line = trade::OrderLine { product: "Camera".into(), quantity: 3, unit_price: cny(10), ..Default::default() };
    let order = trade::Order { customer, number, lines: vec![line], ..Default::default() };
    let request = trade::CreateOrderRequest { order: Some(order), ..Default::default() };
    [opportunity, client.create_order(request).await.unwrap().order.unwrap().name]
}

/// Every page of a search: the names of the records, and why each was found.
macro_rules! all {
    ($client:expr, $method:ident, $request:expr, $record:ident, $between:expr) => {{
        let (mut request, mut all) = ($request, Vec::new());
        loop {
            let reply = $client.clone().$method(request.clone()).await.unwrap().into_inner();
            assert!(request.page_size == 0 || reply.results.len() <= request.page_size as usize);
            all.extend(reply.results.into_iter().map(|one| {
                let reason = one.r#match();
                (one.$record.unwrap().name, reason)
            }));
            request.page_token = reply.next_page_token;
            if request.page_token.is_empty() {
                break all;
            }
            $between.await;
        }
    }};
}

async fn every_result_comes_once_while_records_are_added(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let [within, begins, whole] = ["新海康", "海康威视", "海康"].map(|name| named(&client, name));
    let [within, begins, whole] = [within.await, begins.await, whole.await];
    let mut made = Vec::new();
    for (customer, number) in
        [(&within, "1"), (&begins, "2"), (&whole, "3"), (&whole, "4"), (&within, "海康-1"), (&begins, "海康")]
    {
        made.push(numbered(&client, customer, number).await);
    }
    use Match::{Name, NameContained, NamePrefix, Number, NumberPrefix};
    let ranks = [(5, Number), (4, NumberPrefix), (3, Name), (2, Name), (1, NamePrefix), (0, NameContained)];
    for page_size in 1..=4 {
        let add = async || drop(numbered(&client, &begins, &uuid::Uuid::now_v7().to_string()).await);
        let request = trade::SearchOrdersRequest { page_size, query: "海康".into(), ..Default::default() };
        let orders = all!(client.orders, search_orders, request, order, add());
        let request = sales::SearchOpportunitiesRequest { page_size, query: "海康".into(), ..Default::default() };
        let opportunities = all!(client.opportunities, search_opportunities, request, opportunity, add());
        for (found, side) in [(opportunities, 0), (orders, 1)] {
            let old: Vec<_> =
                found.iter().filter(|(name, _)| made.iter().any(|both| both[side] == *name)).cloned().collect();
            let expected = ranks.map(|(place, reason)| (made[place][side].clone(), reason));
            assert_eq!(old, expected, "{page_size}");
            let mut once: Vec<_> = found.iter().map(|(name, _)| name).collect();
            once.sort();
            once.dedup();
            assert_eq!(once.len(), found.len());
            assert!(found.windows(2).all(|two| two[0].1 <= two[1].1), "{found:?}");
        }
    }
    // An order is found by what was ordered when it is cancelled, too; close-outs by the number and the name.
    client.close_out_order(cancelling(&made[2][1])).await.unwrap();
    client.close_out_opportunity(closing(&made[3][0])).await.unwrap();
    let (amount_from, amount_until) = (cny(30), cny(30));
    let request = trade::SearchOrdersRequest { query: "3".into(), amount_from, amount_until, ..Default::default() };
    let orders = all!(client.orders, search_orders, request, order, async {});
    assert_eq!(orders[0], (made[2][1].clone(), Number));
    let request = trade::SearchCloseOutsRequest { query: "海康".into(), ..Default::default() };
    assert_eq!(all!(client.trade_close_outs, search_close_outs, request, close_out, async {})[0].1, Name);
    let request = sales::SearchCloseOutsRequest { query: "4".into(), ..Default::default() };
    assert_eq!(all!(client.sales_close_outs, search_close_outs, request, close_out, async {})[0].1, Number);
    pair.end().await;
}

async fn a_new_name_is_found_on_both_sides(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = named(&client, "Acme").await;
    let [opportunity, order] = numbered(&client, &customer, "1").await;
    let edit = sales::Customer { name: customer, display_name: "Globex".into(), ..Default::default() };
    client.update_customer(sales::UpdateCustomerRequest { customer: Some(edit), ..Default::default() }).await.unwrap();
    pair.quiet().await;
    for (query, expected) in [("lobe", 1), ("acme", 0)] {
        let request = trade::SearchOrdersRequest { query: query.into(), ..Default::default() };
        let orders = all!(client.orders, search_orders, request, order, async {});
        let request = sales::SearchOpportunitiesRequest { query: query.into(), ..Default::default() };
        let opportunities = all!(client.opportunities, search_opportunities, request, opportunity, async {});
        let all = [(opportunity.clone(), Match::NameContained), (order.clone(), Match::NameContained)];
        assert_eq!([opportunities, orders].concat(), all[..2 * expected], "{query}");
    }
    pair.end().await;
}

fn invalid<T: Debug>(answer: Result<T, Status>, expected: &[&str]) {
    let status = answer.unwrap_err();
    let violations = status.get_details_bad_request().map_or_else(Vec::new, |bad| bad.field_violations);
    let mut found: Vec<_> = violations.iter().map(|v| format!("{} {}", v.field, v.reason)).collect();
    found.sort();
    assert_eq!((status.code(), found), (Code::InvalidArgument, expected.iter().map(|v| (*v).to_owned()).collect()));
}

async fn what_makes_no_sense_is_refused(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    for _ in 0..2 {
        client.order(&customer, "").await;
    }
    let mut orders = client.orders.clone();
    let base = trade::SearchOrdersRequest::default;
    let first = orders.search_orders(trade::SearchOrdersRequest { page_size: 1, ..base() }).await.unwrap().into_inner();
    let token = first.next_page_token;
    let other = trade::SearchOrdersRequest { page_token: token.clone(), query: "x".into(), ..base() };
    invalid(orders.search_orders(other).await, &["page_token INVALID_PAGE_TOKEN"]);
    for page_token in ["x".to_owned(), "0".repeat(64), format!("{token}0"), token[..20].to_owned(), "页".repeat(16)] {
        let request = trade::SearchOrdersRequest { page_token, ..base() };
        invalid(orders.search_orders(request).await, &["page_token INVALID_PAGE_TOKEN"]);
    }
    let request = trade::SearchOrdersRequest { page_size: -1, states: vec![1, 99], ..base() };
    invalid(orders.search_orders(request).await, &["page_size OUT_OF_RANGE", "states UNKNOWN_ENUM"]);
    let request = trade::SearchOrdersRequest { query: "长".repeat(201), ..base() };
    invalid(orders.search_orders(request).await, &["query TOO_LONG"]);
    let request = trade::SearchOrdersRequest { query: "a\0b".into(), customer: "x".into(), ..base() };
    invalid(orders.search_orders(request).await, &["customer INVALID_NAME", "query CONTROL_CHARACTER"]);
    let money = |code: &str, units| Some(Money { currency_code: code.into(), units, nanos: 0 });
    let amounts = |from, until| trade::SearchOrdersRequest { amount_from: from, amount_until: until, ..base() };
    invalid(orders.search_orders(amounts(money("", 1), None)).await, &["amount_from INVALID_MONEY"]);
    let mixed = amounts(money("CNY", 1), money("USD", 2));
    invalid(orders.search_orders(mixed).await, &["amount_until MIXED_CURRENCY"]);
    invalid(orders.search_orders(amounts(cny(2), cny(1))).await, &["amount_until OUT_OF_RANGE"]);
    let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let request = trade::SearchOrdersRequest { created_from: at(9), created_until: at(9), ..base() };
    invalid(orders.search_orders(request).await, &["created_until OUT_OF_RANGE"]);
    let request =
        sales::SearchCloseOutsRequest { closed_from: at(9), closed_until: at(8), outcome: 9, ..Default::default() };
    let refused = client.sales_close_outs.clone().search_close_outs(request).await;
    invalid(refused, &["closed_until OUT_OF_RANGE", "outcome UNKNOWN_ENUM"]);
    pair.end().await;
}
