//! Statement texts for both databases from one template, and their arguments. A text is made once, of constants alone;
//! every value is bound. A set of rows is one array for each column on PostgreSQL (`unnest`), so a statement's text does not depend on
//! how many rows it is given. On SQLite it is a list of places (`VALUES`), of which there are few lengths: a larger set takes its turn
//! in parts. What takes rows out of JSON there parses each row once for every column, which took longer than all that was
//! done with them.

use crate::cell::{Cells, Column, Kind, Part};
use std::{
    fmt::Write as _,
    sync::{Arc, OnceLock},
};

/// One statement, for both databases.
#[derive(Clone, Debug)]
pub struct Sql {
    /// For PostgreSQL.
    pub postgres: Arc<str>,
    /// For SQLite.
    pub(crate) sqlite: Arc<Places>,
}

/// How many rows a set has places for on SQLite. Places that are left over are NULL; the first column of a row never is.
pub(crate) const PLACES: [usize; 4] = [1, 4, 16, 64];

/// A statement for SQLite, for each number of places.
#[derive(Debug)]
pub(crate) struct Places {
    template: String,
    columns: usize,
    texts: [OnceLock<Arc<str>>; PLACES.len()],
}

impl Places {
    /// The text with [`PLACES`] of this index.
    pub(crate) fn text(&self, index: usize) -> &Arc<str> {
        self.texts[index].get_or_init(|| {
            let (places, columns) = (PLACES[index], self.columns);
            let row = format!("({})", vec!["?"; columns].join(", "));
            number(&self.template, places * columns).replace("{places}", &vec![row; places].join(", ")).into()
        })
    }
}

impl Sql {
    /// Fills a template: `{rows}` becomes the set of rows, called `r`; `{1}`, `{2}` ... become the single arguments; `{skip}`
    /// becomes `FOR UPDATE OF t SKIP LOCKED` where rows are locked one by one; `{now}` the database's clock in microseconds; `{tx}` the
    /// number of the transaction, on SQLite of the last one that was given one (see [`crate::watch`]).
    pub fn new(template: &str, rows: &[Column]) -> Self {
        Self::each(template, template, rows)
    }

    /// Fills a template for each database, where one text does not serve both.
    pub fn each(postgres: &str, sqlite: &str, rows: &[Column]) -> Self {
        let now = "(extract(epoch FROM now()) * 1000000)::bigint";
        let tx = "pg_current_xact_id()::text::bigint";
        let used = usize::from(postgres.contains("{rows}"));
        let postgres = postgres
            .replace("{rows}", &unnest(rows))
            .replace("{skip}", "FOR UPDATE OF t SKIP LOCKED")
            .replace("{now}", now)
            .replace("{tx}", tx);
        let sqlite = sqlite
            .replace("{rows}", &values(rows))
            .replace("{skip}", "")
            .replace("{now}", "CAST(unixepoch('subsec') * 1000000 AS INTEGER)")
            .replace("{tx}", "(SELECT c.tx FROM watch_clock AS c WHERE c.only = 1)");
        let sqlite = Places { template: sqlite, columns: used * rows.len(), texts: Default::default() };
        Self { postgres: number(&postgres, used * rows.len()).into(), sqlite: sqlite.into() }
    }

    /// A template without a set of rows.
    pub fn plain(template: &str) -> Self {
        Self::new(template, &[])
    }

    /// Looks up the rows `t` of a table that belong `on` each row of the set, in the order of the set. `end`: what comes after
    /// the condition. The set always leads: PostgreSQL keeps the plan of a statement, and one that was made while a table was
    /// empty would lead with that table and read all of it for every batch.
    pub fn look_up(list: &str, table: &str, on: &str, end: &str, rows: &[Column]) -> Self {
        Self::each(
            &format!("SELECT {list} FROM {{rows}} {} {end}", lateral("t.*", table, on, "")),
            &format!("SELECT {list} FROM {{rows}} CROSS JOIN {table} AS t WHERE {on} {end}"),
            rows,
        )
    }

    /// The same, and locks each row when it comes to it: a set in the order of the key is locked in that order.
    pub fn lock(list: &str, table: &str, on: &str, rows: &[Column]) -> Self {
        Self::each(
            &format!("SELECT {list} FROM {{rows}} {}", lateral("t.*", table, on, "FOR UPDATE")),
            &format!("SELECT {list} FROM {{rows}} CROSS JOIN {table} AS t WHERE {on}"),
            rows,
        )
    }

    /// Changes the rows `t` of a table that belong `on` a row of the set. One that another process is changing is waited for, and
    /// changed as it is then.
    pub fn update(table: &str, set: &str, on: &str, rows: &[Column]) -> Self {
        Self::new(&format!("UPDATE {table} AS t SET {set} FROM {{rows}} WHERE {on}"), rows)
    }

    /// The same for rows that nobody else can change meanwhile, as an earlier statement has locked them, or what they belong to. They
    /// are found as by [`Sql::look_up`], and changed where they are.
    pub fn overwrite(table: &str, set: &str, on: &str, rows: &[Column]) -> Self {
        let found = lateral("t.ctid AS found_at", table, on, "");
        // SQLite takes the set for a large one and would go through the table, looking each row up in the set; not by an expression.
        let found_in_table = on.replace("= r.", "= +r.");
        Self::each(
            &format!(
                "UPDATE {table} AS t SET {set} FROM (SELECT r.*, t.found_at FROM {{rows}} {found}) AS r \
                 WHERE t.ctid = r.found_at"
            ),
            &format!("UPDATE {table} AS t SET {set} FROM {{rows}} WHERE {found_in_table}"),
            rows,
        )
    }

