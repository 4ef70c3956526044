//! The demo's third part: the first close-out is taken back, and everything it did on both sides with it.

use super::Story;
use super::outcome::{Outcome, milliseconds};
use crate::json;
use crate::screen::Paint;
use crate::settle;
use crate::view;
use anyhow::{Context, ensure};
use crm_proto::common::{EffectKind, Side, Wait};
use crm_proto::opportunity::{ReopenOpportunityRequest, opportunity::State};
use serde_json::{Value, json};
use std::time::Instant;

const NOTE: &str = "The other offer fell through; the customer is back.";

/// Reopens what `closed` closed out and shows it. Anything that is not as it was before is an error.
pub(super) async fn run(story: &Story<'_>, closed: &Outcome) -> anyhow::Result<Value> {
    let (api, screen) = (story.api, story.screen);
    screen.heading("4  The opportunity is reopened")?;
    let request = ReopenOpportunityRequest {
        name: closed.subject.clone(),
        note: NOTE.to_owned(),
        request_id: story.request_id(&closed.subject, "reopen"),
        wait: Wait::Peer.into(),
        ..ReopenOpportunityRequest::default()
    };
    let started = Instant::now();
    let reply = api.reopen_opportunity(request).await?;
    let opportunity = reply.opportunity.context("a reply without its opportunity")?;
    let close_out = reply.close_out.context("a reply without its close-out")?;
    let cascade = settle::reversal(api, Side::Opportunity, close_out).await?;
    let elapsed = started.elapsed();
    let after = closed.scene.picture(api).await?;
    let effects = cascade.reversal_effects();

    screen.line(&view::opportunity_line(&opportunity))?;
    view::show_task_changes(&closed.after.tasks, &after.tasks, screen)?;
    view::show_receipts(&effects, &after.tasks, screen)?;
    let took = format!("Everything was taken back on both sides within {:.1} ms.", milliseconds(elapsed));
    screen.line(&screen.paint(Paint::Good, &took))?;

    let (before, now) = (closed.before.customer.brief(), after.customer.brief());
    ensure!(before["opportunity"] == now["opportunity"], "the customer is not as it was before the close-out");
    ensure!(opportunity.state() == State::Open, "{} is not OPEN after reopening", closed.subject);
    for (_, task) in &after.tasks.all {
        let same = closed.before.tasks.all.iter().any(|(_, old)| old.name == task.name && old.state == task.state);
        ensure!(same, "{} is not as it was before the close-out", task.name);
    }
    let restored = |side| {
        effects.iter().filter(|effect| effect.side() == side && effect.kind() == EffectKind::TaskRestored).count()
    };
    Ok(json!({
        "opportunity": opportunity.name,
        "opportunity_tasks_restored": restored(Side::Opportunity),
        "order_tasks_restored": restored(Side::Order),
        "customer_after": after.customer.brief(),
        "effects": json::brief("crm.common.v1.Effect", &effects)?,
        "settled_ms": milliseconds(elapsed),
    }))
}
