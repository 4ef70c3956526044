//! Reasons that a tenant manages: made, changed and taken out of use on the opportunity service, they decide on both services, and
//! a close-out keeps the version it was made with.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_closeout::ids::TenantId;
use crm_proto::{
    common::{CloseOutReason, OutcomeClass, Propagation, ReasonScope, Wait},
    opportunity as sales, order as trade,
};
use crm_tests::{
    client::{Client, cancelling, closing},
    pair::{Pair, QUIET},
    place::Kind,
    stories, until,
};
use prost_types::FieldMask;
use std::collections::BTreeMap;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

stories!(
    a_reason_decides_on_both_services_in_all_its_versions,
    the_copy_follows_when_the_order_service_is_back,
    what_can_not_be_a_reason_is_told_at_once,
    tenants_have_reasons_of_their_own,
);

fn labels(zh: &str, en: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("zh".to_owned(), zh.to_owned()), ("en".to_owned(), en.to_owned())])
}

fn new(code: &str, scope: ReasonScope) -> sales::CreateCloseOutReasonRequest {
    let reason = CloseOutReason {
        scope: scope.into(),
        category: "SUPPLY".into(),
        labels: labels("供应中断", "Supply broken off"),
        outcome_class: OutcomeClass::CustomerCancelled.into(),
        ..Default::default()
    };
    let wait = Wait::Peer.into();
    sales::CreateCloseOutReasonRequest { reason: Some(reason), code: code.into(), wait, ..Default::default() }
}

fn needing(code: &str, min_detail_length: i32) -> sales::UpdateCloseOutReasonRequest {
    let reason =
        CloseOutReason { name: format!("closeOutReasons/{code}"), min_detail_length, ..CloseOutReason::default() };
    let update_mask = Some(FieldMask { paths: vec!["min_detail_length".into()] });
    let wait = Wait::Peer.into();
    sales::UpdateCloseOutReasonRequest { reason: Some(reason), update_mask, wait, ..Default::default() }
}

fn away(code: &str) -> sales::DeactivateCloseOutReasonRequest {
    let (name, wait) = (format!("closeOutReasons/{code}"), Wait::Peer.into());
    sales::DeactivateCloseOutReasonRequest { name, wait, ..Default::default() }
}

fn back(code: &str) -> sales::ActivateCloseOutReasonRequest {
    let (name, wait) = (format!("closeOutReasons/{code}"), Wait::Peer.into());
    sales::ActivateCloseOutReasonRequest { name, wait, ..Default::default() }
}

async fn close_order(client: &Client, order: &str, code: &str, detail: &str) -> Result<i64, Status> {
    let (reason, detail) = (format!("closeOutReasons/{code}"), detail.to_owned());
    let request = trade::CloseOutOrderRequest { reason, detail, ..cancelling(order) };
    Ok(client.close_out_order(request).await?.close_out.unwrap().reason_version)
}

async fn close_opportunity(client: &Client, opportunity: &str, code: &str) -> Result<i64, Status> {
    let reason = format!("closeOutReasons/{code}");
    let request = sales::CloseOutOpportunityRequest { reason, detail: String::new(), ..closing(opportunity) };
    Ok(client.close_out_opportunity(request).await?.close_out.unwrap().reason_version)
}

/// Field and reason of every violation.
fn violations(status: &Status) -> Vec<(String, String)> {
    let details = status.get_details_bad_request().into_iter();
    let details = details.flat_map(|details| details.field_violations);
    details.map(|violation| (violation.field, violation.reason)).collect()
}

fn words(status: &Status) -> Vec<String> {
    violations(status).into_iter().map(|(_, reason)| reason).collect()
}

async fn owned(client: &Client, code: &str, version: i64) -> Result<CloseOutReason, Status> {
    let request =
        sales::GetCloseOutReasonRequest { name: format!("closeOutReasons/{code}"), version, ..Default::default() };
    Ok(client.reasons.clone().get_close_out_reason(request).await?.into_inner().reason.unwrap())
}

async fn copied(client: &Client, code: &str, version: i64) -> Result<CloseOutReason, Status> {
    let request =
        trade::GetCloseOutReasonRequest { name: format!("closeOutReasons/{code}"), version, ..Default::default() };
    Ok(client.copied_reasons.clone().get_close_out_reason(request).await?.into_inner().reason.unwrap())
}

async fn listed(client: &Client, show_inactive: bool) -> [Vec<CloseOutReason>; 2] {
    let sales = sales::ListCloseOutReasonsRequest { show_inactive, ..Default::default() };
    let trade = trade::ListCloseOutReasonsRequest { show_inactive, ..Default::default() };
    [
        client.reasons.clone().list_close_out_reasons(sales).await.unwrap().into_inner().reasons,
        client.copied_reasons.clone().list_close_out_reasons(trade).await.unwrap().into_inner().reasons,
    ]
}

