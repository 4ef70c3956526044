//! What there is to be closed out: open opportunities with a customer and three tasks of the order service each, as the services
//! themselves would have written them. Every row and every id follows from its number, so nothing has to be remembered.

use crm_closeout::{
    codes::{Code, Record, RecordKind},
    fact::{MirrorState, PeerOutcome},
    ids::{CustomerId, OpportunityId, TaskId, TenantId},
    money::{Currency, Money, Sums},
    pipeline::StageName,
    records::{AuditEntry, Lane, Received},
    search,
    task::{Task, TaskKind, TaskState},
    time::Time,
};
use crm_opportunity::domain as sales;
use crm_order::domain as trade;
use crm_outbox::{
    search::{Entry, NamePart},
    state::InState,
};
use uuid::Uuid;

/// Opportunities of one customer.
pub(crate) const OF_A_CUSTOMER: u64 = 5;
/// Tasks of one opportunity.
pub(crate) const TASKS: u64 = 3;
/// Minor units that an opportunity is worth.
const WORTH: i64 = 10_000;
/// The first opportunity was made then, in microseconds: longer ago than answers are kept.
const BEGAN: i64 = 1_750_000_000_000_000;

/// Whose an id is.
#[derive(Clone, Copy, Debug)]
#[repr(u16)]
enum Kind {
    Tenant = 1,
    Customer = 2,
    Opportunity = 3,
    Task = 4,
    Message = 5,
    Audit = 6,
    Request = 7,
}

/// The `n`-th id of a kind: version 7, in the order of the numbers, as ids are in life. `floor.sql` makes the same ones.
fn id(kind: Kind, n: u64) -> Uuid {
    Uuid::from_u128(0x0197_a000_0000_7000_8000_0000_0000_0000 | u128::from(kind as u16) << 64 | u128::from(n))
}

/// How much there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deals {
    /// Opportunities in all.
    pub(crate) opportunities: u64,
    /// Tenants, among which the customers are dealt out.
    pub(crate) tenants: u64,
    /// With the audit trail of how it came about, which the checker asks for.
    pub(crate) history: bool,
}

impl Deals {
    /// Customers in all.
    pub(crate) fn customers(&self) -> u64 {
        self.opportunities.div_ceil(OF_A_CUSTOMER)
    }

    fn customer_of(&self, n: u64) -> u64 {
        n % self.customers()
    }

    /// The tenant of an opportunity.
    pub(crate) fn tenant(&self, n: u64) -> TenantId {
        self.tenant_of_customer(self.customer_of(n))
    }

    fn tenant_of_customer(&self, customer: u64) -> TenantId {
        TenantId(id(Kind::Tenant, customer % self.tenants))
    }

    /// The customer of an opportunity.
    pub(crate) fn customer(&self, n: u64) -> CustomerId {
        CustomerId(id(Kind::Customer, self.customer_of(n)))
    }

    /// Opportunities of a customer.
    fn opportunities_of(&self, customer: u64) -> u64 {
        (self.opportunities - customer).div_ceil(self.customers())
    }

