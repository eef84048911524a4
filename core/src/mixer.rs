//! Mixes numbers into one: the arithmetic of digests and fingerprints. Not cryptographic.

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
    pub(crate) const fn word(&mut self, word: u64) {
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
}
