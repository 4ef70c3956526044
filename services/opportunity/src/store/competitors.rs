//! Competitors in a batch. Those that a command is about are locked, in the order of their keys, and then those that were merged into
//! a source: who merges one into that source waits for the source, so that none is missed. A close-out only reads the one it names.

use crate::domain::{Competitor, CompetitorCommand};
use crm_closeout::{
    ids::{CompetitorId, TenantId},
    report::{Competitors, Counting},
    working_set::Rows,
};
use crm_outbox::{
    cell::{Column, Kind},
    cells,
    db::{Db, Error, Row, Tx},
    load,
    sql::{Args, Sql, columns},
    table::{self, Table},
};
use std::{collections::BTreeSet, sync::LazyLock};

type Key = (TenantId, CompetitorId);

/// What the items of a batch name of them.
#[derive(Default)]
pub(super) struct Named {
    /// Named by a close-out.
    read: BTreeSet<Key>,
    /// Changed, or a target.
    changed: BTreeSet<Key>,
    /// Merged into another one.
    sources: BTreeSet<Key>,
    /// What one is to be called.
    names: BTreeSet<(TenantId, String)>,
}

impl Named {
    /// A close-out names this one.
    pub(super) fn read(&mut self, tenant: TenantId, id: Option<CompetitorId>) {
        self.read.extend(id.map(|id| (tenant, id)));
    }

    /// Somebody asks for this.
    pub(super) fn command(&mut self, tenant: TenantId, command: &CompetitorCommand) {
        match command {
            CompetitorCommand::Create { display_name } => drop(self.names.insert((tenant, display_name.clone()))),
            CompetitorCommand::Update { id, display_name, .. } => {
                self.changed.insert((tenant, *id));
                self.names.extend(display_name.clone().map(|name| (tenant, name)));
            }
            CompetitorCommand::SetActive { id, .. } => drop(self.changed.insert((tenant, *id))),
            CompetitorCommand::Merge { sources, target } => {
                let sources = || sources.iter().map(|id| (tenant, *id));
                self.sources.extend(sources());
                self.changed.extend(sources().chain([(tenant, *target)]));
            }
        }
    }
}

/// Locks and loads those that are changed, and reads the others.
pub(super) async fn load(tx: &mut Tx, named: &Named) -> Result<Rows<Competitor>, Error> {
    let keys: Vec<_> = named.changed.iter().copied().collect();
    let mut rows = table::lock(tx, &keys).await?;
    let followers = merged_into(tx, &named.sources).await?;
    followers.into_iter().for_each(|row| rows.add_loaded(row));
    let keys: Vec<_> = named.read.iter().filter(|key| rows.get(key).is_none()).copied().collect();
    let read: Rows<Competitor> = table::load(tx, &keys).await?;
    read.iter().for_each(|row| rows.add_loaded(row.clone()));
    Ok(rows)
}

/// Locks and loads those that were merged into these.
async fn merged_into(tx: &mut Tx, sources: &BTreeSet<Key>) -> Result<Vec<Competitor>, Error> {
    static COLUMNS: LazyLock<Vec<Column>> =
        LazyLock::new(|| columns([("tenant_id", Kind::Uuid), ("merged_into", Kind::Uuid)]));
    static FOLLOWERS: LazyLock<Sql> = LazyLock::new(|| {
        let on = "t.tenant_id = r.tenant_id AND t.merged_into = r.merged_into AND t.merged_into IS NOT NULL \
                  ORDER BY t.competitor_id";
        Sql::lock(&Competitor::statements().list, "competitor", on, &COLUMNS)
    });
    if sources.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sources.iter().map(|(tenant, source)| cells![*tenant, *source]).collect();
    tx.table_rows(&FOLLOWERS, Args::rows(&COLUMNS, rows)).await
}

/// The names that are taken, of those that are asked for.
pub(super) async fn taken(tx: &mut Tx, named: &Named) -> Result<BTreeSet<(TenantId, String)>, Error> {
    static NAMES: LazyLock<Sql> = LazyLock::new(|| load::in_use("competitor", "display_name"));
    load::taken(tx, &NAMES, &named.names).await
}

/// Where close-outs with these competitors count in reports.
pub(crate) async fn counting(db: &Db, tenant: TenantId, ids: &BTreeSet<CompetitorId>) -> Result<Competitors, Error> {
    static COLUMNS: LazyLock<Vec<Column>> =
        LazyLock::new(|| columns([("tenant_id", Kind::Uuid), ("competitor_id", Kind::Uuid)]));
    static COUNTING: LazyLock<Sql> = LazyLock::new(|| {
        Sql::new(
            "SELECT t.competitor_id, coalesce(m.competitor_id, t.competitor_id), coalesce(m.display_name, t.display_name) \
             FROM {rows} JOIN competitor AS t ON t.tenant_id = r.tenant_id AND t.competitor_id = r.competitor_id \
             LEFT JOIN competitor AS m ON m.tenant_id = t.tenant_id AND m.competitor_id = t.merged_into",
            &COLUMNS,
        )
    });
    if ids.is_empty() {
        return Ok(Competitors::new());
    }
    let args = Args::rows(&COLUMNS, ids.iter().map(|id| cells![tenant, *id]).collect());
    let rows = db.read(&COUNTING, args).await?;
    let counting = |row: &Row| Ok((row.get(0)?, Counting { competitor: row.get(1)?, display_name: row.get(2)? }));
    rows.iter().map(counting).collect()
}
