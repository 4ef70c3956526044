//! What is found: subjects by their entries, or close-outs with the number of their subject. The columns that a walk goes along,
//! and the newest records of several customers or subjects at once.

use super::Entry;
use crate::{
    cell::{Cells, Column, Kind},
    db::{Db, Error},
    sql::{Args, Sql, columns},
    table::Table,
};
use std::{cmp::Reverse, collections::BTreeMap, sync::LazyLock};

/// Whether subjects of a service are found, or their close-outs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Opportunities or orders, the last created first.
    Subjects,
    /// Records of close-outs, the last recorded first.
    CloseOuts,
}

static WHOSE: LazyLock<Vec<Column>> = LazyLock::new(|| {
    columns([
        ("tenant_id", Kind::Uuid),
        ("whose", Kind::Uuid),
        ("before_at", Kind::Int),
        ("before_id", Kind::Uuid),
        ("lead", Kind::Int),
    ])
});

impl Source {
    /// The cells of an [`Entry`], of `t`.
    pub(super) fn list(self) -> &'static str {
        match self {
            Self::Subjects => &Entry::statements().list,
            Self::CloseOuts => {
                // Not a join: each number by its key, whatever the planner thinks of the two tables.
                "t.tenant_id, t.close_out_id, coalesce((SELECT s.number FROM search_subject AS s \
                 WHERE s.tenant_id = t.tenant_id AND s.subject_id = t.subject_id), ''), t.customer_id, t.actor, t.closed_at, \
                 t.amount_minor, t.amount_currency"
            }
        }
    }

    pub(super) fn table(self) -> &'static str {
        match self {
            Self::Subjects => "search_subject",
            Self::CloseOuts => "close_out",
        }
    }

    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Subjects => "subject_id",
            Self::CloseOuts => "close_out_id",
        }
    }

    pub(super) fn owner(self) -> &'static str {
        match self {
            Self::Subjects => "owner",
            Self::CloseOuts => "actor",
        }
    }

    pub(super) fn time(self) -> &'static str {
        match self {
            Self::Subjects => "created_at",
            Self::CloseOuts => "closed_at",
        }
    }

    /// By which time the newest come first in an index; none: by id, which is by when they were recorded.
    pub(super) fn newest(self) -> Option<&'static str> {
        match self {
            Self::Subjects => Some("created_at"),
            Self::CloseOuts => None,
        }
    }

    /// The newest records of each, `most` at most, by the number of the lead.
    pub(super) async fn newest_of_each(
        self,
        db: &Db,
        by_number: bool,
        sets: Vec<Cells>,
        most: i64,
    ) -> Result<BTreeMap<i64, Vec<Entry>>, Error> {
        static OF_CUSTOMERS: LazyLock<[Sql; 2]> =
            LazyLock::new(|| [Source::Subjects, Source::CloseOuts].map(of_customers));
        static OF_SUBJECTS: LazyLock<[Sql; 2]> =
            LazyLock::new(|| [Source::Subjects, Source::CloseOuts].map(of_subjects));
        let mut found = BTreeMap::<_, Vec<Entry>>::new();
        if sets.is_empty() {
            return Ok(found);
        }
        let [subjects, close_outs] = if by_number { &*OF_SUBJECTS } else { &*OF_CUSTOMERS };
        let sql = if self == Self::Subjects { subjects } else { close_outs };
        for row in db.read(sql, Args::rows(&WHOSE, sets).with(&most)).await? {
            found.entry(row.get(Entry::statements().columns.len())?).or_default().push(Entry::read(&row)?);
        }
        for entries in found.values_mut() {
            entries.sort_by_key(|entry| Reverse((self.newest().map(|_| entry.created_at), entry.subject_id)));
        }
        Ok(found)
    }
}

/// The customer leads in each comparison, as in the index: no other index serves it, so statistics have no say in it.
fn of_customers(source: Source) -> Sql {
    match source {
        Source::Subjects => newest(
            source,
            "(i.customer_id, i.created_at, i.subject_id) < (r.whose, r.before_at, r.before_id) \
             AND i.customer_id >= r.whose",
            "i.customer_id DESC, i.created_at DESC, i.subject_id DESC",
        ),
        Source::CloseOuts => newest(
            source,
            "(i.customer_id, i.close_out_id) < (r.whose, r.before_id) AND i.customer_id >= r.whose",
            "i.customer_id DESC, i.close_out_id DESC",
        ),
    }
}

/// By the key of the subject; what is an expression is not looked up in an index.
fn of_subjects(source: Source) -> Sql {
    match source {
        Source::Subjects => {
            newest(source, "i.subject_id = r.whose AND coalesce(i.created_at, 0) < r.before_at", "i.subject_id")
        }
        Source::CloseOuts => newest(
            source,
            "i.subject_kind IN (2, 3) AND i.subject_id = r.whose \
             AND coalesce(i.close_out_id, i.close_out_id) < r.before_id",
            "i.episode DESC",
        ),
    }
}

/// For each row of the set the newest records, straight from the end of an index. SQLite has no LATERAL.
fn newest(source: Source, which: &str, order: &str) -> Sql {
    let (list, table, id) = (source.list(), source.table(), source.id());
    let each = |columns: &str| {
        format!(
            "SELECT {columns} FROM {table} AS i WHERE i.tenant_id = r.tenant_id AND {which} ORDER BY {order} LIMIT {{1}}"
        )
    };
    Sql::each(
        &format!("SELECT {list}, r.lead FROM {{rows}} CROSS JOIN LATERAL ({}) AS t", each("i.*")),
        &format!(
            "SELECT {list}, r.lead FROM {{rows}} CROSS JOIN {table} AS t \
             WHERE t.tenant_id = r.tenant_id AND t.{id} IN ({})",
            each(&format!("i.{id}"))
        ),
        &WHOSE,
    )
}
