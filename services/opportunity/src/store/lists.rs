//! The lists of the API, each by an index that begins with the tenant.

use crate::domain::{Competitor, Customer, Lifecycle, Opportunity, State};
use crm_api::page::Page;
use crm_closeout::{
    ids::{CustomerId, TenantId},
    pipeline::StageName,
    time::Time,
};
use crm_outbox::{
    db::{Db, Error},
    select::{Order, Select},
};

/// Which opportunities to list.
#[derive(Debug, Default)]
pub(crate) struct OpportunityFilter {
    /// Of this customer.
    pub(crate) customer: Option<CustomerId>,
    /// In this state.
    pub(crate) state: Option<State>,
    /// In this stage.
    pub(crate) stage: Option<StageName>,
    /// Of this owner; empty: of all.
    pub(crate) owner: String,
    /// Created before this.
    pub(crate) created_before: Option<Time>,
    /// Last worked on before this.
    pub(crate) active_before: Option<Time>,
}

/// Lists opportunities, oldest first.
pub(crate) async fn opportunities(
    db: &Db,
    tenant: TenantId,
    filter: &OpportunityFilter,
    page: &Page,
) -> Result<Vec<Opportunity>, Error> {
    Select::of(tenant)
        .equal("customer_id", filter.customer.as_ref())
        .text("owner", &filter.owner)
        .in_state(filter.state.as_ref())
        .equal("stage", filter.stage.as_ref())
        .below("created_at", filter.created_before.as_ref())
        .below("activity_at", filter.active_before.as_ref())
        .page(db, "opportunity_id", Order::Oldest, page.after, page.size)
        .await
}

/// Lists customers, oldest first.
pub(crate) async fn customers(
    db: &Db,
    tenant: TenantId,
    lifecycle: Option<Lifecycle>,
    owner: &str,
    page: &Page,
) -> Result<Vec<Customer>, Error> {
    Select::of(tenant)
        .text("owner", owner)
        .equal("lifecycle", lifecycle.as_ref())
        .page(db, "customer_id", Order::Oldest, page.after, page.size)
        .await
}

/// Lists competitors, oldest first.
pub(crate) async fn competitors(
    db: &Db,
    tenant: TenantId,
    active_only: bool,
    page: &Page,
) -> Result<Vec<Competitor>, Error> {
    let select = Select::of(tenant);
    let select = if active_only { select.holds("active") } else { select };
    select.page(db, "competitor_id", Order::Oldest, page.after, page.size).await
}
