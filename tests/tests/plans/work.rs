//! Every call of both APIs that changes something: one at a time, sixteen at a time, hundreds at a time.

use crate::{
    competitors,
    data::{CANCELLED, CUSTOMER, Data, LOST, OPPORTUNITY, ORDER, TASK, id, of_the_big_tenant},
    groups,
    lists::{self, pages},
    operators, rates, reasons, searches, stale, watching, win_back,
};
use crm_proto::{
    common::{self, Outcome, TaskKind, Wait},
    opportunity as sales, order as trade,
};
use crm_tests::{
    client::{Client, cancelling, closing, cny, reopening},
    pair::Pair,
};
use futures::future::join_all;
use std::{collections::BTreeMap, future::Future};

/// What a service has in its environment so that its log has every plan.
pub(crate) const EXPLAINED: &[(&str, &str)] = &[
    ("RUST_LOG", "info,sqlx::postgres::notice=info"),
    ("OPPORTUNITY_LOG_FORMAT", "json"),
    ("ORDER_LOG_FORMAT", "json"),
];

const MANY: usize = 384;

/// How many rows more than it is asked for a statement may read. Known limits, each of a list that is seldom asked for and would
/// cost every close-out an index:
/// - opportunities created, or last worked on, before a time, in the order of their ids: those of the state, at worst of the
///   tenant, are looked at;
/// - tasks in a state, of nobody and of nothing in particular: those of the tenant. No index may name the state of a task, as
///   cancelling one is then no longer a heap-only update;
/// - a report: what was closed out in its time;
/// - two filters at once: those that the first of them finds;
///
/// and of a batch that closes out the last opportunity of a customer, or takes something back, the opportunities of that customer.
pub(crate) fn allowed(text: &str, deals: i64) -> u64 {
    if text.starts_with("DELETE FROM idempotency") {
        // Old answers are forgotten step by step.
        return 2 * crm_outbox::job::STEP.unsigned_abs();
    }
    if text.contains("FROM close_out AS t") && text.contains("GROUP BY") {
        // A report goes through what was closed out in its time.
        return 4 * deals.unsigned_abs();
    }
    if text.starts_with("SELECT r.tenant_id, r.customer_id, (SELECT t.loss_at") {
        // A customer has five deals, which are gone through twice; there are 200 customers in the largest batch.
        return 2 * 5 * 200;
    }
    let has = |condition: &str| text.contains(condition) && text.contains("LIMIT");
    let beside = has("t.created_at <") || has("t.activity_at <") || has("coalesce(");
    let most = if has("FROM subject_in_state AS w") && beside {
        // Each is looked up by its key, which takes some four pages.
        6 * deals
    } else if has("FROM opportunity AS t WHERE") && (has("t.created_at <") || has("t.activity_at <")) {
        2 * deals
    } else if has("FROM task AS t WHERE") && has(" t.state =") {
        4 * deals
    } else if has("coalesce(") && has(" t.state =") {
        2 * deals
    } else if has("coalesce(") {
        // Each owner has one of 200 deals, each with three tasks.
        deals / 50
    } else {
        0
    };
    most.unsigned_abs()
}

/// The deals of the big tenant that stand at one of these places in each score.
fn deals(of: i64, places: &[i64]) -> impl Iterator<Item = i64> {
    (1..=of).filter(move |n| of_the_big_tenant(*n) && places.contains(&(n % 20)))
}

fn name(collection: &str, kind: u128, n: i64) -> String {
    format!("{collection}/{}", id(kind, n))
}

fn opportunity(n: i64) -> String {
    name("opportunities", OPPORTUNITY, n)
}

fn order(n: i64) -> String {
    name("orders", ORDER, n)
}

/// Names of records that are there.
pub(crate) struct Known {
    /// A customer.
    pub(crate) customer: String,
    /// An opportunity that is closed out.
    pub(crate) lost: String,
    /// A confirmed order.
    pub(crate) confirmed: String,
    /// An order that is cancelled.
    pub(crate) cancelled: String,
    /// The close-outs of both.
    pub(crate) close_outs: [String; 2],
}

