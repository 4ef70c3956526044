//! How long a call may take. In flows the `grpc-timeout` of the request and the listener's own cap; out comes an instant, given
//! to the handler and kept by the server, which then answers DEADLINE_EXCEEDED. (tonic by itself answers CANCELLED.)

use http::HeaderMap;
use std::{future::Future, future::poll_fn, pin::pin, task::Poll, time::Duration};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// When the server gives up on a call; an extension of every request. Work that cannot end before it need not begin.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Instant);

/// On which terms a call goes on that is answered bit by bit; an extension of every request. Its [`Deadline`] ends with the handler.
#[derive(Clone, Debug)]
pub struct Terms {
    /// When the caller gives up, if it has said so; the listener's own limit does not count.
    pub until: Option<Instant>,
    /// The server is stopping: what is begun is to be finished, and nothing more begun.
    pub stopping: CancellationToken,
}

/// An extension of a response that ends by itself, and in order, when the server stops; any other one is ended as soon as it has to
/// wait.
#[derive(Clone, Copy, Debug)]
pub struct EndsItself;

/// The server is earlier than the caller by a tenth of what it was given, within these bounds, so that its answer arrives before
/// the caller has given up, and before the timer that tonic started a moment earlier.
const LEAD: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

impl Deadline {
    /// The earlier of what the caller asks for and `cap`, counted from now.
    pub(crate) fn of(headers: &HeaderMap, cap: Duration) -> Self {
        Self(Instant::now() + asked(headers).map_or(cap, |asked| asked.min(cap)))
    }

    /// The result of `work`, or nothing if the deadline came first. The clock is also read whenever `work` is polled: tonic runs a
    /// timer of its own around this one, and the order in which timers of one millisecond fire is not defined.
    pub(crate) async fn limit<F: Future>(self, work: F) -> Option<F::Output> {
        let mut work = pin!(work);
        let mut end = pin!(sleep_until(self.0));
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if Instant::now() >= self.0 => Poll::Ready(None),
            Poll::Pending => end.as_mut().poll(cx).map(|()| None),
        })
        .await
    }
}

impl Terms {
    /// What the caller asks for, counted from now.
    pub(crate) fn of(headers: &HeaderMap, stopping: CancellationToken) -> Self {
        let until = asked(headers).and_then(|asked| Instant::now().checked_add(asked));
        Self { until, stopping }
    }
}

/// What a caller asks for, less the lead.
fn asked(headers: &HeaderMap) -> Option<Duration> {
    let asked = headers.get("grpc-timeout").and_then(|value| value.to_str().ok()).and_then(parse)?;
    let lead = (asked / 10).clamp(LEAD.0, LEAD.1).min(asked / 2);
    Some(asked.saturating_sub(lead))
}

/// Reads one to eight digits and a unit, as gRPC over HTTP/2 defines them; anything else counts as not given.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_nonsense_is_not() {
        assert_eq!(parse("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(parse("3M"), Some(Duration::from_secs(180)));
        assert_eq!(parse("4S"), Some(Duration::from_secs(4)));
        assert_eq!(parse("99999999m"), Some(Duration::from_millis(99_999_999)));
        assert_eq!(parse("6u"), Some(Duration::from_micros(6)));
        assert_eq!(parse("7n"), Some(Duration::from_nanos(7)));
        for nonsense in ["", "S", "5", "5s", "+5S", "123456789S", "5秒"] {
            assert_eq!(parse(nonsense), None, "{nonsense}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_earlier_of_caller_and_server_counts() {
        let of = |asked: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(asked) = asked {
                headers.insert("grpc-timeout", asked.parse().unwrap());
            }
            Deadline::of(&headers, Duration::from_secs(10)).0 - Instant::now()
        };
        assert_eq!(of(None), Duration::from_secs(10));
        assert_eq!(of(Some("1S")), Duration::from_millis(950));
        assert_eq!(of(Some("100m")), Duration::from_millis(90));
        assert_eq!(of(Some("1H")), Duration::from_secs(10));
        assert_eq!(of(Some("2m")), Duration::from_millis(1));
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_caller_ends_what_is_answered_bit_by_bit() {
        let mut headers = HeaderMap::new();
        assert_eq!(Terms::of(&headers, CancellationToken::new()).until, None);
        headers.insert("grpc-timeout", "1H".parse().unwrap());
        let until = Terms::of(&headers, CancellationToken::new()).until.unwrap();
        assert_eq!(until - Instant::now(), Duration::from_millis(3_599_950));
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_dropped_when_the_deadline_has_come() {
        let deadline = Deadline(Instant::now() + Duration::from_secs(5));
        assert_eq!(deadline.limit(std::future::ready(7)).await, Some(7));
        assert_eq!(deadline.limit(std::future::pending::<()>()).await, None);
        assert_eq!(Instant::now(), deadline.0);
    }
}
