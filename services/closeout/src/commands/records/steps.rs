//! `closeout move`, `win`, `confirm`, `fulfil` and `pay`: how opportunities and orders go on.

use super::{of_opportunity, of_order};
use crate::api::Api;
use crate::commands::cancel_lines::part;
use crate::commands::list::stage_name;
use crate::commands::{Kind, only};
use crate::failure::Ending;
use crate::format::parse_money;
use crate::request_id;
use crate::screen::Screen;
use clap::Args;
use crm_proto::Money;
use crm_proto::common::Wait;
use crm_proto::opportunity::{MoveOpportunityStageRequest, WinOpportunityRequest};
use crm_proto::order::{ConfirmOrderRequest, LineFulfilment, RecordFulfilmentRequest, RecordPaymentRequest};

/// Flags of `move`.
#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// `opportunities/ID`, open.
    name: String,
    /// `engaging` of the pipeline `default`, `PIPELINE/STAGE` or a full name.
    stage: String,
}

/// Flags of `win`.
#[derive(Debug, Args)]
pub(crate) struct WinArgs {
    /// `opportunities/ID`, open.
    name: String,
    /// What it was won for, such as '11000 CNY' [default: what it is worth].
    #[arg(long, value_name = "AMOUNT", value_parser = parse_money)]
    amount: Option<Money>,
}

/// Flags of `confirm`.
#[derive(Debug, Args)]
pub(crate) struct ConfirmArgs {
    /// `orders/ID`, a draft.
    name: String,
}

/// Flags of `fulfil`.
#[derive(Debug, Args)]
pub(crate) struct FulfilArgs {
    /// `orders/ID`, confirmed or in fulfilment.
    name: String,
    /// Which line, from 0, and how many of it now; may be given for several lines.
    #[arg(long, value_name = "LINE=QUANTITY", required = true, value_parser = line)]
    line: Vec<LineFulfilment>,
}

/// Flags of `pay`.
#[derive(Debug, Args)]
pub(crate) struct PayArgs {
    /// `orders/ID`, confirmed.
    name: String,
    /// What was paid now, such as '3000 CNY'.
    #[arg(value_parser = parse_money)]
    amount: Money,
}

fn line(text: &str) -> Result<LineFulfilment, String> {
    part(text).map(|(line, quantity)| LineFulfilment { line, quantity })
}

/// Moves an opportunity to another stage.
pub(in crate::commands) async fn to_stage(args: &MoveArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let request = MoveOpportunityStageRequest {
        name: only(Kind::Opportunity, "opportunities", &args.name)?,
        stage: stage_name(&args.stage),
        request_id: request_id::new(),
        ..MoveOpportunityStageRequest::default()
    };
    of_opportunity(api.move_opportunity_stage(request).await?.opportunity, screen)
}

/// Marks an opportunity as won.
pub(in crate::commands) async fn win(args: &WinArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let request = WinOpportunityRequest {
        name: only(Kind::Opportunity, "opportunities", &args.name)?,
        amount: args.amount.clone(),
        request_id: request_id::new(),
        wait: Wait::Peer.into(),
        ..WinOpportunityRequest::default()
    };
    of_opportunity(api.win_opportunity(request).await?.opportunity, screen)
}

/// Confirms an order.
pub(in crate::commands) async fn confirm(args: &ConfirmArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let request = ConfirmOrderRequest {
        name: only(Kind::Order, "orders", &args.name)?,
        request_id: request_id::new(),
        wait: Wait::Peer.into(),
        ..ConfirmOrderRequest::default()
    };
    of_order(api.confirm_order(request).await?.order, screen)
}

/// Records what was fulfilled of an order.
pub(in crate::commands) async fn fulfil(args: &FulfilArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let request = RecordFulfilmentRequest {
        name: only(Kind::Order, "orders", &args.name)?,
        lines: args.line.clone(),
        request_id: request_id::new(),
        ..RecordFulfilmentRequest::default()
    };
    of_order(api.record_fulfilment(request).await?.order, screen)
}

/// Records what was paid for an order.
pub(in crate::commands) async fn pay(args: &PayArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let request = RecordPaymentRequest {
        name: only(Kind::Order, "orders", &args.name)?,
        amount: Some(args.amount.clone()),
        request_id: request_id::new(),
        ..RecordPaymentRequest::default()
    };
    of_order(api.record_payment(request).await?.order, screen)
}
