//! The relationship with a customer: counters, amounts and the lifecycle, decided anew at each change.

use super::{Opportunity, State, World};
use crm_closeout::{
    cascade::{Change, Resend},
    codes,
    codes::{Record, RecordKind, Side},
    episode::Effect,
    fact::{Event, Fact, MirrorState},
    ids::{CustomerId, GroupId, TenantId},
    money::Sums,
    refusal::{Refusal, check_etag},
    time::Time,
    working_set::{Cause, Keyed},
};

codes! {
    /// Where the relationship stands.
    pub enum Lifecycle {
        /// Nothing was ever pursued.
        Prospect = 1 "PROSPECT",
        /// An open opportunity or a live order exists.
        Active = 2 "ACTIVE",
        /// Nothing is open, and a plan to win it back runs.
        WinBack = 3 "WIN_BACK",
        /// The newest loss is later than the newest success.
        Lost = 4 "LOST",
        /// There was something once, and it was not lost.
        Dormant = 5 "DORMANT",
        /// Nobody may contact it.
        Blocked = 6 "BLOCKED",
    }
}

/// Sums of [`Customer::amounts`]: open opportunities.
const OPEN: usize = 0;
/// Won opportunities.
const WON: usize = 1;
/// Lost opportunities.
const LOST: usize = 2;

/// A customer, as sales sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// Whose.
    pub tenant_id: TenantId,
    /// Its id.
    pub customer_id: CustomerId,
    /// What it is called.
    pub display_name: String,
    /// How important it is.
    pub tier: String,
    /// Who looks after it.
    pub owner: String,
    /// Nobody may contact it.
    pub do_not_contact: bool,
    /// Where the relationship stands.
    pub lifecycle: Lifecycle,
    /// There was an opportunity or an order once.
    pub engaged: bool,
    /// Open opportunities.
    pub open_count: i64,
    /// Won ones.
    pub won_count: i64,
    /// Lost ones.
    pub lost_count: i64,
    /// Live orders, as far as is known here.
    pub live_order_count: i64,
    /// Amounts of the open, won and lost opportunities.
    pub amounts: Sums<3>,
    /// The newest loss that still counts.
    pub last_loss_at: Option<Time>,
    /// Plans to win it back that are open.
    pub plan_count: i64,
    /// Those of them that run.
    pub running_count: i64,
    /// When the first of them is due.
    pub win_back_at: Option<Time>,
    /// When a contact to win it back was last recorded.
    pub contacted_at: Option<Time>,
    /// The close-out of the whole customer that is under way.
    pub closing: Option<GroupId>,
    /// When it was created.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Raised by one at each change.
    pub version: i64,
    /// Number of the last message in its lane.
    pub sent: i64,
}

impl Keyed for Customer {
    type Key = (TenantId, CustomerId);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.customer_id)
    }
}

/// A customer to be made.
#[derive(Clone, Debug)]
pub struct NewCustomer {
    /// What it is called.
    pub display_name: String,
    /// How important it is.
    pub tier: String,
    /// Who looks after it.
    pub owner: String,
    /// Nobody may contact it.
    pub do_not_contact: bool,
}

/// What to change of a customer.
#[derive(Clone, Debug, Default)]
pub struct CustomerEdit {
    /// New name.
    pub display_name: Option<String>,
    /// New tier.
    pub tier: Option<String>,
    /// New owner.
    pub owner: Option<String>,
    /// New flag.
    pub do_not_contact: Option<bool>,
}

/// Newest loss and newest success of a customer among some records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Newest close-out as LOST or CANCELLED that counts as a loss.
    pub loss_at: Option<Time>,
    /// Newest win or processed order.
    pub success_at: Option<Time>,
}

impl Standing {
    /// The newer of both.
    #[must_use]
    pub fn join(self, loss_at: Option<Time>, success_at: Option<Time>) -> Self {
        Self { loss_at: self.loss_at.max(loss_at), success_at: self.success_at.max(success_at) }
    }
}

impl Customer {
    /// Where the relationship stands, by the counters, the plans and the newest loss and success.
    pub fn lifecycle(&self, standing: Standing) -> Lifecycle {
        if self.do_not_contact {
            Lifecycle::Blocked
        } else if self.open_count > 0 || self.live_order_count > 0 {
            Lifecycle::Active
        } else if self.running_count > 0 {
            Lifecycle::WinBack
        } else if standing.loss_at > standing.success_at {
            Lifecycle::Lost
        } else if self.engaged {
            Lifecycle::Dormant
        } else {
            Lifecycle::Prospect
        }
    }

