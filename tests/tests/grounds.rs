//! What a close-out rests on: how the customer's status was verified, what the tenant's settings and the reason ask of that, further
//! reasons, what is to follow, reasons that were merged, and reports that tell of all of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_proto::{
    common::{
        BulkDone, CloseOutReason, CustomerVerification, EffectKind, Finding, FollowUp, Propagation, Reassessment,
        ReportDimension, ReportRow, Settings, Task, TaskKind, TaskState, VerificationMethod, VerificationPolicy,
        VerificationRule, Wait,
    },
    opportunity as sales, order as trade,
};
use crm_tests::{
    bulk::{closing_each, opportunities_call},
    client::{Client, cancelling, closing, reopening},
    pair::Pair,
    place::Kind,
    stories,
};
use prost_types::{FieldMask, Timestamp};
use std::time::{SystemTime, UNIX_EPOCH};
use tonic::{Code, Status};
use tonic_types::StatusExt;

stories!(
    settings_ask_for_a_verification_on_both_services_and_on_every_road,
    a_verification_is_fresh_and_does_not_contradict_the_reason,
    what_is_to_follow_is_a_task_that_a_reopening_takes_back_unless_it_was_touched,
    a_close_out_names_further_reasons_and_rates_the_relationship,
    merged_reasons_count_where_they_went_and_records_keep_what_they_said,
    a_report_by_owner_tells_who_verifies,
);

const DAY: i64 = 86_400;

fn days_ago(days: i64) -> Option<Timestamp> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    Some(Timestamp { seconds: now as i64 - days * DAY, nanos: 0 })
}

fn verified(days: i64) -> Option<CustomerVerification> {
    Some(CustomerVerification {
        method: VerificationMethod::Call.into(),
        contact: "王经理, purchasing".into(),
        verify_time: days_ago(days),
        budget: Finding::RuledOut.into(),
        note: "two calls".into(),
        ..Default::default()
    })
}

fn requiring(required: bool, fresh_days: i32) -> sales::UpdateSettingsRequest {
    let settings = Settings { verification: Some(VerificationPolicy { required, fresh_days }), ..Default::default() };
    let update_mask = Some(FieldMask { paths: vec!["verification".into()] });
    sales::UpdateSettingsRequest {
        settings: Some(settings),
        update_mask,
        wait: Wait::Peer.into(),
        ..Default::default()
    }
}

fn with_reason(opportunity: &str, code: &str) -> sales::CloseOutOpportunityRequest {
    sales::CloseOutOpportunityRequest {
        reason: format!("closeOutReasons/{code}"),
        detail: "They told us so, and nothing speaks against it.".into(),
        ..closing(opportunity)
    }
}

/// Field and reason of every violation.
fn violations(status: &Status) -> Vec<(String, String)> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status.get_details_bad_request().into_iter().flat_map(|details| details.field_violations);
    details.map(|violation| (violation.field, violation.reason)).collect()
}

fn one(field: &str, reason: &str) -> Vec<(String, String)> {
    vec![(field.to_owned(), reason.to_owned())]
}

