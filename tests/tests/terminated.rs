//! SIGTERM under load, as a rolling update sends it: every process is ended and started again, one after the other, while callers
//! close out and reopen. No call may fail for a caller that repeats what nobody answered, and a process ends in order: as soon as
//! its calls are answered, and at the end of its drain time at the latest, whatever connections are held open.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_tests::{
    fleet::{Databases, Fleet, Replica},
    load::{Load, Size},
    long,
    place::Kind,
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

const SIZE: Size = Size { callers: 4, at_once: 4 };
/// The drain time of the second round; a process has 20 s unless told otherwise.
const DRAIN: Duration = Duration::from_secs(3);
/// Without anybody who holds it up, a process does not need its drain time.
const PROMPT: Duration = Duration::from_secs(10);
/// From the end of the drain time to the end of the process: the relay and the writer finish.
const SOON: Duration = Duration::from_secs(5);
const HALF_OPEN: usize = 10;
/// HTTP/2 begins with it: the preface and empty settings.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL"]
async fn two_of_each_are_ended_in_turn_and_no_call_fails() {
    let mut fleet = Fleet::started(Kind::Postgres, 2, Databases::Direct).await;
    let load = Load::start(&fleet, SIZE, 0).await;
    for _ in 0..if long() { 10 } else { 1 } {
        rolled(&mut fleet, &load).await;
    }
    let tally = load.stop().await;
    assert_eq!(tally.repeats, 0, "a call was in vain four times");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_one_of_each_is_ended_and_every_call_is_answered_once_it_is_back() {
    let mut fleet = Fleet::started(Kind::Sqlite, 1, Databases::Direct).await;
    let load = Load::start(&fleet, SIZE, 0).await;
    rolled(&mut fleet, &load).await;
    load.stop().await;
    fleet.end().await;
}

/// Each process once by itself, and once with connections that never say what they want.
async fn rolled(fleet: &mut Fleet, load: &Load) {
    let drain = DRAIN.as_secs().to_string();
    let environment = [("OPPORTUNITY_DRAIN_SECONDS", drain.as_str()), ("ORDER_DRAIN_SECONDS", drain.as_str())];
    for half_open in [false, true] {
        for replica in fleet.opportunity.iter_mut().chain(&mut fleet.order) {
            load.does(50).await;
            let held = if half_open { half_open_connections(replica) } else { Vec::new() };
            let (ended, took) = replica.service.terminated().await;
            println!("ended {took:.1?} after SIGTERM, {} connections half open", held.len());
            assert!(ended.success(), "{ended}");
            assert!(took < if half_open { DRAIN + SOON } else { PROMPT }, "{took:?}");
            assert!(!half_open || took >= DRAIN, "nobody held it up: {took:?}");
            replica.service.start(&environment).await;
        }
    }
}

/// Connections to both listeners: some say nothing, some break off in the preface, some say hello and then nothing.
fn half_open_connections(replica: &Replica) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for port in replica.service.ports() {
        for begun in [&b""[..], &HELLO[..9], HELLO] {
            for _ in 0..HALF_OPEN {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
                stream.write_all(begun).unwrap();
                if begun == HELLO {
                    // It has said hello, too: it holds this connection.
                    stream.read_exact(&mut [0; 9]).unwrap();
                }
                held.push(stream);
            }
        }
    }
    held
}
