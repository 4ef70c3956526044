//! A collector that keeps the spans it is sent, by OTLP over gRPC as from any other service.

use crate::{place::QUIET, process::free_port};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span as Sent,
};
use std::{collections::BTreeMap, net::SocketAddr};
use tokio::{sync::watch, task::JoinHandle};
use tonic::{Request, Response, Status, transport::Server};

/// A span as it was sent.
#[derive(Clone, Debug)]
pub struct Span {
    /// Name of the service that sent it.
    pub service: String,
    /// Id of the process.
    pub process: i64,
    /// Its trace.
    pub trace: String,
    /// Its id.
    pub id: String,
    /// Id of the span that caused it; empty: none.
    pub parent: String,
    /// What it stands for.
    pub name: String,
    /// What else it says, in words.
    pub attributes: BTreeMap<String, String>,
}

/// A collector on a port of its own.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    spans: watch::Receiver<Vec<Span>>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Keeper(watch::Sender<Vec<Span>>);

#[tonic::async_trait]
impl TraceService for Keeper {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for sent in request.into_inner().resource_spans {
            let source = sent.resource.map(|resource| words(&resource.attributes)).unwrap_or_default();
            let spans: Vec<_> = sent.scope_spans.into_iter().flat_map(|scope| scope.spans).collect();
            self.0.send_modify(|kept| kept.extend(spans.iter().map(|span| read(&source, span))));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn read(source: &BTreeMap<String, String>, span: &Sent) -> Span {
    Span {
        service: source["service.name"].clone(),
        process: source["process.pid"].parse().unwrap(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        name: span.name.clone(),
        attributes: words(&span.attributes),
    }
}

fn words(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let value = |attribute: &KeyValue| attribute.value.as_ref()?.value.clone();
    let word = |attribute: &KeyValue| match value(attribute) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), word(attribute))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Collector {
    /// Listens.
    pub fn started() -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let (sender, spans) = watch::channel(Vec::new());
        let serving = Server::builder().add_service(TraceServiceServer::new(Keeper(sender))).serve(address);
        let server = tokio::spawn(async move { serving.await.unwrap() });
        Self { address, spans, server }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until among the spans of this trace there is one of each of these names, and answers all of them.
    pub async fn trace(&self, trace: &str, names: &[&str]) -> Vec<Span> {
        let of_trace = |spans: &[Span]| spans.iter().filter(|span| span.trace == trace).cloned().collect::<Vec<_>>();
        let complete = |spans: &Vec<Span>| {
            let spans = of_trace(spans);
            names.iter().all(|name| spans.iter().any(|span| span.name == *name))
        };
        let mut spans = self.spans.clone();
        let found = tokio::time::timeout(QUIET, spans.wait_for(complete)).await;
        match found {
            Ok(found) => of_trace(&found.unwrap()),
            Err(_) => panic!("not all of {names:?} came: {:#?}", of_trace(&self.spans.borrow())),
        }
    }

    /// Every span so far.
    pub fn all(&self) -> Vec<Span> {
        self.spans.borrow().clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}
