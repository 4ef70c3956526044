//! Duties that a rule decides: the command of each, handed in like a caller's, under a request id that is the same at each try.

use crm_closeout::{
    access::{Access, SYSTEM},
    approval::Ruling,
    ids::CloseOutId,
    job::Job,
    working_set::Cause,
};
use crm_outbox::{
    batch::{Call, Domain},
    wire,
    writer::{Failure, Writer},
};
use uuid::Builder;

/// A close-out has waited long enough for approval.
pub fn expiry<C: From<Ruling>>(job: &Job) -> Option<(&'static str, C)> {
    let ruling = Ruling::expiry(CloseOutId::parse(&job.job_key).ok()?);
    Some((ruling.verdict.method(), ruling.into()))
}

/// Does a duty; whether it is over.
pub(crate) async fn carry_out<D: Domain>(writer: Writer<D>, job: Job) -> bool {
    let Some((method, command)) = D::duty(&job) else {
        tracing::warn!(duty = job.job_key, "a duty of a kind or a name that is not known here; it is given up");
        return true;
    };
    match writer.call(call(&job, method, command), false).await {
        // Somebody has decided before: there is nothing left to do.
        Ok(_) | Err(Failure::Refused(_)) => true,
        Err(failure @ (Failure::KeyReused | Failure::Overloaded | Failure::Stopped | Failure::Database(_))) => {
            tracing::warn!(duty = job.job_key, ?failure, "a duty can not be done now; it is tried again in a minute");
            false
        }
    }
}

fn call<C>(job: &Job, method: &'static str, command: C) -> Call<C> {
    let mut id = [0; 16];
    wire::hash(format!("{method} {}", job.job_key).as_bytes()).iter().zip(&mut id).for_each(|(from, to)| *to = *from);
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
