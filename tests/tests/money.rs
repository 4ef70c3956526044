//! Several currencies: a close-out keeps what it came to in the tenant's currency by the rate of its time, on whichever service it is and
//! whoever causes it; no later change of rates or settings moves it; reports add it up, and an order is in one currency.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_proto::{
    Money,
    common::{ApprovalPolicy, CloseOut, Historical, Outcome, Propagation, ReportDimension, ReportRow, Settings, Wait},
    opportunity as sales, order as trade,
    order::WonOpportunityPolicy as Policy,
};
use crm_tests::{
    client::{Client, cancelling, closing, cny, reopening},
    pair::Pair,
    place::Kind,
    stories,
};
use futures::future::join_all;
use prost_types::{FieldMask, Timestamp};
use std::time::SystemTime;
use tonic::{Code, Status};
use tonic_types::StatusExt;

stories!(
    a_close_out_keeps_the_rate_of_its_time_whatever_comes_later,
    what_waits_for_approval_keeps_the_rate_of_when_it_is_approved,
    what_is_caused_keeps_the_rate_of_its_own_currency_on_its_own_side,
    rates_that_change_while_the_order_service_is_down_arrive_when_it_is_back,
    a_draft_that_comes_back_and_goes_at_once_keeps_the_rate,
    breakdowns_of_a_report_add_up_in_the_tenants_currency,
    many_at_once_keep_each_the_rate_of_its_currency_and_time,
    an_order_is_in_one_currency,
    a_rate_that_makes_no_sense_is_told_field_by_field,
);

fn days_ago(days: i64) -> Option<Timestamp> {
    let now = Timestamp::from(SystemTime::now()).seconds;
    Some(Timestamp { seconds: now - days * 86_400, nanos: 0 })
}

fn money(units: i64, cents: i32, currency: &str) -> Option<Money> {
    Some(Money { currency_code: currency.into(), units, nanos: cents * 10_000_000 })
}

/// The tenant's currency; empty: none.
async fn decide(client: &Client, currency: &str) {
    let request = sales::UpdateSettingsRequest {
        settings: Some(Settings { currency: currency.into(), ..Settings::default() }),
        update_mask: Some(FieldMask { paths: vec!["currency".into()] }),
        wait: Wait::Peer.into(),
        ..Default::default()
    };
    let decided = client.update_settings(request).await.unwrap().settings.unwrap();
    assert_eq!(decided.currency, currency);
}

fn rate(currency: &str, rate: &str, days: i64) -> sales::SetExchangeRateRequest {
    let exchange_rate = sales::ExchangeRate {
        currency: currency.into(),
        effective_time: days_ago(days),
        rate: rate.into(),
        ..Default::default()
    };
    let wait = Wait::Peer.into();
    sales::SetExchangeRateRequest { exchange_rate: Some(exchange_rate), wait, ..Default::default() }
}

async fn set(client: &Client, currency: &str, text: &str, days: i64) -> sales::ExchangeRate {
    client.set_exchange_rate(rate(currency, text, days)).await.unwrap().exchange_rate.unwrap()
}

/// An opportunity that was made so many days ago.
async fn opportunity(client: &Client, customer: &str, amount: Option<Money>, days: i64) -> String {
    let opportunity =
        sales::Opportunity { title: "Cameras".into(), customer: customer.into(), amount, ..Default::default() };
    let historical = (days > 0).then(|| Historical { create_time: days_ago(days), ..Default::default() });
    let request = sales::CreateOpportunityRequest {
        opportunity: Some(opportunity),
        historical,
        wait: Wait::Peer.into(),
        ..Default::default()
    };
    client.create_opportunity(request).await.unwrap().opportunity.unwrap().name
}

fn line(unit_price: Option<Money>) -> trade::OrderLine {
    trade::OrderLine { product: "Camera".into(), quantity: 3, unit_price, ..Default::default() }
}

async fn made(client: &Client, order: trade::Order) -> Result<String, Status> {
    let request = trade::CreateOrderRequest { order: Some(order), wait: Wait::Peer.into(), ..Default::default() };
    client.create_order(request).await.map(|reply| reply.order.unwrap().name)
}

