//! Handles inputs about processes, and drops late input of earlier processes.

use alloc::format;
use alloc::sync::Arc;

use super::Engine;
use super::presence::Sighting;
use super::supervisor::Supervisor;
use super::verbs::VerbResult;
use crate::ids::{InstanceId, ProcessRef};
use crate::instance::{CheckKind, InstanceEvent, Quote, Reason, Restart, State, VerbKind};
use crate::output::{OutputBatch, OutputItem};
use crate::process::{Exit, Identity};
use crate::time::Now;

/// Why an instance without restarts whose start was lost is not started again.
const MAY_HAVE_RUN: &str = "the keeper was lost during the start, so the process may have run and \
                            ended; start it again if it has to run";

impl Engine {
    pub(super) fn on_started(&mut self, now: Now, process: ProcessRef) {
        if let Some(slot) = self.table.current(process) {
            self.fire(now, slot, InstanceEvent::Spawned);
        }
    }

    pub(super) fn on_start_failed(&mut self, now: Now, process: ProcessRef, reason: &str) {
        let Some(slot) = self.table.current(process) else { return };
        if let Some(mut supervisor) = self.supervise(now, slot) {
            supervisor.note(&format!("cannot start: {reason}"));
            supervisor.facts().not_started(reason, now.wall);
            let reason = Reason::NotStarted(reason.into());
            supervisor.fire_because(InstanceEvent::SpawnFailed, Some(reason));
        }
        self.settle(now, slot);
    }

    pub(super) fn on_start_lost(&mut self, now: Now, process: ProcessRef, may_have_run: bool) {
        let Some(slot) = self.table.current(process) else { return };
        let policy = self.table.get(slot).map(|instance| instance.definition().policy.restart);
        // What runs once must not run twice.
        if may_have_run && policy == Some(Restart::Never) {
            return self.on_start_failed(now, process, MAY_HAVE_RUN);
        }
        if let Some(mut supervisor) = self.supervise(now, slot) {
            supervisor.start_lost();
        }
        self.settle(now, slot);
    }

    pub(super) fn on_kill_failed(&mut self, now: Now, process: ProcessRef, reason: &str) {
        let Some(slot) = self.table.current(process) else { return };
        if let Some(mut supervisor) = self.supervise(now, slot) {
            supervisor.explain_why_it_lives(reason);
        }
    }

    pub(super) fn on_output(&mut self, now: Now, process: ProcessRef, batch: &Arc<OutputBatch>) {
        let Some(slot) = self.table.current(process) else { return };
        let Some(mut supervisor) = self.supervise(now, slot) else { return };
        let heeds_errors = supervisor.instance.definition().liveness.heeds_errors();
        let mut run_start = 0;
        for (index, item) in batch.items.iter().enumerate() {
            match item {
                OutputItem::Checkpoint(checkpoint) => {
                    publish_run(&mut supervisor, batch, run_start, index);
                    run_start = index + 1;
                    supervisor.observe(checkpoint);
                }
                OutputItem::Log(line) => {
                    if line.is_error && heeds_errors {
                        publish_run(&mut supervisor, batch, run_start, index);
                        run_start = index;
                        let is_news = supervisor.instance.state() == State::RUNNING;
                        let quote =
                            is_news.then(|| Reason::Complained(Quote::new(batch.text_of(line))));
                        supervisor.fire_because(InstanceEvent::Complaint, quote);
                    }
                    if line.is_ready {
                        publish_run(&mut supervisor, batch, run_start, index + 1);
                        run_start = index + 1;
                        supervisor.become_ready();
                    }
                }
            }
        }
        publish_run(&mut supervisor, batch, run_start, batch.items.len());
        let instance = &supervisor.instance;
        if instance.is_ready() != instance.readiness().announced {
            self.settle(now, slot);
        }
    }

    pub(super) fn on_check_ended(
        &mut self,
        now: Now,
        process: ProcessRef,
        check: CheckKind,
        failure: Option<&str>,
    ) {
        let Some(slot) = self.table.current(process) else { return };
        if let Some(mut supervisor) = self.supervise(now, slot) {
            supervisor.check_ended(check, failure);
        }
        self.settle(now, slot);
    }

    pub(super) fn on_lease_expired(&mut self, now: Now, process: ProcessRef) {
        let Some(slot) = self.table.current(process) else { return };
        if let Some(mut supervisor) = self.supervise(now, slot) {
            supervisor.lease_expired();
        }
        self.settle(now, slot);
    }

    pub(super) fn on_exited(
        &mut self,
        now: Now,
        process: ProcessRef,
        exit: Exit,
        group_left: bool,
    ) {
        let Some(slot) = self.table.current(process) else { return };
        if let Some(mut supervisor) = self.supervise(now, slot)
            && !supervisor.leader_exited(group_left)
        {
            supervisor.ended(exit, group_left);
        }
        self.settle(now, slot);
    }

    pub(super) fn on_pid_told(&mut self, now: Now, process: ProcessRef, identity: Identity) {
        let Some(slot) = self.table.current(process) else { return };
        if let Some(mut supervisor) = self.supervise(now, slot) {
            supervisor.told_pid(identity);
        }
    }

    pub(super) fn on_pid_file_read(&mut self, now: Now, id: InstanceId, sighting: Sighting) {
        let Some(slot) = self.find(id) else { return };
        if let Some(mut supervisor) = self.supervise(now, slot) {
            supervisor.sighted(sighting);
        }
        self.settle(now, slot);
    }

    pub(super) fn on_tracked_gone(&mut self, now: Now, process: ProcessRef, identity: Identity) {
        let Some(slot) = self.table.current(process) else { return };
        if let Some(mut supervisor) = self.supervise(now, slot) {
            supervisor.tracked_gone(identity);
        }
        self.settle(now, slot);
    }

    pub(super) fn on_verb_ended(
        &mut self,
        now: Now,
        id: InstanceId,
        verb: VerbKind,
        result: &VerbResult,
    ) {
        let Some(slot) = self.find(id) else { return };
        if let Some(mut supervisor) = self.supervise(now, slot) {
            supervisor.verb_ended(verb, result);
        }
        self.settle(now, slot);
    }
}

/// Publishes the log lines `from..to` of a batch, all with the current instance.
fn publish_run(supervisor: &mut Supervisor<'_>, batch: &Arc<OutputBatch>, from: usize, to: usize) {
    if from < to {
        let view = supervisor.instance.view();
        supervisor.out.publish_logs(supervisor.now.wall, view, batch, from..to);
    }
}
