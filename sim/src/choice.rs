//! The source of every choice of a simulation: bytes, from a seed or given.
//!
//! The bytes are a header, which determines the scenario, and then one chunk of a fixed size for
//! each step. A step that needs more than its chunk gets zeros, and zero is always the simplest
//! choice; unused bytes are not passed to the next step. Removing or simplifying a step therefore
//! does not change the choices of others, which the shrinker relies on.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// How many bytes the scenario is made of.
pub const HEADER_BYTES: usize = 64;

/// How many bytes each step has.
pub const STEP_BYTES: usize = 24;

/// A run of a seed has at least this many steps, and fewer than `STEPS_MIN + STEPS_MORE`.
const STEPS_MIN: usize = 60;
const STEPS_MORE: usize = 400;

/// The choices of one run.
#[derive(Clone, Debug)]
pub struct Choices {
    bytes: Vec<u8>,
    /// Which byte is next.
    at: usize,
    /// The end of the current chunk.
    end: usize,
}

impl Choices {
    /// The choices that derive from a seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let steps = STEPS_MIN + rng.next_u32() as usize % STEPS_MORE;
        let mut bytes = vec![0; HEADER_BYTES + steps * STEP_BYTES];
        rng.fill_bytes(&mut bytes);
        Self::from_bytes(bytes)
    }

    /// The given bytes: as many steps as there are chunks, the last of which may be cut off.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let end = HEADER_BYTES.min(bytes.len());
        Self { bytes, at: 0, end }
    }

    /// Nothing but the dullest choices, and no step.
    pub const fn dull() -> Self {
        Self { bytes: Vec::new(), at: 0, end: 0 }
    }

    /// Moves to the chunk of the next step, or returns false if there is none.
    pub fn next_step(&mut self) -> bool {
        let is_there = self.end < self.bytes.len();
        self.at = self.end;
        self.end = self.bytes.len().min(self.end + STEP_BYTES);
        is_there
    }

    /// The header and the chunks of all steps there are.
    pub fn all(&self) -> &[u8] {
        &self.bytes
    }

    /// The header and the chunks of all steps begun so far: the same bytes give the same run.
    pub fn taken(&self) -> &[u8] {
        &self.bytes[..self.end]
    }

    /// The header and the chunks of the steps.
    pub fn chunks(&self) -> (&[u8], impl Iterator<Item = &[u8]>) {
        let (header, steps) = self.bytes.split_at(HEADER_BYTES.min(self.bytes.len()));
        (header, steps.chunks(STEP_BYTES))
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        if self.at == self.end {
            return 0;
        }
        let byte = self.bytes[self.at];
        self.at += 1;
        byte
    }

    /// The next two bytes as a number.
    pub fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// The next eight bytes as a number.
    pub fn word(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// A number below `limit`, which is at least 1. Slightly biased, which does not matter here.
    pub fn below(&mut self, limit: usize) -> usize {
        let wide = if limit <= 256 { usize::from(self.byte()) } else { usize::from(self.short()) };
        wide % limit
    }

    /// True once in `n` times, and never when the chunk has run out.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    /// One of `items`, of which there is at least one; the first when the chunk has run out.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A random index, with these weights; `None` if all weights are 0. Takes two bytes, whatever
    /// the weights are.
    pub fn weighted(&mut self, weights: &[usize]) -> Option<usize> {
        let total: usize = weights.iter().sum();
        let mut rest = (usize::from(self.short()) * total) >> 16;
        weights.iter().position(|weight| {
            let hit = rest < *weight;
            rest = rest.saturating_sub(*weight);
            hit
        })
    }

    /// A seed for a generator.
    pub fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.word().to_le_bytes());
        seed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_wants_more_gets_zeros_and_the_next_has_its_own() {
        let mut bytes = vec![7; HEADER_BYTES + 2 * STEP_BYTES + 1];
        bytes[HEADER_BYTES + STEP_BYTES] = 255;
        let mut choices = Choices::from_bytes(bytes.clone());
        assert_eq!((choices.byte(), choices.taken().len()), (7, HEADER_BYTES));
        assert!(choices.next_step());
        (0..STEP_BYTES).for_each(|_| assert_eq!(choices.byte(), 7));
        let dull = (choices.word(), choices.one_in(2), *choices.pick(&["dull", "wild"]));
        assert_eq!(dull, (0, false, "dull"));
        assert!(choices.next_step());
        assert_eq!((choices.byte(), choices.taken()), (255, &bytes[..bytes.len() - 1]));
        assert!(choices.next_step());
        assert_eq!((choices.byte(), choices.byte()), (7, 0));
        assert!(!choices.next_step());
        assert_eq!((choices.byte(), choices.taken()), (0, &bytes[..]));
        assert!(!Choices::from_bytes([1, 2]).next_step());
    }

    #[test]
    fn the_bytes_of_a_seed_are_pinned() {
        let mut choices = Choices::from_seed(1);
        let steps = choices.chunks().1.count();
        assert!((STEPS_MIN..STEPS_MIN + STEPS_MORE).contains(&steps), "{steps}");
        assert_eq!((steps, choices.word()), (109, 18_162_610_939_173_096_682));
    }

    #[test]
    fn weights_are_kept_to() {
        let mut choices = Choices::from_seed(1);
        let mut hits = [0; 3];
        while choices.next_step() {
            hits[choices.weighted(&[1, 0, 9]).expect("weights")] += 1;
        }
        assert_eq!(hits[1], 0);
        assert!(hits[0] > 0 && hits[2] > 4 * hits[0], "{hits:?}");
        assert_eq!(Choices::dull().weighted(&[0, 0]), None);
        assert_eq!(Choices::dull().weighted(&[0, 2]), Some(1));
    }
}
