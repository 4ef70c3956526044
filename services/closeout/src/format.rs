//! How values read: amounts, times, states, short names. Amounts are minor units (cents) of a currency.

use crm_proto::Money;
use prost_types::Timestamp;
use time::{Date, OffsetDateTime};

/// An amount of the API from minor units.
pub(crate) fn to_money(minor: i64, currency: &str) -> Money {
    let nanos = i32::try_from(minor % 100).unwrap_or_default() * 10_000_000;
    Money { currency_code: currency.to_owned(), units: minor / 100, nanos }
}

/// Minor units of an amount of the API.
pub(crate) fn to_minor(money: &Money) -> i64 {
    money.units.saturating_mul(100).saturating_add(i64::from(money.nanos / 10_000_000))
}

/// `4,821.00 USD`.
pub(crate) fn money(money: &Money) -> String {
    let minor = to_minor(money);
    let sign = if minor < 0 { "-" } else { "" };
    let (units, cents) = (minor.unsigned_abs() / 100, minor.unsigned_abs() % 100);
    format!("{sign}{}.{cents:02} {}", count(units), money.currency_code)
}

/// An amount that may be absent.
pub(crate) fn money_or_none(amount: Option<&Money>) -> String {
    amount.map_or_else(|| "-".to_owned(), money)
}

/// `10,005,534`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Midnight (UTC) of a day as the API writes times.
pub(crate) fn to_timestamp(day: Date) -> Timestamp {
    Timestamp { seconds: day.midnight().assume_utc().unix_timestamp(), nanos: 0 }
}

/// `2017-12-31`, or `2026-01-01 08:15:02` (UTC) where there is a time of day.
pub(crate) fn time(timestamp: Option<&Timestamp>) -> String {
    let Some(timestamp) = timestamp else { return "-".to_owned() };
    let Ok(time) = OffsetDateTime::from_unix_timestamp(timestamp.seconds) else { return "?".to_owned() };
    let day = time.date();
    let (hour, minute, second) = time.to_hms();
    if (hour, minute, second, timestamp.nanos) == (0, 0, 0, 0) {
        day.to_string()
    } else {
        format!("{day} {hour:02}:{minute:02}:{second:02}")
    }
}

/// The name of an enum value without its prefix: `STATE_OPEN` is `OPEN`.
pub(crate) fn label(name: &str, prefix: &str) -> String {
    let bare = name.strip_prefix(prefix).unwrap_or(name);
    if bare == "UNSPECIFIED" { "-".to_owned() } else { bare.to_owned() }
}

/// The last part of a resource name: `engaging` of `pipelines/default/stages/engaging`.
pub(crate) fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// A resource name short enough for a table: `tasks/..9f3a61c2`. The end of a UUIDv7 is what differs.
pub(crate) fn short_name(name: &str) -> String {
    let Some((collection, id)) = name.rsplit_once('/') else { return name.to_owned() };
    if id.len() == 36 && id.is_ascii() { format!("{collection}/..{}", &id[28..]) } else { name.to_owned() }
}

/// A text, or a dash where there is none.
pub(crate) fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    #[test]
    fn amounts_read_with_separators_and_cents() {
        assert_eq!(money(&to_money(1_000_553_400, "USD")), "10,005,534.00 USD");
        assert_eq!(money(&to_money(-105, "EUR")), "-1.05 EUR");
        assert_eq!(to_minor(&to_money(110_004, "USD")), 110_004);
    }

    #[test]
    fn counts_are_grouped_by_three() {
        assert_eq!([0, 999, 1_000, 10_005_534].map(count), ["0", "999", "1,000", "10,005,534"]);
    }

    #[test]
    fn a_day_reads_as_a_day_and_a_moment_with_its_time() {
        let day = to_timestamp(date!(2017 - 12 - 31));
        assert_eq!(time(Some(&day)), "2017-12-31");
        assert_eq!(time(Some(&Timestamp { seconds: day.seconds + 3_661, nanos: 0 })), "2017-12-31 01:01:01");
        assert_eq!(time(None), "-");
    }

    #[test]
    fn names_are_short_in_tables() {
        assert_eq!(short_name("tasks/01900000-0000-7000-8000-00009f3a61c2"), "tasks/..9f3a61c2");
        assert_eq!(short_name("closeOutReasons/STALE_AUTO"), "closeOutReasons/STALE_AUTO");
        assert_eq!(last_part("pipelines/default/stages/engaging"), "engaging");
        assert_eq!(label("STATE_CLOSED_OUT", "STATE_"), "CLOSED_OUT");
    }
}
