//! The database: PostgreSQL or the embedded SQLite, behind one face. Only [`Tx`] writes, and in a service only the writer's own
//! task begins one: no call of a client can be cancelled in the middle of a transaction, so none can be left open on a pooled
//! connection (a defect of sqlx 0.9.0, see its issue 4385).

pub use crate::{bind::Row, tx::Tx};
use crate::{
    bind::{pg_query, sqlite_queries, wrap_pg},
    connections::Connections,
    gets::Gets,
    joined::Joined,
    replan::Replan,
    sql::{Args, Sql},
    table::Table,
    tx::Inner,
};
use sqlx::{
    Connection, PgConnection, Postgres, SqlSafeStr, Sqlite, Transaction,
    migrate::{MigrationType, Migrator},
    postgres::{PgConnectOptions, PgPool, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

/// What went wrong in the database.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be reached, or it is shutting down, full or read-only. Nothing was committed.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Too many reads wait.
    #[error("too many reads wait")]
    Overloaded,
    /// Another transaction was in the way (deadlock, lock timeout). Nothing was committed; running it again helps.
    #[error("the database is contended: {0}")]
    Contention(String),
    /// The data of this transaction was refused, by this constraint if it names one. Nothing was committed.
    #[error("the data was refused ({constraint}): {text}")]
    Data {
        /// Name of the constraint; SQLite names its columns instead. Empty if it has none.
        constraint: String,
        /// The database's words.
        text: String,
    },
    /// A row that this program cannot have written, or a statement that the schema does not know.
    #[error("the stored data is corrupt: {0}")]
    Corrupt(String),
    /// The address or the schema of the database is not what this program needs.
    #[error("{0}")]
    Setup(String),
    /// The batch would load more rows than one transaction should hold; nothing was done, its halves can be run.
    #[error("the batch names too many rows")]
    Oversize,
    /// The connection broke while the commit was under way: it may have happened or not.
    #[error("it is unknown whether the commit happened: {0}")]
    CommitUnknown(String),
}

impl Error {
    /// It passes by itself: the same may be tried again.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Overloaded | Self::Contention(_) | Self::CommitUnknown(_) => true,
            Self::Data { .. } | Self::Corrupt(_) | Self::Setup(_) | Self::Oversize => false,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let text = error.to_string();
        let sqlx::Error::Database(database) = &error else {
            let corrupt =
                matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnIndexOutOfBounds { .. });
            return if corrupt { Self::Corrupt(text) } else { Self::Unavailable(text) };
        };
        let code = database.code().unwrap_or_default().into_owned();
        if database.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
            return sqlite_error(&code, text);
        }
        match code.get(..2) {
            _ if matches!(code.as_str(), "40P01" | "40001" | "55P03") => Self::Contention(text),
            Some("22" | "23") => Self::Data { constraint: database.constraint().unwrap_or_default().to_owned(), text },
            Some("42") => Self::Corrupt(text),
            _ => Self::Unavailable(text),
        }
    }
}

/// SQLite's extended result codes (sqlite.org/rescode.html): the low byte is the class.
fn sqlite_error(code: &str, text: String) -> Error {
    match code.parse::<i32>().unwrap_or_default() & 0xff {
        5 | 6 => Error::Contention(text),
        18..=20 => {
            let constraint = text.rsplit("constraint failed: ").next().unwrap_or_default().to_owned();
            Error::Data { constraint, text }
        }
        1 | 11 | 26 => Error::Corrupt(text),
        _ => Error::Unavailable(text),
    }
}

/// One step of the schema, the same on both databases.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its number; a service's own begin at 1001, after the shared ones.
    pub version: i64,
    /// What it is about.
    pub name: &'static str,
    /// Its text for PostgreSQL.
    pub postgres: &'static str,
    /// Its text for SQLite.
    pub sqlite: &'static str,
}

/// The migration in `migrations/{postgres,sqlite}/NUMBER_NAME.sql` of the crate that names it.
#[macro_export]
macro_rules! migration {
    ($number:literal, $name:literal) => {
        $crate::db::Migration {
            version: $number,
            name: $name,
            postgres: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/migrations/postgres/",
                $number,
                "_",
                $name,
                ".sql"
            )),
            sqlite: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/migrations/sqlite/",
                $number,
                "_",
                $name,
                ".sql"
            )),
        }
    };
}

/// Migrations of the tables that both services have.
const SHARED: &[Migration] = &[
    migration!(1, "shared"),
    migration!(2, "relay"),
    migration!(3, "close_out_lists"),
    migration!(4, "job"),
    migration!(5, "trace"),
    migration!(6, "reason"),
    migration!(7, "search"),
    migration!(8, "fast_path"),
    migration!(9, "remarks"),
    migration!(10, "cause"),
    migration!(11, "approval"),
    migration!(12, "watch"),
    migration!(13, "rates"),
    migration!(14, "group"),
    migration!(15, "win_back"),
];

