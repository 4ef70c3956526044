//! What a listener takes on, and what it refuses.

use super::*;

#[tokio::test]
async fn the_limits_are_told_to_every_client() {
    for limits in [Limits::PUBLIC, Limits::PEER] {
        let server = Running::start(limits.clone(), None).await;
        let told = settings(&mut server.raw(HELLO).await).await;
        let value = |id| told.iter().find(|(key, _)| *key == id).map(|(_, value)| *value);
        assert_eq!(value(3), Some(limits.concurrent_streams));
        assert_eq!(value(4).unwrap_or(65_535), limits.stream_window);
        assert_eq!(value(5).unwrap_or(16_384), limits.frame);
        assert_eq!(value(6), Some(limits.header_list));
    }
}

/// Each call here has a window update beyond bounds, for which the server must reset it. tonic by itself would set no bound.
#[tokio::test]
async fn a_client_that_makes_errors_without_end_is_told_to_go() {
    let server = Running::start(Limits { local_error_resets: 3, ..Limits::PUBLIC }, None).await;
    let calls = |count: u8| {
        let frames = (0..count).flat_map(|call| {
            let stream = call * 2 + 1;
            let headers = [0, 0, 3, 1, 4, 0, 0, 0, stream, 0x83, 0x84, 0x86];
            [&headers[..], &[0, 0, 4, 8, 0, 0, 0, 0, stream, 0x7f, 0xff, 0xff, 0xff]].concat()
        });
        HELLO.iter().copied().chain(frames).collect::<Vec<_>>()
    };
    let (kind, body) = until(server.raw(&calls(4)).await, &[7]).await;
    assert_eq!((kind, body[7]), (7, 0xb), "GOAWAY, ENHANCE_YOUR_CALM");
    let mut within = calls(3);
    within.extend_from_slice(b"\0\0\x08\x06\0\0\0\0\0pingpong");
    assert_eq!(until(server.raw(&within).await, &[6, 7]).await.0, 6, "the ping is answered");
}

#[tokio::test]
async fn both_versions_of_reflection_list_the_services() {
    let server = Running::start(Limits::PUBLIC, None).await;
    macro_rules! services {
        ($version:ident) => {{
            use tonic_reflection::pb::$version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
            };
            let message_request = Some(MessageRequest::ListServices(String::new()));
            let request = ServerReflectionRequest { host: String::new(), message_request };
            let mut client = ServerReflectionClient::new(server.channel(None));
            let answer = client.server_reflection_info(futures::stream::iter([request])).await.unwrap();
            let answer = answer.into_inner().message().await.unwrap().unwrap();
            let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
                panic!("{answer:?}")
            };
            list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
        }};
    }
    for services in [services!(v1), services!(v1alpha)] {
        assert!(services.contains(&"crm.order.v1.CustomerService".to_owned()), "{services:?}");
        assert!(services.contains(&"grpc.health.v1.Health".to_owned()), "{services:?}");
        assert!(!services.iter().any(|name| name.starts_with("crm.opportunity")), "{services:?}");
    }
}

#[tokio::test]
async fn only_the_right_peer_token_opens() {
    let token = |text| Some(PeerToken::new(text).unwrap());
    let server = Running::start(Limits::PEER, token("0123456789abcdef")).await;
    assert!(get(server.channel(token("0123456789abcdef")), "fine").await.is_ok());
    for wrong in [None, token("0123456789abcdeF")] {
        let status = get(server.channel(wrong), "fine").await.unwrap_err();
        assert_eq!(told(&status), (Code::Unauthenticated, "PEER_TOKEN_INVALID".into()));
    }
}

#[tokio::test]
async fn a_full_process_refuses_at_once_and_still_tells_its_health() {
    let server = Running::start(Limits { in_flight: 1, ..Limits::PUBLIC }, None).await;
    let channel = server.channel(None);
    let call = tokio::spawn(async move { get(channel, "wait").await });
    server.actor.waiting.notified().await;
    let status = server.get("fine").await.unwrap_err();
    assert_eq!(told(&status), (Code::ResourceExhausted, "OVERLOADED".into()));
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
    HealthClient::new(server.channel(None)).check(HealthCheckRequest::default()).await.unwrap();
    call.abort();
    while let Err(status) = server.get("fine").await {
        assert_eq!(status.code(), Code::ResourceExhausted);
    }
}

#[tokio::test]
async fn a_connection_beyond_the_cap_waits_for_a_place() {
    let server = Running::start(Limits { connections: 1, ..Limits::PUBLIC }, None).await;
    let mut first = server.raw(HELLO).await;
    settings(&mut first).await;
    let mut second = server.raw(HELLO).await;
    assert!(timeout(Duration::from_millis(100), second.peek(&mut [0])).await.is_err());
    drop(first);
    settings(&mut second).await;
}

#[tokio::test]
async fn a_connection_beyond_the_share_of_its_address_is_closed() {
    let server = Running::start(Limits { connections_per_address: 1, ..Limits::PUBLIC }, None).await;
    let mut first = server.raw(HELLO).await;
    settings(&mut first).await;
    assert!(is_closed(server.raw(b"").await).await);
}

#[tokio::test]
async fn a_client_that_says_nothing_is_cut_but_one_that_began_is_not() {
    let server = Running::start(Limits { handshake: Duration::from_millis(50), ..Limits::PUBLIC }, None).await;
    let mut began = server.raw(HELLO).await;
    for silent in [&b""[..], &HELLO[..20]] {
        assert!(is_closed(server.raw(silent).await).await);
    }
    settings(&mut began).await;
    began.write_all(b"\0\0\x08\x06\0\0\0\0\0pingpong").await.unwrap();
    assert_eq!(until(began, &[6]).await, (6, b"pingpong".to_vec()));
}
