//! `closeout close-out`: shows what will be closed, asks, closes it out and shows what that did on both sides.

use super::remarks::Remarks;
use super::{Kind, competitors, kind_of};
use crate::api::Api;
use crate::args::{CloseOutArgs, OrderOutcome, WonPolicy};
use crate::failure::{Ending, Usage};
use crate::screen::Screen;
use crate::settle;
use crate::view::{self, Tasks};
use crate::{json, request_id};
use anyhow::Context;
use crm_proto::common::{CloseOut, Outcome, Side, Wait};
use crm_proto::opportunity::{CloseOutOpportunityRequest, CloseOutOpportunityResponse, GetOpportunityRequest};
use crm_proto::order::{CloseOutOrderRequest, GetOrderRequest, WonOpportunityPolicy};
use serde_json::json;

/// Closes out what the command line names.
pub(super) async fn run(args: &CloseOutArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let side = match kind_of(&args.name)? {
        Kind::Opportunity => Side::Opportunity,
        Kind::Order => Side::Order,
        Kind::Customer | Kind::Task | Kind::CloseOut => {
            return Err(Usage("only opportunities/ID and orders/ID can be closed out".to_owned()).into());
        }
    };
    let closed = if side == Side::Order {
        close_order(args, api, screen).await?
    } else {
        close_opportunity(args, api, screen).await?
    };
    let Some(close_out) = closed else { return Ok(Ending::Done) };
    let cascade = settle::close(api, side, close_out).await?;
    let effects = cascade.effects();
    if screen.json() {
        let all: Vec<CloseOut> = cascade.members.iter().map(|member| member.close_out.clone()).collect();
        let close_outs = json::list("crm.common.v1.CloseOut", &all)?;
        screen.emit(&json!({ "close_outs": close_outs, "effects": json::list("crm.common.v1.Effect", &effects)? }))?;
        return Ok(Ending::Done);
    }
    let tasks = Tasks::of(api, &effects).await?;
    if let Some(first) = cascade.first() {
        view::show_close_out(first, side, screen)?;
    }
    view::show_receipts(&effects, &tasks, screen)?;
    Ok(Ending::Done)
}

async fn close_opportunity(args: &CloseOutArgs, api: &Api, screen: &Screen) -> anyhow::Result<Option<CloseOut>> {
    let reason = args.reason.as_deref().ok_or_else(|| Usage("--reason CODE is needed".to_owned()))?;
    let Remarks { secondary_reasons, verification, reassessment, follow_up } = args.remarks.read()?;
    let request = GetOpportunityRequest { name: args.name.clone() };
    let opportunity = api.get_opportunity(request).await?.opportunity.context("a reply without its opportunity")?;
    let competitor = match &args.competitor {
        Some(name) => competitors::known(name, api).await?,
        None => Some(String::new()),
    };
    let mut request = CloseOutOpportunityRequest {
        name: args.name.clone(),
        reason: reason_name(reason),
        detail: args.detail.clone().unwrap_or_default(),
        competitor: competitor.clone().unwrap_or_default(),
        etag: opportunity.etag.clone(),
        request_id: request_id::new(),
        validate_only: true,
        wait: Wait::Peer.into(),
        secondary_reasons,
        verification,
        reassessment,
        follow_up,
        ..CloseOutOpportunityRequest::default()
    };
    // What the service would refuse is told before the person is asked; a competitor that it does not know yet is not
    // made for that.
    if competitor.is_some() {
        asked(request.clone(), api).await?;
    }
    if !confirm(args, api, &view::opportunity_line(&opportunity), screen).await? {
        return Ok(None);
    }
    if let (None, Some(name)) = (competitor, &args.competitor) {
        request.competitor = competitors::or_made(name, api).await?;
    }
    (request.validate_only, request.request_id) = (false, request_id::new());
    let reply = asked(request, api).await?;
    reply.close_out.context("a reply without its close-out").map(Some)
}

async fn asked(request: CloseOutOpportunityRequest, api: &Api) -> anyhow::Result<CloseOutOpportunityResponse> {
    match api.close_out_opportunity(request).await {
        Ok(reply) => Ok(reply),
        Err(refused) => Err(competitors::explained(refused, api).await),
    }
}

async fn close_order(args: &CloseOutArgs, api: &Api, screen: &Screen) -> anyhow::Result<Option<CloseOut>> {
    let Remarks { secondary_reasons, verification, reassessment, follow_up } = args.remarks.read()?;
    let request = GetOrderRequest { name: args.name.clone() };
    let order = api.get_order(request).await?.order.context("a reply without its order")?;
    let outcome = match args.outcome {
        OrderOutcome::Cancelled => Outcome::Cancelled,
        OrderOutcome::Processed => Outcome::Processed,
    };
    if outcome == Outcome::Cancelled && args.reason.is_none() {
        return Err(Usage("--reason CODE is needed to cancel an order".to_owned()).into());
    }
    let policy = match args.won_opportunity {
        WonPolicy::Ask => WonOpportunityPolicy::Ask,
        WonPolicy::Keep => WonOpportunityPolicy::Keep,
    };
    let mut request = CloseOutOrderRequest {
        name: args.name.clone(),
        outcome: outcome.into(),
        reason: args.reason.as_deref().map(reason_name).unwrap_or_default(),
        detail: args.detail.clone().unwrap_or_default(),
        refund_reference: args.refund_reference.clone().unwrap_or_default(),
        won_opportunity_policy: policy.into(),
        etag: order.etag.clone(),
        request_id: request_id::new(),
        validate_only: true,
        wait: Wait::Peer.into(),
        secondary_reasons,
        verification,
        reassessment,
        follow_up,
        ..CloseOutOrderRequest::default()
    };
    api.close_out_order(request.clone()).await?;
    if !confirm(args, api, &view::order_line(&order), screen).await? {
        return Ok(None);
    }
    (request.validate_only, request.request_id) = (false, request_id::new());
    let reply = api.close_out_order(request).await?;
    reply.close_out.context("a reply without its close-out").map(Some)
}

/// Shows what will be closed and asks, unless `--yes` was given.
async fn confirm(args: &CloseOutArgs, api: &Api, line: &str, screen: &Screen) -> anyhow::Result<bool> {
    if args.yes {
        return Ok(true);
    }
    if !screen.can_ask() {
        return Err(Usage("nobody can be asked here: give --yes".to_owned()).into());
    }
    screen.line(line)?;
    screen.note("Tasks of it, on both sides; the open ones will be closed:")?;
    view::show_tasks(&Tasks::read(api, &[&args.name]).await?, screen)?;
    screen.ask("The sales data and the customer's record are affected. Close it out?")
}

/// The resource name of a reason, from its code or from the name itself.
pub(super) fn reason_name(reason: &str) -> String {
    if reason.contains('/') { reason.to_owned() } else { format!("closeOutReasons/{}", reason.to_uppercase()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_named_by_its_code() {
        assert_eq!(reason_name("budget_frozen"), "closeOutReasons/BUDGET_FROZEN");
        assert_eq!(reason_name("closeOutReasons/OTHER"), "closeOutReasons/OTHER");
    }
}
