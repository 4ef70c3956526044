//! Every list of both APIs with every filter that it has, its first page and the next, and every record by its name.

use crate::{competitors, rates, work::Known};
use crm_proto::{common::TaskState, opportunity as sales, order as trade};
use crm_tests::client::Client;
use prost_types::Timestamp;

/// Two pages of a list.
macro_rules! pages {
    ($client:expr, $method:ident, $request:expr) => {{
        let mut request = $request;
        let mut client = $client.clone();
        request.page_size = 20;
        let reply = client.$method(request.clone()).await.unwrap().into_inner();
        request.page_token = reply.next_page_token;
        if !request.page_token.is_empty() {
            client.$method(request).await.unwrap();
        }
    }};
}

pub(crate) use pages;

/// Both services have these, in packages of their own.
macro_rules! alike {
    ($client:expr, $known:expr, $pb:ident, $customers:ident, $tasks:ident, $close_outs:ident, $subject:expr, $closed:expr) => {{
        let (client, known): (&Client, &Known) = ($client, $known);
        let customer = known.customer.clone();
        client.$customers.clone().get_customer($pb::GetCustomerRequest { name: customer.clone() }).await.unwrap();
        pages!(client.$customers, list_customers, $pb::ListCustomersRequest::default());
        let request = $pb::ListCustomerEventsRequest { customer: customer.clone(), ..Default::default() };
        pages!(client.$customers, list_customer_events, request);

        let tasks = $pb::ListTasksRequest::default;
        pages!(client.$tasks, list_tasks, tasks());
        pages!(client.$tasks, list_tasks, $pb::ListTasksRequest { parent: $subject.clone(), ..tasks() });
        pages!(client.$tasks, list_tasks, $pb::ListTasksRequest { assignee: "rep7".into(), ..tasks() });
        pages!(client.$tasks, list_tasks, $pb::ListTasksRequest { assignee: "nobody".into(), ..tasks() });
        for state in [TaskState::Open, TaskState::InProgress, TaskState::Done, TaskState::Cancelled] {
            let state = state.into();
            pages!(client.$tasks, list_tasks, $pb::ListTasksRequest { state, ..tasks() });
            pages!(client.$tasks, list_tasks, $pb::ListTasksRequest { state, parent: $subject.clone(), ..tasks() });
            pages!(client.$tasks, list_tasks, $pb::ListTasksRequest { state, assignee: "rep7".into(), ..tasks() });
        }

        let lists = $pb::ListCloseOutsRequest::default;
        let close_out = $pb::GetCloseOutRequest { name: $closed.clone() };
        client.$close_outs.clone().get_close_out(close_out).await.unwrap();
        pages!(client.$close_outs, list_close_outs, lists());
        pages!(client.$close_outs, list_pending_close_outs, $pb::ListPendingCloseOutsRequest::default());
        pages!(client.$close_outs, list_close_outs, $pb::ListCloseOutsRequest { subject: $subject.clone(), ..lists() });
        pages!(client.$close_outs, list_close_outs, $pb::ListCloseOutsRequest { customer, ..lists() });
        pages!(client.$close_outs, list_close_outs, $pb::ListCloseOutsRequest { cause: $closed.clone(), ..lists() });
        for reason in ["UNRESPONSIVE", "POOR_FIT", "DUPLICATE"] {
            pages!(client.$close_outs, list_close_outs, $pb::ListCloseOutsRequest { reason: reason.into(), ..lists() });
        }
        for actor in ["rep7", "rare", "nobody"] {
            pages!(client.$close_outs, list_close_outs, $pb::ListCloseOutsRequest { actor: actor.into(), ..lists() });
        }
    }};
}

