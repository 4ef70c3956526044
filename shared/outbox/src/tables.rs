//! The tables that both services have, bound to the kernel's records, and the outbox.

use crate::{
    cell::{Cells, Column, JsonText, Part},
    db::{Error, Row},
    part_code, part_json, table,
};
use crm_closeout::{
    amend::Amendment,
    approval::Approval,
    codes::{Code, Record, RecordKind, Side},
    episode::{
        CloseOut, CloseOutState, Delivery, Effect, EffectKind, Outcome, OutcomeClass, Propagation, Reversal, Snapshot,
    },
    exchange::{Exchange, Rate},
    fact::{MirrorState, PeerOutcome},
    ids::{CloseOutId, CompetitorId, CustomerId, GroupId, TaskId, TenantId},
    money::{Currency, Money, Sums},
    pipeline::{self, StageName},
    records::{Answered, AuditEntry, Lane, Received, TimelineEntry},
    remarks::Remarks,
    task::{Task, TaskKind, TaskState},
    time::Time,
    working_set::Keyed,
};
use serde_json::{Value, json};
use std::{borrow::Cow, collections::BTreeMap};
use uuid::Uuid;

part_code!(
    RecordKind,
    TaskKind,
    TaskState,
    Outcome,
    OutcomeClass,
    CloseOutState,
    Propagation,
    MirrorState,
    PeerOutcome,
);
part_json!(Reversal, Sums<3>, Sums<4>);

/// A message that the other side has not confirmed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// Whose.
    pub tenant_id: TenantId,
    /// The lane.
    pub record: Record,
    /// Place in the lane.
    pub number: i64,
    /// Id of the message.
    pub message_id: Uuid,
    /// The encoded message.
    pub payload: Vec<u8>,
    /// The close-out whose delivery it is.
    pub close_out_id: Option<CloseOutId>,
    /// That of its reversal.
    pub reversal: bool,
    /// When it was written.
    pub created_at: Time,
    /// Until then one process holds it.
    pub lease_until: Time,
    /// Times it was claimed from the table.
    pub attempts: i64,
    /// Refused; an operator has to look.
    pub parked: bool,
    /// Why, or what was the matter the last time.
    pub fault: String,
    /// Times in a row that a call with it broke off, the first two counted once.
    pub losses: i64,
    /// Times that the receiver said it is at fault itself.
    pub refusals: i64,
    /// Number before it that has to arrive first, while no process holds it; 0: it is due, or held.
    pub waits_for: i64,
    /// Number that the receiver wanted instead when it was sent last; 0: none.
    pub gap_at: i64,
    /// Since when it is this number.
    pub gap_since: Time,
    /// The trace parent of what caused it; empty: none.
    pub trace_parent: String,
}

impl Keyed for OutboxRow {
    type Key = (TenantId, Record, i64);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.record, self.number)
    }
}

table!(OutboxRow = "outbox", key |key| [tenant_id: TenantId = key.0, record: Record = key.1, number: i64 = key.2], {
    tenant_id: TenantId, record: Record, number: i64, message_id: Uuid, payload: Vec<u8>, close_out_id: Option<CloseOutId>,
    reversal: bool, created_at: Time, lease_until: Time, attempts: i64, parked: bool, fault: String,
    losses: i64, refusals: i64, waits_for: i64, gap_at: i64, gap_since: Time, trace_parent: String,
});

table!(Received = "inbox", key |key| [tenant_id: TenantId = key.0, record: Record = key.1, number: i64 = key.2], {
    tenant_id: TenantId, record: Record, number: i64, message_id: Uuid, hash: Vec<u8>, outcome: PeerOutcome,
    effects: Vec<Effect>, received_at: Time,
});

table!(Lane = "lane", key |key| [tenant_id: TenantId = key.0, record: Record = key.1], indexed ["customer_id", "parent_id", "loss_at", "success_at"], {
    tenant_id: TenantId, record: Record, last_number: i64, customer_id: Option<CustomerId>, parent_id: Option<Uuid>,
    state: Option<MirrorState>, epoch: i64, owner: String, close_out_id: Option<CloseOutId>, closed_at: Option<Time>,
    outcome: Option<Outcome>, class: Option<OutcomeClass>, loss_at: Option<Time>, success_at: Option<Time>,
    cause: Option<CloseOutId>, reason_code: Option<String>, lost: Option<Money>,
});

