//! The kernel both services stand on, written once: ids, money, reasons, tasks, close-out episodes and their effects,
//! the mirror of the other side, and the working set that one batch of commands is decided on.
//!
//! Pure: no clock, no database, no protobuf; time and new ids come in as arguments.
//!
//! Reading order: [`mod@codes`], [`ids`], [`access`], [`money`], [`reason`], [`settings`], [`exchange`], [`remarks`],
//! [`task`], [`episode`], [`fact`], [`records`], [`job`], [`working_set`], [`cascade`], [`amend`], [`approval`], [`plan`];
//! [`report`] counts close-outs; [`search`] compares what a person types; [`refusal`] and [`wording`] say why something is not done.
//! [`seeded`] is for tests of the checker alone.

pub mod access;
pub mod amend;
pub mod approval;
pub mod cascade;
pub mod codes;
pub mod episode;
pub mod exchange;
pub mod fact;
pub mod ids;
pub mod job;
pub mod money;
pub mod pipeline;
pub mod plan;
pub mod reason;
pub mod records;
pub mod refusal;
pub mod remarks;
pub mod report;
pub mod search;
pub mod seeded;
pub mod settings;
pub mod task;
pub mod time;
pub mod wording;
pub mod working_set;
