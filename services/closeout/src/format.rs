//! How values read: amounts, times, states, short names. Amounts are minor units (cents) of a currency.

use crm_closeout::money::Currency;
use crm_proto::Money;
use prost_types::Timestamp;
use time::{Date, OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

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
    format!("{} {}", amount(money), money.currency_code)
}

/// `4,821.00`, with the digits of its currency: `4,821` yen.
pub(crate) fn amount(money: &Money) -> String {
    digits(money, &count(money.units.unsigned_abs()))
}

/// `4821.00`, in the same way.
pub(crate) fn decimal(money: &Money) -> String {
    digits(money, &money.units.unsigned_abs().to_string())
}

fn digits(money: &Money, units: &str) -> String {
    let sign = if money.units < 0 || money.nanos < 0 { "-" } else { "" };
    let digits = Currency::parse(&money.currency_code).map_or(2, Currency::digits) as usize;
    let fraction = format!("{:09}", money.nanos.unsigned_abs());
    let point = if digits > 0 { "." } else { "" };
    format!("{sign}{units}{point}{}", fraction.get(..digits).unwrap_or_default())
}

/// An amount that may be absent.
pub(crate) fn money_or_none(amount: Option<&Money>) -> String {
    amount.map_or_else(|| "-".to_owned(), money)
}

/// Whole units and billionths of an amount as people write it: `99.50`.
pub(crate) fn parse_amount(text: &str) -> Result<(i64, i32), String> {
    let read = || {
        let (units, rest) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(units) || !digits(rest) || rest.len() > 9 {
            return None;
        }
        Some((units.parse().ok()?, format!("{rest:0<9}").parse().ok()?))
    };
    read().ok_or_else(|| "an amount, such as 1200 or 99.50".to_owned())
}

/// An amount with its currency as people write it: `99.50 CNY`.
pub(crate) fn parse_money(text: &str) -> Result<Money, String> {
    let read = || {
        let (number, currency) = text.trim().split_once(' ')?;
        let (units, nanos) = parse_amount(number).ok()?;
        Some(Money { currency_code: currency.trim().to_uppercase(), units, nanos })
    };
    read().ok_or_else(|| "an amount and its currency, such as \"100000 CNY\"".to_owned())
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

/// `1 row`, `1,376 rows`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// Seconds with three decimals.
pub(crate) fn seconds(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1_000.0).round() / 1_000.0
}

/// Midnight (UTC) of a day as the API writes times.
pub(crate) fn to_timestamp(day: Date) -> Timestamp {
    Timestamp { seconds: day.midnight().assume_utc().unix_timestamp(), nanos: 0 }
}

/// A day as people write it: `2026-12-01`.
pub(crate) fn parse_day(text: &str) -> Result<Date, String> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).map_err(|_| "a day such as 2026-12-01".to_owned())
}

/// A point in time as people write it: `2026-12-01`, which begins at midnight (UTC), or RFC 3339.
pub(crate) fn parse_moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(day) = parse_day(text) {
        return Ok(to_timestamp(day));
    }
    let moment = OffsetDateTime::parse(text, &Rfc3339);
    moment
        .map(of_moment)
        .map_err(|_| "a day such as 2026-12-01, or a time such as 2026-12-01T09:30:00+08:00".to_owned())
}

