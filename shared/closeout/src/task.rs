//! Tasks and what may happen to them. A close-out cancels and remembers the state it found; only the reversal of that very
//! close-out restores it, and only if nobody has touched the task since.

use crate::{
    codes,
    codes::Record,
    ids::{CloseOutId, TaskId, TenantId},
    refusal::Refusal,
    time::Time,
    wording,
    working_set::{Keyed, Owner},
};

/// Most open tasks that one subject or customer may have on one side: a close-out stays one commit.
pub const MAX_OPEN: i64 = 200;

codes! {
    /// Kind of work.
    pub enum TaskKind {
        /// Selling: get back to the customer.
        FollowUp = 1 "FOLLOW_UP",
        /// Selling: show the product.
        Demo = 2 "DEMO",
        /// Selling: make an offer.
        Quote = 3 "QUOTE",
        /// Selling: try again after a loss.
        WinBack = 4 "WIN_BACK",
        /// Either side: decide something about a record.
        Review = 5 "REVIEW",
        /// Order: deliver.
        Deliver = 11 "DELIVER",
        /// Order: buy what is to be delivered.
        Procure = 12 "PROCURE",
        /// Order: collect the payment.
        Collect = 13 "COLLECT",
        /// Order: send the invoice.
        Invoice = 14 "INVOICE",
    }
}

codes! {
    /// Where a task stands.
    pub enum TaskState {
        /// Not begun.
        Open = 1 "OPEN",
        /// Begun.
        InProgress = 2 "IN_PROGRESS",
        /// Done by a person.
        Done = 3 "DONE",
        /// Cancelled by a person or a close-out.
        Cancelled = 4 "CANCELLED",
    }
}

impl TaskState {
    /// Something is still to be done.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::InProgress)
    }
}

/// Something a person has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Whose.
    pub tenant_id: TenantId,
    /// Its id.
    pub task_id: TaskId,
    /// What it is for.
    pub root: Record,
    /// What kind of work.
    pub kind: TaskKind,
    /// What to do.
    pub title: String,
    /// Who shall do it.
    pub assignee: String,
    /// Until when.
    pub due_at: Option<Time>,
    /// Where it stands.
    pub state: TaskState,
    /// State before the close-out that cancelled it.
    pub prior_state: Option<TaskState>,
    /// The close-out that cancelled it; none if none did or a person has changed it since.
    pub closed_by: Option<CloseOutId>,
    /// When it was entered.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Raised by one at each change.
    pub version: i64,
}

impl Keyed for Task {
    type Key = (TenantId, TaskId);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.task_id)
    }

    fn belongs_to(&self) -> Option<Owner> {
        Some((self.tenant_id, self.root.id))
    }
}

/// What a person does to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskChange {
    /// Begin.
    Start,
    /// Finish.
    Complete,
    /// Give up.
    Cancel,
    /// Change what is set.
    Edit {
        /// New title.
        title: Option<String>,
        /// New assignee.
        assignee: Option<String>,
        /// New due time, or none.
        due_at: Option<Option<Time>>,
    },
}

impl Task {
    /// A person changes the task.
    pub fn change(&mut self, change: TaskChange, now: Time) -> Result<(), Refusal> {
        let allowed = match change {
            TaskChange::Start => self.state == TaskState::Open,
            TaskChange::Complete | TaskChange::Cancel | TaskChange::Edit { .. } => self.state.is_open(),
        };
        if !allowed {
            return Err(Refusal::new(&wording::TASK_STATE, self.task_id).with("state", self.state.word()));
        }
        match change {
            TaskChange::Start => self.state = TaskState::InProgress,
            TaskChange::Complete => self.state = TaskState::Done,
            TaskChange::Cancel => self.state = TaskState::Cancelled,
            TaskChange::Edit { title, assignee, due_at } => {
                if let Some(title) = title {
                    self.title = title;
                }
                if let Some(assignee) = assignee {
                    self.assignee = assignee;
                }
                if let Some(due_at) = due_at {
                    self.due_at = due_at;
                }
            }
        }
        self.touched(now);
        Ok(())
    }

    /// A close-out cancels the open task.
    pub fn cancel_by(&mut self, close_out: CloseOutId, now: Time) {
        let prior = self.state;
        self.state = TaskState::Cancelled;
        self.touched(now);
        self.prior_state = Some(prior);
        self.closed_by = Some(close_out);
    }

    /// The reversal of the close-out that cancelled it brings it back. False, and nothing done, if it is not that
    /// close-out's any more.
    pub fn restore(&mut self, close_out: CloseOutId, now: Time) -> bool {
        let (TaskState::Cancelled, Some(prior)) = (self.state, self.prior_state) else { return false };
        if self.closed_by != Some(close_out) {
            return false;
        }
        self.state = prior;
        self.touched(now);
        true
    }

    fn touched(&mut self, now: Time) {
        self.prior_state = None;
        self.closed_by = None;
        self.updated_at = now;
        self.version += 1;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::codes::RecordKind;
    use uuid::Uuid;

    pub(crate) fn task(state: TaskState) -> Task {
        Task {
            tenant_id: TenantId(Uuid::from_u128(1)),
            task_id: TaskId(Uuid::from_u128(2)),
            root: Record::new(RecordKind::Opportunity, Uuid::from_u128(3)),
            kind: TaskKind::Demo,
            title: "Show it".into(),
            assignee: "ann".into(),
            due_at: None,
            state,
            prior_state: None,
            closed_by: None,
            created_at: Time(0),
            updated_at: Time(0),
            version: 1,
        }
    }

    const CLOSE_OUT: CloseOutId = CloseOutId(Uuid::from_u128(9));

    #[test]
    fn a_reversal_restores_the_state_the_close_out_found() {
        let mut task = task(TaskState::InProgress);
        task.cancel_by(CLOSE_OUT, Time(5));
        assert_eq!((task.state, task.closed_by), (TaskState::Cancelled, Some(CLOSE_OUT)));
        assert!(task.restore(CLOSE_OUT, Time(6)));
        assert_eq!((task.state, task.closed_by, task.prior_state), (TaskState::InProgress, None, None));
    }

    #[test]
    fn another_close_out_does_not_restore_it() {
        let mut task = task(TaskState::Open);
        task.cancel_by(CLOSE_OUT, Time(5));
        let before = task.clone();
        assert!(!task.restore(CloseOutId(Uuid::from_u128(10)), Time(6)));
        assert_eq!(task, before);
    }

    #[test]
    fn a_person_s_cancel_is_never_restored() {
        let mut task = task(TaskState::Open);
        task.change(TaskChange::Cancel, Time(5)).unwrap();
        assert!(!task.restore(CLOSE_OUT, Time(6)));
        assert_eq!(task.change(TaskChange::Start, Time(7)).unwrap_err().reason(), "TASK_STATE");
    }
}
