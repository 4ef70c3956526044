//! Customers and tasks, and what becomes of tasks with the records that they are for.

use super::{
    Customer, Judged, Model, Opportunity, Order, OrderState, Outcome, Record, Refused, Side, State, Task, TaskKind,
    TaskState,
    acting::{Caller, Right},
    reasons, wrong,
};
use crate::commands::{Change, Who};

/// Kinds of task that are about money.
const MONEY: [TaskKind; 2] = [TaskKind::Collect, TaskKind::Invoice];

/// Where a relationship stands, with its counters.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Relationship {
    pub(crate) open: (i64, i64),
    pub(crate) won: (i64, i64),
    pub(crate) lost: (i64, i64),
    pub(crate) live_orders: i64,
}

/// A customer's orders by state, each with what they are worth.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trade {
    pub(crate) draft: (i64, i64),
    pub(crate) live: (i64, i64),
    pub(crate) processed: (i64, i64),
    pub(crate) cancelled: (i64, i64),
    pub(crate) deals_lost: i64,
}

pub(super) const fn is_live(state: OrderState) -> bool {
    matches!(state, OrderState::Confirmed | OrderState::InFulfilment | OrderState::ClosePending)
}

const fn is_open(state: TaskState) -> bool {
    matches!(state, TaskState::Open | TaskState::InProgress)
}

impl Order {
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, OrderState::Processed | OrderState::Cancelled)
    }

    pub(super) fn total(&self) -> i64 {
        self.lines.iter().map(|line| line.price * (line.quantity - line.cancelled)).sum()
    }
}

impl Opportunity {
    /// Until its close-out is approved it counts as what it was.
    pub(super) fn counts_as_won(&self) -> bool {
        self.state == State::Won || self.state == State::ClosePending && self.won_at.is_some()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state == State::ClosedOut
    }
}

impl Task {
    /// A person or a rule has changed it: no close-out restores it any more.
    fn touched(&mut self, state: TaskState) {
        self.state = state;
        self.version += 1;
        (self.prior, self.closed_by) = (None, None);
    }
}

impl Model {
    pub(super) fn create_customer(&mut self, by: Caller, blocked: bool) -> Judged {
        by.enters(&[Right::ManageCustomers])?;
        self.customers.push(Customer { blocked });
        Ok(Record::Customer(self.customers.len() - 1))
    }

    pub(super) fn update_customer(&mut self, by: Caller, customer: usize, blocked: bool) -> Judged {
        by.enters(&[Right::ManageCustomers])?;
        by.means()?;
        self.customers[customer].blocked = blocked;
        Ok(Record::Customer(customer))
    }

    fn opportunities_of(&self, customer: usize) -> impl Iterator<Item = &Opportunity> {
        self.opportunities.iter().filter(move |opportunity| opportunity.customer == customer)
    }

    fn orders_of(&self, customer: usize) -> impl Iterator<Item = &Order> {
        self.orders.iter().filter(move |order| order.customer == customer)
    }

    pub(crate) fn relationship(&self, customer: usize) -> Relationship {
        let mut found = Relationship::default();
        for opportunity in self.opportunities_of(customer) {
            let sum = if opportunity.is_closed() {
                &mut found.lost
            } else if opportunity.counts_as_won() {
                &mut found.won
            } else {
                &mut found.open
            };
            *sum = (sum.0 + 1, sum.1 + opportunity.amount);
        }
        found.live_orders = self.orders_of(customer).filter(|order| is_live(order.state)).count() as i64;
        found
    }

    pub(crate) fn trade(&self, customer: usize) -> Trade {
        let mut found = Trade::default();
        for order in self.orders_of(customer) {
            let sum = match order.state {
                OrderState::Draft | OrderState::Unspecified => &mut found.draft,
                OrderState::Confirmed | OrderState::InFulfilment | OrderState::ClosePending => &mut found.live,
                OrderState::Processed => &mut found.processed,
                OrderState::Cancelled => &mut found.cancelled,
            };
            *sum = (sum.0 + 1, sum.1 + order.total());
            found.cancelled.1 += order.lines.iter().map(|line| line.price * line.cancelled).sum::<i64>();
        }
        found.deals_lost = self.opportunities_of(customer).filter(|opportunity| opportunity.is_closed()).count() as i64;
        found
    }

