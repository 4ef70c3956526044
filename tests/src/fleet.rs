//! Several processes of each service on the same databases, each with a road of its own to every peer listener of the other
//! service, and, if asked for, a link of its own to its database.

use crate::{
    client::Client,
    load::Caller,
    place::{Kind, Place},
    process::{Service, free_port},
    proxy::{
        arrivals::Arrivals,
        link::{Link, Way},
        road::{Faults, Road},
    },
};
use crm_checker::History;
use crm_closeout::ids::TenantId;
use crm_outbox::{
    db::Db,
    sql::{Args, Sql},
};
use sqlx::postgres::PgConnectOptions;
use std::{
    collections::HashMap,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

/// How a service reaches its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Databases {
    /// Directly.
    Direct,
    /// Through a [`Link`] of its own; on PostgreSQL.
    Linked,
}

/// One process with all its ways out.
#[derive(Debug)]
pub struct Replica {
    /// The process.
    pub service: Service,
    /// Its roads to the peer listeners of the other service, in their order.
    pub roads: Vec<Road>,
    /// Its way to the database, if it has one of its own.
    pub database: Option<Link>,
}

impl Replica {
    /// Cuts or opens all its roads.
    pub fn set_roads(&self, way: Way) {
        self.roads.iter().for_each(|road| road.link.set(way));
    }

    /// Switches the faults of all its roads.
    pub fn set_faults(&self, faults: Faults) {
        self.roads.iter().for_each(|road| road.set(faults));
    }

    /// Calls that it has delivered.
    pub fn passed(&self) -> u64 {
        self.sum(|road| &road.counts.passed)
    }

    /// One figure, over all its roads.
    pub fn sum(&self, figure: impl Fn(&Road) -> &AtomicU64) -> u64 {
        self.roads.iter().map(|road| figure(road).load(Ordering::Relaxed)).sum()
    }

    /// Whether it has delivered this message.
    pub fn has_delivered(&self, message: Uuid) -> bool {
        self.roads.iter().any(|road| road.has_delivered(message.as_bytes()))
    }

    /// No fault on any of its ways; the process is not looked at.
    pub fn mend(&self) {
        self.roads.iter().for_each(Road::mend);
        if let Some(database) = &self.database {
            database.set(Way::Open);
            database.cut_commits(0);
        }
    }
}

/// Messages of an outbox: their ids, and of which record each is.
pub type Waiting = HashMap<Uuid, Uuid>;

/// Both services, so many processes of each.
#[derive(Debug)]
pub struct Fleet {
    /// Processes of the opportunity service.
    pub opportunity: Vec<Replica>,
    /// Processes of the order service.
    pub order: Vec<Replica>,
    /// What arrives at the opportunity service.
    pub at_opportunity: Arc<Arrivals>,
    /// What arrives at the order service.
    pub at_order: Arc<Arrivals>,
    /// Where the data is.
    pub place: Place,
    looks: (Db, Db),
    tenant: TenantId,
    history: History,
}

impl Fleet {
    /// So many processes of each service, ready.
    pub async fn started(kind: Kind, replicas: usize, databases: Databases) -> Self {
        Self::started_at(Place::new(kind).await, replicas, databases).await
    }

    /// The same on databases that are given.
    pub async fn started_at(place: Place, replicas: usize, databases: Databases) -> Self {
        let ports = || (0..replicas).map(|_| [free_port(), free_port()]).collect::<Vec<_>>();
        let (sales, trade) = (ports(), ports());
        let (at_opportunity, at_order) = (Arc::<Arrivals>::default(), Arc::<Arrivals>::default());
        Service::new("opportunity-service", &place.opportunity, sales[0], &[trade[0][1]]).migrate();
        Service::new("order-service", &place.order, trade[0], &[sales[0][1]]).migrate();
        let (mut opportunity, mut order) = (Vec::new(), Vec::new());
        for own in &sales {
            opportunity
                .push(replica("opportunity-service", &place.opportunity, *own, &trade, &at_order, databases).await);
        }
        for own in &trade {
            order.push(replica("order-service", &place.order, *own, &sales, &at_opportunity, databases).await);
        }
        let looks = place.databases().await;
        let tenant = TenantId(Uuid::now_v7());
        Self { opportunity, order, at_opportunity, at_order, place, looks, tenant, history: History::whole() }
    }

