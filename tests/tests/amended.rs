//! Corrections of close-outs: both services, the customer's record and reports follow, the time of the close-out and what it had
//! said before stay.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_proto::{
    common::{CloseOut, OutcomeClass, Propagation, ReportDimension, ReportRow},
    opportunity::{self as sales, customer::Lifecycle},
    order as trade,
};
use crm_tests::{
    client::{Client, cancelling, closing, reopening},
    pair::Pair,
    place::Kind,
    stories, until,
};
use prost_types::{FieldMask, Timestamp};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

stories!(
    a_wrong_reason_is_corrected_on_both_sides_and_its_time_stays,
    a_correction_of_an_order_decides_the_lifecycle_again,
    a_correction_weighs_the_customer_s_other_records,
    another_competitor_and_second_reason_are_followed_by_reports,
    what_can_not_be_corrected_is_told_with_the_way_out,
);

fn amending(close_out: &str, code: &str) -> sales::AmendCloseOutRequest {
    sales::AmendCloseOutRequest {
        name: close_out.to_owned(),
        reason: format!("closeOutReasons/{code}"),
        note: "entered by mistake".into(),
        ..Default::default()
    }
}

async fn by_reason(client: &Client) -> Vec<(String, i64)> {
    counted(client, ReportDimension::Reason).await
}

async fn counted(client: &Client, dimension: ReportDimension) -> Vec<(String, i64)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let request = sales::ReportCloseOutsRequest {
        dimension: dimension.into(),
        closed_from: Some(Timestamp { seconds: now - 3_600, nanos: 0 }),
        ..Default::default()
    };
    let rows = client.sales_close_outs.clone().report_close_outs(request).await.unwrap().into_inner().rows;
    rows.into_iter().map(|ReportRow { value, count, .. }| (value, count)).collect()
}

fn reason_of(status: &Status) -> (Code, String) {
    (status.code(), status.get_details_error_info().unwrap().reason)
}

/// What a close-out of an opportunity caused on the order side.
async fn caused_by(client: &Client, close_out: &str) -> CloseOut {
    let request = trade::ListCloseOutsRequest { cause: close_out.to_owned(), ..Default::default() };
    let mut all = client.trade_close_outs.clone().list_close_outs(request).await.unwrap().into_inner().close_outs;
    assert_eq!(all.len(), 1);
    all.remove(0)
}

async fn a_wrong_reason_is_corrected_on_both_sides_and_its_time_stays(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    client.order(&customer, &opportunity).await;
    let closed = client.close_out_opportunity(closing(&opportunity)).await.unwrap().close_out.unwrap();
    assert_eq!(client.relationship(&customer).await.lifecycle(), Lifecycle::Lost);

    let request = sales::AmendCloseOutRequest {
        request_id: Uuid::now_v7().to_string(),
        detail: "They build trains, not cameras.".into(),
        ..amending(&closed.name, "POOR_FIT")
    };
    let reply = client.amend_sales_close_out(request.clone()).await.unwrap();
    assert_eq!(reply.propagation(), Propagation::Settled);
    let amended = reply.close_out.unwrap();
    assert_eq!((amended.close_time, amended.outcome_class()), (closed.close_time, OutcomeClass::Disqualified));
    assert_eq!((&*amended.reason, amended.amendments.len()), ("closeOutReasons/POOR_FIT", 1));
    let before = &amended.amendments[0];
    assert_eq!((&before.reason, &before.detail, &*before.actor), (&closed.reason, &closed.detail, "ann"));
    assert_eq!(amended.effects, closed.effects, "the receipts of the close stay");
    assert_eq!(client.amend_sales_close_out(request).await.unwrap().close_out.unwrap(), amended, "the same answer");
    let read = client.sales_close_out(&closed.name).await;
    assert_eq!(read.propagation(), Propagation::Settled);
    assert_eq!(read.amendments, amended.amendments);

    // Not a loss of the customer any more.
    let relationship = client.relationship(&customer).await;
    assert_eq!((relationship.lifecycle(), relationship.last_loss_time), (Lifecycle::Dormant, None));
    assert_eq!(by_reason(&client).await, [("closeOutReasons/POOR_FIT".to_owned(), 1)]);
    let draft = caused_by(&client, &closed.name).await;
    assert_eq!((&*draft.reason, &*draft.detail), ("closeOutReasons/POOR_FIT", "They build trains, not cameras."));
    assert_eq!((draft.amendments.len(), draft.close_time), (1, closed.close_time));

    let back = client.amend_sales_close_out(amending(&closed.name, "NO_INTENT_NOW")).await.unwrap();
    assert_eq!(back.close_out.unwrap().amendments.len(), 2);
    assert_eq!(client.relationship(&customer).await.lifecycle(), Lifecycle::Lost);
    let again = amending(&closed.name, "NO_INTENT_NOW");
    let again = client.sales_close_outs.clone().amend_close_out(again).await.unwrap().into_inner();
    assert_eq!(again.propagation(), Propagation::NotNeeded, "what is so already changes nothing");
    assert_eq!(again.close_out.unwrap().amendments.len(), 2);
    client.reopen_opportunity(reopening(&opportunity)).await.unwrap();
    pair.end().await;
}

