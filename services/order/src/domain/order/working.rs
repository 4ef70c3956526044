//! The way of an order to fulfilled: made, changed, confirmed, fulfilled, paid.

use super::{Cancellations, NewOrder, Order, OrderEdit, State, parent_record};
use crate::domain::{World, order_record};
use crm_closeout::{
    access::{Owned, Right},
    fact::Event,
    ids::{CustomerId, OpportunityId, OrderId, TenantId},
    money::Money,
    refusal::{Refusal, Violation},
    wording,
    working_set::Cause,
};

/// Most draft orders of one opportunity: its close-out stays one commit.
const MAX_DRAFTS: i64 = 50;

/// What an order is called that there is none of yet.
const NEW: &str = "orders/-";

impl World {
    /// Makes an order in state DRAFT.
    pub fn create_order(&mut self, cause: &Cause, new: &NewOrder) -> Result<Order, Refusal> {
        let tenant = cause.tenant_id;
        cause.may_make(Right::EditOrders, NEW, Owned { owner: &new.owner, team: &new.team })?;
        if new.created_at.is_some() {
            cause.may_import()?;
        }
        self.check_customer(tenant, new.customer_id)?;
        if let Some(opportunity) = new.opportunity_id {
            self.check_parent(tenant, opportunity, None)?;
            self.check_same_customer(tenant, opportunity, new.customer_id)?;
            self.check_drafts(tenant, opportunity)?;
        }
        self.check_number(tenant, &new.number)?;
        let now = self.common.now;
        let id = OrderId(self.common.new_id());
        let order = Order {
            tenant_id: tenant,
            order_id: id,
            number: if new.number.is_empty() { id.0.simple().to_string() } else { new.number.clone() },
            customer_id: new.customer_id,
            opportunity_id: new.opportunity_id,
            owner: new.owner.clone(),
            team: new.team.clone(),
            state: State::Draft,
            currency: new.currency,
            lines: new.lines.clone(),
            cancellations: Cancellations::default(),
            paid_minor: 0,
            refund_reference: String::new(),
            close_out_id: None,
            closed_at: None,
            created_at: new.created_at.unwrap_or(now),
            historical: new.created_at.is_some(),
            updated_at: now,
            version: 1,
            epoch: 0,
            declined: 0,
            sent: 1,
        };
        self.common.send(cause, order_record(id), 1, order.fact(cause, Event::Opened, now), None);
        self.audit_order(cause, None, &order, None);
        self.orders.insert(order.clone());
        self.touch(cause, order.customer_id, None, |customer| customer.add(&order));
        Ok(order)
    }

    /// Changes business fields of an order that is not closed out.
    pub fn update_order(&mut self, cause: &Cause, id: OrderId, etag: &str, edit: &OrderEdit) -> Result<Order, Refusal> {
        let before = self.order(cause, Right::EditOrders, id, etag)?;
        before.check_not_closed()?;
        if edit.lines.is_some() && before.state != State::Draft {
            return Err(before.wrong_state(&wording::ONLY_DRAFTS_REWRITTEN));
        }
        if let Some(number) = edit.number.as_ref().filter(|number| **number != before.number) {
            self.check_number(cause.tenant_id, number)?;
        }
        let edit = edit.clone();
        let after = self.change_order(cause, &before, None, |order| {
            order.number = edit.number.unwrap_or_else(|| order.number.clone());
            order.owner = edit.owner.unwrap_or_else(|| order.owner.clone());
            order.team = edit.team.unwrap_or_else(|| order.team.clone());
            if let Some((currency, lines)) = edit.lines {
                order.currency = currency;
                order.lines = lines;
            }
        })?;
        if before.lines != after.lines || before.currency != after.currency {
            self.recount(cause, &before, &after, None);
        }
        if before.owner == after.owner {
            return Ok(after);
        }
        self.report(cause, &after, Event::Changed, None)
    }

    /// Confirms a draft.
    pub fn confirm(&mut self, cause: &Cause, id: OrderId, etag: &str) -> Result<Order, Refusal> {
        let before = self.order(cause, Right::EditOrders, id, etag)?;
        before.check_not_closed()?;
        if before.state != State::Draft {
            return Err(before.wrong_state(&wording::ONLY_DRAFTS_CONFIRMED));
        }
        if let Some(opportunity) = before.opportunity_id {
            self.check_parent(cause.tenant_id, opportunity, None)?;
        }
        let after = self.change_order(cause, &before, None, |order| order.state = State::Confirmed)?;
        self.recount(cause, &before, &after, None);
        self.report(cause, &after, Event::Confirmed, None)
    }

    /// Records what was fulfilled of a live order.
    pub fn fulfil(&mut self, cause: &Cause, id: OrderId, etag: &str, done: &[(usize, i64)]) -> Result<Order, Refusal> {
        let before = self.order(cause, Right::EditOrders, id, etag)?;
        before.check_not_closed()?;
        if before.state == State::Draft {
            return Err(before.wrong_state(&wording::CONFIRM_FIRST));
        }
        let lines = before.lines.having(done, |line| &mut line.fulfilled)?;
        self.change_order(cause, &before, None, |order| {
            order.lines = lines;
            order.state = State::InFulfilment;
        })
    }

    /// Records a payment.
    pub fn pay(&mut self, cause: &Cause, id: OrderId, etag: &str, amount: Money) -> Result<Order, Refusal> {
        let before = self.order(cause, Right::EditOrders, id, etag)?;
        match before.state {
            State::Draft => return Err(before.wrong_state(&wording::CONFIRM_BEFORE_PAYMENT)),
            State::Cancelled => before.check_not_closed()?,
            State::Confirmed | State::InFulfilment | State::ClosePending | State::Processed => {}
        }
        if amount.currency != before.currency {
            return Err(Violation::new("amount", &wording::CURRENCY).with("currency", before.currency).into());
        }
        let paid = before.paid_minor.saturating_add(amount.minor);
        if paid > crm_closeout::money::MAX_MINOR {
            return Err(Violation::new("amount", &wording::PAYMENTS_TOO_LARGE).into());
        }
        self.change_order(cause, &before, None, |order| order.paid_minor = paid)
    }

    fn check_same_customer(
        &self,
        tenant: TenantId,
        opportunity: OpportunityId,
        customer: CustomerId,
    ) -> Result<(), Refusal> {
        let lane = self.common.mirror(tenant, parent_record(opportunity))?;
        match lane.customer_id {
            Some(its) if its != customer => {
                let violation = Violation::new("order.customer", &wording::OTHER_CUSTOMER);
                Err(violation.with("customer", its).with("opportunity", opportunity).into())
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_drafts(&self, tenant: TenantId, opportunity: OpportunityId) -> Result<(), Refusal> {
        let made = self.orders.inserted();
        let made = made.iter().filter(|order| {
            order.tenant_id == tenant && order.opportunity_id == Some(opportunity) && order.state == State::Draft
        });
        let drafts = self.drafts.get(&(tenant, opportunity)).copied().unwrap_or_default() + made.count() as i64;
        if drafts < MAX_DRAFTS {
            return Ok(());
        }
        Err(Refusal::new(&wording::TOO_MANY_DRAFTS, opportunity).with("limit", MAX_DRAFTS))
    }

    fn check_number(&self, tenant: TenantId, number: &str) -> Result<(), Refusal> {
        let mut own = self.orders.iter();
        let taken = self.numbers.contains(&(tenant, number.to_owned()))
            || own.any(|order| order.tenant_id == tenant && order.number == number);
        if number.is_empty() || !taken {
            return Ok(());
        }
        Err(Refusal::new(&wording::NUMBER_TAKEN, number))
    }
}
