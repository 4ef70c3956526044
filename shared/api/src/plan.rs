//! Previews, and close-outs that are bound to one. A preview asks both sides in turn for their part of the plan; a close-out with a
//! plan's hash asks again just before it is submitted, with no lock held, and its own part is checked once more in its commit.

use crate::{
    convert, failure,
    fields::Fields,
    front::{Front, Outcome, call},
    meta::{MAX_WAIT, Meta, TO_ANSWER},
};
use crm_closeout::{
    codes::Code as _,
    episode::CloseOut,
    fact::{Outgoing, PeerOutcome},
    ids::TenantId,
    plan::{Planned, Preview},
    reason,
    records::Answered,
    refusal::Refusal,
    wording::{self, Value, Wording},
};
use crm_outbox::{
    batch::Domain,
    db::Error,
    plan::{Confirmed, HASH},
    wire::{self, MAX_PLANNED},
    writer::{Answer, Failure},
};
use crm_proto::{Status as WireStatus, common};
use crm_runtime::{answer, auth::Caller};
use prost::Message;
use prost_types::Any;
use tokio::time::Instant;
use tonic::Status;
use uuid::Uuid;

/// Effects of each side in the plan that a refusal carries, which has to fit into headers.
const IN_A_REFUSAL: usize = 10;
const BYTES_IN_A_REFUSAL: usize = 4_096;
/// How google.rpc.Status names its type.
const PLAN_TYPE: &str = "type.googleapis.com/crm.common.v1.CloseOutPlan";

/// The hash of a plan, as a caller confirms it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanHash {
    own: Vec<u8>,
    peer: Vec<u8>,
}

impl PlanHash {
    /// Reads the field `plan_hash`; empty: the caller confirms none.
    pub fn read(fields: &mut Fields, text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let parts = text.split_once('.').and_then(|(own, peer)| Some(Self { own: part(own)?, peer: part(peer)? }));
        if parts.is_none() {
            fields.refuse("plan_hash", &wording::INVALID_PLAN_HASH, &[]);
        }
        parts
    }
}

impl std::fmt::Display for PlanHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", part_text(&self.own), part_text(&self.peer))
    }
}

/// The text of one part.
pub fn part_text(part: &[u8]) -> String {
    Uuid::from_slice(part).unwrap_or_default().simple().to_string()
}

/// Reads one part: as many bytes as a UUID has, written like one without hyphens.
pub fn part(text: &str) -> Option<Vec<u8>> {
    let part = Uuid::try_parse(text).ok().filter(|_| text.len() == 2 * HASH)?;
    Some(part.into_bytes().to_vec())
}

/// When the other service is asked for its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    /// Whatever speaks against the close-out.
    Always,
    /// Where nothing speaks against it.
    IfItCanBeDone,
}

/// A plan with both its parts.
struct Plan {
    subject: String,
    /// As it would be committed; none: there is nothing to be closed out.
    close_out: Option<CloseOut>,
    preview: Preview,
    own: Option<Planned>,
    peer: Option<(PeerOutcome, Planned)>,
}

impl Plan {
    /// The hash of its two parts; none while something speaks against the close-out.
    fn hash(&self) -> Option<PlanHash> {
        let (own, (_, peer)) = (self.own.as_ref()?, self.peer.as_ref()?);
        self.preview.against.is_empty().then(|| PlanHash { own: own.hash.clone(), peer: peer.hash.clone() })
    }

    /// As the API shows it, with so many effects of each side at most.
    fn shown(&self, most: usize) -> common::CloseOutPlan {
        let parts = self.own.iter().chain(self.peer.iter().map(|(_, part)| part));
        let effects = parts.flat_map(|part| wire::listed(&part.effects, most)).collect();
        let about = self.close_out.as_ref();
        common::CloseOutPlan {
            subject: self.subject.clone(),
            customer: about.and_then(|it| it.customer_id).map_or_else(String::new, |id| id.to_string()),
            outcome: about.map_or(0, |it| it.outcome.code().into()),
            reason: about.map_or_else(String::new, |it| reason::name(&it.reason_code)),
            reason_version: about.map_or(0, |it| it.reason_version),
            effects,
            peer_outcome: self.peer.as_ref().map_or(0, |(outcome, _)| outcome.code().into()),
            obstacles: self.preview.against.iter().flat_map(obstacles).collect(),
            approval_causes: about
                .and_then(|it| it.approval.as_ref())
                .map_or_else(Vec::new, |approval| approval.causes.iter().map(|cause| cause.code().into()).collect()),
            win_back_time: self.preview.win_back_at.map(convert::time),
            plan_hash: self.hash().map_or_else(String::new, |hash| hash.to_string()),
        }
    }

    /// The refusal of a close-out that is bound to another plan: what speaks against it, or else what it comes to now.
    fn refused(&self) -> Status {
        if let Some(refusal) = self.preview.against.first() {
            return failure::refusal(refusal.clone());
        }
        let mut plan = self.shown(IN_A_REFUSAL);
        while plan.encoded_len() > BYTES_IN_A_REFUSAL && plan.effects.pop().is_some() {}
        with_detail(failure::refusal(Refusal::new(&wording::PLAN_CHANGED, &self.subject)), PLAN_TYPE, &plan)
    }
}

