//! Orders: what they are, and how a change of one is recorded and reported. `working` is the way to fulfilled, `cancelling` the cancellation of a part, `closing` the
//! close-out and its reversal with every guard of them, `approving` its waiting for another person, `amending` its correction.

mod amending;
mod approving;
#[cfg(test)]
mod approving_tests;
mod cancelling;
mod closing;
mod working;

pub use cancelling::{Cancellation, Cancellations, Cancelling};
pub(super) use closing::{Grounds, Terms};

use super::{Lines, World, order_record};
use crm_closeout::{
    access::{Owned, Right},
    cascade::{Change, Resend},
    codes,
    codes::{Code, Record, RecordKind},
    episode::{CloseOut, Effect, Outcome, Snapshot},
    exchange::Rates,
    fact::{Event, Fact, MirrorState, WonPolicy},
    ids::{CloseOutId, CustomerId, OpportunityId, OrderId, TenantId},
    money::{Currency, Money},
    reason::{Given, ReasonScope},
    refusal::{Refusal, check_etag},
    remarks::Remarks,
    seeded_bug,
    time::Time,
    wording::{self, Wording},
    working_set::{Cause, Keyed, Owner},
};

codes! {
    /// Where an order stands.
    pub enum State {
        /// Being put together.
        Draft = 1 "DRAFT",
        /// Agreed.
        Confirmed = 2 "CONFIRMED",
        /// Something was fulfilled.
        InFulfilment = 3 "IN_FULFILMENT",
        /// Its close-out waits for another person's approval. Until that it counts as live.
        ClosePending = 4 "CLOSE_PENDING",
        /// Closed out: done.
        Processed = 5 "PROCESSED",
        /// Closed out: cancelled as a whole.
        Cancelled = 6 "CANCELLED",
    }
}

impl State {
    pub(super) const fn is_closed(self) -> bool {
        matches!(self, Self::Processed | Self::Cancelled)
    }
}

/// What a customer buys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Whose.
    pub tenant_id: TenantId,
    /// Its id.
    pub order_id: OrderId,
    /// The caller's own number.
    pub number: String,
    /// The customer.
    pub customer_id: CustomerId,
    /// The opportunity it comes from.
    pub opportunity_id: Option<OpportunityId>,
    /// Who owns it.
    pub owner: String,
    /// Which team.
    pub team: String,
    /// Where it stands.
    pub state: State,
    /// Currency of its lines and payments.
    pub currency: Currency,
    /// Its lines.
    pub lines: Lines,
    /// What was cancelled of them while it went on.
    pub cancellations: Cancellations,
    /// What was paid, in minor units.
    pub paid_minor: i64,
    /// Reference of the refund; empty: none.
    pub refund_reference: String,
    /// The close-out in force, or the one that waits for approval; none unless PROCESSED, CANCELLED or CLOSE_PENDING.
    pub close_out_id: Option<CloseOutId>,
    /// When that closed it.
    pub closed_at: Option<Time>,
    /// When it was created.
    pub created_at: Time,
    /// It was entered with dates of the past.
    pub historical: bool,
    /// When the record last changed.
    pub updated_at: Time,
    /// Raised by one at each change.
    pub version: i64,
    /// How many times it has been closed out.
    pub epoch: i64,
    /// How many close-outs were asked for and came to nothing.
    pub declined: i64,
    /// Number of the last message in its lane.
    pub sent: i64,
}

impl Keyed for Order {
    type Key = (TenantId, OrderId);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.order_id)
    }

    fn belongs_to(&self) -> Option<Owner> {
        self.opportunity_id.map(|opportunity| (self.tenant_id, opportunity.0))
    }
}

/// An order to be made.
#[derive(Clone, Debug)]
pub struct NewOrder {
    /// The caller's own number; empty: derived from the id.
    pub number: String,
    /// The customer.
    pub customer_id: CustomerId,
    /// The opportunity it comes from.
    pub opportunity_id: Option<OpportunityId>,
    /// Who owns it.
    pub owner: String,
    /// Which team.
    pub team: String,
    /// Currency of its lines.
    pub currency: Currency,
    /// Its lines.
    pub lines: Lines,
    /// When it was created, if in the past.
    pub created_at: Option<Time>,
}

/// What to change of an order.
#[derive(Clone, Debug, Default)]
pub struct OrderEdit {
    /// New number.
    pub number: Option<String>,
    /// New owner.
    pub owner: Option<String>,
    /// New team.
    pub team: Option<String>,
    /// New lines with their currency; while DRAFT.
    pub lines: Option<(Currency, Lines)>,
}

