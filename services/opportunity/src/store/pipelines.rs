//! Pipelines, all those of a tenant at once: they are few, and a rule about one looks at the others, too.

use crate::domain::Pipeline;
use crm_closeout::{ids::TenantId, working_set::Rows};
use crm_outbox::{
    cell::{Column, Kind},
    cells,
    db::{Db, Error, Tx},
    sql::{Args, Sql, columns},
    table::{self, Table},
};
use std::{collections::BTreeSet, sync::LazyLock};

static TENANTS: LazyLock<Vec<Column>> = LazyLock::new(|| columns([("tenant_id", Kind::Uuid)]));
const OF_TENANT: &str = "t.tenant_id = r.tenant_id";
static READ: LazyLock<Sql> =
    LazyLock::new(|| Sql::look_up(&Pipeline::statements().list, "pipeline", OF_TENANT, "", &TENANTS));
static LOCK: LazyLock<Sql> = LazyLock::new(|| {
    Sql::lock(&Pipeline::statements().list, "pipeline", &format!("{OF_TENANT} ORDER BY t.pipeline_id"), &TENANTS)
});

fn args<'a>(tenants: impl IntoIterator<Item = &'a TenantId>) -> Args {
    Args::rows(&TENANTS, tenants.into_iter().map(|tenant| cells![*tenant]).collect())
}

/// The pipelines of one tenant.
pub(crate) async fn of_tenant(db: &Db, tenant: TenantId) -> Result<Rows<Pipeline>, Error> {
    let mut rows = Rows::loaded(db.read_table(&READ, args([&tenant])).await?);
    rows.add_loaded(Pipeline::built_in(tenant));
    Ok(rows)
}

/// The pipelines of these tenants. Where one `changes` them they are locked, the built-in one as a row of its own, so that nobody
/// else changes any of that tenant meanwhile.
pub(super) async fn load(
    tx: &mut Tx,
    reads: &BTreeSet<TenantId>,
    changes: &BTreeSet<TenantId>,
) -> Result<Rows<Pipeline>, Error> {
    let built_in: Vec<_> = changes.iter().copied().map(Pipeline::built_in).collect();
    table::insert_missing(tx, &built_in).await?;
    let mut rows = Rows::default();
    if !changes.is_empty() {
        rows = Rows::loaded(tx.table_rows(&LOCK, args(changes)).await?);
    }
    let others: Vec<_> = reads.difference(changes).collect();
    if !others.is_empty() {
        for row in tx.table_rows(&READ, args(others.iter().copied())).await? {
            rows.add_loaded(row);
        }
        others.into_iter().for_each(|tenant| rows.add_loaded(Pipeline::built_in(*tenant)));
    }
    Ok(rows)
}
