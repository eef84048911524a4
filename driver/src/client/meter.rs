//! From counters to rates: what one instance receives and sends in a second.

use std::time::{Duration, Instant};

/// Differences over less are noise: a burst of events after a reconnection counts as one.
const SHORTEST: Duration = Duration::from_millis(400);

/// Counters that do not change for longer are idle: checkpoints arrive every few seconds.
const QUIET: Duration = Duration::from_secs(12);

/// The rates of one instance.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    base: Option<(Instant, u64, u64)>,
    rates: (f64, f64),
    changed: Option<Instant>,
}

impl Meter {
    /// Takes in the totals as they are now.
    pub(crate) fn update(&mut self, now: Instant, rx: u64, tx: u64) {
        let Some((then, old_rx, old_tx)) = self.base else {
            self.base = Some((now, rx, tx));
            return;
        };
        if (rx, tx) == (old_rx, old_tx) {
            return;
        }
        let spent = now.duration_since(then);
        let is_reset = rx < old_rx || tx < old_tx;
        if spent < SHORTEST && !is_reset {
            return;
        }
        self.base = Some((now, rx, tx));
        if !is_reset {
            let rate = |more: u64| more as f64 / spent.as_secs_f64();
            self.rates = (rate(rx - old_rx), rate(tx - old_tx));
            self.changed = Some(now);
        }
    }

    /// Bytes a second, received and sent.
    pub(crate) fn at(&self, now: Instant) -> (f64, f64) {
        match self.changed {
            Some(changed) if now.duration_since(changed) < QUIET => self.rates,
            Some(_) | None => (0.0, 0.0),
        }
    }

    /// Resets the start values: the current objects can be older than the next event.
    pub(crate) const fn rebase(&mut self) {
        self.base = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_differences_over_time() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut meter = Meter::default();
        meter.update(at(0), 1000, 0);
        assert_eq!(meter.at(at(0)), (0.0, 0.0));
        meter.update(at(100), 1500, 0);
        meter.update(at(2000), 3000, 500);
        assert_eq!(meter.at(at(2000)), (1000.0, 250.0));
        meter.update(at(3000), 0, 0);
        assert_eq!(meter.at(at(3000)), (1000.0, 250.0));
        meter.update(at(4000), 10, 0);
        assert_eq!(meter.at(at(4000)), (10.0, 0.0));
        assert_eq!(meter.at(at(20_000)), (0.0, 0.0));
    }
}