async fn a_reason_decides_on_both_services_in_all_its_versions(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let mut orders = Vec::new();
    for _ in 0..3 {
        let order = client.order(&customer, "").await;
        client.confirm_order(trade::ConfirmOrderRequest { name: order.clone(), ..Default::default() }).await.unwrap();
        orders.push(order);
    }
    let unknown = close_order(&client, &orders[0], "ORD_SUPPLY", "").await.unwrap_err();
    assert_eq!(words(&unknown), ["UNKNOWN_REASON"]);

    let request = sales::CreateCloseOutReasonRequest {
        request_id: Uuid::now_v7().to_string(),
        ..new("ORD_SUPPLY", ReasonScope::Order)
    };
    let made = client.create_reason(request.clone()).await.unwrap();
    assert_eq!(made.propagation(), Propagation::Settled);
    assert_eq!(client.create_reason(request).await.unwrap().reason, made.reason, "the same request, the same answer");
    let again = client.create_reason(new("ORD_SUPPLY", ReasonScope::Order)).await.unwrap_err();
    assert_eq!((again.code(), &*again.get_details_error_info().unwrap().reason), (Code::AlreadyExists, "CODE_TAKEN"));
    assert_eq!(close_order(&client, &orders[0], "ORD_SUPPLY", "").await.unwrap(), 1);

    let changed = client.update_reason(needing("ORD_SUPPLY", 5)).await.unwrap();
    assert_eq!((changed.propagation(), changed.reason.unwrap().version), (Propagation::Settled, 2));
    let short = close_order(&client, &orders[1], "ORD_SUPPLY", "late").await.unwrap_err();
    assert_eq!(violations(&short), [("detail".to_owned(), "DETAIL_TOO_SHORT".to_owned())]);
    assert_eq!(close_order(&client, &orders[1], "ORD_SUPPLY", "too late").await.unwrap(), 2);
    let closed = client.get_order(&orders[0]).await.close_out;
    assert_eq!(client.trade_close_out(&closed).await.reason_version, 1, "the old one keeps its version");
    for version in [1, 2] {
        let (own, copy) = (owned(&client, "ORD_SUPPLY", version), copied(&client, "ORD_SUPPLY", version));
        let (own, copy) = (own.await.unwrap(), copy.await.unwrap());
        assert_eq!((&own, own.min_detail_length), (&copy, if version == 1 { 0 } else { 5 }));
    }

    let stale = sales::DeactivateCloseOutReasonRequest { etag: "\"1\"".into(), ..away("ORD_SUPPLY") };
    assert_eq!(client.deactivate_reason(stale).await.unwrap_err().code(), Code::Aborted);
    client.deactivate_reason(away("ORD_SUPPLY")).await.unwrap();
    let refused = close_order(&client, &orders[2], "ORD_SUPPLY", "too late").await.unwrap_err();
    assert_eq!(words(&refused), ["REASON_INACTIVE"]);
    // A built-in reason is the tenant's as well: here the opportunity service decides.
    let opportunity = client.opportunity(&customer).await;
    client.deactivate_reason(away("UNRESPONSIVE")).await.unwrap();
    let refused = close_opportunity(&client, &opportunity, "UNRESPONSIVE").await.unwrap_err();
    assert_eq!(words(&refused), ["REASON_INACTIVE"]);
    client.activate_reason(back("UNRESPONSIVE")).await.unwrap();
    assert_eq!(close_opportunity(&client, &opportunity, "UNRESPONSIVE").await.unwrap(), 1);
    let [own, copy] = listed(&client, false).await;
    assert_eq!((own.len(), &own), (30, &copy));
    assert_eq!(listed(&client, true).await[0].len(), 31);
    pair.end().await;
}

