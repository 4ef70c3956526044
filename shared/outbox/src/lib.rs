//! What makes a change on one service arrive on the other exactly once: the tables both have, the writer that commits
//! state and messages together, the relay that delivers them, and the inbox that applies each message once.
//!
//! The guarantee, in one paragraph: a change and its message are one commit. Messages of one record are numbered without
//! a hole from its locked row. The relay sends them until they are confirmed; the receiver compares the number with its
//! lane row in the commit that applies the effect, so a copy finds itself applied and an early one waits. A crash at any
//! point therefore loses nothing and doubles nothing.
//!
//! Reading order: [`db`], `connections`, `gets`, `tx`, `joined`, [`cell`], [`sql`], [`mod@table`], [`tables`], [`wire`], [`batch`], `judge`, [`plan`], [`load`], [`reasons`], [`settings`], [`exchange`], `remarks`, [`writer`], [`seats`], [`relay`],
//! [`settle`], [`select`], [`search`], [`report`], [`watch`], [`operator`], [`job`], [`metrics`].

mod approval;
pub mod batch;
mod bind;
pub mod cell;
mod connections;
pub mod db;
pub mod exchange;
mod failpoint;
mod gets;
pub mod job;
mod joined;
mod judge;
pub mod load;
pub mod metrics;
pub mod operator;
pub mod plan;
pub mod reasons;
pub mod relay;
mod remarks;
mod replan;
pub mod report;
pub mod search;
pub mod seats;
pub mod select;
pub mod settings;
pub mod settle;
pub mod sql;
pub mod state;
pub mod table;
pub mod tables;
mod tx;
pub mod watch;
pub mod wire;
pub mod writer;