/// The shared migrations and a service's own, as sqlx runs them.
fn migrator(own: &[Migration], text: impl Fn(&Migration) -> &'static str) -> Migrator {
    let step = |migration: &Migration| {
        let kind = MigrationType::Simple;
        let text = text(migration).into_sql_str();
        sqlx::migrate::Migration::new(migration.version, migration.name.into(), kind, text, false)
    };
    Migrator { migrations: SHARED.iter().chain(own).map(step).collect(), ..Migrator::DEFAULT }
}

/// An open database: a small pool for the writer, other connections for reads, so that neither can starve the other.
#[derive(Clone, Debug)]
pub struct Db {
    writer: Writer,
    reader: Reader,
    gets: Gets,
    joined: Arc<Joined>,
    committed: Arc<watch::Sender<()>>,
}

#[derive(Clone, Debug)]
enum Writer {
    Postgres(PgPool, Arc<Replan>),
    Sqlite(SqlitePool),
}

/// Reads, outside any transaction.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    connections: Reads,
    statements: Arc<AtomicU64>,
}

#[derive(Clone, Debug)]
enum Reads {
    Postgres(Arc<Connections<Postgres>>),
    Sqlite(Arc<Connections<Sqlite>>),
}

impl Reader {
    async fn rows(&self, sql: &Sql, args: Args) -> Result<Vec<Row>, Error> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        Ok(match &self.connections {
            Reads::Postgres(connections) => wrap_pg(connections.fetch(pg_query(sql, args)).await?),
            Reads::Sqlite(connections) => {
                let mut rows = Vec::new();
                for query in sqlite_queries(sql, args) {
                    rows.extend(connections.fetch(query).await?.into_iter().map(Row::Sqlite));
                }
                rows
            }
        })
    }

    /// Rows of a table by key; for no keys there is nothing to run.
    pub(crate) async fn by_key<'a, R: Table>(
        &self,
        keys: impl IntoIterator<Item = &'a R::Key>,
    ) -> Result<Vec<R>, Error> {
        let keys: Vec<_> = keys.into_iter().map(R::key_cells).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let statements = R::statements();
        self.rows(&statements.read, Args::rows(&statements.key, keys)).await?.iter().map(R::read).collect()
    }
}

const CONNECT: Duration = Duration::from_secs(5);
/// Statements that a connection of SQLite keeps prepared: each that a service has, for each number of places.
const STATEMENTS: usize = 512;

