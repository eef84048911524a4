//! Wall time that never decreases and converges to the wall clock.
//!
//! Owns: the shown time while the wall clock is behind an earlier shown time, and which steps of
//! the clock are logged. Reads no clock. If the wall clock was set back, shown time runs at half
//! the speed of the monotonic clock until it is no longer ahead: a step of `s` is caught up after
//! `2 s`. Until then, times of events stay in order and distinct. A step forward is followed at
//! once.

use crate::canary::{self, Canary};
use crate::time::{Now, Time, Wall};

/// A difference of the two clocks that is no step: network time slews a clock by less, and reading
/// both takes a moment.
const STEP_MIN_MICROS: u64 = 1_000_000;

/// Steps are reported at most this often: a clock that is torn between two sources must not fill
/// the log.
const REPORT_INTERVAL_MS: u64 = 60_000;

/// The shown wall clock.
#[derive(Clone, Debug, Default)]
pub struct SteadyClock {
    last: Option<Last>,
    reported: Option<Time>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    mono: Time,
    wall: Wall,
    shown: Wall,
}

/// A step of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The clock was set forward, or the machine slept, by this many microseconds.
    Forward(u64),
    /// The clock was set back by this many microseconds.
    Back {
        /// By how much.
        by: u64,
        /// How far shown time is ahead of it now: the clock may have been set back before.
        ahead: u64,
    },
}

impl SteadyClock {
    /// Takes a sample of both clocks in, none earlier on the monotonic clock than the one before.
    /// Returns what to show in its place, and a step that has to be reported.
    pub fn advance(&mut self, now: Now) -> (Now, Option<Step>) {
        let Some(last) = self.last else {
            self.last = Some(Last { mono: now.mono, wall: now.wall, shown: now.wall });
            return (now, None);
        };
        let passed = now.mono.as_micros().saturating_sub(last.mono.as_micros());
        let floor = Wall::from_micros(last.shown.as_micros().saturating_add(passed / 2));
        let is_held = !canary::is(Canary::TimeGoesBack);
        let shown = if is_held { now.wall.max(floor) } else { now.wall };
        // Half a microsecond that is not shown yet is not lost: small samples add up to it.
        let mono = Time::from_micros(now.mono.as_micros() - passed % 2);
        self.last = Some(Last { mono, wall: now.wall, shown });
        let expected = last.wall.as_micros().saturating_add(passed);
        let step = Self::step(expected, now.wall, shown).filter(|_| self.is_reportable(now.mono));
        (Now { wall: shown, ..now }, step)
    }

    fn step(expected: u64, wall: Wall, shown: Wall) -> Option<Step> {
        let wall = wall.as_micros();
        let forward = wall.saturating_sub(expected);
        let by = expected.saturating_sub(wall);
        if forward >= STEP_MIN_MICROS {
            Some(Step::Forward(forward))
        } else if by >= STEP_MIN_MICROS {
            Some(Step::Back { by, ahead: shown.as_micros().saturating_sub(wall) })
        } else {
            None
        }
    }

