//! Exchange rates: the table, what the close-outs of a batch need of it, and what the API lists. An id is made of the currencies and
//! the time and is in their order, so the rate of a time is the last one up to the id that a rate of that time would have.

use crate::{
    cell::{Cells, Column, Kind, Part},
    cells,
    db::{Db, Error, Row, Tx},
    part_as,
    select::{Order, Select},
    sql::{Sql, columns},
    table,
};
use crm_closeout::{
    exchange::{Asked, Entry, Key, Rate, Told},
    ids::TenantId,
    money::Currency,
    time::Time,
    working_set::{Common, Owner},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};
use uuid::Uuid;

part_as!(Rate, i64, |rate| rate.units(), |units| Rate::of_units(units).ok_or_else(|| format!("{units} is no rate")));

/// The currencies and the time stand in columns of their own, too, for people who look.
impl Part for Told {
    fn columns(_: &str) -> Vec<Column> {
        columns([
            ("exchange_rate_id", Kind::Uuid),
            ("to_currency", Kind::Text),
            ("currency", Kind::Text),
            ("effective_at", Kind::Int),
            ("rate", Kind::Int),
            ("revision", Kind::Int),
        ])
    }

    fn write(value: Option<&Self>, cells: &mut Cells) {
        let key = value.map(|told| told.key);
        Part::write(key.map(Key::id).as_ref(), cells);
        Part::write(key.map(|key| key.to).as_ref(), cells);
        Part::write(key.map(|key| key.currency).as_ref(), cells);
        Part::write(key.map(|key| key.effective_at).as_ref(), cells);
        Part::write(value.and_then(|told| told.rate.as_ref()), cells);
        Part::write(value.map(|told| &told.revision), cells);
    }

    fn read(row: &Row, at: &mut usize) -> Result<Option<Self>, Error> {
        let Some(id) = Uuid::read(row, at)? else { return Ok(None) };
        *at += 3;
        let (rate, revision) = (Rate::read(row, at)?, i64::read(row, at)?);
        let told = Key::of_id(id).zip(revision).map(|(key, revision)| Self { key, rate, revision });
        told.map(Some).ok_or_else(|| Error::Corrupt(format!("{id} is no id of an exchange rate")))
    }
}

table!(
    Entry = "exchange_rate",
    key |key| [tenant_id: TenantId = key.0, exchange_rate_id: Uuid = key.1],
    { tenant_id: TenantId, told: Told, sent: i64, updated_at: Time }
);

/// The subjects that a batch closes out and when, and the currencies in which they may be worth something by then.
#[derive(Debug, Default)]
pub struct Priced {
    closes: Vec<(Owner, Time)>,
    worth: BTreeMap<Owner, Vec<Currency>>,
}

impl Priced {
    /// This subject, or those below this one, may be closed out as of this time.
    pub fn closes(&mut self, subject: Owner, at: Time) {
        self.closes.push((subject, at));
    }

    /// It is worth something in this currency, or so are those below it: as it was loaded, or as the batch changes it.
    pub fn is_worth(&mut self, subject: Owner, currency: Currency) {
        self.worth.entry(subject).or_default().push(currency);
    }

    /// What may have to be known.
    pub fn asked(&self) -> BTreeSet<Asked> {
        let each = |(subject, at): &(Owner, Time)| {
            let (tenant, at) = (subject.0, *at);
            let currencies = self.worth.get(subject).into_iter().flatten();
            currencies.filter(|it| **it != Currency::NONE).map(move |currency| (tenant, *currency, at))
        };
        self.closes.iter().flat_map(each).collect()
    }
}

static ASKED: LazyLock<Vec<Column>> = LazyLock::new(|| {
    columns([
        ("tenant_id", Kind::Uuid),
        ("currency", Kind::Text),
        ("closed_at", Kind::Int),
        ("first_id", Kind::Uuid),
        ("last_id", Kind::Uuid),
    ])
});

static FOUND: LazyLock<Sql> = LazyLock::new(|| {
    Sql::new(
        "SELECT r.tenant_id, r.currency, r.closed_at, (SELECT t.rate FROM exchange_rate AS t WHERE t.tenant_id = r.tenant_id \
         AND t.exchange_rate_id >= r.first_id AND t.exchange_rate_id <= r.last_id AND t.rate IS NOT NULL \
         ORDER BY t.exchange_rate_id DESC LIMIT 1) FROM {rows}",
        &ASKED,
    )
});

/// Finds what these close-outs need to know of currencies; the settings of their tenants are loaded. Where all are in the tenant's own
/// currency, or it has none, nothing is asked for.
pub async fn find(tx: &mut Tx, common: &mut Common, asked: &BTreeSet<Asked>) -> Result<(), Error> {
    let currency = |entry: &crm_closeout::settings::Entry| Some((entry.tenant_id, entry.told.settings.currency?));
    common.exchange.currencies = common.settings.iter().filter_map(currency).collect();
    let key = |asked: &Asked| {
        let (tenant, currency, effective_at) = *asked;
        let last = Key { to: common.exchange.needed(*asked)?, currency, effective_at };
        let first = Key { effective_at: Time(i64::MIN), ..last };
        Some(cells![tenant, currency, effective_at, first.id(), last.id()])
    };
    let rows = tx.look_up(&FOUND, &ASKED, asked.iter().filter_map(key).collect()).await?;
    for row in &rows {
        if let Some(rate) = row.get(3)? {
            common.exchange.found.insert((row.get(0)?, row.get(1)?, row.get(2)?), rate);
        }
    }
    Ok(())
}

/// Lists the rates of a tenant that are not deleted, by id: those beyond `after`, one more than `size`.
pub async fn list(
    db: &Db,
    tenant: TenantId,
    currency: Option<Currency>,
    after: Option<Uuid>,
    size: usize,
) -> Result<Vec<Entry>, Error> {
    let select = Select::of(tenant).equal("currency", currency.as_ref()).holds("rate IS NOT NULL");
    select.page(db, "exchange_rate_id", Order::Oldest, after, size).await
}
