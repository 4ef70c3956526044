//! The messages that the relay holds in memory, by lane: in the order of their numbers, never two calls with one lane, what is
//! suspected to break the peer in ever smaller calls and at last alone.

use super::{Handover, Waiter, jitter};
use crate::{settle, tables::OutboxRow};
use crm_closeout::{codes::Record, ids::TenantId};
use std::{
    collections::{BTreeMap, VecDeque, btree_map::Entry},
    time::Duration,
};
use tokio::time::Instant;

/// Most messages of one call, and about how many bytes.
pub(super) const BATCH: usize = 256;
const BATCH_BYTES: usize = 768 * 1_024;
/// A message waits in memory no longer than it is leased.
const HELD: Duration = Duration::from_micros(settle::LEASE as u64);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

pub(super) type Lane = (TenantId, Record);

/// A message that is held.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) row: OutboxRow,
    pub(super) waiter: Option<Waiter>,
    expires: Instant,
    /// Number that the peer wanted instead; 0: none.
    gap: i64,
    /// Times that it wanted this number.
    pub(super) tries: u32,
    /// A call with it broke off, which is not counted in the table yet.
    pub(super) lost: bool,
}

impl Held {
    /// Its turn had not come: the peer wants this number first. While that number moves, it soon will.
    pub(super) fn behind(&mut self, expected: i64) {
        self.tries = if self.gap == expected { self.tries.saturating_add(1) } else { 1 };
        self.gap = expected;
    }

    fn repeats(&self) -> bool {
        self.tries > 0 || self.lost
    }

    fn is_suspect(&self) -> bool {
        self.row.losses > 1
    }
}

#[derive(Debug, Default)]
struct Queue {
    /// By number.
    messages: BTreeMap<i64, Held>,
    not_before: Option<Instant>,
}

impl Queue {
    /// Nothing in it comes before this number.
    fn is_led_by(&self, number: i64) -> bool {
        self.messages.first_key_value().is_none_or(|(first, _)| number < *first)
    }
}

/// Messages of one call.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) messages: Vec<(Lane, Held)>,
    /// No other call to the same address may be under way.
    pub(super) alone: bool,
    /// Something in it was sent before.
    pub(super) repeats: bool,
}

/// Every lane that is held.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: BTreeMap<Lane, Queue>,
    ready: VecDeque<Lane>,
}

impl Lanes {
    /// How many lanes are held.
    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Forgets messages whose lease is over, and answers how many are left.
    pub(super) fn forget_expired(&mut self) -> usize {
        let now = Instant::now();
        self.lanes.values_mut().for_each(|queue| queue.messages.retain(|_, held| held.expires > now));
        self.lanes.values().map(|queue| queue.messages.len()).sum()
    }

    /// Takes up a message.
    pub(super) fn hold(&mut self, Handover { row, waiter }: Handover) {
        let lane = (row.tenant_id, row.record);
        let held = Held { row, waiter, expires: Instant::now() + HELD, gap: 0, tries: 0, lost: false };
        let (fresh, claimed) = (!self.lanes.contains_key(&lane), held.row.attempts > 0);
        let queue = self.lanes.entry(lane).or_default();
        let leads = queue.is_led_by(held.row.number);
        match queue.messages.entry(held.row.number) {
            // Claimed here or elsewhere meanwhile: what the table knows of it counts.
            Entry::Occupied(mut other) => {
                let other = other.get_mut();
                let waiter = other.waiter.take().or(held.waiter);
                *other = Held { waiter, lost: other.lost, gap: other.gap, tries: other.tries, ..held };
            }
            Entry::Vacant(place) => {
                place.insert(held);
                if leads {
                    // Perhaps the one that the others have waited for.
                    queue.not_before = None;
                }
            }
        }
        // A lane that is known is ready already, or in a call, or waits for its time.
        if fresh && claimed {
            // It has waited for a lease to end.
            self.ready.push_front(lane);
        } else if fresh {
            self.ready.push_back(lane);
        }
    }

