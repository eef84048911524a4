//! Replays a segment on an engine and compares the results.

use alloc::vec::Vec;

use super::error::TraceError;
use super::reader::{Ending, Reader, Record};
use super::{Digest, Header};
use crate::counters::{Metrics, Totals};
use crate::engine::{Effect, Engine, Input};
use crate::ids::{Generation, InstanceId, SlotId};
use crate::instance::State;
use crate::time::Now;

/// A segment being replayed.
#[derive(Debug)]
pub struct Replay<'a> {
    reader: Reader<'a>,
    engine: Engine,
    effects: Digest,
    /// The next input, read ahead: its digest is that of the effects before it.
    next: Option<(Now, u32, Input)>,
    summary: Summary,
}

/// One input and its results.
#[derive(Debug)]
pub struct Step {
    /// Which input of the segment, from 1.
    pub number: u64,
    /// When it was.
    pub now: Now,
    /// The input.
    pub input: Input,
    /// The effects.
    pub effects: Vec<Effect>,
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
        let engine = reader.engine();
        let (effects, summary) = (Digest::default(), Summary::default());
        let mut replay = Self { reader, engine, effects, next: None, summary };
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

    /// The input of the next step, with its number.
    pub fn peek(&self) -> Option<(u64, Now, &Input)> {
        let (now, _, input) = self.next.as_ref()?;
        Some((self.summary.inputs + 1, *now, input))
    }

    /// Replays the next input; `None` at the end.
    pub fn step(&mut self) -> Option<Step> {
        let (now, _, input) = self.next.take()?;
        let before = self.glances();
        self.engine.handle(now, input.clone());
        let effects: Vec<Effect> = core::iter::from_fn(|| self.engine.poll_effect()).collect();
        effects.iter().for_each(|effect| self.effects.effect(effect));
        self.summary.inputs += 1;
        let number = self.summary.inputs;
        let changes = changes(&before, &self.glances());
        let verdict = self.compare(number, now);
        Some(Step { number, now, input, effects, changes, verdict })
    }

    /// The result so far.
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The end of the segment; `None` while there is more.
    pub const fn ending(&self) -> Option<&Ending> {
        if self.next.is_some() { None } else { self.reader.ending() }
    }

    /// Compares with the records after the input that was just replayed.
    fn compare(&mut self, number: u64, now: Now) -> Verdict {
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
        for state in states.into_iter().chain(end_state) {
            self.summary.states_checked += 1;
            verdict = Verdict::Equal;
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
        if matches!(verdict, Verdict::EffectsDiffer | Verdict::StateDiffers) {
            self.summary.difference = Some(Difference { number, now, verdict });
        }
        verdict
    }

    /// Reads up to the next input, and returns the fingerprints before it.
    fn read_on(&mut self) -> Vec<u64> {
        let mut states = Vec::new();
        loop {
            match self.reader.next() {
                Some(Record::State(fingerprint)) => states.push(fingerprint),
                Some(Record::Input { now, effects, input }) => {
                    self.next = Some((now, effects, input));
                    return states;
                }
                None => return states,
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
