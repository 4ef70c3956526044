//! Previews, and close-outs that are bound to one: what both sides say they would do is what they do; what would refuse is told all at
//! once; what has changed since, on either side, is told before anything is done, and what changes on the way is told after.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_proto::{
    common,
    common::{CloseOutPlan, Effect, EffectKind, Obstacle, PeerOutcome, Propagation, Side, TaskKind, TaskState},
    opportunity as sales, order as trade,
};
use crm_tests::{
    client::{Client, cancelling, closing},
    fleet::{Databases, Fleet},
    pair::Pair,
    place::Kind,
    proxy::road::Faults,
    stories, until,
};
use prost::Message;
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

stories!(
    a_preview_is_what_the_close_out_does_on_both_sides,
    an_order_s_preview_tells_what_becomes_of_its_won_opportunity,
    everything_that_would_refuse_is_told_at_once,
    what_has_changed_on_either_side_is_told_before_anything_is_done,
    what_changes_on_the_way_is_done_and_told,
    an_order_s_close_out_is_bound_to_its_plan_as_well,
    without_the_other_service_there_is_no_plan_and_nothing_is_done,
    a_copy_of_a_call_is_answered_before_its_plan_is_looked_at,
    what_changes_at_the_same_moment_belongs_to_the_plan_or_refuses_it,
    two_copies_at_once_get_the_same_answer,
    while_news_is_on_its_way_there_is_no_plan,
);

type Told = (Side, EffectKind, String, String, String, String);

fn told(effects: &[Effect]) -> Vec<Told> {
    let told =
        |e: &Effect| (e.side(), e.kind(), e.resource.clone(), e.field.clone(), e.before.clone(), e.after.clone());
    effects.iter().map(told).collect()
}

/// How often each kind of thing is done on each side.
fn counts(effects: &[Effect]) -> BTreeMap<(i32, i32), usize> {
    let mut counts = BTreeMap::new();
    effects.iter().for_each(|effect| *counts.entry((effect.side, effect.kind)).or_default() += 1);
    counts
}

/// The fields of the customer's records, but those that become the moment of the close.
fn fields(effects: &[Effect], planned: &[Effect]) -> Vec<Told> {
    let moment = |field: &str| planned.iter().any(|e| e.field == field && e.after == "close_time");
    let changed = |e: &&Effect| e.kind() == EffectKind::RecordChanged && !moment(&e.field);
    told(&effects.iter().filter(changed).cloned().collect::<Vec<_>>())
}

async fn of_opportunity(client: &Client, request: sales::CloseOutOpportunityRequest) -> Result<CloseOutPlan, Status> {
    let request = sales::PreviewCloseOutRequest { close_out: Some(request) };
    client.opportunities.clone().preview_close_out(request).await.map(|reply| reply.into_inner().plan.unwrap())
}

async fn of_order(client: &Client, request: trade::CloseOutOrderRequest) -> Result<CloseOutPlan, Status> {
    let request = trade::PreviewCloseOutRequest { close_out: Some(request) };
    client.orders.clone().preview_close_out(request).await.map(|reply| reply.into_inner().plan.unwrap())
}

fn bound(plan: &CloseOutPlan) -> sales::CloseOutOpportunityRequest {
    sales::CloseOutOpportunityRequest { plan_hash: plan.plan_hash.clone(), ..closing(&plan.subject) }
}

/// The plan that came with a refusal.
fn fresh(status: &Status) -> CloseOutPlan {
    assert_eq!(status.code(), Code::Aborted, "{status:?}");
    assert_eq!(status.get_details_error_info().unwrap().reason, "PLAN_CHANGED");
    let details = crm_proto::Status::decode(status.details()).unwrap().details;
    let plan = details.iter().find(|detail| detail.type_url.ends_with("/crm.common.v1.CloseOutPlan")).unwrap();
    CloseOutPlan::decode(&*plan.value).unwrap()
}

