//! What a close-out can be relied upon for, one story for each of the ten promises, from beginning to end by the public API. Each is told at
//! length, with everything that may come in between, in a file of its own; this is the list of them that runs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_outbox::sql::{Args, Sql};
use crm_proto::{
    common::{
        ApprovalPolicy, CloseOut, CloseOutReason, CloseOutState, CustomerVerification, EffectKind, Finding, Historical,
        Propagation, Settings, Side, TaskKind, TaskState, VerificationMethod, VerificationPolicy, Wait,
    },
    opportunity as sales,
    opportunity::{StaleLevel, StalePolicy, StaleRule, customer::Lifecycle, opportunity::State, stale_result::Action},
    order as trade,
};
use crm_tests::{
    client::{Client, cancelling, closing, cny, reopening},
    pair::{Pair, QUIET},
    place::Kind,
    stories, until,
};
use futures::future::join_all;
use prost_types::{FieldMask, Timestamp};
use std::time::SystemTime;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

stories!(
    crash_safe_receipts,
    preview_bound_to_confirm,
    exact_reversal,
    append_only_episodes,
    reason_as_versioned_policy,
    verification_with_freshness,
    last_one_out,
    sweep_with_dry_run,
    four_eyes,
    amend_without_moving_dates,
);

/// So many days ago.
fn ago(days: i64) -> Option<Timestamp> {
    let now = Timestamp::from(SystemTime::now());
    Some(Timestamp { seconds: now.seconds - days * 86_400, nanos: 0 })
}

fn reason(status: &Status) -> (Code, String) {
    (status.code(), status.get_details_error_info().unwrap().reason)
}

fn violations(status: &Status) -> Vec<(String, String)> {
    let details = status.get_details_bad_request().into_iter().flat_map(|details| details.field_violations);
    details.map(|violation| (violation.field, violation.reason)).collect()
}

async fn close(client: &Client, opportunity: &str) -> CloseOut {
    client.close_out_opportunity(closing(opportunity)).await.unwrap().close_out.unwrap()
}

async fn confirm(client: &Client, order: &str) {
    let request = trade::ConfirmOrderRequest { name: order.to_owned(), ..Default::default() };
    client.confirm_order(request).await.unwrap();
}

async fn decide(client: &Client, settings: Settings, field: &str) {
    let request = sales::UpdateSettingsRequest {
        settings: Some(settings),
        update_mask: Some(FieldMask { paths: vec![field.to_owned()] }),
        wait: Wait::Peer.into(),
        ..Default::default()
    };
    assert_eq!(client.update_settings(request).await.unwrap().propagation(), Propagation::Settled);
}

/// Both services are killed while the close-out is under way; its receipts tell everything that was done, once.
async fn crash_safe_receipts(kind: Kind) {
    let mut pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let order = client.order(&customer, &opportunity).await;
    let selling = client.selling_task(&opportunity, TaskKind::Demo).await;
    let delivery = client.order_task(&order, TaskKind::Deliver).await;
    pair.quiet().await;
    pair.order.kill();
    pair.opportunity.kill();
    pair.opportunity.start(&[("CLOSEOUT_FAILPOINT", "origin-after-commit")]).await;
    let (call, again) = (closing(&opportunity), pair.client());
    let first = tokio::spawn({
        let call = call.clone();
        async move { again.close_out_opportunity(call).await }
    });
    pair.opportunity.says("failpoint reached: origin-after-commit").await;
    pair.opportunity.kill();
    drop(first.await.unwrap()); // an error, or PENDING
    pair.opportunity.start(&[]).await;
    pair.order.start(&[]).await;
    let client = pair.client();
    let closed = until("the copy of the call settles", QUIET, || async {
        let closed = client.close_out_opportunity(call.clone()).await.ok()?.close_out?;
        (closed.propagation() == Propagation::Settled).then_some(closed)
    })
    .await;
    pair.quiet().await;
    let of = |close_out: &CloseOut, side, kind| -> Vec<String> {
        let of = close_out.effects.iter().filter(|effect| (effect.side(), effect.kind()) == (side, kind));
        of.map(|effect| effect.resource.clone()).collect()
    };
    assert_eq!(of(&closed, Side::Opportunity, EffectKind::TaskCancelled), [selling]);
    let drafts = of(&closed, Side::Order, EffectKind::SubjectClosed);
    assert_eq!(drafts.len(), 1);
    let draft = client.trade_close_out(&drafts[0]).await;
    assert_eq!((draft.subject.as_str(), of(&draft, Side::Order, EffectKind::TaskCancelled)), (&*order, vec![delivery]));
    let record = client.trade_record(&customer).await;
    assert_eq!((record.deals_lost, record.cancelled_count, client.relationship(&customer).await.lost_count), (1, 1, 1));
    pair.end().await;
}

