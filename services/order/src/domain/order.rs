//! Orders: made, confirmed, fulfilled, paid, closed out, reopened. Every guard of `close_out` and `reopen` stands here.

use super::{Lines, World, order_record};
use crm_closeout::{
    cascade::Change,
    codes,
    codes::{Code, Record, RecordKind, Side},
    episode::{CloseOut, CloseOutState, Delivery, Effect, Outcome, OutcomeClass, Snapshot},
    fact::{Event, Fact, MirrorState, WonPolicy},
    ids::{CloseOutId, CustomerId, OpportunityId, OrderId, TenantId},
    money::{Currency, Money},
    reason::Reason,
    refusal::{Refusal, RefusalKind, Violation, check_etag},
    task::TaskKind,
    time::Time,
    working_set::{Cause, Keyed},
};

/// Most draft orders of one opportunity: its close-out stays one commit.
const MAX_DRAFTS: i64 = 50;

codes! {
    /// Where an order stands.
    pub enum State {
        /// Being put together.
        Draft = 1 "DRAFT",
        /// Agreed.
        Confirmed = 2 "CONFIRMED",
        /// Something was fulfilled.
        InFulfilment = 3 "IN_FULFILMENT",
        /// Closed out: done.
        Processed = 5 "PROCESSED",
        /// Closed out: cancelled as a whole.
        Cancelled = 6 "CANCELLED",
    }
}

impl State {
    const fn is_closed(self) -> bool {
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
    /// What was paid, in minor units.
    pub paid_minor: i64,
    /// Reference of the refund; empty: none.
    pub refund_reference: String,
    /// The close-out in force; none unless PROCESSED or CANCELLED.
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
    /// Number of the last message in its lane.
    pub sent: i64,
}

impl Keyed for Order {
    type Key = (TenantId, OrderId);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.order_id)
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
    /// Why; what it requires has been checked.
    pub reason: &'static Reason,
    /// The person's words.
    pub detail: String,
    /// Reference of the refund; empty: none.
    pub refund_reference: String,
    /// What becomes of the won opportunity.
    pub won_policy: WonPolicy,
    /// When, if in the past.
    pub closed_at: Option<Time>,
}

/// Why and by whose cause an order is closed out, whoever asks for it.
pub(super) struct Grounds {
    pub(super) outcome: Outcome,
    pub(super) reason_code: String,
    pub(super) reason_version: i64,
    pub(super) class: Option<OutcomeClass>,
    pub(super) detail: String,
    pub(super) closed_at: Time,
    pub(super) historical: bool,
    pub(super) cause: Option<CloseOutId>,
    pub(super) hop: i32,
    pub(super) won_policy: WonPolicy,
    pub(super) refund_reference: String,
}

impl Order {
    /// What was ordered and not cancelled.
    pub fn total(&self) -> Money {
        self.lines.total(self.currency)
    }

    fn mirror_state(&self) -> MirrorState {
        match self.state {
            State::Draft => MirrorState::Draft,
            State::Confirmed | State::InFulfilment => MirrorState::Live,
            State::Processed => MirrorState::Processed,
            State::Cancelled => MirrorState::Closed,
        }
    }

    fn fact(&self, cause: &Cause, event: Event, now: Time) -> Fact {
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
        }
    }

    fn check_not_closed(&self) -> Result<(), Refusal> {
        match self.close_out_id {
            Some(close_out) if self.state.is_closed() => Err(Refusal::subject_closed(self.order_id, close_out)),
            Some(_) | None => Ok(()),
        }
    }

    fn wrong_state(&self, can: &str) -> Refusal {
        let message = format!("{} is {}; {can}", self.order_id, self.state.word());
        Refusal::precondition("WRONG_STATE", self.order_id, message).with("state", self.state.word())
    }

    fn snapshot(&self, at: Time) -> Snapshot {
        Snapshot {
            state: self.state.code(),
            state_word: self.state.word().to_owned(),
            stage: String::new(),
            days_in_stage: 0,
            days_open: at.days_since(self.created_at),
            amount: self.total(),
            owner: self.owner.clone(),
            team: self.team.clone(),
            won_at: None,
            cancelled: self.lines.cancelled_counts(),
        }
    }

    /// The state in which this close-out ends the order.
    fn ends_as(&self, outcome: Outcome) -> State {
        if outcome == Outcome::Cancelled && !self.lines.any_fulfilled() { State::Cancelled } else { State::Processed }
    }
}

