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
    batch::{Call, Domain, Duty, Steps},
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
pub fn expiry<C: From<Ruling>>(job: &Job) -> Duty<C> {
    let Ok(close_out) = CloseOutId::parse(&job.job_key) else { return Duty::Unknown };
    let ruling = Ruling::expiry(close_out);
    Duty::Command(ruling.verdict.method(), ruling.into())
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

/// What became of a part of the steps.
#[derive(Default)]
struct Part {
    /// Something can not be done now.
    not_now: bool,
    /// Something fails by itself.
    failed: bool,
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
        let (began, mut after) = (Instant::now(), Uuid::try_parse(&job.progress).ok());
        let duty = D::duty(&job);
        // What is done by steps alone is not over before the last of them was done.
        let persists = matches!(duty, Duty::Steps);
        // First what plans the next one, so that whatever becomes of this one it is not the last.
        let first = match duty {
            Duty::Unknown => {
                tracing::warn!(duty = job.job_key, "a duty of a kind or a name that is not known here; it is given up");
                return Carried::Over;
            }
            Duty::Command(method, command) if after.is_none() => {
                self.do_it(&job, call(&job, (SYSTEM, &Access::EVERYTHING), method, &job.job_key, command)).await
            }
            Duty::Command(..) | Duty::Steps => Came::Done,
        };
        if matches!(first, Came::NotNow) {
            return again(after, LATER);
        }
        let mut refused = BTreeMap::new();
        loop {
            let steps = match D::steps(&self.db, &job, after).await {
                Ok(None) if matches!(first, Came::Failed) => return again(after, LATER),
                Ok(None) => return Carried::Over,
                Ok(Some(steps)) => steps,
                Err(error) => {
                    tracing::warn!(duty = job.job_key, %error, "a duty can not be done now; it is tried again in a minute");
                    return again(after, LATER);
                }
            };
            let next = steps.next;
            let Part { not_now, failed } = self.part(&job, steps, &mut refused).await;
            if not_now || (persists && failed && next.is_none()) {
                return again(after, LATER);
            }
            after = next;
            if after.is_none() || began.elapsed() > STRETCH || self.stop.is_cancelled() {
                tell(&job, &refused);
                return if after.is_none() { Carried::Over } else { again(after, Duration::ZERO) };
            }
            tokio::select! {
                () = rest(&self.writer, &self.peer) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// Does a part of the steps of a duty, and counts what a rule was against.
    async fn part(&self, job: &Job, steps: Steps<D::Command>, refused: &mut BTreeMap<&'static str, u64>) -> Part {
        let Steps { actor, access, method, commands, .. } = steps;
        let calls = commands.into_iter().map(|(key, command)| {
            let key = format!("{} {key}", job.job_key);
            self.do_it(job, call(job, (&actor, &access), method, &key, command))
        });
        let came: Vec<_> = stream::iter(calls).buffer_unordered(AT_ONCE).collect().await;
        let mut part = Part::default();
        for came in came {
            match came {
                Came::Done => {}
                Came::Refused(reason) => *refused.entry(reason).or_default() += 1,
                Came::Failed => part.failed = true,
                Came::NotNow => part.not_now = true,
            }
        }
        part
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

/// It is taken up again from here.
fn again(from: Option<Uuid>, after: Duration) -> Carried {
    Carried::Again { progress: from.map_or_else(String::new, |from| from.to_string()), after }
}

/// What a duty of many commands was refused, beside what has moved meanwhile.
fn tell(job: &Job, refused: &BTreeMap<&'static str, u64>) {
    let moved = [wording::VERSION_MISMATCH.reason, wording::NOT_STALE.reason];
    let told: Vec<_> = refused.iter().filter(|(reason, _)| !moved.contains(reason)).collect();
    if !told.is_empty() {
        tracing::warn!(duty = job.job_key, ?told, "a part of a duty is refused by a rule");
    }
}

fn call<C>(job: &Job, (actor, access): (&str, &Access), method: &'static str, key: &str, command: C) -> Call<C> {
    let request_id = derived_id(&[method.as_bytes(), b" ", key.as_bytes()]);
    let (tenant_id, request) = (job.tenant_id, Some(request_id));
    let cause = Cause {
        tenant_id,
        actor: actor.to_owned(),
        access: access.clone(),
        method,
        request_id: request,
        message_id: None,
    };
    let (fingerprint, trace_parent) = (Vec::new(), String::new());
    Call { cause, request_id, fingerprint, validate_only: false, trace_parent, confirmed: None, command }
}
