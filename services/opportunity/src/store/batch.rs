//! What a batch locks and loads, in the fixed order lanes, opportunities, customers, pipelines, competitors; then, kept still by
//! those locks, tasks, close-outs and what else a decision reads. One statement for each, however many commands there are.

use super::{competitors, groups, pipelines, priced, search, stale, standing, win_back};
use crate::domain::{
    Closing, Command, Customer, Group, GroupCommand, Opportunity, Staling, WinBackPlan, World, opportunity_record,
};
use crm_closeout::{
    amend::Amending,
    cascade::TaskCommand,
    codes::{Record, RecordKind},
    episode::CloseOut,
    fact::Event,
    ids::{CloseOutId, CustomerId, GroupId, OpportunityId, TaskId, TenantId, WinBackPlanId},
    reason::ReasonScope,
    records::Lane,
    task::Task,
    time::Time,
    working_set::{Common, Keyed, Rows},
};
use crm_outbox::{
    batch::{Call, Item},
    cell::{Column, Kind},
    cells,
    db::{Error, Tx},
    exchange, load, reasons, settings,
    sql::{Args, Sql, columns},
    state,
    table::{self, Table},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};
use uuid::Uuid;

/// What the items of a batch name.
#[derive(Default)]
pub(super) struct Named {
    lanes: BTreeSet<(TenantId, Record)>,
    /// Opportunities.
    pub(super) opportunities: BTreeSet<(TenantId, OpportunityId)>,
    /// Customers.
    pub(super) customers: BTreeSet<(TenantId, CustomerId)>,
    tasks: BTreeSet<(TenantId, TaskId)>,
    competitors: competitors::Named,
    /// Opportunities whose orders and tasks a decision needs.
    cascades: BTreeSet<(TenantId, Record)>,
    /// Records whose tasks a fact touches.
    roots: BTreeSet<(TenantId, Record)>,
    /// Records that get a task.
    gain_task: BTreeSet<(TenantId, Record)>,
    /// Close-outs of orders that a fact reverses or corrects: what they caused here is needed.
    reversed: BTreeSet<(TenantId, CloseOutId)>,
    /// Close-outs that are corrected, or decided about.
    amended: BTreeSet<(TenantId, CloseOutId)>,
    /// Those that are decided about, which may then do what a close-out does.
    ruled: BTreeSet<(TenantId, CloseOutId)>,
    /// Close-outs of whole customers.
    groups: BTreeSet<(TenantId, GroupId)>,
    /// Customers of whom every open opportunity is needed.
    whole: BTreeSet<(TenantId, CustomerId)>,
    /// Groups that are to be taken back: their close-outs are needed.
    regained: BTreeSet<(TenantId, GroupId)>,
    /// Plans to win customers back.
    plans: BTreeSet<(TenantId, WinBackPlanId)>,
    /// Those that a command names, which does not say whose they are.
    worked_on: BTreeSet<(TenantId, WinBackPlanId)>,
    /// Customers of whom open plans may end.
    planned: BTreeSet<(TenantId, CustomerId)>,
    /// Tenants whose reasons are changed.
    catalogues: BTreeSet<TenantId>,
    /// Tenants that close something out, so that what they have decided counts.
    decided: BTreeSet<TenantId>,
    /// Tenants that change what they have decided.
    decides: BTreeSet<TenantId>,
    /// Exchange rates that are changed.
    rates: BTreeSet<(TenantId, Uuid)>,
    numbers: BTreeSet<(TenantId, String)>,
    /// Opportunities that were found to be stale, and when.
    stale: BTreeMap<(TenantId, OpportunityId), Time>,
    /// Tenants that change what they have decided about stale opportunities, or have it acted upon.
    policies: BTreeSet<TenantId>,
    /// Tenants with an opportunity that enters a stage.
    enters_stage: BTreeSet<TenantId>,
    /// Tenants that change their pipelines.
    changes_pipelines: BTreeSet<TenantId>,
}