impl Db {
    /// Opens `postgres://...` or `sqlite://FILE`; a SQLite file is made if it is not there.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let (writer, connections) = match url.strip_prefix("sqlite://") {
            Some(file) => open_sqlite(file).await?,
            None if url.starts_with("postgres://") || url.starts_with("postgresql://") => open_postgres(url).await?,
            None => return Err(Error::Setup("the address must begin with sqlite:// or postgres://".into())),
        };
        let reader = Reader { connections, statements: Arc::default() };
        Ok(Self { writer, reader, gets: Gets::default(), joined: Arc::default(), committed: Arc::default() })
    }

    /// True for the embedded database, which this process alone uses.
    pub fn is_embedded(&self) -> bool {
        matches!(self.writer, Writer::Sqlite(_))
    }

    /// The same database, written through a connection of its own with plans of its own; none where there can be but one that writes.
    pub fn beside(&self) -> Option<Self> {
        let Writer::Postgres(writer, _) = &self.writer else { return None };
        let options = PgConnectOptions::clone(&writer.connect_options());
        let writer = writer.options().clone().max_connections(1).connect_lazy_with(options);
        Some(Self { writer: Writer::Postgres(writer, Arc::default()), ..self.clone() })
    }

    /// Brings the schema up to date: the shared tables first, then the service's own.
    pub async fn migrate(&self, own: &[Migration]) -> Result<(), Error> {
        let result = match &self.writer {
            Writer::Postgres(writer, _) => {
                // An index on a large table takes longer than any statement of a batch may.
                let mut connection = writer.acquire().await?.detach();
                sqlx::raw_sql("SET statement_timeout = 0; SET lock_timeout = '60s'").execute(&mut connection).await?;
                migrator(own, |migration| migration.postgres).run(&mut connection).await
            }
            Writer::Sqlite(writer) => migrator(own, |migration| migration.sqlite).run(writer).await,
        };
        result.map_err(|error| Error::Setup(format!("the schema can not be brought up to date: {error}")))
    }

    /// Refuses a database whose schema lacks a migration that this program needs.
    pub async fn check_schema(&self, own: &[Migration]) -> Result<(), Error> {
        let there = Sql::plain("SELECT to_regclass('_sqlx_migrations') IS NOT NULL");
        let applied = Sql::plain("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version");
        let missing =
            || Error::Setup("its schema is not up to date; run the service's subcommand `migrate` first".into());
        if !self.read(&there, Args::none()).await?.first().is_some_and(|row| matches!(row.get::<bool>(0), Ok(true))) {
            return Err(missing());
        }
        let rows = self.read(&applied, Args::none()).await?;
        let applied: Vec<i64> = rows.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
        let complete = SHARED.iter().chain(own).all(|needed| applied.contains(&needed.version));
        if complete { Ok(()) } else { Err(missing()) }
    }

    /// How many statements were run so far, BEGIN and COMMIT not counted.
    pub fn statement_count(&self) -> u64 {
        self.reader.statements.load(Ordering::Relaxed)
    }

    /// Begins a transaction. For the writer alone, in a task of its own that nothing cancels.
    pub async fn begin(&self) -> Result<Tx, Error> {
        let inner = match &self.writer {
            Writer::Postgres(writer, replan) => {
                let mut tx = writer.begin().await?;
                if replan.is_due() {
                    sqlx::raw_sql("DISCARD PLANS").execute(&mut *tx).await?;
                }
                self.postgres(tx)
            }
            Writer::Sqlite(writer) => Inner::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
        };
        Ok(self.tx(inner))
    }

    /// Looks at one moment: whatever is written meanwhile, every query in it sees what was committed when the first one began.
    /// For programs that compare tables with each other; no service does. Nothing can be written in it.
    pub async fn moment(&self) -> Result<Tx, Error> {
        let inner = match &self.writer {
            Writer::Postgres(writer, _) => {
                self.postgres(writer.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?)
            }
            Writer::Sqlite(writer) => Inner::Sqlite(writer.begin().await?),
        };
        Ok(self.tx(inner))
    }

    fn tx(&self, inner: Inner) -> Tx {
        Tx::new(inner, self.reader.statements.clone(), self.committed.clone())
    }

    /// Hears of each transaction that this process commits.
    pub fn commits(&self) -> watch::Receiver<()> {
        self.committed.subscribe()
    }

    fn postgres(&self, tx: Transaction<'static, Postgres>) -> Inner {
        Inner::Postgres { tx, kept: Vec::new(), joined: self.joined.clone() }
    }

    /// Reads, outside any transaction: each statement sees what is committed when it begins, on SQLite each part of it.
    pub async fn read(&self, sql: &Sql, args: Args) -> Result<Vec<Row>, Error> {
        self.reader.rows(sql, args).await
    }

    /// Reads rows of a table by a query that lists its columns.
    pub async fn read_table<R: Table>(&self, sql: &Sql, args: Args) -> Result<Vec<R>, Error> {
        self.read(sql, args).await?.iter().map(R::read).collect()
    }

    /// Reads one row of a table by key, in one query with whoever reads by key at the same time.
    pub async fn get<R: Table>(&self, key: &R::Key) -> Result<Option<R>, Error> {
        Ok(self.gets.read(&self.reader, vec![key.clone()]).await?.pop())
    }

    /// Reads rows of a table by key in the same way, in the order of the keys.
    pub async fn by_key<R: Table>(&self, keys: Vec<R::Key>) -> Result<Vec<R>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.gets.read(&self.reader, keys).await
    }

    /// Closes every connection.
    pub async fn close(&self) {
        match &self.reader.connections {
            Reads::Postgres(connections) => connections.close().await,
            Reads::Sqlite(connections) => connections.close().await,
        }
        match &self.writer {
            Writer::Postgres(writer, _) => writer.close().await,
            Writer::Sqlite(writer) => writer.close().await,
        }
    }
}

async fn open_postgres(url: &str) -> Result<(Writer, Reads), Error> {
    // A statement reaches rows by key, or walks an index in the order of a page, however many rows there are: a plan that reads
    // or sorts a whole table is never right, whatever old or missing statistics make of it.
    let options = PgConnectOptions::from_str(url)?.options([
        ("statement_timeout", "5s"),
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "3s"),
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("enable_seqscan", "off"),
        ("jit", "off"),
        ("max_parallel_workers_per_gather", "0"), // a page is read sooner than a second process is there
    ]);
    let for_writer = options.clone().application_name("closeout-writer");
    let for_reads = options.application_name("closeout-reads").options([("enable_bitmapscan", "off")]);
    // A pool only says that it waited in vain; one connection says why.
    PgConnection::connect_with(&for_writer).await?.close().await?;
    let pool = PgPoolOptions::new().max_connections(2).min_connections(1).acquire_timeout(CONNECT);
    let writer = Writer::Postgres(pool.connect_with(for_writer).await?, Arc::default());
    Ok((writer, Reads::Postgres(Connections::new(for_reads, "DISCARD PLANS"))))
}

async fn open_sqlite(file: &str) -> Result<(Writer, Reads), Error> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .statement_cache_capacity(STATEMENTS)
        .busy_timeout(Duration::from_secs(5));
    // A large batch changes more pages than the usual 2 MiB hold: what does not fit is written, read back and written again.
    // And what several batches change is carried over into the file once for all of them.
    let for_writer = options.clone().pragma("cache_size", "-32768").pragma("wal_autocheckpoint", "4000");
    let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(CONNECT);
    let writer = Writer::Sqlite(pool.connect_with(for_writer).await?);
    Ok((writer, Reads::Sqlite(Connections::new(options.read_only(true), ""))))
}
