//! What the databases do for each statement that the programs really run: both services work on tables of a thousand and of a
//! hundred thousand deals (with `--long` of a million), with statistics of an empty table, old ones and fresh ones, in batches of
//! 1, 16 and 256. No statement may read through a table. Nothing is listed here but the calls: a statement that is new in the
//! programs is judged as soon as they run it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod competitors;
mod data;
mod embedded;
mod groups;
mod judge;
mod lists;
mod operators;
mod rates;
mod reasons;
mod searches;
mod stale;
mod watching;
mod win_back;
mod work;

use crm_tests::{pair::Pair, place::Kind};
use judge::Report;

/// One state of the tables.
struct Phase {
    /// So many deals ...
    deals: i64,
    /// ... and whether the statistics are of them, or of what there was before.
    fresh: bool,
}

fn phases() -> Vec<Phase> {
    let phase = |deals, fresh| Phase { deals, fresh };
    let mut phases = vec![phase(1_000, false), phase(1_000, true), phase(100_000, false), phase(100_000, true)];
    if std::env::var_os("CLOSEOUT_TESTS_LONG").is_some() {
        phases.extend([phase(1_000_000, false), phase(1_000_000, true)]);
    }
    phases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL"]
async fn no_statement_reads_through_a_table_on_postgres() {
    let mut pair = Pair::new(Kind::Postgres).await;
    let mut data = data::Data::new(&pair).await;
    let mut report = Report::default();
    for Phase { deals, fresh } in phases() {
        let name = format!("{deals} deals, {} statistics", if fresh { "fresh" } else { "old" });
        let begun = std::time::Instant::now();
        data.grow(deals).await;
        if fresh {
            data.analyze().await;
        }
        let grown = begun.elapsed();
        // The message that nobody takes comes from the table: the order service is not up yet, nor the other after it.
        data.backlog(deals).await;
        for (side, service) in [&mut pair.opportunity, &mut pair.order].into_iter().enumerate() {
            service.start(work::EXPLAINED).await;
            data.claimed(side).await;
            report.add(&name, &service.killed().await, |text| work::allowed(text, deals));
        }
        data.poison().await;
        pair.opportunity.start(work::EXPLAINED).await;
        pair.order.start(work::EXPLAINED).await;
        Box::pin(work::everything(&pair, &data, deals)).await;
        for service in [&mut pair.opportunity, &mut pair.order] {
            report.add(&name, &service.killed().await, |text| work::allowed(text, deals));
        }
        println!("{name}: {grown:.1?} to fill, {:.1?} in all", begun.elapsed());
    }
    data.close().await;
    let Pair { opportunity, order, place, .. } = pair;
    drop((opportunity, order));
    place.remove().await;
    report.end();
}