impl Known {
    /// Some out of the middle of so many deals.
    fn among(deals: i64) -> Self {
        let half = deals / 2 / 20 * 20 + 2;
        Self {
            customer: name("customers", CUSTOMER, deals / 10 + 1),
            lost: opportunity(half),
            confirmed: order(deals / 40 * 20 + 11),
            cancelled: order(half),
            close_outs: [LOST, CANCELLED].map(|kind| name("closeOuts", kind, half)),
        }
    }
}

/// Does everything.
pub(crate) async fn everything(pair: &Pair, data: &Data, of: i64) {
    let (client, known) = (pair.client(), Known::among(of));
    // From all over the table, not from its end.
    let step = (of / 1_000).max(1) as usize;
    let open: Vec<_> = deals(of, &[15, 16, 17, 18, 19]).step_by(step).collect();
    let confirmed: Vec<_> = deals(of, &[11, 12]).step_by(step).collect();
    for some in [1, 16] {
        close_and_reopen(&client, data, &open[..some], &confirmed[..some]).await;
    }
    close_and_reopen(&client, data, &open, &confirmed).await;
    a_life(&client, &known, async || data.quiet().await).await;
    four_eyes(pair, data, &known).await;
    many(pair, data, &open).await;
    stale::sweep(&pair.client()).await;
    watching::watch(&client, &known).await;
    operators::operate(pair, data, &known).await;
    let task = name("tasks", TASK, (of / 2 / 20 * 20 + 2) * 3);
    client.selling_tasks.clone().get_task(sales::GetTaskRequest { name: task.clone() }).await.unwrap();
    client.order_tasks.clone().get_task(trade::GetTaskRequest { name: task }).await.unwrap();
    Box::pin(lists::reads(&client, &known, of)).await;
    Box::pin(searches::searches(&client, &known, of)).await;
}

/// Calls at once, none of which may fail.
async fn all<T, F: Future<Output = Result<T, tonic::Status>>>(calls: impl Iterator<Item = F>) -> Vec<T> {
    join_all(calls).await.into_iter().map(Result::unwrap).collect()
}

/// Deals that were there before: opportunities are lost and come back, orders are cancelled and come back.
async fn close_and_reopen(client: &Client, data: &Data, open: &[i64], confirmed: &[i64]) {
    let wait: i32 = if open.len() == 1 { Wait::Peer } else { Wait::None }.into();
    let requests: Vec<_> =
        open.iter().map(|n| sales::CloseOutOpportunityRequest { wait, ..closing(&opportunity(*n)) }).collect();
    let closed = all(requests.iter().map(|request| client.close_out_opportunity(request.clone()))).await;
    // Some are called once more: the answer is the same.
    all(requests.iter().take(16).map(|request| client.close_out_opportunity(request.clone()))).await;
    data.quiet().await;
    let amend = |reply: &sales::CloseOutOpportunityResponse| sales::AmendCloseOutRequest {
        name: reply.close_out.as_ref().unwrap().name.clone(),
        reason: "closeOutReasons/LONG_CYCLE".into(),
        note: "it was that".into(),
        wait,
        ..Default::default()
    };
    all(closed.iter().take(256).map(|reply| client.amend_sales_close_out(amend(reply)))).await;
    data.quiet().await;
    let reopen = |n: &i64| sales::ReopenOpportunityRequest { wait, ..reopening(&opportunity(*n)) };
    all(open.iter().map(|n| client.reopen_opportunity(reopen(n)))).await;
    let cancel = |n: &i64| trade::CloseOutOrderRequest { wait, ..cancelling(&order(*n)) };
    all(confirmed.iter().map(|n| client.close_out_order(cancel(n)))).await;
    data.quiet().await;
    let reopen = |n: &i64| trade::ReopenOrderRequest { name: order(*n), wait, ..Default::default() };
    all(confirmed.iter().map(|n| client.reopen_order(reopen(n)))).await;
    data.quiet().await;
}

