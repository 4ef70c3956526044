//! Days as a tenant counts them: all of them, or those on which it works. A day begins at midnight by the tenant's own offset from UTC.

use crm_closeout::time::Time;
use std::{collections::BTreeSet, ops::RangeInclusive};

const MICROS: i64 = 86_400_000_000;
const MINUTE: i64 = 60_000_000;

/// Offsets from UTC that there are, in minutes.
pub const OFFSETS: RangeInclusive<i32> = -12 * 60..=14 * 60;

/// A day: how many there were since 1970-01-01.
pub type Day = i64;

/// Which days count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// Saturdays, Sundays and holidays do not count.
    pub business_days_only: bool,
    /// Days that do not count.
    pub holidays: BTreeSet<Day>,
    /// Saturdays and Sundays that do, such as those worked in place of a holiday.
    pub workdays: BTreeSet<Day>,
    /// How far local time is ahead of UTC, in minutes.
    pub utc_offset: i32,
}

impl Calendar {
    /// The day of a moment.
    pub fn day(&self, at: Time) -> Day {
        (at.0 + i64::from(self.utc_offset) * MINUTE).div_euclid(MICROS)
    }

    /// When a day begins.
    pub fn begin(&self, day: Day) -> Time {
        Time(day * MICROS - i64::from(self.utc_offset) * MINUTE)
    }

    /// How many days that count came after the day of `since`, up to that of `now`.
    pub fn days(&self, since: Time, now: Time) -> i64 {
        let (from, until) = (self.day(since), self.day(now));
        if until <= from {
            return 0;
        }
        if !self.business_days_only {
            return until - from;
        }
        let between = from + 1..=until;
        let holidays = self.holidays.range(between.clone()).filter(|day| !is_weekend(**day)).count();
        let workdays =
            self.workdays.range(between).filter(|day| is_weekend(**day) && !self.holidays.contains(day)).count();
        weekdays(until) - weekdays(from) + workdays as i64 - holidays as i64
    }
}

/// 1970-01-01 was a Thursday.
const fn is_weekend(day: Day) -> bool {
    matches!((day + 3).rem_euclid(7), 5 | 6)
}

/// Mondays to Fridays up to this day, from the Monday before 1970-01-01 on.
const fn weekdays(day: Day) -> i64 {
    let (weeks, rest) = ((day + 4).div_euclid(7), (day + 4).rem_euclid(7));
    weeks * 5 + if rest < 5 { rest } else { 5 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-27, a Friday.
    const FRIDAY: Day = 20_784;

    fn noon(day: Day) -> Time {
        Time(day * MICROS + MICROS / 2)
    }

    fn business(holidays: &[Day], workdays: &[Day]) -> Calendar {
        Calendar {
            business_days_only: true,
            holidays: holidays.iter().copied().collect(),
            workdays: workdays.iter().copied().collect(),
            utc_offset: 0,
        }
    }

    #[test]
    fn weekends_and_holidays_do_not_count_and_days_worked_instead_do() {
        let days = |calendar: &Calendar, from, to| calendar.days(noon(FRIDAY + from), noon(FRIDAY + to));
        let all = Calendar::default();
        assert_eq!((days(&all, 0, 3), days(&all, 0, 0), days(&all, 3, 0)), (3, 0, 0));
        let week = business(&[], &[]);
        assert_eq!([days(&week, 0, 1), days(&week, 0, 2), days(&week, 0, 3), days(&week, 0, 7)], [0, 0, 1, 5]);
        assert_eq!((days(&week, 1, 3), days(&week, -4, 0), days(&week, 0, 70)), (1, 4, 50));
        // Monday to Wednesday off, Sunday worked instead; a holiday on a Saturday takes nothing away.
        let golden = business(&[FRIDAY + 1, FRIDAY + 3, FRIDAY + 4, FRIDAY + 5], &[FRIDAY + 2, FRIDAY + 6]);
        assert_eq!([days(&golden, 0, 2), days(&golden, 0, 5), days(&golden, 0, 7)], [1, 1, 3]);
    }

    #[test]
    fn counting_by_the_week_comes_to_the_same_as_counting_each_day() {
        let calendar = business(&[FRIDAY + 3, FRIDAY + 30, FRIDAY - 400], &[FRIDAY + 8, FRIDAY - 13]);
        for from in FRIDAY - 20..FRIDAY + 10 {
            for to in from..from + 60 {
                let counts = |day: &Day| {
                    let weekday = !is_weekend(*day) || calendar.workdays.contains(day);
                    weekday && !calendar.holidays.contains(day)
                };
                let each = (from + 1..=to).filter(counts).count() as i64;
                assert_eq!(calendar.days(noon(from), noon(to)), each, "{from}..{to}");
            }
        }
    }

    #[test]
    fn a_day_begins_at_the_tenants_own_midnight() {
        let shanghai = Calendar { utc_offset: 8 * 60, ..Calendar::default() };
        let evening = Time(FRIDAY * MICROS + 17 * 60 * MINUTE);
        assert_eq!((Calendar::default().day(evening), shanghai.day(evening)), (FRIDAY, FRIDAY + 1));
        assert_eq!(shanghai.day(shanghai.begin(FRIDAY)), FRIDAY);
        assert_eq!(shanghai.day(Time(shanghai.begin(FRIDAY).0 - 1)), FRIDAY - 1);
    }
}