    /// The fields that close-outs change, for the receipts.
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("lifecycle", self.lifecycle.word().to_owned()),
            ("open_count", self.open_count.to_string()),
            ("won_count", self.won_count.to_string()),
            ("lost_count", self.lost_count.to_string()),
            ("live_order_count", self.live_order_count.to_string()),
            ("open_amount", self.amounts.text(OPEN)),
            ("won_amount", self.amounts.text(WON)),
            ("lost_amount", self.amounts.text(LOST)),
            ("last_loss_time", self.last_loss_at.map_or_else(String::new, |at| at.to_string())),
        ]
    }

    fn count(&mut self, state: State) -> &mut i64 {
        match state {
            State::Open | State::OnHold | State::ClosePending => &mut self.open_count,
            State::Won => &mut self.won_count,
            State::ClosedOut => &mut self.lost_count,
        }
    }

    /// Counts an opportunity in.
    pub fn add(&mut self, opportunity: &Opportunity) {
        let state = opportunity.counts_as();
        *self.count(state) += 1;
        self.amounts.add(sum_of(state), opportunity.amount);
    }

    /// Counts an opportunity out again.
    pub fn remove(&mut self, opportunity: &Opportunity) {
        let state = opportunity.counts_as();
        *self.count(state) -= 1;
        self.amounts.subtract(sum_of(state), opportunity.amount);
    }

    fn fact(&self, cause: &Cause, event: Event, now: Time) -> Fact {
        Fact {
            event,
            customer_id: Some(self.customer_id),
            customer_name: self.display_name.clone(),
            parent: None,
            state: MirrorState::Live,
            epoch: 0,
            owner: self.owner.clone(),
            actor: cause.actor.clone(),
            at: now,
            close_out: None,
            reason: None,
            settings: None,
            rate: None,
        }
    }
}

const fn sum_of(state: State) -> usize {
    match state {
        State::Open | State::OnHold | State::ClosePending => OPEN,
        State::Won => WON,
        State::ClosedOut => LOST,
    }
}

impl World {
    /// Makes a customer and tells the order service.
    pub fn create_customer(&mut self, cause: &Cause, new: &NewCustomer) -> Customer {
        let now = self.common.now;
        let mut customer = Customer {
            tenant_id: cause.tenant_id,
            customer_id: CustomerId(self.common.new_id()),
            display_name: new.display_name.clone(),
            tier: new.tier.clone(),
            owner: new.owner.clone(),
            do_not_contact: new.do_not_contact,
            lifecycle: Lifecycle::Prospect,
            engaged: false,
            open_count: 0,
            won_count: 0,
            lost_count: 0,
            live_order_count: 0,
            amounts: Sums::default(),
            last_loss_at: None,
            plan_count: 0,
            running_count: 0,
            win_back_at: None,
            contacted_at: None,
            closing: None,
            created_at: now,
            updated_at: now,
            version: 1,
            sent: 1,
        };
        customer.lifecycle = customer.lifecycle(Standing::default());
        let fact = customer.fact(cause, Event::Opened, now);
        let record = record(customer.customer_id);
        self.common.send(cause, record, 1, fact, None);
        let state_after = customer.lifecycle.word();
        let change = Change { from: 0, to: 1, state_before: "", state_after, close_out: None };
        self.common.audit(cause, record, change);
        self.customers.insert(customer.clone());
        customer
    }

    /// Changes a customer; the order service hears of a new name.
    pub fn update_customer(
        &mut self,
        cause: &Cause,
        id: CustomerId,
        etag: &str,
        edit: &CustomerEdit,
    ) -> Result<Customer, Refusal> {
        let key = (cause.tenant_id, id);
        let customer = self.customers.get(&key).ok_or_else(|| Refusal::not_found(id))?;
        check_etag(etag, customer.version, id)?;
        let renamed = edit.display_name.as_ref().is_some_and(|name| *name != customer.display_name);
        if edit.do_not_contact == Some(true) {
            self.cancel_win_backs_of(cause, id);
        }
        self.touch(cause, id, None, |customer| {
            let edit = edit.clone();
            customer.display_name = edit.display_name.unwrap_or_else(|| customer.display_name.clone());
            customer.tier = edit.tier.unwrap_or_else(|| customer.tier.clone());
            customer.owner = edit.owner.unwrap_or_else(|| customer.owner.clone());
            customer.do_not_contact = edit.do_not_contact.unwrap_or(customer.do_not_contact);
        });
        let now = self.common.now;
        let customer = self.customers.edit(&key).ok_or_else(|| Refusal::not_found(id))?;
        if renamed {
            customer.sent += 1;
            let (number, fact) = (customer.sent, customer.fact(cause, Event::Changed, now));
            self.common.send(cause, record(id), number, fact, None);
        }
        Ok(customer.clone())
    }

