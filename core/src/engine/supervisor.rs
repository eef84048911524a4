//! Moves one instance through its state machine and carries out the actions of each step.
//!
//! Borrows only the parts of the engine that one instance may use. `operations` handles what
//! follows a step: a waiting deletion, a requested start.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;

use rand_chacha::ChaCha8Rng;

use super::commits::Commits;
use super::effect::Effect;
use super::found::Survivor;
use super::outbox::Outbox;
use super::timers::{TimerReason, Timers};
use super::webhooks::Webhooks;
use crate::canary::{self, Canary};
use crate::checkpoint::Checkpoint;
use crate::command::Refusal;
use crate::counters::SavedTotals;
use crate::event::{EventKind, Object};
use crate::ids::{Generation, ProcessRef, RequestId, RunId, SlotId};
use crate::instance::{
    Action, Decision, Definition, Instance, InstanceEvent, Process, ProcessFacts, Reason, Restart,
    Run, RunOrigin, Situation, State, Status, Why, decide, step, why_to_end,
};
use crate::keeper::Note;
use crate::limits::{CANNOT_END_MS, CHECKPOINT_MARGIN_MS, CHECKPOINT_WAIT_MS, END_AGAIN_MS};
use crate::output::OutputBatch;
use crate::process::{Exit, Scope, Signal};
use crate::time::{Now, Wall};

/// The line in the log of an instance whose process outlived a master: what that had read of the
/// output and shown to no client cannot be read again.
const ATTACHED: &str = "this process went on while the master was restarted; output that the last \
                        master had read and not passed on is missing here";

/// The line in the log of an instance whose start is ordered once more.
const START_LOST: &str = "the start was interrupted before there was a process; it is repeated";

/// State that the processes of all instances share.
#[derive(Clone, Debug, Default)]
pub(super) struct Processes {
    pub(super) last_generation: Generation,
    /// Whether a process may have a lease: one that was started or found since there was none.
    pub(super) has_leases: bool,
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
    pub(super) commits: &'a mut Commits,
    pub(super) webhooks: &'a mut Webhooks,
    pub(super) rng: &'a mut ChaCha8Rng,
    pub(super) out: &'a mut Outbox,
}