/// Every other command once. `quiet` waits until nothing is on its way.
pub(crate) async fn a_life(client: &Client, known: &Known, quiet: impl AsyncFn()) {
    let customer = client.customer().await;
    let display_name = uuid::Uuid::now_v7().to_string();
    let edit = sales::Customer { name: customer.clone(), display_name, tier: "B".into(), ..Default::default() };
    let request = sales::UpdateCustomerRequest { customer: Some(edit), ..Default::default() };
    client.update_customer(request).await.unwrap();
    reasons::manage(client).await;
    rates::manage(client, &known.customer).await;
    let opportunity = client.opportunity("").await;
    let number = uuid::Uuid::now_v7().to_string();
    let edit = sales::Opportunity {
        name: opportunity.clone(),
        number: number.clone(),
        customer: known.customer.clone(),
        ..Default::default()
    };
    let request = sales::UpdateOpportunityRequest { opportunity: Some(edit), ..Default::default() };
    client.update_opportunity(request).await.unwrap();
    let request = sales::MoveOpportunityStageRequest {
        name: opportunity.clone(),
        stage: "pipelines/default/stages/proposal".into(),
        ..Default::default()
    };
    client.opportunities.clone().move_opportunity_stage(request).await.unwrap();
    pipelines(client).await;
    quiet().await;
    let ordered = client.order(&known.customer, &opportunity).await;
    let edit = trade::Order { name: ordered.clone(), number, ..Default::default() };
    let request = trade::UpdateOrderRequest { order: Some(edit), ..Default::default() };
    client.orders.clone().update_order(request).await.unwrap();
    client.confirm_order(trade::ConfirmOrderRequest { name: ordered.clone(), ..Default::default() }).await.unwrap();
    quiet().await;
    work_on_tasks(client, &opportunity, &ordered, known).await;
    let won = sales::WinOpportunityRequest { name: opportunity.clone(), ..Default::default() };
    client.win_opportunity(won).await.unwrap();
    let lines = vec![trade::LineFulfilment { line: 0, quantity: 3 }];
    let request = trade::RecordFulfilmentRequest { name: ordered.clone(), lines, ..Default::default() };
    client.record_fulfilment(request).await.unwrap();
    let request = trade::RecordPaymentRequest { name: ordered.clone(), amount: cny(30), ..Default::default() };
    client.record_payment(request).await.unwrap();
    let outcome = Outcome::Processed.into();
    let processed = trade::CloseOutOrderRequest { name: ordered, outcome, ..Default::default() };
    client.close_out_order(processed).await.unwrap();
    lost_to_a_competitor(client, &customer).await;
    groups::close_out(client, &quiet).await;
    win_back::manage(client, &quiet).await;
    quiet().await;
}

/// Close-outs of both services that wait for another person: listed page by page, approved, rejected, withdrawn.
async fn four_eyes(pair: &Pair, data: &Data, known: &Known) {
    let (client, boss) = (pair.client(), pair.client_of(pair.tenant, "eve"));
    let (mut lost, mut cancelled) = (Vec::new(), Vec::new());
    for _ in 0..22 {
        let name = client.opportunity(&known.customer).await;
        client
            .win_opportunity(sales::WinOpportunityRequest { name: name.clone(), ..Default::default() })
            .await
            .unwrap();
        lost.push(client.close_out_opportunity(closing(&name)).await.unwrap().close_out.unwrap().name);
        let held = client.opportunity(&known.customer).await;
        let resume_time = Some((std::time::SystemTime::now() + std::time::Duration::from_secs(86_400)).into());
        let hold = sales::SnoozeOpportunityRequest {
            name: held.clone(),
            resume_time,
            note: "later".into(),
            ..Default::default()
        };
        client.snooze_opportunity(hold).await.unwrap();
        let resume = sales::ResumeOpportunityRequest { name: held, ..Default::default() };
        client.resume_opportunity(resume).await.unwrap();
        let name = client.order(&known.customer, "").await;
        client.confirm_order(trade::ConfirmOrderRequest { name: name.clone(), ..Default::default() }).await.unwrap();
        let part = trade::CancelOrderLinesRequest {
            name: name.clone(),
            lines: vec![trade::CancelledLine { line: 0, quantity: 1 }],
            reason: "closeOutReasons/ORD_OUT_OF_STOCK".into(),
            ..Default::default()
        };
        client.cancel_order_lines(part).await.unwrap();
        let payment = trade::RecordPaymentRequest { name: name.clone(), amount: cny(30), ..Default::default() };
        client.record_payment(payment).await.unwrap();
        cancelled.push(client.close_out_order(cancelling(&name)).await.unwrap().close_out.unwrap().name);
    }
    pages!(client.sales_close_outs, list_pending_close_outs, sales::ListPendingCloseOutsRequest::default());
    pages!(client.trade_close_outs, list_pending_close_outs, trade::ListPendingCloseOutsRequest::default());
    for (lost, cancelled) in lost.iter().zip(&cancelled).take(20) {
        let request = sales::ApproveCloseOutRequest { name: lost.clone(), ..Default::default() };
        boss.approve_sales_close_out(request).await.unwrap();
        let request = trade::ApproveCloseOutRequest { name: cancelled.clone(), ..Default::default() };
        boss.approve_trade_close_out(request).await.unwrap();
    }
    let request = sales::RejectCloseOutRequest { name: lost[20].clone(), note: "no".into(), ..Default::default() };
    boss.reject_sales_close_out(request).await.unwrap();
    let request = trade::WithdrawCloseOutRequest { name: cancelled[20].clone(), ..Default::default() };
    client.withdraw_trade_close_out(request).await.unwrap();
    data.quiet().await;
}

