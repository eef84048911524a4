//! Regular expressions of operators, bounded: a pattern has a limited length, and its program a
//! limited size. Matching takes time linear in the line.

use alloc::format;
use alloc::string::String;

use regex::bytes::{Regex, RegexBuilder};

/// The longest pattern, in bytes.
pub const PATTERN_MAX_BYTES: usize = 1024;

/// The most that a compiled pattern takes, and the most that its cache takes, in bytes.
const PROGRAM_MAX_BYTES: usize = 256 * 1024;

/// A pattern that lines are held against.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// # Errors
    /// Why it is not a pattern, in one line.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it is empty".into());
        }
        if text.len() > PATTERN_MAX_BYTES {
            return Err(format!(
                "it has {} bytes; at most {PATTERN_MAX_BYTES} are taken",
                text.len()
            ));
        }
        let built = RegexBuilder::new(text)
            .size_limit(PROGRAM_MAX_BYTES)
            .dfa_size_limit(PROGRAM_MAX_BYTES)
            .build();
        // The last line of the message is the reason; those before it show the pattern.
        built.map(Self).map_err(|error| {
            let text = format!("{error}");
            let last = text.lines().last().unwrap_or_default();
            last.trim().trim_start_matches("error: ").into()
        })
    }

    /// Whether a line has a match.
    pub fn is_in(&self, line: &[u8]) -> bool {
        self.0.is_match(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn lines_are_matched_as_bytes() {
        let pattern = Pattern::new("(?i)^fatal|panicked at").expect("a pattern");
        assert!(pattern.is_in(b"FATAL: no disk") && pattern.is_in(b"\xff panicked at x"));
        assert!(!pattern.is_in(b"not fatal"));
    }

    #[test]
    fn what_is_no_pattern_is_named_in_one_line() {
        let refused = |text: &str| Pattern::new(text).expect_err(text).to_string();
        insta::assert_snapshot!(refused(""), @"it is empty");
        insta::assert_snapshot!(refused("("), @"unclosed group");
        insta::assert_snapshot!(refused("(a{1000}){1000}"), @"Compiled regex exceeds size limit of 262144 bytes.");
        insta::assert_snapshot!(refused(&"x".repeat(1025)), @"it has 1025 bytes; at most 1024 are taken");
    }
}
