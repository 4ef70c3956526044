//! The peer is away for long and a backlog grows. While it is away it is only asked now and then whether it is back; when it is
//! back it is not flooded: in no second many more calls arrive than the most of the same load before.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_proto::{common::Wait, opportunity as sales};
use crm_tests::{
    client::{Client, closing},
    fleet::{Databases, Fleet},
    load::{Load, Size},
    long,
    place::Kind,
    proxy::link::Way,
    until,
};
use futures::{StreamExt, stream};
use std::{
    ops::Range,
    time::{Duration, Instant},
};

const SIZE: Size = Size { callers: 8, at_once: 4 };
const NORMAL: u64 = 10;
const PROBES: u64 = 6;
const AT_ONCE: usize = 128;
const PATIENCE: Duration = Duration::from_secs(1_200);

/// How many calls more than in a normal second are no storm yet, in percent. The everyday form has some sixty calls in a normal
/// second, where a tenth is what two runs of the same load differ by.
fn no_storm() -> u64 {
    if long() { 110 } else { 150 }
}

fn lanes() -> usize {
    if long() { 100_000 } else { 3_000 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL"]
async fn a_backlog_of_many_lanes_is_drained_without_a_storm() {
    let fleet = Fleet::started(Kind::Postgres, 2, Databases::Direct).await;
    let clients = [fleet.client(0), fleet.client(1)];
    let customer = clients[0].customer().await;
    let made = stream::iter(0..lanes()).map(|n| clients[n % 2].opportunity(&customer)).buffer_unordered(AT_ONCE);
    let opportunities: Vec<_> = made.collect().await;
    fleet.place.quiet(PATIENCE).await;

    let load = Load::start(&fleet, SIZE, 0).await;
    let arrivals = &fleet.at_order;
    let seconds = |count: u64| async move {
        let over = arrivals.second() + count;
        until("time passes", PATIENCE, || async { (arrivals.second() >= over).then_some(()) }).await;
        over - count + 1..over
    };
    let normal = arrivals.highest(seconds(NORMAL).await);
    println!("the most in a normal second: {normal:?}");

    // Only the way from the opportunity service to the order service.
    fleet.opportunity.iter().for_each(|replica| replica.set_roads(Way::Cut));
    let down = arrivals.second();
    close_out_all(&clients, &opportunities).await;
    let backlog = fleet.undelivered().await[0].len();
    seconds(NORMAL / 2).await;
    let away: Range<u64> = down + 3..arrivals.second();
    let probes = arrivals.highest(away.clone());
    println!("the most in a second of {away:?} while the peer is away: {probes:?}; {backlog} messages wait");
    assert!(backlog >= lanes());
    assert!(probes.messages == 0 && probes.connections <= PROBES, "{probes:?}");
    assert!(arrivals.sum(away).connections > 0, "nobody asks whether the peer is back");

    let (back, began) = (arrivals.second() + 1, Instant::now());
    fleet.opportunity.iter().for_each(|replica| replica.set_roads(Way::Open));
    until("the backlog is drained", PATIENCE, || async {
        let waiting = fleet.undelivered().await;
        (waiting[0].len() < AT_ONCE).then_some(())
    })
    .await;
    let took = began.elapsed();
    seconds(NORMAL / 2).await;
    let after = arrivals.highest(back..arrivals.second());
    let (sum, rate) = (arrivals.sum(back..arrivals.second()), backlog as f64 / took.as_secs_f64());
    println!("{backlog} messages are drained in {took:.1?}, {rate:.0} a second, {} came twice", sum.copies);
    println!("the most in a second after that: {after:?}");
    load.stop().await;
    assert!(sum.copies < backlog as u64, "{} copies of {backlog} messages", sum.copies);
    assert!(after.calls * 100 <= normal.calls * no_storm(), "a storm: {after:?} against {normal:?}");
    fleet.end().await;
}

async fn close_out_all(clients: &[Client], opportunities: &[String]) {
    let closes = stream::iter(opportunities.iter().enumerate()).map(|(n, name)| {
        let request = sales::CloseOutOpportunityRequest { wait: Wait::None.into(), ..closing(name) };
        clients[n % clients.len()].close_out_opportunity(request)
    });
    closes.buffer_unordered(AT_ONCE).for_each(|reply| async { drop(reply.unwrap()) }).await;
}
