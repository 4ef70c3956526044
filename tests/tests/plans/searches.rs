//! Every search of both APIs: each way in which records are found, alone and with filters that only look at them, common values
//! and rare ones, the first page and the next.

use crate::{lists::pages, work::Known};
use crm_proto::{Money, common::Outcome, opportunity as sales, order as trade};
use crm_tests::client::{Client, cny};
use prost_types::Timestamp;

/// What people type: numbers and names, whole, begun, from within; all customers, few, one, none.
const QUERIES: [&str; 9] = [
    "SO-77",
    "so-",
    "S-1",
    "Customer 3",
    "ＣＵＳＴＯＭＥＲ",
    "omer 1",
    "m",
    "customer 1 of a long name that nobody has",
    "客",
];

/// The filters that every search has: customer, owner, times and amounts.
struct Filter {
    customer: String,
    owner: String,
    times: [Option<Timestamp>; 2],
    amounts: [Option<Money>; 2],
}

fn filters(known: &Known, of: i64) -> Vec<Filter> {
    let at = |n: i64| Some(Timestamp { seconds: 1_700_000_000 + n / 1_000, nanos: 0 });
    let none = || Filter { customer: String::new(), owner: String::new(), times: [None, None], amounts: [None, None] };
    let owner = |owner: &str| Filter { owner: owner.into(), ..none() };
    vec![
        none(),
        Filter { customer: known.customer.clone(), ..none() },
        owner("rep7"),
        owner("rare"),
        owner("nobody"),
        Filter { times: [at(of / 2), at(of / 2 + 20_000)], ..none() },
        Filter { times: [None, at(0)], ..none() },
        Filter { amounts: [cny(30), cny(100)], ..none() },
        Filter { amounts: [cny(1_000_000), None], ..none() },
        Filter { times: [at(of / 2), None], amounts: [cny(1), None], ..owner("rep7") },
    ]
}

/// Every search.
pub(crate) async fn searches(client: &Client, known: &Known, of: i64) {
    for filter in filters(known, of) {
        one(client, "", filter, 0).await;
    }
    for query in QUERIES {
        let some = filters(known, of).into_iter();
        for (filter, state) in some.take(2).zip([0, 1]) {
            one(client, query, filter, state).await;
        }
    }
}

async fn one(client: &Client, query: &str, filter: Filter, state: i32) {
    let Filter { customer, owner, times: [from, until], amounts: [amount_from, amount_until] } = filter;
    let states = if state == 0 { Vec::new() } else { vec![state] };
    let orders = trade::SearchOrdersRequest {
        query: query.into(),
        states: states.clone(),
        customer: customer.clone(),
        owner: owner.clone(),
        created_from: from,
        created_until: until,
        amount_from: amount_from.clone(),
        amount_until: amount_until.clone(),
        ..Default::default()
    };
    pages!(client.orders, search_orders, orders);
    let opportunities = sales::SearchOpportunitiesRequest {
        query: query.into(),
        states: states.clone(),
        customer: customer.clone(),
        owner: owner.clone(),
        created_from: from,
        created_until: until,
        amount_from: amount_from.clone(),
        amount_until: amount_until.clone(),
        ..Default::default()
    };
    pages!(client.opportunities, search_opportunities, opportunities);
    let reasons = [("", 0), ("POOR_FIT", 0), ("UNRESPONSIVE", Outcome::Processed.into())];
    for (reason, outcome) in reasons.into_iter().take(if query.is_empty() { 3 } else { 1 }) {
        let sales = sales::SearchCloseOutsRequest {
            query: query.into(),
            states: states.clone(),
            customer: customer.clone(),
            actor: owner.clone(),
            closed_from: from,
            closed_until: until,
            amount_from: amount_from.clone(),
            amount_until: amount_until.clone(),
            reason: reason.into(),
            outcome,
            ..Default::default()
        };
        let trade = trade::SearchCloseOutsRequest {
            query: query.into(),
            states: states.clone(),
            customer: customer.clone(),
            actor: owner.clone(),
            closed_from: from,
            closed_until: until,
            amount_from: amount_from.clone(),
            amount_until: amount_until.clone(),
            reason: reason.into(),
            outcome,
            ..Default::default()
        };
        pages!(client.sales_close_outs, search_close_outs, sales);
        pages!(client.trade_close_outs, search_close_outs, trade);
    }
}
