//! What the sender keeps of a delivery: the outcome on the close-out, and the outbox row gone or parked. Written in batches
//! with whatever else is committed, without fencing: a delivered fact is true whoever reports it.

use crate::{
    cell::{Cells, Column, Kind},
    cells,
    db::{Db, Error, Tx},
    select::Select,
    sql::{Args, Sql, columns},
    table::Table,
    tables::OutboxRow,
};
use crm_closeout::{
    codes::Record,
    episode::{Effect, Propagation},
    fact::{Applied, PeerOutcome},
    ids::{CloseOutId, TenantId},
    working_set::Keyed,
};
use std::{sync::LazyLock, time::Duration};
use uuid::Uuid;

/// How long a message belongs to the process that wrote it, or that claimed it, in microseconds.
pub const LEASE: i64 = 15_000_000;

/// Names one message: tenant, lane, number.
pub type MessageKey = (TenantId, Record, i64);

/// What became of one message.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Which message.
    pub key: MessageKey,
    /// Its id. A row with the same number and another id is another message, and stays as it is.
    pub message_id: Uuid,
    /// The close-out whose delivery it is; `true`: that of its reversal.
    pub close_out: Option<(CloseOutId, bool)>,
    /// What it is settled with.
    pub settled: Settled,
    /// It had been claimed from the table: others of its lane may wait for it there.
    pub awaited: bool,
}

impl Settlement {
    /// The close-out that it changes.
    pub(crate) fn changes(&self) -> Option<(TenantId, CloseOutId)> {
        let (id, _) = self.close_out?;
        match &self.settled {
            Settled::Acked(_) | Settled::Parked(_) | Settled::Released => Some((self.key.0, id)),
            Settled::Later(_) => None,
        }
    }
}

/// What a message is settled with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The peer has committed its part.
    Acked(Applied),
    /// It is refused for a technical reason; an operator has to look.
    Parked(String),
    /// An operator has released it: it is on its way again.
    Released,
    /// It stays in the outbox and is claimed again when its time comes, by whichever process is first.
    Later(Later),
}

/// When a message is to be sent again, and what was the matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Later {
    /// Not before this time has passed.
    pub after: Duration,
    /// Whom to count it against.
    pub fault: Fault,
    /// In words.
    pub text: String,
}

/// Why a message has to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call with it broke off.
    Lost,
    /// The receiver says that it is at fault itself.
    Refused,
    /// The receiver does not know this kind of message yet.
    Unknown,
    /// The receiver wants this number first.
    Gap(i64),
}

fn delivery_columns() -> Vec<Column> {
    columns([
        ("tenant_id", Kind::Uuid),
        ("close_out_id", Kind::Uuid),
        ("propagation", Kind::Small),
        ("outcome", Kind::Small),
        ("effects", Kind::Text),
    ])
}

fn key_columns() -> Vec<Column> {
    columns([
        ("tenant_id", Kind::Uuid),
        ("record_kind", Kind::Small),
        ("record_id", Kind::Uuid),
        ("number", Kind::Int),
        ("message_id", Kind::Uuid),
        ("fault", Kind::Text),
    ])
}

fn later_columns() -> Vec<Column> {
    let mut all = key_columns();
    all.extend(columns([("pause", Kind::Int), ("lost", Kind::Int), ("refused", Kind::Int), ("expected", Kind::Int)]));
    all
}

const ON_KEY: &str = "t.tenant_id = r.tenant_id AND t.record_kind = r.record_kind AND t.record_id = r.record_id \
                      AND t.number = r.number AND t.message_id = r.message_id";

static CLOSES: LazyLock<Sql> = LazyLock::new(|| deliveries("delivery"));
static REVERSALS: LazyLock<Sql> = LazyLock::new(|| deliveries("reversal_delivery"));

fn deliveries(name: &str) -> Sql {
    let written = format!("{name}_propagation = r.propagation, {name}_outcome = r.outcome, {name}_effects = r.effects");
    let set = format!("{written}, changed_in = {{tx}}");
    // Two processes may hear the same of a message; it changes once.
    let differs = format!(
        "(t.{name}_propagation, t.{name}_outcome, t.{name}_effects) IS DISTINCT FROM (r.propagation, r.outcome, r.effects)"
    );
    let on = format!("t.tenant_id = r.tenant_id AND t.close_out_id = r.close_out_id AND {differs}");
    Sql::update("close_out", &set, &on, &delivery_columns())
}

