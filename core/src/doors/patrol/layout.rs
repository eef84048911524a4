//! Timestamps by Go's time layouts: the reference time `Mon Jan 2 15:04:05 MST 2006` spelled the
//! way the operator wants to see times.

use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

use crate::time::{Wall, civil_date};

/// The layout of the `patrol` program: `Mon, 02 Jan 2006 15:04:05 -0700`.
pub const RFC1123Z: &str = "Mon, 02 Jan 2006 15:04:05 -0700";

/// The default of Patrol's library, which its clients can parse.
pub const RFC3339: &str = "2006-01-02T15:04:05Z07:00";

/// The local time at some moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// Seconds east of UTC.
    pub offset_s: i32,
    /// Its abbreviation, such as `CET`; may be empty.
    pub name: String,
}

/// A Go time layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout(String);

impl Layout {
    /// The layout `text`; text that is not part of the reference time is literal.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The layout as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether two moments within the same second can look different.
    pub fn has_fraction(&self) -> bool {
        let mut rest = self.0.as_str();
        while !rest.is_empty() {
            let (_, part, after) = next_part(rest);
            if matches!(part, Some(Part::Fraction { .. })) {
                return true;
            }
            rest = after;
        }
        false
    }

    /// `at` as local time of `zone`.
    pub fn render(&self, at: Wall, zone: &Zone) -> String {
        let moment = Moment::new(at, zone);
        let mut text = String::with_capacity(self.0.len() + 8);
        let mut rest = self.0.as_str();
        while !rest.is_empty() {
            let (literal, part, after) = next_part(rest);
            text.push_str(literal);
            if let Some(part) = part {
                moment.write(&mut text, part);
            }
            rest = after;
        }
        text
    }
}

/// The date of `at` in local time, as the folders of logs are named: year, month and day, such as
/// `2026/november/7`.
pub fn folder(at: Wall, zone: &Zone) -> String {
    let moment = Moment::new(at, zone);
    let month = MONTHS[moment.month - 1].to_ascii_lowercase();
    format!("{:04}/{month}/{}", moment.year, moment.day)
}

/// A part of the reference time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Month,
    MonthShort,
    MonthNumber { padded: bool },
    Weekday,
    WeekdayShort,
    Day { pad: Option<char> },
    YearDay { pad: char },
    Hour,
    Hour12 { padded: bool },
    Minute { padded: bool },
    Second { padded: bool },
    Year,
    YearShort,
    Half { upper: bool },
    ZoneName,
    Offset { z: bool, colons: bool, seconds: bool, hours_only: bool },
    Fraction { comma: bool, digits: usize, trimmed: bool },
}

/// Every part except fractions; longer names before their prefixes.
const PARTS: [(&str, Part); 34] = [
    ("January", Part::Month),
    ("Jan", Part::MonthShort),
    ("Monday", Part::Weekday),
    ("Mon", Part::WeekdayShort),
    ("MST", Part::ZoneName),
    ("2006", Part::Year),
    ("002", Part::YearDay { pad: '0' }),
    ("__2", Part::YearDay { pad: ' ' }),
    ("_2006", Part::Year),
    ("_2", Part::Day { pad: Some(' ') }),
    ("01", Part::MonthNumber { padded: true }),
    ("02", Part::Day { pad: Some('0') }),
    ("03", Part::Hour12 { padded: true }),
    ("04", Part::Minute { padded: true }),
    ("05", Part::Second { padded: true }),
    ("06", Part::YearShort),
    ("15", Part::Hour),
    ("PM", Part::Half { upper: true }),
    ("pm", Part::Half { upper: false }),
    ("-07:00:00", offset(false, true, true)),
    ("-070000", offset(false, false, true)),
    ("-07:00", offset(false, true, false)),
    ("-0700", offset(false, false, false)),
    ("-07", Part::Offset { z: false, colons: false, seconds: false, hours_only: true }),
    ("Z07:00:00", offset(true, true, true)),
    ("Z070000", offset(true, false, true)),
    ("Z07:00", offset(true, true, false)),
    ("Z0700", offset(true, false, false)),
    ("Z07", Part::Offset { z: true, colons: false, seconds: false, hours_only: true }),
    ("1", Part::MonthNumber { padded: false }),
    ("2", Part::Day { pad: None }),
    ("3", Part::Hour12 { padded: false }),
    ("4", Part::Minute { padded: false }),
    ("5", Part::Second { padded: false }),
];

