//! Plans to win customers back: what a batch needs of them, their lists, and the losses that an audience is chosen by.

use crate::domain::{Customer, Lifecycle, PlanState, Tally, WinBackPlan};
use crm_closeout::{
    codes::{Code, RecordKind},
    episode::{CloseOutState, Outcome, OutcomeClass, loss_at},
    ids::{CustomerId, TenantId, WinBackPlanId},
    money::Money,
    time::Time,
    working_set::{Keyed, Rows},
};
use crm_outbox::{
    cell::{Column, Kind, Part},
    cells,
    db::{Db, Error, Row, Tx},
    sql::{Args, Sql, columns},
    table::{self, Table},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};
use uuid::Uuid;

static CUSTOMERS: LazyLock<Vec<Column>> =
    LazyLock::new(|| columns([("tenant_id", Kind::Uuid), ("customer_id", Kind::Uuid)]));

/// States of plans that somebody may still work on.
const OPEN_STATES: [PlanState; 2] = [PlanState::Planned, PlanState::Running];

/// A batch's plans, and of each of its customers what is not among them.
type Loaded = (Rows<WinBackPlan>, BTreeMap<(TenantId, CustomerId), Tally>);

/// Loads plans by key, and of the customers in `whole`, which are locked, every open one.
pub(super) async fn load(
    tx: &mut Tx,
    named: &BTreeSet<(TenantId, WinBackPlanId)>,
    whole: &BTreeSet<(TenantId, CustomerId)>,
    customers: &Rows<Customer>,
) -> Result<Loaded, Error> {
    static COLUMNS: LazyLock<Vec<Column>> = LazyLock::new(|| [CUSTOMERS.clone(), PlanState::columns("state")].concat());
    // A state for each row of the set: an index is not searched by a list of them.
    static OPEN: LazyLock<Sql> = LazyLock::new(|| {
        let on = "t.tenant_id = r.tenant_id AND t.customer_id = r.customer_id AND t.state = r.state";
        Sql::look_up(&WinBackPlan::statements().list, "win_back_plan", on, "", &COLUMNS)
    });
    let mut plans = table::load::<WinBackPlan>(tx, &named.iter().copied().collect::<Vec<_>>()).await?;
    let unknown = |plan: &&WinBackPlan| {
        let customer = (plan.tenant_id, plan.customer_id);
        customers.get(&customer).is_none() || (plan.state.is_open() && !whole.contains(&customer))
    };
    if let Some(plan) = plans.iter().find(unknown) {
        return Err(Error::Contention(format!("{} was made meanwhile", plan.plan_id)));
    }
    let (whole, others): (Vec<_>, Vec<_>) = customers.iter().partition(|customer| whole.contains(&customer.key()));
    let planned = whole.iter().filter(|customer| customer.plan_count > 0);
    let of_states =
        planned.flat_map(|customer| OPEN_STATES.map(|state| (customer.tenant_id, customer.customer_id, state)));
    let sets: Vec<_> = of_states.map(|(tenant, customer, state)| cells![tenant, customer, state]).collect();
    if !sets.is_empty() {
        let open: Vec<WinBackPlan> = tx.table_rows(&OPEN, Args::rows(&COLUMNS, sets)).await?;
        open.into_iter().for_each(|plan| plans.add_loaded(plan));
    }
    Ok((plans, others.iter().map(|customer| (customer.key(), customer.tally())).collect()))
}

/// Which plans to list.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// In this state; none: the open ones.
    pub(crate) state: Option<PlanState>,
    /// Of this owner; empty: of all.
    pub(crate) owner: String,
    /// Of this customer.
    pub(crate) customer: Option<CustomerId>,
    /// Due before this.
    pub(crate) due_before: Option<Time>,
}

/// A plan's place in a list.
pub(crate) type Place = (Time, Uuid);

/// A plan with what its customer is called.
pub(crate) type Named = (WinBackPlan, String);

fn list_columns() -> String {
    let called =
        "(SELECT c.display_name FROM customer AS c WHERE c.tenant_id = t.tenant_id AND c.customer_id = t.customer_id)";
    format!("{}, {called}", WinBackPlan::statements().list)
}

fn named(row: &Row) -> Result<Named, Error> {
    let name: Option<String> = row.get(WinBackPlan::statements().columns.len())?;
    Ok((WinBackPlan::read(row)?, name.unwrap_or_default()))
}

/// Reads a plan.
pub(crate) async fn get(db: &Db, tenant: TenantId, id: WinBackPlanId) -> Result<Option<Named>, Error> {
    static GET: LazyLock<Sql> = LazyLock::new(|| {
        let list = list_columns();
        Sql::plain(&format!("SELECT {list} FROM win_back_plan AS t WHERE t.tenant_id = {{1}} AND t.plan_id = {{2}}"))
    });
    db.read(&GET, Args::none().with(&tenant).with(&id)).await?.first().map(named).transpose()
}

/// Lists plans by when they are due: those behind a place, at most so many. Those of each state that is asked for are read in that order
/// by an index, of the customer or the owner if one is given; of both, the owner is looked at.
pub(crate) async fn list(
    db: &Db,
    tenant: TenantId,
    filter: &Filter,
    after: Option<Place>,
    most: usize,
) -> Result<Vec<Named>, Error> {
    let states = filter.state.map_or_else(|| OPEN_STATES.to_vec(), |state| vec![state]);
    // One that passes into the next state meanwhile is read twice: what it is then counts.
    let mut plans = BTreeMap::new();
    for state in states {
        let read = in_state(db, tenant, filter, state, after, most).await?;
        plans.extend(read.into_iter().map(|named| (named.0.plan_id, named)));
    }
    let mut plans: Vec<_> = plans.into_values().collect();
    plans.sort_by_key(|(plan, _)| (plan.due_at, plan.plan_id));
    plans.truncate(most);
    Ok(plans)
}

