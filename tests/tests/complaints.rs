//! What users of other systems complain about, a story for each complaint: here it can not happen.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_proto::{
    common::{
        CloseOutReason, CloseOutState, Historical, OutcomeClass, Propagation, ReasonScope, ReportDimension, ReportRow,
        TaskKind, TaskState, Wait,
    },
    opportunity as sales,
    opportunity::{StaleLevel, StalePolicy, StaleRule, opportunity::State},
    order as trade,
};
use crm_tests::{
    bulk::{closing_each, opportunities_call},
    client::{Client, cancelling, closing, cny, reopening},
    pair::{Pair, QUIET},
    place::Kind,
    stories, until,
};
use prost_types::{FieldMask, Timestamp};
use std::time::SystemTime;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

stories!(
    tasks_are_neither_deleted_nor_left_open_after_a_loss,
    a_close_between_the_services_is_never_half_done_in_silence,
    no_other_path_skips_the_reason,
    reopening_keeps_the_history_and_leaves_reports_clean,
    a_loss_is_dated_by_its_close_whatever_is_edited_later,
    no_decision_is_no_competitive_loss,
    a_planned_pause_is_not_stale_and_no_flag_is_raised_twice,
    the_list_of_reasons_is_the_tenants_to_change_by_the_api,
);

/// So many days ago.
fn ago(days: i64) -> Timestamp {
    let now = Timestamp::from(SystemTime::now());
    Timestamp { seconds: now.seconds - days * 86_400, nanos: 0 }
}

fn fields(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status.get_details_bad_request().into_iter().flat_map(|details| details.field_violations);
    details.map(|violation| violation.field).collect()
}

/// Lost since yesterday: each value with how many there are, and how many of the time were taken back.
async fn lost_by(client: &Client, dimension: ReportDimension) -> Vec<(String, i64, i64)> {
    let request =
        sales::ReportCloseOutsRequest { dimension: dimension.into(), closed_from: Some(ago(1)), ..Default::default() };
    let rows = client.sales_close_outs.clone().report_close_outs(request).await.unwrap().into_inner().rows;
    rows.into_iter().map(|ReportRow { value, count, reversed_count, .. }| (value, count, reversed_count)).collect()
}

async fn tasks_are_neither_deleted_nor_left_open_after_a_loss(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let order = client.order(&customer, &opportunity).await;
    let own =
        [client.selling_task(&opportunity, TaskKind::Demo).await, client.selling_task(&order, TaskKind::Quote).await];
    let theirs =
        [client.order_task(&opportunity, TaskKind::Invoice).await, client.order_task(&order, TaskKind::Deliver).await];
    pair.quiet().await;
    let closed = client.close_out_opportunity(closing(&opportunity)).await.unwrap().close_out.unwrap();
    pair.quiet().await;
    let mut found = Vec::new();
    for parent in [&opportunity, &order] {
        found.extend(client.selling_tasks_of(parent).await);
        found.extend(client.order_tasks_of(parent).await);
    }
    assert_eq!(found.len(), 4, "none is deleted");
    for task in &found {
        assert!(own.contains(&task.name) || theirs.contains(&task.name));
        assert_eq!(task.state(), TaskState::Cancelled, "none stays open, none counts as done");
        assert!(!task.closed_by.is_empty(), "and each says which close-out it was");
    }
    assert!(found.iter().any(|task| task.closed_by == closed.name));
    pair.end().await;
}

async fn a_close_between_the_services_is_never_half_done_in_silence(kind: Kind) {
    let mut pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    client.order(&customer, &opportunity).await;
    pair.quiet().await;
    pair.order.kill();
    let closed = client.close_out_opportunity(closing(&opportunity)).await.unwrap().close_out.unwrap();
    assert_eq!(closed.propagation(), Propagation::Pending, "what is not done yet is told");
    pair.order.start(&[]).await;
    let client = pair.client();
    let settled = until("it settles by itself", QUIET, || async {
        let read = client.sales_close_out(&closed.name).await;
        (read.propagation() == Propagation::Settled).then_some(read)
    })
    .await;
    assert!(settled.effects.len() > closed.effects.len(), "with receipts of the other side");
    assert_eq!(client.trade_record(&customer).await.deals_lost, 1);
    pair.end().await;
}