impl Supervisor<'_> {
    /// The next action for the instance.
    pub(super) fn decision(&self) -> Decision {
        let (definition, desired) = (self.instance.definition(), self.instance.desired());
        self.withhold(decide(&definition.policy, desired, self.situation()))
    }

    /// Takes an event through the tables.
    pub(super) fn fire(&mut self, event: InstanceEvent) {
        self.fire_because(event, None);
    }

    /// The same, with the reason that it gives for the state that comes next.
    pub(super) fn fire_because(&mut self, event: InstanceEvent, reason: Option<Reason>) {
        let before = self.instance.state();
        let mut step = before.on(event);
        if step.next != before {
            let (definition, desired) = (self.instance.definition(), self.instance.desired());
            step = self::step(&definition.policy, desired, self.situation(), event);
        }
        self.instance.lifecycle_mut().enter(step.next, self.now.mono);
        let has_failed = before.is_spawning() && !step.next.has_process();
        if has_failed && !canary::is(Canary::AliveMiscounted) {
            self.processes.alive -= 1;
        }
        if step.next != before {
            self.take_note(event, before, reason);
        }
        for action in step.actions.iter() {
            self.act(action, before);
        }
        self.instance.lifecycle_mut().step_is_done();
        self.show_facts();
        if step.next != before {
            self.note_alarm(event, before);
        }
    }

    /// The process exited.
    pub(super) fn ended(&mut self, exit: Exit, group_left: bool) {
        let is_requested = self.instance.state().is_stopping();
        let group_left = group_left && self.may_end_group(is_requested);
        self.close(exit_code(exit));
        self.instance.presence_mut().forget_process();
        let why = if is_requested { Some(self.why_it_ends()) } else { None };
        // Processes can survive a stop that signals only the leader.
        let policy = &self.instance.definition().policy;
        let (is_supervised, history) = (policy.stop.scope == Scope::Group, policy.history);
        self.instance.lifecycle_mut().set_group_left(group_left && is_supervised);
        let is_over = self.instance.definition().policy.restart != Restart::Always;
        let has_lost_lease = !is_requested && self.facts().reason == Reason::LeaseExpired;
        let has_ended_well = exit.is_clean() && !has_lost_lease;
        let is_done = has_ended_well && !is_requested && is_over;
        self.end_checks(is_done);
        let runs = self.instance.runs_mut();
        runs.end(exit, why, self.now, history);
        let is_told = runs.facts_mut().exited(exit, is_requested, self.now.wall);
        let changed = self.instance.watching_mut().cause.take();
        let reason = match (why, changed) {
            (Some(Why::Restart), Some(path)) => Reason::FileChanged(path.into()),
            (Some(why), _) => Reason::Stopped(why),
            (None, _) if has_lost_lease => Reason::LeaseExpired,
            (None, _) => Reason::Exited(exit),
        };
        let event =
            if has_ended_well { InstanceEvent::EndedWell } else { InstanceEvent::EndedBadly };
        self.fire_because(event, is_told.then_some(reason));
        if is_done {
            self.recovered();
        }
    }

    /// The keeper ended the process because no master renewed its lease. That is a failure, unless
    /// the process was being stopped.
    pub(super) fn lease_expired(&mut self) {
        if self.instance.state().process == Process::Live && !canary::is(Canary::LeaseUnnoticed) {
            self.note(&Reason::LeaseExpired.to_string());
            self.fire_because(InstanceEvent::Complaint, Some(Reason::LeaseExpired));
            self.facts().set_reason(Reason::LeaseExpired);
        }
    }

    /// Takes a checkpoint of the current process.
    pub(super) fn observe(&mut self, checkpoint: &Checkpoint) {
        self.instance.observe(checkpoint, self.now);
        // One that is being stopped and shows as `stopped` or `error` counts, but has no gauges.
        if self.instance.state().on(InstanceEvent::Beat).next.status() != Status::Running {
            self.instance.meters_mut().clear_live();
        }
        self.fire(InstanceEvent::Beat);
    }

    /// Sets the goal to run: a requested start resets the failures.
    pub(super) fn start(&mut self) {
        let is_accepted = self.instance.accepts_start();
        self.instance.lifecycle_mut().reset_backoff();
        self.instance.forgive_restarts();
        if is_accepted {
            self.instance.desired_mut().start();
        }
    }

    /// Wants the process stopped, and started again once it is.
    pub(super) fn restart(&mut self) {
        self.instance.lifecycle_mut().reset_backoff();
        self.instance.forgive_restarts();
        self.instance.desired_mut().start();
        if canary::is(Canary::RestartDuringStop) {
            if let Decision::End(_) = self.decision() {
                self.fire(InstanceEvent::EndOrdered);
            }
            self.fire(InstanceEvent::EndedWell);
        }
    }

    /// Wants the process stopped, and to stay so: also after the operations that wait and are older
    /// than `request`, which stops it.
    pub(super) fn stop(&mut self, request: RequestId) {
        if !(self.instance.desired().restart && canary::is(Canary::StopForgotten)) {
            self.instance.desired_mut().stop();
        }
        self.instance.queue_mut().forget_starts(request);
    }

    /// The back-off is over: starts the process, after stopping the current one if there is one.
    pub(super) fn restart_due(&mut self) {
        self.facts().set_next_restart(None);
        let Decision::SpawnAt(_) = self.decision() else { return self.show_facts() };
        if !self.instance.presence().start_requested {
            self.facts().restarted();
            self.note_restart();
        }
        if self.instance.definition().policy.limit.is_some() {
            self.instance.lifecycle_mut().count_restart(self.now.mono);
        }
        let is_held = self.instance.readiness().waits_for.is_some();
        if self.instance.state().has_process() || is_held {
            self.instance.desired_mut().restart = true;
        } else {
            self.fire(InstanceEvent::SpawnOrdered);
        }
    }

    /// The start under way was lost before there was a process: it is ordered once more, unless
    /// the instance has to stop, or waits by now for what it starts after. That is no failure and
    /// no restart.
    pub(super) fn start_lost(&mut self) {
        if self.instance.state().process == Process::Spawning {
            // A start that has to wait is pending, like that of a restart.
            self.instance.desired_mut().restart |= self.instance.readiness().waits_for.is_some();
            if why_to_end(self.instance.desired(), self.situation()).is_some() {
                self.fire(InstanceEvent::EndOrdered);
            }
        }
        match self.instance.state().process {
            Process::Spawning => {
                self.note(START_LOST);
                self.processes.alive -= 1;
                self.spawn();
            }
            Process::Cancelled => self.fire(InstanceEvent::SpawnFailed),
            Process::Absent | Process::Live | Process::Ending => {}
        }
    }

    /// Ends a process that is being stopped, without waiting on.
    pub(super) fn kill(&mut self) {
        if self.instance.state().process == Process::Ending {
            self.send(u8::MAX, Signal::KILL);
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

    /// Publishes the current instance.
    pub(super) fn publish(&mut self) {
        // A client that receives the event can read the facts.
        self.show_facts();
        self.out.publish(self.now.wall, EventKind::Update, Object::Instance(self.instance.view()));
    }

    /// Shows the facts about its processes to readers, if they changed.
    pub(super) fn show_facts(&mut self) {
        if self.facts().take_changed() {
            let (instance, facts) = (self.instance.definition().id, self.instance.facts().clone());
            self.out.push(Effect::ShowProcess { instance, facts: Box::new(facts) });
        }
    }

    /// Puts a line of the master's own among those of the instance.
    pub(super) fn note(&mut self, text: &str) {
        let batch = Arc::new(OutputBatch::note(text));
        self.out.publish_logs(self.now.wall, self.instance.view(), &batch, 0..1);
    }

    /// Kills the rest of the group of the last process, if there is one.
    pub(super) fn kill_leftover(&mut self) {
        if self.instance.lifecycle_mut().take_group_left() {
            if !canary::is(Canary::TimerLeaked) {
                self.timers.cancel(TimerReason::Leftover(self.slot));
            }
            self.signal(Scope::Group, Signal::KILL);
        }
    }

    /// The facts about its processes, to change them.
    pub(super) const fn facts(&mut self) -> &mut ProcessFacts {
        self.instance.runs_mut().facts_mut()
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
            Action::NextStep => self.do_stop_step(self.instance.lifecycle().steps_done()),
            Action::Release => self.release(before),
            Action::ClearLive => self.instance.meters_mut().clear_live(),
            Action::ScheduleRestart => self.schedule_restart(),
            Action::CancelRestart => self.cancel_restart(),
            Action::Publish => self.publish(),
        }
    }

    /// The facts of a step about processes. How one exited is recorded where it is known.
    fn take_note(&mut self, event: InstanceEvent, before: State, reason: Option<Reason>) {
        let (state, process) = (self.instance.state(), self.process());
        if event == InstanceEvent::Beat {
            // It recovered without a restart.
            self.instance.lifecycle_mut().recovered();
            self.facts().set_limit_reached(None);
        }
        let why = self.why_it_ends();
        let now = self.now;
        let changed = self.instance.watching().cause.clone();
        let facts = self.facts();
        facts.set_status(state.status());
        if event == InstanceEvent::Spawned {
            facts.started(process, now);
        }
        let reason = match (event, state.process) {
            (InstanceEvent::Spawned | InstanceEvent::Beat, Process::Live) => Some(Reason::None),
            // The reason of the failure is the reason of the restart.
            (InstanceEvent::EndOrdered, Process::Ending) if why == Why::Restart => match changed {
                Some(path) => Some(Reason::FileChanged(path.into())),
                None => (before != State::FAILING).then_some(Reason::Stopping(why)),
            },
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
        self.note_readiness();
    }

    /// Why the process is stopped, now or by the last decision.
    fn why_it_ends(&self) -> Why {
        let now = why_to_end(self.instance.desired(), self.situation());
        let last = self.instance.facts().reason.why();
        now.or(self.is_restarting()).or(last).unwrap_or(Why::Restart)
    }

    /// Takes over a run that outlived the last master. `stored` are the numbers of its instance.
    pub(super) fn attach(&mut self, survivor: &Survivor, stored: Option<&SavedTotals>) {
        let Survivor { run, since, is_stopping, is_leased, ref note, .. } = *survivor;
        self.processes.has_leases |= is_leased;
        if let Some(stored) = stored {
            self.instance.meters_mut().resume(run, stored);
        }
        // A replacement was answered, and its process was not started any more.
        let is_replaced = note.ordered.is_some_and(|ordered| !self.is_running_by(ordered.launch));
        let has_to_end = is_stopping || is_replaced || canary::is(Canary::SurvivorEnded);
        let event = if has_to_end { InstanceEvent::Found } else { InstanceEvent::Attached };
        self.fire(event);
        let (process, generation) = (self.process(), self.instance.lifecycle().generation());
        let facts = self.facts();
        note.recall(facts);
        if note.has_exited() && !canary::is(Canary::ExitCountedTwice) {
            // It follows once more.
            facts.exits -= 1;
        } else if note.started.is_none() {
            // A run that was never shown as started is not among the counts.
            facts.starts += 1;
        }
        facts.goes_on(process, since);
        let origin = RunOrigin::Survivor;
        let run = Run { id: run, generation, origin, started: since, last_seen: self.now };
        self.instance.runs_mut().begin(run);
        self.show_facts();
        self.note(ATTACHED);
    }

    /// Whether a run with this mark has the command of the definition. The file of a configured
    /// instance may have changed at any time, and its process goes on.
    fn is_running_by(&self, mark: u64) -> bool {
        let definition = self.instance.definition();
        definition.is_configured() || definition.launch.mark() == mark
    }

    /// Shows what the last master noted of an instance that has no process.
    pub(super) fn recall(&mut self, note: &Note) {
        note.recall(self.facts());
        self.show_facts();
    }

    fn begin_run(&mut self, origin: RunOrigin) {
        self.began(origin == RunOrigin::Spawned);
        let (id, generation) = (self.run_id(), self.instance.lifecycle().generation());
        let (started, last_seen) = (self.now, self.now);
        self.instance.runs_mut().begin(Run { id, generation, origin, started, last_seen });
        self.begin_checks(origin == RunOrigin::Spawned);
    }

    /// The id of a run that this master begins with the current generation.
    pub(super) fn run_id(&self) -> RunId {
        Run::id_of(self.rng, self.instance.lifecycle().generation())
    }

    fn adopt(&mut self) {
        self.begin_generation();
        if self.instance.state().process == Process::Live {
            let (process, now) = (self.process(), self.now);
            self.facts().started(process, now);
            self.begin_run(RunOrigin::Survivor);
            // What was found by other signs is no child of an earlier master, or not as such.
            if self.instance.definition().is_configured() && !self.instance.presence().has_leader {
                return;
            }
        } else {
            // It is ended before the start that the configuration asks for.
            let is_configured = self.instance.definition().is_configured();
            let presence = self.instance.presence_mut();
            (presence.has_leader, presence.start_requested) = (true, is_configured);
            self.begin_run(RunOrigin::Found);
        }
        let instance = self.instance.definition().id;
        self.out.push(Effect::Adopt { process: self.process(), instance });
    }

    fn begin_generation(&mut self) {
        self.processes.alive += usize::from(!self.instance.definition().is_service());
        self.processes.last_generation = Generation(self.processes.last_generation.0 + 1);
        self.instance.lifecycle_mut().begin(self.processes.last_generation);
        self.instance.presence_mut().start_requested = false;
    }

    fn spawn(&mut self) {
        if !canary::is(Canary::LeftoverSpared) {
            self.kill_leftover();
        }
        self.begin_generation();
        let run = self.run_id();
        self.instance.meters_mut().begin(run);
        self.instance.readiness_mut().begin();
        self.instance.watching_mut().cause = None;
        self.instance.desired_mut().restart = false;
        let definition = Arc::clone(self.instance.definition());
        self.processes.has_leases |= definition.policy.lease_ms.is_some();
        self.out.push(Effect::Spawn { process: self.process(), run, definition });
    }

    /// Sends the signal of a step of the stop policy and gives it its time.
    fn do_stop_step(&mut self, index: u8) {
        let stop = &self.instance.definition().policy.stop;
        let Some(step) = stop.steps().get(usize::from(index)).copied() else {
            return self.try_again_to_end();
        };
        let is_last = usize::from(index) + 1 == stop.steps().len();
        let is_for_restart = index == 0 && self.is_for_restart();
        let signal = stop.restart_signal.filter(|_| is_for_restart).unwrap_or(step.signal);
        self.instance.lifecycle_mut().stop_step_done(index);
        self.send(index, signal);
        if is_for_restart {
            self.restart_sent();
        }
        // What a configuration says of a stop is all that is done: it has no last resort of ours.
        let wait_ms = match (is_last, self.instance.definition().is_configured()) {
            (true, true) => return,
            (true, false) => step.wait_ms.max(CANNOT_END_MS),
            (false, _) => self.step_ms(step.wait_ms),
        };
        self.timers.arm(TimerReason::StopStep(self.slot), self.now.mono.after_ms(wait_ms));
    }

    /// The process received every signal of its stop and still runs: reports it once, refuses the
    /// operations that wait for its exit, and repeats the last signal periodically.
    fn try_again_to_end(&mut self) {
        let steps = self.instance.definition().policy.stop.steps();
        let (count, last) = (steps.len(), steps.last().map(|step| step.signal));
        if !self.instance.cannot_be_ended() {
            let count = u8::try_from(count).expect("a stop has four steps at most");
            self.instance.lifecycle_mut().stop_step_done(count);
            let reason = Reason::CannotEnd { why: self.why_it_ends(), held: None };
            self.note(&reason.to_string());
            self.facts().set_reason(reason);
            self.publish();
        }
        for operation in self.instance.queue_mut().take_operations() {
            self.out.refuse(operation.request, Refusal::CannotEnd);
        }
        let deadline = self.now.mono.after_ms(END_AGAIN_MS);
        self.timers.arm(TimerReason::StopStep(self.slot), deadline);
        if let Some(last) = last {
            self.send(u8::MAX, last);
        }
    }

    /// Names what keeps a process alive that received every signal of its stop.
    pub(super) fn explain_why_it_lives(&mut self, held: &str) {
        let reason = Reason::CannotEnd { why: self.why_it_ends(), held: Some(held.into()) };
        if self.instance.cannot_be_ended() && self.instance.facts().reason != reason {
            self.note(&reason.to_string());
            self.facts().set_reason(reason);
            self.publish();
        }
    }

    fn release(&mut self, before: State) {
        self.processes.alive -= usize::from(!self.instance.definition().is_service());
        self.instance.meters_mut().fold();
        self.save_totals();
        // If a stop is in progress, the rest of the group has received its signals: it is killed at
        // the time when the whole stop would be over.
        let stop = &self.instance.definition().policy.stop;
        let steps_done = usize::from(self.instance.lifecycle().steps_done());
        let deadline = self.timers.cancel(TimerReason::StopStep(self.slot));
        let deadline = deadline.filter(|_| steps_done < stop.steps().len());
        let after_ms = stop.ms_after(steps_done.saturating_sub(1));
        let (total_ms, first) = (stop.total_ms(), stop.steps().first().map(|step| step.signal));
        if self.instance.lifecycle().group_left() {
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

    /// Saves the totals at the exit of a process, not only at the next tick. With a pending reset,
    /// which may be refused, they wait as they do there.
    fn save_totals(&mut self) {
        if let Some(totals) = self.instance.take_unsaved_totals() {
            let id = self.instance.definition().id;
            self.out.push(Effect::SaveTotals(alloc::vec![(id, totals)]));
        }
    }

    fn schedule_restart(&mut self) {
        let reason = TimerReason::Restart(self.slot);
        // A service is started again when it is looked at.
        if self.timers.is_armed(reason) || self.instance.definition().is_service() {
            return;
        }
        let definition = self.instance.definition();
        let (limit, backoff) = (definition.policy.limit, definition.backoff());
        if self.instance.presence().start_requested && !canary::is(Canary::FirstStartCounted) {
            return self.arm_restart(0);
        }
        let lifecycle = self.instance.lifecycle_mut();
        if limit.is_some_and(|limit| lifecycle.gives_up(limit, self.now.mono)) {
            return self.facts().set_limit_reached(limit);
        }
        let delay_ms = lifecycle.next_delay_ms(backoff, self.now.mono, self.rng);
        self.arm_restart(delay_ms.max(self.wait_for_checkpoint_ms()));
    }

    fn arm_restart(&mut self, delay_ms: u64) {
        self.timers.arm(TimerReason::Restart(self.slot), self.now.mono.after_ms(delay_ms));
        let delay_micros = delay_ms.saturating_mul(1_000);
        let due = Wall::from_micros(self.now.wall.as_micros().saturating_add(delay_micros));
        self.facts().set_next_restart(Some((due, delay_ms)));
    }

    /// How long the next checkpoint of a live process that printed an error may take, in ms: it
    /// would take the error back (Contract §6).
    fn wait_for_checkpoint_ms(&self) -> u64 {
        let has_process = self.instance.state().has_process();
        let has_complained = matches!(self.instance.facts().reason, Reason::Complained(_));
        let meters = self.instance.meters();
        if !(has_process && has_complained && meters.last_checkpoint().is_some()) {
            return 0;
        }
        let due_ms = meters.interval_ms().saturating_add(CHECKPOINT_MARGIN_MS);
        due_ms.clamp(CHECKPOINT_WAIT_MS.0, CHECKPOINT_WAIT_MS.1)
    }

    pub(super) fn cancel_restart(&mut self) {
        self.timers.cancel(TimerReason::Restart(self.slot));
        if !canary::is(Canary::NextRestartKept) {
            self.facts().set_next_restart(None);
        }
    }

    /// Sends the signal of the step `index` of a stop.
    fn send(&mut self, index: u8, signal: Signal) {
        if signal != Signal::KILL || !canary::is(Canary::GraceNeverKills) {
            self.signal(self.scope_of(index), signal);
        }
    }

    /// Who the signal of a step goes to. Where a restart has a signal of its own, the first step
    /// is a request to the program alone: members of its group would die of it. What a restart
    /// does not touch is a successor in the group.
    fn scope_of(&self, index: u8) -> Scope {
        let Definition { policy, liveness, .. } = &**self.instance.definition();
        let stop = &policy.stop;
        let is_request = index == 0 && stop.restart_signal.is_some();
        let keeps_group = self.instance.presence().restarting && liveness.tracks();
        if is_request || keeps_group { Scope::Leader } else { stop.scope }
    }

    /// Whether what is left of the group of a process is ended after it.
    fn may_end_group(&self, is_requested: bool) -> bool {
        let is_own = !self.instance.definition().liveness.tracks();
        is_own || (is_requested && !self.instance.presence().restarting)
    }

    /// Whether the stop that begins is that of a restart.
    fn is_for_restart(&self) -> bool {
        if self.instance.definition().is_configured() {
            why_to_end(self.instance.desired(), self.situation()) == Some(Why::Restart)
        } else {
            self.why_it_ends() == Why::Restart
        }
    }

    /// How long a step is waited for: less when the master ends, where the policy has requests.
    fn step_ms(&self, wait_ms: u64) -> u64 {
        let hurries = self.draining && self.instance.definition().is_configured();
        if hurries { wait_ms.min(DRAINING_STEP_MS) } else { wait_ms }
    }

    fn signal(&mut self, scope: Scope, signal: Signal) {
        self.out.push(Effect::Signal { process: self.process(), scope, signal });
    }

    pub(super) fn process(&self) -> ProcessRef {
        ProcessRef { slot: self.slot, generation: self.instance.lifecycle().generation() }
    }
}

/// How long a step of a stop may take when the master ends.
const DRAINING_STEP_MS: u64 = 2_000;

/// The exit code that is remembered of a run.
fn exit_code(exit: Exit) -> u8 {
    match exit {
        Exit::Code(code) => code.to_le_bytes()[0],
        Exit::Signal(_) => u8::MAX,
    }
}