table!(
    Answered = "idempotency",
    key |key| [tenant_id: TenantId = key.0, principal: String = key.1, method: String = key.2, request_id: Uuid = key.3],
    {
        tenant_id: TenantId, principal: String, method: String, request_id: Uuid, fingerprint: Vec<u8>, reply: Vec<u8>,
        close_out_id: Option<CloseOutId>, lane: Option<Record>, number: Option<i64>, answered_at: Time,
    }
);

table!(Task = "task", key |key| [tenant_id: TenantId = key.0, task_id: TaskId = key.1], indexed ["root_kind", "root_id", "assignee"], stamped ["changed_in"], {
    tenant_id: TenantId, task_id: TaskId, root: Record, kind: TaskKind, title: String, assignee: String,
    due_at: Option<Time>, state: TaskState, prior_state: Option<TaskState>, closed_by: Option<CloseOutId>,
    created_at: Time, updated_at: Time, version: i64,
});

table!(CloseOut = "close_out", key |key| [tenant_id: TenantId = key.0, close_out_id: CloseOutId = key.1], indexed [
    "subject_kind", "subject_id", "episode", "customer_id", "cause", "reason_code", "actor", "closed_at", "amount_minor",
    "amount_currency", "group_id"
], stamped ["changed_in"], {
    tenant_id: TenantId, close_out_id: CloseOutId, subject: Record, customer_id: Option<CustomerId>, episode: i64,
    outcome: Outcome, reason_code: String, reason_version: i64, class: Option<OutcomeClass>, detail: String,
    competitor_id: Option<CompetitorId>, snapshot: Snapshot, actor: String, closed_at: Time, historical: bool,
    state: CloseOutState, cause: Option<CloseOutId>, hop: i32, request_id: Option<Uuid>, effects: Vec<Effect>,
    delivery: Delivery, reversal: Option<Reversal>, reversal_delivery: Option<Delivery>, remarks: Remarks,
    amendments: Vec<Amendment>, approval: Option<Approval>, group_id: Option<GroupId>, win_back_days: i32,
});

impl Part for Delivery {
    fn columns(name: &str) -> Vec<Column> {
        let mut columns = Propagation::columns(&format!("{name}_propagation"));
        columns.extend(PeerOutcome::columns(&format!("{name}_outcome")));
        columns.extend(Vec::<Effect>::columns(&format!("{name}_effects")));
        columns
    }

    fn write(value: Option<&Self>, cells: &mut Cells) {
        Part::write(value.map(|delivery| &delivery.propagation), cells);
        Part::write(value.and_then(|delivery| delivery.outcome.as_ref()), cells);
        Part::write(value.map(|delivery| &delivery.effects), cells);
    }

    fn read(row: &Row, at: &mut usize) -> Result<Option<Self>, Error> {
        let (propagation, outcome) = (Propagation::read(row, at)?, PeerOutcome::read(row, at)?);
        let effects = Vec::<Effect>::read(row, at)?;
        Ok(propagation.map(|propagation| Self { propagation, outcome, effects: effects.unwrap_or_default() }))
    }
}

table!(
    TimelineEntry = "timeline",
    key |key| [tenant_id: TenantId = key.0, customer_id: CustomerId = key.1, timeline_id: Uuid = key.2],
    {
        tenant_id: TenantId, customer_id: CustomerId, timeline_id: Uuid, happened_at: Time, kind: String,
        record: Record, close_out_id: Option<CloseOutId>, actor: String, text: String,
    }
);

table!(AuditEntry = "audit", key |key| [tenant_id: TenantId = key.0, audit_id: Uuid = key.1], {
    tenant_id: TenantId, audit_id: Uuid, audited_at: Time, actor: String, method: String, request_id: Option<Uuid>,
    message_id: Option<Uuid>, resource: String, version_before: i64, version_after: i64, state_before: String,
    state_after: String, close_out_id: Option<CloseOutId>, note: String,
});

pub(crate) fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

pub(crate) fn int(value: &Value, key: &str) -> Option<i64> {
    value.get(key)?.as_i64()
}

/// Effects as they are stored: those of one resource together, as side, kind, resource, and field, before and after of each. The
/// same names and texts make up most of a close-out's row otherwise.
type Stored<'a> = (i16, i16, Cow<'a, str>, Vec<Cow<'a, str>>);

impl Part for Vec<Effect> {
    fn columns(name: &str) -> Vec<Column> {
        String::columns(name)
    }

