//! One row of the instance table: its parts, lent one by one, and what concerns more than one.
//!
//! Data and small questions about it; the supervisor moves it from state to state.

use alloc::borrow::Cow;
use alloc::sync::Arc;

use super::decide::{Decision, Situation, decide};
use super::definition::Definition;
use super::desired::{Desired, Goal};
use super::lifecycle::Lifecycle;
use super::meters::Meters;
use super::policy::Boot;
use super::presence::Presence;
use super::process_table::Process;
use super::queue::Queue;
use super::readiness::Readiness;
use super::runs::{ProcessFacts, Runs};
use super::state::State;
use super::versions::Versions;
use super::view::InstanceView;
use super::watching::Watching;
use crate::alarm::Alarm;
use crate::canary::{self, Canary};
use crate::checkpoint::Checkpoint;
use crate::counters::{SavedTotals, Totals};
use crate::time::Now;

/// One row of the instance table.
#[derive(Clone, Debug)]
pub struct Instance {
    pub(super) versions: Versions,
    pub(super) desired: Desired,
    pub(super) lifecycle: Lifecycle,
    pub(super) meters: Meters,
    pub(super) queue: Queue,
    pub(super) runs: Runs,
    pub(super) presence: Presence,
    pub(super) readiness: Readiness,
    pub(super) alarm: Alarm,
    pub(super) watching: Watching,
}

impl Instance {
    /// An instance that does not run yet, with the totals it had.
    pub fn new(definition: Arc<Definition>, mode: i32, totals: Totals) -> Self {
        Self {
            versions: Versions::new(definition),
            desired: Desired::default(),
            lifecycle: Lifecycle::default(),
            meters: Meters::new(mode, totals),
            queue: Queue::default(),
            runs: Runs::default(),
            presence: Presence::default(),
            readiness: Readiness::default(),
            alarm: Alarm::default(),
            watching: Watching::default(),
        }
    }

    // Its parts.

    /// Its definition, and its pending records.
    pub const fn versions(&self) -> &Versions {
        &self.versions
    }

    /// The same, to change it.
    pub const fn versions_mut(&mut self) -> &mut Versions {
        &mut self.versions
    }

    /// Its desired state.
    pub const fn desired(&self) -> &Desired {
        &self.desired
    }

    /// The same, to change it.
    pub const fn desired_mut(&mut self) -> &mut Desired {
        &mut self.desired
    }

    /// Its state and its process.
    pub const fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// The same, to change it.
    pub const fn lifecycle_mut(&mut self) -> &mut Lifecycle {
        &mut self.lifecycle
    }

    /// Its numbers.
    pub const fn meters(&self) -> &Meters {
        &self.meters
    }

    /// The same, to change them.
    pub const fn meters_mut(&mut self) -> &mut Meters {
        &mut self.meters
    }

    /// What waits for its process.
    pub const fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The same, to change it.
    pub const fn queue_mut(&mut self) -> &mut Queue {
        &mut self.queue
    }

    /// Its runs.
    pub const fn runs(&self) -> &Runs {
        &self.runs
    }

    /// The same, to change them.
    pub const fn runs_mut(&mut self) -> &mut Runs {
        &mut self.runs
    }

    /// What is known of it by other signs than its process.
    pub const fn presence(&self) -> &Presence {
        &self.presence
    }

    /// The same, to change it.
    pub const fn presence_mut(&mut self) -> &mut Presence {
        &mut self.presence
    }

    /// What its checks say, and what its start waits for.
    pub const fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// The same, to change it.
    pub const fn readiness_mut(&mut self) -> &mut Readiness {
        &mut self.readiness
    }

    /// What webhooks know of it.
    pub const fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    /// The same, to change it.
    pub const fn alarm_mut(&mut self) -> &mut Alarm {
        &mut self.alarm
    }

    /// What it knows of the files that it is restarted for.
    pub const fn watching(&self) -> &Watching {
        &self.watching
    }

    /// The same, to change it.
    pub const fn watching_mut(&mut self) -> &mut Watching {
        &mut self.watching
    }

    // The most frequent queries.

    /// The current definition.
    pub const fn definition(&self) -> &Arc<Definition> {
        self.versions.current()
    }

    /// Where it is in its life.
    pub const fn state(&self) -> State {
        self.lifecycle.state()
    }

    /// The facts about its processes.
    pub const fn facts(&self) -> &ProcessFacts {
        self.runs.facts()
    }

    // What concerns more than one.

    /// Its current state, for [`decide`].
    pub fn situation(&self, draining: bool, restart_is_armed: bool) -> Situation {
        Situation {
            state: self.state(),
            queue_is_empty: self.queue.is_empty(),
            draining,
            gave_up: self.lifecycle.gave_up(),
            restart_is_armed,
            is_held: self.readiness.waits_for.is_some(),
            is_needed: self.readiness.is_needed,
        }
    }

    /// Whether it runs and has met its rule of readiness, if it has one.
    pub fn is_well(&self) -> bool {
        let has_rule = self.definition().checks.ready.is_some();
        self.state() == State::RUNNING && (self.readiness.met || !has_rule)
    }

    /// Whether those that start after it may start: it runs and has met its rule, or it has done
    /// its work.
    pub fn is_ready(&self) -> bool {
        let has_to_end = self.desired.restart || self.desired.goal == Goal::Down;
        match self.state() {
            // It stops as soon as those that start after it have.
            State::RUNNING => self.is_well() && !(self.readiness.is_needed && has_to_end),
            // Its work is done, and no start is pending.
            State::STOPPED => self.readiness.done && !self.desired.restart,
            _ => false,
        }
    }

