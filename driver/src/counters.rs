//! Counters of the program, incremented where the counted action happens.
//!
//! They are global, because one program is one master: otherwise every layer between would have to
//! pass them on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use openctrl_core::instance::ProcessFacts;

/// The counters of this program.
pub(crate) static COUNTERS: Counters = Counters::new();

/// A number that only grows.
#[derive(Debug)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) starts: Counter,
    pub(crate) start_failures: Counter,
    pub(crate) restarts: Counter,
    pub(crate) exits: Counter,
    pub(crate) log_lines: Counter,
    pub(crate) log_lines_cut: Counter,
    pub(crate) log_file_lines_missing: Counter,
    pub(crate) stdout_lines_missing: Counter,
    pub(crate) subscriber_gaps: Counter,
    pub(crate) journal_bytes: Counter,
    pub(crate) journal_records: Counter,
    pub(crate) journal_syncs: Counter,
    pub(crate) journal_sync_micros: Counter,
    requests: Mutex<BTreeMap<(&'static str, u16), Answered>>,
}

/// Requests of one route that were answered with one class of statuses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Answered {
    pub(crate) count: u64,
    pub(crate) micros: u64,
}

impl Counters {
    const fn new() -> Self {
        Self {
            starts: Counter::new(),
            start_failures: Counter::new(),
            restarts: Counter::new(),
            exits: Counter::new(),
            log_lines: Counter::new(),
            log_lines_cut: Counter::new(),
            log_file_lines_missing: Counter::new(),
            stdout_lines_missing: Counter::new(),
            subscriber_gaps: Counter::new(),
            journal_bytes: Counter::new(),
            journal_records: Counter::new(),
            journal_syncs: Counter::new(),
            journal_sync_micros: Counter::new(),
            requests: Mutex::new(BTreeMap::new()),
        }
    }

    /// A request was answered, as far as its head.
    pub(crate) fn answered(&self, route: &'static str, status: u16, took: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = requests.entry((route, status / 100)).or_default();
        answered.count += 1;
        answered.micros = answered.micros.saturating_add(micros(took));
    }

    /// Requests by route and class of status.
    pub(crate) fn requests(&self) -> BTreeMap<(&'static str, u16), Answered> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An append to the journal was made durable.
    pub(crate) fn journal_synced(&self, bytes: usize, records: usize, took: Duration) {
        self.journal_bytes.add(bytes as u64);
        self.journal_records.add(records as u64);
        self.journal_syncs.add(1);
        self.journal_sync_micros.add(micros(took));
    }

    /// What became of processes, by the facts of one instance and those before.
    pub(crate) fn processes(&self, before: Option<&ProcessFacts>, now: &ProcessFacts) {
        let grown = |of: fn(&ProcessFacts) -> u64| of(now) - before.map_or(0, of).min(of(now));
        self.starts.add(grown(|facts| facts.starts));
        self.start_failures.add(grown(|facts| facts.failures));
        self.restarts.add(grown(|facts| facts.restarts));
        self.exits.add(grown(|facts| facts.exits));
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