async fn settings_ask_for_a_verification_on_both_services_and_on_every_road(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let decided = client.update_settings(requiring(true, 7)).await.unwrap();
    assert_eq!(decided.propagation(), Propagation::Settled);
    let request = trade::GetSettingsRequest {};
    let copy = client.copied_settings.clone().get_settings(request).await.unwrap().into_inner().settings.unwrap();
    let own = decided.settings.unwrap();
    assert_eq!((copy.verification, copy.etag), (own.verification, own.etag.clone()));
    let again = client.settings.clone().update_settings(requiring(true, 7)).await.unwrap().into_inner();
    assert_eq!(again.propagation(), Propagation::NotNeeded);
    assert_eq!(again.settings.unwrap().etag, own.etag);

    let (opportunity, order) = (client.opportunity(&customer).await, client.order(&customer, "").await);
    let missing = one("verification", "VERIFICATION_REQUIRED");
    let refused = client.close_out_opportunity(closing(&opportunity)).await.unwrap_err();
    assert_eq!(violations(&refused), missing);
    let refused = client.close_out_order(cancelling(&order)).await.unwrap_err();
    assert_eq!(violations(&refused), missing);
    let items = closing_each(std::slice::from_ref(&opportunity));
    let answers = client.bulk_opportunities(&opportunities_call(), &items, 1).await;
    assert_eq!(violations(answers.refusal(0)), missing);
    let items = items
        .into_iter()
        .map(|item| sales::bulk_close_out_opportunities_request::Item { verification: verified(1), ..item });
    let items: Vec<_> = items.collect();
    let answers = client.bulk_opportunities(&opportunities_call(), &items, 1).await;
    let done: Vec<(i64, &BulkDone)> = answers.done().collect();
    let closed = client.sales_close_out(&done[0].1.close_out).await;
    assert_eq!(
        closed.verification,
        verified(1).map(|mut told| {
            told.verify_time = closed.verification.as_ref().unwrap().verify_time;
            told
        })
    );
    let closed = client
        .close_out_order(trade::CloseOutOrderRequest { verification: verified(0), ..cancelling(&order) })
        .await
        .unwrap();
    assert_eq!(closed.close_out.unwrap().verification.unwrap().contact, "王经理, purchasing");

    // What is no matter of the customer's asks nobody, and neither does the past.
    let tidied = client.opportunity(&customer).await;
    client.close_out_opportunity(with_reason(&tidied, "STALE_AUTO")).await.unwrap();
    pair.end().await;
}

async fn a_verification_is_fresh_and_does_not_contradict_the_reason(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let reason = CloseOutReason {
        name: "closeOutReasons/BUDGET_FROZEN".into(),
        verification: VerificationRule::Required.into(),
        verification_days: 14,
        ..Default::default()
    };
    let request =
        sales::UpdateCloseOutReasonRequest { reason: Some(reason), wait: Wait::Peer.into(), ..Default::default() };
    assert_eq!(client.update_reason(request).await.unwrap().reason.unwrap().version, 2);
    let closing =
        |verification| sales::CloseOutOpportunityRequest { verification, ..with_reason(&opportunity, "BUDGET_FROZEN") };
    let refused = client.close_out_opportunity(closing(None)).await.unwrap_err();
    assert_eq!(violations(&refused), one("verification", "VERIFICATION_REQUIRED"));
    let found = verified(1).map(|told| CustomerVerification { budget: Finding::Confirmed.into(), ..told });
    let refused = client.close_out_opportunity(closing(found)).await.unwrap_err();
    assert_eq!(violations(&refused), one("verification.budget", "CONTRADICTION"));
    let told = refused.get_details_bad_request().unwrap().field_violations.remove(0).description;
    assert!(told.contains("CONFIRMED") && told.contains("BUDGET_FROZEN"), "both are named: {told}");
    let stale = client.close_out_opportunity(closing(verified(15))).await.unwrap_err();
    let told = stale.get_details_error_info().unwrap();
    assert_eq!((stale.code(), &*told.reason), (Code::FailedPrecondition, "STALE_VERIFICATION"));
    assert_eq!(told.metadata["days"], "14");
    let incomplete = CustomerVerification { verify_time: days_ago(-2), ..Default::default() };
    let refused = client.close_out_opportunity(closing(Some(incomplete))).await.unwrap_err();
    let fields = ["verification.method", "verification.verify_time", "verification.contact"];
    assert_eq!(violations(&refused).iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), fields);
    client.close_out_opportunity(closing(verified(13))).await.unwrap();
    pair.end().await;
}

