//! The one place where a failure becomes a status. INTERNAL always means a fault of this program; no text of the database
//! reaches a caller.

use crm_closeout::refusal::{Refusal, RefusalKind, Violation};
use crm_outbox::{db::Error, writer::Failure};
use crm_runtime::answer;
use std::time::Duration;
use tonic::{Code, Status};

/// Fields are wrong, each of them named.
pub fn invalid(violations: Vec<Violation>) -> Status {
    answer::invalid(violations.into_iter().map(|v| (v.field, v.reason, v.description)))
}

/// A rule said no.
pub fn refusal(refusal: Refusal) -> Status {
    let Refusal { kind, reason, message, subject, mut metadata } = refusal;
    if !subject.is_empty() {
        metadata.push(("subject", subject.clone()));
    }
    let code = match kind {
        RefusalKind::Invalid(violations) => return invalid(violations),
        RefusalKind::Precondition => {
            let violation = (reason, subject, message.clone());
            return answer::precondition(reason, message, &metadata, [violation]);
        }
        RefusalKind::NotYet(millis) => {
            return answer::retry_later(Code::FailedPrecondition, reason, message, Duration::from_millis(millis));
        }
        RefusalKind::NotFound => Code::NotFound,
        RefusalKind::Exists => Code::AlreadyExists,
        RefusalKind::Changed => Code::Aborted,
        RefusalKind::Exhausted => Code::ResourceExhausted,
    };
    answer::refusal(code, reason, message, &metadata)
}

/// The row that was read, or that there is no such record in the tenant.
pub fn found<R>(row: Result<Option<R>, Error>, name: impl ToString) -> Result<R, Status> {
    row.map_err(|error| database(&error))?.ok_or_else(|| refusal(Refusal::not_found(name)))
}

/// The database failed.
pub fn database(error: &Error) -> Status {
    let soon = Duration::from_millis(500);
    match error {
        Error::Unavailable(_) => {
            let text = "the database is unavailable; nothing was done, try again";
            answer::retry_later(Code::Unavailable, "STORAGE_UNAVAILABLE", text, soon)
        }
        Error::CommitUnknown(_) => {
            let text = "it is unknown whether this was done; repeat it with the same request_id";
            answer::retry_later(Code::Unavailable, "COMMIT_UNKNOWN", text, soon)
        }
        Error::Contention(_) => {
            let text = "another change was in the way every time; nothing was done, try again";
            answer::retry_later(Code::Aborted, "CONTENTION", text, soon)
        }
        Error::Data { constraint, .. } if is_unique(constraint) => {
            let text = "a value that must be unique is taken; give it another one";
            answer::refusal(Code::AlreadyExists, "VALUE_TAKEN", text, &[("constraint", constraint.clone())])
        }
        Error::Data { .. } | Error::Corrupt(_) | Error::Setup(_) | Error::Oversize => {
            tracing::error!(%error, "a call failed for a fault of this program or of stored data");
            answer::refusal(Code::Internal, "INTERNAL", "an internal error; its details are in the log", &[])
        }
    }
}

/// Constraints that a caller's own value can run into when two processes decide at the same moment.
fn is_unique(constraint: &str) -> bool {
    ["opportunity_number", "competitor_name", "sales_order_number"].contains(&constraint)
}

/// A call was not done.
pub fn failure(failure: Failure) -> Status {
    match failure {
        Failure::Refused(refused) => refusal(refused),
        Failure::KeyReused => {
            let text = "request_id was used for another request; give this one a new UUID";
            answer::refusal(Code::InvalidArgument, "IDEMPOTENCY_KEY_REUSED", text, &[])
        }
        Failure::Overloaded => {
            let text = "too many calls are waiting; nothing was done, try again";
            answer::retry_later(Code::ResourceExhausted, "OVERLOADED", text, Duration::from_millis(200))
        }
        Failure::Stopped => {
            let text = "the service is shutting down; repeat the call with the same request_id";
            answer::retry_later(Code::Unavailable, "SHUTTING_DOWN", text, Duration::from_millis(200))
        }
        Failure::Database(error) => database(&error),
    }
}