fn of_moment(moment: OffsetDateTime) -> Timestamp {
    let nanos = i32::try_from(moment.nanosecond()).unwrap_or_default();
    Timestamp { seconds: moment.unix_timestamp(), nanos }
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

/// A value of a receipt: a time (RFC 3339) and an amount (`126000.00 CNY`) as they read everywhere else.
pub(crate) fn receipt_value(text: &str) -> String {
    if let Ok(moment) = OffsetDateTime::parse(text, &Rfc3339) {
        return time(Some(&of_moment(moment)));
    }
    let amount = text.split_once(' ').and_then(|(number, currency)| {
        let (units, cents) = number.split_once('.')?;
        Some(format!("{}.{cents} {currency}", count(units.parse().ok()?)))
    });
    amount.unwrap_or_else(|| or_dash(text).to_owned())
}

/// The name of an enum value without its prefix: `STATE_OPEN` is `OPEN`.
pub(crate) fn label(name: &str, prefix: &str) -> String {
    let bare = name.strip_prefix(prefix).unwrap_or(name);
    if bare == "UNSPECIFIED" { "-".to_owned() } else { bare.to_owned() }
}

/// The last part of a resource name: `STALE_AUTO` of `closeOutReasons/STALE_AUTO`.
pub(crate) fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// A stage as people write it: `engaging` of the pipeline `default`, else `key-accounts/pilot`.
pub(crate) fn stage_id(name: &str) -> String {
    match name.split('/').collect::<Vec<_>>().as_slice() {
        ["pipelines", "default", "stages", stage] => (*stage).to_owned(),
        ["pipelines", pipeline, "stages", stage] => format!("{pipeline}/{stage}"),
        _ => name.to_owned(),
    }
}

/// A resource name short enough for a table: `tasks/..9f3a61c2`. The end of a UUIDv7 is what differs.
pub(crate) fn short_name(name: &str) -> String {
    let Some((collection, id)) = name.rsplit_once('/') else { return name.to_owned() };
    if id.len() == 36 && id.is_ascii() { format!("{collection}/..{}", &id[28..]) } else { name.to_owned() }
}

/// A text with every resource name in it shortened.
pub(crate) fn with_short_names(text: &str) -> String {
    text.split(' ').map(short_name).collect::<Vec<_>>().join(" ")
}

/// A text in at most so many columns of a terminal; letters beyond ASCII may take two each.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    let width = |letter: char| if letter.is_ascii() { 1 } else { 2 };
    if text.chars().map(width).sum::<usize>() <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(2);
    let fits = |letter: &char| {
        let fits = width(*letter) <= left;
        left = left.saturating_sub(width(*letter));
        fits
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    cut.push('…');
    cut
}

/// Two lines of one cell: the second says more about the first.
pub(crate) fn two_lines(first: &str, second: &str) -> String {
    if second.is_empty() || second == "-" { first.to_owned() } else { format!("{first}\n{second}") }
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
        let of = |units, nanos, code: &str| money(&Money { currency_code: code.into(), units, nanos });
        assert_eq!([of(4_821, 0, "JPY"), of(1, 234_000_000, "KWD")], ["4,821 JPY", "1.234 KWD"]);
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
    fn a_moment_is_written_as_a_day_or_with_its_time_and_zone() {
        let read = |text| time(Some(&parse_moment(text).unwrap()));
        assert_eq!(read("2026-12-01"), "2026-12-01");
        assert_eq!(read("2026-12-01T09:30:00+08:00"), "2026-12-01 01:30:00");
        assert!(["2026-12", "2026-12-01 09:30", "yesterday"].into_iter().all(|text| parse_moment(text).is_err()));
    }

    #[test]
    fn values_of_receipts_read_like_all_others() {
        assert_eq!(receipt_value("2026-11-24T06:31:07.013541Z"), "2026-11-24 06:31:07");
        assert_eq!(receipt_value("2017-12-31T00:00:00Z"), "2017-12-31");
        assert_eq!(receipt_value("126000.00 CNY"), "126,000.00 CNY");
        assert_eq!(["", "3", "CLOSED_OUT", "0"].map(receipt_value), ["-", "3", "CLOSED_OUT", "0"]);
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(counted(1, "row", "rows"), "1 row");
        assert_eq!(counted(1_376, "row", "rows"), "1,376 rows");
    }

    #[test]
    fn names_in_a_text_are_shortened() {
        let text = "orders/01900000-0000-7000-8000-00009f3a61c2 was cancelled";
        assert_eq!(with_short_names(text), "orders/..9f3a61c2 was cancelled");
        assert_eq!((two_lines("a", "b").as_str(), two_lines("a", "-").as_str()), ("a\nb", "a"));
    }

    #[test]
    fn what_is_too_long_is_cut() {
        assert_eq!(["GTX Pro", "GTX Plus Pro"].map(|text| cut(text, 10)), ["GTX Pro", "GTX Plus…"]);
        assert_eq!(cut("深圳云帆科技", 10), "深圳云帆…");
    }

    #[test]
    fn names_are_short_in_tables() {
        assert_eq!(short_name("tasks/01900000-0000-7000-8000-00009f3a61c2"), "tasks/..9f3a61c2");
        assert_eq!(short_name("closeOutReasons/STALE_AUTO"), "closeOutReasons/STALE_AUTO");
        assert_eq!(last_part("closeOutReasons/STALE_AUTO"), "STALE_AUTO");
        assert_eq!(stage_id("pipelines/default/stages/engaging"), "engaging");
        assert_eq!(stage_id("pipelines/key-accounts/stages/pilot"), "key-accounts/pilot");
        assert_eq!(label("STATE_CLOSED_OUT", "STATE_"), "CLOSED_OUT");
    }
}
