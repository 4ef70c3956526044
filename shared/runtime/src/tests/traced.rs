//! Which trace a call is in, and what its span says.

use super::*;
use crate::{
    telemetry,
    trace::{self, Scope},
};
use opentelemetry::{
    Value,
    trace::{SpanKind, Status as SpanStatus, TracerProvider},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use std::sync::Mutex;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn given() -> String {
    format!("00-{TRACE}-{PARENT}-01")
}

#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

/// Keeps the spans of this thread.
struct Keeping {
    kept: Kept,
    _provider: SdkTracerProvider,
    _subscriber: DefaultGuard,
}

impl Keeping {
    fn new() -> Self {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
        let layer = telemetry::spans(provider.tracer("test"));
        let subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        Self { kept, _provider: provider, _subscriber: subscriber }
    }

    /// The span of a call with this name, in the trace of `given` if that can be read.
    async fn of_call(&self, server: &Running, name: &str, given: &str) -> SpanData {
        let mut request = Request::new(pb::GetCustomerRequest { name: name.into() });
        request.metadata_mut().insert(trace::TRACE_PARENT, given.parse().unwrap());
        // How it ended is what the span says.
        let _ = CustomerServiceClient::new(server.channel(None)).get_customer(request).await;
        let span = async {
            loop {
                if let Some(span) = self.kept.0.lock().unwrap().pop() {
                    break span;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, span).await.unwrap()
    }
}

fn attribute(span: &SpanData, key: &str) -> Option<Value> {
    span.attributes.iter().find(|attribute| attribute.key.as_str() == key).map(|attribute| attribute.value.clone())
}

#[tokio::test]
async fn a_call_is_in_the_trace_of_its_caller() {
    let (keeping, server) = (Keeping::new(), Running::start(Limits::PUBLIC, None).await);
    let span = keeping.of_call(&server, "ok", &given()).await;
    assert_eq!(
        (span.span_context.trace_id().to_string(), span.parent_span_id.to_string()),
        (TRACE.into(), PARENT.into())
    );
    assert!(span.parent_span_is_remote && span.span_kind == SpanKind::Server);
    assert_eq!(span.name, GET.trim_start_matches('/'));
    assert_eq!(attribute(&span, "rpc.method"), Some(GET.trim_start_matches('/').to_owned().into()));
    assert_eq!(attribute(&span, "rpc.system.name"), Some("grpc".into()));
    assert_eq!(attribute(&span, "rpc.response.status_code"), Some("OK".into()));
    assert_eq!((attribute(&span, "error.type"), span.status), (None, SpanStatus::Unset));
}

#[tokio::test]
async fn only_a_fault_of_the_server_is_an_error_of_the_span() {
    let (keeping, server) = (Keeping::new(), Running::start(Limits::PUBLIC, None).await);
    for (name, code, fault) in
        [("large", "RESOURCE_EXHAUSTED", false), ("panic", "INTERNAL", true), ("refuse", "INTERNAL", true)]
    {
        let span = keeping.of_call(&server, name, &given()).await;
        assert_eq!(attribute(&span, "rpc.response.status_code"), Some(code.into()), "{name}");
        assert_eq!(matches!(span.status, SpanStatus::Error { .. }), fault, "{name}");
        assert_eq!(attribute(&span, "error.type"), fault.then(|| code.into()), "{name}");
    }
}

#[tokio::test]
async fn what_can_not_be_read_begins_a_new_trace() {
    let (keeping, server) = (Keeping::new(), Running::start(Limits::PUBLIC, None).await);
    let nil = format!("00-{}-{PARENT}-01", "0".repeat(32));
    for given in ["", "00", &nil, &given().to_uppercase(), &given().replace("00-", "ff-"), "a b c d"] {
        let span = keeping.of_call(&server, "ok", given).await;
        assert!(span.span_context.trace_id().to_string() != TRACE && !span.parent_span_is_remote, "{given}");
        assert_eq!(attribute(&span, "rpc.response.status_code"), Some("OK".into()), "{given}");
    }
}

#[tokio::test]
async fn what_is_not_sampled_is_not_shown_but_passed_on() {
    let keeping = Keeping::new();
    let span = tracing::trace_span!(target: trace::TARGET, "test");
    let next = trace::join(&span, &given().replace("-01", "-00"));
    assert!(next.starts_with(&format!("00-{TRACE}-")) && next.ends_with("-00") && !next.contains(PARENT), "{next}");
    drop(span);
    assert!(keeping.kept.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn health_has_no_span() {
    let request =
        |path: &str| http::Request::builder().uri(path).header(trace::TRACE_PARENT, given()).body(()).unwrap();
    let _keeping = Keeping::new();
    assert!(matches!(Scope::of(&request("/grpc.health.v1.Health/Check")), Scope::None));
    assert!(matches!(Scope::of(&request(GET)), Scope::Span(_)));
}

#[tokio::test]
async fn where_nobody_takes_spans_the_caller_s_trace_is_passed_on() {
    let request = |given: &str| http::Request::builder().uri(GET).header(trace::TRACE_PARENT, given).body(()).unwrap();
    let here = |given: &str| Scope::of(&request(given)).around(async { trace::here() });
    assert_eq!(here(&given()).await, given());
    assert_eq!(here("nonsense").await, "");
    assert_eq!(trace::join(&tracing::Span::none(), &given()), given());
}
