//! The way from one process to a peer listener of the other service: a [`Link`], and behind it a gate that speaks gRPC, passes on
//! `Apply`, and delays it, lets others go before it, or loses its reply.

use super::{
    arrivals::Arrivals,
    link::{Link, Way},
};
use crm_proto::peer::{
    ApplyRequest, ApplyResponse, MessageOutcomeKind, RehearseRequest, RehearseResponse,
    peer_service_client::PeerServiceClient,
    peer_service_server::{PeerService, PeerServiceServer},
};
use crm_runtime::channel::{PeerChannel, connect};
use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch, task::AbortHandle, time::sleep};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

const LARGEST: usize = 16 * 1_024 * 1_024;
/// A call that others are to overtake does not wait for them for ever.
const OVERTAKING: Duration = Duration::from_secs(1);

/// What a road does to calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Each call waits for a random time up to this before it is passed on.
    pub delay: Duration,
    /// Every n-th call waits until another one has passed; 0: none.
    pub overtake_every: u64,
    /// The reply to every n-th call is lost; 0: to none.
    pub lose_reply_every: u64,
    /// Every call waits until this is over.
    pub held: bool,
}

/// What a road did so far.
#[derive(Debug, Default)]
pub struct Counts {
    /// Calls that came.
    pub calls: AtomicU64,
    /// Calls that were passed on and answered.
    pub passed: AtomicU64,
    /// Messages in them that the peer had had before.
    pub duplicates: AtomicU64,
    /// Calls that were delayed.
    pub delayed: AtomicU64,
    /// Calls that others overtook.
    pub overtaken: AtomicU64,
    /// Replies that were lost.
    pub replies_lost: AtomicU64,
}

/// A road from one process to a peer listener.
#[derive(Debug)]
pub struct Road {
    /// The TCP connection in front.
    pub link: Link,
    /// What the gate did.
    pub counts: Arc<Counts>,
    delivered: Arc<Mutex<HashSet<Vec<u8>>>>,
    faults: watch::Sender<Faults>,
    task: AbortHandle,
}

#[derive(Clone, Debug)]
struct Gate {
    peer: PeerChannel,
    counts: Arc<Counts>,
    delivered: Arc<Mutex<HashSet<Vec<u8>>>>,
    faults: watch::Receiver<Faults>,
    passed: watch::Sender<u64>,
    arrivals: Arc<Arrivals>,
}

impl Road {
    /// A road to this port; what arrives is noted in `arrivals`.
    pub async fn to(target: u16, arrivals: Arc<Arrivals>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let link = Link::to_peer(listener.local_addr().unwrap().port(), arrivals.clone()).await;
        let (faults, counts, delivered) = (watch::Sender::default(), Arc::<Counts>::default(), Arc::default());
        let gate = Gate {
            peer: connect(&format!("http://127.0.0.1:{target}"), None).unwrap(),
            counts: counts.clone(),
            delivered: Arc::clone(&delivered),
            faults: faults.subscribe(),
            passed: watch::Sender::default(),
            arrivals,
        };
        let service = PeerServiceServer::new(gate).max_decoding_message_size(LARGEST);
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let serve = async move { Server::builder().add_service(service).serve_with_incoming(incoming).await.unwrap() };
        Self { link, counts, delivered, faults, task: tokio::spawn(serve).abort_handle() }
    }

    /// Switches the faults of the gate.
    pub fn set(&self, faults: Faults) {
        self.faults.send_replace(faults);
    }

    /// No fault of any kind.
    pub fn mend(&self) {
        self.set(Faults::default());
        self.link.set(Way::Open);
    }

    /// Whether the message with this id was passed on here and the peer has it.
    pub fn has_delivered(&self, message_id: &[u8]) -> bool {
        self.delivered.lock().unwrap().contains(message_id)
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tonic::async_trait]
impl PeerService for Gate {
    async fn apply(&self, request: Request<ApplyRequest>) -> Result<Response<ApplyResponse>, Status> {
        let request = request.into_inner();
        self.arrivals.call(request.envelopes.iter().map(|envelope| &envelope.message_id));
        // Like anything that is on its way, it goes on when the caller has given up.
        let passed = tokio::spawn(self.clone().pass(request)).await;
        passed.map_err(|error| Status::internal(error.to_string()))?.map(Response::new)
    }

    /// Questions pass as they are: faults are for messages.
    async fn rehearse(&self, request: Request<RehearseRequest>) -> Result<Response<RehearseResponse>, Status> {
        PeerServiceClient::new(self.peer.clone()).rehearse(request.into_inner()).await
    }
}

impl Gate {
    async fn pass(mut self, request: ApplyRequest) -> Result<ApplyResponse, Status> {
        let nth = self.counts.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let faults = *self.faults.borrow_and_update();
        let is_due = |every: u64| every > 0 && nth.is_multiple_of(every);
        if !faults.delay.is_zero() {
            self.counts.delayed.fetch_add(1, Ordering::Relaxed);
            sleep(faults.delay.mul_f64(fastrand::f64())).await;
        }
        if is_due(faults.overtake_every) {
            self.let_others_pass().await;
        }
        if faults.held {
            // The sender of the faults goes at the end of the test.
            let _ = self.faults.wait_for(|faults| !faults.held).await;
        }
        let ids: Vec<_> = request.envelopes.iter().map(|envelope| envelope.message_id.clone()).collect();
        let mut client = PeerServiceClient::new(self.peer.clone()).max_decoding_message_size(LARGEST);
        let answer = client.apply(request).await;
        self.passed.send_modify(|passed| *passed += 1);
        // A status with a source was made here, as the connection broke; the caller is to see the same.
        let answer = answer.map_err(|status| match std::error::Error::source(&status) {
            Some(_) => Status::unavailable("the peer's connection broke"),
            None => status,
        });
        let answer = answer?.into_inner();
        self.counts.passed.fetch_add(1, Ordering::Relaxed);
        self.note(ids, &answer);
        if is_due(faults.lose_reply_every) {
            self.counts.replies_lost.fetch_add(1, Ordering::Relaxed);
            return Err(Status::unavailable("the reply is lost on its way"));
        }
        Ok(answer)
    }

    async fn let_others_pass(&self) {
        let mut passed = self.passed.subscribe();
        let enough = *passed.borrow() + 1;
        if tokio::time::timeout(OVERTAKING, passed.wait_for(|passed| *passed >= enough)).await.is_ok() {
            self.counts.overtaken.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn note(&self, ids: Vec<Vec<u8>>, answer: &ApplyResponse) {
        let mut delivered = self.delivered.lock().unwrap();
        for (id, outcome) in ids.into_iter().zip(&answer.outcomes) {
            match outcome.kind() {
                MessageOutcomeKind::Gap
                | MessageOutcomeKind::RejectedUnknownKind
                | MessageOutcomeKind::RejectedMalformed
                | MessageOutcomeKind::RejectedSequenceReused
                | MessageOutcomeKind::RejectedInternal => continue,
                MessageOutcomeKind::Duplicate => {
                    self.counts.duplicates.fetch_add(1, Ordering::Relaxed);
                }
                MessageOutcomeKind::Unspecified
                | MessageOutcomeKind::Applied
                | MessageOutcomeKind::NoopAlreadyClosed
                | MessageOutcomeKind::SkippedModified
                | MessageOutcomeKind::NeedsReview => {}
            }
            delivered.insert(id);
        }
    }
}
