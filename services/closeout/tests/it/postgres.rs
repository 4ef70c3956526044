//! The demo on PostgreSQL: two fresh databases, schema and all.

use crate::demo::check_made_data;
use crate::program::run;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

#[tokio::test]
#[ignore = "needs DATABASE_URL"]
async fn the_demo_runs_on_two_empty_databases_and_again_on_the_same_two() {
    let server = std::env::var("DATABASE_URL").unwrap();
    let mut connection = PgConnection::connect(&server).await.unwrap();
    let names = ["opportunity", "order"].map(|side| format!("demo_{side}_{}", Uuid::now_v7().simple()));
    for name in &names {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
    }
    let urls = names.each_ref().map(|name| on(&server, name));
    let args = ["demo", "--json", "--opportunity-database-url", &urls[0], "--order-database-url", &urls[1]];
    check_made_data(run(&args));
    check_made_data(run(&args));
    for name in &names {
        let drop = sqlx::AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"));
        sqlx::raw_sql(drop).execute(&mut connection).await.unwrap();
    }
}

/// The URL of another database of the same server.
fn on(server: &str, database: &str) -> String {
    let (address, options) = server.split_once('?').map_or((server, String::new()), |(a, o)| (a, format!("?{o}")));
    let host_end = address.find("://").map_or(0, |at| at + 3);
    let path = address[host_end..].find('/').map_or(address.len(), |at| host_end + at);
    format!("{}/{database}{options}", &address[..path])
}
