//! `closeout reopen`: takes a close-out back and shows what came back on both sides.

use super::{Kind, customers, kind_of};
use crate::api::Api;
use crate::args::ReopenArgs;
use crate::failure::{Ending, Usage};
use crate::screen::Screen;
use crate::settle;
use crate::view::{self, Tasks};
use crate::{json, request_id};
use crm_proto::common::{CloseOut, Side, Wait};
use crm_proto::opportunity::ReopenOpportunityRequest;
use crm_proto::order::ReopenOrderRequest;
use serde_json::{Value, json};

/// Reopens what the command line names.
pub(super) async fn run(args: &ReopenArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let (side, record, close_out) = match kind_of(&args.name)? {
        Kind::Opportunity => opportunity(args, api, screen).await?,
        Kind::Order => order(args, api, screen).await?,
        Kind::Group => return Box::pin(customers::reopen(args, api, screen)).await,
        Kind::Customer | Kind::Task | Kind::CloseOut => {
            let what = "only opportunities/ID, orders/ID and customerCloseOuts/ID can be reopened";
            return Err(Usage(what.to_owned()).into());
        }
    };
    let effects = match close_out {
        Some(close_out) => settle::reversal(api, side, close_out).await?.reversal_effects(),
        None => Vec::new(), // a win was taken back: that closes nothing and reverses nothing
    };
    let tasks = Tasks::of(api, &effects).await?;
    view::show_receipts(&effects, &tasks, screen)?;
    if screen.json() {
        screen.emit(&json!({ "record": record, "effects": json::list("crm.common.v1.Effect", &effects)? }))?;
    }
    Ok(Ending::Done)
}

type Reopened = (Side, Value, Option<CloseOut>);

async fn opportunity(args: &ReopenArgs, api: &Api, screen: &Screen) -> anyhow::Result<Reopened> {
    let request = ReopenOpportunityRequest {
        name: args.name.clone(),
        note: args.note.clone(),
        request_id: request_id::new(),
        wait: Wait::Peer.into(),
        ..ReopenOpportunityRequest::default()
    };
    let reply = api.reopen_opportunity(request).await?;
    let opportunity = reply.opportunity.unwrap_or_default();
    view::show_opportunity(&opportunity, &view::Stages::read(api, screen).await?, screen)?;
    Ok((Side::Opportunity, json::message("crm.opportunity.v1.Opportunity", &opportunity)?, reply.close_out))
}

async fn order(args: &ReopenArgs, api: &Api, screen: &Screen) -> anyhow::Result<Reopened> {
    let request = ReopenOrderRequest {
        name: args.name.clone(),
        note: args.note.clone(),
        request_id: request_id::new(),
        wait: Wait::Peer.into(),
        ..ReopenOrderRequest::default()
    };
    let reply = api.reopen_order(request).await?;
    let order = reply.order.unwrap_or_default();
    view::show_order(&order, screen)?;
    Ok((Side::Order, json::message("crm.order.v1.Order", &order)?, reply.close_out))
}
