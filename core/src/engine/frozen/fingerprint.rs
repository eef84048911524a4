//! The state of the whole engine as one number, by which a replay is compared with what it replays.

use super::engine::gauges;
use crate::engine::Engine;
use crate::engine::timers::TimerReason;
use crate::formats::counter_words;
use crate::instance::{
    Definition, Goal, Health, Instance, Operation, OperationKind, ProcessFacts, State,
};
use crate::mixer::Digest;
use crate::time::Time;

impl Engine {
    /// A number that two engines share when they are in the same state, texts aside.
    pub fn fingerprint(&self) -> u64 {
        let mut print = Digest::default();
        print.words([self.key_epoch.0.into(), self.processes.last_generation.0]);
        print.words([self.processes.alive as u64, self.life as u64]);
        print.words([self.out.next_event.0, self.out.last_event_time.as_micros()]);
        let position = self.rng.get_word_pos();
        print.words([self.rng.get_stream(), position as u64, (position >> 64) as u64]);
        print.words([self.commits.epoch.0.into(), self.commits.last_seq.0]);
        for commit in &self.commits.queue {
            print.words([commit.seq.0, commit.request.0]);
        }
        print.word(self.dials.under_way.len() as u64);
        let waiting = self.dials.waiting.iter().map(|(request, _)| request);
        for request in self.dials.under_way.keys().chain(waiting) {
            print.word(request.0);
        }
        for (at, reason) in self.timers.armed() {
            let (kind, of) = match reason {
                TimerReason::Tick => (0, 0),
                TimerReason::StopStep(slot) => (1, slot.0.into()),
                TimerReason::Leftover(slot) => (2, slot.0.into()),
                TimerReason::Restart(slot) => (3, slot.0.into()),
                TimerReason::DialWait(request) => (4, request.0),
                TimerReason::ShutdownLimit => (5, 0),
            };
            print.words([at.as_micros(), kind, of]);
        }
        let (rows, free) = self.table.parts();
        free.iter().for_each(|slot| print.word(slot.0.into()));
        for row in rows {
            match row {
                None => print.word(u64::MAX),
                Some(instance) => fingerprint_of(instance, &mut print),
            }
        }
        print.0
    }
}

fn fingerprint_of(instance: &Instance, print: &mut Digest) {
    let flags = [
        instance.definition.restarts(),
        instance.staged.is_some(),
        instance.totals_unsaved,
        instance.desired.restart,
        instance.desired.goal == Goal::Down,
        instance.newest_goal() == Goal::Down,
        instance.gave_up,
        instance.group_left,
    ];
    let flags = flags.into_iter().fold(0, |bits, flag| bits << 1 | u64::from(flag));
    let Definition { id, revision, .. } = instance.definition.as_ref();
    print.words([id.0.into(), revision.0, state_number(instance.state), flags]);
    print.words([instance.steps_done.into(), instance.restarts.len() as u64]);
    print.words([instance.unsaved_records.into(), instance.unsaved_resets.into()]);
    print.words([instance.generation.0, instance.backoff.attempts.into()]);
    print.words(gauges(instance).map(|gauge| gauge as u64));
    counter_words(&instance.counters).into_iter().for_each(|counter| print.words(counter));
    for time in [instance.last_checkpoint, instance.healthy_since] {
        print.word(time.map_or(u64::MAX, Time::as_micros));
    }
    print.word(instance.operations.len() as u64);
    for operation in &instance.operations {
        let Operation { request, expect: _, kind, committing, starts } = operation;
        let is_delete = matches!(kind, OperationKind::Delete);
        print.words([request.0, is_delete.into(), (*committing).into(), (*starts).into()]);
    }
    print.facts(&instance.facts);
    print.word(instance.awaiting_start.len() as u64);
    instance.awaiting_start.iter().for_each(|request| print.word(request.0));
}

fn state_number(state: State) -> u64 {
    state.process as u64 * Health::ALL.len() as u64 + state.health as u64
}

impl Digest {
    /// Takes in what became of processes, but for its words.
    pub(crate) fn facts(&mut self, facts: &ProcessFacts) {
        let ProcessFacts { status, alive, starts, failures, restarts, exits, .. } = facts;
        let alive = alive.map_or(0, |(process, _)| process.generation.0);
        let (due, delay_ms) = facts.next_restart.unwrap_or_default();
        self.words([*status as u64, alive, *starts, *failures, *restarts, *exits]);
        self.words([due.as_micros(), delay_ms]);
    }
}
