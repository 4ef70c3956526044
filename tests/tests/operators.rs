//! A message that the other service can not read: its lane is parked, everything else goes on, and an operator releases it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_outbox::{
    db::Db,
    sql::{Args, Sql},
};
use crm_proto::{
    common::{PeerOutcome, Propagation, TaskKind, TaskState},
    opportunity as sales,
};
use crm_tests::{
    client::{Client, closing, reopening},
    pair::{Pair, QUIET},
    place::Kind,
    process::free_port,
    stories, until,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic_types::StatusExt;

stories!(
    a_message_that_can_not_be_read_is_given_up_and_made_up_for,
    a_parked_message_is_sent_again_once_its_cause_is_mended
);

fn operator(pair: &Pair) -> Client {
    pair.client_of(pair.tenant, "olga")
}

async fn parked(operator: &Client) -> Vec<crm_proto::common::ParkedMessage> {
    let request = sales::ListParkedMessagesRequest::default();
    operator.sales_operator.clone().list_parked_messages(request).await.unwrap().into_inner().parked_messages
}

/// Changes the payload of the message that tells of a close, in the database of a service that does not run; answers what it was.
async fn spoil(db: &Db, payload: &[u8]) -> Vec<u8> {
    let find = Sql::plain("SELECT o.payload FROM outbox AS o WHERE o.close_out_id IS NOT NULL AND NOT o.reversal");
    let was: Vec<u8> = db.read(&find, Args::none()).await.unwrap()[0].get(0).unwrap();
    let change =
        Sql::plain("UPDATE outbox SET payload = {1}, lease_until = 0 WHERE close_out_id IS NOT NULL AND NOT reversal");
    let mut tx = db.begin().await.unwrap();
    assert_eq!(tx.execute(&change, Args::none().with(&payload.to_vec())).await.unwrap(), 1);
    tx.commit().await.unwrap();
    was
}

/// An opportunity with a draft order and tasks is closed out while the order service is away, and the message about it is spoilt.
/// Answers opportunity, order and close-out, and what the message was.
async fn spoilt(pair: &mut Pair, metrics: &str) -> ([String; 3], Vec<u8>) {
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let order = client.order(&customer, &opportunity).await;
    client.order_task(&order, TaskKind::Deliver).await;
    pair.quiet().await;
    pair.order.kill();
    let closed = client.close_out_opportunity(closing(&opportunity)).await.unwrap().close_out.unwrap();
    pair.opportunity.kill();
    let (db, other) = pair.databases().await;
    let was = spoil(&db, &[0xff]).await;
    db.close().await;
    other.close().await;
    pair.opportunity.start(&[("OPPORTUNITY_METRICS_LISTEN", metrics)]).await;
    pair.order.start(&[]).await;
    ([opportunity, order, closed.name], was)
}

/// The value of a metric without labels.
async fn metric(address: &str, name: &str) -> Option<f64> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: metrics\r\nConnection: close\r\n\r\n").await.ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    let line = text.lines().find(|line| line.starts_with(name) && !line.starts_with('#'))?;
    line.rsplit_once(' ')?.1.trim().parse().ok()
}

