//! Fills the databases: PostgreSQL through COPY, SQLite through the statements of the services themselves. In flow [`Deals`] and
//! empty databases, out comes what every measurement begins with.

use crate::{
    deals::{Deals, TASKS},
    screen::Screen,
    server::{SCHEMAS, Server, execute},
};
use anyhow::Context;
use crm_outbox::{
    db::Db,
    table::{self, Table},
};
use indicatif::ProgressBar;
use sqlx::{Connection, PgConnection};

/// Bytes that are sent to COPY at a time.
const CHUNK: usize = 1 << 20;
/// What COPY reads before the rows: signature, no flags, no extension (postgresql.org/docs/15/sql-copy.html, "Binary Format").
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Rows of one statement on SQLite.
const ROWS: usize = 5_000;

/// The URL of a service's schema in a database.
pub(crate) fn in_schema(url: &str, schema: &str) -> String {
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}options[search_path]={schema}")
}

fn bar(deals: &Deals, screen: &Screen) -> ProgressBar {
    let (opportunities, customers) = (deals.opportunities, deals.customers());
    let history = if deals.history { 2 * (opportunities + customers) + TASKS * opportunities } else { 0 };
    screen.progress((4 + TASKS) * opportunities + 3 * customers + history, "rows put in")
}

/// Fills the database that measurements are copied from.
pub(crate) async fn postgres(server: &Server, deals: &Deals, screen: &Screen) -> anyhow::Result<()> {
    server.make_template().await?;
    let url = server.template();
    crm_opportunity::App::migrate(&in_schema(&url, SCHEMAS[0])).await?;
    crm_order::App::migrate(&in_schema(&url, SCHEMAS[1])).await?;
    let mut connection = server.connect(&url).await?;
    execute(&mut connection, include_str!("floor_ids.sql")).await?;
    // Filled without its indices, a table of millions of rows is there in a fraction of the time.
    let indices = take_indices(&mut connection).await?;
    let mut copy = Copy { connection: &mut connection, bar: bar(deals, screen) };
    let [sales, trade] = SCHEMAS;
    copy.rows(sales, deals.sales_customers()).await?;
    copy.rows(sales, deals.opportunities()).await?;
    copy.rows(sales, deals.states()).await?;
    copy.rows(sales, deals.search_subjects()).await?;
    copy.rows(sales, deals.search_names()).await?;
    copy.rows(trade, deals.trade_customers()).await?;
    copy.rows(trade, deals.search_names()).await?;
    copy.rows(trade, deals.lanes()).await?;
    copy.rows(trade, deals.tasks()).await?;
    if deals.history {
        copy.rows(trade, deals.received()).await?;
        copy.rows(sales, deals.sales_audit()).await?;
        copy.rows(trade, deals.trade_audit()).await?;
    }
    copy.bar.finish_and_clear();
    let bar = screen.progress(indices.len() as u64, "indices built");
    execute(&mut connection, "SET maintenance_work_mem = '1GB'").await?;
    for index in indices {
        execute(&mut connection, &index).await?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    execute(&mut connection, "VACUUM (ANALYZE)").await?;
    Ok(connection.close().await?)
}

/// Drops the indices that no constraint needs; answers the statements that make them again.
async fn take_indices(connection: &mut PgConnection) -> anyhow::Result<Vec<String>> {
    const INDICES: &str = "SELECT i.schemaname || '.' || i.indexname, i.indexdef FROM pg_indexes AS i \
        WHERE i.schemaname = ANY($1) AND NOT EXISTS (SELECT 1 FROM pg_constraint AS c \
        JOIN pg_namespace AS n ON n.oid = c.connamespace WHERE n.nspname = i.schemaname AND c.conname = i.indexname)";
    let indices: Vec<(String, String)> =
        sqlx::query_as(INDICES).bind(SCHEMAS.map(str::to_owned).to_vec()).fetch_all(&mut *connection).await?;
    for (name, _) in &indices {
        execute(connection, &format!("DROP INDEX {name}")).await?;
    }
    Ok(indices.into_iter().map(|(_, definition)| definition).collect())
}

struct Copy<'a> {
    connection: &'a mut PgConnection,
    bar: ProgressBar,
}

impl Copy<'_> {
    async fn rows<R: Table>(&mut self, schema: &str, rows: impl Iterator<Item = R>) -> anyhow::Result<()> {
        let table = R::statements();
        let columns: Vec<_> = table.columns.iter().map(|column| column.name.as_str()).collect();
        let statement = format!("COPY {schema}.{} ({}) FROM STDIN (FORMAT binary)", table.name, columns.join(", "));
        let mut copy = self.connection.copy_in_raw(&statement).await?;
        let (mut bytes, mut count) = (Vec::with_capacity(2 * CHUNK), 0);
        bytes.extend_from_slice(HEADER);
        let width = i16::try_from(columns.len())?.to_be_bytes();
        for row in rows {
            bytes.extend_from_slice(&width);
            bytes.extend_from_slice(row.cells().as_bytes());
            count += 1;
            if bytes.len() > CHUNK {
                copy.send(&*bytes).await?;
                bytes.clear();
                self.bar.inc(std::mem::take(&mut count));
            }
        }
        copy.send(&*bytes).await?;
        copy.finish().await.with_context(|| format!("{schema}.{} can not be filled", table.name))?;
        self.bar.inc(count);
        Ok(())
    }
}

/// Fills the files of both services.
pub(crate) async fn sqlite(urls: &[String; 2], deals: &Deals, screen: &Screen) -> anyhow::Result<()> {
    let [sales, trade] = urls;
    crm_opportunity::App::migrate(sales).await?;
    crm_order::App::migrate(trade).await?;
    let bar = bar(deals, screen);
    let mut fill = Fill { db: Db::open(sales).await?, bar };
    fill.rows(deals.sales_customers()).await?;
    fill.rows(deals.opportunities()).await?;
    fill.rows(deals.states()).await?;
    fill.rows(deals.search_subjects()).await?;
    fill.rows(deals.search_names()).await?;
    fill.rows(deals.sales_audit()).await?;
    let mut fill = fill.then(trade).await?;
    fill.rows(deals.trade_customers()).await?;
    fill.rows(deals.search_names()).await?;
    fill.rows(deals.lanes()).await?;
    fill.rows(deals.tasks()).await?;
    fill.rows(deals.received()).await?;
    fill.rows(deals.trade_audit()).await?;
    fill.db.close().await;
    fill.bar.finish_and_clear();
    Ok(())
}

struct Fill {
    db: Db,
    bar: ProgressBar,
}

impl Fill {
    async fn then(self, url: &str) -> anyhow::Result<Self> {
        self.db.close().await;
        Ok(Self { db: Db::open(url).await?, bar: self.bar })
    }

    async fn rows<R: Table>(&mut self, rows: impl Iterator<Item = R>) -> anyhow::Result<()> {
        let mut rows = rows.peekable();
        while rows.peek().is_some() {
            let some: Vec<R> = rows.by_ref().take(ROWS).collect();
            let mut tx = self.db.begin().await?;
            table::insert(&mut tx, &some).await?;
            tx.commit().await?;
            self.bar.inc(some.len() as u64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_named_beside_what_else_the_url_says() {
        assert_eq!(in_schema("postgres://h/d", "s"), "postgres://h/d?options[search_path]=s");
        assert_eq!(in_schema("postgres://h/d?a=b", "s"), "postgres://h/d?a=b&options[search_path]=s");
    }
}