    /// Messages for one call, in the order in which their lanes became ready; their lanes are then in that call. `idle`: no call is
    /// under way to the same address. `may_repeat`: there is budget for what was sent before. `most`: messages.
    pub(super) fn next(&mut self, idle: bool, may_repeat: bool, most: usize) -> Option<Batch> {
        let now = Instant::now();
        let (mut batch, mut bytes, mut most, mut later) = (Batch::default(), 0, most, VecDeque::new());
        while batch.messages.len() < most
            && bytes < BATCH_BYTES
            && let Some(lane) = self.ready.pop_front()
        {
            let Some(queue) = self.lanes.get_mut(&lane) else { continue };
            queue.messages.retain(|_, held| held.expires > now);
            let Some((number, first)) = queue.messages.first_key_value() else {
                self.lanes.remove(&lane);
                continue;
            };
            let waits = queue.not_before.is_some_and(|time| time > now) || (first.repeats() && !may_repeat);
            let alone = first.is_suspect();
            if waits {
                later.push_back(lane);
                continue;
            }
            if alone && !(idle && batch.messages.is_empty()) {
                // Its turn comes when this call and those under way are answered.
                self.ready.push_front(lane);
                break;
            }
            batch.alone = alone;
            // What comes behind a hole can not arrive before what is in it, which another process holds.
            let mut number = *number;
            while batch.messages.len() < most
                && bytes < BATCH_BYTES
                && let Some(next) = queue.messages.first_entry()
                && *next.key() == number
                && (alone || !next.get().is_suspect())
            {
                let held = next.remove();
                number += 1;
                bytes += held.row.payload.len() + 128;
                most = if alone { 1 } else { most.min(BATCH >> held.row.losses) };
                batch.repeats |= held.repeats();
                batch.messages.push((lane, held));
            }
        }
        self.ready.extend(later);
        (!batch.messages.is_empty()).then_some(batch)
    }

    /// The lane is out of its call: what is to be sent again goes back to its place; after a pause if its turn had not come, unless
    /// what it waits for was claimed here meanwhile.
    pub(super) fn put_back(&mut self, lane: Lane, held: Vec<Held>) {
        let queue = self.lanes.entry(lane).or_default();
        let tries = held.iter().map(|held| held.tries).max().unwrap_or_default();
        let waits = tries > 0 && held.first().is_some_and(|first| queue.is_led_by(first.row.number));
        queue.not_before = waits.then(|| Instant::now() + jitter(FIRST_PAUSE, LONGEST_PAUSE, tries));
        for message in held {
            // What was claimed again meanwhile counts as the table knows it.
            queue.messages.entry(message.row.number).or_insert(message);
        }
        if queue.messages.is_empty() {
            self.lanes.remove(&lane);
        } else {
            self.ready.push_back(lane);
        }
    }

    /// Whoever waits for a delivery is let go.
    pub(super) fn let_go(&mut self) {
        for queue in self.lanes.values_mut() {
            queue.messages.values_mut().for_each(|held| held.waiter = None);
        }
    }

