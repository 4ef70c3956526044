//! A customer is closed out: what is asked for, and what becomes of each opportunity.

use super::{AskersReach, CustomerClosing, Group, GroupState, Lefts, MOST_OPEN};
use crate::domain::{Closing, Opportunity, State, World, customer};
use crm_closeout::{
    access::Right,
    ids::{CloseOutId, CustomerId, GroupId},
    job::Job,
    plan::Objections,
    reason::ReasonScope,
    refusal::Refusal,
    wording,
    working_set::{Cause, Keyed as _},
};

impl World {
    /// Writes down that a customer is to be closed out. Its opportunities follow one by one.
    pub fn close_out_customer(&mut self, cause: &Cause, asked: &CustomerClosing) -> Result<Group, Refusal> {
        let (tenant, id, now) = (cause.tenant_id, asked.customer_id, self.common.now);
        let customer = self.customers.get(&(tenant, id)).ok_or_else(|| Refusal::not_found(id))?;
        if customer.open_count > MOST_OPEN as i64 {
            return Err(Refusal::new(&wording::TOO_MANY_TO_CLOSE, id).with("limit", MOST_OPEN));
        }
        self.check_not_closing(tenant, Some(id))?;
        let mut against = Objections::default();
        let (scope, about) = (ReasonScope::Opportunity, customer::record(id));
        let (reason, cited) = self.common.heed_reason(&mut against, tenant, scope, &asked.given(), about);
        against.heed(self.check_competitor(tenant, asked.competitor));
        let open: Vec<_> = self.open_of(tenant, id).collect();
        for one in &open {
            against.heed(cause.may(Right::CloseOut, one.opportunity_id, one.owned()));
        }
        if open.is_empty() {
            against.heed::<()>(Err(Refusal::new(&wording::NOTHING_OPEN, id)));
        }
        let found = open.len() as i64;
        against.decide()?;
        let Some(reason) = reason else { return Err(Refusal::not_found(id)) };
        let group = Group {
            tenant_id: tenant,
            group_id: GroupId(self.common.new_id()),
            customer_id: id,
            state: GroupState::Closing,
            reason_code: reason.code.into_owned(),
            reason_version: reason.version,
            detail: asked.detail.clone(),
            competitor_id: asked.competitor,
            remarks: asked.remarks.clone().citing(cited),
            actor: cause.actor.clone(),
            reach: AskersReach::of(cause),
            found,
            lefts: self.waiting_of(cause, id),
            created_at: now,
            finished_at: None,
            reopening: None,
            version: 1,
        };
        self.audit_group(cause, None, &group);
        self.touch(cause, id, None, |customer| customer.closing = Some(group.group_id));
        let text = format!("{}@{}", group.reason_code, group.reason_version);
        self.tell_of_group(cause, &group, "customer.closing", text);
        self.common.jobs.push(Job::group(tenant, group.group_id, group.version, now));
        self.groups.insert(group.clone());
        Ok(group)
    }

    /// The opportunities of a customer whose close-outs wait for approval already: those are decided about by themselves.
    fn waiting_of(&self, cause: &Cause, customer: CustomerId) -> Lefts {
        let mut lefts = Lefts::default();
        let own = self.opportunities.iter().filter(|one| one.customer_id == Some(customer));
        let waits = |one: &&Opportunity| one.state == State::ClosePending && one.counts_as() == State::Open;
        let waiting = own.filter(|one| one.tenant_id == cause.tenant_id).filter(waits);
        for (one, close_out) in waiting.filter_map(|one| Some((one, one.close_out_id?))) {
            lefts.note(one.opportunity_id, &Refusal::close_pending(one.opportunity_id, close_out));
        }
        lefts
    }

    /// Closes one opportunity of a group out, or notes down which rule leaves it open.
    pub fn close_of_group(
        &mut self,
        cause: &Cause,
        closing: &Closing,
    ) -> Result<(Opportunity, Option<CloseOutId>), Refusal> {
        let (tenant, id) = (cause.tenant_id, closing.id);
        let before = self.opportunities.get(&(tenant, id)).cloned().ok_or_else(|| Refusal::not_found(id))?;
        let group = closing.group_id.and_then(|group| self.groups.get(&(tenant, group)));
        // Somebody may have moved it to another end since it was found.
        let goes_on = matches!(before.state, State::Open | State::OnHold);
        let Some(key) = group.filter(|group| goes_on && group.state == GroupState::Closing).map(Group::key) else {
            return Ok((before, None));
        };
        match self.close_out(cause, closing) {
            Ok((after, close_out)) => Ok((after, Some(close_out))),
            Err(refusal) => {
                self.rollback();
                if let Some(group) = self.groups.edit(&key).filter(|group| !group.lefts.has(id)) {
                    group.lefts.note(id, &refusal);
                }
                Ok((before, None))
            }
        }
    }

    /// Ends a group in which nothing is left to be done; else it is looked at again.
    pub fn finish_group(&mut self, cause: &Cause, id: GroupId) -> Result<(), Refusal> {
        let (tenant, now) = (cause.tenant_id, self.common.now);
        let group = self.group(tenant, id)?;
        if group.state != GroupState::Closing {
            return Ok(());
        }
        if self.open_of(tenant, group.customer_id).any(|one| !group.lefts.has(one.opportunity_id)) {
            self.look_again(cause, &group);
            return Ok(());
        }
        let group = self.change_group(cause, &group, |group| {
            group.state = GroupState::Closed;
            group.finished_at = Some(now);
        });
        self.touch(cause, group.customer_id, None, |customer| customer.closing = None);
        let (code, version, left) = (&group.reason_code, group.reason_version, group.lefts.0.len());
        let text = if left == 0 { format!("{code}@{version}") } else { format!("{code}@{version}, {left} left open") };
        self.tell_of_group(cause, &group, "customer.closed_out", text);
        Ok(())
    }
}
