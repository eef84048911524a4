//! Durations as Go's `time.ParseDuration` reads and `Duration.String` writes them: `1m30s`.

use alloc::format;
use alloc::string::{String, ToString};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The units, longer names before their prefixes.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", NANOS_PER_SECOND),
    ("m", 60 * NANOS_PER_SECOND),
    ("h", 3_600 * NANOS_PER_SECOND),
];

/// Reads a duration such as `10s`, `1h15m30.5s` or `-2ms`, in nanoseconds. A number needs a unit,
/// except for `0`. `None` for anything else, and for more than 63 bits of nanoseconds.
pub fn parse_duration(text: &str) -> Option<i64> {
    let (is_negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos: u64 = 0;
    while !rest.is_empty() {
        let (term, tail) = parse_term(rest)?;
        nanos = nanos.checked_add(term)?;
        rest = tail;
    }
    if is_negative { 0i64.checked_sub_unsigned(nanos) } else { i64::try_from(nanos).ok() }
}

/// One number with its unit at the start of `text`, and the rest.
fn parse_term(text: &str) -> Option<(u64, &str)> {
    let (whole, rest) = split_digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => split_digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let unit_len = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (name, tail) = rest.split_at(unit_len);
    let (_, unit) = UNITS.into_iter().find(|(known, _)| *known == name)?;
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let nanos = whole.checked_mul(unit)?.checked_add(fraction_of(fraction, unit))?;
    Some((nanos, tail))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// `0.<digits>` of a unit, rounded down. Digits beyond the eighteenth cannot matter.
fn fraction_of(digits: &str, unit: u64) -> u64 {
    let digits = &digits[..digits.len().min(18)];
    let (mut numerator, mut denominator) = (0u64, 1u64);
    for digit in digits.bytes() {
        numerator = numerator * 10 + u64::from(digit - b'0');
        denominator *= 10;
    }
    let nanos = u128::from(numerator) * u128::from(unit) / u128::from(denominator);
    u64::try_from(nanos).expect("less than one unit, which fits")
}

/// Writes a duration in nanoseconds: `1h15m30.5s`, `2ms`, `0s`.
pub fn format_duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    if nanos == 0 {
        return "0s".to_string();
    }
    if nanos < NANOS_PER_SECOND {
        let (unit, name) = match nanos {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return format!("{sign}{}{name}", decimal(nanos, unit));
    }
    let (hours, rest) = (nanos / (3_600 * NANOS_PER_SECOND), nanos % (3_600 * NANOS_PER_SECOND));
    let (minutes, rest) = (rest / (60 * NANOS_PER_SECOND), rest % (60 * NANOS_PER_SECOND));
    let seconds = decimal(rest, NANOS_PER_SECOND);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// `nanos / unit` exactly, without trailing zeros; `unit` is a power of ten.
fn decimal(nanos: u64, unit: u64) -> String {
    let (whole, rest) = (nanos / unit, nanos % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    format!("{whole}.{}", format!("{rest:0width$}").trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_read_as_go_reads_them() {
        for (text, nanos) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("5s", Some(5_000_000_000)),
            ("1m30s", Some(90_000_000_000)),
            ("1h1m0.5s", Some(3_660_500_000_000)),
            (".5s", Some(500_000_000)),
            ("5.s", Some(5_000_000_000)),
            ("-500ms", Some(-500_000_000)),
            ("+3us", Some(3_000)),
            ("3µs", Some(3_000)),
            ("3μs", Some(3_000)),
            ("9223372036854775807ns", Some(i64::MAX)),
            ("-9223372036854775808ns", Some(i64::MIN)),
            ("9223372036854775808ns", None),
            ("99999999999999999999h", None),
            ("", None),
            ("2", None),
            ("s", None),
            (".s", None),
            ("-", None),
            ("1 s", None),
            ("1d", None),
            ("1S", None),
            ("1e3s", None),
        ] {
            assert_eq!(parse_duration(text), nanos, "{text}");
        }
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (12_000_000, "12ms"),
            (1_500_000_000, "1.5s"),
            (60_000_000_000, "1m0s"),
            (3_600_000_000_000, "1h0m0s"),
            (-2_000_000, "-2ms"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(format_duration(nanos), text);
        }
    }

    proptest! {
        #[test]
        fn a_duration_reads_back(nanos: i64) {
            prop_assert_eq!(parse_duration(&format_duration(nanos)), Some(nanos));
        }

        #[test]
        fn no_text_panics(text in "[-+]?[0-9.]{0,30}(ns|us|µs|ms|s|m|h|d)?[0-9.hms]{0,9}") {
            let _ = parse_duration(&text);
        }
    }
}
