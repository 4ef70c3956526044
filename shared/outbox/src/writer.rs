//! The writer: one task of its own that takes whatever is waiting and runs it as one batch, so that the cost of a commit is
//! shared by all that wait. Handlers only hand in a command and wait; a cancelled call drops its answer and nothing else.
//!
//! Three bounded inputs. Settlements of deliveries come first; then messages of the peer, up to two thirds of a batch; callers
//! always have the remaining third and whatever is free. A full callers' input refuses at once, and a tenant can not fill it
//! alone; a full inbox waits.

use crate::{
    batch,
    batch::{Call, Committed, Domain, Done, Item, Verdict},
    db::{Db, Error},
    operator::Release,
    relay::{Handover, Waiter},
    seats::{Seat, Seats},
    settle,
    settle::{Claimed, MessageKey, Settlement},
    wire::{Incoming, Received, Reject},
};
use crm_closeout::{ids::TenantId, refusal::Refusal, working_set::Keyed};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use tracing::Span;

/// Most items in a batch.
pub const BATCH: usize = 256;
const MESSAGES: usize = BATCH * 2 / 3;
const SETTLEMENTS: usize = 1_024;
/// Calls that may wait.
pub const CALLS_WAITING: usize = 2_048;
const MESSAGES_WAITING: usize = 1_024;
const RERUNS: u32 = 3;
const RECONNECT: Duration = Duration::from_millis(200);
const LINGER: Duration = Duration::from_millis(10);

/// Why a call was not done.
#[derive(Clone, Debug)]
pub enum Failure {
    /// A rule said no.
    Refused(Refusal),
    /// The request id was used for another request.
    KeyReused,
    /// Too many calls wait.
    Overloaded,
    /// The writer has stopped: the process is shutting down.
    Stopped,
    /// The database failed.
    Database(Arc<Error>),
}

/// A call that is done, and how to hear what the peer made of it.
#[derive(Debug)]
pub struct Answer {
    /// What was done.
    pub done: Done,
    /// Hears of the delivery; none if nobody asked or nothing is on its way from here.
    pub delivery: Option<oneshot::Receiver<crm_closeout::fact::Applied>>,
}

type CallReply = oneshot::Sender<Result<Answer, Failure>>;
type MessageReply = oneshot::Sender<Received>;

enum Reply {
    Call { to: CallReply, waits: bool },
    Message(MessageReply),
}

struct Waiting<C> {
    item: Item<C>,
    reply: Reply,
    /// In which it was handed in.
    span: Span,
    /// Given back when the item is taken.
    _seat: Option<Seat>,
}

enum Outbox {
    Settle(Settlement),
    Claim(i64, oneshot::Sender<Claimed>),
}

/// Hands commands to the writer.
#[derive(Debug)]
pub struct Writer<D: Domain> {
    calls: mpsc::Sender<Waiting<D::Command>>,
    messages: mpsc::Sender<Waiting<D::Command>>,
    outbox: Courier,
    seats: Seats,
}

impl<D: Domain> Clone for Writer<D> {
    fn clone(&self) -> Self {
        let (calls, messages) = (self.calls.clone(), self.messages.clone());
        Self { calls, messages, outbox: self.outbox.clone(), seats: self.seats.clone() }
    }
}

/// The relay's way into the writer.
#[derive(Clone, Debug)]
pub struct Courier(mpsc::Sender<Outbox>);

impl Courier {
    /// Hands in the fate of a message; waits while too many are waiting, which slows the relay down.
    pub async fn settle(&self, settlement: Settlement) {
        // The writer is gone only when the process ends; the row is then delivered again and settled.
        let _ = self.0.send(Outbox::Settle(settlement)).await;
    }

    /// Claims messages whose lease is over.
    pub async fn claim(&self, limit: i64) -> Claimed {
        let (to, answer) = oneshot::channel();
        if self.0.send(Outbox::Claim(limit, to)).await.is_err() {
            return Claimed::default();
        }
        answer.await.unwrap_or_default()
    }
}

impl<D: Domain> Writer<D> {
    /// Hands in a call and waits for its answer. `waits`: the caller wants to hear of the delivery.
    pub async fn call(&self, call: Call<D::Command>, waits: bool) -> Result<Answer, Failure> {
        let tenant = call.cause.tenant_id;
        self.hand_in(tenant, Item::Call(call), waits).await
    }

    /// Hands in an operator's decision about a message and waits for its answer.
    pub async fn release(&self, call: Call<Release>) -> Result<Answer, Failure> {
        let tenant = call.cause.tenant_id;
        self.hand_in(tenant, Item::Release(call), false).await
    }

    async fn hand_in(&self, tenant: TenantId, item: Item<D::Command>, waits: bool) -> Result<Answer, Failure> {
        let (to, answer) = oneshot::channel();
        let seat = Seat::take(&self.seats, tenant).ok_or(Failure::Overloaded)?;
        let waiting = Waiting { item, reply: Reply::Call { to, waits }, span: Span::current(), _seat: Some(seat) };
        self.calls.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Failure::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Failure::Stopped,
        })?;
        answer.await.unwrap_or(Err(Failure::Stopped))
    }

    /// Hands in a message; what becomes of it is heard from the receiver, whose sender is gone when the database failed.
    /// None: the writer has stopped.
    pub async fn message(&self, message: Incoming) -> Option<oneshot::Receiver<Received>> {
        let (to, answer) = oneshot::channel();
        let (item, reply) = (Item::Message(message), Reply::Message(to));
        let waiting = Waiting { item, reply, span: Span::current(), _seat: None };
        self.messages.send(waiting).await.ok()?;
        Some(answer)
    }
}