fn reasons(plan: &CloseOutPlan) -> Vec<(&str, &str)> {
    plan.obstacles.iter().map(|obstacle| (obstacle.reason.as_str(), obstacle.field.as_str())).collect()
}

async fn a_preview_is_what_the_close_out_does_on_both_sides(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let order = client.order(&customer, &opportunity).await;
    let (call, quote) = (
        client.selling_task(&opportunity, TaskKind::FollowUp).await,
        client.selling_task(&order, TaskKind::Quote).await,
    );
    let (buy, bill) =
        (client.order_task(&order, TaskKind::Procure).await, client.order_task(&opportunity, TaskKind::Invoice).await);
    let before = (client.get_opportunity(&opportunity).await, client.get_order(&order).await);

    let plan = of_opportunity(&client, closing(&opportunity)).await.unwrap();
    assert_eq!((plan.subject.as_str(), plan.customer.as_str()), (opportunity.as_str(), customer.as_str()));
    assert_eq!((plan.reason.as_str(), plan.reason_version), ("closeOutReasons/NO_INTENT_NOW", 1));
    assert_eq!((plan.peer_outcome(), plan.obstacles.len()), (PeerOutcome::Applied, 0));
    let of = |side, kind| -> Vec<&str> {
        let of = plan.effects.iter().filter(|e| (e.side(), e.kind()) == (side, kind));
        of.map(|e| e.resource.as_str()).collect()
    };
    assert_eq!(of(Side::Opportunity, EffectKind::TaskCancelled), [&call]);
    let mut order_tasks = [buy.as_str(), bill.as_str()];
    let mut planned = of(Side::Order, EffectKind::TaskCancelled);
    order_tasks.sort_unstable();
    planned.sort_unstable();
    assert_eq!(planned, order_tasks);
    assert_eq!(of(Side::Order, EffectKind::SubjectClosed), [&order]);
    let changed = |side, field: &str| {
        let changed = plan.effects.iter().find(|e| e.side() == side && e.field == field).unwrap();
        (changed.before.as_str(), changed.after.as_str())
    };
    assert_eq!(changed(Side::Opportunity, "lifecycle"), ("ACTIVE", "LOST"));
    assert_eq!(changed(Side::Opportunity, "last_loss_time").1, "close_time");
    assert_eq!(changed(Side::Order, "deals_lost"), ("0", "1"));
    let again = plan.win_back_time.unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((again.seconds - now - 60 * 86_400).abs() < 600, "{again:?}");

    // Nothing of it has happened, and it stays what it is.
    pair.quiet().await;
    assert_eq!((client.get_opportunity(&opportunity).await, client.get_order(&order).await), before);
    assert!(client.selling_tasks_of(&opportunity).await.iter().all(|task| task.state() == TaskState::Open));
    assert_eq!(of_opportunity(&client, closing(&opportunity)).await.unwrap().plan_hash, plan.plan_hash);

    let closed = client.close_out_opportunity(bound(&plan)).await.unwrap().close_out.unwrap();
    assert_eq!((closed.propagation(), closed.peer_outcome()), (Propagation::Settled, PeerOutcome::Applied));
    assert_eq!(counts(&closed.effects), counts(&plan.effects));
    assert_eq!(fields(&closed.effects, &plan.effects), fields(&plan.effects, &plan.effects));
    // Tasks of the order follow in a cascade of its own, which comes back here.
    pair.quiet().await;
    let quotes = client.selling_tasks_of(&order).await;
    assert_eq!((quotes[0].name.as_str(), quotes[0].state()), (quote.as_str(), TaskState::Cancelled));
    pair.end().await;
}

