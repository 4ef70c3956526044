//! How connections and the server end.

use super::*;

#[tokio::test]
async fn half_open_connections_do_not_hold_up_the_end() {
    let server = Running::start(Limits::PUBLIC, None).await;
    let mut open = vec![server.raw(b"").await, server.raw(b"PRI * HTT").await];
    for _ in 0..20 {
        let mut stream = server.raw(HELLO).await;
        settings(&mut stream).await;
        open.push(stream);
    }
    let channel = server.channel(None);
    let call = tokio::spawn(async move { get(channel, "wait").await });
    server.actor.waiting.notified().await;
    server.stop.cancel();
    let begin = Instant::now();
    timeout(SOON, server.end).await.unwrap().unwrap().unwrap();
    assert!(begin.elapsed() >= DRAIN && begin.elapsed() < DRAIN + Duration::from_secs(2), "{:?}", begin.elapsed());
    timeout(SOON, call).await.unwrap().unwrap().unwrap_err();
    for stream in open {
        assert!(is_closed(stream).await);
    }
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_call_under_way_is_finished_before_the_end() {
    let server = Running::start(Limits { timeout: Duration::from_millis(50), ..Limits::PUBLIC }, None).await;
    let channel = server.channel(None);
    let call = tokio::spawn(async move { get(channel, "wait").await });
    server.actor.waiting.notified().await;
    server.stop.cancel();
    assert_eq!(told(&call.await.unwrap().unwrap_err()), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".into()));
    timeout(SOON, server.end).await.unwrap().unwrap().unwrap();
}

/// With tonic's grace beside the age, calls that wait for their answer would be cut here.
#[tokio::test]
async fn no_call_fails_when_connections_grow_old() {
    let age = Duration::from_millis(20);
    let server = Running::start(Limits { connection_age: age..=age * 2, ..Limits::PUBLIC }, None).await;
    let channel = server.channel(None);
    let calls = (0..8).map(async |_| {
        let mut ports = std::collections::HashSet::new();
        while ports.len() < 20 {
            match get(channel.clone(), "port").await {
                Ok(customer) => drop(ports.insert(customer.live_count)),
                Err(status) => assert!(status.message().ends_with("nothing was done"), "{status}"),
            }
        }
    });
    timeout(SOON, futures::future::join_all(calls)).await.unwrap();
}

#[tokio::test]
async fn health_says_not_serving_first_and_an_open_watch_ends() {
    let (routes, health) = with_health_and_reflection(Routes::default(), &["crm.order.v1.OrderService"]).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let hour = Duration::from_secs(3600);
    let end = tokio::spawn(serve_public(listener, routes, health.clone(), open_to_all(), stop.clone(), hour));
    let mut client = HealthClient::new(channel::connect(&url, None).unwrap());
    let mut check = async |service: &str| {
        client.check(HealthCheckRequest { service: service.into() }).await.map(|answer| answer.into_inner().status)
    };
    for service in ["", "crm.order.v1.OrderService", "liveness"] {
        assert_eq!(check(service).await.unwrap(), 1, "{service}");
    }
    health.set(false).await;
    assert_eq!((check("").await.unwrap(), check("liveness").await.unwrap()), (2, 1));
    health.set(true).await;
    let mut client = HealthClient::new(channel::connect(&url, None).unwrap());
    let mut watch = client.watch(HealthCheckRequest { service: String::new() }).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
    stop.cancel();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 2);
    let status = timeout(SOON, watch.message()).await.unwrap().unwrap_err();
    assert_eq!(told(&status), (Code::Unavailable, "SHUTTING_DOWN".into()));
    health.set(true).await;
    timeout(SOON, end).await.unwrap().unwrap().unwrap();
}
