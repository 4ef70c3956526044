//! One measurement: a fresh copy of the seed, both services, a warm-up, the load, and then everything on its way until both sides
//! are quiet. Time and processor time end there. What was counted is then looked for in both databases.

use crate::{
    deals::{Deals, TASKS},
    latency::Latencies,
    load::{Run, Turns},
    pair::{Pair, Programs, Used},
    process::{self, Ticks},
    seed::in_schema,
    server::{self, SCHEMAS, Server},
};
use anyhow::{Context, ensure};
use crm_checker::History;
use crm_outbox::{
    db::Db,
    sql::{Args, Sql},
};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tonic::transport::Channel;

/// Close-outs before a measurement begins.
const WARM_UP: u64 = 500;
const QUIET: Duration = Duration::from_secs(120);

/// What measurements are made with.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    /// What there is.
    pub(crate) deals: &'a Deals,
    /// The programs.
    pub(crate) programs: &'a Programs,
    /// Where logs go.
    pub(crate) folder: &'a Path,
}

/// Where the services keep their data.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Database<'a> {
    /// A copy of the seed on this server.
    Postgres(&'a Server),
    /// The seed on this server itself, which is used up.
    Seed(&'a Server),
    /// These files, filled already.
    Sqlite(&'a [String; 2]),
}

/// What a measurement came to.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// Close-outs that were counted.
    pub(crate) count: u64,
    /// Close-outs a second, until both sides were quiet.
    pub(crate) per_s: f64,
    /// What callers saw.
    pub(crate) latencies: Latencies,
    /// Processor time of one close-out.
    pub(crate) cpu: Cpu,
    /// Bytes of PostgreSQL's log for one close-out.
    pub(crate) wal: f64,
    /// Versions of rows written for one close-out; none on SQLite, which does not count them.
    pub(crate) rows: Option<f64>,
    /// Statements of both services for one close-out.
    pub(crate) statements: f64,
    /// What the services held at their highest, in bytes.
    pub(crate) memory: [u64; 2],
    /// Pairs of rows that the checker looked at, and violations it found; none where it was not asked.
    pub(crate) checked: Option<(u64, u64)>,
}

/// Processor time of one close-out, or of one read, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    /// Of PostgreSQL's processes; none if they are on another machine, or there are none.
    pub(crate) postgres: Option<f64>,
    /// Of both services.
    pub(crate) services: f64,
    /// Of this program.
    pub(crate) load: f64,
}

/// What was used so far.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    at: Instant,
    server: Option<server::Used>,
    services: Used,
    statements: u64,
    own: Ticks,
}