    fn is_reportable(&mut self, now: Time) -> bool {
        let is_due = self.reported.is_none_or(|last| now.ms_since(last) >= REPORT_INTERVAL_MS);
        if is_due {
            self.reported = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const S: u64 = 1_000_000;
    const HOUR: u64 = 3_600 * S;
    const BEGIN: u64 = 1_780_000_000 * S;

    fn now(mono: u64, wall: u64) -> Now {
        Now { mono: Time::from_micros(mono), wall: Wall::from_micros(wall) }
    }

    fn shown(clock: &mut SteadyClock, mono: u64, wall: u64) -> u64 {
        clock.advance(now(mono, wall)).0.wall.as_micros()
    }

    #[test]
    fn a_clock_that_was_eight_hours_ahead_goes_on_and_comes_back() {
        let mut clock = SteadyClock::default();
        let ahead = BEGIN + 8 * HOUR;
        assert_eq!(shown(&mut clock, 0, ahead), ahead);
        assert_eq!(shown(&mut clock, S, ahead + S), ahead + S);
        // It is put right.
        let (after, step) = clock.advance(now(3 * S, BEGIN + 3 * S));
        assert_eq!(after.wall.as_micros(), ahead + 2 * S);
        assert_eq!(step, Some(Step::Back { by: 8 * HOUR, ahead: 8 * HOUR - S }));
        assert_eq!(shown(&mut clock, 5 * S, BEGIN + 5 * S), ahead + 3 * S);
        let back = S + 16 * HOUR;
        assert!(shown(&mut clock, back - 2 * S, BEGIN + back - 2 * S) > BEGIN + back - 2 * S);
        assert_eq!(shown(&mut clock, back, BEGIN + back), BEGIN + back);
        assert_eq!(clock.advance(now(back + S, BEGIN + back + S)).1, None);
    }

    #[test]
    fn a_step_is_reported_once() {
        let mut clock = SteadyClock::default();
        let mut steps = Vec::new();
        for second in 0..600 {
            let wall = if second < 100 { BEGIN } else { BEGIN - HOUR };
            let wall = if second < 400 { wall } else { BEGIN };
            steps.extend(clock.advance(now(second * S, wall + second * S)).1);
        }
        let ahead = HOUR - S / 2;
        assert_eq!(steps, [Step::Back { by: HOUR, ahead }, Step::Forward(HOUR)]);
    }

    #[test]
    fn a_clock_that_is_torn_does_not_fill_the_log() {
        let mut clock = SteadyClock::default();
        let reported = (0..600)
            .filter(|second| {
                let wall = BEGIN + second * S + second % 2 * HOUR;
                clock.advance(now(second * S, wall)).1.is_some()
            })
            .count();
        assert_eq!(reported, 10);
    }

    #[test]
    fn many_small_samples_go_on_as_few_large_ones() {
        let mut clock = SteadyClock::default();
        shown(&mut clock, 0, BEGIN + HOUR);
        let mut last = 0;
        for micros in 1..=10_001 {
            last = shown(&mut clock, micros, BEGIN + micros);
        }
        assert_eq!(last, BEGIN + HOUR + 5_000);
    }

    proptest! {
        /// Samples at any distance, the wall clock stepping by anything between them.
        #[test]
        fn order_is_kept_and_the_way_back_is_bounded(
            samples in prop::collection::vec((0..20 * S, prop_oneof![
                4 => Just(0), 1 => -2 * HOUR as i64..2 * HOUR as i64,
            ]), 1..60),
        ) {
            let mut clock = SteadyClock::default();
            let (mut mono, mut offset, mut last) = (0, BEGIN as i64, 0);
            // How far shown time may be ahead: by what was stepped back, less half of what passed.
            let mut bound = 0_u64;
            for (passed, step) in samples {
                mono += passed;
                offset += step;
                let wall = mono + offset as u64;
                let time = shown(&mut clock, mono, wall);
                prop_assert!(time >= last, "never backwards");
                prop_assert!(last == 0 || time - last >= passed / 2, "it goes on");
                prop_assert!(time >= wall, "never behind the wall clock");
                if last > 0 {
                    bound = (bound as i64 - step).max(0) as u64;
                    bound = bound.saturating_sub(passed / 2);
                    // Time that passed before a step back in the same sample counts double.
                    prop_assert!(time - wall <= bound + passed, "ahead by {}", time - wall);
                    bound = time - wall;
                }
                last = time;
            }
            // After twice the time it is ahead, it equals the wall clock to the microsecond.
            let ahead = last - (mono + offset as u64);
            let end = mono + 2 * ahead + 2;
            prop_assert_eq!(shown(&mut clock, end, end + offset as u64), end + offset as u64);
        }
    }
}
