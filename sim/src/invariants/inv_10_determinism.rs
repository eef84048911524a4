//! INV-10: the same seed gives the same effects, byte for byte.
//!
//! A digest of their debug text stands for them. The two runs compared here are of one build;
//! that another build gives the same digest is seen by comparing what `sweep` prints.

use super::{Verdict, ensure};

/// A 64-bit FNV-1a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    /// Takes more text in.
    pub fn add(&mut self, text: &str) {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// Judges the digests of two runs of the same seed.
///
/// # Errors
/// They differ.
pub fn compare(first: Digest, second: Digest) -> Verdict {
    ensure(first == second, || {
        format!("INV-10: the same choices gave {:016x}, then {:016x}", first.0, second.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_texts_differ() {
        let (mut a, mut b) = (Digest::default(), Digest::default());
        a.add("ab");
        b.add("a");
        assert!(compare(a, b).is_err());
        b.add("b");
        assert_eq!(compare(a, b), Ok(()));
    }
}
