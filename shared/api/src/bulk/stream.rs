//! The course of one bulk call, step by step, by the task that writes its answers: reads a message when there is room, hands its items
//! in one after the other, hears what became of them, and ends in order.

use super::{
    ANSWERS, Answers, Bulk, HANDED_IN, ITEMS, UNANSWERED,
    item::{self, HandedIn, Patience},
    part::{Ready, Whole},
};
use crate::{
    failure,
    front::{Front, RELAY},
};
use crm_closeout::wording;
use crm_outbox::{
    db::Error,
    writer::{Answer, BulkEntrance, Failure},
};
use crm_proto::common::BulkResult;
use crm_runtime::{Terms, answer, auth::Caller};
use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, FuturesUnordered},
};
use std::{collections::VecDeque, future::poll_fn};
use tokio::{
    sync::OwnedSemaphorePermit,
    task::yield_now,
    time::{Instant, sleep, sleep_until},
};
use tonic::{Status, Streaming};

/// The answers to a call.
pub(super) fn answers<B: Bulk>(
    front: Front<B::Domain>,
    caller: Caller,
    terms: Terms,
    messages: Streaming<B::Request>,
    place: OwnedSemaphorePermit,
) -> Answers<B> {
    let course = Course::<B> {
        entrance: front.writer.bulk_entrance(),
        front,
        caller,
        terms,
        messages,
        whole: None,
        ready: VecDeque::new(),
        handed_in: FuturesUnordered::new(),
        patience: None,
        waiting: FuturesUnordered::new(),
        results: Vec::new(),
        all_read: false,
        end: None,
        over: false,
        _place: place,
    };
    stream::unfold(course, |mut course| async move { Some((course.next().await?, course)) }).boxed()
}

struct Course<B: Bulk> {
    front: Front<B::Domain>,
    entrance: BulkEntrance<B::Domain>,
    caller: Caller,
    terms: Terms,
    messages: Streaming<B::Request>,
    whole: Option<Whole>,
    /// Read, and not yet handed in.
    ready: VecDeque<Ready<B>>,
    handed_in: FuturesUnordered<HandedIn>,
    patience: Option<Patience<B::Domain>>,
    /// Committed, and waiting for the other service.
    waiting: FuturesUnordered<BoxFuture<'static, BulkResult>>,
    results: Vec<BulkResult>,
    /// The caller has sent its last message.
    all_read: bool,
    /// With what the call will end, before everything was read: nothing more is handed in.
    end: Option<Status>,
    /// It has ended.
    over: bool,
    _place: OwnedSemaphorePermit,
}

impl<B: Bulk> Course<B> {
    async fn next(&mut self) -> Option<Result<B::Response, Status>> {
        while !self.over {
            if !self.results.is_empty() {
                let rest = self.results.split_off(self.results.len().min(ANSWERS));
                return Some(Ok(B::response(std::mem::replace(&mut self.results, rest))));
            }
            let idle = self.handed_in.is_empty() && self.waiting.is_empty();
            if idle && (self.end.is_some() || (self.all_read && self.ready.is_empty())) {
                self.over = true;
                return self.end.take().map(Err);
            }
            self.step().await;
        }
        None
    }

    /// Waits for the next thing that happens.
    async fn step(&mut self) {
        let goes_on = self.end.is_none();
        let unanswered = self.handed_in.len() + self.waiting.len();
        let reads = goes_on && !self.all_read && self.ready.is_empty() && unanswered + ITEMS <= UNANSWERED;
        let hands_in = goes_on && !self.ready.is_empty() && self.handed_in.len() < HANDED_IN;
        // What the relay can not take up would arrive much later, unless the other service is away anyway.
        let rests = hands_in && self.front.writer.is_ahead_of_relay() && !self.front.peer.is_down();
        let deadline = self.terms.until;
        tokio::select! {
            biased;
            () = self.terms.stopping.cancelled(), if goes_on => self.stop(),
            () = until(deadline), if deadline.is_some() => {
                (self.handed_in, self.waiting) = (FuturesUnordered::new(), FuturesUnordered::new());
                self.end(answer::refusal(&wording::BULK_DEADLINE_EXCEEDED, &[]));
            }
            Some((index, answer)) = self.handed_in.next() => {
                self.heard(index, answer);
                // The rest of its batch is answered by now, or in a moment.
                yield_now().await;
                self.hear_all();
            }
            Some(result) = self.waiting.next() => {
                self.results.push(result);
                self.hear_all();
            }
            there_is = poll_fn(|cx| self.entrance.poll_place(cx)), if hands_in && !rests => self.hand_in(there_is),
            () = sleep(RELAY), if rests => {}
            message = self.messages.message(), if reads => self.take(message).await,
            else => {}
        }
    }