async fn in_state(
    db: &Db,
    tenant: TenantId,
    filter: &Filter,
    state: PlanState,
    after: Option<Place>,
    most: usize,
) -> Result<Vec<Named>, Error> {
    let (mut args, mut count, mut conditions) = (Args::none().with(&tenant), 1, String::new());
    let mut next = || {
        count += 1;
        format!("{{{count}}}")
    };
    if let Some(customer) = &filter.customer {
        conditions.push_str(&format!(" AND t.customer_id = {}", next()));
        args = args.with(customer);
    }
    if !filter.owner.is_empty() {
        let column = if filter.customer.is_some() { "coalesce(t.owner, t.owner)" } else { "t.owner" };
        conditions.push_str(&format!(" AND {column} = {}", next()));
        args = args.with(&filter.owner);
    }
    conditions.push_str(&format!(" AND t.state = {}", state.code()));
    if let Some(before) = &filter.due_before {
        conditions.push_str(&format!(" AND t.due_at < {}", next()));
        args = args.with(before);
    }
    if let Some((due_at, id)) = after {
        conditions.push_str(&format!(" AND (t.due_at, t.plan_id) > ({}, {})", next(), next()));
        args = args.with(&due_at).with(&id);
    }
    let (list, limit) = (list_columns(), next());
    let text = format!(
        "SELECT {list} FROM win_back_plan AS t WHERE t.tenant_id = {{1}}{conditions} \
         ORDER BY t.due_at, t.plan_id LIMIT {limit}"
    );
    let args = args.with(&i64::try_from(most).unwrap_or(i64::MAX));
    db.read(&Sql::plain(&text), args).await?.iter().map(named).collect()
}

/// Customers that are lost, by id: those behind one, at most so many.
pub(crate) async fn lost(db: &Db, tenant: TenantId, after: Option<Uuid>, most: usize) -> Result<Vec<Customer>, Error> {
    // One look at both, so that none is missed that passes from one to the other.
    static LOST: LazyLock<Sql> = LazyLock::new(|| {
        let list = &Customer::statements().list;
        let of = |lifecycle: Lifecycle| {
            let code = lifecycle.code();
            format!(
                "SELECT * FROM (SELECT {list} FROM customer AS t WHERE t.tenant_id = {{1}} AND t.lifecycle = {code} \
                 AND t.customer_id > {{2}} ORDER BY t.customer_id LIMIT {{3}}) AS part"
            )
        };
        Sql::plain(&[Lifecycle::Lost, Lifecycle::WinBack].map(of).join(" UNION ALL "))
    });
    let args = Args::none().with(&tenant).with(&after.unwrap_or(Uuid::nil()));
    let args = args.with(&i64::try_from(most).unwrap_or(i64::MAX));
    let mut customers: Vec<Customer> = db.read_table(&LOST, args).await?;
    customers.sort_by_key(|customer| customer.customer_id);
    customers.truncate(most);
    Ok(customers)
}

/// Something that a customer was lost on.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    /// The customer.
    pub(crate) customer: CustomerId,
    /// Code of the reason; none: that was not told.
    pub(crate) reason: Option<String>,
    /// When.
    pub(crate) lost_at: Time,
    /// What it was worth, if that was told.
    pub(crate) amount: Option<Money>,
}

/// What these customers were lost on and what was not taken back: opportunities that are closed out, and orders that are cancelled; what is
/// caused by one of the two is the same loss.
pub(crate) async fn losses(db: &Db, tenant: TenantId, customers: &[Customer]) -> Result<Vec<Loss>, Error> {
    static OWN: LazyLock<Sql> = LazyLock::new(|| {
        let (effective, opportunity) = (CloseOutState::Effective.code(), RecordKind::Opportunity.code());
        let list = "t.customer_id, t.reason_code, t.closed_at, t.amount_minor, t.amount_currency, t.outcome, t.class";
        let on = format!(
            "t.tenant_id = r.tenant_id AND t.customer_id = r.customer_id AND t.state = {effective} \
             AND t.subject_kind = {opportunity} AND t.cause IS NULL"
        );
        Sql::look_up(list, "close_out", &on, "", &CUSTOMERS)
    });
    static ORDERS: LazyLock<Sql> = LazyLock::new(|| {
        let order = RecordKind::Order.code();
        let list = "t.customer_id, t.reason_code, t.loss_at, t.lost_minor, t.lost_currency, t.outcome, t.class";
        let on = format!(
            "t.tenant_id = r.tenant_id AND t.customer_id = r.customer_id AND t.loss_at IS NOT NULL AND t.record_kind = {order} \
             AND t.cause IS NULL"
        );
        Sql::look_up(list, "lane", &on, "", &CUSTOMERS)
    });
    let mut losses = Vec::new();
    if customers.is_empty() {
        return Ok(losses);
    }
    for sql in [&*OWN, &*ORDERS] {
        let sets = customers.iter().map(|customer| cells![tenant, customer.customer_id]).collect();
        for row in db.read(sql, Args::rows(&CUSTOMERS, sets)).await? {
            losses.extend(loss(&row)?);
        }
    }
    Ok(losses)
}

fn loss(row: &Row) -> Result<Option<Loss>, Error> {
    let (outcome, class): (Option<Outcome>, Option<OutcomeClass>) = (row.get(5)?, row.get(6)?);
    let lost_at = outcome.zip(row.get(2)?).and_then(|(outcome, closed_at)| loss_at(outcome, class, closed_at));
    let Some(lost_at) = lost_at else { return Ok(None) };
    Ok(Some(Loss { customer: row.get(0)?, reason: row.get(1)?, lost_at, amount: row.get(3)? }))
}
