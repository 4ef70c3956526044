//! Everything that is done about reasons for close-outs and settings, and a close-out by a reason of the tenant's own.

use crm_proto::{
    common::{CloseOutReason, OutcomeClass, ReasonScope, Settings},
    opportunity as sales, order as trade,
};
use crm_tests::client::Client;
use std::collections::BTreeMap;

/// Makes a reason, changes it, and reads it on both services.
pub(crate) async fn manage(client: &Client) {
    let code = format!("R{}", uuid::Uuid::now_v7().simple()).to_uppercase();
    let name = format!("closeOutReasons/{code}");
    let reason = CloseOutReason {
        scope: ReasonScope::Order.into(),
        category: "ORDER".into(),
        labels: BTreeMap::from(["zh", "en"].map(|language| (language.to_owned(), "x".to_owned()))),
        outcome_class: OutcomeClass::NoDecision.into(),
        ..CloseOutReason::default()
    };
    let request = sales::CreateCloseOutReasonRequest { reason: Some(reason), code, ..Default::default() };
    client.create_reason(request).await.unwrap();
    let reason = CloseOutReason { name: name.clone(), win_back_days: 9, ..CloseOutReason::default() };
    let request = sales::UpdateCloseOutReasonRequest { reason: Some(reason), ..Default::default() };
    client.update_reason(request).await.unwrap();
    let request = sales::DeactivateCloseOutReasonRequest { name: name.clone(), ..Default::default() };
    client.deactivate_reason(request).await.unwrap();
    let request = sales::ActivateCloseOutReasonRequest { name: name.clone(), ..Default::default() };
    client.activate_reason(request).await.unwrap();
    let scope = ReasonScope::Order.into();
    let list = sales::ListCloseOutReasonsRequest { scope, show_inactive: true, ..Default::default() };
    let listed = client.reasons.clone().list_close_out_reasons(list).await.unwrap().into_inner().reasons;
    let names = listed.into_iter().rev().map(|reason| reason.name).collect();
    let request = sales::ReorderCloseOutReasonsRequest { scope, names, ..Default::default() };
    client.reorder_reasons(request).await.unwrap();
    for version in [0, 1] {
        let get = sales::GetCloseOutReasonRequest { name: name.clone(), version, ..Default::default() };
        client.reasons.clone().get_close_out_reason(get).await.unwrap();
    }
    let merge = sales::MergeCloseOutReasonsRequest {
        sources: vec![name],
        target: "closeOutReasons/ORD_AGED".into(),
        ..Default::default()
    };
    client.merge_reasons(merge).await.unwrap();
    let current = client.settings.clone().get_settings(sales::GetSettingsRequest {}).await.unwrap().into_inner();
    let mut verification = current.settings.unwrap().verification.unwrap();
    verification.fresh_days = verification.fresh_days % 365 + 1;
    let settings = Some(Settings { verification: Some(verification), ..Settings::default() });
    client.update_settings(sales::UpdateSettingsRequest { settings, ..Default::default() }).await.unwrap();
    client.copied_settings.clone().get_settings(trade::GetSettingsRequest {}).await.unwrap();
    let list = trade::ListCloseOutReasonsRequest::default();
    client.copied_reasons.clone().list_close_out_reasons(list).await.unwrap();
}
