//! What people do with a plan, until an opportunity comes of it.

use super::{Contact, ContactResult, NewContact, PlanState, WinBackCommand, WinBackPlan, WinBackWork};
use crate::domain::World;
use crm_closeout::{
    ids::{CustomerId, OpportunityId, TenantId, WinBackPlanId},
    refusal::{Refusal, Violation, check_etag},
    time::Time,
    wording,
    working_set::{Cause, Keyed},
};

/// Most contacts that a plan lists.
const MOST_CONTACTS: usize = 20;

impl World {
    /// Does what a person does with a plan.
    pub fn work_on_win_back(&mut self, cause: &Cause, command: &WinBackCommand) -> Result<WinBackPlan, Refusal> {
        let WinBackCommand { id, etag, work } = command;
        let plan = self.plans.get(&(cause.tenant_id, *id)).cloned().ok_or_else(|| Refusal::not_found(*id))?;
        check_etag(etag, plan.version, *id)?;
        if !plan.state.is_open() {
            return Err(ended(&plan));
        }
        let (mut contacted_at, mut block) = (None, false);
        match work {
            WinBackWork::Update(edit) => self.change_plan(cause, &plan, |plan| {
                let edit = edit.clone();
                plan.owner = edit.owner.unwrap_or_else(|| plan.owner.clone());
                plan.dated |= edit.due_at.is_some();
                plan.due_at = edit.due_at.unwrap_or(plan.due_at);
                plan.offer = edit.offer.unwrap_or_else(|| plan.offer.clone());
            }),
            WinBackWork::GiveUp(note) => {
                self.end_plan(cause, &plan, PlanState::GivenUp, note);
                self.tell_win_back(cause, &plan, "win_back.given_up", note.clone());
            }
            WinBackWork::Contact(contact) => {
                contacted_at = Some(self.contact(cause, &plan, contact));
                block = contact.result == ContactResult::DoNotContact;
            }
        }
        if block {
            self.cancel_win_backs_of(cause, plan.customer_id);
        }
        self.touch(cause, plan.customer_id, None, |customer| {
            customer.do_not_contact |= block;
            customer.contacted_at = customer.contacted_at.max(contacted_at);
        });
        self.plans.get(&plan.key()).cloned().ok_or_else(|| Refusal::not_found(*id))
    }

    /// Records a contact; answers when it was.
    fn contact(&mut self, cause: &Cause, plan: &WinBackPlan, new: &NewContact) -> Time {
        let NewContact { at, method, person, result, note, next_at } = new.clone();
        let at = at.unwrap_or(self.common.now);
        let text = format!("{}: {}", method.word(), result.word());
        let text = if note.is_empty() { text } else { format!("{text}: {note}") };
        let state = match result {
            ContactResult::NoAnswer | ContactResult::Later | ContactResult::Interested => PlanState::Running,
            ContactResult::Declined => PlanState::GivenUp,
            ContactResult::DoNotContact => PlanState::Cancelled,
        };
        let end = (!state.is_open()).then(|| self.ending(cause, &note));
        let contact = Contact { at, method, person, result, note, actor: cause.actor.clone() };
        self.change_plan(cause, plan, |plan| {
            (plan.state, plan.end) = (state, end);
            plan.dated |= next_at.is_some();
            plan.due_at = next_at.unwrap_or(plan.due_at);
            plan.contact_count += 1;
            let contacts = &mut plan.contacts.0;
            contacts.push(contact);
            contacts.drain(..contacts.len().saturating_sub(MOST_CONTACTS));
        });
        self.tell_win_back(cause, plan, "win_back.contacted", text);
        at
    }

    /// The plan of which an opportunity is to be made, if it can be.
    pub(in crate::domain) fn recoverable(
        &self,
        tenant: TenantId,
        plan: WinBackPlanId,
        customer: Option<CustomerId>,
    ) -> Result<WinBackPlan, Refusal> {
        let plan = self.plans.get(&(tenant, plan)).ok_or_else(|| Refusal::not_found(plan))?;
        if customer != Some(plan.customer_id) {
            let other = Violation::new("opportunity.recovered_from", &wording::PLAN_OF_OTHER_CUSTOMER);
            return Err(other.with("customer", plan.customer_id).into());
        }
        match plan.state {
            PlanState::Planned | PlanState::Running | PlanState::GivenUp => Ok(plan.clone()),
            PlanState::Recovered | PlanState::Cancelled => Err(ended(plan)),
        }
    }

    /// An opportunity was made of a plan. The customer's record is touched by the caller.
    pub(in crate::domain) fn recover(&mut self, cause: &Cause, plan: &WinBackPlan, by: OpportunityId) {
        let end = self.ending(cause, "");
        self.change_plan(cause, plan, |plan| {
            plan.state = PlanState::Recovered;
            plan.recovered_by = Some(by);
            plan.end = Some(end);
        });
        self.tell_win_back(cause, plan, "win_back.recovered", by.to_string());
    }
}

fn ended(plan: &WinBackPlan) -> Refusal {
    Refusal::new(&wording::WIN_BACK_ENDED, plan.plan_id).with("state", plan.state.word())
}
