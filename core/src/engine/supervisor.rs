//! Moves one instance through its status machine and carries the actions of each step out.
//!
//! Borrows just the parts of the engine that one instance may touch. What follows once an
//! instance has come to rest (a waiting deletion, a start that was asked for) is `operations`'.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::effect::Effect;
use super::outbox::Outbox;
use super::timers::{TimerReason, Timers};
use crate::canary::{self, Canary};
use crate::checkpoint::Checkpoint;
use crate::command::Refusal;
use crate::event::{EventKind, Object};
use crate::ids::{Generation, ProcessRef, RunId, SlotId};
use crate::instance::{
    Action, BackoffPolicy, Decision, Instance, InstanceEvent, Process, RESTARTS_MAX, Reason, Run,
    RunOrigin, Situation, State, Status, Why, decide, step, why_to_end,
};
use crate::limits::{CANNOT_END_MS, END_AGAIN_MS};
use crate::output::OutputBatch;
use crate::process::{Exit, Scope, Signal};
use crate::time::{Now, Wall};

/// What the processes of all instances share.
#[derive(Clone, Debug, Default)]
pub(super) struct Processes {
    pub(super) last_generation: Generation,
    /// How many processes are alive or being started.
    pub(super) alive: usize,
}

/// One instance, with the parts of the engine that it may use.
pub(super) struct Supervisor<'a> {
    pub(super) now: Now,
    pub(super) slot: SlotId,
    /// Whether the master is shutting down.
    pub(super) draining: bool,
    pub(super) instance: &'a mut Instance,
    pub(super) processes: &'a mut Processes,
    pub(super) timers: &'a mut Timers,
    pub(super) rng: &'a mut ChaCha8Rng,
    pub(super) out: &'a mut Outbox,
}

