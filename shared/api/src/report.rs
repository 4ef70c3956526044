//! Reports of close-outs, for both services.

use crate::{convert::money, failure, fields::Fields, reasons};
use crm_closeout::{
    access::Right,
    episode::Outcome,
    ids::{CompetitorId, GroupId, TenantId},
    money::{Currency, Money},
    reason::{self, Catalogue},
    report::{self, Competitors, Dimension, Row},
    time::Time,
    wording,
};
use crm_outbox::{
    db::{Db, Error},
    report as count, settings,
};
use crm_proto::common;
use crm_runtime::{answer, auth::Caller};
use prost_types::Timestamp;
use std::{collections::BTreeSet, ops::Range};
use tonic::Status;

/// Longest time of a report, in days.
const MOST_DAYS: i64 = 366;

/// What to report.
#[derive(Debug)]
pub struct Asked {
    dimension: Dimension,
    outcome: Outcome,
    closed: Range<Time>,
}

/// Reads what to report; `outcome`: the one that is meant where none is given.
pub fn read(
    fields: &mut Fields,
    dimension: i32,
    from: Option<&Timestamp>,
    until: Option<&Timestamp>,
    given: i32,
    outcome: Outcome,
) -> Asked {
    if from.is_none() {
        fields.refuse("closed_from", &wording::REQUIRED, &[]);
    }
    let until = fields.time("closed_until", until).unwrap_or_else(crate::fields::now);
    let from = fields.time("closed_from", from);
    if from.is_some_and(|from| until <= from) {
        fields.refuse("closed_until", &wording::NOT_LATER, &[("field", &"closed_from")]);
    }
    let from = from.unwrap_or(until);
    if until > from.plus_days(MOST_DAYS) {
        fields.refuse("closed_until", &wording::TOO_LONG_A_TIME, &[("most", &MOST_DAYS), ("field", &"closed_from")]);
    }
    let dimension = fields.code("dimension", dimension).unwrap_or(Dimension::Reason);
    Asked { dimension, outcome: fields.optional_code("outcome", given).unwrap_or(outcome), closed: from..until }
}

/// The competitors of a service that knows none.
pub async fn no_competitors(_: &Db, _: TenantId, _: &BTreeSet<CompetitorId>) -> Result<Competitors, Error> {
    Ok(Competitors::new())
}

/// Makes a report of what the caller may know of: its rows and their total. `competitors` finds those that close-outs name.
pub async fn make(
    db: &Db,
    caller: &Caller,
    asked: Asked,
    locale: &str,
    competitors: impl AsyncFnOnce(&Db, TenantId, &BTreeSet<CompetitorId>) -> Result<Competitors, Error>,
) -> Result<(Vec<common::ReportRow>, common::ReportRow), Status> {
    let tenant = caller.tenant;
    let reach = caller.access.reach(Right::ReadAnalytics, &caller.principal);
    let reach = reach.ok_or_else(|| answer::refusal(&wording::INTERNAL, &[]))?;
    let decided = settings::read(db, tenant).await.map_err(|e| failure::database(&e))?;
    let currency = decided.and_then(|entry| entry.told.settings.currency);
    let counted = count::count(db, tenant, asked.dimension, asked.outcome, asked.closed, &reach, currency).await;
    let counted = counted.map_err(|e| failure::database(&e))?;
    let own = reasons::own(db, tenant).await?;
    let catalogue = Catalogue::of(tenant, &own);
    // Of nobody nothing is read.
    let by = |dimension| asked.dimension == dimension;
    let named = if by(Dimension::Competitor) { report::named(&counted) } else { BTreeSet::new() };
    let competitors = competitors(db, tenant, &named).await.map_err(|e| failure::database(&e))?;
    let grouped = if by(Dimension::Group) { report::groups(&counted) } else { BTreeSet::new() };
    let groups = count::customers(db, tenant, &grouped).await.map_err(|e| failure::database(&e))?;
    let (rows, total) = report::rows(asked.dimension, &counted, &catalogue, &competitors);
    let label = |value: &str| match asked.dimension {
        Dimension::Reason => Some(catalogue.get(reason::code_of(value)?)?.reason.label(locale).to_owned()),
        Dimension::Competitor => Some(competitors.get(&CompetitorId::parse(value).ok()?)?.display_name.clone()),
        Dimension::Group => groups.get(&GroupId::parse(value).ok()?).cloned(),
        Dimension::Category | Dimension::OutcomeClass | Dimension::Owner | Dimension::Team => None,
    };
    let rows = rows.into_iter().map(|(value, row)| {
        let label = label(&value).unwrap_or_default();
        show(value, label, &row, currency)
    });
    Ok((rows.collect(), show(String::new(), String::new(), &total, currency)))
}

fn show(value: String, label: String, row: &Row, currency: Option<Currency>) -> common::ReportRow {
    let amounts = row.amounts.0.iter().map(|(currency, [minor])| money(Money { minor: *minor, currency: *currency }));
    common::ReportRow {
        value,
        label,
        count: row.count,
        amounts: amounts.collect(),
        verified_count: row.verified,
        reversed_count: row.reversed,
        tenant_amount: currency.map(|currency| money(Money { minor: row.tenant_minor, currency })),
        unconverted_count: currency.map_or(0, |_| row.unconverted),
    }
}
