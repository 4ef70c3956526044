//! Tables: a row type, its columns and its key are named once, and the statements of both databases follow from that.

use crate::{
    cell::{Cells, Column},
    db::{Error, Row, Tx},
    sql::{Args, Sql},
};
use crm_closeout::{
    seeded_bug,
    working_set::{Keyed, Rows},
};

/// The statements of a table.
#[derive(Debug)]
pub struct Statements {
    /// Name of the table.
    pub name: &'static str,
    /// Every column, in order.
    pub columns: Vec<Column>,
    /// Columns of the key, in order.
    pub key: Vec<Column>,
    /// Column list for a query of this table under the name `t`.
    pub list: String,
    /// Adds rows.
    pub insert: Sql,
    /// Adds rows where there is none with that key.
    pub insert_missing: Sql,
    /// Overwrites rows by key.
    pub update: Sql,
    /// Columns that no index names, and the key.
    pub plain: Vec<Column>,
    /// Overwrites those of rows by key. SQLite writes every entry of an index that an UPDATE names, whether it changes or not.
    pub touch: Sql,
    /// Locks and reads rows by key, one after the other.
    pub lock: Sql,
    /// Reads rows by key.
    pub read: Sql,
}

impl Statements {
    /// The statements of a table with these columns, `key` of which are its key, and `indexed` of which other indices name. Columns that
    /// are `stamped` are not read: whatever writes a row puts its transaction there.
    pub fn new(
        table: &'static str,
        columns: Vec<Column>,
        key: Vec<Column>,
        indexed: &[&str],
        stamped: &[&str],
    ) -> Self {
        let names = |columns: &[Column], prefix: &str| {
            columns.iter().map(|column| format!("{prefix}{}", column.name)).collect::<Vec<_>>().join(", ")
        };
        // Where the tenant is the whole key, nothing is left without it.
        let tenant_off = |column: &Column| key.len() > 1 && seeded_bug!("tenant-off", 1) && column.name == "tenant_id";
        let found_by = key.iter().filter(|column| !tenant_off(column));
        let on_key = found_by.map(|c| format!("t.{0} = r.{0}", c.name)).collect::<Vec<_>>().join(" AND ");
        let (all, from_r, list) = (names(&columns, ""), names(&columns, "r."), names(&columns, "t."));
        let bare_key = names(&key, "");
        let plain: Vec<_> = columns.iter().filter(|column| !indexed.contains(&&*column.name)).cloned().collect();
        let overwrite = |columns: &[Column]| {
            let set = columns.iter().filter(|column| !key.contains(column));
            let set = set.map(|column| format!("{0} = r.{0}", column.name));
            let set = set.chain(stamped.iter().map(|stamp| format!("{stamp} = {{tx}}"))).collect::<Vec<_>>().join(", ");
            Sql::overwrite(table, &set, &on_key, columns)
        };
        // `WHERE true` lets SQLite's grammar tell ON CONFLICT from a join's ON.
        let (stamps, from_tx) = (stamped.iter().map(|stamp| format!(", {stamp}")), stamped.iter().map(|_| ", {tx}"));
        let (stamps, from_tx) = (stamps.collect::<String>(), from_tx.collect::<String>());
        let insert = format!("INSERT INTO {table} ({all}{stamps}) SELECT {from_r}{from_tx} FROM {{rows}} WHERE true");
        Self {
            name: table,
            insert: Sql::new(&insert, &columns),
            insert_missing: Sql::new(&format!("{insert} ON CONFLICT ({bare_key}) DO NOTHING"), &columns),
            update: overwrite(&columns),
            touch: overwrite(&plain),
            lock: Sql::lock(&list, table, &on_key, &key),
            read: Sql::look_up(&list, table, &on_key, "", &key),
            plain,
            columns,
            key,
            list,
        }
    }
}

/// A row type with its table.
pub trait Table: Keyed<Key: Send + Sync + 'static> + Send + Sync + 'static {
    /// Its statements.
    fn statements() -> &'static Statements;

    /// The cells of a row, one for each column.
    fn cells(&self) -> Cells;

    /// The cells of a key, one for each column of the key.
    fn key_cells(key: &Self::Key) -> Cells;

    /// Reads a row whose columns are those of the table, in order.
    fn read(row: &Row) -> Result<Self, Error> {
        Self::read_at(row, 0)
    }

    /// The same of a row in which they begin at this column.
    fn read_at(row: &Row, at: usize) -> Result<Self, Error>;
}

/// Names the table, the key, the columns that its other indices name, those with the transaction that wrote a row, and the fields of a row
/// type, in the order of the columns.
#[macro_export]
macro_rules! table {
    ($type:ty = $table:literal, key |$keyvar:ident| [$($key:ident: $key_type:ty = $key_value:expr),+]$(, indexed [$($indexed:literal),+ $(,)?])?$(, stamped [$($stamped:literal),+])?, { $($field:ident: $field_type:ty),+ $(,)? }) => {
        impl $crate::table::Table for $type {
            fn statements() -> &'static $crate::table::Statements {
                static STATEMENTS: std::sync::LazyLock<$crate::table::Statements> = std::sync::LazyLock::new(|| {
                    let mut columns = Vec::new();
                    $(columns.extend(<$field_type as $crate::cell::Part>::columns(stringify!($field)));)+
                    let mut key = Vec::new();
                    $(key.extend(<$key_type as $crate::cell::Part>::columns(stringify!($key)));)+
                    $crate::table::Statements::new($table, columns, key, &[$($($indexed),+)?], &[$($($stamped),+)?])
                });
                &STATEMENTS
            }

            fn cells(&self) -> $crate::cell::Cells {
                let mut cells = $crate::cell::Cells::with_capacity(512);
                $($crate::cell::Part::write(Some(&self.$field), &mut cells);)+
                cells
            }

            fn key_cells($keyvar: &Self::Key) -> $crate::cell::Cells {
                $crate::cells![$($key_value),+]
            }

            fn read_at(row: &$crate::db::Row, mut at: usize) -> Result<Self, $crate::db::Error> {
                Ok(Self {
                    $($field: <$field_type as $crate::cell::Part>::read(row, &mut at)?
                        .ok_or_else(|| $crate::db::Error::Corrupt(concat!($table, ".", stringify!($field), " is NULL").into()))?,)+
                })
            }
        }
    };
}

