//! The demo's second close-out: the confirmed order of a won opportunity is cancelled. The opportunity stays won; its
//! owner gets a task to decide about it.

use super::Story;
use super::opportunity::order_task;
use super::outcome::{Outcome, Scene};
use crate::data::{DealRow, Stage};
use crate::view;
use anyhow::Context;
use crm_proto::common::{Outcome as Ending, Side, Task, TaskKind, Wait};
use crm_proto::opportunity::CreateTaskRequest;
use crm_proto::order::{CloseOutOrderRequest, GetOrderRequest, WonOpportunityPolicy};

const REASON: &str = "ORD_CUSTOMER_CANCEL";
const DETAIL: &str = "The customer stopped the project before delivery.";

/// Cancels an order and shows what changed. It takes another customer than `other`, so that the two read apart.
pub(super) async fn run(story: &Story<'_>, other: &Outcome) -> anyhow::Result<Outcome> {
    let (api, screen) = (story.api, story.screen);
    let row = choose(story, &other.before.customer.relationship.display_name).context("the data has no won row")?;
    let name = story.imported.orders.get(&row.number).context("the chosen order was not imported")?.clone();
    screen.heading("3  An order is cancelled")?;
    let request = GetOrderRequest { name: name.clone() };
    let order = api.get_order(request).await?.order.context("a reply without its order")?;
    screen.line(&view::order_line(&order))?;
    order_task(story, &name, TaskKind::Deliver, format!("Deliver {}", row.product), &row.owner).await?;
    order_task(story, &name, TaskKind::Collect, "Collect the payment".to_owned(), &row.owner).await?;
    selling_task(story, &name, row).await?;
    screen.text(&format!("It has two order tasks and a selling task. Cancelled as {REASON}: {DETAIL}"))?;

    let scene = Scene { customer: order.customer, records: vec![order.opportunity, name.clone()] };
    let request = CloseOutOrderRequest {
        name: name.clone(),
        outcome: Ending::Cancelled.into(),
        reason: format!("closeOutReasons/{REASON}"),
        detail: DETAIL.to_owned(),
        won_opportunity_policy: WonOpportunityPolicy::Ask.into(),
        request_id: story.request_id(&name, "close-out"),
        wait: Wait::Peer.into(),
        ..CloseOutOrderRequest::default()
    };
    let call = async { api.close_out_order(request).await.map(|reply| reply.close_out) };
    let outcome = Outcome::watch(api, Side::Order, name, scene, call).await?;
    outcome.show(screen)?;
    Ok(outcome)
}

/// The newest won one, if it can be of another customer.
fn choose<'a>(story: &Story<'a>, other: &str) -> Option<&'a DealRow> {
    let won = |row: &&DealRow| row.stage == Stage::Won && story.imported.orders.contains_key(&row.number);
    let is_other = |row: &DealRow| row.customer.as_deref() != Some(other);
    story.data.deals.iter().filter(won).max_by_key(|row| (is_other(row), row.closed, row.amount, &row.number))
}

/// Makes a selling task that is tied to the order.
async fn selling_task(story: &Story<'_>, order: &str, row: &DealRow) -> anyhow::Result<()> {
    let request = CreateTaskRequest {
        task: Some(Task {
            parent: order.to_owned(),
            kind: TaskKind::FollowUp.into(),
            title: "Ask how the delivery went".to_owned(),
            assignee: row.owner.clone(),
            ..Task::default()
        }),
        request_id: story.request_id(order, "follow-up"),
        ..CreateTaskRequest::default()
    };
    story.api.create_selling_task(request).await?;
    Ok(())
}
