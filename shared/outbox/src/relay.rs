//! The relay: delivers committed messages to the peer, in the order of each lane, until the peer confirms them.
//!
//! Messages come from memory right after their commit; what does not fit, or is not confirmed when its lease ends, is claimed
//! from the table, here or in any other process. A lane is never in two calls at once. Retrying happens here and nowhere
//! else. Every failure is harmless: the receiver applies each number once.

use crate::{
    db::Db,
    failpoint, settle,
    settle::{Settled, Settlement},
    tables::OutboxRow,
    wire::{self, Received, Reject},
    writer::Courier,
};
use crm_closeout::{codes::Record, fact::Applied, ids::TenantId, working_set::Keyed};
use crm_proto::peer::{ApplyRequest, ApplyResponse};
use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tonic::{Code as Status, Status as CallError};

/// Hears what the peer made of a message.
pub type Waiter = oneshot::Sender<Applied>;

/// A committed message on its way from the writer to the relay.
#[derive(Debug)]
pub struct Handover {
    /// The message.
    pub row: OutboxRow,
    /// Who wants to hear of it.
    pub waiter: Option<Waiter>,
}

/// Messages that may wait to be taken up, and lanes that are held in memory; what does not fit is delivered from the table.
pub const HANDOVER: usize = 10_000;

const BATCH: usize = 256;
const BATCH_BYTES: usize = 768 * 1_024;
const CALLS: usize = 4;
const CLAIM_AT_LEAST: usize = 16;
const HELD: Duration = Duration::from_micros(settle::LEASE as u64);
const POLL: Duration = Duration::from_millis(500);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_LANE_PAUSE: Duration = Duration::from_secs(60);
const FAILURES_TO_DOWN: u32 = 3;
const INTERNAL_TRIES: i64 = 10;
const UNKNOWN_KIND_MICROS: i64 = 24 * 3_600 * 1_000_000;

/// Whether the peer answers, as the relay sees it.
#[derive(Clone, Debug, Default)]
pub struct PeerState(Arc<AtomicBool>);

impl PeerState {
    /// The last calls failed: nobody should wait for the peer now.
    pub fn is_down(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

type Lane = (TenantId, Record);

#[derive(Debug)]
struct Held {
    row: OutboxRow,
    waiter: Option<Waiter>,
    expires: Instant,
    tries: u32,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Held>,
    not_before: Option<Instant>,
}

type Delivered = (Vec<(Lane, Held)>, Result<ApplyResponse, CallError>);

struct Relay {
    courier: Courier,
    peer: PeerState,
    lanes: BTreeMap<Lane, Queue>,
    ready: VecDeque<Lane>,
    failures: u32,
    resume: Instant,
}

/// Runs until `stop`, then sends what it holds once more and returns. `peers`: how many processes the peer has, and how to call
/// one of them by its index.
pub async fn relay<F, R>(
    db: Db,
    courier: Courier,
    mut committed: mpsc::Receiver<Handover>,
    (peers, deliver): (usize, F),
    peer: PeerState,
    stop: CancellationToken,
) where
    F: Fn(usize, ApplyRequest) -> R + 'static,
    R: Future<Output = Result<ApplyResponse, CallError>> + Send + 'static,
{
    let mut relay =
        Relay { courier, peer, lanes: BTreeMap::new(), ready: VecDeque::new(), failures: 0, resume: Instant::now() };
    let mut calls: JoinSet<Delivered> = JoinSet::new();
    let mut turn = 0;
    let mut poll = tokio::time::interval(POLL);
    poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        while calls.len() < relay.calls_allowed()
            && let Some(batch) = relay.next_batch()
        {
            turn = (turn + 1) % peers;
            calls.spawn(call(turn, batch, &deliver));
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(delivered) = calls.join_next() => relay.heard(delivered).await,
            Some(handover) = committed.recv(), if relay.lanes.len() < HANDOVER => {
                relay.hold(handover);
                while relay.lanes.len() < HANDOVER
                    && let Ok(handover) = committed.try_recv()
                {
                    relay.hold(handover);
                }
            }
            () = tokio::time::sleep_until(relay.resume), if relay.is_paused() => {}
            _ = poll.tick() => {
                if relay.poll(&db).await {
                    poll.reset_immediately();
                }
            }
        }
    }
    while let Ok(handover) = committed.try_recv() {
        relay.hold(handover);
    }
    relay.failures = 0;
    relay.resume = Instant::now();
    loop {
        while calls.len() < CALLS
            && relay.failures == 0
            && let Some(batch) = relay.next_batch()
        {
            turn = (turn + 1) % peers;
            calls.spawn(call(turn, batch, &deliver));
        }
        let Some(delivered) = calls.join_next().await else { return };
        relay.heard(delivered).await;
    }
}

fn call<F, R>(peer: usize, batch: Vec<(Lane, Held)>, deliver: &F) -> impl Future<Output = Delivered> + Send + use<F, R>
where
    F: Fn(usize, ApplyRequest) -> R + 'static,
    R: Future<Output = Result<ApplyResponse, CallError>> + Send + 'static,
{
    let request = ApplyRequest { envelopes: batch.iter().map(|(_, held)| wire::envelope(&held.row)).collect() };
    let answer = deliver(peer, request);
    let closes = batch.iter().any(|(_, held)| held.row.close_out_id.is_some());
    async move {
        let answer = answer.await;
        if closes && answer.is_ok() {
            failpoint::reach("origin-after-peer-answered").await;
        }
        (batch, answer)
    }
}

impl Relay {
    fn calls_allowed(&self) -> usize {
        if self.failures == 0 { CALLS } else { usize::from(!self.is_paused()) }
    }

