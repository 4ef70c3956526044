//! Both services inside this process: opened on their ports, each told where the other listens, stopped in order.

use crate::args::Databases;
use anyhow::{Context, anyhow};
use clap::Parser;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What a service gets to finish what is under way.
const DRAIN: Duration = Duration::from_secs(5);
/// When to give up waiting for a service that was told to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Both services, running.
#[derive(Debug)]
pub(crate) struct Embedded {
    /// Public API of the opportunity service.
    pub(crate) opportunity_url: String,
    /// Public API of the order service.
    pub(crate) order_url: String,
    services: JoinSet<(&'static str, anyhow::Result<()>)>,
    stop_opportunity: CancellationToken,
    stop_order: CancellationToken,
}

/// Where one service listens and keeps its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    listen: SocketAddr,
    peer_listen: SocketAddr,
    database_url: String,
}

/// Where both do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// The opportunity service.
    opportunity: Place,
    /// The order service.
    order: Place,
}

impl Places {
    /// Free ports of the loopback interface, SQLite in `folder` unless other databases are named.
    pub(crate) fn on_free_ports(folder: &Path, databases: &Databases) -> Self {
        Self::on_ports([0; 4], folder, databases)
    }

    /// The ports that clients expect.
    pub(crate) fn on_fixed_ports(folder: &Path, databases: &Databases) -> Self {
        Self::on_ports([50051, 50061, 50052, 50062], folder, databases)
    }

    fn on_ports(ports: [u16; 4], folder: &Path, databases: &Databases) -> Self {
        let [listen, peer_listen, order_listen, order_peer] =
            ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let database = |url: &Option<String>, file| url.clone().unwrap_or_else(|| sqlite_url(&folder.join(file)));
        let database_url = database(&databases.opportunity_database_url, "opportunity.db");
        let opportunity = Place { listen, peer_listen, database_url };
        let database_url = database(&databases.order_database_url, "order.db");
        Self { opportunity, order: Place { listen: order_listen, peer_listen: order_peer, database_url } }
    }
}

/// A service's settings: the defaults, at this place.
macro_rules! config {
    ($config:ty, $place:expr) => {{
        // Through the command line, so that a setting that is new there has its default here.
        let mut config = <$config>::try_parse_from(["closeout"])?;
        config.listen = $place.listen;
        config.peer_listen = $place.peer_listen;
        config.database_url.clone_from(&$place.database_url);
        config.drain = DRAIN;
        config
    }};
}

impl Embedded {
    /// Opens both services, then lets them serve.
    pub(crate) async fn start(places: &Places) -> anyhow::Result<Self> {
        let config = config!(crm_opportunity::Config, places.opportunity);
        let opportunity = crm_opportunity::App::bind(config).await.context("starting the opportunity service")?;
        let config = config!(crm_order::Config, places.order);
        let order = crm_order::App::bind(config).await.context("starting the order service")?;

        let (stop_opportunity, stop_order) = (CancellationToken::new(), CancellationToken::new());
        let (opportunity_url, order_url) = (url(opportunity.public_addr()), url(order.public_addr()));
        let (opportunity_peer, order_peer) = (url(opportunity.peer_addr()), url(order.peer_addr()));
        let mut services = JoinSet::new();
        let stop = stop_opportunity.clone();
        services.spawn(async move {
            ("opportunity service", opportunity.serve(&order_peer, stop).await.map_err(anyhow::Error::from))
        });
        let stop = stop_order.clone();
        services.spawn(async move {
            ("order service", order.serve(&opportunity_peer, stop).await.map_err(anyhow::Error::from))
        });
        Ok(Self { opportunity_url, order_url, services, stop_opportunity, stop_order })
    }

    /// Waits until a service ends by itself and answers why; while both run it waits for ever.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        match self.services.join_next().await {
            Some(Ok((name, Err(error)))) => error.context(format!("the {name} ended")),
            Some(Ok((name, Ok(())))) => anyhow!("the {name} ended by itself"),
            Some(Err(error)) => anyhow::Error::from(error).context("a service ended"),
            None => anyhow!("no service is running"),
        }
    }

    /// Stops the opportunity service, then the order service: each finishes its calls and deliveries first.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let mut ended = Ok(());
        for stop in [self.stop_opportunity.clone(), self.stop_order.clone()] {
            stop.cancel();
            match tokio::time::timeout(STOP_TIMEOUT, self.services.join_next()).await {
                Ok(Some(Ok((name, result)))) => ended = ended.and(result.context(format!("stopping the {name}"))),
                Ok(Some(Err(error))) => ended = ended.and(Err(error.into())),
                Ok(None) => {} // it had ended before
                Err(_) => ended = ended.and(Err(anyhow!("a service did not stop within {STOP_TIMEOUT:?}"))),
            }
        }
        ended
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// The URL of a SQLite file. What would read as part of a URL is escaped.
fn sqlite_url(file: &Path) -> String {
    let path = file.to_string_lossy().replace('%', "%25").replace('?', "%3F").replace('#', "%23");
    format!("sqlite://{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_kept_in_the_folder_unless_a_database_is_named() {
        let databases = Databases { opportunity_database_url: None, order_database_url: Some("postgres://h/o".into()) };
        let places = Places::on_fixed_ports(Path::new("./what? 100%"), &databases);
        assert_eq!(places.opportunity.database_url, "sqlite://./what%3F 100%25/opportunity.db");
        assert_eq!(places.order.database_url, "postgres://h/o");
        assert_eq!(places.order.listen.to_string(), "127.0.0.1:50052");
        assert_eq!(places.opportunity.peer_listen.to_string(), "127.0.0.1:50061");
    }

    #[test]
    fn the_services_are_set_to_their_places() -> anyhow::Result<()> {
        let databases = Databases { opportunity_database_url: None, order_database_url: None };
        let places = Places::on_free_ports(Path::new("data"), &databases);
        let config = config!(crm_opportunity::Config, places.opportunity);
        assert_eq!((config.listen.port(), config.database_url.as_str()), (0, "sqlite://data/opportunity.db"));
        let config = config!(crm_order::Config, places.order);
        assert_eq!((config.drain, config.database_url.as_str()), (DRAIN, "sqlite://data/order.db"));
        Ok(())
    }
}