async fn preview_bound_to_confirm(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let plan = async || {
        let request = sales::PreviewCloseOutRequest { close_out: Some(closing(&opportunity)) };
        client.opportunities.clone().preview_close_out(request).await.unwrap().into_inner().plan.unwrap()
    };
    let bound = |plan_hash| sales::CloseOutOpportunityRequest { plan_hash, ..closing(&opportunity) };
    let seen = plan().await;
    assert!(seen.obstacles.is_empty() && !seen.effects.is_empty());
    client.order_task(&opportunity, TaskKind::Invoice).await; // on the other side
    let changed = client.close_out_opportunity(bound(seen.plan_hash.clone())).await.unwrap_err();
    assert_eq!(reason(&changed), (Code::Aborted, "PLAN_CHANGED".into()));
    assert_eq!(client.get_opportunity(&opportunity).await.state(), State::Open);
    let now = plan().await;
    assert_eq!(now.effects.len(), seen.effects.len() + 1);
    let closed = client.close_out_opportunity(bound(now.plan_hash)).await.unwrap().close_out.unwrap();
    let kinds = |effects: &[crm_proto::common::Effect]| {
        let mut kinds: Vec<_> = effects.iter().map(|effect| (effect.side, effect.kind, effect.field.clone())).collect();
        kinds.sort();
        kinds
    };
    assert_eq!(kinds(&closed.effects), kinds(&now.effects));
    pair.end().await;
}

async fn exact_reversal(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let order = client.order(&customer, &opportunity).await;
    let begun = client.selling_task(&opportunity, TaskKind::Demo).await;
    client.start_selling_task(sales::StartTaskRequest { name: begun, ..Default::default() }).await.unwrap();
    client.order_task(&order, TaskKind::Deliver).await;
    pair.quiet().await;
    let picture = async || {
        let state = |task: crm_proto::common::Task| (task.name.clone(), task.state());
        let tasks: Vec<_> = client.selling_tasks_of(&opportunity).await.into_iter().map(state).collect();
        let deliveries: Vec<_> = client.order_tasks_of(&order).await.into_iter().map(state).collect();
        let (subject, draft) = (client.get_opportunity(&opportunity).await, client.get_order(&order).await);
        let relationship = client.relationship(&customer).await;
        let counts = (relationship.open_count, relationship.lost_count, relationship.lifecycle(), relationship.amounts);
        (
            tasks,
            deliveries,
            subject.state(),
            subject.stage,
            draft.state(),
            counts,
            client.trade_record(&customer).await.deals_lost,
        )
    };
    let before = picture().await;
    close(&client, &opportunity).await;
    pair.quiet().await;
    assert_ne!(picture().await, before);
    client.reopen_opportunity(reopening(&opportunity)).await.unwrap();
    pair.quiet().await;
    assert_eq!(picture().await, before);
    pair.end().await;
}

async fn append_only_episodes(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let opportunity = client.opportunity(&client.customer().await).await;
    for _ in 0..2 {
        close(&client, &opportunity).await;
        let note = "they called".into();
        client.reopen_opportunity(sales::ReopenOpportunityRequest { note, ..reopening(&opportunity) }).await.unwrap();
    }
    let last = close(&client, &opportunity).await;
    pair.quiet().await;
    let request = sales::ListCloseOutsRequest { subject: opportunity.clone(), ..Default::default() };
    let all = client.sales_close_outs.clone().list_close_outs(request).await.unwrap().into_inner().close_outs;
    let told: Vec<_> = all.iter().map(|one| (one.episode, one.state(), one.reversal.is_some())).collect();
    let (effective, reversed) = (CloseOutState::Effective, CloseOutState::Reversed);
    assert_eq!(told, [(3, effective, false), (2, reversed, true), (1, reversed, true)]);
    assert_eq!((&all[0].name, &*all[1].reversal.clone().unwrap().note), (&last.name, "they called"));
    pair.end().await;
}

