//! The writer: one task of its own that takes whatever is waiting and runs it as one batch, so that the cost of a commit is
//! shared by all that wait. Handlers only hand in a command and wait; a cancelled call drops its answer and nothing else.
//!
//! Four bounded inputs. Settlements of deliveries come first; then messages of the peer, up to two thirds of a batch; callers
//! always have the remaining third and whatever is free, less an eighth of the batch for what waits in bulk. A full callers' input
//! refuses at once, and a tenant can not fill it alone; a full inbox waits, and so does who comes in bulk through [`BulkEntrance`].
//! Of the calls that are open a batch takes at most half, and while it commits the next one is decided (see [`Desk`]).

mod desk;
mod open;

use crate::{
    batch::{Call, Domain, Done, Item},
    db::{Db, Error},
    operator::Release,
    relay::Handover,
    seats::{Seat, Seats},
    settle::{Claimed, Settlement},
    wire::{Incoming, Received},
};
use crm_closeout::{ids::TenantId, refusal::Refusal};
pub use desk::Desk;
use desk::Inputs;
pub use open::OpenCall;
use open::OpenCalls;
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::PollSender;
use tracing::Span;

/// Most items in a batch.
pub const BATCH: usize = 256;
const SETTLEMENTS: usize = 1_024;
/// Calls that may wait.
pub const CALLS_WAITING: usize = 2_048;
const MESSAGES_WAITING: usize = 1_024;
/// Items of bulk calls that may wait, of all of them together: the next batch, and one more while that one is committed.
const BULK_WAITING: usize = BATCH * 2;

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
    /// Kept until that was heard.
    pub open: Option<OpenCall>,
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
    bulk: mpsc::Sender<Waiting<D::Command>>,
    outbox: Courier,
    relay: mpsc::WeakSender<Handover>,
    seats: Seats,
    open: OpenCalls,
}

impl<D: Domain> Clone for Writer<D> {
    fn clone(&self) -> Self {
        let (calls, messages, bulk) = (self.calls.clone(), self.messages.clone(), self.bulk.clone());
        let (outbox, relay) = (self.outbox.clone(), self.relay.clone());
        Self { calls, messages, bulk, outbox, relay, seats: self.seats.clone(), open: self.open.clone() }
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
        let (reply, open) = (Reply::Call { to, waits }, self.open.open());
        let waiting = Waiting { item, reply, span: Span::current(), _seat: Some(seat) };
        self.calls.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Failure::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Failure::Stopped,
        })?;
        let answer = answer.await.unwrap_or(Err(Failure::Stopped))?;
        Ok(Answer { open: Some(open), ..answer })
    }

    /// The way in for a bulk call.
    pub fn bulk_entrance(&self) -> BulkEntrance<D> {
        BulkEntrance(PollSender::new(self.bulk.clone()))
    }

    /// What was committed last is more than the relay can take up soon: what is committed now is likely to be delivered from the
    /// table, much later.
    pub fn is_ahead_of_relay(&self) -> bool {
        self.relay.upgrade().is_some_and(|relay| relay.capacity() < relay.max_capacity() / 2)
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

/// The patient way in, for one bulk call: one place after the other in an input of its own, in turn with other bulk calls.
pub struct BulkEntrance<D: Domain>(PollSender<Waiting<D::Command>>);

impl<D: Domain> fmt::Debug for BulkEntrance<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BulkEntrance").finish_non_exhaustive()
    }
}

impl<D: Domain> BulkEntrance<D> {
    /// Ready when there is a place for the next item; it is kept until that is handed in. False: the writer has stopped.
    pub fn poll_place(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.0.poll_reserve(cx).map(|place| place.is_ok())
    }

    /// Hands in an item for which there is a place. What becomes of it is heard from the receiver, whose sender is gone if the
    /// writer has stopped. `waits`: the caller wants to hear of the delivery.
    pub fn hand_in(&mut self, call: Call<D::Command>, waits: bool) -> oneshot::Receiver<Result<Answer, Failure>> {
        let (to, answer) = oneshot::channel();
        let (item, reply) = (Item::Call(call), Reply::Call { to, waits });
        // It fails only where the writer has stopped, which the receiver then tells.
        let _ = self.0.send_item(Waiting { item, reply, span: Span::none(), _seat: None });
        answer
    }
}

/// Makes a writer. Its committed messages go to `relay`.
pub fn writer<D: Domain>(db: Db, relay: mpsc::Sender<Handover>) -> (Writer<D>, Courier, Desk<D>) {
    let (call_sender, calls) = mpsc::channel(CALLS_WAITING);
    let (message_sender, messages) = mpsc::channel(MESSAGES_WAITING);
    let (bulk_sender, bulk) = mpsc::channel(BULK_WAITING);
    let (outbox_sender, outbox) = mpsc::channel(SETTLEMENTS);
    let (courier, open) = (Courier(outbox_sender), OpenCalls::default());
    let writer = Writer {
        calls: call_sender,
        messages: message_sender,
        bulk: bulk_sender,
        outbox: courier.clone(),
        relay: relay.downgrade(),
        seats: Seats::default(),
        open: open.clone(),
    };
    (writer, courier, Desk::new(db, Inputs { calls, messages, bulk, outbox, open }, relay))
}
