//! The trade record (交易记录) of a customer: orders and amounts by state, deals lost, the last close-out.

use super::{Order, State, World};
use crm_closeout::{
    cascade::Change,
    codes::{Record, RecordKind, Side},
    episode::Effect,
    ids::{CloseOutId, CustomerId, TenantId},
    money::Sums,
    refusal::Refusal,
    time::Time,
    wording,
    working_set::{Cause, Keyed},
};

/// Sums of [`Customer::amounts`]: draft orders.
const DRAFT: usize = 0;
/// Live orders.
const LIVE: usize = 1;
/// Processed orders.
const PROCESSED: usize = 2;
/// What was cancelled.
const CANCELLED: usize = 3;

/// A customer, as the trade side sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// Whose.
    pub tenant_id: TenantId,
    /// Its id.
    pub customer_id: CustomerId,
    /// What it is called; empty until its own message has come.
    pub display_name: String,
    /// Orders in state DRAFT.
    pub draft_count: i64,
    /// Live orders.
    pub live_count: i64,
    /// Orders in state PROCESSED.
    pub processed_count: i64,
    /// Orders in state CANCELLED.
    pub cancelled_count: i64,
    /// Opportunities closed out as lost and not reopened.
    pub deals_lost: i64,
    /// Amounts of draft, live and processed orders, and of what was cancelled.
    pub amounts: Sums<4>,
    /// When the last close-out touched this record.
    pub last_close_out_at: Option<Time>,
    /// When this record came into being.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Raised by one at each change.
    pub version: i64,
}

impl Keyed for Customer {
    type Key = (TenantId, CustomerId);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.customer_id)
    }
}

impl Customer {
    /// A customer of whom nothing is known but that there is one: its own message fills it.
    pub fn stub(tenant_id: TenantId, customer_id: CustomerId, now: Time) -> Self {
        Self {
            tenant_id,
            customer_id,
            display_name: String::new(),
            draft_count: 0,
            live_count: 0,
            processed_count: 0,
            cancelled_count: 0,
            deals_lost: 0,
            amounts: Sums::default(),
            last_close_out_at: None,
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }

    /// The fields that close-outs change, for the receipts.
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("draft_count", self.draft_count.to_string()),
            ("live_count", self.live_count.to_string()),
            ("processed_count", self.processed_count.to_string()),
            ("cancelled_count", self.cancelled_count.to_string()),
            ("deals_lost", self.deals_lost.to_string()),
            ("draft_amount", self.amounts.text(DRAFT)),
            ("live_amount", self.amounts.text(LIVE)),
            ("processed_amount", self.amounts.text(PROCESSED)),
            ("cancelled_amount", self.amounts.text(CANCELLED)),
            ("last_close_out_time", self.last_close_out_at.map_or_else(String::new, |at| at.to_string())),
        ]
    }

    fn count(&mut self, state: State) -> &mut i64 {
        match state {
            State::Draft => &mut self.draft_count,
            State::Confirmed | State::InFulfilment | State::ClosePending => &mut self.live_count,
            State::Processed => &mut self.processed_count,
            State::Cancelled => &mut self.cancelled_count,
        }
    }

    /// Counts an order in.
    pub fn add(&mut self, order: &Order) {
        *self.count(order.state) += 1;
        self.amounts.add(sum_of(order.state), order.total());
        self.amounts.add(CANCELLED, order.lines.cancelled(order.currency));
    }

    /// Counts an order out again.
    pub fn remove(&mut self, order: &Order) {
        *self.count(order.state) -= 1;
        self.amounts.subtract(sum_of(order.state), order.total());
        self.amounts.subtract(CANCELLED, order.lines.cancelled(order.currency));
    }
}

const fn sum_of(state: State) -> usize {
    match state {
        State::Draft => DRAFT,
        State::Confirmed | State::InFulfilment | State::ClosePending => LIVE,
        State::Processed => PROCESSED,
        State::Cancelled => CANCELLED,
    }
}

impl World {
    /// Refuses for now while the customer is not known here.
    pub(super) fn check_customer(&self, tenant: TenantId, id: CustomerId) -> Result<(), Refusal> {
        if self.customers.get(&(tenant, id)).is_some() {
            return Ok(());
        }
        Err(Refusal::new(&wording::CUSTOMER_UNKNOWN, id))
    }

    /// Changes a customer's record and answers what changed.
    pub(super) fn touch(
        &mut self,
        cause: &Cause,
        id: CustomerId,
        close_out: Option<CloseOutId>,
        change: impl FnOnce(&mut Customer),
    ) -> Vec<Effect> {
        let now = self.common.now;
        let Some(customer) = self.customers.edit(&(cause.tenant_id, id)) else { return Vec::new() };
        let before = customer.clone();
        change(customer);
        customer.updated_at = now;
        customer.version += 1;
        let after = customer.clone();
        let record = Record::new(RecordKind::Customer, id.0);
        let change = Change { from: before.version, to: after.version, state_before: "", state_after: "", close_out };
        self.common.audit(cause, record, change);
        Effect::changes(Side::Order, &record.to_string(), before.fields(), after.fields()).collect()
    }
}
