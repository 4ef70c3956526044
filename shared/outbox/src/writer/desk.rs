//! The writer's own side of its inputs: takes what waits, runs it as a batch, in halves where the database blames it as a whole, and
//! answers everybody. It alone knows in which order inputs are served.

use super::{BATCH, OpenCalls, Outbox, Reply, SETTLEMENTS, Waiting};
use crate::{
    batch,
    batch::{Committed, Domain, Item, Verdict},
    db::{Db, Error},
    relay::{Handover, Waiter},
    settle,
    settle::{Claimed, MessageKey, Settlement},
    wire::{Received, Reject},
    writer::{Answer, Failure},
};
use crm_closeout::working_set::Keyed;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, MutexGuard, mpsc, oneshot},
    time::{Instant, sleep_until},
};

const MESSAGES: usize = BATCH * 2 / 3;
/// Places of a batch that single calls leave to bulk ones, however many wait.
const BULK: usize = BATCH / 8;
/// So many calls are always taken together.
const FEW: usize = 16;
const RERUNS: u32 = 3;
const RECONNECT: Duration = Duration::from_millis(200);
const LINGER: Duration = Duration::from_millis(10);

/// The writer's own side: run it in a task of its own.
#[derive(Debug)]
pub struct Desk<D: Domain> {
    db: Db,
    /// Held while a batch is decided, and let go when it commits.
    inputs: Mutex<Inputs<D::Command>>,
    /// Held from before the commit until everybody is answered, so that messages are with the relay in the order of their numbers.
    committing: Mutex<()>,
    relay: mpsc::Sender<Handover>,
}

#[derive(Debug)]
pub(super) struct Inputs<C> {
    pub(super) calls: mpsc::Receiver<Waiting<C>>,
    pub(super) messages: mpsc::Receiver<Waiting<C>>,
    pub(super) bulk: mpsc::Receiver<Waiting<C>>,
    pub(super) outbox: mpsc::Receiver<Outbox>,
    pub(super) open: OpenCalls,
}

impl<C> Inputs<C> {
    /// Waits for the first input, and takes with it what there is; none when every handle is gone.
    async fn next(&mut self) -> Option<Taken<C>> {
        let mut taken = Taken { outbox: Vec::new(), items: Vec::new() };
        tokio::select! {
            biased;
            Some(first) = self.outbox.recv() => {
                taken.outbox.push(first);
                self.linger(&mut taken).await;
            }
            Some(first) = self.messages.recv() => taken.items.push(first),
            Some(first) = self.calls.recv() => taken.items.push(first),
            Some(first) = self.bulk.recv() => taken.items.push(first),
            else => return None,
        }
        // Whoever is about to hand something in, such as the other messages of one call, gets to do so.
        tokio::task::yield_now().await;
        self.take(&mut taken);
        Some(taken)
    }

    /// Nobody waits for a settlement: it is written with the next batch, or by itself if none comes soon.
    async fn linger(&mut self, taken: &mut Taken<C>) {
        let over = Instant::now() + LINGER;
        while !taken.outbox.iter().any(|request| matches!(request, Outbox::Claim(..)))
            && taken.outbox.len() < SETTLEMENTS
            && taken.items.is_empty()
        {
            tokio::select! {
                biased;
                Some(next) = self.messages.recv() => taken.items.push(next),
                Some(next) = self.calls.recv() => taken.items.push(next),
                Some(next) = self.bulk.recv() => taken.items.push(next),
                Some(next) = self.outbox.recv() => taken.outbox.push(next),
                () = sleep_until(over) => return,
                else => return,
            }
        }
    }

    /// Half of the calls that are open: the peer applies one half while the other one is decided here. Taken all together they would come
    /// back all together, and each side would wait for the other.
    fn calls_at_once(&self) -> usize {
        (self.open.count() / 2).max(FEW)
    }

    fn take(&mut self, taken: &mut Taken<C>) {
        while taken.outbox.len() < SETTLEMENTS
            && let Ok(next) = self.outbox.try_recv()
        {
            taken.outbox.push(next);
        }
        let items = &mut taken.items;
        take_up(items, MESSAGES, &mut self.messages);
        take_up(items, self.calls_at_once().min(BATCH - self.bulk.len().min(BULK)), &mut self.calls);
        take_up(items, BATCH, &mut self.bulk);
        take_up(items, BATCH, &mut self.messages);
    }
}

