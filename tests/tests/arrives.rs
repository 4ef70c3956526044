//! A close-out arrives: what it does on both sides, receipts for all of it, settled.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_proto::{
    common::{CloseOut, EffectKind, Outcome, Propagation, Side, TaskKind, TaskState},
    opportunity as sales, order as trade,
};
use crm_tests::{
    client::{Client, cancelling, closing, cny, reopening},
    pair::Pair,
    place::Kind,
    stories,
};
use sales::{customer::Lifecycle, opportunity::State as OpportunityState};
use trade::order::State as OrderState;

stories!(of_an_opportunity, of_an_order_cancelled, of_an_order_processed, reopened_with_everything_it_did);

fn count(close_out: &CloseOut, side: Side, kind: EffectKind) -> usize {
    close_out.effects.iter().filter(|effect| effect.side() == side && effect.kind() == kind).count()
}

/// An opportunity with a demo and a follow-up, a draft order with a procurement, and an order task for the opportunity itself.
struct Deal {
    customer: String,
    opportunity: String,
    order: String,
}

async fn deal(client: &Client) -> Deal {
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let order = client.order(&customer, &opportunity).await;
    client.selling_task(&opportunity, TaskKind::Demo).await;
    client.selling_task(&opportunity, TaskKind::FollowUp).await;
    client.selling_task(&order, TaskKind::FollowUp).await;
    client.order_task(&opportunity, TaskKind::Procure).await;
    client.order_task(&order, TaskKind::Deliver).await;
    Deal { customer, opportunity, order }
}

async fn of_an_opportunity(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let Deal { customer, opportunity, order } = deal(&client).await;

    let reply = client.close_out_opportunity(closing(&opportunity)).await.unwrap();
    let close_out = reply.close_out.unwrap();
    assert_eq!(close_out.propagation(), Propagation::Settled);
    assert_eq!(count(&close_out, Side::Opportunity, EffectKind::TaskCancelled), 2);
    assert_eq!(count(&close_out, Side::Order, EffectKind::TaskCancelled), 2);
    assert_eq!(count(&close_out, Side::Order, EffectKind::SubjectClosed), 1);
    let changed = |side, field| {
        let mut effects = close_out.effects.iter().filter(|effect| effect.side() == side);
        effects.any(|effect| effect.kind() == EffectKind::RecordChanged && effect.field == field)
    };
    assert!(changed(Side::Opportunity, "lifecycle") && changed(Side::Order, "deals_lost"));
    assert_eq!(reply.opportunity.unwrap().state(), OpportunityState::ClosedOut);

    pair.quiet().await;
    assert_eq!(client.sales_close_out(&close_out.name).await.effects, close_out.effects);
    let order_now = client.get_order(&order).await;
    assert_eq!(order_now.state(), OrderState::Cancelled);
    let caused = client.trade_close_out(&order_now.close_out).await;
    assert_eq!((caused.cause.as_str(), caused.hop, caused.propagation()), (&*close_out.name, 1, Propagation::Settled));
    assert_eq!(caused.reason, close_out.reason);
    for parent in [&opportunity, &order] {
        for task in [client.selling_tasks_of(parent).await, client.order_tasks_of(parent).await].concat() {
            assert_eq!(task.state(), TaskState::Cancelled, "{task:?}");
            assert!([&close_out.name, &caused.name].contains(&&task.closed_by), "{task:?}");
        }
    }
    let relationship = client.relationship(&customer).await;
    assert_eq!((relationship.open_count, relationship.lost_count), (0, 1));
    assert_eq!(relationship.lifecycle(), Lifecycle::Lost);
    assert_eq!(relationship.amounts[0].lost, cny(100));
    let record = client.trade_record(&customer).await;
    assert_eq!((record.draft_count, record.cancelled_count, record.deals_lost), (0, 1, 1));
    assert_eq!(record.amounts[0].cancelled, cny(30));
    pair.end().await;
}

