//! The same on SQLite: both services on files, beside three plain transactions for each close-out on copies of these files.

use crate::{
    deals::{self, Deals},
    load,
    measure::{Bench, Database, Measured},
    pair::Pair,
    screen::Screen,
    seed,
};
use anyhow::Context;
use sqlx::{
    AssertSqlSafe, Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use uuid::Uuid;

const IN_FLIGHT: usize = 64;
const STARTS: u32 = 5;

/// What it came to.
#[derive(Clone, Debug)]
pub(crate) struct Embedded {
    /// Close-outs a second as three plain transactions each.
    pub(crate) floor_per_s: f64,
    /// Both services, with so many callers.
    pub(crate) measured: Measured,
    /// From the start of both processes until they serve, on files that are there.
    pub(crate) start: Duration,
    /// What each holds then, in bytes.
    pub(crate) idle: [u64; 2],
}

/// Measures it for a time.
pub(crate) async fn run(bench: &Bench<'_>, time: Duration, screen: &Screen) -> anyhow::Result<Embedded> {
    let files = |name: &str| ["opportunity", "order"].map(|side| bench.folder.join(format!("{name}-{side}.db")));
    let urls = |files: &[PathBuf; 2]| files.each_ref().map(|file| format!("sqlite://{}", file.display()));
    let (seeded, plain, started) = (files("seed"), files("floor"), files("start"));
    seed::sqlite(&urls(&seeded), bench.deals, screen).await?;
    for copies in [&plain, &started] {
        for (from, to) in seeded.iter().zip(copies) {
            fs::copy(from, to)?;
        }
    }
    let floor_per_s = floor(bench.deals, &plain, time).await?;
    let (mut start, mut idle) = (Duration::ZERO, [0; 2]);
    for _ in 0..STARTS {
        let pair = Pair::start(bench.programs, &urls(&started), bench.folder).await?;
        start += pair.started / STARTS;
        idle = pair.used()?.now;
        pair.end()?;
    }
    let urls = urls(&seeded);
    let measured = bench.measure(Database::Sqlite(&urls), 1, true, async |channels, turns| {
        load::closed(channels, turns, IN_FLIGHT, time).await
    });
    Ok(Embedded { floor_per_s, measured: measured.await?, start, idle })
}

/// Three plain transactions for each close-out, by one caller, as SQLite has one writer. Statements are prepared once.
async fn floor(deals: &Deals, files: &[PathBuf; 2], time: Duration) -> anyhow::Result<f64> {
    let mut origin = open(&files[0]).await?;
    let mut peer = open(&files[1]).await?;
    let (began, mut count) = (Instant::now(), 0);
    let parts: Vec<_> = include_str!("floor_sqlite.sql").split("-- then\n").collect();
    let [own, other, confirmed] = parts[..] else { anyhow::bail!("the floor of SQLite is not three transactions") };
    while began.elapsed() < time && count < deals.opportunities {
        let close = Close::new(deals, count);
        transaction(&mut origin, own, &close).await?;
        transaction(&mut peer, other, &close).await?;
        transaction(&mut origin, confirmed, &close).await?;
        count += 1;
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}

async fn open(file: &Path) -> anyhow::Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true);
    Ok(SqliteConnection::connect_with(&options).await?)
}

/// The ids of one close-out, in the order of the parameters.
struct Close {
    ids: [Uuid; 5],
    at: i64,
}

impl Close {
    fn new(deals: &Deals, k: u64) -> Self {
        let n = deals.turn(k);
        let (tenant, customer) = (deals.tenant(n).0, deals.customer(n).0);
        let ids = [tenant, deals::opportunity(n).0, customer, Uuid::now_v7(), Uuid::now_v7()];
        Self { ids, at: 1_790_000_000_000_000 + k as i64 }
    }
}

/// ?1 tenant, ?2 opportunity, ?3 customer, ?4 close-out, ?5 request or message, ?6 time, ?7 another new id.
async fn transaction(connection: &mut SqliteConnection, statements: &str, close: &Close) -> anyhow::Result<()> {
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    for statement in statements.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()) {
        let mut query = sqlx::query(AssertSqlSafe(statement.to_owned()));
        for id in close.ids {
            query = query.bind(id);
        }
        query = query.bind(close.at).bind(Uuid::now_v7());
        query.execute(&mut *tx).await.with_context(|| statement.lines().next().unwrap_or_default().to_owned())?;
    }
    Ok(tx.commit().await?)
}