/// A draft of three at this price.
async fn order(client: &Client, customer: &str, opportunity: &str, price: Option<Money>) -> String {
    let (customer, opportunity) = (customer.to_owned(), opportunity.to_owned());
    made(client, trade::Order { customer, opportunity, lines: vec![line(price)], ..Default::default() }).await.unwrap()
}

async fn close(client: &Client, opportunity: &str) -> CloseOut {
    client.close_out_opportunity(closing(opportunity)).await.unwrap().close_out.unwrap()
}

async fn cancel(client: &Client, order: &str) -> CloseOut {
    client.close_out_order(cancelling(order)).await.unwrap().close_out.unwrap()
}

/// The rate that it keeps and what it came to, such as `7.1: 710.00 CNY`; empty: none.
fn kept(close_out: &CloseOut) -> String {
    let snapshot = close_out.snapshot.as_ref().unwrap();
    assert_eq!(snapshot.exchange_rate.is_empty(), snapshot.tenant_amount.is_none(), "{snapshot:?}");
    snapshot.tenant_amount.as_ref().map_or_else(String::new, |amount| {
        let cents = amount.nanos / 10_000_000;
        format!("{}: {}.{cents:02} {}", snapshot.exchange_rate, amount.units, amount.currency_code)
    })
}

/// Field and reason of every violation.
fn violations(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status.get_details_bad_request().into_iter().flat_map(|details| details.field_violations);
    details.map(|violation| format!("{} {}", violation.field, violation.reason)).collect()
}

async fn a_close_out_keeps_the_rate_of_its_time_whatever_comes_later(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let before = opportunity(&client, &customer, money(100, 0, "USD"), 0).await;
    assert_eq!(kept(&close(&client, &before).await), "", "the tenant has no currency yet");
    decide(&client, "CNY").await;
    set(&client, "USD", "6.9", 30).await;
    set(&client, "USD", "7.25", 3).await;
    set(&client, "USD", "99", -3).await;
    client.reopen_opportunity(reopening(&before)).await.unwrap();
    let first = close(&client, &before).await;
    assert_eq!(kept(&first), "7.25: 725.00 CNY");

    let past = opportunity(&client, &customer, money(0, 10, "USD"), 40).await;
    let closed = |days| {
        let historical = Some(Historical { close_time: days_ago(days), ..Default::default() });
        sales::CloseOutOpportunityRequest { historical, ..closing(&past) }
    };
    let long_ago = client.close_out_opportunity(closed(35)).await.unwrap().close_out.unwrap();
    assert_eq!(kept(&long_ago), "", "there was no rate then");
    client.reopen_opportunity(reopening(&past)).await.unwrap();
    let earlier = client.close_out_opportunity(closed(10)).await.unwrap().close_out.unwrap();
    assert_eq!(kept(&earlier), "6.9: 0.69 CNY");
    let own = opportunity(&client, &customer, cny(100), 0).await;
    assert_eq!(kept(&close(&client, &own).await), "1: 100.00 CNY");
    let nothing = opportunity(&client, &customer, None, 0).await;
    assert_eq!(kept(&close(&client, &nothing).await), "");

    // Neither rates nor settings, neither a correction nor a reopening moves what is kept.
    let newer = set(&client, "USD", "8", 0).await;
    decide(&client, "EUR").await;
    decide(&client, "CNY").await;
    let amended = sales::AmendCloseOutRequest {
        name: first.name.clone(),
        reason: "closeOutReasons/UNRESPONSIVE".into(),
        note: "they never answered".into(),
        ..Default::default()
    };
    client.amend_sales_close_out(amended).await.unwrap();
    client.reopen_opportunity(reopening(&before)).await.unwrap();
    assert_eq!(kept(&client.sales_close_out(&first.name).await), "7.25: 725.00 CNY");
    assert_eq!(kept(&close(&client, &before).await), "8: 800.00 CNY", "the next one keeps the rate of its own time");

    let delete = sales::DeleteExchangeRateRequest { name: newer.name, wait: Wait::Peer.into(), ..Default::default() };
    client.delete_exchange_rate(delete).await.unwrap();
    client.reopen_opportunity(reopening(&before)).await.unwrap();
    assert_eq!(kept(&close(&client, &before).await), "7.25: 725.00 CNY", "the one before goes on");
    pair.end().await;
}

