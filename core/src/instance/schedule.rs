//! The times at which an instance is started: five fields of cron, in the local time of a zone.
//!
//! Pure: the offsets of the zone come from the driver. A time that the clock skips takes place when it
//! goes on; one that it repeats takes place the first time, unless every hour has it.

use alloc::format;
use alloc::string::{String, ToString};
use core::ops::RangeInclusive;

use crate::time::{Wall, civil_date};

/// The longest text of a schedule, in bytes.
const TEXT_MAX_BYTES: usize = 256;

/// How far ahead a time is looked for: 29 February falls on each weekday within 40 years, also across
/// a year such as 2100.
const AHEAD_DAYS: i64 = 41 * 366;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// When an instance is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The minutes, hours, days of the month, months and weekdays: bit `n` for the number `n`.
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day of either kind is enough: both are restricted.
    either_day: bool,
    /// The time zone; empty for that of the system.
    pub zone: String,
}

/// The offsets of a time zone from UTC, as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// The offset before the first change, in seconds.
    pub offset_s: i32,
    /// Each later offset and from when on, in order.
    pub changes: alloc::vec::Vec<(Wall, i32)>,
}

impl Schedule {
    /// Reads five fields, or a name such as `@daily`; `zone` is a name of the tz database.
    ///
    /// # Errors
    /// A sentence that begins with the name of the parameter.
    pub fn parse(text: &str, zone: Option<&str>) -> Result<Self, String> {
        let zone = zone.unwrap_or_default();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-_/".contains(&byte);
        if zone.len() > 64 || !zone.bytes().all(is_plain) {
            return Err("schedule_tz must be a time zone such as Europe/Berlin or UTC".to_string());
        }
        if text.len() > TEXT_MAX_BYTES {
            return Err(format!("schedule must have at most {TEXT_MAX_BYTES} bytes"));
        }
        let fields = match text.to_ascii_lowercase().as_str() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@reboot" => return Err(NOT_AT_BOOT.to_string()),
            _ => text,
        };
        let mut words = fields.split_ascii_whitespace();
        let mut next = || words.next().unwrap_or_default();
        let [minute, hour, day, month, weekday] = [next(), next(), next(), next(), next()];
        if weekday.is_empty() || words.next().is_some() {
            return Err(FIVE_FIELDS.to_string());
        }
        let weekdays = field("the weekday", weekday, 0..=7, &WEEKDAYS, 0)?;
        let schedule = Self {
            minutes: field("the minute", minute, 0..=59, &[], 0)?,
            hours: field("the hour", hour, 0..=23, &[], 0)?,
            days: field("the day", day, 1..=31, &[], 0)?,
            months: field("the month", month, 1..=12, &MONTHS, 1)?,
            // Sunday is 0 and 7.
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
            zone: zone.to_string(),
        };
        if schedule.next_minute(0, AHEAD_DAYS * DAY_MIN).is_none() {
            return Err(format!("schedule {text:?} never comes: no such month has that day"));
        }
        Ok(schedule)
    }

    /// The first time after `after`, in a zone.
    pub fn next(&self, zone: &Zone, after: Wall) -> Option<Wall> {
        let after_s = seconds(after);
        let mut from_s = after_s + 1;
        let mut offset_s = i64::from(zone.offset_at(after));
        // The local time that was reached before the clock was set back.
        let mut reached = if self.is_every_hour() { i64::MIN } else { zone.reached(after) };
        let changes = zone.changes.iter().map(|(at, offset)| (seconds(*at), i64::from(*offset)));
        let changes = changes.filter(|(at_s, _)| *at_s > after_s);
        for (until_s, next_offset_s) in changes.chain([(i64::MAX, 0)]) {
            let first = minute_up(from_s + offset_s).max(reached);
            let end = minute_up(until_s.saturating_add(offset_s));
            if let Some(minute) = self.next_minute(first, end) {
                return wall(minute * 60 - offset_s);
            }
            if until_s == i64::MAX {
                return None;
            }
            let (before, then) = (until_s + offset_s, until_s + next_offset_s);
            if then > before && self.next_minute(minute_up(before), minute_up(then)).is_some() {
                return wall(until_s);
            }
            reached = if self.is_every_hour() { i64::MIN } else { reached.max(minute_up(before)) };
            (from_s, offset_s) = (until_s, next_offset_s);
        }
        None
    }

    fn is_every_hour(&self) -> bool {
        self.hours == (1 << 24) - 1
    }

    /// The first minute of local time from `from` on and before `end` that is one of these, counted
    /// from the epoch.
    fn next_minute(&self, from: i64, end: i64) -> Option<i64> {
        let end = end.min(from.saturating_add(AHEAD_DAYS * DAY_MIN));
        let mut day = from.div_euclid(DAY_MIN);
        let mut minute_of_day = from.rem_euclid(DAY_MIN);
        while day * DAY_MIN < end {
            if self.has_day(day)
                && let Some(minute) = self.minute_of_day(minute_of_day)
            {
                let minute = day * DAY_MIN + minute;
                return (minute < end).then_some(minute);
            }
            (day, minute_of_day) = (day + 1, 0);
        }
        None
    }

    fn has_day(&self, day: i64) -> bool {
        let Ok(number) = u64::try_from(day) else { return false };
        let (_, month, day_of_month) = civil_date(number);
        // The first of January 1970 was a Thursday.
        let of_week = self.weekdays >> ((number + 4) % 7) & 1 == 1;
        let of_month = self.days >> day_of_month & 1 == 1;
        let is_day = if self.either_day { of_week || of_month } else { of_week && of_month };
        is_day && self.months >> month & 1 == 1
    }

    fn minute_of_day(&self, from: i64) -> Option<i64> {
        let is_it =
            |minute: &i64| self.hours >> (minute / 60) & self.minutes >> (minute % 60) & 1 == 1;
        (from..DAY_MIN).find(is_it)
    }
}

