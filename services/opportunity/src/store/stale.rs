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
    db::{Db, Error, Row, Tx},
    sql::{Args, Sql, columns},
    table::Table,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

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

/// What their tasks say of these opportunities; those without tasks are left out. A review task that nobody has touched is no work: the
/// sweep makes some. Nor is a task that was entered with an opportunity of the past, within an hour of it, and is as it was.
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
            "t.tenant_id = r.tenant_id AND t.root_kind = {kind} AND t.root_id = r.subject_id \
             AND (t.kind <> {review} OR t.version > 1)"
        );
        Sql::look_up(list, "task", &on, "GROUP BY r.subject_id", &COLUMNS)
    });
    if of.is_empty() {
        return Ok(BTreeMap::new());
    }
    let entered_until = |one: &Opportunity| match Time::of_id(one.opportunity_id.0).filter(|_| one.historical) {
        Some(entered) => entered.plus_seconds(3_600),
        None => Time(0),
    };
    let sets = of.iter().map(|one| cells![tenant, one.opportunity_id, entered_until(one)]).collect();
    let rows = db.read(&WORK, Args::rows(&COLUMNS, sets).with(&now)).await?;
    let work = |row: &Row| {
        let planned = row.get::<i64>(2)? != 0;
        Ok((row.get(0)?, Work { task_at: row.get(1)?, planned, order_at: None }))
    };
    rows.iter().map(work).collect()
}

/// What is known of the orders of an opportunity.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Orders {
    /// One that is a draft or live.
    pub(crate) open: Option<Record>,
    /// When one was last closed out.
    pub(crate) closed_at: Option<Time>,
}

/// The orders of these opportunities; those without any are left out.
pub(crate) async fn orders(
    db: &Db,
    tenant: TenantId,
    of: &[Opportunity],
) -> Result<BTreeMap<OpportunityId, Orders>, Error> {
    static ORDERS: LazyLock<Sql> = LazyLock::new(|| {
        let order = RecordKind::Order.code();
        let on = format!(
            "t.tenant_id = r.tenant_id AND t.parent_id = r.subject_id AND t.parent_id IS NOT NULL AND t.record_kind = {order}"
        );
        Sql::look_up("t.parent_id, t.record_id, t.state, t.closed_at", "lane", &on, "", &SUBJECTS)
    });
    if of.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<_> = of.iter().map(|one| one.opportunity_id).collect();
    let mut orders = BTreeMap::<_, Orders>::new();
    for row in db.read(&ORDERS, subjects(tenant, &ids)).await? {
        let (state, closed_at) = (row.get::<Option<MirrorState>>(2)?, row.get::<Option<Time>>(3)?);
        let entry = orders.entry(row.get(0)?).or_default();
        entry.closed_at = entry.closed_at.max(closed_at);
        if matches!(state, Some(MirrorState::Draft | MirrorState::Live)) {
            entry.open = Some(Record::new(RecordKind::Order, row.get(1)?));
        }
    }
    Ok(orders)
}

/// Those of these opportunities, each with a time, whose tasks somebody has moved since then.
pub(super) async fn touched(
    tx: &mut Tx,
    since: &BTreeMap<(TenantId, OpportunityId), Time>,
) -> Result<BTreeSet<(TenantId, OpportunityId)>, Error> {
    static COLUMNS: LazyLock<Vec<Column>> =
        LazyLock::new(|| columns([("tenant_id", Kind::Uuid), ("subject_id", Kind::Uuid), ("since", Kind::Int)]));
    static TOUCHED: LazyLock<Sql> = LazyLock::new(|| {
        let (kind, review) = (RecordKind::Opportunity.code(), TaskKind::Review.code());
        let on = format!(
            "t.tenant_id = r.tenant_id AND t.root_kind = {kind} AND t.root_id = r.subject_id \
             AND (t.kind <> {review} OR t.version > 1) AND t.updated_at > r.since"
        );
        Sql::look_up("r.tenant_id, r.subject_id", "task", &on, "", &COLUMNS)
    });
    if since.is_empty() {
        return Ok(BTreeSet::new());
    }
    let sets = since.iter().map(|((tenant, id), since)| cells![*tenant, *id, *since]).collect();
    let rows = tx.rows(&TOUCHED, Args::rows(&COLUMNS, sets)).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}
