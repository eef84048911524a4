//! Numbers as an operator reads them.

/// `0`, `512`, `1.5K`, `12M`: bytes, in powers of 1,024, three digits.
pub(crate) fn bytes(count: u64) -> String {
    if count < 1024 {
        return count.to_string();
    }
    // Precise enough for three digits.
    let mut value = count as f64;
    let mut unit = ' ';
    for next in ['K', 'M', 'G', 'T', 'P', 'E'] {
        if value < 999.5 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if value < 9.95 { format!("{value:.1}{unit}") } else { format!("{value:.0}{unit}") }
}

/// Bytes a second; nothing for none.
pub(crate) fn rate(bytes_a_second: f64) -> String {
    if bytes_a_second < 0.5 {
        return "-".to_owned();
    }
    // A rate is far below 2^53, and not negative.
    bytes(bytes_a_second.round() as u64)
}

/// `45s`, `12m03s`, `3h07m`, `9d04h`.
pub(crate) fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if minutes == 0 => format!("{seconds}s"),
        () if hours == 0 => format!("{minutes}m{:02}s", seconds % 60),
        () if days == 0 => format!("{hours}h{:02}m", minutes % 60),
        () => format!("{days}d{:02}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_at_most() {
        let shown = [0, 1023, 1024, 1536, 10_240, 1_023_000, 1_048_576, i64::MAX as u64];
        let shown: Vec<String> = shown.into_iter().map(bytes).collect();
        assert_eq!(shown, ["0", "1023", "1.0K", "1.5K", "10K", "999K", "1.0M", "8.0E"]);
        assert_eq!(rate(0.2), "-");
        assert_eq!(rate(2048.0), "2.0K");
    }

    #[test]
    fn spans_have_two_units() {
        let shown: Vec<String> = [5, 65, 3700, 90_000].into_iter().map(span).collect();
        assert_eq!(shown, ["5s", "1m05s", "1h01m", "1d01h"]);
    }
}
