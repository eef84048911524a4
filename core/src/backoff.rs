//! How long to wait before a failed instance is started again.
//!
//! Owns: the delays. Does not own: the timer, nor what counts as healthy again.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// Delays that double from a first to a longest one, each with ±20 % jitter but none shorter than
/// the first, without a limit on their number (Contract §6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backoff {
    pub(crate) attempts: u32,
}

impl Backoff {
    /// The delay before the next attempt, in ms; with a `first_ms` of 0 the first attempt is made
    /// at once. Takes exactly one number from `rng`.
    pub fn next_delay_ms(&mut self, first_ms: u64, longest_ms: u64, rng: &mut ChaCha8Rng) -> u64 {
        let nominal_ms = nominal_ms(self.attempts, first_ms, longest_ms);
        self.attempts = self.attempts.saturating_add(1);
        let fifth_ms = nominal_ms / 5;
        // The bias of the remainder is 1 in 10^14 for delays of seconds.
        let jitter_ms = rng.next_u64() % (2 * fifth_ms + 1);
        (nominal_ms - fifth_ms).saturating_add(jitter_ms).max(first_ms.min(longest_ms))
    }

    /// The delay before the last attempt, in ms and without its jitter; 0 before the first.
    pub fn last_delay_ms(&self, first_ms: u64, longest_ms: u64) -> u64 {
        let last = self.attempts.checked_sub(1);
        last.map_or(0, |attempts| nominal_ms(attempts, first_ms, longest_ms))
    }

    /// The instance is healthy again: the next delay is a first one.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

fn nominal_ms(attempts: u32, first_ms: u64, longest_ms: u64) -> u64 {
    // After an attempt at once, the delays are those of a first one of 1 s.
    let (first_ms, doublings) = match (first_ms, attempts.checked_sub(1)) {
        (0, Some(doublings)) => (1_000, doublings),
        (first_ms, _) => (first_ms, attempts),
    };
    let doubled_ms = u128::from(first_ms) << doublings.min(u64::BITS);
    u64::try_from(doubled_ms).unwrap_or(u64::MAX).min(longest_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{BACKOFF_FIRST_MS as FIRST_MS, BACKOFF_LONGEST_MS as LONGEST_MS};
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
                for nominal_ms in [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
                    let delay_ms = backoff.next_delay_ms(FIRST_MS, LONGEST_MS, &mut rng);
                    let allowed_ms = FIRST_MS.max(nominal_ms * 8 / 10)..=nominal_ms * 12 / 10;
                    prop_assert!(allowed_ms.contains(&delay_ms), "{} {}", nominal_ms, delay_ms);
                    prop_assert_eq!(backoff.last_delay_ms(FIRST_MS, LONGEST_MS), nominal_ms);
                }
                backoff.reset();
            }
        }

        #[test]
        fn any_policy_has_its_delays(seed: u64, first_ms: u64, longest_ms: u64, attempts: u32) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut backoff = Backoff { attempts };
            let delay_ms = backoff.next_delay_ms(first_ms, longest_ms, &mut rng);
            prop_assert!(u128::from(delay_ms) <= u128::from(longest_ms) * 6 / 5);
        }

        #[test]
        fn never_overflows(seed: u64, before_last in 0u32..3) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut backoff = Backoff { attempts: u32::MAX - before_last };
            for _ in 0..4 {
                prop_assert!((48_000..=72_000).contains(&backoff.next_delay_ms(FIRST_MS, LONGEST_MS, &mut rng)));
            }
            prop_assert_eq!(backoff.attempts, u32::MAX);
        }
    }

    #[test]
    fn the_jitter_reaches_both_ends() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let delays = core::iter::repeat_with(|| {
            Backoff { attempts: 1 }.next_delay_ms(FIRST_MS, LONGEST_MS, &mut rng)
        });
        let (low, high) =
            delays.take(20_000).fold((u64::MAX, 0), |(low, high), ms| (low.min(ms), high.max(ms)));
        assert_eq!((low, high), (1_600, 2_400));
    }
}
