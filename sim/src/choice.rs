//! Where every choice of a simulation comes from: a stream of bytes, out of a seed or given.
//!
//! A fuzzer can so drive the same simulation as a seed does. A stream that has run out gives
//! zeros, and zero is always the dullest choice.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of choices.
#[derive(Debug)]
pub struct Choices {
    source: Source,
}

#[derive(Debug)]
enum Source {
    Seeded(Box<ChaCha8Rng>),
    Bytes { bytes: Vec<u8>, taken: usize },
}

impl Choices {
    /// An endless stream out of a seed.
    pub fn from_seed(seed: u64) -> Self {
        Self { source: Source::Seeded(Box::new(ChaCha8Rng::seed_from_u64(seed))) }
    }

    /// The given bytes, then zeros.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self { source: Source::Bytes { bytes: bytes.to_vec(), taken: 0 } }
    }

    /// Whether only zeros are left.
    pub fn is_exhausted(&self) -> bool {
        match &self.source {
            Source::Seeded(_) => false,
            Source::Bytes { bytes, taken } => *taken >= bytes.len(),
        }
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        match &mut self.source {
            Source::Seeded(rng) => rng.next_u32().to_le_bytes()[0],
            Source::Bytes { bytes, taken } => {
                let byte = bytes.get(*taken).copied().unwrap_or(0);
                *taken += 1;
                byte
            }
        }
    }

    /// The next eight bytes as a number.
    pub fn word(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// A number below `limit`, which is at least 1. Slightly biased, which does not matter here.
    pub fn below(&mut self, limit: usize) -> usize {
        let wide = if limit <= 256 {
            usize::from(self.byte())
        } else {
            usize::from(u16::from_le_bytes([self.byte(), self.byte()]))
        };
        wide % limit
    }

    /// True once in `n` times, and never when the stream has run out.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    /// One of `items`, of which there is at least one; the first when the stream has run out.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// An index, each as likely as its weight; `None` if all weights are 0.
    pub fn weighted(&mut self, weights: &[usize]) -> Option<usize> {
        let total: usize = weights.iter().sum();
        if total == 0 {
            return None;
        }
        let mut rest = self.below(total);
        weights.iter().position(|weight| {
            let hit = rest < *weight;
            rest = rest.saturating_sub(*weight);
            hit
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_bytes_are_followed_by_zeros() {
        let mut choices = Choices::from_bytes(&[7, 255]);
        assert_eq!((choices.byte(), choices.below(10), choices.is_exhausted()), (7, 5, true));
        assert_eq!(
            (choices.word(), choices.one_in(2), *choices.pick(&["dull", "wild"])),
            (0, false, "dull")
        );
    }

    #[test]
    fn weights_are_kept_to() {
        let mut choices = Choices::from_seed(1);
        let mut hits = [0; 3];
        for _ in 0..1_000 {
            hits[choices.weighted(&[1, 0, 9]).expect("weights")] += 1;
        }
        assert_eq!(hits[1], 0);
        assert!(hits[0] > 50 && hits[2] > 800, "{hits:?}");
        assert_eq!(choices.weighted(&[0, 0]), None);
    }
}
