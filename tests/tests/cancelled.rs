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
use tonic::Status;
use uuid::Uuid;

stories!(cancelled_at_random_instants);

const SUBJECTS: usize = 60;
const AT_ONCE: usize = 24;

fn calls() -> usize {
    if std::env::var_os("CLOSEOUT_TESTS_LONG").is_some() { 10_000 } else { 2_000 }
}

/// One call about a random subject.
#[derive(Clone)]
enum Call {
    Close(sales::CloseOutOpportunityRequest),
    Reopen(sales::ReopenOpportunityRequest),
    CloseOrder(trade::CloseOutOrderRequest),
    ReopenOrder(trade::ReopenOrderRequest),
}

impl Call {
    fn random(opportunities: &[String], orders: &[String]) -> Self {
        let pick = |names: &[String]| names[fastrand::usize(..names.len())].clone();
        let wait = if fastrand::bool() { Wait::Peer } else { Wait::None }.into();
        match fastrand::u8(..6) {
            0 | 1 => Self::Close(sales::CloseOutOpportunityRequest { wait, ..closing(&pick(opportunities)) }),
            2 | 3 => Self::Reopen(sales::ReopenOpportunityRequest { wait, ..reopening(&pick(opportunities)) }),
            4 => Self::CloseOrder(trade::CloseOutOrderRequest { wait, ..cancelling(&pick(orders)) }),
            _ => {
                let request_id = Uuid::now_v7().to_string();
                Self::ReopenOrder(trade::ReopenOrderRequest {
                    name: pick(orders),
                    request_id,
                    wait,
                    ..Default::default()
                })
            }
        }
    }

    async fn make(self, client: &Client) -> Result<(), Status> {
        match self {
            Self::Close(request) => client.close_out_opportunity(request).await.map(drop),
            Self::Reopen(request) => client.reopen_opportunity(request).await.map(drop),
            Self::CloseOrder(request) => client.close_out_order(request).await.map(drop),
            Self::ReopenOrder(request) => client.reopen_order(request).await.map(drop),
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

/// Looks again and again, while everything is at work, whether that holds which always holds.
async fn checked_meanwhile<T>(pair: &Pair) -> T {
    let (opportunity, order) = pair.databases().await;
    loop {
        let report = crm_checker::check_now(&opportunity, &order).await.unwrap();
        println!("under load: {report}");
        assert!(report.violations.is_empty(), "{report}");
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
        let (client, call) = (clients[n % clients.len()].clone(), Call::random(&opportunities, &orders));
        async move {
            tokio::select! {
                answer = call.clone().make(&client) => Ok(answer),
                () = moment() => Err(call),
            }
        }
    });
    let outcomes: Vec<_> = {
        let calls = outcomes.buffer_unordered(AT_ONCE).collect();
        tokio::select! {
            outcomes = calls => outcomes,
            never = checked_meanwhile(&pair) => never,
        }
    };
    let (answered, cancelled): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    let done = answered.iter().filter(|answer| matches!(answer, Ok(Ok(())))).count();
    println!("{} calls were cancelled, {done} done, {} refused", cancelled.len(), answered.len() - done);
    assert!(cancelled.len() * 5 > calls(), "too few were cancelled to show anything");
    assert!(done > 0, "none was done");

    pair.quiet().await;
    until("no session is idle in a transaction", QUIET, || async {
        (pair.place.idle_in_transaction().await == 0).then_some(())
    })
    .await;
    // Whoever was cut off calls again with the same request_id: what was done then is answered now, the rest is judged afresh.
    let again = cancelled.into_iter().filter_map(Result::err);
    let again = stream::iter(again).map(|call| call.make(&client)).buffer_unordered(AT_ONCE);
    let again: Vec<_> = again.collect().await;
    for status in again.iter().filter_map(|answer| answer.as_ref().err()) {
        assert_eq!(status.code(), tonic::Code::FailedPrecondition, "{status}");
    }
    println!("of those cancelled {} are answered when repeated", again.iter().filter(|answer| answer.is_ok()).count());
    // Whoever comes next finds everything in order.
    let opportunity = client.opportunity(&customers[0]).await;
    client.close_out_opportunity(closing(&opportunity)).await.unwrap();
    pair.end().await;
}
