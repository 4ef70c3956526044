//! The lists of the API, each by an index that begins with the tenant.

use crate::domain::{Customer, Order, State};
use crm_api::page::Page;
use crm_closeout::ids::{CustomerId, OpportunityId, TenantId};
use crm_outbox::{
    db::{Db, Error},
    select::{Order as Direction, Select},
};

/// Which orders to list.
#[derive(Debug, Default)]
pub(crate) struct OrderFilter {
    /// Of this customer.
    pub(crate) customer: Option<CustomerId>,
    /// Of this opportunity.
    pub(crate) opportunity: Option<OpportunityId>,
    /// In this state.
    pub(crate) state: Option<State>,
    /// Of this owner; empty: of all.
    pub(crate) owner: String,
}

/// Lists orders, oldest first.
pub(crate) async fn orders(db: &Db, tenant: TenantId, filter: &OrderFilter, page: &Page) -> Result<Vec<Order>, Error> {
    Select::of(tenant)
        .equal("opportunity_id", filter.opportunity.as_ref())
        .equal("customer_id", filter.customer.as_ref())
        .text("owner", &filter.owner)
        .in_state(filter.state.as_ref())
        .page(db, "order_id", Direction::Oldest, page.after, page.size)
        .await
}

/// Lists customers, oldest first.
pub(crate) async fn customers(db: &Db, tenant: TenantId, page: &Page) -> Result<Vec<Customer>, Error> {
    Select::of(tenant).page(db, "customer_id", Direction::Oldest, page.after, page.size).await
}
