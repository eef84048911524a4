//! Deadlines that were reached.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::supervisor::Supervisor;
use super::timers::TimerReason;
use super::{Effect, Engine, Life};
use crate::canary::{self, Canary};
use crate::ids::SlotId;
use crate::instance::{InstanceEvent, Reason, State};
use crate::limits::{LATE_TICK_MS, TICK_MS};
use crate::time::{Now, Time};

impl Engine {
    pub(super) fn on_time(&mut self, now: Now) {
        // What is due at the moment of the end is not done any more.
        while self.life != Life::Finished
            && let Some((due, reason)) = self.timers.pop_due(now.mono)
        {
            match reason {
                TimerReason::Tick => self.tick(now, due),
                TimerReason::StopStep(slot) => self.fire(now, slot, InstanceEvent::StepElapsed),
                TimerReason::Restart(slot) => {
                    if let Some(mut supervisor) = self.supervise(now, slot) {
                        supervisor.restart_due();
                    }
                    self.settle(now, slot);
                }
                TimerReason::Leftover(slot) => {
                    if let Some(mut supervisor) = self.supervise(now, slot) {
                        supervisor.kill_leftover();
                    }
                }
                TimerReason::Look(slot) => self.supervised(now, slot, |one| one.look()),
                TimerReason::BeatDue(slot) => self.supervised(now, slot, |one| one.beat_due()),
                TimerReason::Hold(slot) => self.supervised(now, slot, |one| one.hold_over()),
                TimerReason::RunLimit(slot) => {
                    self.supervised(now, slot, |one| one.run_limit_over());
                }
                TimerReason::DialWait(request) => self.dialing().give_up(request),
                TimerReason::ShutdownLimit => self.abandon(),
                TimerReason::Ready(slot) => self.supervised(now, slot, |one| one.ready_due()),
                TimerReason::ReadyLimit(slot) => {
                    self.supervised(now, slot, |one| one.ready_over());
                }
                TimerReason::Live(slot) => self.supervised(now, slot, |one| one.live_due()),
                TimerReason::Schedule(slot) => {
                    self.operations(now).schedule_due(slot);
                    self.settle(now, slot);
                }
                TimerReason::Recovered(slot) => {
                    if let Some(mut supervisor) = self.supervise(now, slot) {
                        supervisor.recovered();
                    }
                }
                TimerReason::FilesChanged(slot) => {
                    self.supervised(now, slot, |one| one.files_settled());
                }
                TimerReason::Redeliver(hook) => self.redeliver(now, hook),
                TimerReason::ShutdownOrder => {
                    let mut operations = self.operations(now);
                    let held = operations.end_order();
                    operations.settle_all(held);
                }
            }
        }
    }

    /// Sends off what could not be made durable before.
    fn save_again(&mut self, now: Now) {
        for slot in self.table.slots().collect::<Vec<SlotId>>() {
            if let Some(mut supervisor) = self.supervise(now, slot) {
                supervisor.save_again();
            }
        }
    }

    /// Does something with an instance, and what follows from it.
    fn supervised(&mut self, now: Now, slot: SlotId, act: impl FnOnce(&mut Supervisor<'_>)) {
        if let Some(mut supervisor) = self.supervise(now, slot) {
            act(&mut supervisor);
        }
        self.settle(now, slot);
    }

    /// Renews leases, looks for instances that fell silent, and saves totals that changed.
    fn tick(&mut self, now: Now, due: Time) {
        self.timers.arm(TimerReason::Tick, now.mono.after_ms(TICK_MS));
        self.renew_leases();
        self.operations(now).save_totals();
        self.operations(now).correct_schedules();
        self.save_again(now);
        // The master itself was stopped: output of that time is still unread.
        if now.mono.ms_since(due) <= LATE_TICK_MS {
            self.look_for_silence(now);
        }
    }

    /// One order for all of them, whatever their number.
    fn renew_leases(&mut self) {
        self.processes.has_leases &= self.processes.alive > 0;
        if self.processes.has_leases && !canary::is(Canary::LeaseNotRenewed) {
            self.out.push(Effect::RenewLeases);
        }
    }

    fn look_for_silence(&mut self, now: Now) {
        let silence_ms = |slot: &SlotId| {
            let instance = self.table.get(*slot)?;
            let last = instance.meters().last_checkpoint();
            let last = last.filter(|_| instance.state() == State::RUNNING)?;
            let allowed_ms = instance.definition().liveness.silence_ms()?;
            (now.mono.ms_since(last) > allowed_ms).then_some((*slot, allowed_ms))
        };
        let silent: Vec<(SlotId, u64)> =
            self.table.slots().filter_map(|slot| silence_ms(&slot)).collect();
        for (slot, ms) in silent {
            if let Some(mut supervisor) = self.supervise(now, slot) {
                let reason = Reason::Silent { ms };
                supervisor.note(&reason.to_string());
                supervisor.fire_because(InstanceEvent::Missed, Some(reason));
            }
            self.settle(now, slot);
        }
    }
}
