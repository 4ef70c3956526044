//! The whole system under any fault: two processes of each service, eight callers that close out and reopen, and every few seconds
//! another fault, chosen at random. At the end no invariant is violated, and what a killed process had left was delivered in time.
//! `CLOSEOUT_TESTS_SEED` gives the choices of an earlier run again.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use crm_proto::{common::Wait, opportunity as sales, order as trade};
use crm_tests::{
    client::{cancelling, closing},
    fleet::{Databases, Fleet, Replica, Waiting},
    load::{Load, Size},
    long,
    place::Kind,
    proxy::{link::Way, road::Faults},
    until,
};
use fastrand::Rng;
use std::{
    collections::HashSet,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
use uuid::Uuid;

const SIZE: Size = Size { callers: 8, at_once: 8 };
const LEASE: Duration = Duration::from_micros(crm_outbox::settle::LEASE as u64);
/// What a killed process held is delivered within this time: the lease and a second; two where the programs are not optimised,
/// as all of them and their load share two cores.
const DELIVERED: Duration = LEASE.saturating_add(Duration::from_secs(if cfg!(debug_assertions) { 2 } else { 1 }));
const PATIENCE: Duration = Duration::from_secs(120);
const QUIET: Duration = Duration::from_secs(180);
/// Close-outs that a process holds when it is killed.
const STRANDED: usize = 8;
/// A killed process comes back after this.
const GONE: Duration = Duration::from_secs(2);

/// How long faults come, and how much has to be done at least.
fn extent() -> (Duration, u64) {
    if long() { (Duration::from_secs(180), 100_000) } else { (Duration::from_secs(30), 1_000) }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Kill,
    StandStill,
    LoseReplies,
    Overtake,
    Delay,
    Cut,
    HalfOpen,
    CutCommits,
}

const ALL: [Fault; 8] = [
    Fault::Kill,
    Fault::StandStill,
    Fault::LoseReplies,
    Fault::Overtake,
    Fault::Delay,
    Fault::Cut,
    Fault::HalfOpen,
    Fault::CutCommits,
];

fn seed() -> u64 {
    std::env::var("CLOSEOUT_TESTS_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL"]
async fn any_fault_every_few_seconds() {
    let seed = seed();
    println!("CLOSEOUT_TESTS_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let mut fleet = Fleet::started(Kind::Postgres, 2, Databases::Linked).await;
    let customer = fleet.client(0).customer().await;
    let load = Load::start(&fleet, SIZE, rng.u64(..)).await;
    let ((period, enough), began) = (extent(), Instant::now());
    let (mut next, mut once, mut latest) = (Vec::new(), false, Duration::ZERO);
    while began.elapsed() < period || load.done() < enough || !once {
        if next.is_empty() {
            next = ALL.to_vec();
            rng.shuffle(&mut next);
        }
        // Each fault comes once before one comes again.
        let fault = next.pop().unwrap();
        once |= next.is_empty();
        let (side, nth) = (rng.bool(), rng.usize(..2));
        let (length, done) = (Duration::from_millis(rng.u64(1_000..3_000)), load.done());
        if fault == Fault::Kill {
            latest = latest.max(kill(&mut fleet, side, nth, &customer).await);
        } else {
            let replica = replica(&mut fleet, side, nth);
            let before = happened(replica, fault);
            begin(replica, fault);
            tokio::time::sleep(length).await;
            until("the fault happens", PATIENCE, || async {
                (fault == Fault::StandStill || happened(replica, fault) > before).then_some(())
            })
            .await;
            end(replica, fault);
        }
        let at = began.elapsed();
        println!("{at:5.1?} {fault:?} of {} {nth} for {length:.1?}: {} done", name(side), load.done() - done);
    }
    fleet.mend();
    load.stop().await;
    println!("the last message of a killed process was delivered {latest:.1?} after the kill");
    assert_happened(&fleet);
    fleet.end_within(QUIET).await;
    assert!(latest > Duration::ZERO && latest <= DELIVERED, "{latest:?}");
}

fn name(side: bool) -> &'static str {
    if side { "order-service" } else { "opportunity-service" }
}

fn replica(fleet: &mut Fleet, side: bool, nth: usize) -> &mut Replica {
    if side { &mut fleet.order[nth] } else { &mut fleet.opportunity[nth] }
}

fn begin(replica: &Replica, fault: Fault) {
    let faults = Faults::default();
    match fault {
        Fault::Kill => panic!("a kill is measured by itself"),
        Fault::StandStill => replica.service.stand_still(),
        Fault::LoseReplies => replica.set_faults(Faults { lose_reply_every: 3, ..faults }),
        Fault::Overtake => replica.set_faults(Faults { overtake_every: 3, ..faults }),
        Fault::Delay => replica.set_faults(Faults { delay: Duration::from_secs(5), ..faults }),
        Fault::Cut => replica.set_roads(Way::Cut),
        Fault::HalfOpen => replica.set_roads(Way::HalfOpen),
        Fault::CutCommits => replica.database.as_ref().unwrap().cut_commits(5),
    }
}

fn end(replica: &Replica, fault: Fault) {
    if fault == Fault::StandStill {
        replica.service.go_on();
    }
    replica.mend();
}

/// Kills a process that holds messages which it can not deliver, and starts it again; answers how long it took until the last of
/// them was delivered. No other fault meanwhile.
async fn kill(fleet: &mut Fleet, side: bool, nth: usize, customer: &str) -> Duration {
    let own = strand(fleet, side, nth, customer).await;
    let all = waiting(fleet, side).await;
    let held: Vec<_> = all.iter().filter(|(_, record)| own.contains(record)).map(|(id, _)| *id).collect();
    assert_eq!(held.len(), own.len(), "the process has delivered what it can not deliver");
    replica(fleet, side, nth).service.kill();
    let killed = Instant::now();
    replica(fleet, side, nth).mend();
    tokio::time::sleep(GONE).await;
    replica(fleet, side, nth).service.start(&[]).await;
    until("what it left is delivered", PATIENCE, || async {
        held.iter().all(|id| fleet.has_delivered(*id)).then_some(())
    })
    .await;
    let took = killed.elapsed();
    until("all is confirmed that waited", PATIENCE, || async {
        let now = waiting(fleet, side).await;
        (!all.keys().any(|id| now.contains_key(id))).then_some(())
    })
    .await;
    let others = killed.elapsed();
    println!(
        "its messages were delivered {took:.1?} after the kill, all that waited at its service after {others:.1?}"
    );
    took
}

/// Closes subjects out at a process that can not reach its peer; answers their ids.
async fn strand(fleet: &Fleet, side: bool, nth: usize, customer: &str) -> HashSet<Uuid> {
    let client = fleet.client(nth);
    let (mut names, wait) = (Vec::new(), Wait::None.into());
    for _ in 0..STRANDED {
        names.push(if side { client.order(customer, "").await } else { client.opportunity(customer).await });
    }
    let replica = if side { &fleet.order[nth] } else { &fleet.opportunity[nth] };
    until("they are known to the peer", PATIENCE, || async {
        let ids = ids(&names);
        (!waiting(fleet, side).await.values().any(|record| ids.contains(record))).then_some(())
    })
    .await;
    replica.set_roads(Way::Cut);
    for name in &names {
        if side {
            client.close_out_order(trade::CloseOutOrderRequest { wait, ..cancelling(name) }).await.unwrap();
        } else {
            let request = sales::CloseOutOpportunityRequest { wait, ..closing(name) };
            client.close_out_opportunity(request).await.unwrap();
        }
    }
    ids(&names)
}

fn ids(names: &[String]) -> HashSet<Uuid> {
    names.iter().map(|name| name.rsplit('/').next().unwrap().parse().unwrap()).collect()
}

async fn waiting(fleet: &Fleet, side: bool) -> Waiting {
    let [opportunity, order] = fleet.undelivered().await;
    if side { order } else { opportunity }
}

/// How often the proxies of a process have done what this fault is about.
fn happened(replica: &Replica, fault: Fault) -> u64 {
    let commits = || replica.database.as_ref().unwrap().counts.commits_cut.load(Ordering::Relaxed);
    match fault {
        Fault::LoseReplies => replica.sum(|road| &road.counts.replies_lost),
        Fault::Overtake => replica.sum(|road| &road.counts.overtaken),
        Fault::Delay => replica.sum(|road| &road.counts.delayed),
        Fault::Cut => replica.sum(|road| &road.link.counts.cut),
        Fault::HalfOpen => replica.sum(|road| &road.link.counts.deaf),
        Fault::CutCommits => commits(),
        // A signal is not in vain.
        Fault::Kill | Fault::StandStill => 0,
    }
}

fn assert_happened(fleet: &Fleet) {
    let proxied = [Fault::LoseReplies, Fault::Overtake, Fault::Delay, Fault::Cut, Fault::HalfOpen, Fault::CutCommits];
    for fault in proxied {
        let times: u64 = fleet.replicas().map(|replica| happened(replica, fault)).sum();
        println!("{fault:?} happened {times} times");
        assert!(times > 0, "{fault:?} never happened");
    }
    println!("{} copies were found by their receivers", fleet.sum(|road| &road.counts.duplicates));
    for replica in fleet.replicas() {
        assert!(replica.passed() > 0, "a process delivered nothing");
    }
}
