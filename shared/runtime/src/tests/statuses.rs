//! What a caller is told when a call fails.

use super::*;

#[tokio::test]
async fn a_panic_is_an_internal_error_without_its_text() {
    let server = Running::start(Limits::PUBLIC, None).await;
    let status = server.get("panic").await.unwrap_err();
    assert_eq!(told(&status), (Code::Internal, "INTERNAL".into()));
    assert!(!status.message().contains("secret"));
    assert_eq!(server.get("fine").await.unwrap().name, "fine");
}

#[tokio::test]
async fn the_servers_limit_of_time_is_a_deadline_exceeded() {
    let server = Running::start(Limits { timeout: Duration::from_millis(20), ..Limits::PUBLIC }, None).await;
    let status = server.get("wait").await.unwrap_err();
    assert_eq!(told(&status), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".into()));
    let left = server.get("deadline").await.unwrap().draft_count;
    assert!((0..=20).contains(&left), "{left}");
}

#[tokio::test]
async fn a_clients_own_deadline_and_an_unreachable_service_are_told_as_such() {
    let server = Running::start(Limits::PUBLIC, None).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for address in [silent.local_addr().unwrap(), server.address] {
        let channel = channel::connect(&format!("http://{address}"), None).unwrap();
        let mut request = Request::new(pb::GetCustomerRequest { name: "wait".into() });
        request.set_timeout(Duration::from_millis(30));
        let status = CustomerServiceClient::new(channel).get_customer(request).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    }
    server.stop.cancel();
    server.end.await.unwrap().unwrap();
    let gone = channel::connect(&format!("http://{}", server.address), None).unwrap();
    assert_eq!(get(gone, "fine").await.unwrap_err().code(), Code::Unavailable);
}

/// tonic has a timer of its own around everything here, which must not be the one that answers. Only where a call was given so
/// little time that a busy machine takes longer to begin with it, nobody can say which of the two comes first.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_callers_deadline_is_a_deadline_exceeded_on_the_wire() {
    let server = Running::start(Limits::PUBLIC, None).await;
    let (client, connection) = h2::client::handshake(TcpStream::connect(server.address).await.unwrap()).await.unwrap();
    tokio::spawn(connection);
    let mut calls = Vec::new();
    for asked in ["0m", "1n", "1m", "3m", "500m", "800m"].into_iter().cycle().take(600) {
        let request = http::Request::post(format!("http://host{GET}"))
            .header("content-type", "application/grpc")
            .header("grpc-timeout", asked)
            .body(())
            .unwrap();
        let (answer, mut body) = client.clone().ready().await.unwrap().send_request(request, false).unwrap();
        // A call with no time is over before its body is sent.
        let _ = body.send_data("\0\0\0\0\u{6}\u{a}\u{4}wait".into(), true);
        calls.push((asked, answer));
    }
    for (asked, answer) in calls {
        let status = timeout(SOON, answer).await.unwrap().unwrap().headers()["grpc-status"].clone();
        let cancelled_is_fine = !asked.ends_with("00m");
        assert!(status == "4" || (cancelled_is_fine && status == "1"), "{asked}: {status:?}");
    }
}

#[tokio::test]
async fn a_message_too_large_in_either_direction_is_resource_exhausted() {
    let server = Running::start(Limits::PUBLIC, None).await;
    for name in ["large", &"x".repeat(1025)] {
        let status = server.get(name).await.unwrap_err();
        assert_eq!(told(&status), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE".into()));
    }
}

#[tokio::test]
async fn an_undecodable_request_is_an_invalid_argument() {
    let server = Running::start(Limits::PUBLIC, None).await;
    let mut channel = server.channel(None);
    let framed = ["\0\0\0\0\u{1}\u{7}", "\u{1}\0\0\0\0", "\u{2}\0\0\0\0", "\0\0\0\0\u{9}abc", ""];
    for body in framed.map(|text| Body::new(text.to_owned())) {
        let request = http::Request::post(GET).header("content-type", "application/grpc").body(body).unwrap();
        let answer = channel.ready().await.unwrap().call(request).await.unwrap();
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(told(&status), (Code::InvalidArgument, "MALFORMED_MESSAGE".into()), "{}", status.message());
    }
}

#[tokio::test]
async fn bad_utf8_is_an_invalid_argument() {
    #[derive(Clone, PartialEq, prost::Message)]
    struct Bytes {
        #[prost(bytes = "vec", tag = "1")]
        name: Vec<u8>,
    }
    let server = Running::start(Limits::PUBLIC, None).await;
    let mut client = tonic::client::Grpc::new(server.channel(None));
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<Bytes, pb::GetCustomerResponse>::default();
    let request = Request::new(Bytes { name: vec![0xff, 0xfe] });
    let status = client.unary(request, http::uri::PathAndQuery::from_static(GET), codec).await.unwrap_err();
    assert_eq!(told(&status), (Code::InvalidArgument, "MALFORMED_MESSAGE".into()));
    assert!(status.message().contains("name"), "{}", status.message());
}

#[tokio::test]
async fn a_handlers_own_answer_and_an_unknown_method_say_what_they_are() {
    let server = Running::start(Limits::PUBLIC, None).await;
    assert_eq!(told(&server.get("refuse").await.unwrap_err()), (Code::Internal, "OWN".into()));
    let mut peer = crm_proto::peer::peer_service_client::PeerServiceClient::new(server.channel(None));
    let status = peer.apply(crm_proto::peer::ApplyRequest::default()).await.unwrap_err();
    assert_eq!(told(&status), (Code::Unimplemented, "UNKNOWN_METHOD".into()));
}
