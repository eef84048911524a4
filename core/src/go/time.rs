//! Times as Go's `time.RFC3339Nano` writes them: in UTC, the fraction without trailing zeros.

use alloc::string::{String, ToString};

use crate::time::Wall;

/// What Go writes for a time that was never set.
pub const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// `wall` in the form `2006-01-02T15:04:05.999999Z`, the fraction as short as it can be.
pub fn rfc3339_nano(wall: Wall) -> String {
    let full = wall.to_string();
    let digits = full.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
    let mut text = String::with_capacity(digits.len() + 1);
    // A whole second ends in `:00` or similar: its zeros stay.
    let whole = full.split('.').next().unwrap_or_default();
    text.push_str(if digits.len() < whole.len() { whole } else { digits });
    text.push('Z');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_fraction_is_as_short_as_it_can_be() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_000_000, "1970-01-01T00:00:01Z"),
            (10_000_000, "1970-01-01T00:00:10Z"),
            (10_100_000, "1970-01-01T00:00:10.1Z"),
            (10_000_001, "1970-01-01T00:00:10.000001Z"),
        ] {
            assert_eq!(rfc3339_nano(Wall::from_micros(micros)), text);
        }
    }

    proptest! {
        #[test]
        fn only_zeros_are_left_out(micros in 0u64..253_402_300_799_999_999) {
            let text = rfc3339_nano(Wall::from_micros(micros));
            let bare = text.trim_end_matches('Z');
            let (whole, fraction) = bare.split_once('.').unwrap_or((bare, ""));
            let full = alloc::format!("{whole}.{fraction:0<6}Z");
            prop_assert_eq!(Wall::parse(&full), Some(Wall::from_micros(micros)));
            prop_assert!(!fraction.ends_with('0') && !bare.ends_with('.'));
        }
    }
}
