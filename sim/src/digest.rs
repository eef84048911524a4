//! A digest of effects: two runs with the same digest did the same, byte for byte.
//!
//! Every field of every effect is taken in, by its value, not by its address or its text: the
//! digest is the same in every build and on every machine.

use std::fmt;
use std::sync::Arc;

use openctrl_core::checkpoint::Checkpoint;
use openctrl_core::command::{DialOutcome, DialReport, Outcome, Refusal};
use openctrl_core::counters::{Counter, Counters, Metrics, SavedTotals, Totals};
use openctrl_core::engine::Effect;
use openctrl_core::event::{Event, LogRun, Object};
use openctrl_core::ids::{InstanceId, ProcessRef};
use openctrl_core::instance::{Definition, Desired, InstanceView, PastRun, ProcessFacts};
use openctrl_core::master::{MasterFace, MasterIdentity};
use openctrl_core::output::OutputItem;
use openctrl_core::store::{Image, Record};
use openctrl_core::time::Wall;

/// A 64-bit digest. It does not protect against intentional collisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl fmt::Write for Digest {
    /// Takes text in. Its pieces matter.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

impl Digest {
    /// Takes a number in.
    pub fn word(&mut self, word: u64) {
        // An odd factor and a shift: each step can be undone, so that no difference is lost.
        let mixed = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }

