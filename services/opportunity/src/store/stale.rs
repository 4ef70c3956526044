//! What may be stale: open opportunities without activity of their own, and what is known of their tasks and orders.

use crate::domain::{
    Opportunity, State,
    stale::{PolicyRow, Work},
};
use crm_closeout::{
    codes::{Code, Record, RecordKind},
    fact::MirrorState,
    ids::{OpportunityId, TenantId},
    task::TaskKind,
    time::Time,
};
use crm_outbox::{
    cell::{Column, Kind},
    cells,
    db::{Db, Error, Row},
    sql::{Args, Sql, columns},
    table::Table,
};
use std::{collections::BTreeMap, sync::LazyLock};

/// Reads what a tenant has decided.
pub(crate) async fn policy(db: &Db, tenant: TenantId) -> Result<PolicyRow, Error> {
    Ok(db.get::<PolicyRow>(&tenant).await?.unwrap_or_else(|| PolicyRow::none(tenant)))
}

static SUBJECTS: LazyLock<Vec<Column>> =
    LazyLock::new(|| columns([("tenant_id", Kind::Uuid), ("subject_id", Kind::Uuid)]));

fn subjects(tenant: TenantId, ids: &[OpportunityId]) -> Args {
    Args::rows(&SUBJECTS, ids.iter().map(|id| cells![tenant, id.0]).collect())
}

/// Those of these opportunities that are open and were last worked on before this, of this owner (empty: of all).
pub(crate) async fn idle(
    db: &Db,
    tenant: TenantId,
    ids: &[OpportunityId],
    before: Time,
    owner: &str,
) -> Result<Vec<Opportunity>, Error> {
    static IDLE: LazyLock<Sql> = LazyLock::new(|| {
        let open = State::Open.code();
        let on = format!(
            "t.tenant_id = r.tenant_id AND t.opportunity_id = r.subject_id AND t.state = {open} AND t.activity_at < {{1}} \
             AND ({{2}} = '' OR t.owner = {{2}})"
        );
        Sql::look_up(&Opportunity::statements().list, "opportunity", &on, "", &SUBJECTS)
    });
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    db.read_table(&IDLE, subjects(tenant, ids).with(&before).with(&owner.to_owned())).await
}

/// What their tasks say of these opportunities; those without tasks are left out. Review tasks are no work: the sweep makes some. Nor
/// is a task that was entered with an opportunity of the past and has not been touched since.
pub(crate) async fn work(
    db: &Db,
    tenant: TenantId,
    of: &[Opportunity],
    now: Time,
) -> Result<BTreeMap<OpportunityId, Work>, Error> {
    static COLUMNS: LazyLock<Vec<Column>> = LazyLock::new(|| {
        columns([("tenant_id", Kind::Uuid), ("subject_id", Kind::Uuid), ("entered_until", Kind::Int)])
    });
    static WORK: LazyLock<Sql> = LazyLock::new(|| {
        let (kind, review) = (RecordKind::Opportunity.code(), TaskKind::Review.code());
        let list = "r.subject_id, \
                    max(CASE WHEN t.version > 1 OR t.created_at > r.entered_until THEN t.updated_at END), \
                    CAST(max(CASE WHEN t.state IN (1, 2) AND t.due_at > {1} THEN 1 ELSE 0 END) AS BIGINT)";
        let on = format!(
            "t.tenant_id = r.tenant_id AND t.root_kind = {kind} AND t.root_id = r.subject_id AND t.kind <> {review}"
        );
        Sql::look_up(list, "task", &on, "GROUP BY r.subject_id", &COLUMNS)
    });
    if of.is_empty() {
        return Ok(BTreeMap::new());
    }
    let entered_until = |one: &Opportunity| match Time::of_id(one.opportunity_id.0).filter(|_| one.historical) {
        Some(entered) => entered.plus_days(1),
        None => Time(0),
    };
    let sets = of.iter().map(|one| cells![tenant, one.opportunity_id, entered_until(one)]).collect();
    let rows = db.read(&WORK, Args::rows(&COLUMNS, sets).with(&now)).await?;
    let work = |row: &Row| {
        let planned = row.get::<i64>(2)? != 0;
        Ok((row.get(0)?, Work { task_at: row.get(1)?, planned }))
    };
    rows.iter().map(work).collect()
}

/// A live order of each of these opportunities that has one.
pub(crate) async fn live_orders(
    db: &Db,
    tenant: TenantId,
    ids: &[OpportunityId],
) -> Result<BTreeMap<OpportunityId, Record>, Error> {
    static LIVE: LazyLock<Sql> = LazyLock::new(|| {
        let (order, live) = (RecordKind::Order.code(), MirrorState::Live.code());
        let on = format!(
            "t.tenant_id = r.tenant_id AND t.parent_id = r.subject_id AND t.parent_id IS NOT NULL \
             AND t.record_kind = {order} AND t.state = {live}"
        );
        Sql::look_up("t.parent_id, t.record_id", "lane", &on, "", &SUBJECTS)
    });
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = db.read(&LIVE, subjects(tenant, ids)).await?;
    let order = |row: &Row| Ok((row.get(0)?, Record::new(RecordKind::Order, row.get(1)?)));
    rows.iter().map(order).collect()
}
