//! Lanes of messages: every number once, every message of a transition sent, and applied as it was sent.

use super::{Found, named};
use crate::picture::{Key, Message, Picture, Side};
use crm_closeout::{codes::RecordKind, episode::CloseOutState, ids::TenantId};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// I5: a lane with a hole or a repeat in its numbers. What a receiver has applied is 1, 2, 3 ... without a gap; what a sender still
/// holds is numbered from its record's counter.
pub(super) fn numbers_are_dense(picture: &Picture, found: &mut Found) {
    for (side, sender) in picture.sides() {
        for (key, messages) in &side.inbox {
            // Before the whole state of a record anything may be missing; nothing may come twice.
            let snapshots = sender.snapshots.get(key);
            let is_snapshot = |number: i64| snapshots.is_some_and(|numbers| numbers.contains(&number));
            let before = std::iter::once(0).chain(messages.iter().map(|message| message.number));
            let dense = messages.iter().zip(before).all(|(message, before)| {
                message.number == before + 1 || (message.number > before && is_snapshot(message.number))
            });
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

/// I6: a cascading transition without its message, or a message without its transition. The audit trail tells the transitions of
/// a record; it sends one message for each, and otherwise only for some of its edits. The same for close-outs: as many as the
/// record counts, numbered from 1, and the one in force is the one the record names.
pub(super) fn transitions_are_sent(picture: &Picture, found: &mut Found) {
    for (side, _) in picture.sides() {
        for (key, sent) in &side.sent {
            let changes = side.changes.get(key).copied().unwrap_or_default();
            let snapshots = side.snapshots.get(key);
            let skipped = snapshots.and_then(|numbers| numbers.last()).copied().unwrap_or_default();
            let most = (changes.transitions + changes.edits).max(skipped) + snapshots.map_or(0, |n| n.len() as i64);
            found.expect((changes.transitions..=most).contains(sent), || {
                format!(
                    "{}: {} has sent {sent} message(s) for {} transition(s) and {} edit(s)",
                    side.name,
                    named(key),
                    changes.transitions,
                    changes.edits
                )
            });
        }
        close_outs(side, found);
    }
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
        let dense = numbers.iter().copied().eq(1..=subject.epoch);
        found.expect(dense, || {
            format!(
                "{}: {} was closed out {} time(s); its records are {numbers:?}",
                side.name,
                named(key),
                subject.epoch
            )
        });
    }
}

/// I7: a message that was sent and not applied, or applied and not sent, or applied with another content, or twice; or an effect
/// of a message of which the inbox knows nothing, so that a copy would be applied again.
pub(super) fn sent_is_applied(picture: &Picture, found: &mut Found) {
    for (sender, receiver) in picture.sides() {
        for (key, sent) in &sender.sent {
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
    for cause in &receiver.causes {
        found.expect(seen.contains(cause), || {
            format!("{}: message {} had an effect and is not in the inbox", receiver.name, cause.1)
        });
    }
}

/// I9: the receiver's highest number of a lane differing from the sender's.
pub(super) fn high_water_marks_agree(picture: &Picture, found: &mut Found) {
    for (sender, receiver) in picture.sides() {
        for (key, sent) in &sender.sent {
            let lane = receiver.lanes.get(key).map_or(0, |lane| lane.last_number);
            found.expect(lane == *sent, || {
                format!("{}: its lane of {} stands at {lane}, the sender at {sent}", receiver.name, named(key))
            });
        }
        for key in receiver.lanes.keys() {
            let known = sender.sent.contains_key(key);
            let kind = if key.1.kind == RecordKind::Customer { "customer" } else { "subject" };
            found.expect(known, || format!("{}: a lane of {}, a {kind} that is not there", receiver.name, named(key)));
        }
    }
}
