//! Lanes of messages: every number once, every message of a transition sent, and applied as it was sent.

use super::{Found, named, steps::CLOSED};
use crate::{
    picture::{Key, Message, Picture, Side},
    trail::{Step, Thing},
};
use crm_closeout::{codes::RecordKind, episode::CloseOutState, ids::TenantId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// I5, at any instant: a lane with a hole or a repeat in its numbers. What a receiver has applied is 1, 2, 3 ... without a gap; what
/// a sender still holds is numbered within its record's counter. The whole state of a record, which an operator may have sent,
/// takes the place of everything before it.
pub(super) fn numbers_are_dense(picture: &Picture, found: &mut Found) {
    for (side, sender) in picture.sides() {
        for (key, messages) in &side.inbox {
            // Before the whole state of a record anything may be missing; nothing may come twice.
            let resent = sender.trails.resent.get(key);
            let is_whole = |number: i64| resent.is_some_and(|numbers| numbers.contains(&number));
            // Under load the inbox may be younger than what is known of its sender.
            let sent = sender.sent.get(key).copied().unwrap_or_default();
            let numbers = || messages.iter().map(|message| message.number).filter(|number| *number <= sent);
            let mut pairs = std::iter::once(0).chain(numbers()).zip(numbers());
            let dense = pairs.all(|(before, number)| number == before + 1 || (number > before && is_whole(number)));
            found.expect(dense, || {
                let numbers: Vec<_> = messages.iter().map(|message| message.number.to_string()).collect();
                format!("{}: the numbers applied of {} are {}", side.name, named(key), numbers.join(", "))
            });
        }
        for (key, messages) in &side.outbox {
            let sent = side.sent.get(key).copied().unwrap_or_default();
            let known = messages.iter().all(|message| (1..=sent).contains(&message.number));
            found.expect(known, || {
                format!("{}: the outbox has a message of {} that is numbered beyond {sent}", side.name, named(key))
            });
        }
    }
}

/// I6, at any instant: a cascading transition without its message, or a message without its transition. The audit trail tells the
/// transitions of a record; it sends one message for each, and otherwise only for some of its edits, or what an operator asks
/// for. The same for close-outs: as many as the record counts, numbered from 1, and the one in force is the one the record names.
pub(super) fn transitions_are_sent(picture: &Picture, found: &mut Found) {
    for (side, _) in picture.sides() {
        // Reasons, settings and exchange rates have no state that is mirrored: their copies as a whole are compared.
        for (key, sent) in side.sent.iter().filter(|(key, _)| key.1.kind.has_tasks()) {
            let steps = side.trails.steps.get(&(key.0, Thing::Record(key.1))).map_or(&[][..], Vec::as_slice);
            let transitions = steps.iter().filter(|step| is_transition(key, step)).count() as i64;
            let edits = steps.iter().filter(|step| step.edit).count() as i64;
            let resent = side.trails.resent.get(key);
            let skipped = resent.and_then(BTreeSet::last).copied().unwrap_or_default();
            let most = (transitions + edits).max(skipped) + resent.map_or(0, BTreeSet::len) as i64;
            found.expect((transitions..=most).contains(sent), || {
                let text = format!("{sent} message(s) for {transitions} transition(s) and {edits} edit(s)");
                format!("{}: {} has sent {text}", side.name, named(key))
            });
        }
        close_outs(side, found);
    }
}

/// A change that the other side has to hear of.
fn is_transition(key: &Key, step: &Step) -> bool {
    // The other side makes no difference between the two states of a live order, or of an opportunity that is worked on.
    let mirrored = match (&*step.from, &*step.to) {
        // Nor does a close-out that waits for approval, or came to nothing, make one.
        ("CONFIRMED", "IN_FULFILMENT") | ("OPEN", "ON_HOLD") | ("ON_HOLD", "OPEN") | (_, "CLOSE_PENDING") => false,
        ("CLOSE_PENDING", to) => CLOSED.contains(&to),
        _ => true,
    };
    step.before == 0 || (key.1.kind != RecordKind::Customer && step.from != step.to && mirrored)
}

fn close_outs(side: &Side, found: &mut Found) {
    let mut of_subject: BTreeMap<Key, BTreeSet<i64>> = BTreeMap::new();
    for ((tenant, id), episode) in &side.close_outs {
        let key = (*tenant, episode.subject);
        of_subject.entry(key).or_default().insert(episode.number);
        let in_force = side.subjects.get(&key).is_some_and(|subject| subject.close_out == Some(*id));
        found.expect(in_force == (episode.state == CloseOutState::Effective), || {
            let state = episode.state.word();
            format!("{}: {id} is {state}, which {} does not agree with", side.name, named(&key))
        });
    }
    for (key, subject) in &side.subjects {
        let numbers = of_subject.remove(key).unwrap_or_default();
        let dense = numbers.iter().copied().eq(1..=subject.episodes);
        found.expect(dense, || {
            format!(
                "{}: {} was to be closed out {} time(s); its records are {numbers:?}",
                side.name,
                named(key),
                subject.episodes
            )
        });
    }
}

/// I7: a message that was sent and not applied, or applied and not sent, or applied with another content, or twice; or an effect
/// of a message of which the inbox knows nothing, so that a copy would be applied again. What stands in a lane that is parked
/// has not been applied yet.
pub(super) fn sent_is_applied(picture: &Picture, found: &mut Found) {
    for (sender, receiver) in picture.sides() {
        for (key, sent) in sender.sent.iter().filter(|(key, _)| !sender.is_stuck(key)) {
            let applied = receiver.inbox.get(key).and_then(|messages| messages.last()).map_or(0, |last| last.number);
            found.expect(applied == *sent, || {
                format!("{}: {} has sent {sent} message(s); the last one applied is {applied}", sender.name, named(key))
            });
        }
        for (key, messages) in &receiver.inbox {
            found.expect(sender.sent.contains_key(key), || {
                format!("{}: messages of {} were applied, which its service does not have", receiver.name, named(key))
            });
            let held = sender.outbox.get(key).map_or(&[][..], Vec::as_slice);
            same_content(key, held, messages, found);
        }
        applied_once(receiver, found);
    }
}

fn same_content(key: &Key, held: &[Message], applied: &[Message], found: &mut Found) {
    for message in held {
        let other = applied.iter().find(|other| other.number == message.number);
        let same = other.is_none_or(|other| (other.id, &other.hash) == (message.id, &message.hash));
        found.expect(same, || format!("message {} of {} was applied with another content", message.number, named(key)));
    }
}

fn applied_once(receiver: &Side, found: &mut Found) {
    let mut seen: BTreeSet<(TenantId, Uuid)> = BTreeSet::new();
    for (key, messages) in &receiver.inbox {
        for message in messages {
            found.expect(seen.insert((key.0, message.id)), || {
                format!("{}: message {} of {} was applied twice", receiver.name, message.id, named(key))
            });
        }
    }
    for cause in &receiver.trails.causes {
        found.expect(seen.contains(cause), || {
            format!("{}: message {} had an effect and is not in the inbox", receiver.name, cause.1)
        });
    }
}

/// I9: the receiver's highest number of a lane differing from the sender's, unless the lane is parked.
pub(super) fn high_water_marks_agree(picture: &Picture, found: &mut Found) {
    for (sender, receiver) in picture.sides() {
        for (key, sent) in sender.sent.iter().filter(|(key, _)| !sender.is_stuck(key)) {
            let lane = receiver.lanes.get(key).map_or(0, |lane| lane.last_number);
            found.expect(lane == *sent, || {
                format!("{}: its lane of {} stands at {lane}, the sender at {sent}", receiver.name, named(key))
            });
        }
        for key in receiver.lanes.keys() {
            let known = sender.sent.contains_key(key);
            let kind = key.1.kind.word().to_lowercase();
            found.expect(known, || format!("{}: a lane of {}, a {kind} that is not there", receiver.name, named(key)));
        }
    }
}

/// I10, at any instant: a message acked by the sender that the receiver has not applied. Its row is gone from the outbox, so the
/// sender holds it for done; the inbox, which was read later, must have it.
pub(super) fn acked_is_applied(picture: &Picture, found: &mut Found) {
    for (sender, receiver) in picture.sides() {
        for (key, sent) in &sender.sent {
            let held: BTreeSet<_> =
                sender.outbox.get(key).into_iter().flatten().map(|message| message.number).collect();
            let applied: BTreeSet<_> = receiver.inbox.get(key).into_iter().flatten().map(|m| m.number).collect();
            let whole = sender.trails.resent.get(key).and_then(BTreeSet::last).copied().unwrap_or(1);
            let lost: Vec<_> =
                (whole..=*sent).filter(|number| !held.contains(number) && !applied.contains(number)).collect();
            found.expect(lost.is_empty(), || {
                format!("{}: {} counts as told {lost:?}; {} has not heard", sender.name, named(key), receiver.name)
            });
        }
    }
}

/// I8, at any instant: messages of a lane applied in another order than numbered. Clocks of several processes do not tell the
/// order, but versions do: they are given under the lock of the record that is changed. So whatever two messages of one lane have
/// changed, the later one has given it the higher version. Messages that changed nothing are not seen here; what they said is
/// compared as the mirror.
pub(super) fn applied_in_order(picture: &Picture, found: &mut Found) {
    for (side, _) in picture.sides() {
        let mut places: HashMap<(TenantId, Uuid), (&Key, i64)> = HashMap::new();
        for (key, messages) in &side.inbox {
            places.extend(messages.iter().map(|message| ((key.0, message.id), (key, message.number))));
        }
        for ((tenant, thing), steps) in &side.trails.steps {
            let mut last: BTreeMap<&Key, i64> = BTreeMap::new();
            for step in steps {
                let place = step.message.and_then(|id| places.get(&(*tenant, id)));
                let Some((key, number)) = place else { continue };
                let before = last.insert(key, *number).unwrap_or_default();
                found.expect(before <= *number, || {
                    let text = format!("message {number} of {} changed {thing} after message {before}", named(key));
                    format!("{}: {text}", side.name)
                });
            }
        }
    }
}
