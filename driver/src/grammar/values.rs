//! Values of options: tags, times, points in a trace. Owns their syntax and the errors of invalid
//! ones.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openctrl_core::ids::InstanceId;
use openctrl_core::time::{Now, Wall};

use crate::runtime::SecretSource;

/// A point in the time of a master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Microseconds after the start of the master.
    Uptime(u64),
    /// A prefix of an RFC 3339 time, in UTC: up to the end of the period that it names.
    Wall(String),
}

impl Until {
    /// Whether `now` is later.
    pub(crate) fn is_before(&self, now: Now) -> bool {
        match self {
            Self::Uptime(micros) => now.mono.as_micros() > *micros,
            Self::Wall(text) => now.wall.to_string()[..text.len()] > **text,
        }
    }
}

/// `K=V`; the key may not be empty.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some(("", _)) => Err("a tag needs a name before the =".to_owned()),
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err("a tag is written NAME=VALUE".to_owned()),
    }
}

/// `NAME=VALUE`, or `NAME` alone for the value that the caller has.
pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => match std::env::var(text) {
            Ok(value) => (text, value),
            Err(_) => return Err("it is not set here; write NAME=VALUE".to_owned()),
        },
    };
    if name.is_empty() {
        return Err("a variable needs a name before the =".to_owned());
    }
    Ok((name.to_owned(), value))
}

/// `NAME=file:/path` or `NAME=env:NAME`.
pub(super) fn secret(text: &str) -> Result<(String, SecretSource), String> {
    let (name, source) = text.split_once('=').unwrap_or_default();
    let source = SecretSource::parse(source).filter(|_| !name.is_empty());
    let want = "write NAME=file:/absolute/path or NAME=env:NAME";
    source.map(|source| (name.to_owned(), source)).ok_or_else(|| want.to_owned())
}

/// `500ms`, `30s`, `5m`, `1h`; a number alone is seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("a time is written 500ms, 30s, 5m or 1h".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "a time is written 500ms, 30s, 5m or 1h")?;
    number
        .checked_mul(unit_ms)
        .filter(|ms| (1..=86_400_000).contains(ms))
        .map(Duration::from_millis)
        .ok_or_else(|| "a time is more than 0 and at most 24h".to_owned())
}

/// How long something lasts, in seconds: `12h`, `30d`, `52w`.
pub(super) fn lifetime(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_s = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err("a lifetime is written 60s, 30m, 12h, 30d or 52w".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "write a number and a unit, such as 30d")?;
    let life = number.checked_mul(unit_s).filter(|life| (1..=100 * 366 * 86_400).contains(life));
    life.ok_or_else(|| "a lifetime is more than 0 and at most 100 years".to_owned())
}

/// Seconds since the start of the master, such as `12.5`, or a time, such as `2026-06-09T10:13`.
pub(super) fn until(text: &str) -> Result<Until, String> {
    let time = text.strip_suffix('Z').unwrap_or(text);
    if is_time_prefix(time) {
        return Ok(Until::Wall(time.to_owned()));
    }
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    seconds
        .map(|seconds| Until::Uptime((seconds * 1e6) as u64))
        .ok_or_else(|| "write seconds such as 12.5, or a time such as 2026-06-09T10:13".to_owned())
}

/// A time as the beginning of an RFC 3339 time in UTC: given so, or as a span before now.
pub(super) fn point(text: &str) -> Result<String, String> {
    let time = text.strip_suffix('Z').unwrap_or(text);
    if is_time_prefix(time) {
        return Ok(time.to_owned());
    }
    // A number alone could also be a year.
    let span = duration(text).ok().filter(|_| text.ends_with(|c: char| c.is_ascii_alphabetic()));
    let span = span.ok_or("write 30s, 10m or 2h for a time ago, or 2026-06-09T10:13 in UTC")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let micros = u64::try_from(now.saturating_sub(span).as_micros()).unwrap_or(u64::MAX);
    let time = Wall::from_micros(micros).to_string();
    Ok(time.strip_suffix('Z').unwrap_or(&time).to_owned())
}

/// The id of an instance, in full.
pub(super) fn instance_id(text: &str) -> Result<InstanceId, String> {
    InstanceId::parse(text).ok_or_else(|| "an id has 8 hexadecimal digits in lower case".to_owned())
}

/// Whether this is the beginning of an RFC 3339 time, the date at least.
fn is_time_prefix(text: &str) -> bool {
    const SHAPE: &str = "dddd-dd-ddTdd:dd:dd.dddddd";
    let fits = |(byte, shape): (u8, u8)| match shape {
        b'd' => byte.is_ascii_digit(),
        other => byte == other,
    };
    (10..=SHAPE.len()).contains(&text.len()) && text.bytes().zip(SHAPE.bytes()).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use openctrl_core::time::Time;

    #[test]
    fn times_and_tags_are_read() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        for bad in ["", "s", "0", "-1s", "1d", "25h", "99999999999999999999s"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("a").is_err() && pair("=a").is_err());
    }

    #[test]
    fn lifetimes_are_read() {
        for (text, seconds) in [("90s", 90), ("12h", 43_200), ("30d", 2_592_000), ("1w", 604_800)] {
            assert_eq!(lifetime(text), Ok(seconds));
        }
        for bad in ["", "30", "0d", "-1d", "1y", "99999999d"] {
            assert!(lifetime(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn variables_and_secrets_are_read() {
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(variable("A=b=c"), Ok(own("A", "b=c")));
        assert_eq!(variable("A="), Ok(own("A", "")));
        assert!(variable("=b").is_err() && variable("NO_SUCH_VARIABLE_HERE").is_err());
        let file = SecretSource::File("/run/t".into());
        assert_eq!(secret("T=file:/run/t"), Ok(("T".to_owned(), file)));
        for bad in ["T", "T=hunter2", "=file:/x", "T=file:x", "T=env:"] {
            let reason = secret(bad).expect_err(bad);
            assert!(!reason.contains("hunter2"), "{reason}");
        }
    }

    #[test]
    fn points_in_time_and_ids_are_read() {
        assert_eq!(until("12.5"), Ok(Until::Uptime(12_500_000)));
        for bad in ["soon", "-1", "2026-6-9", "inf", ""] {
            assert!(until(bad).is_err(), "{bad:?}");
        }
        assert_eq!(instance_id("0000000a"), Ok(InstanceId(10)));
        assert!(instance_id("A").is_err() && instance_id("0000000A").is_err());
    }

    #[test]
    fn a_point_is_a_time_or_a_span_ago() {
        assert_eq!(point("2026-06-09T10:13Z").as_deref(), Ok("2026-06-09T10:13"));
        let [hour, minute] = ["1h", "1m"].map(|span| point(span).expect("a span"));
        assert!(hour < minute && minute.starts_with("20"), "{hour} {minute}");
        for bad in ["", "soon", "2026", "-1m"] {
            assert!(point(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_stands_for_all_that_it_names() {
        let now = |micros| Now {
            mono: Time::from_micros(micros),
            wall: Wall::from_micros(1_781_000_000_000_000 + micros),
        };
        for (text, last, first_after) in [
            ("2", 2_000_000, 2_000_001),
            ("2026-06-09T10:13:20Z", 999_999, 1_000_000),
            ("2026-06-09T10:13", 39_999_999, 40_000_000),
            ("2026-06-09", 49_599_999_999, 49_600_000_000),
        ] {
            let until = until(text).expect("a time");
            assert!(!until.is_before(now(last)) && until.is_before(now(first_after)), "{text}");
        }
    }
}
