//! The process table of the machine: starting, running and exited processes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use openctrl_core::ids::{InstanceId, ProcessRef};
use openctrl_core::instance::{Definition, Marks};
use openctrl_core::output::{OutputBatch, OutputParser};
use openctrl_core::process::Signal;
use openctrl_core::stream::Stream;
use openctrl_core::time::{Now, Time};

/// Number of exited processes that are kept to send late input.
const GONE_MAX: usize = 12;

/// Where a process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Requested; the engine does not know the result yet.
    Spawning,
    /// Running, as far as the engine knows.
    Alive,
    /// Exited, and the engine knows.
    Gone,
}

/// The behavior of a process, drawn when it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Character {
    /// Its reaction to TERM.
    pub on_term: OnTerm,
    /// Its output.
    pub prints: Prints,
    /// Whether it starts others, which can survive it.
    pub forks: bool,
}

/// The reaction of a process to TERM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnTerm {
    /// It exits.
    #[default]
    Obeys,
    /// It exits after this many ms.
    Late(u64),
    /// Nothing; it takes KILL.
    Ignores,
}

/// The output of a process.
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

/// Whether a process that outlived its master has to end all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HasToEnd(pub bool);

/// A process and its group.
#[derive(Debug)]
pub struct Process {
    /// Its id in the engine.
    pub reference: ProcessRef,
    /// Its instance.
    pub definition: Arc<Definition>,
    /// Where it is in its life.
    pub phase: Phase,
    /// How it behaves.
    pub character: Character,
    /// When it got TERM first.
    pub terminated_at: Option<Time>,
    /// Whether it got KILL.
    pub killed: bool,
    /// When its keeper sent it the first signal because its lease had expired.
    pub expired_at: Option<Time>,
    /// Whether its keeper sent it KILL for that.
    pub is_evicted: bool,
    /// Whether its keeper reports that it ended it.
    pub has_lost_lease: bool,
    /// Whether others of its group survive it.
    pub group_left: bool,
    /// Whether the engine knows that, and has not killed them since.
    pub group_reported: bool,
    /// The raw byte counters it has printed last.
    pub counters: [u64; 4],
    /// Whether an earlier run of the master started it: its output is not read.
    pub adopted: bool,
    /// Whether it outlived an earlier run of the master, and then whether it has to end.
    pub survived: Option<HasToEnd>,
    /// Whether an earlier master was told its exit.
    pub has_exited: bool,
    /// When it was started.
    pub since: Now,
    /// Whether it was asked to exit before it did.
    was_asked: bool,
    /// What is written and not read: standard output, then standard error.
    pipes: [Pipe; 2],
    marks: Option<Marks>,
    /// Its finished lines.
    ended_lines: usize,
    /// The lines that were read.
    read_lines: usize,
}

/// One stream of a process.
#[derive(Debug)]
struct Pipe {
    /// Its unread output.
    unread: Vec<u8>,
    parser: OutputParser,
    /// Whether a line was begun and not ended.
    is_in_a_line: bool,
}

impl Pipe {
    fn of(stream: Stream) -> Self {
        Self { unread: Vec::new(), parser: OutputParser::of(stream), is_in_a_line: false }
    }

    /// The master has died: what it had read is lost.
    fn survive(&mut self) {
        self.is_in_a_line = self.unread.last().is_some_and(|byte| *byte != b'\n');
        self.parser = OutputParser::of(self.parser.stream());
    }

    fn close(&mut self) -> OutputBatch {
        let batch = self.parser.push(&std::mem::take(&mut self.unread));
        if batch.is_empty() { self.parser.finish() } else { batch }
    }
}

fn ended_lines(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count()
}

impl Process {
    fn new(reference: ProcessRef, definition: Arc<Definition>, phase: Phase) -> Self {
        let marks = Marks::of(&definition.checks);
        Self {
            reference,
            definition,
            marks,
            phase,
            character: Character::default(),
            terminated_at: None,
            killed: false,
            expired_at: None,
            is_evicted: false,
            has_lost_lease: false,
            group_left: false,
            group_reported: false,
            counters: [0; 4],
            adopted: false,
            survived: None,
            has_exited: false,
            since: Now::default(),
            was_asked: false,
            pipes: Stream::ALL.map(Pipe::of),
            ended_lines: 0,
            read_lines: 0,
        }
    }

    /// How many lines it has printed, unterminated last ones included, and how many were read.
    pub fn lines(&self) -> (usize, usize) {
        let begun = self.pipes.iter().filter(|pipe| pipe.is_in_a_line).count();
        (self.ended_lines + begun, self.read_lines)
    }

