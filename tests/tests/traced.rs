//! A close-out is one trace, from the caller's call through both services and back, whoever delivers its messages and when; and a
//! collector that is gone costs nothing but the traces.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_checker::History;
use crm_proto::common::TaskKind;
use crm_tests::{
    client::{Client, closing},
    collector::{Collector, Span},
    pair::Pair,
    place::Kind,
    process::{Service, free_port},
    stories,
};
use std::{
    net::TcpListener,
    time::{Duration, Instant},
};
use tonic::Request;

stories!(through_both_services, after_a_kill, without_a_collector);

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const CLOSE: &str = "crm.opportunity.v1.OpportunityService/CloseOutOpportunity";
const APPLY: &str = "crm.closeout.v1.PeerService/Apply";

/// Both services with a collector, and a client whose calls the history may lack.
async fn pair(kind: Kind, collector: &str, environment: &[(&str, &str)]) -> Pair {
    let mut pair = Pair { history: History::default(), ..Pair::new(kind).await };
    let traced = [
        ("OPPORTUNITY_OTLP_ENDPOINT", collector),
        ("ORDER_OTLP_ENDPOINT", collector),
        ("OPPORTUNITY_LOG_FORMAT", "json"),
        ("ORDER_LOG_FORMAT", "json"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("RUST_LOG", "info,crm_runtime=debug,crm_api=debug"),
    ];
    pair.order.start(&traced).await;
    pair.opportunity.start(&[&traced, environment].concat()).await;
    pair
}

/// An opportunity with an order task for it and a draft order, known on both sides.
async fn deal(pair: &Pair, client: &Client) -> String {
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    client.order(&customer, &opportunity).await;
    client.order_task(&opportunity, TaskKind::Procure).await;
    pair.quiet().await;
    opportunity
}

/// Closes an opportunity out, as part of the caller's trace.
async fn close(client: &Client, opportunity: &str) -> Result<(), tonic::Status> {
    let mut request = Request::new(closing(opportunity));
    request.metadata_mut().insert("traceparent", format!("00-{TRACE}-{CALLER}-01").parse().unwrap());
    client.opportunities.clone().close_out_opportunity(request).await.map(drop)
}

fn named<'a>(spans: &'a [Span], name: &str, service: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.name == name && span.service == service);
    let span = found.next().unwrap_or_else(|| unreachable!("no {name} of {service}: {spans:#?}"));
    assert!(found.next().is_none(), "{name} of {service} comes twice: {spans:#?}");
    span
}

async fn through_both_services(kind: Kind) {
    let collector = Collector::started();
    let mut pair = pair(kind, &collector.url(), &[]).await;
    let client = pair.client();
    let opportunity = deal(&pair, &client).await;
    close(&client, &opportunity).await.unwrap();
    pair.quiet().await;
    collector.trace(TRACE, &["apply opportunity", "apply order"]).await;
    let processes = [&pair.opportunity, &pair.order].map(|service| i64::from(service.id()));
    let logs = [pair.opportunity.log(), pair.order.log()];
    // Whatever is still to be sent is sent at the end.
    ended(&mut pair.opportunity).await;
    ended(&mut pair.order).await;

    let spans = collector.trace(TRACE, &[]).await;
    let chain = [
        (CLOSE, "opportunity-service", CALLER),
        ("commit", "opportunity-service", CLOSE),
        ("deliver opportunity", "opportunity-service", "commit"),
        (APPLY, "order-service", "deliver opportunity"),
        ("apply opportunity", "order-service", "deliver opportunity"),
        ("deliver order", "order-service", "apply opportunity"),
        (APPLY, "opportunity-service", "deliver order"),
        ("apply order", "opportunity-service", "deliver order"),
    ];
    assert_eq!(spans.len(), chain.len(), "{spans:#?}");
    for (name, service, parent) in chain {
        let span = named(&spans, name, service);
        let parents: Vec<_> = spans.iter().filter(|span| span.name == parent).map(|span| span.id.as_str()).collect();
        assert_eq!([span.parent.as_str()], if parent == CALLER { [CALLER] } else { [parents[0]] }, "{name}");
        assert_eq!(span.process, processes[usize::from(service == "order-service")], "{name}");
    }
    let close = named(&spans, CLOSE, "opportunity-service");
    assert_eq!(close.attributes["rpc.response.status_code"], "OK");
    for delivery in ["deliver opportunity", "deliver order", "apply opportunity", "apply order"] {
        let span = spans.iter().find(|span| span.name == delivery).unwrap();
        assert_eq!(span.attributes["message.outcome"], "APPLIED", "{delivery}");
    }
    // No span of the connection to the collector, and none of health.
    for span in collector.all() {
        let known = ["crm.", "commit", "deliver ", "apply "].iter().any(|begin| span.name.starts_with(begin));
        assert!(known, "{span:?}");
    }
    let [sales, trade] = logs.map(|log| lines(&log));
    says(&sales, close, &format!("/{CLOSE}"));
    says(&sales, named(&spans, APPLY, "opportunity-service"), &format!("/{APPLY}"));
    says(&trade, named(&spans, APPLY, "order-service"), &format!("/{APPLY}"));
    says(&sales, named(&spans, "deliver opportunity", "opportunity-service"), "APPLIED");
    says(&trade, named(&spans, "apply opportunity", "order-service"), "APPLIED");
    pair.end().await;
}