    /// Forgets everything; the table delivers it when the leases end.
    pub(super) fn clear(&mut self) {
        self.lanes.clear();
        self.ready.clear();
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crm_closeout::{codes::RecordKind, time::Time};
    use uuid::Uuid;

    fn row(lane: u128, number: i64) -> OutboxRow {
        OutboxRow {
            tenant_id: TenantId(Uuid::from_u128(1)),
            record: Record::new(RecordKind::Order, Uuid::from_u128(lane)),
            number,
            message_id: Uuid::from_u128(lane * 1_000 + number as u128),
            payload: vec![1],
            close_out_id: None,
            reversal: false,
            created_at: Time(0),
            lease_until: Time(0),
            attempts: 0,
            parked: false,
            fault: String::new(),
            losses: 0,
            refusals: 0,
            waits_for: 0,
            gap_at: 0,
            gap_since: Time(0),
            trace_parent: String::new(),
        }
    }

    pub(crate) fn held(number: i64) -> Held {
        Held { row: row(1, number), waiter: None, expires: Instant::now() + HELD, gap: 0, tries: 0, lost: false }
    }

    fn holding(rows: impl IntoIterator<Item = OutboxRow>) -> Lanes {
        let mut lanes = Lanes::default();
        rows.into_iter().for_each(|row| lanes.hold(Handover { row, waiter: None }));
        lanes
    }

    fn names(batch: Option<Batch>) -> Vec<(u128, i64)> {
        let name = |(_, held): &(Lane, Held)| (held.row.record.id.as_u128(), held.row.number);
        batch.map(|batch| batch.messages.iter().map(name).collect()).unwrap_or_default()
    }

    #[test]
    fn a_lane_is_in_one_call_at_a_time_in_the_order_of_its_numbers() {
        let mut lanes = holding([row(1, 2), row(1, 1), row(2, 1)]);
        let first = lanes.next(true, true, BATCH);
        lanes.hold(Handover { row: row(1, 3), waiter: None });
        assert!(lanes.next(false, true, BATCH).is_none(), "lane 1 is in a call");
        assert_eq!(names(first), [(1, 1), (1, 2), (2, 1)]);
        lanes.put_back((TenantId(Uuid::from_u128(1)), row(1, 1).record), Vec::new());
        assert_eq!(names(lanes.next(true, true, BATCH)), [(1, 3)]);
    }

    #[test]
    fn what_may_break_the_peer_is_sent_in_half_a_call_then_alone() {
        let halves = (1..=300).map(|lane| OutboxRow { losses: 1, ..row(lane, 1) });
        assert_eq!(names(holding(halves).next(true, true, BATCH)).len(), BATCH / 2);
        let mut lanes = holding([row(1, 1), OutboxRow { losses: 2, ..row(2, 1) }, row(2, 2), row(3, 1)]);
        assert_eq!(names(lanes.next(false, true, BATCH)), [(1, 1)], "company for those before it");
        assert!(lanes.next(false, true, BATCH).is_none(), "it waits until no call is under way");
        let alone = lanes.next(true, true, BATCH);
        assert!(alone.as_ref().is_some_and(|batch| batch.alone));
        assert_eq!(names(alone), [(2, 1)]);
        assert_eq!(names(lanes.next(false, true, BATCH)), [(3, 1)]);
    }

    #[test]
    fn without_budget_only_what_is_new_is_sent() {
        let mut lanes = holding([row(1, 1), row(2, 1)]);
        let mut batch = lanes.next(true, true, BATCH).map(|batch| batch.messages).unwrap_or_default();
        batch[0].1.lost = true;
        for (lane, held) in batch {
            lanes.put_back(lane, vec![held]);
        }
        assert_eq!(names(lanes.next(true, false, BATCH)), [(2, 1)]);
        let repeated = lanes.next(true, true, BATCH);
        assert!(repeated.as_ref().is_some_and(|batch| batch.repeats));
        assert_eq!(names(repeated), [(1, 1)]);
    }

    #[test]
    fn pauses_grow_only_while_nothing_of_the_lane_arrives() {
        let mut message = held(7);
        (0..3).for_each(|_| message.behind(3));
        assert_eq!(message.tries, 3);
        message.behind(5);
        assert_eq!(message.tries, 1);
    }

    #[test]
    fn what_was_claimed_while_those_behind_it_were_in_a_call_goes_first() {
        let mut lanes = holding([row(1, 3)]);
        let mut batch = lanes.next(true, true, BATCH).map(|batch| batch.messages).unwrap_or_default();
        let (lane, mut held) = batch.remove(0);
        lanes.hold(Handover { row: OutboxRow { attempts: 1, ..row(1, 2) }, waiter: None });
        held.behind(2);
        lanes.put_back(lane, vec![held]);
        assert_eq!(names(lanes.next(true, true, BATCH)), [(1, 2), (1, 3)]);
    }

    #[test]
    fn what_comes_behind_a_hole_stays_until_what_is_before_it_is_answered() {
        let mut lanes = holding([row(1, 3), row(1, 4), row(1, 6), row(2, 1)]);
        let first = lanes.next(true, true, BATCH);
        assert_eq!(names(first), [(1, 3), (1, 4), (2, 1)]);
        lanes.put_back((TenantId(Uuid::from_u128(1)), row(1, 1).record), Vec::new());
        assert_eq!(names(lanes.next(true, true, BATCH)), [(1, 6)]);
    }

    #[test]
    fn a_message_that_comes_before_those_held_ends_their_pause() {
        let mut lanes = holding([row(1, 2)]);
        let mut batch = lanes.next(true, true, BATCH).map(|batch| batch.messages).unwrap_or_default();
        let (lane, mut held) = batch.remove(0);
        held.tries = 30;
        lanes.put_back(lane, vec![held]);
        lanes.hold(Handover { row: row(1, 1), waiter: None });
        assert_eq!(names(lanes.next(true, true, BATCH)), [(1, 1), (1, 2)]);
    }
}
