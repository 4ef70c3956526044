//! Both services inside this process: opened on their ports, each told where the other listens, stopped in order.

use crate::args::{Databases, Global};
use crate::failure::Usage;
use anyhow::{Context, anyhow};
use clap::Parser;
use crm_outbox::db::Db;
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
    /// Database of the opportunity service, to be looked at.
    pub(crate) opportunity_db: Db,
    /// Database of the order service, to be looked at.
    pub(crate) order_db: Db,
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

    /// The ports at which clients look for both: those of `--opportunity-url` and `--order-url`. The peer listeners
    /// are ten above them.
    pub(crate) fn on_ports_of(global: &Global, folder: &Path, databases: &Databases) -> anyhow::Result<Self> {
        let sales = port("--opportunity-url", &global.opportunity_url)?;
        let trade = port("--order-url", &global.order_url)?;
        let peer = |port: u16| if port == 0 { 0 } else { port.saturating_add(10) };
        Ok(Self::on_ports([sales, peer(sales), trade, peer(trade)], folder, databases))
    }

    /// Where the data is kept, without users and passwords.
    pub(crate) fn data(&self) -> String {
        let shown = |url: &str| match (url.strip_prefix("sqlite://"), url.split_once("://")) {
            (Some(file), _) => file.to_owned(),
            (None, Some((scheme, rest))) => {
                let place = rest.split('?').next().unwrap_or_default();
                format!("{scheme}://{}", place.rsplit('@').next().unwrap_or_default())
            }
            (None, None) => url.to_owned(),
        };
        format!("{} and {}", shown(&self.opportunity.database_url), shown(&self.order.database_url))
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
    /// Brings both databases up to date, opens both services, then lets them serve.
    pub(crate) async fn start(places: &Places) -> anyhow::Result<Self> {
        let doing = "starting the opportunity service";
        let config = config!(crm_opportunity::Config, places.opportunity);
        crm_opportunity::App::migrate(&config.database_url).await.context(doing)?;
        let opportunity = crm_opportunity::App::bind(config).await.context(doing)?;
        let doing = "starting the order service";
        let config = config!(crm_order::Config, places.order);
        crm_order::App::migrate(&config.database_url).await.context(doing)?;
        let order = crm_order::App::bind(config).await.context(doing)?;

        let (stop_opportunity, stop_order) = (CancellationToken::new(), CancellationToken::new());
        let (opportunity_url, order_url) = (url(opportunity.public_addr()), url(order.public_addr()));
        let (opportunity_db, order_db) = (opportunity.db(), order.db());
        let (opportunity_peer, order_peer) = (url(opportunity.peer_addr()), url(order.peer_addr()));
        let mut services = JoinSet::new();
        let stop = stop_opportunity.clone();
        services.spawn(async move {
            ("opportunity service", opportunity.serve(&[order_peer], stop).await.map_err(anyhow::Error::from))
        });
        let stop = stop_order.clone();
        services.spawn(async move {
            ("order service", order.serve(&[opportunity_peer], stop).await.map_err(anyhow::Error::from))
        });
        Ok(Self { opportunity_url, order_url, opportunity_db, order_db, services, stop_opportunity, stop_order })
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

/// The port of a URL of this machine: `up` listens where the other commands look.
fn port(flag: &str, url: &str) -> Result<u16, Usage> {
    let here = |host: &str| matches!(host, "127.0.0.1" | "localhost");
    let parts = url.strip_prefix("http://").and_then(|rest| rest.trim_end_matches('/').split_once(':'));
    let port = parts.filter(|(host, _)| here(host)).and_then(|(_, port)| port.parse().ok());
    port.ok_or_else(|| Usage(format!("{flag} {url}: to listen there it must be http://127.0.0.1:PORT")))
}

/// The URL of a SQLite file. What would read as part of a URL is escaped.
fn sqlite_url(file: &Path) -> String {
    let path = file.to_string_lossy().replace('%', "%25").replace('?', "%3F").replace('#', "%23");
    format!("sqlite://{path}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;

    #[test]
    fn a_service_listens_where_the_other_commands_look() {
        assert_eq!(port("--order-url", "http://localhost:7/").unwrap(), 7);
        for wrong in ["http://crm.example.com:7", "https://127.0.0.1:7", "http://127.0.0.1", "127.0.0.1:70000"] {
            assert!(port("--order-url", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn data_is_kept_in_the_folder_unless_a_database_is_named() {
        let databases = Databases {
            opportunity_database_url: None,
            order_database_url: Some("postgres://crm:secret@h/o?sslmode=require".into()),
        };
        let cli = Cli::try_parse_from(["closeout", "up"]).unwrap();
        let places = Places::on_ports_of(&cli.global, Path::new("./what? 100%"), &databases).unwrap();
        assert_eq!(places.opportunity.database_url, "sqlite://./what%3F 100%25/opportunity.db");
        assert_eq!(places.order.database_url, "postgres://crm:secret@h/o?sslmode=require");
        assert_eq!(places.data(), "./what%3F 100%25/opportunity.db and postgres://h/o");
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
