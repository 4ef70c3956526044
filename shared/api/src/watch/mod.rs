//! Streams of changes: what a caller has not heard of yet, from a resume token or from now on, and then whatever is committed.
//!
//! What the log holds (see [`crm_outbox::watch`]) is sent by a task for each stream, into a place for a few messages. It waits for a reader
//! that is slow, for a while, and then cuts it off with the token to go on with; so a reader costs a bounded amount of memory
//! however slow it is. How far the log can be read is looked at once for all streams of a tenant: when this process has
//! committed something, and twice a second for what others have.

mod course;
mod heads;
mod seats;
mod token;

use crate::{failure, fields::Fields, front::Front, meta};
use course::{Course, End};
use crm_closeout::{ids::TenantId, refusal::Refusal, time::Time, wording};
use crm_outbox::{
    batch::Domain,
    db::Db,
    job,
    watch::{self, Head, Watched},
};
use crm_runtime::{EndsItself, Terms, answer, auth::Caller};
use futures::{StreamExt, stream, stream::BoxStream};
use heads::Heads;
use seats::{Full, Seats};
use std::{fmt, time::Duration};
use token::{Place, Tag};
use tokio::sync::{
    mpsc,
    oneshot::{self, error::RecvError},
};
use tonic::{Request, Response, Status};

/// How long a message waits until it is taken; then the stream is cut off.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// After so long without a message one is sent that only has a newer token.
pub const BOOKMARK: Duration = Duration::from_secs(5);
/// Messages of a stream that wait until they are taken.
const WAITING: usize = 16;

/// The messages of a stream.
pub type Messages<M> = BoxStream<'static, Result<M, Status>>;

/// The streams of a process.
#[derive(Clone, Debug, Default)]
pub struct Watches {
    heads: Heads,
    seats: Seats,
}

/// Which of the records of a kind are sent, and in which message.
pub struct Sends<R, M> {
    /// Whether one is.
    pub keep: Box<dyn Fn(&R) -> bool + Send + Sync>,
    /// The message with a record, or with a token alone.
    pub message: fn(Option<&R>, String) -> M,
}

impl<R, M> fmt::Debug for Sends<R, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sends").finish_non_exhaustive()
    }
}

/// Who watches, and from where on.
#[derive(Debug)]
pub struct Watcher {
    caller: Caller,
    terms: Terms,
    tag: Tag,
    from: Option<Place>,
}

/// Takes a request apart.
pub fn open<M>(request: Request<M>) -> Result<(Caller, Terms, M), Status> {
    let (_, mut extensions, request) = request.into_parts();
    let caller = meta::caller(&mut extensions)?;
    let terms = extensions.remove::<Terms>().ok_or_else(|| answer::refusal(&wording::INTERNAL, &[]))?;
    Ok((caller, terms, request))
}

impl Watcher {
    /// Reads `resume_token`; `method` and `filters`, which is the request without it, are what it belongs to.
    pub fn read(
        fields: &mut Fields,
        (caller, terms): (Caller, Terms),
        token: &str,
        method: [&str; 2],
        filters: &impl prost::Message,
    ) -> Self {
        let tag = Tag::of(caller.tenant, method, filters);
        let from = tag.read(fields, token);
        Self { caller, terms, tag, from }
    }

    /// Begins to answer.
    pub async fn answer<D: Domain, R: Watched, M: Send + 'static>(
        self,
        front: &Front<D>,
        sends: Sends<R, M>,
    ) -> Result<Response<Messages<M>>, Status> {
        let Self { caller, terms, tag, from } = self;
        let (tenant, watches) = (caller.tenant, &front.watches);
        let full = |(wording, most): Full| answer::refusal(wording, &[("most", most.to_string())]);
        let seat = watches.seats.take(&caller).map_err(full)?;
        let head = watch::head(&front.db, tenant).await.map_err(|e| failure::database(&e))?;
        let from = match from {
            Some(from) => checked(&front.db, tenant, from, &head).await?,
            None => Place::after(head.last),
        };
        let (to, messages) = mpsc::channel(WAITING);
        let (ends, end) = oneshot::channel();
        let heads = watches.heads.of(&front.db, tenant);
        let course = Course { db: front.db.clone(), tenant, tag, at: from, sends, to, terms };
        tokio::spawn(async move {
            let _seat = seat;
            // Who has gone away is not told.
            let _ = ends.send(course.run(heads).await);
        });
        let mut response = Response::new(in_order(messages, end));
        response.extensions_mut().insert(EndsItself);
        Ok(response)
    }
}

/// The messages, and after the last one with what the stream ends.
fn in_order<M: Send + 'static>(messages: mpsc::Receiver<M>, end: oneshot::Receiver<(End, String)>) -> Messages<M> {
    let messages = stream::unfold(messages, |mut messages| async { Some((Ok(messages.recv().await?), messages)) });
    messages.chain(stream::once(end).filter_map(async |end| status(end).map(Err))).boxed()
}

/// With what a stream ends; if its task is gone without a word, that is a fault.
fn status(end: Result<(End, String), RecvError>) -> Option<Status> {
    match end {
        Ok((end, resume_token)) => end.status(resume_token),
        Err(_) => Some(answer::refusal(&wording::INTERNAL, &[])),
    }
}

/// Refuses a place from which something may be missing by now: it is kept no longer, or the log is another one.
async fn checked(db: &Db, tenant: TenantId, from: Place, head: &Head) -> Result<Place, Status> {
    let known = match from.mark.tx {
        _ if from.mark.place > head.ended => false,
        0 => from.mark.written_at > Time(head.now.0 - job::CHANGES_KEPT),
        _ => watch::has(db, tenant, from.mark).await.map_err(|e| failure::database(&e))?,
    };
    if known { Ok(from) } else { Err(expired()) }
}

/// What came after a place is not kept any more.
fn expired() -> Status {
    failure::refusal(Refusal::denied(&wording::RESUME_TOKEN_EXPIRED))
}

/// Takes the token out of a request to watch; what is left are its filters. Tokens belong to those and to a service and its method.
#[macro_export]
macro_rules! watcher {
    ($fields:expr, $caller:expr, $request:expr, $method:expr) => {{
        let token = std::mem::take(&mut $request.resume_token);
        $crate::watch::Watcher::read($fields, $caller, &token, $method, &$request)
    }};
}