/// A pipeline is made, changed and named by an opportunity; this may be done once more with the same tables.
async fn pipelines(client: &Client) {
    let labels = BTreeMap::from([("en".to_owned(), "Renewals".to_owned()), ("zh".to_owned(), "续约".to_owned())]);
    let stage = sales::Stage { stage_id: "offer".into(), labels: labels.clone(), ..Default::default() };
    let pipeline = sales::Pipeline { labels, stages: vec![stage], ..Default::default() };
    let pipeline_id = format!("p{}", uuid::Uuid::now_v7().simple());
    let request = sales::CreatePipelineRequest { pipeline: Some(pipeline), pipeline_id, ..Default::default() };
    let made = client.create_pipeline(request).await.unwrap().pipeline.unwrap();
    let request = sales::UpdatePipelineRequest { pipeline: Some(made.clone()), ..Default::default() };
    client.update_pipeline(request).await.unwrap();
    let opportunity =
        sales::Opportunity { title: "x".into(), stage: made.stages[0].name.clone(), ..Default::default() };
    let request = sales::CreateOpportunityRequest { opportunity: Some(opportunity), ..Default::default() };
    client.create_opportunity(request).await.unwrap();
    let request = sales::GetPipelineRequest { name: made.name.clone(), ..Default::default() };
    client.pipelines.clone().get_pipeline(request).await.unwrap();
    let listed = client.pipelines.clone().list_pipelines(sales::ListPipelinesRequest::default()).await.unwrap();
    assert!(listed.into_inner().pipelines.len() >= 2);
    let request = sales::DeactivatePipelineRequest { name: made.name, ..Default::default() };
    client.deactivate_pipeline(request).await.unwrap();
}

async fn lost_to_a_competitor(client: &Client, customer: &str) {
    let competitor = competitors::manage(client).await;
    let lost = client.opportunity(customer).await;
    let request = sales::CloseOutOpportunityRequest {
        reason: "closeOutReasons/COMPETITOR_PRICE".into(),
        detail: "They were cheaper over all three years".into(),
        competitor,
        validate_only: true,
        ..closing(&lost)
    };
    client.close_out_opportunity(request.clone()).await.unwrap();
    let request = sales::CloseOutOpportunityRequest { validate_only: false, ..request };
    client.close_out_opportunity(request).await.unwrap();
}

