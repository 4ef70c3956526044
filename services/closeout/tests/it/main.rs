//! The program as a person or a script runs it: the built binary, its output and its exit codes.
//!
//! Reading order: `program` runs it, `demo` and `import` tell what it must do, `by_hand`, `preview`, `customers`, `grounds`, `rates`, `roles`,
//! `search`, `stale`, `watch`, `win_back` and `work` the commands
//! of a person.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod approvals;
mod by_hand;
mod competitors;
mod customers;
mod demo;
mod errors;
mod grounds;
mod hold;
mod import;
mod pipelines;
mod postgres;
mod preview;
mod program;
mod promises;
mod rates;
mod reasons;
mod records;
mod roles;
mod search;
mod settings;
mod stale;
mod watch;
mod win_back;
mod work;
