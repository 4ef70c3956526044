//! The two listeners of a service. In flow a bound socket, routes and a token that says stop; calls are served within [`Limits`]
//! until then, and for at most the drain time after. Which methods there are is not known here.

use crate::{
    accept::accept,
    auth::PeerToken,
    guard::{Door, Gate, Guard},
};
use std::{future::Future, ops::RangeInclusive, time::Duration};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    service::Routes,
    transport::{Error, Server},
};
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_reflection::server::Builder as Reflection;

/// What one listener takes on. A service sets `decode` and `encode` on each of its generated servers; the rest is set here.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once; more wait.
    pub connections: usize,
    /// Connections at once from one address; more are closed.
    pub connections_per_address: usize,
    /// Time from connecting to the end of the HTTP/2 preface.
    pub handshake: Duration,
    /// Open calls that a client is told it may have on one connection.
    pub concurrent_streams: u32,
    /// Calls being worked on for one connection; more wait.
    pub in_flight_per_connection: usize,
    /// Calls being worked on in the process; more are refused (`OVERLOADED`).
    pub in_flight: usize,
    /// Calls reset by the client before they were looked at; more end the connection.
    pub pending_accept_resets: usize,
    /// Calls reset here because of the client's errors; more end the connection.
    pub local_error_resets: usize,
    /// Bytes of headers.
    pub header_list: u32,
    /// Bytes of a request.
    pub decode: usize,
    /// Bytes of a response.
    pub encode: usize,
    /// Flow-control window of a call.
    pub stream_window: u32,
    /// Flow-control window of a connection.
    pub connection_window: u32,
    /// Bytes of an HTTP/2 frame.
    pub frame: u32,
    /// Longest time until a call is answered.
    pub timeout: Duration,
    /// A silent connection is asked for a sign of life so often.
    pub keepalive_interval: Duration,
    /// And must give it within this time.
    pub keepalive_timeout: Duration,
    /// Age at which a connection is told to go, each listener taking one of these at random.
    pub connection_age: RangeInclusive<Duration>,
}

impl Limits {
    /// Of the listener for callers.
    pub const PUBLIC: Self = Self {
        connections: 2_000,
        connections_per_address: 200,
        handshake: Duration::from_secs(5),
        concurrent_streams: 1_024,
        in_flight_per_connection: 1_024,
        in_flight: 2_048,
        pending_accept_resets: 20,
        local_error_resets: 256,
        header_list: 16 * 1024,
        decode: 256 * 1024,
        encode: 4 * 1024 * 1024,
        stream_window: 64 * 1024,
        connection_window: 1024 * 1024,
        frame: 16 * 1024,
        timeout: Duration::from_secs(10),
        keepalive_interval: Duration::from_secs(30),
        keepalive_timeout: Duration::from_secs(10),
        connection_age: RangeInclusive::new(Duration::from_secs(270), Duration::from_secs(330)),
    };

    /// Of the listener for the other service.
    pub const PEER: Self = Self {
        connections: 64,
        connections_per_address: 64,
        concurrent_streams: 64,
        in_flight_per_connection: 32,
        in_flight: 64,
        decode: 1024 * 1024,
        encode: 1024 * 1024,
        stream_window: 256 * 1024,
        timeout: Duration::from_secs(5),
        keepalive_interval: Duration::from_secs(10),
        keepalive_timeout: Duration::from_secs(5),
        ..Self::PUBLIC
    };
}

/// Serves the public listener, every call through the gate, until `stop`, then says NOT_SERVING, takes no more connections, and finishes what is under way.
/// Returns when that is done, at the latest `drain` after `stop`; whatever is open then is cut.
pub async fn serve_public(
    listener: TcpListener,
    routes: Routes,
    health: Health,
    gate: Gate,
    stop: CancellationToken,
    drain: Duration,
) -> Result<(), Error> {
    let stop = async move {
        stop.cancelled().await;
        health.stop().await;
    };
    serve(listener, routes, Door::Public(gate), Limits::PUBLIC, stop, drain).await
}

