//! The correction of what a close-out of an order says of its reason.

use crate::domain::{Order, World};
use crm_closeout::{
    access::Right,
    amend::{self, Amending, Stated},
    episode::{CloseOut, Outcome},
    fact::{ClosedFact, Event},
    ids::OrderId,
    reason::ReasonScope,
    refusal::Refusal,
    wording,
    working_set::Cause,
};

impl World {
    /// Corrects a close-out in force. Its time stays.
    pub fn amend(&mut self, cause: &Cause, amending: &Amending) -> Result<CloseOut, Refusal> {
        let (tenant, id) = (cause.tenant_id, amending.id);
        let close_out = self.common.amendable(tenant, id)?;
        let before = self.order(cause, Right::Amend, OrderId(close_out.subject.id), &amending.etag)?;
        if before.close_out_id != Some(id) {
            return Err(Refusal::new(&wording::NOT_IN_FORCE, id).with("state", close_out.state.word()));
        }
        let scope = match close_out.outcome {
            Outcome::Processed => ReasonScope::OrderProcessed,
            Outcome::Cancelled | Outcome::Lost => ReasonScope::Order,
        };
        let stated = self.common.restated(scope, &close_out, amending)?;
        if stated == close_out.stated() {
            return Ok(close_out);
        }
        self.restate(cause, &before, &close_out, stated, &amending.note)
    }

    /// The close-outs of orders that this close-out of an opportunity caused say what it says now.
    pub(in crate::domain) fn amend_caused(&mut self, cause: &Cause, closed: &ClosedFact) {
        for (close_out, stated) in self.common.to_follow(cause.tenant_id, closed) {
            let row = self.orders.get(&(cause.tenant_id, OrderId(close_out.subject.id))).cloned();
            // What is not there is not corrected.
            if let Some(before) = row.filter(|row| row.close_out_id == Some(close_out.close_out_id)) {
                drop(self.restate(cause, &before, &close_out, stated, ""));
            }
        }
    }

    fn restate(
        &mut self,
        cause: &Cause,
        before: &Order,
        close_out: &CloseOut,
        stated: Stated,
        note: &str,
    ) -> Result<CloseOut, Refusal> {
        let (id, text) = (close_out.close_out_id, amend::told(&close_out.stated(), &stated));
        let amended = self.common.amend(cause, id, stated, note).ok_or_else(|| Refusal::not_found(id))?;
        let after = self.change_order(cause, before, Some(id), |_| {})?;
        let after = self.report(cause, &after, Event::Amended, Some((&amended, None)))?;
        self.common.tell(cause, after.customer_id, "order.amended", amended.subject, Some(id), text);
        Ok(amended)
    }
}
