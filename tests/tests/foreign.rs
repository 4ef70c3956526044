//! Another tenant's records do not exist: the same words about them as about what nobody has.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_closeout::ids::TenantId;
use crm_proto::{
    common::{Task, TaskKind},
    opportunity as sales, order as trade,
};
use crm_tests::{
    client::{Client, cancelling, closing, cny, reopening},
    pair::Pair,
    place::Kind,
    stories,
};
use tonic::{
    Code::{FailedPrecondition, NotFound},
    Status,
};
use tonic_types::StatusExt;
use uuid::Uuid;

stories!(what_is_foreign_does_not_exist);

/// The same words about an id of another tenant as about one that nobody has.
async fn what_is_foreign_does_not_exist(kind: Kind) {
    let pair = Pair::started(kind).await;
    let owner = pair.client();
    let own_customer = owner.customer().await;
    let opportunity = owner.opportunity(&own_customer).await;
    let order = owner.order(&own_customer, &opportunity).await;
    let foreign = pair.client_of(TenantId(Uuid::now_v7()), "ann");
    let customer = foreign.customer().await;
    pair.quiet().await;
    let before = pair.audit_rows().await;

    for (there, collection) in [(&opportunity, "opportunities"), (&order, "orders"), (&own_customer, "customers")] {
        let nowhere = format!("{collection}/{}", Uuid::now_v7());
        let (about_there, about_nowhere) =
            (Box::pin(asked(&foreign, &customer, there)).await, Box::pin(asked(&foreign, &customer, &nowhere)).await);
        for (there_status, nowhere_status) in about_there.iter().zip(&about_nowhere) {
            let as_if = nowhere_status.message().replace(&nowhere, there);
            assert_eq!((there_status.code(), there_status.message()), (nowhere_status.code(), as_if.as_str()));
            let details = |status: &Status| {
                let info = status.get_details_error_info().unwrap();
                (info.reason, info.metadata.keys().cloned().collect::<std::collections::BTreeSet<_>>())
            };
            assert_eq!(details(there_status), details(nowhere_status));
            assert!(matches!(there_status.code(), NotFound | FailedPrecondition), "{there_status}");
        }
    }
    let mut list = foreign.opportunities.clone();
    let listed = list.list_opportunities(sales::ListOpportunitiesRequest::default()).await.unwrap().into_inner();
    assert!(listed.opportunities.is_empty());
    pair.quiet().await;
    assert_eq!(pair.audit_rows().await, before);
    pair.end().await;
}

/// Everything that can be asked about a name; all of it is refused.
async fn asked(client: &Client, customer: &str, name: &str) -> Vec<Status> {
    let mut statuses = Vec::new();
    let task =
        |kind: TaskKind| Some(Task { parent: name.into(), kind: kind.into(), title: "x".into(), ..Default::default() });
    let request = sales::CreateTaskRequest { task: task(TaskKind::Demo), ..Default::default() };
    statuses.push(client.create_selling_task(request).await.unwrap_err());
    let request = trade::CreateTaskRequest { task: task(TaskKind::Deliver), ..Default::default() };
    statuses.push(client.create_order_task(request).await.unwrap_err());
    let line = trade::OrderLine { product: "x".into(), quantity: 1, unit_price: cny(1), ..Default::default() };
    let order = trade::Order { customer: customer.into(), lines: vec![line], ..Default::default() };
    if name.starts_with("opportunities/") {
        statuses.push(client.close_out_opportunity(closing(name)).await.unwrap_err());
        statuses.push(client.reopen_opportunity(reopening(name)).await.unwrap_err());
        let request = sales::GetOpportunityRequest { name: name.into() };
        statuses.push(client.opportunities.clone().get_opportunity(request).await.unwrap_err());
        let order = Some(trade::Order { opportunity: name.into(), ..order });
        statuses
            .push(client.create_order(trade::CreateOrderRequest { order, ..Default::default() }).await.unwrap_err());
    } else if name.starts_with("orders/") {
        statuses.push(client.close_out_order(cancelling(name)).await.unwrap_err());
        let request = trade::ReopenOrderRequest { name: name.into(), ..Default::default() };
        statuses.push(client.reopen_order(request).await.unwrap_err());
        let request = trade::GetOrderRequest { name: name.into() };
        statuses.push(client.orders.clone().get_order(request).await.unwrap_err());
    } else {
        let opportunity = sales::Opportunity { customer: name.into(), title: "x".into(), ..Default::default() };
        let request = sales::CreateOpportunityRequest { opportunity: Some(opportunity), ..Default::default() };
        statuses.push(client.create_opportunity(request).await.unwrap_err());
        let order = Some(trade::Order { customer: name.into(), ..order });
        statuses
            .push(client.create_order(trade::CreateOrderRequest { order, ..Default::default() }).await.unwrap_err());
        let request = sales::GetCustomerRequest { name: name.into() };
        statuses.push(client.customers.clone().get_customer(request).await.unwrap_err());
    }
    statuses
}