    /// The lifecycle, in the words of the API.
    pub(crate) fn lifecycle(&self, customer: usize) -> &'static str {
        let now = self.relationship(customer);
        let (loss, success) = self.standing(customer);
        let engaged = self.opportunities_of(customer).next().is_some() || self.orders_of(customer).next().is_some();
        if self.customers[customer].blocked {
            "BLOCKED"
        } else if now.open.0 > 0 || now.live_orders > 0 {
            "ACTIVE"
        } else if loss > success {
            "LOST"
        } else if engaged {
            "DORMANT"
        } else {
            "PROSPECT"
        }
    }

    /// When the customer was last lost, and when there last was a success.
    fn standing(&self, customer: usize) -> (Option<u64>, Option<u64>) {
        let (mut loss, mut success) = (None, None);
        let closed = self.opportunities_of(customer).filter(|opportunity| opportunity.is_closed());
        let closed = closed.filter_map(|opportunity| opportunity.close_out);
        let ended = self.orders_of(customer).filter(|order| order.is_closed()).filter_map(|order| order.close_out);
        for close_out in closed.chain(ended).map(|id| &self.close_outs[id]) {
            if close_out.outcome == Outcome::Processed {
                success = success.max(Some(close_out.closed_at));
            } else if reasons::is_loss(close_out.class) {
                loss = loss.max(Some(close_out.closed_at));
            }
        }
        let won = self.opportunities_of(customer).filter_map(|opportunity| opportunity.won_at).max();
        (loss, success.max(won))
    }

    pub(super) fn create_task(&mut self, by: Caller, side: Side, parent: Record, kind: TaskKind) -> Judged {
        by.enters(&[Right::ManageTasks])?;
        let selling = matches!(kind, TaskKind::FollowUp | TaskKind::Demo | TaskKind::Quote | TaskKind::WinBack);
        if kind != TaskKind::Review && selling != (side == Side::Sales) {
            return Err(wrong("task.kind KIND_OF_OTHER_SIDE"));
        }
        let closed = match parent {
            Record::Opportunity(opportunity) => self.opportunities[opportunity].is_closed(),
            Record::Order(order) => self.orders[order].is_closed(),
            Record::Customer(_) | Record::Task(_) | Record::CloseOut(_) => false,
        };
        if closed && kind != TaskKind::WinBack {
            return Err("SUBJECT_CLOSED".into());
        }
        Ok(self.add_task(side, parent, kind, by.who, None))
    }

    pub(super) fn add_task(
        &mut self,
        side: Side,
        parent: Record,
        kind: TaskKind,
        assignee: Who,
        about: Option<usize>,
    ) -> Record {
        let (state, prior, closed_by) = (TaskState::Open, None, None);
        self.tasks.push(Task { side, parent, kind, state, prior, closed_by, assignee, version: 1, about });
        Record::Task(self.tasks.len() - 1)
    }

    pub(super) fn change_task(&mut self, by: Caller, task: usize, change: Change) -> Judged {
        by.enters(&[Right::ManageTasks])?;
        by.means()?;
        let it = &mut self.tasks[task];
        let state = match change {
            Change::Start if it.state == TaskState::Open => TaskState::InProgress,
            Change::Complete if is_open(it.state) => TaskState::Done,
            Change::Cancel if is_open(it.state) => TaskState::Cancelled,
            Change::Start | Change::Complete | Change::Cancel => return Err("TASK_STATE".into()),
        };
        it.touched(state);
        Ok(Record::Task(task))
    }

    /// A close-out cancels the open tasks of a record on one side; `unpaid`: those about money stay.
    pub(super) fn cancel_tasks(&mut self, side: Side, parent: Record, close_out: usize, unpaid: bool) {
        let stays = |task: &Task| unpaid && MONEY.contains(&task.kind);
        let of_it = self.tasks.iter_mut().filter(|task| task.side == side && task.parent == parent);
        for task in of_it.filter(|task| is_open(task.state) && !stays(task)) {
            let prior = task.state;
            task.touched(TaskState::Cancelled);
            (task.prior, task.closed_by) = (Some(prior), Some(close_out));
        }
    }

    /// Its reversal brings back those that nobody has touched since.
    pub(super) fn restore_tasks(&mut self, side: Side, parent: Record, close_out: usize) {
        let of_it = self.tasks.iter_mut().filter(|task| task.side == side && task.parent == parent);
        for task in of_it.filter(|task| task.closed_by == Some(close_out)) {
            task.touched(task.prior.unwrap_or(TaskState::Open));
        }
    }

    /// The tasks of a record on one side, oldest first.
    pub(crate) fn tasks_of(&self, side: Side, parent: Record) -> Vec<usize> {
        let all = self.tasks.iter().enumerate();
        all.filter(|(_, task)| task.side == side && task.parent == parent).map(|(place, _)| place).collect()
    }

    /// The order is there again: nobody is asked any more what is to become of its opportunity.
    pub(super) fn withdraw_reviews(&mut self, order: usize) {
        let asked = self.tasks.iter_mut().filter(|task| task.about == Some(order) && is_open(task.state));
        asked.for_each(|task| task.touched(TaskState::Cancelled));
    }

    /// A call about a record that there is none of.
    pub(super) fn miss(by: Caller, record: Record) -> Judged {
        by.enters(&[match record {
            Record::Opportunity(_) | Record::CloseOut(_) => Right::CloseOut,
            Record::Order(_) => Right::EditOrders,
            Record::Task(_) | Record::Customer(_) => Right::ManageTasks,
        }])?;
        Err(Refused::from("NOT_FOUND"))
    }
}