impl Supervisor<'_> {
    /// What to do with the instance as things stand.
    pub(super) fn decision(&self) -> Decision {
        decide(&self.instance.definition.policy, &self.instance.desired, self.situation())
    }

    /// Takes an event through the tables.
    pub(super) fn fire(&mut self, event: InstanceEvent) {
        self.fire_because(event, None);
    }

    /// The same, with the reason that it gives for the state that comes next.
    pub(super) fn fire_because(&mut self, event: InstanceEvent, reason: Option<Reason>) {
        let before = self.instance.state;
        let mut step = before.on(event);
        if step.next != before {
            let Instance { definition, desired, .. } = &*self.instance;
            step = self::step(&definition.policy, desired, self.situation(), event);
        }
        self.instance.state = step.next;
        if step.next == State::RUNNING && before != State::RUNNING {
            self.instance.healthy_since = Some(self.now.mono);
        }
        if before.is_spawning() && !step.next.has_process() {
            self.processes.alive -= 1;
        }
        if step.next != before {
            self.take_note(event, before, reason);
        }
        for action in step.actions.iter() {
            self.act(action, before);
        }
        if step.next != State::RUNNING {
            self.instance.healthy_since = None;
        }
        self.show_facts();
    }

    /// The process exited.
    pub(super) fn ended(&mut self, exit: Exit, group_left: bool) {
        let is_requested = self.instance.state.is_stopping();
        let why = if is_requested { Some(self.why_it_ends()) } else { None };
        // What only the leader was to be asked for may outlive it.
        let is_supervised = self.instance.definition.policy.stop.scope == Scope::Group;
        self.instance.group_left = group_left && is_supervised;
        let history = self.instance.definition.policy.history;
        self.instance.runs.end(exit, why, self.now, history);
        let is_told = self.instance.facts.exited(exit, is_requested, self.now.wall);
        let reason = why.map_or(Reason::Exited(exit), Reason::Stopped);
        let event =
            if exit.is_clean() { InstanceEvent::EndedWell } else { InstanceEvent::EndedBadly };
        self.fire_because(event, is_told.then_some(reason));
    }

    /// Takes a checkpoint of the current process.
    pub(super) fn observe(&mut self, checkpoint: &Checkpoint) {
        self.instance.observe(checkpoint, self.now);
        // One that is being stopped and shows as `stopped` or `error` counts, but has no gauges.
        if self.instance.state.on(InstanceEvent::Beat).next.status() != Status::Running {
            self.instance.clear_live();
        }
        self.fire(InstanceEvent::Beat);
    }

    /// Wants the instance to run: a start that was asked for begins anew after failures.
    pub(super) fn start(&mut self) {
        let is_accepted = self.instance.accepts_start();
        self.instance.backoff.reset();
        self.instance.forgive_restarts();
        if is_accepted {
            self.instance.desired.start();
        }
    }

    /// Wants the process stopped, and started again once it is.
    pub(super) fn restart(&mut self) {
        self.instance.backoff.reset();
        self.instance.forgive_restarts();
        self.instance.desired.start();
        if canary::is(Canary::RestartDuringStop) {
            if let Decision::End(_) = self.decision() {
                self.fire(InstanceEvent::EndOrdered);
            }
            self.fire(InstanceEvent::EndedWell);
        }
    }

    /// Wants the process stopped, and to stay so: also after the operations that wait.
    pub(super) fn stop(&mut self) {
        if !(self.instance.desired.restart && canary::is(Canary::StopForgotten)) {
            self.instance.desired.stop();
        }
        for operation in &mut self.instance.operations {
            operation.starts = false;
        }
    }

    /// The back-off is over: starts the process, or ends the one that is there first.
    pub(super) fn restart_due(&mut self) {
        self.instance.facts.set_next_restart(None);
        let Decision::SpawnAt(_) = self.decision() else { return self.show_facts() };
        self.instance.facts.restarted();
        if self.instance.definition.policy.limit.is_some() {
            self.instance.restarts.push_back(self.now.mono);
        }
        if self.instance.state.has_process() {
            self.instance.desired.restart = true;
        } else {
            self.fire(InstanceEvent::SpawnOrdered);
        }
    }

    /// Ends a process that is being stopped, without waiting on.
    pub(super) fn kill(&mut self) {
        if self.instance.state.process == Process::Ending {
            self.send(Signal::KILL);
        }
    }

    /// Arms or disarms the restart timer, as the decision has it.
    pub(super) fn apply_policy(&mut self) {
        match self.decision() {
            Decision::SpawnAt(_) => self.schedule_restart(),
            Decision::Keep | Decision::Spawn | Decision::End(_) => self.cancel_restart(),
        }
        self.show_facts();
    }

    /// Publishes the instance as it is now.
    pub(super) fn publish(&mut self) {
        // A client that receives the event can read the facts.
        self.show_facts();
        self.out.publish(self.now.wall, EventKind::Update, Object::Instance(self.instance.view()));
    }

    /// Shows the facts about its processes to readers, if they changed.
    pub(super) fn show_facts(&mut self) {
        if self.instance.facts.take_changed() {
            let (instance, facts) = (self.instance.definition.id, &self.instance.facts);
            self.out.push(Effect::ShowProcess { instance, facts: Box::new(facts.clone()) });
        }
    }

    /// Puts a line of the master's own among those of the instance.
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
            self.signal(Scope::Group, Signal::KILL);
        }
    }

    fn situation(&self) -> Situation {
        let is_armed = self.timers.is_armed(TimerReason::Restart(self.slot));
        self.instance.situation(self.draining, is_armed)
    }

    fn act(&mut self, action: Action, before: State) {
        match action {
            Action::Spawn => self.spawn(),
            Action::Adopt => self.adopt(),
            Action::FirstStep => self.do_stop_step(0),
            Action::NextStep => self.do_stop_step(self.instance.steps_done.into()),
            Action::Release => self.release(before),
            Action::ClearLive => self.instance.clear_live(),
            Action::ScheduleRestart => self.schedule_restart(),
            Action::CancelRestart => self.cancel_restart(),
            Action::Publish => self.publish(),
        }
    }

    /// What a step says of the processes. How one ended is noted where it is known.
    fn take_note(&mut self, event: InstanceEvent, before: State, reason: Option<Reason>) {
        let (state, process) = (self.instance.state, self.process());
        if event == InstanceEvent::Beat {
            // It recovered by itself.
            self.instance.gave_up = false;
            self.instance.facts.set_limit_reached(None);
        }
        let why = self.why_it_ends();
        let facts = &mut self.instance.facts;
        facts.set_status(state.status());
        if event == InstanceEvent::Spawned {
            facts.started(process, self.now);
        }
        let reason = match (event, state.process) {
            (InstanceEvent::Spawned | InstanceEvent::Beat, Process::Live) => Some(Reason::None),
            // What failed says why it is restarted.
            (InstanceEvent::EndOrdered, Process::Ending) if why == Why::Restart => {
                (before != State::FAILING).then_some(Reason::Stopping(why))
            }
            (InstanceEvent::EndOrdered, Process::Absent) => Some(Reason::Stopped(why)),
            (InstanceEvent::EndOrdered, _) => Some(Reason::Stopping(why)),
            (InstanceEvent::SpawnFailed, _) if before.is_stopping() => Some(Reason::Stopped(why)),
            _ => reason,
        };
        if let Some(reason) = reason {
            facts.set_reason(reason);
        }
        if event == InstanceEvent::Spawned {
            self.begin_run(RunOrigin::Spawned);
        }
    }

    /// What the process is ended for, now or by the last decision.
    fn why_it_ends(&self) -> Why {
        let now = why_to_end(&self.instance.desired, self.situation());
        let last = self.instance.facts.reason.why();
        now.or(last).unwrap_or(Why::Restart)
    }

    fn begin_run(&mut self, origin: RunOrigin) {
        let generation = self.instance.generation;
        let id = run_id(self.rng, generation);
        let (started, last_seen) = (self.now, self.now);
        self.instance.runs.begin(Run { id, generation, origin, started, last_seen });
    }

    fn adopt(&mut self) {
        self.begin_generation();
        if self.instance.state.process == Process::Live {
            self.instance.facts.started(self.process(), self.now);
            self.begin_run(RunOrigin::Survivor);
        } else {
            self.begin_run(RunOrigin::Found);
        }
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
        instance.desired.restart = false;
        let definition = Arc::clone(&instance.definition);
        self.out.push(Effect::Spawn { process: self.process(), definition });
    }

    /// Sends the signal of a step of the stop policy and gives it its time.
    fn do_stop_step(&mut self, index: usize) {
        let stop = &self.instance.definition.policy.stop;
        let Some(step) = stop.steps().get(index).copied() else { return self.try_again_to_end() };
        let is_last = index + 1 == stop.steps().len();
        let is_for_restart = index == 0 && self.why_it_ends() == Why::Restart;
        let signal = stop.restart_signal.filter(|_| is_for_restart).unwrap_or(step.signal);
        self.instance.steps_done = u8::try_from(index + 1).expect("a stop has four steps at most");
        self.send(signal);
        let wait_ms = if is_last { step.wait_ms.max(CANNOT_END_MS) } else { step.wait_ms };
        self.timers.arm(TimerReason::StopStep(self.slot), self.now.mono.after_ms(wait_ms));
    }

    /// The process has had every signal of its stop and still runs: says so once, turns down what
    /// waits for its exit, and sends the last signal again from time to time.
    fn try_again_to_end(&mut self) {
        let steps = self.instance.definition.policy.stop.steps();
        let (count, last) = (steps.len(), steps.last().map(|step| step.signal));
        if !self.instance.cannot_be_ended() {
            self.instance.steps_done = u8::try_from(count + 1).expect("four steps at most");
            let reason = Reason::CannotEnd(self.why_it_ends());
            self.note(&format!("{reason}; the log of the master says what holds the process"));
            self.instance.facts.set_reason(reason);
            self.publish();
        }
        for operation in core::mem::take(&mut self.instance.operations) {
            self.out.refuse(operation.request, Refusal::CannotEnd);
        }
        let deadline = self.now.mono.after_ms(END_AGAIN_MS);
        self.timers.arm(TimerReason::StopStep(self.slot), deadline);
        if let Some(last) = last {
            self.send(last);
        }
    }

    fn release(&mut self, before: State) {
        self.processes.alive -= 1;
        self.instance.fold_counters();
        self.save_totals();
        // What is left of the group has had the signals of the stop under way, if there was one:
        // it is killed when the whole stop would be over.
        let stop = &self.instance.definition.policy.stop;
        let has_steps_left = usize::from(self.instance.steps_done) < stop.steps().len();
        let deadline = self.timers.cancel(TimerReason::StopStep(self.slot));
        let deadline = deadline.filter(|_| has_steps_left);
        let after_ms = stop.ms_after(usize::from(self.instance.steps_done).saturating_sub(1));
        let (total_ms, first) = (stop.total_ms(), stop.steps().first().map(|step| step.signal));
        if self.instance.group_left {
            match first.filter(|_| !before.is_stopping()) {
                Some(Signal::KILL) => return self.kill_leftover(),
                Some(first) => self.signal(Scope::Group, first),
                None => {}
            }
            let deadline = match deadline {
                Some(deadline) => deadline.after_ms(after_ms),
                None => self.now.mono.after_ms(total_ms),
            };
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
        if self.timers.is_armed(reason) {
            return;
        }
        if self.limit_is_reached() {
            self.instance.gave_up = true;
            self.instance.facts.set_limit_reached(self.instance.definition.policy.limit);
            return;
        }
        let BackoffPolicy { first_ms, longest_ms, healthy_ms } =
            self.instance.definition.policy.backoff;
        let healthy_since = self.instance.healthy_since.take();
        if healthy_since.is_some_and(|since| self.now.mono.ms_since(since) >= healthy_ms) {
            self.instance.backoff.reset();
        }
        let delay_ms = self.instance.backoff.next_delay_ms(first_ms, longest_ms, self.rng);
        self.timers.arm(reason, self.now.mono.after_ms(delay_ms));
        let delay_micros = delay_ms.saturating_mul(1_000);
        let due = Wall::from_micros(self.now.wall.as_micros().saturating_add(delay_micros));
        self.instance.facts.set_next_restart(Some((due, delay_ms)));
    }

    /// Whether another restart would be one too many.
    fn limit_is_reached(&mut self) -> bool {
        let Some(limit) = self.instance.definition.policy.limit else { return false };
        let now = self.now.mono;
        let is_counted = |at: &crate::time::Time| now.ms_since(*at) < limit.window_ms;
        self.instance.restarts.retain(is_counted);
        self.instance.restarts.len() >= limit.max.min(RESTARTS_MAX) as usize
    }

    fn cancel_restart(&mut self) {
        self.timers.cancel(TimerReason::Restart(self.slot));
        self.instance.facts.set_next_restart(None);
    }

    /// Sends a signal of a stop.
    fn send(&mut self, signal: Signal) {
        if signal != Signal::KILL || !canary::is(Canary::GraceNeverKills) {
            self.signal(self.instance.definition.policy.stop.scope, signal);
        }
    }

    fn signal(&mut self, scope: Scope, signal: Signal) {
        self.out.push(Effect::Signal { process: self.process(), scope, signal });
    }

    fn process(&self) -> ProcessRef {
        ProcessRef { slot: self.slot, generation: self.instance.generation }
    }
}

/// The id of a run: drawn from the seed of the engine beside its other draws, so that it is the
/// same in a replay and changes none of them.
fn run_id(rng: &ChaCha8Rng, generation: Generation) -> RunId {
    let mut ids = rng.clone();
    ids.set_stream(RUN_ID_STREAM);
    ids.set_word_pos(u128::from(generation.0) * WORDS_PER_ID);
    let (high, low) = (ids.next_u64(), ids.next_u64());
    RunId(u128::from(high) << 64 | u128::from(low))
}

/// The stream of the generator that ids of runs come from; everything else comes from stream 0.
const RUN_ID_STREAM: u64 = 1;

/// An id is four words of 32 bits.
const WORDS_PER_ID: u128 = 4;