async fn no_other_path_skips_the_reason(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let order = client.order(&customer, &opportunity).await;
    let none = sales::CloseOutOpportunityRequest { reason: String::new(), ..closing(&opportunity) };
    assert_eq!(fields(&client.close_out_opportunity(none.clone()).await.unwrap_err()), ["reason"]);
    let items: Vec<_> = closing_each(std::slice::from_ref(&opportunity))
        .into_iter()
        .map(|item| sales::bulk_close_out_opportunities_request::Item { reason: String::new(), ..item })
        .collect();
    let bulk = client.bulk_opportunities(&opportunities_call(), &items, 1).await;
    assert_eq!(fields(bulk.refusal(0)), ["reason"]);
    let whole = sales::CloseOutCustomerRequest { name: customer.clone(), ..Default::default() };
    assert_eq!(fields(&client.close_out_customer(whole).await.unwrap_err()), ["reason"]);
    let none = trade::CloseOutOrderRequest { reason: String::new(), ..cancelling(&order) };
    assert_eq!(fields(&client.close_out_order(none).await.unwrap_err()), ["reason"]);
    // No edit ends anything: the state is not for callers to write.
    let edit = sales::Opportunity { name: opportunity.clone(), state: State::ClosedOut.into(), ..Default::default() };
    let update_mask = Some(FieldMask { paths: vec!["state".into()] });
    let edit = sales::UpdateOpportunityRequest { opportunity: Some(edit), update_mask, ..Default::default() };
    assert_eq!(client.update_opportunity(edit).await.unwrap().opportunity.unwrap().state(), State::Open);
    assert!(client.get_opportunity(&opportunity).await.close_out.is_empty());
    pair.end().await;
}

async fn reopening_keeps_the_history_and_leaves_reports_clean(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let opportunity = client.opportunity(&client.customer().await).await;
    let first = client.close_out_opportunity(closing(&opportunity)).await.unwrap().close_out.unwrap();
    client.reopen_opportunity(reopening(&opportunity)).await.unwrap();
    pair.quiet().await;
    let reason = "closeOutReasons/NO_INTENT_NOW".to_owned();
    assert_eq!(lost_by(&client, ReportDimension::Reason).await, [(reason.clone(), 0, 1)]);
    let kept = client.sales_close_out(&first.name).await;
    assert_eq!((kept.state(), &kept.reason, kept.close_time), (CloseOutState::Reversed, &reason, first.close_time));
    let second = client.close_out_opportunity(closing(&opportunity)).await.unwrap().close_out.unwrap();
    assert_eq!((second.episode, lost_by(&client, ReportDimension::Reason).await), (2, vec![(reason, 1, 1)]));
    pair.end().await;
}

async fn a_loss_is_dated_by_its_close_whatever_is_edited_later(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let long_ago = Historical {
        create_time: Some(ago(400)),
        stage_entered_time: Some(ago(400)),
        activity_time: Some(ago(400)),
        ..Default::default()
    };
    let opportunity = sales::Opportunity {
        title: "Cameras".into(),
        customer: customer.clone(),
        amount: cny(100),
        ..Default::default()
    };
    let request = sales::CreateOpportunityRequest {
        opportunity: Some(opportunity),
        historical: Some(long_ago),
        ..Default::default()
    };
    let opportunity = client.create_opportunity(request).await.unwrap().opportunity.unwrap().name;
    let historical = Some(Historical { close_time: Some(ago(300)), ..Default::default() });
    let request = sales::CloseOutOpportunityRequest { historical, ..closing(&opportunity) };
    let closed = client.close_out_opportunity(request).await.unwrap().close_out.unwrap();
    let edit = sales::Opportunity { name: opportunity.clone(), title: "More".into(), ..Default::default() };
    let edit = sales::UpdateOpportunityRequest { opportunity: Some(edit), ..Default::default() };
    let refused = client.update_opportunity(edit).await.unwrap_err();
    assert_eq!(refused.get_details_error_info().unwrap().reason, "SUBJECT_CLOSED", "what is closed out is not edited");
    let amend = sales::AmendCloseOutRequest {
        name: closed.name.clone(),
        reason: "closeOutReasons/LONG_CYCLE".into(),
        note: "entered by mistake".into(),
        ..Default::default()
    };
    client.amend_sales_close_out(amend).await.unwrap();
    let tier = sales::Customer { name: customer.clone(), tier: "B".into(), ..Default::default() };
    let edit = sales::UpdateCustomerRequest { customer: Some(tier), ..Default::default() };
    client.update_customer(edit).await.unwrap();
    pair.quiet().await;
    assert_eq!(client.sales_close_out(&closed.name).await.close_time, closed.close_time);
    assert_eq!(client.relationship(&customer).await.last_loss_time, closed.close_time);
    assert_eq!(lost_by(&client, ReportDimension::Reason).await, [], "none of it is of these days");
    pair.end().await;
}

