//! The close-out of an order and its reversal. Every guard of `close_out` and `reopen` stands here.

use super::{Closing, Order, State, parent_record};
use crate::domain::{World, order_record};
use crm_closeout::{
    access::{Owned, Right},
    approval::Approval,
    codes::{Code, Side},
    episode::{CloseOut, CloseOutState, Delivery, Effect, Outcome, OutcomeClass},
    fact::{Event, WonPolicy},
    ids::{CloseOutId, GroupId, OrderId},
    money::Money,
    plan::{Objections, Preview},
    reason::Reason,
    refusal::{Refusal, Violation},
    remarks::{Cited, Remarks},
    settings::Settings,
    task::TaskKind,
    time::Time,
    wording,
    working_set::Cause,
};

/// Why and by whose cause an order is closed out, whoever asks for it.
pub(in crate::domain) struct Grounds {
    pub(in crate::domain) outcome: Outcome,
    pub(in crate::domain) reason_code: String,
    pub(in crate::domain) reason_version: i64,
    pub(in crate::domain) class: Option<OutcomeClass>,
    pub(in crate::domain) win_back_days: i32,
    pub(in crate::domain) detail: String,
    pub(in crate::domain) closed_at: Time,
    pub(in crate::domain) historical: bool,
    pub(in crate::domain) cause: Option<CloseOutId>,
    pub(in crate::domain) hop: i32,
    pub(in crate::domain) group_id: Option<GroupId>,
    pub(in crate::domain) terms: Terms,
    pub(in crate::domain) remarks: Remarks,
    pub(in crate::domain) approval: Option<Approval>,
}

/// What a close-out does beside what its record says.
pub(in crate::domain) struct Terms {
    /// What becomes of the won opportunity.
    pub(in crate::domain) won_policy: WonPolicy,
    /// Reference of the refund; empty: none.
    pub(in crate::domain) refund_reference: String,
}

/// An order and what a close-out of it comes to, as far as both are known.
struct Judged {
    before: Option<Order>,
    reason: Option<Reason>,
    cited: Vec<Cited>,
    closed_at: Time,
    against: Objections,
}

impl Closing {
    fn grounds(&self, reason: Reason, cited: Vec<Cited>, closed_at: Time, asked: (Terms, Option<Approval>)) -> Grounds {
        let (terms, approval) = asked;
        Grounds {
            outcome: self.outcome,
            reason_code: reason.code.into_owned(),
            reason_version: reason.version,
            class: reason.class,
            win_back_days: reason.win_back_days,
            detail: self.detail.clone(),
            closed_at,
            historical: self.closed_at.is_some(),
            cause: None,
            hop: 0,
            group_id: None,
            terms,
            remarks: self.remarks.clone().citing(cited),
            approval,
        }
    }
}

impl World {
    /// Closes an order out as CANCELLED or PROCESSED, or asks for the approval that this needs.
    pub fn close_out(&mut self, cause: &Cause, closing: &Closing) -> Result<(Order, CloseOutId), Refusal> {
        let Judged { before, reason, cited, closed_at, against } = self.judge(cause, closing);
        against.decide()?;
        let (Some(before), Some(reason)) = (before, reason) else { return Err(Refusal::not_found(closing.id)) };
        let asked = self.asked(&before, closing);
        let grounds = closing.grounds(reason, cited, closed_at, asked);
        if grounds.approval.is_none() {
            self.carry_out(cause, &before, grounds)
        } else {
            self.ask(cause, &before, grounds)
        }
    }

    /// Does what closing an order out does, as far as that can be told, and says what would refuse it. Nothing of it may be kept.
    pub fn preview(
        &mut self,
        cause: &Cause,
        closing: &Closing,
    ) -> Result<(Order, Option<CloseOutId>, Preview), Refusal> {
        let Judged { before, reason, cited, closed_at, against } = self.judge(cause, closing);
        let Some(before) = before else {
            return Err(against.decide().err().unwrap_or_else(|| Refusal::not_found(closing.id)));
        };
        let preview = against.preview(reason.as_ref(), closing.outcome, closed_at, closing.closed_at.is_some());
        let goes_on = !before.state.is_closed() && before.state != State::ClosePending;
        let Some(reason) = reason.filter(|_| goes_on) else { return Ok((before, None, preview)) };
        let asked = self.asked(&before, closing);
        let grounds = closing.grounds(reason, cited, closed_at, asked);
        let (after, close_out) = self.carry_out(cause, &before, grounds)?;
        Ok((after, Some(close_out), preview))
    }

    /// What a close-out does beside what its record says, as the caller or else the tenant has decided, and with what it has to wait.
    pub(super) fn asked(&self, before: &Order, closing: &Closing) -> (Terms, Option<Approval>) {
        let decided = Settings::of(before.tenant_id, &self.common.settings).won_policy;
        let won_policy = closing.won_policy.unwrap_or(decided);
        let terms = Terms { won_policy, refund_reference: closing.refund_reference.clone() };
        let approval = self.approval(before, closing, &terms);
        (terms, approval)
    }