const fn offset(z: bool, colons: bool, seconds: bool) -> Part {
    Part::Offset { z, colons, seconds, hours_only: false }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The text before the next part of the reference time, the part, and the rest.
fn next_part(layout: &str) -> (&str, Option<Part>, &str) {
    for (index, _) in layout.char_indices() {
        let rest = &layout[index..];
        let known =
            PARTS.iter().find(|(text, _)| rest.starts_with(text) && stands_alone(text, rest));
        if let Some((text, part)) = known {
            // `_2006` is an underscore and a year.
            let literal = index + usize::from(*text == "_2006");
            return (&layout[..literal], Some(*part), &rest[text.len()..]);
        }
        if let Some((part, length)) = fraction(rest) {
            return (&layout[..index], Some(part), &rest[length..]);
        }
    }
    (layout, None, "")
}

/// `Jan` is no month in `Janet`, though `January` is one.
fn stands_alone(text: &str, rest: &str) -> bool {
    let followed = rest[text.len()..].starts_with(|next: char| next.is_ascii_lowercase());
    !(text == "Jan" && followed)
}

/// A fraction of a second: `.` or `,` and only zeros, or only nines, up to the next other digit.
fn fraction(rest: &str) -> Option<(Part, usize)> {
    let bytes = rest.as_bytes();
    let comma = match bytes.first()? {
        b'.' => false,
        b',' => true,
        _ => return None,
    };
    let digit = *bytes.get(1).filter(|digit| matches!(digit, b'0' | b'9'))?;
    let digits = bytes[1..].iter().take_while(|byte| **byte == digit).count();
    let ends = !bytes.get(1 + digits).is_some_and(u8::is_ascii_digit);
    let part = Part::Fraction { comma, digits: digits.min(9), trimmed: digit == b'9' };
    ends.then_some((part, 1 + digits))
}

/// A moment in local time, taken apart.
struct Moment<'a> {
    year: u64,
    month: usize,
    day: u64,
    year_day: u64,
    weekday: usize,
    seconds: u64,
    micros: u64,
    zone: &'a Zone,
}

impl<'a> Moment<'a> {
    fn new(at: Wall, zone: &'a Zone) -> Self {
        let local = (at.as_micros() / 1_000_000).saturating_add_signed(i64::from(zone.offset_s));
        let days = local / 86_400;
        let (year, month, day) = civil_date(days);
        Self {
            year,
            month: usize::try_from(month).unwrap_or(1),
            day,
            year_day: day_of_year(year, month, day),
            weekday: usize::try_from((days + 4) % 7).unwrap_or(0),
            seconds: local % 86_400,
            micros: at.as_micros() % 1_000_000,
            zone,
        }
    }

