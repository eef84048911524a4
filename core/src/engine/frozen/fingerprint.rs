//! A hash of the whole engine, to compare a replay with its recording.

use crate::engine::Engine;
use crate::engine::timers::TimerReason;
use crate::mixer::Digest;
use crate::webhook::Hook;

impl Engine {
    /// A number that two engines share when they are in the same state, texts aside.
    pub fn fingerprint(&self) -> u64 {
        let mut print = Digest::default();
        print.words([self.key_epoch.0.into(), self.processes.last_generation.0]);
        print.words([self.processes.alive as u64, self.life as u64]);
        print.words([self.processes.has_leases.into()]);
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
                TimerReason::Look(slot) => (6, slot.0.into()),
                TimerReason::BeatDue(slot) => (7, slot.0.into()),
                TimerReason::Hold(slot) => (8, slot.0.into()),
                TimerReason::RunLimit(slot) => (9, slot.0.into()),
                TimerReason::Ready(slot) => (10, slot.0.into()),
                TimerReason::Live(slot) => (11, slot.0.into()),
                TimerReason::ShutdownOrder => (12, 0),
                TimerReason::ReadyLimit(slot) => (14, slot.0.into()),
                TimerReason::Schedule(slot) => (13, slot.0.into()),
                TimerReason::Recovered(slot) => (15, slot.0.into()),
                TimerReason::FilesChanged(slot) => (17, slot.0.into()),
                TimerReason::Redeliver(hook) => (16, hook.0.into()),
            };
            print.words([at.as_micros(), kind, of]);
        }
        if let Some(reload) = &self.reload {
            print.words([reload.set.len() as u64, reload.is_due.into()]);
        }
        for (name, zone) in &self.zones.0 {
            print.words([name.len() as u64, zone.is_some().into()]);
        }
        for hook in &self.webhooks.hooks {
            let Hook { wants, waiting, tries, is_under_way, shown } = hook;
            print.words([wants.bits().into(), (*tries).into(), (*is_under_way).into()]);
            waiting.iter().for_each(|delivery| print.word(delivery.id.0));
            print.numbers(shown);
        }
        for (request, batch) in &self.out.batches.open {
            print.words([request.0, batch.items.len() as u64, batch.missing as u64]);
        }
        for (slot, ahead) in &self.links.ahead {
            print.words([slot.0.into(), ahead.len() as u64]);
        }
        let (rows, free) = self.table.parts();
        free.iter().for_each(|slot| print.word(slot.0.into()));
        for row in rows {
            match row {
                None => print.word(u64::MAX),
                Some(instance) => instance.fingerprint(&mut print),
            }
        }
        print.0
    }
}