async fn an_order_s_preview_tells_what_becomes_of_its_won_opportunity(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let order = client.order(&customer, &opportunity).await;
    let call = client.selling_task(&order, TaskKind::FollowUp).await;
    client
        .win_opportunity(sales::WinOpportunityRequest { name: opportunity.clone(), ..Default::default() })
        .await
        .unwrap();
    client.confirm_order(trade::ConfirmOrderRequest { name: order.clone(), ..Default::default() }).await.unwrap();
    pair.quiet().await;

    let plan = of_order(&client, cancelling(&order)).await.unwrap();
    let sales_side: Vec<_> = plan.effects.iter().filter(|e| e.side() == Side::Opportunity).collect();
    let made = sales_side.iter().find(|e| e.kind() == EffectKind::TaskCreated).unwrap();
    assert_eq!((made.resource.as_str(), made.after.as_str()), ("", "OPEN"));
    assert!(sales_side.iter().any(|e| e.kind() == EffectKind::TaskCancelled && e.resource == call));
    let kept = trade::CloseOutOrderRequest {
        won_opportunity_policy: trade::WonOpportunityPolicy::Keep.into(),
        ..cancelling(&order)
    };
    let kept = of_order(&client, kept).await.unwrap();
    assert!(kept.effects.iter().all(|e| e.kind() != EffectKind::TaskCreated));
    assert_ne!(kept.plan_hash, plan.plan_hash);

    let request = trade::CloseOutOrderRequest { plan_hash: plan.plan_hash.clone(), ..cancelling(&order) };
    let closed = client.close_out_order(request).await.unwrap().close_out.unwrap();
    assert_eq!((closed.propagation(), closed.peer_outcome()), (Propagation::Settled, PeerOutcome::Applied));
    assert_eq!(counts(&closed.effects), counts(&plan.effects));
    assert_eq!(fields(&closed.effects, &plan.effects), fields(&plan.effects, &plan.effects));
    let closed_already = of_order(&client, cancelling(&order)).await.unwrap();
    assert_eq!((reasons(&closed_already), closed_already.effects.len()), (vec![("ALREADY_CLOSED", "")], 0));
    pair.end().await;
}

async fn everything_that_would_refuse_is_told_at_once(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let task = client.selling_task(&opportunity, TaskKind::FollowUp).await;
    let order = client.order(&customer, &opportunity).await;
    client.confirm_order(trade::ConfirmOrderRequest { name: order.clone(), ..Default::default() }).await.unwrap();
    pair.quiet().await;
    let wanting = sales::CloseOutOpportunityRequest {
        reason: "closeOutReasons/COMPETITOR_PRICE".into(),
        ..closing(&opportunity)
    };
    let plan = of_opportunity(&client, wanting.clone()).await.unwrap();
    let expected = [("DETAIL_TOO_SHORT", "detail"), ("COMPETITOR_REQUIRED", "competitor"), ("LIVE_ORDER", "")];
    assert_eq!(reasons(&plan), expected, "{plan:?}");
    assert_eq!(plan.plan_hash, "");
    let live: Vec<&Obstacle> = plan.obstacles.iter().filter(|obstacle| obstacle.reason == "LIVE_ORDER").collect();
    assert_eq!((live[0].subject.as_str(), live[0].metadata["orders"].as_str()), (opportunity.as_str(), order.as_str()));
    // What it would do is told all the same, so that a person sees it while the detail is written.
    assert!(plan.effects.iter().any(|e| e.kind() == EffectKind::TaskCancelled && e.resource == task));
    assert_eq!(plan.peer_outcome(), PeerOutcome::NeedsReview);

    let mut request = Request::new(sales::PreviewCloseOutRequest { close_out: Some(wanting) });
    request.metadata_mut().insert("accept-language", "zh-CN".parse().unwrap());
    let chinese = client.opportunities.clone().preview_close_out(request).await.unwrap().into_inner().plan.unwrap();
    assert!(chinese.obstacles.iter().all(|obstacle| !obstacle.description.is_ascii()), "{chinese:?}");
    let refused = of_opportunity(&client, closing("opportunities/0190b5a4-0000-7000-8000-000000000001")).await;
    assert_eq!(refused.unwrap_err().code(), Code::NotFound);
    let refused = of_opportunity(&client, closing("nothing")).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    pair.end().await;
}