    /// The server stops: nothing more is read or handed in, and what was handed in is answered.
    fn stop(&mut self) {
        self.end(answer::refusal(&wording::BULK_SHUTTING_DOWN, &[]));
    }

    fn end(&mut self, status: Status) {
        self.ready.clear();
        self.end.get_or_insert(status);
    }

    /// Hands in as many as there are places.
    fn hand_in(&mut self, mut there_is: bool) {
        loop {
            if !there_is {
                return self.stop();
            }
            let Some((index, call)) = self.ready.pop_front() else { return };
            let waits = self.patience.is_some() && !self.front.peer.is_down();
            self.handed_in.push(HandedIn { index, answer: self.entrance.hand_in(call, waits) });
            // A place is asked for only where it is used at once.
            if self.ready.is_empty() || self.handed_in.len() >= HANDED_IN {
                return;
            }
            let Some(next) = poll_fn(|cx| self.entrance.poll_place(cx)).now_or_never() else { return };
            there_is = next;
        }
    }

    async fn take(&mut self, message: Result<Option<B::Request>, Status>) {
        let part = match message {
            Ok(Some(message)) => B::part(message),
            Ok(None) => return self.all_read = true,
            Err(status) => return self.end(status),
        };
        let checked = match &self.whole {
            Some(whole) => whole.check(&part).map(|()| whole.clone()),
            None => Whole::first(&part),
        };
        let whole = match checked {
            Ok(whole) => self.whole.insert(whole),
            Err(status) => return self.end(status),
        };
        if let Some(most) = whole.wait {
            self.patience.get_or_insert_with(|| Patience::of(self.front.clone(), most, self.terms.stopping.clone()));
        }
        match whole.read::<B>(&self.front, &self.caller, part.items).await {
            Ok((ready, refused)) => (self.ready, self.results) = (ready, refused),
            Err(status) => self.end(status),
        }
    }

    /// Takes in every answer that is there.
    fn hear_all(&mut self) {
        while let Some(Some((index, answer))) = self.handed_in.next().now_or_never() {
            self.heard(index, answer);
        }
        while let Some(Some(result)) = self.waiting.next().now_or_never() {
            self.results.push(result);
        }
    }

    fn heard(&mut self, index: i64, answer: Result<Answer, Failure>) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => return self.failed(index, failure),
        };
        let validate_only = self.whole.as_ref().is_some_and(|whole| whole.validate_only);
        match (item::committed::<B>(index, answer, validate_only), &self.patience) {
            (Ok(item), Some(patience)) => self.waiting.push(patience.wait(item)),
            (Ok(item), None) => self.results.push(item.answer()),
            (Err(answer), _) => self.results.push(answer),
        }
    }

    /// While the database is away it is not asked to do the rest, too.
    fn failed(&mut self, index: i64, failure: Failure) {
        match &failure {
            Failure::Stopped => self.stop(),
            Failure::Database(error) if matches!(**error, Error::Unavailable(_) | Error::CommitUnknown(_)) => {
                self.end(answer::refusal(&wording::BULK_STORAGE_UNAVAILABLE, &[]));
            }
            Failure::Refused(_) | Failure::KeyReused | Failure::Overloaded | Failure::Database(_) => {}
        }
        self.results.push(item::error(index, &failure::failure(failure)));
    }
}

async fn until(deadline: Option<Instant>) {
    if let Some(deadline) = deadline {
        sleep_until(deadline).await;
    }
}
