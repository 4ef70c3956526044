//! What clients asked for and were answered.

use super::Found;
use crate::picture::Picture;

/// I1: an OK answer to a mutation without its audit row, on the resource and with the version that the answer named. The audit
/// row is written in the commit of the effect, so an answer without it is an acknowledged write that was lost.
pub(super) fn answered_is_done(picture: &Picture, found: &mut Found) {
    for answer in &picture.history.answers {
        let request = (answer.tenant, answer.principal.clone(), answer.method.clone(), answer.request_id);
        let sides = [&picture.opportunity, &picture.order];
        let mut rows = sides.iter().filter_map(|side| side.done.get(&request)).flatten();
        let version = answer.etag.trim_matches('"').parse::<i64>().ok();
        let done =
            rows.any(|(resource, after)| *resource == answer.resource && version.is_none_or(|told| told == *after));
        found.expect(done, || {
            format!(
                "{} {} of {} was answered OK with {} at version {}, and no audit row says so",
                answer.method, answer.request_id, answer.principal, answer.resource, answer.etag
            )
        });
    }
}

/// I4: two effects of one (tenant, principal, method, request_id): two audit rows of one resource, or two resources made. Also an
/// effect without the row that keeps its answer, since a copy of that request would be carried out again.
pub(super) fn done_once(picture: &Picture, found: &mut Found) {
    for (side, _) in picture.sides() {
        found.checked += side.effects;
        let twice = side.doubled.iter().map(|text| format!("{}: done twice: {text}", side.name));
        found.texts.extend(twice);
        let unanswered =
            side.unanswered.iter().map(|text| format!("{}: done, but no answer is kept: {text}", side.name));
        found.texts.extend(unanswered);
    }
}
