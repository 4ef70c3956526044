//! Winning customers back. A loss whose reason says so makes a plan in its own commit; people work on it, a new opportunity ends it as
//! recovered, and what takes the loss back cancels it. Plans of a customer change under the customer's lock only.

mod losing;
mod working;

pub(super) use losing::Loss;

use super::{Customer, World};
use crm_closeout::{
    cascade::Change,
    codes,
    codes::Record,
    ids::{CloseOutId, CustomerId, OpportunityId, TenantId, WinBackPlanId},
    money::Money,
    time::Time,
    working_set::{Cause, Keyed, Owner},
};
use std::cmp;

codes! {
    /// Where a plan stands.
    pub enum PlanState {
        /// Nobody has contacted the customer yet.
        Planned = 1 "PLANNED",
        /// Somebody has.
        Running = 2 "RUNNING",
        /// An opportunity was made of it.
        Recovered = 3 "RECOVERED",
        /// Given up, or the customer declined.
        GivenUp = 4 "GIVEN_UP",
        /// The loss was taken back or is not worth it, or nobody may contact the customer any more.
        Cancelled = 5 "CANCELLED",
    }
}

impl PlanState {
    /// Somebody may still work on it.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Planned | Self::Running)
    }
}

codes! {
    /// How a customer was contacted.
    pub enum ContactMethod {
        /// By telephone.
        Call = 1 "CALL",
        /// They met.
        Meeting = 2 "MEETING",
        /// In writing.
        Message = 3 "MESSAGE",
    }
}

codes! {
    /// What came of a contact.
    pub enum ContactResult {
        /// Nobody was reached.
        NoAnswer = 1 "NO_ANSWER",
        /// Not now.
        Later = 2 "LATER",
        /// The customer wants to hear more.
        Interested = 3 "INTERESTED",
        /// The customer does not want to come back.
        Declined = 4 "DECLINED",
        /// The customer does not want to be contacted about anything.
        DoNotContact = 5 "DO_NOT_CONTACT",
    }
}

/// A contact with a customer that is to be won back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// When.
    pub at: Time,
    /// How.
    pub method: ContactMethod,
    /// Whom.
    pub person: String,
    /// With which result.
    pub result: ContactResult,
    /// The person's words.
    pub note: String,
    /// Who recorded it.
    pub actor: String,
}

/// The last contacts of a plan, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contacts(pub Vec<Contact>);

/// How a plan ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanEnd {
    /// When.
    pub at: Time,
    /// Who was behind it.
    pub actor: String,
    /// That person's words.
    pub note: String,
    /// The close-out was corrected to one that is not worth it; another correction may take the plan up again.
    pub by_correction: bool,
}

/// The plan to win a customer back after a loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WinBackPlan {
    /// Whose.
    pub tenant_id: TenantId,
    /// Its id, that of the close-out.
    pub plan_id: WinBackPlanId,
    /// What was lost.
    pub subject: Record,
    /// The customer.
    pub customer_id: CustomerId,
    /// Code of the close-out's reason.
    pub reason_code: String,
    /// What the subject was worth, if that was told.
    pub amount: Option<Money>,
    /// When it was lost.
    pub lost_at: Time,
    /// Where the plan stands.
    pub state: PlanState,
    /// Who is to do it.
    pub owner: String,
    /// When the customer is to be contacted next.
    pub due_at: Time,
    /// A person has said when.
    pub dated: bool,
    /// What to offer.
    pub offer: String,
    /// The last contacts.
    pub contacts: Contacts,
    /// How many there were.
    pub contact_count: i64,
    /// The opportunity that was made of it.
    pub recovered_by: Option<OpportunityId>,
    /// How it ended; none: it is open.
    pub end: Option<PlanEnd>,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Raised by one at each change.
    pub version: i64,
}

impl Keyed for WinBackPlan {
    type Key = (TenantId, WinBackPlanId);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.plan_id)
    }

    fn belongs_to(&self) -> Option<Owner> {
        Some((self.tenant_id, self.customer_id.0))
    }
}

