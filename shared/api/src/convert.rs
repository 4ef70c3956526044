//! Kernel types as the public APIs of both services show them. What only one service has is converted there.

use crate::remarks;
use crm_closeout::{
    approval::Approval,
    codes::{Code, Record, RecordKind},
    episode::{CloseOut, CloseOutState, Delivery, Propagation},
    reason::{self, Listed},
    refusal,
    task::Task,
    time::Time,
};
use crm_outbox::wire;
pub use crm_outbox::wire::money;
use crm_proto::common;
use prost_types::Timestamp;

/// A point in time.
pub fn time(time: Time) -> Timestamp {
    Timestamp { seconds: time.0.div_euclid(1_000_000), nanos: (time.0.rem_euclid(1_000_000) * 1_000) as i32 }
}

/// A task.
pub fn task(task: &Task) -> common::Task {
    common::Task {
        name: task.task_id.to_string(),
        parent: task.root.to_string(),
        kind: task.kind.code().into(),
        title: task.title.clone(),
        assignee: task.assignee.clone(),
        due_time: task.due_at.map(time),
        state: task.state.code().into(),
        closed_by: task.closed_by.map_or_else(String::new, |id| id.to_string()),
        create_time: Some(time(task.created_at)),
        update_time: Some(time(task.updated_at)),
        etag: refusal::etag(task.version),
    }
}

/// How far something has come.
pub fn propagation(propagation: Propagation) -> common::Propagation {
    match propagation {
        Propagation::Pending => common::Propagation::Pending,
        Propagation::Settled => common::Propagation::Settled,
        Propagation::Parked => common::Propagation::Parked,
        Propagation::NotNeeded => common::Propagation::NotNeeded,
    }
}

/// The record of a close-out.
pub fn close_out(close_out: &CloseOut) -> common::CloseOut {
    let effects = |own: &[crm_closeout::episode::Effect], delivery: &Delivery| {
        own.iter().chain(&delivery.effects).map(wire::effect).collect()
    };
    let reversal = close_out.reversal.as_ref().map(|reversal| {
        let pending = Delivery::PENDING;
        let delivery = close_out.reversal_delivery.as_ref().unwrap_or(&pending);
        common::Reversal {
            reopen_time: Some(time(reversal.at)),
            actor: reversal.actor.clone(),
            note: reversal.note.clone(),
            propagation: propagation(delivery.propagation).into(),
            peer_outcome: delivery.outcome.map_or(0, |outcome| outcome.code().into()),
            effects: effects(&reversal.effects, delivery),
        }
    });
    let snapshot = &close_out.snapshot;
    let mut shown = common::CloseOut {
        name: close_out.close_out_id.to_string(),
        subject: close_out.subject.to_string(),
        customer: close_out.customer_id.map_or_else(String::new, |id| id.to_string()),
        episode: close_out.episode,
        outcome: close_out.outcome.code().into(),
        reason: format!("{}/{}", reason::COLLECTION, close_out.reason_code),
        reason_version: close_out.reason_version,
        outcome_class: close_out.class.map_or(0, |class| class.code().into()),
        detail: close_out.detail.clone(),
        competitor: close_out.competitor_id.map_or_else(String::new, |id| id.to_string()),
        snapshot: Some(common::Snapshot {
            state: snapshot.state_word.clone(),
            stage: snapshot.stage.as_ref().map_or_else(String::new, ToString::to_string),
            days_in_stage: snapshot.days_in_stage,
            days_open: snapshot.days_open,
            amount: Some(money(snapshot.amount)),
            owner: snapshot.owner.clone(),
            team: snapshot.team.clone(),
            exchange_rate: snapshot.exchange.map_or_else(String::new, |exchange| exchange.rate.to_string()),
            tenant_amount: snapshot.exchange.map(|exchange| money(exchange.amount)),
        }),
        actor: close_out.actor.clone(),
        close_time: Some(time(close_out.closed_at)),
        historical: close_out.historical,
        state: close_out.state.code().into(),
        propagation: propagation(close_out.delivery.propagation).into(),
        peer_outcome: close_out.delivery.outcome.map_or(0, |outcome| outcome.code().into()),
        effects: effects(&close_out.effects, &close_out.delivery),
        cause: close_out.cause.map_or_else(String::new, |id| id.to_string()),
        hop: close_out.hop,
        reversal,
        request_id: close_out.request_id.map_or_else(String::new, |id| id.to_string()),
        ..common::CloseOut::default()
    };
    remarks::show(&close_out.remarks, &mut shown);
    shown.amendments = close_out.amendments.iter().map(remarks::amendment).collect();
    shown.approval = close_out.approval.as_ref().map(approval);
    shown.group = close_out.group_id.map_or_else(String::new, |id| id.to_string());
    let in_force = close_out.state == CloseOutState::Effective;
    shown.win_back_time = close_out.win_back_at().filter(|_| in_force).map(time);
    shown
}

fn approval(approval: &Approval) -> common::Approval {
    let ruling = approval.ruling.as_ref();
    let planned = approval.planned.iter().chain(approval.peer.iter().flat_map(|peer| &peer.effects));
    common::Approval {
        causes: approval.causes.iter().map(|cause| cause.code().into()).collect(),
        request_time: Some(time(approval.asked_at)),
        expire_time: Some(time(approval.expires_at)),
        planned_effects: planned.map(wire::effect).collect(),
        refund_reference: approval.refund_reference.clone(),
        decider: ruling.map_or_else(String::new, |ruled| ruled.actor.clone()),
        decide_time: ruling.map(|ruled| time(ruled.at)),
        note: ruling.map_or_else(String::new, |ruled| ruled.note.clone()),
        won_opportunity_policy: approval.won_policy.map_or(0, |policy| policy.code().into()),
    }
}

/// A reason of a catalogue, its label in a language.
pub fn reason(listed: &Listed, locale: &str) -> common::CloseOutReason {
    let reason = &listed.reason;
    let mut labels = reason.labels.clone();
    labels.extend([("zh".to_owned(), reason.zh.to_string()), ("en".to_owned(), reason.en.to_string())]);
    common::CloseOutReason {
        name: reason.name(),
        version: reason.version,
        scope: reason.scope.code().into(),
        category: reason.category.to_string(),
        label: reason.label(locale).to_owned(),
        labels,
        outcome_class: reason.class.map_or(0, |class| class.code().into()),
        min_detail_length: reason.min_detail as i32,
        needs_competitor: reason.needs_competitor,
        win_back_days: reason.win_back_days,
        active: listed.active,
        historical_only: reason.historical_only,
        etag: refusal::etag(listed.revision),
        position: listed.position,
        lane: listed.lane.map_or_else(String::new, |id| Record::new(RecordKind::Reason, id).to_string()),
        verification: reason.verification.map_or(0, |rule| rule.code().into()),
        verification_days: reason.verification_days,
        merged_into: listed.merged_into.as_deref().map_or_else(String::new, reason::name),
    }
}
