//! What both services together ought to know and say, in memory: the rules of the business written once more, as plainly as can be, with
//! both sides in one place, no messages and no batches. Knows nothing of protobuf but the words for states.

mod acting;
mod deals;
mod endings;
mod reasons;
mod records;
mod rulings;
mod showing;

use crate::commands::{Call, Etag, Who};
use crm_proto::{
    common::{CloseOutState, Outcome, OutcomeClass, TaskKind, TaskState},
    opportunity::opportunity::State,
    order::{WonOpportunityPolicy as Policy, order::State as OrderState},
};

pub(crate) use reasons::REASONS;

/// One of the two services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Sales,
    Trade,
}

/// A record by its place in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Record {
    Customer(usize),
    Opportunity(usize),
    Order(usize),
    Task(usize),
    CloseOut(usize),
}

#[derive(Clone, Debug)]
pub(crate) struct Customer {
    pub(crate) blocked: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Opportunity {
    pub(crate) customer: usize,
    pub(crate) owner: Who,
    pub(crate) team: &'static str,
    pub(crate) stage: &'static str,
    pub(crate) state: State,
    pub(crate) amount: i64,
    pub(crate) version: i64,
    /// It is on hold, or was when it was closed out.
    pub(crate) held: bool,
    won_at: Option<u64>,
    /// The close-out of its last order that took its win back, and when it had been won.
    taken_back_by: Option<usize>,
    won_before: Option<u64>,
    pub(crate) close_out: Option<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) quantity: i64,
    pub(crate) price: i64,
    pub(crate) fulfilled: i64,
    pub(crate) cancelled: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) customer: usize,
    pub(crate) opportunity: Option<usize>,
    pub(crate) owner: Who,
    pub(crate) team: &'static str,
    pub(crate) state: OrderState,
    pub(crate) lines: Vec<Line>,
    pub(crate) paid: i64,
    pub(crate) refunded: bool,
    pub(crate) version: i64,
    pub(crate) close_out: Option<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) side: Side,
    pub(crate) parent: Record,
    pub(crate) kind: TaskKind,
    pub(crate) state: TaskState,
    prior: Option<TaskState>,
    pub(crate) closed_by: Option<usize>,
    pub(crate) assignee: Who,
    pub(crate) version: i64,
    /// The order that a service asks about with it.
    about: Option<usize>,
}

/// The subject as it was before.
#[derive(Clone, Debug)]
enum Before {
    Opportunity { state: State, stage: &'static str, won_at: Option<u64> },
    Order { state: OrderState, cancelled: Vec<i64> },
}

/// What waits with a close-out for another person.
#[derive(Clone, Debug)]
struct Asked {
    paid: i64,
    refunded: bool,
    policy: Policy,
}

#[derive(Clone, Debug)]
pub(crate) struct CloseOut {
    pub(crate) subject: Record,
    pub(crate) episode: usize,
    reason: &'static str,
    class: OutcomeClass,
    pub(crate) outcome: Outcome,
    detail: &'static str,
    actor: Who,
    pub(crate) state: CloseOutState,
    pub(crate) cause: Option<usize>,
    hop: i32,
    before: Before,
    closed_at: u64,
    amended: usize,
    asked: Option<Asked>,
}

/// Why a call is refused: the stable word, and for each field that is wrong its path and its word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) reason: &'static str,
    pub(crate) fields: Vec<String>,
}

impl From<&'static str> for Refused {
    fn from(reason: &'static str) -> Self {
        Self { reason, fields: Vec::new() }
    }
}

/// A field is wrong.
fn wrong(field: &str) -> Refused {
    Refused { reason: "INVALID_FIELDS", fields: vec![field.to_owned()] }
}

/// The record that an answer shows, or why there is none.
pub(crate) type Judged = Result<Record, Refused>;

/// Everything that one lane has made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    /// How many calls were made; stands for time.
    now: u64,
    pub(crate) customers: Vec<Customer>,
    pub(crate) opportunities: Vec<Opportunity>,
    pub(crate) orders: Vec<Order>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) close_outs: Vec<CloseOut>,
}

