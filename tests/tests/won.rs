//! What becomes of a won opportunity when its last order is cancelled: it stays won, its win is taken back, or it is closed out in a cascade
//! over both services and back; and reopening the order puts everything back that nobody has moved since.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_proto::{
    common,
    common::{
        CloseOut, CloseOutState, EffectKind, PeerOutcome, Propagation, Settings, Side, Task, TaskKind, TaskState, Wait,
    },
    opportunity as sales,
    opportunity::{customer::Lifecycle, opportunity::State},
    order as trade,
    order::{WonOpportunityPolicy as Policy, order::State as OrderState},
};
use crm_tests::{
    client::{Client, cancelling},
    pair::Pair,
    place::Kind,
    stories,
};
use prost_types::FieldMask;
use tonic::Code;
use tonic_types::StatusExt;

stories!(
    a_win_is_taken_back_and_given_back,
    what_has_moved_since_is_left_and_told,
    a_lost_win_takes_everything_with_it_and_brings_everything_back,
    while_another_order_stands_nothing_becomes_of_it,
    settings_decide_where_the_call_does_not,
    a_correction_goes_down_the_whole_cascade,
);

/// A won opportunity with a confirmed order, which is its last one.
struct Deal {
    customer: String,
    opportunity: String,
    order: String,
}

async fn deal(client: &Client) -> Deal {
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let order = client.order(&customer, &opportunity).await;
    confirm(client, &order).await;
    let win = sales::WinOpportunityRequest { name: opportunity.clone(), wait: Wait::Peer.into(), ..Default::default() };
    client.win_opportunity(win).await.unwrap();
    Deal { customer, opportunity, order }
}

async fn confirm(client: &Client, order: &str) {
    let request = trade::ConfirmOrderRequest { name: order.to_owned(), wait: Wait::Peer.into(), ..Default::default() };
    client.confirm_order(request).await.unwrap();
}

async fn cancel(client: &Client, order: &str, policy: Policy) -> CloseOut {
    let request = trade::CloseOutOrderRequest { won_opportunity_policy: policy.into(), ..cancelling(order) };
    client.close_out_order(request).await.unwrap().close_out.unwrap()
}

async fn reopen(client: &Client, order: &str) -> CloseOut {
    let request = trade::ReopenOrderRequest { name: order.to_owned(), wait: Wait::Peer.into(), ..Default::default() };
    client.reopen_order(request).await.unwrap().close_out.unwrap()
}

async fn a_win_is_taken_back_and_given_back(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let Deal { customer, opportunity, order } = deal(&client).await;
    pair.quiet().await;
    let (before, record) = (client.get_opportunity(&opportunity).await, client.relationship(&customer).await);
    let closed = cancel(&client, &order, Policy::Reopen).await;
    assert_eq!((closed.propagation(), closed.peer_outcome()), (Propagation::Settled, PeerOutcome::Applied));
    let moved = closed.effects.iter().find(|e| e.kind() == EffectKind::SubjectReopened).unwrap();
    assert_eq!((moved.side(), moved.resource.as_str()), (Side::Opportunity, opportunity.as_str()));
    assert_eq!((moved.before.as_str(), moved.after.as_str()), ("WON", "OPEN"));
    let taken = client.get_opportunity(&opportunity).await;
    assert_eq!((taken.state(), taken.close_time, taken.close_out.as_str()), (State::Open, None, ""));
    let counts = |customer: &sales::Customer| (customer.open_count, customer.won_count, customer.lifecycle());
    assert_eq!(counts(&client.relationship(&customer).await), (1, 0, Lifecycle::Active));

    let reopened = reopen(&client, &order).await;
    assert_eq!(reopened.reversal.unwrap().peer_outcome(), PeerOutcome::Applied);
    let given = client.get_opportunity(&opportunity).await;
    assert_eq!((given.state(), given.close_time, given.amount), (State::Won, before.close_time, before.amount));
    assert_eq!(counts(&client.relationship(&customer).await), counts(&record));
    pair.end().await;
}