/// What a caller says to close an order out.
#[derive(Clone, Debug)]
pub struct Closing {
    /// Which.
    pub id: OrderId,
    /// Only this version.
    pub etag: String,
    /// CANCELLED or PROCESSED.
    pub outcome: Outcome,
    /// Resource name of the reason.
    pub reason: String,
    /// The person's words.
    pub detail: String,
    /// Reference of the refund; empty: none.
    pub refund_reference: String,
    /// What becomes of the won opportunity; none: what the tenant has decided.
    pub won_policy: Option<WonPolicy>,
    /// When, if in the past.
    pub closed_at: Option<Time>,
    /// What it says beside its reason.
    pub remarks: Remarks<String>,
}

impl Closing {
    /// What its reason may be used for.
    pub fn scope(&self) -> ReasonScope {
        match self.outcome {
            Outcome::Processed => ReasonScope::OrderProcessed,
            Outcome::Cancelled | Outcome::Lost => ReasonScope::Order,
        }
    }

    /// What it gives as its reason.
    pub fn given(&self) -> Given<'_> {
        Given {
            reason: &self.reason,
            detail: &self.detail,
            competitor: false,
            historical: self.closed_at.is_some(),
            secondary: &self.remarks.secondary,
            verification: self.remarks.verification.as_ref(),
        }
    }
}

impl Order {
    /// What was ordered and not cancelled.
    pub fn total(&self) -> Money {
        self.lines.total(self.currency)
    }

    /// It is entered with dates of the past, and was closed out before it was entered here.
    pub(super) fn is_entered_late(&self, closing: &Closing) -> bool {
        let entered = Time::of_id(self.order_id.0);
        self.historical && closing.closed_at.is_some_and(|at| entered.is_none_or(|entered| at < entered))
    }

    /// Whose it is.
    pub(super) fn owned(&self) -> Owned<'_> {
        Owned { owner: &self.owner, team: &self.team }
    }

    /// Refuses whoever may not cancel it, or a part of it.
    pub(super) fn check_cancellable_by(&self, cause: &Cause) -> Result<(), Refusal> {
        let right = if self.lines.any_fulfilled() { Right::CancelFulfilling } else { Right::CancelOrders };
        cause.may(right, self.order_id, self.owned())
    }

    /// The close-out in force.
    pub fn closed_by(&self) -> Option<CloseOutId> {
        self.close_out_id.filter(|_| self.state.is_closed())
    }

    fn mirror_state(&self) -> MirrorState {
        match self.state {
            State::Draft => MirrorState::Draft,
            State::Confirmed | State::InFulfilment | State::ClosePending => MirrorState::Live,
            State::Processed => MirrorState::Processed,
            State::Cancelled => MirrorState::Closed,
        }
    }

    pub(super) fn fact(&self, cause: &Cause, event: Event, now: Time) -> Fact {
        Fact {
            event,
            customer_id: Some(self.customer_id),
            customer_name: String::new(),
            parent: self.opportunity_id.map(|id| id.0),
            state: self.mirror_state(),
            epoch: self.epoch,
            owner: self.owner.clone(),
            actor: cause.actor.clone(),
            at: now,
            close_out: None,
            reason: None,
            settings: None,
            rate: None,
        }
    }

    pub(super) fn check_not_closed(&self) -> Result<(), Refusal> {
        match self.close_out_id {
            Some(close_out) if self.state.is_closed() => Err(Refusal::subject_closed(self.order_id, close_out)),
            Some(close_out) => Err(Refusal::close_pending(self.order_id, close_out)),
            None => Ok(()),
        }
    }

    /// Its state does not allow it: one of the wordings of WRONG_STATE or NOT_CLOSED.
    pub(super) fn wrong_state(&self, wording: &'static Wording) -> Refusal {
        Refusal::new(wording, self.order_id).with("state", self.state.word())
    }

    pub(super) fn snapshot(&self, at: Time, rates: &Rates) -> Snapshot {
        Snapshot {
            state: self.state.code(),
            state_word: self.state.word().to_owned(),
            stage: None,
            days_in_stage: 0,
            days_open: at.days_since(self.created_at),
            amount: self.total(),
            exchange: rates.exchange(self.tenant_id, self.total(), at),
            owner: self.owner.clone(),
            team: self.team.clone(),
            won_at: None,
            cancelled: self.lines.cancelled_counts(),
        }
    }

    /// The state in which this close-out ends the order.
    pub(super) fn ends_as(&self, outcome: Outcome) -> State {
        if outcome == Outcome::Cancelled && !self.lines.any_fulfilled() { State::Cancelled } else { State::Processed }
    }
}

impl World {
    /// Brings the customer's record up to an order that has changed, and answers what changed in it.
    pub(super) fn recount(
        &mut self,
        cause: &Cause,
        before: &Order,
        after: &Order,
        close_out: Option<&CloseOut>,
    ) -> Vec<Effect> {
        let closed_at = after.closed_at;
        self.touch(cause, after.customer_id, close_out.map(|close_out| close_out.close_out_id), |customer| {
            customer.remove(before);
            customer.add(after);
            customer.last_close_out_at = customer.last_close_out_at.max(closed_at);
        })
    }

