//! What changed, in an order that follows commits: the log that streams of changes read.
//!
//! Each commit adds a row for each tenant whose close-outs or tasks it changed, and every record has the number of the transaction that
//! changed it last. What is sent for an entry of the log is the record as it is then, and only if this commit was the last to
//! change it: there is a later entry for it otherwise. So each state that is sent is whole and sent once, a later one of a record
//! is never followed by an earlier one, and the last one is always sent.
//!
//! **Nothing is skipped.** A number is taken before its transaction commits, so one that is lower may be committed later. On PostgreSQL
//! a reader therefore goes no further than the oldest transaction that is still under way. A row's place is not before
//! its own transaction, so whatever commits later has its place beyond that. On SQLite there is one transaction at a time.
//!
//! **In order.** A transaction may have its number before it waits for a record that another one has locked, whose number is higher and
//! which commits first. So the place is that of the last transaction that had ended when the row was written, which is when all
//! locks are held; of two with the same place the one comes first that was written first. What was decided on a locked
//! record therefore comes after what that record had been through.

use crate::{
    cell::{Column, Kind},
    cells,
    db::{Db, Error, Row, Tx},
    settle::Settlement,
    sql::{Args, Sql, columns},
    table::{Statements, Table},
};
use crm_closeout::{
    ids::{CloseOutId, TaskId, TenantId},
    time::Time,
    working_set::Common,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};
use uuid::Uuid;

/// Which kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// A close-out.
    CloseOut = 1,
    /// A task.
    Task = 2,
}

/// A record that a commit changed.
pub type Entry = (Of, Uuid);

/// Bytes of an entry in the log.
const ENTRY: usize = 1 + 16;

/// The place of a commit in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The last transaction that had ended when it was written, or its own.
    pub place: i64,
    /// When it was written.
    pub written_at: Time,
    /// Its transaction; 0: there is none, this is where the log of a tenant was that had none yet.
    pub tx: i64,
}

/// How far the log of a tenant can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last commit, or where the first one will come after.
    pub last: Mark,
    /// Nothing that is committed from now on has its place here or before.
    pub ended: i64,
    /// The clock of the database.
    pub now: Time,
}

/// A commit in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its place.
    pub mark: Mark,
    /// What it changed, each record once.
    pub entries: Vec<Entry>,
}

/// A transaction is about to write what it `changed`, if anything: on SQLite it gets its number here.
pub(crate) async fn number(tx: &mut Tx, mut changed: impl Iterator<Item = (TenantId, Entry)>) -> Result<(), Error> {
    static NEXT: LazyLock<Sql> = LazyLock::new(|| Sql::plain("UPDATE watch_clock SET tx = tx + 1 WHERE only = 1"));
    if tx.is_embedded() && changed.next().is_some() {
        tx.execute(&NEXT, Args::none()).await?;
    }
    Ok(())
}

/// Close-outs and tasks that a batch changed: close-outs of one subject in the order of their episodes.
pub(crate) fn changed(common: &Common) -> impl Iterator<Item = (TenantId, Entry)> {
    let mut close_outs: Vec<_> = common.close_outs.changes().map(|(_, row)| row).collect();
    close_outs.sort_by_key(|row| (row.tenant_id, row.subject, row.episode));
    let tasks = common.tasks.changes().map(|(_, row)| (row.tenant_id, (Of::Task, row.task_id.0)));
    close_outs.into_iter().map(|row| close_out(row.tenant_id, row.close_out_id)).chain(tasks)
}

/// Close-outs that settlements change.
pub(crate) fn settled(settlements: &[Settlement]) -> impl Iterator<Item = (TenantId, Entry)> {
    settlements.iter().filter_map(Settlement::changes).map(|(tenant, id)| close_out(tenant, id))
}

fn close_out(tenant: TenantId, CloseOutId(id): CloseOutId) -> (TenantId, Entry) {
    (tenant, (Of::CloseOut, id))
}

fn log_columns() -> Vec<Column> {
    columns([("tenant_id", Kind::Uuid), ("entries", Kind::Bytes)])
}