    /// Takes bytes in, and how many there are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.word(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(last));
        }
    }

    /// Adds an effect with all its content. `hashes` caches known parts.
    pub fn effect(&mut self, effect: &Effect, hashes: &mut Hashes) {
        match effect {
            Effect::ShowMaster(face) => self.tagged(0).face(face),
            Effect::ShowInstance(view) => self.tagged(1).view(view, hashes),
            Effect::Publish(event) => self.tagged(2).event(event, hashes),
            Effect::PublishLogs(run) => self.tagged(3).log_run(run, hashes),
            Effect::CloseStreams { keep_from, time } => {
                let keep_from = keep_from.map_or(u64::MAX, |epoch| epoch.0.into());
                self.tagged(4).words(&[keep_from, time.as_micros()]);
            }
            Effect::Respond { request, outcome } => {
                self.tagged(5).number(request.0).outcome(outcome, hashes);
            }
            Effect::Persist { epoch, seq, record } => {
                self.tagged(6).number(epoch.0.into()).number(seq.0).record(record, hashes);
            }
            Effect::SaveTotals(totals) => {
                let digest = self.tagged(7).number(totals.len() as u64);
                totals.iter().for_each(|(id, totals)| digest.id(*id).totals(totals));
            }
            Effect::Spawn { process, definition } => {
                self.tagged(8).process(*process).word(hashes.of(definition));
            }
            Effect::Adopt { process, instance } => {
                self.tagged(9).process(*process).id(*instance);
            }
            Effect::Signal { process, scope: _, signal } => {
                self.tagged(10).process(*process).word(signal.number().into());
            }
            Effect::Dial { request, target } => {
                self.tagged(11).number(request.0).bytes(target.as_bytes());
            }
            Effect::AnnounceKey(key) => self.tagged(12).bytes(key.reveal().as_bytes()),
            Effect::Finish => self.word(13),
            Effect::ShowProcess { instance, facts } => {
                self.tagged(14).id(*instance).facts(facts);
            }
            Effect::Track { process, .. } => {
                self.tagged(15).process(*process);
            }
            Effect::ReadPidFile { definition, .. } => {
                self.tagged(16).id(definition.id);
            }
            Effect::RunVerb { definition, verb } => {
                self.tagged(17).word(hashes.of(definition));
                self.bytes(verb.name().as_bytes());
            }
            Effect::ShowRun { instance, .. } => {
                self.tagged(18).id(*instance);
            }
        }
    }

    fn facts(&mut self, facts: &ProcessFacts) {
        let ProcessFacts { alive, starts, failures, restarts, exits, .. } = facts;
        let alive = alive.map_or(0, |(process, _)| process.generation.0);
        let (due, delay_ms) = facts.next_restart.unwrap_or_default();
        self.words(&[alive, *starts, *failures, *restarts, *exits, due.as_micros(), delay_ms]);
        self.words(&[facts.last_exit.as_ref().map_or(0, |exit| exit.time.as_micros())]);
        self.bytes(facts.status.as_str().as_bytes());
        self.bytes(facts.explanation().as_bytes());
    }

    /// Takes a state in.
    pub fn image(&mut self, image: &Image) {
        self.master(&image.master);
        self.word(image.next_event.0);
        for stored in image.instances.values() {
            self.definition(&stored.definition);
            self.desired(&stored.desired);
            self.totals(&stored.totals);
        }
    }

    fn tagged(&mut self, tag: u64) -> &mut Self {
        self.number(tag)
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.word(number);
        self
    }

    fn words(&mut self, words: &[u64]) {
        words.iter().for_each(|word| self.word(*word));
    }

    fn id(&mut self, id: InstanceId) -> &mut Self {
        self.number(id.0.into())
    }

    fn process(&mut self, process: ProcessRef) -> &mut Self {
        self.number(process.slot.0.into()).number(process.generation.0)
    }

    fn face(&mut self, face: &MasterFace) {
        self.number(face.key_epoch.0.into()).master(&face.identity);
    }

    /// Adds the identity of the master, including the key.
    pub fn master(&mut self, master: &MasterIdentity) {
        for text in [&*master.mid, &*master.alias, master.key.reveal()] {
            self.bytes(text.as_bytes());
        }
    }

    fn event(&mut self, event: &Event, hashes: &mut Hashes) {
        self.words(&[event.id.0, event.time.as_micros(), event.kind as u64]);
        match &event.object {
            Object::Key(master) => self.tagged(0).master(master),
            Object::Instance(view) => self.tagged(1).view(view, hashes),
        }
    }

    fn log_run(&mut self, run: &LogRun, hashes: &mut Hashes) {
        self.words(&[run.first.0, run.time.as_micros(), run.instance.0.into()]);
        self.view(&run.view, hashes);
        self.words(&[run.items.start as u64, run.items.end as u64, run.batch.items.len() as u64]);
        for item in run.batch.items.get(run.items.clone()).unwrap_or_default() {
            match item {
                OutputItem::Log(line) => {
                    self.words(&[line.cut_bytes, line.is_error.into()]);
                    self.bytes(run.batch.text_of(line));
                }
                OutputItem::Checkpoint(checkpoint) => self.checkpoint(checkpoint),
            }
        }
    }

    fn view(&mut self, view: &InstanceView, hashes: &mut Hashes) {
        let Metrics { mode, ping, pool, tcps, udps } = view.metrics;
        let Totals { tcprx, tcptx, udprx, udptx } = view.totals;
        self.words(&[hashes.of(&view.definition), view.status as u64]);
        self.words(&[mode, ping, pool, tcps, udps].map(|gauge| gauge as u64));
        self.words(&[tcprx, tcptx, udprx, udptx]);
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) {
        let Checkpoint { mode, ping, pool, tcps, udps, tcprx, tcptx, udprx, udptx } = *checkpoint;
        for gauge in [mode, ping, pool, tcps, udps] {
            self.words(&[gauge.is_some().into(), gauge.unwrap_or(0) as u64]);
        }
        for counter in [tcprx, tcptx, udprx, udptx] {
            self.words(&[counter.is_some().into(), counter.unwrap_or(0)]);
        }
    }

    fn outcome(&mut self, outcome: &Outcome, hashes: &mut Hashes) {
        match outcome {
            Outcome::Done { before, after } => {
                self.tagged(0).view(before, hashes);
                self.view(after, hashes);
            }
            Outcome::Created(view) => self.tagged(1).view(view, hashes),
            Outcome::Removed => self.word(2),
            Outcome::AliasSet => self.word(3),
            Outcome::Dialed(DialReport { target, outcome }) => {
                self.tagged(4).bytes(target.as_bytes());
                match outcome {
                    DialOutcome::Connected { latency_ms } => self.words(&[0, *latency_ms]),
                    DialOutcome::Failed(reason) => self.tagged(1).bytes(reason.as_bytes()),
                }
            }
            Outcome::Refused(refusal) => self.tagged(5).refusal(refusal),
            Outcome::Replaced(view) => self.tagged(6).view(view, hashes),
            Outcome::KeyRotated(master) => self.tagged(7).master(master),
            Outcome::Stale(view) => self.tagged(8).view(view, hashes),
            Outcome::Desired(done) => self.words(&[9, done.is_stale.into()]),
        }
    }

    fn refusal(&mut self, refusal: &Refusal) {
        match refusal {
            Refusal::NotAdmitted => self.word(0),
            Refusal::NoInstance => self.word(1),
            Refusal::SameUrl => self.word(2),
            Refusal::TooLarge { bytes, limit } => self.words(&[3, *bytes as u64, *limit as u64]),
            Refusal::Busy => self.word(4),
            Refusal::Full { limit } => self.words(&[5, *limit as u64]),
            Refusal::NotDurable { reason } => self.tagged(6).bytes(reason.as_bytes()),
            Refusal::ShuttingDown => self.word(7),
            Refusal::CannotEnd => self.word(8),
            Refusal::Configured => self.word(9),
        }
    }

    /// Takes a record in, with everything in it.
    pub fn record(&mut self, record: &Record, hashes: &mut Hashes) {
        match record {
            Record::PutInstance { definition, desired, totals } => {
                self.tagged(0).word(hashes.of(definition));
                self.desired(desired);
                self.totals(totals);
            }
            Record::RemoveInstance(id) => {
                self.tagged(1).id(*id);
            }
            Record::PutMaster(master) => self.tagged(2).master(master),
            Record::SetDesired { id, desired } => self.tagged(3).id(*id).desired(desired),
            Record::ReserveEvents(upto) => self.tagged(4).word(upto.0),
            Record::AddRun { id, run, most } => {
                self.tagged(5).id(*id).word((*most).into());
                self.run(run);
            }
            Record::PutRuns { id, runs } => {
                self.tagged(6).id(*id);
                runs.iter().for_each(|run| self.run(run));
            }
        }
    }

    fn run(&mut self, run: &PastRun) {
        self.words(&[run.id.0 as u64, run.pid.into(), run.exit_code.into()]);
        self.words(&[run.started, run.stopped].map(Wall::as_micros));
    }

    /// Takes a definition in, every byte of it.
    pub fn definition(&mut self, definition: &Definition) {
        self.id(definition.id).number(definition.restarts().into()).word(definition.revision.0);
        let peer = &definition.meta.peer;
        let url = definition.url().as_str();
        for text in [url, &definition.alias, &peer.sid, &peer.kind, &peer.alias] {
            self.bytes(text.as_bytes());
        }
        self.word(definition.meta.tags.len() as u64);
        for (name, value) in &definition.meta.tags {
            self.bytes(name.as_bytes());
            self.bytes(value.as_bytes());
        }
    }

    fn desired(&mut self, desired: &Desired) {
        let Desired { goal, once, restart, values, cas } = desired;
        self.words(&[*goal as u64, *once as u64, (*restart).into(), cas.0, values.len() as u64]);
        for (name, value) in values {
            self.bytes(name.as_bytes());
            self.bytes(value.as_bytes());
        }
    }

    fn totals(&mut self, saved: &SavedTotals) {
        self.word(saved.mode as u64);
        let Counters { tcprx, tcptx, udprx, udptx } = saved.counters;
        for Counter { base, reset_point, last_raw } in [tcprx, tcptx, udprx, udptx] {
            self.words(&[base, reset_point, last_raw]);
        }
    }
}

