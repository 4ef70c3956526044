//! Duties that a rule decides: the command of each, handed in like a caller's, under a request id that is the same at each try.

use crm_closeout::{
    approval::Ruling,
    ids::CloseOutId,
    job::{Job, JobKind},
    working_set::Cause,
};
use crm_outbox::{
    batch::{Call, Domain},
    writer::{Failure, Writer},
};
use uuid::Uuid;

/// Who acts where nobody but time has asked for it.
pub const ACTOR: &str = "system";

/// Does a duty; whether it is over.
pub(crate) async fn carry_out<D: Domain>(writer: Writer<D>, job: Job) -> bool
where
    D::Command: From<Ruling>,
{
    let Some(call) = command::<D>(&job) else {
        tracing::warn!(duty = job.job_key, "a duty names no record, so there is nothing to do for it");
        return true;
    };
    match writer.call(call, false).await {
        // Somebody has decided before: there is nothing left to do.
        Ok(_) | Err(Failure::Refused(_) | Failure::KeyReused) => true,
        Err(Failure::Overloaded | Failure::Stopped | Failure::Database(_)) => false,
    }
}

fn command<D: Domain>(job: &Job) -> Option<Call<D::Command>>
where
    D::Command: From<Ruling>,
{
    let (ruling, request_id) = match job.kind {
        JobKind::Expiry => {
            let id = CloseOutId::parse(&job.job_key).ok()?;
            (Ruling::expiry(id), id.0)
        }
        JobKind::Retention => return None,
    };
    let method = ruling.verdict.method();
    Some(call(job, method, request_id, ruling.into()))
}

fn call<C>(job: &Job, method: &'static str, request_id: Uuid, command: C) -> Call<C> {
    let (tenant_id, request) = (job.tenant_id, Some(request_id));
    let cause = Cause { tenant_id, actor: ACTOR.to_owned(), method, request_id: request, message_id: None };
    let (fingerprint, trace_parent) = (Vec::new(), String::new());
    Call { cause, request_id, fingerprint, validate_only: false, trace_parent, confirmed: None, command }
}