/// The writer's own side: run it in a task of its own.
#[derive(Debug)]
pub struct Desk<D: Domain> {
    db: Db,
    calls: mpsc::Receiver<Waiting<D::Command>>,
    messages: mpsc::Receiver<Waiting<D::Command>>,
    outbox: mpsc::Receiver<Outbox>,
    relay: mpsc::Sender<Handover>,
}

/// Makes a writer. Its committed messages go to `relay`.
pub fn writer<D: Domain>(db: Db, relay: mpsc::Sender<Handover>) -> (Writer<D>, Courier, Desk<D>) {
    let (call_sender, calls) = mpsc::channel(CALLS_WAITING);
    let (message_sender, messages) = mpsc::channel(MESSAGES_WAITING);
    let (outbox_sender, outbox) = mpsc::channel(SETTLEMENTS);
    let courier = Courier(outbox_sender);
    let seats = Seats::default();
    let writer = Writer { calls: call_sender, messages: message_sender, outbox: courier.clone(), seats };
    (writer, courier, Desk { db, calls, messages, outbox, relay })
}

impl<D: Domain> Desk<D> {
    /// Works until every handle is gone and everything handed in is done.
    pub async fn work(mut self) {
        if self.db.is_embedded()
            && let Err(error) = self.release().await
        {
            tracing::warn!(%error, "leases of the last run stay; its messages wait until they end");
        }
        loop {
            let mut taken = Taken { outbox: Vec::new(), items: Vec::new() };
            tokio::select! {
                biased;
                Some(first) = self.outbox.recv() => {
                    taken.outbox.push(first);
                    self.linger(&mut taken).await;
                }
                Some(first) = self.messages.recv() => taken.items.push(first),
                Some(first) = self.calls.recv() => taken.items.push(first),
                else => return,
            }
            // Whoever is about to hand something in, such as the other messages of one call, gets to do so.
            tokio::task::yield_now().await;
            self.take(&mut taken);
            self.settle_and_run(taken).await;
        }
    }

    /// Nobody waits for a settlement: it is written with the next batch, or by itself if none comes soon.
    async fn linger(&mut self, taken: &mut Taken<D::Command>) {
        let over = Instant::now() + LINGER;
        while !taken.outbox.iter().any(|request| matches!(request, Outbox::Claim(..)))
            && taken.outbox.len() < SETTLEMENTS
            && taken.items.is_empty()
        {
            tokio::select! {
                biased;
                Some(next) = self.messages.recv() => taken.items.push(next),
                Some(next) = self.calls.recv() => taken.items.push(next),
                Some(next) = self.outbox.recv() => taken.outbox.push(next),
                () = sleep_until(over) => return,
                else => return,
            }
        }
    }

