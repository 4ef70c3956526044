//! Arguments and rows in the terms of each driver: a set of rows is bound as arrays on PostgreSQL, and value by value in places of
//! SQLite.

use crate::{
    cell::{Cell, Kind, Part},
    db::Error,
    sql::{Args, PLACES, Sql},
};
use sqlx::{
    AssertSqlSafe, Postgres, Row as _, SqlSafeStr, Sqlite,
    postgres::{PgArguments, PgRow},
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};
use std::sync::Arc;

// The texts are templates of this program filled with names of this program (see `Sql`); values are always bound.
fn text(sql: &Arc<str>) -> impl SqlSafeStr + use<> {
    AssertSqlSafe(sql.clone())
}

pub(crate) fn pg_query(sql: &Sql, args: Args) -> Query<'static, Postgres, PgArguments> {
    pg_bind(pg_text(sql.postgres.clone()), args)
}

pub(crate) fn pg_text(text: Arc<str>) -> Query<'static, Postgres, PgArguments> {
    sqlx::query(AssertSqlSafe(text))
}

/// Binds more arguments, after those that are bound already.
pub(crate) fn pg_bind(
    mut query: Query<'static, Postgres, PgArguments>,
    args: Args,
) -> Query<'static, Postgres, PgArguments> {
    let mut columns: Vec<Vec<Cell>> = args.kinds.iter().map(|_| Vec::with_capacity(args.rows.len())).collect();
    for row in args.rows {
        for (column, cell) in columns.iter_mut().zip(row) {
            column.push(cell);
        }
    }
    for (kind, cells) in args.kinds.iter().zip(columns) {
        query = bind_array(query, *kind, cells);
    }
    for cell in args.values {
        query = match cell {
            Cell::Uuid(value) => query.bind(value),
            Cell::Int(value) => query.bind(value),
            Cell::Small(value) => query.bind(value),
            Cell::Bool(value) => query.bind(value),
            Cell::Text(value) => query.bind(value),
            Cell::Bytes(value) => query.bind(value),
        };
    }
    query
}

macro_rules! pick {
    ($cells:expr, $variant:ident) => {
        $cells.into_iter().map(|cell| if let Cell::$variant(value) = cell { value } else { None }).collect::<Vec<_>>()
    };
}

fn bind_array(
    query: Query<'static, Postgres, PgArguments>,
    kind: Kind,
    cells: Vec<Cell>,
) -> Query<'static, Postgres, PgArguments> {
    match kind {
        Kind::Uuid => query.bind(pick!(cells, Uuid)),
        Kind::Int => query.bind(pick!(cells, Int)),
        Kind::Small => query.bind(pick!(cells, Small)),
        Kind::Bool => query.bind(pick!(cells, Bool)),
        Kind::Text => query.bind(pick!(cells, Text)),
        Kind::Bytes => query.bind(pick!(cells, Bytes)),
    }
}

/// The parts in which SQLite takes a statement: one, unless its set has more rows than there are places.
pub(crate) fn sqlite_queries(sql: &Sql, args: Args) -> Vec<Query<'static, Sqlite, SqliteArguments>> {
    let Args { kinds, rows, values } = args;
    if kinds.is_empty() {
        return vec![sqlite_query(sql, &kinds, Vec::new(), values)];
    }
    let (mut rows, most) = (rows.into_iter(), PLACES[PLACES.len() - 1]);
    let parts = (0..rows.len().div_ceil(most)).map(|_| rows.by_ref().take(most).collect());
    parts.map(|part| sqlite_query(sql, &kinds, part, values.clone())).collect()
}

fn sqlite_query(
    sql: &Sql,
    kinds: &[Kind],
    rows: Vec<Vec<Cell>>,
    values: Vec<Cell>,
) -> Query<'static, Sqlite, SqliteArguments> {
    let fits = PLACES.iter().position(|places| *places >= rows.len()).unwrap_or(PLACES.len() - 1);
    let left_over = (PLACES[fits] - rows.len()) * kinds.len();
    let query = rows.into_iter().flatten().fold(sqlx::query(text(sql.sqlite.text(fits))), bind_cell);
    let query = (0..left_over).fold(query, |query, _| query.bind(None::<i64>));
    values.into_iter().fold(query, bind_cell)
}

fn bind_cell(query: Query<'static, Sqlite, SqliteArguments>, cell: Cell) -> Query<'static, Sqlite, SqliteArguments> {
    match cell {
        Cell::Uuid(value) => query.bind(value),
        Cell::Int(value) => query.bind(value),
        Cell::Small(value) => query.bind(value),
        Cell::Bool(value) => query.bind(value),
        Cell::Text(value) => query.bind(value),
        Cell::Bytes(value) => query.bind(value),
    }
}

/// A row that a query returned.
#[derive(Debug)]
pub enum Row {
    /// From PostgreSQL.
    Postgres(PgRow),
    /// From SQLite.
    Sqlite(SqliteRow),
}

pub(crate) fn wrap_pg(rows: Vec<PgRow>) -> Vec<Row> {
    rows.into_iter().map(Row::Postgres).collect()
}

impl Row {
    /// The value of one column, by index; none: NULL.
    pub(crate) fn cell<T>(&self, index: usize) -> Result<Option<T>, Error>
    where
        T: for<'r> sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
        T: for<'r> sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
    {
        Ok(match self {
            Self::Postgres(row) => row.try_get(index)?,
            Self::Sqlite(row) => row.try_get(index)?,
        })
    }

    /// The value that begins at this column.
    pub fn get<T: Part>(&self, index: usize) -> Result<T, Error> {
        let mut at = index;
        T::read(self, &mut at)?.ok_or_else(|| Error::Corrupt(format!("column {index} of a query is NULL")))
    }
}
