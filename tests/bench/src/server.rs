//! A PostgreSQL server: one that is started for this run with the settings it comes with, or one that is given. In it a database
//! that was filled once and is copied for each measurement, so that every one begins with the same rows; and what the server
//! has used: processor time of its processes, bytes of its log.

use crate::process::{self, Ticks};
use anyhow::{Context, bail};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Both services keep their tables in one database, each in a schema of its own, so that the floor can reach both.
pub(crate) const SCHEMAS: [&str; 2] = ["opportunity", "orders"];

const TEMPLATE: &str = "closeout_bench_seed";
const COPY: &str = "closeout_bench";

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    url: String,
    folder: Option<PathBuf>,
}

impl Server {
    /// The server of this URL; none: one of its own, in a folder.
    pub(crate) fn new(url: Option<&str>, folder: &Path) -> anyhow::Result<Self> {
        if let Some(url) = url {
            return Ok(Self { url: url.to_owned(), folder: None });
        }
        let output = script().arg("start").arg(folder).arg("--durable").output().context("tests/postgres")?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("PostgreSQL can not be started: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let url = said.lines().last().context("tests/postgres printed no URL")?;
        Ok(Self { url: url.to_owned(), folder: Some(folder.to_owned()) })
    }

    /// The folder with pgbench.
    pub(crate) fn programs() -> anyhow::Result<PathBuf> {
        let output = script().arg("programs").output().context("tests/postgres")?;
        let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if folder.is_empty() {
            bail!("PostgreSQL is missing: tests/run --install installs it")
        }
        Ok(folder.into())
    }

    /// The URL of one of its databases.
    fn database(&self, name: &str) -> String {
        let (before, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let server = before.rsplit_once('/').map_or(before, |(server, _)| server);
        if query.is_empty() { format!("{server}/{name}") } else { format!("{server}/{name}?{query}") }
    }

    /// The database of the seed.
    pub(crate) fn template(&self) -> String {
        self.database(TEMPLATE)
    }

    /// The copy that is measured on.
    pub(crate) fn copy(&self) -> String {
        self.database(COPY)
    }

    /// A connection to a database.
    pub(crate) async fn connect(&self, url: &str) -> anyhow::Result<PgConnection> {
        PgConnection::connect(url).await.with_context(|| format!("{} can not be reached", without_password(url)))
    }

    /// Makes the database of the seed, empty but for the schemas.
    pub(crate) async fn make_template(&self) -> anyhow::Result<()> {
        self.drop_all().await?;
        self.run(&format!("CREATE DATABASE {TEMPLATE}")).await?;
        let mut connection = self.connect(&self.template()).await?;
        for schema in SCHEMAS {
            execute(&mut connection, &format!("CREATE SCHEMA {schema}")).await?;
        }
        Ok(connection.close().await?)
    }

    /// A fresh copy of the seed; everything written so far is in its place on the disk.
    pub(crate) async fn fresh_copy(&self) -> anyhow::Result<()> {
        self.run(&format!("DROP DATABASE IF EXISTS {COPY} WITH (FORCE)")).await?;
        self.run(&format!("CREATE DATABASE {COPY} TEMPLATE {TEMPLATE}")).await?;
        self.run("CHECKPOINT").await
    }

    /// The seed itself in the place of its copy. Copying writes as much again into the log, and of millions that fills a disk.
    pub(crate) async fn use_up(&self) -> anyhow::Result<()> {
        self.run(&format!("DROP DATABASE IF EXISTS {COPY} WITH (FORCE)")).await?;
        self.run(&format!("ALTER DATABASE {TEMPLATE} RENAME TO {COPY}")).await?;
        self.run("CHECKPOINT").await
    }

    /// Removes what this program made.
    pub(crate) async fn drop_all(&self) -> anyhow::Result<()> {
        for name in [COPY, TEMPLATE] {
            self.run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
        }
        Ok(())
    }

    async fn run(&self, statement: &str) -> anyhow::Result<()> {
        let mut connection = self.connect(&self.url).await?;
        execute(&mut connection, statement).await?;
        Ok(connection.close().await?)
    }

    /// Its version.
    pub(crate) async fn version(&self) -> anyhow::Result<String> {
        let mut connection = self.connect(&self.url).await?;
        Ok(sqlx::query_scalar("SHOW server_version").fetch_one(&mut connection).await?)
    }

    /// Rows that were put in and versions of rows that took the place of others, in the copy that runs now, by those who have left it.
    pub(crate) async fn rows_written(&self) -> anyhow::Result<u64> {
        let query = "SELECT tup_inserted + tup_updated FROM pg_stat_database WHERE datname = $1";
        let mut connection = self.connect(&self.url).await?;
        let rows: i64 = sqlx::query_scalar(query).bind(COPY).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(rows.unsigned_abs())
    }

    /// What it has used so far.
    pub(crate) async fn used(&self) -> anyhow::Result<Used> {
        let mut connection = self.connect(&self.url).await?;
        let query = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint, pg_backend_pid()";
        let (wal, backend): (i64, i32) = sqlx::query_as(query).fetch_one(&mut connection).await?;
        let cpu = process::parent(backend.unsigned_abs()).and_then(process::ticks_of_family);
        connection.close().await?;
        Ok(Used { wal: wal.unsigned_abs(), cpu })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // What is left of it ends with this program's temporary folder.
            let _ = script().arg("stop").arg(folder).output();
        }
    }
}

/// What a server has used since it was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// Bytes of its write-ahead log.
    pub(crate) wal: u64,
    /// Time of its processes; none if they are not on this machine.
    pub(crate) cpu: Option<Ticks>,
}

/// Runs a statement of this program's own.
pub(crate) async fn execute(connection: &mut PgConnection, statement: &str) -> anyhow::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(connection)
        .await
        .with_context(|| format!("this statement failed: {}", statement.lines().next().unwrap_or_default()))?;
    Ok(())
}

fn script() -> Command {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../postgres"))
}

fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://{place}"),
        _ => url.to_owned(),
    }
}
