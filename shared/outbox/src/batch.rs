//! One batch: what was waiting is run as one transaction. Locks and loads everything the batch names, decides the commands
//! one after the other with pure domain code, saves each changed row once together with the messages, commits. How many
//! statements that takes does not depend on how many commands there are.

use crate::{
    cell::Kind,
    cells,
    db::{Db, Error, Tx},
    failpoint, job,
    judge::{self, Books},
    operator::{self, Release},
    plan::{Confirmed, Previewed},
    settle,
    settle::{LEASE, MessageKey, Settlement},
    sql::{Args, Sql, columns},
    table,
    tables::OutboxRow,
    watch, wire,
    wire::{Incoming, Received},
};
use crm_closeout::{
    access::Access,
    codes::RecordKind,
    episode::CloseOut,
    fact::{Applied, Fact},
    ids::CloseOutId,
    job::Job,
    plan::Preview,
    records::Lane,
    refusal::Refusal,
    seeded_bug,
    time::Time,
    working_set::{Cause, Common, Keyed},
};
use std::{future::Future, sync::LazyLock, time::SystemTime};
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

    /// What a duty comes to.
    fn duty(_job: &Job) -> Duty<Self::Command> {
        Duty::Unknown
    }

    /// The commands that a duty is done by, where it has such: a part of them, those beyond `after`. None: it has not.
    fn steps(
        _db: &Db,
        _job: &Job,
        _after: Option<Uuid>,
    ) -> impl Future<Output = Result<Option<Steps<Self::Command>>, Error>> + Send {
        async { Ok(None) }
    }

    /// Saves what has changed in the service's own tables.
    fn save(tx: &mut Tx, world: &Self::World) -> impl Future<Output = Result<(), Error>> + Send;
}

/// What a duty comes to.
#[derive(Debug)]
pub enum Duty<C> {
    /// It is of a kind or a name that is not known here.
    Unknown,
    /// It is done by its steps alone.
    Steps,
    /// First by this command of a method, then by its steps, if it has any.
    Command(&'static str, C),
}

/// A part of what a duty is done by.
#[derive(Debug)]
pub struct Steps<C> {
    /// Who is behind it.
    pub actor: String,
    /// What that one may do.
    pub access: Access,
    /// The method.
    pub method: &'static str,
    /// Commands, each with what makes it one of its duty.
    pub commands: Vec<(String, C)>,
    /// Where the next part begins; none: this is the last one.
    pub next: Option<Uuid>,
}

/// What a command did.
#[derive(Clone, Debug, Default)]
pub struct Decided {
    /// The resource as it is now, encoded as the API shows it.
    pub reply: Vec<u8>,
    /// The close-out it made or reversed.
    pub close_out_id: Option<CloseOutId>,
    /// Of a preview: what was found. Nothing that it did is kept, whatever its call says.
    pub preview: Option<Box<Preview>>,
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
    /// The trace parent of what it causes; empty: none.
    pub trace_parent: String,
    /// The plan that the caller has confirmed, if it has: a close-out that comes to something else is refused.
    pub confirmed: Option<Box<Confirmed>>,
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

impl<C> Item<C> {
    /// The trace parent of the messages that it causes.
    fn trace_parent(&self) -> &str {
        match self {
            Self::Call(call) => &call.trace_parent,
            Self::Message(message) => &message.trace_parent,
            Self::Release(call) => &call.trace_parent,
        }
    }
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
    /// Of a preview: what was found.
    pub preview: Option<Box<Previewed>>,
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
         created_at, lease_until, attempts, parked, fault, trace_parent) \
         SELECT r.tenant_id, r.record_kind, r.record_id, r.number, r.message_id, r.payload, r.close_out_id, r.reversal, \
         r.created_at, {{now}} + {LEASE}, 0, {{1}}, '', r.trace_parent FROM {{rows}} WHERE true"
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
        ("trace_parent", Kind::Text),
    ])
}

