//! What the peer calls: each message goes to the writer like any command, and each has an outcome of its own.

use crate::trace;
use crm_closeout::{codes::RecordKind, wording};
use crm_outbox::{
    batch::Domain,
    wire::{self, Incoming, Received, Reject},
    writer::Writer,
};
use crm_proto::peer::{
    ApplyRequest, ApplyResponse, RehearseRequest, RehearseResponse, peer_service_server::PeerService,
};
use crm_runtime::answer;
use tonic::{Request, Response, Status};
use tracing::Instrument;

const MOST: usize = 256;

/// The peer's way in.
#[derive(Debug)]
pub struct Inbox<D: Domain> {
    writer: Writer<D>,
}

impl<D: Domain> Inbox<D> {
    /// Hands messages to this writer.
    pub fn new(writer: Writer<D>) -> Self {
        Self { writer }
    }
}

#[tonic::async_trait]
impl<D: Domain> PeerService for Inbox<D> {
    async fn apply(&self, request: Request<ApplyRequest>) -> Result<Response<ApplyResponse>, Status> {
        let mut envelopes = request.into_inner().envelopes;
        if envelopes.len() > MOST {
            let values = [("most", MOST.to_string()), ("count", envelopes.len().to_string())];
            return Err(answer::refusal(&wording::BATCH_TOO_LARGE, &values));
        }
        // All are handed in, in order, before the first is waited for: together they make one batch.
        let mut pending = Vec::with_capacity(envelopes.len());
        for envelope in &mut envelopes {
            let passage = trace::apply(envelope);
            let message = match wire::decode(envelope) {
                Ok(incoming) if !D::mirrors(incoming.record.kind) => Err(no_lane(incoming.record.kind)),
                Ok(incoming) => {
                    let handed_in = self.writer.message(incoming).instrument(passage.span.clone()).await;
                    Ok(handed_in.ok_or_else(unavailable)?)
                }
                Err(reject) => Err(Received::Rejected(reject)),
            };
            pending.push((passage, message));
        }
        let mut outcomes = Vec::with_capacity(pending.len());
        for (passage, message) in pending {
            let received = match message {
                Ok(answer) => answer.await.map_err(|_| unavailable())?,
                Err(rejected) => rejected,
            };
            let outcome = wire::outcome(received);
            passage.ended("applied", &outcome);
            outcomes.push(outcome);
        }
        Ok(Response::new(ApplyResponse { outcomes }))
    }

    async fn rehearse(&self, request: Request<RehearseRequest>) -> Result<Response<RehearseResponse>, Status> {
        let received = match wire::decode(&request.into_inner().envelope.unwrap_or_default()) {
            Ok(incoming) if !D::mirrors(incoming.record.kind) => no_lane(incoming.record.kind),
            Ok(incoming) => {
                let rehearsal = Incoming { rehearsal: true, ..incoming };
                let handed_in = self.writer.message(rehearsal).await.ok_or_else(unavailable)?;
                handed_in.await.map_err(|_| unavailable())?
            }
            Err(reject) => Received::Rejected(reject),
        };
        Ok(Response::new(wire::rehearsed(received)))
    }
}

fn no_lane(kind: RecordKind) -> Received {
    Received::Rejected(Reject::UnknownKind(format!("{} have no lane here", kind.collection())))
}

/// Nothing is known of these messages: they are to be sent again.
fn unavailable() -> Status {
    answer::refusal(&wording::STORAGE_UNAVAILABLE, &[])
}
