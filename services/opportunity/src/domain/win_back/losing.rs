//! What a loss makes of a plan, and what takes a loss back.

use super::{Contacts, MOST_PLANS, PlanEnd, PlanState, WinBackPlan};
use crate::domain::{Opportunity, World};
use crm_closeout::{
    codes::Record,
    episode::CloseOut,
    fact::ClosedFact,
    ids::{CloseOutId, CustomerId, TenantId, WinBackPlanId},
    money::Money,
    time::Time,
    working_set::Cause,
};

/// Something that was lost, as a plan needs it.
pub(in crate::domain) struct Loss<'a> {
    close_out_id: CloseOutId,
    subject: Record,
    customer_id: CustomerId,
    reason_code: &'a str,
    amount: Option<Money>,
    lost_at: Time,
    due_at: Option<Time>,
    owner: &'a str,
}

impl<'a> Loss<'a> {
    /// An opportunity that is closed out; none: it has no customer.
    pub(in crate::domain) fn of_opportunity(close_out: &'a CloseOut, after: &'a Opportunity) -> Option<Self> {
        Some(Self {
            close_out_id: close_out.close_out_id,
            subject: close_out.subject,
            customer_id: after.customer_id?,
            reason_code: &close_out.reason_code,
            amount: Some(close_out.snapshot.amount),
            lost_at: close_out.closed_at,
            due_at: close_out.win_back_at(),
            owner: &after.owner,
        })
    }

    /// An order of which is told that it is closed out.
    pub(in crate::domain) fn of_order(
        order: Record,
        customer_id: CustomerId,
        closed: &'a ClosedFact,
        owner: &'a str,
    ) -> Self {
        Self {
            close_out_id: closed.close_out_id,
            subject: order,
            customer_id,
            reason_code: &closed.reason_code,
            amount: closed.amount,
            lost_at: closed.closed_at,
            due_at: closed.win_back_at,
            owner,
        }
    }
}

impl World {
    /// Has the plan of a loss be what the close-out says now: made, its reason corrected, or cancelled. The customer's record is
    /// touched by the caller.
    pub(in crate::domain) fn plan_win_back(&mut self, cause: &Cause, loss: &Loss<'_>) {
        let (tenant, plan_id) = (cause.tenant_id, WinBackPlanId(loss.close_out_id.0));
        let (known, now) = (self.plans.get(&(tenant, plan_id)).cloned(), self.common.now);
        match (known, loss.due_at) {
            (None, Some(due_at)) if self.may_win_back(tenant, Some(loss.customer_id)) => {
                self.plans.insert(WinBackPlan {
                    tenant_id: tenant,
                    plan_id,
                    subject: loss.subject,
                    customer_id: loss.customer_id,
                    reason_code: loss.reason_code.to_owned(),
                    amount: loss.amount,
                    lost_at: loss.lost_at,
                    state: PlanState::Planned,
                    owner: loss.owner.to_owned(),
                    due_at,
                    dated: false,
                    offer: String::new(),
                    contacts: Contacts::default(),
                    contact_count: 0,
                    recovered_by: None,
                    end: None,
                    created_at: now,
                    updated_at: now,
                    version: 1,
                });
            }
            (None, _) => {}
            (Some(plan), None) if plan.state.is_open() => {
                let end = PlanEnd { by_correction: true, ..self.ending(cause, "") };
                self.change_plan(cause, &plan, |plan| {
                    loss.reason_code.clone_into(&mut plan.reason_code);
                    (plan.state, plan.end) = (PlanState::Cancelled, Some(end));
                });
            }
            (Some(plan), due_at) => self.correct_plan(cause, &plan, loss.reason_code, due_at),
        }
    }

