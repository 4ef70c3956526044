//! Points in time: microseconds since 1970 UTC, the same exact number on both databases and on the wire.

use std::fmt;
use time::{
    Date, OffsetDateTime,
    format_description::{BorrowedFormatItem, well_known::Rfc3339},
    macros::format_description,
};
use uuid::Uuid;

/// A point in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

impl fmt::Display for Time {
    /// RFC 3339, in UTC, to the microsecond.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0) * 1_000;
        match OffsetDateTime::from_unix_timestamp_nanos(nanos).map(|time| time.format(&Rfc3339)) {
            Ok(Ok(text)) => f.write_str(&text),
            Ok(Err(_)) | Err(_) => write!(f, "{} microseconds since 1970", self.0),
        }
    }
}

const DAY: i64 = 86_400_000_000;

impl Time {
    /// When something with this id was made, to the millisecond; none: the id does not tell.
    pub fn of_id(id: Uuid) -> Option<Self> {
        let (seconds, nanos) = id.get_timestamp()?.to_unix();
        Some(Self(i64::try_from(seconds).ok()?.checked_mul(1_000_000)?.checked_add(i64::from(nanos / 1_000))?))
    }

    /// Whole days from `earlier` to this; 0 if it is not earlier.
    pub const fn days_since(self, earlier: Self) -> i64 {
        let days = self.0.saturating_sub(earlier.0) / DAY;
        if days < 0 { 0 } else { days }
    }

    /// This many days of 24 hours later.
    pub const fn plus_days(self, days: i64) -> Self {
        Self(self.0.saturating_add(days.saturating_mul(DAY)))
    }

    /// This many seconds later.
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }
}

/// Julian day of 1970-01-01.
const EPOCH: i32 = 2_440_588;
const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

/// Reads a day such as `2026-10-01`: how many there were since 1970-01-01.
pub fn parse_day(text: &str) -> Option<i64> {
    Date::parse(text, DATE).ok().map(|date| (date.to_julian_day() - EPOCH).into())
}

/// A day as [`parse_day`] reads it; empty where the calendar has no such day.
pub fn day_text(day: i64) -> String {
    let date = i32::try_from(day).ok().and_then(|day| Date::from_julian_day(day.saturating_add(EPOCH)).ok());
    date.and_then(|date| date.format(DATE).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_shown_as_rfc_3339() {
        assert_eq!(Time(1_514_678_400_000_000).to_string(), "2017-12-31T00:00:00Z");
        assert_eq!(Time(1_000_001).to_string(), "1970-01-01T00:00:01.000001Z");
        assert_eq!(Time(i64::MIN).to_string(), "-9223372036854775808 microseconds since 1970");
    }

    #[test]
    fn a_day_is_read_as_it_is_written() {
        assert_eq!((parse_day("1970-01-01"), parse_day("2026-11-27")), (Some(0), Some(20_784)));
        assert_eq!(day_text(20_784), "2026-11-27");
        assert!(["2026-02-30", "2026-1-1", "27.11.2026", ""].iter().all(|text| parse_day(text).is_none()));
        assert_eq!(day_text(i64::MAX), "");
    }

    #[test]
    fn days_are_whole_and_never_negative() {
        assert_eq!(Time(2 * DAY - 1).days_since(Time(0)), 1);
        assert_eq!(Time(0).days_since(Time(DAY)), 0);
    }
}
