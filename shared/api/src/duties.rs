//! Duties that a rule decides: the commands of each, handed in like a caller's, under request ids that are the same at each try.
//!
//! Most are one command. One of many is worked on for a moment at a time, so that others have their turn and a service that ends does
//! not wait for it; how far it is stands in its row.

use crate::{front::rest, meta::derived_id, peer::Peer};
use crm_closeout::{
    access::{Access, SYSTEM},
    approval::Ruling,
    ids::CloseOutId,
    job::Job,
    wording,
    working_set::Cause,
};
use crm_outbox::{
    batch::{Call, Domain, Steps},
    db::Db,
    job::Carried,
    writer::{Failure, Writer},
};
use futures::{StreamExt, stream};
use std::{collections::BTreeMap, time::Duration};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Commands of all duties of a process at once.
pub(crate) const AT_ONCE: usize = 32;
/// How long a duty of many commands is worked on at a stretch.
const STRETCH: Duration = Duration::from_secs(5);
/// After how long one that can not be done now is tried again.
const LATER: Duration = Duration::from_secs(60);

/// A close-out has waited long enough for approval.
pub fn expiry<C: From<Ruling>>(job: &Job) -> Option<(&'static str, C)> {
    let ruling = Ruling::expiry(CloseOutId::parse(&job.job_key).ok()?);
    Some((ruling.verdict.method(), ruling.into()))
}

/// What duties are carried out with.
pub(crate) struct Hands<D: Domain> {
    /// Where their commands go.
    pub(crate) writer: Writer<D>,
    /// Where they are found.
    pub(crate) db: Db,
    /// The other service.
    pub(crate) peer: Peer,
    /// Places of their commands.
    pub(crate) places: Semaphore,
    /// The service is to end.
    pub(crate) stop: CancellationToken,
}

/// What became of one command.
enum Came {
    /// It was done.
    Done,
    /// A rule said no: somebody has decided before, or made something else of it.
    Refused(&'static str),
    /// It fails by itself, and what comes after it does not.
    Failed,
    /// Nothing can be done now.
    NotNow,
}

impl<D: Domain> Hands<D> {
    /// Does a duty, or a stretch of it.
    pub(crate) async fn carry_out(&self, job: Job) -> Carried {
        let later = Carried::Again { progress: job.progress.clone(), after: LATER };
        let Some((method, command)) = D::duty(&job) else {
            tracing::warn!(duty = job.job_key, "a duty of a kind or a name that is not known here; it is given up");
            return Carried::Over;
        };
        let (began, mut after) = (Instant::now(), Uuid::try_parse(&job.progress).ok());
        // First what plans the next one, so that whatever becomes of this one it is not the last.
        let first = match after {
            None => self.do_it(&job, call(&job, method, &job.job_key, command)).await,
            Some(_) => Came::Done,
        };
        if matches!(first, Came::NotNow) {
            return later;
        }
        let mut refused = BTreeMap::new();
        loop {
            let Steps { method, commands, next } = match D::steps(&self.db, &job, after).await {
                Ok(None) if matches!(first, Came::Failed) => return later,
                Ok(None) => return Carried::Over,
                Ok(Some(steps)) => steps,
                Err(error) => {
                    tracing::warn!(duty = job.job_key, %error, "a duty can not be done now; it is tried again in a minute");
                    return Carried::Again { progress: progress(after), after: LATER };
                }
            };
            let calls = commands.into_iter().map(|(key, command)| {
                let key = format!("{} {key}", job.job_key);
                self.do_it(&job, call(&job, method, &key, command))
            });
            let came: Vec<_> = stream::iter(calls).buffer_unordered(AT_ONCE).collect().await;
            if came.iter().any(|came| matches!(came, Came::NotNow)) {
                return Carried::Again { progress: progress(after), after: LATER };
            }
            for came in came {
                if let Came::Refused(reason) = came {
                    *refused.entry(reason).or_insert(0_u64) += 1;
                }
            }
            after = next;
            let stops = after.is_none() || began.elapsed() > STRETCH || self.stop.is_cancelled();
            if stops {
                tell(&job, &refused);
                return match after {
                    None => Carried::Over,
                    Some(_) => Carried::Again { progress: progress(after), after: Duration::ZERO },
                };
            }
            tokio::select! {
                () = rest(&self.writer, &self.peer) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    async fn do_it(&self, job: &Job, call: Call<D::Command>) -> Came {
        let _place = self.places.acquire().await;
        match self.writer.call(call, false).await {
            Ok(_) => Came::Done,
            Err(Failure::Refused(refusal)) => Came::Refused(refusal.reason()),
            Err(failure @ (Failure::Overloaded | Failure::Stopped)) => {
                tracing::debug!(
                    duty = job.job_key,
                    ?failure,
                    "a duty can not be done now; it is tried again in a minute"
                );
                Came::NotNow
            }
            Err(failure @ (Failure::KeyReused | Failure::Database(_))) => {
                tracing::warn!(duty = job.job_key, ?failure, "a command of a duty failed");
                if matches!(&failure, Failure::Database(error) if error.is_passing()) {
                    Came::NotNow
                } else {
                    Came::Failed
                }
            }
        }
    }
}

fn progress(after: Option<Uuid>) -> String {
    after.map_or_else(String::new, |after| after.to_string())
}

/// What a duty of many commands was refused, beside what has moved meanwhile.
fn tell(job: &Job, refused: &BTreeMap<&'static str, u64>) {
    let moved = [wording::VERSION_MISMATCH.reason, wording::NOT_STALE.reason];
    let told: Vec<_> = refused.iter().filter(|(reason, _)| !moved.contains(reason)).collect();
    if !told.is_empty() {
        tracing::warn!(duty = job.job_key, ?told, "a part of a duty is refused by a rule");
    }
}

fn call<C>(job: &Job, method: &'static str, key: &str, command: C) -> Call<C> {
    let request_id = derived_id(&[method.as_bytes(), b" ", key.as_bytes()]);
    let (tenant_id, request) = (job.tenant_id, Some(request_id));
    let cause = Cause {
        tenant_id,
        actor: SYSTEM.to_owned(),
        access: Access::EVERYTHING,
        method,
        request_id: request,
        message_id: None,
    };
    let (fingerprint, trace_parent) = (Vec::new(), String::new());
    Call { cause, request_id, fingerprint, validate_only: false, trace_parent, confirmed: None, command }
}