async fn what_has_moved_since_is_left_and_told(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let Deal { opportunity, order, .. } = deal(&client).await;
    pair.quiet().await;
    cancel(&client, &order, Policy::Reopen).await;
    let win = sales::WinOpportunityRequest { name: opportunity.clone(), wait: Wait::Peer.into(), ..Default::default() };
    let again = client.win_opportunity(win).await.unwrap().opportunity.unwrap();
    let reversal = reopen(&client, &order).await.reversal.unwrap();
    assert_eq!(reversal.peer_outcome(), PeerOutcome::SkippedModified);
    let left = reversal.effects.iter().find(|e| e.kind() == EffectKind::LeftModified).unwrap();
    assert_eq!((left.resource.as_str(), left.after.as_str()), (opportunity.as_str(), "WON"));
    assert_eq!(client.get_opportunity(&opportunity).await.close_time, again.close_time);

    // The same of one that was closed out by the policy, and then reopened by hand.
    let Deal { opportunity, order, .. } = deal(&client).await;
    pair.quiet().await;
    cancel(&client, &order, Policy::Lose).await;
    pair.quiet().await;
    let by_hand =
        sales::ReopenOpportunityRequest { name: opportunity.clone(), wait: Wait::Peer.into(), ..Default::default() };
    client.reopen_opportunity(by_hand).await.unwrap();
    let reversal = reopen(&client, &order).await.reversal.unwrap();
    assert_eq!(reversal.peer_outcome(), PeerOutcome::Applied, "there is nothing left to be taken back");
    assert_eq!(client.get_opportunity(&opportunity).await.state(), State::Won);
    pair.end().await;
}

/// States of the tasks of some records, on both services.
async fn states(client: &Client, records: [&str; 3]) -> Vec<(String, TaskState)> {
    let mut tasks: Vec<Task> = Vec::new();
    for record in records {
        tasks.extend(client.selling_tasks_of(record).await);
        tasks.extend(client.order_tasks_of(record).await);
    }
    let mut states: Vec<_> = tasks.iter().map(|task| (task.name.clone(), task.state())).collect();
    states.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    states
}

async fn a_lost_win_takes_everything_with_it_and_brings_everything_back(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let Deal { customer, opportunity, order } = deal(&client).await;
    let draft = client.order(&customer, &opportunity).await;
    let records = [opportunity.as_str(), order.as_str(), draft.as_str()];
    for record in records {
        client.selling_task(record, TaskKind::FollowUp).await;
        client.order_task(record, TaskKind::Procure).await;
    }
    pair.quiet().await;
    let (before, tasks) = (client.get_opportunity(&opportunity).await, states(&client, records).await);
    let (sales_record, trade_record) = (client.relationship(&customer).await, client.trade_record(&customer).await);

    let asked = trade::CloseOutOrderRequest { won_opportunity_policy: Policy::Lose.into(), ..cancelling(&order) };
    let request = trade::PreviewCloseOutRequest { close_out: Some(asked) };
    let plan = client.orders.clone().preview_close_out(request).await.unwrap().into_inner().plan.unwrap();
    let planned = plan.effects.iter().find(|e| e.kind() == EffectKind::SubjectClosed).unwrap();
    assert_eq!((planned.side(), planned.resource.as_str()), (Side::Opportunity, opportunity.as_str()));
    assert_eq!((planned.before.as_str(), planned.after.as_str()), ("WON", "CLOSED_OUT"));

    let closed = cancel(&client, &order, Policy::Lose).await;
    assert_eq!((closed.propagation(), closed.peer_outcome()), (Propagation::Settled, PeerOutcome::Applied));
    let done = |kind| closed.effects.iter().filter(|e| e.kind() == kind).count();
    let of = |kind| plan.effects.iter().filter(|e| e.kind() == kind).count();
    for kind in [EffectKind::TaskCancelled, EffectKind::SubjectClosed, EffectKind::RecordChanged] {
        assert_eq!(done(kind), of(kind), "{kind:?}");
    }
    pair.quiet().await;
    let lost = client.get_opportunity(&opportunity).await;
    assert_eq!(lost.state(), State::ClosedOut);
    let caused = client.sales_close_out(&lost.close_out).await;
    assert_eq!((caused.cause.as_str(), caused.hop), (closed.name.as_str(), 1));
    assert_eq!((&caused.reason, &caused.detail, &caused.actor), (&closed.reason, &closed.detail, &closed.actor));
    let cancelled = client.get_order(&draft).await;
    assert_eq!(cancelled.state(), OrderState::Cancelled);
    let last = client.trade_close_out(&cancelled.close_out).await;
    assert_eq!((last.cause.as_str(), last.hop), (caused.name.as_str(), 2));
    let all = states(&client, records).await;
    assert!(all.iter().all(|(_, state)| *state == TaskState::Cancelled), "{all:?}");
    let relationship = client.relationship(&customer).await;
    assert_eq!((relationship.lifecycle(), relationship.lost_count, relationship.won_count), (Lifecycle::Lost, 1, 0));

    // What the cascade has closed is not reopened by itself; what began it is.
    let alone = trade::ReopenOrderRequest { name: draft.clone(), ..Default::default() };
    let refused = client.reopen_order(alone).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(refused.get_details_error_info().unwrap().reason, "PARENT_CLOSED");
    let reversal = reopen(&client, &order).await.reversal.unwrap();
    assert_eq!(reversal.peer_outcome(), PeerOutcome::Applied);
    pair.quiet().await;
    let after = client.get_opportunity(&opportunity).await;
    assert_eq!((after.state(), after.close_time, &after.stage), (State::Won, before.close_time, &before.stage));
    assert_eq!(client.get_order(&order).await.state(), OrderState::Confirmed);
    assert_eq!(client.get_order(&draft).await.state(), OrderState::Draft);
    assert_eq!(states(&client, records).await, tasks);
    for name in [&caused.name] {
        assert_eq!(client.sales_close_out(name).await.state(), CloseOutState::Reversed);
    }
    let again = client.relationship(&customer).await;
    assert_eq!((again.lifecycle(), again.amounts), (sales_record.lifecycle(), sales_record.amounts));
    let again = client.trade_record(&customer).await;
    assert_eq!((again.amounts, again.deals_lost), (trade_record.amounts, trade_record.deals_lost));
    pair.end().await;
}

