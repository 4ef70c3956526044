//! The correction of what a close-out of an opportunity says of its reason.

use crate::domain::{Opportunity, World, win_back::Loss};
use crm_closeout::{
    access::Right,
    amend::{self, Amending, Stated},
    episode::{CloseOut, loss_at},
    fact::{ClosedFact, Event},
    ids::OpportunityId,
    reason::ReasonScope,
    refusal::Refusal,
    wording,
    working_set::Cause,
};

impl World {
    /// Corrects a close-out in force. Its time stays; whether the customer was lost with it is decided again.
    pub fn amend(&mut self, cause: &Cause, amending: &Amending) -> Result<CloseOut, Refusal> {
        let (tenant, id) = (cause.tenant_id, amending.id);
        let close_out = self.common.amendable(tenant, id)?;
        let before = self.opportunity(cause, Right::Amend, OpportunityId(close_out.subject.id), &amending.etag)?;
        if before.close_out_id != Some(id) {
            return Err(Refusal::new(&wording::NOT_IN_FORCE, id).with("state", close_out.state.word()));
        }
        let (stated, said) =
            (self.common.restated(ReasonScope::Opportunity, &close_out, amending)?, close_out.stated());
        if stated.competitor_id != said.competitor_id {
            self.check_competitor(tenant, stated.competitor_id)?;
        }
        if stated == said {
            return Ok(close_out);
        }
        self.restate(cause, &before, &close_out, stated, &amending.note)
    }

    /// The close-out of an opportunity that this close-out of an order caused says what it says now.
    pub(in crate::domain) fn amend_caused(&mut self, cause: &Cause, closed: &ClosedFact) {
        for (close_out, stated) in self.common.to_follow(cause.tenant_id, closed) {
            let row = self.opportunities.get(&(cause.tenant_id, OpportunityId(close_out.subject.id))).cloned();
            // What is not there is not corrected.
            if let Some(before) = row.filter(|row| row.close_out_id == Some(close_out.close_out_id)) {
                drop(self.restate(cause, &before, &close_out, stated, ""));
            }
        }
    }

    fn restate(
        &mut self,
        cause: &Cause,
        before: &Opportunity,
        close_out: &CloseOut,
        stated: Stated,
        note: &str,
    ) -> Result<CloseOut, Refusal> {
        let (id, text) = (close_out.close_out_id, amend::told(&close_out.stated(), &stated));
        let amended = self.common.amend(cause, id, stated, note).ok_or_else(|| Refusal::not_found(id))?;
        let after = self.change_opportunity(cause, before, Some(id), |opportunity| {
            opportunity.loss_at = loss_at(amended.outcome, amended.class, amended.closed_at);
        })?;
        let after = self.report(cause, &after, Event::Amended, Some(&amended))?;
        if let Some(loss) = Loss::of_opportunity(&amended, &after) {
            self.plan_win_back(cause, &loss);
        }
        if let Some(customer) = after.customer_id {
            self.touch(cause, customer, Some(id), |_| {});
            self.common.tell(cause, customer, "opportunity.amended", amended.subject, Some(id), text);
        }
        Ok(amended)
    }
}