    /// An order that who is behind the command may do this with.
    pub(super) fn order(&self, cause: &Cause, right: Right, id: OrderId, etag: &str) -> Result<Order, Refusal> {
        self.order_if(cause, id, etag, |row| cause.may(right, id, row.owned()))
    }

    /// An order that is permitted, in the version that is meant.
    pub(super) fn order_if(
        &self,
        cause: &Cause,
        id: OrderId,
        etag: &str,
        permitted: impl FnOnce(&Order) -> Result<(), Refusal>,
    ) -> Result<Order, Refusal> {
        let row = self.orders.get(&(cause.tenant_id, id)).ok_or_else(|| Refusal::not_found(id))?;
        permitted(row)?;
        check_etag(etag, row.version, id)?;
        Ok(row.clone())
    }

    pub(super) fn change_order(
        &mut self,
        cause: &Cause,
        before: &Order,
        close_out: Option<CloseOutId>,
        change: impl FnOnce(&mut Order),
    ) -> Result<Order, Refusal> {
        let now = self.common.now;
        let row = self.orders.edit(&before.key()).ok_or_else(|| Refusal::not_found(before.order_id))?;
        row.updated_at = now;
        row.version += 1;
        change(row);
        let after = row.clone();
        self.audit_order(cause, Some(before), &after, close_out);
        Ok(after)
    }

    pub(super) fn audit_order(
        &mut self,
        cause: &Cause,
        before: Option<&Order>,
        after: &Order,
        close_out: Option<CloseOutId>,
    ) {
        let change = Change {
            from: before.map_or(0, |before| before.version),
            to: after.version,
            state_before: before.map_or("", |before| before.state.word()),
            state_after: after.state.word(),
            close_out,
        };
        self.common.audit(cause, after.order_id, change);
    }

    /// Tells the opportunity service what has become of the order.
    pub(super) fn report(
        &mut self,
        cause: &Cause,
        after: &Order,
        event: Event,
        close_out: Option<(&CloseOut, Option<WonPolicy>)>,
    ) -> Result<Order, Refusal> {
        let now = self.common.now;
        let row = self.orders.edit(&after.key()).ok_or_else(|| Refusal::not_found(after.order_id))?;
        row.sent += i64::from(!seeded_bug!("number-outside-lock", 5));
        let after = row.clone();
        // Receipts of a correction are nobody's: those of the close stay.
        let delivery = close_out.filter(|_| event != Event::Amended);
        let delivery = delivery.map(|(close_out, _)| (close_out.close_out_id, event == Event::Reopened));
        let mut fact = after.fact(cause, event, now);
        if let Some((close_out, _)) = close_out {
            close_out.acted(event, cause).clone_into(&mut fact.actor);
        }
        fact.close_out = close_out.map(|(close_out, won_policy)| close_out.fact(event, won_policy));
        self.common.send(cause, order_record(after.order_id), after.sent, fact, delivery);
        Ok(after)
    }

    /// Sends the whole state of an order again; answers the number with which it is sent.
    pub fn resend(&mut self, cause: &Cause, resend: &Resend) -> Result<i64, Refusal> {
        let (key, now) = ((cause.tenant_id, OrderId(resend.record.id)), self.common.now);
        let row = self.orders.edit(&key).ok_or_else(|| Refusal::not_found(resend.record))?;
        row.sent = row.sent.max(resend.peer_number) + 1;
        let row = row.clone();
        let in_force = row.closed_by().and_then(|id| self.common.close_outs.get(&(cause.tenant_id, id)).cloned());
        self.common.send_snapshot(cause, resend, row.sent, row.fact(cause, Event::Snapshot, now), in_force);
        Ok(row.sent)
    }

    /// Refuses while the opportunity is unknown or closed out, unless the order's own close-out is what caused that.
    pub(super) fn check_parent(
        &self,
        tenant: TenantId,
        opportunity: OpportunityId,
        own: Option<CloseOutId>,
    ) -> Result<(), Refusal> {
        let lane = self.common.mirror(tenant, parent_record(opportunity))?;
        let foreign = own.is_none() || lane.cause != own;
        let Some(close_out) = lane.close_out_id.filter(|_| lane.is_closed() && foreign) else { return Ok(()) };
        Err(Refusal::new(&wording::PARENT_CLOSED, opportunity).with("close_out", close_out))
    }
}

const fn parent_record(opportunity: OpportunityId) -> Record {
    Record::new(RecordKind::Opportunity, opportunity.0)
}
