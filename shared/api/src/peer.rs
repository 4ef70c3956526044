//! The other service as a handler sees it: whether it answers, and what it would do. Messages do not go this way but through the relay.

use crm_closeout::{fact::PeerOutcome, plan::Planned};
use crm_outbox::{relay::PeerState, wire};
use crm_proto::peer::{Envelope, RehearseRequest, peer_service_client::PeerServiceClient};
use crm_runtime::{channel::PeerChannel, server::Limits};
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// The other service.
#[derive(Clone, Debug)]
pub struct Peer {
    state: PeerState,
    channels: Arc<[PeerChannel]>,
}

impl Peer {
    /// Reached by these channels, one for each of its processes.
    pub(crate) fn new(state: PeerState, channels: Arc<[PeerChannel]>) -> Self {
        Self { state, channels }
    }

    /// The last calls to every process of it failed: nobody should wait for it now.
    pub fn is_down(&self) -> bool {
        self.state.is_down()
    }

    /// What it would do with a message; none: none of its processes says so in time.
    pub(crate) async fn rehearse(&self, envelope: &Envelope, until: Instant) -> Option<(PeerOutcome, Planned)> {
        if self.is_down() {
            return None;
        }
        for channel in self.channels.iter() {
            match timeout_at(until, rehearse(channel.clone(), envelope.clone())).await {
                Ok(Ok(said)) => return Some(said),
                Ok(Err(fault)) => tracing::debug!(fault, "the other service does not say what it would do"),
                Err(_late) => return None,
            }
        }
        None
    }
}

async fn rehearse(channel: PeerChannel, envelope: Envelope) -> Result<(PeerOutcome, Planned), String> {
    let mut client = PeerServiceClient::new(channel).max_encoding_message_size(Limits::PEER.encode);
    let asked = client.rehearse(RehearseRequest { envelope: Some(envelope) }).await;
    wire::rehearsed_back(asked.map_err(|status| status.to_string())?.into_inner())
}
