//! Decides the items of one batch, one after the other, on the rows that were loaded: a copy of a call gets the answer it got
//! before, a message is applied in its turn and once, a refusal leaves no trace. Touches no database.

use crate::{
    batch::{Call, Decided, Domain, Done, Item, Verdict},
    metrics, operator,
    plan::{self, Previewed},
    settle::MessageKey,
    tables::OutboxRow,
    wire::{Incoming, Received, Reject},
};
use crm_closeout::{
    access::Access,
    codes::Record,
    episode::CloseOut,
    fact::{Applied, Fact, PeerOutcome},
    ids::TenantId,
    records::{AnswerKey, Answered, Lane, Received as ReceivedRow},
    refusal::Refusal,
    seeded_bug,
    working_set::{Cause, Common, Keyed as _, Rows},
};
use prost::Message as _;
use std::collections::BTreeSet;

/// The rows of a batch that no rule of a service needs.
pub(crate) struct Books {
    /// Answers by request id.
    pub(crate) answered: Rows<Answered>,
    /// Messages that operators name.
    pub(crate) parked: Rows<OutboxRow>,
}

/// Keys of the messages that operators name.
pub(crate) fn parked_keys<C>(items: &[Item<C>]) -> Vec<MessageKey> {
    operator::keys(items.iter().filter_map(|item| match item {
        Item::Release(call) => Some((call.cause.tenant_id, &call.command)),
        Item::Call(_) | Item::Message(_) => None,
    }))
}

