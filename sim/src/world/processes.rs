//! The process table of the machine: what is being started, what lives, what was.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use openctrl_core::engine::Signal;
use openctrl_core::ids::{Generation, InstanceId, ProcessRef};
use openctrl_core::instance::Definition;

/// How many processes that are gone are remembered, to say something late.
const GONE_MAX: usize = 24;

/// Where a process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Asked for; the engine does not know yet what became of it.
    Spawning,
    /// Alive, as far as the engine was told.
    Alive,
    /// Gone, and the engine was told.
    Gone,
}

/// A process and its group.
#[derive(Clone, Debug)]
pub struct Process {
    /// What the engine calls it.
    pub reference: ProcessRef,
    /// What it runs for.
    pub definition: Arc<Definition>,
    /// Where it is in its life.
    pub phase: Phase,
    /// Whether it got TERM.
    pub terminated: bool,
    /// Whether it got KILL.
    pub killed: bool,
    /// Whether others of its group live on after it.
    pub group_left: bool,
    /// Whether the engine was told so, and has not killed them since.
    pub group_reported: bool,
    /// The raw byte counters it has printed last.
    pub counters: [u64; 4],
    /// Whether an earlier run of the master started it: nobody reads what it prints.
    pub adopted: bool,
}

impl Process {
    fn new(reference: ProcessRef, definition: Arc<Definition>, phase: Phase) -> Self {
        Self {
            reference,
            definition,
            phase,
            terminated: false,
            killed: false,
            group_left: false,
            group_reported: false,
            counters: [0; 4],
            adopted: false,
        }
    }
}

/// All processes.
#[derive(Clone, Debug, Default)]
pub struct Processes {
    table: BTreeMap<Generation, Process>,
    /// Those that are gone, in the order they went.
    gone: VecDeque<Generation>,
    /// What an earlier run of the master left behind and nobody has adopted yet.
    leftovers: BTreeMap<InstanceId, Arc<Definition>>,
}

impl Processes {
    /// Starts a process, whatever the rules say: those are for the invariants to check.
    pub fn spawn(&mut self, reference: ProcessRef, definition: &Arc<Definition>) {
        let process = Process::new(reference, Arc::clone(definition), Phase::Spawning);
        self.table.insert(reference.generation, process);
    }

    /// Gives what was left behind its name.
    pub fn adopt(&mut self, reference: ProcessRef, instance: InstanceId) {
        if let Some(definition) = self.leftovers.remove(&instance) {
            let process = Process::new(reference, definition, Phase::Alive);
            self.table.insert(reference.generation, Process { adopted: true, ..process });
        }
    }

    /// The master is gone: what lives is left behind, and of what was being started that which
    /// `came_to_life`.
    pub fn leave_behind(&mut self, mut came_to_life: impl FnMut() -> bool) {
        for process in std::mem::take(&mut self.table).into_values() {
            let lives = match process.phase {
                Phase::Spawning => came_to_life(),
                Phase::Alive => true,
                Phase::Gone => process.group_left,
            };
            if lives {
                self.leftovers.insert(process.definition.id, process.definition);
            }
        }
        self.gone.clear();
    }

    /// The machine lost its power.
    pub fn end_all(&mut self) {
        *self = Self::default();
    }

    /// Kills what was left behind of instances that nobody knows; returns the others.
    pub fn find_leftovers(&mut self, is_known: impl Fn(InstanceId) -> bool) -> Vec<InstanceId> {
        self.leftovers.retain(|id, _| is_known(*id));
        self.leftovers.keys().copied().collect()
    }

    /// Whether something that nobody has adopted is left behind of an instance.
    pub fn is_left_behind(&self, id: InstanceId) -> bool {
        self.leftovers.contains_key(&id)
    }

    /// The instances of which something is left behind that nobody has adopted.
    pub fn left_behind(&self) -> Vec<InstanceId> {
        self.leftovers.keys().copied().collect()
    }

    /// Signals a process and its group. KILL ends what is left of the group of one that is gone.
    pub fn signal(&mut self, reference: ProcessRef, signal: Signal) {
        let Some(process) = self.table.get_mut(&reference.generation) else { return };
        match signal {
            Signal::Terminate => process.terminated = true,
            Signal::Kill => {
                process.killed = true;
                process.group_left = false;
                process.group_reported = false;
            }
        }
    }

    /// The process that the engine calls so, if it is remembered.
    pub fn get(&self, reference: ProcessRef) -> Option<&Process> {
        self.table.get(&reference.generation).filter(|process| process.reference == reference)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, reference: ProcessRef) -> Option<&mut Process> {
        self.table.get_mut(&reference.generation).filter(|process| process.reference == reference)
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Process> {
        self.table.values()
    }

    /// The processes in a phase, oldest first.
    pub fn in_phase(&self, phase: Phase) -> Vec<ProcessRef> {
        let in_phase = self.table.values().filter(|process| process.phase == phase);
        in_phase.map(|process| process.reference).collect()
    }

    /// The processes that live and whose output is read, oldest first.
    pub fn printing(&self) -> Vec<ProcessRef> {
        let alive = self.table.values().filter(|process| process.phase == Phase::Alive);
        alive.filter(|process| !process.adopted).map(|process| process.reference).collect()
    }

    /// The processes that were asked to end and live.
    pub fn ending(&self) -> Vec<ProcessRef> {
        let asked = |process: &&Process| process.terminated || process.killed;
        let ending = self.table.values().filter(|process| process.phase == Phase::Alive);
        ending.filter(asked).map(|process| process.reference).collect()
    }

    /// The process came to life.
    pub fn started(&mut self, reference: ProcessRef) {
        if let Some(process) = self.get_mut(reference) {
            process.phase = Phase::Alive;
        }
    }

    /// The process is gone, or never came to life.
    pub fn gone(&mut self, reference: ProcessRef, group_left: bool) {
        let Some(process) = self.get_mut(reference) else { return };
        process.phase = Phase::Gone;
        process.group_left = group_left;
        process.group_reported = group_left;
        self.gone.push_back(reference.generation);
        self.forget_one();
    }

    /// What is left of the group of a process that is gone ends.
    pub fn leftover_gone(&mut self, reference: ProcessRef) {
        if let Some(process) = self.get_mut(reference) {
            process.group_left = false;
        }
    }

    fn forget_one(&mut self) {
        if self.gone.len() <= GONE_MAX {
            return;
        }
        let Some(oldest) = self.gone.pop_front() else { return };
        if self.table.get(&oldest).is_some_and(|process| process.group_reported) {
            self.gone.push_back(oldest);
        } else {
            self.table.remove(&oldest);
        }
    }
}
