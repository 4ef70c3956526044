//! Connections that only read. A statement takes one that is idle, or opens one; where all are busy it waits in turn, as long as
//! its caller does. The pool of sqlx asks the server for a sign of life before and after each statement, which takes longer than
//! most statements do, and gives up on its own clock instead of the caller's.

use crate::{db::Error, replan::Replan};
use sqlx::{Connection, Database, Executor, IntoArguments, query::Query};
use std::{
    fmt,
    future::Future,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    sync::{Semaphore, TryAcquireError},
    time::timeout,
};

/// Statements under way at once.
const AT_ONCE: u32 = 8;
/// Statements that may wait for that; more are refused.
const WAITING: usize = 1_024;
/// A connection that was idle for longer is asked whether the server is still there.
const FRESH: Duration = Duration::from_secs(1);
/// Longest time until a connection is open, or has given that sign.
const CONNECT: Duration = Duration::from_millis(500);
/// No call lasts longer, and the server ends a statement sooner: whoever has not answered by then is gone.
const STATEMENT: Duration = Duration::from_secs(10);

/// The connections of one process to one database.
pub(crate) struct Connections<DB: Database> {
    options: <DB::Connection as Connection>::Options,
    /// What makes the database forget its plans; empty: it keeps none.
    forget_plans: &'static str,
    idle: Mutex<Vec<Open<DB>>>,
    room: Semaphore,
    places: Arc<Semaphore>,
}

struct Open<DB: Database> {
    connection: DB::Connection,
    replan: Replan,
    used: Instant,
}

impl<DB: Database> fmt::Debug for Connections<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("options", &self.options).finish_non_exhaustive()
    }
}

impl<DB: Database> Connections<DB>
where
    DB::Arguments: IntoArguments<DB>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    /// None is opened yet.
    pub(crate) fn new(options: <DB::Connection as Connection>::Options, forget_plans: &'static str) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(AT_ONCE as usize));
        let room = Semaphore::new(AT_ONCE as usize + WAITING);
        Arc::new(Self { options, forget_plans, idle: Mutex::default(), room, places })
    }

    /// Runs a query to its end, even if its caller goes away: else there would be an answer on the connection that nobody reads.
    pub(crate) async fn fetch(
        self: &Arc<Self>,
        query: Query<'static, DB, DB::Arguments>,
    ) -> Result<Vec<DB::Row>, Error> {
        let _room = self.room.try_acquire().map_err(|error| match error {
            TryAcquireError::NoPermits => Error::Overloaded,
            TryAcquireError::Closed => closed(),
        })?;
        let place = self.places.clone().acquire_owned().await.map_err(|_| closed())?;
        let this = self.clone();
        let read = tokio::spawn(async move {
            let rows = this.read(query).await;
            drop(place);
            rows
        });
        read.await.unwrap_or_else(|error| Err(Error::Unavailable(error.to_string())))
    }

    async fn read(&self, query: Query<'static, DB, DB::Arguments>) -> Result<Vec<DB::Row>, Error> {
        let mut open = self.open().await?;
        let rows = within(STATEMENT, query.fetch_all(&mut open.connection)).await;
        match &rows {
            Ok(_) => {
                open.used = Instant::now();
                self.idle().push(open);
            }
            // The server answers; it may be about to end this connection.
            Err(sqlx::Error::Database(_)) => {}
            Err(_) => self.idle().clear(),
        }
        Ok(rows?)
    }

    async fn open(&self) -> Result<Open<DB>, Error> {
        let last_used = self.idle().pop();
        if let Some(mut open) = last_used {
            if open.used.elapsed() < FRESH || within(CONNECT, open.connection.ping()).await.is_ok() {
                if !self.forget_plans.is_empty() && open.replan.is_due() {
                    within(CONNECT, sqlx::raw_sql(self.forget_plans).execute(&mut open.connection)).await?;
                }
                return Ok(open);
            }
            // The others were used even longer ago.
            self.idle().clear();
        }
        let connection = within(CONNECT, DB::Connection::connect_with(&self.options)).await?;
        Ok(Open { connection, replan: Replan::default(), used: Instant::now() })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Open<DB>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes nothing more, waits for what is under way, and closes every connection.
    pub(crate) async fn close(&self) {
        self.room.close();
        let _all = self.places.acquire_many(AT_ONCE).await;
        let idle = std::mem::take(&mut *self.idle());
        for open in idle {
            // One that is broken is closed already.
            let _ = within(CONNECT, open.connection.close()).await;
        }
    }
}

async fn within<T>(time: Duration, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(time, work).await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

fn closed() -> Error {
    Error::Unavailable("the connections are closed".into())
}