async fn what_has_changed_on_either_side_is_told_before_anything_is_done(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let stale = of_opportunity(&client, closing(&opportunity)).await.unwrap();
    let task = client.selling_task(&opportunity, TaskKind::FollowUp).await;
    let here = fresh(&client.close_out_opportunity(bound(&stale)).await.unwrap_err());
    assert!(here.effects.iter().any(|e| e.resource == task), "{here:?}");
    let bill = client.order_task(&opportunity, TaskKind::Invoice).await;
    let there = fresh(&client.close_out_opportunity(bound(&here)).await.unwrap_err());
    assert!(there.effects.iter().any(|e| e.resource == bill), "{there:?}");
    // Another reason is another plan, whatever its effects.
    let other = sales::CloseOutOpportunityRequest { reason: "closeOutReasons/UNRESPONSIVE".into(), ..bound(&there) };
    fresh(&client.close_out_opportunity(other).await.unwrap_err());
    let judged = sales::CloseOutOpportunityRequest { validate_only: true, ..bound(&there) };
    client.close_out_opportunity(judged).await.unwrap();
    assert_eq!(client.get_opportunity(&opportunity).await.state(), sales::opportunity::State::Open);
    let malformed = sales::CloseOutOpportunityRequest { plan_hash: "1234".into(), ..closing(&opportunity) };
    let malformed = client.close_out_opportunity(malformed).await.unwrap_err();
    let violations = malformed.get_details_bad_request().unwrap().field_violations;
    assert_eq!((violations[0].field.as_str(), violations[0].reason.as_str()), ("plan_hash", "INVALID_PLAN_HASH"));
    let closed = client.close_out_opportunity(bound(&there)).await.unwrap().close_out.unwrap();
    assert_eq!(closed.peer_outcome(), PeerOutcome::Applied);
    pair.end().await;
}

async fn what_changes_on_the_way_is_done_and_told(kind: Kind) {
    let fleet = Fleet::started(kind, 1, Databases::Direct).await;
    let client = fleet.client(0);
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let bill = client.order_task(&opportunity, TaskKind::Invoice).await;
    let plan = of_opportunity(&client, closing(&opportunity)).await.unwrap();
    fleet.replicas().for_each(|replica| replica.set_faults(Faults { held: true, ..Faults::default() }));
    let request = sales::CloseOutOpportunityRequest { wait: crm_proto::common::Wait::None.into(), ..bound(&plan) };
    let closed = client.close_out_opportunity(request).await.unwrap().close_out.unwrap();
    assert_eq!(closed.propagation(), Propagation::Pending);
    // The message is on its way; what it finds when it arrives is something else.
    let cancel = trade::CancelTaskRequest { name: bill.clone(), ..Default::default() };
    client.cancel_order_task(cancel).await.unwrap();
    let buy = client.order_task(&opportunity, TaskKind::Procure).await;
    fleet.mend();
    let closed = until("it arrives", Duration::from_secs(30), || async {
        Some(client.sales_close_out(&closed.name).await).filter(|it| it.propagation() == Propagation::Settled)
    })
    .await;
    assert_eq!(closed.peer_outcome(), PeerOutcome::NeedsReview);
    let mut differs: Vec<_> = closed.effects.iter().filter(|e| e.kind() == EffectKind::Differs).cloned().collect();
    differs.sort_by_key(|effect| effect.after.len());
    let expected = [
        (
            Side::Order,
            EffectKind::Differs,
            bill,
            String::new(),
            "TASK_CANCELLED OPEN -> CANCELLED".into(),
            String::new(),
        ),
        (
            Side::Order,
            EffectKind::Differs,
            buy.clone(),
            String::new(),
            String::new(),
            "TASK_CANCELLED OPEN -> CANCELLED".into(),
        ),
    ];
    assert_eq!(told(&differs), expected);
    assert!(closed.effects.iter().any(|e| e.kind() == EffectKind::TaskCancelled && e.resource == buy));
    fleet.end().await;
}

