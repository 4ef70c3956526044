//! What the service keeps: its tables, what a batch locks and loads, and the lists of the API. No rule stands here.

mod batch;
pub(crate) mod competitors;
pub(crate) mod groups;
pub(crate) mod lists;
pub(crate) mod pipelines;
mod priced;
mod rows;
mod search;
pub(crate) mod stale;
mod standing;
pub(crate) mod win_back;

pub(crate) use batch::{load, save};

#[cfg(test)]
mod competitor_tests;
#[cfg(test)]
mod pipeline_tests;
#[cfg(test)]
mod search_tests;
#[cfg(test)]
mod tests;
