//! Replays a segment on an engine and compares the results.

use alloc::vec::Vec;

use super::error::TraceError;
use super::reader::{Ending, Reader, Record};
use super::{Digest, Header};
use crate::control::{Cause, Control, ControlEffect, ControlInput, RulesRequest};
use crate::counters::{Metrics, Totals};
use crate::engine::{Effect, Engine, Input};
use crate::ids::{Generation, InstanceId, ProcessRef, SlotId};
use crate::instance::State;
use crate::time::Now;

/// A segment being replayed.
#[derive(Debug)]
pub struct Replay<'a> {
    reader: Reader<'a>,
    engine: Engine,
    beside: Option<Beside>,
    effects: Digest,
    /// The next input, read ahead: its digest is that of the effects before it.
    next: Option<(Now, u32, Happened)>,
    /// The record after it.
    ahead: Option<Record>,
    summary: Summary,
}

/// The machine of the control API beside the engine.
#[derive(Debug)]
struct Beside {
    machine: Control,
    effects: Digest,
    /// Whether a rule compares texts that are not recorded.
    is_blind: bool,
}

/// What a step is about.
#[derive(Clone, Debug)]
pub enum Happened {
    /// An input of the engine.
    Input(Input),
    /// An input of the machine of the control API.
    Control(ControlInput),
}

/// One input and its results.
#[derive(Debug)]
pub struct Step {
    /// Which input of the segment, from 1.
    pub number: u64,
    /// When it was.
    pub now: Now,
    /// The input.
    pub input: Happened,
    /// The effects.
    pub effects: Vec<Effect>,
    /// The effects of the machine of the control API.
    pub control: Vec<ControlEffect>,
    /// Which instances are not as they were.
    pub changes: Vec<Change>,
    /// Whether it was so when it was recorded.
    pub verdict: Verdict,
}

/// The view of an instance in a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance {
    /// Which instance.
    pub id: InstanceId,
    /// Where it is in its life.
    pub state: State,
    /// Its current process, or the last one.
    pub generation: Generation,
    /// Its gauges.
    pub metrics: Metrics,
    /// Its byte counters as shown.
    pub totals: Totals,
}

/// An instance before and after an input; `None` if it was not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Before.
    pub before: Option<Glance>,
    /// After.
    pub after: Option<Glance>,
}

/// Whether a step went as it was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It did.
    Equal,
    /// It is not known: the recorder was cut off here, the replay differed before, or the segment
    /// is of an older version.
    Unknown,
    /// Its effects were others.
    EffectsDiffer,
    /// The engine was in another state after it.
    StateDiffers,
    /// The machine of the control API had other effects, or was in another state.
    ControlDiffers,
}

/// The result of a replay so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Number of replayed inputs.
    pub inputs: u64,
    /// Digests of effects that were compared.
    pub effects_checked: u64,
    /// Fingerprints of the engine that were compared.
    pub states_checked: u64,
    /// Digests and fingerprints of the machine of the control API that were compared.
    pub control_checked: u64,
    /// Where it first differed.
    pub difference: Option<Difference>,
}

/// The first difference between a recording and its replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// At which input.
    pub number: u64,
    /// When that was.
    pub now: Now,
    /// In what.
    pub verdict: Verdict,
}

impl<'a> Replay<'a> {
    /// Reads the header of a segment.
    ///
    /// # Errors
    /// If there is none that this version can read.
    pub fn new(segment: &'a [u8]) -> Result<Self, TraceError> {
        let reader = Reader::new(segment)?;
        let (engine, beside) = (reader.engine(), reader.control().map(Beside::new));
        let (effects, summary) = (Digest::default(), Summary::default());
        let mut replay = Self { reader, engine, beside, effects, next: None, ahead: None, summary };
        replay.read_on();
        Ok(replay)
    }

    /// The header of the segment.
    pub const fn header(&self) -> &Header {
        self.reader.header()
    }

    /// The version of its format.
    pub const fn version(&self) -> u16 {
        self.reader.version()
    }

    /// Whether the results are compared with the recording. Those of an older version are not: its
    /// digests have other components.
    pub fn is_comparable(&self) -> bool {
        self.reader.is_comparable()
    }

    /// The current engine.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The current machine of the control API, if it was recorded.
    pub fn control(&self) -> Option<&Control> {
        self.beside.as_ref().map(|beside| &beside.machine)
    }

