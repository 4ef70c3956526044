//! What a batch locks and loads, in the fixed order lanes, orders, customers; then, kept still by those locks, tasks,
//! close-outs and what else a decision reads. One statement for each, however many commands there are.
//!
//! Every command about an order locks the lane of its opportunity first, so the draft orders of an opportunity stand still
//! while its close-out is applied.

use super::{priced, search};
use crate::domain::{Command, Customer, Order, World, order_record};
use crm_closeout::{
    amend::Amending,
    cascade::TaskCommand,
    codes::{Record, RecordKind},
    episode::CloseOut,
    fact::Event,
    ids::{CloseOutId, CustomerId, OpportunityId, OrderId, TaskId, TenantId},
    reason::ReasonScope,
    task::Task,
    working_set::{Common, Keyed, Rows},
};
use crm_outbox::{
    batch::{Call, Item},
    cell::{Column, Kind},
    cells,
    db::{Error, Tx},
    exchange, load, reasons, settings,
    sql::{Sql, columns},
    state, table,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};
use uuid::Uuid;

/// What the items of a batch name.
#[derive(Default)]
struct Named {
    lanes: BTreeSet<(TenantId, Record)>,
    orders: BTreeSet<(TenantId, OrderId)>,
    customers: BTreeSet<(TenantId, CustomerId)>,
    /// Customers of facts: put in as stubs where they are missing.
    told: BTreeSet<(TenantId, CustomerId)>,
    tasks: BTreeSet<(TenantId, TaskId)>,
    /// Orders that are closed out or reopened.
    cascades: BTreeSet<(TenantId, OrderId)>,
    /// Close-outs that are corrected, or decided about.
    amended: BTreeSet<(TenantId, CloseOutId)>,
    /// Those that are decided about, which may then do what a close-out does.
    ruled: BTreeSet<(TenantId, CloseOutId)>,
    /// Opportunities that a fact closes or reopens: their draft and live orders are needed.
    moved: BTreeSet<(TenantId, OpportunityId)>,
    /// Close-outs of opportunities that a fact reverses or corrects: what they caused here is needed.
    reversed: BTreeSet<(TenantId, CloseOutId)>,
    /// Opportunities that get a draft order.
    gain_draft: BTreeSet<(TenantId, OpportunityId)>,
    /// Records that get a task.
    gain_task: BTreeSet<(TenantId, Record)>,
    /// Reasons that facts tell of.
    reasons: BTreeSet<(TenantId, String)>,
    /// Tenants that close something out, so that what they have decided counts.
    decided: BTreeSet<TenantId>,
    /// Tenants of whose settings facts tell.
    decides: BTreeSet<TenantId>,
    /// Exchange rates that facts tell of.
    rates: BTreeSet<(TenantId, Uuid)>,
    numbers: BTreeSet<(TenantId, String)>,
}

impl Named {
    fn item(&mut self, item: &Item<Command>) {
        match item {
            Item::Call(call) => self.command(call.cause.tenant_id, &call.command),
            Item::Release(_) => {}
            Item::Message(message) => {
                let (tenant, Some(fact)) = (message.tenant_id, &message.fact) else { return };
                let customers = if message.rehearsal { &mut self.customers } else { &mut self.told };
                customers.extend(fact.customer_id.map(|id| (tenant, id)));
                self.reasons.extend(fact.reason.as_ref().map(|told| (tenant, told.reason.code.to_string())));
                self.decides.extend(fact.settings.as_ref().map(|_| tenant));
                self.rates.extend(fact.rate.as_ref().map(|told| (tenant, told.key.id())));
                if message.record.kind != RecordKind::Opportunity {
                    return;
                }
                if matches!(fact.event, Event::Closed | Event::Reopened | Event::Snapshot) {
                    self.moved.insert((tenant, OpportunityId(message.record.id)));
                }
                if matches!(fact.event, Event::Reopened | Event::Amended) {
                    self.reversed.extend(fact.close_out.as_ref().map(|closed| (tenant, closed.close_out_id)));
                }
            }
        }
    }

