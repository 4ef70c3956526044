//! Reads whole tables in pages by key, so that neither a statement nor the memory grows with the table.

use crm_outbox::{
    db::{Error, Tx},
    sql::{Args, Sql},
    table::Table,
};

const PAGE: usize = 5_000;

/// Hands every row of a table to `take`, in the order of the key.
pub(crate) async fn each<R: Table>(tx: &mut Tx, mut take: impl FnMut(R)) -> Result<(), Error> {
    let statements = R::statements();
    let names = |prefix: &str| {
        statements.key.iter().map(|column| format!("{prefix}{}", column.name)).collect::<Vec<_>>().join(", ")
    };
    let (of_t, of_r) = (names("t."), names("r."));
    let from = format!("SELECT {} FROM {} AS t", statements.list, statements.name);
    let order = format!("ORDER BY {of_t} LIMIT {PAGE}");
    let first = Sql::plain(&format!("{from} {order}"));
    let next = Sql::new(&format!("{from} WHERE ({of_t}) > (SELECT {of_r} FROM {{rows}}) {order}"), &statements.key);
    let mut rows: Vec<R> = tx.table_rows(&first, Args::none()).await?;
    loop {
        let last = if rows.len() < PAGE { None } else { rows.last().map(R::key) };
        rows.into_iter().for_each(&mut take);
        let Some(key) = last else { return Ok(()) };
        rows = tx.table_rows(&next, Args::rows(&statements.key, vec![R::key_cells(&key)])).await?;
    }
}