    fn write(&self, text: &mut String, part: Part) {
        let (hour, minute, second) =
            (self.seconds / 3_600, self.seconds / 60 % 60, self.seconds % 60);
        let _ = match part {
            Part::Month => text.write_str(MONTHS[self.month - 1]),
            Part::MonthShort => text.write_str(&MONTHS[self.month - 1][..3]),
            Part::MonthNumber { padded } => number(text, self.month as u64, pad(padded), 2),
            Part::Weekday => text.write_str(WEEKDAYS[self.weekday]),
            Part::WeekdayShort => text.write_str(&WEEKDAYS[self.weekday][..3]),
            Part::Day { pad } => number(text, self.day, pad, 2),
            Part::YearDay { pad } => number(text, self.year_day, Some(pad), 3),
            Part::Hour => number(text, hour, Some('0'), 2),
            Part::Hour12 { padded } => number(text, (hour + 11) % 12 + 1, pad(padded), 2),
            Part::Minute { padded } => number(text, minute, pad(padded), 2),
            Part::Second { padded } => number(text, second, pad(padded), 2),
            Part::Year => number(text, self.year, Some('0'), 4),
            Part::YearShort => number(text, self.year % 100, Some('0'), 2),
            Part::Half { upper } => text.write_str(half(hour, upper)),
            Part::ZoneName => self.write_zone_name(text),
            Part::Offset { z: true, .. } if self.zone.offset_s == 0 => text.write_str("Z"),
            Part::Offset { colons, seconds, hours_only, .. } => {
                self.write_offset(text, colons, seconds, hours_only)
            }
            Part::Fraction { comma, digits, trimmed } => {
                self.write_fraction(text, comma, digits, trimmed)
            }
        };
    }

    fn write_zone_name(&self, text: &mut String) -> core::fmt::Result {
        if !self.zone.name.is_empty() {
            return text.write_str(&self.zone.name);
        }
        let minutes = self.zone.offset_s.unsigned_abs() / 60;
        let hours_only = minutes.is_multiple_of(60);
        self.write_offset(text, false, false, hours_only)
    }

    fn write_offset(
        &self,
        text: &mut String,
        colons: bool,
        seconds: bool,
        hours_only: bool,
    ) -> core::fmt::Result {
        let sign = if self.zone.offset_s < 0 { '-' } else { '+' };
        let size = self.zone.offset_s.unsigned_abs();
        let colon = if colons { ":" } else { "" };
        write!(text, "{sign}{:02}", size / 3_600)?;
        if !hours_only {
            write!(text, "{colon}{:02}", size / 60 % 60)?;
        }
        if seconds {
            write!(text, "{colon}{:02}", size % 60)?;
        }
        Ok(())
    }

    fn write_fraction(
        &self,
        text: &mut String,
        comma: bool,
        digits: usize,
        trimmed: bool,
    ) -> core::fmt::Result {
        let nanos = format!("{:09}", self.micros * 1_000);
        let shown = &nanos[..digits];
        let shown = if trimmed { shown.trim_end_matches('0') } else { shown };
        if shown.is_empty() {
            return Ok(());
        }
        write!(text, "{}{shown}", if comma { ',' } else { '.' })
    }
}

const fn pad(padded: bool) -> Option<char> {
    if padded { Some('0') } else { None }
}

const fn half(hour: u64, upper: bool) -> &'static str {
    match (hour >= 12, upper) {
        (true, true) => "PM",
        (true, false) => "pm",
        (false, true) => "AM",
        (false, false) => "am",
    }
}

fn number(text: &mut String, number: u64, pad: Option<char>, width: usize) -> core::fmt::Result {
    match pad {
        Some('0') => write!(text, "{number:0width$}"),
        Some(_) => write!(text, "{number:width$}"),
        None => write!(text, "{number}"),
    }
}

