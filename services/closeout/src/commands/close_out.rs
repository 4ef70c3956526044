//! `closeout close-out`: shows what it would do on both sides, asks, closes out if it still comes to that, and shows what was done. Where
//! a competitor is only made when the person has said yes, there is no plan with it yet to be bound to.

use super::closing::Closing;
use super::{Kind, approvals, customers, kind_of, preview};
use crate::api::Api;
use crate::args::CloseOutArgs;
use crate::failure::{Ending, Usage};
use crate::json;
use crate::screen::{Paint, Screen};
use crate::settle;
use crate::view::{self, Tasks};
use crm_proto::common::{CloseOut, CloseOutState, Side};
use serde_json::json;

/// Closes out what the command line names.
pub(super) async fn run(args: &CloseOutArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    if kind_of(&args.closing.name)? == Kind::Customer {
        return Box::pin(customers::close_out(args, api, screen)).await;
    }
    let closing = Closing::read(&args.closing, api).await?;
    let side = closing.side();
    let plan_hash = match &args.plan {
        Some(hash) => hash.clone(),
        None if args.yes => String::new(),
        None => match confirmed(&closing, api, screen).await? {
            Ok(hash) => hash,
            Err(ending) => return Ok(ending),
        },
    };
    let close_out = closing.carry_out(plan_hash, api).await?;
    report(api, side, close_out, screen).await
}

/// Shows what a close-out did on both sides, or that it waits for another person.
pub(super) async fn report(api: &Api, side: Side, close_out: CloseOut, screen: &Screen) -> anyhow::Result<Ending> {
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
        if first.state() == CloseOutState::PendingApproval {
            approvals::planned(first, api, screen).await?;
            let (name, who) = (&first.name, "Nothing of it is done before another person has approved it");
            screen.line(&screen.paint(Paint::Changed, &format!("{who}: closeout approvals approve {name}")))?;
            return Ok(Ending::Done);
        }
    }
    view::show_receipts(&effects, &tasks, screen)?;
    Ok(Ending::Done)
}

/// Shows the plan and asks; the hash of what was confirmed, or how the command ends.
async fn confirmed(closing: &Closing, api: &Api, screen: &Screen) -> anyhow::Result<Result<String, Ending>> {
    if !screen.can_ask() {
        return Err(Usage("nobody can be asked here: give --yes, or --plan HASH of a preview".to_owned()).into());
    }
    let plan = closing.preview(api).await?;
    preview::show(&plan, api, screen).await?;
    if !plan.obstacles.is_empty() {
        return Ok(Err(Ending::SomeRefused));
    }
    let asked = screen.ask("The sales data and the customer's record are affected. Close it out?")?;
    Ok(if asked { Ok(plan.plan_hash) } else { Err(Ending::Done) })
}
