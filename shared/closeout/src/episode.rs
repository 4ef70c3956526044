//! Close-out episodes: the record of one close-out, everything it did, and how it was undone. Never deleted; a reopening
//! adds the reversal.

use crate::{
    amend::Amendment,
    approval::Approval,
    codes,
    codes::{Record, Side},
    exchange::Exchange,
    fact::{ClosedFact, Event, PeerOutcome, WonPolicy},
    ids::{CloseOutId, CompetitorId, CustomerId, GroupId, TenantId},
    money::Money,
    pipeline::StageName,
    remarks::Remarks,
    time::Time,
    working_set::{Cause, Keyed, Owner},
};
use uuid::Uuid;

codes! {
    /// How a subject ended.
    pub enum Outcome {
        /// An opportunity that will not be won.
        Lost = 1 "LOST",
        /// An order that was cancelled (已取消).
        Cancelled = 2 "CANCELLED",
        /// An order that is done (已处理).
        Processed = 3 "PROCESSED",
    }
}

codes! {
    /// What kind of ending a reason stands for.
    pub enum OutcomeClass {
        /// A competitor won.
        CompetitiveLoss = 1 "COMPETITIVE_LOSS",
        /// Nobody won.
        NoDecision = 2 "NO_DECISION",
        /// The customer called it off.
        CustomerCancelled = 3 "CUSTOMER_CANCELLED",
        /// It should never have been pursued.
        Disqualified = 4 "DISQUALIFIED",
        /// Tidying up.
        Administrative = 5 "ADMINISTRATIVE",
    }
}

impl OutcomeClass {
    /// Whether such an ending is a loss of the customer.
    pub const fn is_loss(self) -> bool {
        !matches!(self, Self::Disqualified | Self::Administrative)
    }
}

codes! {
    /// Whether a close-out counts.
    pub enum CloseOutState {
        /// It counts.
        Effective = 1 "EFFECTIVE",
        /// The subject was reopened.
        Reversed = 2 "REVERSED",
        /// It waits for another person's approval; nothing of it is done.
        PendingApproval = 3 "PENDING_APPROVAL",
        /// Another person did not approve it.
        Rejected = 4 "REJECTED",
        /// Nobody decided in time.
        Expired = 5 "EXPIRED",
        /// Who had asked for it took it back.
        Withdrawn = 6 "WITHDRAWN",
    }
}

codes! {
    /// How far a change has come on its way to the other service.
    pub enum Propagation {
        /// Not confirmed yet.
        Pending = 1 "PENDING",
        /// Confirmed, the outcome known.
        Settled = 2 "SETTLED",
        /// Refused for a technical reason.
        Parked = 3 "PARKED",
        /// Nothing was to be sent.
        NotNeeded = 4 "NOT_NEEDED",
    }
}

codes! {
    /// What was done.
    pub enum EffectKind {
        /// A task was cancelled.
        TaskCancelled = 1 "TASK_CANCELLED",
        /// A task was brought back.
        TaskRestored = 2 "TASK_RESTORED",
        /// A task was made for a person to decide something.
        TaskCreated = 3 "TASK_CREATED",
        /// A subject was closed out.
        SubjectClosed = 4 "SUBJECT_CLOSED",
        /// A subject was reopened.
        SubjectReopened = 5 "SUBJECT_REOPENED",
        /// A field of the customer's record changed.
        RecordChanged = 6 "RECORD_CHANGED",
        /// Somebody had changed it since; left as it is.
        LeftModified = 7 "LEFT_MODIFIED",
        /// An order had become live; left as it is.
        LeftLive = 8 "LEFT_LIVE",
        /// More effects than are listed.
        More = 9 "MORE",
        /// Done otherwise than it was planned.
        Differs = 10 "DIFFERS",
    }
}

/// One thing a close-out or a reversal did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Where.
    pub side: Side,
    /// What.
    pub kind: EffectKind,
    /// To which resource.
    pub resource: String,
    /// Which field, for a changed record.
    pub field: String,
    /// Before.
    pub before: String,
    /// After.
    pub after: String,
}

impl Effect {
    /// An effect on a resource as a whole.
    pub fn new(side: Side, kind: EffectKind, resource: impl ToString, before: &str, after: &str) -> Self {
        Self {
            side,
            kind,
            resource: resource.to_string(),
            field: String::new(),
            before: before.to_owned(),
            after: after.to_owned(),
        }
    }

    /// The fields of a record that differ.
    pub fn changes<'a>(
        side: Side,
        resource: &'a str,
        before: Vec<(&'static str, String)>,
        after: Vec<(&'static str, String)>,
    ) -> impl Iterator<Item = Self> + use<'a> {
        before.into_iter().zip(after).filter(|(before, after)| before != after).map(
            move |((field, before), (_, after))| Self {
                field: field.to_owned(),
                ..Self::new(side, EffectKind::RecordChanged, resource, &before, &after)
            },
        )
    }
}

/// The subject just before its close-out. Reopening brings it back to this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Code of its state.
    pub state: i16,
    /// The state's word.
    pub state_word: String,
    /// Stage of an opportunity; none for an order.
    pub stage: Option<StageName>,
    /// Days in that stage.
    pub days_in_stage: i64,
    /// Days since it was created.
    pub days_open: i64,
    /// What it was worth.
    pub amount: Money,
    /// What that was in the tenant's currency when it was closed; none: the tenant had no currency, or no rate was known.
    pub exchange: Option<Exchange>,
    /// Who owned it.
    pub owner: String,
    /// Which team.
    pub team: String,
    /// When an opportunity was won, if it was.
    pub won_at: Option<Time>,
    /// For an order: how many of each line were cancelled before.
    pub cancelled: Vec<i64>,
}

