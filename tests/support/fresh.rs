//! A fresh, migrated database for one check, on either backend, and the macro that makes a test of each check for both.
//! Included by path from the suites of several crates.

use crm_outbox::db::{Db, Migration};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// A database that goes away with this value (SQLite) or stays with the private server of the test run (PostgreSQL).
pub(crate) struct Fresh {
    pub(crate) db: Db,
    _folder: Option<tempfile::TempDir>,
}

/// A new SQLite file.
pub(crate) async fn sqlite(migrations: &[Migration]) -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&format!("sqlite://{}", folder.path().join("test.db").display())).await.unwrap();
    db.migrate(migrations).await.unwrap();
    Fresh { db, _folder: Some(folder) }
}

/// A new database on the server of DATABASE_URL.
pub(crate) async fn postgres(migrations: &[Migration]) -> Fresh {
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL names a PostgreSQL server");
    let name = format!("check_{}", uuid::Uuid::now_v7().simple());
    let mut admin = PgConnection::connect(&url).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await.unwrap();
    admin.close().await.unwrap();
    let (server, _) = url.rsplit_once('/').unwrap();
    let db = Db::open(&format!("{server}/{name}")).await.unwrap();
    db.migrate(migrations).await.unwrap();
    Fresh { db, _folder: None }
}

/// Makes two tests of each check: on SQLite, and on PostgreSQL where there is one.
macro_rules! on_both {
    ($migrations:expr; $($check:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                let fresh = super::fresh::sqlite($migrations).await;
                super::$check(&fresh.db).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs DATABASE_URL"]
            async fn $check() {
                let fresh = super::fresh::postgres($migrations).await;
                super::$check(&fresh.db).await;
            })+
        }
    };
}
pub(crate) use on_both;