    fn is_paused(&self) -> bool {
        self.failures > 0 && Instant::now() < self.resume
    }

    fn hold(&mut self, handover: Handover) {
        let lane = (handover.row.tenant_id, handover.row.record);
        let waiter = handover.waiter.filter(|_| !self.peer.is_down());
        let held = Held { row: handover.row, waiter, expires: Instant::now() + HELD, tries: 0 };
        let fresh = !self.lanes.contains_key(&lane);
        let queue = self.lanes.entry(lane).or_default();
        let place = queue.messages.partition_point(|other| other.row.number < held.row.number);
        if queue.messages.get(place).is_none_or(|other| other.row.number != held.row.number) {
            queue.messages.insert(place, held);
        }
        // A lane that is known is ready already, or in a call, or waits for its time.
        if fresh {
            self.ready.push_back(lane);
        }
    }

    /// Messages for one call, in the order in which their lanes became ready; their lanes are then in that call.
    fn next_batch(&mut self) -> Option<Vec<(Lane, Held)>> {
        let now = Instant::now();
        let most = if self.failures == 0 { BATCH } else { (BATCH >> self.failures.min(8)).max(1) };
        let (mut batch, mut bytes, mut later) = (Vec::new(), 0, VecDeque::new());
        while batch.len() < most
            && bytes < BATCH_BYTES
            && let Some(lane) = self.ready.pop_front()
        {
            let Some(queue) = self.lanes.get_mut(&lane) else { continue };
            queue.messages.retain(|held| held.expires > now);
            if queue.messages.is_empty() {
                self.lanes.remove(&lane);
                continue;
            }
            if queue.not_before.is_some_and(|time| time > now) {
                later.push_back(lane);
                continue;
            }
            while batch.len() < most
                && bytes < BATCH_BYTES
                && let Some(held) = queue.messages.pop_front()
            {
                bytes += held.row.payload.len() + 128;
                batch.push((lane, held));
            }
        }
        self.ready.extend(later);
        // While the peer is down an empty call asks whether it is back, so that nobody has to be the first to find out.
        if batch.is_empty() && self.failures == 0 { None } else { Some(batch) }
    }

    async fn heard(&mut self, delivered: Result<Delivered, tokio::task::JoinError>) {
        let (batch, answer) = match delivered {
            Ok(delivered) => delivered,
            Err(error) => {
                tracing::error!(%error, "a delivery broke off; the table delivers all messages that are held, again");
                self.lanes.clear();
                self.ready.clear();
                return;
            }
        };
        let answer = answer.and_then(|response| {
            if response.outcomes.len() == batch.len() {
                Ok(response.outcomes)
            } else {
                Err(CallError::internal("the peer answered another number of messages"))
            }
        });
        match answer {
            Ok(outcomes) => {
                self.works();
                let mut kept: BTreeMap<Lane, Vec<Held>> = BTreeMap::new();
                for ((lane, held), outcome) in batch.into_iter().zip(outcomes) {
                    let still = self.settle(held, wire::received(outcome)).await;
                    kept.entry(lane).or_default().extend(still);
                }
                for (lane, held) in kept {
                    self.put_back(lane, held, true);
                }
            }
            Err(error) => {
                let mut kept: BTreeMap<Lane, Vec<Held>> = BTreeMap::new();
                for (lane, held) in batch {
                    kept.entry(lane).or_default().push(held);
                }
                for (lane, held) in kept {
                    self.put_back(lane, held, false);
                }
                self.fails(&error);
            }
        }
    }

