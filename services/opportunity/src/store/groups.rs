//! Close-outs of whole customers: which opportunities and close-outs one is about, by key, and how far it is.

use crate::domain::{Customer, Group, MOST_OPEN, Opportunity, State};
use crm_api::page::Page;
use crm_closeout::{
    episode::{CloseOut, CloseOutState},
    ids::{CloseOutId, CustomerId, GroupId, OpportunityId, TenantId},
    working_set::Rows,
};
use crm_outbox::{
    cell::{Column, Kind},
    cells,
    db::{Db, Error, Tx},
    plan::HASH,
    select::{Order, Select},
    sql::{Args, Sql, columns},
    table::Table,
    wire,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};
use uuid::Uuid;

static OWNERS: LazyLock<Vec<Column>> = LazyLock::new(|| columns([("tenant_id", Kind::Uuid), ("owner_id", Kind::Uuid)]));

/// Opportunities of these customers that are open, on hold or wait for approval, of a batch of so many `items`. Those that have ended
/// are gone through, too. Nothing is locked yet: see [`check_whole`].
pub(super) async fn in_work(
    tx: &mut Tx,
    customers: &BTreeSet<(TenantId, CustomerId)>,
    items: usize,
) -> Result<Vec<(TenantId, OpportunityId)>, Error> {
    static IN_WORK: LazyLock<Sql> = LazyLock::new(|| {
        let on = "t.tenant_id = r.tenant_id AND t.customer_id = r.owner_id AND t.state IN (1, 2, 3)";
        Sql::look_up("t.tenant_id, t.opportunity_id", "opportunity", on, "LIMIT {1}", &OWNERS)
    });
    if customers.is_empty() {
        return Ok(Vec::new());
    }
    let most = 2 * MOST_OPEN;
    let sets = customers.iter().map(|(tenant, customer)| cells![*tenant, *customer]).collect();
    let rows = tx.rows(&IN_WORK, Args::rows(&OWNERS, sets).with(&(most as i64))).await?;
    if rows.len() == most && items > 1 {
        return Err(Error::Oversize);
    }
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// Refuses to go on, so that the batch is run again, where a customer had got an opportunity between [`in_work`] and its lock.
pub(super) fn check_whole(
    whole: &BTreeSet<(TenantId, CustomerId)>,
    customers: &Rows<Customer>,
    opportunities: &Rows<Opportunity>,
) -> Result<(), Error> {
    for (tenant, id) in whole {
        let Some(customer) = customers.get(&(*tenant, *id)) else { continue };
        let own = opportunities.iter().filter(|one| one.tenant_id == *tenant && one.customer_id == Some(*id));
        let open = own.filter(|one| matches!(one.counts_as(), State::Open | State::OnHold)).count() as i64;
        // Of more there are not all; that many are refused.
        if customer.open_count <= MOST_OPEN as i64 && customer.open_count != open {
            return Err(Error::Contention(format!("{id} has {} open opportunities, not {open}", customer.open_count)));
        }
    }
    Ok(())
}

/// Close-outs of these groups that are in force or wait for approval, of a batch of so many `items`: one group has no more than
/// [`MOST_OPEN`].
pub(super) async fn in_force(
    tx: &mut Tx,
    groups: &BTreeSet<(TenantId, GroupId)>,
    items: usize,
) -> Result<Vec<(TenantId, CloseOutId)>, Error> {
    static IN_FORCE: LazyLock<Sql> = LazyLock::new(|| {
        let on =
            "t.tenant_id = r.tenant_id AND t.group_id = r.owner_id AND t.group_id IS NOT NULL AND t.state IN (1, 3)";
        Sql::look_up("t.tenant_id, t.close_out_id", "close_out", on, "LIMIT {1}", &OWNERS)
    });
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let most = 2 * MOST_OPEN;
    let sets = groups.iter().map(|(tenant, group)| cells![*tenant, *group]).collect();
    let rows = tx.rows(&IN_FORCE, Args::rows(&OWNERS, sets).with(&(most as i64))).await?;
    if rows.len() == most && items > 1 {
        return Err(Error::Oversize);
    }
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// The opportunities of a customer that are open or on hold, by id, a part of them.
pub(crate) async fn open(
    db: &Db,
    tenant: TenantId,
    customer: CustomerId,
    after: Option<Uuid>,
    most: usize,
) -> Result<Vec<Opportunity>, Error> {
    static OPEN: LazyLock<Sql> = LazyLock::new(|| {
        let list = &Opportunity::statements().list;
        Sql::plain(&format!(
            "SELECT {list} FROM opportunity AS t WHERE t.tenant_id = {{1}} AND t.customer_id = {{2}} \
             AND t.opportunity_id > {{3}} AND t.state IN (1, 2) ORDER BY t.opportunity_id LIMIT {{4}}"
        ))
    });
    let args = Args::none().with(&tenant).with(&customer).with(&after.unwrap_or(Uuid::nil())).with(&(most as i64));
    db.read_table(&OPEN, args).await
}

/// The close-outs of a group that are in force or wait for approval, by id, a part of them.
pub(crate) async fn to_take_back(
    db: &Db,
    tenant: TenantId,
    group: GroupId,
    after: Option<Uuid>,
    most: usize,
) -> Result<Vec<CloseOut>, Error> {
    static TO_TAKE_BACK: LazyLock<Sql> = LazyLock::new(|| {
        let list = &CloseOut::statements().list;
        Sql::plain(&format!(
            "SELECT {list} FROM close_out AS t WHERE t.tenant_id = {{1}} AND t.group_id = {{2}} AND t.group_id IS NOT NULL \
             AND t.close_out_id > {{3}} AND t.state IN (1, 3) ORDER BY t.close_out_id LIMIT {{4}}"
        ))
    });
    let args = Args::none().with(&tenant).with(&group).with(&after.unwrap_or(Uuid::nil())).with(&(most as i64));
    db.read_table(&TO_TAKE_BACK, args).await
}

/// How many close-outs of a group are in each state.
pub(crate) type Counts = BTreeMap<CloseOutState, i64>;

/// Counts the close-outs of these groups.
pub(crate) async fn counts(db: &Db, tenant: TenantId, groups: &[Group]) -> Result<BTreeMap<GroupId, Counts>, Error> {
    static COUNTS: LazyLock<Sql> = LazyLock::new(|| {
        let on = "t.tenant_id = r.tenant_id AND t.group_id = r.owner_id AND t.group_id IS NOT NULL";
        let list = "t.group_id, t.state, count(*)";
        Sql::look_up(list, "close_out", on, "GROUP BY t.group_id, t.state", &OWNERS)
    });
    let mut counts = BTreeMap::<_, Counts>::new();
    if groups.is_empty() {
        return Ok(counts);
    }
    let sets = groups.iter().map(|group| cells![tenant, group.group_id]).collect();
    for row in db.read(&COUNTS, Args::rows(&OWNERS, sets)).await? {
        counts.entry(row.get(0)?).or_default().insert(row.get(1)?, row.get(2)?);
    }
    Ok(counts)
}

/// Lists groups, newest first.
pub(crate) async fn list(
    db: &Db,
    tenant: TenantId,
    customer: Option<CustomerId>,
    page: &Page,
) -> Result<Vec<Group>, Error> {
    let select = Select::of(tenant).equal("customer_id", customer.as_ref());
    select.page(db, "group_id", Order::Newest, page.after, page.size).await
}

/// The hash of opportunities as they are, by which a caller confirms them.
pub(crate) fn plan<'a>(open: impl Iterator<Item = &'a Opportunity>) -> Vec<u8> {
    let lines: String = open.map(|one| format!("{}@{}\n", one.opportunity_id, one.version)).collect();
    let mut hash = wire::hash(lines.as_bytes());
    hash.truncate(HASH);
    hash
}
