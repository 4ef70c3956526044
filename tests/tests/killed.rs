//! `kill -9` at every step between a caller's call and its answer: nothing is lost, nothing is done twice, and the caller who
//! repeats its call with the same request_id gets its answer.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use crm_proto::common::{Propagation, TaskKind};
use crm_tests::{
    client::{Client, cancelling, closing},
    pair::{Pair, QUIET},
    place::Kind,
    process::Service,
    stories, until,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Opportunity,
    Order,
}

macro_rules! killed {
    ($($of_opportunity:ident, $of_order:ident: $step:literal;)+) => {
        stories!($($of_opportunity, $of_order),+);
        $(async fn $of_opportunity(kind: Kind) {
            Box::pin(killed(kind, Origin::Opportunity, $step)).await;
        }

        async fn $of_order(kind: Kind) {
            Box::pin(killed(kind, Origin::Order, $step)).await;
        })+
    };
}

killed! {
    opportunity_origin_before_its_commit, order_origin_before_its_commit: "origin-before-commit";
    opportunity_origin_after_its_commit, order_origin_after_its_commit: "origin-after-commit";
    opportunity_peer_before_its_commit, order_peer_before_its_commit: "peer-before-commit";
    opportunity_peer_after_its_commit, order_peer_after_its_commit: "peer-after-commit";
    opportunity_origin_after_the_answer, order_origin_after_the_answer: "origin-after-peer-answered";
}

/// Closes the subject out; answers the name of the close-out and how far it is.
async fn close(client: &Client, call: &Call) -> Result<(String, Propagation), tonic::Status> {
    let close_out = match call {
        Call::Opportunity(request) => client.close_out_opportunity(request.clone()).await?.close_out,
        Call::Order(request) => client.close_out_order(request.clone()).await?.close_out,
    };
    let close_out = close_out.unwrap();
    Ok((close_out.name.clone(), close_out.propagation()))
}

#[derive(Clone)]
enum Call {
    Opportunity(crm_proto::opportunity::CloseOutOpportunityRequest),
    Order(crm_proto::order::CloseOutOrderRequest),
}

fn service(origin: Origin, step: &str) -> &'static str {
    match (origin, step.starts_with("origin")) {
        (Origin::Opportunity, true) | (Origin::Order, false) => "opportunity",
        (Origin::Order, true) | (Origin::Opportunity, false) => "order",
    }
}

fn victim<'a>(pair: &'a mut Pair, name: &str) -> &'a mut Service {
    if name == "opportunity" { &mut pair.opportunity } else { &mut pair.order }
}

async fn killed(kind: Kind, origin: Origin, step: &'static str) {
    let mut pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let order = client.order(&customer, &opportunity).await;
    client.selling_task(&opportunity, TaskKind::Demo).await;
    client.selling_task(&order, TaskKind::FollowUp).await;
    client.order_task(&order, TaskKind::Deliver).await;
    pair.quiet().await;

    let name = service(origin, step);
    victim(&mut pair, name).kill();
    victim(&mut pair, name).start(&[("CLOSEOUT_FAILPOINT", step)]).await;
    let call = match origin {
        Origin::Opportunity => Call::Opportunity(closing(&opportunity)),
        Origin::Order => Call::Order(cancelling(&order)),
    };
    let first = tokio::spawn({
        let (client, call) = (pair.client(), call.clone());
        async move { close(&client, &call).await }
    });
    let reached = format!("failpoint reached: {step}");
    victim(&mut pair, name).says(&reached).await;
    println!("the {name} service stands at {step} and is killed");
    victim(&mut pair, name).kill();
    let first = first.await.unwrap();
    victim(&mut pair, name).start(&[]).await;

    // The caller saw an error or PENDING; it calls again with the same request_id until it is settled.
    let client = pair.client();
    let (again, _) = until("the repeated call settles", QUIET, || async {
        match close(&client, &call).await {
            Ok(answer) => (answer.1 == Propagation::Settled).then_some(answer),
            Err(status) if status.code() == tonic::Code::Unavailable => None,
            Err(status) => panic!("{status}"),
        }
    })
    .await;
    match first {
        Ok((first, propagation)) => {
            println!("the first call was answered {propagation:?}");
            assert_eq!(first, again);
        }
        Err(status) => {
            println!("the first call was answered {:?}", status.code());
            assert!(matches!(status.code(), tonic::Code::Unavailable | tonic::Code::Unknown), "{status}");
        }
    }
    pair.quiet().await;
    let record = client.trade_record(&customer).await;
    let lost = i64::from(origin == Origin::Opportunity);
    assert_eq!((record.cancelled_count, record.deals_lost), (1, lost));
    assert_eq!(client.relationship(&customer).await.lost_count, lost);
    pair.end().await;
}
