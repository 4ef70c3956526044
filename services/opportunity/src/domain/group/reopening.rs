//! A customer's close-out is taken back: each close-out of the group that is still in force.

use super::{Group, GroupState, Lefts, Reopening};
use crate::domain::{Opportunity, State, World};
use crm_closeout::{
    access::Right,
    approval::{Ruling, Verdict},
    episode::{CloseOut, CloseOutState},
    ids::{CloseOutId, GroupId, OpportunityId},
    job::Job,
    refusal::{Refusal, check_etag},
    wording,
    working_set::{Cause, Keyed as _},
};

impl World {
    /// Writes down that a group is to be taken back. Its close-outs follow one by one.
    pub fn reopen_customer(&mut self, cause: &Cause, id: GroupId, etag: &str, note: &str) -> Result<Group, Refusal> {
        let (tenant, now) = (cause.tenant_id, self.common.now);
        let before = self.group(tenant, id)?;
        check_etag(etag, before.version, id)?;
        match before.state {
            GroupState::Closed => {}
            GroupState::Closing => {
                return Err(Refusal::new(&wording::CUSTOMER_CLOSING, before.customer_id).with("group", id));
            }
            GroupState::Reopening | GroupState::Reopened => {
                return Err(Refusal::new(&wording::GROUP_NOT_CLOSED, id).with("state", before.state.word()));
            }
        }
        self.check_not_closing(tenant, Some(before.customer_id))?;
        for close_out in self.common.close_outs.iter().filter(|one| one.tenant_id == tenant && is_of(one, id)) {
            let subject = OpportunityId(close_out.subject.id);
            let row = self.opportunities.get(&(tenant, subject)).ok_or_else(|| Refusal::not_found(subject))?;
            if close_out.state == CloseOutState::Effective {
                let by = close_out.close_out_id;
                self.common.may_take_back(cause, Right::ReopenOpportunities, by, row.owned())?;
            } else {
                declining(cause, close_out).may_be_said(cause, subject, row.owned())?;
            }
        }
        let (actor, note, lefts) = (cause.actor.clone(), note.to_owned(), Lefts::default());
        let group = self.change_group(cause, &before, |group| {
            group.state = GroupState::Reopening;
            group.reopening = Some(Reopening { at: now, actor, note: note.clone(), lefts, finished_at: None });
        });
        self.touch(cause, group.customer_id, None, |customer| customer.closing = Some(id));
        self.common.jobs.push(Job::group(tenant, id, group.version, now));
        self.tell_of_group(cause, &group, "customer.reopening", note);
        Ok(group)
    }

    /// Takes one close-out of a group back, if it is still in force, or notes down what is against that.
    pub fn reverse_of_group(&mut self, cause: &Cause, id: GroupId, by: CloseOutId) -> Result<Opportunity, Refusal> {
        let tenant = cause.tenant_id;
        let close_out = self.common.close_out(tenant, by)?;
        let subject = OpportunityId(close_out.subject.id);
        let before = self.opportunities.get(&(tenant, subject)).cloned().ok_or_else(|| Refusal::not_found(subject))?;
        let group = self.group(tenant, id)?;
        let Some(reopening) = group.reopening.as_ref().filter(|_| group.state == GroupState::Reopening) else {
            return Ok(before);
        };
        if !is_of(&close_out, id) || before.close_out_id != Some(by) {
            return Ok(before);
        }
        match self.take_back(cause, &before, &close_out, &reopening.note) {
            Ok(after) => Ok(after),
            Err(refusal) => {
                self.rollback();
                let noted = self.groups.edit(&group.key()).and_then(|group| group.reopening.as_mut());
                if let Some(reopening) = noted.filter(|noted| !noted.lefts.has(subject)) {
                    reopening.lefts.note(subject, &refusal);
                }
                Ok(before)
            }
        }
    }

    fn take_back(
        &mut self,
        cause: &Cause,
        before: &Opportunity,
        close_out: &CloseOut,
        note: &str,
    ) -> Result<Opportunity, Refusal> {
        let id = close_out.close_out_id;
        if before.state == State::ClosedOut {
            return self.reverse(cause, before, id, note).map(|(after, _)| after);
        }
        let verdict = declining(cause, close_out);
        self.rule(cause, &Ruling { id, etag: String::new(), verdict, note: note.to_owned() })?;
        self.opportunities.get(&before.key()).cloned().ok_or_else(|| Refusal::not_found(before.opportunity_id))
    }

    /// Ends the taking back of a group.
    pub fn finish_reopening(&mut self, cause: &Cause, id: GroupId) -> Result<(), Refusal> {
        let (tenant, now) = (cause.tenant_id, self.common.now);
        let group = self.group(tenant, id)?;
        let Some(reopening) = group.reopening.as_ref().filter(|_| group.state == GroupState::Reopening) else {
            return Ok(());
        };
        let left = |one: &CloseOut| reopening.lefts.has(OpportunityId(one.subject.id));
        if self.common.close_outs.iter().any(|one| one.tenant_id == tenant && is_of(one, id) && !left(one)) {
            self.look_again(cause, &group);
            return Ok(());
        }
        let group = self.change_group(cause, &group, |group| {
            group.state = GroupState::Reopened;
            if let Some(reopening) = &mut group.reopening {
                reopening.finished_at = Some(now);
            }
        });
        self.touch(cause, group.customer_id, None, |customer| customer.closing = None);
        let note = group.reopening.as_ref().map(|reopening| reopening.note.clone()).unwrap_or_default();
        self.tell_of_group(cause, &group, "customer.reopened", note);
        Ok(())
    }
}

/// What is said about one that waits for approval.
fn declining(cause: &Cause, close_out: &CloseOut) -> Verdict {
    if close_out.actor == cause.actor { Verdict::Withdraw } else { Verdict::Reject }
}

/// It is one of the group that is in force, or waits for that.
fn is_of(close_out: &CloseOut, id: GroupId) -> bool {
    let counts = matches!(close_out.state, CloseOutState::Effective | CloseOutState::PendingApproval);
    counts && close_out.group_id == Some(id)
}