/// Runs settlements and items in one transaction. When nothing is left of it but the commit, that waits for `turn`; what it gave is
/// answered, too.
pub async fn run<D: Domain, T: Send>(
    db: &Db,
    settlements: &[Settlement],
    items: &[Item<D::Command>],
    turn: impl Future<Output = T> + Send,
) -> Result<(Committed, T), Error> {
    let mut tx = db.begin().await?;
    match fill::<D>(&mut tx, settlements, items).await {
        Ok(committed) => {
            let turn = turn.await;
            failpoint::reach(step(items, "before-commit")).await;
            if seeded_bug!("ack-before-commit", 5) && matches!(items, [Item::Message(_), ..]) {
                return tx.rollback().await.map(|()| (committed, turn));
            }
            tx.commit().await?;
            failpoint::reach(step(items, "after-commit")).await;
            Ok((committed, turn))
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
        Item::Call(call) => closes_out(call.cause.method).then_some(true),
        Item::Message(message) if message.rehearsal => None,
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

fn closes_out(method: &str) -> bool {
    method.trim_start_matches("Bulk").trim_start_matches("Approve").starts_with("CloseOut")
}

async fn fill<D: Domain>(
    tx: &mut Tx,
    settlements: &[Settlement],
    items: &[Item<D::Command>],
) -> Result<Committed, Error> {
    if items.is_empty() {
        watch::number(tx, watch::settled(settlements)).await?;
        settle::write(tx, settlements).await?;
        watch::write(tx, watch::settled(settlements)).await?;
        tx.flush().await?;
        return Ok(Committed { verdicts: Vec::new(), outbox: Vec::new() });
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64);
    let common = Common::new(Time(now), Box::new(Uuid::now_v7));
    let mut world = D::load(tx, common, items).await?;
    let copies = judge::copies(D::common(&mut world), items);
    D::common(&mut world).received = table::load(tx, &copies).await?;
    let mut books = Books {
        answered: table::load(tx, &judge::answer_keys(items)).await?,
        parked: table::lock(tx, &judge::parked_keys(items)).await?,
    };
    let (mut verdicts, mut trace_parents) = (Vec::with_capacity(items.len()), Vec::new());
    for item in items {
        verdicts.push(judge::judge::<D>(&mut world, &mut books, item));
        // Of the messages that this item causes, as the rules know nothing of traces.
        trace_parents.resize(D::common(&mut world).outgoing.entries().len(), item.trace_parent());
    }

    D::save(tx, &world).await?;
    let mut settlements = settlements.to_vec();
    settlements.extend(operator::supersede(tx, D::common(&mut world)).await?);
    settlements.extend(operator::on_their_way(&books.parked));
    watch::number(tx, watch::changed(D::common(&mut world)).chain(watch::settled(&settlements))).await?;
    let outbox = save_common(tx, D::common(&mut world), &trace_parents).await?;
    if !seeded_bug!("key-outside-commit", 5) {
        table::insert(tx, books.answered.inserted()).await?;
    }
    operator::save(tx, &books.parked).await?;
    // Last, as close-outs come last in the order of locks.
    settle::write(tx, &settlements).await?;
    let changed = watch::changed(D::common(&mut world)).chain(watch::settled(&settlements));
    watch::write(tx, changed).await?;
    tx.flush().await?;
    Ok(Committed { verdicts, outbox })
}

async fn save_common(tx: &mut Tx, common: &mut Common, trace_parents: &[&str]) -> Result<Vec<OutboxRow>, Error> {
    table::save(tx, &common.lanes).await?;
    table::save(tx, &common.tasks).await?;
    table::save(tx, &common.close_outs).await?;
    table::save(tx, &common.reasons).await?;
    table::save(tx, &common.settings).await?;
    table::save(tx, &common.rates).await?;
    table::insert_missing(tx, common.editions.entries()).await?;
    table::insert(tx, common.received.inserted()).await?;
    job::forget(tx, common.jobs_over.entries()).await?;
    table::insert_missing(tx, common.jobs.entries()).await?;
    table::insert(tx, common.timeline.entries()).await?;
    table::insert(tx, common.audit.entries()).await?;
    let mut outbox: Vec<_> = common
        .outgoing
        .entries()
        .iter()
        .zip(trace_parents)
        .map(|((tenant, outgoing), trace_parent)| OutboxRow {
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
            gap_at: 0,
            gap_since: Time(0),
            trace_parent: (*trace_parent).to_owned(),
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
                row.created_at,
                row.trace_parent
            ]
        };
        let args = Args::rows(&outbox_columns(), outbox.iter().map(row).collect()).with(&false);
        tx.add("outbox", &INSERT_OUTBOX, args).await?;
    }
    Ok(outbox)
}