/// Messages of the batch that may have been applied before.
pub(crate) fn copies<C>(common: &Common, items: &[Item<C>]) -> Vec<(TenantId, Record, i64)> {
    let seen = |item: &Item<C>| match item {
        Item::Call(_) | Item::Release(_) => None,
        Item::Message(message) if message.rehearsal => None,
        Item::Message(message) => {
            let lane = common.lanes.get(&(message.tenant_id, message.record))?;
            (message.number <= lane.last_number).then_some((message.tenant_id, message.record, message.number))
        }
    };
    items.iter().filter_map(seen).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Keys of the answers that calls of the batch may have got before.
pub(crate) fn answer_keys<C>(items: &[Item<C>]) -> Vec<AnswerKey> {
    let key = |item: &Item<C>| match item {
        Item::Call(call) => Some(call.key()),
        Item::Release(call) => Some(call.key()),
        Item::Message(_) => None,
    };
    items.iter().filter_map(key).collect()
}

impl<C> Call<C> {
    fn key(&self) -> AnswerKey {
        (self.cause.tenant_id, self.cause.actor.clone(), self.cause.method.to_owned(), self.request_id)
    }
}

/// Decides one item.
pub(crate) fn judge<D: Domain>(world: &mut D::World, books: &mut Books, item: &Item<D::Command>) -> Verdict {
    D::begin(world);
    let Books { answered, parked } = books;
    parked.begin();
    match item {
        Item::Call(call) => {
            judge_call::<D, _>(world, answered, call, |world| D::decide(world, &call.cause, &call.command))
        }
        Item::Release(call) => judge_call::<D, _>(world, answered, call, |world| {
            let row = operator::release(parked, D::common(world), &call.cause, &call.command)?;
            metrics::intervened(call.cause.method);
            Ok(Decided { reply: operator::shown(&row).encode_to_vec(), ..Decided::default() })
        }),
        Item::Message(message) => Verdict::Message(judge_message::<D>(world, message)),
    }
}

fn judge_call<D: Domain, C>(
    world: &mut D::World,
    answered: &mut Rows<Answered>,
    call: &Call<C>,
    decide: impl FnOnce(&mut D::World) -> Result<Decided, Refusal>,
) -> Verdict {
    if let Some(before) = answered.get(&call.key()) {
        if before.fingerprint != call.fingerprint {
            return Verdict::KeyReused;
        }
        return Verdict::Done(Box::new(Done {
            reply: before.reply.clone(),
            close_out: None,
            close_out_id: before.close_out_id,
            message: before.lane.zip(before.number).map(|(lane, number)| (before.tenant_id, lane, number)),
            repeated: true,
            preview: None,
        }));
    }
    let (decided, close_out) = match decide(world).and_then(|decided| keep::<D, C>(world, call, decided)) {
        Ok(decided) => decided,
        Err(refusal) => {
            D::rollback(world);
            return Verdict::Refused(refusal);
        }
    };
    let common = D::common(world);
    if let Some(preview) = decided.preview {
        let own = close_out.as_ref().map(|close_out| plan::own(common, close_out));
        let message = common.outgoing.recent().first().map(|(_, outgoing)| outgoing.clone());
        D::rollback(world);
        return Verdict::Done(Box::new(Done {
            reply: decided.reply,
            close_out,
            close_out_id: decided.close_out_id,
            message: None,
            repeated: false,
            preview: Some(Box::new(Previewed { preview: *preview, own, message })),
        }));
    }
    let message = common.outgoing.recent().first().map(|(tenant, outgoing)| (*tenant, outgoing.lane, outgoing.number));
    let now = common.now;
    if call.validate_only {
        D::rollback(world);
    } else {
        answered.insert(Answered {
            tenant_id: call.cause.tenant_id,
            principal: call.cause.actor.clone(),
            method: call.cause.method.to_owned(),
            request_id: call.request_id,
            fingerprint: call.fingerprint.clone(),
            reply: decided.reply.clone(),
            close_out_id: decided.close_out_id,
            lane: message.map(|(_, lane, _)| lane),
            number: message.map(|(_, _, number)| number),
            answered_at: now,
        });
    }
    let message = if call.validate_only { None } else { message };
    Verdict::Done(Box::new(Done {
        reply: decided.reply,
        close_out,
        close_out_id: decided.close_out_id,
        message,
        repeated: false,
        preview: None,
    }))
}

/// The close-out that was decided on, if it comes to what its caller has confirmed.
fn keep<D: Domain, C>(
    world: &mut D::World,
    call: &Call<C>,
    decided: Decided,
) -> Result<(Decided, Option<CloseOut>), Refusal> {
    let common = D::common(world);
    let mut close_out = decided.close_out_id.and_then(|id| common.close_outs.get(&(call.cause.tenant_id, id)).cloned());
    if let (Some(confirmed), Some(close_out)) = (&call.confirmed, &mut close_out) {
        plan::keep(common, close_out, confirmed)?;
    }
    Ok((decided, close_out))
}

fn judge_message<D: Domain>(world: &mut D::World, message: &Incoming) -> Received {
    if message.rehearsal {
        return rehearse::<D>(world, message);
    }
    let common = D::common(world);
    let key = (message.tenant_id, message.record);
    let last = common.lanes.get(&key).map_or(0, |lane| lane.last_number);
    if message.number <= last && !seeded_bug!("dedupe-off", 1) {
        return copy(common, message, last);
    }
    if message.number > last + 1 && !message.is_snapshot() {
        return Received::Gap(last + 1);
    }
    let Some(lane) = common.lanes.edit(&key) else {
        return Received::Rejected(Reject::Internal("the lane was not loaded".into()));
    };
    let before = lane.clone();
    lane.last_number = message.number;
    let applied = match &message.fact {
        Some(fact) => {
            let mut applied = apply::<D>(world, message, fact, &before);
            let closed = fact.close_out.as_ref();
            if let Some((closed, planned)) = closed.and_then(|closed| Some((closed, closed.planned.as_ref()?))) {
                let common = D::common(world);
                plan::compare(common, message.tenant_id, planned, closed.closed_at, &mut applied);
            }
            applied
        }
        // What it told was not done here: a person has to look.
        None => Applied { outcome: PeerOutcome::NeedsReview, effects: Vec::new() },
    };
    if seeded_bug!("dedupe-off", 1) && message.number <= last {
        return Received::Applied(applied);
    }
    let common = D::common(world);
    let received_at = common.now;
    common.received.insert(ReceivedRow {
        tenant_id: message.tenant_id,
        record: message.record,
        number: message.number,
        message_id: message.message_id,
        hash: message.hash.clone(),
        outcome: applied.outcome,
        effects: applied.effects.clone(),
        received_at,
    });
    Received::Applied(applied)
}

/// Takes over what a fact says of its record, and does what it means here.
fn apply<D: Domain>(world: &mut D::World, message: &Incoming, fact: &Fact, before: &Lane) -> Applied {
    let (common, key) = (D::common(world), before.key());
    if !seeded_bug!("mirror-not-updated", 5)
        && let Some(lane) = common.lanes.edit(&key)
    {
        lane.reflect(fact);
        common.lanes.has_moved(&key);
    }
    let cause = Cause {
        tenant_id: message.tenant_id,
        actor: fact.actor.clone(),
        access: Access::EVERYTHING,
        method: "Apply",
        request_id: None,
        message_id: Some(message.message_id),
    };
    D::apply(world, &cause, before, fact)
}

/// Says what a message would do, in the words of a plan, and undoes it. What comes before it has to be here: it may change what that is.
fn rehearse<D: Domain>(world: &mut D::World, message: &Incoming) -> Received {
    let Some(fact) = &message.fact else {
        return Received::Rejected(Reject::Malformed("there is nothing to be rehearsed".into()));
    };
    let common = D::common(world);
    let key = (message.tenant_id, message.record);
    if common.lanes.get(&key).is_none() {
        common.lanes.insert(Lane::unknown(message.tenant_id, message.record));
    }
    let Some(before) = common.lanes.get(&key).cloned() else {
        return Received::Rejected(Reject::Internal("the lane was not loaded".into()));
    };
    if message.number > before.last_number + 1 {
        D::rollback(world);
        return Received::Gap(before.last_number + 1);
    }
    let Applied { outcome, effects } = apply::<D>(world, message, fact, &before);
    let closed_at = fact.close_out.as_ref().map_or(fact.at, |closed| closed.closed_at);
    let effects = D::common(world).planned(message.tenant_id, &effects, closed_at);
    D::rollback(world);
    Received::Applied(Applied { outcome, effects })
}

/// The answer to a message whose number was applied before, here the numbers up to `last`.
fn copy(common: &Common, message: &Incoming, last: i64) -> Received {
    match common.received.get(&(message.tenant_id, message.record, message.number)) {
        // One that was withdrawn after it had arrived is the same message with another content.
        Some(first)
            if first.message_id == message.message_id && (first.hash == message.hash || message.fact.is_none()) =>
        {
            Received::Duplicate(Applied { outcome: first.outcome, effects: first.effects.clone() })
        }
        None if !message.is_snapshot() => {
            // The whole state that came later has taken its place.
            Received::Duplicate(Applied { outcome: PeerOutcome::NoopAlreadyClosed, effects: Vec::new() })
        }
        Some(_) | None => Received::Rejected(Reject::SequenceReused(format!(
            "number {} of {} is taken by another message; this lane stands at {last}",
            message.number, message.record
        ))),
    }
}