    /// Every guard of a close-out.
    fn judge(&self, cause: &Cause, closing: &Closing) -> Judged {
        let (tenant, given, now) = (cause.tenant_id, closing.given(), self.common.now);
        let mut against = Objections::default();
        let record = order_record(closing.id);
        let (reason, cited) = self.common.heed_reason(&mut against, tenant, closing.scope(), &given, record);
        let before = against.heed(self.order(cause, Right::CloseOut, closing.id, &closing.etag));
        let closed_at = closing.closed_at.unwrap_or(now);
        if closing.closed_at.is_some() {
            against.heed(cause.may_import());
        }
        if let Some(before) = &before {
            if closing.outcome == Outcome::Cancelled {
                against.heed(before.check_cancellable_by(cause));
                against.heed(self.check_policy_by(cause, before, closing.won_policy));
            }
            against.heed(check_closable(before, closing));
            if closing.closed_at.is_some() && closed_at < before.created_at {
                against.heed::<()>(Err(Violation::new("historical.close_time", &wording::BEFORE_CREATION).into()));
            }
        }
        Judged { before, reason, cited, closed_at, against }
    }

    /// Refuses whoever decides otherwise than the tenant that a won opportunity is reopened or lost, and may not do that with it. Its
    /// team is not known here; where both have one owner it is taken to be the order's.
    fn check_policy_by(&self, cause: &Cause, before: &Order, policy: Option<WonPolicy>) -> Result<(), Refusal> {
        let decided = Settings::of(before.tenant_id, &self.common.settings).won_policy;
        let right = match policy.filter(|policy| *policy != decided) {
            Some(WonPolicy::Reopen) => Right::ReopenOpportunities,
            Some(WonPolicy::Lose) => Right::CloseOut,
            Some(WonPolicy::Keep | WonPolicy::Ask) | None => return Ok(()),
        };
        let Some(opportunity) = before.opportunity_id else { return Ok(()) };
        let owner = self.common.mirror(before.tenant_id, parent_record(opportunity))?.owner.as_str();
        let team = if owner == before.owner { before.team.as_str() } else { "" };
        cause.may(right, opportunity, Owned { owner, team })
    }

    /// Closes the order out, on a caller's or another close-out's grounds.
    pub(in crate::domain) fn carry_out(
        &mut self,
        cause: &Cause,
        before: &Order,
        grounds: Grounds,
    ) -> Result<(Order, CloseOutId), Refusal> {
        let (close_out, terms) = self.record(cause, before, grounds);
        let id = close_out.close_out_id;
        self.enforce(cause, before, close_out, terms).map(|after| (after, id))
    }

    /// The record of a close-out that is to be done.
    pub(super) fn record(&mut self, cause: &Cause, before: &Order, grounds: Grounds) -> (CloseOut, Terms) {
        let close_out = CloseOut {
            tenant_id: cause.tenant_id,
            close_out_id: CloseOutId(self.common.new_id()),
            subject: order_record(before.order_id),
            customer_id: Some(before.customer_id),
            episode: before.epoch + before.declined + 1,
            outcome: grounds.outcome,
            reason_code: grounds.reason_code,
            reason_version: grounds.reason_version,
            class: grounds.class,
            win_back_days: grounds.win_back_days,
            detail: grounds.detail,
            competitor_id: None,
            remarks: grounds.remarks.assigned_to(&before.owner),
            snapshot: before.snapshot(grounds.closed_at, &self.common.exchange),
            actor: cause.actor.clone(),
            closed_at: grounds.closed_at,
            historical: grounds.historical,
            state: CloseOutState::Effective,
            cause: grounds.cause,
            hop: grounds.hop,
            group_id: grounds.group_id,
            request_id: cause.request_id,
            effects: Vec::new(),
            delivery: Delivery::PENDING,
            reversal: None,
            reversal_delivery: None,
            amendments: Vec::new(),
            approval: grounds.approval,
        };
        (close_out, grounds.terms)
    }

    /// Does what a close-out does.
    pub(super) fn enforce(
        &mut self,
        cause: &Cause,
        before: &Order,
        mut close_out: CloseOut,
        terms: Terms,
    ) -> Result<Order, Refusal> {
        let (id, record, outcome) = (close_out.close_out_id, close_out.subject, close_out.outcome);
        let Terms { won_policy, refund_reference } = terms;
        let state = before.ends_as(outcome);
        let after = self.change_order(cause, before, Some(id), |order| {
            order.state = state;
            if outcome == Outcome::Cancelled {
                order.lines.cancel_rest();
            }
            order.refund_reference = refund_reference;
            order.close_out_id = Some(id);
            order.closed_at = Some(close_out.closed_at);
            order.epoch += 1;
        })?;
        let after = self.report(cause, &after, Event::Closed, Some((&close_out, Some(won_policy))))?;
        close_out.effects = self.common.cancel_tasks(cause, Side::Order, record, id, kept_tasks(&after));
        self.common.remark(cause, Side::Order, &mut close_out);
        close_out.effects.extend(self.recount(cause, before, &after, Some(&close_out)));
        let kind = if outcome == Outcome::Processed { "order.processed" } else { "order.cancelled" };
        let text = format!("{}@{}", close_out.reason_code, close_out.reason_version);
        self.common.tell_of(&close_out.actor, cause.tenant_id, after.customer_id, kind, (record, Some(id)), text);
        self.common.close_outs.put(close_out);
        Ok(after)
    }

