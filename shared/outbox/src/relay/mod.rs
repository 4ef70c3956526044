//! The relay: delivers committed messages to the peer, in the order of each lane, until the peer confirms them.
//!
//! Messages come from memory right after their commit; what does not fit, or is not confirmed when its lease ends, is claimed
//! from the table, here or in any other process. A lane is never in two calls at once. Retrying happens here and nowhere
//! else. Every failure is harmless: the receiver applies each number once.

mod breaker;
mod held;
mod verdict;

use crate::{
    db::Db,
    failpoint, metrics, settle,
    settle::{Settled, Settlement},
    tables::OutboxRow,
    wire::{self, Received},
    writer::Courier,
};
use breaker::{Breaker, Budget};
use crm_closeout::{fact::Applied, working_set::Keyed};
use crm_proto::peer::{ApplyRequest, ApplyResponse, MessageOutcome};
use held::{BATCH, Batch, Held, Lane, Lanes};
use std::{
    collections::BTreeMap,
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
use tonic::Status as CallError;
use verdict::{CallFault, Fate};

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

const CLAIM_AT_LEAST: usize = 64;
/// The table is looked at so often, and when a lease ends.
const POLL: Duration = Duration::from_millis(250);
/// Not sooner again than this.
const AGAIN: Duration = Duration::from_millis(20);
/// While there is a backlog calls are made so far apart, so that it goes along with what is new instead of adding calls.
const PACE: Duration = Duration::from_millis(40);

/// Whether the peer answers, as the relay sees it.
#[derive(Clone, Debug, Default)]
pub struct PeerState(Arc<AtomicBool>);

impl PeerState {
    /// The last calls to every address failed: nobody should wait for the peer now.
    pub fn is_down(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The processes of the peer: their addresses, and how to call one of them by its place in the list.
#[derive(Debug)]
pub struct Peers<F> {
    /// Their addresses, at least one.
    pub addresses: Vec<String>,
    /// Makes one call.
    pub deliver: F,
}

type Delivered = (usize, Batch, Result<ApplyResponse, CallError>);

struct Relay {
    courier: Courier,
    db: Db,
    state: PeerState,
    addresses: Vec<String>,
    breakers: Vec<Breaker>,
    /// Which of them were down when it was last looked.
    down: Vec<bool>,
    turn: usize,
    budget: Budget,
    lanes: Lanes,
    /// No call with messages before this moment.
    paced: Instant,
}

/// Runs until `stop`, then sends what it holds once more and returns.
pub async fn relay<F, R>(
    db: Db,
    courier: Courier,
    mut committed: mpsc::Receiver<Handover>,
    peers: Peers<F>,
    state: PeerState,
    stop: CancellationToken,
) where
    F: Fn(usize, ApplyRequest) -> R + 'static,
    R: Future<Output = Result<ApplyResponse, CallError>> + Send + 'static,
{
    let mut relay = Relay::new(db, courier, peers.addresses, state);
    let mut calls: JoinSet<Delivered> = JoinSet::new();
    let mut poll = tokio::time::interval(POLL);
    poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        while let Some((peer, batch)) = relay.next_call() {
            calls.spawn(call(peer, batch, &peers.deliver));
        }
        let paced = Some(relay.paced).filter(|moment| *moment > Instant::now());
        let wake = relay.breakers.iter().filter_map(Breaker::probes_at).chain(paced).min();
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            // Before what is always there under load.
            _ = poll.tick() => {
                let next = relay.poll().await;
                poll.reset_after(next.max(AGAIN));
            }
            Some(delivered) = calls.join_next() => relay.heard(delivered).await,
            Some(handover) = committed.recv(), if relay.lanes.len() < HANDOVER => {
                relay.hold(handover);
                while relay.lanes.len() < HANDOVER
                    && let Ok(handover) = committed.try_recv()
                {
                    relay.hold(handover);
                }
            }
            () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
        }
    }
    while let Ok(handover) = committed.try_recv() {
        relay.hold(handover);
    }
    relay.breakers.fill_with(Breaker::new);
    relay.budget = Budget::new();
    loop {
        relay.paced = Instant::now();
        while relay.breakers.iter().all(|breaker| breaker.probes_at().is_none())
            && let Some((peer, batch)) = relay.next_call()
        {
            calls.spawn(call(peer, batch, &peers.deliver));
        }
        let Some(delivered) = calls.join_next().await else { return };
        relay.heard(delivered).await;
    }
}

fn call<F, R>(peer: usize, batch: Batch, deliver: &F) -> impl Future<Output = Delivered> + Send + use<F, R>
where
    F: Fn(usize, ApplyRequest) -> R + 'static,
    R: Future<Output = Result<ApplyResponse, CallError>> + Send + 'static,
{
    let request =
        ApplyRequest { envelopes: batch.messages.iter().map(|(_, held)| wire::envelope(&held.row)).collect() };
    let answer = deliver(peer, request);
    let closes = batch.messages.iter().any(|(_, held)| held.row.close_out_id.is_some());
    async move {
        let answer = answer.await;
        if closes && answer.is_ok() {
            failpoint::reach("origin-after-peer-answered").await;
        }
        (peer, batch, answer)
    }
}

impl Relay {
    fn new(db: Db, courier: Courier, addresses: Vec<String>, state: PeerState) -> Self {
        let breakers = addresses.iter().map(|_| Breaker::new()).collect();
        let down = vec![false; addresses.len()];
        metrics::peer(&addresses, &down);
        let (budget, lanes, paced) = (Budget::new(), Lanes::default(), Instant::now());
        Self { courier, db, state, addresses, breakers, down, turn: 0, budget, lanes, paced }
    }

    fn hold(&mut self, handover: Handover) {
        let waiter = handover.waiter.filter(|_| !self.state.is_down());
        self.lanes.hold(Handover { row: handover.row, waiter });
    }

    /// The next call and whom to make it to: an empty one to an address that may be back, or messages to one that works.
    fn next_call(&mut self) -> Option<(usize, Batch)> {
        let now = Instant::now();
        let (peer, batch) = match self.breakers.iter().position(|breaker| breaker.may_probe(now)) {
            Some(peer) => (peer, Batch::default()),
            None if now < self.paced => return None,
            None => {
                let (peer, idle) = self.least_busy()?;
                let most = self.breakers.get(peer)?.most();
                (peer, self.lanes.next(idle, self.budget.allows(), most)?)
            }
        };
        if batch.repeats {
            self.budget.spend();
        }
        if batch.messages.iter().any(|(_, held)| held.row.attempts > 0) {
            self.paced = now + PACE;
        }
        self.turn = peer + 1;
        self.breakers.get_mut(peer)?.called(batch.alone);
        Some((peer, batch))
    }

    /// The address with the fewest calls under way, among equals the next in turn; whether it has none at all.
    fn least_busy(&self) -> Option<(usize, bool)> {
        let count = self.breakers.len();
        let turns = (0..count).map(|step| (self.turn + step) % count);
        let open = turns.filter_map(|peer| Some((peer, self.breakers.get(peer)?))).filter(|(_, b)| b.may_send());
        let (peer, breaker) = open.min_by_key(|(_, breaker)| breaker.in_flight())?;
        Some((peer, breaker.in_flight() == 0))
    }

    async fn heard(&mut self, delivered: Result<Delivered, tokio::task::JoinError>) {
        let (peer, batch, answer) = match delivered {
            Ok(delivered) => delivered,
            Err(error) => {
                tracing::error!(%error, "a delivery broke off; the table delivers all messages that are held, again");
                self.lanes.clear();
                self.breakers.fill_with(Breaker::new);
                return;
            }
        };
        let answer = answer.and_then(|response| {
            if response.outcomes.len() == batch.messages.len() {
                Ok(response.outcomes)
            } else {
                Err(CallError::internal("the peer answered another number of messages"))
            }
        });
        match answer {
            Ok(outcomes) => self.answered(peer, batch, outcomes).await,
            Err(error) => self.failed(peer, batch, &error).await,
        }
    }

    async fn answered(&mut self, peer: usize, batch: Batch, outcomes: Vec<MessageOutcome>) {
        let probe = batch.messages.is_empty();
        if !probe {
            self.budget.earn();
        }
        if self.breakers.get_mut(peer).is_some_and(|breaker| breaker.works(probe)) {
            tracing::info!(peer = self.addresses.get(peer), "the peer answers again");
        }
        self.note_state();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64);
        let mut fates = Vec::with_capacity(batch.messages.len());
        for ((lane, mut held), outcome) in batch.messages.into_iter().zip(outcomes) {
            metrics::delivered(&outcome);
            let received = wire::received(outcome);
            if let Received::Gap(expected) = &received {
                held.behind(*expected);
            }
            let fate = verdict::of_outcome(&held, received, now);
            held.lost = false;
            fates.push((lane, held, fate));
        }
        self.carry_out(fates).await;
    }

    async fn failed(&mut self, peer: usize, batch: Batch, error: &CallError) {
        let (fault, probe) = (verdict::of_call(error), batch.messages.is_empty());
        metrics::call_failed(error.code());
        if let Some(breaker) = self.breakers.get_mut(peer) {
            let outage = match fault {
                CallFault::Lost => breaker.fails(probe, None),
                CallFault::Late => {
                    breaker.shrink();
                    breaker.fails(probe, None)
                }
                CallFault::Busy(wait) => breaker.fails(probe, wait),
                CallFault::Denied => breaker.denied(),
                CallFault::Content => breaker.works(probe),
            };
            if fault == CallFault::Content {
                tracing::warn!(code = ?error.code(), error = error.message(), "the peer refuses a call as a whole; it is split");
            } else if outage {
                let (peer, code) = (self.addresses.get(peer), error.code());
                tracing::warn!(
                    peer,
                    ?code,
                    error = error.message(),
                    "the peer can not be reached; messages wait in the outbox"
                );
            }
        }
        self.note_state();
        let (single, text) = (batch.messages.len() == 1, error.message());
        let mut fates = Vec::with_capacity(batch.messages.len());
        for (lane, mut held) in batch.messages {
            let fate = verdict::of_message(&held, &fault, single, batch.alone, text);
            held.lost |= fault == CallFault::Lost || (fault == CallFault::Late && single);
            fates.push((lane, held, fate));
        }
        self.carry_out(fates).await;
    }

    /// Nobody waits while every address is down.
    fn note_state(&mut self) {
        if self.breakers.iter().map(Breaker::is_down).eq(self.down.iter().copied()) {
            return;
        }
        self.down = self.breakers.iter().map(Breaker::is_down).collect();
        metrics::peer(&self.addresses, &self.down);
        let down = self.down.iter().all(|down| *down);
        if !self.state.0.swap(down, Ordering::Relaxed) && down {
            self.lanes.let_go();
        }
    }

    /// Passes on what became of messages; what is to be sent again goes back to its lane.
    async fn carry_out(&mut self, fates: Vec<(Lane, Held, Fate)>) {
        let mut kept: BTreeMap<Lane, Vec<Held>> = BTreeMap::new();
        for (lane, held, fate) in fates {
            let kept = kept.entry(lane).or_default();
            let settled = match fate {
                Fate::Again => {
                    kept.push(held);
                    continue;
                }
                Fate::Settled(settled) => settled,
                Fate::ParkedUnlessAwaited(later) => match settle::any_before(&self.db, held.row.key()).await {
                    Ok(false) => Settled::Parked(later.text),
                    Ok(true) | Err(_) => Settled::Later(later),
                },
            };
            self.settle(held, settled).await;
        }
        for (lane, held) in kept {
            self.lanes.put_back(lane, held);
        }
    }

    async fn settle(&self, held: Held, settled: Settled) {
        let row = held.row;
        if let Settled::Parked(fault) = &settled {
            let (tenant, lane, number) = (row.tenant_id, row.record, row.number);
            let trace_parent = &row.trace_parent;
            tracing::error!(%tenant, %lane, number, fault, trace_parent, "a message can not be delivered; its lane is parked and an operator has to look");
        }
        let close_out = row.close_out_id.map(|id| (id, row.reversal));
        if let (Settled::Acked(applied), Some(waiter)) = (&settled, held.waiter) {
            // Whoever waited may have gone away.
            let _ = waiter.send(applied.clone());
        }
        let awaited = row.attempts > 0;
        let settlement = Settlement { key: row.key(), message_id: row.message_id, close_out, settled, awaited };
        self.courier.settle(settlement).await;
    }

    /// Fetches messages whose lease is over; none while no address works. Answers when to look again.
    async fn poll(&mut self) -> Duration {
        let held = self.lanes.forget_expired();
        if self.breakers.iter().all(Breaker::is_open) {
            return POLL;
        }
        match settle::next_due(&self.db, POLL).await {
            Ok(Some(Duration::ZERO)) => {}
            Ok(soon) => return soon.unwrap_or(POLL),
            Err(error) => {
                tracing::debug!(%error, "the outbox can not be read; it is tried again soon");
                return POLL;
            }
        }
        // Some are always fetched: one of them may be what a lane that is held here waits for.
        let limit = (4 * BATCH).saturating_sub(held).clamp(CLAIM_AT_LEAST, BATCH);
        let claimed = self.courier.claim(limit as i64).await;
        metrics::claimed(claimed.rows.len());
        for row in claimed.rows.into_iter().rev() {
            self.hold(Handover { row, waiter: None });
        }
        if claimed.full { AGAIN } else { POLL }
    }
}

/// A random time up to `first` doubled with each try, at most `longest`.
fn jitter(first: Duration, longest: Duration, tries: u32) -> Duration {
    first.saturating_mul(1 << tries.min(16)).min(longest).mul_f64(fastrand::f64())
}
