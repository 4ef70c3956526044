//! What clients asked for and what was done for it: everything that was answered, once, and nothing else.

use super::Found;
use crate::{
    history::{Answer, Attempt, Request},
    picture::Picture,
    trail::Effect,
};
use std::collections::BTreeMap;
use tonic::Code;

fn effects<'a>(picture: &'a Picture, request: &'a Request) -> impl Iterator<Item = &'a Effect> {
    let all = picture.side(request.side).trails.effects.get(&(request.tenant, request.id));
    let is_its = |effect: &&Effect| effect.actor == *request.principal && effect.method == request.method;
    all.into_iter().flatten().filter(is_its)
}

pub(super) fn words(request: &Request) -> String {
    let Request { tenant, principal, method, id, .. } = request;
    format!("{method} {id} of {principal} of tenant {tenant}")
}

/// I1: an OK answer to a mutation without its audit row, on the resource and with the version that the answer named. The audit
/// row is written in the commit of the effect, so an answer without it is an acknowledged write that was lost.
pub(super) fn answered_is_done(picture: &Picture, found: &mut Found) {
    for done in picture.told.done() {
        let mut rows = effects(picture, &done.attempt.request);
        let is_it = rows.any(|effect| {
            effect.resource == done.resource && done.version.is_none_or(|version| version == effect.version)
        });
        found.expect(is_it, || {
            let (request, version) = (words(&done.attempt.request), done.version);
            format!("{request} was answered OK with {} at version {version:?}, and no audit row says so", done.resource)
        });
    }
}

/// I2: an audit row not caused by a message and not asked for by any client. What has neither a request nor a message behind it
/// is found in any case; a request that no client made only if the history is whole.
pub(super) fn done_was_asked_for(picture: &Picture, found: &mut Found) {
    for (side, _) in picture.sides() {
        found.checked += side.trails.asked;
        let uncaused = side.trails.uncaused.iter();
        found.texts.extend(uncaused.map(|text| format!("{}: without a request or a message: {text}", side.name)));
        let unasked = side.trails.unasked.iter().filter(|_| picture.told.whole);
        found.texts.extend(unasked.map(|text| format!("{}: done, but nobody asked for it: {text}", side.name)));
    }
}

/// I3: a request whose every attempt was refused for good and which had an effect nevertheless.
pub(super) fn refused_is_not_done(picture: &Picture, found: &mut Found) {
    let mut refused: BTreeMap<&Request, bool> = BTreeMap::new();
    for attempt in &picture.told.attempts {
        *refused.entry(&attempt.request).or_insert(true) &= is_refused_for_good(attempt);
    }
    for request in refused.into_iter().filter(|(_, refused)| *refused).map(|(request, _)| request) {
        let effect = effects(picture, request).next();
        found.expect(effect.is_none(), || {
            let resource = effect.map(|effect| effect.resource.as_str()).unwrap_or_default();
            format!("{} was refused each time, and changed {resource}", words(request))
        });
    }
}

/// Nothing was done, and nothing will be. Any other status leaves it open.
fn is_refused_for_good(attempt: &Attempt) -> bool {
    let Some((_, Answer::Refused { code, .. })) = &attempt.answered else { return false };
    matches!(
        code,
        Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::ResourceExhausted
    )
}

/// I4, at any instant: two effects of one (tenant, principal, method, request_id): two audit rows of one resource, or two resources
/// made. Also an effect without the row that keeps its answer, since a copy of that request would be carried out again.
pub(super) fn done_once(picture: &Picture, found: &mut Found) {
    for (side, _) in picture.sides() {
        found.checked += side.trails.asked;
        let twice = side.doubled.iter().map(|text| format!("{}: done twice: {text}", side.name));
        found.texts.extend(twice);
        let unanswered =
            side.unanswered.iter().map(|text| format!("{}: done, but no answer is kept: {text}", side.name));
        found.texts.extend(unanswered);
    }
}