async fn what_waits_for_approval_keeps_the_rate_of_when_it_is_approved(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (client, boss) = (pair.client(), pair.client_of(pair.tenant, "eve"));
    decide(&client, "CNY").await;
    let approval = Some(ApprovalPolicy { amounts: money(10, 0, "USD").into_iter().collect(), expire_days: 3 });
    let settings = Some(Settings { approval, ..Settings::default() });
    let wait = Wait::Peer.into();
    client.update_settings(sales::UpdateSettingsRequest { settings, wait, ..Default::default() }).await.unwrap();
    set(&client, "USD", "7", 3).await;
    let customer = client.customer().await;
    let (own, of_order) = (
        opportunity(&client, &customer, money(100, 0, "USD"), 0).await,
        order(&client, &customer, "", money(50, 0, "USD")).await,
    );
    client.confirm_order(trade::ConfirmOrderRequest { name: of_order.clone(), ..Default::default() }).await.unwrap();
    let waiting = [close(&client, &own).await, cancel(&client, &of_order).await];
    assert_eq!(waiting.each_ref().map(kept), ["7: 700.00 CNY", "7: 1050.00 CNY"], "what it would come to is shown");
    set(&client, "USD", "8", 0).await;
    let [sales_name, trade_name] = waiting.map(|close_out| close_out.name);
    let request = sales::ApproveCloseOutRequest { name: sales_name, ..Default::default() };
    let approved = boss.approve_sales_close_out(request).await.unwrap().close_out.unwrap();
    assert_eq!(kept(&approved), "8: 800.00 CNY", "it counts from now");
    let request = trade::ApproveCloseOutRequest { name: trade_name, ..Default::default() };
    let approved = boss.approve_trade_close_out(request).await.unwrap().close_out.unwrap();
    assert_eq!(kept(&approved), "8: 1200.00 CNY");
    pair.end().await;
}

async fn close_outs_of(client: &Client, order: &str) -> Vec<CloseOut> {
    let request = trade::ListCloseOutsRequest { subject: order.to_owned(), ..Default::default() };
    client.trade_close_outs.clone().list_close_outs(request).await.unwrap().into_inner().close_outs
}

async fn what_is_caused_keeps_the_rate_of_its_own_currency_on_its_own_side(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    decide(&client, "CNY").await;
    set(&client, "USD", "7", 3).await;
    set(&client, "EUR", "7.8", 3).await;
    let customer = client.customer().await;
    let lost = opportunity(&client, &customer, money(100, 0, "USD"), 0).await;
    let drafts = [
        order(&client, &customer, &lost, money(10, 0, "EUR")).await,
        order(&client, &customer, &lost, cny(10)).await,
        order(&client, &customer, &lost, money(10, 0, "GBP")).await,
    ];
    assert_eq!(kept(&close(&client, &lost).await), "7: 700.00 CNY");
    pair.quiet().await;
    let mut caused = Vec::new();
    for draft in &drafts {
        caused.extend(close_outs_of(&client, draft).await.iter().map(kept));
    }
    assert_eq!(caused, ["7.8: 234.00 CNY", "1: 30.00 CNY", ""], "of pounds no rate is known");

    // The other way round: an opportunity that is lost with its last order.
    let won = opportunity(&client, &customer, money(200, 0, "USD"), 0).await;
    let last = order(&client, &customer, &won, money(10, 0, "EUR")).await;
    let confirm = trade::ConfirmOrderRequest { name: last.clone(), wait: Wait::Peer.into(), ..Default::default() };
    client.confirm_order(confirm).await.unwrap();
    let win = sales::WinOpportunityRequest { name: won.clone(), wait: Wait::Peer.into(), ..Default::default() };
    client.win_opportunity(win).await.unwrap();
    let request = trade::CloseOutOrderRequest { won_opportunity_policy: Policy::Lose.into(), ..cancelling(&last) };
    let cancelled = client.close_out_order(request).await.unwrap().close_out.unwrap();
    assert_eq!(kept(&cancelled), "7.8: 234.00 CNY");
    pair.quiet().await;
    let close_out = client.get_opportunity(&won).await.close_out;
    assert_eq!(kept(&client.sales_close_out(&close_out).await), "7: 1400.00 CNY");
    pair.end().await;
}

