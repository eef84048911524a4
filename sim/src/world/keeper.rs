//! The keeper: what outlives a master with `survive=on`, and what the next master finds of it.
//!
//! Owns the notes about runs and the true counts of processes. Processes themselves are
//! `processes`'.

use std::collections::BTreeMap;

use openctrl_core::engine::Survivor;
use openctrl_core::ids::{InstanceId, RunId};
use openctrl_core::instance::{Definition, ProcessFacts};
use openctrl_core::keeper::Note;

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

    /// A process is ordered.
    pub fn order(&mut self, run: RunId, definition: &Definition) {
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