impl World {
    /// Makes an order in state DRAFT.
    pub fn create_order(&mut self, cause: &Cause, new: &NewOrder) -> Result<Order, Refusal> {
        let tenant = cause.tenant_id;
        self.check_customer(tenant, new.customer_id)?;
        if let Some(opportunity) = new.opportunity_id {
            self.check_parent(tenant, opportunity)?;
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
            paid_minor: 0,
            refund_reference: String::new(),
            close_out_id: None,
            closed_at: None,
            created_at: new.created_at.unwrap_or(now),
            historical: new.created_at.is_some(),
            updated_at: now,
            version: 1,
            epoch: 0,
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
        let before = self.order(cause, id, etag)?;
        before.check_not_closed()?;
        if edit.lines.is_some() && before.state != State::Draft {
            return Err(before.wrong_state("its lines can only be changed while it is a draft"));
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
        let before = self.order(cause, id, etag)?;
        before.check_not_closed()?;
        if before.state != State::Draft {
            return Err(before.wrong_state("only a draft can be confirmed"));
        }
        if let Some(opportunity) = before.opportunity_id {
            self.check_parent(cause.tenant_id, opportunity)?;
        }
        let after = self.change_order(cause, &before, None, |order| order.state = State::Confirmed)?;
        self.recount(cause, &before, &after, None);
        self.report(cause, &after, Event::Confirmed, None)
    }

    /// Records what was fulfilled of a live order.
    pub fn fulfil(&mut self, cause: &Cause, id: OrderId, etag: &str, done: &[(usize, i64)]) -> Result<Order, Refusal> {
        let before = self.order(cause, id, etag)?;
        before.check_not_closed()?;
        if before.state == State::Draft {
            return Err(before.wrong_state("confirm it first"));
        }
        let mut lines = before.lines.clone();
        let mut violations = Vec::new();
        for (position, (index, quantity)) in done.iter().enumerate() {
            let field = format!("lines[{position}]");
            match lines.0.get_mut(*index) {
                None => {
                    violations.push(Violation::new(field, "UNKNOWN_LINE", format!("the order has no line {index}")))
                }
                Some(line) if *quantity > line.remaining() => {
                    let text = format!("only {} of line {index} are neither fulfilled nor cancelled", line.remaining());
                    violations.push(Violation::new(field, "TOO_MANY", text));
                }
                Some(line) => line.fulfilled += quantity,
            }
        }
        if !violations.is_empty() {
            return Err(Refusal::invalid(violations));
        }
        self.change_order(cause, &before, None, |order| {
            order.lines = lines;
            order.state = State::InFulfilment;
        })
    }

    /// Records a payment.
    pub fn pay(&mut self, cause: &Cause, id: OrderId, etag: &str, amount: Money) -> Result<Order, Refusal> {
        let before = self.order(cause, id, etag)?;
        if before.state == State::Cancelled {
            before.check_not_closed()?;
        }
        if amount.currency != before.currency {
            let text = format!("must be in {}, the currency of the order", before.currency);
            return Err(Refusal::invalid(vec![Violation::new("amount", "CURRENCY", text)]));
        }
        let paid = before.paid_minor.saturating_add(amount.minor);
        if paid > crm_closeout::money::MAX_MINOR {
            let text = "the payments of one order add up to more than any amount may be";
            return Err(Refusal::invalid(vec![Violation::new("amount", "OUT_OF_RANGE", text)]));
        }
        self.change_order(cause, &before, None, |order| order.paid_minor = paid)
    }

    /// Closes an order out as CANCELLED or PROCESSED.
    pub fn close_out(&mut self, cause: &Cause, closing: &Closing) -> Result<(Order, CloseOutId), Refusal> {
        let before = self.order(cause, closing.id, &closing.etag)?;
        if let Some(close_out) = before.close_out_id.filter(|_| before.state.is_closed()) {
            let message = format!("{} is closed out already, by {close_out}", closing.id);
            return Err(Refusal::precondition("ALREADY_CLOSED", closing.id, message).with("close_out", close_out));
        }
        let closed_at = closing.closed_at.unwrap_or(self.common.now);
        if closing.closed_at.is_some() && closed_at < before.created_at {
            let text = "must not be before the order's create_time";
            return Err(Refusal::invalid(vec![Violation::new("historical.close_time", "OUT_OF_RANGE", text)]));
        }
        match closing.outcome {
            Outcome::Processed => check_processed(&before)?,
            Outcome::Cancelled | Outcome::Lost => check_cancelled(&before, &closing.refund_reference)?,
        }
        let grounds = Grounds {
            outcome: closing.outcome,
            reason_code: closing.reason.code.to_owned(),
            reason_version: closing.reason.version,
            class: closing.reason.class,
            detail: closing.detail.clone(),
            closed_at,
            historical: closing.closed_at.is_some(),
            cause: None,
            hop: 0,
            won_policy: closing.won_policy,
            refund_reference: closing.refund_reference.clone(),
        };
        self.carry_out(cause, &before, grounds)
    }

    /// Closes the order out, on a caller's or another close-out's grounds.
    pub(super) fn carry_out(
        &mut self,
        cause: &Cause,
        before: &Order,
        grounds: Grounds,
    ) -> Result<(Order, CloseOutId), Refusal> {
        let id = CloseOutId(self.common.new_id());
        let record = order_record(before.order_id);
        let mut close_out = CloseOut {
            tenant_id: cause.tenant_id,
            close_out_id: id,
            subject: record,
            customer_id: Some(before.customer_id),
            episode: before.epoch + 1,
            outcome: grounds.outcome,
            reason_code: grounds.reason_code,
            reason_version: grounds.reason_version,
            class: grounds.class,
            detail: grounds.detail,
            competitor_id: None,
            snapshot: before.snapshot(grounds.closed_at),
            actor: cause.actor.clone(),
            closed_at: grounds.closed_at,
            historical: grounds.historical,
            state: CloseOutState::Effective,
            cause: grounds.cause,
            hop: grounds.hop,
            request_id: cause.request_id,
            effects: Vec::new(),
            delivery: Delivery::PENDING,
            reversal: None,
            reversal_delivery: None,
        };
        let state = before.ends_as(grounds.outcome);
        let after = self.change_order(cause, before, Some(id), |order| {
            order.state = state;
            if grounds.outcome == Outcome::Cancelled {
                order.lines.cancel_rest();
            }
            order.refund_reference.clone_from(&grounds.refund_reference);
            order.close_out_id = Some(id);
            order.closed_at = Some(grounds.closed_at);
            order.epoch += 1;
        })?;
        let after = self.report(cause, &after, Event::Closed, Some((&close_out, Some(grounds.won_policy))))?;
        close_out.effects = self.common.cancel_tasks(cause, Side::Order, record, id, kept_tasks(&after));
        close_out.effects.extend(self.recount(cause, before, &after, Some(&close_out)));
        let kind = if grounds.outcome == Outcome::Processed { "order.processed" } else { "order.cancelled" };
        let text = format!("{}@{}", close_out.reason_code, close_out.reason_version);
        self.common.tell(cause, after.customer_id, kind, record, Some(id), text);
        self.common.close_outs.insert(close_out);
        Ok((after, id))
    }

    /// Takes a close-out back.
    pub fn reopen(
        &mut self,
        cause: &Cause,
        id: OrderId,
        etag: &str,
        note: &str,
    ) -> Result<(Order, CloseOutId), Refusal> {
        let before = self.order(cause, id, etag)?;
        let Some(close_out) = before.close_out_id.filter(|_| before.state.is_closed()) else {
            let message = format!("{id} is {}; only a closed-out one can be reopened", before.state.word());
            return Err(Refusal::precondition("NOT_CLOSED", id, message).with("state", before.state.word()));
        };
        if !before.refund_reference.is_empty() {
            let message = format!("{id} was refunded ({}); make a new order", before.refund_reference);
            return Err(Refusal::precondition("REFUNDED", id, message).with("refund", &before.refund_reference));
        }
        if let Some(opportunity) = before.opportunity_id {
            self.check_parent(cause.tenant_id, opportunity)?;
        }
        self.reverse(cause, &before, close_out, note).map(|(after, _)| (after, close_out))
    }

    /// Reverses a close-out, for a caller or because the close-out that caused it was reversed.
    pub(super) fn reverse(
        &mut self,
        cause: &Cause,
        before: &Order,
        id: CloseOutId,
        note: &str,
    ) -> Result<(Order, Vec<Effect>), Refusal> {
        let close_out = self.common.close_outs.get(&(cause.tenant_id, id)).cloned();
        let close_out = close_out.ok_or_else(|| Refusal::not_found(id))?;
        let state = State::from_code(close_out.snapshot.state.into()).unwrap_or(State::Draft);
        let after = self.change_order(cause, before, Some(id), |order| {
            order.state = state;
            order.lines.restore(&close_out.snapshot.cancelled);
            order.close_out_id = None;
            order.closed_at = None;
        })?;
        let after = self.report(cause, &after, Event::Reopened, Some((&close_out, None)))?;
        let record = order_record(before.order_id);
        let mut effects = self.common.restore_tasks(cause, Side::Order, record, id);
        effects.extend(self.recount(cause, before, &after, Some(&close_out)));
        self.common.tell(cause, after.customer_id, "order.reopened", record, Some(id), note.to_owned());
        self.common.reverse(cause, id, note, effects.clone());
        Ok((after, effects))
    }

    /// Brings the customer's record up to an order that has changed, and answers what changed in it.
    fn recount(&mut self, cause: &Cause, before: &Order, after: &Order, close_out: Option<&CloseOut>) -> Vec<Effect> {
        let closed_at = after.closed_at;
        self.touch(cause, after.customer_id, close_out.map(|close_out| close_out.close_out_id), |customer| {
            customer.remove(before);
            customer.add(after);
            customer.last_close_out_at = customer.last_close_out_at.max(closed_at);
        })
    }

    fn order(&self, cause: &Cause, id: OrderId, etag: &str) -> Result<Order, Refusal> {
        let row = self.orders.get(&(cause.tenant_id, id)).ok_or_else(|| Refusal::not_found(id))?;
        check_etag(etag, row.version, id)?;
        Ok(row.clone())
    }

    fn change_order(
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

    fn audit_order(&mut self, cause: &Cause, before: Option<&Order>, after: &Order, close_out: Option<CloseOutId>) {
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
    fn report(
        &mut self,
        cause: &Cause,
        after: &Order,
        event: Event,
        close_out: Option<(&CloseOut, Option<WonPolicy>)>,
    ) -> Result<Order, Refusal> {
        let now = self.common.now;
        let row = self.orders.edit(&after.key()).ok_or_else(|| Refusal::not_found(after.order_id))?;
        row.sent += 1;
        let after = row.clone();
        let delivery = close_out.map(|(close_out, _)| (close_out.close_out_id, event == Event::Reopened));
        let mut fact = after.fact(cause, event, now);
        fact.close_out = close_out.map(|(close_out, won_policy)| close_out.fact(won_policy));
        self.common.send(cause, order_record(after.order_id), after.sent, fact, delivery);
        Ok(after)
    }

    /// Refuses while the opportunity is unknown or closed out.
    fn check_parent(&self, tenant: TenantId, opportunity: OpportunityId) -> Result<(), Refusal> {
        let lane = self.common.mirror(tenant, parent_record(opportunity))?;
        let Some(close_out) = lane.close_out_id.filter(|_| lane.is_closed()) else { return Ok(()) };
        let message = format!("{opportunity} is closed out by {close_out}; reopen it first");
        Err(Refusal::precondition("PARENT_CLOSED", opportunity, message).with("close_out", close_out))
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
                let text = format!("must be {its}, the customer of {opportunity}");
                Err(Refusal::invalid(vec![Violation::new("order.customer", "OTHER_CUSTOMER", text)]))
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
        let message = format!("{opportunity} has {MAX_DRAFTS} draft orders, the most allowed; close some out first");
        Err(Refusal::new(RefusalKind::Exhausted, "TOO_MANY_OPEN", opportunity, message).with("limit", MAX_DRAFTS))
    }

    fn check_number(&self, tenant: TenantId, number: &str) -> Result<(), Refusal> {
        let mut own = self.orders.iter();
        let taken = self.numbers.contains(&(tenant, number.to_owned()))
            || own.any(|order| order.tenant_id == tenant && order.number == number);
        if number.is_empty() || !taken {
            return Ok(());
        }
        let message = format!("number {number} is taken by another order; give it another one");
        Err(Refusal::new(RefusalKind::Exists, "NUMBER_TAKEN", number, message))
    }
}

fn check_processed(order: &Order) -> Result<(), Refusal> {
    if order.state == State::Draft {
        return Err(order.wrong_state("confirm and fulfil it first, or close it out as CANCELLED"));
    }
    let unfinished = order.lines.unfinished();
    let Some(first) = unfinished.first() else { return Ok(()) };
    let message = format!(
        "{} line(s) of {} are not fulfilled, the first is line {first}; record the fulfilment, or close it out as CANCELLED",
        unfinished.len(),
        order.order_id
    );
    let lines: Vec<_> = unfinished.iter().map(usize::to_string).collect();
    Err(Refusal::precondition("NOT_FULFILLED", order.order_id, message).with("lines", lines.join(",")))
}

fn check_cancelled(order: &Order, refund_reference: &str) -> Result<(), Refusal> {
    if order.lines.any_fulfilled() && order.lines.unfinished().is_empty() {
        let message = format!("everything of {} is fulfilled; close it out as PROCESSED", order.order_id);
        return Err(Refusal::precondition("NOTHING_TO_CANCEL", order.order_id, message));
    }
    if order.paid_minor > 0 && refund_reference.is_empty() {
        let paid = Money { minor: order.paid_minor, currency: order.currency };
        let message = format!("{} was paid for ({paid}); name the refund in refund_reference", order.order_id);
        return Err(Refusal::precondition("REFUND_REFERENCE_REQUIRED", order.order_id, message).with("paid", paid));
    }
    Ok(())
}

/// Kinds of task that a close-out leaves open: those about money, while a processed order is not paid in full.
fn kept_tasks(order: &Order) -> &'static [TaskKind] {
    let unpaid = order.paid_minor < order.total().minor;
    if order.state == State::Processed && unpaid { &[TaskKind::Collect, TaskKind::Invoice] } else { &[] }
}

const fn parent_record(opportunity: OpportunityId) -> Record {
    Record::new(RecordKind::Opportunity, opportunity.0)
}