static GONE: LazyLock<Sql> = LazyLock::new(|| {
    Sql::delete("outbox", &["tenant_id", "record_kind", "record_id", "number", "message_id"], &key_columns())
});

static PARKED: LazyLock<Sql> =
    LazyLock::new(|| Sql::update("outbox", "parked = {1}, fault = r.fault", ON_KEY, &key_columns()));

static LATER: LazyLock<Sql> = LazyLock::new(|| {
    let set = "lease_until = {now} + r.pause, losses = (t.losses + r.lost) * r.lost, \
               refusals = t.refusals + r.refused, fault = r.fault, waits_for = r.expected, gap_at = r.expected, \
               gap_since = CASE WHEN r.expected = t.gap_at THEN t.gap_since ELSE {now} END";
    Sql::update("outbox", set, &format!("{ON_KEY} AND NOT t.parked"), &later_columns())
});

/// Writes settlements: at most six statements, however many there are.
pub async fn write(tx: &mut Tx, settlements: &[Settlement]) -> Result<(), Error> {
    let mut settlements: Vec<_> = settlements.iter().collect();
    settlements.sort_by_key(|settlement| (settlement.key.0, settlement.close_out, settlement.key));
    for (reversal, sql) in [(false, &*CLOSES), (true, &*REVERSALS)] {
        let rows: Vec<_> = settlements.iter().filter_map(|settlement| delivery(settlement, reversal)).collect();
        if !rows.is_empty() {
            tx.change("close_out", sql, Args::rows(&delivery_columns(), rows), None).await?;
        }
    }
    let (mut acked, mut woken, mut parked, mut later) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for settlement in settlements {
        let ((tenant, record, number), id) = (settlement.key, settlement.message_id);
        match &settlement.settled {
            Settled::Acked(_) => {
                acked.push(cells![tenant, record, number, id, String::new()]);
                if settlement.awaited {
                    woken.push(cells![tenant, record, number]);
                }
            }
            Settled::Parked(fault) => parked.push(cells![tenant, record, number, id, fault.clone()]),
            Settled::Released => {}
            Settled::Later(Later { after, fault, text }) => {
                let (lost, refused) = (i64::from(*fault == Fault::Lost), i64::from(*fault == Fault::Refused));
                let expected = if let Fault::Gap(expected) = fault { *expected } else { 0 };
                let pause = i64::try_from(after.as_micros()).unwrap_or(LEASE);
                later.push(cells![tenant, record, number, id, text.clone(), pause, lost, refused, expected]);
            }
        }
    }
    if !acked.is_empty() {
        tx.change("outbox", &GONE, Args::rows(&key_columns(), acked), None).await?;
    }
    if !woken.is_empty() {
        tx.change("outbox", &WAKE, Args::rows(&lane_columns(), woken), None).await?;
    }
    if !parked.is_empty() {
        tx.change("outbox", &PARKED, Args::rows(&key_columns(), parked).with(&true), None).await?;
    }
    if !later.is_empty() {
        tx.change("outbox", &LATER, Args::rows(&later_columns(), later), None).await?;
    }
    Ok(())
}

fn delivery(settlement: &Settlement, reversal: bool) -> Option<Cells> {
    let (id, _) = settlement.close_out.filter(|(_, of_reversal)| *of_reversal == reversal)?;
    let tenant = settlement.key.0;
    match &settlement.settled {
        Settled::Acked(applied) => {
            Some(cells![tenant, id, Propagation::Settled, Some(applied.outcome), applied.effects])
        }
        Settled::Parked(_) => Some(cells![tenant, id, Propagation::Parked, None::<PeerOutcome>, Vec::<Effect>::new()]),
        Settled::Released => Some(cells![tenant, id, Propagation::Pending, None::<PeerOutcome>, Vec::<Effect>::new()]),
        Settled::Later(_) => None,
    }
}

/// Most messages of one lane that are claimed together.
const OF_A_LANE: i64 = 16;

/// How long a message that is not the first of its lane is put off, in microseconds; behind a parked one.
const NOT_YET: i64 = 3_000_000;
const BLOCKED: i64 = 60_000_000;
/// Messages that wait for their turn and are looked at in one claim. Most are woken when it has come.
const WAITING_AT_ONCE: i64 = 64;

