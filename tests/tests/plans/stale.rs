//! Everything that is done about stale opportunities.

use crate::lists::pages;
use crm_proto::{
    opportunity as sales,
    opportunity::{StaleLevel, StalePolicy, StaleRule},
};
use crm_tests::client::Client;
use uuid::Uuid;

/// Decides, lists, and sweeps what one owner has.
pub(crate) async fn sweep(client: &Client) {
    let rule = Some(StaleRule { warn_days: 1, propose_days: 2, close_days: 3 });
    let policy = StalePolicy { rule, daily: true, ..StalePolicy::default() };
    let request = sales::UpdateStalePolicyRequest { stale_policy: Some(policy), ..Default::default() };
    client.update_stale_policy(request).await.unwrap();
    for owner in ["", "rep7"] {
        let request = sales::ListStaleOpportunitiesRequest { owner: owner.into(), ..Default::default() };
        pages!(client.stale, list_stale_opportunities, request);
    }
    for level in [StaleLevel::Warn, StaleLevel::Propose, StaleLevel::CloseOut] {
        let request = sales::SweepStaleOpportunitiesRequest {
            level: level.into(),
            owner: "rep7".into(),
            request_id: Uuid::now_v7().to_string(),
            ..Default::default()
        };
        client.sweep_stale(request).await.unwrap();
    }
}
