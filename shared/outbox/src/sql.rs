//! Statement texts for both databases from one template, and their arguments. A text is made once, of constants alone;
//! every value is bound. A set of rows is one array for each column on PostgreSQL (`unnest`) and one JSON document on SQLite
//! (`json_each`), so a statement's text does not depend on how many rows it is given.

use crate::cell::{Cell, Column, Kind, Part};
use serde_json::Value;
use std::{fmt::Write as _, sync::Arc};

/// One statement, for both databases.
#[derive(Clone, Debug)]
pub struct Sql {
    /// For PostgreSQL.
    pub postgres: Arc<str>,
    /// For SQLite.
    pub sqlite: Arc<str>,
}

impl Sql {
    /// Fills a template: `{rows}` becomes the set of rows, called `r`; `{1}`, `{2}` ... become the single arguments; `{lock}`
    /// becomes `FOR UPDATE OF t` where rows are locked one by one; `{skip}` the same, passing over what is locked; `{now}`
    /// the database's clock in microseconds.
    pub fn new(template: &str, rows: &[Column]) -> Self {
        Self::each(template, template, rows)
    }

    /// Fills a template for each database, where one text does not serve both.
    pub fn each(postgres: &str, sqlite: &str, rows: &[Column]) -> Self {
        let now = "(extract(epoch FROM now()) * 1000000)::bigint";
        let used = usize::from(postgres.contains("{rows}"));
        let postgres = postgres
            .replace("{rows}", &unnest(rows))
            .replace("{lock}", "FOR UPDATE OF t")
            .replace("{skip}", "FOR UPDATE OF t SKIP LOCKED")
            .replace("{now}", now);
        let sqlite = sqlite
            .replace("{rows}", &json_each(rows))
            .replace("{lock}", "")
            .replace("{skip}", "")
            .replace("{now}", "CAST(unixepoch('subsec') * 1000000 AS INTEGER)");
        Self { postgres: number(&postgres, used * rows.len()).into(), sqlite: number(&sqlite, used).into() }
    }

    /// A template without a set of rows.
    pub fn plain(template: &str) -> Self {
        Self::new(template, &[])
    }
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

fn json_each(columns: &[Column]) -> String {
    let mut fields = String::new();
    for (index, column) in columns.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let value = match column.kind {
            Kind::Uuid | Kind::Bytes => format!("unhex(value->>{index})"),
            Kind::Int | Kind::Small | Kind::Bool | Kind::Text => format!("value->>{index}"),
        };
        let _ = write!(fields, "{comma}{value} AS {}", column.name);
    }
    format!("(SELECT {fields} FROM json_each($1)) AS r")
}

/// Arguments of one statement: at most one set of rows, then single values.
#[derive(Clone, Debug, Default)]
pub struct Args {
    /// Kinds of the set's columns.
    pub(crate) kinds: Vec<Kind>,
    /// The set's rows.
    pub(crate) rows: Vec<Vec<Cell>>,
    /// Single values.
    pub(crate) values: Vec<Cell>,
}

impl Args {
    /// A set of rows with these columns.
    pub fn rows(columns: &[Column], rows: Vec<Vec<Cell>>) -> Self {
        Self { kinds: columns.iter().map(|column| column.kind).collect(), rows, values: Vec::new() }
    }

    /// No set of rows.
    pub fn none() -> Self {
        Self::default()
    }

    /// With one more single value, which must be of a type that fills one column.
    pub fn with<T: Part>(mut self, value: &T) -> Self {
        T::write(Some(value), &mut self.values);
        self
    }

    /// The set as one JSON document: an array of arrays; ids and bytes as hexadecimal text.
    pub(crate) fn json(&self) -> String {
        let rows = self.rows.iter().map(|row| Value::Array(row.iter().map(json_cell).collect()));
        Value::Array(rows.collect()).to_string()
    }
}

fn json_cell(cell: &Cell) -> Value {
    match cell {
        Cell::Uuid(value) => value.map(|id| id.simple().to_string()).into(),
        Cell::Int(value) => (*value).into(),
        Cell::Small(value) => (*value).into(),
        Cell::Bool(value) => (*value).into(),
        Cell::Text(value) => value.clone().into(),
        Cell::Bytes(value) => value.as_deref().map(hex).into(),
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Cells of some values, in order, as one row of a set.
#[macro_export]
macro_rules! cells {
    ($($value:expr),+ $(,)?) => {{
        let mut cells = Vec::new();
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
            "SELECT t.a FROM {rows} CROSS JOIN t WHERE t.id = r.id AND t.b = {1} {lock}",
            &columns([("id", Kind::Uuid), ("n", Kind::Int)]),
        );
        assert_eq!(
            &*sql.postgres,
            "SELECT t.a FROM unnest($1::uuid[], $2::bigint[]) AS r(id, n) CROSS JOIN t WHERE t.id = r.id AND t.b = $3 FOR UPDATE OF t"
        );
        assert_eq!(
            &*sql.sqlite,
            "SELECT t.a FROM (SELECT unhex(value->>0) AS id, value->>1 AS n FROM json_each($1)) AS r CROSS JOIN t WHERE t.id = r.id AND t.b = $2 "
        );
    }

    #[test]
    fn a_set_of_rows_is_one_json_document_for_sqlite() {
        let id = uuid::Uuid::from_u128(10);
        let args =
            Args { rows: vec![crate::cells![id, 7_i64, "it's \"x\"".to_owned(), vec![0_u8, 255]]], ..Args::none() };
        assert_eq!(args.json(), r#"[["0000000000000000000000000000000a",7,"it's \"x\"","00ff"]]"#);
    }
}
