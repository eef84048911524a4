//! A number that two runs of the engine share as long as they give the same effects.
//!
//! It is computed in the loop of the master for every effect, so it looks at numbers only: kinds,
//! ids, times, lengths, and the end of an object, where its figures stand. It is the same with
//! masks in the place of texts. It is not meant to withstand anybody.

use crate::api::{PingOutcome, Reply};
use crate::engine::{Effect, Event, LogRun, Signal, Subject};
use crate::ids::{InstanceId, ProcessRef};
use crate::store::{Record, SavedTotals};

/// How much of the end of an object is looked at: it has four counters at least, and no text.
const FIGURES_BYTES: usize = 64;

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
            Effect::ShowInstance { id, json } => {
                self.words([2, id.0.into()]);
                self.object(json);
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
        }
    }

    pub(crate) fn words<const N: usize>(&mut self, words: [u64; N]) {
        for word in words {
            self.word(word);
        }
    }

    fn process(&mut self, kind: u64, process: ProcessRef) {
        self.words([kind, process.slot.0.into(), process.generation.0]);
    }

    fn event(&mut self, event: &Event) {
        let subject = match event.subject {
            Subject::Key => u64::MAX,
            Subject::Instance(id) => id.0.into(),
        };
        self.words([3, event.kind as u64, event.id.0, event.time.as_micros(), subject]);
        self.object(&event.json);
    }

    fn logs(&mut self, run: &LogRun) {
        let LogRun { first, time, instance, json, batch: _, items } = run;
        self.words([4, first.0, time.as_micros(), instance.0.into()]);
        self.words([items.start as u64, items.end as u64]);
        self.object(json);
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
        self.words([id.0.into(), saved.mode as u64]);
        self.words([totals.tcprx, totals.tcptx, totals.udprx, totals.udptx]);
    }

    /// An instance as JSON: how long it is, and its figures.
    fn object(&mut self, json: &[u8]) {
        self.word(json.len() as u64);
        let tail = json.len().saturating_sub(FIGURES_BYTES);
        let (words, _) = json[tail..].as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
    }
}
