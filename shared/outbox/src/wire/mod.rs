//! The contract between the services in protobuf: facts to messages and back, effects, outcomes. Both services send and read
//! them here and nowhere else. What comes from the peer is checked as if it came from a stranger.

mod copied;

use crate::{plan, tables::OutboxRow};
pub use copied::{money, settings};
use copied::{rate_fact, reason_fact, settings_fact, told_money, told_rate, told_reason, told_settings};
use crm_closeout::{
    codes::{Code, Record, RecordKind, Side},
    episode::{Effect, EffectKind, Outcome, OutcomeClass},
    fact::{Applied, ClosedFact, Event, Fact, Outgoing, PeerOutcome, WonPolicy},
    ids::{CloseOutId, CustomerId, GroupId, TenantId},
    plan::Planned,
    time::Time,
};
use crm_proto::{
    common,
    peer::{self, MessageOutcomeKind},
};
use prost::Message as _;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Effects listed in one outcome; the rest is counted.
pub const MAX_EFFECTS: usize = 100;
/// Effects listed of one side's part of a plan; the rest is counted.
pub const MAX_PLANNED: usize = 1_000;

/// SHA-256 of some bytes.
pub fn hash(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

/// Why a message can not be applied. Nothing was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reject {
    /// A kind of event or lane of a newer version.
    UnknownKind(String),
    /// Not decodable, or something required is missing.
    Malformed(String),
    /// The number was used for another message.
    SequenceReused(String),
    /// The receiver's own fault.
    Internal(String),
}

/// A message as it came in, its payload decoded if it can be.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Whose.
    pub tenant_id: TenantId,
    /// The lane.
    pub record: Record,
    /// Place in the lane.
    pub number: i64,
    /// Id of the message.
    pub message_id: Uuid,
    /// SHA-256 of the payload.
    pub hash: Vec<u8>,
    /// The trace parent of what it causes; empty: none.
    pub trace_parent: String,
    /// What happened; none: an operator of the sender has withdrawn the message, and only its number counts.
    pub fact: Option<Fact>,
    /// It is only asked what the message would do.
    pub rehearsal: bool,
}

impl Incoming {
    /// It tells the whole state of its record.
    pub fn is_snapshot(&self) -> bool {
        self.fact.as_ref().is_some_and(|fact| fact.event == Event::Snapshot)
    }
}

/// What became of an incoming message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Applied now.
    Applied(Applied),
    /// Applied before, with this result.
    Duplicate(Applied),
    /// Too early: this number has to come first.
    Gap(i64),
    /// Not applied.
    Rejected(Reject),
}

/// Encodes a fact as the payload of a message.
pub fn encode(fact: &Fact) -> Vec<u8> {
    let subject = peer::Subject {
        customer_id: fact.customer_id.map_or_else(Vec::new, |id| bytes(id.0)),
        customer_name: fact.customer_name.clone(),
        parent_id: fact.parent.map_or_else(Vec::new, bytes),
        state: fact.state.code().into(),
        epoch: fact.epoch,
        owner: fact.owner.clone(),
    };
    let close_out = fact.close_out.as_ref().map(|close_out| peer::CloseOutFact {
        close_out_id: bytes(close_out.close_out_id.0),
        cause_id: close_out.cause.map_or_else(Vec::new, |id| bytes(id.0)),
        hop: close_out.hop,
        outcome: close_out.outcome.code().into(),
        reason_code: close_out.reason_code.clone(),
        reason_version: close_out.reason_version,
        outcome_class: close_out.class.map_or(0, |class| class.code().into()),
        detail: close_out.detail.clone(),
        closed_at_us: close_out.closed_at.0,
        historical: close_out.historical,
        won_policy: close_out.won_policy.map_or(0, |policy| policy.code().into()),
        planned: close_out.planned.as_ref().map(|planned| peer::PlannedPart {
            effects: listed(&planned.effects, MAX_EFFECTS),
            hash: planned.hash.clone(),
        }),
        group_id: close_out.group_id.map_or_else(Vec::new, |id| bytes(id.0)),
        amount: close_out.amount.map(money),
        win_back_at_us: close_out.win_back_at.map_or(0, |at| at.0),
    });
    let message = peer::Message {
        event: fact.event.code().into(),
        subject: Some(subject),
        actor: fact.actor.clone(),
        time_us: fact.at.0,
        close_out,
        reason: fact.reason.as_deref().map(reason_fact),
        settings: fact.settings.as_deref().map(settings_fact),
        exchange_rate: fact.rate.as_deref().map(rate_fact),
    };
    message.encode_to_vec()
}