async fn reason_as_versioned_policy(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let (first, second) = (client.opportunity(&customer).await, client.opportunity(&customer).await);
    let before = close(&client, &first).await;
    let edit = CloseOutReason {
        name: before.reason.clone(),
        min_detail_length: 10,
        labels: [("en".to_owned(), "Not now".to_owned()), ("zh".to_owned(), "暂不考虑".to_owned())].into(),
        ..Default::default()
    };
    let request = sales::UpdateCloseOutReasonRequest {
        reason: Some(edit),
        update_mask: Some(FieldMask { paths: vec!["min_detail_length".into(), "labels".into()] }),
        wait: Wait::Peer.into(),
        ..Default::default()
    };
    client.update_reason(request).await.unwrap();
    let short = client.close_out_opportunity(closing(&second)).await.unwrap_err();
    assert_eq!(violations(&short), [("detail".to_owned(), "DETAIL_TOO_SHORT".to_owned())]);
    let detail = "Next year, perhaps.".to_owned();
    let request = sales::CloseOutOpportunityRequest { detail, ..closing(&second) };
    let after = client.close_out_opportunity(request).await.unwrap().close_out.unwrap();
    assert_eq!((before.reason_version, after.reason_version), (1, 2));
    let label = async |version, locale: &str| {
        let (name, locale) = (before.reason.clone(), locale.to_owned());
        let request = sales::GetCloseOutReasonRequest { name, version, locale };
        client.reasons.clone().get_close_out_reason(request).await.unwrap().into_inner().reason.unwrap().label
    };
    assert_eq!((&*label(1, "en").await, &*label(2, "en").await), ("No intent for now", "Not now"));
    assert_eq!((&*label(2, "zh-CN").await, &*label(2, "fr").await), ("暂不考虑", "Not now"));
    assert_eq!(client.sales_close_out(&before.name).await.reason_version, 1, "what was said stays");
    pair.end().await;
}

async fn verification_with_freshness(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let opportunity = client.opportunity(&client.customer().await).await;
    let verification = Some(VerificationPolicy { required: true, fresh_days: 7 });
    decide(&client, Settings { verification, ..Settings::default() }, "verification").await;
    let verified = |days, budget: Finding| sales::CloseOutOpportunityRequest {
        reason: "closeOutReasons/BUDGET_INSUFFICIENT".into(),
        verification: Some(CustomerVerification {
            method: VerificationMethod::Call.into(),
            contact: "Ms Li".into(),
            verify_time: ago(days),
            budget: budget.into(),
            ..Default::default()
        }),
        ..closing(&opportunity)
    };
    let missing = client.close_out_opportunity(closing(&opportunity)).await.unwrap_err();
    assert_eq!(violations(&missing), [("verification".to_owned(), "VERIFICATION_REQUIRED".to_owned())]);
    let stale = client.close_out_opportunity(verified(8, Finding::RuledOut)).await.unwrap_err();
    assert_eq!(reason(&stale), (Code::FailedPrecondition, "STALE_VERIFICATION".into()));
    let contradicts = client.close_out_opportunity(verified(1, Finding::Confirmed)).await.unwrap_err();
    assert_eq!(violations(&contradicts)[0].0, "verification.budget");
    let closed = client.close_out_opportunity(verified(6, Finding::RuledOut)).await.unwrap().close_out.unwrap();
    assert_eq!(closed.verification.unwrap().contact, "Ms Li");
    pair.end().await;
}

/// The last opportunity and the last order of a customer end at once, one on each service: whichever is heard of first, it is lost.
async fn last_one_out(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let deals = join_all((0..8).map(|_| async {
        let customer = client.customer().await;
        let (opportunity, order) = (client.opportunity(&customer).await, client.order(&customer, "").await);
        confirm(&client, &order).await;
        (customer, opportunity, order)
    }))
    .await;
    pair.quiet().await;
    join_all(deals.iter().map(|(customer, opportunity, order)| async {
        assert_eq!(client.relationship(customer).await.lifecycle(), Lifecycle::Active);
        let ends =
            tokio::join!(client.close_out_opportunity(closing(opportunity)), client.close_out_order(cancelling(order)));
        (ends.0.unwrap(), ends.1.unwrap())
    }))
    .await;
    pair.quiet().await;
    for (customer, ..) in &deals {
        assert_eq!(client.relationship(customer).await.lifecycle(), Lifecycle::Lost);
    }
    pair.end().await;
}

