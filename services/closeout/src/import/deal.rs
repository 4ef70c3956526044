//! One row of the pipeline: makes the opportunity, then brings it where the row says it ended.
//!
//! Won: win it with its real date, wait until the order service knows, make its order and confirm it. Lost: close it out
//! with reason NOT_RECORDED and its real date. Open: two selling tasks.

use super::{MAX_WAIT, Run, Stop, was_made_before};
use crate::data::{DealRow, Stage};
use crate::format::{to_minor, to_money, to_timestamp};
use anyhow::anyhow;
use crm_proto::common::{Historical, Propagation, Task, TaskKind, Wait};
use crm_proto::opportunity::{
    CloseOutOpportunityRequest, CreateOpportunityRequest, CreateTaskRequest, Opportunity, WinOpportunityRequest,
};
use crm_proto::order::{ConfirmOrderRequest, CreateOrderRequest, Order, OrderLine};
use time::{Date, Duration};
use tonic::Status;

/// How often a win is asked for again until it has settled; each time waits up to `MAX_WAIT`.
const SETTLE_ATTEMPTS: u32 = 12;

/// What became of a row.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Resource name of the opportunity.
    pub(super) opportunity: String,
    /// Resource name of its order.
    pub(super) order: Option<String>,
    /// What it was won for, in minor units.
    pub(super) won_amount: i64,
    /// Selling tasks.
    pub(super) tasks: u64,
}

/// Imports one row.
pub(super) async fn import(run: &Run<'_>, row: &DealRow) -> Result<Made, Stop> {
    let customer = customer(run, row)?;
    let opportunity = create(run, row, &customer).await?;
    let mut made = Made { opportunity, ..Made::default() };
    match row.stage {
        Stage::Won => {
            made.won_amount = win(run, row, &made.opportunity).await?;
            made.order = Some(order(run, row, &made.opportunity, customer).await?);
        }
        Stage::Lost => close_out(run, row, &made.opportunity).await?,
        Stage::Engaging => made.tasks = tasks(run, row, &made.opportunity, TaskKind::Quote, "Quote").await?,
        Stage::Prospecting => made.tasks = tasks(run, row, &made.opportunity, TaskKind::Demo, "Demonstrate").await?,
    }
    Ok(made)
}

fn customer(run: &Run<'_>, row: &DealRow) -> Result<String, Stop> {
    let Some(name) = &row.customer else { return Ok(String::new()) };
    let known = run.customers.get(name).cloned();
    known.ok_or_else(|| Stop::Refused(format!("its customer `{name}` was refused")))
}

async fn create(run: &Run<'_>, row: &DealRow, customer: &str) -> Result<String, Stop> {
    let stage = if row.stage == Stage::Prospecting { "prospecting" } else { "engaging" };
    let request = CreateOpportunityRequest {
        opportunity: Some(Opportunity {
            number: row.number.clone(),
            customer: customer.to_owned(),
            title: row.title(),
            owner: row.owner.clone(),
            team: row.team.clone(),
            stage: format!("pipelines/default/stages/{stage}"),
            amount: Some(to_money(row.amount, run.data.currency)),
            ..Opportunity::default()
        }),
        request_id: run.request_id(row, "create"),
        historical: row.engaged.map(|day| Historical {
            create_time: Some(to_timestamp(day)),
            stage_entered_time: Some(to_timestamp(day)),
            ..Historical::default()
        }),
        ..CreateOpportunityRequest::default()
    };
    let reply = run.api.create_opportunity(request).await.map_err(stop("making the opportunity"))?;
    reply.opportunity.map(|opportunity| opportunity.name).ok_or_else(|| incomplete("opportunity"))
}

