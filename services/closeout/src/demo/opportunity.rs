//! The demo's first close-out: an opportunity that is still engaging, with selling tasks, a draft order and order tasks.

use super::outcome::{Outcome, Scene};
use super::{STALE_DAYS, Story};
use crate::commands::competitors;
use crate::data::{DealRow, Stage};
use crate::format::to_money;
use crate::view;
use anyhow::Context;
use crm_proto::common::{Side, Task, TaskKind, Wait};
use crm_proto::opportunity::{CloseOutOpportunityRequest, GetOpportunityRequest};
use crm_proto::order::{CreateOrderRequest, CreateTaskRequest, Order, OrderLine};
use time::Duration;

const REASON: &str = "COMPETITOR_PRICE";
const DETAIL: &str = "Their offer was 12 % lower over three years.";
const COMPETITOR: &str = "Stonebridge Systems";

/// Closes one out and shows what changed.
pub(super) async fn run(story: &Story<'_>) -> anyhow::Result<Outcome> {
    let (api, screen) = (story.api, story.screen);
    let row = choose(story).context("no opportunity in the data is engaging, has a customer and is not stale")?;
    let name = story.opportunity(row).context("the chosen opportunity was not imported")?;
    screen.heading("2  An opportunity is closed out")?;
    let request = GetOpportunityRequest { name: name.clone() };
    let opportunity = api.get_opportunity(request).await?.opportunity.context("a reply without its opportunity")?;
    screen.line(&view::opportunity_line(&opportunity))?;
    let order = draft_order(story, row, &name, &opportunity.customer).await?;
    let competitor = competitors::or_made(COMPETITOR, api).await?;
    screen.text(&format!("It has a draft order and four open tasks. Closed out as {REASON}: {DETAIL}"))?;

    let scene = Scene { customer: opportunity.customer, records: vec![name.clone(), order] };
    let request = CloseOutOpportunityRequest {
        name: name.clone(),
        reason: format!("closeOutReasons/{REASON}"),
        detail: DETAIL.to_owned(),
        competitor,
        request_id: story.request_id(&name, "close-out"),
        wait: Wait::Peer.into(),
        ..CloseOutOpportunityRequest::default()
    };
    let call = async { api.close_out_opportunity(request).await.map(|reply| reply.close_out) };
    let outcome = Outcome::watch(api, Side::Opportunity, name, scene, call).await?;
    outcome.show(screen)?;
    Ok(outcome)
}

/// The most valuable one that is engaging, has a customer and is not stale.
pub(super) fn choose<'a>(story: &Story<'a>) -> Option<&'a DealRow> {
    let oldest = story.data.newest - Duration::days(STALE_DAYS);
    let fresh = |row: &&DealRow| {
        row.stage == Stage::Engaging && row.customer.is_some() && row.engaged.is_some_and(|day| day >= oldest)
    };
    let imported = |row: &&DealRow| story.imported.opportunities.contains_key(&row.number);
    story.data.deals.iter().filter(fresh).filter(imported).max_by_key(|row| (row.amount, row.engaged, &row.number))
}

/// Makes a draft order with two tasks for the opportunity.
async fn draft_order(story: &Story<'_>, row: &DealRow, name: &str, customer: &str) -> anyhow::Result<String> {
    let request = CreateOrderRequest {
        order: Some(Order {
            number: format!("DRAFT-{}", row.number).chars().take(64).collect(),
            customer: customer.to_owned(),
            opportunity: name.to_owned(),
            owner: row.owner.clone(),
            team: row.team.clone(),
            lines: vec![OrderLine {
                product: row.product.clone(),
                quantity: 1,
                unit_price: Some(to_money(row.amount, story.data.currency)),
                ..OrderLine::default()
            }],
            ..Order::default()
        }),
        request_id: story.request_id(name, "draft"),
        wait: Wait::Peer.into(),
        ..CreateOrderRequest::default()
    };
    let order = story.api.create_order(request).await?.order.context("a reply without its order")?.name;
    order_task(story, &order, TaskKind::Procure, format!("Reserve {}", row.product), &row.owner).await?;
    order_task(story, &order, TaskKind::Invoice, "Prepare the invoice".to_owned(), &row.owner).await?;
    Ok(order)
}

/// Makes an order task.
pub(super) async fn order_task(
    story: &Story<'_>,
    parent: &str,
    kind: TaskKind,
    title: String,
    assignee: &str,
) -> anyhow::Result<()> {
    let request = CreateTaskRequest {
        request_id: story.request_id(parent, &title),
        task: Some(Task {
            parent: parent.to_owned(),
            kind: kind.into(),
            title,
            assignee: assignee.to_owned(),
            ..Task::default()
        }),
        ..CreateTaskRequest::default()
    };
    story.api.create_order_task(request).await?;
    Ok(())
}
