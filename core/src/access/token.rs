//! One token: its stored form, and the text that its holder has.

use alloc::format;
use alloc::string::String;
use core::fmt;

use super::Role;
use crate::time::Wall;

/// What every token begins with, so that scanners for leaked secrets find it.
pub const TOKEN_PREFIX: &str = "oct_";

/// The longest name of a token, in bytes.
pub const NAME_MAX_BYTES: usize = 64;

const SECRET_HEX_DIGITS: usize = 64;

/// The name of a token: 1 to 64 letters, digits, `.`, `_` and `-`, and no `.` or `-` first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenName(String);

impl TokenName {
    /// Reads a name; `None` if the text is not a valid name.
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let starts_well =
            text.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '_');
        let is_name = starts_well && text.len() <= NAME_MAX_BYTES && text.bytes().all(is_plain);
        is_name.then(|| Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text of a new token. It is shown once, to the client that created it, and never stored.
pub struct TokenSecret(String);

impl TokenSecret {
    /// A token of 256 random bits.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        let mut text = String::from(TOKEN_PREFIX);
        for byte in bytes {
            text.push_str(&format!("{byte:02x}"));
        }
        Self(text)
    }

    /// The text itself, for the answer to the client that created it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether a text has the form of a token, so that it is worth hashing.
    pub fn is_shaped(text: &[u8]) -> bool {
        let digits = text.strip_prefix(TOKEN_PREFIX.as_bytes());
        digits.is_some_and(|digits| {
            digits.len() == SECRET_HEX_DIGITS
                && digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        })
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(..)")
    }
}

/// The SHA-256 of the text of a token. A token has 256 random bits, so a fast hash is enough.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenDigest(pub [u8; 32]);

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(..)")
    }
}

/// The stored form of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its unique name.
    pub name: TokenName,
    /// What its holder may do.
    pub role: Role,
    /// The hash of its text.
    pub digest: TokenDigest,
    /// When it was created.
    pub created: Wall,
    /// When it expires; `None` is never.
    pub expires: Option<Wall>,
    /// When it was last used, as far as that was saved.
    pub last_used: Option<Wall>,
}

impl Token {
    /// Whether it has expired.
    pub fn is_expired(&self, now: Wall) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// A change of the stored tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenChange {
    /// The new value of a token: a new one, or one that was used.
    Put(Token),
    /// A token is revoked.
    Remove(TokenName),
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn names_are_words() {
        for good in ["a", "ci-bot_1.2", "_x", &"a".repeat(64)] {
            assert_eq!(TokenName::parse(good).expect("a name").to_string(), good);
        }
        for bad in ["", "-a", ".a", "a b", "a/b", "ä", "a\n", &"a".repeat(65)] {
            assert_eq!(TokenName::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_secret_has_its_shape_and_does_not_show() {
        let secret = TokenSecret::from_random([0xa5; 32]);
        assert_eq!(secret.reveal().len(), 68);
        assert!(TokenSecret::is_shaped(secret.reveal().as_bytes()));
        for other in [&b""[..], b"oct_", b"a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5"] {
            assert!(!TokenSecret::is_shaped(other));
        }
        assert!(!TokenSecret::is_shaped(secret.reveal().to_uppercase().as_bytes()));
        assert!(!format!("{secret:?} {:?}", TokenDigest([0xa5; 32])).contains("a5"));
    }
}
