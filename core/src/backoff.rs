//! How long to wait before a failed instance is started again.
//!
//! Owns: the delays. Does not own: the timer, nor what counts as healthy again.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// The first delay. With the jitter it lies between 1.6 and 2.4 s: late enough for `error` to be
/// seen, and well within the 5 s that Contract §6 allows.
const FIRST_MS: u64 = 2_000;

/// The delay at which the doubling ends (Contract §6).
const LONGEST_MS: u64 = 60_000;

/// The number of doublings after which every delay is the longest.
const DOUBLINGS: u32 = 5;

/// Delays that double from 2 s to 60 s, each with ±20 % jitter, for ever (Contract §6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backoff {
    pub(crate) attempts: u32,
}

impl Backoff {
    /// The delay before the next attempt, in ms. Takes exactly one number from `rng`.
    pub fn next_delay_ms(&mut self, rng: &mut ChaCha8Rng) -> u64 {
        let nominal_ms = (FIRST_MS << self.attempts.min(DOUBLINGS)).min(LONGEST_MS);
        self.attempts = self.attempts.saturating_add(1);
        let fifth_ms = nominal_ms / 5;
        // The bias of the remainder is 1 in 10^14 here.
        let jitter_ms = rng.next_u64() % (2 * fifth_ms + 1);
        nominal_ms - fifth_ms + jitter_ms
    }

    /// The instance is healthy again: the next delay is a first one.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn the_generator_is_pinned() {
        // Recorded runs replay only while these stay the same.
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let first = [rng.next_u64(), rng.next_u64(), rng.next_u64()];
        assert_eq!(
            first,
            [7_424_550_030_962_593_201, 1_482_817_706_323_250_795, 11_004_592_982_271_133_285,]
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn doubles_within_its_jitter(seed: u64, rounds in 1usize..3) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut backoff = Backoff::default();
            for _ in 0..rounds {
                for nominal_ms in [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000] {
                    let delay_ms = backoff.next_delay_ms(&mut rng);
                    let allowed_ms = nominal_ms * 8 / 10..=nominal_ms * 12 / 10;
                    prop_assert!(allowed_ms.contains(&delay_ms), "{} {}", nominal_ms, delay_ms);
                }
                backoff.reset();
            }
        }

        #[test]
        fn never_overflows(seed: u64, before_last in 0u32..3) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut backoff = Backoff { attempts: u32::MAX - before_last };
            for _ in 0..4 {
                prop_assert!((48_000..=72_000).contains(&backoff.next_delay_ms(&mut rng)));
            }
            prop_assert_eq!(backoff.attempts, u32::MAX);
        }
    }

    #[test]
    fn the_jitter_reaches_both_ends() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let delays = core::iter::repeat_with(|| Backoff::default().next_delay_ms(&mut rng));
        let (low, high) =
            delays.take(20_000).fold((u64::MAX, 0), |(low, high), ms| (low.min(ms), high.max(ms)));
        assert_eq!((low, high), (1_600, 2_400));
    }
}