async fn while_another_order_stands_nothing_becomes_of_it(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let Deal { customer, opportunity, order } = deal(&client).await;
    let other = client.order(&customer, &opportunity).await;
    confirm(&client, &other).await;
    cancel(&client, &order, Policy::Lose).await;
    pair.quiet().await;
    assert_eq!(client.get_opportunity(&opportunity).await.state(), State::Won);
    cancel(&client, &other, Policy::Lose).await;
    pair.quiet().await;
    assert_eq!(client.get_opportunity(&opportunity).await.state(), State::ClosedOut);
    // The close-out of the other order has not caused it, so that order stays as it is until the opportunity is reopened.
    let first = trade::ReopenOrderRequest { name: order, ..Default::default() };
    let refused = client.reopen_order(first).await.unwrap_err();
    assert_eq!(refused.get_details_error_info().unwrap().reason, "PARENT_CLOSED");
    pair.end().await;
}

async fn settings_decide_where_the_call_does_not(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let settings = Settings { won_opportunity_policy: common::WonOpportunityPolicy::Lose.into(), ..Default::default() };
    let request = sales::UpdateSettingsRequest {
        settings: Some(settings),
        update_mask: Some(FieldMask { paths: vec!["won_opportunity_policy".into()] }),
        wait: Wait::Peer.into(),
        ..Default::default()
    };
    assert_eq!(client.update_settings(request).await.unwrap().propagation(), Propagation::Settled);
    let copy = client.copied_settings.clone().get_settings(trade::GetSettingsRequest {}).await.unwrap().into_inner();
    assert_eq!(copy.settings.unwrap().won_opportunity_policy(), common::WonOpportunityPolicy::Lose);
    let (kept, lost) = (deal(&client).await, deal(&client).await);
    pair.quiet().await;
    cancel(&client, &kept.order, Policy::Keep).await;
    cancel(&client, &lost.order, Policy::Unspecified).await;
    pair.quiet().await;
    assert_eq!(client.get_opportunity(&kept.opportunity).await.state(), State::Won);
    assert_eq!(client.get_opportunity(&lost.opportunity).await.state(), State::ClosedOut);
    pair.end().await;
}

async fn a_correction_goes_down_the_whole_cascade(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let Deal { customer, opportunity, order } = deal(&client).await;
    let draft = client.order(&customer, &opportunity).await;
    pair.quiet().await;
    let closed = cancel(&client, &order, Policy::Lose).await;
    pair.quiet().await;
    let lost = client.get_opportunity(&opportunity).await.close_out;
    let by_hand = sales::AmendCloseOutRequest {
        name: lost.clone(),
        detail: "another".into(),
        note: "a try".into(),
        ..Default::default()
    };
    let refused = client.sales_close_outs.clone().amend_close_out(by_hand).await.unwrap_err();
    assert_eq!(refused.get_details_error_info().unwrap().reason, "CAUSED");
    let request = trade::AmendCloseOutRequest {
        name: closed.name.clone(),
        reason: "closeOutReasons/ORD_PAYMENT_FAILED".into(),
        note: "they never paid".into(),
        wait: Wait::Peer.into(),
        ..Default::default()
    };
    client.amend_trade_close_out(request).await.unwrap();
    pair.quiet().await;
    let last = client.get_order(&draft).await.close_out;
    let (caused, last) = (client.sales_close_out(&lost).await, client.trade_close_out(&last).await);
    for one in [&caused, &last] {
        assert_eq!(one.reason, "closeOutReasons/ORD_PAYMENT_FAILED");
        assert_eq!((one.amendments.len(), one.close_time), (1, closed.close_time));
    }
    assert_eq!(client.relationship(&customer).await.lifecycle(), Lifecycle::Dormant, "it is no loss any more");
    pair.end().await;
}