/// The digests of definitions that were met lately. Each is taken of every byte, once.
#[derive(Debug, Default)]
pub struct Hashes(Vec<(Arc<Definition>, u64)>);

/// More than are in use at a time, as a rule; few enough to look through.
const HASHES_MAX: usize = 32;

impl Hashes {
    fn of(&mut self, definition: &Arc<Definition>) -> u64 {
        // While it is cached here, no other object has its address.
        let known = self.0.iter().rfind(|(known, _)| Arc::ptr_eq(known, definition));
        if let Some((_, hash)) = known {
            return *hash;
        }
        if self.0.len() == HASHES_MAX {
            self.0.clear();
        }
        let mut digest = Digest::default();
        digest.definition(definition);
        self.0.push((Arc::clone(definition), digest.0));
        digest.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openctrl_core::event::EventKind;
    use openctrl_core::ids::EventId;
    use openctrl_core::time::Wall;
    use openctrl_core::url::InstanceUrl;

    fn digest(take: impl FnOnce(&mut Digest)) -> Digest {
        let mut digest = Digest::default();
        take(&mut digest);
        digest
    }

    #[test]
    fn different_bytes_differ() {
        let texts: [&[u8]; 6] = [b"", b"\0", b"a", b"ab", b"12345678", b"12345678\0"];
        let mut digests: Vec<u64> =
            texts.iter().map(|text| digest(|digest| digest.bytes(text)).0).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), texts.len());
    }

    #[test]
    fn every_part_of_an_event_counts() {
        let master = |key| Object::Key(MasterIdentity::from_random([1; 8], [key; 16]));
        let event = Event {
            id: EventId(7),
            time: Wall::from_micros(9),
            kind: EventKind::Update,
            object: master(2),
        };
        let url = InstanceUrl::parse("demo:a").expect("a valid URL");
        let definition = Definition::new(InstanceId(0), url, String::new());
        let view = InstanceView::new(Arc::new(definition));
        let others = [
            Event { id: EventId(8), ..event.clone() },
            Event { time: Wall::from_micros(8), ..event.clone() },
            Event { kind: EventKind::Create, ..event.clone() },
            Event { object: Object::Instance(view), ..event.clone() },
            Event { object: master(3), ..event.clone() },
        ];
        let of = |event: &Event| {
            let effect = Effect::Publish(event.clone());
            digest(|digest| digest.effect(&effect, &mut Hashes::default()))
        };
        assert_eq!(of(&event), of(&event.clone()));
        for other in &others {
            assert_ne!(of(&event), of(other), "{other:?}");
        }
    }
}