/// Wins it and answers for what, once the order service knows of it.
async fn win(run: &Run<'_>, row: &DealRow, name: &str) -> Result<i64, Stop> {
    let request = WinOpportunityRequest {
        name: name.to_owned(),
        amount: Some(to_money(row.amount, run.data.currency)),
        request_id: run.request_id(row, "win"),
        wait: Wait::Peer.into(),
        max_wait: Some(MAX_WAIT),
        historical: row.closed.map(closed_on),
        ..WinOpportunityRequest::default()
    };
    for _ in 0..SETTLE_ATTEMPTS {
        // The same id again: no second effect, only another look at how far it has come.
        let reply = run.api.win_opportunity(request.clone()).await.map_err(stop("winning the opportunity"))?;
        match reply.propagation() {
            Propagation::Settled | Propagation::NotNeeded => {
                let amount = reply.opportunity.and_then(|opportunity| opportunity.amount);
                return amount.as_ref().map(to_minor).ok_or_else(|| incomplete("amount"));
            }
            Propagation::Parked => return Err(Stop::Failed(anyhow!("the order service refused to hear of {name}"))),
            Propagation::Pending | Propagation::Unspecified => {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
    Err(Stop::Failed(anyhow!("the order service has not heard of {name} for too long")))
}

async fn order(run: &Run<'_>, row: &DealRow, opportunity: &str, customer: String) -> Result<String, Stop> {
    let request = CreateOrderRequest {
        order: Some(Order {
            number: format!("SO-{}", row.number).chars().take(64).collect(),
            customer,
            opportunity: opportunity.to_owned(),
            owner: row.owner.clone(),
            team: row.team.clone(),
            lines: vec![OrderLine {
                product: row.product.clone(),
                quantity: 1,
                unit_price: Some(to_money(row.amount, run.data.currency)),
                ..OrderLine::default()
            }],
            ..Order::default()
        }),
        request_id: run.request_id(row, "order"),
        historical: row.closed.map(|day| Historical { create_time: Some(to_timestamp(day)), ..Historical::default() }),
        ..CreateOrderRequest::default()
    };
    let reply = run.api.create_order(request).await.map_err(stop("making the order"))?;
    let name = reply.order.map(|order| order.name).ok_or_else(|| incomplete("order"))?;
    let confirm = ConfirmOrderRequest {
        name: name.clone(),
        request_id: run.request_id(row, "confirm"),
        wait: Wait::Peer.into(),
        max_wait: Some(MAX_WAIT),
        ..ConfirmOrderRequest::default()
    };
    run.api.confirm_order(confirm).await.map_err(stop("confirming the order"))?;
    Ok(name)
}

async fn close_out(run: &Run<'_>, row: &DealRow, name: &str) -> Result<(), Stop> {
    let request = CloseOutOpportunityRequest {
        name: name.to_owned(),
        reason: "closeOutReasons/NOT_RECORDED".to_owned(),
        request_id: run.request_id(row, "close-out"),
        wait: Wait::Peer.into(), // so that both records of the customer agree when the import ends
        max_wait: Some(MAX_WAIT),
        historical: row.closed.map(closed_on),
        ..CloseOutOpportunityRequest::default()
    };
    run.api.close_out_opportunity(request).await.map_err(stop("closing out the opportunity")).map(drop)
}

/// A task of `kind` within a week of the data's "today", and a follow-up a week later.
async fn tasks(run: &Run<'_>, row: &DealRow, parent: &str, kind: TaskKind, verb: &str) -> Result<u64, Stop> {
    let who = row.customer.as_deref().unwrap_or("the prospect");
    let wanted = [
        (kind, format!("{verb} {}", row.product), 7, "task-1"),
        (TaskKind::FollowUp, format!("Follow up with {who}"), 14, "task-2"),
    ];
    for (kind, title, days, step) in wanted {
        let request = CreateTaskRequest {
            task: Some(Task {
                parent: parent.to_owned(),
                kind: kind.into(),
                title,
                assignee: row.owner.clone(),
                due_time: Some(to_timestamp(run.data.newest + Duration::days(days))),
                ..Task::default()
            }),
            request_id: run.request_id(row, step),
            ..CreateTaskRequest::default()
        };
        match run.api.create_selling_task(request).await {
            // An earlier import made it, due by the data's "today" of then.
            Err(status) if was_made_before(&status) => {}
            made => drop(made.map_err(stop("making a task"))?),
        }
    }
    Ok(2)
}

fn closed_on(day: Date) -> Historical {
    Historical { close_time: Some(to_timestamp(day)), ..Historical::default() }
}

fn stop(doing: &'static str) -> impl Fn(Status) -> Stop {
    move |status| Stop::from_status(doing, status)
}

fn incomplete(what: &str) -> Stop {
    Stop::Failed(anyhow!("a reply without its {what}"))
}
