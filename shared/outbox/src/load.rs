//! What the batches of both services lock and load alike: lanes, and the tasks of the records that are closed or reopened.

use crate::{
    batch::Item,
    cell::{Column, Kind},
    cells,
    db::{Error, Tx},
    sql::{Args, Sql, columns},
    table::{self, Table},
};
use crm_closeout::{
    amend::Amending,
    codes::Record,
    episode::CloseOut,
    ids::{CloseOutId, TenantId},
    records::Lane,
    task::Task,
    working_set::Rows,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

/// The lanes of the batch's messages, or of those that are only rehearsed.
fn message_lanes<C>(items: &[Item<C>], rehearsed: bool) -> BTreeSet<(TenantId, Record)> {
    let lane = |item: &Item<C>| match item {
        Item::Call(_) | Item::Release(_) => None,
        Item::Message(message) => (message.rehearsal == rehearsed).then_some((message.tenant_id, message.record)),
    };
    items.iter().filter_map(lane).collect()
}

/// The close-outs that are to be corrected, as they are before anything is locked: what they were made of, and the reasons that
/// they name, which changes only by a correction.
pub async fn amended(tx: &mut Tx, ids: &BTreeSet<(TenantId, CloseOutId)>) -> Result<Rows<CloseOut>, Error> {
    table::load(tx, &ids.iter().copied().collect::<Vec<_>>()).await
}

/// Codes of the reasons that corrections, `amending` of a command, and the close-outs they correct name.
pub fn reasons_of<C>(
    items: &[Item<C>],
    amended: &Rows<CloseOut>,
    amending: fn(&C) -> Option<&Amending>,
) -> BTreeSet<(TenantId, String)> {
    let codes = |item: &Item<C>| match item {
        Item::Call(call) => {
            let (tenant, amending) = (call.cause.tenant_id, amending(&call.command)?);
            let row = amended.get(&(tenant, amending.id))?;
            Some(amending.codes(row).into_iter().map(|code| (tenant, code)).collect::<Vec<_>>())
        }
        Item::Release(_) | Item::Message(_) => None,
    };
    items.iter().filter_map(codes).flatten().collect()
}

/// Close-outs of the other side that are in force as far as this side knows, of records whose whole state is told: they may have
/// been reversed meanwhile.
pub fn closes_in_doubt<C>(items: &[Item<C>], lanes: &Rows<Lane>) -> Vec<(TenantId, CloseOutId)> {
    let in_force = |item: &Item<C>| match item {
        Item::Message(message) if message.is_snapshot() => {
            let lane = lanes.get(&(message.tenant_id, message.record))?;
            lane.close_out_id.map(|id| (message.tenant_id, id))
        }
        Item::Message(_) | Item::Call(_) | Item::Release(_) => None,
    };
    items.iter().filter_map(in_force).collect()
}

/// Close-outs of this side that these close-outs caused.
pub async fn caused(tx: &mut Tx, causes: &BTreeSet<(TenantId, CloseOutId)>) -> Result<Vec<CloseOut>, Error> {
    static COLUMNS: LazyLock<Vec<Column>> =
        LazyLock::new(|| columns([("tenant_id", Kind::Uuid), ("cause", Kind::Uuid)]));
    static CAUSED: LazyLock<Sql> = LazyLock::new(|| {
        let on = "t.tenant_id = r.tenant_id AND t.cause = r.cause AND t.cause IS NOT NULL";
        Sql::look_up(&CloseOut::statements().list, "close_out", on, "", &COLUMNS)
    });
    if causes.is_empty() {
        return Ok(Vec::new());
    }
    let args = Args::rows(&COLUMNS, causes.iter().map(|(tenant, id)| cells![*tenant, *id]).collect());
    tx.table_rows(&CAUSED, args).await
}

/// Locks the lanes of the batch's messages and others in the order of their keys; those of messages that are missing are put in.
pub async fn lock_lanes<C>(
    tx: &mut Tx,
    items: &[Item<C>],
    mut others: BTreeSet<(TenantId, Record)>,
) -> Result<Rows<Lane>, Error> {
    let own = message_lanes(items, false);
    others.extend(message_lanes(items, true));
    let keys: Vec<_> = own.union(&others).copied().collect();
    table::lock_or_add(tx, &keys, own.iter().map(|(tenant, record)| Lane::unknown(*tenant, *record)).collect()).await
}

/// Most tasks that a batch of several items loads: those of 50 draft orders and their opportunity, about the most that one
/// item names. An item alone is loaded whole.
pub const MAX_TASKS: usize = 10_240;

/// Reads the tasks of these records, all that are open or that `closed_by` names. Too many for one transaction are refused
/// where the batch has several `items` and can be halved.
pub async fn tasks_of_roots(
    tx: &mut Tx,
    roots: &BTreeSet<(TenantId, Record)>,
    items: usize,
) -> Result<Vec<Task>, Error> {
    static TASKS: LazyLock<Sql> = LazyLock::new(|| {
        let of_root = "t.tenant_id = r.tenant_id AND t.root_kind = r.root_kind AND t.root_id = r.root_id \
                       AND (t.state IN (1, 2) OR t.closed_by IS NOT NULL)";
        Sql::look_up(&Task::statements().list, "task", of_root, "LIMIT {1}", &root_columns())
    });
    if roots.is_empty() {
        return Ok(Vec::new());
    }
    let args = Args::rows(&root_columns(), roots.iter().map(|(tenant, root)| cells![*tenant, *root]).collect());
    let limit = if items > 1 { MAX_TASKS as i64 + 1 } else { i64::MAX };
    let tasks = tx.table_rows(&TASKS, args.with(&limit)).await?;
    if items > 1 && tasks.len() > MAX_TASKS { Err(Error::Oversize) } else { Ok(tasks) }
}

/// Counts the open tasks of these records.
pub async fn open_tasks(
    tx: &mut Tx,
    roots: &BTreeSet<(TenantId, Record)>,
) -> Result<BTreeMap<(TenantId, Record), i64>, Error> {
    static COUNT: LazyLock<Sql> = LazyLock::new(|| {
        Sql::new(
            "SELECT r.tenant_id, r.root_kind, r.root_id, count(t.task_id) FROM {rows} LEFT JOIN task AS t \
             ON t.tenant_id = r.tenant_id AND t.root_kind = r.root_kind AND t.root_id = r.root_id AND t.state IN (1, 2) \
             GROUP BY r.tenant_id, r.root_kind, r.root_id",
            &root_columns(),
        )
    });
    if roots.is_empty() {
        return Ok(BTreeMap::new());
    }
    let args = Args::rows(&root_columns(), roots.iter().map(|(tenant, root)| cells![*tenant, *root]).collect());
    let rows = tx.rows(&COUNT, args).await?;
    rows.iter().map(|row| Ok(((row.get(0)?, row.get(1)?), row.get(3)?))).collect()
}

fn root_columns() -> Vec<Column> {
    columns([("tenant_id", Kind::Uuid), ("root_kind", Kind::Small), ("root_id", Kind::Uuid)])
}

static TEXTS: LazyLock<Vec<Column>> = LazyLock::new(|| columns([("tenant_id", Kind::Uuid), ("text", Kind::Text)]));

/// The statement of [`taken`] for a column whose values are unique in a tenant.
pub fn in_use(table: &str, column: &str) -> Sql {
    let on = format!("t.tenant_id = r.tenant_id AND t.{column} = r.text");
    Sql::look_up(&format!("t.tenant_id, t.{column}"), table, &on, "", &TEXTS)
}

/// Which of these texts are in use already.
pub async fn taken(
    tx: &mut Tx,
    sql: &Sql,
    asked: &BTreeSet<(TenantId, String)>,
) -> Result<BTreeSet<(TenantId, String)>, Error> {
    let keys = asked.iter().map(|(tenant, text)| cells![*tenant, *text]).collect();
    let rows = tx.look_up(sql, &TEXTS, keys).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}
