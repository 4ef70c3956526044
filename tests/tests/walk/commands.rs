//! Who asks in a walk, for what, and how: calls about records of the model.

use crate::model::{Record, Side};
use crm_proto::{
    common::{Outcome, TaskKind},
    order::WonOpportunityPolicy as Policy,
};

/// The people, each with another role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Ann,
    Sam,
    Meg,
    Bob,
    Ivy,
}

impl Who {
    pub(crate) const ALL: [Self; 5] = [Self::Ann, Self::Sam, Self::Meg, Self::Bob, Self::Ivy];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ann => "ann",
            Self::Sam => "sam",
            Self::Meg => "meg",
            Self::Bob => "bob",
            Self::Ivy => "ivy",
        }
    }

    pub(crate) const fn role(self) -> &'static str {
        match self {
            Self::Ann => "admin",
            Self::Sam => "service",
            Self::Meg => "manager",
            Self::Bob => "sales",
            Self::Ivy => "analyst",
        }
    }

    /// The first of their teams; empty: none.
    pub(crate) const fn team(self) -> &'static str {
        match self {
            Self::Meg | Self::Bob => "north",
            Self::Ann | Self::Sam | Self::Ivy => "",
        }
    }
}

/// Which version of a record a call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Etag {
    Any,
    Current,
    Old,
}

/// What else is done with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twist {
    None,
    /// It is only to be judged.
    Dry,
    /// It is sent once more.
    Again,
    /// Its id is used once more, in other words.
    Reused,
}

/// What a person does to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Start,
    Complete,
    Cancel,
}

/// What is decided about a close-out that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Approve,
    Reject,
    Withdraw,
}

/// The stages that every tenant has.
pub(crate) const STAGES: [&str; 4] = [
    "pipelines/default/stages/prospecting",
    "pipelines/default/stages/engaging",
    "pipelines/default/stages/proposal",
    "pipelines/default/stages/negotiation",
];

/// What is asked for, of which records of the model.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    CreateCustomer {
        blocked: bool,
    },
    UpdateCustomer {
        customer: usize,
        blocked: bool,
    },
    CreateOpportunity {
        customer: usize,
        owner: Option<Who>,
        amount: i64,
        titled: bool,
    },
    OwnOpportunity {
        opportunity: usize,
        owner: Who,
    },
    Move {
        opportunity: usize,
        stage: &'static str,
    },
    Win {
        opportunity: usize,
        amount: Option<i64>,
    },
    Snooze {
        opportunity: usize,
    },
    Resume {
        opportunity: usize,
    },
    CloseOpportunity {
        opportunity: usize,
        reason: &'static str,
        detail: &'static str,
    },
    ReopenOpportunity {
        opportunity: usize,
    },
    CreateOrder {
        customer: usize,
        opportunity: Option<usize>,
        owner: Option<Who>,
        lines: Vec<(i64, i64)>,
    },
    OwnOrder {
        order: usize,
        owner: Who,
    },
    Confirm {
        order: usize,
    },
    Fulfil {
        order: usize,
        line: usize,
        count: i64,
    },
    Pay {
        order: usize,
        amount: i64,
    },
    CancelLine {
        order: usize,
        line: usize,
        count: i64,
        reason: &'static str,
        detail: &'static str,
        refund: bool,
    },
    CloseOrder {
        order: usize,
        outcome: Outcome,
        reason: &'static str,
        detail: &'static str,
        refund: bool,
        policy: Policy,
    },
    ReopenOrder {
        order: usize,
    },
    CreateTask {
        side: Side,
        parent: Record,
        kind: TaskKind,
    },
    ChangeTask {
        task: usize,
        change: Change,
    },
    Rule {
        close_out: usize,
        verdict: Verdict,
    },
    Amend {
        close_out: usize,
        reason: Option<&'static str>,
        detail: Option<&'static str>,
    },
    Missing {
        record: Record,
    },
}

impl Call {
    /// A person writes something with it.
    pub(crate) const fn has_words(&self) -> bool {
        matches!(
            self,
            Self::CreateCustomer { .. }
                | Self::CreateOpportunity { titled: true, .. }
                | Self::Snooze { .. }
                | Self::ReopenOpportunity { .. }
                | Self::ReopenOrder { .. }
                | Self::CreateTask { .. }
                | Self::Rule { .. }
                | Self::Amend { .. }
        )
    }

    /// It may send messages that its answer does not wait for.
    pub(crate) const fn echoes(&self) -> bool {
        matches!(
            self,
            Self::OwnOpportunity { .. }
                | Self::OwnOrder { .. }
                | Self::CloseOpportunity { .. }
                | Self::CloseOrder { .. }
                | Self::ReopenOpportunity { .. }
                | Self::ReopenOrder { .. }
                | Self::Rule { .. }
                | Self::Amend { .. }
        )
    }

    /// It can be judged only, and that leaves no trace in the history of the clients.
    pub(crate) const fn can_be_dry(&self) -> bool {
        !matches!(self, Self::Rule { .. } | Self::Amend { .. })
    }
}
