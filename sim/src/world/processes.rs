//! The process table of the machine: what is being started, what lives, what was.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use openctrl_core::ids::{InstanceId, ProcessRef};
use openctrl_core::instance::Definition;
use openctrl_core::output::{OutputBatch, OutputParser};
use openctrl_core::process::Signal;
use openctrl_core::time::Time;

/// How many processes that are gone are remembered, to say something late.
const GONE_MAX: usize = 12;

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

/// How a process behaves. It is drawn when the process comes to life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Character {
    /// What it does on TERM.
    pub on_term: OnTerm,
    /// What it prints.
    pub prints: Prints,
    /// Whether it starts others, which may outlive it.
    pub forks: bool,
}

/// What a process does on TERM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnTerm {
    /// It ends.
    #[default]
    Obeys,
    /// It ends after so many ms.
    Late(u64),
    /// Nothing; it takes KILL.
    Ignores,
}

/// What a process prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prints {
    /// A few lines at a time: checkpoints mostly.
    #[default]
    Checkpoints,
    /// Nothing at all.
    Nothing,
    /// Many lines at a time.
    Floods,
    /// Lines in pieces, with bytes that are no text.
    Garbage,
}

/// A process and its group.
#[derive(Debug)]
pub struct Process {
    /// What the engine calls it.
    pub reference: ProcessRef,
    /// What it runs for.
    pub definition: Arc<Definition>,
    /// Where it is in its life.
    pub phase: Phase,
    /// How it behaves.
    pub character: Character,
    /// When it got TERM first.
    pub terminated_at: Option<Time>,
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
    /// What it has printed and nobody has read yet.
    unread: Vec<u8>,
    parser: OutputParser,
    /// The lines that it has ended, and whether it has begun another.
    ended_lines: usize,
    is_in_a_line: bool,
    /// The lines that were read.
    read_lines: usize,
}

impl Process {
    fn new(reference: ProcessRef, definition: Arc<Definition>, phase: Phase) -> Self {
        Self {
            reference,
            definition,
            phase,
            character: Character::default(),
            terminated_at: None,
            killed: false,
            group_left: false,
            group_reported: false,
            counters: [0; 4],
            adopted: false,
            unread: Vec::new(),
            parser: OutputParser::default(),
            ended_lines: 0,
            is_in_a_line: false,
            read_lines: 0,
        }
    }

    /// How many lines it has printed, an unterminated last one included, and how many were read.
    pub fn lines(&self) -> (usize, usize) {
        (self.ended_lines + usize::from(self.is_in_a_line), self.read_lines)
    }

    /// Whether its output is read.
    pub fn is_printing(&self) -> bool {
        self.phase == Phase::Alive && !self.adopted && self.character.prints != Prints::Nothing
    }

    /// Whether it lives, and would end by now because it was asked to.
    pub fn is_ending(&self, now: Time) -> bool {
        let obeys = |at: Time| match self.character.on_term {
            OnTerm::Obeys => true,
            OnTerm::Late(ms) => now >= at.after_ms(ms),
            OnTerm::Ignores => false,
        };
        self.phase == Phase::Alive && (self.killed || self.terminated_at.is_some_and(obeys))
    }

    /// Prints `text`, of which all but the last `kept_back` bytes are read now, with what was
    /// kept back before. Returns the lines that this completes.
    pub fn print(&mut self, text: &[u8], kept_back: usize) -> OutputBatch {
        self.ended_lines += text.iter().filter(|byte| **byte == b'\n').count();
        self.is_in_a_line = text.last().map_or(self.is_in_a_line, |byte| *byte != b'\n');
        let batch = if self.unread.is_empty() && kept_back == 0 {
            self.parser.push(text)
        } else {
            self.unread.extend_from_slice(text);
            let read = self.unread.len().saturating_sub(kept_back);
            let rest = self.unread.split_off(read);
            self.parser.push(&std::mem::replace(&mut self.unread, rest))
        };
        self.read_lines += batch.items.len();
        batch
    }

    /// The next lines that are left at the end of its output, the unterminated last one at last;
    /// empty when nothing is left.
    pub fn close_output(&mut self) -> OutputBatch {
        let batch = self.parser.push(&std::mem::take(&mut self.unread));
        let batch = if batch.is_empty() { self.parser.finish() } else { batch };
        self.read_lines += batch.items.len();
        batch
    }
}

/// All processes.
#[derive(Debug, Default)]
pub struct Processes {
    /// Oldest first.
    table: Vec<Process>,
    /// Those that are gone, in the order they went.
    gone: VecDeque<ProcessRef>,
    /// What an earlier run of the master left behind and nobody has adopted yet.
    leftovers: BTreeMap<InstanceId, (Arc<Definition>, Character)>,
}

impl Processes {
    /// Starts a process, whatever the rules say: those are for the invariants to check.
    pub fn spawn(&mut self, reference: ProcessRef, definition: &Arc<Definition>) {
        self.table.push(Process::new(reference, Arc::clone(definition), Phase::Spawning));
    }

