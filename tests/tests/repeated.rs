//! The same request again: one effect, the same answer; the same id for another request: refused.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_proto::{opportunity as sales, order as trade};
use crm_tests::{
    client::{cancelling, closing, cny},
    pair::Pair,
    place::Kind,
    stories,
};
use futures::future::join_all;
use tonic_types::StatusExt;

const COPIES: usize = 50;

stories!(fifty_copies_at_once, another_body);

/// Every answer with what may differ between copies taken out: how far the news has come, and so what the peer did.
fn without_propagation(mut reply: sales::CloseOutOpportunityResponse) -> sales::CloseOutOpportunityResponse {
    let close_out = reply.close_out.as_mut().unwrap();
    close_out.propagation = 0;
    close_out.peer_outcome = 0;
    close_out.effects.retain(|effect| effect.side() == crm_proto::common::Side::Opportunity);
    reply
}

async fn fifty_copies_at_once(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let order = client.order(&customer, "").await;
    // Connections of their own, so that the copies do not arrive one after the other.
    let clients: Vec<_> = (0..COPIES).map(|_| pair.client()).collect();

    let request = closing(&opportunity);
    let replies = join_all(clients.iter().map(|client| client.close_out_opportunity(request.clone()))).await;
    let replies: Vec<_> = replies.into_iter().map(|reply| without_propagation(reply.unwrap())).collect();
    assert!(replies.iter().all(|reply| *reply == replies[0]));
    let request = cancelling(&order);
    let replies = join_all(clients.iter().map(|client| client.close_out_order(request.clone()))).await;
    let names: Vec<_> = replies.into_iter().map(|reply| reply.unwrap().close_out.unwrap().name).collect();
    assert!(names.iter().all(|name| *name == names[0]));
    // A create has no row to lock: its copies meet at the key alone.
    let line = trade::OrderLine { product: "x".into(), quantity: 1, unit_price: cny(1), ..Default::default() };
    let request = trade::CreateOrderRequest {
        order: Some(trade::Order { customer: customer.clone(), lines: vec![line], ..Default::default() }),
        request_id: uuid::Uuid::now_v7().to_string(),
        ..Default::default()
    };
    let replies = join_all(clients.iter().map(|client| client.create_order(request.clone()))).await;
    let names: Vec<_> = replies.into_iter().map(|reply| reply.unwrap().order.unwrap().name).collect();
    assert!(names.iter().all(|name| *name == names[0]));

    pair.quiet().await;
    assert_eq!(client.relationship(&customer).await.lost_count, 1);
    let record = client.trade_record(&customer).await;
    assert_eq!((record.deals_lost, record.cancelled_count, record.draft_count), (1, 1, 1));
    pair.end().await;
}

async fn another_body(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let (first, second) = (client.opportunity(&customer).await, client.opportunity(&customer).await);
    let request = closing(&first);
    let reply = client.close_out_opportunity(request.clone()).await.unwrap();
    pair.quiet().await;
    let rows = pair.audit_rows().await;

    for other in [
        sales::CloseOutOpportunityRequest { name: second.clone(), ..request.clone() },
        sales::CloseOutOpportunityRequest { detail: "another".into(), ..request.clone() },
    ] {
        let status = client.close_out_opportunity(other).await.unwrap_err();
        let reason = status.get_details_error_info().map(|info| info.reason);
        assert_eq!(
            (status.code(), reason.as_deref()),
            (tonic::Code::InvalidArgument, Some("IDEMPOTENCY_KEY_REUSED")),
            "{status}"
        );
    }
    // What does not belong to the request itself may differ: whether and how long to wait.
    let again = sales::CloseOutOpportunityRequest { wait: crm_proto::common::Wait::None.into(), ..request.clone() };
    let again = client.close_out_opportunity(again).await.unwrap();
    assert_eq!(without_propagation(again), without_propagation(reply));
    // The id of somebody else's request is simply unknown.
    let status = pair.client_of(pair.tenant, "bob").close_out_opportunity(request).await.unwrap_err();
    let reason = status.get_details_error_info().map(|info| info.reason);
    assert_eq!(reason.as_deref(), Some("ALREADY_CLOSED"), "{status}");
    assert_eq!(pair.audit_rows().await, rows);
    assert_eq!(client.get_opportunity(&second).await.etag, "\"1\"");
    pair.end().await;
}
