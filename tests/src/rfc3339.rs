//! Reading the `time` of an event.

/// Nanoseconds since the Unix epoch, or `None` if `text` is not RFC 3339 **with a fraction**
/// (contract §8).
pub fn unix_nanos(text: &str) -> Option<i128> {
    let (date, rest) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let zone_at = rest.find(['Z', '+', '-'])?;
    let (time, zone) = rest.split_at(zone_at);
    let (clock, fraction) = time.split_once('.')?;
    let [hour, minute, second] = numbers(clock, ':')?;
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: i128 = format!("{fraction:0<9}").parse().ok()?;
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day);
    if !in_range || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(i128::from(seconds - offset_seconds(zone)?) * 1_000_000_000 + nanos)
}

fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let parts: Vec<&str> = text.split(separator).collect();
    if parts.iter().any(|part| !part.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let parsed: Option<Vec<i64>> = parts.iter().map(|part| part.parse().ok()).collect();
    parsed?.try_into().ok()
}

fn offset_seconds(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    Some(sign * (hours.parse::<i64>().ok()? * 3_600 + minutes.parse::<i64>().ok()? * 60))
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar; years start in March so that the
/// leap day is the last one.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let months_since_march = (month + 9) % 12;
    let day_of_year = (153 * months_since_march + 2) / 5 + day - 1;
    shifted * 365 + shifted.div_euclid(4) - shifted.div_euclid(100)
        + shifted.div_euclid(400)
        + day_of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::unix_nanos;

    #[test]
    fn known_instants_are_read() {
        assert_eq!(unix_nanos("1970-01-01T00:00:00.0Z"), Some(0));
        assert_eq!(unix_nanos("2000-03-01T00:00:00.5Z"), Some(951_868_800_500_000_000));
        assert_eq!(unix_nanos("2024-02-29T23:59:59.000000001Z"), Some(1_709_251_199_000_000_001));
        assert_eq!(
            unix_nanos("2026-06-08T14:00:00.25+02:00"),
            unix_nanos("2026-06-08T12:00:00.25Z")
        );
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "2026-06-08T12:00:00Z",
            "2026-06-08 12:00:00.1Z",
            "2026-06-08T12:00:00.Z",
            "2026-06-08T12:00:00.1",
            "2026-13-08T12:00:00.1Z",
            "now",
        ] {
            assert_eq!(unix_nanos(text), None, "{text}");
        }
    }
}
