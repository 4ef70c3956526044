//! The opportunity service, the sales side: opportunities, selling tasks, the relationship with customers.
//!
//! Reading order, along a call: `api` (a file for each public service), `convert` (protobuf to domain and back), `service` (the
//! batch as the writer sees it), `domain` (the rules, pure), `store` (what a batch locks and loads), `sweep` (what is stale now),
//! `grouped` (what a customer's close-out still has to do), `audience` (whom a campaign may reach). What the peer calls comes in
//! through [`crm_api::inbox`] and takes the same path.

mod api;
mod audience;
mod config;
mod convert;
pub mod domain;
mod grouped;
mod service;
mod store;
mod sweep;

use crm_api::host::{self, Host, HostError};
use crm_outbox::{
    db::{Db, Migration},
    migration,
};
use std::net::SocketAddr;
use tokio_util::sync::CancellationToken;

pub use config::{Action, Config};

/// The service with its listeners open.
#[derive(Debug)]
pub struct App(Host);

impl App {
    /// Opens everything and takes the ports, so that a bad setting fails at once.
    pub async fn bind(config: Config) -> Result<Self, HostError> {
        Host::bind(&config.into(), MIGRATIONS).await.map(Self)
    }

    /// Brings the schema of a database up to date.
    pub async fn migrate(database_url: &str) -> Result<(), HostError> {
        host::migrate(database_url, MIGRATIONS).await
    }

    /// Where the public API listens.
    pub fn public_addr(&self) -> SocketAddr {
        self.0.addresses().0
    }

    /// Where the peer listener listens.
    pub fn peer_addr(&self) -> SocketAddr {
        self.0.addresses().1
    }

    /// Where metrics are served, if anywhere.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.0.metrics_address()
    }

    /// The database, for tests that look at it.
    pub fn db(&self) -> Db {
        self.0.db()
    }

    /// Serves until `shutdown` is cancelled, then ends in order. `peers` are the peer listeners of the other service,
    /// one for each of its processes.
    pub async fn serve(self, peers: &[String], shutdown: CancellationToken) -> Result<(), HostError> {
        let routes = |front| api::routes(&front);
        self.0.serve::<service::Opportunities>(peers, api::SERVICES, routes, shutdown).await
    }
}

/// The schema of the service's own tables.
pub(crate) const MIGRATIONS: &[Migration] = &[
    migration!(1001, "opportunity"),
    migration!(1002, "lists"),
    migration!(1003, "search"),
    migration!(1004, "pipeline"),
    migration!(1005, "fast_path"),
    migration!(1006, "competitor"),
    migration!(1007, "won_policy"),
    migration!(1008, "approval"),
    migration!(1009, "hold"),
    migration!(1010, "stale"),
    migration!(1011, "group"),
    migration!(1012, "win_back"),
];
