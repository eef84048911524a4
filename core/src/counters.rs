//! The byte counters of an instance, which continue over all its processes.
//!
//! Owns: the arithmetic from the raw counter of a runtime to the total shown (Contract §7). Does
//! not own: when a process starts or a reset is requested.

use crate::canary::{self, Canary};
use crate::checkpoint::Checkpoint;
use crate::ids::RunId;

/// The largest value sent to clients: they decode signed 64-bit and drop the whole object on more
/// (Contract §4).
const ON_WIRE_MAX: u64 = i64::MAX as u64;

/// A total as clients may be sent it (Contract §4).
pub fn on_wire(total: u64) -> u64 {
    total.min(ON_WIRE_MAX)
}

/// One byte counter: the total shown is base + (last raw value − reset point).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Counter {
    /// What earlier processes counted.
    pub base: u64,
    /// The raw value at the last reset within this process. Never above `last_raw`.
    pub reset_point: u64,
    /// The last value that the runtime reported.
    pub last_raw: u64,
}

impl Counter {
    /// A counter of which only the total is known.
    pub fn from_total(total: u64) -> Counter {
        Counter { base: total, ..Counter::default() }
    }

    /// Takes the raw value of a checkpoint. One below the reset point means that the runtime
    /// counts from 0 again; the reset point then becomes 0.
    pub fn observe(&mut self, value: u64) {
        if value < self.reset_point {
            self.reset_point = 0;
        }
        self.last_raw = value;
    }

    /// Shows 0 from here on, in this process and in later ones.
    pub fn reset(&mut self) {
        self.base = 0;
        self.reset_point = self.last_raw;
    }

    /// A new process starts; it counts from 0 on top of the shown total.
    pub fn rebase(&mut self) {
        let kept = if canary::is(Canary::ResetPointKept) { self.reset_point } else { 0 };
        *self = Counter { base: self.shown(), reset_point: kept, last_raw: kept };
    }

    /// The total, in bytes; it stays at the largest value rather than overflow.
    pub fn shown(&self) -> u64 {
        self.base.saturating_add(self.last_raw - self.reset_point)
    }

    /// The total as clients may be sent it: never above 2^63 − 1 (Contract §4).
    pub fn on_wire(&self) -> u64 {
        on_wire(self.shown())
    }
}

/// The four byte counters of an instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Counters {
    /// TCP bytes received.
    pub tcprx: Counter,
    /// TCP bytes sent.
    pub tcptx: Counter,
    /// UDP bytes received.
    pub udprx: Counter,
    /// UDP bytes sent.
    pub udptx: Counter,
}

/// What four counters show, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Totals {
    /// TCP bytes received.
    pub tcprx: u64,
    /// TCP bytes sent.
    pub tcptx: u64,
    /// UDP bytes received.
    pub udprx: u64,
    /// UDP bytes sent.
    pub udptx: u64,
}

impl Counters {
    /// Counters that show `totals`, such as those read back from disk.
    pub fn from_totals(totals: Totals) -> Counters {
        Counters {
            tcprx: Counter::from_total(totals.tcprx),
            tcptx: Counter::from_total(totals.tcptx),
            udprx: Counter::from_total(totals.udprx),
            udptx: Counter::from_total(totals.udptx),
        }
    }

    /// Takes the raw values of a checkpoint; a field that overflowed leaves its counter alone.
    pub fn observe(&mut self, checkpoint: &Checkpoint) {
        let Checkpoint { tcprx, tcptx, udprx, udptx, .. } = *checkpoint;
        for (counter, value) in self.each_mut().into_iter().zip([tcprx, tcptx, udprx, udptx]) {
            if let Some(value) = value {
                counter.observe(value);
            }
        }
    }

    /// See [`Counter::reset`].
    pub fn reset(&mut self) {
        self.each_mut().into_iter().for_each(Counter::reset);
    }

    /// See [`Counter::rebase`].
    pub fn rebase(&mut self) {
        self.each_mut().into_iter().for_each(Counter::rebase);
    }

    /// The shown value, for the disk; the wire uses [`Counter::on_wire`].
    pub fn totals(&self) -> Totals {
        Totals {
            tcprx: self.tcprx.shown(),
            tcptx: self.tcptx.shown(),
            udprx: self.udprx.shown(),
            udptx: self.udptx.shown(),
        }
    }

    fn each_mut(&mut self) -> [&mut Counter; 4] {
        [&mut self.tcprx, &mut self.tcptx, &mut self.udprx, &mut self.udptx]
    }
}

/// The gauges of a checkpoint (Contract §7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Metrics {
    /// A mode number that only the runtime understands.
    pub mode: i32,
    /// Latency in milliseconds.
    pub ping: i32,
    /// Pool size.
    pub pool: i32,
    /// TCP connections.
    pub tcps: i32,
    /// UDP sessions.
    pub udps: i32,
}

/// The stored numbers of an instance. They include the raw values of the counters, so that the
/// totals of a process that survives its master stay exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SavedTotals {
    /// The last mode.
    pub mode: i32,
    /// The byte counters.
    pub counters: Counters,
    /// The run that counted their raw values; `None` if they are folded into what is shown.
    pub run: Option<RunId>,
}

