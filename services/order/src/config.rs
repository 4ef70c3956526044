//! Every setting of the service: flag, environment variable, default and a sentence.

use crm_api::host::Settings;
use crm_runtime::{collector::Collector, telemetry::Format};
use std::{net::SocketAddr, num::NonZero, path::PathBuf, time::Duration};

/// Settings of the order service.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "order-service", version)]
pub struct Config {
    /// Where the public API listens.
    #[arg(long, env = "ORDER_LISTEN", default_value = "127.0.0.1:50052")]
    pub listen: SocketAddr,

    /// Where the other service delivers its messages.
    #[arg(long, env = "ORDER_PEER_LISTEN", default_value = "127.0.0.1:50062")]
    pub peer_listen: SocketAddr,

    /// Peer listeners of the other service: one address for each of its processes, with commas between them.
    #[arg(long, env = "ORDER_PEER_URL", default_value = "http://127.0.0.1:50061", value_delimiter = ',')]
    pub peer_url: Vec<String>,

    /// `sqlite://FILE` (made if it is not there) or `postgres://USER@HOST/DATABASE`.
    #[arg(long, env = "ORDER_DATABASE_URL", default_value = "sqlite://order.db")]
    pub database_url: String,

    /// Take tenant, principal, roles and teams from metadata although the listener is not on loopback. Only behind a proxy or network
    /// policy that sets them.
    #[arg(long, env = "ORDER_TRUST_METADATA_IDENTITY")]
    pub trust_metadata_identity: bool,

    /// Roles of callers whose `x-roles` is missing, with commas between them, such as sales. Without any such a caller may do nothing.
    #[arg(long, env = "ORDER_DEFAULT_ROLES", value_delimiter = ',')]
    pub default_roles: Vec<String>,

    /// File with the token that both peers show each other; required when the peer listener is not on loopback.
    #[arg(long, env = "ORDER_PEER_TOKEN_FILE")]
    pub peer_token_file: Option<PathBuf>,

    /// Seconds that calls under way get to finish after a termination signal.
    #[arg(long, env = "ORDER_DRAIN_SECONDS", default_value = "20", value_parser = seconds)]
    pub drain: Duration,

    /// Where metrics are served, at `/metrics`; nowhere unless it is given.
    #[arg(long, env = "ORDER_METRICS_LISTEN")]
    pub metrics_listen: Option<SocketAddr>,

    /// OTLP/gRPC address of a collector for traces, such as `http://127.0.0.1:4317`; there are none unless it is given.
    #[arg(long, env = "ORDER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<Collector>,

    /// Threads that calls are worked on with. One does the most for each processor; more help where many calls only read.
    #[arg(long, env = "ORDER_THREADS", default_value_t = NonZero::<usize>::MIN)]
    pub threads: NonZero<usize>,

    /// How the log is written: `text` or `json`.
    #[arg(long, env = "ORDER_LOG_FORMAT", default_value_t)]
    pub log_format: Format,

    /// What to do instead of serving.
    #[command(subcommand)]
    pub action: Option<Action>,
}

/// What to do instead of serving.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub enum Action {
    /// Bring the schema of the database up to date, then exit.
    Migrate,
}

impl From<Config> for Settings {
    fn from(config: Config) -> Self {
        Self {
            listen: config.listen,
            peer_listen: config.peer_listen,
            database_url: config.database_url,
            trust_metadata_identity: config.trust_metadata_identity,
            default_roles: config.default_roles,
            peer_token_file: config.peer_token_file,
            drain: config.drain,
            metrics_listen: config.metrics_listen,
        }
    }
}

fn seconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_secs)
}
