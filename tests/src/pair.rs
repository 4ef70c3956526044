//! Both services, their databases, and the check at the end.

use crate::{
    client::Client,
    place::{Kind, Place},
    process::{Service, free_port},
};
use crm_checker::History;
use crm_closeout::ids::TenantId;
use crm_outbox::{
    db::Db,
    sql::{Args, Sql},
};
use uuid::Uuid;

pub use crate::place::QUIET;

/// Both services.
#[derive(Debug)]
pub struct Pair {
    /// The opportunity service.
    pub opportunity: Service,
    /// The order service.
    pub order: Service,
    /// Where the data is.
    pub place: Place,
    /// The tenant of [`Pair::client`].
    pub tenant: TenantId,
    /// What its clients did and saw.
    pub history: History,
}

impl Pair {
    /// Databases and ports, nothing started.
    pub async fn new(kind: Kind) -> Self {
        let place = Place::new(kind).await;
        let [sales, sales_peer, trade, trade_peer] = std::array::from_fn(|_| free_port());
        let opportunity = Service::new("opportunity-service", &place.opportunity, [sales, sales_peer], &[trade_peer]);
        let order = Service::new("order-service", &place.order, [trade, trade_peer], &[sales_peer]);
        opportunity.migrate();
        order.migrate();
        Self { opportunity, order, place, tenant: TenantId(Uuid::now_v7()), history: History::whole() }
    }

    /// Both services, ready.
    pub async fn started(kind: Kind) -> Self {
        let mut pair = Self::new(kind).await;
        pair.opportunity.start(&[]).await;
        pair.order.start(&[]).await;
        pair
    }

    /// A client of both services, with connections of its own.
    pub fn client(&self) -> Client {
        self.client_of(self.tenant, "ann")
    }

    /// A client of another tenant or principal.
    pub fn client_of(&self, tenant: TenantId, principal: &str) -> Client {
        Client::new(&self.opportunity.url(), &self.order.url(), tenant, principal, self.history.clone())
    }

    /// A client of somebody who has these roles and is in these teams.
    pub fn client_in(&self, principal: &str, roles: &[&str], teams: &[&str]) -> Client {
        let (sales, trade) = (self.opportunity.url(), self.order.url());
        Client::with(&sales, &trade, self.tenant, (principal, roles, teams), self.history.clone())
    }

    /// Both databases, to look at.
    pub async fn databases(&self) -> (Db, Db) {
        self.place.databases().await
    }

    /// Rows of the audit trails of both sides.
    pub async fn audit_rows(&self) -> i64 {
        let (opportunity, order) = self.databases().await;
        let mut count = 0;
        for db in [&opportunity, &order] {
            let rows = db.read(&Sql::plain("SELECT count(*) FROM audit"), Args::none()).await.unwrap();
            count += rows[0].get::<i64>(0).unwrap();
            db.close().await;
        }
        count
    }

    /// Waits until nothing is on its way.
    pub async fn quiet(&self) {
        self.place.quiet(QUIET).await;
    }

    /// The end of a story: quiet, and no invariant violated. The databases are removed.
    pub async fn end(self) {
        self.quiet().await;
        self.place.check(&self.history).await;
        let Self { opportunity, order, place, .. } = self;
        drop((opportunity, order));
        place.remove().await;
    }
}