    /// Takes a close-out back.
    pub fn reopen(
        &mut self,
        cause: &Cause,
        id: OrderId,
        etag: &str,
        note: &str,
    ) -> Result<(Order, CloseOutId), Refusal> {
        let before = self.order_if(cause, id, etag, |row| match row.closed_by() {
            Some(by) => self.common.may_take_back(cause, Right::ReopenOrders, by, row.owned()),
            None => Ok(()),
        })?;
        let close_out = match (before.state, before.close_out_id) {
            (State::Processed | State::Cancelled, Some(close_out)) => close_out,
            (State::ClosePending, Some(close_out)) => return Err(Refusal::close_pending(id, close_out)),
            _ => return Err(before.wrong_state(&wording::NOT_CLOSED)),
        };
        if !before.refund_reference.is_empty() {
            return Err(Refusal::new(&wording::REFUNDED, id).with("refund", &before.refund_reference));
        }
        if let Some(opportunity) = before.opportunity_id {
            self.check_parent(cause.tenant_id, opportunity, Some(close_out))?;
        }
        self.reverse(cause, &before, close_out, note).map(|(after, _)| (after, close_out))
    }

    /// Reverses a close-out, for a caller or because the close-out that caused it was reversed.
    pub(in crate::domain) fn reverse(
        &mut self,
        cause: &Cause,
        before: &Order,
        id: CloseOutId,
        note: &str,
    ) -> Result<(Order, Vec<Effect>), Refusal> {
        let close_out = self.common.close_out(cause.tenant_id, id)?;
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
        effects.extend(self.common.withdraw_follow_up(cause, Side::Order, &close_out));
        effects.extend(self.recount(cause, before, &after, Some(&close_out)));
        self.common.tell(cause, after.customer_id, "order.reopened", record, Some(id), note.to_owned());
        self.common.reverse(cause, id, note, effects.clone());
        Ok((after, effects))
    }
}

fn check_closable(order: &Order, closing: &Closing) -> Result<(), Refusal> {
    if let Some(close_out) = order.close_out_id.filter(|_| order.state.is_closed()) {
        return Err(Refusal::new(&wording::ALREADY_CLOSED, order.order_id).with("close_out", close_out));
    }
    if let Some(close_out) = order.close_out_id.filter(|_| order.state == State::ClosePending) {
        return Err(Refusal::close_pending(order.order_id, close_out));
    }
    match closing.outcome {
        Outcome::Processed => check_processed(order),
        Outcome::Cancelled | Outcome::Lost => check_cancelled(order, closing),
    }
}

fn check_processed(order: &Order) -> Result<(), Refusal> {
    if order.state == State::Draft {
        return Err(order.wrong_state(&wording::CONFIRM_AND_FULFIL_FIRST));
    }
    let unfinished = order.lines.unfinished();
    let Some(first) = unfinished.first() else { return Ok(()) };
    let lines: Vec<_> = unfinished.iter().map(usize::to_string).collect();
    let refusal = Refusal::new(&wording::NOT_FULFILLED, order.order_id);
    Err(refusal.with("count", lines.len()).with("first", first).with("lines", lines.join(",")))
}

fn check_cancelled(order: &Order, closing: &Closing) -> Result<(), Refusal> {
    if order.lines.any_fulfilled() && order.lines.unfinished().is_empty() {
        return Err(Refusal::new(&wording::NOTHING_TO_CANCEL, order.order_id));
    }
    // Of what is closed out now another person may approve that nothing was paid back.
    if order.is_entered_late(closing) && order.paid_minor > 0 && closing.refund_reference.is_empty() {
        let paid = Money { minor: order.paid_minor, currency: order.currency };
        return Err(Refusal::new(&wording::REFUND_REFERENCE_REQUIRED, order.order_id).with("paid", paid));
    }
    Ok(())
}

/// Kinds of task that a close-out leaves open: those about money, while a processed order is not paid in full.
fn kept_tasks(order: &Order) -> &'static [TaskKind] {
    let unpaid = order.paid_minor < order.total().minor;
    if order.state == State::Processed && unpaid { &[TaskKind::Collect, TaskKind::Invoice] } else { &[] }
}