async fn work_on_tasks(client: &Client, opportunity: &str, order: &str, known: &Known) {
    for parent in [opportunity, order, &known.confirmed, &known.customer] {
        client.selling_task(parent, TaskKind::Demo).await;
    }
    let task = client.selling_task(opportunity, TaskKind::Quote).await;
    let edit = common::Task { name: task.clone(), title: "Again".into(), ..Default::default() };
    let mut tasks = client.selling_tasks.clone();
    tasks.update_task(sales::UpdateTaskRequest { task: Some(edit), ..Default::default() }).await.unwrap();
    tasks.start_task(sales::StartTaskRequest { name: task.clone(), ..Default::default() }).await.unwrap();
    tasks.complete_task(sales::CompleteTaskRequest { name: task, ..Default::default() }).await.unwrap();
    let task = client.selling_task(opportunity, TaskKind::Quote).await;
    tasks.cancel_task(sales::CancelTaskRequest { name: task, ..Default::default() }).await.unwrap();
    client.order_task(opportunity, TaskKind::Deliver).await;
    client.order_task(&known.customer, TaskKind::Deliver).await;
    let task = client.order_task(order, TaskKind::Deliver).await;
    let mut tasks = client.order_tasks.clone();
    tasks.start_task(trade::StartTaskRequest { name: task.clone(), ..Default::default() }).await.unwrap();
    tasks.complete_task(trade::CompleteTaskRequest { name: task, ..Default::default() }).await.unwrap();
}

/// Hundreds of calls at once, over several connections so that the writer finds full batches.
async fn many(pair: &Pair, data: &Data, open: &[i64]) {
    let clients: Vec<_> = (0..8).map(|_| pair.client()).collect();
    let each = || (0..MANY).map(|n| (&clients[n % clients.len()], open[n % open.len()]));
    let wait: i32 = Wait::None.into();
    let made = all(each().map(|(client, n)| {
        let opportunity = sales::Opportunity {
            title: "Cameras".into(),
            number: uuid::Uuid::now_v7().to_string(),
            customer: name("customers", CUSTOMER, (n + 4) / 5),
            amount: cny(100),
            ..Default::default()
        };
        let request = sales::CreateOpportunityRequest { opportunity: Some(opportunity), wait, ..Default::default() };
        client.create_opportunity(request)
    }))
    .await;
    let made: Vec<_> = made.into_iter().map(|reply| reply.opportunity.unwrap().name).collect();
    data.quiet().await;
    let of_made = || each().zip(&made);
    let tasks = of_made().map(|((client, _), parent)| client.selling_task(parent, TaskKind::Demo));
    join_all(tasks).await;
    let orders = all(of_made().map(|((client, n), parent)| {
        let line =
            trade::OrderLine { product: "Camera".into(), quantity: 3, unit_price: cny(10), ..Default::default() };
        let order = trade::Order {
            customer: name("customers", CUSTOMER, (n + 4) / 5),
            opportunity: parent.clone(),
            number: uuid::Uuid::now_v7().to_string(),
            lines: vec![line],
            ..Default::default()
        };
        client.create_order(trade::CreateOrderRequest { order: Some(order), wait, ..Default::default() })
    }))
    .await;
    let orders: Vec<_> = orders.into_iter().map(|reply| reply.order.unwrap().name).collect();
    join_all(each().zip(&orders).map(|((client, _), order)| client.order_task(order, TaskKind::Deliver))).await;
    data.quiet().await;
    let close = |of: &str| sales::CloseOutOpportunityRequest { wait, ..closing(of) };
    all(of_made().map(|((client, _), of)| client.close_out_opportunity(close(of)))).await;
    data.quiet().await;
    let reopen = |of: &str| sales::ReopenOpportunityRequest { wait, ..reopening(of) };
    all(of_made().map(|((client, _), of)| client.reopen_opportunity(reopen(of)))).await;
    data.quiet().await;
    let each_order = || each().zip(&orders);
    let confirm = |of: &String| trade::ConfirmOrderRequest { name: of.clone(), wait, ..Default::default() };
    all(each_order().map(|((client, _), of)| client.confirm_order(confirm(of)))).await;
    let cancel = |of: &str| trade::CloseOutOrderRequest { wait, ..cancelling(of) };
    all(each_order().map(|((client, _), of)| client.close_out_order(cancel(of)))).await;
    data.quiet().await;
}
