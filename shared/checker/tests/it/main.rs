//! Every invariant is quiet on a good pair of databases and fires when one row of it is broken; no other one does.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use crm_checker::{Report, check, quiet};
use crm_outbox::{
    db::Db,
    sql::{Args, Sql},
};
use fixture::{Copy, copy, good};
use std::time::Duration;
use uuid::Uuid;

async fn execute(db: &Db, statement: &str) {
    let mut tx = db.begin().await.unwrap();
    let written = tx.execute(&Sql::plain(statement), Args::none()).await.unwrap();
    assert_eq!(written, 1, "the statement is to break one row: {statement}");
    tx.commit().await.unwrap();
}

async fn report(copy: &Copy) -> Report {
    check(&copy.opportunity, &copy.order, &good().await.history).await.unwrap()
}

#[derive(Clone, Copy)]
enum On {
    Opportunity,
    Order,
}

/// Breaks one row of a copy and tells which invariants say so.
async fn broken(on: On, statement: &str) -> (Vec<u8>, String) {
    let copy = copy().await;
    let db = match on {
        On::Opportunity => &copy.opportunity,
        On::Order => &copy.order,
    };
    execute(db, statement).await;
    let report = report(&copy).await;
    (report.violated(), report.to_string())
}

macro_rules! fires {
    ($($name:ident: $invariant:literal, $on:ident, $statement:expr;)+) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let (violated, text) = broken(On::$on, $statement).await;
            assert_eq!(violated, [$invariant], "{text}");
        })+
    };
}

const CLOSED: &str = "(SELECT opportunity_id FROM opportunity WHERE state = 5)";

