//! What the public APIs of both services have alike, between the generated code and the writer: requests checked field by
//! field, calls handed in and waited for, pages, shared resources converted, failures answered.
//!
//! Reading order: `access`, [`fields`], [`mod@meta`], [`front`], [`peer`], [`plan`], [`bulk`], [`mod@page`], [`convert`], [`failure`], [`inbox`], [`tasks`], [`close_outs`], [`mod@watch`], [`amend`], [`reasons`], [`remarks`], [`settings`], [`search`], [`report`], [`operator`],
//! `trace`, [`host`].

mod access;
pub mod amend;
pub mod bulk;
pub mod close_outs;
pub mod convert;
pub mod duties;
pub mod failure;
pub mod fields;
pub mod front;
pub mod host;
pub mod inbox;
pub mod meta;
pub mod operator;
pub mod page;
pub mod peer;
pub mod plan;
pub mod reasons;
pub mod remarks;
pub mod report;
pub mod search;
pub mod settings;
pub mod tasks;
mod trace;
pub mod watch;