async fn rates_that_change_while_the_order_service_is_down_arrive_when_it_is_back(kind: Kind) {
    let mut pair = Pair::started(kind).await;
    let client = pair.client();
    decide(&client, "CNY").await;
    let customer = client.customer().await;
    set(&client, "USD", "7", 3).await;
    let wrong = set(&client, "USD", "70", 1).await;
    let orders = [
        order(&client, &customer, "", money(10, 0, "USD")).await,
        order(&client, &customer, "", money(10, 0, "EUR")).await,
    ];
    pair.order.kill();
    let name = wrong.name.clone();
    client.delete_exchange_rate(sales::DeleteExchangeRateRequest { name, ..Default::default() }).await.unwrap();
    for text in ["7.5", "7.7", "7.9"] {
        client.set_exchange_rate(sales::SetExchangeRateRequest { wait: 0, ..rate("EUR", text, 2) }).await.unwrap();
    }
    pair.order.start(&[]).await;
    pair.quiet().await;
    let client = pair.client();
    let [dollars, euros] = [cancel(&client, &orders[0]).await, cancel(&client, &orders[1]).await];
    assert_eq!([kept(&dollars), kept(&euros)], ["7: 210.00 CNY", "7.9: 237.00 CNY"]);
    // An operator sends one again, and it is what it was.
    let resend = sales::ResendLaneRequest {
        record: wrong.name,
        justification: "as a test of the rates".into(),
        ..Default::default()
    };
    client.resend_sales_lane(resend).await.unwrap();
    pair.end().await;
}

async fn a_draft_that_comes_back_and_goes_at_once_keeps_the_rate(kind: Kind) {
    let mut pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    decide(&client, "CNY").await;
    set(&client, "USD", "7", 3).await;
    let deal = opportunity(&client, &customer, cny(100), 0).await;
    let drafts = [money(10, 0, "USD"), cny(10)];
    let drafts = join_all(drafts.map(|price| order(&client, &customer, &deal, price))).await;
    close(&client, &deal).await;
    pair.quiet().await;
    pair.order.kill();
    // Both messages arrive together.
    client.reopen_opportunity(reopening(&deal)).await.unwrap();
    close(&client, &deal).await;
    pair.order.start(&[]).await;
    pair.quiet().await;
    let client = pair.client();
    for (draft, expected) in drafts.iter().zip(["7: 210.00 CNY", "1: 30.00 CNY"]) {
        let close_outs = close_outs_of(&client, draft).await;
        assert_eq!(close_outs.iter().map(kept).collect::<Vec<_>>(), [expected, expected]);
    }
    pair.end().await;
}

async fn reports(client: &Client, side: Outcome, by: ReportDimension) -> (Vec<ReportRow>, ReportRow) {
    let (dimension, closed_from) = (by.into(), days_ago(20));
    let (rows, total) = if side == Outcome::Lost {
        let request = sales::ReportCloseOutsRequest { dimension, closed_from, ..Default::default() };
        let reply = client.sales_close_outs.clone().report_close_outs(request).await.unwrap().into_inner();
        (reply.rows, reply.total)
    } else {
        let request = trade::ReportCloseOutsRequest { dimension, closed_from, ..Default::default() };
        let reply = client.trade_close_outs.clone().report_close_outs(request).await.unwrap().into_inner();
        (reply.rows, reply.total)
    };
    (rows, total.unwrap())
}

