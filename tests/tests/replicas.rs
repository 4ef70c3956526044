//! Two processes of each service on the same databases: what one of them leaves undelivered, because it is killed or stands still,
//! the other delivers when the lease is over.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_proto::common::Propagation;
use crm_tests::{
    client::{Client, cancelling, closing},
    fleet::{Databases, Fleet, Replica},
    load::{Load, Size},
    long,
    place::Kind,
    proxy::{link::Way, road::Faults},
    until,
};
use futures::future::join_all;
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};
use uuid::Uuid;

const SIZE: Size = Size { callers: 2, at_once: 2 };
const SUBJECTS: usize = 20;
const LEASE: Duration = Duration::from_micros(crm_outbox::settle::LEASE as u64);
/// From the end of a lease to the delivery.
const SOON: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);

/// Close-outs that were committed by the first process of each service and have not come to the other side.
struct Stranded {
    opportunities: Vec<crm_proto::opportunity::CloseOutOpportunityRequest>,
    orders: Vec<crm_proto::order::CloseOutOrderRequest>,
    /// Their messages, and others that those processes held: of the opportunity service, of the order service.
    messages: [HashSet<Uuid>; 2],
}

impl Stranded {
    /// Callers of the first processes close out what belongs to nobody else, while `strand` keeps all messages here.
    async fn by(fleet: &Fleet, strand: impl Fn(&Replica)) -> Self {
        let client = fleet.client(0);
        let customer = client.customer().await;
        let opportunities = join_all((0..SUBJECTS).map(|_| client.opportunity(&customer))).await;
        let orders = join_all((0..SUBJECTS).map(|_| client.order(&customer, ""))).await;
        [&fleet.opportunity[0], &fleet.order[0]].into_iter().for_each(strand);
        let opportunities: Vec<_> = opportunities.iter().map(|name| closing(name)).collect();
        let orders: Vec<_> = orders.iter().map(|name| cancelling(name)).collect();
        let closes = join_all(opportunities.iter().map(|request| client.close_out_opportunity(request.clone())));
        let cancels = join_all(orders.iter().map(|request| client.close_out_order(request.clone())));
        let (closes, cancels) = futures::join!(closes, cancels);
        let closes = closes.into_iter().map(|reply| reply.unwrap().close_out.unwrap());
        let cancels = cancels.into_iter().map(|reply| reply.unwrap().close_out.unwrap());
        assert!(closes.chain(cancels).all(|close_out| close_out.propagation() == Propagation::Pending));
        let messages = fleet.undelivered().await;
        assert!(messages.iter().all(|messages| messages.len() >= SUBJECTS));
        Self { opportunities, orders, messages }
    }

    /// Repeats every call at another process until it is settled.
    async fn settled(&self, client: &Client) {
        let closes = join_all(self.opportunities.iter().map(|request| {
            until("the close-out is settled", PATIENCE, move || async move {
                let close_out = client.close_out_opportunity(request.clone()).await.unwrap().close_out.unwrap();
                (close_out.propagation() == Propagation::Settled).then_some(())
            })
        }));
        let cancels = join_all(self.orders.iter().map(|request| {
            until("the close-out is settled", PATIENCE, move || async move {
                let close_out = client.close_out_order(request.clone()).await.unwrap().close_out.unwrap();
                (close_out.propagation() == Propagation::Settled).then_some(())
            })
        }));
        futures::join!(closes, cancels);
    }

    /// Waits until none of the messages is left; how long that is from `began`.
    async fn delivered(&self, fleet: &Fleet, began: Instant) -> Duration {
        until("what was left is delivered", PATIENCE, || async {
            let left = fleet.undelivered().await;
            (self.messages[0].is_disjoint(&left[0]) && self.messages[1].is_disjoint(&left[1])).then_some(())
        })
        .await;
        began.elapsed()
    }

    /// Every message was delivered by the second process of its service, which can only have claimed it.
    fn claimed(&self, fleet: &Fleet) -> bool {
        let by = |replica: &Replica, messages: &HashSet<Uuid>| messages.iter().all(|id| replica.has_delivered(*id));
        by(&fleet.opportunity[1], &self.messages[0]) && by(&fleet.order[1], &self.messages[1])
    }
}

/// Every process has delivered something; then the load goes on at the second of each service alone.
async fn fleet_at_work() -> (Fleet, Load) {
    let fleet = Fleet::started(Kind::Postgres, 2, Databases::Direct).await;
    let load = Load::start(&fleet, SIZE, 0).await;
    load.does(100).await;
    load.stop().await;
    for replica in fleet.replicas() {
        assert!(replica.passed() > 0, "a process delivered nothing");
    }
    let load = Load::start_at(&fleet, 1, SIZE, 0).await;
    (fleet, load)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL"]
async fn one_of_each_is_killed_with_undelivered_messages() {
    let (mut fleet, load) = fleet_at_work().await;
    let stranded = Stranded::by(&fleet, |replica| replica.set_roads(Way::Cut)).await;
    fleet.opportunity[0].service.kill();
    fleet.order[0].service.kill();
    let (killed, lease) = (Instant::now(), fleet.longest_lease().await);
    let client = fleet.client(1);
    let (took, ()) = futures::join!(stranded.delivered(&fleet, killed), stranded.settled(&client));
    println!(
        "what the killed processes left was delivered {took:.1?} after the kill; its last lease lasted {lease:.1?}"
    );
    assert!(stranded.claimed(&fleet), "not all was claimed by the other process");
    assert!(took <= LEASE + SOON, "{took:?}");
    load.stop().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL"]
async fn one_of_each_stands_still_longer_than_its_leases() {
    let (fleet, load) = fleet_at_work().await;
    // Calls are on their way when their senders stop, and arrive when others have delivered the same.
    let stranded = Stranded::by(&fleet, |replica| replica.set_faults(Faults { held: true, ..Faults::default() })).await;
    let stopped = [&fleet.opportunity[0], &fleet.order[0]];
    stopped.iter().for_each(|replica| replica.service.stand_still());
    let began = Instant::now();
    let took = stranded.delivered(&fleet, began).await;
    println!("what the processes held was delivered {took:.1?} after they stopped");
    assert!(stranded.claimed(&fleet), "not all was claimed by the other process");
    stranded.settled(&fleet.client(1)).await;
    let late = |replica: &Replica| replica.sum(|road| &road.counts.duplicates);
    stopped.iter().for_each(|replica| replica.mend());
    until("late calls are found to be copies", PATIENCE, || async {
        stopped.iter().all(|replica| late(replica) > 0).then_some(())
    })
    .await;
    let enough = if long() { Duration::from_secs(60) } else { LEASE + SOON };
    until("it is longer than any lease", PATIENCE * 2, || async { (began.elapsed() >= enough).then_some(()) }).await;
    let passed: Vec<_> = stopped.iter().map(|replica| replica.passed()).collect();
    stopped.iter().for_each(|replica| replica.service.go_on());
    // They are back at work: what they write now, they deliver.
    let client = fleet.client(0);
    let customer = client.customer().await;
    let (opportunity, order) = (client.opportunity(&customer).await, client.order(&customer, "").await);
    client.close_out_opportunity(closing(&opportunity)).await.unwrap();
    client.close_out_order(cancelling(&order)).await.unwrap();
    until("they deliver again", PATIENCE, || async {
        stopped.iter().zip(&passed).all(|(replica, before)| replica.passed() > *before).then_some(())
    })
    .await;
    load.stop().await;
    fleet.end().await;
}
