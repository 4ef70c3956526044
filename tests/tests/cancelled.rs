//! Calls that are cancelled at any instant: no transaction stays open, nothing that was acknowledged is lost. A regression test
//! for sqlx 0.9.0, where a `begin` dropped half-way leaves an open transaction on a pooled connection.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_proto::{common::Wait, opportunity as sales, order as trade};
use crm_tests::{
    client::{Client, cancelling, closing, reopening},
    pair::{Pair, QUIET},
    place::Kind,
    stories, until,
};
use futures::{StreamExt, future::join_all, stream};
use std::time::Duration;

stories!(cancelled_at_random_instants);

const SUBJECTS: usize = 60;
const AT_ONCE: usize = 64;

fn calls() -> usize {
    if std::env::var_os("CLOSEOUT_TESTS_LONG").is_some() { 10_000 } else { 2_000 }
}

/// One call about a random subject; true if it was done.
async fn call(client: &Client, opportunities: &[String], orders: &[String]) -> bool {
    let pick = |names: &[String]| names[fastrand::usize(..names.len())].clone();
    let wait = if fastrand::bool() { Wait::Peer } else { Wait::None }.into();
    match fastrand::u8(..6) {
        0 | 1 => {
            let request = sales::CloseOutOpportunityRequest { wait, ..closing(&pick(opportunities)) };
            client.close_out_opportunity(request).await.is_ok()
        }
        2 | 3 => {
            let request = sales::ReopenOpportunityRequest { wait, ..reopening(&pick(opportunities)) };
            client.reopen_opportunity(request).await.is_ok()
        }
        4 => {
            let request = trade::CloseOutOrderRequest { wait, ..cancelling(&pick(orders)) };
            client.close_out_order(request).await.is_ok()
        }
        _ => {
            let request = trade::ReopenOrderRequest { name: pick(orders), wait, ..Default::default() };
            client.reopen_order(request).await.is_ok()
        }
    }
}

/// Comes at a random moment: after a few steps of the runtime, or after a time of any order of magnitude up to two seconds.
async fn moment() {
    if fastrand::u8(..4) == 0 {
        for _ in 0..fastrand::u32(..200) {
            tokio::task::yield_now().await;
        }
    } else {
        tokio::time::sleep(Duration::from_micros(fastrand::u64(..1 << fastrand::u32(6..22)))).await;
    }
}

async fn cancelled_at_random_instants(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customers = [client.customer().await, client.customer().await];
    let opportunities = join_all((0..SUBJECTS).map(|n| client.opportunity(&customers[n % 2]))).await;
    let orders = join_all((0..SUBJECTS).map(|n| client.order(&customers[n % 2], &opportunities[n]))).await;
    let clients: Vec<_> = (0..8).map(|_| pair.client()).collect();
    let outcomes = stream::iter(0..calls()).map(|n| {
        let (client, opportunities, orders) = (clients[n % clients.len()].clone(), &opportunities, &orders);
        async move {
            tokio::select! {
                done = call(&client, opportunities, orders) => Some(done),
                () = moment() => None,
            }
        }
    });
    let outcomes: Vec<_> = outcomes.buffer_unordered(AT_ONCE).collect().await;
    let cancelled = outcomes.iter().filter(|outcome| outcome.is_none()).count();
    let done = outcomes.iter().filter(|outcome| **outcome == Some(true)).count();
    println!("of {} calls {cancelled} were cancelled and {done} done", outcomes.len());
    assert!(cancelled * 5 > outcomes.len(), "too few were cancelled to show anything");
    assert!(done > 0, "none was done");

    pair.quiet().await;
    until("no session is idle in a transaction", QUIET, || async {
        (pair.place.idle_in_transaction().await == 0).then_some(())
    })
    .await;
    // Whoever comes next finds everything in order.
    let opportunity = client.opportunity(&customers[0]).await;
    client.close_out_opportunity(closing(&opportunity)).await.unwrap();
    pair.end().await;
}