/// Writes what a transaction changed, with what else it writes last.
pub(crate) async fn write(tx: &mut Tx, changed: impl Iterator<Item = (TenantId, Entry)>) -> Result<(), Error> {
    static INSERT: LazyLock<Sql> = LazyLock::new(|| {
        let text = |place: &str, clock: &str| {
            format!(
                "INSERT INTO watch_log (tenant_id, place, written_at, tx, entries) \
                 SELECT r.tenant_id, {place}, {clock}, {{tx}}, r.entries FROM {{rows}} WHERE true"
            )
        };
        let place = "greatest({tx}, pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1)";
        let clock = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        Sql::each(&text(place, clock), &text("{tx}", "{now}"), &log_columns())
    });
    let (mut of_tenants, mut seen) = (BTreeMap::<TenantId, Vec<u8>>::new(), BTreeSet::new());
    for (tenant, (of, id)) in changed {
        if seen.insert((tenant, of, id)) {
            let entries = of_tenants.entry(tenant).or_default();
            entries.push(of as u8);
            entries.extend_from_slice(id.as_bytes());
        }
    }
    if of_tenants.is_empty() {
        return Ok(());
    }
    let rows = of_tenants.into_iter().map(|(tenant, entries)| cells![tenant, entries]);
    tx.add("watch_log", &INSERT, Args::rows(&log_columns(), rows.collect())).await
}

fn entries(bytes: &[u8]) -> Result<Vec<Entry>, Error> {
    let (whole, rest) = bytes.as_chunks::<ENTRY>();
    let entry = |[of, id @ ..]: &[u8; ENTRY]| {
        let of = match of {
            1 => Of::CloseOut,
            2 => Of::Task,
            _ => return None,
        };
        Some((of, Uuid::from_bytes(*id)))
    };
    let all = whole.iter().map(entry).collect::<Option<Vec<_>>>().filter(|_| rest.is_empty());
    all.ok_or_else(|| Error::Corrupt("watch_log.entries is not a list of entries".into()))
}

/// How far the log can be read now, by one look at its end.
pub async fn head(db: &Db, tenant: TenantId) -> Result<Head, Error> {
    static HEAD: LazyLock<Sql> = LazyLock::new(|| {
        let text = |ended: &str, is_complete: &str| {
            format!(
                "SELECT * FROM (SELECT t.place, t.written_at, t.tx FROM watch_log AS t WHERE t.tenant_id = {{1}} \
                 {is_complete} ORDER BY t.place DESC, t.written_at DESC, t.tx DESC LIMIT 1) AS newest \
                 UNION ALL SELECT {ended}, {{now}}, 0"
            )
        };
        let ended = "(pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1)";
        Sql::each(&text(ended, &format!("AND t.place <= {ended}")), &text("{tx}", ""), &[])
    });
    let rows = db.read(&HEAD, Args::none().with(&tenant)).await?;
    let marks = rows.iter().map(mark).collect::<Result<Vec<_>, _>>()?;
    let now = marks.iter().find(|mark| mark.tx == 0).copied();
    let now = now.ok_or_else(|| Error::Corrupt("a look at the log found no time".into()))?;
    let last = marks.into_iter().find(|mark| mark.tx != 0).unwrap_or(now);
    Ok(Head { last, ended: now.place, now: now.written_at })
}

fn mark(row: &Row) -> Result<Mark, Error> {
    Ok(Mark { place: row.get(0)?, written_at: row.get(1)?, tx: row.get(2)? })
}

/// Whether there is a commit at exactly this place. Where there is, everything that came after it is there, too: what is old is removed
/// in its order.
pub async fn has(db: &Db, tenant: TenantId, at: Mark) -> Result<bool, Error> {
    static HAS: LazyLock<Sql> = LazyLock::new(|| {
        Sql::plain(
            "SELECT 1 FROM watch_log AS t WHERE t.tenant_id = {1} AND t.place = {2} AND t.written_at = {3} AND t.tx = {4}",
        )
    });
    let args = Args::none().with(&tenant).with(&at.place).with(&at.written_at).with(&at.tx);
    Ok(!db.read(&HAS, args).await?.is_empty())
}

/// Reads commits in their order: from one place on, up to another that was the last of a [`Head`], at most so many.
pub async fn page(db: &Db, tenant: TenantId, from: Mark, until: Mark, most: i64) -> Result<Vec<Commit>, Error> {
    static PAGE: LazyLock<Sql> = LazyLock::new(|| {
        Sql::plain(
            "SELECT t.place, t.written_at, t.tx, t.entries FROM watch_log AS t WHERE t.tenant_id = {1} \
             AND (t.place, t.written_at, t.tx) >= ({2}, {3}, {4}) AND (t.place, t.written_at, t.tx) <= ({5}, {6}, {7}) \
             ORDER BY t.place, t.written_at, t.tx LIMIT {8}",
        )
    });
    let at = |args: Args, mark: Mark| args.with(&mark.place).with(&mark.written_at).with(&mark.tx);
    let args = at(at(Args::none().with(&tenant), from), until).with(&most);
    let rows = db.read(&PAGE, args).await?;
    rows.iter().map(|row| Ok(Commit { mark: mark(row)?, entries: entries(&row.get::<Vec<u8>>(3)?)? })).collect()
}

