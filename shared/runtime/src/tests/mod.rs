//! The listeners as clients meet them: real sockets, a real generated service, raw bytes where a client would hide the matter.

mod ending;
mod gated;
mod limits;
mod statuses;
mod traced;

use crate::{
    Deadline, answer,
    auth::{Caller, PeerToken},
    channel,
    guard::{Door, Gate},
    server::{Limits, serve, serve_public, with_health_and_reflection},
};
use crm_closeout::wording::{Class, Wording};
use crm_proto::order::{
    self as pb, customer_service_client::CustomerServiceClient, customer_service_server::CustomerServiceServer,
};
use std::{future::pending, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status, body::Body, service::Routes};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt;
use tower::{Service, ServiceExt};

const SOON: Duration = Duration::from_secs(10);
const DRAIN: Duration = Duration::from_millis(300);
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const GET: &str = "/crm.order.v1.CustomerService/GetCustomer";

/// Does what the name in the request says.
/// A handler's own words that begin like some of tonic's.
static OWN: Wording =
    Wording { reason: "OWN", class: Class::Internal, retry: 0, en: "Missing request message, in a way", zh: "自有" };

#[derive(Clone, Default)]
struct Actor {
    waiting: Arc<Notify>,
}

#[tonic::async_trait]
impl pb::customer_service_server::CustomerService for Actor {
    async fn get_customer(
        &self,
        request: Request<pb::GetCustomerRequest>,
    ) -> Result<Response<pb::GetCustomerResponse>, Status> {
        let port = request.remote_addr().unwrap().port();
        let deadline = request.extensions().get::<Deadline>().copied();
        let caller = request.extensions().get::<Caller>().cloned();
        let mut customer = pb::Customer { name: request.into_inner().name, ..Default::default() };
        match customer.name.as_str() {
            "panic" => panic!("secret"),
            "wait" => {
                self.waiting.notify_one();
                pending().await
            }
            "refuse" => return Err(answer::refusal(&OWN, &[])),
            "port" => customer.live_count = port.into(),
            "caller" => customer.display_name = caller.map_or(String::new(), |caller| caller.principal),
            "large" => customer.display_name = "x".repeat(2000),
            "deadline" => customer.draft_count = (deadline.unwrap().0 - Instant::now()).as_millis() as i64,
            _ => {}
        }
        Ok(Response::new(pb::GetCustomerResponse { customer: Some(customer) }))
    }

    async fn list_customers(
        &self,
        _: Request<pb::ListCustomersRequest>,
    ) -> Result<Response<pb::ListCustomersResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_customer_events(
        &self,
        _: Request<pb::ListCustomerEventsRequest>,
    ) -> Result<Response<pb::ListCustomerEventsResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

struct Running {
    address: SocketAddr,
    actor: Actor,
    stop: CancellationToken,
    end: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Running {
    async fn start(limits: Limits, token: Option<PeerToken>) -> Self {
        Self::behind(Door::Peer(token), limits).await
    }

    async fn behind(door: Door, limits: Limits) -> Self {
        let (actor, stop) = (Actor::default(), CancellationToken::new());
        let service =
            CustomerServiceServer::new(actor.clone()).max_decoding_message_size(1024).max_encoding_message_size(1024);
        let (routes, _) =
            with_health_and_reflection(Routes::new(service), &["crm.order.v1.CustomerService"]).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let end = tokio::spawn(serve(listener, routes, door, limits, stop.clone().cancelled_owned(), DRAIN));
        Self { address, actor, stop, end }
    }

    fn channel(&self, token: Option<PeerToken>) -> channel::PeerChannel {
        channel::connect(&format!("http://{}", self.address), token).unwrap()
    }

    async fn get(&self, name: &str) -> Result<pb::Customer, Status> {
        get(self.channel(None), name).await
    }

    /// A connection on which nothing but `bytes` is ever said.
    async fn raw(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }
}

/// Lets everybody in, as nobody.
fn open_to_all() -> Gate {
    Arc::new(|_, _| Box::pin(async { Ok(None) }))
}

async fn get(channel: channel::PeerChannel, name: &str) -> Result<pb::Customer, Status> {
    let answer = CustomerServiceClient::new(channel).get_customer(pb::GetCustomerRequest { name: name.into() }).await?;
    Ok(answer.into_inner().customer.unwrap())
}

fn told(status: &Status) -> (Code, String) {
    (status.code(), status.get_details_error_info().map_or(String::new(), |info| info.reason))
}

async fn settings(stream: &mut TcpStream) -> Vec<(u16, u32)> {
    let (kind, body) = frame(stream).await;
    assert_eq!(kind, 4, "the first frame is SETTINGS");
    body.chunks(6)
        .map(|entry| {
            (u16::from_be_bytes([entry[0], entry[1]]), u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]))
        })
        .collect()
}

async fn is_closed(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    timeout(SOON, stream.read_to_end(&mut rest)).await.is_ok()
}

/// The first frame of one of these kinds, and what it carries.
async fn until(mut stream: TcpStream, wanted: &[u8]) -> (u8, Vec<u8>) {
    loop {
        let (kind, body) = frame(&mut stream).await;
        if wanted.contains(&kind) {
            return (kind, body);
        }
    }
}

async fn frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 9];
    timeout(SOON, stream.read_exact(&mut head)).await.unwrap().unwrap();
    let mut body = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
    timeout(SOON, stream.read_exact(&mut body)).await.unwrap().unwrap();
    (head[3], body)
}
