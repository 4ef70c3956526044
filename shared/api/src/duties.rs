//! Duties that a rule decides: the commands of each, handed in like a caller's, under request ids that are the same at each try.

use crm_closeout::{
    access::{Access, SYSTEM},
    approval::Ruling,
    ids::CloseOutId,
    job::Job,
    working_set::Cause,
};
use crm_outbox::{
    batch::{Call, Domain, Steps},
    db::Db,
    wire,
    writer::{Failure, Writer},
};
use futures::{StreamExt, stream};
use std::time::Duration;
use tokio::time::Instant;
use uuid::Builder;

/// Commands of one duty at once.
const AT_ONCE: usize = 32;
/// How long a duty of many commands is worked on before it is claimed anew: less than a claim holds.
const AT_A_STRETCH: Duration = Duration::from_secs(40);

/// A close-out has waited long enough for approval.
pub fn expiry<C: From<Ruling>>(job: &Job) -> Option<(&'static str, C)> {
    let ruling = Ruling::expiry(CloseOutId::parse(&job.job_key).ok()?);
    Some((ruling.verdict.method(), ruling.into()))
}

/// Does a duty; whether it is over.
pub(crate) async fn carry_out<D: Domain>(writer: Writer<D>, db: Db, job: Job) -> bool {
    let Some((method, command)) = D::duty(&job) else {
        tracing::warn!(duty = job.job_key, "a duty of a kind or a name that is not known here; it is given up");
        return true;
    };
    let (began, mut after) = (Instant::now(), None);
    loop {
        match D::steps(&db, &job, after).await {
            Ok(None) => break,
            Ok(Some(Steps { method, commands, next })) => {
                let calls = commands.into_iter().map(|(key, command)| {
                    do_it(&writer, &job, call(&job, method, &format!("{} {key}", job.job_key), command))
                });
                let done: Vec<_> = stream::iter(calls).buffer_unordered(AT_ONCE).collect().await;
                if done.contains(&false) {
                    return false;
                }
                after = next;
            }
            Err(error) => {
                tracing::warn!(duty = job.job_key, %error, "a duty can not be done now; it is tried again in a minute");
                return false;
            }
        }
        if after.is_none() {
            break;
        }
        if began.elapsed() > AT_A_STRETCH {
            return false;
        }
    }
    do_it(&writer, &job, call(&job, method, &job.job_key, command)).await
}

/// Hands a command in; whether there is nothing left to do for it.
async fn do_it<D: Domain>(writer: &Writer<D>, job: &Job, call: Call<D::Command>) -> bool {
    match writer.call(call, false).await {
        // Somebody has decided before, or has made something else of it: there is nothing left to do.
        Ok(_) | Err(Failure::Refused(_)) => true,
        Err(failure @ (Failure::KeyReused | Failure::Overloaded | Failure::Stopped | Failure::Database(_))) => {
            tracing::warn!(duty = job.job_key, ?failure, "a duty can not be done now; it is tried again in a minute");
            false
        }
    }
}

fn call<C>(job: &Job, method: &'static str, key: &str, command: C) -> Call<C> {
    let mut id = [0; 16];
    wire::hash(format!("{method} {key}").as_bytes()).iter().zip(&mut id).for_each(|(from, to)| *to = *from);
    let request_id = Builder::from_custom_bytes(id).into_uuid();
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
