//! `closeout preview`: what a close-out would do on both sides, and what would refuse it.

use super::closing::Closing;
use super::{Kind, customers, kind_of};
use crate::api::Api;
use crate::args::ClosingArgs;
use crate::failure::Ending;
use crate::format::{label, time};
use crate::json;
use crate::screen::{Paint, Screen};
use crate::view::{self, Tasks};
use clap::Args;
use crm_proto::common::{CloseOutPlan, Obstacle, PeerOutcome};
use serde_json::json;

/// Shown under the help of `preview`.
pub(crate) const EXAMPLES: &str = "\
Both services do everything and undo it, so this is what the close-out does if nothing changes until then. With --plan it is
bound to that: it is refused, with the new plan, if it would come to anything else. Exit code 3: something would refuse it.

Examples:
  closeout preview opportunities/ID --reason BUDGET_FROZEN
  closeout preview orders/ID --reason ORD_CUSTOMER_CANCEL --detail \"ordered twice\" --json | jq -r .plan.plan_hash
  closeout close-out opportunities/ID --reason BUDGET_FROZEN --plan HASH
  closeout preview customers/ID --reason CUSTOMER_CLOSED      each open opportunity of a customer";

/// Flags of `preview`.
#[derive(Debug, Args)]
pub(crate) struct PreviewArgs {
    /// What would be closed out.
    #[command(flatten)]
    closing: ClosingArgs,
}

/// Shows what closing out would do.
pub(super) async fn run(args: &PreviewArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    if kind_of(&args.closing.name)? == Kind::Customer {
        return Box::pin(customers::preview(&args.closing, api, screen)).await;
    }
    let plan = Closing::read(&args.closing, api).await?.preview(api).await?;
    if screen.json() {
        screen.emit(&json!({ "plan": json::message("crm.common.v1.CloseOutPlan", &plan)? }))?;
    }
    show(&plan, api, screen).await?;
    Ok(if plan.obstacles.is_empty() { Ending::Done } else { Ending::SomeRefused })
}

/// Shows a plan.
pub(super) async fn show(plan: &CloseOutPlan, api: &Api, screen: &Screen) -> anyhow::Result<()> {
    screen.heading(&format!("closing out {}", plan.subject))?;
    if !plan.effects.is_empty() {
        let effects: Vec<_> = plan.effects.iter().cloned().map(view::readable).collect();
        let tasks = Tasks::of(api, &effects).await?;
        view::show_receipts(&effects, &tasks, screen)?;
    }
    if !plan.approval_causes.is_empty() {
        let causes = view::causes(plan.approval_causes());
        screen.line(
            &screen.paint(
                Paint::Changed,
                &format!("Before any of it is done another person has to approve it: {causes}."),
            ),
        )?;
    }
    if plan.peer_outcome() == PeerOutcome::NeedsReview {
        screen.note("The other service would ask a person to look at it.")?;
    }
    if let Some(again) = &plan.win_back_time {
        let day = time(Some(again));
        let day = day.split_whitespace().next().unwrap_or_default();
        screen.line(&format!("The reason proposes to try again on {day}."))?;
    }
    if !plan.obstacles.is_empty() {
        screen.line("It would be refused:")?;
        let mut table = screen.new_table_keeping(&["what is in the way", "about", "what to do"], &[0]);
        for obstacle in &plan.obstacles {
            table.add_row([
                screen.cell(Paint::Bad, &obstacle.reason),
                about(obstacle).into(),
                obstacle.description.as_str().into(),
            ]);
        }
        return screen.table(&table);
    }
    if !plan.plan_hash.is_empty() {
        screen.line(&format!(
            "To close it out as {} like this or not at all: --plan {}",
            outcome(plan),
            plan.plan_hash
        ))?;
    }
    Ok(())
}

fn outcome(plan: &CloseOutPlan) -> String {
    label(plan.outcome().as_str_name(), "OUTCOME_")
}

/// The field that is wrong, as the flag that sets it, or the record in the way.
fn about(obstacle: &Obstacle) -> String {
    if obstacle.field.is_empty() { obstacle.subject.clone() } else { obstacle.field.replace('_', " ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_obstacle_is_about_a_field_or_a_record() {
        let obstacle = Obstacle { subject: "orders/1".into(), ..Obstacle::default() };
        assert_eq!(about(&obstacle), "orders/1");
        assert_eq!(about(&Obstacle { field: "refund_reference".into(), ..obstacle }), "refund reference");
    }
}
