//! The reasons that the walk's tenant has made for itself, none of which proposes to win anybody back, and what they ask for.

use super::{Outcome, OutcomeClass, Refused, wrong};
use crm_proto::common::ReasonScope as Scope;

/// A reason of the tenant's own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reason {
    pub(crate) code: &'static str,
    pub(crate) scope: Scope,
    pub(crate) class: OutcomeClass,
    pub(crate) least_detail: i32,
}

const fn reason(code: &'static str, scope: Scope, class: OutcomeClass, least_detail: i32) -> Reason {
    Reason { code, scope, class, least_detail }
}

/// The tenant's own.
pub(crate) const REASONS: [Reason; 6] = [
    reason("WALK_LOST", Scope::Opportunity, OutcomeClass::NoDecision, 0),
    reason("WALK_TOLD", Scope::Opportunity, OutcomeClass::CustomerCancelled, 5),
    reason("WALK_TIDIED", Scope::Opportunity, OutcomeClass::Administrative, 0),
    reason("WALK_VOID", Scope::Order, OutcomeClass::NoDecision, 0),
    reason("WALK_VOID_TOLD", Scope::Order, OutcomeClass::CustomerCancelled, 5),
    reason("WALK_ERROR", Scope::Order, OutcomeClass::Administrative, 0),
];

/// The built-in one of what is done.
const PROCESSED: Reason = reason("ORD_PROCESSED", Scope::OrderProcessed, OutcomeClass::Unspecified, 0);

/// The scope in which a close-out with this outcome finds its reason.
pub(super) const fn scope_of(outcome: Outcome) -> Scope {
    match outcome {
        Outcome::Lost | Outcome::Unspecified => Scope::Opportunity,
        Outcome::Cancelled => Scope::Order,
        Outcome::Processed => Scope::OrderProcessed,
    }
}

/// The reason with this code, if everything is there that it asks for.
pub(super) fn check(scope: Scope, code: &str, detail: &str) -> Result<Reason, Refused> {
    if code.is_empty() && scope == Scope::OrderProcessed {
        return Ok(PROCESSED);
    }
    if code.is_empty() {
        return Err(wrong("reason REQUIRED"));
    }
    let Some(found) = REASONS.iter().chain([&PROCESSED]).find(|reason| reason.code == code) else {
        return Err(wrong("reason UNKNOWN_REASON"));
    };
    let (other, short) = (found.scope != scope, (detail.chars().count() as i32) < found.least_detail);
    let fields = [other.then_some("reason REASON_SCOPE"), short.then_some("detail DETAIL_TOO_SHORT")];
    let fields: Vec<_> = fields.into_iter().flatten().map(str::to_owned).collect();
    if fields.is_empty() { Ok(*found) } else { Err(Refused { reason: "INVALID_FIELDS", fields }) }
}

/// The customer was lost with it.
pub(super) const fn is_loss(class: OutcomeClass) -> bool {
    matches!(class, OutcomeClass::CompetitiveLoss | OutcomeClass::NoDecision | OutcomeClass::CustomerCancelled)
}