/// The payload of a message that an operator has withdrawn.
pub fn tombstone(actor: &str, at: Time) -> Vec<u8> {
    let event = peer::EventKind::Skipped.into();
    peer::Message { event, actor: actor.to_owned(), time_us: at.0, ..peer::Message::default() }.encode_to_vec()
}

/// What a payload tells, in a word of the contract; none if it can not be read.
pub fn event_word(payload: &[u8]) -> Option<&'static str> {
    let message = peer::Message::decode(payload).ok()?;
    let kind = peer::EventKind::try_from(message.event).ok()?;
    kind.as_str_name().strip_prefix("EVENT_KIND_")
}

/// A message that is not sent, for a rehearsal.
pub fn unsent(tenant: TenantId, outgoing: &Outgoing) -> peer::Envelope {
    peer::Envelope {
        tenant_id: bytes(tenant.0),
        kind: outgoing.lane.kind.code().into(),
        id: bytes(outgoing.lane.id),
        number: outgoing.number,
        message_id: bytes(outgoing.message_id),
        payload: encode(&outgoing.fact),
        trace_parent: String::new(),
    }
}

/// A message of the outbox on its way.
pub fn envelope(row: &OutboxRow) -> peer::Envelope {
    peer::Envelope {
        tenant_id: bytes(row.tenant_id.0),
        kind: row.record.kind.code().into(),
        id: bytes(row.record.id),
        number: row.number,
        message_id: bytes(row.message_id),
        payload: row.payload.clone(),
        trace_parent: row.trace_parent.clone(),
    }
}

/// Reads an envelope and the fact in it.
pub fn decode(envelope: &peer::Envelope) -> Result<Incoming, Reject> {
    let kind = RecordKind::from_code(envelope.kind).map_err(|e| Reject::UnknownKind(e.to_string()))?;
    if envelope.number < 1 {
        return Err(Reject::Malformed(format!("number {} is below 1", envelope.number)));
    }
    let message = peer::Message::decode(&*envelope.payload).map_err(|e| Reject::Malformed(e.to_string()))?;
    let skipped = message.event == i32::from(peer::EventKind::Skipped);
    Ok(Incoming {
        tenant_id: TenantId(uuid("tenant_id", &envelope.tenant_id)?),
        record: Record::new(kind, uuid("id", &envelope.id)?),
        number: envelope.number,
        message_id: uuid("message_id", &envelope.message_id)?,
        hash: hash(&envelope.payload),
        trace_parent: envelope.trace_parent.clone(),
        fact: if skipped { None } else { Some(fact(Record::new(kind, uuid("id", &envelope.id)?), message)?) },
        rehearsal: false,
    })
}

