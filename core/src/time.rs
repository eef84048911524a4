//! The two clocks as values: monotonic time for deadlines, wall time for people.
//!
//! Nothing here reads a clock; the driver samples both once a batch and hands them in as [`Now`].

use alloc::string::ToString;
use core::fmt;

/// A point on the monotonic clock, in microseconds since an origin the driver chose at start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The origin of the clock.
    pub const ZERO: Self = Self(0);

    /// The point `micros` after the origin.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time `ms` later; saturates instead of overflowing.
    #[must_use]
    pub const fn after_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1_000)))
    }

    /// Milliseconds from `earlier` to here, rounded down; 0 when `earlier` is later.
    pub const fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1_000
    }
}

/// A point on the wall clock, in microseconds since the Unix epoch. Displays as RFC 3339 in UTC
/// with six digits of fraction (Contract §8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(u64);

impl Wall {
    /// The last instant of the year 9999: RFC 3339 has no room for a later one.
    const LAST: u64 = 253_402_300_799_999_999;

    /// The point `micros` after the epoch; later than the year 9999 is held there.
    pub const fn from_micros(micros: u64) -> Self {
        Self(if micros > Self::LAST { Self::LAST } else { micros })
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Parses the displayed form; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        if year < 1970 || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let seconds = ((day_number(year, month, day)? * 24 + hour) * 60 + minute) * 60 + second;
        let wall = Self(seconds * 1_000_000 + number(20, 26)?);
        // Whatever is not where it belongs, or no such day, is found here.
        (wall.to_string() == text).then_some(wall)
    }
}

/// The number of a Gregorian date since 1970-01-01; the inverse of [`civil_date`] for dates that
/// there are.
fn day_number(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, march_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * march_month + 2) / 5 + day.checked_sub(1)?;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year;
    days.checked_sub(719_468)
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let (year, month, day) = civil_date(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// The Gregorian date of a day counted from 1970-01-01.
///
/// Years are counted from a first of March, so that the leap day comes last and month lengths
/// follow one linear formula.
pub(crate) fn civil_date(days_since_epoch: u64) -> (u64, u64, u64) {
    const DAYS_TO_EPOCH: u64 = 719_468; // from 0000-03-01 to 1970-01-01
    const DAYS_PER_400_YEARS: u64 = 146_097;
    let days = days_since_epoch + DAYS_TO_EPOCH;
    let (era, day_of_era) = (days / DAYS_PER_400_YEARS, days % DAYS_PER_400_YEARS);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For deadlines and durations.
    pub mono: Time,
    /// For the `time` of events; may step backwards, see [`crate::engine`].
    pub wall: Wall,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wall_time_reads_as_rfc_3339() {
        let cases = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400_000_001, "2000-02-29T00:00:00.000001Z"),
            (1_781_000_000_999_999, "2026-06-09T10:13:20.999999Z"),
            (u64::MAX, "9999-12-31T23:59:59.999999Z"),
        ];
        for (micros, text) in cases {
            assert_eq!(Wall::from_micros(micros).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn a_wall_time_reads_back(micros in 0..=Wall::LAST) {
            let wall = Wall::from_micros(micros);
            prop_assert_eq!(Wall::parse(&wall.to_string()), Some(wall));
        }

        #[test]
        fn no_text_panics(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{6}Z|\\PC{0,30}") {
            if let Some(wall) = Wall::parse(&text) {
                prop_assert_eq!(wall.to_string(), text);
            }
        }

        #[test]
        fn later_wall_times_sort_later_as_text(a in 0..Wall::LAST, b in 0..Wall::LAST) {
            let (a, b) = (Wall::from_micros(a), Wall::from_micros(b));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn consecutive_days_are_consecutive_dates(day in 0u64..2_900_000) {
            let (y, m, d) = civil_date(day);
            let (y2, m2, d2) = civil_date(day + 1);
            let same_month = (y2, m2) == (y, m) && d2 == d + 1;
            let next_month = d2 == 1 && d >= 28 && (y2 * 12 + m2) == (y * 12 + m) + 1;
            prop_assert!(same_month || next_month);
        }
    }
}