/// Messages that are due, each with the first number of its lane that is still in the outbox, and whether it is behind a parked
/// one.
static DUE: LazyLock<Sql> = LazyLock::new(|| due("t.waits_for = 0"));
static WAITING: LazyLock<Sql> = LazyLock::new(|| due("t.waits_for > 0"));

fn due(which: &str) -> Sql {
    let text = format!(
        "SELECT t.tenant_id, t.record_kind, t.record_id, t.number, (SELECT min(p.number) FROM outbox AS p \
         WHERE p.tenant_id = t.tenant_id AND p.record_kind = t.record_kind AND p.record_id = t.record_id), \
         EXISTS (SELECT 1 FROM outbox AS p WHERE p.tenant_id = t.tenant_id AND p.record_kind = t.record_kind \
         AND p.record_id = t.record_id AND p.number < t.number AND p.parked) FROM outbox AS t WHERE NOT t.parked AND {which} \
         AND t.lease_until <= {{now}} ORDER BY t.lease_until LIMIT {{1}} {{skip}}"
    );
    Sql::plain(&text)
}

static CLAIM: LazyLock<Sql> = LazyLock::new(|| {
    let list = OutboxRow::statements().list.replace("t.", "");
    let text = format!(
        "UPDATE outbox SET lease_until = {{now}} + {LEASE}, attempts = attempts + 1, waits_for = 0 \
         WHERE (tenant_id, record_kind, record_id, number) IN ( \
             SELECT t.tenant_id, t.record_kind, t.record_id, t.number FROM {{rows}} CROSS JOIN outbox AS t \
             WHERE t.tenant_id = r.tenant_id AND t.record_kind = r.record_kind AND t.record_id = r.record_id \
             AND t.number BETWEEN r.number AND r.number + {OF_A_LANE} - 1 AND NOT t.parked \
             AND (t.lease_until <= {{now}} OR t.waits_for > 0) {{skip}}) \
         RETURNING {list}"
    );
    Sql::new(&text, &lane_columns())
});

static PUT_OFF: LazyLock<Sql> = LazyLock::new(|| {
    let set = "lease_until = {now} + r.pause, waits_for = r.first";
    Sql::update("outbox", set, &format!("{OF_LANE} AND t.number = r.number"), &put_off_columns())
});

static WAKE: LazyLock<Sql> = LazyLock::new(|| {
    let next = format!("{OF_LANE} AND t.number = r.number + 1 AND t.waits_for > 0 AND NOT t.parked");
    Sql::update("outbox", "lease_until = 0, waits_for = 0", &next, &lane_columns())
});

const OF_LANE: &str = "t.tenant_id = r.tenant_id AND t.record_kind = r.record_kind AND t.record_id = r.record_id";

/// A message of a lane, as rows of a statement.
pub(crate) fn lane_columns() -> Vec<Column> {
    columns([("tenant_id", Kind::Uuid), ("record_kind", Kind::Small), ("record_id", Kind::Uuid), ("number", Kind::Int)])
}

fn put_off_columns() -> Vec<Column> {
    let mut all = lane_columns();
    all.extend(columns([("first", Kind::Int), ("pause", Kind::Int)]));
    all
}

/// Messages that were claimed.
#[derive(Debug, Default)]
pub struct Claimed {
    /// Those to be sent, in the order of their lanes.
    pub rows: Vec<OutboxRow>,
    /// As many as were asked for were due: there may be more.
    pub full: bool,
}

/// Claims messages whose lease is over, lane by lane: the first of a lane that is in the outbox, and with it those behind it that
/// are due or wait for their turn. What is behind one that is parked, or that another process holds, is put off, so that it
/// does not stand in the way of others, and woken when that one has arrived.
pub async fn claim(tx: &mut Tx, limit: i64) -> Result<Claimed, Error> {
    let mut due = tx.rows(&DUE, Args::none().with(&limit)).await?;
    let full = due.len() as i64 == limit;
    due.extend(tx.rows(&WAITING, Args::none().with(&WAITING_AT_ONCE)).await?);
    let (mut first, mut behind) = (Vec::new(), Vec::new());
    for row in &due {
        let (tenant, record, number): (TenantId, Record, i64) = (row.get(0)?, row.get(1)?, row.get(3)?);
        let (head, blocked): (i64, bool) = (row.get(4)?, row.get(5)?);
        if head == number {
            first.push((tenant, record, number));
        } else {
            behind.push((tenant, record, number, head, if blocked { BLOCKED } else { NOT_YET }));
        }
    }
    behind.retain(|(tenant, record, _, head, _)| !first.contains(&(*tenant, *record, *head)));
    if !behind.is_empty() {
        let rows =
            behind.into_iter().map(|(tenant, record, number, head, pause)| cells![tenant, record, number, head, pause]);
        tx.execute(&PUT_OFF, Args::rows(&put_off_columns(), rows.collect())).await?;
    }
    if first.is_empty() {
        return Ok(Claimed { rows: Vec::new(), full });
    }
    let lanes = first.into_iter().map(|(tenant, record, number)| cells![tenant, record, number]).collect();
    let mut rows: Vec<OutboxRow> = tx.table_rows(&CLAIM, Args::rows(&lane_columns(), lanes)).await?;
    rows.sort_by_key(Keyed::key);
    Ok(Claimed { rows, full })
}