    fn command(&mut self, tenant: TenantId, command: &Command) {
        match command {
            Command::CreateOrder(new) => {
                self.customers.insert((tenant, new.customer_id));
                self.lanes.extend(new.opportunity_id.map(|id| (tenant, lane_of(id))));
                self.gain_draft.extend(new.opportunity_id.map(|id| (tenant, id)));
                self.number(tenant, &new.number);
            }
            Command::UpdateOrder { id, edit, .. } => {
                self.orders.insert((tenant, *id));
                self.number(tenant, edit.number.as_deref().unwrap_or_default());
            }
            Command::Confirm { id, .. } | Command::Fulfil { id, .. } | Command::Pay { id, .. } => {
                self.orders.insert((tenant, *id));
            }
            Command::CancelLines(cancelling) => {
                self.orders.insert((tenant, cancelling.id));
                self.decided.insert(tenant);
            }
            Command::CloseOut(closing) | Command::Preview(closing) => {
                self.cascade(tenant, closing.id);
                self.decided.insert(tenant);
            }
            Command::Rule(ruling) => {
                self.amended.insert((tenant, ruling.id));
                self.ruled.insert((tenant, ruling.id));
            }
            Command::Amend(amending) => {
                self.amended.insert((tenant, amending.id));
                self.decided.insert(tenant);
            }
            Command::Reopen { id, .. } => self.cascade(tenant, *id),
            Command::Resend(resend) => self.cascade(tenant, OrderId(resend.record.id)),
            Command::Task(TaskCommand::Create(new)) => {
                self.root(tenant, new.root);
                self.gain_task.insert((tenant, new.root));
            }
            Command::Task(TaskCommand::Change { id, .. }) => drop(self.tasks.insert((tenant, *id))),
        }
    }

    fn cascade(&mut self, tenant: TenantId, id: OrderId) {
        self.orders.insert((tenant, id));
        self.cascades.insert((tenant, id));
    }

    fn number(&mut self, tenant: TenantId, number: &str) {
        if !number.is_empty() {
            self.numbers.insert((tenant, number.to_owned()));
        }
    }

    fn root(&mut self, tenant: TenantId, root: Record) {
        match root.kind {
            RecordKind::Opportunity => drop(self.lanes.insert((tenant, root))),
            RecordKind::Order => drop(self.orders.insert((tenant, OrderId(root.id)))),
            RecordKind::Customer => drop(self.customers.insert((tenant, CustomerId(root.id)))),
            RecordKind::Reason | RecordKind::Settings | RecordKind::ExchangeRate => {}
        }
    }
}

/// What a close-out gives as its reason.
fn asked(item: &Item<Command>) -> Option<reasons::Asked<'_>> {
    match item {
        Item::Call(Call { cause, command: Command::CloseOut(closing) | Command::Preview(closing), .. }) => {
            Some((cause.tenant_id, closing.scope(), closing.given()))
        }
        Item::Call(Call { cause, command: Command::CancelLines(cancelling), .. }) => {
            Some((cause.tenant_id, ReasonScope::Order, cancelling.given()))
        }
        Item::Call(_) | Item::Release(_) | Item::Message(_) => None,
    }
}

const fn lane_of(id: OpportunityId) -> Record {
    Record::new(RecordKind::Opportunity, id.0)
}

/// What a call corrects.
fn amending(command: &Command) -> Option<&Amending> {
    if let Command::Amend(amending) = command { Some(amending) } else { None }
}

