//! Two processes of each service on the same databases: what one of them leaves undelivered, because it is killed or stands still,
//! the other delivers when the lease is over.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_proto::{common::Propagation, opportunity as sales, order as trade};
use crm_tests::{
    client::{Client, cancelling, closing},
    fleet::{Databases, Fleet, Replica, Waiting},
    load::{Load, Size},
    long,
    place::Kind,
    proxy::road::Faults,
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

#[derive(Clone, Copy, Debug)]
enum Side {
    Opportunity,
    Order,
}

impl Side {
    fn replicas(self, fleet: &Fleet) -> &[Replica] {
        match self {
            Self::Opportunity => &fleet.opportunity,
            Self::Order => &fleet.order,
        }
    }

    async fn undelivered(self, fleet: &Fleet) -> Waiting {
        let [opportunity, order] = fleet.undelivered().await;
        match self {
            Self::Opportunity => opportunity,
            Self::Order => order,
        }
    }
}

#[derive(Clone, Debug)]
enum Call {
    Opportunity(sales::CloseOutOpportunityRequest),
    Order(trade::CloseOutOrderRequest),
}

impl Call {
    fn subject(&self) -> Uuid {
        let (Self::Opportunity(sales::CloseOutOpportunityRequest { name, .. })
        | Self::Order(trade::CloseOutOrderRequest { name, .. })) = self;
        name.rsplit('/').next().unwrap().parse().unwrap()
    }

    async fn make(self, client: &Client) -> Propagation {
        let close_out = match self {
            Self::Opportunity(request) => client.close_out_opportunity(request).await.unwrap().close_out,
            Self::Order(request) => client.close_out_order(request).await.unwrap().close_out,
        };
        close_out.unwrap().propagation()
    }
}

/// Close-outs that were committed by the first process of a service and have not come to the other side.
struct Stranded {
    side: Side,
    calls: Vec<Call>,
    /// Their messages; the process that committed them has delivered none.
    messages: HashSet<Uuid>,
}

impl Stranded {
    /// A caller of the first process closes out what belongs to nobody else, while the calls with its messages are held on their
    /// way: a call that breaks off a second time would be left to the other process.
    async fn at(side: Side, fleet: &Fleet) -> Self {
        let client = fleet.client(0);
        let customer = client.customer().await;
        let mut calls = Vec::new();
        for _ in 0..SUBJECTS {
            calls.push(match side {
                Side::Opportunity => Call::Opportunity(closing(&client.opportunity(&customer).await)),
                Side::Order => Call::Order(cancelling(&client.order(&customer, "").await)),
            });
        }
        side.replicas(fleet)[0].set_faults(Faults { held: true, ..Faults::default() });
        let told = join_all(calls.iter().map(|call| call.clone().make(&client))).await;
        assert!(told.iter().all(|propagation| *propagation == Propagation::Pending), "{told:?}");
        let subjects: HashSet<_> = calls.iter().map(Call::subject).collect();
        let waiting = side.undelivered(fleet).await.into_iter();
        let messages: HashSet<_> = waiting.filter(|(_, record)| subjects.contains(record)).map(|(id, _)| id).collect();
        assert!(messages.len() >= SUBJECTS, "{} messages are left", messages.len());
        Self { side, calls, messages }
    }

    /// Repeats every call at the second process until it is settled.
    async fn settled(&self, fleet: &Fleet) {
        let client = &fleet.client(1);
        join_all(self.calls.iter().map(|call| {
            until("the close-out is settled", PATIENCE, move || async move {
                (call.clone().make(client).await == Propagation::Settled).then_some(())
            })
        }))
        .await;
    }

    /// Waits until none of the messages is left; how long that is from `began`. All were delivered by the second process, which
    /// can only have claimed them.
    async fn delivered(&self, fleet: &Fleet, began: Instant) -> Duration {
        until("what was left is delivered", PATIENCE, || async {
            let waiting = self.side.undelivered(fleet).await;
            (!self.messages.iter().any(|id| waiting.contains_key(id))).then_some(())
        })
        .await;
        let took = began.elapsed();
        let claimed = self.messages.iter().all(|id| self.side.replicas(fleet)[1].has_delivered(*id));
        assert!(claimed, "not all was claimed by the other process");
        took
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
    let (sales, trade) = futures::join!(Stranded::at(Side::Opportunity, &fleet), Stranded::at(Side::Order, &fleet));
    fleet.opportunity[0].service.kill();
    fleet.order[0].service.kill();
    let killed = Instant::now();
    let (of_sales, of_trade, ..) = futures::join!(
        sales.delivered(&fleet, killed),
        trade.delivered(&fleet, killed),
        sales.settled(&fleet),
        trade.settled(&fleet)
    );
    let took = of_sales.max(of_trade);
    println!("what the killed processes left was delivered {took:.1?} after the kill");
    assert!(took <= LEASE + SOON, "{took:?}");
    load.stop().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL"]
async fn an_opportunity_service_stands_still_longer_than_its_leases() {
    stands_still(Side::Opportunity).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL"]
async fn an_order_service_stands_still_longer_than_its_leases() {
    stands_still(Side::Order).await;
}

async fn stands_still(side: Side) {
    let (fleet, load) = fleet_at_work().await;
    // Calls are on their way when their sender stops, and arrive when another has delivered the same.
    let stranded = Stranded::at(side, &fleet).await;
    let stopped = &side.replicas(&fleet)[0];
    stopped.service.stand_still();
    let began = Instant::now();
    let took = stranded.delivered(&fleet, began).await;
    println!("what the process held was delivered {took:.1?} after it stopped");
    stranded.settled(&fleet).await;
    stopped.mend();
    until("late calls are found to be copies", PATIENCE, || async {
        (stopped.sum(|road| &road.counts.duplicates) > 0).then_some(())
    })
    .await;
    if long() {
        let minute = Duration::from_secs(60);
        until("a minute has passed", PATIENCE * 2, || async { (began.elapsed() >= minute).then_some(()) }).await;
    }
    let passed = stopped.passed();
    stopped.service.go_on();
    // It is back at work: what it writes now, it delivers.
    let client = fleet.client(0);
    let customer = client.customer().await;
    client.opportunity(&customer).await;
    client.order(&customer, "").await;
    until("it delivers again", PATIENCE, || async { (stopped.passed() > passed).then_some(()) }).await;
    load.stop().await;
    fleet.end().await;
}
