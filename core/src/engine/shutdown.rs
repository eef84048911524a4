//! The end of the master as a state (Contract §12): streams first, then the processes, all at
//! once, then the last save.

use alloc::vec::Vec;

use super::Engine;
use super::effect::Effect;
use super::timers::TimerReason;
use crate::command::{Outcome, Refusal};
use crate::ids::SlotId;
use crate::instance::StateEvent;
use crate::limits::SHUTDOWN_LIMIT_MS;
use crate::time::Now;

/// Whether the master is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// At work.
    Serving,
    /// Waiting for processes to end and records to be durable.
    ShuttingDown,
    /// Nothing is left to do.
    Finished,
}

impl Life {
    pub(super) const fn is_serving(self) -> bool {
        matches!(self, Self::Serving)
    }
}

impl Engine {
    pub(super) fn on_shutdown(&mut self, now: Now) {
        let slots: Vec<SlotId> = self.table.slots().collect();
        match self.life {
            Life::Finished => {}
            Life::ShuttingDown => {
                for slot in slots {
                    self.fire(now, slot, StateEvent::GraceElapsed);
                }
            }
            Life::Serving => {
                self.life = Life::ShuttingDown;
                let time = self.out.event_time(now.wall);
                self.out.push(Effect::CloseStreams { keep_from: None, time });
                let limit = now.mono.after_ms(SHUTDOWN_LIMIT_MS);
                self.timers.arm(TimerReason::ShutdownLimit, limit);
                for slot in slots {
                    if let Some(mut supervisor) = self.supervise(now, slot) {
                        supervisor.stop();
                    }
                    self.settle(now, slot);
                }
            }
        }
    }

    /// Ends the shutdown once no process is left and no change is on its way.
    pub(super) fn finish_if_done(&mut self) {
        let idle = self.processes.alive == 0 && self.commits.is_empty();
        if self.life == Life::ShuttingDown && idle {
            self.abandon();
        }
    }

    /// Ends the shutdown, whatever is left.
    pub(super) fn abandon(&mut self) {
        self.life = Life::Finished;
        let slots: Vec<SlotId> = self.table.slots().collect();
        for slot in slots {
            if let Some(mut supervisor) = self.supervise(Now::default(), slot) {
                supervisor.kill_leftover();
            }
            self.disarm_all(slot);
        }
        self.timers.cancel(TimerReason::Tick);
        self.timers.cancel(TimerReason::ShutdownLimit);
        self.answer_everybody();
        self.save_totals();
        self.out.push(Effect::Finish);
    }

    /// Nobody is left waiting for what will not come any more.
    fn answer_everybody(&mut self) {
        let slots: Vec<SlotId> = self.table.slots().collect();
        for slot in slots {
            let Some(instance) = self.table.get_mut(slot) else { continue };
            for operation in core::mem::take(&mut instance.operations) {
                // One whose record is on its way is among the changes.
                if !operation.committing {
                    self.out.refuse(operation.request, Refusal::ShuttingDown);
                }
            }
            for request in core::mem::take(&mut instance.awaiting_start) {
                self.out.respond(request, Outcome::Replaced(instance.view()));
            }
        }
        for commit in self.commits.abandon() {
            self.out.refuse(commit.request, Refusal::ShuttingDown);
        }
        self.dials.abandon(&mut self.timers, &mut self.out);
    }
}