/// Locks and loads what the items name.
pub(crate) async fn load(tx: &mut Tx, mut common: Common, items: &[Item<Command>]) -> Result<World, Error> {
    let mut named = Named::default();
    items.iter().for_each(|item| named.item(item));
    let named_tasks: Vec<_> = named.tasks.iter().copied().collect();
    for task in table::load::<Task>(tx, &named_tasks).await?.iter() {
        named.root(task.tenant_id, task.root);
    }
    let amended = load::amended(tx, &named.amended).await?;
    for row in amended.iter() {
        let id = OrderId(row.subject.id);
        named.orders.insert((row.tenant_id, id));
        if named.ruled.contains(&row.key()) {
            named.cascade(row.tenant_id, id);
        }
    }
    named.reasons.extend(load::reasons_of(items, &amended, amending));
    named.lanes.extend(parents(tx, &named.orders).await?);
    common.lanes = load::lock_lanes(tx, items, named.lanes.clone()).await?;
    named.reversed.extend(load::closes_in_doubt(items, &common.lanes));
    // Only now, as whoever held the lane may have cancelled drafts a moment ago.
    let caused = load::caused(tx, &named.reversed).await?;
    named.orders.extend(caused.iter().map(|close_out| (close_out.tenant_id, OrderId(close_out.subject.id))));
    named.orders.extend(unfinished_orders(tx, &named.moved).await?);
    let keys: Vec<_> = named.orders.iter().copied().collect();
    let orders: Rows<Order> = table::lock(tx, &keys).await?;
    named.customers.extend(orders.iter().map(|order| (order.tenant_id, order.customer_id)));
    let customers = customers(tx, &named, &common).await?;

    let roots = roots(&named, &orders, &common);
    common.tasks = Rows::loaded(load::tasks_of_roots(tx, &roots, items.len()).await?);
    for task in table::load::<Task>(tx, &named_tasks).await?.iter() {
        common.tasks.add_loaded(task.clone());
    }
    common.open_tasks = load::open_tasks(tx, &named.gain_task).await?;
    let mut close_outs: BTreeSet<_> = caused.iter().chain(amended.iter()).map(Keyed::key).collect();
    let reopened = named.cascades.iter().filter_map(|key| orders.get(key));
    close_outs.extend(reopened.filter_map(|order| Some((order.tenant_id, order.close_out_id?))));
    common.close_outs = table::lock::<CloseOut>(tx, &close_outs.into_iter().collect::<Vec<_>>()).await?;
    let priced = priced::asked(items, &amended, &orders, common.now);
    named.decided.extend(priced.iter().map(|(tenant, ..)| *tenant));
    common.settings = settings::lock(tx, &named.decides).await?;
    common.rates = table::lock(tx, &named.rates.iter().copied().collect::<Vec<_>>()).await?;
    let asked: Vec<_> = items.iter().filter_map(asked).collect();
    reasons::load(tx, &mut common, (named.decided, &named.decides), named.reasons, &asked).await?;
    exchange::find(tx, &mut common, &priced).await?;
    let drafts = drafts(tx, &named.gain_draft).await?;
    let numbers = load::taken(tx, &NUMBERS, &named.numbers).await?;
    Ok(World { common, orders, customers, drafts, numbers })
}

/// Saves what has changed in the service's own tables.
pub(crate) async fn save(tx: &mut Tx, world: &World) -> Result<(), Error> {
    table::save(tx, &world.customers).await?;
    table::save(tx, &world.orders).await?;
    let moved = |(before, after): (Option<&Order>, &Order)| {
        ((after.tenant_id, after.order_id.0), before.map(|before| before.state), after.state)
    };
    state::save(tx, world.orders.changes().map(moved)).await?;
    search::save(tx, world).await
}

/// Records whose tasks are cancelled or restored: the subjects, and the opportunities that facts close or reopen.
fn roots(named: &Named, orders: &Rows<Order>, common: &Common) -> BTreeSet<(TenantId, Record)> {
    let mut roots: BTreeSet<_> = named.cascades.iter().map(|(tenant, id)| (*tenant, order_record(*id))).collect();
    if !named.moved.is_empty() {
        roots.extend(orders.iter().map(|order| (order.tenant_id, order_record(order.order_id))));
        let lanes = common.lanes.iter().filter(|lane| lane.record.kind == RecordKind::Opportunity);
        roots.extend(lanes.map(Keyed::key));
    }
    roots
}

