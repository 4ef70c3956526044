//! What the service keeps: its tables, what a batch locks and loads, and the lists of the API. No rule stands here.

mod batch;
pub(crate) mod lists;
mod priced;
mod rows;
mod search;

pub(crate) use batch::{load, save};

#[cfg(test)]
mod tests;