    /// All processes of both services.
    pub fn replicas(&self) -> impl Iterator<Item = &Replica> {
        self.opportunity.iter().chain(&self.order)
    }

    /// One figure, over all roads.
    pub fn sum(&self, figure: impl Fn(&Road) -> &AtomicU64) -> u64 {
        self.replicas().map(|replica| replica.sum(&figure)).sum()
    }

    /// Commits whose answer was lost, over all processes.
    pub fn commits_cut(&self) -> u64 {
        let links = self.replicas().filter_map(|replica| replica.database.as_ref());
        links.map(|link| link.counts.commits_cut.load(Ordering::Relaxed)).sum()
    }

    /// A client that calls the n-th process of each service and no other.
    pub fn client(&self, nth: usize) -> Client {
        let (sales, trade) = (self.opportunity[nth].service.url(), self.order[nth].service.url());
        Client::new(&sales, &trade, self.tenant, "ann", self.history.clone())
    }

    /// A caller that knows all processes and begins with the n-th.
    pub fn caller(&self, nth: usize) -> Caller {
        let count = self.opportunity.len();
        Caller::new((0..count).map(|step| self.client((nth + step) % count)).collect())
    }

    /// The messages that wait in the outbox of the opportunity service, and of the order service.
    pub async fn undelivered(&self) -> [Waiting; 2] {
        [undelivered(&self.looks.0).await, undelivered(&self.looks.1).await]
    }

    /// Whether any process has delivered this message.
    pub fn has_delivered(&self, message: Uuid) -> bool {
        self.replicas().any(|replica| replica.has_delivered(message))
    }

    /// No fault on any way.
    pub fn mend(&self) {
        self.replicas().for_each(Replica::mend);
    }

    /// The end of a story: quiet within this time, and no invariant violated. The databases are removed.
    pub async fn end_within(self, timeout: Duration) {
        self.place.quiet(timeout).await;
        self.place.check(&self.history).await;
        let Self { opportunity, order, place, looks, .. } = self;
        looks.0.close().await;
        looks.1.close().await;
        drop((opportunity, order));
        place.remove().await;
    }

    /// The end of a story with a short backlog.
    pub async fn end(self) {
        self.end_within(crate::place::QUIET).await;
    }
}

async fn replica(
    program: &str,
    database_url: &str,
    own: [u16; 2],
    others: &[[u16; 2]],
    arrivals: &Arc<Arrivals>,
    databases: Databases,
) -> Replica {
    let mut roads = Vec::new();
    for other in others {
        roads.push(Road::to(other[1], arrivals.clone()).await);
    }
    let (database, url) = match databases {
        Databases::Direct => (None, database_url.to_owned()),
        Databases::Linked => {
            let port = PgConnectOptions::from_str(database_url).unwrap().get_port();
            let link = Link::to_postgres(port).await;
            let url = database_url.replacen(&format!(":{port}/"), &format!(":{}/", link.port), 1);
            assert_ne!(url, database_url, "the URL of the database names no port");
            (Some(link), url)
        }
    };
    let ports: Vec<_> = roads.iter().map(|road| road.link.port).collect();
    let mut service = Service::new(program, &url, own, &ports);
    service.start(&[]).await;
    Replica { service, roads, database }
}

async fn undelivered(db: &Db) -> Waiting {
    let rows = db.read(&Sql::plain("SELECT message_id, record_id FROM outbox"), Args::none()).await.unwrap();
    rows.iter().map(|row| (row.get(0).unwrap(), row.get(1).unwrap())).collect()
}
