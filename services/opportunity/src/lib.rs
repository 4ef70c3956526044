//! The opportunity service.

mod config;

use std::net::SocketAddr;
use tokio_util::sync::CancellationToken;

pub use config::Config;

/// The service with its listeners open.
#[derive(Debug)]
pub struct App;

impl App {
    /// Opens everything and takes the ports, so that a bad setting fails at once.
    pub async fn bind(_config: Config) -> anyhow::Result<Self> {
        anyhow::bail!("not yet")
    }

    /// Where the public API listens.
    pub fn public_addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    /// Where the peer listener listens.
    pub fn peer_addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    /// Serves until `shutdown` is cancelled, then drains. `peer_url` is the other service's peer listener.
    pub async fn serve(self, _peer_url: &str, _shutdown: CancellationToken) -> anyhow::Result<()> {
        Ok(())
    }
}