    /// Whether the machine of the control API is not compared because a rule compares texts that
    /// are not recorded.
    pub fn is_blind(&self) -> bool {
        self.beside.as_ref().is_some_and(|beside| beside.is_blind)
    }

    /// The input of the next step, with its number.
    pub fn peek(&self) -> Option<(u64, Now, &Happened)> {
        let (now, _, input) = self.next.as_ref()?;
        Some((self.summary.inputs + 1, *now, input))
    }

    /// Replays the next input; `None` at the end.
    pub fn step(&mut self) -> Option<Step> {
        let (now, _, input) = self.next.take()?;
        let followed = self.take_followed();
        let pids = followed.as_ref().map(|(_, pids)| &pids[..]).unwrap_or_default();
        let before = self.glances();
        let digest = self.beside.as_ref().map(|beside| beside.effects);
        let (mut effects, mut control) = (Vec::new(), Vec::new());
        match &input {
            Happened::Input(input) => {
                let cause = Cause::of(&self.engine, input);
                self.engine.handle(now, input.clone());
                effects.extend(core::iter::from_fn(|| self.engine.poll_effect()));
                effects.iter().for_each(|effect| self.effects.effect(effect));
                if let Some(beside) = &mut self.beside {
                    control = beside.observe(now, cause, &self.engine, &effects, pids);
                }
            }
            Happened::Control(input) => {
                if let Some(beside) = &mut self.beside {
                    control = beside.handle(now, input.clone());
                }
            }
        }
        self.summary.inputs += 1;
        let number = self.summary.inputs;
        let changes = changes(&before, &self.glances());
        let verdict = self.compare(number, now, digest, followed.map(|(effects, _)| effects));
        Some(Step { number, now, input, effects, control, changes, verdict })
    }

    /// The result so far.
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The end of the segment; `None` while there is more.
    pub const fn ending(&self) -> Option<&Ending> {
        if self.next.is_some() { None } else { self.reader.ending() }
    }

    /// Compares with the records after the input that was just replayed. `before` is the digest of
    /// the machine of the control API before it, `followed` the recorded one after it.
    fn compare(
        &mut self,
        number: u64,
        now: Now,
        before: Option<Digest>,
        followed: Option<u32>,
    ) -> Verdict {
        let states = self.read_on();
        if !self.is_comparable() {
            return Verdict::Unknown;
        }
        let was_equal = self.summary.difference.is_none();
        let (effects, end_state) = match (&self.next, self.reader.ending()) {
            (Some((_, effects, _)), _) => (Some(*effects), None),
            (None, Some(Ending::Marked(end))) => (end.effects.map(Digest::short), end.state),
            (None, Some(Ending::Torn(_) | Ending::Damaged(..)) | None) => (None, None),
        };
        let mut verdict = if effects.is_some() { Verdict::Equal } else { Verdict::Unknown };
        if !self.is_control_equal(before, followed, effects.is_some(), &states.control) {
            verdict = Verdict::ControlDiffers;
        }
        for state in states.engine.into_iter().chain(end_state) {
            self.summary.states_checked += 1;
            if verdict == Verdict::Unknown {
                verdict = Verdict::Equal;
            }
            if state != self.engine.fingerprint() {
                verdict = Verdict::StateDiffers;
            }
        }
        self.summary.effects_checked += u64::from(effects.is_some());
        if effects.is_some_and(|effects| effects != self.effects.short()) {
            verdict = Verdict::EffectsDiffer;
        }
        if !was_equal {
            return Verdict::Unknown;
        }
        if !matches!(verdict, Verdict::Equal | Verdict::Unknown) {
            self.summary.difference = Some(Difference { number, now, verdict });
        }
        verdict
    }

    /// Whether the machine of the control API did as recorded. Where nothing is recorded after an
    /// input although the segment goes on, it had no effects.
    fn is_control_equal(
        &mut self,
        before: Option<Digest>,
        followed: Option<u32>,
        is_whole: bool,
        states: &[u64],
    ) -> bool {
        let Some(beside) = self.beside.as_ref().filter(|beside| !beside.is_blind) else {
            return true;
        };
        let expected = followed.or(before.filter(|_| is_whole).map(Digest::short));
        self.summary.control_checked += u64::from(followed.is_some()) + states.len() as u64;
        expected.is_none_or(|expected| expected == beside.effects.short())
            && states.iter().all(|state| *state == beside.machine.fingerprint())
    }

