//! The rules of the trade side: orders, the trade record of customers, and what a fact about an opportunity or a customer means
//! here. Pure: decides on loaded rows, changes them in memory, refuses without leaving a trace.

mod customer;
mod lines;
mod opportunity_facts;
mod order;

use crm_closeout::{
    amend::Amending,
    approval::Ruling,
    cascade::{NewTask, Resend, TaskCommand},
    codes::{Record, RecordKind},
    fact::{Applied, Fact},
    ids::{CustomerId, OpportunityId, OrderId, TenantId},
    money::Money,
    records::Lane,
    refusal::Refusal,
    task::Task,
    working_set::{Cause, Common, Rows},
};
pub use customer::Customer;
pub use lines::{Line, Lines};
pub use order::{Cancellation, Cancellations, Cancelling, Closing, NewOrder, Order, OrderEdit, State};
use std::collections::{BTreeMap, BTreeSet};

/// What a caller can ask for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Makes an order.
    CreateOrder(NewOrder),
    /// Changes an order.
    UpdateOrder {
        /// Which.
        id: OrderId,
        /// Only this version.
        etag: String,
        /// What to change.
        edit: OrderEdit,
    },
    /// Confirms a draft.
    Confirm {
        /// Which.
        id: OrderId,
        /// Only this version.
        etag: String,
    },
    /// Records what was fulfilled.
    Fulfil {
        /// Which.
        id: OrderId,
        /// Only this version.
        etag: String,
        /// Index of a line, and how many.
        lines: Vec<(usize, i64)>,
    },
    /// Records a payment.
    Pay {
        /// Which.
        id: OrderId,
        /// Only this version.
        etag: String,
        /// How much.
        amount: Money,
    },
    /// Cancels a part of an order.
    CancelLines(Cancelling),
    /// Closes an order out.
    CloseOut(Closing),
    /// Says what closing it out would do and what would refuse that.
    Preview(Closing),
    /// Decides about a close-out that waits for approval.
    Rule(Ruling),
    /// Corrects what a close-out says of its reason.
    Amend(Amending),
    /// Takes a close-out back.
    Reopen {
        /// Which.
        id: OrderId,
        /// Only this version.
        etag: String,
        /// The person's words.
        note: String,
    },
    /// Something about tasks.
    Task(TaskCommand),
    /// Sends the whole state of an order again.
    Resend(Resend),
}

impl From<TaskCommand> for Command {
    fn from(command: TaskCommand) -> Self {
        Self::Task(command)
    }
}

impl From<Ruling> for Command {
    fn from(ruling: Ruling) -> Self {
        Self::Rule(ruling)
    }
}

impl From<Amending> for Command {
    fn from(amending: Amending) -> Self {
        Self::Amend(amending)
    }
}

/// The rows of one batch.
#[derive(Debug)]
pub struct World {
    /// What both services have.
    pub common: Common,
    /// Orders.
    pub orders: Rows<Order>,
    /// Customers.
    pub customers: Rows<Customer>,
    /// Draft orders of each opportunity when the batch began, where a command makes one.
    pub drafts: BTreeMap<(TenantId, OpportunityId), i64>,
    /// Numbers of orders that are taken, of those the batch asks for.
    pub numbers: BTreeSet<(TenantId, String)>,
}

impl World {
    /// A command begins.
    pub fn begin(&mut self) {
        self.common.begin();
        self.orders.begin();
        self.customers.begin();
    }

    /// It was refused: back to where it began.
    pub fn rollback(&mut self) {
        self.common.rollback();
        self.orders.rollback();
        self.customers.rollback();
    }

    /// Makes a task for an order, an opportunity or a customer.
    pub fn create_task(&mut self, cause: &Cause, new: &NewTask) -> Result<Task, Refusal> {
        let tenant = cause.tenant_id;
        let closed_by = match new.root.kind {
            RecordKind::Order => {
                let id = OrderId(new.root.id);
                let root = self.orders.get(&(tenant, id)).ok_or_else(|| Refusal::not_found(id))?;
                root.closed_by()
            }
            RecordKind::Opportunity => {
                let lane = self.common.mirror(tenant, new.root)?;
                lane.close_out_id.filter(|_| lane.is_closed())
            }
            RecordKind::Customer => {
                self.check_customer(tenant, CustomerId(new.root.id))?;
                None
            }
            RecordKind::Reason | RecordKind::Settings | RecordKind::ExchangeRate => {
                return Err(Refusal::not_found(new.root));
            }
        };
        self.common.create_task(cause, new, closed_by)
    }

    /// Applies a fact about an opportunity, a customer or a reason. Its customer may be missing where it is only rehearsed.
    pub fn apply(&mut self, cause: &Cause, before: &Lane, fact: &Fact) -> Applied {
        if let Some(id) = fact.customer_id.filter(|id| self.customers.get(&(cause.tenant_id, *id)).is_none()) {
            self.customers.insert(Customer::stub(cause.tenant_id, id, self.common.now));
        }
        opportunity_facts::apply(self, cause, before, fact)
    }
}

/// An order as a record.
pub const fn order_record(id: OrderId) -> Record {
    Record::new(RecordKind::Order, id.0)
}

#[cfg(test)]
pub(crate) mod tests;