fires! {
    an_answered_close_out_without_audit_row: 1, Opportunity,
        "UPDATE audit SET version_after = version_after + 7 WHERE method = 'CloseOutOpportunity' \
         AND audit_id = (SELECT min(audit_id) FROM audit WHERE method = 'CloseOutOpportunity' AND resource LIKE 'opp%')";
    an_effect_that_was_done_twice: 4, Opportunity,
        "INSERT INTO audit SELECT tenant_id, randomblob(16), audited_at, actor, method, request_id, message_id, resource, \
         version_before, version_after, state_before, state_after, close_out_id, note FROM audit WHERE method = 'CreateTask' LIMIT 1";
    a_request_that_made_two_things: 4, Order,
        "UPDATE audit SET request_id = (SELECT min(request_id) FROM audit WHERE method = 'CreateTask') \
         WHERE method = 'CreateTask' AND request_id = (SELECT max(request_id) FROM audit WHERE method = 'CreateTask')";
    an_effect_whose_answer_is_not_kept: 4, Order,
        "DELETE FROM idempotency WHERE method = 'ConfirmOrder'";
    a_hole_in_a_lane: 5, Order,
        "DELETE FROM inbox WHERE record_kind = 2 AND number = 1 AND record_id = (SELECT min(record_id) FROM inbox \
         WHERE record_kind = 2 AND number = 3)";
    a_transition_without_message: 6, Opportunity,
        "INSERT INTO audit SELECT tenant_id, randomblob(16), audited_at, actor, method, NULL, NULL, resource, \
         version_before, version_after, state_before, state_after, close_out_id, note FROM audit WHERE method = 'WinOpportunity' \
         AND resource LIKE 'opportunities/%' LIMIT 1";
    a_message_without_transition: 6, Order,
        "DELETE FROM audit WHERE method = 'ConfirmOrder' AND resource LIKE 'orders/%'";
    a_close_out_that_is_in_force_without_its_subject: 6, Opportunity,
        "UPDATE close_out SET episode = episode + 1 WHERE state = 1";
    a_message_that_was_not_applied: 7, Order,
        "DELETE FROM inbox WHERE record_kind = 2 AND number = 1 AND 1 = (SELECT count(*) FROM inbox AS i \
         WHERE i.record_kind = 2 AND i.record_id = inbox.record_id)";
    a_message_that_was_not_sent: 7, Order,
        "INSERT INTO inbox SELECT tenant_id, record_kind, record_id, number + 1, randomblob(16), hash, outcome, effects, \
         received_at FROM inbox WHERE record_kind = 1";
    a_message_that_was_applied_twice: 7, Order,
        "UPDATE inbox SET message_id = (SELECT message_id FROM inbox WHERE record_kind = 2 AND number = 3) \
         WHERE record_kind = 2 AND number = 1 AND record_id = (SELECT record_id FROM inbox WHERE number = 3)";
    an_effect_of_a_message_that_is_not_in_the_inbox: 7, Order,
        "UPDATE audit SET message_id = randomblob(16) WHERE audit_id = (SELECT max(audit_id) FROM audit \
         WHERE method = 'Apply')";
    a_high_water_mark_that_differs: 9, Opportunity,
        "UPDATE lane SET last_number = last_number + 1 WHERE record_id = (SELECT min(record_id) FROM lane)";
    an_open_task_of_a_closed_subject: 11, Opportunity,
        &format!("UPDATE task SET state = 1, closed_by = NULL, prior_state = NULL WHERE root_id = {CLOSED}");
    a_task_that_the_other_side_left_open: 11, Order,
        "UPDATE task SET state = 1, closed_by = NULL, prior_state = NULL WHERE task_id = (SELECT min(task_id) FROM task \
         WHERE root_kind = 2 AND state = 4)";
    a_task_that_a_reopening_forgot: 11, Opportunity,
        "UPDATE task SET state = 4, prior_state = 1, closed_by = (SELECT close_out_id FROM close_out WHERE state = 2) \
         WHERE task_id = (SELECT max(task_id) FROM task WHERE state = 1)";
    a_wrong_counter: 13, Opportunity, "UPDATE customer SET lost_count = lost_count + 1";
    a_wrong_lifecycle: 13, Opportunity, "UPDATE customer SET lifecycle = 5";
    a_wrong_last_loss: 13, Opportunity, "UPDATE customer SET last_loss_at = last_loss_at + 1";
    a_wrong_amount: 13, Order, "UPDATE customer SET amounts = replace(amounts, '3000', '3001')";
    a_wrong_count_of_lost_deals: 13, Order, "UPDATE customer SET deals_lost = 2";
    a_mirror_that_differs: 21, Order,
        "UPDATE lane SET owner = 'bob' WHERE record_kind = 2 AND record_id = (SELECT max(record_id) FROM lane)";
    a_name_that_differs: 21, Order, "UPDATE customer SET display_name = 'x'";
    a_delivery_that_is_not_settled: 21, Opportunity,
        "UPDATE close_out SET delivery_propagation = 1 WHERE state = 1";
    a_reversal_that_is_not_settled: 21, Opportunity,
        "UPDATE close_out SET reversal_delivery_propagation = 3 WHERE state = 2";
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_pair_has_no_violation() {
    let report = report(&copy().await).await;
    assert!(report.violations.is_empty(), "{report}");
    assert!(report.checked > 100, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_with_another_content_is_found() {
    let (copy, id) = (copy().await, Uuid::now_v7().simple());
    let row = format!(
        "INSERT INTO outbox SELECT tenant_id, 1, customer_id, 1, x'{id}', x'00', NULL, 0, 0, 0, 0, 0, '', 0, 0, 0, 0 FROM customer"
    );
    execute(&copy.opportunity, &row).await;
    let report = report(&copy).await;
    assert_eq!(report.violated(), [7, 21], "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_waits_for_the_outboxes_and_says_what_is_left() {
    let copy = copy().await;
    quiet(&copy.opportunity, &copy.order, Duration::from_secs(5)).await.unwrap();
    let row = "INSERT INTO outbox SELECT tenant_id, 1, customer_id, 1, customer_id, x'00', NULL, 0, 0, 0, 0, 0, '', 0, 0, 0, 0 FROM customer";
    execute(&copy.opportunity, row).await;
    let error = quiet(&copy.opportunity, &copy.order, Duration::from_millis(20)).await.unwrap_err();
    assert!(error.to_string().contains("1 message(s) wait on the opportunity side"), "{error}");
    execute(&copy.opportunity, "DELETE FROM outbox").await;
    quiet(&copy.opportunity, &copy.order, Duration::from_secs(5)).await.unwrap();
}
