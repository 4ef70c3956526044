//! A close-out of an opportunity that needs another person's approval: when it does, its waiting, and what is decided about it. It is
//! carried out as it was asked for, or the opportunity is again what it was.

use super::{Closing, Grounds, Opportunity, State};
use crate::domain::World;
use crm_closeout::{
    approval::{Approval, ApprovalCause, Ruling, Verdict},
    codes::Code,
    episode::CloseOut,
    ids::{CloseOutId, OpportunityId},
    refusal::Refusal,
    settings::Settings,
    wording,
    working_set::Cause,
};

impl World {
    /// With what a close-out has to wait for another person; none: it need not. What is entered with dates of the past needs
    /// nobody's approval.
    pub(super) fn approval(&self, before: &Opportunity, closing: &Closing) -> Option<Approval> {
        let policy = &Settings::of(before.tenant_id, &self.common.settings).approval;
        let over = policy.is_over(before.amount).then_some(ApprovalCause::OverAmount);
        let won = (before.state == State::Won).then_some(ApprovalCause::Won);
        let causes: Vec<_> = over.into_iter().chain(won).filter(|_| !before.is_entered_late(closing)).collect();
        (!causes.is_empty()).then(|| policy.approval(causes, self.common.now))
    }

    /// Has a close-out wait for another person. What it would do is found by doing it, and undoing all that its command has done.
    pub(super) fn ask(
        &mut self,
        cause: &Cause,
        before: &Opportunity,
        grounds: Grounds,
    ) -> Result<(Opportunity, CloseOutId), Refusal> {
        let close_out = self.record(cause, before, grounds);
        let id = close_out.close_out_id;
        self.enforce(cause, before, close_out.clone())?;
        let planned = self.common.planned_by(close_out.tenant_id, id);
        self.rollback();
        let after = self.change_opportunity(cause, before, Some(id), |opportunity| {
            opportunity.state = State::ClosePending;
            opportunity.close_out_id = Some(id);
        })?;
        self.common.await_approval(cause, close_out, planned);
        Ok((after, id))
    }

    /// Decides about a close-out that waits.
    pub fn rule(&mut self, cause: &Cause, ruling: &Ruling) -> Result<CloseOut, Refusal> {
        let close_out = self.common.awaiting(cause, ruling)?;
        let (tenant, id) = (cause.tenant_id, close_out.close_out_id);
        let subject = OpportunityId(close_out.subject.id);
        let may_say = |row: &Opportunity| ruling.verdict.may_be_said(cause, subject, row.owned());
        let before = self.opportunity_if(cause, subject, &ruling.etag, may_say)?;
        if before.state != State::ClosePending || before.close_out_id != Some(id) {
            return Err(Refusal::new(&wording::NOT_PENDING, id).with("state", close_out.state.word()));
        }
        let ruled = self.common.rule(cause, ruling)?;
        if ruling.verdict != Verdict::Approve {
            self.decline(cause, &before, &ruled)?;
            return Ok(ruled);
        }
        self.check_no_live_order(tenant, before.opportunity_id)?;
        let close_out = ruled.approved(self.common.now, |at| before.snapshot(at, &self.common.exchange));
        self.enforce(cause, &before, close_out)?;
        self.common.compare_with_plan(tenant, id)
    }

    /// The opportunity is again what it was before its close-out was asked for.
    fn decline(&mut self, cause: &Cause, before: &Opportunity, ruled: &CloseOut) -> Result<(), Refusal> {
        let (id, state) = (ruled.close_out_id, State::from_code(ruled.snapshot.state.into()));
        let after = self.change_opportunity(cause, before, Some(id), |opportunity| {
            opportunity.state = state.unwrap_or(State::Open);
            opportunity.close_out_id = None;
            opportunity.declined += 1;
        })?;
        self.hold_on(&after);
        self.note_declined(ruled, after.opportunity_id);
        Ok(())
    }
}
