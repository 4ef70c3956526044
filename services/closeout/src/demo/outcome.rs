//! What one close-out of the demo changed: tasks and the customer's record before and after, receipts, timings.

use crate::api::Api;
use crate::format::counted;
use crate::json;
use crate::screen::{Paint, Screen};
use crate::settle::{self, Cascade};
use crate::view::{self, Customer, Tasks};
use crm_proto::common::{CloseOut, Side};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tonic::Status;

/// Records around one close-out: its customer, and those whose tasks it closes.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    /// The customer.
    pub(super) customer: String,
    /// Opportunity and orders.
    pub(super) records: Vec<String>,
}

/// Both services' records of a scene at one moment.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    /// The customer on both sides.
    pub(super) customer: Customer,
    /// The tasks of both sides.
    pub(super) tasks: Tasks,
}

/// One close-out and what it changed.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// What was closed out.
    pub(super) subject: String,
    /// Records around it.
    pub(super) scene: Scene,
    /// As it was.
    pub(super) before: Picture,
    /// As it is.
    pub(super) after: Picture,
    /// The close-out with all it caused.
    pub(super) cascade: Cascade,
    /// From the call to the answer that it had settled.
    pub(super) settled: Duration,
    /// From the call until all it caused had settled, too.
    pub(super) all_settled: Duration,
}

impl Scene {
    /// Reads the records as they are now.
    pub(super) async fn picture(&self, api: &Api) -> anyhow::Result<Picture> {
        let records: Vec<&str> = self.records.iter().map(String::as_str).collect();
        let customer = Customer::read(api, &self.customer).await?;
        Ok(Picture { customer, tasks: Tasks::read(api, &records).await? })
    }
}

impl Outcome {
    /// Closes out by `call` and watches what it changes in `scene`.
    pub(super) async fn watch(
        api: &Api,
        side: Side,
        subject: String,
        scene: Scene,
        call: impl Future<Output = Result<Option<CloseOut>, Status>>,
    ) -> anyhow::Result<Self> {
        let before = scene.picture(api).await?;
        let started = Instant::now();
        let close_out = call.await?.ok_or_else(|| anyhow::anyhow!("a reply without its close-out"))?;
        let close_out = settle::own(api, side, close_out).await?;
        let settled = started.elapsed();
        let cascade = settle::close(api, side, close_out).await?;
        let all_settled = started.elapsed();
        let after = scene.picture(api).await?;
        Ok(Self { subject, scene, before, after, cascade, settled, all_settled })
    }

    /// For programs.
    pub(super) fn json(&self) -> anyhow::Result<Value> {
        let effects = self.cascade.effects();
        let name = self.cascade.first().map(|close_out| close_out.name.as_str());
        Ok(json!({
            "subject": self.subject,
            "close_out": name,
            "opportunity_tasks_closed": settle::tasks_cancelled(&effects, Side::Opportunity),
            "order_tasks_closed": settle::tasks_cancelled(&effects, Side::Order),
            "customer_before": self.before.customer.brief(),
            "customer_after": self.after.customer.brief(),
            "effects": json::brief("crm.common.v1.Effect", &effects)?,
            "settled_ms": milliseconds(self.settled),
            "all_settled_ms": milliseconds(self.all_settled),
        }))
    }

    /// For people.
    pub(super) fn show(&self, screen: &Screen) -> anyhow::Result<()> {
        let effects = self.cascade.effects();
        if let Some(close_out) = self.cascade.first() {
            screen.line(&format!("{}: {}", close_out.name, view::outcome(close_out)))?;
        }
        screen.note("Tasks on both sides")?;
        view::show_task_changes(&self.before.tasks, &self.after.tasks, screen)?;
        screen.note("The customer on both sides")?;
        view::show_change(&self.before.customer, &self.after.customer, screen)?;
        screen.note("Receipts: everything this close-out did")?;
        view::show_receipts(&effects, &self.after.tasks, screen)?;
        let mut times = format!("Settled on both sides after {:.1} ms", milliseconds(self.settled));
        let caused = self.cascade.members.len().saturating_sub(1) as u64;
        if caused > 0 {
            let caused = counted(caused, "close-out", "close-outs");
            times.push_str(&format!("; the {caused} that it caused, after {:.1} ms", milliseconds(self.all_settled)));
        }
        screen.line(&screen.paint(Paint::Good, &format!("{times}.")))
    }
}

/// Milliseconds with one decimal.
pub(super) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}
