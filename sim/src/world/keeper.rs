//! The keeper: what outlives a master with `survive=on`, and what the next master finds of it.
//!
//! Owns the notes about runs, their leases and the true counts of processes. Processes themselves
//! are `processes`'.

use std::collections::BTreeMap;

use openctrl_core::engine::Survivor;
use openctrl_core::ids::{InstanceId, RunId};
use openctrl_core::instance::{Definition, ProcessFacts};
use openctrl_core::keeper::{Lease, Leases, Note};
use openctrl_core::process::Signal;

/// What a new master finds of the processes of the last one.
#[derive(Debug, Default)]
pub struct Remains {
    /// Instances with processes whose output is lost.
    pub leftovers: Vec<InstanceId>,
    /// Runs that the keeper has.
    pub survivors: Vec<Survivor>,
    /// The notes about instances without a process.
    pub notes: Vec<(InstanceId, Note)>,
}

/// How many processes of an instance were started, and how many of them have exited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that were started.
    pub starts: u64,
    /// Those whose exit a master was told.
    pub exits: u64,
}

/// What one keeper knows.
#[derive(Debug, Default)]
pub struct Keeper {
    /// The last run of each instance, and the note about it.
    notes: BTreeMap<InstanceId, (RunId, Note)>,
    /// The facts that were shown last: what a note is made of.
    shown: BTreeMap<InstanceId, Note>,
    counts: BTreeMap<InstanceId, Counts>,
    /// Whether its master has ended: an exit waits for the next one.
    is_alone: bool,
    leases: Leases,
    /// The leases of runs, each with how long a master was awake when it was granted, in ms.
    granted: BTreeMap<RunId, (Lease, u64)>,
    /// The same when they were renewed last.
    renewed_awake_ms: u64,
}

/// A signal of the keeper to a run whose lease has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eviction {
    /// Whose run.
    pub instance: InstanceId,
    /// The signal.
    pub signal: Signal,
    /// For how long a master was awake and did not renew, in ms; and how long it may be.
    pub unrenewed_ms: (u64, u64),
}

impl Keeper {
    /// Its master has ended.
    pub fn left_alone(&mut self) {
        self.is_alone = true;
    }

    /// Whether its master has ended, and no other one has started.
    pub fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// A master lives, and renews all leases. Times are in ms: that of the clock, and how long a
    /// master was awake.
    pub fn renew(&mut self, now_ms: u64, awake_ms: u64) {
        self.leases.renew(now_ms, now_ms);
        self.renewed_awake_ms = awake_ms;
    }

    /// The signals that are due because no master renewed.
    pub fn evictions(&mut self, now_ms: u64, awake_ms: u64) -> Vec<Eviction> {
        let due = self.leases.take_due(now_ms);
        let eviction = |run: RunId, signal| {
            let (lease, granted_awake_ms) = self.granted.get(&run)?;
            let (instance, _) = self.notes.iter().find(|(_, (last, _))| *last == run)?;
            let since_ms = self.renewed_awake_ms.max(*granted_awake_ms);
            let unrenewed_ms = (awake_ms.saturating_sub(since_ms), lease.limit_ms);
            Some(Eviction { instance: *instance, signal, unrenewed_ms })
        };
        due.into_iter().filter_map(|due| eviction(due.run, due.signal)).collect()
    }

    /// Whether a run has a lease.
    pub fn is_leased(&self, run: RunId) -> bool {
        self.granted.contains_key(&run)
    }

    /// Whether any run has one.
    pub fn has_leases(&self) -> bool {
        !self.granted.is_empty()
    }

    /// The process of an instance has ended, or failed to start.
    pub fn ended(&mut self, instance: InstanceId) {
        if let Some((run, _)) = self.notes.get(&instance) {
            self.leases.forget(*run);
            self.granted.remove(run);
        }
    }

    /// A process is ordered.
    pub fn order(&mut self, run: RunId, definition: &Definition, now_ms: u64, awake_ms: u64) {
        self.ended(definition.id);
        if let Some(lease) = Lease::of(&definition.policy) {
            self.leases.grant(run, lease, now_ms);
            self.granted.insert(run, (lease, awake_ms));
        }
        let shown = self.shown.entry(definition.id).or_default();
        let note = shown.clone().ordering(&definition.launch);
        self.notes.insert(definition.id, (run, note));
    }

    /// The master shows other facts.
    pub fn show(&mut self, instance: InstanceId, facts: &ProcessFacts) {
        let shown = Note::of(facts);
        if let Some((_, note)) = self.notes.get_mut(&instance) {
            *note = Note { ordered: note.ordered, ..shown.clone() };
        }
        self.shown.insert(instance, shown);
    }

    /// An instance is deleted.
    pub fn forget(&mut self, instance: InstanceId) {
        self.ended(instance);
        self.notes.remove(&instance);
        self.shown.remove(&instance);
        self.counts.remove(&instance);
    }

    /// A process has started.
    pub fn started(&mut self, instance: InstanceId) {
        self.counts.entry(instance).or_default().starts += 1;
    }

    /// A process has exited, and the master is told.
    pub fn exited(&mut self, instance: InstanceId) {
        self.counts.entry(instance).or_default().exits += 1;
    }

    /// The true counts of an instance.
    pub fn counts(&self, instance: InstanceId) -> Counts {
        self.counts.get(&instance).copied().unwrap_or_default()
    }

    /// The last run of an instance, and the note about it.
    pub fn note(&self, instance: InstanceId) -> Option<&(RunId, Note)> {
        self.notes.get(&instance)
    }

    /// A new master: the notes of instances that it knows, but for those with a run that goes on.
    pub fn notes(
        &mut self,
        is_known: impl Fn(InstanceId) -> bool,
        has_survived: impl Fn(InstanceId) -> bool,
    ) -> Vec<(InstanceId, Note)> {
        let unknown: Vec<_> = self.notes.keys().copied().filter(|id| !is_known(*id)).collect();
        unknown.into_iter().for_each(|id| self.forget(id));
        self.shown.clear();
        self.is_alone = false;
        let rest = self.notes.iter().filter(|(id, _)| !has_survived(**id));
        rest.map(|(id, (_, note))| (*id, note.clone())).collect()
    }
}