async fn another_competitor_and_second_reason_are_followed_by_reports(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let competitor = async |name: &str| {
        let competitor = Some(sales::Competitor { display_name: name.into(), ..Default::default() });
        let request = sales::CreateCompetitorRequest { competitor, ..Default::default() };
        client.create_competitor(request).await.unwrap().competitor.unwrap().name
    };
    let (acme, best) = (competitor("Acme").await, competitor("Best").await);
    let opportunity = client.opportunity(&client.customer().await).await;
    let request = sales::CloseOutOpportunityRequest {
        reason: "closeOutReasons/COMPETITOR_PRICE".into(),
        detail: "a tenth cheaper".into(),
        competitor: acme.clone(),
        ..closing(&opportunity)
    };
    let closed = client.close_out_opportunity(request).await.unwrap().close_out.unwrap();
    assert_eq!(counted(&client, ReportDimension::Competitor).await, [(acme.clone(), 1)]);
    let request = sales::AmendCloseOutRequest {
        name: closed.name.clone(),
        competitor: best.clone(),
        secondary_reasons: vec!["closeOutReasons/FEATURE_GAP".into()],
        note: "it was the other one".into(),
        ..Default::default()
    };
    let amended = client.amend_sales_close_out(request).await.unwrap().close_out.unwrap();
    assert_eq!((&*amended.competitor, &*amended.reason), (&*best, "closeOutReasons/COMPETITOR_PRICE"));
    assert_eq!((&*amended.detail, amended.close_time), ("a tenth cheaper", closed.close_time));
    assert_eq!(amended.secondary_reasons[0].reason, "closeOutReasons/FEATURE_GAP");
    assert_eq!((&*amended.amendments[0].competitor, amended.amendments.len()), (&*acme, 1));
    assert_eq!(counted(&client, ReportDimension::Competitor).await, [(best, 1)]);
    let request = sales::AmendCloseOutRequest {
        update_mask: Some(FieldMask { paths: vec!["secondary_reasons".into()] }),
        name: closed.name,
        note: "there was none".into(),
        ..Default::default()
    };
    let amended = client.amend_sales_close_out(request).await.unwrap().close_out.unwrap();
    assert!(amended.secondary_reasons.is_empty() && !amended.competitor.is_empty(), "{amended:?}");
    pair.end().await;
}

async fn a_correction_weighs_the_customer_s_other_records(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let only = client.opportunity(&customer).await;
    let closed = client.close_out_opportunity(closing(&only)).await.unwrap().close_out.unwrap();
    let request = sales::AmendCloseOutRequest {
        detail: "They build trains, not cameras.".into(),
        ..amending(&closed.name, "POOR_FIT")
    };
    client.amend_sales_close_out(request).await.unwrap();
    let relationship = client.relationship(&customer).await;
    assert_eq!((relationship.lifecycle(), relationship.last_loss_time), (Lifecycle::Dormant, None));

    client.amend_sales_close_out(amending(&closed.name, "NO_INTENT_NOW")).await.unwrap();
    assert_eq!(client.relationship(&customer).await.lifecycle(), Lifecycle::Lost);
    let won = sales::WinOpportunityRequest { name: client.opportunity(&customer).await, ..Default::default() };
    client.win_opportunity(won).await.unwrap();
    assert_eq!(client.relationship(&customer).await.lifecycle(), Lifecycle::Dormant);
    client.amend_sales_close_out(amending(&closed.name, "UNRESPONSIVE")).await.unwrap();
    assert_eq!(client.relationship(&customer).await.lifecycle(), Lifecycle::Dormant, "it was won since");
    pair.end().await;
}

