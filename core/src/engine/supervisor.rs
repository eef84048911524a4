//! Moves one instance through its status machine and carries the actions of each step out.
//!
//! Borrows just the parts of the engine that one instance may touch. What follows once an
//! instance has come to rest (a waiting deletion, a start that was asked for) is `operations`'.

use alloc::boxed::Box;
use alloc::sync::Arc;

use rand_chacha::ChaCha8Rng;

use super::effect::Effect;
use super::outbox::Outbox;
use super::timers::{TimerReason, Timers};
use crate::canary::{self, Canary};
use crate::checkpoint::Checkpoint;
use crate::event::{EventKind, Object};
use crate::ids::{Generation, ProcessRef, SlotId};
use crate::instance::{Action, Instance, State, StateEvent, Status};
use crate::limits::{GRACE_MS, HEALTHY_MS};
use crate::output::OutputBatch;
use crate::process::{Scope, Signal};
use crate::time::{Now, Wall};

/// What the processes of all instances share.
#[derive(Clone, Debug, Default)]
pub(super) struct Processes {
    pub(super) last_generation: Generation,
    /// How many processes are alive or being started.
    pub(super) alive: usize,
}

/// One instance, with the hands to move it.
pub(super) struct Supervisor<'a> {
    pub(super) now: Now,
    pub(super) slot: SlotId,
    pub(super) instance: &'a mut Instance,
    pub(super) processes: &'a mut Processes,
    pub(super) timers: &'a mut Timers,
    pub(super) rng: &'a mut ChaCha8Rng,
    pub(super) out: &'a mut Outbox,
}

