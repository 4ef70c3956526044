//! What both services do to run: open the database, take the ports, join writer, relay and listeners, and end in order.

use crate::{access, bulk, duties, front::Front, inbox::Inbox, peer::Peer, trace, watch::Watches};
use crm_closeout::ids;
use crm_outbox::{
    batch::Domain,
    db::{Db, Error, Migration},
    job,
    relay::{self, PeerState, Peers},
    settle, writer,
};
use crm_proto::peer::{
    ApplyRequest, ApplyResponse, peer_service_client::PeerServiceClient, peer_service_server::PeerServiceServer,
};
use crm_runtime::{
    auth::{self, PeerToken, TokenError},
    channel::{self, ChannelError, PeerChannel},
    metrics::{self, Metrics, MetricsError},
    server::{self, Limits},
};
use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
    task::JoinError,
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// Most bytes of the peer's answer to a full batch: 256 outcomes with 101 effects each, some 300 bytes an effect.
const REPLY: usize = 8 * 1_024 * 1_024;

/// What a service needs to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the public API listens.
    pub listen: SocketAddr,
    /// Where the peer listener listens.
    pub peer_listen: SocketAddr,
    /// The database.
    pub database_url: String,
    /// Take identity from metadata although the listener is not on loopback.
    pub trust_metadata_identity: bool,
    /// Roles of callers of whom none are told.
    pub default_roles: Vec<String>,
    /// File with the token both peers show.
    pub peer_token_file: Option<PathBuf>,
    /// How long calls under way get to finish.
    pub drain: Duration,
    /// Where metrics are served, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
}

/// Why a service can not run.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A setting is not allowed.
    #[error("{0}")]
    Setting(String),
    /// The peer token can not be read.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The database can not be opened.
    #[error("{url}: {source}")]
    Database {
        /// Which, without a password.
        url: String,
        /// Why.
        source: Error,
    },
    /// A port can not be taken.
    #[error("{address}: {source}; another process may be listening there")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The peer's address is not one.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// There are no metrics.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A listener failed.
    #[error("a listener failed: {0}")]
    Serve(String),
    /// A part of the service ended by a panic.
    #[error("a part of the service broke off: {0}")]
    Broken(#[from] JoinError),
}

/// A service with its database open and its ports taken.
#[derive(Debug)]
pub struct Host {
    db: Db,
    public: TcpListener,
    peer: TcpListener,
    addresses: (SocketAddr, SocketAddr),
    metrics: Option<(TcpListener, Metrics)>,
    token: Option<PeerToken>,
    default_roles: Vec<String>,
    drain: Duration,
}

impl Host {
    /// Opens everything, so that a bad setting fails at once. The embedded database is brought up to date here; any other by
    /// [`migrate`].
    pub async fn bind(settings: &Settings, migrations: &[Migration]) -> Result<Self, HostError> {
        let token = settings.peer_token_file.as_deref().map(PeerToken::read).transpose()?;
        auth::identity_allowed(settings.listen, settings.trust_metadata_identity).map_err(HostError::Setting)?;
        let unknown = settings.default_roles.iter().find(|role| !ids::is_id(role));
        if let Some(role) = unknown {
            return Err(HostError::Setting(format!("`{role}` is no name of a role, such as sales")));
        }
        auth::peer_allowed(settings.peer_listen, token.as_ref()).map_err(HostError::Setting)?;
        let db = open(&settings.database_url).await?;
        let ready = if db.is_embedded() { db.migrate(migrations).await } else { db.check_schema(migrations).await };
        ready.map_err(|source| HostError::Database { url: without_password(&settings.database_url), source })?;
        let public = listen(settings.listen).await?;
        let peer = listen(settings.peer_listen).await?;
        let metrics = match settings.metrics_listen {
            Some(address) => Some((listen(address).await?, metrics::start()?)),
            None => None,
        };
        let address = |listener: &TcpListener, asked: SocketAddr| listener.local_addr().unwrap_or(asked);
        let addresses = (address(&public, settings.listen), address(&peer, settings.peer_listen));
        let default_roles = settings.default_roles.clone();
        Ok(Self { db, public, peer, addresses, metrics, token, default_roles, drain: settings.drain })
    }

    /// Where the public API and the peer listener listen.
    pub fn addresses(&self) -> (SocketAddr, SocketAddr) {
        self.addresses
    }

    /// The database, for tests that look at it.
    pub fn db(&self) -> Db {
        self.db.clone()
    }

