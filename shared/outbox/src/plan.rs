//! The two parts of a plan, one for each side: what a rehearsal of a close-out did there, and a hash of it. Here it is told whether
//! the close-out comes to what its caller has confirmed.

use crate::wire;
use crm_closeout::{
    codes::Code as _,
    episode::{CloseOut, CloseOutState, Effect, EffectKind},
    fact::{Applied, Outgoing, PeerOutcome},
    ids::TenantId,
    plan::{Planned, Preview, differences},
    refusal::Refusal,
    remarks::FollowUp,
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

/// This side's part of the plan of a close-out that was just decided. The version of its subject, the reasons, the competitor, why it needs
/// approval, what is to follow and a date of the past belong to it; the person's words do not.
pub(crate) fn own(common: &Common, close_out: &CloseOut) -> Planned {
    // Where it waits for another person, its effects are those that the approval is going to have.
    let waiting = close_out.approval.as_ref().filter(|_| close_out.is_awaiting());
    let effects = match waiting {
        Some(approval) => approval.planned.clone(),
        None => common.planned(close_out.tenant_id, &close_out.effects, close_out.closed_at),
    };
    let CloseOut { subject, outcome, reason_code, reason_version, remarks, .. } = close_out;
    let mut head =
        format!("{subject} {} {} {reason_code}@{reason_version}", common.judged_on(close_out), outcome.code());
    if close_out.historical {
        head.push_str(&format!(" on {}", close_out.closed_at));
    }
    if let Some(competitor) = close_out.competitor_id {
        head.push_str(&format!(" to {competitor}"));
    }
    for cause in close_out.approval.iter().flat_map(|approval| &approval.causes) {
        head.push_str(&format!(" once approved, as {}", cause.word()));
    }
    for cited in &remarks.secondary {
        head.push_str(&format!(" also {}@{}", cited.code, cited.version));
    }
    if let Some(FollowUp { title, assignee, due_at, .. }) = &remarks.follow_up {
        let due = due_at.map_or_else(String::new, |at| at.to_string());
        head.push_str(&format!(" then {title:?} by {assignee:?} until {due}"));
    }
    Planned { hash: hash(&head, &effects), effects }
}

/// Hash of the part of the side that applies a message, of its effects in the words of a plan.
pub(crate) fn of_applied(planned: &Applied) -> Vec<u8> {
    hash(planned.outcome.word(), &planned.effects)
}

/// Refuses a close-out that comes to something else than was confirmed; tells the receiver of its message what it is to do.
pub(crate) fn keep(common: &mut Common, close_out: &mut CloseOut, confirmed: &Confirmed) -> Result<(), Refusal> {
    if own(common, close_out).hash != confirmed.own {
        return Err(Refusal::new(&wording::PLAN_CHANGED, close_out.subject));
    }
    // One that waits sends nothing yet, and keeps that until it does.
    if let Some(approval) = close_out.approval.as_mut().filter(|_| close_out.state == CloseOutState::PendingApproval) {
        approval.peer = Some(confirmed.peer.clone());
        common.close_outs.put(close_out.clone());
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
        let mut differs = differences(&planned.effects, &done.effects);
        if let Some(first) = done.effects.first().filter(|_| differs.is_empty()) {
            // Of very many effects only the first are told beforehand.
            let (before, after) = (count(&planned.effects), count(&done.effects));
            differs.push(Effect::new(first.side, EffectKind::Differs, "", &before, &after));
        }
        applied.effects.splice(0..0, differs);
        applied.outcome = PeerOutcome::NeedsReview;
    }
}

/// `131 effects`, those that are only counted among them.
fn count(effects: &[Effect]) -> String {
    let more = effects.iter().filter(|effect| effect.kind == EffectKind::More);
    let (lines, more): (usize, usize) =
        (more.clone().count(), more.filter_map(|one| one.after.parse::<usize>().ok()).sum());
    format!("{} effects", effects.len() - lines + more)
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
