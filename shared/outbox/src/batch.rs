//! One batch: what was waiting is run as one transaction. Locks and loads everything the batch names, decides the commands
//! one after the other with pure domain code, saves each changed row once together with the messages, commits. How many
//! statements that takes does not depend on how many commands there are.

use crate::{
    cell::Kind,
    cells,
    db::{Db, Error, Tx},
    failpoint, metrics, operator,
    operator::Release,
    settle,
    settle::{LEASE, MessageKey, Settlement},
    sql::{Args, Sql, columns},
    table,
    tables::OutboxRow,
    wire,
    wire::{Incoming, Received, Reject},
};
use crm_closeout::{
    codes::{Record, RecordKind},
    episode::CloseOut,
    fact::{Applied, Fact, PeerOutcome},
    ids::{CloseOutId, TenantId},
    records::{Answered, Lane, Received as ReceivedRow},
    refusal::Refusal,
    seeded_bug,
    time::Time,
    working_set::{Cause, Common, Keyed, Rows},
};
use prost::Message as _;
use std::{collections::BTreeSet, future::Future, sync::LazyLock, time::SystemTime};
use uuid::Uuid;

/// What a service brings to a batch: its own tables and rules. Everything else is the same for both.
pub trait Domain: std::fmt::Debug + Send + Sync + 'static {
    /// What a caller can ask for.
    type Command: std::fmt::Debug + Send + Sync + 'static;
    /// The rows of a batch: [`Common`] and the service's own.
    type World: Send;

    /// Which records of the other side have lanes here.
    fn mirrors(kind: RecordKind) -> bool;

    /// Locks and loads what these items name, in the fixed order lanes, subjects, customers, tasks, close-outs.
    fn load(
        tx: &mut Tx,
        common: Common,
        items: &[Item<Self::Command>],
    ) -> impl Future<Output = Result<Self::World, Error>> + Send;

    /// The shared part of the working set.
    fn common(world: &mut Self::World) -> &mut Common;

    /// A command begins.
    fn begin(world: &mut Self::World);

    /// It was refused: back to where it began.
    fn rollback(world: &mut Self::World);

    /// Decides a command.
    fn decide(world: &mut Self::World, cause: &Cause, command: &Self::Command) -> Result<Decided, Refusal>;

    /// Applies a fact about a record of the other side. The record's lane is already up to date; `before` is what it was.
    fn apply(world: &mut Self::World, cause: &Cause, before: &Lane, fact: &Fact) -> Applied;

    /// Saves what has changed in the service's own tables.
    fn save(tx: &mut Tx, world: &Self::World) -> impl Future<Output = Result<(), Error>> + Send;
}

/// What a command did.
#[derive(Clone, Debug, Default)]
pub struct Decided {
    /// The resource as it is now, encoded as the API shows it.
    pub reply: Vec<u8>,
    /// The close-out it made or reversed.
    pub close_out_id: Option<CloseOutId>,
}

/// A caller's command.
#[derive(Debug)]
pub struct Call<C> {
    /// Who calls, and which call it is.
    pub cause: Cause,
    /// Id of the call.
    pub request_id: Uuid,
    /// SHA-256 of the request.
    pub fingerprint: Vec<u8>,
    /// Judge and answer, but change nothing.
    pub validate_only: bool,
    /// What to do.
    pub command: C,
}

/// One item of a batch.
#[derive(Debug)]
pub enum Item<C> {
    /// A caller's command.
    Call(Call<C>),
    /// A message of the peer.
    Message(Incoming),
    /// An operator's decision about a parked message.
    Release(Call<Release>),
}

/// What a call did, or had done before.
#[derive(Clone, Debug)]
pub struct Done {
    /// The resource, encoded.
    pub reply: Vec<u8>,
    /// The close-out, as it was committed; none for a repeated call: read it.
    pub close_out: Option<CloseOut>,
    /// The close-out's id.
    pub close_out_id: Option<CloseOutId>,
    /// The message it sent.
    pub message: Option<MessageKey>,
    /// The call had been done before.
    pub repeated: bool,
}

/// What became of one item.
#[derive(Debug)]
pub enum Verdict {
    /// The call was done.
    Done(Box<Done>),
    /// The call was refused; nothing was changed.
    Refused(Refusal),
    /// The request id was used for another request.
    KeyReused,
    /// What became of the message.
    Message(Received),
}

