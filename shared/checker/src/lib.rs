//! Looks into the databases of both services and finds what must never be there: an effect that came twice or not at all, a
//! mirror that differs from its record, a counter that is wrong. In flow two open databases and what clients were answered; out
//! comes a [`Report`]. Only reads; knows the tables, and nothing of how they are written.
//!
//! Reading order: [`check`], `invariants` (one function each, all in one list), `picture` (what they look at), `read`.

mod invariants;
mod picture;
mod quiet;
mod read;

pub use quiet::quiet;

use crm_closeout::ids::TenantId;
use crm_outbox::db::{self, Db};
use picture::Picture;
use std::fmt;
use uuid::Uuid;

/// An answer that a client got.
#[derive(Clone, Debug)]
pub struct OkAnswer {
    /// Whose data.
    pub tenant: TenantId,
    /// Who called.
    pub principal: String,
    /// Which method, such as `CloseOutOpportunity`.
    pub method: String,
    /// Id of the call.
    pub request_id: Uuid,
    /// Name of the resource that was answered.
    pub resource: String,
    /// Its etag in the answer; empty: not known.
    pub etag: String,
}

/// What clients saw: every mutation that was answered with OK. May be empty.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The answers, in any order.
    pub answers: Vec<OkAnswer>,
}

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
    let picture = Picture::take(opportunity, order, history).await?;
    let mut report = Report::default();
    for (invariant, check) in invariants::ALL {
        let mut found = invariants::Found::default();
        check(&picture, &mut found);
        report.checked += found.checked;
        report.violations.extend(found.texts.into_iter().map(|text| Violation { invariant: *invariant, text }));
    }
    Ok(report)
}
