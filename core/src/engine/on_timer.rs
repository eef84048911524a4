//! Deadlines that were reached.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::Engine;
use super::effect::Effect;
use super::timers::TimerReason;
use crate::ids::SlotId;
use crate::instance::{InstanceEvent, Reason, State};
use crate::limits::{LATE_TICK_MS, TICK_MS};
use crate::time::{Now, Time};

impl Engine {
    pub(super) fn on_time(&mut self, now: Now) {
        while let Some((due, reason)) = self.timers.pop_due(now.mono) {
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
                TimerReason::DialWait(request) => self.dials.give_up(request, &mut self.out),
                TimerReason::ShutdownLimit => self.abandon(),
            }
        }
    }

    /// Looks for instances that fell silent, and saves totals that changed.
    fn tick(&mut self, now: Now, due: Time) {
        self.timers.arm(TimerReason::Tick, now.mono.after_ms(TICK_MS));
        self.save_totals();
        // The master itself was stopped: what instances said meanwhile is still to be read.
        if now.mono.ms_since(due) <= LATE_TICK_MS {
            self.look_for_silence(now);
        }
    }

    fn look_for_silence(&mut self, now: Now) {
        let silence_ms = |slot: &SlotId| {
            let instance = self.table.get(*slot)?;
            let last = instance.last_checkpoint.filter(|_| instance.state == State::RUNNING)?;
            let allowed_ms = instance.definition.liveness.silence_ms()?;
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

    /// Hands totals that changed since the last time to the store. Those with a reset on its way
    /// wait: it may be refused, and what it set to zero would be lost.
    pub(super) fn save_totals(&mut self) {
        let slots: Vec<SlotId> = self.table.slots().collect();
        let unsaved: Vec<_> = slots
            .into_iter()
            .filter_map(|slot| {
                let instance = self.table.get_mut(slot)?;
                if instance.unsaved_resets > 0 {
                    return None;
                }
                core::mem::take(&mut instance.totals_unsaved)
                    .then(|| (instance.definition.id, instance.saved_totals()))
            })
            .collect();
        if !unsaved.is_empty() {
            self.out.push(Effect::SaveTotals(unsaved));
        }
    }

    /// Disarms every timer of a slot.
    pub(super) fn disarm_all(&mut self, slot: SlotId) {
        for reason in
            [TimerReason::StopStep(slot), TimerReason::Leftover(slot), TimerReason::Restart(slot)]
        {
            self.timers.cancel(reason);
        }
    }
}
