//! What an operator does about a message that does not arrive: has it sent again, or withdraws it; and what it means that the
//! whole state of a record is sent instead. Decided and saved in a batch like any command, with its audit row.

use crate::{
    cells,
    db::{Error, Tx},
    settle::{self, MessageKey, Settled, Settlement},
    sql::{Args, Sql},
    table::{self, Table},
    tables::OutboxRow,
    wire,
};
use crm_closeout::{
    cascade::Change,
    codes::Record,
    episode::Effect,
    fact::{Applied, Event, PeerOutcome},
    ids::TenantId,
    refusal::Refusal,
    time::Time,
    wording,
    working_set::{Cause, Common, Keyed, Rows},
};
use crm_proto::common::ParkedMessage;
use prost_types::Timestamp;
use std::sync::LazyLock;

/// What is to become of a parked message.
#[derive(Clone, Debug)]
pub struct Release {
    /// Which lane.
    pub record: Record,
    /// Which message.
    pub number: i64,
    /// Why it is withdrawn; none: it is sent again.
    pub withdraw: Option<String>,
}

/// Name of a message.
pub fn name(record: Record, number: i64) -> String {
    format!("{record}/messages/{number}")
}

/// A message as an operator sees it.
pub fn shown(row: &OutboxRow) -> ParkedMessage {
    let Time(micros) = row.created_at;
    let nanos = (micros.rem_euclid(1_000_000) * 1_000) as i32;
    ParkedMessage {
        name: name(row.record, row.number),
        record: row.record.to_string(),
        number: row.number,
        event: wire::event_word(&row.payload).unwrap_or_default().to_owned(),
        close_out: row.close_out_id.map_or_else(String::new, |id| id.to_string()),
        fault: row.fault.clone(),
        create_time: Some(Timestamp { seconds: micros.div_euclid(1_000_000), nanos }),
        attempts: row.attempts,
        parked: row.parked,
    }
}

/// Decides a release on the locked row; answers the message as it is now.
pub(crate) fn release(
    parked: &mut Rows<OutboxRow>,
    common: &mut Common,
    cause: &Cause,
    release: &Release,
) -> Result<OutboxRow, Refusal> {
    let name = name(release.record, release.number);
    let key = (cause.tenant_id, release.record, release.number);
    let is_parked =
        parked.get(&key).map(|row| row.parked).ok_or_else(|| Refusal::new(&wording::NO_SUCH_MESSAGE, &name))?;
    let row = if is_parked { parked.edit(&key) } else { None };
    let Some(row) = row else {
        return Err(Refusal::new(&wording::NOT_PARKED, name));
    };
    (row.parked, row.lease_until) = (false, Time(0));
    (row.losses, row.refusals, row.waits_for) = (0, 0, 0);
    (row.gap_at, row.gap_since) = (0, Time(0));
    let state_after = if release.withdraw.is_some() { "SKIPPED" } else { "WAITING" };
    if release.withdraw.is_some() {
        row.payload = wire::tombstone(&cause.actor, common.now);
    }
    let row = row.clone();
    let change =
        Change { from: row.number, to: row.number, state_before: "PARKED", state_after, close_out: row.close_out_id };
    common.audit_with_note(cause, name, change, release.withdraw.as_deref().unwrap_or_default());
    Ok(row)
}

/// Saves released messages: they are due at once, and those that wait behind them come with them.
pub(crate) async fn save(tx: &mut Tx, parked: &Rows<OutboxRow>) -> Result<(), Error> {
    table::update(tx, parked.updated()).await
}

/// Close-outs of released messages, on their way again.
pub(crate) fn on_their_way(parked: &Rows<OutboxRow>) -> Vec<Settlement> {
    let pending = |row: &&OutboxRow| settlement(row, Settled::Released);
    parked.updated().iter().map(pending).collect()
}

fn settlement(row: &OutboxRow, settled: Settled) -> Settlement {
    let close_out = row.close_out_id.map(|id| (id, row.reversal));
    Settlement { key: row.key(), message_id: row.message_id, close_out, settled, awaited: false }
}

/// Takes the messages out of the outbox in whose place the whole state of their records is sent. Nothing is left to do for the
/// close-outs and reversals that they told of, apart from those that the snapshots tell themselves.
pub(crate) async fn supersede(tx: &mut Tx, common: &Common) -> Result<Vec<Settlement>, Error> {
    static SUPERSEDED: LazyLock<Sql> = LazyLock::new(|| {
        let list = OutboxRow::statements().list.replace("t.", "");
        // EXISTS would make SQLite walk the whole outbox; IN over row values looks each lane up.
        let lanes = "SELECT r.tenant_id, r.record_kind, r.record_id FROM {rows}";
        let text =
            format!("DELETE FROM outbox WHERE (tenant_id, record_kind, record_id) IN ({lanes}) RETURNING {list}");
        Sql::new(&text, &settle::lane_columns())
    });
    let snapshots = common.outgoing.entries().iter().filter(|(_, outgoing)| outgoing.fact.event == Event::Snapshot);
    let snapshots: Vec<_> = snapshots.map(|(tenant, outgoing)| (*tenant, outgoing)).collect();
    if snapshots.is_empty() {
        return Ok(Vec::new());
    }
    let lanes = snapshots.iter().map(|(tenant, outgoing)| cells![*tenant, outgoing.lane, outgoing.number]).collect();
    let gone: Vec<OutboxRow> = tx.table_rows(&SUPERSEDED, Args::rows(&settle::lane_columns(), lanes)).await?;
    let told: Vec<_> = snapshots.iter().map(|(tenant, outgoing)| (*tenant, outgoing.close_out)).collect();
    let is_told = |row: &OutboxRow| told.contains(&(row.tenant_id, row.close_out_id.map(|id| (id, row.reversal))));
    let nothing_left =
        || Settled::Acked(Applied { outcome: PeerOutcome::NoopAlreadyClosed, effects: Vec::<Effect>::new() });
    Ok(gone.iter().filter(|row| !is_told(row)).map(|row| settlement(row, nothing_left())).collect())
}

/// Keys of the messages that these commands name.
pub(crate) fn keys<'a>(releases: impl Iterator<Item = (TenantId, &'a Release)>) -> Vec<MessageKey> {
    let mut keys: Vec<_> = releases.map(|(tenant, release)| (tenant, release.record, release.number)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}
