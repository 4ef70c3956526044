//! How records are found: each walk goes along one index, a step at a time, from a [`Place`] in it. A step reads no more rows than
//! it is told, whatever there is to be found.
//!
//! A walk over numbers or names finds first what leads to records (a number, a customer by a part of its name), then the newest
//! records of each, in that order. Every other walk goes along the records themselves, the greatest value first.

use super::{Entry, NamePart, Names, learn_names, source::Source};
use crate::{
    cells,
    db::{Db, Error},
    sql::{Args, Sql},
    table::Table,
};
use crm_closeout::{
    ids::{CustomerId, TenantId},
    money::Currency,
    search::{Query, end, fold},
};
use std::sync::LazyLock;
use uuid::Uuid;

/// Along which index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Walk {
    /// Numbers that are this text or, unless `exact`, begin with it.
    Numbers {
        /// The text.
        query: Query,
        /// No longer ones.
        exact: bool,
    },
    /// Customers whose name begins with a text or, if `inside`, contains it further on.
    Names {
        /// The text.
        query: Query,
        /// Not at the beginning.
        inside: bool,
    },
    /// The records of a customer.
    Customer(CustomerId),
    /// Close-outs with a reason.
    Reason(String),
    /// The records of an owner, close-outs by an actor.
    Owner(String),
    /// The records worth so much.
    Amount {
        /// In this currency.
        currency: Currency,
        /// At least.
        least: i64,
        /// At most.
        most: i64,
    },
    /// All records, the newest first; close-outs by when they count as closed.
    Time,
}

/// Between which times: from the one on, before the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// From this one on.
    pub from: i64,
    /// Before this one.
    pub until: i64,
}

/// Where a walk has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// At this number or part of a name ...
    pub text: String,
    /// ... of this subject or customer ...
    pub whose: Uuid,
    /// ... after so many letters of the name.
    pub letters: i64,
    /// At the records beyond this time or amount ...
    pub at: i64,
    /// ... and where it is the same beyond this id.
    pub id: Uuid,
}

/// What a step of a walk came to.
#[derive(Debug)]
pub struct Step {
    /// The records, each with the place behind it.
    pub entries: Vec<(Entry, Place)>,
    /// Where to go on; none: the walk is over.
    pub next: Option<Place>,
    /// How many rows were looked at.
    pub looked: usize,
    /// Names of customers that were read.
    pub names: Names,
}

/// What leads to records: a number, or a part of a name.
struct Lead {
    text: String,
    /// Whose it is.
    whose: Uuid,
    letters: i64,
    /// It is what is asked for.
    fits: bool,
}

impl Walk {
    /// Where it begins.
    pub fn begin(&self, span: Span) -> Place {
        let text = match self {
            Self::Numbers { query, .. } | Self::Names { query, inside: false } => query.text().to_owned(),
            Self::Names { query, inside: true } => query.narrowed(),
            Self::Customer(_) | Self::Reason(_) | Self::Owner(_) | Self::Amount { .. } | Self::Time => String::new(),
        };
        let (at, id) = if let Self::Amount { most, .. } = self { (*most, Uuid::max()) } else { span.newest() };
        Place { text, whose: Uuid::nil(), letters: 0, at, id }
    }
}

impl Span {
    /// Every time.
    pub const ALL: Self = Self { from: i64::MIN, until: i64::MAX };

    /// Before every record of it: `until` itself is no part of it.
    const fn newest(self) -> (i64, Uuid) {
        if self.until == i64::MAX { (i64::MAX, Uuid::max()) } else { (self.until, Uuid::nil()) }
    }
}

/// One source in one tenant, as it is walked through.
#[derive(Clone, Copy, Debug)]
pub struct Walker<'a> {
    /// The database.
    pub db: &'a Db,
    /// Whose.
    pub tenant: TenantId,
    /// What is found.
    pub source: Source,
    /// Only of these times. Where the index does not know the time, others are found, too.
    pub span: Span,
}

