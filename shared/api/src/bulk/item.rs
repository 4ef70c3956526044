//! One item of a bulk call after it was handed in: heard of when it is committed, waited for if its caller wants that, and answered.

use super::Bulk;
use crate::{
    convert, failure,
    front::{FIRST_POLL, Front, LONGEST_POLL},
};
use crm_closeout::{
    codes::Code as _,
    episode::{CloseOutState, Propagation},
    fact::Applied,
};
use crm_outbox::{
    batch::Domain,
    db::Error,
    settle::{self, MessageKey},
    writer::{Answer, Failure},
};
use crm_proto::common::{BulkDone, BulkResult, bulk_result::Outcome};
use futures::{FutureExt, future::BoxFuture};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, oneshot},
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// Looks of one call at once.
const LOOKS: usize = 4;
/// Nobody waits longer, whatever it says.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// An item that is in the writer.
pub(super) struct HandedIn {
    pub(super) index: i64,
    pub(super) answer: oneshot::Receiver<Result<Answer, Failure>>,
}

impl Future for HandedIn {
    type Output = (i64, Result<Answer, Failure>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.answer.poll_unpin(cx));
        Poll::Ready((self.index, answer.unwrap_or(Err(Failure::Stopped))))
    }
}

/// An item that is done here.
pub(super) struct Committed {
    index: i64,
    done: BulkDone,
    /// What it sent to the other service.
    message: Option<MessageKey>,
    delivery: Option<oneshot::Receiver<Applied>>,
    repeated: bool,
}

/// Reads what was done; the error is the answer then.
pub(super) fn committed<B: Bulk>(index: i64, answer: Answer, validate_only: bool) -> Result<Committed, BulkResult> {
    let Answer { done, delivery, .. } = answer;
    let etag =
        B::etag(&done.reply).map_err(|fault| error(index, &failure::database(&Error::Corrupt(fault.to_string()))))?;
    let close_out = done.close_out_id.filter(|_| !validate_only).map_or_else(String::new, |id| id.to_string());
    let propagation = done.message.map_or(Propagation::NotNeeded, |_| Propagation::Pending);
    // A close-out in force has sent a message; one that was repeated is not read again.
    let sent = if done.message.is_some() { CloseOutState::Effective } else { CloseOutState::PendingApproval };
    let state = done.close_out.as_ref().map_or(sent, |close_out| close_out.state).code().into();
    let (message, repeated) = (done.message, done.repeated);
    let done = BulkDone { close_out, etag, propagation: convert::propagation(propagation).into(), state };
    Ok(Committed { index, done, message, delivery, repeated })
}

impl Committed {
    /// The answer as far as it is known.
    pub(super) fn answer(self) -> BulkResult {
        BulkResult { index: self.index, outcome: Some(Outcome::Done(self.done)) }
    }
}

/// An item that is not done.
pub(super) fn error(index: i64, status: &Status) -> BulkResult {
    BulkResult { index, outcome: Some(Outcome::Error(failure::message(status))) }
}

/// How the items of one call wait for the other service.
pub(super) struct Patience<D: Domain> {
    front: Front<D>,
    most: Duration,
    stopping: CancellationToken,
    looks: Arc<Semaphore>,
}

impl<D: Domain> Patience<D> {
    /// So long at most, and no longer than until the server stops.
    pub(super) fn of(front: Front<D>, most: Duration, stopping: CancellationToken) -> Self {
        Self { front, most: most.min(LONGEST), stopping, looks: Arc::new(Semaphore::new(LOOKS)) }
    }

    /// The answer to an item once the other service has applied it, or after long enough.
    pub(super) fn wait(&self, mut item: Committed) -> BoxFuture<'static, BulkResult> {
        let (front, stopping, looks) = (self.front.clone(), self.stopping.clone(), self.looks.clone());
        let until = Instant::now() + self.most;
        Box::pin(async move {
            let propagation = tokio::select! {
                propagation = propagation(&mut item, &front, &looks, until) => propagation,
                () = stopping.cancelled() => Propagation::Pending,
            };
            item.done.propagation = convert::propagation(propagation).into();
            item.answer()
        })
    }
}

async fn propagation<D: Domain>(
    item: &mut Committed,
    front: &Front<D>,
    looks: &Semaphore,
    until: Instant,
) -> Propagation {
    let Some(message) = item.message else { return Propagation::NotNeeded };
    if let Some(delivery) = item.delivery.take() {
        match timeout_at(until, delivery).await {
            Ok(Ok(_)) => return Propagation::Settled,
            Err(_) => return Propagation::Pending,
            // It is delivered from the table, or the other service is away.
            Ok(Err(_)) => {}
        }
    }
    let over = |at| at >= until || front.peer.is_down();
    let mut pause = FIRST_POLL;
    while item.repeated || !over(Instant::now()) {
        item.repeated = false;
        let seen = look(front, looks, message).await;
        if seen != Propagation::Pending || over(Instant::now() + pause) {
            return seen;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_POLL);
    }
    Propagation::Pending
}

/// Looks how far a message is; where that can not be seen, it is committed at least.
async fn look<D: Domain>(front: &Front<D>, looks: &Semaphore, message: MessageKey) -> Propagation {
    let _place = looks.acquire().await;
    settle::propagation(&front.db, message).await.unwrap_or_else(|error| {
        tracing::debug!(%error, "how far a message is can not be seen now");
        Propagation::Pending
    })
}