async fn an_order_s_close_out_is_bound_to_its_plan_as_well(kind: Kind) {
    let mut fleet = Fleet::started(kind, 1, Databases::Direct).await;
    let client = fleet.client(0);
    let customer = client.customer().await;
    let order = client.order(&customer, "").await;
    client.confirm_order(trade::ConfirmOrderRequest { name: order.clone(), ..Default::default() }).await.unwrap();
    let bound = |plan: &CloseOutPlan| trade::CloseOutOrderRequest {
        plan_hash: plan.plan_hash.clone(),
        wait: common::Wait::None.into(),
        ..cancelling(&order)
    };
    let stale = of_order(&client, cancelling(&order)).await.unwrap();
    let bill = client.order_task(&order, TaskKind::Invoice).await;
    let here = fresh(&client.close_out_order(bound(&stale)).await.unwrap_err());
    assert!(here.effects.iter().any(|e| e.resource == bill), "{here:?}");
    let call = client.selling_task(&order, TaskKind::FollowUp).await;
    let there = fresh(&client.close_out_order(bound(&here)).await.unwrap_err());
    assert!(there.effects.iter().any(|e| e.resource == call), "{there:?}");
    let other = trade::CloseOutOrderRequest {
        reason: "closeOutReasons/ORD_CUSTOMER_CANCEL".into(),
        detail: "called off".into(),
        ..bound(&there)
    };
    fresh(&client.close_out_order(other).await.unwrap_err());

    fleet.opportunity[0].service.kill();
    let away = client.close_out_order(bound(&there)).await.unwrap_err();
    assert_eq!(away.get_details_error_info().unwrap().reason, "PLAN_UNVERIFIABLE");
    assert_eq!(client.get_order(&order).await.state(), trade::order::State::Confirmed, "nothing is done");
    fleet.opportunity[0].service.start(&[]).await;
    let client = fleet.client(0);
    let there = until("the other service is back", Duration::from_secs(30), || async {
        of_order(&client, cancelling(&order)).await.ok()
    })
    .await;

    fleet.replicas().for_each(|replica| replica.set_faults(Faults { held: true, ..Faults::default() }));
    let closed = client.close_out_order(bound(&there)).await.unwrap().close_out.unwrap();
    // The message is on its way; what it finds when it arrives is something else.
    let cancel = sales::CancelTaskRequest { name: call.clone(), ..Default::default() };
    client.cancel_selling_task(cancel).await.unwrap();
    fleet.mend();
    let closed = until("it arrives", Duration::from_secs(30), || async {
        Some(client.trade_close_out(&closed.name).await).filter(|it| it.propagation() == Propagation::Settled)
    })
    .await;
    assert_eq!(closed.peer_outcome(), PeerOutcome::NeedsReview);
    let differs: Vec<_> = closed.effects.iter().filter(|e| e.kind() == EffectKind::Differs).cloned().collect();
    let expected = "TASK_CANCELLED OPEN -> CANCELLED".to_owned();
    assert_eq!(
        told(&differs),
        [(Side::Opportunity, EffectKind::Differs, call, String::new(), expected, String::new())]
    );
    fleet.end().await;
}

async fn without_the_other_service_there_is_no_plan_and_nothing_is_done(kind: Kind) {
    let mut pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let plan = of_opportunity(&client, closing(&opportunity)).await.unwrap();
    pair.order.kill();
    let unverifiable = |status: Status| {
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert_eq!(status.get_details_error_info().unwrap().reason, "PLAN_UNVERIFIABLE");
        assert!(status.get_details_retry_info().is_some());
    };
    unverifiable(of_opportunity(&client, closing(&opportunity)).await.unwrap_err());
    unverifiable(client.close_out_opportunity(bound(&plan)).await.unwrap_err());
    assert_eq!(client.get_opportunity(&opportunity).await.state(), sales::opportunity::State::Open);
    pair.order.start(&[]).await;
    let closed = until("the other service is back", Duration::from_secs(30), || async {
        client.close_out_opportunity(bound(&plan)).await.ok()
    })
    .await;
    assert_eq!(closed.opportunity.unwrap().state(), sales::opportunity::State::ClosedOut);
    pair.end().await;
}

