//! What clients were told, against what they had been told before: the answers alone, no database.

use super::{Found, requests::words};
use crate::{
    history::{Done, Request},
    picture::Picture,
};
use crm_closeout::{codes::Side, ids::TenantId};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

/// A resource of one service.
type Resource<'a> = (Side, TenantId, &'a str);

/// I17: two different OK answers to one request. How far the news of it has come, and what has become of its close-out since, may
/// differ; the clients have taken that out.
pub(super) fn answered_alike(picture: &Picture, found: &mut Found) {
    let mut first: HashMap<&Request, Done<'_>> = HashMap::new();
    for done in picture.told.done() {
        let before = first.entry(&done.attempt.request).or_insert(done);
        let content = |done: &Done<'_>| (done.resource.to_owned(), done.version, done.reply);
        found.expect(content(before) == content(&done), || {
            let asked = if before.attempt.fingerprint == done.attempt.fingerprint { "the same" } else { "another" };
            format!(
                "{} was answered with {} at version {:?}, then, for {asked} body, with {} at version {:?}",
                words(&done.attempt.request),
                before.resource,
                before.version,
                done.resource,
                done.version
            )
        });
    }
}

/// An operation: from its first attempt to the first answer that said it was done.
struct Operation<'a> {
    request: &'a Request,
    invoked: Duration,
    returned: Duration,
    version: i64,
}

/// The operations on each resource.
fn operations(picture: &Picture) -> BTreeMap<Resource<'_>, Vec<Operation<'_>>> {
    let mut begun: HashMap<&Request, Duration> = HashMap::new();
    for attempt in &picture.told.attempts {
        let invoked = begun.entry(&attempt.request).or_insert(attempt.invoked);
        *invoked = attempt.invoked.min(*invoked);
    }
    let mut over: BTreeMap<&Request, Done<'_>> = BTreeMap::new();
    for done in picture.told.done() {
        let first = over.entry(&done.attempt.request).or_insert(done);
        if done.returned < first.returned {
            *first = done;
        }
    }
    let mut all: BTreeMap<Resource<'_>, Vec<Operation<'_>>> = BTreeMap::new();
    for (request, done) in over {
        let (Some(version), Some(invoked)) = (done.version, begun.get(request)) else { continue };
        let operation = Operation { request, invoked: *invoked, returned: done.returned, version };
        all.entry((request.side, request.tenant, done.resource)).or_default().push(operation);
    }
    all
}

/// The highest version that was returned before each instant: the instants in order.
fn returned<'a, 'b>(operations: &'a [Operation<'b>]) -> Vec<(Duration, &'a Operation<'b>)> {
    let mut order: Vec<_> = operations.iter().collect();
    order.sort_by_key(|operation| operation.returned);
    let mut highest: Vec<(Duration, &Operation<'_>)> = Vec::with_capacity(order.len());
    for operation in order {
        let best = highest.last().map(|(_, best)| *best).filter(|best| best.version > operation.version);
        highest.push((operation.returned, best.unwrap_or(operation)));
    }
    highest
}

fn before<'a, 'b>(highest: &[(Duration, &'a Operation<'b>)], instant: Duration) -> Option<&'a Operation<'b>> {
    let count = highest.partition_point(|(returned, _)| *returned < instant);
    count.checked_sub(1).and_then(|last| highest.get(last)).map(|(_, operation)| *operation)
}

/// I18: two OK operations on one resource of which the later one, first sent after the other had returned, has no higher version.
/// A repeated request counts as the one operation that it is.
pub(super) fn versions_rise(picture: &Picture, found: &mut Found) {
    for ((_, _, resource), operations) in &operations(picture) {
        let highest = returned(operations);
        for operation in operations {
            let earlier = before(&highest, operation.invoked);
            found.expect(earlier.is_none_or(|earlier| earlier.version < operation.version), || {
                let (version, request) = (operation.version, words(operation.request));
                let earlier = earlier.map(|earlier| (earlier.version, words(earlier.request)));
                format!("{request} left {resource} at version {version}; done before it: {earlier:?}")
            });
        }
    }
}

/// I19: a read, sent after an OK had returned, that shows an older version than that answer.
pub(super) fn reads_are_fresh(picture: &Picture, found: &mut Found) {
    let operations = operations(picture);
    let highest: BTreeMap<_, _> = operations.iter().map(|(resource, all)| (*resource, returned(all))).collect();
    for seen in &picture.told.seen {
        let Some(version) = seen.version else { continue };
        let resource: Resource<'_> = (seen.side, seen.tenant, &seen.resource);
        let known = highest.get(&resource).and_then(|highest| before(highest, seen.invoked));
        found.expect(known.is_none_or(|known| known.version <= version), || {
            let known = known.map(|known| (known.version, words(known.request)));
            format!("a read showed {} at version {version}; done before it: {known:?}", seen.resource)
        });
    }
}