    fn write(value: Option<&Self>, cells: &mut Cells) {
        Part::write(value.map(|effects| stored(effects)).as_ref(), cells);
    }

    fn read(row: &Row, at: &mut usize) -> Result<Option<Self>, Error> {
        let text = String::read(row, at)?;
        let read = |text: String| effects(&text).ok_or_else(|| Error::Corrupt(format!("not effects: {text}")));
        text.map(read).transpose()
    }
}

fn stored(effects: &[Effect]) -> String {
    let alike = |a: &Effect, b: &Effect| (a.side, a.kind, &a.resource) == (b.side, b.kind, &b.resource);
    let groups: Vec<Stored<'_>> = effects
        .chunk_by(alike)
        .filter_map(|group| {
            let Effect { side, kind, resource, .. } = group.first()?;
            let texts = group.iter().flat_map(|effect| [&effect.field, &effect.before, &effect.after]);
            Some((side.code(), kind.code(), Cow::from(resource), texts.map(Cow::from).collect()))
        })
        .collect();
    // Numbers and texts can always be written.
    serde_json::to_string(&groups).unwrap_or_default()
}

fn effects(text: &str) -> Option<Vec<Effect>> {
    if text == "[]" {
        return Some(Vec::new());
    }
    let Ok(groups) = serde_json::from_str::<Vec<Stored<'_>>>(text) else {
        return JsonText::from_json(&serde_json::from_str(text).ok()?);
    };
    let mut effects = Vec::new();
    for (side, kind, resource, texts) in groups {
        let (side, kind) = (Side::from_code(side.into()).ok()?, EffectKind::from_code(kind.into()).ok()?);
        for [field, before, after] in texts.as_chunks().0 {
            let [field, before, after] = [field, before, after].map(|text: &Cow<'_, str>| text.clone().into_owned());
            effects.push(Effect { side, kind, resource: resource.clone().into_owned(), field, before, after });
        }
    }
    Some(effects)
}

/// As effects were stored at first, and still are in reversals.
impl JsonText for Effect {
    fn to_json(&self) -> Value {
        json!({
            "side": self.side.word(), "kind": self.kind.word(), "resource": self.resource, "field": self.field,
            "before": self.before, "after": self.after,
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            side: *Side::ALL.iter().find(|side| value["side"] == side.word())?,
            kind: *EffectKind::ALL.iter().find(|kind| value["kind"] == kind.word())?,
            resource: text(value, "resource")?,
            field: text(value, "field")?,
            before: text(value, "before")?,
            after: text(value, "after")?,
        })
    }
}

impl<T: JsonText> JsonText for Vec<T> {
    fn to_json(&self) -> Value {
        Value::Array(self.iter().map(JsonText::to_json).collect())
    }

    fn from_json(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(T::from_json).collect()
    }
}

/// The amount fills two columns of its own, by which close-outs are searched.
impl Part for Snapshot {
    fn columns(name: &str) -> Vec<Column> {
        [String::columns(name), Money::columns("amount")].concat()
    }

    fn write(value: Option<&Self>, cells: &mut Cells) {
        Part::write(value.map(|snapshot| snapshot.to_json().to_string()).as_ref(), cells);
        Part::write(value.map(|snapshot| &snapshot.amount), cells);
    }

    fn read(row: &Row, at: &mut usize) -> Result<Option<Self>, Error> {
        let text = String::read(row, at)?;
        *at += Money::columns("").len();
        let read = |text: String| {
            let snapshot = serde_json::from_str(&text).ok().and_then(|value| Self::from_json(&value));
            snapshot.ok_or_else(|| Error::Corrupt(format!("not a snapshot: {text}")))
        };
        text.map(read).transpose()
    }
}

/// Close-outs of the time when there was but one pipeline name the stage alone.
fn stage(value: &Value) -> Option<Option<StageName>> {
    let stage = text(value, "stage")?;
    let pipeline = text(value, "pipeline").unwrap_or_else(|| pipeline::DEFAULT.to_owned());
    Some((!stage.is_empty()).then(|| StageName::new(pipeline, stage)))
}

/// What a close-out of an earlier version says nothing of.
fn exchange(value: &Value) -> Option<Option<Exchange>> {
    let Some(units) = value.get("rate") else { return Some(None) };
    let currency = Currency::parse(value["tenant_currency"].as_str()?)?;
    let amount = Money { minor: int(value, "tenant_minor")?, currency };
    Some(Some(Exchange { rate: Rate::of_units(units.as_i64()?)?, amount }))
}