/// Ends every lease: for the embedded database, whose only process has just started.
pub async fn release(tx: &mut Tx) -> Result<(), Error> {
    static RELEASE: LazyLock<Sql> =
        LazyLock::new(|| Sql::plain("UPDATE outbox SET lease_until = 0, waits_for = 0 WHERE lease_until > 0"));
    tx.execute(&RELEASE, Args::none()).await.map(|_| ())
}

/// How soon a message can be claimed, if that is within this time; zero: at once.
pub async fn next_due(db: &Db, within: Duration) -> Result<Option<Duration>, Error> {
    static DUE: LazyLock<Sql> = LazyLock::new(|| {
        let first = |which| {
            format!(
                "(SELECT t.lease_until FROM outbox AS t WHERE NOT t.parked AND {which} AND t.lease_until <= {{now}} + {{1}} \
                 ORDER BY t.lease_until LIMIT 1) - {{now}}"
            )
        };
        Sql::plain(&format!("SELECT {}, {}", first("t.waits_for = 0"), first("t.waits_for > 0")))
    });
    let within = i64::try_from(within.as_micros()).unwrap_or(LEASE);
    let rows = db.read(&DUE, Args::none().with(&within)).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (due, waiting): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
    let soonest = due.into_iter().chain(waiting).min();
    Ok(soonest.map(|micros| Duration::from_micros(micros.max(0).unsigned_abs())))
}

/// What waits in the outbox of a service, all tenants together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backlog {
    /// Messages in it; counting ends at 100,000.
    pub waiting: u64,
    /// Those that an operator has to look at; counting ends at 100,000.
    pub parked: u64,
    /// How long the one has waited whose turn comes next, counted from when it was written.
    pub oldest: Duration,
}

/// Looks what waits in the outbox.
pub async fn backlog(db: &Db) -> Result<Backlog, Error> {
    static BACKLOG: LazyLock<Sql> = LazyLock::new(|| {
        Sql::plain(
            "SELECT (SELECT count(*) FROM (SELECT 1 FROM outbox AS o WHERE NOT o.parked LIMIT 100000) AS w), \
             (SELECT count(*) FROM (SELECT 1 FROM outbox AS o WHERE o.parked LIMIT 100000) AS p), \
             coalesce((SELECT {now} - o.created_at FROM outbox AS o WHERE NOT o.parked AND o.waits_for = 0 \
             ORDER BY o.lease_until LIMIT 1), 0)",
        )
    });
    let rows = db.read(&BACKLOG, Args::none()).await?;
    let Some(row) = rows.first() else { return Ok(Backlog::default()) };
    let (waiting, parked, oldest): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (waiting, parked) = (waiting.unsigned_abs(), parked.unsigned_abs());
    Ok(Backlog { waiting: waiting + parked, parked, oldest: Duration::from_micros(oldest.max(0).unsigned_abs()) })
}

/// Whether a message of the same lane with a lower number is still in the outbox.
pub async fn any_before(db: &Db, (tenant, record, number): MessageKey) -> Result<bool, Error> {
    let before = Select::<OutboxRow>::of(tenant)
        .equal("record_kind", Some(&record.kind))
        .equal("record_id", Some(&record.id))
        .below("number", Some(&number));
    before.any(db).await
}

/// How far one message has come, by what is in the outbox.
pub async fn propagation(db: &Db, key: MessageKey) -> Result<Propagation, Error> {
    let row = db.get::<OutboxRow>(&key).await?;
    Ok(row.map_or(Propagation::Settled, |row| if row.parked { Propagation::Parked } else { Propagation::Pending }))
}
