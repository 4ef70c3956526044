//! Records that both services keep beside their own: the mirror of the other side, the inbox, answers by request id, the
//! customer's timeline and the audit trail.

use crate::{
    codes::Record,
    episode::{Effect, Outcome, OutcomeClass, loss_at},
    fact::{Fact, MirrorState, PeerOutcome},
    ids::{CloseOutId, CustomerId, TenantId},
    money::Money,
    time::Time,
    working_set::{Keyed, Owner},
};
use uuid::Uuid;

/// What this side knows of one record of the other side, and how far it has read that record's lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Whose.
    pub tenant_id: TenantId,
    /// The other side's record.
    pub record: Record,
    /// Number of the last message applied; 0: none yet.
    pub last_number: i64,
    /// Its customer.
    pub customer_id: Option<CustomerId>,
    /// The opportunity of an order.
    pub parent_id: Option<Uuid>,
    /// Its state; none: no message has come yet.
    pub state: Option<MirrorState>,
    /// How many times it has been closed out.
    pub epoch: i64,
    /// Who owns it there.
    pub owner: String,
    /// Its current close-out.
    pub close_out_id: Option<CloseOutId>,
    /// When that closed it.
    pub closed_at: Option<Time>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Code of the reason; none: it is not closed, or was by a sender that did not have that kept.
    pub reason_code: Option<String>,
    /// Class of the reason.
    pub class: Option<OutcomeClass>,
    /// What it was worth then, as far as that was told.
    pub lost: Option<Money>,
    /// When the customer was lost with it; none: it is no loss.
    pub loss_at: Option<Time>,
    /// When the customer was served with it (a processed order); none: it is no success.
    pub success_at: Option<Time>,
    /// The close-out of this side that caused it.
    pub cause: Option<CloseOutId>,
}

impl Keyed for Lane {
    type Key = (TenantId, Record);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.record)
    }

    fn belongs_to(&self) -> Option<Owner> {
        self.parent_id.map(|parent| (self.tenant_id, parent))
    }
}

impl Lane {
    /// The lane of a record of which nothing is known.
    pub fn unknown(tenant_id: TenantId, record: Record) -> Self {
        Self {
            tenant_id,
            record,
            last_number: 0,
            customer_id: None,
            parent_id: None,
            state: None,
            epoch: 0,
            owner: String::new(),
            close_out_id: None,
            closed_at: None,
            outcome: None,
            reason_code: None,
            class: None,
            lost: None,
            loss_at: None,
            success_at: None,
            cause: None,
        }
    }

    /// The record is closed on the other side.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, Some(MirrorState::Closed | MirrorState::Processed))
    }

    /// Takes over what a fact says of the record.
    pub fn reflect(&mut self, fact: &Fact) {
        self.customer_id = fact.customer_id;
        self.parent_id = fact.parent;
        self.state = Some(fact.state);
        self.epoch = fact.epoch;
        self.owner.clone_from(&fact.owner);
        let current = if self.is_closed() { fact.close_out.as_ref() } else { None };
        self.close_out_id = current.map(|c| c.close_out_id);
        self.closed_at = current.map(|c| c.closed_at);
        self.outcome = current.map(|c| c.outcome);
        self.class = current.and_then(|c| c.class);
        self.reason_code = current.map(|c| c.reason_code.clone());
        self.lost = current.and_then(|c| c.amount);
        self.loss_at = current.and_then(|c| loss_at(c.outcome, c.class, c.closed_at));
        self.cause = current.and_then(|c| c.cause);
        self.success_at = current.filter(|c| c.outcome == Outcome::Processed).map(|c| c.closed_at);
    }
}

/// A message that was applied, and what it did: a copy of it gets the same answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Whose.
    pub tenant_id: TenantId,
    /// The lane.
    pub record: Record,
    /// Place in the lane.
    pub number: i64,
    /// Id of the message.
    pub message_id: Uuid,
    /// SHA-256 of the payload.
    pub hash: Vec<u8>,
    /// What became of it.
    pub outcome: PeerOutcome,
    /// What it did.
    pub effects: Vec<Effect>,
    /// When it was applied.
    pub received_at: Time,
}

impl Keyed for Received {
    type Key = (TenantId, Record, i64);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.record, self.number)
    }
}

/// The answer to one request: a copy of the request gets it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Whose.
    pub tenant_id: TenantId,
    /// Who called.
    pub principal: String,
    /// Which method.
    pub method: String,
    /// Id of the call.
    pub request_id: Uuid,
    /// SHA-256 of the request.
    pub fingerprint: Vec<u8>,
    /// The reply, encoded.
    pub reply: Vec<u8>,
    /// The close-out it made or reversed.
    pub close_out_id: Option<CloseOutId>,
    /// Lane of the message it sent.
    pub lane: Option<Record>,
    /// Place in that lane.
    pub number: Option<i64>,
    /// When.
    pub answered_at: Time,
}

/// What names a request: tenant, principal, method, request id.
pub type AnswerKey = (TenantId, String, String, Uuid);

impl Keyed for Answered {
    type Key = AnswerKey;

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.principal.clone(), self.method.clone(), self.request_id)
    }
}

/// An entry of a customer's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineEntry {
    /// Whose.
    pub tenant_id: TenantId,
    /// Which customer.
    pub customer_id: CustomerId,
    /// Its id; later entries have greater ones.
    pub timeline_id: Uuid,
    /// When it happened.
    pub happened_at: Time,
    /// What happened: `opportunity.closed_out` ...
    pub kind: String,
    /// To which record.
    pub record: Record,
    /// The close-out behind it.
    pub close_out_id: Option<CloseOutId>,
    /// Who.
    pub actor: String,
    /// For a change: from what to what.
    pub text: String,
}

/// An entry of the audit trail: one effect of one command or message on one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Whose.
    pub tenant_id: TenantId,
    /// Its id.
    pub audit_id: Uuid,
    /// When.
    pub audited_at: Time,
    /// Who.
    pub actor: String,
    /// Which method, or `Apply` for a message.
    pub method: String,
    /// Id of the call; none for a message.
    pub request_id: Option<Uuid>,
    /// The message behind it.
    pub message_id: Option<Uuid>,
    /// The resource, by name.
    pub resource: String,
    /// Its version before; 0: it was made.
    pub version_before: i64,
    /// Its version after.
    pub version_after: i64,
    /// Its state before, in a word; empty: it was made.
    pub state_before: String,
    /// Its state after.
    pub state_after: String,
    /// The close-out behind it.
    pub close_out_id: Option<CloseOutId>,
    /// Why an operator did it; empty for everybody else.
    pub note: String,
}

impl Keyed for TimelineEntry {
    type Key = (TenantId, CustomerId, Uuid);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.customer_id, self.timeline_id)
    }
}

impl Keyed for AuditEntry {
    type Key = (TenantId, Uuid);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.audit_id)
    }
}