    /// Wants it to run: at the times of its schedule if it has one, and at once if not.
    pub fn want(&mut self) {
        self.desired.start();
        self.desired.restart = self.versions.current().checks.schedule.is_none();
    }

    /// Whether its process is to exit: one that is stopped after it waits for that. A change that is
    /// not durable yet may ask for it.
    pub fn is_to_exit(&self, draining: bool) -> bool {
        let is_asked = draining
            || self.state().is_stopping()
            || self.desired.goal == Goal::Down
            || self.desired.restart
            || !self.queue.is_empty()
            || self.versions.unsaved_records() > 0;
        self.state().has_process() && is_asked && !self.cannot_be_ended()
    }

    /// The name that a pending start waits for, as it is shown.
    pub fn shown_wait(&self, draining: bool) -> Option<&str> {
        let is_pending = self.state() == State::STOPPED
            && self.desired.restart
            && self.desired.goal == Goal::Up
            && self.queue.is_empty()
            && !draining;
        self.readiness.waits_for.as_deref().filter(|_| is_pending)
    }

    /// Whether a start by request does something: it is shown as stopped, or its restarts are
    /// used up (Contract §5).
    pub fn accepts_start(&self) -> bool {
        self.lifecycle.gave_up() || self.state().accepts_start()
    }

    /// Whether the process has had every signal of its stop, in vain.
    pub fn cannot_be_ended(&self) -> bool {
        let steps = self.definition().policy.stop.steps().len();
        let is_ending = self.state().process == Process::Ending;
        is_ending && usize::from(self.lifecycle.steps_done()) > steps
    }

    /// Whether it runs or is restarted without a request, operations aside.
    pub fn wants_to_run(&self) -> bool {
        match self.state().process {
            Process::Spawning | Process::Live => true,
            Process::Cancelled | Process::Ending => false,
            Process::Absent => {
                let at = Situation { queue_is_empty: true, ..self.situation(false, false) };
                let decision = decide(&self.definition().policy, &self.desired, at);
                matches!(decision, Decision::SpawnAt(_))
            }
        }
    }

    /// The goal that a further record gives it, unless it changes that.
    pub fn newest_goal(&self) -> Goal {
        let goal = self.presence.staged.as_ref().map(|staged| staged.goal);
        goal.or(self.versions.staged_goal()).unwrap_or(self.desired.goal)
    }

    /// Whether its goal has to be durable: the master starts it by that. Of an instance from a
    /// configuration all that is desired is durable, each change by a record of its own.
    pub fn stores_goal(&self) -> bool {
        let newest = self.versions.newest();
        newest.policy.boot == Boot::Saved && !newest.is_configured()
    }

    /// The desired state in the next record. A requested start is not stored: a master that starts
    /// decides that again.
    pub fn newest_desired(&self, goal: Goal) -> Cow<'_, Desired> {
        if self.definition().is_configured() {
            return Cow::Borrowed(self.presence.staged.as_ref().unwrap_or(&self.desired));
        }
        Cow::Owned(Desired { goal, restart: false, ..self.desired.clone() })
    }

    /// Bases later changes on `definition` and `goal`, whose record is pending. Returns the desired
    /// state in that record.
    pub fn stage(&mut self, definition: Arc<Definition>, goal: Goal) -> Arc<Desired> {
        let desired = self.newest_desired(goal).into_owned();
        let goal = (!self.definition().is_configured()).then_some(goal);
        self.versions.stage(definition, goal);
        Arc::new(desired)
    }

    /// Applies a durable definition.
    pub fn adopt(&mut self, definition: Arc<Definition>) {
        if definition.policy != self.definition().policy {
            self.forgive_restarts();
            self.runs.keep(definition.policy.history);
        }
        self.versions.adopt(definition);
    }

    /// Its restarts are counted afresh, and it may be restarted again.
    pub fn forgive_restarts(&mut self) {
        self.lifecycle.forgive();
        self.runs.facts.set_limit_reached(None);
    }

    /// Takes a checkpoint of its process.
    pub fn observe(&mut self, checkpoint: &Checkpoint, now: Now) {
        self.meters.observe(checkpoint, now.mono);
        self.runs.seen(now);
    }

    /// Sets all totals to zero, the record of that being durable.
    pub fn reset_counters(&mut self) {
        self.meters.reset();
        self.versions.reset_settled();
    }

    /// The stored form of its numbers. A pending reset is already applied: a later record must not
    /// restore the old totals.
    pub fn saved_totals(&self) -> SavedTotals {
        let is_reset = self.versions.has_unsaved_reset() && !canary::is(Canary::StaleTotals);
        self.meters.saved(is_reset)
    }

    /// Totals that the store does not have. Those with a pending reset wait: if it is refused, the
    /// values that it set to zero would be lost.
    pub fn take_unsaved_totals(&mut self) -> Option<SavedTotals> {
        let may_be_saved = !self.versions.has_unsaved_reset();
        (may_be_saved && self.meters.take_unsaved()).then(|| self.saved_totals())
    }

    /// How it looks to clients.
    pub fn view(&self) -> InstanceView {
        self.view_with(Arc::clone(self.definition()))
    }

    /// Its view with another definition.
    pub fn view_with(&self, definition: Arc<Definition>) -> InstanceView {
        let (status, totals) = (self.state().status(), self.meters.counters().totals());
        InstanceView { definition, status, metrics: self.meters.metrics(), totals }
    }
}
