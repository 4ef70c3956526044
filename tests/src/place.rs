//! Where the data of a story lives: a folder of SQLite files, or databases of its own on the PostgreSQL server of `DATABASE_URL`.

use crm_checker::History;
use crm_outbox::db::Db;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tempfile::TempDir;

/// Longer than the lease of a killed process's messages.
pub const QUIET: Duration = Duration::from_secs(60);

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Files in a temporary folder.
    Sqlite,
    /// Databases made for the story.
    Postgres,
}

/// The databases of one story.
#[derive(Debug)]
pub struct Place {
    /// URL of the opportunity service's database.
    pub opportunity: String,
    /// URL of the order service's.
    pub order: String,
    names: [String; 2],
    server: String,
    folder: Option<TempDir>,
}

static STORIES: AtomicU32 = AtomicU32::new(0);

fn names() -> [String; 2] {
    let story = STORIES.fetch_add(1, Ordering::Relaxed);
    ["opportunity", "order"].map(|side| format!("story_{}_{story}_{side}", std::process::id()))
}

fn server() -> String {
    std::env::var("DATABASE_URL").unwrap_or_else(|_| {
        panic!("DATABASE_URL is not set: give the URL of a superuser of a PostgreSQL server for tests, such as postgres://postgres@127.0.0.1:5432/postgres")
    })
}

/// The URL of another database on the same server.
fn beside(server: &str, database: &str) -> String {
    let (before, query) = server.split_once('?').map_or((server, None), |(before, query)| (before, Some(query)));
    let (server, _) = before.rsplit_once('/').unwrap();
    query.map_or(format!("{server}/{database}"), |query| format!("{server}/{database}?{query}"))
}

impl Place {
    /// Fresh databases.
    pub async fn new(kind: Kind) -> Self {
        if kind == Kind::Postgres {
            return Self::on(server()).await;
        }
        let (names, folder) = (names(), tempfile::tempdir().unwrap());
        let file = |name: &str| format!("sqlite://{}", folder.path().join(format!("{name}.db")).display());
        let [opportunity, order] = names.each_ref().map(|name| file(name));
        Self { opportunity, order, names, server: String::new(), folder: Some(folder) }
    }

    /// Fresh databases on the PostgreSQL server of this URL.
    pub async fn on(server: String) -> Self {
        let names = names();
        for name in &names {
            execute(&server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
            execute(&server, &format!("CREATE DATABASE {name}")).await;
        }
        let [opportunity, order] = names.each_ref().map(|name| beside(&server, name));
        Self { opportunity, order, names, server, folder: None }
    }

    /// Both databases, to look at.
    pub async fn databases(&self) -> (Db, Db) {
        (Db::open(&self.opportunity).await.unwrap(), Db::open(&self.order).await.unwrap())
    }

    /// Waits until nothing is on its way.
    pub async fn quiet(&self, timeout: Duration) {
        let (opportunity, order) = self.databases().await;
        crm_checker::quiet(&opportunity, &order, timeout).await.unwrap_or_else(|error| panic!("{error}"));
        opportunity.close().await;
        order.close().await;
    }

    /// Both sides being quiet, no invariant is violated.
    pub async fn check(&self, history: &History) {
        let (opportunity, order) = self.databases().await;
        let report = crm_checker::check(&opportunity, &order, history).await.unwrap();
        println!("{report}, {} answers in the history", history.answers());
        assert!(report.violations.is_empty(), "{report}");
        assert!(report.checked > 0, "nothing was checked");
        opportunity.close().await;
        order.close().await;
    }

    /// Sessions that hold a transaction open and do nothing; always none on SQLite.
    pub async fn idle_in_transaction(&self) -> i64 {
        if self.folder.is_some() {
            return 0;
        }
        let mut connection = PgConnection::connect(&self.server).await.unwrap();
        let count =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = ANY($1) AND state LIKE 'idle in transaction%'";
        sqlx::query_scalar(count).bind(self.names.to_vec()).fetch_one(&mut connection).await.unwrap()
    }

    /// Removes the databases.
    pub async fn remove(self) {
        if self.folder.is_none() {
            for name in &self.names {
                execute(&self.server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
            }
        }
    }
}

async fn execute(server: &str, statement: &str) {
    let mut connection = PgConnection::connect(server).await.unwrap();
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[cfg(test)]
mod tests {
    use super::beside;

    #[test]
    fn a_database_beside_another_keeps_what_else_the_url_says() {
        assert_eq!(beside("postgres://a@h:1/postgres", "x"), "postgres://a@h:1/x");
        assert_eq!(beside("postgres://a@h:1/postgres?sslmode=disable", "x"), "postgres://a@h:1/x?sslmode=disable");
    }
}