/// Locks and loads rows by key, in the order of the key.
pub async fn lock<R: Table>(tx: &mut Tx, keys: &[R::Key]) -> Result<Rows<R>, Error> {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    by_key(tx, &R::statements().lock, &keys).await
}

/// Loads rows by key; something else is locked that keeps them still.
pub async fn load<R: Table>(tx: &mut Tx, keys: &[R::Key]) -> Result<Rows<R>, Error> {
    by_key(tx, &R::statements().read, keys).await
}

async fn by_key<R: Table>(tx: &mut Tx, sql: &Sql, keys: &[R::Key]) -> Result<Rows<R>, Error> {
    if keys.is_empty() {
        return Ok(Rows::default());
    }
    let args = Args::rows(&R::statements().key, keys.iter().map(R::key_cells).collect());
    Ok(Rows::loaded(tx.table_rows::<R>(sql, args).await?))
}

/// The same, and puts in those of `new` that are not there.
pub async fn lock_or_add<R: Table + Clone>(tx: &mut Tx, keys: &[R::Key], new: Vec<R>) -> Result<Rows<R>, Error> {
    let mut rows = lock(tx, keys).await?;
    let missing: Vec<R> = new.into_iter().filter(|row| rows.get(&row.key()).is_none()).collect();
    if !missing.is_empty() {
        insert_missing(tx, &missing).await?;
        let keys: Vec<_> = missing.iter().map(Keyed::key).collect();
        for row in lock::<R>(tx, &keys).await?.iter() {
            rows.add_loaded(row.clone());
        }
    }
    Ok(rows)
}

/// Adds rows.
pub async fn insert<'a, R: Table + 'a>(tx: &mut Tx, rows: impl IntoIterator<Item = &'a R>) -> Result<(), Error> {
    add(tx, &R::statements().insert, rows).await
}

/// Adds the rows whose key is not there yet.
pub async fn insert_missing<'a, R: Table + 'a>(
    tx: &mut Tx,
    rows: impl IntoIterator<Item = &'a R>,
) -> Result<(), Error> {
    add(tx, &R::statements().insert_missing, rows).await
}

/// Overwrites loaded rows. One that is gone means that something outside the program wrote to the table.
pub async fn update<'a, R: Table + 'a>(tx: &mut Tx, rows: impl IntoIterator<Item = &'a R>) -> Result<(), Error> {
    let Statements { name, columns, update, .. } = R::statements();
    overwrite(tx, name, columns, update, cells(rows)).await
}

/// Saves what is new and what has changed. On SQLite, rows in which nothing has changed that an index names leave the indices alone.
pub async fn save<R: Table>(tx: &mut Tx, rows: &Rows<R>) -> Result<(), Error> {
    insert(tx, rows.inserted()).await?;
    if !tx.is_embedded() {
        return update(tx, rows.updated()).await;
    }
    let Statements { name, columns, update, plain, touch, .. } = R::statements();
    let is_plain: Vec<_> = columns.iter().map(|column| plain.contains(column)).collect();
    let (mut moved, mut touched) = (Vec::new(), Vec::new());
    for (before, after) in rows.changes().filter_map(|(before, after)| Some((before?.cells(), after.cells()))) {
        let differs = |((before, after), is_plain): (_, &bool)| !is_plain && before != after;
        if before.iter().zip(after.iter()).zip(&is_plain).any(differs) {
            moved.push(after);
        } else {
            let mut plain = Cells::default();
            let cells = after.iter().zip(&is_plain).filter(|(_, is_plain)| **is_plain);
            cells.for_each(|(cell, _)| plain.push(cell.value()));
            touched.push(plain);
        }
    }
    overwrite(tx, name, plain, touch, touched).await?;
    overwrite(tx, name, columns, update, moved).await
}

async fn overwrite(
    tx: &mut Tx,
    table: &'static str,
    columns: &[Column],
    sql: &Sql,
    rows: Vec<Cells>,
) -> Result<(), Error> {
    let count = rows.len() as u64;
    if count == 0 { Ok(()) } else { tx.change(table, sql, Args::rows(columns, rows), Some(count)).await }
}

async fn add<'a, R: Table + 'a>(tx: &mut Tx, sql: &Sql, rows: impl IntoIterator<Item = &'a R>) -> Result<(), Error> {
    let (Statements { name, columns, .. }, rows) = (R::statements(), cells(rows));
    if rows.is_empty() { Ok(()) } else { tx.add(name, sql, Args::rows(columns, rows)).await }
}

fn cells<'a, R: Table + 'a>(rows: impl IntoIterator<Item = &'a R>) -> Vec<Cells> {
    rows.into_iter().map(R::cells).collect()
}
