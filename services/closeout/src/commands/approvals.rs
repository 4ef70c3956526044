//! `closeout approvals`: what waits for a second person, and what that person decides.

use super::close_out::report;
use super::show::read_close_out;
use super::{Kind, kind_of, list::pages};
use crate::api::Api;
use crate::failure::{Ending, Usage};
use crate::format::{last_part, money_or_none, time, two_lines};
use crate::screen::{Paint, Screen};
use crate::view::{self, Tasks};
use crate::{json, request_id};
use clap::{Args, Subcommand};
use crm_proto::common::{CloseOut, Side, Wait};
use crm_proto::{opportunity as sales, order as trade};
use serde_json::json;

const CLOSE_OUT: &str = "crm.common.v1.CloseOut";

/// What follows the help of `approvals`.
pub(crate) const EXAMPLES: &str = "\
A close-out needs a second person above an amount (closeout settings set --approval-over), for a won opportunity, and for
an order that was paid for without a refund. Until that person decides nothing of it is done on either side.

Examples:
  closeout approvals
  closeout show closeOuts/ID
  closeout approvals approve closeOuts/ID --principal ms.li
  closeout approvals reject closeOuts/ID --note \"call them once more\" --principal ms.li
  closeout approvals withdraw closeOuts/ID
  closeout approvals --json | jq -r '.close_outs[].name'";

/// Flags of `approvals`.
#[derive(Debug, Args)]
pub(crate) struct ApprovalsArgs {
    /// What to do [default: list what waits on both services].
    #[command(subcommand)]
    action: Option<Action>,
}

/// What to do about close-outs that wait.
#[derive(Debug, Subcommand)]
enum Action {
    /// Lists what waits on both services.
    List,
    /// Approves one that another person has asked for: it is carried out on both sides.
    Approve(Decision),
    /// Does not approve it: everything stays as it is.
    Reject {
        /// `closeOuts/ID`.
        name: String,
        /// Why not, in your words.
        #[arg(long, value_name = "TEXT")]
        note: String,
    },
    /// Takes back what you have asked for yourself.
    Withdraw(Decision),
}

/// Which one, and why.
#[derive(Debug, Args)]
struct Decision {
    /// `closeOuts/ID`.
    name: String,
    /// Why, in your words.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    note: String,
}

/// Does what the command line says.
pub(super) async fn run(args: &ApprovalsArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    match &args.action {
        None | Some(Action::List) => list(api, screen).await,
        Some(Action::Approve(Decision { name, note })) => approve(name, note, api, screen).await,
        Some(Action::Reject { name, note }) => {
            let (name, note, request_id) = (name.clone(), note.clone(), request_id::new());
            let rejected = if side(&name, api).await? == Side::Order {
                let request = trade::RejectCloseOutRequest { name, note, request_id, ..Default::default() };
                api.reject_trade_close_out(request).await?.close_out
            } else {
                let request = sales::RejectCloseOutRequest { name, note, request_id, ..Default::default() };
                api.reject_sales_close_out(request).await?.close_out
            };
            declined(rejected, "rejected", screen)
        }
        Some(Action::Withdraw(Decision { name, note })) => {
            let (name, note, request_id) = (name.clone(), note.clone(), request_id::new());
            let withdrawn = if side(&name, api).await? == Side::Order {
                let request = trade::WithdrawCloseOutRequest { name, note, request_id, ..Default::default() };
                api.withdraw_trade_close_out(request).await?.close_out
            } else {
                let request = sales::WithdrawCloseOutRequest { name, note, request_id, ..Default::default() };
                api.withdraw_sales_close_out(request).await?.close_out
            };
            declined(withdrawn, "withdrawn", screen)
        }
    }
}

/// The service that made it.
async fn side(name: &str, api: &Api) -> anyhow::Result<Side> {
    if kind_of(name)? != Kind::CloseOut {
        return Err(Usage(format!("`{name}`: give the closeOuts/ID that closeout approvals lists")).into());
    }
    Ok(read_close_out(api, name).await?.0)
}

async fn list(api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let sales = pages(0, async |page_size, page_token| {
        let request = sales::ListPendingCloseOutsRequest { page_size, page_token };
        let reply = api.list_sales_pending(request).await?;
        Ok((reply.close_outs, reply.next_page_token))
    });
    let trade = pages(0, async |page_size, page_token| {
        let request = trade::ListPendingCloseOutsRequest { page_size, page_token };
        let reply = api.list_trade_pending(request).await?;
        Ok((reply.close_outs, reply.next_page_token))
    });
    let (mut all, of_orders) = futures::try_join!(sales, trade)?;
    all.extend(of_orders);
    if screen.json() {
        screen.emit(&json!({ "close_outs": json::list(CLOSE_OUT, &all)? }))?;
    }
    if all.is_empty() {
        screen.line("Nothing waits for approval.")?;
        return Ok(Ending::Done);
    }
    let mut table = screen.new_table_keeping(&["close-out", "reason, amount", "why", "asked by, until"], &[0, 3]);
    for one in &all {
        let amount = one.snapshot.as_ref().and_then(|snapshot| snapshot.amount.as_ref());
        let until = one.approval.as_ref().map_or_else(String::new, |approval| time(approval.expire_time.as_ref()));
        table.add_row([
            two_lines(&one.name, &one.subject).into(),
            two_lines(last_part(&one.reason), &money_or_none(amount)).into(),
            screen.cell(Paint::Changed, view::approval_causes(one)),
            two_lines(&one.actor, &until).into(),
        ]);
    }
    screen.table(&table)?;
    screen.note("what next: closeout show NAME; closeout approvals approve NAME, or reject NAME --note TEXT")?;
    Ok(Ending::Done)
}

/// What a close-out that waits would do.
pub(super) async fn planned(close_out: &CloseOut, api: &Api, screen: &Screen) -> anyhow::Result<()> {
    let Some(approval) = &close_out.approval else { return Ok(()) };
    screen.note("What it would do once it is approved, as it was when it was asked for")?;
    let effects: Vec<_> = approval.planned_effects.iter().cloned().map(view::readable).collect();
    let tasks = Tasks::of(api, &effects).await?;
    view::show_receipts(&effects, &tasks, screen)
}

async fn approve(name: &str, note: &str, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let (name, note, request_id, wait) = (name.to_owned(), note.to_owned(), request_id::new(), Wait::Peer.into());
    let side = side(&name, api).await?;
    let approved = if side == Side::Order {
        let request = trade::ApproveCloseOutRequest { name, note, request_id, wait, ..Default::default() };
        api.approve_trade_close_out(request).await?.close_out
    } else {
        let request = sales::ApproveCloseOutRequest { name, note, request_id, wait, ..Default::default() };
        api.approve_sales_close_out(request).await?.close_out
    };
    report(api, side, approved.unwrap_or_default(), screen).await
}

fn declined(close_out: Option<CloseOut>, done: &str, screen: &Screen) -> anyhow::Result<Ending> {
    let close_out = close_out.unwrap_or_default();
    if screen.json() {
        screen.emit(&json!({ "close_out": json::message(CLOSE_OUT, &close_out)? }))?;
    }
    screen.line(&format!("{} is {done}; {} is as it was.", close_out.name, close_out.subject))?;
    Ok(Ending::Done)
}