impl Walker<'_> {
    /// One step from a place on; about `size` records are wanted.
    pub async fn step(&self, walk: &Walk, place: Place, size: usize) -> Result<Step, Error> {
        let args = Args::none().with(&self.tenant);
        let newest = self.source.newest().map(|column| (column, self.span.from));
        let (equal, key, args) = match walk {
            Walk::Numbers { query, exact } => {
                let leads = self.numbers(query, *exact, &place, leads_of(size)).await?;
                return self.records(leads, Names::new(), place, true, size).await;
            }
            Walk::Names { query, inside } => {
                let (leads, names) = self.names(query, *inside, &place, leads_of(size)).await?;
                return self.records(leads, names, place, false, size).await;
            }
            Walk::Customer(customer) => (Some("customer_id"), newest, args.with(customer)),
            Walk::Reason(reason) => (Some("reason_code"), newest, args.with(reason)),
            Walk::Owner(owner) => (Some(self.source.owner()), newest, args.with(owner)),
            Walk::Amount { currency, least, .. } => {
                (Some("amount_currency"), Some(("amount_minor", *least)), args.with(currency))
            }
            Walk::Time => (None, Some((self.source.time(), self.span.from)), args),
        };
        self.along(equal, key, args, place, size).await
    }

    /// Along an index: where `equal` is the last argument, down from the place by `key` to its least value, or by id alone. What is
    /// equal leads in the comparison, as in the index: no other index serves it, so statistics have no say in it. The least
    /// value is looked for here, as PostgreSQL would walk on to the end for it.
    async fn along(
        &self,
        equal: Option<&str>,
        key: Option<(&str, i64)>,
        mut args: Args,
        place: Place,
        size: usize,
    ) -> Result<Step, Error> {
        let (id, list, table) = (self.source.id(), self.source.list(), self.source.table());
        let columns: Vec<_> = [equal, key.map(|(column, _)| column), Some(id)].into_iter().flatten().collect();
        let each = |text: &dyn Fn(usize, &str) -> String| {
            columns.iter().enumerate().map(|(at, column)| text(at, column)).collect::<Vec<_>>().join(", ")
        };
        let (these, those) = (each(&|_, column| format!("t.{column}")), each(&|at, _| format!("{{{}}}", at + 2)));
        let (order, last) = (each(&|_, column| format!("t.{column} DESC")), columns.len() + 2);
        let from = equal.map_or_else(String::new, |column| format!(" AND t.{column} >= {{2}}"));
        let text = format!(
            "SELECT {list} FROM {table} AS t WHERE t.tenant_id = {{1}} AND ({these}) < ({those}){from} \
             ORDER BY {order} LIMIT {{{last}}}"
        );
        if key.is_some() {
            args = args.with(&place.at);
        }
        let args = args.with(&place.id).with(&limit(size));
        let entries: Vec<Entry> = self.db.read_table(&Sql::plain(&text), args).await?;
        let by_amount = equal == Some("amount_currency");
        let behind = |entry: Entry| {
            let at = if by_amount { entry.amount.minor } else { entry.created_at.0 };
            let place = Place { at, id: entry.subject_id, ..place.clone() };
            (entry, place)
        };
        let (looked, least) = (entries.len(), key.map_or(i64::MIN, |(_, least)| least));
        let mut entries: Vec<_> = entries.into_iter().map(behind).collect();
        entries.retain(|(_, place)| key.is_none() || place.at >= least);
        let next = entries.last().filter(|_| entries.len() == size).map(|(_, place)| place.clone());
        Ok(Step { entries, next, looked, names: Names::new() })
    }

    /// Numbers from the place on, that one included.
    async fn numbers(&self, query: &Query, exact: bool, place: &Place, size: usize) -> Result<Vec<Lead>, Error> {
        static NUMBERS: LazyLock<Sql> = LazyLock::new(|| {
            let text = format!(
                "SELECT {} FROM search_subject AS t WHERE t.tenant_id = {{1}} AND (t.number, t.subject_id) >= ({{2}}, {{3}}) \
                 AND t.number <= {{4}} ORDER BY t.number, t.subject_id LIMIT {{5}}",
                Entry::statements().list
            );
            Sql::plain(&text)
        });
        let last = if exact { query.text().to_owned() } else { end(query.text()) };
        let args = Args::none().with(&self.tenant).with(&place.text).with(&place.whose).with(&last).with(&limit(size));
        let entries: Vec<Entry> = self.db.read_table(&NUMBERS, args).await?;
        let lead = |entry: Entry| Lead { text: entry.number, whose: entry.subject_id, letters: 0, fits: true };
        Ok(entries.into_iter().map(lead).collect())
    }

    /// Parts of names from the place on, that one included.
    async fn names(
        &self,
        query: &Query,
        inside: bool,
        place: &Place,
        size: usize,
    ) -> Result<(Vec<Lead>, Names), Error> {
        static NAMES: LazyLock<Sql> = LazyLock::new(|| {
            let text = format!(
                "SELECT {} FROM search_name AS t WHERE t.tenant_id = {{1}} AND t.inside = {{2}} \
                 AND (t.part, t.customer_id, t.place) >= ({{3}}, {{4}}, {{5}}) AND t.part <= {{6}} \
                 ORDER BY t.part, t.customer_id, t.place LIMIT {{7}}",
                NamePart::statements().list
            );
            Sql::plain(&text)
        });
        let last = if inside { end(&query.narrowed()) } else { end(query.text()) };
        let args = Args::none().with(&self.tenant).with(&inside).with(&place.text).with(&place.whose);
        let args = args.with(&place.letters).with(&last).with(&limit(size));
        let parts: Vec<NamePart> = self.db.read_table(&NAMES, args).await?;
        let mut names = Names::new();
        learn_names(self.db, self.tenant, parts.iter().map(|part| part.customer_id), &mut names).await?;
        // The first place in the whole name counts, and only as the name is now.
        let fits = |part: &NamePart| {
            let (_, found) = query.name(&fold(names.get(&part.customer_id)?))?;
            Some(i64::try_from(found.at) == Ok(part.place) && found.text == part.part)
        };
        let lead = |part: NamePart| Lead {
            fits: fits(&part) == Some(true),
            text: part.part,
            whose: part.customer_id.0,
            letters: part.place,
        };
        let leads = parts.into_iter().map(lead).collect();
        Ok((leads, names))
    }

    /// The records that these lead to, those of the lead at the place from there on.
    async fn records(
        &self,
        leads: Vec<Lead>,
        names: Names,
        place: Place,
        by_number: bool,
        size: usize,
    ) -> Result<Step, Error> {
        let most = most_of_each(size);
        let begun = (place.text.as_str(), place.whose, place.letters);
        let mut sets = Vec::new();
        for (number, lead) in leads.iter().enumerate().filter(|(_, lead)| lead.fits) {
            let is_begun = (lead.text.as_str(), lead.whose, lead.letters) == begun;
            let (at, id) = if is_begun { (place.at, place.id) } else { self.span.newest() };
            sets.push(cells![self.tenant, lead.whose, at, id, limit(number)]);
        }
        let mut found = self.source.newest_of_each(self.db, by_number, sets, limit(most)).await?;
        let looked = leads.len() + found.values().map(Vec::len).sum::<usize>();
        let (mut entries, full) = (Vec::new(), leads.len() == leads_of(size));
        for (number, lead) in leads.into_iter().enumerate() {
            let behind = |at, id| Place { text: lead.text.clone(), whose: lead.whose, letters: lead.letters, at, id };
            let of_lead = found.remove(&limit(number)).unwrap_or_default();
            let is_over = |entry: &Entry| self.source.newest().is_some() && entry.created_at.0 < self.span.from;
            let cut = of_lead.len() == most && !of_lead.last().is_some_and(is_over);
            entries.extend(of_lead.into_iter().map(|entry| {
                let place = behind(entry.created_at.0, entry.subject_id);
                (entry, place)
            }));
            if cut {
                let next = entries.last().map(|(_, place)| place.clone());
                return Ok(Step { entries, next, looked, names });
            }
            if full && number + 1 == leads_of(size) {
                return Ok(Step { entries, next: Some(behind(i64::MIN, Uuid::nil())), looked, names });
            }
        }
        Ok(Step { entries, next: None, looked, names })
    }
}

/// How many leads a step reads, and ...
fn leads_of(size: usize) -> usize {
    (size / 8).clamp(8, 64)
}

/// ... how many records of each.
fn most_of_each(size: usize) -> usize {
    (1_024 + 2 * size) / leads_of(size)
}

fn limit(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
