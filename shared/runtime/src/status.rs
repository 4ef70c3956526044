//! Makes tonic's own statuses say what they mean. In goes every response of a listener, out comes the same with the documented
//! code and an ErrorInfo, so that INTERNAL always means a fault of ours. A handler's status carries details and passes untouched;
//! tonic's have none and one of a few known texts.

use crate::{EndsItself, answer::refusal, language, trace};
use crm_closeout::wording::{self, Language};
use futures::FutureExt;
use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Code, Status, body::Body, transport};
use tracing::Span;

/// What tonic 0.14 and prost 0.14 say if a request could not be read. Each has a test that fails if the text changes.
const MALFORMED: [&str; 4] = [
    "failed to decode Protobuf message",
    "protocol error: received message with",
    "Unexpected EOF decoding stream",
    "Missing request message",
];
const TOO_LARGE: [&str; 2] = ["Error, decoded message length too large", "Error, encoded message length too large"];

/// Translates the status in the head of a response, and wraps the body for the one in its trailers.
pub(crate) fn translate(response: Response<Body>, path: String, stopping: &CancellationToken) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    translate_headers(&mut head.headers);
    if body.is_end_stream() {
        return Response::from_parts(head, body);
    }
    let stopping = match head.extensions.remove::<EndsItself>() {
        Some(EndsItself) => Stopping::NotHere,
        None => Stopping::Unasked(stopping.clone()),
    };
    let body = Translated { inner: Some(body), path, stopping, span: Span::current(), language: language::current() };
    Response::from_parts(head, Body::new(body))
}

/// The answer to a call whose handler panicked; the text of the panic stays in the log.
pub(crate) fn panicked(path: &str, panic: &(dyn Any + Send)) -> Status {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(rpc.method = path, panic = text.unwrap_or("not a text"), "a handler panicked; this is a bug");
    refusal(&wording::INTERNAL, &[])
}

/// The answer to a call that was not ready in time.
pub(crate) fn out_of_time() -> Status {
    refusal(&wording::DEADLINE_EXCEEDED, &[])
}

/// The answer to a call that found the process full.
pub(crate) fn overloaded() -> Status {
    refusal(&wording::PROCESS_FULL, &[])
}

/// What a client sees if there was no answer. tonic says CANCELLED for two things that the caller did not cancel: the client's own
/// deadline, and a connection that was told to go while the call still waited to be sent. The latter is safe to send again.
pub(crate) fn of_transport(error: transport::Error) -> Status {
    let status = Status::from_error(Box::new(error));
    match (status.code(), status.message()) {
        (Code::Cancelled, "Timeout expired") => Status::deadline_exceeded("no answer within the deadline"),
        (Code::Cancelled, "operation was canceled") => {
            Status::unavailable("the connection was closed before the call was sent; nothing was done")
        }
        _ => status,
    }
}

fn shutting_down() -> Status {
    refusal(&wording::SHUTTING_DOWN, &[])
}

fn translate_headers(headers: &mut HeaderMap) {
    if headers.contains_key(Status::GRPC_STATUS_DETAILS) {
        return;
    }
    if let Some(status) = Status::from_header_map(headers).as_ref().and_then(meaning) {
        put(&status, headers);
    }
}

fn put(status: &Status, headers: &mut HeaderMap) {
    // Fails only for a message that is no header value, and a message is escaped before.
    if status.add_header(headers).is_err() {
        tracing::error!(code = ?status.code(), "a status could not be written as headers");
    }
}

fn meaning(status: &Status) -> Option<Status> {
    let (code, text) = (status.code(), status.message());
    let begins = |known: &[&str]| known.iter().any(|known| text.starts_with(known));
    if code == Code::OutOfRange && begins(&TOO_LARGE) {
        return Some(refusal(&wording::MESSAGE_TOO_LARGE, &[("fault", text.to_owned())]));
    }
    if code == Code::Internal && begins(&MALFORMED) {
        return Some(refusal(&wording::MALFORMED_MESSAGE, &[("fault", text.to_owned())]));
    }
    if code == Code::Cancelled && text == "Timeout expired" {
        return Some(out_of_time());
    }
    if code == Code::Unimplemented && text.is_empty() {
        return Some(refusal(&wording::UNKNOWN_METHOD, &[]));
    }
    None
}

/// A response body whose last status is translated, whose panics become a status, and which ends when the server stops and
/// nothing more is to come at once: else one open watch would hold up every shutdown.
struct Translated {
    inner: Option<Body>,
    path: String,
    stopping: Stopping,
    /// Of the call; it ends with the body.
    span: Span,
    /// Of the call: what is said in the body is said in it, too.
    language: Option<Language>,
}

type Data = <Body as HttpBody>::Data;

/// Waiting for the stop costs something, so it begins only when a body has to wait.
enum Stopping {
    Unasked(CancellationToken),
    Asked(Pin<Box<WaitForCancellationFutureOwned>>),
    /// The body sees to it.
    NotHere,
}

impl Stopping {
    fn has_begun(&mut self, cx: &mut Context<'_>) -> bool {
        if let Self::Unasked(token) = self {
            *self = Self::Asked(Box::pin(token.clone().cancelled_owned()));
        }
        match self {
            Self::Unasked(token) => token.is_cancelled(),
            Self::Asked(stop) => stop.poll_unpin(cx).is_ready(),
            Self::NotHere => false,
        }
    }
}

impl Translated {
    fn end<T, E>(&mut self, status: &Status) -> Poll<Option<Result<Frame<T>, E>>> {
        self.inner = None;
        let mut trailers = HeaderMap::new();
        put(status, &mut trailers);
        trace::ended(&self.span, &trailers);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Data>, Status>>> {
        let Some(body) = self.inner.as_mut() else { return Poll::Ready(None) };
        match catch_unwind(AssertUnwindSafe(|| Pin::new(body).poll_frame(cx))) {
            Err(panic) => {
                let status = panicked(&self.path, &*panic);
                self.end(&status)
            }
            Ok(Poll::Pending) if self.stopping.has_begun(cx) => self.end(&shutting_down()),
            Ok(Poll::Ready(Some(Ok(mut frame)))) => {
                if let Some(trailers) = frame.trailers_mut() {
                    translate_headers(trailers);
                    trace::ended(&self.span, trailers);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Ok(other) => other,
        }
    }
}

impl HttpBody for Translated {
    type Data = Data;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        language::say_in(self.language, || self.poll_part(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::StatusExt;

    fn told(status: &Status) -> (Code, String) {
        let (mut head, ()) = status.clone().into_http::<()>().into_parts();
        translate_headers(&mut head.headers);
        let status = Status::from_header_map(&head.headers).unwrap();
        (status.code(), status.get_details_error_info().map_or(String::new(), |info| info.reason))
    }

    #[test]
    fn a_handlers_own_status_passes_untouched() {
        let own = refusal(&wording::INTERNAL, &[]);
        assert_eq!(told(&own), (Code::Internal, "INTERNAL".into()));
        assert_eq!(told(&Status::internal("something else")), (Code::Internal, String::new()));
        assert_eq!(told(&Status::out_of_range("page")), (Code::OutOfRange, String::new()));
    }

    #[test]
    fn the_timeout_of_tonic_is_a_deadline_exceeded() {
        assert_eq!(told(&Status::cancelled("Timeout expired")), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".into()));
        assert_eq!(told(&Status::cancelled("client cancelled")), (Code::Cancelled, String::new()));
    }
}
