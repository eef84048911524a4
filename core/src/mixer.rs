//! Mixes numbers into one: digests and fingerprints. Not cryptographic.
//!
//! A digest takes in whatever derives `Hash`. It is the same in every build and for every width of
//! a pointer, other than with a hasher of the standard library. With or without texts: a trace has
//! masks in the place of texts, so that only the numbers beside them can be compared.

use core::hash::{Hash, Hasher};

/// Odd, so that no difference of a single number is lost, and one for each place.
const FACTORS: [u64; 12] = [
    0x9e37_79b9_7f4a_7c15,
    0xbf58_476d_1ce4_e5b9,
    0x94d0_49bb_1331_11eb,
    0xd6e8_feb8_6659_fd93,
    0xa076_1d64_78bd_642f,
    0xe703_7ed1_a0b4_28db,
    0x8ebc_6af0_9c88_c6e3,
    0x5899_65cc_7537_4cc3,
    0x1d8e_4e27_c47d_124f,
    0xeb44_acca_b455_d165,
    0xff51_afd7_ed55_8ccd,
    0xc4ce_b9fe_1a85_ec53,
];

/// The digest of a row of effects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(pub u64);

impl Digest {
    /// The part of it that is recorded with every input.
    pub const fn short(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Takes in a number: one multiplication, and a shift for the upper bits to reach the lower.
    pub const fn word(&mut self, word: u64) {
        let mixed = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }

    /// Takes in some numbers at once. Unlike one after the other, they do not wait for each other.
    pub(crate) fn words<const N: usize>(&mut self, words: [u64; N]) {
        const { assert!(N <= FACTORS.len(), "every number has a factor") };
        let sum = words
            .iter()
            .zip(FACTORS)
            .fold(0u64, |sum, (word, factor)| sum.wrapping_add(word.wrapping_mul(factor)));
        self.word(sum);
    }

    /// Takes in all numbers of a value, such as ids, times and kinds, but no text. It costs a few
    /// instructions a number.
    pub fn numbers(&mut self, value: &impl Hash) {
        value.hash(&mut Taker::<false>(self));
    }

    /// Takes in all of a value, byte for byte.
    pub fn everything(&mut self, value: &(impl Hash + ?Sized)) {
        value.hash(&mut Taker::<true>(self));
    }
}

/// Hands the parts of a value to a digest, texts only if so.
struct Taker<'a, const TEXTS: bool>(&'a mut Digest);

impl<const TEXTS: bool> Hasher for Taker<'_, TEXTS> {
    fn finish(&self) -> u64 {
        self.0.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if !TEXTS {
            return;
        }
        self.0.word(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.0.word(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.0.word(u64::from_le_bytes(last));
        }
    }

    // Signed numbers come here too, as unsigned ones of their width.

    fn write_u8(&mut self, number: u8) {
        self.0.word(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.0.word(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.0.word(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.0.word(number);
    }

    fn write_u128(&mut self, number: u128) {
        self.0.words([number as u64, (number >> 64) as u64]);
    }

    fn write_usize(&mut self, number: usize) {
        self.0.word(number as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;

    fn everything(value: impl Hash) -> u64 {
        let mut digest = Digest::default();
        digest.everything(&value);
        digest.0
    }

    fn numbers(value: impl Hash) -> u64 {
        let mut digest = Digest::default();
        digest.numbers(&value);
        digest.0
    }

    #[derive(Hash)]
    enum Sample {
        One(usize),
        Two { text: String, number: i32, more: Option<u64> },
    }

    fn two(text: &str, number: i32) -> Sample {
        Sample::Two { text: text.into(), number, more: Some(7) }
    }

    /// Computed once: they may never differ, in no build and on no machine.
    #[test]
    fn a_digest_is_pinned() {
        assert_eq!(everything(Sample::One(3)), PINNED_ONE);
        assert_eq!(everything(two("text", -1)), PINNED_TWO);
    }

    const PINNED_ONE: u64 = 0xdaa6_6d2a_a8ec_1d5c;
    const PINNED_TWO: u64 = 0x1ac6_bcf0_27b0_7b73;

    #[test]
    fn numbers_leave_texts_out_and_nothing_else() {
        assert_eq!(numbers(two("text", 1)), numbers(two("a longer text", 1)));
        assert_ne!(numbers(two("text", 1)), numbers(two("text", 2)));
        assert_ne!(everything(two("text", 1)), everything(two("texts", 1)));
        assert_ne!(numbers(two("text", 1)), numbers(Sample::One(1)));
    }

    #[test]
    fn different_bytes_differ() {
        let texts: [&[u8]; 6] = [b"", b"\0", b"a", b"ab", b"12345678", b"12345678\0"];
        let mut digests: Vec<u64> = texts.iter().map(everything).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), texts.len());
    }
}
