//! What the sender keeps of a delivery: the outcome on the close-out, and the outbox row gone or parked. Written in batches
//! with whatever else is committed, without fencing: a delivered fact is true whoever reports it.

use crate::{
    cell::{Column, Kind},
    cells,
    db::{Db, Error, Tx},
    sql::{Args, Sql, columns},
    table::Table,
    tables::OutboxRow,
};
use crm_closeout::{
    codes::Record,
    episode::{Effect, Propagation},
    fact::{Applied, PeerOutcome},
    ids::{CloseOutId, TenantId},
};
use std::sync::LazyLock;

/// How long a message belongs to the process that wrote it, or that claimed it, in microseconds.
pub const LEASE: i64 = 15_000_000;

/// Names one message: tenant, lane, number.
pub type MessageKey = (TenantId, Record, i64);

/// What became of one message.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Which message.
    pub key: MessageKey,
    /// The close-out whose delivery it is; `true`: that of its reversal.
    pub close_out: Option<(CloseOutId, bool)>,
    /// What it is settled with.
    pub settled: Settled,
}

/// What a message is settled with.
#[derive(Clone, Debug)]
pub enum Settled {
    /// The peer has committed its part.
    Acked(Applied),
    /// It is refused for a technical reason; an operator has to look.
    Parked(String),
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
        ("fault", Kind::Text),
    ])
}

const ON_KEY: &str = "t.tenant_id = r.tenant_id AND t.record_kind = r.record_kind AND t.record_id = r.record_id \
                      AND t.number = r.number";

static CLOSES: LazyLock<Sql> = LazyLock::new(|| deliveries("delivery"));
static REVERSALS: LazyLock<Sql> = LazyLock::new(|| deliveries("reversal_delivery"));

fn deliveries(name: &str) -> Sql {
    let text = format!(
        "UPDATE close_out AS t SET {name}_propagation = r.propagation, {name}_outcome = r.outcome, \
         {name}_effects = r.effects FROM {{rows}} WHERE t.tenant_id = r.tenant_id AND t.close_out_id = r.close_out_id"
    );
    Sql::new(&text, &delivery_columns())
}

static GONE: LazyLock<Sql> = LazyLock::new(|| {
    // EXISTS would make SQLite walk the whole outbox; IN over row values looks each key up.
    let keys = "SELECT r.tenant_id, r.record_kind, r.record_id, r.number FROM {rows}";
    Sql::new(
        &format!("DELETE FROM outbox WHERE (tenant_id, record_kind, record_id, number) IN ({keys})"),
        &key_columns(),
    )
});

static PARKED: LazyLock<Sql> = LazyLock::new(|| {
    Sql::new(
        &format!("UPDATE outbox AS t SET parked = {{1}}, fault = r.fault FROM {{rows}} WHERE {ON_KEY}"),
        &key_columns(),
    )
});

/// Writes settlements: at most four statements, however many there are.
pub async fn write(tx: &mut Tx, settlements: &[Settlement]) -> Result<(), Error> {
    let mut settlements: Vec<_> = settlements.iter().collect();
    settlements.sort_by_key(|settlement| (settlement.key.0, settlement.close_out, settlement.key));
    for (reversal, sql) in [(false, &*CLOSES), (true, &*REVERSALS)] {
        let rows: Vec<_> = settlements.iter().filter_map(|settlement| delivery(settlement, reversal)).collect();
        if !rows.is_empty() {
            tx.execute(sql, Args::rows(&delivery_columns(), rows)).await?;
        }
    }
    let (mut acked, mut parked) = (Vec::new(), Vec::new());
    for settlement in settlements {
        let (tenant, record, number) = settlement.key;
        match &settlement.settled {
            Settled::Acked(_) => acked.push(cells![tenant, record, number, String::new()]),
            Settled::Parked(fault) => parked.push(cells![tenant, record, number, fault.clone()]),
        }
    }
    if !acked.is_empty() {
        tx.execute(&GONE, Args::rows(&key_columns(), acked)).await?;
    }
    if !parked.is_empty() {
        tx.execute(&PARKED, Args::rows(&key_columns(), parked).with(&true)).await?;
    }
    Ok(())
}

fn delivery(settlement: &Settlement, reversal: bool) -> Option<Vec<crate::cell::Cell>> {
    let (id, _) = settlement.close_out.filter(|(_, of_reversal)| *of_reversal == reversal)?;
    let tenant = settlement.key.0;
    Some(match &settlement.settled {
        Settled::Acked(applied) => cells![tenant, id, Propagation::Settled, Some(applied.outcome), applied.effects],
        Settled::Parked(_) => {
            cells![tenant, id, Propagation::Parked, None::<PeerOutcome>, Vec::<Effect>::new()]
        }
    })
}

static CLAIM: LazyLock<Sql> = LazyLock::new(|| {
    let text = format!(
        "UPDATE outbox SET lease_until = {{now}} + {LEASE}, attempts = attempts + 1 \
         WHERE (tenant_id, record_kind, record_id, number) IN ( \
             SELECT t.tenant_id, t.record_kind, t.record_id, t.number FROM outbox AS t \
             WHERE NOT t.parked AND t.lease_until <= {{now}} AND NOT EXISTS ( \
                 SELECT 1 FROM outbox AS p WHERE p.tenant_id = t.tenant_id AND p.record_kind = t.record_kind \
                 AND p.record_id = t.record_id AND p.number < t.number AND p.parked) \
             ORDER BY t.lease_until, t.tenant_id, t.record_kind, t.record_id, t.number LIMIT {{1}} {{skip}}) \
         RETURNING {}",
        OutboxRow::statements().list.replace("t.", "")
    );
    Sql::plain(&text)
});

/// Claims messages whose lease is over, none behind a parked one of its lane; they come in the order of their lanes.
pub async fn claim(tx: &mut Tx, limit: i64) -> Result<Vec<OutboxRow>, Error> {
    let mut rows: Vec<OutboxRow> = tx.table_rows(&CLAIM, Args::none().with(&limit)).await?;
    rows.sort_by_key(crm_closeout::working_set::Keyed::key);
    Ok(rows)
}

/// Ends every lease: for the embedded database, whose only process has just started.
pub async fn release(tx: &mut Tx) -> Result<(), Error> {
    static RELEASE: LazyLock<Sql> =
        LazyLock::new(|| Sql::plain("UPDATE outbox SET lease_until = 0 WHERE lease_until > 0"));
    tx.execute(&RELEASE, Args::none()).await.map(|_| ())
}

/// Whether a message waits whose lease is over.
pub async fn any_due(db: &Db) -> Result<bool, Error> {
    static DUE: LazyLock<Sql> = LazyLock::new(|| {
        Sql::plain("SELECT t.number FROM outbox AS t WHERE NOT t.parked AND t.lease_until <= {now} LIMIT 1")
    });
    Ok(!db.read(&DUE, Args::none()).await?.is_empty())
}

/// How far one message has come, by what is in the outbox.
pub async fn propagation(db: &Db, key: MessageKey) -> Result<Propagation, Error> {
    let row = db.get::<OutboxRow>(&key).await?;
    Ok(row.map_or(Propagation::Settled, |row| if row.parked { Propagation::Parked } else { Propagation::Pending }))
}
