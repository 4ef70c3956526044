//! What clients did and saw: every attempt of every call, from before it was sent, and every read, on one monotonic clock. In
//! flow requests and answers, in any order and from any number of tasks; the invariants read them. Knows nothing of databases.

use crm_closeout::{
    codes::{Record, Side},
    ids::TenantId,
};
use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

/// What names a request: a copy of it has the same effect and the same answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Request {
    /// Which service.
    pub side: Side,
    /// Whose data.
    pub tenant: TenantId,
    /// Who calls.
    pub principal: Arc<str>,
    /// Which method, such as `CloseOutOpportunity`.
    pub method: &'static str,
    /// Id of the call.
    pub id: Uuid,
}

/// What one attempt was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// OK.
    Done {
        /// Name of the resource.
        resource: Box<str>,
        /// Its version; none: the answer did not tell.
        version: Option<i64>,
        /// Digest of the reply, without what may differ between two answers to one request.
        reply: u64,
    },
    /// A status.
    Refused {
        /// Its code.
        code: Code,
        /// Its reason, in a word; empty if it has none.
        reason: Box<str>,
    },
}

/// One attempt of a call. The times are counted from the beginning of the history.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What was asked for.
    pub request: Request,
    /// Digest of all that the request said.
    pub fingerprint: u64,
    /// When it was about to be sent.
    pub invoked: Duration,
    /// When it was answered, and what; none: the caller went away, or the call is under way.
    pub answered: Option<(Duration, Answer)>,
}

/// A record as a read showed it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which service.
    pub side: Side,
    /// For whom.
    pub tenant: TenantId,
    /// Name of the resource.
    pub resource: Box<str>,
    /// Its version; none: the answer did not tell.
    pub version: Option<i64>,
    /// When the read was about to be sent.
    pub invoked: Duration,
}

/// Everything in a history.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// Nobody else has called since the databases were made.
    pub(crate) whole: bool,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) seen: Vec<Seen>,
    /// Records whose messages may be parked.
    pub(crate) poisoned: BTreeSet<(TenantId, Record)>,
}

impl Told {
    /// Answers of OK: request, resource, version.
    pub(crate) fn done(&self) -> impl Iterator<Item = Done<'_>> {
        self.attempts.iter().filter_map(|attempt| {
            let (returned, Answer::Done { resource, version, reply }) = attempt.answered.as_ref()? else { return None };
            Some(Done { attempt, returned: *returned, resource, version: *version, reply: *reply })
        })
    }
}

/// An attempt that was answered with OK.
#[derive(Clone, Copy)]
pub(crate) struct Done<'a> {
    pub(crate) attempt: &'a Attempt,
    pub(crate) returned: Duration,
    pub(crate) resource: &'a str,
    pub(crate) version: Option<i64>,
    pub(crate) reply: u64,
}

/// What clients did and saw. A clone adds to the same history. The default one may lack calls that others made.
#[derive(Clone, Debug)]
pub struct History {
    began: Instant,
    told: Arc<Mutex<Told>>,
}

impl Default for History {
    fn default() -> Self {
        Self { began: Instant::now(), told: Arc::default() }
    }
}

impl History {
    /// One that holds every call since the databases were made: what is not in it was not asked for.
    pub fn whole() -> Self {
        let history = Self::default();
        history.lock().whole = true;
        history
    }

    /// Notes an attempt that is about to be sent. Whoever drops what comes back has got no answer.
    pub fn asks(&self, request: Request, body: &[u8]) -> Asked {
        let attempt = Attempt { request, fingerprint: digest(body), invoked: self.began.elapsed(), answered: None };
        let mut told = self.lock();
        told.attempts.push(attempt);
        Asked { history: self.clone(), index: told.attempts.len() - 1 }
    }

    /// Notes that a read is about to be sent.
    pub fn reads(&self, side: Side, tenant: TenantId) -> Reading {
        Reading { history: self.clone(), side, tenant, invoked: self.began.elapsed() }
    }

    /// Messages about this record may end up parked: the test has poisoned them.
    pub fn poisons(&self, tenant: TenantId, record: Record) {
        self.lock().poisoned.insert((tenant, record));
    }

    /// How many attempts were answered with OK.
    pub fn answers(&self) -> usize {
        let done = |attempt: &&Attempt| matches!(attempt.answered, Some((_, Answer::Done { .. })));
        self.lock().attempts.iter().filter(done).count()
    }

    /// Every attempt so far, in the order in which they were made.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.lock().attempts.clone()
    }

    pub(crate) fn told(&self) -> Told {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt that is under way.
#[derive(Debug)]
pub struct Asked {
    history: History,
    index: usize,
}

impl Asked {
    /// It was answered with OK: the resource, its etag, and the reply without what may differ between two answers.
    pub fn done(self, resource: &str, etag: &str, reply: &[u8]) {
        self.answered(Answer::Done { resource: resource.into(), version: version(etag), reply: digest(reply) });
    }

    /// It was answered with another status.
    pub fn refused(self, status: &Status) {
        let reason = status.get_details_error_info().map(|info| info.reason.into_boxed_str()).unwrap_or_default();
        self.answered(Answer::Refused { code: status.code(), reason });
    }

    fn answered(self, answer: Answer) {
        let now = self.history.began.elapsed();
        if let Some(attempt) = self.history.lock().attempts.get_mut(self.index) {
            attempt.answered = Some((now, answer));
        }
    }
}

/// A read that is under way.
#[derive(Debug)]
pub struct Reading {
    history: History,
    side: Side,
    tenant: TenantId,
    invoked: Duration,
}

impl Reading {
    /// It showed this resource with this etag.
    pub fn saw(self, resource: &str, etag: &str) {
        let Self { history, side, tenant, invoked } = self;
        history.lock().seen.push(Seen { side, tenant, resource: resource.into(), version: version(etag), invoked });
    }
}

fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn version(etag: &str) -> Option<i64> {
    etag.trim_matches('"').parse().ok()
}