/// What refuses a close-out, each wrong field by itself.
fn obstacles(refusal: &Refusal) -> Vec<common::Obstacle> {
    let obstacle = |wording: &Wording, field: &str, values: &[Value]| common::Obstacle {
        reason: wording.reason.to_owned(),
        field: field.to_owned(),
        subject: refusal.subject.clone(),
        description: answer::text(wording, values),
        metadata: values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
    };
    if refusal.violations.is_empty() {
        return vec![obstacle(refusal.wording, "", &refusal.values)];
    }
    refusal
        .violations
        .iter()
        .map(|violation| obstacle(violation.wording, &violation.field, &violation.values))
        .collect()
}

/// The same status with one more detail.
fn with_detail(status: Status, type_url: &str, detail: &impl Message) -> Status {
    let Ok(mut whole) = WireStatus::decode(status.details()) else { return status };
    whole.details.push(Any { type_url: type_url.to_owned(), value: detail.encode_to_vec() });
    Status::with_details(status.code(), status.message().to_owned(), whole.encode_to_vec().into())
}

/// A close-out that is bound to a plan.
#[derive(Debug)]
pub struct AsPlanned<C> {
    /// What is closed out.
    pub subject: String,
    /// What the caller has confirmed.
    pub plan: PlanHash,
    /// The service's command that says what it would do.
    pub preview: C,
    /// The one that does it.
    pub close_out: C,
}

impl<D: Domain> Front<D> {
    /// Says what a close-out of `subject` would do, and what would refuse it.
    pub async fn preview(
        &self,
        caller: Caller,
        deadline: Option<Instant>,
        subject: String,
        preview: D::Command,
    ) -> Result<common::CloseOutPlan, Status> {
        Ok(self.plan(caller, deadline, subject, preview, Asks::Always).await?.shown(MAX_PLANNED))
    }

    /// Closes out, if that still comes to what the caller has confirmed.
    pub async fn close_out_as_planned<M: Message + Default>(
        &self,
        caller: Caller,
        deadline: Option<Instant>,
        method: &'static str,
        meta: Meta,
        asked: AsPlanned<D::Command>,
    ) -> Result<Outcome<M>, Status>
    where
        D::Command: Clone,
    {
        let AsPlanned { subject, plan: confirmed, preview, close_out } = asked;
        if self.is_answered(&caller, method, &meta).await? {
            return self.call(caller, deadline, method, meta, close_out).await;
        }
        let plan = self.plan(caller.clone(), deadline, subject.clone(), preview.clone(), Asks::IfItCanBeDone).await?;
        let Some((_, peer)) = plan.peer.as_ref().filter(|_| plan.hash().as_ref() == Some(&confirmed)) else {
            // The first copy of the call may have been under way, and is committed now.
            if self.is_answered(&caller, method, &meta).await? {
                return self.call(caller, deadline, method, meta, close_out).await;
            }
            return Err(plan.refused());
        };
        let meta = Meta { confirmed: Some(Box::new(Confirmed { own: confirmed.own, peer: peer.clone() })), ..meta };
        let (tenant, until) = (caller.tenant, self.wait_until(&meta, deadline));
        match self.submit(caller.clone(), method, &meta, until, close_out).await {
            // It has changed since it was asked for a moment ago.
            Err(Failure::Refused(refusal)) if refusal.reason() == wording::PLAN_CHANGED.reason => {
                Err(self.plan(caller, deadline, subject, preview, Asks::IfItCanBeDone).await?.refused())
            }
            committed => self.reply(tenant, until, committed.map_err(failure::failure)?).await,
        }
    }

    /// The call has got its answer before: a copy of it gets the same, whatever has become of its plan since.
    async fn is_answered(&self, caller: &Caller, method: &str, meta: &Meta) -> Result<bool, Status> {
        let key = (caller.tenant, caller.principal.clone(), method.to_owned(), meta.request_id);
        let answered = self.db.get::<Answered>(&key).await.map_err(|error| failure::database(&error))?;
        Ok(answered.is_some())
    }

    async fn plan(
        &self,
        caller: Caller,
        deadline: Option<Instant>,
        subject: String,
        preview: D::Command,
        asks: Asks,
    ) -> Result<Plan, Status> {
        let tenant = caller.tenant;
        let asked = call(caller, "PreviewCloseOut", &Meta::of_preview(), preview);
        let Answer { done, .. } = self.writer.call(asked, false).await.map_err(failure::failure)?;
        let found = done.preview.ok_or_else(|| Error::Corrupt("a preview has found nothing".into()));
        let found = found.map_err(|error| failure::database(&error))?;
        let asked = asks == Asks::Always || found.preview.against.is_empty();
        let peer = match found.message.as_ref().filter(|_| asked) {
            Some(message) => Some(self.part_of_peer(tenant, deadline, message).await?),
            None => None,
        };
        Ok(Plan { subject, close_out: done.close_out, preview: found.preview, own: found.own, peer })
    }

    async fn part_of_peer(
        &self,
        tenant: TenantId,
        deadline: Option<Instant>,
        message: &Outgoing,
    ) -> Result<(PeerOutcome, Planned), Status> {
        let longest = Instant::now() + MAX_WAIT;
        let until =
            deadline.map_or(longest, |deadline| longest.min(deadline.checked_sub(TO_ANSWER).unwrap_or(deadline)));
        let said = self.peer.rehearse(&wire::unsent(tenant, message), until).await;
        said.ok_or_else(|| answer::refusal(&wording::PLAN_UNVERIFIABLE, &[]))
    }
}