    /// Customers as sales has them.
    pub(crate) fn sales_customers(&self) -> impl Iterator<Item = sales::Customer> + '_ {
        (0..self.customers()).map(move |c| {
            let open = self.opportunities_of(c) as i64;
            let mut amounts = Sums::default();
            amounts.0.insert(cny(), [open * WORTH, 0, 0]);
            sales::Customer {
                tenant_id: self.tenant_of_customer(c),
                customer_id: CustomerId(id(Kind::Customer, c)),
                display_name: name(c),
                tier: "A".into(),
                owner: owner(c),
                do_not_contact: false,
                lifecycle: sales::Lifecycle::Active,
                engaged: true,
                open_count: open,
                won_count: 0,
                lost_count: 0,
                live_order_count: 0,
                amounts,
                last_loss_at: None,
                closing: None,
                plan_count: 0,
                running_count: 0,
                win_back_at: None,
                contacted_at: None,
                created_at: made(c),
                updated_at: made(c),
                version: 1,
                sent: 1,
            }
        })
    }

    /// Open opportunities.
    pub(crate) fn opportunities(&self) -> impl Iterator<Item = sales::Opportunity> + '_ {
        (0..self.opportunities).map(move |n| sales::Opportunity {
            tenant_id: self.tenant(n),
            opportunity_id: opportunity(n),
            number: format!("S-{n}"),
            customer_id: Some(self.customer(n)),
            title: "Cameras for the new warehouse".into(),
            owner: owner(n),
            team: "north".into(),
            stage: StageName::new("default", "engaging"),
            state: sales::State::Open,
            amount: Money { minor: WORTH, currency: cny() },
            expected_close_at: None,
            source: "seed".into(),
            created_at: made(n),
            stage_entered_at: made(n),
            activity_at: made(n),
            won_at: None,
            resume_at: None,
            hold_note: String::new(),
            flag: None,
            taken_back_by: None,
            won_before: None,
            close_out_id: None,
            closed_at: None,
            loss_at: None,
            recovered_from: None,
            historical: false,
            updated_at: made(n),
            version: 1,
            epoch: 0,
            declined: 0,
            sent: 1,
        })
    }

    /// What the opportunities are found by.
    pub(crate) fn search_subjects(&self) -> impl Iterator<Item = Entry> + '_ {
        self.opportunities().map(|opportunity| Entry {
            tenant_id: opportunity.tenant_id,
            subject_id: opportunity.opportunity_id.0,
            number: search::fold(&opportunity.number),
            customer_id: opportunity.customer_id,
            owner: opportunity.owner,
            created_at: opportunity.created_at,
            amount: opportunity.amount,
        })
    }

    /// In which states the opportunities are.
    pub(crate) fn states(&self) -> impl Iterator<Item = InState> + '_ {
        (0..self.opportunities).map(move |n| InState {
            tenant_id: self.tenant(n),
            state: sales::State::Open.code(),
            subject_id: opportunity(n).0,
        })
    }

    /// What the customers are found by, the same on both sides.
    pub(crate) fn search_names(&self) -> impl Iterator<Item = NamePart> + '_ {
        (0..self.customers()).flat_map(move |c| {
            let (tenant_id, customer_id) = (self.tenant_of_customer(c), CustomerId(id(Kind::Customer, c)));
            search::parts(&search::fold(&name(c))).into_iter().map(move |part| NamePart {
                tenant_id,
                inside: part.at > 0,
                part: part.text,
                customer_id,
                place: part.at as i64,
            })
        })
    }

    /// Trade records of the customers.
    pub(crate) fn trade_customers(&self) -> impl Iterator<Item = trade::Customer> + '_ {
        (0..self.customers()).map(move |c| {
            let (tenant, customer) = (self.tenant_of_customer(c), CustomerId(id(Kind::Customer, c)));
            trade::Customer { display_name: name(c), ..trade::Customer::stub(tenant, customer, made(c)) }
        })
    }

    /// What the order service knows of customers and opportunities.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = Lane> + '_ {
        let lane = |tenant, record, customer, owner| Lane {
            last_number: 1,
            customer_id: Some(customer),
            state: Some(MirrorState::Live),
            owner,
            ..Lane::unknown(tenant, record)
        };
        let customers = (0..self.customers()).map(move |c| {
            let customer = CustomerId(id(Kind::Customer, c));
            lane(self.tenant_of_customer(c), Record::new(RecordKind::Customer, customer.0), customer, owner(c))
        });
        let opportunities = (0..self.opportunities).map(move |n| {
            lane(self.tenant(n), Record::new(RecordKind::Opportunity, opportunity(n).0), self.customer(n), owner(n))
        });
        customers.chain(opportunities)
    }

    /// Messages about customers and opportunities that have come.
    pub(crate) fn received(&self) -> impl Iterator<Item = Received> + '_ {
        self.lanes().enumerate().map(|(n, lane)| Received {
            tenant_id: lane.tenant_id,
            record: lane.record,
            number: 1,
            message_id: id(Kind::Message, n as u64),
            hash: vec![0; 32],
            outcome: PeerOutcome::Applied,
            effects: Vec::new(),
            received_at: made(0),
        })
    }

    /// Open tasks of the order service.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = Task> + '_ {
        (0..self.opportunities * TASKS).map(move |t| {
            let n = t / TASKS;
            Task {
                tenant_id: self.tenant(n),
                task_id: TaskId(id(Kind::Task, t)),
                root: Record::new(RecordKind::Opportunity, opportunity(n).0),
                kind: [TaskKind::Deliver, TaskKind::Procure, TaskKind::Invoice][(t % TASKS) as usize],
                title: "See that it is in stock".into(),
                assignee: owner(t),
                due_at: None,
                state: TaskState::Open,
                prior_state: None,
                closed_by: None,
                created_at: made(n),
                updated_at: made(n),
                version: 1,
            }
        })
    }

    /// How what sales has came about.
    pub(crate) fn sales_audit(&self) -> impl Iterator<Item = AuditEntry> + '_ {
        let customers =
            self.sales_customers().map(|c| (c.tenant_id, c.customer_id.to_string(), "CreateCustomer", "ACTIVE"));
        let opportunities =
            self.opportunities().map(|o| (o.tenant_id, o.opportunity_id.to_string(), "CreateOpportunity", "OPEN"));
        customers.chain(opportunities).enumerate().map(audited)
    }

    /// How what the order service has came about.
    pub(crate) fn trade_audit(&self) -> impl Iterator<Item = AuditEntry> + '_ {
        let tasks = self.tasks().map(|task| (task.tenant_id, task.task_id.to_string(), "CreateTask", "OPEN"));
        tasks.enumerate().map(audited)
    }

    /// The numbers of the opportunities are gone through in steps of this length, a prime, so that neighbours lie far apart.
    pub(crate) fn step(&self) -> u64 {
        [48_271, 69_621, 16_807].into_iter().find(|step| !self.opportunities.is_multiple_of(*step)).unwrap_or(1)
    }

    /// The opportunity that is the `k`-th to be closed out.
    pub(crate) fn turn(&self, k: u64) -> u64 {
        k * self.step() % self.opportunities
    }
}

fn audited((n, (tenant_id, resource, method, state)): (usize, (TenantId, String, &str, &str))) -> AuditEntry {
    AuditEntry {
        tenant_id,
        audit_id: id(Kind::Audit, n as u64),
        audited_at: made(0),
        actor: "seed".into(),
        method: method.into(),
        request_id: Some(id(Kind::Request, n as u64)),
        message_id: None,
        resource,
        version_before: 0,
        version_after: 1,
        state_before: String::new(),
        state_after: state.into(),
        close_out_id: None,
        note: String::new(),
    }
}

/// The `n`-th opportunity.
pub(crate) fn opportunity(n: u64) -> OpportunityId {
    OpportunityId(id(Kind::Opportunity, n))
}

fn name(customer: u64) -> String {
    format!("海康 Hik {customer}")
}

fn owner(n: u64) -> String {
    format!("rep{}", n % 200)
}

fn made(n: u64) -> Time {
    Time(BEGAN + n as i64 * 100_000)
}

fn cny() -> Currency {
    Currency::parse("CNY").unwrap_or(Currency::NONE)
}