/// Every breakdown adds up to this: close-outs, the sum in the tenant's currency, and those that are not in it.
async fn adds_up(client: &Client, side: Outcome, expected: (i64, Option<Money>, i64)) {
    let dimensions = [
        ReportDimension::Reason,
        ReportDimension::Category,
        ReportDimension::OutcomeClass,
        ReportDimension::Owner,
        ReportDimension::Team,
        ReportDimension::Competitor,
        ReportDimension::Group,
    ];
    for by in dimensions {
        let (rows, total) = reports(client, side, by).await;
        assert_eq!((total.count, total.tenant_amount.clone(), total.unconverted_count), expected, "{by:?}");
        let cents =
            |row: &ReportRow| row.tenant_amount.as_ref().map(|it| it.units * 100 + i64::from(it.nanos / 10_000_000));
        assert_eq!(rows.iter().map(cents).sum::<Option<i64>>(), cents(&total), "{by:?}");
        assert_eq!(rows.iter().map(|row| row.unconverted_count).sum::<i64>(), total.unconverted_count, "{by:?}");
        assert_eq!(rows.iter().map(|row| row.count).sum::<i64>(), total.count, "{by:?}");
    }
}

async fn breakdowns_of_a_report_add_up_in_the_tenants_currency(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (ann, bob) = (pair.client(), pair.client_of(pair.tenant, "bob"));
    let customer = ann.customer().await;
    let unknown = opportunity(&ann, &customer, money(5, 0, "USD"), 0).await;
    close(&ann, &unknown).await;
    adds_up(&ann, Outcome::Lost, (1, None, 0)).await;
    decide(&ann, "CNY").await;
    set(&ann, "USD", "7.125", 3).await;
    let amounts = [money(100, 1, "USD"), cny(50), money(3, 0, "GBP"), None, money(1_000, 0, "JPY")];
    for (client, reason) in [(&ann, "NO_INTENT_NOW"), (&bob, "UNRESPONSIVE")] {
        for amount in &amounts {
            let name = opportunity(client, &customer, amount.clone(), 0).await;
            let reason = format!("closeOutReasons/{reason}");
            let request = sales::CloseOutOpportunityRequest { reason, ..closing(&name) };
            client.close_out_opportunity(request).await.unwrap();
        }
        let name = order(client, &customer, "", money(10, 0, "USD")).await;
        cancel(client, &name).await;
    }
    // 100.01 USD are 712.57125 CNY, rounded for each close-out; pounds, yen and the one without a currency are not in the sum, and
    // what has no amount misses none.
    adds_up(&ann, Outcome::Lost, (11, money(1_525, 14, "CNY"), 5)).await;
    adds_up(&ann, Outcome::Cancelled, (2, money(427, 50, "CNY"), 0)).await;
    let again = opportunity(&ann, &customer, cny(9), 0).await;
    close(&ann, &again).await;
    ann.reopen_opportunity(reopening(&again)).await.unwrap();
    adds_up(&ann, Outcome::Lost, (11, money(1_525, 14, "CNY"), 5)).await;

    // In another currency: what is in that itself, and what is closed out from now on. Rates that were kept lead to the old one.
    decide(&ann, "USD").await;
    close(&ann, &again).await;
    let dollars = opportunity(&ann, &customer, money(7, 0, "USD"), 0).await;
    close(&ann, &dollars).await;
    adds_up(&ann, Outcome::Lost, (13, money(212, 2, "USD"), 7)).await;
    adds_up(&ann, Outcome::Cancelled, (2, money(60, 0, "USD"), 0)).await;
    pair.end().await;
}

