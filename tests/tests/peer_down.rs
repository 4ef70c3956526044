//! The other service is down: close-outs are done here at once, and arrive when it is back.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_proto::{
    common::{Propagation, TaskKind},
    order as trade,
};
use crm_tests::{client::closing, pair::Pair, place::Kind, stories};
use futures::future::join_all;
use std::time::{Duration, Instant};

stories!(down_at_first, down_for_a_while);

async fn down_at_first(kind: Kind) {
    let mut pair = Pair::new(kind).await;
    pair.opportunity.start(&[]).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunities = join_all((0..20).map(|_| client.opportunity(&customer))).await;
    let started = Instant::now();
    let replies = join_all(opportunities.iter().map(|name| client.close_out_opportunity(closing(name)))).await;
    let took = started.elapsed();
    for reply in replies {
        assert_eq!(reply.unwrap().close_out.unwrap().propagation(), Propagation::Pending);
    }
    println!("{} close-outs without the peer in {took:?}", opportunities.len());
    // By now it is known that the peer is down, so nobody waits the two seconds for it.
    assert!(took < Duration::from_millis(1_500), "{took:?}");

    pair.order.start(&[]).await;
    pair.quiet().await;
    let record = client.trade_record(&customer).await;
    assert_eq!((record.deals_lost, record.display_name.as_str()), (20, "海康 Hik"));
    pair.end().await;
}

async fn down_for_a_while(kind: Kind) {
    let mut pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let mut deals = Vec::new();
    for _ in 0..5 {
        let opportunity = client.opportunity(&customer).await;
        let order = client.order(&customer, &opportunity).await;
        client.selling_task(&order, TaskKind::FollowUp).await;
        deals.push((opportunity, order));
    }
    pair.quiet().await;
    pair.opportunity.kill();
    for (_, order) in &deals[..3] {
        client.confirm_order(trade::ConfirmOrderRequest { name: order.clone(), ..Default::default() }).await.unwrap();
    }
    pair.order.kill();
    pair.opportunity.start(&[]).await;
    // Closed here while orders that it has not heard of are live there: the close stands, and a person is asked to look.
    let client = pair.client();
    for (opportunity, _) in &deals {
        client.close_out_opportunity(closing(opportunity)).await.unwrap();
    }
    pair.order.start(&[]).await;
    pair.quiet().await;
    let mut reviews = 0;
    for (opportunity, order) in &deals {
        let close_out = client.get_opportunity(opportunity).await.close_out;
        let close_out = client.sales_close_out(&close_out).await;
        assert_eq!(close_out.propagation(), Propagation::Settled);
        let asked = client.order_tasks_of(order).await.iter().filter(|t| t.kind() == TaskKind::Review).count();
        assert_eq!(asked == 1, close_out.peer_outcome() == crm_proto::common::PeerOutcome::NeedsReview);
        reviews += asked;
    }
    assert_eq!(reviews, 3);
    pair.end().await;
}