impl<D: Domain> Desk<D> {
    pub(super) fn new(db: Db, inputs: Inputs<D::Command>, relay: mpsc::Sender<Handover>) -> Self {
        Self { db, inputs: Mutex::new(inputs), committing: Mutex::default(), relay }
    }

    /// Works until every handle is gone and everything handed in is done. While one batch commits the next one is decided; the
    /// embedded database can not do both.
    pub async fn work(self) {
        if let Some(beside) = self.db.beside() {
            tokio::join!(self.serve(&self.db), self.serve(&beside));
            return;
        }
        if let Err(error) = self.release().await {
            tracing::warn!(%error, "leases of the last run stay; its messages wait until they end");
        }
        self.serve(&self.db).await;
    }

    async fn serve(&self, db: &Db) {
        loop {
            let mut inputs = self.inputs.lock().await;
            let Some(taken) = inputs.next().await else { return };
            self.settle_and_run(db, taken, inputs).await;
        }
    }

    async fn release(&self) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        settle::release(&mut tx).await?;
        tx.commit().await
    }

    async fn settle_and_run(&self, db: &Db, taken: Taken<D::Command>, turn: Turn<'_, D>) {
        let (mut settlements, mut claims) = (Vec::new(), Vec::new());
        for request in taken.outbox {
            match request {
                Outbox::Settle(settlement) => settlements.push(settlement),
                Outbox::Claim(limit, to) => claims.push((limit, to)),
            }
        }
        // First, as the relay waits for them.
        for (limit, to) in claims {
            match claim(db, limit).await {
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
        self.run(db, &settlements, items, replies, turn).await;
    }

    /// Runs a batch; where the database blames the batch as a whole, again, and then in halves until the culprit is alone.
    async fn run(
        &self,
        db: &Db,
        settlements: &[Settlement],
        items: Vec<Item<D::Command>>,
        replies: Vec<Reply>,
        turn: Turn<'_, D>,
    ) {
        let mut turn = Some(turn);
        let mut work = vec![(settlements, items, replies)];
        while let Some((settlements, mut items, mut replies)) = work.pop() {
            let error = match self.attempt(db, settlements, &items, &mut turn).await {
                Ok((committed, _committing)) => {
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

    async fn attempt(
        &self,
        db: &Db,
        settlements: &[Settlement],
        items: &[Item<D::Command>],
        turn: &mut Option<Turn<'_, D>>,
    ) -> Result<(Committed, MutexGuard<'_, ()>), Error> {
        let (mut reruns, mut unknown) = (0, false);
        loop {
            let committing = async {
                let committing = self.committing.lock().await;
                drop(turn.take());
                committing
            };
            let error = match batch::run::<D, _>(db, settlements, items, committing).await {
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
                Error::Corrupt(_) | Error::Setup(_) | Error::Oversize | Error::Overloaded => false,
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
                    let _ = to.send(Ok(Answer { done: *done, delivery, open: None }));
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

async fn claim(db: &Db, limit: i64) -> Result<Claimed, Error> {
    let mut tx = db.begin().await?;
    let rows = settle::claim(&mut tx, limit).await?;
    tx.commit().await?;
    Ok(rows)
}

/// Takes what waits, up to so many items in all.
fn take_up<C>(items: &mut Vec<Waiting<C>>, most: usize, input: &mut mpsc::Receiver<Waiting<C>>) {
    while items.len() < most
        && let Ok(next) = input.try_recv()
    {
        items.push(next);
    }
}

fn fail(error: Error, replies: Vec<Reply>) {
    let error = Arc::new(error);
    match &*error {
        Error::Corrupt(_) | Error::Setup(_) => {
            tracing::error!(%error, "a batch failed for a fault of this program or of stored data")
        }
        Error::Unavailable(_)
        | Error::Overloaded
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

/// Whoever holds it decides a batch.
type Turn<'a, D> = MutexGuard<'a, Inputs<<D as Domain>::Command>>;

struct Taken<C> {
    outbox: Vec<Outbox>,
    items: Vec<Waiting<C>>,
}