async fn many_at_once_keep_each_the_rate_of_its_currency_and_time(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    decide(&client, "CNY").await;
    for (currency, text) in [("USD", "7"), ("EUR", "8"), ("KWD", "23")] {
        set(&client, currency, text, 30).await;
        set(&client, currency, &format!("{text}.5"), 15).await;
    }
    let customer = client.customer().await;
    let cases: Vec<_> = (0..80).map(|n| (["USD", "EUR", "KWD", "CNY", "GBP"][n % 5], [0, 10, 20][n % 3])).collect();
    let make = |(currency, _): &(&str, i64)| opportunity(&client, &customer, money(10, 0, currency), 25);
    let names = join_all(cases.iter().map(make)).await;
    let close = |(name, (_, days)): (&String, &(&str, i64))| {
        let historical = (*days > 0).then(|| Historical { close_time: days_ago(*days), ..Default::default() });
        client.close_out_opportunity(sales::CloseOutOpportunityRequest { historical, ..closing(name) })
    };
    let replies = join_all(names.iter().zip(&cases).map(close)).await;
    for (reply, (currency, days)) in replies.into_iter().zip(&cases) {
        let expected = match (*currency, *days) {
            ("USD", 20) => "7: 70.00 CNY",
            ("USD", _) => "7.5: 75.00 CNY",
            ("EUR", 20) => "8: 80.00 CNY",
            ("EUR", _) => "8.5: 85.00 CNY",
            ("KWD", 20) => "23: 230.00 CNY",
            ("KWD", _) => "23.5: 235.00 CNY",
            ("CNY", _) => "1: 10.00 CNY",
            _ => "",
        };
        assert_eq!(kept(&reply.unwrap().close_out.unwrap()), expected, "{currency} {days} days ago");
    }
    pair.end().await;
}

async fn an_order_is_in_one_currency(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    decide(&client, "CNY").await;
    let customer = client.customer().await;
    let of = |prices: Vec<Option<Money>>| trade::Order {
        customer: customer.clone(),
        lines: prices.into_iter().map(line).collect(),
        ..Default::default()
    };
    let mixed = made(&client, of(vec![cny(1), money(1, 0, "USD"), cny(2), money(1, 0, "EUR")])).await.unwrap_err();
    assert_eq!(
        violations(&mixed),
        ["order.lines[1].unit_price MIXED_CURRENCY", "order.lines[3].unit_price MIXED_CURRENCY"]
    );
    let told = mixed.get_details_bad_request().unwrap().field_violations.remove(0).description;
    assert!(told.contains("CNY"), "the currency of the order is named: {told}");
    let missing = made(&client, of(vec![None, cny(1), cny(2)])).await.unwrap_err();
    assert_eq!(violations(&missing), ["order.lines[0].unit_price REQUIRED"], "what is not given is in no currency");

    let name = made(&client, of(vec![cny(1)])).await.unwrap();
    let lines = of(vec![money(1, 0, "USD"), cny(1)]).lines;
    let edit = trade::Order { name: name.clone(), lines, ..Default::default() };
    let request = trade::UpdateOrderRequest { order: Some(edit), ..Default::default() };
    let refused = client.orders.clone().update_order(request).await;
    assert_eq!(violations(&refused.unwrap_err()), ["order.lines[1].unit_price MIXED_CURRENCY"]);
    client.confirm_order(trade::ConfirmOrderRequest { name: name.clone(), ..Default::default() }).await.unwrap();
    let pay = |amount| trade::RecordPaymentRequest { name: name.clone(), amount, ..Default::default() };
    let refused = client.record_payment(pay(money(1, 0, "USD"))).await.unwrap_err();
    assert_eq!(violations(&refused), ["amount CURRENCY"]);
    client.record_payment(pay(cny(1))).await.unwrap();
    pair.end().await;
}

async fn listed(client: &Client, currency: &str, page_size: i32) -> Vec<String> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = sales::ListExchangeRatesRequest { page_size, page_token, currency: currency.into() };
        let reply = client.rates.clone().list_exchange_rates(request).await.unwrap().into_inner();
        all.extend(reply.exchange_rates.iter().map(|one| format!("{}/{} {}", one.currency, one.to_currency, one.rate)));
        page_token = reply.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