    /// Passes on what became of a message; gives it back if it has to be sent again.
    async fn settle(&self, mut held: Held, received: Received) -> Option<Held> {
        let settled = match received {
            Received::Applied(applied) | Received::Duplicate(applied) => Settled::Acked(applied),
            Received::Gap(expected) => {
                tracing::debug!(lane = %held.row.record, number = held.row.number, expected, "the peer waits for another message");
                held.tries += 1;
                return Some(held);
            }
            Received::Rejected(Reject::Malformed(fault) | Reject::SequenceReused(fault)) => Settled::Parked(fault),
            Received::Rejected(Reject::UnknownKind(fault)) => {
                if age_micros(&held.row) < UNKNOWN_KIND_MICROS {
                    // The lease's end brings it back; by then the peer may have been updated.
                    return None;
                }
                Settled::Parked(fault)
            }
            Received::Rejected(Reject::Internal(fault)) => {
                held.tries += 1;
                if i64::from(held.tries) + held.row.attempts < INTERNAL_TRIES {
                    return Some(held);
                }
                Settled::Parked(fault)
            }
        };
        let row = held.row;
        if let Settled::Parked(fault) = &settled {
            tracing::error!(lane = %row.record, number = row.number, fault, "the peer refuses a message; its lane is parked");
        }
        let close_out = row.close_out_id.map(|id| (id, row.reversal));
        if let (Settled::Acked(applied), Some(waiter)) = (&settled, held.waiter) {
            // Whoever waited may have gone away.
            let _ = waiter.send(applied.clone());
        }
        self.courier.settle(Settlement { key: row.key(), close_out, settled }).await;
        None
    }

    /// The lane is out of its call: what is to be sent again goes first, after a pause if it is the lane's own fault.
    fn put_back(&mut self, lane: Lane, held: Vec<Held>, pause: bool) {
        let queue = self.lanes.entry(lane).or_default();
        queue.not_before = None;
        if let Some(first) = held.first().filter(|_| pause) {
            queue.not_before = Some(Instant::now() + jitter(LONGEST_LANE_PAUSE, first.tries));
        }
        for message in held.into_iter().rev() {
            queue.messages.push_front(message);
        }
        if queue.messages.is_empty() {
            self.lanes.remove(&lane);
        } else {
            self.ready.push_back(lane);
        }
    }

    fn works(&mut self) {
        if self.failures >= FAILURES_TO_DOWN {
            tracing::info!("the peer answers again");
        }
        self.failures = 0;
        self.peer.0.store(false, Ordering::Relaxed);
    }

    fn fails(&mut self, error: &CallError) {
        self.failures += 1;
        self.resume = Instant::now() + jitter(LONGEST_PAUSE, self.failures);
        let refused = matches!(error.code(), Status::Unauthenticated | Status::PermissionDenied);
        if self.failures == FAILURES_TO_DOWN || (refused && self.failures == 1) {
            tracing::warn!(code = ?error.code(), error = error.message(), "the peer can not be reached; messages wait in the outbox");
        }
        if self.failures >= FAILURES_TO_DOWN || refused {
            self.peer.0.store(true, Ordering::Relaxed);
            for queue in self.lanes.values_mut() {
                for held in &mut queue.messages {
                    held.waiter = None;
                }
            }
        }
    }

    /// Fetches messages whose lease is over; none while the peer is down. Whether there may be more of them at once.
    async fn poll(&mut self, db: &Db) -> bool {
        let now = Instant::now();
        self.lanes.values_mut().for_each(|queue| queue.messages.retain(|held| held.expires > now));
        let held: usize = self.lanes.values().map(|queue| queue.messages.len()).sum();
        // Some are always fetched: one of them may be what a lane that is held here waits for.
        let limit = (4 * BATCH).saturating_sub(held).clamp(CLAIM_AT_LEAST, BATCH);
        if self.failures > 0 {
            return false;
        }
        match settle::any_due(db).await {
            Ok(false) => false,
            Ok(true) => {
                let rows = self.courier.claim(limit as i64).await;
                let full = rows.len() == BATCH;
                for row in rows {
                    self.hold(Handover { row, waiter: None });
                }
                full
            }
            Err(error) => {
                tracing::debug!(%error, "the outbox can not be read; it is tried again soon");
                false
            }
        }
    }
}

/// A random time up to `FIRST_PAUSE` doubled with each try, at most `longest`.
fn jitter(longest: Duration, tries: u32) -> Duration {
    let most = FIRST_PAUSE.saturating_mul(1 << tries.min(16)).min(longest);
    most.mul_f64(fastrand::f64())
}

fn age_micros(row: &OutboxRow) -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64);
    now - row.created_at.0
}