impl Supervisor<'_> {
    /// Takes an event through the table.
    pub(super) fn fire(&mut self, event: StateEvent) {
        let step = self.instance.state.on(event);
        let before = core::mem::replace(&mut self.instance.state, step.next);
        if step.next == State::Running && before != State::Running {
            self.instance.healthy_since = Some(self.now.mono);
        }
        self.take_note(event, before);
        let was_spawning = before.is_spawning() && !step.next.is_spawning();
        if was_spawning && !step.next.has_process() {
            self.processes.alive -= 1;
        }
        for action in step.actions {
            self.act(*action, before);
        }
        if step.next != State::Running {
            self.instance.healthy_since = None;
        }
        self.show_facts();
    }

    /// Takes a checkpoint of the current process.
    pub(super) fn observe(&mut self, checkpoint: &Checkpoint) {
        self.instance.observe(checkpoint, self.now.mono);
        // One that is being stopped and shows as `stopped` or `error` counts, but has no gauges.
        if self.instance.state.on(StateEvent::CheckpointSeen).next.status() != Status::Running {
            self.instance.clear_live();
        }
        self.fire(StateEvent::CheckpointSeen);
    }

    /// Wants the process stopped, and started again once it is.
    pub(super) fn restart(&mut self) {
        self.instance.start_after_stop = true;
        self.fire(StateEvent::StopWanted);
        if canary::is(Canary::RestartDuringStop) {
            self.fire(StateEvent::ExitedClean);
        }
    }

    /// Wants the process stopped, for good: also after the operations that wait.
    pub(super) fn stop(&mut self) {
        self.instance.start_after_stop &= canary::is(Canary::StopForgotten);
        for operation in &mut self.instance.operations {
            operation.starts = false;
        }
        self.fire(StateEvent::StopWanted);
    }

    /// The policy may have changed: arms or disarms the restart timer.
    pub(super) fn apply_restart_policy(&mut self) {
        if !self.instance.definition.restarts() {
            self.cancel_restart();
        } else if matches!(self.instance.state, State::Failed | State::Failing) {
            self.schedule_restart();
        }
        self.show_facts();
    }

    /// Tells the subscribers what the instance is now.
    pub(super) fn publish(&mut self) {
        // Who hears of it finds the facts.
        self.show_facts();
        self.out.publish(self.now.wall, EventKind::Update, Object::Instance(self.instance.view()));
    }

    /// Lets those who ask see what became of the processes, if that changed.
    pub(super) fn show_facts(&mut self) {
        if self.instance.facts.take_changed() {
            let (instance, facts) = (self.instance.definition.id, &self.instance.facts);
            self.out.push(Effect::ShowProcess { instance, facts: Box::new(facts.clone()) });
        }
    }

    /// Lets a line of the master's own stand among those of the instance.
    pub(super) fn note(&mut self, text: &str) {
        let batch = Arc::new(OutputBatch::note(text));
        self.out.publish_logs(self.now.wall, self.instance.view(), &batch, 0..1);
    }

    /// Ends what is left of the group of the last process, if anything is.
    pub(super) fn kill_leftover(&mut self) {
        if core::mem::take(&mut self.instance.group_left) {
            if !canary::is(Canary::TimerLeaked) {
                self.timers.cancel(TimerReason::Leftover(self.slot));
            }
            self.signal(Signal::KILL);
        }
    }

    fn act(&mut self, action: Action, before: State) {
        let grace = TimerReason::Grace(self.slot);
        match action {
            Action::Spawn => self.spawn(),
            Action::Adopt => self.adopt(),
            Action::Terminate => {
                self.signal(Signal::TERM);
                self.timers.arm(grace, self.now.mono.after_ms(GRACE_MS));
            }
            Action::Kill if canary::is(Canary::GraceNeverKills) => {}
            Action::Kill => self.signal(Signal::KILL),
            Action::Release => self.release(before),
            Action::ClearLive => self.instance.clear_live(),
            Action::ScheduleRestart => self.schedule_restart(),
            Action::CancelRestart => self.cancel_restart(),
            Action::StartLater => self.instance.start_after_stop = true,
            Action::Publish => self.publish(),
        }
    }

    /// What a step says of the processes. How one ended is noted where it is told.
    fn take_note(&mut self, event: StateEvent, before: State) {
        let state = self.instance.state;
        let process = self.process();
        let facts = &mut self.instance.facts;
        facts.set_status(state.status());
        if event == StateEvent::Started && before != state {
            facts.started(process, self.now);
        }
        if event == StateEvent::RestartDue {
            facts.set_next_restart(None);
            if before != state {
                facts.restarted();
            }
        }
    }

    fn adopt(&mut self) {
        self.begin_generation();
        let instance = self.instance.definition.id;
        self.out.push(Effect::Adopt { process: self.process(), instance });
    }

    fn begin_generation(&mut self) {
        self.processes.alive += 1;
        self.processes.last_generation = Generation(self.processes.last_generation.0 + 1);
        self.instance.generation = self.processes.last_generation;
    }

    fn spawn(&mut self) {
        if !canary::is(Canary::LeftoverSpared) {
            self.kill_leftover();
        }
        self.begin_generation();
        let instance = &mut *self.instance;
        instance.counters.rebase();
        instance.last_checkpoint = None;
        instance.start_after_stop = false;
        let definition = Arc::clone(&instance.definition);
        self.out.push(Effect::Spawn { process: self.process(), definition });
    }

    fn release(&mut self, before: State) {
        self.processes.alive -= 1;
        self.save_totals();
        // The group has had TERM if a stop was under way: it is killed when that is 5 s ago.
        let deadline = self.timers.cancel(TimerReason::Grace(self.slot));
        if self.instance.group_left {
            if !before.is_stopping() {
                self.signal(Signal::TERM);
            }
            let deadline = deadline.unwrap_or(self.now.mono.after_ms(GRACE_MS));
            self.timers.arm(TimerReason::Leftover(self.slot), deadline);
        }
    }

    /// What a process counted is kept at its end, not only at the next tick; after a reset on its
    /// way, which may be refused, it waits as it does there.
    fn save_totals(&mut self) {
        if self.instance.unsaved_resets == 0 && core::mem::take(&mut self.instance.totals_unsaved) {
            let totals = (self.instance.definition.id, self.instance.saved_totals());
            self.out.push(Effect::SaveTotals(alloc::vec![totals]));
        }
    }

    fn schedule_restart(&mut self) {
        let reason = TimerReason::Restart(self.slot);
        if !self.instance.definition.restarts() || self.timers.is_armed(reason) {
            return;
        }
        let healthy_since = self.instance.healthy_since.take();
        if healthy_since.is_some_and(|since| self.now.mono.ms_since(since) >= HEALTHY_MS) {
            self.instance.backoff.reset();
        }
        let delay_ms = self.instance.backoff.next_delay_ms(self.rng);
        self.timers.arm(reason, self.now.mono.after_ms(delay_ms));
        let due = Wall::from_micros(self.now.wall.as_micros().saturating_add(delay_ms * 1_000));
        self.instance.facts.set_next_restart(Some((due, delay_ms)));
    }

    fn cancel_restart(&mut self) {
        self.timers.cancel(TimerReason::Restart(self.slot));
        self.instance.facts.set_next_restart(None);
    }

    fn signal(&mut self, signal: Signal) {
        self.out.push(Effect::Signal { process: self.process(), scope: Scope::Group, signal });
    }

    fn process(&self) -> ProcessRef {
        ProcessRef { slot: self.slot, generation: self.instance.generation }
    }
}
