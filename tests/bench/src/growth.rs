//! Growth: what a close-out costs when there are ever more opportunities, or ever more tenants. Compared is processor time, as that
//! of the wall differs from run to run.

use crate::{
    deals::Deals,
    load,
    measure::{Bench, Database},
    screen::Screen,
    seed,
    server::Server,
};
use anyhow::Context;
use std::time::Duration;

/// Callers at once.
const IN_FLIGHT: usize = 256;
/// The audit trail of the seed is there up to this many; beyond it only makes the disk full.
const WITH_HISTORY: u64 = 200_000;

/// What a close-out costs in one size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Opportunities in all.
    pub(crate) opportunities: u64,
    /// Tenants that share them.
    pub(crate) tenants: u64,
    /// Processor time of PostgreSQL and both services for one close-out.
    pub(crate) us_per_close_out: f64,
    /// Close-outs a second.
    pub(crate) per_s: f64,
}

/// Measures each size on a seed of its own, which it uses up.
pub(crate) async fn run(
    bench: &Bench<'_>,
    server: &Server,
    sizes: &[(u64, u64)],
    time: Duration,
    screen: &Screen,
) -> anyhow::Result<Vec<Size>> {
    let mut measured = Vec::new();
    for &(opportunities, tenants) in sizes {
        screen.say(&format!("Growth: {opportunities} opportunities in {tenants} tenant(s)"));
        let deals = Deals { opportunities, tenants, history: opportunities <= WITH_HISTORY };
        seed::postgres(server, &deals, screen).await?;
        let bench = Bench { deals: &deals, ..*bench };
        screen.say("Growth: they are there, measuring");
        let one = bench.measure(Database::Seed(server), 2, false, async |channels, turns| {
            load::closed(channels, turns, IN_FLIGHT, time).await
        });
        let one = one.await?;
        let postgres = one
            .cpu
            .postgres
            .context("growth is told by PostgreSQL's processor time, so it must run on this machine")?;
        let us_per_close_out = postgres + one.cpu.services;
        screen.say(&format!("Growth: {us_per_close_out:.0} µs for a close-out, {:.0} a second", one.per_s));
        measured.push(Size { opportunities, tenants, us_per_close_out, per_s: one.per_s });
    }
    Ok(measured)
}
