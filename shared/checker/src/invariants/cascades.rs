//! Cascades: close-outs that others have caused.

use super::Found;
use crate::picture::{Episode, Picture};
use crm_closeout::{
    codes::Record,
    ids::{CloseOutId, TenantId},
};
use std::collections::{BTreeMap, BTreeSet};

/// The longest chain: an order cancelled (0), its opportunity closed out (1), that one's drafts cancelled (2).
const DEEPEST: i32 = 2;

type CloseOuts<'a> = BTreeMap<(TenantId, CloseOutId), &'a Episode>;

/// I15, at any instant: a cascade deeper than three close-outs, or one whose depth is counted wrong; a subject that was moved twice
/// in one cascade, or twice by one message.
pub(super) fn end_by_themselves(picture: &Picture, found: &mut Found) {
    let sides = picture.sides();
    let all: CloseOuts<'_> = sides.iter().flat_map(|(side, _)| &side.close_outs).map(|(key, c)| (*key, c)).collect();
    let mut moved: BTreeSet<(TenantId, CloseOutId, Record)> = BTreeSet::new();
    for ((tenant, id), close_out) in &all {
        let cause = close_out.cause.and_then(|cause| all.get(&(*tenant, cause)));
        let counted = match (close_out.cause, cause) {
            (None, _) => close_out.hop == 0,
            (Some(_), Some(cause)) => close_out.hop == cause.hop + 1,
            (Some(_), None) => close_out.hop > 0, // its cause is of the side that was read first, and younger than that
        };
        found.expect(counted && close_out.hop <= DEEPEST, || {
            let cause = cause.map(|cause| cause.hop);
            format!("{id} of tenant {tenant} is at hop {}, its cause at {cause:?}", close_out.hop)
        });
        found.expect(moved.insert((*tenant, root(&all, *tenant, *id), close_out.subject)), || {
            format!("{} of tenant {tenant} was closed out twice in one cascade, by {id}", close_out.subject)
        });
    }
    for (side, _) in sides {
        for ((tenant, thing), steps) in &side.trails.steps {
            let moves = steps.iter().filter(|step| thing.is_subject() && step.from != step.to);
            let mut messages = BTreeSet::new();
            for message in moves.filter_map(|step| step.message) {
                found.expect(messages.insert(message), || {
                    format!("{}: message {message} moved {thing} of tenant {tenant} twice", side.name)
                });
            }
        }
    }
}

/// The close-out with which the cascade began, as far as it is known.
fn root(all: &CloseOuts<'_>, tenant: TenantId, mut id: CloseOutId) -> CloseOutId {
    for _ in 0..=DEEPEST {
        let Some(cause) = all.get(&(tenant, id)).and_then(|close_out| close_out.cause) else { break };
        id = cause;
    }
    id
}