impl Named {
    /// Takes in what an item names.
    pub(super) fn item(&mut self, item: &Item<Command>) {
        match item {
            Item::Call(call) => self.command(call.cause.tenant_id, &call.command),
            Item::Release(_) => {}
            Item::Message(message) => {
                let (tenant, Some(fact)) = (message.tenant_id, &message.fact) else { return };
                let moves = matches!(fact.event, Event::Closed | Event::Reopened | Event::Snapshot);
                if let Some(parent) = fact.parent {
                    let parent = OpportunityId(parent);
                    self.opportunities.insert((tenant, parent));
                    if moves {
                        self.cascades.insert((tenant, opportunity_record(parent)));
                    }
                }
                self.customers.extend(fact.customer_id.map(|id| (tenant, id)));
                if moves {
                    self.roots.insert((tenant, message.record));
                }
                if matches!(fact.event, Event::Reopened | Event::Amended) {
                    self.reversed.extend(fact.close_out.as_ref().map(|closed| (tenant, closed.close_out_id)));
                }
                // A close-out that is new has no plan yet.
                if matches!(fact.event, Event::Reopened | Event::Amended | Event::Snapshot) {
                    self.plans.extend(fact.close_out.as_ref().map(|closed| plan(tenant, closed.close_out_id)));
                    self.planned.extend(fact.customer_id.map(|id| (tenant, id)));
                }
            }
        }
    }

    fn command(&mut self, tenant: TenantId, command: &Command) {
        match command {
            Command::CreateCustomer(_) => {}
            Command::UpdateCustomer { id, edit, .. } => {
                self.customers.insert((tenant, *id));
                if edit.do_not_contact == Some(true) {
                    self.planned.insert((tenant, *id));
                }
            }
            Command::CreateOpportunity(new) => {
                self.customers.extend(new.customer_id.map(|id| (tenant, id)));
                self.worked_on.extend(new.recovered_from.map(|plan| (tenant, plan)));
                self.number(tenant, &new.number);
                self.enters_stage.insert(tenant);
            }
            Command::UpdateOpportunity { id, edit, .. } => {
                self.opportunities.insert((tenant, *id));
                self.customers.extend(edit.customer_id.map(|id| (tenant, id)));
                self.number(tenant, edit.number.as_deref().unwrap_or_default());
            }
            Command::MoveStage { id, .. } => {
                self.opportunities.insert((tenant, *id));
                self.enters_stage.insert(tenant);
            }
            Command::Win { id, .. } | Command::Resume { id, .. } | Command::ResumeInTime { id, .. } => {
                self.opportunities.insert((tenant, *id));
            }
            Command::Snooze(hold) => drop(self.opportunities.insert((tenant, hold.id))),
            Command::Pipeline(_) => drop(self.changes_pipelines.insert(tenant)),
            Command::Reopen { id, .. } => self.cascade(tenant, *id),
            Command::Resend(resend) => match resend.record.kind {
                RecordKind::Customer => drop(self.customers.insert((tenant, CustomerId(resend.record.id)))),
                RecordKind::Opportunity | RecordKind::Order => self.cascade(tenant, OpportunityId(resend.record.id)),
                RecordKind::Reason => drop(self.catalogues.insert(tenant)),
                RecordKind::Settings => drop(self.decides.insert(tenant)),
                RecordKind::ExchangeRate => drop(self.rates.insert((tenant, resend.record.id))),
            },
            Command::CloseOut(closing) | Command::Preview(closing) => {
                self.cascade(tenant, closing.id);
                self.decided.insert(tenant);
                self.competitors.read(tenant, closing.competitor);
            }
            Command::Stale(Staling { closing, looked_at, .. }) => {
                self.stale.insert((tenant, closing.id), *looked_at);
                self.cascade(tenant, closing.id);
                self.decided.insert(tenant);
            }
            Command::UpdateStalePolicy { .. } | Command::ScheduleSweep { .. } => drop(self.policies.insert(tenant)),
            Command::Rule(ruling) => {
                self.amended.insert((tenant, ruling.id));
                self.ruled.insert((tenant, ruling.id));
            }
            Command::Amend(amending) => {
                self.amended.insert((tenant, amending.id));
                self.decided.insert(tenant);
                self.competitors.read(tenant, amending.competitor.flatten());
            }
            Command::Task(TaskCommand::Create(new)) => {
                self.root(tenant, new.root);
                self.gain_task.insert((tenant, new.root));
            }
            Command::Task(TaskCommand::Change { id, .. }) => drop(self.tasks.insert((tenant, *id))),
            Command::Reason(_) => drop(self.catalogues.insert(tenant)),
            Command::UpdateSettings { .. } => drop(self.decides.insert(tenant)),
            Command::Rate(command) => drop(self.rates.insert((tenant, command.key().id()))),
            Command::Competitor(command) => self.competitors.command(tenant, command),
            Command::Group(command) => self.group(tenant, command),
            Command::WinBack(command) => drop(self.worked_on.insert((tenant, command.id))),
        }
    }

