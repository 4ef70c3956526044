//! `closeout cancel-lines`: cancels a part of an order, which goes on with the rest.

use super::closing::reason_name;
use super::remarks::VerifiedArgs;
use super::{Kind, only};
use crate::api::Api;
use crate::failure::Ending;
use crate::screen::Screen;
use crate::{json, request_id, view};
use anyhow::Context;
use clap::Args;
use crm_proto::order::{CancelOrderLinesRequest, CancelledLine};
use serde_json::json;

/// What follows the help of `cancel-lines`.
pub(crate) const EXAMPLES: &str = "\
Lines are counted from 0, in the order of `closeout show`. What would leave nothing of the order, or is worth more than
one person may cancel, is closed out instead: closeout close-out orders/ID.

Examples:
  closeout cancel-lines orders/ID --line 0=2 --reason ORD_OUT_OF_STOCK
  closeout cancel-lines orders/ID --line 0=2 --line 3=1 --reason ORD_SCOPE_CHANGED --detail \"they need fewer\" --refund-reference R-17";

/// Flags of `cancel-lines`.
#[derive(Debug, Args)]
pub(crate) struct CancelLinesArgs {
    /// `orders/ID`, confirmed or in fulfilment.
    name: String,
    /// Which line, from 0, and how many of it; may be given for several lines.
    #[arg(long, value_name = "LINE=QUANTITY", required = true, value_parser = line)]
    line: Vec<CancelledLine>,
    /// Code of the reason.
    #[arg(long, value_name = "CODE")]
    reason: String,
    /// What happened, in your words.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    detail: String,
    /// Reference of the refund, where more was paid than is left.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    refund_reference: String,
    /// How it was verified.
    #[command(flatten)]
    verified: VerifiedArgs,
}

fn line(text: &str) -> Result<CancelledLine, String> {
    part(text).map(|(line, quantity)| CancelledLine { line, quantity })
}

/// Which line of an order, and how many of it.
pub(super) fn part(text: &str) -> Result<(i32, i64), String> {
    let read = || {
        let (line, quantity) = text.split_once('=')?;
        Some((line.parse().ok()?, quantity.parse().ok()?))
    };
    read().ok_or_else(|| "a line and how many of it, such as 0=2".to_owned())
}

/// Cancels what the command line names.
pub(super) async fn run(args: &CancelLinesArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let request = CancelOrderLinesRequest {
        name: only(Kind::Order, "orders", &args.name)?,
        lines: args.line.clone(),
        reason: reason_name(&args.reason),
        detail: args.detail.clone(),
        refund_reference: args.refund_reference.clone(),
        verification: args.verified.read(),
        request_id: request_id::new(),
        ..CancelOrderLinesRequest::default()
    };
    let order = api.cancel_order_lines(request).await?.order.context("a reply without its order")?;
    if screen.json() {
        screen.emit(&json!({ "order": json::message("crm.order.v1.Order", &order)? }))?;
        return Ok(Ending::Done);
    }
    view::show_order(&order, screen)?;
    Ok(Ending::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_given_with_how_many_of_it() {
        assert_eq!(line("3=12"), Ok(CancelledLine { line: 3, quantity: 12 }));
        assert!(["3", "=1", "a=1", "1=b", ""].iter().all(|text| line(text).is_err()));
    }
}