    /// The reason of a close-out with a plan was corrected. Where a person has said when, that stays.
    fn correct_plan(&mut self, cause: &Cause, plan: &WinBackPlan, reason_code: &str, due_at: Option<Time>) {
        let may = plan.end.as_ref().is_some_and(|end| end.by_correction) && due_at.is_some();
        let again = may && self.may_win_back(plan.tenant_id, Some(plan.customer_id));
        let due_at = due_at.filter(|_| !plan.dated && (again || plan.state.is_open())).unwrap_or(plan.due_at);
        if !again && due_at == plan.due_at && reason_code == plan.reason_code {
            return;
        }
        self.change_plan(cause, plan, |plan| {
            reason_code.clone_into(&mut plan.reason_code);
            plan.due_at = due_at;
            if again {
                plan.state = if plan.contact_count > 0 { PlanState::Running } else { PlanState::Planned };
                plan.end = None;
            }
        });
    }

    /// Whether a plan would be made of a loss of this customer.
    pub(in crate::domain) fn may_win_back(&self, tenant: TenantId, customer: Option<CustomerId>) -> bool {
        customer.is_some_and(|id| self.may_contact(tenant, id) && self.tally(tenant, id).open < MOST_PLANS)
    }

    fn may_contact(&self, tenant: TenantId, id: CustomerId) -> bool {
        self.customers.get(&(tenant, id)).is_some_and(|customer| !customer.do_not_contact)
    }

    /// A loss is taken back: what is planned about it is, too. The customer's record is touched by the caller.
    pub(in crate::domain) fn cancel_win_back(&mut self, cause: &Cause, close_out: CloseOutId) {
        let plan = self.plans.get(&(cause.tenant_id, WinBackPlanId(close_out.0))).cloned();
        if let Some(plan) = plan.filter(|plan| plan.state.is_open()) {
            self.end_plan(cause, &plan, PlanState::Cancelled, "");
        }
    }

    /// Nobody may contact a customer any more: nothing is planned for it. The customer's record is touched by the caller.
    pub(in crate::domain) fn cancel_win_backs_of(&mut self, cause: &Cause, customer: CustomerId) {
        let plans: Vec<_> =
            self.plans.of((cause.tenant_id, customer.0)).filter(|p| p.state.is_open()).cloned().collect();
        for plan in &plans {
            self.end_plan(cause, plan, PlanState::Cancelled, "");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Tally;
    use crate::domain::tests::{cause, closing, opened, the_customer, world};
    use crm_closeout::working_set::Keyed;

    fn lost(world: &mut World) -> Option<WinBackPlan> {
        let id = opened(world).opportunity_id;
        let (closed, close_out) = world.close_out(&cause(), &closing(id)).unwrap();
        world.plans.get(&(closed.tenant_id, WinBackPlanId(close_out.0))).cloned()
    }

    #[test]
    fn a_customer_has_so_many_open_plans_at_most_and_no_more_are_promised() {
        let mut world = world();
        let due_at = Some(Time(7));
        world.tallies.insert(the_customer(&world).key(), Tally { open: MOST_PLANS - 1, running: 1, due_at });
        assert!(lost(&mut world).is_some());
        let customer = the_customer(&world);
        assert_eq!(customer.tally(), Tally { open: MOST_PLANS, running: 1, due_at }, "what was not loaded counts");
        assert!(lost(&mut world).is_none());
        let next = opened(&mut world).opportunity_id;
        assert_eq!(world.preview(&cause(), &closing(next)).unwrap().2.win_back_at, None);
        assert_eq!(the_customer(&world).plan_count, MOST_PLANS);
    }

    #[test]
    fn what_is_asked_for_and_not_approved_plans_nothing() {
        let mut world = world();
        let plan = lost(&mut world).unwrap();
        let before = (the_customer(&world), plan);
        world.begin();
        lost(&mut world).unwrap();
        world.rollback();
        assert_eq!((the_customer(&world), world.plans.get(&before.1.key()).cloned().unwrap()), before);
        assert_eq!(world.plans.iter().count(), 1);
    }
}
