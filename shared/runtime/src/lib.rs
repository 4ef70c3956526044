//! What every service of the project runs on, whatever it does: listeners with limits and an orderly end, channels, callers,
//! answers, the log. Nothing here knows a method, a table or a business word.
//!
//! Reading order: [`server`] (a listener, from socket to drain) with `accept` and `guard` behind it, [`Deadline`], `status`, `language`
//! and [`answer`] (what goes back), [`auth`] (who calls), [`channel`] (the other end), [`trace`]
//! (what a call belongs to), [`telemetry`], [`collector`], [`metrics`], [`executor`].

mod accept;
pub mod answer;
pub mod auth;
pub mod channel;
pub mod collector;
mod deadline;
pub mod executor;
pub mod guard;
mod language;
pub mod metrics;
pub mod server;
mod status;
pub mod telemetry;
#[cfg(test)]
mod tests;
pub mod trace;

pub use deadline::{Deadline, EndsItself, Terms};
