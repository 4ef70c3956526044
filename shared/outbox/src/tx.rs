//! A transaction. What it writes is kept until something is read, or it commits, and then goes to PostgreSQL as one statement: each
//! way there and back costs more than most of what is written. SQLite is in the process; there each is written at once.

use crate::{
    bind::{pg_bind, pg_query, pg_text, sqlite_queries, wrap_pg},
    cell::{Cells, Column},
    db::{Error, Row},
    joined::Joined,
    sql::{Args, Sql},
    table::Table,
};
use sqlx::{Postgres, Row as _, Sqlite, Transaction};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::watch;

/// A transaction: of the writer, or one that only looks.
#[derive(Debug)]
pub struct Tx {
    inner: Inner,
    statements: Arc<AtomicU64>,
    committed: Arc<watch::Sender<()>>,
}

#[derive(Debug)]
pub(crate) enum Inner {
    /// What is kept, and the texts that statements were joined to before.
    Postgres {
        tx: Transaction<'static, Postgres>,
        kept: Vec<Write>,
        joined: Arc<Joined>,
    },
    Sqlite(Transaction<'static, Sqlite>),
}

/// A statement that writes to one table.
#[derive(Debug)]
pub(crate) struct Write {
    /// The table.
    pub(crate) table: &'static str,
    /// What it writes is new, and nothing that is written beside it touches that.
    pub(crate) adds: bool,
    /// The statement.
    pub(crate) sql: Sql,
    /// What it is given.
    pub(crate) args: Args,
    /// It has to write so many rows, as they were loaded.
    pub(crate) expected: Option<u64>,
}

fn check(table: &str, expected: u64, written: u64) -> Result<(), Error> {
    if written == expected {
        return Ok(());
    }
    Err(Error::Corrupt(format!("{written} of {expected} loaded rows of {table} were there to be updated")))
}

impl Tx {
    pub(crate) fn new(inner: Inner, statements: Arc<AtomicU64>, committed: Arc<watch::Sender<()>>) -> Self {
        Self { inner, statements, committed }
    }

    pub(crate) fn is_embedded(&self) -> bool {
        matches!(self.inner, Inner::Sqlite(_))
    }

    /// Runs a statement; answers how many rows it wrote.
    pub async fn execute(&mut self, sql: &Sql, args: Args) -> Result<u64, Error> {
        self.flush().await?;
        self.statements.fetch_add(1, Ordering::Relaxed);
        Ok(match &mut self.inner {
            Inner::Postgres { tx, .. } => pg_query(sql, args).execute(&mut **tx).await?.rows_affected(),
            Inner::Sqlite(tx) => {
                let mut written = 0;
                for query in sqlite_queries(sql, args) {
                    written += query.execute(&mut **tx).await?.rows_affected();
                }
                written
            }
        })
    }

    /// Adds rows to a table, at the latest before anything is read or committed. Nothing else that is written until then touches them.
    pub async fn add(&mut self, table: &'static str, sql: &Sql, args: Args) -> Result<(), Error> {
        self.keep(Write { table, adds: true, sql: sql.clone(), args, expected: None }).await
    }

    /// Changes or removes rows of a table, at the latest before anything is read or committed. `expected`: so many were loaded, and
    /// have to be there still.
    pub async fn change(
        &mut self,
        table: &'static str,
        sql: &Sql,
        args: Args,
        expected: Option<u64>,
    ) -> Result<(), Error> {
        self.keep(Write { table, adds: false, sql: sql.clone(), args, expected }).await
    }

    async fn keep(&mut self, write: Write) -> Result<(), Error> {
        let same = |earlier: &Write| earlier.table == write.table && !(earlier.adds || write.adds);
        // Parts of one statement do not see each other, and a row must not be changed by two of them.
        if self.kept().is_some_and(|kept| kept.iter().any(same)) {
            self.flush().await?;
        }
        if let Some(kept) = self.kept() {
            kept.push(write);
            return Ok(());
        }
        let written = self.execute(&write.sql, write.args).await?;
        write.expected.map_or(Ok(()), |expected| check(write.table, expected, written))
    }

    fn kept(&mut self) -> Option<&mut Vec<Write>> {
        match &mut self.inner {
            Inner::Postgres { kept, .. } => Some(kept),
            Inner::Sqlite(_) => None,
        }
    }

    /// Writes what is kept.
    pub async fn flush(&mut self) -> Result<(), Error> {
        let Inner::Postgres { tx, kept, joined } = &mut self.inner else { return Ok(()) };
        if kept.is_empty() {
            return Ok(());
        }
        self.statements.fetch_add(1, Ordering::Relaxed);
        let mut query = pg_text(joined.text(kept));
        let mut counted = Vec::new();
        for write in kept.drain(..) {
            query = pg_bind(query, write.args);
            counted.extend(write.expected.map(|expected| (write.table, expected)));
        }
        let counts = query.fetch_one(&mut **tx).await?;
        for (index, (table, expected)) in counted.into_iter().enumerate() {
            let written: i64 = counts.try_get(index)?;
            check(table, expected, written.unsigned_abs())?;
        }
        Ok(())
    }

    /// Runs a query.
    pub async fn rows(&mut self, sql: &Sql, args: Args) -> Result<Vec<Row>, Error> {
        self.flush().await?;
        self.statements.fetch_add(1, Ordering::Relaxed);
        Ok(match &mut self.inner {
            Inner::Postgres { tx, .. } => wrap_pg(pg_query(sql, args).fetch_all(&mut **tx).await?),
            Inner::Sqlite(tx) => {
                let mut rows = Vec::new();
                for query in sqlite_queries(sql, args) {
                    rows.extend(query.fetch_all(&mut **tx).await?.into_iter().map(Row::Sqlite));
                }
                rows
            }
        })
    }

    /// Runs a query over a set of keys; for no keys there is nothing to run.
    pub async fn look_up(&mut self, sql: &Sql, columns: &[Column], keys: Vec<Cells>) -> Result<Vec<Row>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.rows(sql, Args::rows(columns, keys)).await
    }

    /// Runs a query that lists the columns of a table.
    pub async fn table_rows<R: Table>(&mut self, sql: &Sql, args: Args) -> Result<Vec<R>, Error> {
        self.rows(sql, args).await?.iter().map(R::read).collect()
    }

    /// Commits. After an error of the connection nobody knows whether it happened.
    pub async fn commit(mut self) -> Result<(), Error> {
        self.flush().await?;
        let result = match self.inner {
            Inner::Postgres { tx, .. } => tx.commit().await,
            Inner::Sqlite(tx) => tx.commit().await,
        };
        result.map_err(|error| {
            let error = Error::from(error);
            if let Error::Unavailable(text) = error { Error::CommitUnknown(text) } else { error }
        })?;
        self.committed.send_replace(());
        Ok(())
    }

    /// Rolls back.
    pub async fn rollback(self) -> Result<(), Error> {
        match self.inner {
            Inner::Postgres { tx, .. } => tx.rollback().await?,
            Inner::Sqlite(tx) => tx.rollback().await?,
        }
        Ok(())
    }
}
