//! The secret of an app or a service.

use alloc::string::String;
use core::fmt;

use subtle::ConstantTimeEq;

/// The longest secret, in bytes.
pub const SECRET_MAX_BYTES: usize = 128;

/// The secret that a request needs to change anything. It is compared in constant time only, and
/// `Debug` never shows it.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The secret `text`, or `None` for an empty one, which protects nothing.
    pub fn new(text: String) -> Option<Self> {
        (!text.is_empty()).then_some(Self(text))
    }

    /// Whether `presented` is this secret, in a time that does not depend on where they differ.
    pub fn admits(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }

    /// The text itself, to derive the stored form from it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn a_secret_admits_itself_alone_and_does_not_show() {
        let secret = Secret::new("s3cret".to_string()).expect("not empty");
        assert!(secret.admits("s3cret"));
        for other in ["", "s3cre", "s3cret ", "S3CRET"] {
            assert!(!secret.admits(other), "{other:?}");
        }
        assert!(!format!("{secret:?}").contains("s3"));
        assert!(Secret::new(String::new()).is_none());
    }
}
