//! A number that is equal in two runs of the engine as long as they give the same effects.
//!
//! The loop of the master computes it for every effect, so it uses only numbers: kinds, ids, times,
//! lengths and figures. Masks in place of texts do not change it. It is not cryptographic.

use crate::command::{DialOutcome, Outcome, Refusal};
use crate::counters::{Metrics, SavedTotals, Totals};
use crate::engine::Effect;
use crate::event::{Event, LogRun, Object, Subject};
use crate::ids::{InstanceId, ProcessRef};
use crate::instance::{Desired, InstanceView, RunShown};
use crate::mixer::Digest;
use crate::process::Scope;
use crate::store::Record;

impl Digest {
    /// Takes in an effect.
    pub fn effect(&mut self, effect: &Effect) {
        match effect {
            Effect::ShowMaster(face) => self.words([1, face.key_epoch.0.into()]),
            Effect::ShowInstance(view) => {
                self.words([2, view.definition.id.0.into()]);
                self.view(view);
            }
            Effect::Publish(event) => self.event(event),
            Effect::PublishLogs(run) => self.logs(run),
            Effect::CloseStreams { keep_from, time } => {
                let epoch = keep_from.map_or(u64::MAX, |epoch| epoch.0.into());
                self.words([5, epoch, time.as_micros()]);
            }
            Effect::Respond { request, outcome } => {
                self.words([6, request.0]);
                self.outcome(outcome);
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
            Effect::Signal { process, scope, signal } => {
                self.process(11, *process);
                self.words([u64::from(*scope == Scope::Leader), signal.number().into()]);
            }
            Effect::Track { process, identity } => {
                self.process(18, *process);
                self.words([identity.pid.into(), identity.start_ticks]);
            }
            Effect::ReadPidFile { definition, leader: _ } => {
                self.words([19, definition.id.0.into()]);
            }
            Effect::RunVerb { definition, verb } => {
                self.words([20, definition.id.0.into(), *verb as u64]);
            }
            Effect::ShowRun { label: _, instance, shown } => {
                self.words([21, instance.0.into()]);
                self.run(shown);
            }
            Effect::Dial { request, target: _ } => self.words([13, request.0]),
            Effect::AnnounceKey(_) => self.word(14),
            Effect::Finish => self.word(15),
            Effect::ShowProcess { instance, facts } => {
                self.words([16, instance.0.into()]);
                self.facts(facts);
            }
        }
    }

    fn run(&mut self, shown: &RunShown) {
        let pid = shown.run.map_or(0, |run| run.pid);
        self.words([pid.into(), shown.past.len() as u64]);
        self.desired(&shown.desired);
    }

    fn desired(&mut self, desired: &Desired) {
        let Desired { goal, once, restart, values, cas } = desired;
        let (goal, once) = (*goal as u64, *once as u64);
        self.words([goal, once, (*restart).into(), values.len() as u64, cas.0]);
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
            Object::Key(_) => {}
            Object::Instance(view) => self.view(view),
        }
    }

    fn logs(&mut self, run: &LogRun) {
        let LogRun { first, time, instance, view, batch: _, items } = run;
        let (start, end) = (items.start as u64, items.end as u64);
        self.words([4, first.0, time.as_micros(), instance.0.into(), start, end]);
        self.view(view);
    }

    fn outcome(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Done { before: _, after } => {
                self.word(1);
                self.view(after);
            }
            Outcome::Created(view) => {
                self.word(2);
                self.view(view);
            }
            Outcome::Removed => self.word(3),
            Outcome::AliasSet => self.word(4),
            Outcome::Dialed(report) => match &report.outcome {
                DialOutcome::Connected { latency_ms } => self.words([5, *latency_ms]),
                DialOutcome::Failed(_) => self.word(6),
            },
            Outcome::Refused(refusal) => self.words([7, number_of(refusal)]),
            Outcome::Replaced(view) => {
                self.word(8);
                self.view(view);
            }
            Outcome::KeyRotated(_) => self.word(9),
            Outcome::Stale(view) => {
                self.word(10);
                self.view(view);
            }
            Outcome::Desired(done) => {
                self.words([11, done.is_stale.into()]);
                self.run(&done.before);
            }
        }
    }

    fn record(&mut self, record: &Record) {
        match record {
            Record::PutInstance { definition, totals, .. } => {
                self.words([1, definition.restarts().into(), definition.meta.tags.len() as u64]);
                self.totals(definition.id, totals);
            }
            Record::RemoveInstance(id) => self.words([2, id.0.into()]),
            Record::PutMaster(_) => self.word(3),
            Record::SetDesired { id, desired } => {
                self.words([4, id.0.into()]);
                self.desired(desired);
            }
            Record::AddRun { id, run, most } => {
                self.words([6, id.0.into(), run.pid.into(), (*most).into()]);
            }
            Record::PutRuns { id, runs } => self.words([7, id.0.into(), runs.len() as u64]),
            Record::ReserveEvents(upto) => self.words([5, upto.0]),
        }
    }

    fn totals(&mut self, id: InstanceId, saved: &SavedTotals) {
        let totals = saved.totals();
        let (id, mode) = (id.0.into(), saved.mode as u64);
        self.words([id, mode, totals.tcprx, totals.tcptx, totals.udprx, totals.udptx]);
    }

    /// An instance: its revision and its figures.
    fn view(&mut self, view: &InstanceView) {
        let Metrics { mode, ping, pool, tcps, udps } = view.metrics;
        let Totals { tcprx, tcptx, udprx, udptx } = view.totals;
        let definition = view.definition.as_ref();
        let status = (view.status as u64) << 1 | u64::from(definition.restarts());
        let [mode, ping, pool, tcps, udps] =
            [mode, ping, pool, tcps, udps].map(|gauge| gauge as u64);
        self.words([
            definition.revision.0,
            status,
            mode,
            ping,
            pool,
            tcps,
            udps,
            tcprx,
            tcptx,
            udprx,
            udptx,
        ]);
    }
}

const fn number_of(refusal: &Refusal) -> u64 {
    match refusal {
        Refusal::NotAdmitted => 1,
        Refusal::NoInstance => 2,
        Refusal::SameUrl => 3,
        Refusal::TooLarge { .. } => 4,
        Refusal::Busy => 5,
        Refusal::Full { .. } => 6,
        Refusal::NotDurable { .. } => 7,
        Refusal::ShuttingDown => 8,
        Refusal::CannotEnd => 9,
        Refusal::Configured => 10,
    }
}
