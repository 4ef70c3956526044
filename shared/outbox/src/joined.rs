//! Several statements that write, as parts of one for PostgreSQL: `WITH w0 AS (...), w1 AS (...) SELECT ...`, their parameters counted
//! through. Its one row says how many rows each part wrote that has to be looked at.

use crate::tx::Write;
use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

/// Joined texts that are remembered; what a batch does can only be put together in a few ways.
const REMEMBERED: usize = 256;

/// The parts of a text: each statement, and whether its rows are counted.
type Parts = Vec<(Arc<str>, bool)>;

/// The texts that were put together before.
#[derive(Debug, Default)]
pub(crate) struct Joined(Mutex<HashMap<Parts, Arc<str>>>);

impl Joined {
    /// The text of these writes as one statement.
    pub(crate) fn text(&self, writes: &[Write]) -> Arc<str> {
        let parts: Parts = writes.iter().map(|write| (write.sql.postgres.clone(), write.expected.is_some())).collect();
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = texts.get(&parts) {
            return text.clone();
        }
        if texts.len() == REMEMBERED {
            texts.clear();
        }
        let text: Arc<str> = join(writes).into();
        texts.insert(parts, text.clone());
        text
    }
}

fn join(writes: &[Write]) -> String {
    let (mut parts, mut counts, mut before) = (String::new(), String::new(), 0);
    for (index, write) in writes.iter().enumerate() {
        let (comma, text) = (if index == 0 { "" } else { ", " }, renumber(&write.sql.postgres, before));
        before += write.args.parameters();
        let returning = if write.expected.is_some() { " RETURNING 1" } else { "" };
        let _ = write!(parts, "{comma}w{index} AS ({text}{returning})");
        if write.expected.is_some() {
            let comma = if counts.is_empty() { "" } else { ", " };
            let _ = write!(counts, "{comma}(SELECT count(*) FROM w{index})");
        }
    }
    format!("WITH {parts} SELECT {}", if counts.is_empty() { "1" } else { &counts })
}

/// The text with its parameters beginning after so many others.
fn renumber(text: &str, before: usize) -> String {
    let mut pieces = text.split('$');
    let mut renumbered = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
        let (number, rest) = piece.split_at(end);
        let _ = write!(renumbered, "${}{rest}", number.parse::<usize>().unwrap_or_default() + before);
    }
    renumbered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cell::Kind,
        cells,
        sql::{Args, Sql, columns},
    };

    #[test]
    fn parts_of_one_statement_count_their_parameters_through_and_their_rows_where_it_matters() {
        let columns = columns([("a", Kind::Int), ("b", Kind::Text)]);
        let rows = || Args::rows(&columns, vec![cells![1_i64, "x".to_owned()]]);
        let insert = Sql::new("INSERT INTO t (a, b) SELECT r.a, r.b FROM {rows} WHERE r.a > {1}", &columns);
        let update = Sql::update("u", "b = r.b", "t.a = r.a", &columns);
        let writes = [
            Write { table: "t", adds: true, sql: insert, args: rows().with(&7_i64), expected: None },
            Write { table: "u", adds: false, sql: update, args: rows(), expected: Some(1) },
        ];
        let joined = Joined::default();
        let text = joined.text(&writes);
        assert_eq!(
            &*text,
            "WITH w0 AS (INSERT INTO t (a, b) SELECT r.a, r.b FROM unnest($1::bigint[], $2::text[]) AS r(a, b) WHERE r.a > $3), \
             w1 AS (UPDATE u AS t SET b = r.b FROM unnest($4::bigint[], $5::text[]) AS r(a, b) WHERE t.a = r.a RETURNING 1) \
             SELECT (SELECT count(*) FROM w1)"
        );
        assert!(Arc::ptr_eq(&text, &joined.text(&writes)));
        assert!(join(&writes[..1]).ends_with(") SELECT 1"));
    }
}