fn fact(record: Record, message: peer::Message) -> Result<Fact, Reject> {
    let event = Event::from_code(message.event).map_err(|e| Reject::UnknownKind(e.to_string()))?;
    let subject = message.subject.ok_or_else(|| Reject::Malformed("subject is missing".into()))?;
    let close_out = message.close_out.map(closed_fact).transpose()?;
    if matches!(event, Event::Closed | Event::Amended) && close_out.is_none() {
        return Err(Reject::Malformed(format!("close_out is missing in {}", event.word())));
    }
    let reason = message.reason.map(|told| told_reason(record.id, told).map(Box::new)).transpose()?;
    if record.kind == RecordKind::Reason && reason.is_none() {
        return Err(Reject::Malformed("reason is missing in the lane of one".into()));
    }
    let settings = message.settings.map(|fact| told_settings(fact).map(Box::new)).transpose()?;
    if record.kind == RecordKind::Settings && settings.is_none() {
        return Err(Reject::Malformed("settings are missing in their lane".into()));
    }
    let rate = message.exchange_rate.map(|told| told_rate(record.id, &told).map(Box::new)).transpose()?;
    if record.kind == RecordKind::ExchangeRate && rate.is_none() {
        return Err(Reject::Malformed("the rate is missing in its lane".into()));
    }
    Ok(Fact {
        event,
        customer_id: optional_uuid("customer_id", &subject.customer_id)?.map(CustomerId),
        customer_name: subject.customer_name,
        parent: optional_uuid("parent_id", &subject.parent_id)?,
        state: known(subject.state)?,
        epoch: subject.epoch,
        owner: subject.owner,
        actor: message.actor,
        at: Time(message.time_us),
        close_out,
        reason,
        settings,
        rate,
    })
}

fn closed_fact(fact: peer::CloseOutFact) -> Result<ClosedFact, Reject> {
    Ok(ClosedFact {
        close_out_id: CloseOutId(uuid("close_out_id", &fact.close_out_id)?),
        cause: optional_uuid("cause_id", &fact.cause_id)?.map(CloseOutId),
        hop: fact.hop,
        outcome: known::<Outcome>(fact.outcome)?,
        reason_code: fact.reason_code,
        reason_version: fact.reason_version,
        class: optional::<OutcomeClass>(fact.outcome_class)?,
        detail: fact.detail,
        closed_at: Time(fact.closed_at_us),
        historical: fact.historical,
        won_policy: optional::<WonPolicy>(fact.won_policy)?,
        planned: fact.planned.map(planned_back),
        group_id: optional_uuid("group_id", &fact.group_id)?.map(GroupId),
        amount: fact.amount.as_ref().map(told_money).transpose()?,
        win_back_at: (fact.win_back_at_us != 0).then_some(Time(fact.win_back_at_us)),
    })
}

fn planned_back(planned: peer::PlannedPart) -> Planned {
    Planned { effects: planned.effects.into_iter().filter_map(effect_back).collect(), hash: planned.hash }
}

fn known<C: Code>(code: i32) -> Result<C, Reject> {
    C::from_code(code).map_err(|e| Reject::UnknownKind(e.to_string()))
}

fn optional<C: Code>(code: i32) -> Result<Option<C>, Reject> {
    if code == 0 { Ok(None) } else { known(code).map(Some) }
}

