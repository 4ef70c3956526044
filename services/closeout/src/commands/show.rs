//! `closeout show`: one record with everything related to it on both sides.

use super::{Kind, approvals, customers, found, kind_of, tasks};
use crate::api::Api;
use crate::args::ShowArgs;
use crate::failure::Ending;
use crate::json;
use crate::screen::Screen;
use crate::settle;
use crate::view::{self, Customer, Tasks};
use anyhow::Context;
use crm_proto::common::{CloseOut, CloseOutState, Side};
use crm_proto::{opportunity as sales, order as trade};
use serde_json::{Value, json};

/// Events that are shown with a customer.
const NEWEST: usize = 10;

/// Shows what the command line names.
pub(super) async fn run(args: &ShowArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let shown = match kind_of(&args.name)? {
        Kind::Customer => customer(&args.name, api, screen).await?,
        Kind::Opportunity => opportunity(&args.name, api, screen).await?,
        Kind::Order => order(&args.name, api, screen).await?,
        Kind::Task => task(&args.name, api, screen).await?,
        Kind::CloseOut => close_out(&args.name, api, screen).await?,
        Kind::Group => customers::show(&args.name, api, screen).await?,
    };
    if screen.json() {
        screen.emit(&shown)?;
    }
    Ok(Ending::Done)
}

async fn customer(name: &str, api: &Api, screen: &Screen) -> anyhow::Result<Value> {
    let customer = Customer::read(api, name).await?;
    view::show_customer(&customer, screen)?;
    screen.note("Newest events on both sides")?;
    let events = view::Events::read(api, name, NEWEST).await?;
    events.show(screen)?;
    Ok(json!({ "customer": customer.json()?, "events": events.json() }))
}

async fn opportunity(name: &str, api: &Api, screen: &Screen) -> anyhow::Result<Value> {
    let request = sales::GetOpportunityRequest { name: name.to_owned() };
    let opportunity = api.get_opportunity(request).await?.opportunity.context("a reply without its opportunity")?;
    view::show_opportunity(&opportunity, &view::Stages::read(api, screen).await?, screen)?;
    let request = trade::ListOrdersRequest { opportunity: name.to_owned(), page_size: 1_000, ..Default::default() };
    let orders = api.list_orders(request).await?.orders;
    for order in &orders {
        screen.line(&format!("order {}", view::order_line(order)))?;
    }
    let mut parents = vec![name];
    parents.extend(orders.iter().map(|order| order.name.as_str()));
    let tasks = Tasks::read(api, &parents).await?;
    view::show_tasks(&tasks, screen)?;
    let request = sales::ListCloseOutsRequest { subject: name.to_owned(), page_size: 1_000, ..Default::default() };
    let close_outs = api.list_sales_close_outs(request).await?.close_outs;
    show_all(&close_outs, Side::Opportunity, api, screen).await?;
    Ok(json!({
        "opportunity": json::message("crm.opportunity.v1.Opportunity", &opportunity)?,
        "orders": json::list("crm.order.v1.Order", &orders)?,
        "tasks": tasks.json()?,
        "close_outs": json::list("crm.common.v1.CloseOut", &close_outs)?,
    }))
}

async fn order(name: &str, api: &Api, screen: &Screen) -> anyhow::Result<Value> {
    let request = trade::GetOrderRequest { name: name.to_owned() };
    let order = api.get_order(request).await?.order.context("a reply without its order")?;
    view::show_order(&order, screen)?;
    let tasks = Tasks::read(api, &[name]).await?;
    view::show_tasks(&tasks, screen)?;
    let request = trade::ListCloseOutsRequest { subject: name.to_owned(), page_size: 1_000, ..Default::default() };
    let close_outs = api.list_trade_close_outs(request).await?.close_outs;
    show_all(&close_outs, Side::Order, api, screen).await?;
    Ok(json!({
        "order": json::message("crm.order.v1.Order", &order)?,
        "tasks": tasks.json()?,
        "close_outs": json::list("crm.common.v1.CloseOut", &close_outs)?,
    }))
}

async fn task(name: &str, api: &Api, screen: &Screen) -> anyhow::Result<Value> {
    let (side, task) = tasks::read(api, name).await?;
    view::show_tasks(&Tasks { all: vec![(side, task.clone())] }, screen)?;
    screen.line(&format!("of {}", task.parent))?;
    if !task.closed_by.is_empty() {
        screen.line(&format!("closed by {}", task.closed_by))?;
    }
    Ok(json!({ "side": view::side_name(side), "task": json::message("crm.common.v1.Task", &task)? }))
}

async fn close_out(name: &str, api: &Api, screen: &Screen) -> anyhow::Result<Value> {
    let (side, close_out) = read_close_out(api, name).await?;
    show_all(std::slice::from_ref(&close_out), side, api, screen).await?;
    let caused = settle::caused_by(api, name).await?;
    for other in &caused {
        screen.line(&format!("it caused {} of {}", other.close_out.name, other.close_out.subject))?;
    }
    let caused: Vec<CloseOut> = caused.into_iter().map(|other| other.close_out).collect();
    Ok(json!({
        "side": view::side_name(side),
        "close_out": json::message("crm.common.v1.CloseOut", &close_out)?,
        "caused": json::list("crm.common.v1.CloseOut", &caused)?,
    }))
}

/// Reads a close-out of whichever service it is.
pub(super) async fn read_close_out(api: &Api, name: &str) -> anyhow::Result<(Side, CloseOut)> {
    let request = sales::GetCloseOutRequest { name: name.to_owned() };
    let sales = found(api.get_sales_close_out(request).await.map(|reply| reply.close_out))?;
    Ok(match sales {
        Some(close_out) => (Side::Opportunity, close_out),
        None => (Side::Order, settle::read(api, Side::Order, name).await?),
    })
}

async fn show_all(close_outs: &[CloseOut], side: Side, api: &Api, screen: &Screen) -> anyhow::Result<()> {
    if screen.json() {
        return Ok(());
    }
    for close_out in close_outs {
        view::show_close_out(close_out, side, screen)?;
        match close_out.state() {
            CloseOutState::PendingApproval => {
                approvals::planned(close_out, api, screen).await?;
                continue;
            }
            CloseOutState::Rejected | CloseOutState::Expired | CloseOutState::Withdrawn => continue,
            CloseOutState::Effective | CloseOutState::Reversed | CloseOutState::Unspecified => {}
        }
        screen.note("Receipts")?;
        view::show_receipts(&close_out.effects, &Tasks::of(api, &close_out.effects).await?, screen)?;
        if let Some(reversal) = &close_out.reversal {
            screen.note("Receipts of the reopening")?;
            view::show_receipts(&reversal.effects, &Tasks::of(api, &reversal.effects).await?, screen)?;
        }
    }
    Ok(())
}