impl Zone {
    /// UTC.
    pub const UTC: Self = Self { offset_s: 0, changes: alloc::vec::Vec::new() };

    /// The offset at a moment, in seconds.
    pub fn offset_at(&self, at: Wall) -> i32 {
        let last = self.passed(at).checked_sub(1).map(|last| self.changes[last]);
        last.map_or(self.offset_s, |(_, offset)| offset)
    }

    /// How many changes there were until a moment. They count in whole seconds.
    fn passed(&self, at: Wall) -> usize {
        self.changes.iter().take_while(|(from, _)| seconds(*from) <= seconds(at)).count()
    }

    /// The local minute that was reached before the clock was last set back.
    fn reached(&self, at: Wall) -> i64 {
        let Some(last) = self.passed(at).checked_sub(1) else { return i64::MIN };
        let before = match last.checked_sub(1) {
            Some(earlier) => self.changes[earlier].1,
            None => self.offset_s,
        };
        minute_up(seconds(self.changes[last].0) + i64::from(before))
    }

    /// A moment in local time, for people: `2026-06-10 02:00`.
    pub fn show(&self, at: Wall) -> String {
        let local = seconds(at) + i64::from(self.offset_at(at));
        let local = u64::try_from(local).unwrap_or_default();
        let (year, month, day) = civil_date(local / 86_400);
        let (hour, minute) = (local / 3_600 % 24, local / 60 % 60);
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}")
    }
}

const DAY_MIN: i64 = 24 * 60;
const FIVE_FIELDS: &str = "schedule must have five fields: minute hour day month weekday, such as \
                           \"30 2 * * 1-5\", or be @hourly, @daily, @weekly, @monthly or @yearly";
const NOT_AT_BOOT: &str = "schedule has no @reboot: leave schedule out, or give boot=always";

const fn seconds(at: Wall) -> i64 {
    (at.as_micros() / 1_000_000).cast_signed()
}

fn wall(seconds: i64) -> Option<Wall> {
    let micros = u64::try_from(seconds).ok()?.checked_mul(1_000_000)?;
    Some(Wall::from_micros(micros))
}

/// The first whole minute from a second on.
const fn minute_up(seconds: i64) -> i64 {
    seconds.saturating_add(59).div_euclid(60)
}

/// The numbers of a field: `*`, numbers, names, ranges and steps, with commas between them.
fn field(
    what: &str,
    text: &str,
    bounds: RangeInclusive<u32>,
    names: &[&str],
    first_name: u32,
) -> Result<u64, String> {
    let (low, high) = (*bounds.start(), *bounds.end());
    let wrong = || {
        let names = if names.is_empty() { "" } else { ", names" };
        format!(
            "schedule has {text:?} as {what}: it takes numbers from {low} to {high}{names}, *, a-b, \
             */n and lists"
        )
    };
    let number = |word: &str| {
        let named = || {
            let place = names.iter().position(|name| word.eq_ignore_ascii_case(name))?;
            Some(u32::try_from(place).ok()? + first_name)
        };
        let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        let value = if is_number { word.parse().ok() } else { named() };
        value.filter(|value| bounds.contains(value)).ok_or_else(wrong)
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(a, b)| (a, Some(b)));
        let step = match step {
            None => 1,
            Some(step) => {
                step.parse().ok().filter(|step| (1..=high).contains(step)).ok_or_else(wrong)?
            }
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((from, to)) => (number(from)?, number(to)?),
            // A step after a number goes on to the end.
            None if part.contains('/') => (number(range)?, high),
            None => (number(range)?, number(range)?),
        };
        if from > to {
            return Err(wrong());
        }
        (from..=to).step_by(step as usize).for_each(|value| bits |= 1 << value);
    }
    Ok(bits)
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