impl Model {
    /// Does what a call asks for, or says why that is refused; then nothing has changed.
    pub(crate) fn judge(&mut self, who: Who, etag: Etag, call: &Call) -> Judged {
        self.now += 1;
        let by = acting::Caller { who, etag };
        match *call {
            Call::CreateCustomer { blocked } => self.create_customer(by, blocked),
            Call::UpdateCustomer { customer, blocked } => self.update_customer(by, customer, blocked),
            Call::CreateOpportunity { customer, owner, amount, titled } => {
                self.create_opportunity(by, customer, owner, amount, titled)
            }
            Call::OwnOpportunity { opportunity, owner } => self.own_opportunity(by, opportunity, owner),
            Call::Move { opportunity, stage } => self.move_stage(by, opportunity, stage),
            Call::Win { opportunity, amount } => self.win(by, opportunity, amount),
            Call::Snooze { opportunity } => self.snooze(by, opportunity),
            Call::Resume { opportunity } => self.resume(by, opportunity),
            Call::CloseOpportunity { opportunity, reason, detail } => {
                self.close_opportunity(by, opportunity, reason, detail)
            }
            Call::ReopenOpportunity { opportunity } => self.reopen_opportunity(by, opportunity),
            Call::CreateOrder { customer, opportunity, owner, ref lines } => {
                self.create_order(by, customer, opportunity, owner, lines)
            }
            Call::OwnOrder { order, owner } => self.own_order(by, order, owner),
            Call::Confirm { order } => self.confirm(by, order),
            Call::Fulfil { order, line, count } => self.fulfil(by, order, line, count),
            Call::Pay { order, amount } => self.pay(by, order, amount),
            Call::CancelLine { order, line, count, reason, detail, refund } => {
                self.cancel_line(by, order, (line, count), (reason, detail), refund)
            }
            Call::CloseOrder { order, outcome, reason, detail, refund, policy } => {
                self.close_order(by, order, outcome, (reason, detail), (refund, policy))
            }
            Call::ReopenOrder { order } => self.reopen_order(by, order),
            Call::CreateTask { side, parent, kind } => self.create_task(by, side, parent, kind),
            Call::ChangeTask { task, change } => self.change_task(by, task, change),
            Call::Rule { close_out, verdict } => self.rule(by, close_out, verdict),
            Call::Amend { close_out, reason, detail } => self.amend(by, close_out, reason, detail),
            Call::Missing { record } => Self::miss(by, record),
        }
    }

    /// How many customers, opportunities, orders, tasks and close-outs there are.
    pub(crate) fn extent(&self) -> [usize; 5] {
        let (subjects, tasks) = ([self.opportunities.len(), self.orders.len()], self.tasks.len());
        [self.customers.len(), subjects[0], subjects[1], tasks, self.close_outs.len()]
    }

    /// Version of the record that an etag in this call is about; 0: of none.
    pub(crate) fn version(&self, call: &Call) -> i64 {
        match *call {
            Call::OwnOpportunity { opportunity, .. }
            | Call::Move { opportunity, .. }
            | Call::Win { opportunity, .. }
            | Call::Snooze { opportunity }
            | Call::Resume { opportunity }
            | Call::CloseOpportunity { opportunity, .. }
            | Call::ReopenOpportunity { opportunity } => self.opportunities[opportunity].version,
            Call::OwnOrder { order, .. }
            | Call::Confirm { order }
            | Call::Fulfil { order, .. }
            | Call::Pay { order, .. }
            | Call::CancelLine { order, .. }
            | Call::CloseOrder { order, .. }
            | Call::ReopenOrder { order } => self.orders[order].version,
            Call::ChangeTask { task, .. } => self.tasks[task].version,
            Call::Rule { close_out, .. } | Call::Amend { close_out, .. } => self.subject_version(close_out),
            Call::CreateCustomer { .. }
            | Call::UpdateCustomer { .. }
            | Call::CreateOpportunity { .. }
            | Call::CreateOrder { .. }
            | Call::CreateTask { .. }
            | Call::Missing { .. } => 0,
        }
    }

    fn subject_version(&self, close_out: usize) -> i64 {
        match self.close_outs[close_out].subject {
            Record::Opportunity(opportunity) => self.opportunities[opportunity].version,
            Record::Order(order) => self.orders[order].version,
            Record::Customer(_) | Record::Task(_) | Record::CloseOut(_) => 0,
        }
    }
}