    /// Whether its output is read.
    pub fn is_printing(&self) -> bool {
        self.phase == Phase::Alive && !self.adopted && self.character.prints != Prints::Nothing
    }

    /// Whether it runs, and would exit by now because it was asked to.
    pub fn is_ending(&self, now: Time) -> bool {
        let obeys = |at: Time| match self.character.on_term {
            OnTerm::Obeys => true,
            OnTerm::Late(ms) => now >= at.after_ms(ms),
            OnTerm::Ignores => false,
        };
        let is_killed = self.killed || self.is_evicted;
        let mut asked_at = [self.terminated_at, self.expired_at].into_iter().flatten();
        let is_asked = is_killed || asked_at.any(obeys);
        self.phase == Phase::Alive && (is_asked || self.has_exited)
    }

    /// Prints `text` to a stream, of which all but the last `kept_back` bytes are read now, with the
    /// bytes kept back before. Returns the lines that this completes.
    pub fn print(&mut self, stream: Stream, text: &[u8], kept_back: usize) -> OutputBatch {
        self.ended_lines += ended_lines(text);
        let pipe = &mut self.pipes[stream as usize];
        pipe.is_in_a_line = text.last().map_or(pipe.is_in_a_line, |byte| *byte != b'\n');
        let batch = if pipe.unread.is_empty() && kept_back == 0 {
            pipe.parser.push(text)
        } else {
            pipe.unread.extend_from_slice(text);
            let read = pipe.unread.len().saturating_sub(kept_back);
            let rest = pipe.unread.split_off(read);
            pipe.parser.push(&std::mem::replace(&mut pipe.unread, rest))
        };
        self.read_lines += batch.items.len();
        batch
    }

    /// Its master has died: what that had read is lost, and it has no id until the next one.
    fn survive(mut self) -> Self {
        self.ended_lines = self.pipes.iter().map(|pipe| ended_lines(&pipe.unread)).sum();
        self.pipes.iter_mut().for_each(Pipe::survive);
        if self.phase == Phase::Gone {
            self.has_exited = true;
            // What was sent to the rest of its group did not reach it.
            self.terminated_at = self.terminated_at.filter(|_| self.was_asked);
        }
        self.group_reported = false;
        Self { phase: Phase::Alive, read_lines: 0, ..self }
    }

    /// Marks lines as the driver does, by the patterns of the instance.
    pub fn mark(&mut self, batch: &mut OutputBatch) {
        if let Some(marks) = &mut self.marks {
            marks.mark(batch);
        }
    }

    /// The next remaining lines at the end of its output, of each stream the unterminated one last;
    /// empty if none remains.
    pub fn close_output(&mut self) -> OutputBatch {
        let batches = self.pipes.iter_mut().map(Pipe::close);
        let batch = batches.into_iter().find(|batch| !batch.is_empty()).unwrap_or_default();
        self.read_lines += batch.items.len();
        batch
    }
}

/// All processes.
#[derive(Debug, Default)]
pub struct Processes {
    /// Oldest first.
    table: Vec<Process>,
    /// The exited processes, in order of their exit.
    gone: VecDeque<ProcessRef>,
    /// Processes of an earlier run of the master that were not adopted yet.
    leftovers: BTreeMap<InstanceId, (Arc<Definition>, Character)>,
    /// Those that the keeper has and that were not adopted yet.
    survivors: BTreeMap<InstanceId, Process>,
}

impl Processes {
    /// Starts a process, even if that violates a rule: the invariants check that.
    pub fn spawn(&mut self, reference: ProcessRef, definition: &Arc<Definition>) {
        self.table.push(Process::new(reference, Arc::clone(definition), Phase::Spawning));
    }

    /// Takes in a process that is there already.
    pub fn put(&mut self, reference: ProcessRef, definition: &Arc<Definition>, phase: Phase) {
        self.table.push(Process::new(reference, Arc::clone(definition), phase));
    }

    /// Gives a process of an earlier run its id.
    pub fn adopt(&mut self, reference: ProcessRef, instance: InstanceId) {
        if let Some((definition, character)) = self.leftovers.remove(&instance) {
            let process = Process::new(reference, definition, Phase::Alive);
            self.table.push(Process { adopted: true, character, ..process });
        }
        if let Some(process) = self.survivors.remove(&instance) {
            self.table.push(Process { reference, ..process });
        }
    }

    /// The master has crashed: running processes remain, and of the starting ones those that
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

    /// The same when the keeper has died as well.
    pub fn lose_keeper(&mut self, came_to_life: impl FnMut() -> bool) {
        for (id, process) in std::mem::take(&mut self.survivors) {
            self.leftovers.insert(id, (process.definition, process.character));
        }
        self.leave_behind(came_to_life);
    }