/// What a person does with a plan.
#[derive(Clone, Debug)]
pub struct WinBackCommand {
    /// Which.
    pub id: WinBackPlanId,
    /// Only this version.
    pub etag: String,
    /// What.
    pub work: WinBackWork,
}

/// What can be done with a plan.
#[derive(Clone, Debug)]
pub enum WinBackWork {
    /// Who does it, when, and with what is changed.
    Update(WinBackEdit),
    /// A contact is recorded.
    Contact(NewContact),
    /// It is given up, with the person's words.
    GiveUp(String),
}

/// What to change of a plan.
#[derive(Clone, Debug, Default)]
pub struct WinBackEdit {
    /// New owner.
    pub owner: Option<String>,
    /// New time.
    pub due_at: Option<Time>,
    /// New offer.
    pub offer: Option<String>,
}

/// A contact to be recorded.
#[derive(Clone, Debug)]
pub struct NewContact {
    /// When; none: now.
    pub at: Option<Time>,
    /// How.
    pub method: ContactMethod,
    /// Whom.
    pub person: String,
    /// With which result.
    pub result: ContactResult,
    /// The person's words.
    pub note: String,
    /// When to contact the customer again; none: as before.
    pub next_at: Option<Time>,
}

/// The open plans of a customer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many there are.
    pub open: i64,
    /// How many of those run.
    pub running: i64,
    /// When the first of them is due.
    pub due_at: Option<Time>,
}

impl Tally {
    /// And one more.
    #[must_use]
    fn and(self, plan: &WinBackPlan) -> Self {
        Self {
            open: self.open + 1,
            running: self.running + i64::from(plan.state == PlanState::Running),
            due_at: Some(self.due_at.map_or(plan.due_at, |due| cmp::min(due, plan.due_at))),
        }
    }
}

/// Most plans of a customer that are open; of a loss beyond them none is made.
pub const MOST_PLANS: i64 = 100;

impl World {
    /// The open plans of a customer: those that were not loaded, and the others as they are now.
    pub(super) fn tally(&self, tenant: TenantId, customer: CustomerId) -> Tally {
        let unloaded = self.tallies.get(&(tenant, customer)).copied().unwrap_or_default();
        self.plans.of((tenant, customer.0)).filter(|plan| plan.state.is_open()).fold(unloaded, Tally::and)
    }

    fn ending(&self, cause: &Cause, note: &str) -> PlanEnd {
        PlanEnd { at: self.common.now, actor: cause.actor.clone(), note: note.to_owned(), by_correction: false }
    }

    fn end_plan(&mut self, cause: &Cause, plan: &WinBackPlan, state: PlanState, note: &str) {
        let end = self.ending(cause, note);
        self.change_plan(cause, plan, |plan| (plan.state, plan.end) = (state, Some(end)));
    }

    fn change_plan(&mut self, cause: &Cause, before: &WinBackPlan, change: impl FnOnce(&mut WinBackPlan)) {
        let now = self.common.now;
        let Some(plan) = self.plans.edit(&before.key()) else { return };
        change(plan);
        plan.updated_at = now;
        plan.version += 1;
        let (version, state_after) = (plan.version, plan.state.word());
        let (from, state_before) = (before.version, before.state.word());
        let close_out = Some(CloseOutId(before.plan_id.0));
        self.common.audit(cause, before.plan_id, Change { from, to: version, state_before, state_after, close_out });
    }

    fn tell_win_back(&mut self, cause: &Cause, plan: &WinBackPlan, kind: &str, text: String) {
        let close_out = Some(CloseOutId(plan.plan_id.0));
        self.common.tell(cause, plan.customer_id, kind, plan.subject, close_out, text);
    }
}

impl Customer {
    /// Its open plans, as its record counts them.
    pub fn tally(&self) -> Tally {
        Tally { open: self.plan_count, running: self.running_count, due_at: self.win_back_at }
    }
}
