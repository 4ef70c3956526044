//! Looks into the databases of both services and finds what must never be there: an effect that came twice or not at all, a
//! mirror that differs from its record, a counter that is wrong. In flow two open databases and what clients did and saw; out
//! comes a [`Report`]. Only reads; knows the tables, and nothing of how they are written.
//!
//! Reading order: [`check`], [`History`], `invariants` (one function each, all in one list), `picture` (what they look at),
//! `trail`, `read`.

mod history;
mod invariants;
mod picture;
mod queries;
mod quiet;
mod read;
mod trail;

pub use history::{Answer, Asked, Attempt, History, Reading, Request, Seen};
pub use quiet::quiet;

use crm_outbox::db::{self, Db};
use history::Told;
use invariants::Holds;
use picture::Picture;
use std::fmt;

/// Something that must not be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Number of the invariant.
    pub invariant: u8,
    /// What was found, in a sentence.
    pub text: String,
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many rows and pairs of rows were looked at.
    pub checked: u64,
    /// What must not be there; empty if all is well.
    pub violations: Vec<Violation>,
}

/// Why a check could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A database could not be read.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// Messages are still on their way.
    #[error("still not quiet: {opportunity} message(s) wait on the opportunity side, {order} on the order side")]
    NotQuiet {
        /// In the outbox of the opportunity service.
        opportunity: i64,
        /// In that of the order service.
        order: i64,
    },
}

const SHOWN: usize = 50;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Violation { invariant, text } in self.violations.iter().take(SHOWN) {
            writeln!(f, "I{invariant}: {text}")?;
        }
        if self.violations.len() > SHOWN {
            writeln!(f, "... and {} more", self.violations.len() - SHOWN)?;
        }
        write!(f, "{} checked, {} violated", self.checked, self.violations.len())
    }
}

impl Report {
    /// Numbers of the invariants that are violated, each once.
    pub fn violated(&self) -> Vec<u8> {
        let mut numbers: Vec<_> = self.violations.iter().map(|violation| violation.invariant).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

/// Checks every invariant. Both sides must be quiet: see [`quiet`()]. Reads each table once, in pages.
pub async fn check(opportunity: &Db, order: &Db, history: &History) -> Result<Report, Error> {
    let picture = Picture::take(opportunity, order, history.told()).await?;
    Ok(report(&picture, &[Holds::Always, Holds::AtRest]))
}

/// Checks the invariants that hold at any instant; clients and both services may be at work meanwhile.
pub async fn check_now(opportunity: &Db, order: &Db) -> Result<Report, Error> {
    let picture = Picture::take(opportunity, order, Told::default()).await?;
    Ok(report(&picture, &[Holds::Always]))
}

fn report(picture: &Picture, which: &[Holds]) -> Report {
    let mut report = Report::default();
    for invariant in invariants::ALL.iter().filter(|invariant| which.contains(&invariant.holds)) {
        let mut found = invariants::Found::default();
        (invariant.check)(picture, &mut found);
        report.checked += found.checked;
        let violation = |text| Violation { invariant: invariant.number, text };
        report.violations.extend(found.texts.into_iter().map(violation));
    }
    report
}
