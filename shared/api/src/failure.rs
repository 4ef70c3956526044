//! The one place where a failure becomes a status. INTERNAL always means a fault of this program; no text of the database
//! reaches a caller.

use crm_closeout::{refusal::Refusal, wording};
use crm_outbox::{db::Error, writer::Failure};
use crm_proto::Status as WireStatus;
use crm_runtime::answer;
use prost::Message as _;
use tonic::Status;

/// A rule said no.
pub fn refusal(refusal: Refusal) -> Status {
    match refusal.violations.as_slice() {
        [] => answer::refusal(refusal.wording, &refusal.values),
        violations => answer::invalid(violations),
    }
}

/// The row that was read, or that there is no such record in the tenant.
pub fn found<R>(row: Result<Option<R>, Error>, name: impl ToString) -> Result<R, Status> {
    row.map_err(|error| database(&error))?.ok_or_else(|| refusal(Refusal::not_found(name)))
}

/// The database failed.
pub fn database(error: &Error) -> Status {
    match error {
        Error::Unavailable(_) => answer::refusal(&wording::STORAGE_UNAVAILABLE, &[]),
        Error::Overloaded => answer::refusal(&wording::OVERLOADED, &[]),
        Error::CommitUnknown(_) => answer::refusal(&wording::COMMIT_UNKNOWN, &[]),
        Error::Contention(_) => answer::refusal(&wording::CONTENTION, &[]),
        Error::Data { constraint, .. } if is_unique(constraint) => {
            answer::refusal(&wording::VALUE_TAKEN, &[("constraint", constraint.clone())])
        }
        // Two processes made what a tenant has one of at the same moment: the second call finds it.
        Error::Data { constraint, .. }
            if ["settings_key", "stale_policy_key", "exchange_rate_key"].contains(&constraint.as_str()) =>
        {
            answer::refusal(&wording::CONTENTION, &[])
        }
        Error::Data { .. } | Error::Corrupt(_) | Error::Setup(_) | Error::Oversize => {
            tracing::error!(%error, "a call failed for a fault of this program or of stored data");
            answer::refusal(&wording::INTERNAL, &[])
        }
    }
}

/// A status as a message: of what is told of one thing among many.
pub fn message(status: &Status) -> WireStatus {
    // Where there are details, they are the whole status.
    let whole = Some(status.details()).filter(|details| !details.is_empty()).map(WireStatus::decode);
    let bare = || WireStatus { code: status.code().into(), message: status.message().into(), details: Vec::new() };
    whole.and_then(Result::ok).unwrap_or_else(bare)
}

/// Constraints that a caller's own value can run into when two processes decide at the same moment.
fn is_unique(constraint: &str) -> bool {
    ["opportunity_number", "competitor_name", "sales_order_number", "reason_key"].contains(&constraint)
}

/// A call was not done.
pub fn failure(failure: Failure) -> Status {
    match failure {
        Failure::Refused(refused) => refusal(refused),
        Failure::KeyReused => answer::refusal(&wording::KEY_REUSED, &[]),
        Failure::Overloaded => answer::refusal(&wording::OVERLOADED, &[]),
        Failure::Stopped => answer::refusal(&wording::SHUTTING_DOWN, &[]),
        Failure::Database(error) => database(&error),
    }
}