/// How a close-out was undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversal {
    /// When.
    pub at: Time,
    /// Who reopened the subject.
    pub actor: String,
    /// The person's words.
    pub note: String,
    /// What it did on this side.
    pub effects: Vec<Effect>,
}

/// How far the news of a close or a reversal has come, and what the peer did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// How far.
    pub propagation: Propagation,
    /// What the peer answered.
    pub outcome: Option<PeerOutcome>,
    /// What it did.
    pub effects: Vec<Effect>,
}

impl Delivery {
    /// On its way.
    pub const PENDING: Self = Self { propagation: Propagation::Pending, outcome: None, effects: Vec::new() };
}

/// The record of one close-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseOut {
    /// Whose.
    pub tenant_id: TenantId,
    /// Its id.
    pub close_out_id: CloseOutId,
    /// What was closed out.
    pub subject: Record,
    /// The customer, if there is one.
    pub customer_id: Option<CustomerId>,
    /// Which close-out of the subject it is, from 1.
    pub episode: i64,
    /// How it ended.
    pub outcome: Outcome,
    /// Code of the reason.
    pub reason_code: String,
    /// Its version.
    pub reason_version: i64,
    /// Its class.
    pub class: Option<OutcomeClass>,
    /// Days after which its reason proposes to try to win the customer back; 0: it does not.
    pub win_back_days: i32,
    /// The person's words.
    pub detail: String,
    /// The competitor named.
    pub competitor_id: Option<CompetitorId>,
    /// What it says beside its reason.
    pub remarks: Remarks,
    /// The subject just before.
    pub snapshot: Snapshot,
    /// Who closed it out.
    pub actor: String,
    /// When it counts as closed; before it is approved, when it was asked for.
    pub closed_at: Time,
    /// The date was given by the caller.
    pub historical: bool,
    /// Whether it counts.
    pub state: CloseOutState,
    /// The close-out that caused it.
    pub cause: Option<CloseOutId>,
    /// How far it is from a person's call.
    pub hop: i32,
    /// The close-out of the whole customer that it is a part of, by itself or as what such a part caused.
    pub group_id: Option<GroupId>,
    /// The call's request id; none if a message caused it.
    pub request_id: Option<Uuid>,
    /// What it did on this side.
    pub effects: Vec<Effect>,
    /// The close on the other side.
    pub delivery: Delivery,
    /// How it was undone.
    pub reversal: Option<Reversal>,
    /// The reversal on the other side.
    pub reversal_delivery: Option<Delivery>,
    /// What was corrected since, the oldest first.
    pub amendments: Vec<Amendment>,
    /// Why it waits or waited for another person; none: it needed no approval.
    pub approval: Option<Approval>,
}

impl Keyed for CloseOut {
    type Key = (TenantId, CloseOutId);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.close_out_id)
    }

    fn belongs_to(&self) -> Option<Owner> {
        self.cause.map(|cause| (self.tenant_id, cause.0))
    }
}

impl CloseOut {
    /// What the other side needs of it at this event. Of the close what was planned there, if it waited with that for approval.
    pub fn fact(&self, event: Event, won_policy: Option<WonPolicy>) -> ClosedFact {
        let waited = self.approval.as_ref().filter(|_| event == Event::Closed);
        ClosedFact {
            close_out_id: self.close_out_id,
            cause: self.cause,
            hop: self.hop,
            outcome: self.outcome,
            reason_code: self.reason_code.clone(),
            reason_version: self.reason_version,
            class: self.class,
            detail: self.detail.clone(),
            closed_at: self.closed_at,
            historical: self.historical,
            won_policy,
            group_id: self.group_id,
            amount: Some(self.snapshot.amount),
            win_back_at: self.win_back_at(),
            planned: waited.and_then(|approval| approval.peer.clone()),
        }
    }

    /// Who is told to be behind an event of it: of the close who asked for it, even if another person approved it.
    pub fn acted<'a>(&'a self, event: Event, cause: &'a Cause) -> &'a String {
        if event == Event::Closed { &self.actor } else { &cause.actor }
    }

    /// When the customer was lost with it; none if it does not count as a loss.
    pub fn loss_at(&self) -> Option<Time> {
        loss_at(self.outcome, self.class, self.closed_at)
    }

    /// When the customer is to be won back; none: that is not proposed, or it is left to the close-out that caused this one.
    pub fn win_back_at(&self) -> Option<Time> {
        let own = self.customer_id.is_some() && self.cause.is_none() && !self.historical;
        let lost_at = self.loss_at().filter(|_| own && self.win_back_days > 0);
        lost_at.map(|at| at.plus_days(self.win_back_days.into()))
    }
}

/// When a customer was lost with such a close-out; none if it does not count as a loss.
pub fn loss_at(outcome: Outcome, class: Option<OutcomeClass>, closed_at: Time) -> Option<Time> {
    let ended = matches!(outcome, Outcome::Lost | Outcome::Cancelled);
    (ended && class.is_some_and(OutcomeClass::is_loss)).then_some(closed_at)
}
