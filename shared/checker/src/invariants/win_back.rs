//! Plans to win customers back, against what was lost and what the customers' records say.

use super::Found;
use crate::picture::{Episode, Picture};
use crm_closeout::{
    codes::{Record, RecordKind},
    episode::CloseOutState,
    ids::CloseOutId,
};
use crm_opportunity::domain::{PlanState, Tally, WinBackPlan};
use std::collections::BTreeMap;

/// I22: an open plan of something that is not lost, that says something else than its close-out, or of a customer that nobody may contact.
/// A customer's record that counts its open plans otherwise, and a plan that was recovered by an opportunity that is not there. (A
/// loss without an open plan is no fault: the customer may have been blocked meanwhile.)
pub(super) fn plans_follow_losses(picture: &Picture, found: &mut Found) {
    let mut open = BTreeMap::<_, Vec<&WinBackPlan>>::new();
    for plan in &picture.opportunity.plans {
        if plan.state.is_open() {
            open.entry((plan.tenant_id, plan.customer_id)).or_default().push(plan);
            let lost = close_out(picture, plan)
                .filter(|one| one.state == CloseOutState::Effective && one.loss_at() == Some(plan.lost_at));
            found.expect(lost.is_some(), || format!("{} is {}, and nothing is lost", plan.plan_id, plan.state.word()));
            let alike = lost.is_none_or(|one| {
                let amount = plan.amount.is_none_or(|amount| amount == one.amount);
                amount && (one.subject, &one.reason) == (plan.subject, &plan.reason_code)
            });
            found.expect(alike, || format!("{} does not say what its close-out says", plan.plan_id));
        }
        let by = plan.recovered_by.map(|id| (plan.tenant_id, Record::new(RecordKind::Opportunity, id.0)));
        let there = by.is_some_and(|by| picture.opportunity.subjects.contains_key(&by));
        found.expect(there == (plan.state == PlanState::Recovered), || {
            format!("{} is {}, and was recovered by {:?}", plan.plan_id, plan.state.word(), plan.recovered_by)
        });
    }
    for (key, customer) in &picture.opportunity.customers {
        let Some(relationship) = &customer.relationship else { continue };
        let plans = open.remove(key).unwrap_or_default();
        let running = plans.iter().filter(|plan| plan.state == PlanState::Running).count() as i64;
        let due_at = plans.iter().map(|plan| plan.due_at).min();
        let counted = Tally { open: plans.len() as i64, running, due_at };
        found.expect(relationship.plans == counted, || {
            format!("the open plans of {} are {:?}, counted {counted:?}", key.1, relationship.plans)
        });
        found.expect(plans.is_empty() || !relationship.blocked, || {
            format!("{} may not be contacted, and {} plans of it are open", key.1, plans.len())
        });
    }
}

/// The close-out of a plan, of the side on which it was made.
fn close_out<'a>(picture: &'a Picture, plan: &WinBackPlan) -> Option<&'a Episode> {
    let side = if plan.subject.kind == RecordKind::Order { &picture.order } else { &picture.opportunity };
    side.close_outs.get(&(plan.tenant_id, CloseOutId(plan.plan_id.0)))
}
