//! Where spans of traces go: a collector that speaks OTLP over gRPC. In flow its URL and what calls itself the source; out comes
//! a provider that keeps a bounded queue and sends it from a thread of its own, so that a collector which is slow or gone
//! costs spans and nothing else. What spans say is not known here.

use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter as Otlp, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    resource::EnvResourceDetector,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use uuid::Uuid;

/// The address of a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector(String);

impl FromStr for Collector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri = text.parse::<http::Uri>().ok().filter(|uri| {
            let named = uri.host().is_some_and(|host| !host.is_empty()) && uri.port_u16().is_some();
            uri.scheme_str() == Some("http") && named && matches!(uri.path(), "" | "/")
        });
        match uri {
            Some(_) => Ok(Self(text.to_owned())),
            None => {
                Err("write the collector's OTLP/gRPC address as http://host:port, such as http://127.0.0.1:4317".into())
            }
        }
    }
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose spans they are.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Name of the service.
    pub service: &'static str,
    /// Its version.
    pub version: &'static str,
}

impl Source {
    /// What `OTEL_RESOURCE_ATTRIBUTES` says counts more.
    fn resource(self) -> Resource {
        Resource::builder_empty()
            .with_service_name(self.service)
            .with_attributes([
                KeyValue::new("service.version", self.version),
                KeyValue::new("service.instance.id", Uuid::now_v7().to_string()),
                KeyValue::new("process.pid", i64::from(std::process::id())),
            ])
            .with_detector(Box::new(EnvResourceDetector::new()))
            .build()
    }
}

/// Sends spans to this collector; must be called within a tokio runtime. An unreachable one shows at the first spans, in the log.
/// Sampling and sizes are those of OpenTelemetry's own environment variables (`OTEL_TRACES_SAMPLER`, `OTEL_BSP_...`).
pub(crate) fn start(collector: &Collector, source: Source) -> Result<SdkTracerProvider, String> {
    let exporter =
        Otlp::builder().with_tonic().with_endpoint(&collector.0).build().map_err(|error| error.to_string())?;
    let exporter = Watched { exporter, collector: collector.clone(), lost: AtomicBool::new(false) };
    Ok(SdkTracerProvider::builder().with_resource(source.resource()).with_batch_exporter(exporter).build())
}

/// Says once that spans are lost, and once that they arrive again.
#[derive(Debug)]
struct Watched {
    exporter: Otlp,
    collector: Collector,
    lost: AtomicBool,
}

impl SpanExporter for Watched {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let sent = self.exporter.export(batch).await;
        let was_lost = self.lost.swap(sent.is_err(), Ordering::Relaxed);
        match &sent {
            Err(error) if !was_lost => {
                tracing::warn!(collector = %self.collector, %error, "the collector takes no spans; they are lost until it does");
            }
            Ok(()) if was_lost => tracing::info!(collector = %self.collector, "the collector takes spans again"),
            Ok(()) | Err(_) => {}
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_addresses_of_collectors_are_taken() {
        for url in ["http://127.0.0.1:4317", "http://collector.monitoring:4317/"] {
            assert_eq!(url.parse::<Collector>().map(|collector| collector.to_string()), Ok(url.into()));
        }
        for url in ["", "127.0.0.1:4317", "https://host:4317", "http://host", "http://host:4318/v1/traces", "http://:1"]
        {
            assert!(url.parse::<Collector>().is_err(), "{url}");
        }
    }
}