/// Records that are watched.
pub trait Watched: Table {
    /// Their kind.
    const OF: Of;
    /// The key of one.
    fn key_of(tenant: TenantId, id: Uuid) -> Self::Key;
    /// The statement that reads them, with the transaction that changed each last.
    fn as_they_are() -> &'static Sql;
}

macro_rules! watched {
    ($type:ty, $of:ident, $id:ident) => {
        impl Watched for $type {
            const OF: Of = Of::$of;

            fn key_of(tenant: TenantId, id: Uuid) -> Self::Key {
                (tenant, $id(id))
            }

            fn as_they_are() -> &'static Sql {
                static READ: LazyLock<Sql> = LazyLock::new(|| as_they_are::<$type>());
                &READ
            }
        }
    };
}

watched!(crm_closeout::episode::CloseOut, CloseOut, CloseOutId);
watched!(crm_closeout::task::Task, Task, TaskId);

fn as_they_are<R: Table>() -> Sql {
    let Statements { name, list, key, .. } = R::statements();
    let on = key.iter().map(|c| format!("t.{0} = r.{0}", c.name)).collect::<Vec<_>>().join(" AND ");
    Sql::look_up(&format!("{list}, t.changed_in"), name, &on, "", key)
}

/// Reads records as they are, each with the transaction that changed it last.
pub async fn records<R: Watched>(db: &Db, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<(R, i64)>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let Statements { columns, key, .. } = R::statements();
    let keys = ids.iter().map(|id| R::key_cells(&R::key_of(tenant, *id))).collect();
    let rows = db.read(R::as_they_are(), Args::rows(key, keys)).await?;
    rows.iter().map(|row| Ok((R::read(row)?, row.get(columns.len())?))).collect()
}

/// Removes the first commits of a tenant's log that were written before a time, at most so many, but never the last of them: where nothing
/// has come since, it is how far everybody has come who watches. Also those of another server, where this is a copy of its data: numbers that are still to come here. True: there may
/// be more of them.
pub(crate) async fn forget(tx: &mut Tx, tenant: TenantId, before: Time, most: i64) -> Result<bool, Error> {
    static FIRST: LazyLock<Sql> = LazyLock::new(|| {
        Sql::plain(
            "SELECT t.place, t.written_at, t.tx FROM watch_log AS t WHERE t.tenant_id = {1} \
             ORDER BY t.place, t.written_at, t.tx LIMIT {2}",
        )
    });
    static FORGET: LazyLock<Sql> = LazyLock::new(|| {
        Sql::plain("DELETE FROM watch_log WHERE tenant_id = {1} AND (place, written_at, tx) < ({2}, {3}, {4})")
    });
    static STRANGE: LazyLock<Sql> = LazyLock::new(|| {
        let text = |last: &str| format!("DELETE FROM watch_log WHERE tenant_id = {{1}} AND place > {last}");
        Sql::each(&text("(pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1)"), &text("{tx}"), &[])
    });
    tx.execute(&STRANGE, Args::none().with(&tenant)).await?;
    let rows = tx.rows(&FIRST, Args::none().with(&tenant).with(&most)).await?;
    let marks = rows.iter().map(mark).collect::<Result<Vec<_>, _>>()?;
    let old = marks.iter().take_while(|mark| mark.written_at < before).count();
    let Some(stays) = old.checked_sub(1).and_then(|last| marks.get(last)) else { return Ok(false) };
    let args = Args::none().with(&tenant).with(&stays.place).with(&stays.written_at).with(&stays.tx);
    tx.execute(&FORGET, args).await?;
    Ok(old == marks.len() && marks.len() as i64 == most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_list_of_entries_is_corrupt() {
        let mut bytes = vec![2];
        bytes.extend_from_slice(Uuid::from_u128(7).as_bytes());
        assert_eq!(entries(&bytes).unwrap(), [(Of::Task, Uuid::from_u128(7))]);
        assert_eq!(entries(&[]).unwrap(), []);
        bytes.push(1);
        assert!(matches!(entries(&bytes), Err(Error::Corrupt(_))));
        bytes.truncate(ENTRY);
        bytes[0] = 9;
        assert!(matches!(entries(&bytes), Err(Error::Corrupt(_))));
    }
}
