//! Metrics of the process, in Prometheus' text form at `/metrics` on a listener of their own. What is counted is not known here:
//! the instruments belong to the global meter provider, which [`start`] sets.

use axum::{Router, http::StatusCode, routing::get};
use opentelemetry::global;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};
use std::{
    future::{Future, IntoFuture},
    io,
    sync::Arc,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Everything that the process counts.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
}

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
#[error("the metrics can not be started: {0}")]
pub struct MetricsError(String);

/// Makes the meter provider of the process. What was counted before is not there.
pub fn start() -> Result<Metrics, MetricsError> {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .without_target_info()
        .build()
        .map_err(|error| MetricsError(error.to_string()))?;
    global::set_meter_provider(SdkMeterProvider::builder().with_reader(exporter).build());
    Ok(Metrics { registry })
}

impl Metrics {
    /// Serves `/metrics` until `stop`. `refresh` is run before each answer, for what is only known by looking.
    pub async fn serve<F, R>(self, listener: TcpListener, refresh: F, stop: CancellationToken) -> io::Result<()>
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send,
    {
        let (registry, refresh) = (self.registry, Arc::new(refresh));
        let show = move || {
            let (registry, refresh) = (registry.clone(), refresh.clone());
            async move {
                refresh().await;
                TextEncoder::new().encode_to_string(&registry.gather()).map_err(|error| {
                    tracing::error!(%error, "the metrics can not be written");
                    StatusCode::INTERNAL_SERVER_ERROR
                })
            }
        };
        let routes = Router::new().route("/metrics", get(show));
        tokio::select! {
            served = axum::serve(listener, routes).into_future() => served,
            () = stop.cancelled() => Ok(()),
        }
    }
}