/// Every list with every filter, and every record by its name.
pub(crate) async fn reads(client: &Client, known: &Known, of: i64) {
    use sales::{customer::Lifecycle, opportunity::State};
    let Known { customer, lost, cancelled, close_outs: [of_lost, of_cancelled], .. } = known;
    alike!(client, known, sales, customers, selling_tasks, sales_close_outs, lost, of_lost);
    alike!(client, known, trade, trade_records, order_tasks, trade_close_outs, cancelled, of_cancelled);
    client.get_opportunity(lost).await;
    client.get_order(cancelled).await;
    let customers = sales::ListCustomersRequest::default;
    for lifecycle in [Lifecycle::Prospect, Lifecycle::Active, Lifecycle::Lost, Lifecycle::Blocked] {
        let request = sales::ListCustomersRequest { lifecycle: lifecycle.into(), ..customers() };
        pages!(client.customers, list_customers, request);
    }
    for owner in ["rep7", "nobody"] {
        pages!(client.customers, list_customers, sales::ListCustomersRequest { owner: owner.into(), ..customers() });
    }
    competitors::reads(client).await;
    rates::reads(client).await;
    let (list, customer) = (sales::ListOpportunitiesRequest::default, customer.clone());
    let stage = |stage: &str| format!("pipelines/default/stages/{stage}");
    let before = |n: i64| Some(Timestamp { seconds: 1_700_000_000 + n / 1_000, nanos: 0 });
    pages!(client.opportunities, list_opportunities, list());
    pages!(client.opportunities, list_opportunities, sales::ListOpportunitiesRequest { customer, ..list() });
    for owner in ["rep7", "nobody"] {
        pages!(
            client.opportunities,
            list_opportunities,
            sales::ListOpportunitiesRequest { owner: owner.into(), ..list() }
        );
    }
    for created_before in [before(0), before(of)] {
        pages!(client.opportunities, list_opportunities, sales::ListOpportunitiesRequest { created_before, ..list() });
        let (state, active_before) = (State::Open.into(), created_before);
        let request = sales::ListOpportunitiesRequest { state, active_before, ..list() };
        pages!(client.opportunities, list_opportunities, request);
    }
    for state in [State::Open, State::Won, State::ClosedOut] {
        let state = state.into();
        pages!(client.opportunities, list_opportunities, sales::ListOpportunitiesRequest { state, ..list() });
        let created_before = before(of);
        let request = sales::ListOpportunitiesRequest { state, stage: stage("negotiation"), ..list() };
        pages!(client.opportunities, list_opportunities, request);
        let request = sales::ListOpportunitiesRequest { state, stage: stage("engaging"), created_before, ..list() };
        pages!(client.opportunities, list_opportunities, request);
        let request = sales::ListOpportunitiesRequest { state, owner: "rep7".into(), ..list() };
        pages!(client.opportunities, list_opportunities, request);
    }
    for stage in [stage("engaging"), stage("negotiation")] {
        pages!(client.opportunities, list_opportunities, sales::ListOpportunitiesRequest { stage, ..list() });
    }
    orders(client, known).await;
    reports(client).await;
}

/// By everything, over a second in which much was closed out.
async fn reports(client: &Client) {
    let [from, until] = [1_700_000_000, 1_700_000_001].map(|seconds| Some(Timestamp { seconds, nanos: 0 }));
    for dimension in 1..=6 {
        let request =
            sales::ReportCloseOutsRequest { dimension, closed_from: from, closed_until: until, ..Default::default() };
        client.sales_close_outs.clone().report_close_outs(request).await.unwrap();
        let request =
            trade::ReportCloseOutsRequest { dimension, closed_from: from, closed_until: until, ..Default::default() };
        client.trade_close_outs.clone().report_close_outs(request).await.unwrap();
    }
}

async fn orders(client: &Client, known: &Known) {
    use trade::order::State;
    let (list, customer) = (trade::ListOrdersRequest::default, known.customer.clone());
    pages!(client.orders, list_orders, list());
    pages!(client.orders, list_orders, trade::ListOrdersRequest { customer, ..list() });
    pages!(client.orders, list_orders, trade::ListOrdersRequest { opportunity: known.lost.clone(), ..list() });
    for owner in ["rep7", "nobody"] {
        pages!(client.orders, list_orders, trade::ListOrdersRequest { owner: owner.into(), ..list() });
    }
    for state in [State::Draft, State::Confirmed, State::InFulfilment, State::Processed, State::Cancelled] {
        let state = state.into();
        pages!(client.orders, list_orders, trade::ListOrdersRequest { state, ..list() });
        pages!(client.orders, list_orders, trade::ListOrdersRequest { state, owner: "rep7".into(), ..list() });
    }
}