impl SavedTotals {
    /// Numbers of which only the shown values are known.
    pub fn from_totals(mode: i32, totals: Totals) -> Self {
        Self { mode, counters: Counters::from_totals(totals), run: None }
    }

    /// The byte counters as shown.
    pub fn totals(&self) -> Totals {
        self.counters.totals()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn resets_count_from_the_last_raw_value_every_time() {
        let mut counter = Counter::from_total(1000);
        counter.observe(300);
        assert_eq!(counter.shown(), 1300);
        for (raw, shown) in [(350, 50), (420, 70), (500, 80)] {
            counter.reset();
            assert_eq!(counter.shown(), 0);
            counter.observe(raw);
            assert_eq!(counter.shown(), shown);
        }
    }

    #[test]
    fn a_new_process_counts_on_top() {
        let mut counter = Counter::default();
        counter.observe(500);
        counter.reset();
        counter.observe(600);
        counter.rebase();
        assert_eq!(counter.shown(), 100);
        counter.observe(7);
        assert_eq!(counter.shown(), 107);
        counter.rebase();
        counter.reset();
        counter.observe(9);
        assert_eq!(counter.shown(), 9, "a reset before the first checkpoint has reset point 0");
    }

    #[test]
    fn a_value_below_the_reset_point_is_a_restarted_counter() {
        let mut counter = Counter::default();
        counter.observe(500);
        counter.reset();
        counter.observe(500);
        assert_eq!(counter.shown(), 0);
        counter.observe(499);
        assert_eq!(counter.shown(), 499);
        counter.observe(501);
        assert_eq!(counter.shown(), 501, "the reset point is gone");
    }

    #[test]
    fn totals_saturate_and_the_wire_stops_at_signed_64_bit() {
        let mut counter = Counter::from_total(u64::MAX - 1);
        assert_eq!(counter.on_wire(), (1 << 63) - 1);
        counter.observe(5);
        assert_eq!(counter.shown(), u64::MAX);
        assert_eq!(Counter::from_total(1 << 62).on_wire(), 1 << 62);
    }

    #[test]
    fn an_overflowed_field_keeps_its_counter() {
        let old = Totals { tcprx: 1, tcptx: 2, udprx: 3, udptx: 4 };
        let mut counters = Counters::from_totals(old);
        let (tcprx, udptx) = (Some(10), Some(40));
        counters.observe(&Checkpoint { tcprx, udptx, ..Checkpoint::default() });
        assert_eq!(counters.totals(), Totals { tcprx: 11, udptx: 44, ..old });
        counters.rebase();
        counters.observe(&Checkpoint { tcptx: Some(5), udprx: Some(6), ..Checkpoint::default() });
        assert_eq!(counters.totals(), Totals { tcprx: 11, tcptx: 7, udprx: 9, udptx: 44 });
        counters.reset();
        assert_eq!(counters.totals(), Totals::default());
    }

    #[derive(Debug, Clone)]
    enum Op {
        Observe(u64),
        Reset,
        Rebase,
    }

    /// The rules of Contract §7 with integers that cannot overflow.
    #[derive(Default)]
    struct Model {
        base: u128,
        reset_point: u128,
        last_raw: u128,
        shown: u128,
    }

    impl Model {
        fn apply(&mut self, op: &Op) {
            match *op {
                Op::Observe(value) => {
                    let value = u128::from(value);
                    if value >= self.reset_point {
                        self.shown = self.base + (value - self.reset_point);
                    } else {
                        self.shown = self.base + value;
                        self.reset_point = 0;
                    }
                    self.last_raw = value;
                }
                Op::Reset => {
                    self.base = 0;
                    self.reset_point = self.last_raw;
                    self.shown = 0;
                }
                Op::Rebase => {
                    self.base = self.shown;
                    self.reset_point = 0;
                    self.last_raw = 0;
                }
            }
        }
    }

    fn value() -> impl Strategy<Value = u64> {
        prop_oneof![
            4 => 0..100u64,
            2 => any::<u64>(),
            1 => u64::MAX - 2..=u64::MAX,
            1 => (1u64 << 63) - 2..(1 << 63) + 2,
        ]
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = prop_oneof![
            4 => value().prop_map(Op::Observe),
            1 => Just(Op::Reset),
            1 => Just(Op::Rebase),
        ];
        prop::collection::vec(op, 0..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn equals_the_model(total in value(), ops in ops()) {
            let mut counter = Counter::from_total(total);
            let mut model = Model { base: total.into(), shown: total.into(), ..Model::default() };
            for op in &ops {
                match *op {
                    Op::Observe(value) => counter.observe(value),
                    Op::Reset => counter.reset(),
                    Op::Rebase => counter.rebase(),
                }
                model.apply(op);
                prop_assert_eq!(u128::from(counter.shown()), model.shown.min(u64::MAX.into()));
                prop_assert_eq!(u128::from(counter.on_wire()), model.shown.min((1 << 63) - 1));
            }
        }
    }
}
