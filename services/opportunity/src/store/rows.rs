//! The service's tables, bound to the domain's types.

use crate::domain::{Competitor, Customer, Lifecycle, Opportunity, State};
use crm_closeout::{
    ids::{CloseOutId, CompetitorId, CustomerId, OpportunityId, TenantId},
    money::{Money, Sums},
    time::Time,
};
use crm_outbox::{part_code, table};

part_code!(Lifecycle, State);

table!(Customer = "customer", key |key| [tenant_id: TenantId = key.0, customer_id: CustomerId = key.1], {
    tenant_id: TenantId, customer_id: CustomerId, display_name: String, tier: String, owner: String,
    do_not_contact: bool, lifecycle: Lifecycle, engaged: bool, open_count: i64, won_count: i64, lost_count: i64,
    live_order_count: i64, amounts: Sums<3>, last_loss_at: Option<Time>, created_at: Time, updated_at: Time,
    version: i64, sent: i64,
});

table!(Opportunity = "opportunity", key |key| [tenant_id: TenantId = key.0, opportunity_id: OpportunityId = key.1], {
    tenant_id: TenantId, opportunity_id: OpportunityId, number: String, customer_id: Option<CustomerId>, title: String,
    owner: String, team: String, stage: String, state: State, amount: Money, expected_close_at: Option<Time>,
    source: String, created_at: Time, stage_entered_at: Time, activity_at: Time, won_at: Option<Time>,
    close_out_id: Option<CloseOutId>, closed_at: Option<Time>, loss_at: Option<Time>, historical: bool,
    updated_at: Time, version: i64, epoch: i64, sent: i64,
});

table!(Competitor = "competitor", key |key| [tenant_id: TenantId = key.0, competitor_id: CompetitorId = key.1], {
    tenant_id: TenantId, competitor_id: CompetitorId, display_name: String, active: bool, created_at: Time,
});