async fn of_an_order_cancelled(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let Deal { customer, opportunity, order } = deal(&client).await;
    client.confirm_order(trade::ConfirmOrderRequest { name: order.clone(), ..Default::default() }).await.unwrap();
    client
        .win_opportunity(sales::WinOpportunityRequest { name: opportunity.clone(), ..Default::default() })
        .await
        .unwrap();
    pair.quiet().await;
    assert_eq!(client.relationship(&customer).await.live_order_count, 1);

    let reply = client.close_out_order(cancelling(&order)).await.unwrap();
    let close_out = reply.close_out.unwrap();
    assert_eq!((close_out.outcome(), close_out.propagation()), (Outcome::Cancelled, Propagation::Settled));
    assert_eq!(count(&close_out, Side::Order, EffectKind::TaskCancelled), 1);
    assert_eq!(count(&close_out, Side::Opportunity, EffectKind::TaskCancelled), 1);
    // The policy ASK: the owner of the won opportunity is asked what is to become of it.
    assert_eq!(count(&close_out, Side::Opportunity, EffectKind::TaskCreated), 1);
    let asked = client.selling_tasks_of(&opportunity).await;
    let asked: Vec<_> = asked.iter().filter(|task| task.kind() == TaskKind::Review).collect();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].state(), asked[0].assignee.as_str()), (TaskState::Open, "ann"));
    assert_eq!(client.get_opportunity(&opportunity).await.state(), OpportunityState::Won);
    let relationship = client.relationship(&customer).await;
    assert_eq!((relationship.live_order_count, relationship.won_count), (0, 1));
    assert_eq!(relationship.lifecycle(), Lifecycle::Lost);
    let record = client.trade_record(&customer).await;
    assert_eq!((record.live_count, record.cancelled_count), (0, 1));
    pair.end().await;
}

async fn of_an_order_processed(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let Deal { customer, order, .. } = deal(&client).await;
    let collect = client.order_task(&order, TaskKind::Collect).await;
    client.confirm_order(trade::ConfirmOrderRequest { name: order.clone(), ..Default::default() }).await.unwrap();
    let processed =
        trade::CloseOutOrderRequest { name: order.clone(), outcome: Outcome::Processed.into(), ..Default::default() };
    let refused = client.close_out_order(processed.clone()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{refused}");
    let lines = vec![trade::LineFulfilment { line: 0, quantity: 3 }];
    let fulfilment = trade::RecordFulfilmentRequest { name: order.clone(), lines, ..Default::default() };
    client.record_fulfilment(fulfilment).await.unwrap();

    let reply = client.close_out_order(processed).await.unwrap();
    let close_out = reply.close_out.unwrap();
    assert_eq!((close_out.outcome(), close_out.propagation()), (Outcome::Processed, Propagation::Settled));
    assert_eq!(reply.order.unwrap().state(), OrderState::Processed);
    for task in client.order_tasks_of(&order).await {
        // Not paid yet: the task about money stays open.
        let expected = if task.name == collect { TaskState::Open } else { TaskState::Cancelled };
        assert_eq!(task.state(), expected, "{task:?}");
    }
    let payment = trade::RecordPaymentRequest { name: order.clone(), amount: cny(30), ..Default::default() };
    client.record_payment(payment).await.unwrap();
    let record = client.trade_record(&customer).await;
    assert_eq!((record.live_count, record.processed_count), (0, 1));
    assert_eq!(record.amounts[0].processed, cny(30));
    pair.end().await;
}

async fn reopened_with_everything_it_did(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let Deal { customer, opportunity, order } = deal(&client).await;
    client.close_out_opportunity(closing(&opportunity)).await.unwrap();
    pair.quiet().await;
    let reply = client.reopen_opportunity(reopening(&opportunity)).await.unwrap();
    assert_eq!(reply.propagation(), Propagation::Settled);
    pair.quiet().await;
    assert_eq!(client.get_opportunity(&opportunity).await.state(), OpportunityState::Open);
    assert_eq!(client.get_order(&order).await.state(), OrderState::Draft);
    for parent in [&opportunity, &order] {
        for task in [client.selling_tasks_of(parent).await, client.order_tasks_of(parent).await].concat() {
            assert_eq!((task.state(), task.closed_by.as_str()), (TaskState::Open, ""), "{task:?}");
        }
    }
    let relationship = client.relationship(&customer).await;
    assert_eq!((relationship.open_count, relationship.lost_count), (1, 0));
    assert_eq!(relationship.lifecycle(), Lifecycle::Active);
    assert_eq!(client.trade_record(&customer).await.deals_lost, 0);
    pair.end().await;
}