    /// Where metrics are served.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().and_then(|(listener, _)| listener.local_addr().ok())
    }

    /// Serves until `shutdown`, then ends in order: no new calls, calls under way finish, the relay sends what it holds, the
    /// writer empties, the database closes.
    pub async fn serve<D: Domain>(
        mut self,
        peers: &[String],
        services: &[&'static str],
        routes: impl FnOnce(Front<D>) -> Routes,
        shutdown: CancellationToken,
    ) -> Result<(), HostError> {
        let channels = peers.iter().map(|url| channel::connect(url, self.token.clone()));
        let channels: Arc<[PeerChannel]> = channels.collect::<Result<_, _>>()?;
        if channels.is_empty() {
            return Err(HostError::Setting("the address of the other service's peer listener is missing".into()));
        }
        let (committed, handover) = mpsc::channel(relay::HANDOVER);
        let (writer, courier, desk) = writer::writer::<D>(self.db.clone(), committed);
        let state = PeerState::default();
        let peer = Peer::new(state.clone(), channels.clone());
        let stop_relay = CancellationToken::new();
        let mut desk = tokio::spawn(desk.work());
        // They are the first to stop: nobody waits for them.
        let stop_duties = shutdown.child_token();
        let hands = Arc::new(duties::Hands {
            writer: writer.clone(),
            db: self.db.clone(),
            peer: peer.clone(),
            places: Semaphore::new(duties::AT_ONCE),
            stop: stop_duties.clone(),
        });
        let duty = move |job| {
            let hands = hands.clone();
            async move { hands.carry_out(job).await }
        };
        let duties = tokio::spawn(job::work(self.db.clone(), duty, stop_duties.clone()));
        let mut relay = tokio::spawn(relay::relay(
            self.db.clone(),
            courier,
            handover,
            Peers {
                addresses: peers.to_vec(),
                deliver: move |peer: usize, request| deliver(channels[peer].clone(), request),
            },
            state,
            stop_relay.clone(),
        ));
        if let Some((listener, metrics)) = self.metrics.take() {
            tokio::spawn(show_metrics(listener, metrics, self.db.clone(), stop_relay.clone()));
        }
        let inbox = PeerServiceServer::new(Inbox::new(writer.clone()))
            .max_decoding_message_size(Limits::PEER.decode)
            .max_encoding_message_size(REPLY);
        let db = self.db.clone();
        let bulk = Arc::new(Semaphore::new(bulk::CALLS));
        let front = Front { writer, db: db.clone(), peer, bulk, watches: Watches::default() };
        // A service whose writer or relay broke off must not go on answering.
        let served = tokio::select! {
            served = Box::pin(self.listeners(routes(front), Routes::new(inbox), services, shutdown)) => served,
            broken = &mut desk => return Err(ended(broken)),
            broken = &mut relay => return Err(ended(broken)),
        };
        stop_relay.cancel();
        stop_duties.cancel();
        duties.await?;
        relay.await?;
        desk.await?;
        db.close().await;
        served
    }

    async fn listeners(
        self,
        public: Routes,
        peer: Routes,
        services: &[&'static str],
        shutdown: CancellationToken,
    ) -> Result<(), HostError> {
        let (public, health) = server::with_health_and_reflection(public, services)
            .await
            .map_err(|error| HostError::Serve(error.to_string()))?;
        health.set(true).await;
        let gate = access::gate(self.db, self.default_roles);
        let public = server::serve_public(self.public, public, health, gate, shutdown.clone(), self.drain);
        let peer = server::serve_peer(self.peer, peer, self.token, shutdown.clone(), self.drain);
        // If one listener fails, the other has to end as well.
        let (public, peer) = tokio::join!(
            async {
                let result = public.await;
                shutdown.cancel();
                result
            },
            async {
                let result = peer.await;
                shutdown.cancel();
                result
            }
        );
        public.and(peer).map_err(|error| HostError::Serve(error.to_string()))
    }
}

/// Metrics are there until the last message is sent; without them a service goes on.
async fn show_metrics(listener: TcpListener, metrics: Metrics, db: Db, stop: CancellationToken) {
    crm_outbox::metrics::statements(db.clone());
    let refresh = move || {
        let db = db.clone();
        async move {
            match settle::backlog(&db).await {
                Ok(backlog) => crm_outbox::metrics::backlog(backlog),
                Err(error) => tracing::debug!(%error, "what waits in the outbox can not be counted now"),
            }
        }
    };
    if let Err(error) = metrics.serve(listener, refresh, stop).await {
        tracing::warn!(%error, "metrics are no longer served");
    }
}

fn ended(how: Result<(), JoinError>) -> HostError {
    match how {
        Ok(()) => HostError::Serve("writer or relay ended before their time".into()),
        Err(error) => HostError::Broken(error),
    }
}

/// Brings the schema of a database up to date.
pub async fn migrate(url: &str, migrations: &[Migration]) -> Result<(), HostError> {
    let db = open(url).await?;
    let done = db.migrate(migrations).await;
    db.close().await;
    done.map_err(|source| HostError::Database { url: without_password(url), source })
}

async fn open(url: &str) -> Result<Db, HostError> {
    Db::open(url).await.map_err(|source| HostError::Database { url: without_password(url), source })
}

/// A database address that may be shown.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://{place}"),
        _ => url.to_owned(),
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, HostError> {
    TcpListener::bind(address).await.map_err(|source| HostError::Listen { address, source })
}

async fn deliver(channel: PeerChannel, messages: ApplyRequest) -> Result<ApplyResponse, tonic::Status> {
    let mut client =
        PeerServiceClient::new(channel).max_decoding_message_size(REPLY).max_encoding_message_size(Limits::PEER.encode);
    let (request, passages) = trace::deliver(messages);
    let answer = client.apply(request).await.map(tonic::Response::into_inner);
    trace::delivered(&passages, &answer);
    answer
}