async fn what_is_to_follow_is_a_task_that_a_reopening_takes_back_unless_it_was_touched(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let (opportunity, order) = (client.opportunity(&customer).await, client.order(&customer, "").await);
    let follow_up = |title: &str| Some(FollowUp { title: title.into(), due_time: days_ago(-90), ..Default::default() });
    let closing =
        || sales::CloseOutOpportunityRequest { follow_up: follow_up("Ask about next year"), ..closing(&opportunity) };
    let task_of = async |close_out: &str| {
        let task = client.sales_close_out(close_out).await.follow_up.unwrap().task;
        let request = sales::GetTaskRequest { name: task };
        client.selling_tasks.clone().get_task(request).await.unwrap().into_inner().task.unwrap()
    };
    let closed = client.close_out_opportunity(closing()).await.unwrap().close_out.unwrap();
    let task: Task = task_of(&closed.name).await;
    assert_eq!((task.kind(), task.state(), &*task.assignee), (TaskKind::WinBack, TaskState::Open, "ann"));
    assert_eq!((&*task.title, &task.parent), ("Ask about next year", &opportunity));
    assert!(
        closed.effects.iter().any(|effect| effect.kind() == EffectKind::TaskCreated && effect.resource == task.name)
    );
    client.reopen_opportunity(reopening(&opportunity)).await.unwrap();
    assert_eq!(task_of(&closed.name).await.state(), TaskState::Cancelled);

    let closed = client.close_out_opportunity(closing()).await.unwrap().close_out.unwrap();
    let begun = sales::StartTaskRequest { name: task_of(&closed.name).await.name, ..Default::default() };
    client.start_selling_task(begun).await.unwrap();
    let reopened = client.reopen_opportunity(reopening(&opportunity)).await.unwrap().close_out.unwrap();
    let left = reopened.reversal.unwrap().effects.into_iter().find(|one| one.kind() == EffectKind::LeftModified);
    let task = task_of(&closed.name).await;
    assert_eq!((task.state(), left.unwrap().resource), (TaskState::InProgress, task.name));

    let request = trade::CloseOutOrderRequest { follow_up: follow_up("Offer the new model"), ..cancelling(&order) };
    let closed = client.close_out_order(request).await.unwrap().close_out.unwrap();
    let tasks = client.order_tasks_of(&order).await;
    assert_eq!((tasks.len(), &tasks[0].name), (1, &closed.follow_up.unwrap().task));
    client.reopen_order(trade::ReopenOrderRequest { name: order.clone(), ..Default::default() }).await.unwrap();
    assert_eq!(client.order_tasks_of(&order).await[0].state(), TaskState::Cancelled);
    pair.end().await;
}

async fn a_close_out_names_further_reasons_and_rates_the_relationship(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let closing = |secondary: &[&str], rating| sales::CloseOutOpportunityRequest {
        secondary_reasons: secondary.iter().map(|code| format!("closeOutReasons/{code}")).collect(),
        reassessment: Some(Reassessment { rating, note: "friendly to the end".into() }),
        ..closing(&opportunity)
    };
    let refused = client.close_out_opportunity(closing(&["NO_INTENT_NOW", "ORD_AGED"], 6)).await.unwrap_err();
    assert_eq!(
        violations(&refused),
        [
            ("reassessment.rating".to_owned(), "OUT_OF_RANGE".to_owned()),
            ("secondary_reasons[0]".to_owned(), "REPEATED".to_owned()),
            ("secondary_reasons[1]".to_owned(), "UNKNOWN_REASON".to_owned()),
        ]
    );
    let request = closing(&["LONG_CYCLE", "UNRESPONSIVE"], 4);
    let closed = client.close_out_opportunity(request.clone()).await.unwrap().close_out.unwrap();
    let cited: Vec<_> = closed.secondary_reasons.iter().map(|one| (one.reason.as_str(), one.version)).collect();
    assert_eq!(cited, [("closeOutReasons/LONG_CYCLE", 1), ("closeOutReasons/UNRESPONSIVE", 1)]);
    let again = client.close_out_opportunity(request).await.unwrap().close_out.unwrap();
    assert_eq!((again.name, again.reassessment), (closed.name, closed.reassessment));
    let request = sales::ListCustomerEventsRequest { customer, ..Default::default() };
    let events = client.customers.clone().list_customer_events(request).await.unwrap().into_inner().events;
    let told = events.iter().find(|event| event.kind == "customer.reassessed").unwrap();
    assert_eq!(told.text, "4 of 5: friendly to the end");
    pair.end().await;
}

async fn sales_report(client: &Client, dimension: ReportDimension) -> (Vec<ReportRow>, ReportRow) {
    let (dimension, closed_from) = (dimension.into(), days_ago(2));
    let request = sales::ReportCloseOutsRequest { dimension, closed_from, ..Default::default() };
    let reply = client.sales_close_outs.clone().report_close_outs(request).await.unwrap().into_inner();
    (reply.rows, reply.total.unwrap())
}

