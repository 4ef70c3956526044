//! A part of an order is cancelled, by line and quantity, and the order goes on with the rest: for a reason like a close-out, and no way
//! around one.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_proto::{
    common::{ApprovalPolicy, Outcome, Propagation, Settings, VerificationPolicy, Wait},
    opportunity as sales, order as trade,
    order::{Order, order::State},
};
use crm_tests::{
    client::{Client, cancelling, cny},
    pair::Pair,
    place::Kind,
    stories,
};
use prost_types::FieldMask;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

stories!(a_part_goes_and_the_rest_is_fulfilled, no_way_leads_around_reason_and_limit);

fn part(order: &str, lines: &[(i32, i64)]) -> trade::CancelOrderLinesRequest {
    trade::CancelOrderLinesRequest {
        name: order.to_owned(),
        lines: lines.iter().map(|(line, quantity)| trade::CancelledLine { line: *line, quantity: *quantity }).collect(),
        reason: "closeOutReasons/ORD_OUT_OF_STOCK".into(),
        request_id: Uuid::now_v7().to_string(),
        ..Default::default()
    }
}

async fn cancel(client: &Client, request: trade::CancelOrderLinesRequest) -> Result<Order, Status> {
    client.cancel_order_lines(request).await.map(|reply| reply.order.unwrap())
}

fn why(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

/// A confirmed order of 3 for 10 CNY each.
async fn confirmed(client: &Client, customer: &str) -> String {
    let name = client.order(customer, "").await;
    let request = trade::ConfirmOrderRequest { name: name.clone(), wait: Wait::Peer.into(), ..Default::default() };
    client.confirm_order(request).await.unwrap();
    name
}

async fn a_part_goes_and_the_rest_is_fulfilled(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let order = confirmed(&client, &customer).await;
    let request = part(&order, &[(0, 1)]);
    let after = cancel(&client, request.clone()).await.unwrap();
    assert_eq!((after.state(), after.lines[0].cancelled, after.total.clone()), (State::Confirmed, 1, cny(20)));
    let noted = &after.cancellations[0];
    assert_eq!((noted.reason.as_str(), noted.actor.as_str()), ("closeOutReasons/ORD_OUT_OF_STOCK", "ann"));
    assert_eq!(noted.lines, [trade::CancelledLine { line: 0, quantity: 1 }]);
    // A copy of the call has no second effect.
    assert_eq!(cancel(&client, request).await.unwrap(), after);
    let record = client.trade_record(&customer).await;
    assert_eq!((record.live_count, record.cancelled_count), (1, 0));
    assert_eq!((record.amounts[0].live.clone(), record.amounts[0].cancelled.clone()), (cny(20), cny(10)));
    let lines = vec![trade::LineFulfilment { line: 0, quantity: 2 }];
    let fulfilled = trade::RecordFulfilmentRequest { name: order.clone(), lines, ..Default::default() };
    client.record_fulfilment(fulfilled).await.unwrap();
    let outcome = Outcome::Processed.into();
    let processed = trade::CloseOutOrderRequest { name: order.clone(), outcome, ..Default::default() };
    let closed = client.close_out_order(processed).await.unwrap().close_out.unwrap();
    assert_eq!(closed.propagation(), Propagation::Settled);
    let closed = client.get_order(&order).await;
    assert_eq!((closed.state(), closed.total, closed.cancellations.len()), (State::Processed, cny(20), 1));
    assert_eq!(why(&cancel(&client, part(&order, &[(0, 1)])).await.unwrap_err()), "SUBJECT_CLOSED");
    pair.end().await;
}

async fn no_way_leads_around_reason_and_limit(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let order = confirmed(&client, &customer).await;
    let all = cancel(&client, part(&order, &[(0, 3)])).await.unwrap_err();
    assert_eq!((all.code(), why(&all)), (Code::FailedPrecondition, "NOTHING_LEFT".to_owned()));
    let silent = trade::CancelOrderLinesRequest {
        reason: "closeOutReasons/ORD_CUSTOMER_CANCEL".into(),
        lines: Vec::new(),
        ..part(&order, &[])
    };
    let silent = cancel(&client, silent).await.unwrap_err();
    let fields = silent.get_details_bad_request().unwrap().field_violations;
    let mut fields: Vec<_> = fields.iter().map(|violation| (&*violation.field, &*violation.reason)).collect();
    fields.sort_unstable();
    assert_eq!(fields, [("detail", "DETAIL_TOO_SHORT"), ("lines", "COUNT")]);
    let settings = Settings {
        verification: Some(VerificationPolicy { required: true, fresh_days: 9 }),
        approval: Some(ApprovalPolicy { amounts: vec![cny(15).unwrap()], expire_days: 14 }),
        ..Settings::default()
    };
    let request = sales::UpdateSettingsRequest {
        settings: Some(settings),
        update_mask: Some(FieldMask { paths: vec!["verification".into(), "approval".into()] }),
        wait: Wait::Peer.into(),
        ..Default::default()
    };
    assert_eq!(client.update_settings(request).await.unwrap().propagation(), Propagation::Settled);
    // A reason of matters of bookkeeping needs no verification.
    let entry = |lines: &[(i32, i64)]| trade::CancelOrderLinesRequest {
        reason: "closeOutReasons/ORD_ENTRY_ERROR".into(),
        detail: "typed three instead of one".into(),
        ..part(&order, lines)
    };
    let unverified = cancel(&client, part(&order, &[(0, 1)])).await.unwrap_err();
    let fields = unverified.get_details_bad_request().unwrap().field_violations;
    assert_eq!((&*fields[0].field, &*fields[0].reason), ("verification", "VERIFICATION_REQUIRED"));
    cancel(&client, entry(&[(0, 1)])).await.unwrap();
    assert_eq!(why(&cancel(&client, entry(&[(0, 1)])).await.unwrap_err()), "NEEDS_APPROVAL");
    // What is closed out instead waits for another person.
    let rest = trade::CloseOutOrderRequest {
        reason: "closeOutReasons/ORD_ENTRY_ERROR".into(),
        detail: "typed three instead of one".into(),
        ..cancelling(&order)
    };
    client.close_out_order(rest).await.unwrap();
    assert_eq!(client.get_order(&order).await.state(), State::ClosePending);
    assert_eq!(why(&cancel(&client, entry(&[(0, 1)])).await.unwrap_err()), "CLOSE_PENDING");
    pair.end().await;
}