fn day_of_year(year: u64, month: u64, day: u64) -> u64 {
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let before = BEFORE.get(usize::try_from(month - 1).unwrap_or(0)).copied().unwrap_or(0);
    before + day + u64::from(leap && month > 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn zone(offset_s: i32, name: &str) -> Zone {
        Zone { offset_s, name: name.into() }
    }

    fn shown(layout: &str, micros: u64, zone: &Zone) -> String {
        Layout::new(layout).render(Wall::from_micros(micros), zone)
    }

    /// 2018-07-18 18:43:44.012345 at -0700.
    const MOMENT: u64 = 1_531_964_624_012_345;

    #[test]
    fn known_layouts_read_as_go_prints_them() {
        let west = zone(-25_200, "PDT");
        let cases = [
            (RFC1123Z, "Wed, 18 Jul 2018 18:43:44 -0700"),
            (RFC3339, "2018-07-18T18:43:44-07:00"),
            ("2006-01-02T15:04:05.999999999Z07:00", "2018-07-18T18:43:44.012345-07:00"),
            ("Mon Jan _2 15:04:05 2006", "Wed Jul 18 18:43:44 2018"),
            ("Mon Jan _2 15:04:05 MST 2006", "Wed Jul 18 18:43:44 PDT 2018"),
            ("02 Jan 06 15:04 MST", "18 Jul 18 18:43 PDT"),
            ("Monday, 02-Jan-06 15:04:05 MST", "Wednesday, 18-Jul-18 18:43:44 PDT"),
            ("3:04PM", "6:43PM"),
            ("03.04.05pm", "06.43.44pm"),
            ("Jan _2 15:04:05.000", "Jul 18 18:43:44.012"),
            ("15:04:05,000000", "18:43:44,012345"),
            ("15:04:05.000000000", "18:43:44.012345000"),
            ("2006-01-02 15:04:05.999999999 -0700 MST", "2018-07-18 18:43:44.012345 -0700 PDT"),
            ("002/__2", "199/199"),
            ("1/2/06 3:4:5", "7/18/18 6:43:44"),
            ("January Janet", "July Janet"),
            ("_2006", "_2018"),
            ("-07 -07:00:00 -070000 Z07 Z0700", "-07 -07:00:00 -070000 -07 -0700"),
            ("no part at all", "no part at all"),
            ("", ""),
        ];
        for (layout, text) in cases {
            assert_eq!(shown(layout, MOMENT, &west), text, "{layout}");
        }
    }

    #[test]
    fn zones_decide_about_the_day_and_its_offset() {
        assert_eq!(shown(RFC3339, MOMENT, &Zone::default()), "2018-07-19T01:43:44Z");
        assert_eq!(shown(RFC1123Z, MOMENT, &Zone::default()), "Thu, 19 Jul 2018 01:43:44 +0000");
        let india = zone(19_800, "");
        assert_eq!(shown("Z07:00 MST", MOMENT, &india), "+05:30 +0530");
        assert_eq!(shown("MST", MOMENT, &zone(3_600, "")), "+01");
        assert_eq!(shown("Jan _2", 0, &Zone::default()), "Jan  1");
    }

    #[test]
    fn log_folders_are_named_in_english_without_padding() {
        assert_eq!(folder(Wall::from_micros(MOMENT), &zone(-25_200, "")), "2018/july/18");
        assert_eq!(folder(Wall::from_micros(0), &Zone::default()), "1970/january/1");
    }

    #[test]
    fn only_fractions_differ_within_a_second() {
        assert!(!Layout::new(RFC1123Z).has_fraction());
        assert!(!Layout::new("15.04.05").has_fraction());
        assert!(Layout::new("15:04:05.000").has_fraction());
        assert!(Layout::new("05,9").has_fraction());
    }

    proptest! {
        #[test]
        fn rfc3339_says_what_a_wall_time_says(seconds in 0u64..250_000_000_000) {
            let wall = Wall::from_micros(seconds * 1_000_000);
            let expected = alloc::string::ToString::to_string(&wall).replace(".000000", "");
            prop_assert_eq!(Layout::new(RFC3339).render(wall, &Zone::default()), expected);
        }

        #[test]
        fn no_layout_panics(layout in "\\PC{0,30}|[0-9:.,_MSTJanZ -]{0,30}", at in any::<u64>(),
            offset_s in -90_000i32..90_000)
        {
            let layout = Layout::new(layout);
            let _ = layout.render(Wall::from_micros(at), &zone(offset_s, "X"));
            let _ = layout.has_fraction();
        }

        #[test]
        fn the_day_of_a_year_counts_on(day in 0u64..200_000) {
            let (year, month, date) = civil_date(day);
            let (next_year, next_month, next_date) = civil_date(day + 1);
            let next = day_of_year(next_year, next_month, next_date);
            let counted = if next_year == year { day_of_year(year, month, date) + 1 } else { 1 };
            prop_assert_eq!(next, counted);
        }
    }
}
