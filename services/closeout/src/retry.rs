//! Sends a call again while the service says that waiting helps: a bounded number of times, after the delay it asks for.
//!
//! Every mutation carries a request_id, so that a call sent twice has one effect.

use crate::failure;
use std::error::Error as _;
use std::time::{Duration, Instant};
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

/// How long to keep trying.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    attempts: u32,
    total: Duration,
}

/// For a person who waits in front of the terminal.
pub(crate) const BRIEF: Patience = Patience { attempts: 6, total: Duration::from_secs(5) };
/// For long work, which shall not break off because a service is busy for a while.
pub(crate) const PATIENT: Patience = Patience { attempts: 60, total: Duration::from_secs(120) };

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Sends `request` until it is answered, refused for good, or patience ends; then with the last status.
pub(crate) async fn call<Q, A, F, S>(patience: Patience, request: Q, send: F) -> Result<A, Status>
where
    Q: Clone,
    F: Fn(Q) -> S,
    S: Future<Output = Result<Response<A>, Status>>,
{
    let started = Instant::now();
    for attempt in 1.. {
        let status = match send(request.clone()).await {
            Ok(response) => return Ok(response.into_inner()),
            Err(status) => status,
        };
        match patience.pause(&status, attempt, started) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(status),
        }
    }
    Err(Status::unknown("ran out of attempts"))
}

impl Patience {
    /// How long to wait before the next attempt, the last one having ended with `status`; none if there is to be none.
    pub(crate) fn pause(self, status: &Status, attempt: u32, started: Instant) -> Option<Duration> {
        let pause = pause(status, attempt)?;
        (attempt < self.attempts && started.elapsed() + pause < self.total).then_some(pause)
    }
}

/// The status says that the same may be sent again.
pub(crate) fn is_passing(status: &Status) -> bool {
    pause(status, 1).is_some()
}

/// How long to wait before the next attempt; none if another one would change nothing.
fn pause(status: &Status, attempt: u32) -> Option<Duration> {
    let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
    // A status with a source was made on this side, as the connection broke: nobody has said what became of the call.
    let transient = status.source().is_some()
        || matches!(status.code(), Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded)
        || (status.code() == Code::Aborted && failure::reason(status).as_deref() == Some("CONTENTION"));
    // FAILED_PRECONDITION is a rule, except where the service itself says that waiting helps.
    let waits = status.code() == Code::FailedPrecondition && asked.is_some();
    if !transient && !waits {
        return None;
    }
    let base = asked.unwrap_or_else(|| Duration::from_millis(50 << attempt.min(6)));
    Some(base.min(LONGEST_PAUSE).mul_f64(1.0 + fastrand::f64() / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tonic_types::ErrorDetails;

    fn unknown_parent() -> Status {
        let mut details = ErrorDetails::with_retry_info(Some(Duration::from_millis(1)));
        details.set_error_info("PARENT_UNKNOWN", "closeout.crm", std::collections::HashMap::new());
        Status::with_error_details(Code::FailedPrecondition, "not known yet", details)
    }

    async fn attempts(failures: u32, status: fn() -> Status) -> (Result<u32, Status>, u32) {
        let tries = AtomicU32::new(0);
        let answer = call(BRIEF, (), |()| {
            let before = tries.fetch_add(1, Ordering::Relaxed);
            async move { if before < failures { Err(status()) } else { Ok(Response::new(before)) } }
        })
        .await;
        (answer, tries.into_inner())
    }

    #[tokio::test]
    async fn a_parent_that_is_not_known_yet_is_waited_for() {
        let (answer, tries) = attempts(3, unknown_parent).await;
        assert_eq!((answer.unwrap(), tries), (3, 4));
    }

    #[tokio::test]
    async fn a_call_whose_connection_broke_is_sent_again() {
        let broke = || Status::from_error(Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
        assert_eq!(broke().code(), Code::Unknown);
        let (answer, tries) = attempts(1, broke).await;
        assert_eq!((answer.unwrap(), tries), (1, 2));
    }

    #[tokio::test]
    async fn patience_ends() {
        let (answer, tries) = attempts(u32::MAX, unknown_parent).await;
        assert_eq!((answer.unwrap_err().code(), tries), (Code::FailedPrecondition, BRIEF.attempts));
    }

    #[tokio::test]
    async fn a_rule_is_not_asked_twice() {
        let (answer, tries) = attempts(1, || Status::failed_precondition("it has a live order")).await;
        assert_eq!((answer.unwrap_err().code(), tries), (Code::FailedPrecondition, 1));
    }
}