    fn group(&mut self, tenant: TenantId, command: &GroupCommand) {
        match command {
            GroupCommand::CloseOut { closing, .. } => {
                self.whole.insert((tenant, closing.customer_id));
                self.customers.insert((tenant, closing.customer_id));
                self.decided.insert(tenant);
                self.competitors.read(tenant, closing.competitor);
            }
            GroupCommand::Close(closing) => {
                self.groups.extend(closing.group_id.map(|group| (tenant, group)));
                self.cascade(tenant, closing.id);
                self.decided.insert(tenant);
                self.competitors.read(tenant, closing.competitor);
            }
            GroupCommand::Finish { id, customer_id } => {
                self.groups.insert((tenant, *id));
                self.whole.insert((tenant, *customer_id));
                self.customers.insert((tenant, *customer_id));
            }
            GroupCommand::Reopen { id, customer_id, .. } | GroupCommand::FinishReopening { id, customer_id } => {
                self.groups.insert((tenant, *id));
                self.regained.insert((tenant, *id));
                self.customers.insert((tenant, *customer_id));
            }
            GroupCommand::Reverse { id, close_out_id } => {
                self.groups.insert((tenant, *id));
                self.amended.insert((tenant, *close_out_id));
                self.ruled.insert((tenant, *close_out_id));
            }
        }
    }

    fn cascade(&mut self, tenant: TenantId, id: OpportunityId) {
        self.opportunities.insert((tenant, id));
        self.cascades.insert((tenant, opportunity_record(id)));
    }

    fn number(&mut self, tenant: TenantId, number: &str) {
        if !number.is_empty() {
            self.numbers.insert((tenant, number.to_owned()));
        }
    }

    fn root(&mut self, tenant: TenantId, root: Record) {
        match root.kind {
            RecordKind::Order => drop(self.lanes.insert((tenant, root))),
            RecordKind::Opportunity => drop(self.opportunities.insert((tenant, OpportunityId(root.id)))),
            RecordKind::Customer => drop(self.customers.insert((tenant, CustomerId(root.id)))),
            RecordKind::Reason | RecordKind::Settings | RecordKind::ExchangeRate => {}
        }
    }
}

/// What a close-out gives as its reason.
fn asked(item: &Item<Command>) -> Option<reasons::Asked<'_>> {
    let Item::Call(Call { cause, command, .. }) = item else { return None };
    let given = match (closing(command), command) {
        (Some(closing), _) | (None, Command::Preview(closing)) => closing.given(),
        (None, Command::Group(GroupCommand::CloseOut { closing, .. })) => closing.given(),
        (None, _) => return None,
    };
    Some((cause.tenant_id, ReasonScope::Opportunity, given))
}