async fn sweep_with_dry_run(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let at = ago(100);
    let opportunity = sales::Opportunity { title: "Cameras".into(), amount: cny(100), ..Default::default() };
    let historical = Historical { create_time: at, stage_entered_time: at, activity_time: at, ..Default::default() };
    let request = sales::CreateOpportunityRequest {
        opportunity: Some(opportunity),
        historical: Some(historical),
        ..Default::default()
    };
    let idle = client.create_opportunity(request).await.unwrap().opportunity.unwrap().name;
    let fresh = client.opportunity(&client.customer().await).await;
    let policy = StalePolicy { rule: Some(StaleRule { close_days: 90, ..Default::default() }), ..Default::default() };
    let request = sales::UpdateStalePolicyRequest { stale_policy: Some(policy), ..Default::default() };
    client.update_stale_policy(request).await.unwrap();
    let sweep = async |validate_only| {
        let (level, request_id) = (StaleLevel::CloseOut.into(), Uuid::now_v7().to_string());
        let request = sales::SweepStaleOpportunitiesRequest { level, request_id, validate_only, ..Default::default() };
        let results = client.sweep_stale(request).await.unwrap();
        let told = results.into_iter().map(|one| (one.action(), one.stale.unwrap().opportunity.unwrap().name));
        told.collect::<Vec<_>>()
    };
    assert_eq!(sweep(true).await, [(Action::ClosedOut, idle.clone())]);
    assert_eq!(client.get_opportunity(&idle).await.state(), State::Open, "that was a dry run");
    assert_eq!(sweep(false).await, [(Action::ClosedOut, idle.clone())]);
    assert_eq!(sweep(false).await, [], "twice it changes nothing");
    let closed = client.sales_close_out(&client.get_opportunity(&idle).await.close_out).await;
    assert_eq!(closed.reason, "closeOutReasons/STALE_AUTO");
    assert_eq!(client.get_opportunity(&fresh).await.state(), State::Open);
    pair.end().await;
}

async fn four_eyes(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (client, boss) = (pair.client(), pair.client_of(pair.tenant, "eve"));
    let opportunity = client.opportunity(&client.customer().await).await;
    let task = client.selling_task(&opportunity, TaskKind::Demo).await;
    let approval = Some(ApprovalPolicy { amounts: cny(99).into_iter().collect(), expire_days: 3 });
    decide(&client, Settings { approval, ..Settings::default() }, "approval").await;
    let asked = close(&client, &opportunity).await;
    assert_eq!(asked.state(), CloseOutState::PendingApproval);
    assert_eq!(client.get_opportunity(&opportunity).await.state(), State::ClosePending);
    let state = async || client.selling_tasks_of(&opportunity).await[0].state();
    assert_eq!(state().await, TaskState::Open, "nothing of it is done");
    let approve = sales::ApproveCloseOutRequest { name: asked.name.clone(), ..Default::default() };
    let own = client.approve_sales_close_out(approve.clone()).await.unwrap_err();
    assert_eq!(reason(&own), (Code::PermissionDenied, "SELF_APPROVAL".into()));
    let approved = boss.approve_sales_close_out(approve).await.unwrap().close_out.unwrap();
    assert_eq!((approved.state(), &*approved.actor), (CloseOutState::Effective, "ann"));
    assert_eq!((&*approved.approval.unwrap().decider, state().await), ("eve", TaskState::Cancelled));
    assert_eq!(client.selling_tasks_of(&opportunity).await[0].name, task);
    pair.end().await;
}

async fn amend_without_moving_dates(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let closed = close(&client, &opportunity).await;
    pair.quiet().await;
    let before =
        (client.get_opportunity(&opportunity).await.close_time, client.relationship(&customer).await.last_loss_time);
    let request = sales::AmendCloseOutRequest {
        name: closed.name.clone(),
        reason: "closeOutReasons/LONG_CYCLE".into(),
        note: "entered by mistake".into(),
        ..Default::default()
    };
    let amended = client.amend_sales_close_out(request).await.unwrap().close_out.unwrap();
    pair.quiet().await;
    assert_eq!((&*amended.reason, amended.close_time), ("closeOutReasons/LONG_CYCLE", closed.close_time));
    assert_eq!((amended.amendments.len(), &amended.amendments[0].reason), (1, &closed.reason));
    let after =
        (client.get_opportunity(&opportunity).await.close_time, client.relationship(&customer).await.last_loss_time);
    assert_eq!(after, before);
    let (sales, trade) = pair.databases().await;
    let rows = sales.read(&Sql::plain("SELECT count(*) FROM close_out"), Args::none()).await.unwrap();
    assert_eq!(rows[0].get::<i64>(0).unwrap(), 1, "it is the same record");
    sales.close().await;
    trade.close().await;
    pair.end().await;
}
