//! Checks the fields of a request and collects every violation, so that a caller hears of all of them at once. A check answers
//! with a stand-in where the field is wrong; [`Fields::done`] then refuses the request before anybody uses it.

use crm_closeout::{
    access::Owned,
    codes::{Code, Record},
    ids::NameError,
    money::{Currency, MAX_MINOR, Money},
    reason,
    refusal::{Refusal, Violation},
    time::Time,
    wording::{self, Value, Wording},
};
use prost_types::{FieldMask, Timestamp};
use std::{collections::BTreeSet, fmt::Display, ops::RangeInclusive, time::SystemTime};
use tonic::Status;
use uuid::Uuid;

/// Most characters of a person's words.
pub const DETAIL: usize = 2_000;
/// Most characters of a title or name.
pub const TITLE: usize = 200;
/// Most characters of a number that the caller gives.
pub const NUMBER: usize = 64;
/// Most characters of a label such as a team, tier or source.
pub const LABEL: usize = 128;

/// The fields of one request.
#[derive(Debug, Default)]
pub struct Fields {
    violations: Vec<Violation>,
}

impl Fields {
    /// Nothing checked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a violation.
    pub fn refuse(
        &mut self,
        field: impl Into<String>,
        wording: &'static Wording,
        values: &[(&'static str, &dyn Display)],
    ) {
        let values = values.iter().map(|(name, value)| (*name, value.to_string())).collect();
        self.violations.push(Violation { field: field.into(), wording, values });
    }

    /// A field is wrong already.
    pub fn are_refused(&self) -> bool {
        !self.violations.is_empty()
    }

    /// Adds violations.
    pub fn extend(&mut self, violations: Vec<Violation>) {
        self.violations.extend(violations);
    }

    /// Refuses the request if a field is wrong.
    pub fn done(self) -> Result<(), Status> {
        if self.violations.is_empty() {
            return Ok(());
        }
        Err(crate::failure::refusal(Refusal::invalid(self.violations)))
    }

    /// A resource name that must be given.
    pub fn name<T>(
        &mut self,
        field: &str,
        text: &str,
        parse: fn(&str) -> Result<T, NameError>,
        stand_in: fn(Uuid) -> T,
    ) -> T {
        if text.is_empty() {
            self.refuse(field, &wording::REQUIRED, &[]);
        }
        self.optional_name(field, text, parse).unwrap_or_else(|| stand_in(Uuid::nil()))
    }

    /// A resource name that may be empty.
    pub fn optional_name<T>(&mut self, field: &str, text: &str, parse: fn(&str) -> Result<T, NameError>) -> Option<T> {
        if text.is_empty() {
            return None;
        }
        parse(text)
            .map_err(|error| self.refuse(field, &wording::INVALID_NAME, &[("collection", &error.collection)]))
            .ok()
    }

    /// The name of a customer, an opportunity or an order, which must be given.
    pub fn record(&mut self, field: &str, text: &str) -> Option<Record> {
        let record = Record::parse(text).filter(|record| record.kind.has_tasks());
        if text.is_empty() {
            self.refuse(field, &wording::REQUIRED, &[]);
        } else if record.is_none() {
            self.refuse(field, &wording::INVALID_RECORD, &[]);
        }
        record
    }

    /// A line of text with so many characters; no control characters.
    pub fn line(&mut self, field: &str, text: &str, length: RangeInclusive<usize>) -> String {
        self.text(field, text, length, |_| false)
    }

    /// A person's words: several lines are allowed.
    pub fn words(&mut self, field: &str, text: &str) -> String {
        self.text(field, text, 0..=DETAIL, |c| matches!(c, '\n' | '\r' | '\t'))
    }

    /// A person's words, which must be given.
    pub fn explanation(&mut self, field: &str, text: &str) -> String {
        self.text(field, text, 1..=DETAIL, |c| matches!(c, '\n' | '\r' | '\t'))
    }

    fn text(&mut self, field: &str, text: &str, length: RangeInclusive<usize>, allowed: fn(char) -> bool) -> String {
        let count = text.chars().count();
        let least = *length.start();
        if least > 0 && text.trim().is_empty() {
            self.refuse(field, &wording::REQUIRED, &[]);
        } else if count < least {
            self.refuse(field, &wording::TOO_SHORT, &[("least", &least)]);
        }
        if count > *length.end() {
            self.refuse(field, &wording::TOO_LONG, &[("most", length.end()), ("count", &count)]);
        }
        if text.chars().any(|c| c.is_control() && !allowed(c)) {
            self.refuse(field, &wording::CONTROL_CHARACTER, &[]);
        }
        text.to_owned()
    }

    /// A principal; empty: `default`.
    pub fn principal(&mut self, field: &str, text: &str, default: &str) -> String {
        if text.is_empty() {
            return default.to_owned();
        }
        if text.len() > 128 {
            self.refuse(field, &wording::TOO_LONG_BYTES, &[("most", &128)]);
        }
        self.line(field, text, 1..=128)
    }

    /// The team of a new record with this owner; of the caller's own records by default the caller's first team.
    pub fn team(&mut self, field: &str, text: &str, owner: &str, caller: Owned<'_>) -> String {
        let default = if owner == caller.owner { caller.team } else { "" };
        self.line(field, if text.is_empty() { default } else { text }, 0..=LABEL)
    }

    /// A principal that replaces another; it must be given.
    pub fn changed_principal(&mut self, field: &str, text: &str) -> String {
        if text.is_empty() {
            self.refuse(field, &wording::REQUIRED, &[]);
        }
        self.principal(field, text, "")
    }

    /// One of the words of an enumeration, which must be given.
    pub fn code<C: Code>(&mut self, field: &str, code: i32) -> Option<C> {
        if code == 0 {
            self.refuse(field, &wording::REQUIRED, &[]);
        }
        self.optional_code(field, code)
    }

    /// One of the words of an enumeration; zero: none.
    pub fn optional_code<C: Code>(&mut self, field: &str, code: i32) -> Option<C> {
        if code == 0 {
            return None;
        }
        C::from_code(code)
            .map_err(|error| {
                self.refuse(field, &wording::UNKNOWN_ENUM, &[("value", &error.code), ("type", &error.what)]);
            })
            .ok()
    }

    /// Words of an enumeration, as many as are given.
    pub fn codes<C: Code>(&mut self, field: &str, codes: &[i32]) -> Vec<C> {
        codes.iter().filter_map(|code| self.code(field, *code)).collect()
    }

    /// The name of a reason, which must be given; answers its code.
    pub fn reason(&mut self, field: &str, name: &str) -> String {
        if name.is_empty() {
            self.refuse(field, &wording::REQUIRED, &[]);
        } else if reason::code_of(name).is_none() {
            self.refuse(field, &wording::INVALID_REASON_NAME, &[]);
        }
        reason::code_of(name).unwrap_or_default().to_owned()
    }

    /// A code of capitals, digits and `_`, which must be given.
    pub fn capitals(&mut self, field: &str, text: &str) -> String {
        if text.is_empty() {
            self.refuse(field, &wording::REQUIRED, &[]);
        } else if !reason::is_code(text) {
            self.refuse(field, &wording::INVALID_CODE, &[]);
        }
        text.to_owned()
    }

    /// A number in a range.
    pub fn number(&mut self, field: &str, number: i32, range: RangeInclusive<i32>) -> i32 {
        if !range.contains(&number) {
            self.refuse(field, &wording::RANGE, &[("least", range.start()), ("most", range.end())]);
        }
        number
    }

    /// An amount that is not negative; none if it was not given.
    pub fn money(&mut self, field: &str, money: Option<&crm_proto::Money>) -> Option<Money> {
        let money = money?;
        let read = read_money(money);
        let refuse = |(wording, values)| self.violations.push(Violation { field: field.to_owned(), wording, values });
        read.map_err(refuse).ok()
    }

    /// A currency; none if it was not given.
    pub fn currency(&mut self, field: &str, code: &str) -> Option<Currency> {
        if code.is_empty() {
            return None;
        }
        let currency = Currency::parse(code).filter(|currency| *currency != Currency::NONE);
        if currency.is_none() {
            self.refuse(field, &wording::INVALID_CURRENCY, &[]);
        }
        currency
    }

    /// Which fields an update is to change: the mask's, every writable one for `*`, those that are set without a mask.
    /// Output-only fields in the mask are passed over, as AIP-161 says.
    pub fn mask(
        &mut self,
        mask: Option<&FieldMask>,
        writable: &[(&'static str, bool)],
        output_only: &[&str],
    ) -> BTreeSet<&'static str> {
        let Some(mask) = mask.filter(|mask| !mask.paths.is_empty()) else {
            return writable.iter().filter(|(_, set)| *set).map(|(name, _)| *name).collect();
        };
        let mut chosen = BTreeSet::new();
        for path in &mask.paths {
            if path == "*" {
                chosen.extend(writable.iter().map(|(name, _)| *name));
            } else if let Some((name, _)) = writable.iter().find(|(name, _)| name == path) {
                chosen.insert(*name);
            } else if !output_only.contains(&path.as_str()) {
                let names: Vec<_> = writable.iter().map(|(name, _)| *name).collect();
                let (path, names) = (format!("{path:?}"), names.join(", "));
                self.refuse("update_mask", &wording::UNKNOWN_FIELD, &[("path", &path), ("fields", &names)]);
            }
        }
        chosen
    }

    /// A point in time; none if it was not given.
    pub fn time(&mut self, field: &str, time: Option<&Timestamp>) -> Option<Time> {
        let time = time?;
        let known =
            (-62_135_596_800..=253_402_300_799).contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos);
        if !known {
            self.refuse(field, &wording::INVALID_TIME, &[]);
            return None;
        }
        Some(Time(time.seconds * 1_000_000 + i64::from(time.nanos / 1_000)))
    }

    /// A point in time that must not lie in the future.
    pub fn past(&mut self, field: &str, time: Option<&Timestamp>) -> Option<Time> {
        let time = self.time(field, time)?;
        if time > now() {
            self.refuse(field, &wording::IN_THE_FUTURE, &[]);
        }
        Some(time)
    }
}

/// The clock.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Time(since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX)))
}

fn read_money(money: &crm_proto::Money) -> Result<Money, (&'static Wording, Vec<Value>)> {
    let currency = Currency::parse(&money.currency_code).ok_or((&wording::CURRENCY_CODE, Vec::new()))?;
    if money.units < 0 || money.nanos < 0 {
        return Err((&wording::NEGATIVE_MONEY, Vec::new()));
    }
    if money.nanos > 999_999_999 {
        return Err((&wording::NANOS_TOO_LARGE, Vec::new()));
    }
    let digits = currency.digits();
    let nanos_of_minor = 10_i32.pow(9 - digits);
    if money.nanos % nanos_of_minor != 0 {
        let values = vec![("currency", currency.to_string()), ("digits", digits.to_string())];
        return Err((&wording::TOO_MANY_DIGITS, values));
    }
    let minor = i128::from(money.units) * 10_i128.pow(digits) + i128::from(money.nanos / nanos_of_minor);
    match i64::try_from(minor) {
        Ok(minor) if minor <= MAX_MINOR => Ok(Money { minor, currency }),
        _ => Err((&wording::MONEY_TOO_LARGE, vec![("most", MAX_MINOR.to_string())])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_closeout::ids::OrderId;

    fn money(units: i64, nanos: i32, currency: &str) -> Result<i64, &'static str> {
        read_money(&crm_proto::Money { currency_code: currency.into(), units, nanos })
            .map(|money| money.minor)
            .map_err(|(wording, _)| wording.reason)
    }

    #[test]
    fn money_is_taken_in_minor_units_of_its_currency() {
        assert_eq!(money(12, 340_000_000, "CNY"), Ok(1234));
        assert_eq!(money(12, 0, "JPY"), Ok(12));
        assert!(money(12, 340_000_000, "JPY").is_err());
        assert!(money(0, 1, "USD").is_err());
        assert!(money(-1, 0, "USD").is_err());
        assert!(money(1, 0, "usd").is_err());
        assert!(money(i64::MAX, 0, "USD").is_err());
    }

    #[test]
    fn every_violation_is_collected() {
        let mut fields = Fields::new();
        fields.name("name", "", OrderId::parse, OrderId);
        fields.name("other", "orders/X", OrderId::parse, OrderId);
        fields.line("title", "a\0b", 1..=200);
        fields.line("long", &"长".repeat(201), 0..=200);
        fields.words("detail", "two\nlines are fine");
        let reasons: Vec<_> = fields.violations.iter().map(Violation::reason).collect();
        assert_eq!(reasons, ["REQUIRED", "INVALID_NAME", "CONTROL_CHARACTER", "TOO_LONG"]);
    }
}