    async fn release(&self) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        settle::release(&mut tx).await?;
        tx.commit().await
    }

    fn take(&mut self, taken: &mut Taken<D::Command>) {
        while taken.outbox.len() < SETTLEMENTS
            && let Ok(next) = self.outbox.try_recv()
        {
            taken.outbox.push(next);
        }
        while taken.items.len() < MESSAGES
            && let Ok(next) = self.messages.try_recv()
        {
            taken.items.push(next);
        }
        while taken.items.len() < BATCH
            && let Ok(next) = self.calls.try_recv()
        {
            taken.items.push(next);
        }
        while taken.items.len() < BATCH
            && let Ok(next) = self.messages.try_recv()
        {
            taken.items.push(next);
        }
    }

    async fn settle_and_run(&self, taken: Taken<D::Command>) {
        let (mut settlements, mut claims) = (Vec::new(), Vec::new());
        for request in taken.outbox {
            match request {
                Outbox::Settle(settlement) => settlements.push(settlement),
                Outbox::Claim(limit, to) => claims.push((limit, to)),
            }
        }
        // First, as the relay waits for them.
        for (limit, to) in claims {
            match self.claim(limit).await {
                Ok(rows) => drop(to.send(rows)),
                Err(error) => tracing::warn!(%error, "no messages could be claimed; it is tried again soon"),
            }
        }
        let count = taken.items.len();
        for waiting in &taken.items {
            // Until here it has waited; now it is decided and committed. By its target this goes on the span, not into the log.
            tracing::trace!(target: "trace", parent: &waiting.span, items = count, "taken into a batch");
        }
        let (items, replies): (Vec<_>, Vec<_>) = taken.items.into_iter().map(|w| (w.item, w.reply)).unzip();
        self.run(&settlements, items, replies).await;
    }

    async fn claim(&self, limit: i64) -> Result<Claimed, Error> {
        let mut tx = self.db.begin().await?;
        let rows = settle::claim(&mut tx, limit).await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// Runs a batch; where the database blames the batch as a whole, again, and then in halves until the culprit is alone.
    async fn run(&self, settlements: &[Settlement], items: Vec<Item<D::Command>>, replies: Vec<Reply>) {
        let mut work = vec![(settlements, items, replies)];
        while let Some((settlements, mut items, mut replies)) = work.pop() {
            let error = match self.attempt(settlements, &items).await {
                Ok(committed) => {
                    self.answer(committed, replies);
                    continue;
                }
                Err(error) => error,
            };
            let splits =
                matches!(error, Error::Data { .. } | Error::Contention(_) | Error::Corrupt(_) | Error::Oversize);
            if splits && items.len() > 1 {
                let middle = items.len() / 2;
                work.push((&[], items.split_off(middle), replies.split_off(middle)));
                work.push((settlements, items, replies));
            } else if splits && !items.is_empty() && !settlements.is_empty() {
                work.push((&[], items, replies));
                work.push((settlements, Vec::new(), Vec::new()));
            } else {
                fail(error, replies);
            }
        }
    }

    async fn attempt(&self, settlements: &[Settlement], items: &[Item<D::Command>]) -> Result<Committed, Error> {
        let (mut reruns, mut unknown) = (0, false);
        loop {
            let error = match batch::run::<D>(&self.db, settlements, items).await {
                Ok(committed) => return Ok(committed),
                Err(error) => error,
            };
            // It may have been committed: the keys and lane numbers tell, and they are read before anything is done again.
            unknown |= matches!(error, Error::CommitUnknown(_));
            let again = match &error {
                Error::Contention(_) | Error::CommitUnknown(_) => true,
                Error::Unavailable(_) => unknown,
                // The same request, or another one with the same number, was committed elsewhere in the meantime: it is found now.
                Error::Data { .. } => reruns == 0,
                Error::Corrupt(_) | Error::Setup(_) | Error::Oversize => false,
            };
            if !again || reruns == RERUNS {
                return Err(if unknown { Error::CommitUnknown(error.to_string()) } else { error });
            }
            reruns += 1;
            if unknown {
                // The database is coming back, or it is not: nothing else can be done meanwhile.
                tokio::time::sleep(RECONNECT * reruns).await;
            }
        }
    }

    fn answer(&self, committed: Committed, replies: Vec<Reply>) {
        let mut waiters: HashMap<MessageKey, Waiter> = HashMap::new();
        let mut listen = |verdict: &Verdict, reply: &Reply| match (verdict, reply) {
            (Verdict::Done(done), Reply::Call { waits: true, .. }) if !done.repeated => done.message.map(|message| {
                let (waiter, delivery) = oneshot::channel();
                waiters.insert(message, waiter);
                delivery
            }),
            _ => None,
        };
        let deliveries: Vec<_> = committed.verdicts.iter().zip(&replies).map(|(v, r)| listen(v, r)).collect();
        // Before anybody is answered, so that what a caller has heard of is with the relay.
        for row in committed.outbox {
            let waiter = waiters.remove(&row.key());
            // What does not fit is delivered from the table when its lease ends.
            let _ = self.relay.try_send(Handover { row, waiter });
        }
        for ((verdict, reply), delivery) in committed.verdicts.into_iter().zip(replies).zip(deliveries) {
            match (verdict, reply) {
                (Verdict::Done(done), Reply::Call { to, .. }) => {
                    // A caller that has gone away is not told; what was committed stands.
                    let _ = to.send(Ok(Answer { done: *done, delivery }));
                }
                (Verdict::Refused(refusal), Reply::Call { to, .. }) => drop(to.send(Err(Failure::Refused(refusal)))),
                (Verdict::KeyReused, Reply::Call { to, .. }) => drop(to.send(Err(Failure::KeyReused))),
                (Verdict::Message(received), Reply::Message(to)) => drop(to.send(received)),
                (Verdict::Message(_), Reply::Call { .. }) | (_, Reply::Message(_)) => {
                    tracing::error!("an item of a batch got the answer of another kind; its caller hears nothing");
                }
            }
        }
    }
}

fn fail(error: Error, replies: Vec<Reply>) {
    let error = Arc::new(error);
    match &*error {
        Error::Corrupt(_) | Error::Setup(_) => {
            tracing::error!(%error, "a batch failed for a fault of this program or of stored data")
        }
        Error::Unavailable(_)
        | Error::Contention(_)
        | Error::Data { .. }
        | Error::CommitUnknown(_)
        | Error::Oversize => {
            tracing::warn!(%error, calls = replies.len(), "a batch failed; its callers are told");
        }
    }
    for reply in replies {
        match reply {
            Reply::Call { to, .. } => drop(to.send(Err(Failure::Database(error.clone())))),
            Reply::Message(to) => {
                if matches!(*error, Error::Data { .. } | Error::Corrupt(_)) {
                    drop(to.send(Received::Rejected(Reject::Internal(error.to_string()))));
                }
            }
        }
    }
}

struct Taken<C> {
    outbox: Vec<Outbox>,
    items: Vec<Waiting<C>>,
}
