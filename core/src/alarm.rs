//! Whether an instance is in error, recovers or flaps: what was reported of it, and what follows.
//!
//! Each method takes a fact and returns whether it is to be reported.

use alloc::collections::VecDeque;

use crate::limits::{FLAPPING_RESTARTS, FLAPPING_WINDOW_MS};
use crate::time::Time;

/// What was reported of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alarm {
    /// Its error was reported, and not that it recovered.
    pub(crate) in_error: bool,
    /// It restarts again and again, which was reported.
    pub(crate) is_flapping: bool,
    /// It runs and is ready by its rule.
    pub(crate) is_well: bool,
    /// Its process is older than this master, which therefore does not report that it is ready.
    pub(crate) is_known: bool,
    /// When it was restarted last without a request, oldest first.
    pub(crate) restarts: VecDeque<Time>,
}

impl Alarm {
    /// Reporting begins while it is like this: `runs` if it has a process.
    pub fn begin(&mut self, runs: bool, is_well: bool) {
        *self = Self { is_well, is_known: runs && !is_well, ..Self::default() };
    }

    /// Its status became `error`: reported once until it recovers.
    pub const fn failed(&mut self) -> bool {
        !core::mem::replace(&mut self.in_error, true)
    }

    /// It has been well for long enough, or has done its work: reported once for each error.
    pub const fn recovered(&mut self) -> bool {
        core::mem::replace(&mut self.in_error, false)
    }

    /// It was restarted without a request. Reported at the fifth time within ten minutes, and again
    /// only after ten minutes without a restart.
    pub fn restarted(&mut self, now: Time) -> bool {
        self.is_flapping = self.flaps(now);
        self.restarts.retain(|at| now.ms_since(*at) < FLAPPING_WINDOW_MS);
        self.restarts.push_back(now);
        if self.restarts.len() > FLAPPING_RESTARTS {
            self.restarts.pop_front();
        }
        let is_new = !self.is_flapping && self.restarts.len() == FLAPPING_RESTARTS;
        self.is_flapping |= is_new;
        is_new
    }

    /// It became well. Not reported during an error, of which the end is reported, nor while it
    /// flaps.
    pub fn became_ready(&mut self, now: Time) -> bool {
        let is_known = core::mem::take(&mut self.is_known);
        !is_known && !self.in_error && !self.flaps(now)
    }

    /// A new process begins.
    pub const fn begin_process(&mut self) {
        self.is_known = false;
    }

    /// Whether its error was reported, and not that it recovered.
    pub const fn in_error(&self) -> bool {
        self.in_error
    }

    /// Whether it is well, as far as it was noted.
    pub const fn is_well(&self) -> bool {
        self.is_well
    }

    /// Notes whether it is well.
    pub const fn set_well(&mut self, is_well: bool) {
        self.is_well = is_well;
    }

    fn flaps(&self, now: Time) -> bool {
        let last = self.restarts.back();
        self.is_flapping && last.is_some_and(|last| now.ms_since(*last) < FLAPPING_WINDOW_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO.after_ms(seconds * 1_000)
    }

    #[test]
    fn the_fifth_restart_within_ten_minutes_is_reported_once() {
        let mut alarm = Alarm::default();
        let told: Vec<bool> = (0..9).map(|n| alarm.restarted(at(n * 60))).collect();
        assert_eq!(told, [false, false, false, false, true, false, false, false, false]);
        // Ten minutes after the last restart it no longer flaps.
        assert!(!alarm.became_ready(at(8 * 60 + 599)));
        assert!(alarm.became_ready(at(8 * 60 + 600)));
        let again: Vec<bool> = (0..5).map(|n| alarm.restarted(at(2_000 + n))).collect();
        assert_eq!(again, [false, false, false, false, true]);
    }

    #[test]
    fn rare_restarts_are_no_flapping() {
        let mut alarm = Alarm::default();
        assert!((0..100).all(|n| !alarm.restarted(at(n * 150))));
    }

    proptest! {
        #[test]
        fn each_error_has_one_end_and_flapping_is_reported_once_in_its_time(
            steps in proptest::collection::vec((0..3u8, 0..900u64), 0..200),
        ) {
            let (mut alarm, mut now, mut open, mut flapped) = (Alarm::default(), 0, false, None);
            let mut last = None;
            for (step, passed) in steps {
                now += passed;
                match step {
                    0 => {
                        prop_assert_eq!(alarm.failed(), !open);
                        open = true;
                    }
                    1 => {
                        prop_assert_eq!(alarm.recovered(), open);
                        open = false;
                    }
                    _ => {
                        let is_over = last.is_none_or(|last| now - last >= 600);
                        if is_over {
                            flapped = None;
                        }
                        if alarm.restarted(at(now)) {
                            prop_assert_eq!(flapped, None);
                            flapped = Some(now);
                        }
                        last = Some(now);
                    }
                }
                prop_assert!(alarm.restarts.len() <= FLAPPING_RESTARTS);
            }
        }
    }
}