    /// Takes in a process that is there already.
    pub fn put(&mut self, reference: ProcessRef, definition: &Arc<Definition>, phase: Phase) {
        self.table.push(Process::new(reference, Arc::clone(definition), phase));
    }

    /// Gives what was left behind its name.
    pub fn adopt(&mut self, reference: ProcessRef, instance: InstanceId) {
        if let Some((definition, character)) = self.leftovers.remove(&instance) {
            let process = Process::new(reference, definition, Phase::Alive);
            self.table.push(Process { adopted: true, character, ..process });
        }
    }

    /// The master is gone: what lives is left behind, and of what was being started that which
    /// `came_to_life`.
    pub fn leave_behind(&mut self, mut came_to_life: impl FnMut() -> bool) {
        for process in std::mem::take(&mut self.table) {
            let lives = match process.phase {
                Phase::Spawning => came_to_life(),
                Phase::Alive => true,
                Phase::Gone => process.group_left,
            };
            if lives {
                let left = (process.definition, process.character);
                self.leftovers.insert(left.0.id, left);
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
    pub fn left_behind(&self) -> impl Iterator<Item = InstanceId> {
        self.leftovers.keys().copied()
    }

    /// Signals a process and its group. KILL ends what is left of the group of one that is gone.
    pub fn signal(&mut self, now: Time, reference: ProcessRef, signal: Signal) {
        let Some(process) = self.get_mut(reference) else { return };
        if signal == Signal::KILL {
            process.killed = true;
            process.group_left = false;
            process.group_reported = false;
        } else {
            process.terminated_at.get_or_insert(now);
        }
    }

    /// The process that the engine calls so, if it is remembered.
    pub fn get(&self, reference: ProcessRef) -> Option<&Process> {
        self.table.iter().rfind(|process| process.reference == reference)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, reference: ProcessRef) -> Option<&mut Process> {
        self.table.iter_mut().rfind(|process| process.reference == reference)
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Process> {
        self.table.iter()
    }

    /// The oldest process in a phase.
    pub fn first_in(&self, phase: Phase) -> Option<ProcessRef> {
        let mut all = self.table.iter();
        all.find(|process| process.phase == phase).map(|process| process.reference)
    }

    /// The process came to life.
    pub fn started(&mut self, reference: ProcessRef, character: Character) {
        if let Some(process) = self.get_mut(reference) {
            (process.phase, process.character) = (Phase::Alive, character);
        }
    }

    /// The process is gone, or never came to life.
    pub fn gone(&mut self, reference: ProcessRef, group_left: bool) {
        let Some(process) = self.get_mut(reference) else { return };
        process.phase = Phase::Gone;
        process.group_left = group_left;
        process.group_reported = group_left;
        self.gone.push_back(reference);
        if self.gone.len() > GONE_MAX {
            self.forget_one();
        }
    }

    /// What is left of the group of a process that is gone ends.
    pub fn leftover_gone(&mut self, reference: ProcessRef) {
        if let Some(process) = self.get_mut(reference) {
            process.group_left = false;
        }
    }

    fn forget_one(&mut self) {
        let Some(oldest) = self.gone.pop_front() else { return };
        if self.get(oldest).is_some_and(|process| process.group_reported) {
            self.gone.push_back(oldest);
        } else {
            self.table.retain(|process| process.reference != oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openctrl_core::ids::{Generation, SlotId};
    use openctrl_core::output::OutputItem;
    use openctrl_core::url::InstanceUrl;

    fn process() -> Process {
        let url = InstanceUrl::parse("demo:a").expect("a valid URL");
        let definition = Definition::new(InstanceId(1), url, String::new());
        let reference = ProcessRef { slot: SlotId(0), generation: Generation(1) };
        Process::new(reference, Arc::new(definition), Phase::Alive)
    }

    fn lines(batch: &OutputBatch) -> Vec<&[u8]> {
        let text = |item: &OutputItem| match item {
            OutputItem::Log(line) => Some(batch.text_of(line)),
            OutputItem::Checkpoint(_) => None,
        };
        batch.items.iter().filter_map(text).collect()
    }

    #[test]
    fn what_is_kept_back_comes_later_and_at_the_end() {
        let mut process = process();
        assert_eq!(lines(&process.print(b"one\ntwo", 2)), [b"one"]);
        assert!(process.print(b"!", 1).is_empty());
        process.print(b"\nthree", 6);
        assert_eq!(lines(&process.close_output()), [b"two!"]);
        assert_eq!(lines(&process.close_output()), [b"three"]);
        assert!(process.close_output().is_empty());
    }

    #[test]
    fn term_is_obeyed_late_or_not_at_all() {
        let mut process = process();
        let at = Time::ZERO.after_ms(1_000);
        assert!(!process.is_ending(at));
        process.terminated_at = Some(at);
        assert!(process.is_ending(at));
        process.character.on_term = OnTerm::Late(50);
        assert!(!process.is_ending(at.after_ms(49)) && process.is_ending(at.after_ms(50)));
        process.character.on_term = OnTerm::Ignores;
        assert!(!process.is_ending(at.after_ms(60_000)));
        process.killed = true;
        assert!(process.is_ending(at));
    }
}
