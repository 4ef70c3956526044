//! A checker that has never caught a bug proves nothing: under a small random load it finds each bug that is seeded into the
//! services, and nothing without one. Built by `tests/run` with `--cfg seeded_bugs`; without it there is nothing here.
#![cfg(seeded_bugs)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_checker::Report;
use crm_closeout::ids::TenantId;
use crm_outbox::{
    sql::{Args, Sql},
    table::Table,
    tables::OutboxRow,
    wire,
};
use crm_proto::{
    common::{TaskKind, Wait},
    opportunity as sales, order as trade,
    peer::{ApplyRequest, MessageOutcomeKind, peer_service_client::PeerServiceClient},
};
use crm_runtime::channel::connect;
use crm_tests::{
    client::{Client, cancelling, closing, reopening},
    pair::Pair,
    place::Kind,
};
use futures::{StreamExt, stream};
use std::time::Duration;
use uuid::Uuid;

const SUBJECTS: usize = 12;
/// Opportunities that are closed out while the order service is away.
const HELD: usize = 3;
const CALLS: usize = 80;
/// What does not arrive in this time will not arrive.
const PATIENCE: Duration = Duration::from_secs(3);

macro_rules! finds {
    ($($name:ident: $bug:literal, $invariant:literal;)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let (report, _) = Box::pin(loaded($bug)).await;
            println!("{}: {:?}", $bug, report.violated());
            assert!(report.violated().contains(&$invariant), "{report}");
        })+
    };
}

finds! {
    a_message_that_is_applied_again: "dedupe-off", 13;
    a_message_that_is_acked_and_then_lost: "ack-before-commit", 10;
    a_number_that_is_used_again: "number-outside-lock", 6;
    an_answer_that_is_not_kept: "key-outside-commit", 4;
    a_record_that_another_tenant_sees: "tenant-off", 14;
    a_mirror_that_stands_still: "mirror-not-updated", 21;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_without_a_bug() {
    let (report, copies) = Box::pin(loaded("none")).await;
    assert!(report.violations.is_empty() && report.checked > 1_000, "{report}");
    assert_eq!(copies, [MessageOutcomeKind::Duplicate; HELD]);
}

/// What the checker finds after a load on services with this bug, and what became of messages that were sent again.
async fn loaded(bug: &str) -> (Report, Vec<MessageOutcomeKind>) {
    let mut pair = Pair::started(Kind::Sqlite).await;
    let (client, stranger) = (pair.client(), pair.client_of(TenantId(Uuid::now_v7()), "eve"));
    let customer = client.customer().await;
    let mut subjects = Vec::new();
    for _ in 0..SUBJECTS + HELD {
        let opportunity = client.opportunity(&customer).await;
        let order = client.order(&customer, &opportunity).await;
        client.selling_task(&opportunity, TaskKind::Demo).await;
        client.order_task(&order, TaskKind::Deliver).await;
        subjects.push((opportunity, order));
    }
    let held = subjects.split_off(SUBJECTS);
    pair.quiet().await;
    let switch = [("CLOSEOUT_SEEDED_BUG", bug)];
    pair.opportunity.kill();
    pair.order.kill();
    pair.opportunity.start(&switch).await;
    pair.order.start(&switch).await;

    let calls = (0..CALLS).map(|n| call(&client, &stranger, &subjects[n % SUBJECTS]));
    stream::iter(calls).buffer_unordered(4).collect::<Vec<()>>().await;
    quiet(&pair).await;
    // One after the other, so that each lane ends with a message that had everything before it confirmed.
    for (opportunity, _) in &subjects {
        let _ = client.reopen_opportunity(reopening(opportunity)).await;
        let _ = client.close_out_opportunity(closing(opportunity)).await;
    }
    let copies = sent_again(&mut pair, &client, &held, &switch).await;
    quiet(&pair).await;
    let (opportunity, order) = pair.databases().await;
    (crm_checker::check(&opportunity, &order, &pair.history).await.unwrap(), copies)
}

/// Waits until nothing is on its way; with a bug something may be for ever.
async fn quiet(pair: &Pair) {
    let (opportunity, order) = pair.databases().await;
    let _ = crm_checker::quiet(&opportunity, &order, PATIENCE).await;
}

/// One call about a subject, sent twice now and then; what becomes of it is in the history.
async fn call(client: &Client, stranger: &Client, (opportunity, order): &(String, String)) {
    let (wait, copies) = (Wait::None.into(), 1 + usize::from(fastrand::u8(..4) == 0));
    let request_id = Uuid::now_v7().to_string();
    let what = fastrand::u8(..6);
    for _ in 0..copies {
        let request_id = request_id.clone();
        match what {
            0 | 1 => {
                let request = sales::CloseOutOpportunityRequest { wait, request_id, ..closing(opportunity) };
                drop(client.close_out_opportunity(request).await);
            }
            2 | 3 => {
                let request = sales::ReopenOpportunityRequest { wait, request_id, ..reopening(opportunity) };
                drop(client.reopen_opportunity(request).await);
            }
            4 => {
                let request = trade::CloseOutOrderRequest { wait, request_id, ..cancelling(order) };
                drop(client.close_out_order(request).await);
            }
            _ => {
                let name = order.clone();
                let request = trade::ReopenOrderRequest { name, wait, request_id, ..Default::default() };
                drop(client.reopen_order(request).await);
            }
        }
    }
    client.get_opportunity(opportunity).await;
    drop(stranger.look_at_opportunity(opportunity).await);
}

/// Closes opportunities out while the order service is away, and sends it the messages about it once more after they have arrived.
async fn sent_again(
    pair: &mut Pair,
    client: &Client,
    held: &[(String, String)],
    switch: &[(&str, &str)],
) -> Vec<MessageOutcomeKind> {
    pair.order.kill();
    for (opportunity, _) in held {
        let request = sales::CloseOutOpportunityRequest { wait: Wait::None.into(), ..closing(opportunity) };
        client.close_out_opportunity(request).await.unwrap();
    }
    let (db, _) = pair.databases().await;
    let all = Sql::plain(&format!("SELECT {} FROM outbox AS t WHERE NOT t.parked", OutboxRow::statements().list));
    let rows: Vec<OutboxRow> = db.read_table(&all, Args::none()).await.unwrap();
    let is_held = |row: &&OutboxRow| held.iter().any(|(opportunity, _)| *opportunity == row.record.to_string());
    let envelopes: Vec<_> = rows.iter().filter(is_held).map(wire::envelope).collect();
    assert_eq!(envelopes.len(), HELD);
    pair.order.start(switch).await;
    quiet(pair).await;
    let mut peer = PeerServiceClient::new(connect(&pair.order.peer_url(), None).unwrap());
    let outcomes = peer.apply(ApplyRequest { envelopes }).await.unwrap().into_inner().outcomes;
    outcomes.iter().map(|outcome| outcome.kind()).collect()
}
