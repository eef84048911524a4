//! The numbers of an instance: the gauges of its last checkpoint, and its byte counters.

use crate::canary::{self, Canary};
use crate::checkpoint::Checkpoint;
use crate::counters::{Counters, Metrics, SavedTotals, Totals};
use crate::ids::RunId;
use crate::time::Time;

/// The numbers of an instance.
#[derive(Clone, Debug)]
pub struct Meters {
    pub(super) metrics: Metrics,
    pub(super) counters: Counters,
    /// Whether the totals changed since they were last handed to the store.
    pub(super) unsaved: bool,
    pub(super) last_checkpoint: Option<Time>,
    /// The time between the last two checkpoints of the current process, in ms.
    pub(super) interval_ms: u64,
    /// The run whose raw counts these are; `None` while no process counts.
    pub(super) run: Option<RunId>,
}

impl Meters {
    /// The numbers of an instance that does not run.
    pub fn new(mode: i32, totals: Totals) -> Self {
        let metrics = Metrics { mode, ..Metrics::default() };
        let counters = Counters::from_totals(totals);
        Self { metrics, counters, unsaved: false, last_checkpoint: None, interval_ms: 0, run: None }
    }

    /// The gauges of the last checkpoint.
    pub const fn metrics(&self) -> Metrics {
        self.metrics
    }

    /// The byte counters.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// When the current process last printed a checkpoint; `None` before its first.
    pub const fn last_checkpoint(&self) -> Option<Time> {
        self.last_checkpoint
    }

    /// The time between the last two checkpoints of the current process, in ms; 0 before its second.
    pub const fn interval_ms(&self) -> u64 {
        self.interval_ms
    }

    /// The stored form of the numbers; with `is_reset`, as if a pending reset were applied.
    pub(super) fn saved(&self, is_reset: bool) -> SavedTotals {
        let mut counters = self.counters;
        if is_reset {
            counters.reset();
        }
        SavedTotals { mode: self.metrics.mode, counters, run: self.run }
    }

    /// Whether the totals changed since the last time this was asked.
    pub const fn take_unsaved(&mut self) -> bool {
        core::mem::replace(&mut self.unsaved, false)
    }

    /// The store has other totals than these.
    pub const fn set_unsaved(&mut self) {
        self.unsaved = true;
    }

    /// Takes a checkpoint into gauges and counters; fields that overflowed keep their old value.
    pub(super) fn observe(&mut self, checkpoint: &Checkpoint, now: Time) {
        let metrics = &mut self.metrics;
        let gauges = [
            (&mut metrics.mode, checkpoint.mode),
            (&mut metrics.ping, checkpoint.ping),
            (&mut metrics.pool, checkpoint.pool),
            (&mut metrics.tcps, checkpoint.tcps),
            (&mut metrics.udps, checkpoint.udps),
        ];
        for (gauge, value) in gauges {
            if let Some(value) = value {
                *gauge = value;
            }
        }
        self.counters.observe(checkpoint);
        self.unsaved = !canary::is(Canary::TotalsUnsaved);
        self.interval_ms = self.last_checkpoint.map_or(0, |last| now.ms_since(last));
        self.last_checkpoint = Some(now);
    }

    /// The process exited: its raw counts become part of the base. The stored form is then correct
    /// for the next process, whose raw counts start at 0.
    pub fn fold(&mut self) {
        let before = self.counters;
        self.counters.rebase();
        self.run = None;
        self.unsaved |= self.counters != before;
    }

    /// A run begins: its process has printed no checkpoint yet, and counts from 0.
    pub fn begin(&mut self, run: RunId) {
        self.counters.rebase();
        self.last_checkpoint = None;
        self.interval_ms = 0;
        self.run = Some(run);
    }

    /// A run goes on that an earlier master began. If the stored counts are its own, it counts on
    /// from them; else it has counted from 0 since they were stored.
    pub fn resume(&mut self, run: RunId, stored: &SavedTotals) {
        self.begin(run);
        if stored.run == Some(run) {
            self.counters = stored.counters;
        }
    }

    /// Zeroes the gauges of a live process; `mode` and the totals are kept (Contract §6).
    pub fn clear_live(&mut self) {
        if !canary::is(Canary::GaugesKept) {
            self.metrics = Metrics { mode: self.metrics.mode, ..Metrics::default() };
        }
    }

    /// Sets all totals to zero (Contract §7, `reset`).
    pub(super) fn reset(&mut self) {
        self.counters.reset();
    }
}
