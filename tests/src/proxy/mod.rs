//! The tests' own proxies: between the two services a [`road`] from one process to another, between a service and PostgreSQL a
//! [`link`]. Their faults can be switched while they run, and they count what they did.

pub mod arrivals;
mod commits;
pub mod link;
pub mod road;