impl Bench<'_> {
    /// Measures a load. `checked`: every invariant is checked afterwards, which reads everything.
    pub(crate) async fn measure(
        &self,
        database: Database<'_>,
        connections: usize,
        checked: bool,
        load: impl AsyncFnOnce(&[Channel], &Turns<'_>) -> anyhow::Result<Run>,
    ) -> anyhow::Result<Measured> {
        let urls = match database {
            Database::Postgres(server) => {
                server.fresh_copy().await?;
                SCHEMAS.map(|schema| in_schema(&server.copy(), schema))
            }
            Database::Seed(server) => {
                server.use_up().await?;
                SCHEMAS.map(|schema| in_schema(&server.copy(), schema))
            }
            Database::Sqlite(files) => files.clone(),
        };
        let pair = Pair::start(self.programs, &urls, self.folder).await?;
        let (channels, turns) = (pair.sales(connections).await?, Turns::new(self.deals));
        turns.at_most(WARM_UP);
        crate::load::closed(&channels, &turns, 16, QUIET).await?;
        turns.at_most(self.deals.opportunities);
        let databases = [Db::open(&urls[0]).await?, Db::open(&urls[1]).await?];
        self.quiet(&databases).await?;

        let before = self.moment(database, &pair).await?;
        let run = load(&channels, &turns).await?;
        self.quiet(&databases).await?;
        let after = self.moment(database, &pair).await?;

        pair.end()?;
        self.verify(&databases, turns.taken()).await?;
        let rows = match database {
            Database::Postgres(server) | Database::Seed(server) => {
                Some(server.rows_written().await? as f64 / turns.taken() as f64)
            }
            Database::Sqlite(_) => None,
        };
        let checked = if checked { Some(self.check(&databases).await?) } else { None };
        for database in &databases {
            database.close().await;
        }
        Ok(Measured { rows, checked, ..measured(run, &before, &after) })
    }

    async fn quiet(&self, [sales, trade]: &[Db; 2]) -> anyhow::Result<()> {
        Ok(crm_checker::quiet(sales, trade, QUIET).await?)
    }

    /// What was used until now.
    pub(crate) async fn moment(&self, database: Database<'_>, pair: &Pair) -> anyhow::Result<Moment> {
        let server = match database {
            Database::Postgres(server) | Database::Seed(server) => Some(server.used().await?),
            Database::Sqlite(_) => None,
        };
        let own = process::ticks(std::process::id()).context("this process is not in /proc")?;
        let statements = pair.statements().await?;
        Ok(Moment { at: Instant::now(), server, services: pair.used()?, statements, own })
    }

    /// So many close-outs took effect on both sides.
    async fn verify(&self, [sales, trade]: &[Db; 2], count: u64) -> anyhow::Result<()> {
        // Settled, and the other side has applied it.
        let closed =
            number(sales, "SELECT count(*) FROM close_out WHERE delivery_propagation = 2 AND delivery_outcome = 1")
                .await?;
        let states = number(sales, "SELECT count(*) FROM opportunity WHERE state = 5").await?;
        let lost = number(sales, "SELECT CAST(sum(lost_count) AS BIGINT) FROM customer").await?;
        let mirrors = number(trade, "SELECT count(*) FROM lane WHERE state = 4 AND close_out_id IS NOT NULL").await?;
        let cancelled = number(trade, "SELECT count(*) FROM task WHERE state = 4 AND closed_by IS NOT NULL").await?;
        let deals = number(trade, "SELECT CAST(sum(deals_lost) AS BIGINT) FROM customer").await?;
        ensure!(
            [closed, states, lost, mirrors, deals] == [count; 5] && cancelled == TASKS * count,
            "{count} close-outs were counted, but there are {closed} settled ones of {states} opportunities with {lost} losses, \
             and on the other side {mirrors} mirrors, {cancelled} cancelled tasks and {deals} lost deals"
        );
        Ok(())
    }

    async fn check(&self, [sales, trade]: &[Db; 2]) -> anyhow::Result<(u64, u64)> {
        let report = crm_checker::check(sales, trade, &History::default()).await?;
        ensure!(report.violations.is_empty(), "{report}");
        Ok((report.checked, report.violations.len() as u64))
    }
}

/// Counts, for as long as that takes: of millions of rows it is longer than a service may take for a statement.
async fn number(db: &Db, query: &str) -> anyhow::Result<u64> {
    let mut tx = db.moment().await?;
    if !db.is_embedded() {
        tx.rows(&Sql::plain("SELECT set_config('statement_timeout', '0', true)"), Args::none()).await?;
    }
    let rows = tx.rows(&Sql::plain(query), Args::none()).await?;
    let value: i64 = rows.first().context("a query answered nothing")?.get(0)?;
    tx.rollback().await?;
    Ok(value.unsigned_abs())
}

impl Moment {
    /// Processor time since an earlier one, for each of so many.
    pub(crate) fn cpu(&self, before: &Self, count: u64) -> Cpu {
        let each = |ticks: Ticks| ticks.time().as_secs_f64() * 1e6 / count as f64;
        let services = before.services.cpu.iter().zip(self.services.cpu).map(|(before, after)| each(after - *before));
        Cpu {
            postgres: before.server.zip(self.server).and_then(|(before, after)| Some(each(after.cpu? - before.cpu?))),
            services: services.sum(),
            load: each(self.own - before.own),
        }
    }

    /// Statements since an earlier one, for each of so many.
    pub(crate) fn statements(&self, before: &Self, count: u64) -> f64 {
        (self.statements - before.statements) as f64 / count as f64
    }
}

fn measured(run: Run, before: &Moment, after: &Moment) -> Measured {
    let count = run.count as f64;
    let server = before.server.zip(after.server);
    Measured {
        count: run.count,
        per_s: count / (after.at - before.at).as_secs_f64(),
        latencies: run.latencies,
        cpu: after.cpu(before, run.count),
        wal: server.map_or(0.0, |(before, after)| (after.wal - before.wal) as f64 / count),
        statements: after.statements(before, run.count),
        memory: after.services.most,
        rows: None,
        checked: None,
    }
}