async fn customers(tx: &mut Tx, named: &Named, common: &Common) -> Result<Rows<Customer>, Error> {
    let stubs = named.told.iter().map(|(tenant, id)| Customer::stub(*tenant, *id, common.now)).collect();
    let keys: Vec<_> = named.customers.union(&named.told).copied().collect();
    table::lock_or_add(tx, &keys, stubs).await
}

static ORDER_KEYS: LazyLock<Vec<Column>> =
    LazyLock::new(|| columns([("tenant_id", Kind::Uuid), ("order_id", Kind::Uuid)]));
static OPPORTUNITY_KEYS: LazyLock<Vec<Column>> =
    LazyLock::new(|| columns([("tenant_id", Kind::Uuid), ("opportunity_id", Kind::Uuid)]));

/// Lanes of the opportunities of these orders. An order never changes its opportunity, so this needs no lock.
async fn parents(tx: &mut Tx, orders: &BTreeSet<(TenantId, OrderId)>) -> Result<Vec<(TenantId, Record)>, Error> {
    static PARENTS: LazyLock<Sql> = LazyLock::new(|| {
        let on = "t.tenant_id = r.tenant_id AND t.order_id = r.order_id AND t.opportunity_id IS NOT NULL";
        Sql::look_up("t.tenant_id, t.opportunity_id", "sales_order", on, "", &ORDER_KEYS)
    });
    let keys = orders.iter().map(|(tenant, id)| cells![*tenant, *id]).collect();
    let rows = tx.look_up(&PARENTS, &ORDER_KEYS, keys).await?;
    rows.iter().map(|row| Ok((row.get(0)?, lane_of(row.get(1)?)))).collect()
}

/// Orders of these opportunities that are not closed out.
async fn unfinished_orders(
    tx: &mut Tx,
    opportunities: &BTreeSet<(TenantId, OpportunityId)>,
) -> Result<Vec<(TenantId, OrderId)>, Error> {
    static UNFINISHED: LazyLock<Sql> = LazyLock::new(|| {
        let on = "t.tenant_id = r.tenant_id AND t.opportunity_id = r.opportunity_id AND t.opportunity_id IS NOT NULL \
                  AND t.state IN (1, 2, 3, 4)";
        Sql::look_up("t.tenant_id, t.order_id", "sales_order", on, "", &OPPORTUNITY_KEYS)
    });
    let keys = opportunities.iter().map(|(tenant, id)| cells![*tenant, *id]).collect();
    let rows = tx.look_up(&UNFINISHED, &OPPORTUNITY_KEYS, keys).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// How many draft orders these opportunities have.
async fn drafts(
    tx: &mut Tx,
    opportunities: &BTreeSet<(TenantId, OpportunityId)>,
) -> Result<BTreeMap<(TenantId, OpportunityId), i64>, Error> {
    static DRAFTS: LazyLock<Sql> = LazyLock::new(|| {
        Sql::new(
            // The state is no part of the join: its own index would lead to every draft of the tenant.
            "SELECT r.tenant_id, r.opportunity_id, count(CASE WHEN t.state = 1 THEN 1 END) FROM {rows} \
             LEFT JOIN sales_order AS t ON t.tenant_id = r.tenant_id AND t.opportunity_id = r.opportunity_id \
             AND t.opportunity_id IS NOT NULL GROUP BY r.tenant_id, r.opportunity_id",
            &OPPORTUNITY_KEYS,
        )
    });
    let keys = opportunities.iter().map(|(tenant, id)| cells![*tenant, *id]).collect();
    let rows = tx.look_up(&DRAFTS, &OPPORTUNITY_KEYS, keys).await?;
    rows.iter().map(|row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?))).collect()
}

static NUMBERS: LazyLock<Sql> = LazyLock::new(|| load::in_use("sales_order", "number"));