/// Serves the peer listener until `stop`, then as [`serve_public`]. With a token, every call must show it.
pub async fn serve_peer(
    listener: TcpListener,
    routes: Routes,
    token: Option<PeerToken>,
    stop: CancellationToken,
    drain: Duration,
) -> Result<(), Error> {
    serve(listener, routes, Door::Peer(token), Limits::PEER, stop.cancelled_owned(), drain).await
}

pub(crate) async fn serve(
    listener: TcpListener,
    routes: Routes,
    door: Door,
    limits: Limits,
    stop: impl Future<Output = ()>,
    drain: Duration,
) -> Result<(), Error> {
    let (stopping, abort) = (CancellationToken::new(), CancellationToken::new());
    let _connections_end_with_this_call = abort.clone().drop_guard();
    let incoming = accept(listener, &limits, abort);
    let server = configured(&limits);
    let guard = Guard::new(routes, door, limits, stopping.clone());
    let signal = async {
        stop.await;
        stopping.cancel();
    };
    let drained = async {
        stopping.cancelled().await;
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        result = server.serve_with_incoming_shutdown(guard, incoming, signal) => result,
        () = drained => {
            tracing::warn!(?drain, "some connections were still open at the end of the drain time; they are cut");
            Ok(())
        }
    }
}

/// Everything explicit: tonic would switch off two protections of hyper that it does not set. The age of connections spreads
/// clients over replicas again; it has no grace, since with one tonic cuts calls instead of saying GOAWAY.
fn configured(limits: &Limits) -> Server {
    let (youngest, oldest) = (*limits.connection_age.start(), *limits.connection_age.end());
    Server::builder()
        .accept_http1(false)
        .max_concurrent_streams(limits.concurrent_streams)
        .concurrency_limit_per_connection(limits.in_flight_per_connection)
        .http2_max_pending_accept_reset_streams(Some(limits.pending_accept_resets))
        .http2_max_local_error_reset_streams(Some(limits.local_error_resets))
        .http2_max_header_list_size(limits.header_list)
        .initial_stream_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .http2_adaptive_window(Some(false))
        .max_frame_size(limits.frame)
        .http2_keepalive_interval(Some(limits.keepalive_interval))
        .http2_keepalive_timeout(Some(limits.keepalive_timeout))
        .max_connection_age(youngest + (oldest - youngest).mul_f64(fastrand::f64()))
}

/// Whether the service can do its work, as `grpc.health.v1.Health` tells it: for `""` and each service by its name.
/// The name `liveness` is always SERVING: it says only that the process answers.
#[derive(Clone, Debug)]
pub struct Health {
    reporter: HealthReporter,
    services: Vec<&'static str>,
    stopped: CancellationToken,
}

impl Health {
    /// Tells whether calls can be served, for readiness. Once the server is stopping it stays NOT_SERVING.
    pub async fn set(&self, serving: bool) {
        let status =
            if serving && !self.stopped.is_cancelled() { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in &self.services {
            self.reporter.set_service_status(service, status).await;
        }
    }

    async fn stop(&self) {
        self.stopped.cancel();
        self.set(false).await;
    }
}

/// Adds health and reflection (v1 and v1alpha, as tools ask for either) of the named services to the routes of a public listener.
/// Everything is SERVING from the start.
pub async fn with_health_and_reflection(
    routes: Routes,
    services: &[&'static str],
) -> Result<(Routes, Health), tonic_reflection::server::Error> {
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let named = [&[""], services].concat();
    let health = Health { reporter, services: named, stopped: CancellationToken::new() };
    health.set(true).await;
    health.reporter.set_service_status("liveness", ServingStatus::Serving).await;
    let reflection = || {
        services.iter().fold(
            Reflection::configure()
                .register_encoded_file_descriptor_set(crm_proto::DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .with_service_name("grpc.health.v1.Health"),
            |builder, service| builder.with_service_name(*service),
        )
    };
    let routes = routes
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    Ok((routes, health))
}
