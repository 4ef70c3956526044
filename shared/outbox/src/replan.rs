//! When the statements of a connection are planned anew. PostgreSQL keeps a plan as long as its connection; one that was made while a table
//! was empty may go along another index than its key, and reads ever more until the server has looked at the table. New plans see
//! how large the tables are by then.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Plans are made anew after this time, then after twice as long each time, up to the last.
const FIRST: Duration = Duration::from_millis(250);
const LAST: Duration = Duration::from_secs(30);

/// When it is time again.
#[derive(Debug)]
pub(crate) struct Replan(Mutex<(Instant, Duration)>);

impl Default for Replan {
    fn default() -> Self {
        Self(Mutex::new((Instant::now() + FIRST, FIRST)))
    }
}

impl Replan {
    /// Whether it is time; if so, the next time is set.
    pub(crate) fn is_due(&self) -> bool {
        let (mut next, now) = (self.0.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        let due = now >= next.0;
        if due {
            next.1 = (next.1 * 2).min(LAST);
            next.0 = now + next.1;
        }
        due
    }
}
