//! What a close-out says beside its reason: how the customer's status was verified and what was found, how the relationship is
//! rated now, and what is to be done later.

use crate::{
    cascade::NewTask,
    codes,
    codes::Side,
    episode::{CloseOut, Effect, EffectKind},
    ids::TaskId,
    task::{TaskChange, TaskKind, TaskState},
    time::Time,
    working_set::{Cause, Common},
};

codes! {
    /// How somebody found out where a customer stands.
    pub enum VerificationMethod {
        /// They called.
        Call = 1 "CALL",
        /// They met.
        Meeting = 2 "MEETING",
        /// They wrote to each other.
        Message = 3 "MESSAGE",
        /// They read it.
        Document = 4 "DOCUMENT",
    }
}

codes! {
    /// What was found about one matter.
    pub enum Finding {
        /// It is so.
        Confirmed = 1 "CONFIRMED",
        /// It is not so.
        RuledOut = 2 "RULED_OUT",
    }
}

/// What a verification asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matter {
    /// Whether the need is still there.
    Needs,
    /// Whether there is a budget.
    Budget,
    /// Whether a competitor is involved.
    Competition,
    /// Whether the customer means to buy.
    Intent,
}

impl Matter {
    /// The field of a verification.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Needs => "needs",
            Self::Budget => "budget",
            Self::Competition => "competition",
            Self::Intent => "intent",
        }
    }
}

/// How the customer's status was verified, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// How.
    pub method: VerificationMethod,
    /// Whom they spoke to or what they read.
    pub contact: String,
    /// When.
    pub verified_at: Time,
    /// Whether the need is still there; none: it stays open, as with the other three.
    pub needs: Option<Finding>,
    /// Whether there is a budget.
    pub budget: Option<Finding>,
    /// Whether a competitor is involved.
    pub competition: Option<Finding>,
    /// Whether the customer means to buy.
    pub intent: Option<Finding>,
    /// What else was found.
    pub note: String,
}

impl Verification {
    /// What was found about a matter.
    pub const fn finding(&self, matter: Matter) -> Option<Finding> {
        match matter {
            Matter::Needs => self.needs,
            Matter::Budget => self.budget,
            Matter::Competition => self.competition,
            Matter::Intent => self.intent,
        }
    }
}

/// How the relationship with the customer is rated after a close-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassessment {
    /// From 1, not worth pursuing, to 5, as good as ever.
    pub rating: i32,
    /// The person's words.
    pub note: String,
}

/// What is to be done later although the record is closed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowUp {
    /// What to do.
    pub title: String,
    /// Who shall do it; empty: the record's owner.
    pub assignee: String,
    /// Until when.
    pub due_at: Option<Time>,
    /// The task that was made of it.
    pub task_id: Option<TaskId>,
}

/// A reason in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cited {
    /// Its code.
    pub code: String,
    /// Its version.
    pub version: i64,
}

/// What a close-out says beside its reason. `R` is how further reasons are named: by a caller as resources, in the record with
/// their version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remarks<R = Cited> {
    /// Further reasons.
    pub secondary: Vec<R>,
    /// How the customer's status was verified.
    pub verification: Option<Verification>,
    /// How the relationship was rated.
    pub reassessment: Option<Reassessment>,
    /// What is to be done later.
    pub follow_up: Option<FollowUp>,
}

impl<R> Default for Remarks<R> {
    fn default() -> Self {
        Self { secondary: Vec::new(), verification: None, reassessment: None, follow_up: None }
    }
}

impl<R> Remarks<R> {
    /// The same with further reasons named in another way.
    pub fn citing<S>(self, secondary: Vec<S>) -> Remarks<S> {
        let Self { verification, reassessment, follow_up, .. } = self;
        Remarks { secondary, verification, reassessment, follow_up }
    }

    /// Nothing is said.
    pub fn is_empty(&self) -> bool {
        let Self { secondary, verification, reassessment, follow_up } = self;
        secondary.is_empty() && verification.is_none() && reassessment.is_none() && follow_up.is_none()
    }
}

impl Remarks {
    /// The same; what is to be done later is the owner's to do, unless another is named.
    #[must_use]
    pub fn assigned_to(mut self, owner: &str) -> Self {
        if let Some(follow_up) = self.follow_up.as_mut().filter(|follow_up| follow_up.assignee.is_empty()) {
            owner.clone_into(&mut follow_up.assignee);
        }
        self
    }
}

/// Most further reasons of a close-out.
pub const MOST_SECONDARY: usize = 2;

impl Common {
    /// Does what a close-out says beside its reason: makes the task that is to follow, and tells the customer's timeline how the relationship is rated.
    pub fn remark(&mut self, cause: &Cause, side: Side, close_out: &mut CloseOut) {
        let (root, id) = (close_out.subject, close_out.close_out_id);
        if let Some(follow_up) = &mut close_out.remarks.follow_up {
            let (title, assignee, due_at) = (follow_up.title.clone(), follow_up.assignee.clone(), follow_up.due_at);
            let task = self.add_task(cause, &NewTask { root, kind: TaskKind::WinBack, title, assignee, due_at });
            follow_up.task_id = Some(task.task_id);
            let created = Effect::new(side, EffectKind::TaskCreated, task.task_id, "", TaskState::Open.word());
            close_out.effects.push(created);
        }
        if let (Some(rated), Some(customer)) = (&close_out.remarks.reassessment, close_out.customer_id) {
            let note = if rated.note.is_empty() { String::new() } else { format!(": {}", rated.note) };
            let text = format!("{} of 5{note}", rated.rating);
            self.tell_of(&close_out.actor, cause.tenant_id, customer, "customer.reassessed", (root, Some(id)), text);
        }
    }

    /// Takes back the task that was to follow a close-out, which is being reversed, unless somebody has touched it.
    pub fn withdraw_follow_up(&mut self, cause: &Cause, side: Side, close_out: &CloseOut) -> Option<Effect> {
        let id = close_out.remarks.follow_up.as_ref()?.task_id?;
        let task = self.tasks.get(&(cause.tenant_id, id)).filter(|task| task.state.is_open())?;
        let before = task.state.word();
        if task.version > 1 {
            return Some(Effect::new(side, EffectKind::LeftModified, id, before, before));
        }
        let task = self.change_task(cause, id, "", &TaskChange::Cancel).ok()?;
        Some(Effect::new(side, EffectKind::TaskCancelled, id, before, task.state.word()))
    }
}
