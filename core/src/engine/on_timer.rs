//! Deadlines that were reached.

use alloc::vec::Vec;

use super::Engine;
use super::timers::TimerReason;
use crate::ids::SlotId;
use crate::instance::{State, StateEvent};
use crate::limits::{LATE_TICK_MS, SILENCE_MS, TICK_MS};
use crate::time::{Now, Time};

impl Engine {
    pub(super) fn on_time(&mut self, now: Now) {
        while let Some((due, reason)) = self.timers.pop_due(now.mono) {
            match reason {
                TimerReason::Tick => self.tick(now, due),
                TimerReason::Grace(slot) => self.fire(now, slot, StateEvent::GraceElapsed),
                TimerReason::Restart(slot) => self.fire(now, slot, StateEvent::RestartDue),
                TimerReason::Leftover(slot) => {
                    if let Some(mut supervisor) = self.supervise(now, slot) {
                        supervisor.kill_leftover();
                    }
                }
                TimerReason::DialWait(request) => self.dialing().give_up(request),
                TimerReason::ShutdownLimit => self.abandon(),
            }
        }
    }

    /// Looks for instances that fell silent, and saves totals that changed.
    fn tick(&mut self, now: Now, due: Time) {
        self.timers.arm(TimerReason::Tick, now.mono.after_ms(TICK_MS));
        self.operations(now).save_totals();
        // The master itself was stopped: what instances said meanwhile is still to be read.
        if now.mono.ms_since(due) <= LATE_TICK_MS {
            self.look_for_silence(now);
        }
    }

    fn look_for_silence(&mut self, now: Now) {
        let is_silent = |slot: &SlotId| {
            let Some(instance) = self.table.get(*slot) else { return false };
            let last = instance.last_checkpoint.filter(|_| instance.state == State::Running);
            last.is_some_and(|last| now.mono.ms_since(last) > SILENCE_MS)
        };
        let silent: Vec<SlotId> = self.table.slots().filter(is_silent).collect();
        for slot in silent {
            if let Some(mut supervisor) = self.supervise(now, slot) {
                supervisor.note("no checkpoint for more than 15 s");
            }
            self.fire(now, slot, StateEvent::FellSilent);
        }
    }
}