async fn the_copy_follows_when_the_order_service_is_back(kind: Kind) {
    let mut pair = Pair::started(kind).await;
    let client = pair.client();
    client.create_reason(new("ORD_SUPPLY", ReasonScope::Order)).await.unwrap();
    pair.order.kill();
    let changed = client.update_reason(needing("ORD_SUPPLY", 5)).await.unwrap();
    assert_eq!(changed.propagation(), Propagation::Pending);
    client.update_reason(needing("ORD_AGED", 1)).await.unwrap();
    client.deactivate_reason(away("ORD_SUPPLY")).await.unwrap();
    let scope = ReasonScope::Order.into();
    let request = sales::ListCloseOutReasonsRequest { scope, show_inactive: true, ..Default::default() };
    let own = client.reasons.clone().list_close_out_reasons(request).await.unwrap().into_inner().reasons;
    let names: Vec<_> = own.into_iter().rev().map(|reason| reason.name).collect();
    let request = sales::ReorderCloseOutReasonsRequest { scope, names: names.clone(), ..Default::default() };
    let placed = client.reorder_reasons(request).await.unwrap().reasons;
    assert_eq!(placed.iter().map(|reason| &reason.name).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    pair.order.start(&[]).await;
    let same = async || {
        let [own, copy] = listed(&client, true).await;
        (own == copy).then_some(own)
    };
    let all = until("the copy has followed", QUIET, same).await;
    assert_eq!(all.iter().filter(|reason| reason.name.ends_with("ORD_SUPPLY") && !reason.active).count(), 1);
    pair.end().await;
}

async fn what_can_not_be_a_reason_is_told_at_once(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let mut request = new("lower case", ReasonScope::OrderProcessed);
    let reason = request.reason.as_mut().unwrap();
    reason.category = "x".into();
    reason.labels = BTreeMap::from([("zh".to_owned(), "字".repeat(201)), ("f_r".to_owned(), "Prix".to_owned())]);
    (reason.min_detail_length, reason.win_back_days, reason.needs_competitor) = (2_001, -1, true);
    let refused = client.create_reason(request).await.unwrap_err();
    let expected = [
        ("reason.labels", "INVALID_LANGUAGE"),
        ("code", "INVALID_CODE"),
        ("reason.labels.zh", "TOO_LONG"),
        ("reason.labels.en", "REQUIRED"),
        ("reason.category", "INVALID_CODE"),
        ("reason.min_detail_length", "OUT_OF_RANGE"),
        ("reason.win_back_days", "OUT_OF_RANGE"),
        ("reason.outcome_class", "REASON_SCOPE"),
        ("reason.needs_competitor", "REASON_SCOPE"),
    ];
    assert_eq!(violations(&refused), expected.map(|(field, reason)| (field.to_owned(), reason.to_owned())));
    let nobody = client.update_reason(needing("NO_SUCH", 1)).await.unwrap_err();
    assert_eq!(nobody.code(), Code::NotFound);
    let mask = sales::UpdateCloseOutReasonRequest {
        update_mask: Some(FieldMask { paths: vec!["active".into(), "colour".into()] }),
        ..needing("OTHER", 1)
    };
    assert_eq!(violations(&client.update_reason(mask).await.unwrap_err())[0].0, "update_mask");
    let last = client.deactivate_reason(away("ORD_PROCESSED")).await.unwrap_err();
    assert_eq!(&*last.get_details_error_info().unwrap().reason, "LAST_REASON");
    let names = vec!["closeOutReasons/ORD_PROCESSED".to_owned(), "closeOutReasons/OTHER".to_owned()];
    let scope = ReasonScope::OrderProcessed.into();
    let order = sales::ReorderCloseOutReasonsRequest { scope, names, ..Default::default() };
    let refused = client.reorder_reasons(order).await.unwrap_err();
    assert_eq!(violations(&refused), [("names[1]".to_owned(), "UNKNOWN_REASON".to_owned())]);
    // A close-out with wrong fields hears of its reason, too, whichever service decides.
    let customer = client.customer().await;
    client.deactivate_reason(away("OTHER")).await.unwrap();
    let opportunity = client.opportunity(&customer).await;
    let request = sales::CloseOutOpportunityRequest {
        reason: "closeOutReasons/OTHER".into(),
        detail: "\u{7}".into(),
        competitor: "Acme".into(),
        ..closing(&opportunity)
    };
    let refused = client.close_out_opportunity(request).await.unwrap_err();
    assert_eq!(words(&refused), ["CONTROL_CHARACTER", "INVALID_NAME", "REASON_INACTIVE", "DETAIL_TOO_SHORT"]);
    pair.end().await;
}

async fn tenants_have_reasons_of_their_own(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (ours, theirs) = (pair.client(), pair.client_of(TenantId(Uuid::now_v7()), "eve"));
    ours.create_reason(new("NO_FUNDING", ReasonScope::Opportunity)).await.unwrap();
    ours.deactivate_reason(away("UNRESPONSIVE")).await.unwrap();
    assert_eq!(owned(&theirs, "NO_FUNDING", 0).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(copied(&theirs, "NO_FUNDING", 0).await.unwrap_err().code(), Code::NotFound);
    assert!(owned(&theirs, "UNRESPONSIVE", 0).await.unwrap().active);
    let customer = theirs.customer().await;
    let opportunity = theirs.opportunity(&customer).await;
    let refused = close_opportunity(&theirs, &opportunity, "NO_FUNDING").await.unwrap_err();
    assert_eq!(words(&refused), ["UNKNOWN_REASON"]);
    assert_eq!(close_opportunity(&theirs, &opportunity, "UNRESPONSIVE").await.unwrap(), 1);
    pair.end().await;
}