    /// Removes the rows of a table that have the same `key` as a row of the set.
    pub fn delete(table: &str, key: &[&str], rows: &[Column]) -> Self {
        let of_r = key.iter().map(|name| format!("r.{name}")).collect::<Vec<_>>().join(", ");
        // EXISTS would make SQLite walk the whole table; IN over row values looks each key up.
        Self::new(&format!("DELETE FROM {table} WHERE ({}) IN (SELECT {of_r} FROM {{rows}})", key.join(", ")), rows)
    }
}

/// PostgreSQL plans what is behind OFFSET by itself, so this can only be run once for each row of the set.
fn lateral(list: &str, table: &str, on: &str, lock: &str) -> String {
    format!("CROSS JOIN LATERAL (SELECT {list} FROM {table} AS t WHERE {on} OFFSET 0 {lock}) AS t")
}

/// Columns of a set of rows.
pub fn columns<const N: usize>(columns: [(&str, Kind); N]) -> Vec<Column> {
    columns.into_iter().map(|(name, kind)| Column { name: name.to_owned(), kind }).collect()
}

fn number(text: &str, offset: usize) -> String {
    (1..=12).fold(text.to_owned(), |text, n| text.replace(&format!("{{{n}}}"), &format!("${}", n + offset)))
}

fn unnest(columns: &[Column]) -> String {
    let (mut arrays, mut names) = (String::new(), String::new());
    for (index, column) in columns.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let kind = match column.kind {
            Kind::Uuid => "uuid",
            Kind::Int => "bigint",
            Kind::Small => "smallint",
            Kind::Bool => "boolean",
            Kind::Text => "text",
            Kind::Bytes => "bytea",
        };
        let _ = write!(arrays, "{comma}${}::{kind}[]", index + 1);
        let _ = write!(names, "{comma}{}", column.name);
    }
    format!("unnest({arrays}) AS r({names})")
}

fn values(columns: &[Column]) -> String {
    let named = columns.iter().enumerate().map(|(index, column)| format!("column{} AS {}", index + 1, column.name));
    let named = named.collect::<Vec<_>>().join(", ");
    format!("(SELECT {named} FROM (VALUES {{places}}) WHERE column1 IS NOT NULL) AS r")
}

/// Arguments of one statement: at most one set of rows, then single values.
#[derive(Clone, Debug, Default)]
pub struct Args {
    /// Kinds of the set's columns.
    pub(crate) kinds: Vec<Kind>,
    /// The set's rows.
    pub(crate) rows: Vec<Cells>,
    /// Single values.
    pub(crate) values: Cells,
    /// Their kinds.
    pub(crate) value_kinds: Vec<Kind>,
}

impl Args {
    /// A set of rows with these columns.
    pub fn rows(columns: &[Column], rows: Vec<Cells>) -> Self {
        Self { kinds: columns.iter().map(|column| column.kind).collect(), rows, ..Self::default() }
    }

    /// No set of rows.
    pub fn none() -> Self {
        Self::default()
    }

    /// With one more single value, which must be of a type that fills one column.
    pub fn with<T: Part>(mut self, value: &T) -> Self {
        self.value_kinds.extend(T::columns("").into_iter().map(|column| column.kind));
        T::write(Some(value), &mut self.values);
        self
    }

    /// How many parameters they fill on PostgreSQL.
    pub(crate) fn parameters(&self) -> usize {
        self.kinds.len() + self.value_kinds.len()
    }
}

/// Cells of some values, in order, as one row of a set.
#[macro_export]
macro_rules! cells {
    ($($value:expr),+ $(,)?) => {{
        let mut cells = $crate::cell::Cells::default();
        $($crate::cell::Part::write(Some(&$value), &mut cells);)+
        cells
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_becomes_one_text_for_each_database() {
        let sql = Sql::new(
            "SELECT t.a FROM {rows} CROSS JOIN t WHERE t.id = r.id AND t.b = {1} {skip}",
            &columns([("id", Kind::Uuid), ("n", Kind::Int)]),
        );
        assert_eq!(
            &*sql.postgres,
            "SELECT t.a FROM unnest($1::uuid[], $2::bigint[]) AS r(id, n) CROSS JOIN t WHERE t.id = r.id AND t.b = $3 FOR UPDATE OF t SKIP LOCKED"
        );
        let set = "(SELECT column1 AS id, column2 AS n FROM (VALUES (?, ?)) WHERE column1 IS NOT NULL) AS r";
        assert_eq!(
            **sql.sqlite.text(0),
            *format!("SELECT t.a FROM {set} CROSS JOIN t WHERE t.id = r.id AND t.b = $3 ")
        );
        assert!(sql.sqlite.text(1).contains("VALUES (?, ?), (?, ?), (?, ?), (?, ?))"), "{}", sql.sqlite.text(1));
        assert!(sql.sqlite.text(1).ends_with("t.b = $9 "), "{}", sql.sqlite.text(1));
    }

    #[test]
    fn a_set_leads_to_the_rows_that_it_overwrites() {
        let sql = Sql::overwrite("t", "b = r.b", "t.id = r.id", &columns([("id", Kind::Uuid), ("b", Kind::Int)]));
        assert!(sql.sqlite.text(0).ends_with(" AS r WHERE t.id = +r.id"), "{}", sql.sqlite.text(0));
        assert!(sql.postgres.contains("CROSS JOIN LATERAL") && !sql.postgres.contains('+'), "{}", sql.postgres);
    }
}
