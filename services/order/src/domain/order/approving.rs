//! A close-out of an order that needs another person's approval: when it does, its waiting, and what is decided about it. It is carried
//! out as it was asked for, or the order is again what it was.

use super::{Closing, Grounds, Order, State, Terms};
use crate::domain::World;
use crm_closeout::{
    approval::{Approval, ApprovalCause, Ruling, Verdict},
    codes::Code,
    episode::{CloseOut, Outcome},
    fact::WonPolicy,
    ids::{CloseOutId, OrderId},
    money::Money,
    refusal::Refusal,
    settings::Settings,
    wording,
    working_set::Cause,
};

impl World {
    /// With what a close-out has to wait for another person; none: it need not. An order that is done, one that nobody has agreed to yet,
    /// and what is entered with dates of the past need nobody's approval.
    pub(super) fn approval(&self, before: &Order, closing: &Closing, terms: &Terms) -> Option<Approval> {
        let late = before.is_entered_late(closing);
        let needs = closing.outcome == Outcome::Cancelled && before.state != State::Draft && !late;
        let policy = &Settings::of(before.tenant_id, &self.common.settings).approval;
        // What was ordered: what was cancelled of it before, part by part, brings nobody below the limit.
        let over = policy.is_over(before.lines.ordered(before.currency)).then_some(ApprovalCause::OverAmount);
        let kept = before.paid_minor > 0 && closing.refund_reference.is_empty();
        let paid = kept.then_some(ApprovalCause::Paid);
        let causes: Vec<_> = over.into_iter().chain(paid).filter(|_| needs).collect();
        (!causes.is_empty()).then(|| Approval {
            won_policy: Some(terms.won_policy),
            refund_reference: terms.refund_reference.clone(),
            paid_minor: before.paid_minor,
            ..policy.approval(causes, self.common.now)
        })
    }

    /// Has a close-out wait for another person. What it would do is found by doing it, and undoing all that its command has done.
    pub(super) fn ask(
        &mut self,
        cause: &Cause,
        before: &Order,
        grounds: Grounds,
    ) -> Result<(Order, CloseOutId), Refusal> {
        let (close_out, terms) = self.record(cause, before, grounds);
        let id = close_out.close_out_id;
        self.enforce(cause, before, close_out.clone(), terms)?;
        let planned = self.common.planned_by(close_out.tenant_id, id);
        self.rollback();
        let after = self.change_order(cause, before, Some(id), |order| {
            order.state = State::ClosePending;
            order.close_out_id = Some(id);
        })?;
        self.common.await_approval(cause, close_out, planned);
        Ok((after, id))
    }

    /// Decides about a close-out that waits.
    pub fn rule(&mut self, cause: &Cause, ruling: &Ruling) -> Result<CloseOut, Refusal> {
        let close_out = self.common.awaiting(cause, ruling)?;
        let (tenant, id) = (cause.tenant_id, close_out.close_out_id);
        let subject = OrderId(close_out.subject.id);
        let may_say = |row: &Order| ruling.verdict.may_be_said(cause, subject, row.owned());
        let before = self.order_if(cause, subject, &ruling.etag, may_say)?;
        if before.state != State::ClosePending || before.close_out_id != Some(id) {
            return Err(Refusal::new(&wording::NOT_PENDING, id).with("state", close_out.state.word()));
        }
        let ruled = self.common.rule(cause, ruling)?;
        if ruling.verdict != Verdict::Approve {
            self.decline(cause, &before, &ruled)?;
            return Ok(ruled);
        }
        let asked = ruled.approval.as_ref();
        let terms = Terms {
            won_policy: asked.and_then(|approval| approval.won_policy).unwrap_or(WonPolicy::Keep),
            refund_reference: asked.map_or_else(String::new, |approval| approval.refund_reference.clone()),
        };
        if asked.is_some_and(|approval| before.paid_minor > approval.paid_minor) {
            let paid = Money { minor: before.paid_minor, currency: before.currency };
            return Err(Refusal::new(&wording::PAID_SINCE, before.order_id).with("paid", paid));
        }
        let close_out = ruled.approved(self.common.now, |at| before.snapshot(at, &self.common.exchange));
        self.enforce(cause, &before, close_out, terms)?;
        self.common.compare_with_plan(tenant, id)
    }

    /// The order is again what it was before its close-out was asked for.
    fn decline(&mut self, cause: &Cause, before: &Order, ruled: &CloseOut) -> Result<(), Refusal> {
        let (id, state) = (ruled.close_out_id, State::from_code(ruled.snapshot.state.into()));
        self.change_order(cause, before, Some(id), |order| {
            order.state = state.unwrap_or(State::Confirmed);
            order.close_out_id = None;
            order.declined += 1;
        })?;
        Ok(())
    }
}