async fn merged_reasons_count_where_they_went_and_records_keep_what_they_said(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let mut closed = Vec::new();
    for code in ["LONG_CYCLE", "LONG_CYCLE", "UNRESPONSIVE", "BUDGET_FROZEN"] {
        let opportunity = client.opportunity(&customer).await;
        let reply = client.close_out_opportunity(with_reason(&opportunity, code)).await.unwrap();
        closed.push((opportunity, reply.close_out.unwrap().name));
    }
    client.reopen_opportunity(reopening(&closed[1].0)).await.unwrap();
    let counts = |rows: &[ReportRow]| {
        rows.iter().map(|row| (row.value.clone(), row.count, row.reversed_count)).collect::<Vec<_>>()
    };
    let (before, total) = sales_report(&client, ReportDimension::Reason).await;
    assert_eq!((before.len(), total.count, total.reversed_count), (3, 3, 1));
    let merge = |sources: &[&str]| sales::MergeCloseOutReasonsRequest {
        sources: sources.iter().map(|code| format!("closeOutReasons/{code}")).collect(),
        target: "closeOutReasons/UNRESPONSIVE".into(),
        ..Default::default()
    };
    let merged = client.merge_reasons(merge(&["LONG_CYCLE"])).await.unwrap().reasons;
    assert_eq!((merged.len(), merged[0].merged_into.as_str()), (1, "closeOutReasons/UNRESPONSIVE"));
    let (after, same) = sales_report(&client, ReportDimension::Reason).await;
    assert_eq!(same, total, "the totals are equal");
    assert_eq!(
        counts(&after),
        [("closeOutReasons/UNRESPONSIVE".to_owned(), 2, 1), ("closeOutReasons/BUDGET_FROZEN".to_owned(), 1, 0)]
    );
    let (classes, same) = sales_report(&client, ReportDimension::OutcomeClass).await;
    assert_eq!((classes.iter().map(|row| row.count).sum::<i64>(), same), (total.count, total));
    assert_eq!(client.sales_close_out(&closed[0].1).await.reason, "closeOutReasons/LONG_CYCLE");
    let refused = client.close_out_opportunity(with_reason(&closed[1].0, "LONG_CYCLE")).await.unwrap_err();
    assert_eq!(violations(&refused), one("reason", "REASON_INACTIVE"));
    let told = refused.get_details_bad_request().unwrap().field_violations.remove(0).description;
    assert!(told.contains("closeOutReasons/UNRESPONSIVE"), "the way out is named: {told}");
    let itself = client.merge_reasons(merge(&["UNRESPONSIVE"])).await.unwrap_err();
    assert_eq!(violations(&itself), one("sources[0]", "REPEATED"));
    pair.end().await;
}

async fn a_report_by_owner_tells_who_verifies(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (ann, bob) = (pair.client(), pair.client_of(pair.tenant, "bob"));
    let customer = ann.customer().await;
    for (client, verification) in [(&ann, verified(0)), (&ann, None), (&ann, None), (&bob, verified(1))] {
        let opportunity = client.opportunity(&customer).await;
        client
            .close_out_opportunity(sales::CloseOutOpportunityRequest { verification, ..closing(&opportunity) })
            .await
            .unwrap();
    }
    let (rows, total) = sales_report(&ann, ReportDimension::Owner).await;
    let shown: Vec<_> = rows.iter().map(|row| (row.value.as_str(), row.count, row.verified_count)).collect();
    assert_eq!(shown, [("ann", 3, 1), ("bob", 1, 1)]);
    assert_eq!((total.count, total.verified_count, total.amounts[0].units), (4, 2, 400));
    let stranger = pair.client_of(crm_closeout::ids::TenantId(uuid::Uuid::now_v7()), "eve");
    assert!(sales_report(&stranger, ReportDimension::Owner).await.0.is_empty());
    let request = trade::ReportCloseOutsRequest { closed_from: days_ago(400), ..Default::default() };
    let refused = ann.trade_close_outs.clone().report_close_outs(request).await.unwrap_err();
    assert_eq!(
        violations(&refused),
        [("closed_until".to_owned(), "OUT_OF_RANGE".to_owned()), ("dimension".to_owned(), "REQUIRED".to_owned()),]
    );
    pair.end().await;
}