/// What a call closes out.
pub(super) fn closing(command: &Command) -> Option<&Closing> {
    if let Command::CloseOut(closing)
    | Command::Stale(Staling { closing, .. })
    | Command::Group(GroupCommand::Close(closing)) = command
    {
        Some(closing)
    } else {
        None
    }
}

/// What a call corrects.
fn amending(command: &Command) -> Option<&Amending> {
    if let Command::Amend(amending) = command { Some(amending) } else { None }
}

/// The plan of a close-out.
const fn plan(tenant: TenantId, close_out: CloseOutId) -> (TenantId, WinBackPlanId) {
    (tenant, WinBackPlanId(close_out.0))
}

/// Locks and loads what the items name.
pub(crate) async fn load(tx: &mut Tx, mut common: Common, items: &[Item<Command>]) -> Result<World, Error> {
    let mut named = Named::default();
    items.iter().for_each(|item| named.item(item));
    let named_tasks: Vec<_> = named.tasks.iter().copied().collect();
    for task in table::load::<Task>(tx, &named_tasks).await?.iter() {
        named.root(task.tenant_id, task.root);
    }
    // Whose they are never changes.
    for plan in table::load::<WinBackPlan>(tx, &named.worked_on.iter().copied().collect::<Vec<_>>()).await?.iter() {
        named.customers.insert((plan.tenant_id, plan.customer_id));
        named.planned.insert((plan.tenant_id, plan.customer_id));
    }
    named.amended.extend(groups::in_force(tx, &named.regained, items.len()).await?);
    named.opportunities.extend(groups::in_work(tx, &named.whole, items.len()).await?);
    let amended = load::amended(tx, &named.amended).await?;
    for row in amended.iter() {
        let id = OpportunityId(row.subject.id);
        named.opportunities.insert((row.tenant_id, id));
        named.groups.extend(row.group_id.map(|group| (row.tenant_id, group)));
        if named.ruled.contains(&row.key()) {
            named.cascade(row.tenant_id, id);
        }
    }
    common.lanes = load::lock_lanes(tx, items, named.lanes.clone()).await?;
    named.reversed.extend(load::closes_in_doubt(items, &common.lanes));
    let caused = load::caused(tx, &named.reversed).await?;
    for close_out in &caused {
        named.cascade(close_out.tenant_id, OpportunityId(close_out.subject.id));
    }
    let keys: Vec<_> = named.opportunities.iter().copied().collect();
    let opportunities: Rows<Opportunity> = table::lock(tx, &keys).await?;
    named.customers.extend(opportunities.iter().filter_map(|o| o.customer_id.map(|id| (o.tenant_id, id))));
    let keys: Vec<_> = named.customers.iter().copied().collect();
    let customers: Rows<Customer> = table::lock(tx, &keys).await?;
    groups::check_whole(&named.whole, &customers, &opportunities)?;
    let groups: Rows<Group> = table::lock(tx, &named.groups.iter().copied().collect::<Vec<_>>()).await?;
    let pipelines = pipelines::load(tx, &named.enters_stage, &named.changes_pipelines).await?;
    let competitors = competitors::load(tx, &named.competitors).await?;

    for lane in children(tx, &named.cascades).await? {
        common.lanes.add_loaded(lane);
    }
    let roots = named.roots.union(&named.cascades).copied().collect();
    common.tasks = Rows::loaded(load::tasks_of_roots(tx, &roots, items.len()).await?);
    for task in table::load::<Task>(tx, &named_tasks).await?.iter() {
        common.tasks.add_loaded(task.clone());
    }
    common.open_tasks = load::open_tasks(tx, &named.gain_task).await?;
    let closed =
        opportunities.iter().filter(|o| named.cascades.contains(&(o.tenant_id, opportunity_record(o.opportunity_id))));
    let closed = closed
        .filter_map(|o| Some((o.tenant_id, o.close_out_id?)))
        .chain(amended.iter().chain(&caused).map(Keyed::key));
    let closed: Vec<_> = closed.collect::<BTreeSet<_>>().into_iter().collect();
    common.close_outs = table::lock::<CloseOut>(tx, &closed).await?;
    let closed = common.close_outs.iter();
    named.planned.extend(closed.filter_map(|row| row.customer_id.map(|customer| (row.tenant_id, customer))));
    named.plans.append(&mut named.worked_on);
    named.plans.extend(amended.iter().map(|row| plan(row.tenant_id, row.close_out_id)));
    let (plans, tallies) = win_back::load(tx, &named.plans, &named.planned, &customers).await?;
    let priced = priced::asked(items, &amended, &opportunities, common.now);
    named.decided.extend(priced.iter().map(|(tenant, ..)| *tenant));
    common.settings = settings::lock(tx, &named.decides).await?;
    common.rates = table::lock(tx, &named.rates.iter().copied().collect::<Vec<_>>()).await?;
    common.reasons = reasons::lock(tx, &named.catalogues).await?;
    let asked: Vec<_> = items.iter().filter_map(asked).collect();
    let told = load::reasons_of(items, &amended, amending);
    reasons::load(tx, &mut common, (named.decided, &named.decides), told, &asked).await?;
    exchange::find(tx, &mut common, &priced).await?;
    let policies = table::lock(tx, &named.policies.iter().copied().collect::<Vec<_>>()).await?;
    let touched = stale::touched(tx, &named.stale).await?;
    let numbers = load::taken(tx, &NUMBERS, &named.numbers).await?;
    let names = competitors::taken(tx, &named.competitors).await?;
    let weighed = standing::weighed(items, &amended, &opportunities, &plans, &customers);
    let standing = standing::standing(tx, &weighed, &customers, &opportunities, &common).await?;
    Ok(World {
        common,
        opportunities,
        customers,
        groups,
        plans,
        competitors,
        pipelines,
        policies,
        touched,
        standing,
        tallies,
        numbers,
        names,
    })
}