async fn a_correction_of_an_order_decides_the_lifecycle_again(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let order = client.order(&customer, "").await;
    let closed = client.close_out_order(cancelling(&order)).await.unwrap().close_out.unwrap();
    assert_eq!(client.relationship(&customer).await.lifecycle(), Lifecycle::Lost);
    let request = trade::AmendCloseOutRequest {
        name: closed.name.clone(),
        reason: "closeOutReasons/ORD_ENTRY_ERROR".into(),
        detail: "ordered by nobody".into(),
        note: "it was a test".into(),
        ..Default::default()
    };
    let amended = client.amend_trade_close_out(request).await.unwrap();
    assert_eq!(amended.propagation(), Propagation::Settled);
    until("the lifecycle follows", Duration::from_secs(10), || async {
        (client.relationship(&customer).await.lifecycle() == Lifecycle::Dormant).then_some(())
    })
    .await;
    let request = sales::ListCustomerEventsRequest { customer, ..Default::default() };
    let events = client.customers.clone().list_customer_events(request).await.unwrap().into_inner().events;
    assert!(events.iter().any(|event| event.kind == "order.amended" && event.close_out == closed.name));
    pair.end().await;
}

async fn what_can_not_be_corrected_is_told_with_the_way_out(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    client.order(&customer, &opportunity).await;
    let closed = client.close_out_opportunity(closing(&opportunity)).await.unwrap().close_out.unwrap();
    let request = sales::AmendCloseOutRequest {
        note: String::new(),
        competitor: "nobody".into(),
        ..amending(&closed.name, "COMPETITOR_PRICE")
    };
    let refused = client.amend_sales_close_out(request).await.unwrap_err();
    let details = refused.get_details_bad_request().unwrap().field_violations;
    assert_eq!(details.iter().map(|wrong| &*wrong.field).collect::<Vec<_>>(), ["competitor", "note"]);
    let refused = client.amend_sales_close_out(amending(&closed.name, "COMPETITOR_PRICE")).await.unwrap_err();
    let details = refused.get_details_bad_request().unwrap().field_violations;
    assert_eq!(
        details.iter().map(|wrong| &*wrong.reason).collect::<Vec<_>>(),
        ["DETAIL_TOO_SHORT", "COMPETITOR_REQUIRED"]
    );
    let stale = sales::AmendCloseOutRequest { etag: "\"1\"".into(), ..amending(&closed.name, "LONG_CYCLE") };
    let refused = client.amend_sales_close_out(stale).await.unwrap_err();
    assert_eq!(reason_of(&refused), (Code::Aborted, "VERSION_MISMATCH".into()));
    let unknown = amending(&format!("closeOuts/{}", Uuid::now_v7()), "LONG_CYCLE");
    assert_eq!(client.amend_sales_close_out(unknown).await.unwrap_err().code(), Code::NotFound);

    // One that another caused follows that one.
    let draft = caused_by(&client, &closed.name).await;
    let request = trade::AmendCloseOutRequest {
        name: draft.name,
        reason: "closeOutReasons/ORD_AGED".into(),
        note: "so it was".into(),
        ..Default::default()
    };
    let refused = client.amend_trade_close_out(request).await.unwrap_err();
    assert_eq!(reason_of(&refused), (Code::FailedPrecondition, "CAUSED".into()));
    assert_eq!(refused.get_details_error_info().unwrap().metadata["cause"], closed.name);

    // A reason that is not in use any more stays where it was used: only the words are corrected.
    let away = sales::DeactivateCloseOutReasonRequest { name: closed.reason.clone(), ..Default::default() };
    client.deactivate_reason(away).await.unwrap();
    let words = sales::AmendCloseOutRequest {
        reason: String::new(),
        detail: "next year, perhaps".into(),
        update_mask: Some(FieldMask { paths: vec!["detail".into()] }),
        ..amending(&closed.name, "")
    };
    let amended = client.amend_sales_close_out(words).await.unwrap().close_out.unwrap();
    assert_eq!((amended.reason, &*amended.detail), (closed.reason, "next year, perhaps"));

    client.reopen_opportunity(reopening(&opportunity)).await.unwrap();
    let refused = client.amend_sales_close_out(amending(&closed.name, "LONG_CYCLE")).await.unwrap_err();
    assert_eq!(reason_of(&refused), (Code::FailedPrecondition, "NOT_IN_FORCE".into()));
    pair.end().await;
}