    /// The master has died, and its keeper has not: runs go on. Returns the instances whose process
    /// came to life.
    pub fn leave_to_keeper(
        &mut self,
        now: Now,
        mut came_to_life: impl FnMut() -> bool,
    ) -> Vec<InstanceId> {
        let mut newborn = Vec::new();
        for process in std::mem::take(&mut self.table) {
            let id = process.definition.id;
            let is_kept = match process.phase {
                Phase::Spawning => came_to_life(),
                Phase::Alive => true,
                Phase::Gone => process.group_left,
            };
            if !is_kept {
                continue;
            }
            newborn.extend((process.phase == Phase::Spawning).then_some(id));
            // What an earlier keeper had is no child of this one.
            if process.adopted {
                self.leftovers.insert(id, (process.definition, process.character));
            } else {
                let since = if process.phase == Phase::Spawning { now } else { process.since };
                self.survivors.insert(id, Process { since, ..process.survive() });
            }
        }
        self.gone.clear();
        newborn
    }

    /// The runs that the keeper has of known instances; those of others are killed. `has_to_end`
    /// says which ones are not to go on.
    pub fn survivors(
        &mut self,
        is_known: impl Fn(InstanceId) -> bool,
        has_to_end: impl Fn(&Process) -> bool,
    ) -> impl Iterator<Item = &Process> {
        self.survivors.retain(|id, _| is_known(*id));
        for process in self.survivors.values_mut() {
            process.survived = Some(HasToEnd(has_to_end(process)));
        }
        self.survivors.values()
    }

    /// The machine lost its power.
    pub fn end_all(&mut self) {
        *self = Self::default();
    }

    /// Kills remaining processes of unknown instances; returns the others.
    pub fn find_leftovers(&mut self, is_known: impl Fn(InstanceId) -> bool) -> Vec<InstanceId> {
        self.leftovers.retain(|id, _| is_known(*id));
        self.leftovers.keys().copied().collect()
    }

    /// Whether the run of an instance that the keeper has must end; `None` if it has none.
    pub fn survivor(&self, id: InstanceId) -> Option<HasToEnd> {
        self.survivors.get(&id)?.survived
    }

    /// Whether an instance has remaining processes that were not adopted.
    pub fn is_left_behind(&self, id: InstanceId) -> bool {
        self.leftovers.contains_key(&id) || self.survivors.contains_key(&id)
    }

    /// The instances with remaining processes that were not adopted.
    pub fn left_behind(&self) -> impl Iterator<Item = InstanceId> {
        self.leftovers.keys().chain(self.survivors.keys()).copied()
    }

    /// Signals a process and its group. KILL also kills the rest of the group of an exited process.
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

    /// The keeper signals the run of an instance, because its lease has expired.
    pub fn evict(&mut self, now: Time, id: InstanceId, signal: Signal) {
        let of_it = |process: &&mut Process| process.definition.id == id;
        let running = self.table.iter_mut().rev().filter(|process| process.phase != Phase::Gone);
        let mut all = self.survivors.values_mut().chain(running);
        let Some(process) = all.find(of_it) else { return };
        process.has_lost_lease = true;
        process.expired_at.get_or_insert(now);
        process.is_evicted |= signal == Signal::KILL;
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

    /// The process has started.
    pub fn started(&mut self, now: Now, reference: ProcessRef, character: Character) {
        if let Some(process) = self.get_mut(reference) {
            (process.phase, process.character) = (Phase::Alive, character);
            process.since = now;
        }
    }

    /// The process has exited, or failed to start.
    pub fn gone(&mut self, reference: ProcessRef, group_left: bool) {
        let Some(process) = self.get_mut(reference) else { return };
        process.phase = Phase::Gone;
        process.was_asked = process.killed || process.terminated_at.is_some();
        process.group_left = group_left;
        process.group_reported = group_left;
        self.gone.push_back(reference);
        if self.gone.len() > GONE_MAX {
            self.forget_one();
        }
    }

    /// The rest of the group of an exited process exits.
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
        let (out, err) = (Stream::Stdout, Stream::Stderr);
        assert_eq!(lines(&process.print(out, b"one\ntwo", 2)), [b"one"]);
        assert!(process.print(out, b"!", 1).is_empty());
        assert!(process.print(err, b"oh", 0).is_empty());
        process.print(out, b"\nthree", 6);
        assert_eq!(process.lines(), (4, 1));
        assert_eq!(lines(&process.close_output()), [b"two!"]);
        assert_eq!(lines(&process.close_output()), [b"three"]);
        let last = process.close_output();
        assert_eq!((last.stream, lines(&last)), (err, vec![&b"oh"[..]]));
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
