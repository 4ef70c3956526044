//! The invariants, one function each. A new one is a function of the picture and a line in [`ALL`].

mod answers;
mod cascades;
mod converged;
mod lanes;
mod leftovers;
mod recount;
mod requests;
mod steps;
mod tasks;
mod tenants;
mod win_back;

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

/// When an invariant holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// At any instant.
    Always,
    /// Once both sides are quiet.
    AtRest,
}

/// A rule that everything keeps.
pub(crate) struct Invariant {
    pub(crate) number: u8,
    pub(crate) holds: Holds,
    pub(crate) check: fn(&Picture, &mut Found),
}

const fn always(number: u8, check: fn(&Picture, &mut Found)) -> Invariant {
    Invariant { number, holds: Holds::Always, check }
}

const fn at_rest(number: u8, check: fn(&Picture, &mut Found)) -> Invariant {
    Invariant { number, holds: Holds::AtRest, check }
}

/// Every invariant.
pub(crate) static ALL: &[Invariant] = &[
    at_rest(1, requests::answered_is_done),
    at_rest(2, requests::done_was_asked_for),
    at_rest(3, requests::refused_is_not_done),
    always(4, requests::done_once),
    always(5, lanes::numbers_are_dense),
    always(6, lanes::transitions_are_sent),
    at_rest(7, lanes::sent_is_applied),
    always(8, lanes::applied_in_order),
    at_rest(9, lanes::high_water_marks_agree),
    always(10, lanes::acked_is_applied),
    at_rest(11, tasks::follow_their_subject),
    always(12, steps::follow_the_rules),
    at_rest(13, recount::counters_are_exact),
    always(14, tenants::keep_apart),
    always(15, cascades::end_by_themselves),
    at_rest(16, leftovers::nothing_is_left),
    at_rest(17, answers::answered_alike),
    at_rest(18, answers::versions_rise),
    at_rest(19, answers::reads_are_fresh),
    at_rest(21, converged::mirrors_agree),
    at_rest(22, win_back::plans_follow_losses),
];

fn named((tenant, record): &Key) -> String {
    format!("{record} of tenant {tenant}")
}
