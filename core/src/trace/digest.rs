//! A number that two runs of the engine share as long as they give the same effects.
//!
//! It is computed in the loop of the master for every effect, so it looks at numbers only: kinds,
//! ids, times, lengths, and the end of an object, where its figures stand. It is the same with
//! masks in the place of texts. It is not meant to withstand anybody.

use crate::api::{PingOutcome, Reply};
use crate::counters::Totals;
use crate::engine::{Effect, Event, LogRun, Object, Signal, Subject};
use crate::ids::{InstanceId, ProcessRef};
use crate::instance::{InstanceView, Metrics, ProcessFacts};
use crate::store::{Record, SavedTotals};

/// How much of the end of an object is looked at: it has four counters at least, and no text.
const FIGURES_BYTES: usize = 64;

/// Odd, so that no difference of a single number is lost, and one for each place.
const FACTORS: [u64; 12] = [
    0x9e37_79b9_7f4a_7c15,
    0xbf58_476d_1ce4_e5b9,
    0x94d0_49bb_1331_11eb,
    0xd6e8_feb8_6659_fd93,
    0xa076_1d64_78bd_642f,
    0xe703_7ed1_a0b4_28db,
    0x8ebc_6af0_9c88_c6e3,
    0x5899_65cc_7537_4cc3,
    0x1d8e_4e27_c47d_124f,
    0xeb44_acca_b455_d165,
    0xff51_afd7_ed55_8ccd,
    0xc4ce_b9fe_1a85_ec53,
];

/// The digest of a row of effects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(pub u64);

impl Digest {
    /// As much of it as stands beside every input.
    pub const fn short(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Takes in a number: one multiplication, and a shift for the upper bits to reach the lower.
    pub(crate) const fn word(&mut self, word: u64) {
        let mixed = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }

    /// Takes in an effect.
    pub fn effect(&mut self, effect: &Effect) {
        match effect {
            Effect::ShowMaster(face) => self.words([1, face.key_epoch.0.into()]),
            Effect::ShowInstance(view) => {
                self.words([2, view.definition().id.0.into()]);
                self.view(view);
            }
            Effect::Publish(event) => self.event(event),
            Effect::PublishLogs(run) => self.logs(run),
            Effect::CloseStreams { keep_from, time } => {
                let epoch = keep_from.map_or(u64::MAX, |epoch| epoch.0.into());
                self.words([5, epoch, time.as_micros()]);
            }
            Effect::Respond { request, reply } => {
                self.words([6, request.0]);
                self.reply(reply);
            }
            Effect::Persist { epoch, seq, record } => {
                self.words([7, epoch.0.into(), seq.0]);
                self.record(record);
            }
            Effect::SaveTotals(totals) => {
                self.words([8, totals.len() as u64]);
                totals.iter().for_each(|(id, saved)| self.totals(*id, saved));
            }
            Effect::Spawn { process, definition } => {
                self.process(9, *process);
                self.word(definition.id.0.into());
            }
            Effect::Adopt { process, instance } => {
                self.process(10, *process);
                self.word(instance.0.into());
            }
            Effect::Signal { process, signal: Signal::Terminate } => self.process(11, *process),
            Effect::Signal { process, signal: Signal::Kill } => self.process(12, *process),
            Effect::Dial { request, target: _ } => self.words([13, request.0]),
            Effect::AnnounceKey(_) => self.word(14),
            Effect::Finish => self.word(15),
            Effect::ShowProcess { instance, facts } => {
                self.words([16, instance.0.into()]);
                self.facts(facts);
            }
        }
    }

    /// Takes in some numbers at once. Unlike one after the other, they do not wait for each other.
    pub(crate) fn words<const N: usize>(&mut self, words: [u64; N]) {
        const { assert!(N <= FACTORS.len(), "every number has a factor") };
        let sum = words
            .iter()
            .zip(FACTORS)
            .fold(0u64, |sum, (word, factor)| sum.wrapping_add(word.wrapping_mul(factor)));
        self.word(sum);
    }

    /// Takes in what became of processes, but for its words.
    pub(crate) fn facts(&mut self, facts: &ProcessFacts) {
        let ProcessFacts { status, alive, starts, failures, restarts, exits, .. } = facts;
        let alive = alive.map_or(0, |(process, _)| process.generation.0);
        let (due, delay_ms) = facts.next_restart.unwrap_or_default();
        self.words([*status as u64, alive, *starts, *failures, *restarts, *exits]);
        self.words([due.as_micros(), delay_ms]);
    }

    fn process(&mut self, kind: u64, process: ProcessRef) {
        self.words([kind, process.slot.0.into(), process.generation.0]);
    }

    fn event(&mut self, event: &Event) {
        let subject = match event.object.subject() {
            Subject::Key => u64::MAX,
            Subject::Instance(id) => id.0.into(),
        };
        self.words([3, event.kind as u64, event.id.0, event.time.as_micros(), subject]);
        match &event.object {
            Object::Key(json) => self.object(json),
            Object::Instance(view) => self.view(view),
        }
    }

    fn logs(&mut self, run: &LogRun) {
        let LogRun { first, time, instance, view, batch: _, items } = run;
        let (start, end) = (items.start as u64, items.end as u64);
        self.words([4, first.0, time.as_micros(), instance.0.into(), start, end]);
        self.view(view);
    }

    fn reply(&mut self, reply: &Reply) {
        match reply {
            Reply::Instance(json) => {
                self.word(1);
                self.object(json);
            }
            Reply::Created(json) => {
                self.word(2);
                self.object(json);
            }
            Reply::Deleted => self.word(3),
            Reply::AliasSet => self.word(4),
            Reply::Pinged(report) => match &report.outcome {
                PingOutcome::Connected { latency_ms } => self.words([5, *latency_ms]),
                PingOutcome::Failed(_) => self.word(6),
            },
            Reply::Refused(refusal) => self.words([7, refusal.status().into()]),
        }
    }

    fn record(&mut self, record: &Record) {
        match record {
            Record::PutInstance { definition, totals } => {
                self.words([1, definition.restart.into(), definition.meta.tags.len() as u64]);
                self.totals(definition.id, totals);
            }
            Record::RemoveInstance(id) => self.words([2, id.0.into()]),
            Record::PutMaster(_) => self.word(3),
        }
    }

    fn totals(&mut self, id: InstanceId, saved: &SavedTotals) {
        let totals = saved.totals;
        let (id, mode) = (id.0.into(), saved.mode as u64);
        self.words([id, mode, totals.tcprx, totals.tcptx, totals.udprx, totals.udptx]);
    }

    /// An instance: about how long its JSON is, and its figures.
    fn view(&mut self, view: &InstanceView) {
        let Metrics { mode, ping, pool, tcps, udps } = view.metrics;
        let Totals { tcprx, tcptx, udprx, udptx } = view.totals;
        let (bytes, status) = (view.json_max_bytes() as u64, view.status as u64);
        let [mode, ping, pool, tcps, udps] =
            [mode, ping, pool, tcps, udps].map(|gauge| gauge as u64);
        self.words([bytes, status, mode, ping, pool, tcps, udps, tcprx, tcptx, udprx, udptx]);
    }

    /// An instance as JSON: how long it is, and its figures.
    fn object(&mut self, json: &[u8]) {
        let mut words = [0; FIGURES_BYTES / 8 + 1];
        words[0] = json.len() as u64;
        let tail = &json[json.len().saturating_sub(FIGURES_BYTES)..];
        for (word, figures) in words[1..].iter_mut().zip(tail.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*figures);
        }
        self.words(words);
    }
}