fn bytes(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

fn uuid(field: &str, bytes: &[u8]) -> Result<Uuid, Reject> {
    Uuid::from_slice(bytes).map_err(|_| Reject::Malformed(format!("{field} has {} bytes instead of 16", bytes.len())))
}

fn optional_uuid(field: &str, bytes: &[u8]) -> Result<Option<Uuid>, Reject> {
    if bytes.is_empty() { Ok(None) } else { uuid(field, bytes).map(Some) }
}

/// An effect for the wire.
pub fn effect(effect: &Effect) -> common::Effect {
    common::Effect {
        side: effect.side.code().into(),
        kind: effect.kind.code().into(),
        resource: effect.resource.clone(),
        field: effect.field.clone(),
        before: effect.before.clone(),
        after: effect.after.clone(),
    }
}

/// An effect from the wire; none: of a kind this version does not know.
pub fn effect_back(effect: common::Effect) -> Option<Effect> {
    Some(Effect {
        side: Side::from_code(effect.side).ok()?,
        kind: EffectKind::from_code(effect.kind).ok()?,
        resource: effect.resource,
        field: effect.field,
        before: effect.before,
        after: effect.after,
    })
}

/// What became of a message, for the wire.
pub fn outcome(received: Received) -> peer::MessageOutcome {
    let with = |kind: MessageOutcomeKind, fault: String| peer::MessageOutcome {
        kind: kind.into(),
        fault,
        ..peer::MessageOutcome::default()
    };
    match received {
        Received::Applied(applied) => peer::MessageOutcome {
            effects: listed(&applied.effects, MAX_EFFECTS),
            ..with(kind(applied.outcome), String::new())
        },
        Received::Duplicate(applied) => peer::MessageOutcome {
            effects: listed(&applied.effects, MAX_EFFECTS),
            first_kind: kind(applied.outcome).into(),
            ..with(MessageOutcomeKind::Duplicate, String::new())
        },
        Received::Gap(expected) => peer::MessageOutcome { expected, ..with(MessageOutcomeKind::Gap, String::new()) },
        Received::Rejected(Reject::UnknownKind(fault)) => with(MessageOutcomeKind::RejectedUnknownKind, fault),
        Received::Rejected(Reject::Malformed(fault)) => with(MessageOutcomeKind::RejectedMalformed, fault),
        Received::Rejected(Reject::SequenceReused(fault)) => with(MessageOutcomeKind::RejectedSequenceReused, fault),
        Received::Rejected(Reject::Internal(fault)) => with(MessageOutcomeKind::RejectedInternal, fault),
    }
}

/// What a message would do, for the wire.
pub fn rehearsed(received: Received) -> peer::RehearseResponse {
    match received {
        Received::Applied(planned) => peer::RehearseResponse {
            outcome: kind(planned.outcome).into(),
            hash: plan::of_applied(&planned),
            effects: listed(&planned.effects, MAX_PLANNED),
            fault: String::new(),
        },
        other @ (Received::Duplicate(_) | Received::Gap(_) | Received::Rejected(_)) => {
            let peer::MessageOutcome { kind, fault, .. } = outcome(other);
            peer::RehearseResponse { outcome: kind, fault, ..peer::RehearseResponse::default() }
        }
    }
}

/// What the peer said a message would do; the error is why it does not say.
pub fn rehearsed_back(response: peer::RehearseResponse) -> Result<(PeerOutcome, Planned), String> {
    let outcome = MessageOutcomeKind::try_from(response.outcome).ok().and_then(applied).ok_or(response.fault)?;
    if response.hash.len() != plan::HASH {
        return Err(format!("a hash of {} bytes instead of {}", response.hash.len(), plan::HASH));
    }
    let effects = response.effects.into_iter().filter_map(effect_back).collect();
    Ok((outcome, Planned { effects, hash: response.hash }))
}

/// At most so many effects for the wire, and a count of the rest.
pub fn listed(effects: &[Effect], most: usize) -> Vec<common::Effect> {
    // The rest may have been counted before.
    let (effects, counted) = match effects.split_last() {
        Some((last, before)) if last.kind == EffectKind::More => (before, last.after.parse().unwrap_or(0)),
        Some(_) | None => (effects, 0),
    };
    let mut listed: Vec<_> = effects.iter().take(most).map(effect).collect();
    if let (Some(first), rest @ 1..) = (effects.first(), effects.len().saturating_sub(most) + counted) {
        let more = Effect::new(first.side, EffectKind::More, "", "", &rest.to_string());
        listed.push(effect(&more));
    }
    listed
}

const fn kind(outcome: PeerOutcome) -> MessageOutcomeKind {
    match outcome {
        PeerOutcome::Applied => MessageOutcomeKind::Applied,
        PeerOutcome::NoopAlreadyClosed => MessageOutcomeKind::NoopAlreadyClosed,
        PeerOutcome::SkippedModified => MessageOutcomeKind::SkippedModified,
        PeerOutcome::NeedsReview => MessageOutcomeKind::NeedsReview,
    }
}

/// What the peer said of a message.
pub fn received(outcome: peer::MessageOutcome) -> Received {
    let effects = outcome.effects.into_iter().filter_map(effect_back).collect();
    let fault = outcome.fault;
    let first = MessageOutcomeKind::try_from(outcome.first_kind).ok().and_then(applied);
    match MessageOutcomeKind::try_from(outcome.kind) {
        Ok(MessageOutcomeKind::Duplicate) => {
            Received::Duplicate(Applied { outcome: first.unwrap_or(PeerOutcome::Applied), effects })
        }
        Ok(MessageOutcomeKind::Gap) => Received::Gap(outcome.expected),
        Ok(MessageOutcomeKind::RejectedUnknownKind) => Received::Rejected(Reject::UnknownKind(fault)),
        Ok(MessageOutcomeKind::RejectedMalformed) => Received::Rejected(Reject::Malformed(fault)),
        Ok(MessageOutcomeKind::RejectedSequenceReused) => Received::Rejected(Reject::SequenceReused(fault)),
        Ok(MessageOutcomeKind::RejectedInternal) => Received::Rejected(Reject::Internal(fault)),
        Ok(kind) => match applied(kind) {
            Some(outcome) => Received::Applied(Applied { outcome, effects }),
            None => Received::Rejected(Reject::Internal("the peer sent no outcome".into())),
        },
        Err(_) => Received::Rejected(Reject::Internal(format!("the peer sent the unknown outcome {}", outcome.kind))),
    }
}

const fn applied(kind: MessageOutcomeKind) -> Option<PeerOutcome> {
    match kind {
        MessageOutcomeKind::Applied => Some(PeerOutcome::Applied),
        MessageOutcomeKind::NoopAlreadyClosed => Some(PeerOutcome::NoopAlreadyClosed),
        MessageOutcomeKind::SkippedModified => Some(PeerOutcome::SkippedModified),
        MessageOutcomeKind::NeedsReview => Some(PeerOutcome::NeedsReview),
        MessageOutcomeKind::Unspecified
        | MessageOutcomeKind::Duplicate
        | MessageOutcomeKind::Gap
        | MessageOutcomeKind::RejectedUnknownKind
        | MessageOutcomeKind::RejectedMalformed
        | MessageOutcomeKind::RejectedSequenceReused
        | MessageOutcomeKind::RejectedInternal => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_closeout::{
        exchange,
        fact::MirrorState,
        money::{Currency, Money},
        reason::{self, Listed},
    };

    fn closed() -> Fact {
        Fact {
            event: Event::Closed,
            customer_id: Some(CustomerId(Uuid::from_u128(1))),
            customer_name: "海康".into(),
            parent: None,
            state: MirrorState::Closed,
            epoch: 2,
            owner: "ann".into(),
            actor: "bob".into(),
            at: Time(5),
            close_out: Some(ClosedFact {
                close_out_id: CloseOutId(Uuid::from_u128(2)),
                cause: Some(CloseOutId(Uuid::from_u128(3))),
                hop: 1,
                outcome: Outcome::Lost,
                reason_code: "OTHER".into(),
                reason_version: 1,
                class: Some(OutcomeClass::NoDecision),
                detail: "no answer".into(),
                closed_at: Time(4),
                historical: true,
                won_policy: Some(WonPolicy::Ask),
                planned: Some(Planned {
                    effects: vec![Effect::new(Side::Order, EffectKind::TaskCancelled, "tasks/1", "OPEN", "CANCELLED")],
                    hash: vec![7; plan::HASH],
                }),
                group_id: Some(GroupId(Uuid::from_u128(4))),
                amount: Some(Money { minor: 125, currency: Currency::parse("CNY").unwrap() }),
                win_back_at: Some(Time(6)),
            }),
            reason: None,
            settings: None,
            rate: None,
        }
    }

    fn envelope(payload: Vec<u8>) -> peer::Envelope {
        let (tenant_id, id, message_id) = (vec![1; 16], vec![2; 16], vec![3; 16]);
        peer::Envelope { tenant_id, kind: 2, id, number: 1, message_id, payload, ..Default::default() }
    }

    #[test]
    fn a_fact_arrives_as_it_was_sent() {
        assert_eq!(decode(&envelope(encode(&closed()))).unwrap().fact, Some(closed()));
    }

    #[test]
    fn two_copies_of_a_message_may_be_in_different_traces() {
        let first = envelope(encode(&closed()));
        let second = peer::Envelope { trace_parent: "another".into(), ..first.clone() };
        assert_eq!(decode(&first).unwrap().hash, decode(&second).unwrap().hash);
    }

    #[test]
    fn a_reason_arrives_as_it_was_sent_and_its_lane_tells_nothing_else() {
        let mut told = Fact { event: Event::Changed, close_out: None, ..closed() };
        let envelope = |fact: &Fact| peer::Envelope { kind: 4, ..envelope(encode(fact)) };
        assert!(matches!(decode(&envelope(&told)), Err(Reject::Malformed(_))));
        let lane = Some(Uuid::from_bytes([2; 16]));
        told.reason = Some(Box::new(Listed { lane, active: false, revision: 3, ..reason::BUILT_IN[1].clone() }));
        assert_eq!(decode(&envelope(&told)).unwrap().fact, Some(told));
    }

    #[test]
    fn a_rate_arrives_as_it_was_sent_in_the_lane_of_what_it_is_about_alone() {
        let [to, currency] = ["CNY", "USD"].map(|code| crm_closeout::money::Currency::parse(code).unwrap());
        let key = exchange::Key { to, currency, effective_at: Time(-5) };
        let envelope = |fact: &Fact, id: Uuid| peer::Envelope { kind: 6, id: bytes(id), ..envelope(encode(fact)) };
        for rate in [exchange::Rate::parse("7.1234"), None] {
            let told = exchange::Told { key, rate, revision: 2 };
            let told = Fact { event: Event::Changed, close_out: None, rate: Some(Box::new(told)), ..closed() };
            assert_eq!(decode(&envelope(&told, key.id())).unwrap().fact, Some(told.clone()));
            let other = exchange::Key { effective_at: Time(-4), ..key };
            assert!(matches!(decode(&envelope(&told, other.id())), Err(Reject::Malformed(_))));
        }
        let nothing = Fact { event: Event::Changed, close_out: None, ..closed() };
        assert!(matches!(decode(&envelope(&nothing, key.id())), Err(Reject::Malformed(_))));
    }

    #[test]
    fn a_withdrawn_message_has_only_its_number() {
        let payload = tombstone("ann", Time(5));
        assert_eq!(event_word(&payload), Some("SKIPPED"));
        assert_eq!(decode(&envelope(payload)).unwrap().fact, None);
    }

    #[test]
    fn what_is_not_understood_is_told_apart_from_what_is_broken() {
        let rejected = |envelope: peer::Envelope| decode(&envelope).unwrap_err();
        assert!(matches!(rejected(envelope(vec![0xff])), Reject::Malformed(_)));
        assert!(matches!(rejected(envelope(Vec::new())), Reject::UnknownKind(_)));
        let good = envelope(encode(&closed()));
        assert!(matches!(rejected(peer::Envelope { kind: 99, ..good.clone() }), Reject::UnknownKind(_)));
        assert!(matches!(rejected(peer::Envelope { id: vec![1], ..good.clone() }), Reject::Malformed(_)));
        assert!(matches!(rejected(peer::Envelope { number: 0, ..good }), Reject::Malformed(_)));
    }

    #[test]
    fn long_lists_of_effects_are_cut_and_counted() {
        let effect = Effect::new(Side::Order, EffectKind::TaskCancelled, "tasks/1", "OPEN", "CANCELLED");
        let applied = Applied { outcome: PeerOutcome::Applied, effects: vec![effect; 130] };
        let outcome = outcome(Received::Applied(applied));
        assert_eq!((outcome.effects.len(), outcome.effects[100].after.as_str()), (101, "30"));
        let told: Vec<_> = outcome.effects.into_iter().filter_map(effect_back).collect();
        let again = listed(&told, 10);
        assert_eq!((again.len(), again[10].after.as_str()), (11, "120"));
    }
}
