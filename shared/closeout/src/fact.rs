//! What the two services tell each other: facts about one record, numbered in its lane, and what became of them.

use crate::{
    codes,
    codes::Record,
    episode::{Effect, Outcome, OutcomeClass},
    exchange,
    ids::{CloseOutId, CustomerId, GroupId},
    money::Money,
    plan::Planned,
    reason::Listed,
    settings::Told,
    time::Time,
};
use uuid::Uuid;

codes! {
    /// What happened.
    pub enum Event {
        /// The record was made.
        Opened = 1 "OPENED",
        /// An order was confirmed.
        Confirmed = 2 "CONFIRMED",
        /// An opportunity was won.
        Won = 3 "WON",
        /// A subject was closed out.
        Closed = 4 "CLOSED",
        /// A close-out was reversed or a win taken back.
        Reopened = 5 "REOPENED",
        /// Something else that is mirrored has changed.
        Changed = 6 "CHANGED",
        /// The whole state, whatever was sent before.
        Snapshot = 7 "SNAPSHOT",
        /// What a close-out in force says of its reason was corrected.
        Amended = 9 "AMENDED",
    }
}

codes! {
    /// A record's state as the other side needs it.
    pub enum MirrorState {
        /// An order in DRAFT.
        Draft = 1 "DRAFT",
        /// An opportunity that is open, a live order, a customer or a reason.
        Live = 2 "LIVE",
        /// An opportunity that is won.
        Won = 3 "WON",
        /// An opportunity that is closed out, or a cancelled order.
        Closed = 4 "CLOSED",
        /// An order that is processed.
        Processed = 5 "PROCESSED",
    }
}

codes! {
    /// What becomes of a won opportunity when its last order is cancelled.
    pub enum WonPolicy {
        /// It stays won.
        Keep = 1 "KEEP",
        /// It stays won and its owner gets a task.
        Ask = 2 "ASK",
        /// The win is taken back.
        Reopen = 3 "REOPEN",
        /// It is closed out as LOST, for the order's reason.
        Lose = 4 "LOSE",
    }
}

codes! {
    /// The other service's answer to a message that it has taken.
    pub enum PeerOutcome {
        /// Done.
        Applied = 1 "APPLIED",
        /// Nothing was left to do.
        NoopAlreadyClosed = 3 "NOOP_ALREADY_CLOSED",
        /// Done, except for what somebody had changed since.
        SkippedModified = 4 "SKIPPED_MODIFIED",
        /// Done, but a person has to look.
        NeedsReview = 5 "NEEDS_REVIEW",
    }
}

/// A close-out as the other side needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedFact {
    /// Its id at the sender.
    pub close_out_id: CloseOutId,
    /// The close-out at the receiver that caused it.
    pub cause: Option<CloseOutId>,
    /// How far it is from a person's call.
    pub hop: i32,
    /// How the subject ended.
    pub outcome: Outcome,
    /// Code of the reason.
    pub reason_code: String,
    /// Its version.
    pub reason_version: i64,
    /// Its class.
    pub class: Option<OutcomeClass>,
    /// The person's words.
    pub detail: String,
    /// When it counts as closed.
    pub closed_at: Time,
    /// The date was given by the caller.
    pub historical: bool,
    /// For an order cancelled as a whole.
    pub won_policy: Option<WonPolicy>,
    /// The close-out of the whole customer that it is a part of.
    pub group_id: Option<GroupId>,
    /// What the subject was worth; none: a sender that does not tell.
    pub amount: Option<Money>,
    /// When the customer is to be won back; none: that is not proposed.
    pub win_back_at: Option<Time>,
    /// What the receiver is to do with it, where a plan was confirmed.
    pub planned: Option<Planned>,
}

/// Something that happened to a record, with everything the receiver needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What happened.
    pub event: Event,
    /// The record's customer; for a customer its own id.
    pub customer_id: Option<CustomerId>,
    /// What the customer is called; empty where the sender does not own the name.
    pub customer_name: String,
    /// The opportunity of an order.
    pub parent: Option<Uuid>,
    /// The record's state after it.
    pub state: MirrorState,
    /// How many times it has been closed out.
    pub epoch: i64,
    /// Who owns it.
    pub owner: String,
    /// Who did it.
    pub actor: String,
    /// When.
    pub at: Time,
    /// The close-out, for CLOSED, for REOPENED after one and for AMENDED.
    pub close_out: Option<ClosedFact>,
    /// In the lane of a reason: the reason.
    pub reason: Option<Box<Listed>>,
    /// In the lane of a tenant's settings: the settings.
    pub settings: Option<Box<Told>>,
    /// In the lane of an exchange rate: the rate.
    pub rate: Option<Box<exchange::Told>>,
}

/// A fact with its place in its lane, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The record.
    pub lane: Record,
    /// Place in the lane, from 1.
    pub number: i64,
    /// Id of the message.
    pub message_id: Uuid,
    /// What happened.
    pub fact: Fact,
    /// The close-out at the sender whose delivery it is; `true`: of its reversal.
    pub close_out: Option<(CloseOutId, bool)>,
}

/// What the receiver did with a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// In one word.
    pub outcome: PeerOutcome,
    /// Everything it did.
    pub effects: Vec<Effect>,
}
