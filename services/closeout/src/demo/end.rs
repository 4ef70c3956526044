//! The end of a demo: both databases are compared with each other and with everything that the services answered.

use crate::failure::Usage;
use crate::format::counted;
use crate::screen::{Paint, Screen};
use crm_checker::{History, Report, Violation};
use crm_outbox::db::Db;
use std::time::Duration;

/// How long the last messages may take.
const QUIET: Duration = Duration::from_secs(60);
/// Violations that are told one by one.
pub(super) const SHOWN: usize = 20;

/// What is compared.
#[derive(Debug)]
pub(super) struct End {
    /// Database of the opportunity service.
    pub(super) opportunity: Db,
    /// Database of the order service.
    pub(super) order: Db,
    /// What was asked and answered.
    pub(super) history: History,
}

impl End {
    /// Databases that hold something already must belong together: one side of a pair tells nothing about another one.
    pub(super) async fn check_pair(&self) -> anyhow::Result<()> {
        crm_checker::quiet(&self.opportunity, &self.order, QUIET).await?;
        let report = crm_checker::check(&self.opportunity, &self.order, &History::default()).await?;
        match report.violations.first() {
            None => Ok(()),
            Some(first) => Err(Usage(format!(
                "the two databases do not belong together; name two empty ones, or a pair that was used together ({})",
                told(first)
            ))
            .into()),
        }
    }

    /// Waits until nothing is on its way any more, then checks and shows what was found.
    pub(super) async fn check(&self, screen: &Screen) -> anyhow::Result<Report> {
        screen.heading("6  Invariants")?;
        crm_checker::quiet(&self.opportunity, &self.order, QUIET).await?;
        let report = crm_checker::check(&self.opportunity, &self.order, &self.history).await?;
        for violation in report.violations.iter().take(SHOWN) {
            screen.line(&screen.paint(Paint::Bad, &told(violation)))?;
        }
        if report.violations.len() > SHOWN {
            screen.line(&format!("and {} more", report.violations.len() - SHOWN))?;
        }
        let paint = if report.violations.is_empty() { Paint::Good } else { Paint::Bad };
        let checks = counted(report.checked, "check", "checks");
        let answers = counted(self.history.answers() as u64, "answer", "answers");
        let text = format!("{checks} over both databases and {answers}: {} violated", report.violations.len());
        screen.line(&screen.paint(paint, &text))?;
        Ok(report)
    }
}

/// `I13: open_count of customers/... is 3 and should be 2`.
pub(super) fn told(violation: &Violation) -> String {
    format!("I{}: {}", violation.invariant, violation.text)
}
