//! A byte counter in integers too wide to overflow, after the words of Contract §7.

use openctrl_core::counters::Counter;

/// What one counter ought to show.
#[derive(Clone, Copy, Debug, Default)]
pub struct CounterModel {
    base: u128,
    shown: u128,
    reset_point: u128,
    last_raw: u128,
}

impl CounterModel {
    /// A counter that was read back from the disk.
    pub fn from_total(total: u64) -> Self {
        Self { base: total.into(), shown: total.into(), ..Self::default() }
    }

    /// The counter of a process that has counted for a while.
    pub fn of(counter: Counter) -> Self {
        let Counter { base, reset_point, last_raw } = counter;
        let [base, reset_point, last_raw] = [base, reset_point, last_raw].map(u128::from);
        Self { base, shown: base + last_raw - reset_point, reset_point, last_raw }
    }

    /// Applies a raw value; returns whether the runtime restarted its counter.
    pub fn observe(&mut self, value: u64) -> bool {
        let value = u128::from(value);
        let starts_over = value < self.last_raw;
        if value < self.reset_point {
            self.reset_point = 0;
        }
        self.shown = self.base + value - self.reset_point;
        self.last_raw = value;
        starts_over
    }

    /// `reset`.
    pub fn reset(&mut self) {
        self.base = 0;
        self.reset_point = self.last_raw;
        self.shown = 0;
    }

    /// A new process starts.
    pub fn rebase(&mut self) {
        // The total saturates at 64 bits, so a new process counts on from there.
        self.base = self.stored().into();
        self.shown = self.base;
        self.reset_point = 0;
        self.last_raw = 0;
    }

    /// The stored form.
    pub fn stored(&self) -> u64 {
        u64::try_from(self.shown).unwrap_or(u64::MAX)
    }

    /// What clients are shown: signed 64-bit at most (Contract §4).
    pub fn on_wire(&self) -> u64 {
        self.stored().min(i64::MAX as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_contract() {
        let mut counter = CounterModel::from_total(1_000);
        assert!(!counter.observe(100));
        assert_eq!(counter.stored(), 1_100);
        counter.reset();
        assert!(!counter.observe(130));
        assert_eq!(counter.stored(), 30);
        assert!(counter.observe(5), "the runtime counts anew");
        assert_eq!(counter.stored(), 5);
        counter.rebase();
        counter.observe(u64::MAX);
        assert_eq!((counter.stored(), counter.on_wire()), (u64::MAX, i64::MAX as u64));
    }
}
