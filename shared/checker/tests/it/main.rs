//! Every invariant is quiet on a good pair of databases and fires when one row of it, or one answer in the history, is broken; no
//! other one does, unless the broken row is against both.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod fixture;

use crm_checker::{Answer, Attempt, History, Report, Request, check, check_now, quiet};
use crm_closeout::{
    codes::{Record, RecordKind, Side},
    ids::TenantId,
};
use crm_outbox::{
    db::Db,
    sql::{Args, Sql},
};
use fixture::{Copy, TENANT, copy, good};
use std::time::Duration;
use tonic::Status;
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
    ($($name:ident: $invariants:expr, $on:ident, $statement:expr;)+) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let (violated, text) = broken(On::$on, $statement).await;
            assert_eq!(violated, $invariants, "{text}");
        })+
    };
}

/// The opportunity that was closed out and reopened, as the order side knows it.
const REOPENED: &str = "(SELECT record_id FROM inbox WHERE record_kind = 2 AND number = 3)";
const CLOSED: &str = "(SELECT opportunity_id FROM opportunity WHERE state = 5)";

fires! {
    an_answered_close_out_without_audit_row: [1, 12], Opportunity,
        "UPDATE audit SET version_after = version_after + 7 WHERE method = 'CloseOutOpportunity' \
         AND audit_id = (SELECT min(audit_id) FROM audit WHERE method = 'CloseOutOpportunity' AND resource LIKE 'opp%')";
    an_effect_that_nothing_caused: [2], Order,
        "UPDATE audit SET message_id = NULL WHERE audit_id = (SELECT max(audit_id) FROM audit WHERE method = 'Apply')";
    an_effect_that_was_done_twice: [4, 12], Opportunity,
        "INSERT INTO audit SELECT tenant_id, randomblob(16), audited_at, actor, method, request_id, message_id, resource, \
         version_before, version_after, state_before, state_after, close_out_id, note FROM audit WHERE method = 'CreateTask' LIMIT 1";
    a_request_that_made_two_things: [1, 4], Order,
        "UPDATE audit SET request_id = (SELECT min(request_id) FROM audit WHERE method = 'CreateTask') \
         WHERE method = 'CreateTask' AND request_id = (SELECT max(request_id) FROM audit WHERE method = 'CreateTask')";
    an_effect_whose_answer_is_not_kept: [4], Order,
        "DELETE FROM idempotency WHERE method = 'ConfirmOrder'";
    a_hole_in_a_lane: [5, 10], Order,
        "DELETE FROM inbox WHERE record_kind = 2 AND number = 1 AND record_id = (SELECT min(record_id) FROM inbox \
         WHERE record_kind = 2 AND number = 3)";
    a_transition_without_message: [2, 6, 12], Opportunity,
        "INSERT INTO audit SELECT tenant_id, randomblob(16), audited_at, actor, method, NULL, NULL, resource, \
         version_before, version_after, state_before, state_after, close_out_id, note FROM audit WHERE method = 'WinOpportunity' \
         AND resource LIKE 'opportunities/%' LIMIT 1";
    a_message_without_transition: [1, 6, 12], Order,
        "DELETE FROM audit WHERE method = 'ConfirmOrder' AND resource LIKE 'orders/%'";
    a_close_out_that_is_in_force_without_its_subject: [6], Opportunity,
        "UPDATE close_out SET episode = episode + 1 WHERE state = 1";
    a_message_that_was_not_applied: [7, 10], Order,
        "DELETE FROM inbox WHERE record_kind = 2 AND number = 1 AND 1 = (SELECT count(*) FROM inbox AS i \
         WHERE i.record_kind = 2 AND i.record_id = inbox.record_id)";
    a_message_that_was_not_sent: [7], Order,
        "INSERT INTO inbox SELECT tenant_id, record_kind, record_id, number + 1, randomblob(16), hash, outcome, effects, \
         received_at FROM inbox WHERE record_kind = 1";
    a_message_that_was_applied_twice: [7], Order,
        "UPDATE inbox SET message_id = (SELECT message_id FROM inbox WHERE record_kind = 2 AND number = 3) \
         WHERE record_kind = 2 AND number = 1 AND record_id = (SELECT record_id FROM inbox WHERE number = 3)";
    an_effect_of_a_message_that_is_not_in_the_inbox: [7], Order,
        "UPDATE audit SET message_id = randomblob(16) WHERE audit_id = (SELECT max(audit_id) FROM audit \
         WHERE method = 'Apply')";
    a_message_that_was_applied_after_its_successor: [8], Order,
        &format!("UPDATE audit SET message_id = (SELECT message_id FROM inbox WHERE number = 1 AND record_id = {REOPENED}) \
         WHERE audit_id = (SELECT max(audit_id) FROM audit WHERE resource LIKE 'customers/%' AND message_id = \
         (SELECT message_id FROM inbox WHERE number = 3 AND record_id = {REOPENED}))");
    a_high_water_mark_that_differs: [9], Opportunity,
        "UPDATE lane SET last_number = last_number + 1 WHERE record_id = (SELECT min(record_id) FROM lane)";
    an_open_task_of_a_closed_subject: [11], Opportunity,
        &format!("UPDATE task SET state = 1, closed_by = NULL, prior_state = NULL WHERE root_id = {CLOSED}");
    a_task_that_the_other_side_left_open: [11], Order,
        "UPDATE task SET state = 1, closed_by = NULL, prior_state = NULL WHERE task_id = (SELECT min(task_id) FROM task \
         WHERE root_kind = 2 AND state = 4)";
    a_task_that_a_reopening_forgot: [11], Opportunity,
        "UPDATE task SET state = 4, prior_state = 1, closed_by = (SELECT close_out_id FROM close_out WHERE state = 2) \
         WHERE task_id = (SELECT max(task_id) FROM task WHERE state = 1)";
    a_version_that_no_step_explains: [12], Order,
        "UPDATE task SET version = version + 1 WHERE task_id = (SELECT min(task_id) FROM task)";
    a_state_that_cannot_follow: [12], Opportunity,
        "UPDATE audit SET state_after = 'DONE' WHERE audit_id = (SELECT min(audit_id) FROM audit WHERE resource LIKE 'tasks/%')";
    a_reopening_to_another_state_than_before: [12], Order,
        "UPDATE audit SET state_after = 'CONFIRMED' WHERE state_before = 'CANCELLED' AND resource LIKE 'orders/%'";
    an_epoch_that_does_not_rise: [12], Opportunity,
        "UPDATE audit SET close_out_id = NULL WHERE audit_id = (SELECT max(audit_id) FROM audit WHERE state_after = 'CLOSED_OUT')";
    a_wrong_counter: [13], Opportunity, "UPDATE customer SET lost_count = lost_count + 1";
    a_wrong_lifecycle: [13], Opportunity, "UPDATE customer SET lifecycle = 5";
    a_wrong_last_loss: [13], Opportunity, "UPDATE customer SET last_loss_at = last_loss_at + 1";
    a_wrong_amount: [13], Order, "UPDATE customer SET amounts = replace(amounts, '3000', '3001')";
    a_subject_listed_in_another_state: [13], Opportunity,
        "UPDATE subject_in_state SET state = state + 20 WHERE subject_id = (SELECT min(subject_id) FROM subject_in_state)";
    a_state_that_a_subject_has_left: [13], Opportunity,
        "INSERT INTO subject_in_state SELECT tenant_id, state + 20, subject_id FROM subject_in_state LIMIT 1";
    a_subject_that_no_list_by_state_shows: [13], Order,
        "DELETE FROM subject_in_state WHERE subject_id = (SELECT min(subject_id) FROM subject_in_state)";
    a_wrong_count_of_lost_deals: [13], Order, "UPDATE customer SET deals_lost = 2";
    a_row_that_joins_two_tenants: [14], Opportunity,
        "UPDATE timeline SET tenant_id = x'00000000000000000000000000000002' \
         WHERE timeline_id = (SELECT min(timeline_id) FROM timeline)";
    a_cascade_that_is_too_deep: [15], Order,
        "UPDATE close_out SET hop = 3 WHERE close_out_id = (SELECT max(close_out_id) FROM close_out WHERE cause IS NOT NULL)";
    a_subject_that_one_message_moved_twice: [15], Order,
        &format!("UPDATE audit SET message_id = (SELECT message_id FROM inbox WHERE number = 2 AND record_id = {REOPENED}) \
         WHERE state_before = 'CANCELLED' AND resource LIKE 'orders/%'");
    a_copy_of_a_reason_that_differs: [21], Order,
        "UPDATE reason SET revision = revision + 1";
    a_mirror_that_differs: [21], Order,
        "UPDATE lane SET owner = 'bob' WHERE record_kind = 2 AND record_id = (SELECT max(record_id) FROM lane WHERE record_kind = 2)";
    a_name_that_differs: [21], Order, "UPDATE customer SET display_name = 'x'";
    settings_that_differ: [21], Order, "UPDATE settings SET decided = replace(decided, '7', '8')";
    an_exchange_rate_that_differs: [21], Order, "UPDATE exchange_rate SET rate = rate + 1";
    a_delivery_that_is_not_settled: [21], Opportunity,
        "UPDATE close_out SET delivery_propagation = 1 WHERE state = 1";
    a_reversal_that_is_not_settled: [21], Opportunity,
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
        "INSERT INTO outbox SELECT tenant_id, 1, customer_id, 1, x'{id}', x'00', NULL, 0, 0, 0, 0, 0, '', 0, 0, 0, 0, 0, '' FROM customer"
    );
    execute(&copy.opportunity, &row).await;
    let report = report(&copy).await;
    assert_eq!(report.violated(), [7, 21], "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_waits_for_the_outboxes_and_says_what_is_left() {
    let copy = copy().await;
    quiet(&copy.opportunity, &copy.order, Duration::from_secs(5)).await.unwrap();
    let row = "INSERT INTO outbox SELECT tenant_id, 1, customer_id, 1, customer_id, x'00', NULL, 0, 0, 0, 0, 0, '', 0, 0, 0, 0, 0, '' FROM customer";
    execute(&copy.opportunity, row).await;
    let error = quiet(&copy.opportunity, &copy.order, Duration::from_millis(20)).await.unwrap_err();
    assert!(error.to_string().contains("1 message(s) wait on the opportunity side"), "{error}");
    execute(&copy.opportunity, "DELETE FROM outbox").await;
    quiet(&copy.opportunity, &copy.order, Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_does_not_wait_for_what_is_parked() {
    let copy = copy().await;
    for (number, parked) in [(7, 1), (8, 0)] {
        let row = format!(
            "INSERT INTO outbox SELECT tenant_id, 1, customer_id, {number}, customer_id, x'00', NULL, 0, 0, 0, 0, {parked}, '', \
             0, 0, 0, 0, 0, '' FROM customer"
        );
        execute(&copy.opportunity, &row).await;
    }
    quiet(&copy.opportunity, &copy.order, Duration::from_millis(20)).await.unwrap();
}

/// A message about the customer that the other side has refused.
async fn parked(copy: &Copy) -> Record {
    let row = "INSERT INTO outbox SELECT tenant_id, 1, customer_id, 2, randomblob(16), x'00', NULL, 0, 0, 0, 0, 1, 'no', 0, 0, 0, 0, 0, '' \
               FROM customer";
    execute(&copy.opportunity, row).await;
    execute(&copy.opportunity, "UPDATE customer SET sent = 2").await;
    let rows = copy.opportunity.read(&Sql::plain("SELECT customer_id FROM customer"), Args::none()).await.unwrap();
    Record::new(RecordKind::Customer, rows[0].get(0).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_message_is_found_unless_the_test_has_poisoned_it() {
    let copy = copy().await;
    let customer = parked(&copy).await;
    let found = report(&copy).await;
    assert_eq!(found.violated(), [16], "{found}");
    let history = History::default();
    history.poisons(TENANT, customer);
    let found = check(&copy.opportunity, &copy.order, &history).await.unwrap();
    assert!(found.violations.is_empty(), "{found}");
}

/// What a history says beside the good databases.
async fn told(history: &History) -> (Vec<u8>, String) {
    let copy = copy().await;
    let report = check(&copy.opportunity, &copy.order, history).await.unwrap();
    (report.violated(), report.to_string())
}

/// The attempt that closed out the opportunity which was reopened later.
async fn closing_attempt() -> Attempt {
    let attempts = good().await.history.attempts();
    attempts.into_iter().rfind(|attempt| attempt.request.method == "CloseOutOpportunity").unwrap()
}

fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

fn resource_of(attempt: &Attempt) -> (String, i64) {
    match &attempt.answered {
        Some((_, Answer::Done { resource, version, .. })) => (resource.to_string(), version.unwrap()),
        other => panic!("it was done: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_what_was_never_done_is_found() {
    let history = History::default();
    let attempt = closing_attempt().await;
    let (resource, version) = resource_of(&attempt);
    let request = Request { id: Uuid::now_v7(), ..attempt.request };
    history.asks(request, b"").done(&resource, &etag(version), b"");
    let (violated, text) = told(&history).await;
    assert_eq!(violated, [1], "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_asked_for_is_found_if_the_history_is_whole() {
    let (violated, text) = told(&History::whole()).await;
    assert_eq!(violated, [2], "{text}");
    let (violated, text) = told(&History::default()).await;
    assert!(violated.is_empty(), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_with_an_effect_is_found_if_no_attempt_was_left_open() {
    let history = History::default();
    let request = closing_attempt().await.request;
    history.asks(request.clone(), b"").refused(&Status::failed_precondition("no"));
    history.asks(request.clone(), b"").refused(&Status::not_found("no"));
    let (violated, text) = told(&history).await;
    assert_eq!(violated, [3], "{text}");
    drop(history.asks(request, b""));
    let (violated, text) = told(&history).await;
    assert!(violated.is_empty(), "the caller that went away may have had its effect: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_about_another_tenant_is_found() {
    let history = History::default();
    let (resource, version) = resource_of(&closing_attempt().await);
    history.reads(Side::Opportunity, TenantId(Uuid::now_v7())).saw(&resource, &etag(version));
    let (violated, text) = told(&history).await;
    assert_eq!(violated, [14], "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_answers_to_one_request_are_found() {
    let history = History::default();
    let attempt = closing_attempt().await;
    let (resource, version) = resource_of(&attempt);
    for reply in [b"one", b"one", b"two"] {
        history.asks(attempt.request.clone(), b"").done(&resource, &etag(version), reply);
    }
    let (violated, text) = told(&history).await;
    assert_eq!(violated, [17], "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_operation_without_a_higher_version_is_found() {
    let (history, attempts) = (History::default(), good().await.history.attempts());
    let name = resource_of(&closing_attempt().await).0;
    let of_one = |attempt: &&Attempt| matches!(&attempt.answered, Some((_, Answer::Done { resource, .. })) if **resource == *name);
    for attempt in attempts.iter().filter(of_one).rev() {
        let (resource, version) = resource_of(attempt);
        history.asks(attempt.request.clone(), b"").done(&resource, &etag(version), b"");
    }
    let (violated, text) = told(&history).await;
    assert_eq!(violated, [18], "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_of_what_is_over_is_found() {
    let history = History::default();
    let attempt = closing_attempt().await;
    let (resource, version) = resource_of(&attempt);
    let early = history.reads(Side::Opportunity, TENANT);
    history.asks(attempt.request, b"").done(&resource, &etag(version), b"");
    early.saw(&resource, &etag(version - 1));
    let (violated, text) = told(&history).await;
    assert!(violated.is_empty(), "it was sent before the answer came: {text}");
    history.reads(Side::Opportunity, TENANT).saw(&resource, &etag(version - 1));
    let (violated, text) = told(&history).await;
    assert_eq!(violated, [19], "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_only_that_is_checked_which_holds_at_any_instant() {
    let copy = copy().await;
    execute(
        &copy.order,
        "UPDATE lane SET owner = 'bob' WHERE record_id = (SELECT max(record_id) FROM lane WHERE record_kind = 2)",
    )
    .await;
    let report = check_now(&copy.opportunity, &copy.order).await.unwrap();
    assert!(report.violations.is_empty() && report.checked > 100, "{report}");
    execute(&copy.order, &format!("DELETE FROM inbox WHERE number = 2 AND record_id = {REOPENED}")).await;
    let report = check_now(&copy.opportunity, &copy.order).await.unwrap();
    assert_eq!(report.violated(), [5, 10], "{report}");
}
