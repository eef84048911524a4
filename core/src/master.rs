//! Who the master is: its id, its alias and its API key.
//!
//! The key is made by the driver; the engine carries it without ever looking at it.

use alloc::string::String;
use core::fmt;

use subtle::ConstantTimeEq;

use crate::ids::KeyEpoch;

/// How many hex digits an API key has.
pub const KEY_HEX_DIGITS: usize = 32;

/// An API key. Compares in constant time only, and never shows itself through `Debug`.
#[derive(Clone, Hash)]
pub struct ApiKey(String);

impl ApiKey {
    /// A key from 16 random bytes, as 32 lower-case hex digits.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(hex(&bytes))
    }

    /// A key as it was stored.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// Whether `presented` is this key, in a time that does not depend on where they differ.
    pub fn admits(&self, presented: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(presented).into()
    }

    /// The key itself, for the key instance, the state file and the two lines that scripts read.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

/// What makes this master this master; stored, and shown as the key instance (Contract §4).
#[derive(Clone, Debug, Hash)]
pub struct MasterIdentity {
    /// 16 hex digits, drawn once at the first start.
    pub mid: String,
    /// The operator's name for the master, at most 256 bytes.
    pub alias: String,
    /// What requests have to present.
    pub key: ApiKey,
}

impl MasterIdentity {
    /// A new master: `mid` and `key` from bytes that the driver drew.
    pub fn from_random(mid: [u8; 8], key: [u8; 16]) -> Self {
        Self { mid: hex(&mid), alias: String::new(), key: ApiKey::from_random(key) }
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The public data of the master, and the API key.
#[derive(Clone, Debug, Hash)]
pub struct MasterFace {
    /// Who it is.
    pub identity: MasterIdentity,
    /// How often the key changed.
    pub key_epoch: KeyEpoch,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn a_key_admits_itself_and_nothing_else() {
        let key = ApiKey::from_random([0xa5; 16]);
        assert_eq!(key.reveal(), "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5");
        assert!(key.admits(key.reveal().as_bytes()));
        for other in [&b""[..], b"a5", b"A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5", &[0; 32]] {
            assert!(!key.admits(other));
        }
    }

    #[test]
    fn a_key_does_not_show_in_debug_output() {
        let master = MasterIdentity::from_random([1; 8], [0xa5; 16]);
        assert_eq!(master.mid, "0101010101010101");
        assert!(!format!("{master:?}").contains("a5a5"));
    }
}
