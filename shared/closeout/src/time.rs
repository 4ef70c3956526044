//! Points in time: microseconds since 1970 UTC, the same exact number on both databases and on the wire.

/// A point in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

const DAY: i64 = 86_400_000_000;

impl Time {
    /// Whole days from `earlier` to this; 0 if it is not earlier.
    pub const fn days_since(self, earlier: Self) -> i64 {
        let days = self.0.saturating_sub(earlier.0) / DAY;
        if days < 0 { 0 } else { days }
    }

    /// This many seconds later.
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }
}