impl JsonText for Snapshot {
    fn to_json(&self) -> Value {
        let StageName { pipeline, stage } = self.stage.clone().unwrap_or_default();
        let mut json = json!({
            "state": self.state, "state_word": self.state_word, "pipeline": pipeline, "stage": stage,
            "days_in_stage": self.days_in_stage, "days_open": self.days_open, "minor": self.amount.minor, "currency": self.amount.currency.as_str(),
            "owner": self.owner, "team": self.team, "won_at": self.won_at.map(|at| at.0), "cancelled": self.cancelled,
        });
        // Most tenants have one currency or none: what is not there takes no room.
        if let (Some(Exchange { rate, amount }), Value::Object(fields)) = (self.exchange, &mut json) {
            fields.insert("rate".into(), rate.units().into());
            fields.insert("tenant_minor".into(), amount.minor.into());
            fields.insert("tenant_currency".into(), amount.currency.as_str().into());
        }
        json
    }

    fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            state: int(value, "state")?.try_into().ok()?,
            state_word: text(value, "state_word")?,
            stage: stage(value)?,
            days_in_stage: int(value, "days_in_stage")?,
            days_open: int(value, "days_open")?,
            amount: Money { minor: int(value, "minor")?, currency: Currency::parse(value["currency"].as_str()?)? },
            exchange: exchange(value)?,
            owner: text(value, "owner")?,
            team: text(value, "team")?,
            won_at: value["won_at"].as_i64().map(Time),
            cancelled: value["cancelled"].as_array()?.iter().map(Value::as_i64).collect::<Option<_>>()?,
        })
    }
}

impl JsonText for Reversal {
    fn to_json(&self) -> Value {
        json!({ "at": self.at.0, "actor": self.actor, "note": self.note, "effects": self.effects.to_json() })
    }

    fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            at: Time(int(value, "at")?),
            actor: text(value, "actor")?,
            note: text(value, "note")?,
            effects: JsonText::from_json(&value["effects"])?,
        })
    }
}

impl<const N: usize> JsonText for Sums<N> {
    fn to_json(&self) -> Value {
        let entries = self.0.iter().map(|(currency, sums)| (currency.to_string(), Value::from(sums.to_vec())));
        Value::Object(entries.collect())
    }

    fn from_json(value: &Value) -> Option<Self> {
        let entry = |(currency, sums): (&String, &Value)| {
            let sums: Vec<i64> = sums.as_array()?.iter().map(Value::as_i64).collect::<Option<_>>()?;
            Some((Currency::parse(currency)?, sums.try_into().ok()?))
        };
        value.as_object()?.iter().map(entry).collect::<Option<BTreeMap<_, _>>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_are_stored_by_resource_and_read_as_they_were_and_those_of_before_as_well() {
        let effect = |resource: &str, field: &str| Effect {
            side: Side::Order,
            kind: EffectKind::RecordChanged,
            resource: resource.into(),
            field: field.into(),
            before: "\"1\"".into(),
            after: "二".into(),
        };
        let all = vec![effect("a", "x"), effect("a", "y"), effect("b", "x"), effect("a", "x")];
        let text = stored(&all);
        let (side, kind) = (Side::Order.code(), EffectKind::RecordChanged.code());
        let begin = format!("[[{side},{kind},\"a\",[\"x\",\"\\\"1\\\"\",\"二\",\"y\"");
        assert!(text.starts_with(&begin), "{text} does not start with {begin}");
        assert_eq!(effects(&text), Some(all.clone()));
        assert_eq!(effects(&all.to_json().to_string()), Some(all));
        assert_eq!((stored(&[]).as_str(), effects("[]")), ("[]", Some(Vec::new())));
        assert_eq!(effects("[[9,9,\"a\",[]]]"), None);
    }

    #[test]
    fn a_snapshot_of_the_time_of_one_pipeline_reads_as_of_the_default_one() {
        let old = r#"{"state": 1, "state_word": "OPEN", "stage": "engaging", "days_in_stage": 1, "days_open": 2, "minor": 5,
            "currency": "CNY", "owner": "ann", "team": "", "won_at": null, "cancelled": []}"#;
        let stage = |text: &str| Snapshot::from_json(&serde_json::from_str(text).unwrap()).unwrap().stage;
        assert_eq!(stage(old), Some(StageName::new("default", "engaging")));
        assert_eq!(stage(&old.replace("engaging", "")), None);
    }
}