async fn no_decision_is_no_competitive_loss(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let named = sales::Competitor { display_name: "Acme".into(), ..Default::default() };
    let request = sales::CreateCompetitorRequest { competitor: Some(named), ..Default::default() };
    let competitor = client.create_competitor(request).await.unwrap().competitor.unwrap().name;
    let won_by_none = client.opportunity(&customer).await;
    let closed = client.close_out_opportunity(closing(&won_by_none)).await.unwrap().close_out.unwrap();
    assert_eq!(closed.outcome_class(), OutcomeClass::NoDecision);
    let lost = client.opportunity(&customer).await;
    let request = |competitor: String| sales::CloseOutOpportunityRequest {
        reason: "closeOutReasons/COMPETITOR_PRICE".into(),
        detail: "Ten percent cheaper.".into(),
        competitor,
        ..closing(&lost)
    };
    let unnamed = client.close_out_opportunity(request(String::new())).await.unwrap_err();
    assert_eq!(fields(&unnamed), ["competitor"], "a competitive loss names to whom");
    let closed = client.close_out_opportunity(request(competitor.clone())).await.unwrap().close_out.unwrap();
    assert_eq!(closed.outcome_class(), OutcomeClass::CompetitiveLoss);
    let mut classes = lost_by(&client, ReportDimension::OutcomeClass).await;
    classes.sort();
    assert_eq!(classes, [("COMPETITIVE_LOSS".to_owned(), 1, 0), ("NO_DECISION".to_owned(), 1, 0)]);
    let mut competitors = lost_by(&client, ReportDimension::Competitor).await;
    competitors.sort();
    assert_eq!(competitors, [(String::new(), 1, 0), (competitor, 1, 0)]);
    pair.end().await;
}

async fn a_planned_pause_is_not_stale_and_no_flag_is_raised_twice(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let idle = async || {
        let at = Some(ago(50));
        let opportunity = sales::Opportunity {
            title: "Cameras".into(),
            customer: customer.clone(),
            amount: cny(100),
            ..Default::default()
        };
        let past = Historical { create_time: at, stage_entered_time: at, activity_time: at, ..Default::default() };
        let request = sales::CreateOpportunityRequest {
            opportunity: Some(opportunity),
            historical: Some(past),
            ..Default::default()
        };
        client.create_opportunity(request).await.unwrap().opportunity.unwrap().name
    };
    let (paused, planned, stale) = (idle().await, idle().await, idle().await);
    let hold = sales::SnoozeOpportunityRequest {
        name: paused.clone(),
        resume_time: Some(ago(-30)),
        note: "after the fair".into(),
        ..Default::default()
    };
    client.snooze_opportunity(hold).await.unwrap();
    let task = crm_proto::common::Task {
        parent: planned.clone(),
        kind: TaskKind::FollowUp.into(),
        title: "Call".into(),
        due_time: Some(ago(-3)),
        ..Default::default()
    };
    client.create_selling_task(sales::CreateTaskRequest { task: Some(task), ..Default::default() }).await.unwrap();
    let policy = StalePolicy { rule: Some(StaleRule { warn_days: 30, ..Default::default() }), ..Default::default() };
    let request = sales::UpdateStalePolicyRequest { stale_policy: Some(policy), ..Default::default() };
    client.update_stale_policy(request).await.unwrap();
    for _ in 0..3 {
        let (level, request_id) = (StaleLevel::CloseOut.into(), Uuid::now_v7().to_string());
        let request = sales::SweepStaleOpportunitiesRequest { level, request_id, ..Default::default() };
        let results = client.sweep_stale(request).await.unwrap();
        let found: Vec<_> =
            results.iter().map(|one| &one.stale.as_ref().unwrap().opportunity.as_ref().unwrap().name).collect();
        assert_eq!(found, [&stale]);
    }
    let request = sales::ListCustomerEventsRequest { customer: customer.clone(), ..Default::default() };
    let events = client.customers.clone().list_customer_events(request).await.unwrap().into_inner().events;
    assert_eq!(events.iter().filter(|event| event.kind == "opportunity.stale").count(), 1, "told once");
    pair.end().await;
}

async fn the_list_of_reasons_is_the_tenants_to_change_by_the_api(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let order = client.order(&client.customer().await, "").await;
    let reason = CloseOutReason {
        scope: ReasonScope::Order.into(),
        category: "SUPPLY".into(),
        labels: [("zh".to_owned(), "供应中断".to_owned()), ("en".to_owned(), "Supply broken off".to_owned())].into(),
        outcome_class: OutcomeClass::NoDecision.into(),
        ..Default::default()
    };
    let (code, wait) = ("SUPPLY_BROKEN".to_owned(), Wait::Peer.into());
    let request = sales::CreateCloseOutReasonRequest { reason: Some(reason), code, wait, ..Default::default() };
    let made = client.create_reason(request).await.unwrap().reason.unwrap();
    let listed = async || {
        let request = trade::ListCloseOutReasonsRequest::default();
        let reply = client.copied_reasons.clone().list_close_out_reasons(request).await.unwrap().into_inner();
        reply.reasons.into_iter().map(|reason| reason.name).collect::<Vec<_>>()
    };
    assert!(listed().await.contains(&made.name), "the other service has it, too");
    let request = trade::CloseOutOrderRequest { reason: made.name.clone(), ..cancelling(&order) };
    assert_eq!(client.close_out_order(request).await.unwrap().close_out.unwrap().reason, made.name);
    let (name, wait) = (made.name.clone(), Wait::Peer.into());
    let away = sales::DeactivateCloseOutReasonRequest { name, wait, ..Default::default() };
    client.deactivate_reason(away).await.unwrap();
    assert!(!listed().await.contains(&made.name));
    pair.end().await;
}