async fn a_copy_of_a_call_is_answered_before_its_plan_is_looked_at(kind: Kind) {
    let mut pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let request = bound(&of_opportunity(&client, closing(&opportunity)).await.unwrap());
    let first = client.close_out_opportunity(request.clone()).await.unwrap();
    pair.quiet().await;
    pair.order.kill();
    let copy = client.close_out_opportunity(request.clone()).await.unwrap();
    assert_eq!((&copy.opportunity, copy.close_out.unwrap().name), (&first.opportunity, first.close_out.unwrap().name));
    let other = sales::CloseOutOpportunityRequest { detail: "another body".into(), ..request };
    let reused = client.opportunities.clone().close_out_opportunity(other).await.unwrap_err();
    assert_eq!(reused.get_details_error_info().unwrap().reason, "IDEMPOTENCY_KEY_REUSED");
    pair.order.start(&[]).await;
    pair.end().await;
}

/// A task is made while its opportunity is closed out as planned: whichever comes first, no task is closed that was not in the plan.
async fn what_changes_at_the_same_moment_belongs_to_the_plan_or_refuses_it(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let mut refused = 0;
    for nth in 0..40 {
        let opportunity = client.opportunity(&customer).await;
        let plan = of_opportunity(&client, closing(&opportunity)).await.unwrap();
        let task = common::Task {
            parent: opportunity.clone(),
            kind: TaskKind::FollowUp.into(),
            title: "Call them".into(),
            ..Default::default()
        };
        let make = sales::CreateTaskRequest { task: Some(task), ..Default::default() };
        // After so many reads it comes before, amid or after the close-out.
        let make = async {
            for _ in 0..nth % 8 {
                client.get_opportunity(&opportunity).await;
            }
            client.create_selling_task(make).await
        };
        let (made, closed) = tokio::join!(make, client.close_out_opportunity(bound(&plan)));
        match closed {
            Ok(_) => assert_eq!(made.unwrap_err().code(), Code::FailedPrecondition),
            Err(status) => {
                let plan = fresh(&status);
                assert!(
                    plan.effects
                        .iter()
                        .any(|effect| effect.resource == made.as_ref().unwrap().task.as_ref().unwrap().name)
                );
                client.close_out_opportunity(bound(&plan)).await.unwrap();
                refused += 1;
            }
        }
    }
    println!("{refused} of 40 were refused");
    pair.end().await;
}

async fn two_copies_at_once_get_the_same_answer(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    for _ in 0..20 {
        let opportunity = client.opportunity(&customer).await;
        let request = bound(&of_opportunity(&client, closing(&opportunity)).await.unwrap());
        let copies = futures::future::join_all((0..4).map(|_| client.close_out_opportunity(request.clone()))).await;
        let names: Vec<_> = copies.into_iter().map(|copy| copy.unwrap().close_out.unwrap().name).collect();
        assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
    }
    pair.end().await;
}

async fn while_news_is_on_its_way_there_is_no_plan(kind: Kind) {
    let fleet = Fleet::started(kind, 1, Databases::Direct).await;
    let client = fleet.client(0);
    let customer = client.customer().await;
    let order = client.order(&customer, "").await;
    fleet.replicas().for_each(|replica| replica.set_faults(Faults { held: true, ..Faults::default() }));
    client.confirm_order(trade::ConfirmOrderRequest { name: order.clone(), ..Default::default() }).await.unwrap();
    let early = of_order(&client, cancelling(&order)).await.unwrap_err();
    assert_eq!(early.get_details_error_info().unwrap().reason, "PLAN_UNVERIFIABLE");
    fleet.mend();
    let plan = until("the news has come", Duration::from_secs(30), || async {
        of_order(&client, cancelling(&order)).await.ok()
    })
    .await;
    assert!(plan.effects.iter().any(|effect| effect.field == "live_order_count" && effect.after == "0"), "{plan:?}");
    fleet.end().await;
}
