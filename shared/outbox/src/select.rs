//! Lists: one table, the filters that were given, a page by id. The text is put together from names of this program; every
//! value is bound.

use crate::{
    cell::{Column, Part},
    db::{Db, Error},
    sql::{Args, Sql},
    table::Table,
};
use crm_closeout::{codes::Code, ids::TenantId};
use std::{fmt::Write as _, marker::PhantomData};
use uuid::Uuid;

/// Which end of a list comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    Oldest,
    /// Newest first.
    Newest,
}

/// A query of one table in one tenant.
#[derive(Debug)]
pub struct Select<R> {
    conditions: String,
    args: Args,
    count: usize,
    found: bool,    // a filter finds the rows already
    by_state: bool, // that filter is their state, so the table of states leads
    row: PhantomData<R>,
}

impl<R: Table> Select<R> {
    /// Every row of the tenant.
    pub fn of(tenant: TenantId) -> Self {
        let select = Self {
            conditions: String::new(),
            args: Args::none(),
            count: 0,
            found: false,
            by_state: false,
            row: PhantomData,
        };
        select.filter("tenant_id", "=", Some(&tenant))
    }

    /// Only where the column is this (or these: a record has two), if a value is given. The first filter with a value finds the
    /// rows by its index, in the order of the page unless they are few, and those after it only look at them: so name the one
    /// first that leaves fewer. Statistics have no say in it.
    pub fn equal<T: Part>(mut self, column: &'static str, value: Option<&T>) -> Self {
        let Some(value) = value else { return self };
        for Column { name, .. } in T::columns(column) {
            // An expression is not looked up in an index of the column.
            let text = if self.found { format!("coalesce(t.{name}, t.{name}) =") } else { format!("t.{name} =") };
            self.condition(&text);
        }
        self.args = self.args.with(value);
        self.found = true;
        self
    }

    /// Only subjects in this state, if one is given; else as [`Select::equal`].
    pub fn in_state<S: Code>(mut self, state: Option<&S>) -> Self {
        let Some(state) = state else { return self };
        if self.found {
            return self.equal("state", Some(&state.code()));
        }
        (self.found, self.by_state) = (true, true);
        self.conditions.push_str(" AND w.tenant_id = {1}");
        // In the subject's row, too: it may have been moved since by a version that does not know of that table.
        for column in ["w.state =", "t.state ="] {
            self.condition(column);
            self.args = self.args.with(&state.code());
        }
        self
    }

    /// Only where the text column is this, if it is not empty; else as [`Select::equal`].
    pub fn text(self, column: &'static str, value: &str) -> Self {
        let value = (!value.is_empty()).then(|| value.to_owned());
        self.equal(column, value.as_ref())
    }

    /// Only where this flag is set. In plain words, as an index that holds just these rows is found by them.
    pub fn holds(mut self, flag: &'static str) -> Self {
        let _ = write!(self.conditions, " AND t.{flag}");
        self
    }

    /// Only where the column is below this, if a value is given.
    pub fn below<T: Part>(self, column: &'static str, value: Option<&T>) -> Self {
        self.filter(column, "<", value)
    }

    fn filter<T: Part>(mut self, column: &'static str, operator: &str, value: Option<&T>) -> Self {
        let Some(value) = value else { return self };
        self.args = self.args.with(value);
        self.condition(&format!("t.{column} {operator}"));
        self
    }

    fn condition(&mut self, text: &str) {
        self.count += 1;
        let joint = if self.count == 1 { "WHERE" } else { " AND" };
        let _ = write!(self.conditions, "{joint} {text} {{{}}}", self.count);
    }

    /// Whether there is any.
    pub async fn any(self, db: &Db) -> Result<bool, Error> {
        let text = format!("SELECT 1 FROM {} AS t {} LIMIT 1", R::statements().name, self.conditions);
        Ok(!db.read(&Sql::plain(&text), self.args).await?.is_empty())
    }

    /// Reads a page: those beyond `after` by the id in `column`, one more than `size` to see whether another page follows.
    pub async fn page(
        self,
        db: &Db,
        column: &'static str,
        order: Order,
        after: Option<Uuid>,
        size: usize,
    ) -> Result<Vec<R>, Error> {
        let (beyond, direction) = match order {
            Order::Oldest => (">", "ASC"),
            Order::Newest => ("<", "DESC"),
        };
        let id = if self.by_state { "w.subject_id".to_owned() } else { format!("t.{column}") };
        let mut this = self;
        if let Some(after) = after {
            this.args = this.args.with(&after);
            this.condition(&format!("{id} {beyond}"));
        }
        let text = |from: &str| {
            let (list, conditions, limit) = (&R::statements().list, &this.conditions, this.count + 1);
            format!("SELECT {list} FROM {from} {conditions} ORDER BY {id} {direction} LIMIT {{{limit}}}")
        };
        let name = R::statements().name;
        let sql = if this.by_state {
            let on = format!("t.tenant_id = w.tenant_id AND t.{column} = w.subject_id");
            let lead = "subject_in_state AS w CROSS JOIN";
            let postgres = format!("{lead} LATERAL (SELECT * FROM {name} AS t WHERE {on} OFFSET 0) AS t");
            Sql::each(&text(&postgres), &text(&format!("{lead} {name} AS t ON {on}")), &[])
        } else {
            Sql::plain(&text(&format!("{name} AS t")))
        };
        let limit = i64::try_from(size).unwrap_or(i64::MAX).saturating_add(1);
        db.read_table(&sql, this.args.with(&limit)).await
    }
}
