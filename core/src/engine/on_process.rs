//! What is told of processes. Whatever an earlier process of a slot says late ends here.

use alloc::format;
use alloc::sync::Arc;

use super::Engine;
use super::supervisor::Supervisor;
use crate::ids::ProcessRef;
use crate::instance::StateEvent;
use crate::output::{OutputBatch, OutputItem};
use crate::process::Exit;
use crate::time::Now;

impl Engine {
    pub(super) fn on_started(&mut self, now: Now, process: ProcessRef) {
        if let Some(slot) = self.table.current(process) {
            self.fire(now, slot, StateEvent::Started);
        }
    }

    pub(super) fn on_start_failed(&mut self, now: Now, process: ProcessRef, reason: &str) {
        let Some(slot) = self.table.current(process) else { return };
        if let Some(mut supervisor) = self.supervise(now, slot) {
            supervisor.note(&format!("cannot start: {reason}"));
            supervisor.instance.facts.not_started(reason, now.wall);
        }
        self.fire(now, slot, StateEvent::StartFailed);
    }

    pub(super) fn on_output(&mut self, now: Now, process: ProcessRef, batch: &Arc<OutputBatch>) {
        let Some(slot) = self.table.current(process) else { return };
        let Some(mut supervisor) = self.supervise(now, slot) else { return };
        let mut run_start = 0;
        for (index, item) in batch.items.iter().enumerate() {
            match item {
                OutputItem::Checkpoint(checkpoint) => {
                    publish_run(&mut supervisor, batch, run_start, index);
                    run_start = index + 1;
                    supervisor.observe(checkpoint);
                }
                OutputItem::Log(line) if line.is_error => {
                    publish_run(&mut supervisor, batch, run_start, index);
                    run_start = index;
                    supervisor.fire(StateEvent::ErrorLogged);
                }
                OutputItem::Log(_) => {}
            }
        }
        publish_run(&mut supervisor, batch, run_start, batch.items.len());
    }

    pub(super) fn on_exited(
        &mut self,
        now: Now,
        process: ProcessRef,
        exit: Exit,
        group_left: bool,
    ) {
        let Some(slot) = self.table.current(process) else { return };
        if let Some(instance) = self.table.get_mut(slot) {
            instance.group_left = group_left;
            let is_requested = instance.state.is_stopping();
            instance.facts.exited(exit, is_requested, now.wall);
        }
        let event =
            if exit.is_clean() { StateEvent::ExitedClean } else { StateEvent::ExitedFailed };
        self.fire(now, slot, event);
    }
}

/// Publishes the log lines `from..to` of a batch, all with the instance as it stands now.
fn publish_run(supervisor: &mut Supervisor<'_>, batch: &Arc<OutputBatch>, from: usize, to: usize) {
    if from < to {
        let view = supervisor.instance.view();
        supervisor.out.publish_logs(supervisor.now.wall, view, batch, from..to);
    }
}
