//! The engine in the program that replaced another one: the same engine, at the same point, with
//! the processes that the keeper still has.
//!
//! Unlike after a crash nothing is started or stopped, and no count, timer or reason changes.

use alloc::vec::Vec;

use rand_chacha::ChaCha8Rng;

use super::Engine;
use super::effect::Effect;
use super::life::Life;
use super::supervisor::Supervisor;
use super::timers::TimerReason;
use crate::formats::FormatError;
use crate::ids::{InstanceId, ProcessRef, RunId, SlotId};
use crate::instance::{Instance, Process, Ready, Run};
use crate::process::Exit;
use crate::time::Now;

impl Engine {
    /// Whether the engine can be handed over: it serves, no record is on its way, and nothing is
    /// dialed.
    pub fn is_settled(&self) -> bool {
        let has_dials = !self.dials.under_way.is_empty() || !self.dials.waiting.is_empty();
        self.life == Life::Serving && self.commits.is_empty() && !has_dials
    }

    /// The run of a process, or of the last process of an instance; `None` of an earlier one.
    pub fn run_of(&self, process: ProcessRef) -> Option<RunId> {
        let instance = self.table.get(process.slot)?;
        let is_newest = instance.lifecycle().generation() == process.generation;
        is_newest.then(|| newest_run(instance, &self.rng))
    }

    /// The engine of [`Engine::hand_over`]. `runs` are the newest runs of instances whose output
    /// and exit status the keeper has; their processes may have ended.
    ///
    /// # Errors
    /// What no engine can have been.
    pub fn resume(
        bytes: &[u8],
        runs: &[(InstanceId, RunId)],
        now: Now,
    ) -> Result<Self, FormatError> {
        let mut engine = Self::taken_over(bytes)?;
        if !engine.is_settled() {
            return Err(FormatError::Contradiction("the engine was not settled"));
        }
        engine.out.show_master(&engine.master, engine.key_epoch);
        let slots: Vec<SlotId> = engine.table.slots().collect();
        for slot in &slots {
            if let Some(row) = engine.table.get(*slot) {
                engine.out.push(Effect::ShowInstance(row.view()));
            }
        }
        for slot in slots {
            engine.go_on(now, slot, runs);
        }
        Ok(engine)
    }

    fn go_on(&mut self, now: Now, slot: SlotId, runs: &[(InstanceId, RunId)]) {
        let Some(mut supervisor) = self.supervise(now, slot) else { return };
        let (process, state) = (supervisor.process(), supervisor.instance.state());
        let has_process = state.has_process() && !supervisor.instance.definition().is_service();
        if has_process || supervisor.instance.lifecycle().group_left() {
            let is_kept = supervisor.take_over(runs);
            if is_kept && state.is_spawning() {
                self.on_started(now, process);
                self.settle(now, slot);
            } else if !is_kept && state.is_spawning() {
                self.on_start_lost(now, process, false);
            } else if !is_kept && has_process {
                self.on_exited(now, process, Exit::Code(-1), false);
            }
        }
        let Some(mut supervisor) = self.supervise(now, slot) else { return };
        supervisor.facts().changed = true;
        supervisor.show_facts();
        supervisor.ask_again();
        supervisor.watch_again();
    }
}

/// The run of the last process of an instance.
fn newest_run(instance: &Instance, rng: &ChaCha8Rng) -> RunId {
    let generation = instance.lifecycle().generation();
    let last = instance.runs().ended().last().map(|record| &record.run);
    let known = instance.runs().current().or(last).filter(|run| run.generation == generation);
    known.map_or_else(|| Run::id_of(rng, generation), |run| run.id)
}

impl Supervisor<'_> {
    /// Has the process watched if the keeper has it.
    fn take_over(&mut self, runs: &[(InstanceId, RunId)]) -> bool {
        let instance = self.instance.definition().id;
        let run = newest_run(self.instance, self.rng);
        let is_kept = runs.contains(&(instance, run));
        if is_kept {
            self.out.push(Effect::Adopt { process: self.process(), instance });
        }
        is_kept
    }

    /// Repeats the checks whose outcome was not reported.
    fn ask_again(&mut self) {
        if self.instance.state().process != Process::Live {
            return;
        }
        let checks = &self.instance.definition().checks;
        let asks_ready = matches!(checks.ready, Some(Ready::Target(_)));
        let (has_live, has_rule) = (checks.live.is_some(), checks.ready.is_some());
        let is_met = self.instance.readiness().met;
        if asks_ready && !is_met && !self.timers.is_armed(TimerReason::Ready(self.slot)) {
            self.ready_due();
        }
        let is_asked = has_live && (is_met || !has_rule);
        if is_asked && !self.timers.is_armed(TimerReason::Live(self.slot)) {
            self.live_due();
        }
    }
}