async fn a_message_that_can_not_be_read_is_given_up_and_made_up_for(kind: Kind) {
    let metrics = format!("127.0.0.1:{}", free_port());
    let mut pair = Pair::new(kind).await;
    pair.opportunity.start(&[]).await;
    pair.order.start(&[]).await;
    let ([opportunity, order, close_out], _) = spoilt(&mut pair, &metrics).await;
    let (client, operator) = (pair.client(), operator(&pair));
    let waiting = async || parked(&operator).await.pop();
    let message = until("the message is parked", QUIET, waiting).await;
    assert_eq!((&message.record, &message.close_out), (&opportunity, &close_out));
    assert!(message.parked && !message.fault.is_empty(), "{message:?}");
    assert_eq!(metric(&metrics, "closeout_outbox_parked").await, Some(1.0));
    assert_eq!(client.sales_close_out(&close_out).await.propagation(), Propagation::Parked);
    let reopened = client.reopen_opportunity(reopening(&opportunity)).await.unwrap();
    assert_eq!(reopened.propagation(), Propagation::Pending, "it waits behind the parked one");
    let again = client.close_out_opportunity(closing(&opportunity)).await.unwrap().close_out.unwrap();
    // Others are not held up.
    let customer = client.customer().await;
    let other = client.opportunity(&customer).await;
    let other = client.close_out_opportunity(closing(&other)).await.unwrap().close_out.unwrap();
    assert_eq!(other.propagation(), Propagation::Settled);

    let skip = |justification: &str| sales::SkipParkedMessageRequest {
        name: message.name.clone(),
        justification: justification.to_owned(),
        request_id: uuid::Uuid::now_v7().to_string(),
    };
    let refused = operator.skip_sales_message(skip("no")).await.unwrap_err();
    let violation = refused.get_details_bad_request().unwrap().field_violations.remove(0);
    assert_eq!((&*violation.field, &*violation.reason), ("justification", "TOO_SHORT"));
    let request = skip("its payload was destroyed by hand");
    let first = operator.skip_sales_message(request.clone()).await.unwrap();
    let copy = operator.skip_sales_message(request).await.unwrap();
    assert_eq!(first, copy, "a copy of the call gets the same answer");
    pair.quiet().await;
    assert!(parked(&operator).await.is_empty());
    let skipped = client.sales_close_out(&close_out).await;
    assert_eq!((skipped.propagation(), skipped.peer_outcome()), (Propagation::Settled, PeerOutcome::NeedsReview));
    let again = client.sales_close_out(&again.name).await;
    assert_eq!((again.propagation(), again.peer_outcome()), (Propagation::Settled, PeerOutcome::Applied));
    assert_eq!(client.trade_record(&skipped.customer).await.deals_lost, 1);

    let resend = sales::ResendLaneRequest {
        record: opportunity.clone(),
        justification: "to make up for the message that was given up".into(),
        ..Default::default()
    };
    let resent = operator.resend_sales_lane(resend).await.unwrap();
    assert_eq!(resent.propagation(), Propagation::Settled);
    let tasks = client.order_tasks_of(&order).await;
    assert!(tasks.iter().all(|task| task.state() == TaskState::Cancelled), "{tasks:?}");
    pair.end().await;
}

async fn a_parked_message_is_sent_again_once_its_cause_is_mended(kind: Kind) {
    let metrics = format!("127.0.0.1:{}", free_port());
    let mut pair = Pair::started(kind).await;
    let ([_, _, close_out], was) = spoilt(&mut pair, &metrics).await;
    let (client, operator) = (pair.client(), operator(&pair));
    let waiting = async || parked(&operator).await.pop();
    let message = until("the message is parked", QUIET, waiting).await;
    let retry = async || {
        let request = sales::RetryParkedMessageRequest { name: message.name.clone(), ..Default::default() };
        operator.retry_sales_message(request).await.unwrap().parked_message.unwrap()
    };
    assert!(!retry().await.parked);
    until("it is parked again", QUIET, async || parked(&operator).await.pop()).await;
    pair.opportunity.kill();
    let (db, other) = pair.databases().await;
    spoil(&db, &was).await;
    db.close().await;
    other.close().await;
    pair.opportunity.start(&[("OPPORTUNITY_METRICS_LISTEN", &*metrics)]).await;
    retry().await;
    pair.quiet().await;
    let closed = client.sales_close_out(&close_out).await;
    assert_eq!((closed.propagation(), closed.peer_outcome()), (Propagation::Settled, PeerOutcome::Applied));
    assert_eq!(metric(&metrics, "closeout_outbox_parked").await, Some(0.0));
    assert_eq!(metric(&metrics, "closeout_operator_interventions_total").await, Some(1.0));
    pair.end().await;
}