async fn a_rate_that_makes_no_sense_is_told_field_by_field(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let none = client.set_exchange_rate(rate("USD", "7", 1)).await.unwrap_err();
    assert_eq!(violations(&none), ["exchange_rate.to_currency REQUIRED"], "the tenant has no currency");
    decide(&client, "CNY").await;
    let wrong = sales::ExchangeRate {
        currency: "usd".into(),
        to_currency: "XXX".into(),
        rate: "7,1".into(),
        ..Default::default()
    };
    let request = |rate| sales::SetExchangeRateRequest { exchange_rate: Some(rate), ..Default::default() };
    let refused = client.set_exchange_rate(request(wrong)).await.unwrap_err();
    let fields =
        ["currency INVALID_CURRENCY", "to_currency INVALID_CURRENCY", "effective_time REQUIRED", "rate INVALID_RATE"];
    assert_eq!(violations(&refused), fields.map(|field| format!("exchange_rate.{field}")));
    let itself = client.set_exchange_rate(rate("CNY", "1", 1)).await.unwrap_err();
    assert_eq!(violations(&itself), ["exchange_rate.currency CURRENCY"]);
    for text in ["0", "-1", "1000000", "0.0000000000001"] {
        let refused = client.set_exchange_rate(rate("USD", text, 1)).await.unwrap_err();
        assert_eq!(violations(&refused), ["exchange_rate.rate INVALID_RATE"], "{text}");
    }
    let settings = Some(Settings { currency: "yuan".into(), ..Settings::default() });
    let refused = client.update_settings(sales::UpdateSettingsRequest { settings, ..Default::default() }).await;
    assert_eq!(violations(&refused.unwrap_err()), ["settings.currency INVALID_CURRENCY"]);

    let first = set(&client, "USD", "7.10", 1).await;
    assert_eq!((first.rate.as_str(), first.to_currency.as_str()), ("7.1", "CNY"));
    let again =
        |etag: &str, text: &str| request(sales::ExchangeRate { etag: etag.into(), rate: text.into(), ..first.clone() });
    let same = client.rates.clone().set_exchange_rate(again("", "7.1")).await.unwrap().into_inner();
    assert_eq!((same.propagation(), same.exchange_rate.unwrap()), (Propagation::NotNeeded, first.clone()));
    let second = client.set_exchange_rate(again(&first.etag, "7.2")).await.unwrap().exchange_rate.unwrap();
    assert_eq!((&second.name, second.rate.as_str()), (&first.name, "7.2"), "in the place of the first");
    let old = client.set_exchange_rate(again(&first.etag, "7.3")).await.unwrap_err();
    assert_eq!(old.code(), Code::Aborted);
    let only_judged = sales::SetExchangeRateRequest { validate_only: true, ..again("", "9") };
    assert_eq!(client.set_exchange_rate(only_judged).await.unwrap().exchange_rate.unwrap().rate, "9");

    set(&client, "EUR", "7.8", 9).await;
    set(&client, "USD", "7", 9).await;
    assert_eq!(listed(&client, "", 2).await, ["EUR/CNY 7.8", "USD/CNY 7", "USD/CNY 7.2"]);
    assert_eq!(listed(&client, "USD", 1).await, ["USD/CNY 7", "USD/CNY 7.2"]);
    let delete = |name: &str| sales::DeleteExchangeRateRequest { name: name.into(), ..Default::default() };
    client.delete_exchange_rate(delete(&second.name)).await.unwrap();
    assert_eq!(listed(&client, "USD", 9).await, ["USD/CNY 7"]);
    for name in [&*second.name, "exchangeRates/01890a5d-ac96-774b-bcce-b302099a8057"] {
        assert_eq!(client.delete_exchange_rate(delete(name)).await.unwrap_err().code(), Code::NotFound);
    }
    let stranger = pair.client_of(crm_closeout::ids::TenantId(uuid::Uuid::now_v7()), "eve");
    assert!(listed(&stranger, "", 9).await.is_empty());
    let sales_only = pair.client_in("sam", &["sales"], &[]);
    let denied = sales_only.set_exchange_rate(rate("USD", "1", 1)).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    assert_eq!(listed(&sales_only, "EUR", 9).await, ["EUR/CNY 7.8"]);
    pair.end().await;
}
