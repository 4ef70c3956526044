//! The trace that a call belongs to, in the form of W3C Trace Context. In flows what a caller or a message says of it; out come
//! spans, and what is said of it to whoever is called or caused from here. Where spans go is not known here: where nobody takes
//! them there are none, and what was said is passed on as it is.

use crate::answer::code_name;
use http::{HeaderMap, Request};
use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator},
    trace::{FutureExt, SpanContext, TraceContextExt},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use std::{future::Future, pin::Pin};
use tonic::Code;
use tracing::{Instrument, Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The target of spans of a trace. With the level TRACE it keeps them out of the log, and everything else out of the traces.
pub const TARGET: &str = "trace";
/// The header, and the metadata, that says which trace a call belongs to.
pub const TRACE_PARENT: &str = "traceparent";
/// Health and reflection are asked all day long, and lead nowhere.
const UNTRACED: &str = "/grpc.";

/// Trace and span of what is being done, to be said to whoever is called or caused by it; empty: it belongs to no trace.
pub fn here() -> String {
    Context::map_current(|context| written(context.span().span_context()))
}

/// Puts a span, before it is entered, into the trace that a trace parent names; one that can not be read is ignored. Answers what
/// is said to whoever is called or caused within the span: the span's own trace parent or, if nobody takes spans, the one given.
pub fn join(span: &Span, trace_parent: &str) -> String {
    let given = read(trace_parent);
    let own = begun(span, given.as_ref());
    own.or(given).map_or_else(String::new, |context| written(context.span().span_context()))
}

/// A span that begins here, with this parent; none if nobody takes it.
fn begun(span: &Span, parent: Option<&Context>) -> Option<Context> {
    if span.is_disabled() {
        return None;
    }
    if let Some(parent) = parent
        && let Err(error) = span.set_parent(parent.clone())
    {
        tracing::debug!(%error, "a span stays outside the trace of its caller");
    }
    Some(span.context()).filter(|context| context.span().span_context().is_valid())
}

/// The trace and the span whose work is being logged.
pub(crate) fn current() -> Option<SpanContext> {
    Context::map_current(|context| Some(context.span().span_context().clone()).filter(SpanContext::is_valid))
}

fn written(span: &SpanContext) -> String {
    if !span.is_valid() {
        return String::new();
    }
    format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8())
}

fn read(trace_parent: &str) -> Option<Context> {
    struct Said<'a>(&'a str);

    impl Extractor for Said<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            (key == TRACE_PARENT).then_some(self.0)
        }

        fn keys(&self) -> Vec<&str> {
            vec![TRACE_PARENT]
        }
    }

    if trace_parent.is_empty() {
        return None;
    }
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &Said(trace_parent));
    Some(context).filter(Context::has_active_span)
}

/// What a call of a listener belongs to.
pub(crate) enum Scope {
    /// Nothing.
    None,
    /// A span for it.
    Span(Span),
    /// The caller's trace, of which this process shows nothing.
    PassedOn(Context),
}

impl Scope {
    /// Of a call; made before anything of it is done, as a span that was entered can not join a trace any more.
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let path = request.uri().path();
        if path.starts_with(UNTRACED) {
            return Self::None;
        }
        let said = request.headers().get(TRACE_PARENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (span, given) = (server(path.trim_start_matches('/')), read(said));
        if begun(&span, given.as_ref()).is_some() {
            return Self::Span(span);
        }
        given.map_or(Self::None, Self::PassedOn)
    }

    /// The work of the call, within its scope.
    pub(crate) fn around<F>(self, work: F) -> Pin<Box<dyn Future<Output = F::Output> + Send>>
    where
        F: Future + Send + 'static,
    {
        match self {
            Self::None => Box::pin(work),
            Self::Span(span) => Box::pin(work.instrument(span)),
            Self::PassedOn(context) => Box::pin(work.with_context(context)),
        }
    }
}

fn server(method: &str) -> Span {
    tracing::trace_span!(
        target: TARGET,
        "rpc",
        otel.name = method,
        otel.kind = "server",
        otel.status_code = Empty,
        rpc.system.name = "grpc",
        rpc.method = method,
        rpc.response.status_code = Empty,
        "error.type" = Empty,
    )
}

/// Notes on the span of a call how it ended, if these headers or trailers say so. What the caller is to blame for is no error of
/// the span.
pub(crate) fn ended(span: &Span, headers: &HeaderMap) {
    if span.is_disabled() {
        return;
    }
    let Some(code) = headers.get("grpc-status") else { return };
    let code = Code::from_bytes(code.as_bytes());
    span.record("rpc.response.status_code", code_name(code));
    if matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    ) {
        failed(span, code);
    }
}

/// Notes on a span that what it stands for failed, and why.
pub fn failed(span: &Span, code: Code) {
    span.record("error.type", code_name(code));
    span.record("otel.status_code", "ERROR");
}