/// Saves what has changed in the service's own tables.
pub(crate) async fn save(tx: &mut Tx, world: &World) -> Result<(), Error> {
    table::save(tx, &world.customers).await?;
    table::save(tx, &world.opportunities).await?;
    table::save(tx, &world.groups).await?;
    table::save(tx, &world.plans).await?;
    table::save(tx, &world.pipelines).await?;
    table::save(tx, &world.competitors).await?;
    table::save(tx, &world.policies).await?;
    let moved = |(before, after): (Option<&Opportunity>, &Opportunity)| {
        ((after.tenant_id, after.opportunity_id.0), before.map(|before| before.state), after.state)
    };
    state::save(tx, world.opportunities.changes().map(moved)).await?;
    search::save(tx, world).await
}

/// Mirrors of the orders of these opportunities.
async fn children(tx: &mut Tx, parents: &BTreeSet<(TenantId, Record)>) -> Result<Vec<Lane>, Error> {
    static COLUMNS: LazyLock<Vec<Column>> =
        LazyLock::new(|| columns([("tenant_id", Kind::Uuid), ("parent_id", Kind::Uuid)]));
    static CHILDREN: LazyLock<Sql> = LazyLock::new(|| {
        let on = "t.tenant_id = r.tenant_id AND t.parent_id = r.parent_id AND t.parent_id IS NOT NULL";
        Sql::look_up(&Lane::statements().list, "lane", on, "", &COLUMNS)
    });
    if parents.is_empty() {
        return Ok(Vec::new());
    }
    let rows = parents.iter().map(|(tenant, parent)| cells![*tenant, parent.id]).collect();
    tx.table_rows(&CHILDREN, Args::rows(&COLUMNS, rows)).await
}

static NUMBERS: LazyLock<Sql> = LazyLock::new(|| load::in_use("opportunity", "number"));