/// A committed batch.
#[derive(Debug)]
pub struct Committed {
    /// One for each item, in order.
    pub verdicts: Vec<Verdict>,
    /// Messages to deliver.
    pub outbox: Vec<OutboxRow>,
}

static INSERT_OUTBOX: LazyLock<Sql> = LazyLock::new(|| {
    let text = format!(
        "INSERT INTO outbox (tenant_id, record_kind, record_id, number, message_id, payload, close_out_id, reversal, \
         created_at, lease_until, attempts, parked, fault) \
         SELECT r.tenant_id, r.record_kind, r.record_id, r.number, r.message_id, r.payload, r.close_out_id, r.reversal, \
         r.created_at, {{now}} + {LEASE}, 0, {{1}}, '' FROM {{rows}} WHERE true"
    );
    Sql::new(&text, &outbox_columns())
});

fn outbox_columns() -> Vec<crate::cell::Column> {
    columns([
        ("tenant_id", Kind::Uuid),
        ("record_kind", Kind::Small),
        ("record_id", Kind::Uuid),
        ("number", Kind::Int),
        ("message_id", Kind::Uuid),
        ("payload", Kind::Bytes),
        ("close_out_id", Kind::Uuid),
        ("reversal", Kind::Bool),
        ("created_at", Kind::Int),
    ])
}

/// Runs settlements and items in one transaction.
pub async fn run<D: Domain>(
    db: &Db,
    settlements: &[Settlement],
    items: &[Item<D::Command>],
) -> Result<Committed, Error> {
    let mut tx = db.begin().await?;
    match fill::<D>(&mut tx, settlements, items).await {
        Ok(committed) => {
            failpoint::reach(step(items, "before-commit")).await;
            if seeded_bug!("ack-before-commit", 5) && matches!(items, [Item::Message(_), ..]) {
                return tx.rollback().await.map(|()| committed);
            }
            tx.commit().await?;
            failpoint::reach(step(items, "after-commit")).await;
            Ok(committed)
        }
        Err(error) => {
            if let Err(second) = tx.rollback().await {
                tracing::debug!(error = %second, "the rollback failed, too; the connection is given up");
            }
            Err(error)
        }
    }
}

