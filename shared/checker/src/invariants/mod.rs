//! The invariants, one function each. A new one is a function of the picture and a line in [`ALL`].

mod converged;
mod lanes;
mod recount;
mod requests;
mod tasks;

use crate::picture::{Key, Picture};

/// What an invariant has looked at and found.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) checked: u64,
    pub(crate) texts: Vec<String>,
}

impl Found {
    /// Counts one thing that was looked at; `text` says what is wrong if it does not hold.
    fn expect(&mut self, holds: bool, text: impl FnOnce() -> String) {
        self.checked += 1;
        if !holds {
            self.texts.push(text());
        }
    }
}

type Invariant = fn(&Picture, &mut Found);

/// Every invariant with its number.
pub(crate) static ALL: &[(u8, Invariant)] = &[
    (1, requests::answered_is_done),
    (4, requests::done_once),
    (5, lanes::numbers_are_dense),
    (6, lanes::transitions_are_sent),
    (7, lanes::sent_is_applied),
    (9, lanes::high_water_marks_agree),
    (11, tasks::follow_their_subject),
    (13, recount::counters_are_exact),
    (21, converged::mirrors_agree),
];

fn named((tenant, record): &Key) -> String {
    format!("{record} of tenant {tenant}")
}