    /// Reads up to the next input, and returns the fingerprints before it.
    fn read_on(&mut self) -> States {
        let mut states = States::default();
        while let Some(record) = self.ahead.take().or_else(|| self.reader.next()) {
            match record {
                Record::State(fingerprint) => states.engine.push(fingerprint),
                Record::ControlState(fingerprint) => states.control.push(fingerprint),
                // It belongs to no input.
                Record::Followed { .. } => {}
                Record::Input { now, effects, input } => {
                    self.next = Some((now, effects, Happened::Input(input)));
                    break;
                }
                Record::Control { now, effects, input } => {
                    self.next = Some((now, effects, Happened::Control(input)));
                    break;
                }
            }
        }
        states
    }

    /// What is recorded as following from the input that is about to be replayed.
    fn take_followed(&mut self) -> Option<(u32, Vec<(ProcessRef, i32)>)> {
        match self.reader.next() {
            Some(Record::Followed { effects, pids }) => Some((effects, pids)),
            other => {
                self.ahead = other;
                None
            }
        }
    }

    fn glances(&self) -> Vec<(SlotId, Glance)> {
        let table = self.engine.table();
        let glance = |slot| {
            let instance = table.get(slot)?;
            let glance = Glance {
                id: instance.definition().id,
                state: instance.state(),
                generation: instance.lifecycle().generation(),
                metrics: instance.meters().metrics(),
                totals: instance.meters().counters().totals(),
            };
            Some((slot, glance))
        };
        table.slots().filter_map(glance).collect()
    }
}

/// The fingerprints between two inputs.
#[derive(Debug, Default)]
struct States {
    engine: Vec<u64>,
    control: Vec<u64>,
}

impl Beside {
    fn new(machine: Control) -> Self {
        let is_blind = machine.rules().specs().any(|spec| spec.compares_messages());
        Self { machine, effects: Digest::default(), is_blind }
    }

    fn observe(
        &mut self,
        now: Now,
        cause: Cause,
        engine: &Engine,
        effects: &[Effect],
        pids: &[(ProcessRef, i32)],
    ) -> Vec<ControlEffect> {
        if effects.is_empty() && cause == Cause::Other {
            return Vec::new();
        }
        let pid = |process| pids.iter().find(|(known, _)| *known == process).map(|(_, pid)| *pid);
        let attached = self.machine.observe(now, cause, engine, effects, &pid).attached;
        attached.iter().for_each(|attached| attached.digest(&mut self.effects));
        let mut all = self.effects();
        all.extend(attached.into_iter().map(|attached| ControlEffect::Keep(attached.kept)));
        all
    }

    fn handle(&mut self, now: Now, input: ControlInput) -> Vec<ControlEffect> {
        if let ControlInput::RulesRequested { request: RulesRequest::Apply(rules, ..), .. } = &input
        {
            self.is_blind |= rules.iter().any(|rule| rule.compares_messages());
        }
        self.machine.handle(now, input);
        self.effects()
    }

    fn effects(&mut self) -> Vec<ControlEffect> {
        let effects: Vec<_> = core::iter::from_fn(|| self.machine.poll_effect()).collect();
        effects.iter().for_each(|effect| effect.digest(&mut self.effects));
        effects
    }
}

/// The differences between two views of the table, both in the order of its slots.
fn changes(before: &[(SlotId, Glance)], after: &[(SlotId, Glance)]) -> Vec<Change> {
    let mut changes = Vec::new();
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let change = match (before.peek(), after.peek()) {
            (None, None) => return changes,
            (Some((old, _)), Some((new, _))) if old == new => Change {
                before: before.next().map(|row| row.1),
                after: after.next().map(|row| row.1),
            },
            (Some((old, _)), Some((new, _))) if new < old => {
                Change { before: None, after: after.next().map(|row| row.1) }
            }
            (None, Some(_)) => Change { before: None, after: after.next().map(|row| row.1) },
            (Some(_), _) => Change { before: before.next().map(|row| row.1), after: None },
        };
        if change.before != change.after {
            changes.push(change);
        }
    }
}