fn step<C>(items: &[Item<C>], when: &'static str) -> &'static str {
    let closes = |item: &Item<C>| match item {
        Item::Call(call) => call.cause.method.starts_with("CloseOut").then_some(true),
        Item::Message(message) => message.fact.as_ref()?.close_out.as_ref().map(|_| false),
        Item::Release(_) => None,
    };
    match (items.iter().find_map(closes), when) {
        (Some(true), "before-commit") => "origin-before-commit",
        (Some(true), _) => "origin-after-commit",
        (Some(false), "before-commit") => "peer-before-commit",
        (Some(false), _) => "peer-after-commit",
        (None, _) => "",
    }
}

async fn fill<D: Domain>(
    tx: &mut Tx,
    settlements: &[Settlement],
    items: &[Item<D::Command>],
) -> Result<Committed, Error> {
    if items.is_empty() {
        settle::write(tx, settlements).await?;
        return Ok(Committed { verdicts: Vec::new(), outbox: Vec::new() });
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64);
    let common = Common::new(Time(now), Box::new(Uuid::now_v7));
    let mut world = D::load(tx, common, items).await?;
    let copies = copies(D::common(&mut world), items);
    D::common(&mut world).received = table::load(tx, &copies).await?;
    let keys: Vec<_> = items.iter().filter_map(answer_key).collect();
    let mut books =
        Books { answered: table::load(tx, &keys).await?, parked: table::lock(tx, &parked_keys(items)).await? };
    let verdicts: Vec<_> = items.iter().map(|item| judge::<D>(&mut world, &mut books, item)).collect();

    D::save(tx, &world).await?;
    let mut settlements = settlements.to_vec();
    settlements.extend(operator::supersede(tx, D::common(&mut world)).await?);
    let outbox = save_common(tx, D::common(&mut world)).await?;
    if !seeded_bug!("key-outside-commit", 5) {
        table::insert(tx, books.answered.inserted()).await?;
    }
    operator::save(tx, &books.parked).await?;
    settlements.extend(operator::on_their_way(&books.parked));
    // Last, as close-outs come last in the order of locks.
    settle::write(tx, &settlements).await?;
    Ok(Committed { verdicts, outbox })
}

async fn save_common(tx: &mut Tx, common: &mut Common) -> Result<Vec<OutboxRow>, Error> {
    table::save(tx, &common.lanes).await?;
    table::save(tx, &common.tasks).await?;
    table::save(tx, &common.close_outs).await?;
    table::insert(tx, common.received.inserted()).await?;
    table::insert(tx, common.timeline.entries()).await?;
    table::insert(tx, common.audit.entries()).await?;
    let mut outbox: Vec<_> = common
        .outgoing
        .entries()
        .iter()
        .map(|(tenant, outgoing)| OutboxRow {
            tenant_id: *tenant,
            record: outgoing.lane,
            number: outgoing.number,
            message_id: outgoing.message_id,
            payload: wire::encode(&outgoing.fact),
            close_out_id: outgoing.close_out.map(|(id, _)| id),
            reversal: outgoing.close_out.is_some_and(|(_, reversal)| reversal),
            created_at: common.now,
            lease_until: Time(common.now.0 + LEASE),
            attempts: 0,
            parked: false,
            fault: String::new(),
            losses: 0,
            refusals: 0,
            waits_for: 0,
            waits_since: Time(0),
        })
        .collect();
    outbox.sort_by_key(OutboxRow::key);
    if !outbox.is_empty() {
        let row = |row: &OutboxRow| {
            cells![
                row.tenant_id,
                row.record,
                row.number,
                row.message_id,
                row.payload,
                row.close_out_id,
                row.reversal,
                row.created_at
            ]
        };
        let args = Args::rows(&outbox_columns(), outbox.iter().map(row).collect()).with(&false);
        tx.execute(&INSERT_OUTBOX, args).await?;
    }
    Ok(outbox)
}

/// The rows of a batch that no rule of a service needs.
struct Books {
    answered: Rows<Answered>,
    parked: Rows<OutboxRow>,
}

fn parked_keys<C>(items: &[Item<C>]) -> Vec<MessageKey> {
    operator::keys(items.iter().filter_map(|item| match item {
        Item::Release(call) => Some((call.cause.tenant_id, &call.command)),
        Item::Call(_) | Item::Message(_) => None,
    }))
}

/// Messages of the batch that may have been applied before.
fn copies<C>(common: &Common, items: &[Item<C>]) -> Vec<(TenantId, Record, i64)> {
    let seen = |item: &Item<C>| match item {
        Item::Call(_) | Item::Release(_) => None,
        Item::Message(message) => {
            let lane = common.lanes.get(&(message.tenant_id, message.record))?;
            (message.number <= lane.last_number).then_some((message.tenant_id, message.record, message.number))
        }
    };
    items.iter().filter_map(seen).collect::<BTreeSet<_>>().into_iter().collect()
}

fn answer_key<C>(item: &Item<C>) -> Option<crm_closeout::records::AnswerKey> {
    match item {
        Item::Call(call) => Some(call.key()),
        Item::Release(call) => Some(call.key()),
        Item::Message(_) => None,
    }
}

impl<C> Call<C> {
    fn key(&self) -> crm_closeout::records::AnswerKey {
        (self.cause.tenant_id, self.cause.actor.clone(), self.cause.method.to_owned(), self.request_id)
    }
}

fn judge<D: Domain>(world: &mut D::World, books: &mut Books, item: &Item<D::Command>) -> Verdict {
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
            Ok(Decided { reply: operator::shown(&row).encode_to_vec(), close_out_id: None })
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
        }));
    }
    let decided = match decide(world) {
        Ok(decided) => decided,
        Err(refusal) => {
            D::rollback(world);
            return Verdict::Refused(refusal);
        }
    };
    let common = D::common(world);
    let message = common.outgoing.recent().first().map(|(tenant, outgoing)| (*tenant, outgoing.lane, outgoing.number));
    let close_out = decided.close_out_id.and_then(|id| common.close_outs.get(&(call.cause.tenant_id, id)).cloned());
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
    }))
}

fn judge_message<D: Domain>(world: &mut D::World, message: &Incoming) -> Received {
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
            if !seeded_bug!("mirror-not-updated", 5) {
                lane.reflect(fact);
            }
            let cause = Cause {
                tenant_id: message.tenant_id,
                actor: fact.actor.clone(),
                method: "Apply",
                request_id: None,
                message_id: Some(message.message_id),
            };
            D::apply(world, &cause, &before, fact)
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
