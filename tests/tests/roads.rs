//! Bad roads between the services: replies are lost, calls overtake each other or come late, connections break or go deaf. Nothing
//! is lost, nothing is done twice.

use crm_tests::{
    fleet::{Databases, Fleet},
    load::{Load, Size},
    long,
    place::Kind,
    proxy::{
        link::Way,
        road::{Counts, Faults, Road},
    },
    stories, until,
};
use futures::future::join_all;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

stories!(every_third_reply_is_lost, calls_overtake_each_other, calls_come_late, roads_are_cut, roads_go_deaf);

const SIZE: Size = Size { callers: 4, at_once: 4 };
const PATIENCE: Duration = Duration::from_secs(60);

fn calls() -> u64 {
    if long() { 10_000 } else { 400 }
}

/// One process of each service on SQLite, two on PostgreSQL.
async fn fleet(kind: Kind) -> Fleet {
    let replicas = if kind == Kind::Postgres { 2 } else { 1 };
    Fleet::started(kind, replicas, Databases::Direct).await
}

/// Load on roads with this fault, until it has happened often enough and enough is done.
async fn with_faults(kind: Kind, faults: Faults, figure: fn(&Counts) -> &AtomicU64, at_least: u64) {
    let fleet = fleet(kind).await;
    let load = Load::start(&fleet, SIZE, 0).await;
    fleet.replicas().for_each(|replica| replica.set_faults(faults));
    load.does(calls()).await;
    until("the fault happens", PATIENCE, || async {
        (fleet.sum(|road| figure(&road.counts)) >= at_least).then_some(())
    })
    .await;
    load.stop().await;
    let happened = fleet.sum(|road| figure(&road.counts));
    println!("{faults:?}: {happened} times, {} duplicates", fleet.sum(|road| &road.counts.duplicates));
    fleet.mend();
    for replica in fleet.replicas() {
        assert!(replica.passed() > 0, "a process delivered nothing");
    }
    fleet.end().await;
}

async fn every_third_reply_is_lost(kind: Kind) {
    let faults = Faults { lose_reply_every: 3, ..Faults::default() };
    with_faults(kind, faults, |counts| &counts.replies_lost, 50).await;
}

async fn calls_overtake_each_other(kind: Kind) {
    let faults = Faults { overtake_every: 3, ..Faults::default() };
    with_faults(kind, faults, |counts| &counts.overtaken, 20).await;
}

async fn calls_come_late(kind: Kind) {
    let faults = Faults { delay: Duration::from_secs(5), ..Faults::default() };
    with_faults(kind, faults, |counts| &counts.delayed, 20).await;
}

/// Again and again another road is cut, and mended when that was seen.
async fn roads_are_cut(kind: Kind) {
    let fleet = fleet(kind).await;
    let load = Load::start(&fleet, SIZE, 0).await;
    for _ in 0..if long() { 50 } else { 3 } {
        for road in fleet.replicas().flat_map(|replica| &replica.roads) {
            breaks(&load, road, Way::Cut, 1).await;
            road.link.set(Way::Open);
        }
    }
    load.stop().await;
    fleet.end().await;
}

/// One road of each process takes everything and answers nothing, until the process has given up the connection, and the next one.
async fn roads_go_deaf(kind: Kind) {
    let fleet = fleet(kind).await;
    let load = Load::start(&fleet, SIZE, 0).await;
    for nth in 0..if long() { 10 } else { 1 } {
        let roads: Vec<_> = fleet.replicas().map(|replica| &replica.roads[nth % replica.roads.len()]).collect();
        join_all(roads.iter().map(|road| breaks(&load, road, Way::HalfOpen, 2))).await;
        roads.iter().for_each(|road| road.link.set(Way::Open));
    }
    load.stop().await;
    fleet.end().await;
}

/// Breaks a road under load, until so many connections were hit and the callers have got on nevertheless.
async fn breaks(load: &Load, road: &Road, way: Way, times: u64) {
    let counts = &road.link.counts;
    let hit = || if way == Way::Cut { &counts.cut } else { &counts.deaf }.load(Ordering::Relaxed);
    let before = hit();
    load.does(calls() / 40).await;
    road.link.set(way);
    until("the road is broken", PATIENCE, || async { (hit() >= before + times).then_some(()) }).await;
    load.does(calls() / 40).await;
}
