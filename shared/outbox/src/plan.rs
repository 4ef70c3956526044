//! The two parts of a plan, one for each side: what a rehearsal of a close-out did there, and a hash of it. Here it is told whether
//! the close-out comes to what its caller has confirmed.

use crate::wire;
use crm_closeout::{
    codes::Code as _,
    episode::{CloseOut, Effect},
    fact::{Applied, Outgoing, PeerOutcome},
    ids::TenantId,
    plan::{Planned, Preview, differences},
    refusal::Refusal,
    time::Time,
    wording,
    working_set::Common,
};

/// Bytes of the hash of one part.
pub const HASH: usize = 16;

/// What a caller has confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// Hash of this side's part.
    pub own: Vec<u8>,
    /// The other side's part.
    pub peer: Planned,
}

/// What a preview has found on this side.
#[derive(Clone, Debug)]
pub struct Previewed {
    /// What would refuse the close-out, and what its reason proposes.
    pub preview: Preview,
    /// This side's part; none where there is nothing to be closed out.
    pub own: Option<Planned>,
    /// The message that would be sent.
    pub message: Option<Outgoing>,
}

/// This side's part of the plan of a close-out that was just decided. The version of its subject and the reason belong to it.
pub(crate) fn own(common: &Common, close_out: &CloseOut) -> Planned {
    let effects = common.planned(close_out.tenant_id, &close_out.effects, close_out.closed_at);
    let head = format!(
        "{} {} {} {}@{}",
        close_out.subject,
        common.judged_on(close_out),
        close_out.outcome.code(),
        close_out.reason_code,
        close_out.reason_version
    );
    Planned { hash: hash(&head, &effects), effects }
}

/// Hash of the part of the side that applies a message, of its effects in the words of a plan.
pub(crate) fn of_applied(planned: &Applied) -> Vec<u8> {
    hash(planned.outcome.word(), &planned.effects)
}

/// Refuses a close-out that comes to something else than was confirmed; tells the receiver of its message what it is to do.
pub(crate) fn keep(common: &mut Common, close_out: &CloseOut, confirmed: &Confirmed) -> Result<(), Refusal> {
    if own(common, close_out).hash != confirmed.own {
        return Err(Refusal::new(&wording::PLAN_CHANGED, close_out.subject));
    }
    let first = common.outgoing.edit_recent().first_mut();
    if let Some(fact) = first.and_then(|(_, outgoing)| outgoing.fact.close_out.as_mut()) {
        fact.planned = Some(confirmed.peer.clone());
    }
    Ok(())
}

/// Adds to what was done what differs from the plan: a person has to look at that, so it comes first.
pub(crate) fn compare(common: &Common, tenant: TenantId, planned: &Planned, closed_at: Time, applied: &mut Applied) {
    let effects = common.planned(tenant, &applied.effects, closed_at);
    let done = Applied { outcome: applied.outcome, effects };
    if of_applied(&done) != planned.hash {
        let differences = differences(&planned.effects, &done.effects);
        applied.effects.splice(0..0, differences);
        applied.outcome = PeerOutcome::NeedsReview;
    }
}

fn hash(head: &str, effects: &[Effect]) -> Vec<u8> {
    use prost::Message as _;
    let mut bytes = head.as_bytes().to_vec();
    for effect in effects {
        bytes.extend(wire::effect(effect).encode_length_delimited_to_vec());
    }
    let mut hash = wire::hash(&bytes);
    hash.truncate(HASH);
    hash
}
