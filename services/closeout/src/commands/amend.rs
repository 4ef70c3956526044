//! `closeout amend`: corrects what a close-out says of its reason.

use super::closing::reason_name;
use super::show::read_close_out;
use super::{Kind, competitors, kind_of};
use crate::api::Api;
use crate::failure::{Ending, Usage};
use crate::screen::Screen;
use crate::{json, request_id, view};
use clap::Args;
use crm_proto::common::{CloseOut, Propagation, Side, Wait};
use crm_proto::{opportunity as sales, order as trade};
use prost_types::FieldMask;
use serde_json::json;

/// What follows the help of `amend`.
pub(crate) const EXAMPLES: &str = "\
The close-out keeps its time and what it had said before. The other service, the customer's record and reports follow.

Examples:
  closeout amend closeOuts/ID --reason POOR_FIT --note \"it was never a chance\"
  closeout amend closeOuts/ID --reason COMPETITOR_PRICE --competitor Acme --detail \"10 % cheaper\" --note \"found out later\"
  closeout amend closeOuts/ID --no-competitor --also LONG_CYCLE --note \"nobody won\"";

/// Flags of `amend`.
#[derive(Debug, Args)]
pub(crate) struct AmendArgs {
    /// `closeOuts/ID`.
    name: String,
    /// Code of the right reason.
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// What happened, in your words.
    #[arg(long, value_name = "TEXT")]
    detail: Option<String>,
    /// Competitor who won, by its name; one that is not known yet is made.
    #[arg(long, value_name = "NAME", conflicts_with = "no_competitor")]
    competitor: Option<String>,
    /// No competitor.
    #[arg(long)]
    no_competitor: bool,
    /// Code of a further reason, in place of those it named; may be given twice.
    #[arg(long, value_name = "CODE")]
    also: Vec<String>,
    /// Why it is corrected, in your words.
    #[arg(long, value_name = "TEXT")]
    note: String,
}

/// Corrects the close-out that the command line names.
pub(super) async fn run(args: &AmendArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    if kind_of(&args.name)? != Kind::CloseOut {
        return Err(Usage(format!("`{}`: only closeOuts/ID can be amended", args.name)).into());
    }
    let (side, _) = read_close_out(api, &args.name).await?;
    let paths = paths(args);
    if paths.is_empty() {
        let flags = "--reason, --detail, --competitor, --no-competitor or --also";
        return Err(Usage(format!("nothing to correct: give {flags}")).into());
    }
    let (amended, propagation) =
        if side == Side::Order { order(args, paths, api).await? } else { opportunity(args, paths, api).await? };
    if screen.json() {
        let close_out = json::message("crm.common.v1.CloseOut", &amended)?;
        screen.emit(&json!({ "close_out": close_out, "propagation": propagation.as_str_name() }))?;
        return Ok(Ending::Done);
    }
    view::show_close_out(&amended, side, screen)?;
    screen.line(&format!("{}.", view::how_far(propagation, "other service")))?;
    Ok(Ending::Done)
}

fn paths(args: &AmendArgs) -> Vec<String> {
    let given = [
        ("reason", args.reason.is_some()),
        ("detail", args.detail.is_some()),
        ("competitor", args.competitor.is_some() || args.no_competitor),
        ("secondary_reasons", !args.also.is_empty()),
    ];
    given.iter().filter(|(_, given)| *given).map(|(path, _)| (*path).to_owned()).collect()
}

async fn opportunity(args: &AmendArgs, paths: Vec<String>, api: &Api) -> anyhow::Result<(CloseOut, Propagation)> {
    let request = sales::AmendCloseOutRequest {
        name: args.name.clone(),
        reason: args.reason.as_deref().map(reason_name).unwrap_or_default(),
        detail: args.detail.clone().unwrap_or_default(),
        competitor: match &args.competitor {
            Some(called) => competitors::or_made(called, api).await?,
            None => String::new(),
        },
        secondary_reasons: args.also.iter().map(|code| reason_name(code)).collect(),
        update_mask: Some(FieldMask { paths }),
        note: args.note.clone(),
        request_id: request_id::new(),
        wait: Wait::Peer.into(),
        ..sales::AmendCloseOutRequest::default()
    };
    let reply = api.amend_sales_close_out(request).await?;
    let propagation = reply.propagation();
    Ok((reply.close_out.unwrap_or_default(), propagation))
}

async fn order(args: &AmendArgs, paths: Vec<String>, api: &Api) -> anyhow::Result<(CloseOut, Propagation)> {
    if args.competitor.is_some() || args.no_competitor {
        return Err(Usage("the close-out of an order names no competitor".to_owned()).into());
    }
    let request = trade::AmendCloseOutRequest {
        name: args.name.clone(),
        reason: args.reason.as_deref().map(reason_name).unwrap_or_default(),
        detail: args.detail.clone().unwrap_or_default(),
        secondary_reasons: args.also.iter().map(|code| reason_name(code)).collect(),
        update_mask: Some(FieldMask { paths }),
        note: args.note.clone(),
        request_id: request_id::new(),
        wait: Wait::Peer.into(),
        ..trade::AmendCloseOutRequest::default()
    };
    let reply = api.amend_trade_close_out(request).await?;
    let propagation = reply.propagation();
    Ok((reply.close_out.unwrap_or_default(), propagation))
}
