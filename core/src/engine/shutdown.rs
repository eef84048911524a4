//! The shutdown of the master as a state (Contract §12): streams first, then all processes at once,
//! then the last save.

use alloc::vec::Vec;

use super::dials::{Dialing, Dials};
use super::effect::Effect;
use super::life::Life;
use super::operations::Operations;
use super::timers::TimerReason;
use crate::command::{Outcome, Refusal};
use crate::ids::SlotId;
use crate::limits::SHUTDOWN_LIMIT_MS;

/// The parts of the engine that the shutdown may use.
pub(super) struct Shutdown<'a> {
    pub(super) dials: &'a mut Dials,
    pub(super) operations: Operations<'a>,
}

impl Shutdown<'_> {
    /// The operator stops the master; the second time: at once. Returns the new state.
    pub(super) fn request(mut self) -> Life {
        let slots: Vec<SlotId> = self.operations.table.slots().collect();
        match self.operations.life {
            Life::Finished => {}
            Life::ShuttingDown => {
                let held = self.operations.end_order();
                self.operations.settle_all(held);
                for slot in slots {
                    if let Some(mut supervisor) = self.operations.supervise(slot) {
                        supervisor.kill();
                    }
                }
            }
            Life::Serving => {
                self.operations.life = Life::ShuttingDown;
                self.begin();
                self.operations.begin_order();
                for slot in slots {
                    if let Some(mut supervisor) = self.operations.supervise(slot) {
                        supervisor.show_run();
                    }
                    self.operations.settle(slot);
                }
            }
        }
        self.operations.life
    }

    /// Finishes the shutdown in any case. Returns the new state.
    pub(super) fn abandon(mut self) -> Life {
        let slots: Vec<SlotId> = self.operations.table.slots().collect();
        for slot in slots {
            if let Some(mut supervisor) = self.operations.supervise(slot) {
                supervisor.kill_leftover();
                supervisor.answer_waiting();
            }
            self.operations.timers.disarm_all(slot);
        }
        self.operations.timers.cancel(TimerReason::Tick);
        self.operations.timers.cancel(TimerReason::ShutdownLimit);
        self.operations.timers.cancel(TimerReason::ShutdownOrder);
        self.answer_everybody();
        self.operations.save_totals();
        self.operations.out.push(Effect::Finish);
        Life::Finished
    }

    fn begin(&mut self) {
        let Operations { now, timers, out, .. } = &mut self.operations;
        let time = out.event_time(now.wall);
        out.push(Effect::CloseStreams { keep_from: None, time });
        timers.arm(TimerReason::ShutdownLimit, now.mono.after_ms(SHUTDOWN_LIMIT_MS));
    }

    /// Answers every request whose result will not come any more.
    fn answer_everybody(&mut self) {
        let Operations { table, commits, timers, out, .. } = &mut self.operations;
        let slots: Vec<SlotId> = table.slots().collect();
        for slot in slots {
            let Some(instance) = table.get_mut(slot) else { continue };
            for operation in instance.queue_mut().take_operations() {
                // Requests with a pending record are among the changes.
                if !operation.committing {
                    out.refuse(operation.request, Refusal::ShuttingDown);
                }
            }
            while let Some(request) = instance.queue_mut().pop_awaiting() {
                out.respond(request, Outcome::Replaced(instance.view()));
            }
        }
        for commit in commits.abandon() {
            out.refuse(commit.request, Refusal::ShuttingDown);
        }
        Dialing { dials: self.dials, timers, out }.abandon();
    }
}