    /// Sends the whole state of a customer again; answers the number with which it is sent.
    pub fn resend_customer(&mut self, cause: &Cause, resend: &Resend) -> Result<i64, Refusal> {
        let (key, now) = ((cause.tenant_id, CustomerId(resend.record.id)), self.common.now);
        let row = self.customers.edit(&key).ok_or_else(|| Refusal::not_found(resend.record))?;
        row.sent = row.sent.max(resend.peer_number) + 1;
        let row = row.clone();
        self.common.send_snapshot(cause, resend, row.sent, row.fact(cause, Event::Snapshot, now), None);
        Ok(row.sent)
    }

    /// Changes a customer's record, decides its lifecycle again, and answers what changed.
    pub(super) fn touch(
        &mut self,
        cause: &Cause,
        id: CustomerId,
        close_out: Option<crm_closeout::ids::CloseOutId>,
        change: impl FnOnce(&mut Customer),
    ) -> Vec<Effect> {
        let (standing, tally) = (self.standing(cause.tenant_id, id), self.tally(cause.tenant_id, id));
        let now = self.common.now;
        let Some(customer) = self.customers.edit(&(cause.tenant_id, id)) else { return Vec::new() };
        let before = customer.clone();
        change(customer);
        (customer.plan_count, customer.running_count, customer.win_back_at) = (tally.open, tally.running, tally.due_at);
        customer.lifecycle = customer.lifecycle(standing);
        customer.last_loss_at = standing.loss_at;
        customer.updated_at = now;
        customer.version += 1;
        let after = customer.clone();
        let record = record(id);
        let (state_before, state_after) = (before.lifecycle.word(), after.lifecycle.word());
        let change = Change { from: before.version, to: after.version, state_before, state_after, close_out };
        self.common.audit(cause, record, change);
        if before.lifecycle != after.lifecycle {
            let text = format!("{state_before} -> {state_after}");
            self.common.tell(cause, id, "lifecycle.changed", record, close_out, text);
        }
        Effect::changes(Side::Opportunity, &record.to_string(), before.fields(), after.fields()).collect()
    }

    /// Newest loss and success over everything: what was not loaded, and the loaded rows as they are now.
    fn standing(&self, tenant: TenantId, id: CustomerId) -> Standing {
        let unloaded = self.standing.get(&(tenant, id)).copied().unwrap_or_default();
        let own = self.opportunities.iter().filter(|o| o.tenant_id == tenant && o.customer_id == Some(id));
        let with_own = own.fold(unloaded, |standing, o| standing.join(o.loss_at, o.won_at));
        let lanes = self.common.lanes.iter().filter(|lane| lane.tenant_id == tenant && lane.customer_id == Some(id));
        lanes.fold(with_own, |standing, lane| standing.join(lane.loss_at, lane.success_at))
    }
}

pub(super) const fn record(id: CustomerId) -> Record {
    Record::new(RecordKind::Customer, id.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tests::customer;

    fn standing(loss: Option<i64>, success: Option<i64>) -> Standing {
        Standing { loss_at: loss.map(Time), success_at: success.map(Time) }
    }

    #[test]
    fn the_lifecycle_follows_the_newest_loss_and_success() {
        let mut customer = customer();
        assert_eq!(customer.lifecycle(standing(None, None)), Lifecycle::Prospect);
        customer.engaged = true;
        assert_eq!(customer.lifecycle(standing(None, None)), Lifecycle::Dormant);
        assert_eq!(customer.lifecycle(standing(Some(2), Some(1))), Lifecycle::Lost);
        assert_eq!(customer.lifecycle(standing(Some(1), Some(2))), Lifecycle::Dormant);
        customer.running_count = 1;
        assert_eq!(customer.lifecycle(standing(Some(2), Some(1))), Lifecycle::WinBack);
        customer.live_order_count = 1;
        assert_eq!(customer.lifecycle(standing(Some(2), None)), Lifecycle::Active);
        customer.do_not_contact = true;
        assert_eq!(customer.lifecycle(standing(Some(2), None)), Lifecycle::Blocked);
    }
}
