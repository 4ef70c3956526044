//! Arguments and rows in the terms of each driver: a set of rows is bound as arrays on PostgreSQL, and value by value in places of
//! SQLite.

use crate::{
    cell::{Cells, Kind, Part, RawCell},
    db::Error,
    sql::{Args, PLACES, Sql},
};
use sqlx::{
    AssertSqlSafe, Encode, Postgres, Row as _, SqlSafeStr, Sqlite, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgArguments, PgHasArrayType, PgRow, PgTypeInfo},
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};
use std::sync::Arc;
use uuid::Uuid;

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
    query: Query<'static, Postgres, PgArguments>,
    args: Args,
) -> Query<'static, Postgres, PgArguments> {
    let mut arrays: Vec<_> = args.kinds.iter().map(|kind| Array::new(*kind, &args.rows)).collect();
    for row in &args.rows {
        for (array, cell) in arrays.iter_mut().zip(row.iter()) {
            array.has_null |= cell.value().is_none();
            array.cells.extend_from_slice(cell.whole());
        }
    }
    let query = arrays.into_iter().fold(query, Query::bind);
    let values = args.values.iter().zip(args.value_kinds);
    values.fold(query, |query, (cell, kind)| query.bind(Value { kind, bytes: cell.value().map(<[u8]>::to_vec) }))
}

/// The cells of one column.
struct Array {
    kind: Kind,
    count: usize,
    has_null: bool,
    cells: Vec<u8>,
}

impl Array {
    fn new(kind: Kind, rows: &[Cells]) -> Self {
        Self { kind, count: rows.len(), has_null: false, cells: Vec::with_capacity(rows.len() * 24) }
    }
}

/// One value.
struct Value {
    kind: Kind,
    bytes: Option<Vec<u8>>,
}

impl Kind {
    /// Types of one value and of an array of them.
    fn types(self) -> [PgTypeInfo; 2] {
        fn types<T: Type<Postgres> + PgHasArrayType>() -> [PgTypeInfo; 2] {
            [T::type_info(), T::array_type_info()]
        }
        match self {
            Self::Uuid => types::<Uuid>(),
            Self::Int => types::<i64>(),
            Self::Small => types::<i16>(),
            Self::Bool => types::<bool>(),
            Self::Text => types::<String>(),
            Self::Bytes => types::<Vec<u8>>(),
        }
    }
}

macro_rules! typed {
    ($type:ty, $index:literal) => {
        /// The kind tells, see [`Encode::produces`].
        impl Type<Postgres> for $type {
            fn type_info() -> PgTypeInfo {
                Kind::Text.types()[$index].clone()
            }
        }
    };
}

typed!(Value, 0);
typed!(Array, 1);

impl Encode<'_, Postgres> for Value {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let Some(bytes) = &self.bytes else { return Ok(IsNull::Yes) };
        buffer.extend_from_slice(bytes);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(self.kind.types()[0].clone())
    }
}

/// As `array_recv` of PostgreSQL reads it (src/backend/utils/adt/arrayfuncs.c): dimensions, whether there are NULLs, the type of the
/// elements, then length and first index of the one dimension, then the elements.
impl Encode<'_, Postgres> for Array {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let element = self.kind.types()[0].oid().ok_or("a built-in type has a number")?.0;
        let (dimensions, first): (i32, i32) = (1, 1);
        buffer.extend_from_slice(&dimensions.to_be_bytes());
        buffer.extend_from_slice(&i32::from(self.has_null).to_be_bytes());
        buffer.extend_from_slice(&element.to_be_bytes());
        buffer.extend_from_slice(&i32::try_from(self.count)?.to_be_bytes());
        buffer.extend_from_slice(&first.to_be_bytes());
        buffer.extend_from_slice(&self.cells);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(self.kind.types()[1].clone())
    }
}

/// The parts in which SQLite takes a statement: one, unless its set has more rows than there are places.
pub(crate) fn sqlite_queries(sql: &Sql, args: Args) -> Vec<Query<'static, Sqlite, SqliteArguments>> {
    if args.kinds.is_empty() {
        return vec![sqlite_query(sql, &args, &[])];
    }
    args.rows.chunks(PLACES[PLACES.len() - 1]).map(|part| sqlite_query(sql, &args, part)).collect()
}

fn sqlite_query(sql: &Sql, args: &Args, rows: &[Cells]) -> Query<'static, Sqlite, SqliteArguments> {
    let fits = PLACES.iter().position(|places| *places >= rows.len()).unwrap_or(PLACES.len() - 1);
    let left_over = (PLACES[fits] - rows.len()) * args.kinds.len();
    let cells = rows.iter().flat_map(|row| row.iter().zip(&args.kinds));
    let query = cells.fold(sqlx::query(text(sql.sqlite.text(fits))), bind_cell);
    let query = (0..left_over).fold(query, |query, _| query.bind(None::<i64>));
    args.values.iter().zip(&args.value_kinds).fold(query, bind_cell)
}

fn bind_cell(
    query: Query<'static, Sqlite, SqliteArguments>,
    (cell, kind): (RawCell<'_>, &Kind),
) -> Query<'static, Sqlite, SqliteArguments> {
    let Some(bytes) = cell.value() else { return query.bind(None::<i64>) };
    match kind {
        Kind::Int => query.bind(bytes.try_into().map(i64::from_be_bytes).ok()),
        Kind::Small => query.bind(bytes.try_into().map(i16::from_be_bytes).ok()),
        Kind::Bool => query.bind(bytes == [1]),
        Kind::Text => query.bind(String::from_utf8_lossy(bytes).into_owned()),
        Kind::Uuid | Kind::Bytes => query.bind(bytes.to_vec()),
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