/// Ends in order; how long that takes.
async fn ended(service: &mut Service) -> Duration {
    let (status, took) = service.terminated().await;
    assert!(status.success(), "{status}");
    took
}

/// The lines of a log in JSON, those that the service has written itself.
fn lines(log: &[String]) -> Vec<serde_json::Value> {
    log.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A line of the log is about this span and has this word in it.
fn says(log: &[serde_json::Value], span: &Span, word: &str) {
    let about = |line: &&serde_json::Value| line["trace_id"] == *span.trace && line["span_id"] == *span.id;
    assert!(log.iter().filter(about).any(|line| line.to_string().contains(word)), "nothing about {span:?}: {log:#?}");
}

async fn after_a_kill(kind: Kind) {
    let collector = Collector::started();
    let mut pair = pair(kind, &collector.url(), &[]).await;
    let client = pair.client();
    let opportunity = deal(&pair, &client).await;
    let step = "origin-after-commit";
    pair.opportunity.kill();
    let url = collector.url();
    let traced = [("OPPORTUNITY_OTLP_ENDPOINT", url.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    pair.opportunity.start(&[&traced[..], &[("CLOSEOUT_FAILPOINT", step)]].concat()).await;
    let first = tokio::spawn({
        let (client, opportunity) = (pair.client(), opportunity.clone());
        async move { close(&client, &opportunity).await }
    });
    pair.opportunity.says(&format!("failpoint reached: {step}")).await;
    let killed = i64::from(pair.opportunity.id());
    pair.opportunity.kill();
    first.await.unwrap().unwrap_err();
    pair.opportunity.start(&traced).await;

    let spans = collector.trace(TRACE, &["deliver opportunity", "apply opportunity", "apply order"]).await;
    let delivered = named(&spans, "deliver opportunity", "opportunity-service");
    assert_eq!(delivered.process, i64::from(pair.opportunity.id()));
    assert_eq!(named(&spans, "apply opportunity", "order-service").parent, delivered.id);
    // What it was caused by was never sent: that process is gone.
    assert!(spans.iter().all(|span| span.id != delivered.parent && span.process != killed), "{spans:#?}");
    pair.end().await;
}

async fn without_a_collector(kind: Kind) {
    // One that is not there, and one that takes connections and never answers.
    let silent = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    for (port, warns) in [(free_port(), true), (silent.local_addr().unwrap().port(), false)] {
        let mut pair = pair(kind, &format!("http://127.0.0.1:{port}"), &[]).await;
        let client = pair.client();
        let opportunity = deal(&pair, &client).await;
        let begun = Instant::now();
        close(&client, &opportunity).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(1), "a call waits for the collector");
        pair.quiet().await;
        if warns {
            pair.opportunity.says("the collector takes no spans").await;
        }
        let took = ended(&mut pair.order).await.max(ended(&mut pair.opportunity).await);
        println!("ended within {took:?}");
        assert!(took < Duration::from_secs(4), "{took:?}");
        pair.end().await;
    }
}
