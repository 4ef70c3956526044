//! Many changes of one record, and of one customer, in few batches: the result is as if they had come one after the other.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_proto::{common::Wait, opportunity as sales, order as trade};
use crm_tests::{
    client::{cancelling, closing, cny, reopening},
    pair::Pair,
    place::Kind,
    stories,
};
use futures::future::join_all;
use sales::{customer::Lifecycle, opportunity::State};

const MANY: usize = 256;

stories!(close_reopen_close_of_one_subject, close_outs_of_one_customer_at_once);

async fn close_reopen_close_of_one_subject(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let mut subjects = Vec::new();
    for _ in 0..8 {
        let opportunity = client.opportunity(&customer).await;
        client.selling_task(&opportunity, crm_proto::common::TaskKind::Demo).await;
        client.order(&customer, &opportunity).await;
        subjects.push(opportunity);
    }
    // One connection, all calls sent before the first is answered: some are refused for the state they find, none is lost.
    let calls = subjects.iter().flat_map(|opportunity| (0..6).map(move |step| (opportunity, step)));
    let calls = calls.map(|(opportunity, step)| {
        let (client, wait) = (client.clone(), Wait::None.into());
        async move {
            if step % 2 == 0 {
                let request = sales::CloseOutOpportunityRequest { wait, ..closing(opportunity) };
                client.close_out_opportunity(request).await.map(|reply| reply.opportunity.unwrap().etag)
            } else {
                let request = sales::ReopenOpportunityRequest { wait, ..reopening(opportunity) };
                client.reopen_opportunity(request).await.map(|reply| reply.opportunity.unwrap().etag)
            }
        }
    });
    let answers = join_all(calls).await;
    let done = answers.iter().filter(|answer| answer.is_ok()).count();
    for status in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert_eq!(status.code(), tonic::Code::FailedPrecondition, "{status}");
    }
    println!("{done} of {} calls found the state they need", answers.len());
    assert!(done >= subjects.len());
    pair.quiet().await;
    let mut lost = 0;
    for opportunity in &subjects {
        lost += i64::from(client.get_opportunity(opportunity).await.state() == State::ClosedOut);
    }
    assert_eq!(client.relationship(&customer).await.lost_count, lost);
    assert_eq!(client.trade_record(&customer).await.deals_lost, lost);
    pair.end().await;
}

async fn close_outs_of_one_customer_at_once(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunities = join_all((0..MANY).map(|_| client.opportunity(&customer))).await;
    let orders = join_all(opportunities.iter().map(|opportunity| client.order(&customer, opportunity))).await;
    assert_eq!(client.relationship(&customer).await.open_count, MANY as i64);
    // The last quarter of the orders is closed out by its own callers, while the rest follows its opportunities.
    let own = &orders[MANY * 3 / 4..];
    let closes = async { join_all(opportunities.iter().map(|name| client.close_out_opportunity(closing(name)))).await };
    let cancels = async { join_all(own.iter().map(|name| client.close_out_order(cancelling(name)))).await };
    let (closes, cancels) = futures::join!(closes, cancels);
    for reply in closes {
        reply.unwrap();
    }
    for status in cancels.into_iter().filter_map(Result::err) {
        assert_eq!(status.code(), tonic::Code::FailedPrecondition, "{status}");
    }
    pair.quiet().await;
    let relationship = client.relationship(&customer).await;
    assert_eq!((relationship.open_count, relationship.lost_count), (0, MANY as i64));
    assert_eq!(relationship.amounts[0].lost, cny(100 * MANY as i64));
    assert_eq!(relationship.lifecycle(), Lifecycle::Lost);
    let record: trade::Customer = client.trade_record(&customer).await;
    assert_eq!((record.draft_count, record.cancelled_count, record.deals_lost), (0, MANY as i64, MANY as i64));
    assert_eq!(record.amounts[0].cancelled, cny(30 * MANY as i64));
    pair.end().await;
}
