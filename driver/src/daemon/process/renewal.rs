//! When a keeper that was lost is replaced: at once, unless one after the other is lost before it
//! has started anything. What a lost keeper was to start is started again without a delay, so this
//! delay is what keeps a keeper that cannot run from being started over and over.

use std::time::{Duration, Instant};

/// The delay before the second keeper in a row that started nothing is replaced; it doubles.
const FIRST: Duration = Duration::from_millis(100);

/// The longest delay.
const LONGEST: Duration = Duration::from_secs(5);

/// Keepers that ran for this long are no failures, whether or not they had something to start.
const WELL_AFTER: Duration = Duration::from_secs(10);

/// The keepers lost in a row, and when the next one is due.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    in_a_row: u32,
    begun: Option<Instant>,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// There is a keeper, or none could be started.
    #[default]
    Idle,
    /// The connection has ended; that its keeper was lost is reported next.
    Closed,
    /// Another one is started then.
    Due(Instant),
}

impl Renewal {
    /// A keeper was started.
    pub(super) fn started(&mut self, now: Instant) {
        *self = Self { begun: Some(now), state: State::Idle, ..*self };
    }

    /// The connection to a keeper has ended.
    pub(super) const fn closed(&mut self) {
        self.state = State::Closed;
    }

    /// The keeper was lost.
    pub(super) fn lost(&mut self, has_started: bool, now: Instant) {
        let ran_well = self.begun.is_none_or(|begun| now.duration_since(begun) >= WELL_AFTER);
        self.in_a_row = if has_started || ran_well { 0 } else { self.in_a_row + 1 };
        let doublings = self.in_a_row.saturating_sub(2).min(16);
        let delay = if self.in_a_row < 2 { Duration::ZERO } else { FIRST * (1 << doublings) };
        self.state = State::Due(now + delay.min(LONGEST));
    }

    /// None could be started: whoever needs one next tries again.
    pub(super) const fn failed(&mut self) {
        self.state = State::Idle;
    }

    /// Whether starts have to wait for another keeper.
    pub(super) fn is_waiting(&self) -> bool {
        self.state != State::Idle
    }

    /// How long it takes until another keeper is due; `None` if none is.
    pub(super) fn is_due_in(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Due(due) => Some(due.saturating_duration_since(now)),
            State::Idle | State::Closed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(has_started: bool, lived: Duration) -> Vec<u128> {
        let (mut renewal, mut now) = (Renewal::default(), Instant::now());
        let mut delays = Vec::new();
        for _ in 0..9 {
            renewal.started(now);
            assert!(!renewal.is_waiting());
            now += lived;
            renewal.closed();
            assert_eq!(renewal.is_due_in(now), None);
            renewal.lost(has_started, now);
            let delay = renewal.is_due_in(now).expect("another one is due");
            delays.push(delay.as_millis());
            now += delay;
        }
        delays
    }

    #[test]
    fn keepers_that_start_nothing_are_replaced_ever_later() {
        let moment = Duration::from_millis(1);
        assert_eq!(delays(false, moment), [0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    }

    #[test]
    fn keepers_that_were_of_use_are_replaced_at_once() {
        assert_eq!(delays(true, Duration::from_millis(1)), [0; 9]);
        assert_eq!(delays(false, WELL_AFTER), [0; 9]);
    }
}
