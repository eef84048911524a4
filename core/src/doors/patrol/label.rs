//! Ids of apps and services: host name labels, without regard to case.

use alloc::string::String;
use core::fmt;

/// The longest label, in bytes.
pub const LABEL_MAX_BYTES: usize = 63;

/// The id of an app or a service: 1 to 63 of `0-9 a-z -`, without a `-` at either end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

/// Why a text is no label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelError {
    /// No text at all.
    Empty,
    /// Too long, a character that a host name label may not have, or a `-` at an end.
    Invalid,
}

impl Label {
    /// The label that `text` is, in lower case.
    ///
    /// # Errors
    /// For a text that is empty or not a host name label.
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        if text.is_empty() {
            return Err(LabelError::Empty);
        }
        let allowed = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let ends = text.starts_with('-') || text.ends_with('-');
        if !allowed || ends || text.len() > LABEL_MAX_BYTES {
            return Err(LabelError::Invalid);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// The text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    #[test]
    fn labels_are_host_name_labels_in_lower_case() {
        for good in ["a", "Z", "0", "a-a", "a--a", "WEB-1", &"x".repeat(63)] {
            assert_eq!(Label::parse(good).expect(good).to_string(), good.to_lowercase());
        }
        assert_eq!(Label::parse(""), Err(LabelError::Empty));
        for bad in [".", "..", "-", "a-", "-a", "a_b", "a.b", "ä", "a b", "a\n", &"x".repeat(64)] {
            assert_eq!(Label::parse(bad), Err(LabelError::Invalid), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn one_byte_is_a_label_if_it_is_a_letter_or_a_digit(byte in 0u8..128) {
            let text = char::from(byte).to_string();
            prop_assert_eq!(Label::parse(&text).is_ok(), byte.is_ascii_alphanumeric());
        }

        #[test]
        fn a_label_is_its_own_label(text in "[0-9A-Za-z-]{0,70}") {
            if let Ok(label) = Label::parse(&text) {
                prop_assert_eq!(Label::parse(label.as_str()), Ok(label));
            }
        }
    }
}
