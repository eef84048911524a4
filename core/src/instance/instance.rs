//! One instance at work: its definition, its state, its numbers, and what waits for it.
//!
//! Data and small questions about it; the supervisor moves it from state to state.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use super::decide::{Decision, Situation, decide};
use super::definition::Definition;
use super::desired::{Desired, Goal};
use super::policy::Boot;
use super::process_table::Process;
use super::queue::{Operation, OperationKind};
use super::runs::{ProcessFacts, Runs};
use super::state::State;
use super::view::InstanceView;
use crate::backoff::Backoff;
use crate::canary::{self, Canary};
use crate::checkpoint::Checkpoint;
use crate::counters::{Counters, Metrics, SavedTotals, Totals};
use crate::ids::{Generation, RequestId};
use crate::time::{Now, Time};

/// One row of the instance table.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The definition in force: durable, and shown to clients.
    pub definition: Arc<Definition>,
    /// The newest definition on its way to the disk, if any: later changes build on it.
    pub staged: Option<Arc<Definition>>,
    /// How many records of this instance are on their way.
    pub unsaved_records: u32,
    /// How many of those set the totals to zero.
    pub unsaved_resets: u32,
    /// What is wanted of it.
    pub desired: Desired,
    /// The goal that the newest record on its way gives it, if any does.
    pub staged_goal: Option<Goal>,
    /// Where it is in its life.
    pub state: State,
    /// How many steps of the stop under way were done; one more than there are once the process
    /// counts as one that cannot be ended.
    pub steps_done: u8,
    /// When its last restarts after a failure were, as far as a limit counts them; oldest first.
    pub restarts: VecDeque<Time>,
    /// Whether its limit of restarts was reached: it is not restarted until it is started by
    /// request.
    pub gave_up: bool,
    /// Its current process, or the last one.
    pub generation: Generation,
    /// The gauges of the last checkpoint.
    pub metrics: Metrics,
    /// The byte counters.
    pub counters: Counters,
    /// Whether the totals changed since they were last handed to the store.
    pub totals_unsaved: bool,
    /// When the current process last printed a checkpoint; `None` before its first.
    pub last_checkpoint: Option<Time>,
    /// Since when the current process is running without an error.
    pub healthy_since: Option<Time>,
    /// How long to wait before the next restart.
    pub backoff: Backoff,
    /// A process of the group of `generation` may be left, though its leader is gone.
    pub group_left: bool,
    /// Replacements and deletions waiting for the process to be gone, oldest first.
    pub operations: VecDeque<Operation>,
    /// Requests to answer once it is known whether the process came to life.
    pub awaiting_start: VecDeque<RequestId>,
    /// What became of its processes.
    pub facts: ProcessFacts,
    /// Its runs.
    pub runs: Runs,
}

impl Instance {
    /// An instance that does not run yet, with the totals it had.
    pub fn new(definition: Arc<Definition>, mode: i32, totals: Totals) -> Self {
        Self {
            definition,
            staged: None,
            unsaved_records: 0,
            unsaved_resets: 0,
            desired: Desired::default(),
            staged_goal: None,
            state: State::STOPPED,
            steps_done: 0,
            restarts: VecDeque::new(),
            gave_up: false,
            generation: Generation::default(),
            metrics: Metrics { mode, ..Metrics::default() },
            counters: Counters::from_totals(totals),
            totals_unsaved: false,
            last_checkpoint: None,
            healthy_since: None,
            backoff: Backoff::default(),
            group_left: false,
            operations: VecDeque::new(),
            awaiting_start: VecDeque::new(),
            facts: ProcessFacts::default(),
            runs: Runs::default(),
        }
    }

    /// The definition that a further change builds on: the staged one, else the one in force.
    pub fn newest_definition(&self) -> &Arc<Definition> {
        self.staged.as_ref().unwrap_or(&self.definition)
    }

    /// The goal that a further record gives it, unless it changes that.
    pub fn newest_goal(&self) -> Goal {
        self.staged_goal.unwrap_or(self.desired.goal)
    }

    /// Whether its goal has to be durable: the master starts it by that.
    pub fn stores_goal(&self) -> bool {
        self.newest_definition().policy.boot == Boot::Saved
    }

    /// Lets later changes build on `definition` and `goal`, whose record is on its way. Returns
    /// what that record says is desired. A start that is asked for is not: a master that begins
    /// decides that anew.
    pub fn stage(&mut self, definition: Arc<Definition>, goal: Goal) -> Arc<Desired> {
        self.staged = Some(definition);
        self.staged_goal = Some(goal);
        self.unsaved_records += 1;
        Arc::new(Desired { goal, restart: false, ..self.desired.clone() })
    }

    /// Puts a durable definition in force.
    pub fn adopt(&mut self, definition: Arc<Definition>) {
        if definition.policy != self.definition.policy {
            self.forgive_restarts();
            self.runs.keep(definition.policy.history);
        }
        self.definition = definition;
        self.record_settled();
    }

    /// One record of this instance reached the disk, or was refused by it.
    pub fn record_settled(&mut self) {
        self.unsaved_records = self.unsaved_records.saturating_sub(1);
        if self.unsaved_records == 0 {
            if !canary::is(Canary::RefusedChangeKept) {
                self.staged = None;
            }
            self.staged_goal = None;
            self.unsaved_resets = 0;
        }
    }

    /// How things stand for it, for [`decide`].
    pub fn situation(&self, draining: bool, restart_is_armed: bool) -> Situation {
        Situation {
            state: self.state,
            queue_is_empty: self.operations.is_empty(),
            draining,
            gave_up: self.gave_up,
            restart_is_armed,
        }
    }

    /// Whether a start by request does something: it is shown as stopped, or its restarts are
    /// used up (Contract §5).
    pub fn accepts_start(&self) -> bool {
        self.gave_up || self.state.accepts_start()
    }

    /// Whether the process has had every signal of its stop, in vain.
    pub fn cannot_be_ended(&self) -> bool {
        let steps = self.definition.policy.stop.steps().len();
        self.state.process == Process::Ending && usize::from(self.steps_done) > steps
    }

    /// Whether it runs or is restarted without a request, operations aside.
    pub fn wants_to_run(&self) -> bool {
        match self.state.process {
            Process::Spawning | Process::Live => true,
            Process::Cancelled | Process::Ending => false,
            Process::Absent => {
                let at = Situation { queue_is_empty: true, ..self.situation(false, false) };
                let decision = decide(&self.definition.policy, &self.desired, at);
                matches!(decision, Decision::SpawnAt(_))
            }
        }
    }

    /// Its restarts are counted afresh, and it may be restarted again.
    pub fn forgive_restarts(&mut self) {
        self.restarts.clear();
        self.gave_up = false;
        self.facts.set_limit_reached(None);
    }

    /// Whether the record of its deletion is on its way: nothing may be changed any more.
    pub fn is_being_deleted(&self) -> bool {
        self.operations.front().is_some_and(|operation| {
            operation.committing && matches!(operation.kind, OperationKind::Delete)
        })
    }

    /// What is stored of its numbers. A reset whose record is on its way is applied already: a
    /// record that follows must not bring the old totals back.
    pub fn saved_totals(&self) -> SavedTotals {
        let mut counters = self.counters;
        if self.unsaved_resets > 0 && !canary::is(Canary::StaleTotals) {
            counters.reset();
        }
        SavedTotals { mode: self.metrics.mode, counters }
    }

    /// Takes a checkpoint into gauges and counters; fields that overflowed keep their old value.
    pub fn observe(&mut self, checkpoint: &Checkpoint, now: Now) {
        let metrics = &mut self.metrics;
        let gauges = [
            (&mut metrics.mode, checkpoint.mode),
            (&mut metrics.ping, checkpoint.ping),
            (&mut metrics.pool, checkpoint.pool),
            (&mut metrics.tcps, checkpoint.tcps),
            (&mut metrics.udps, checkpoint.udps),
        ];
        for (gauge, value) in gauges {
            if let Some(value) = value {
                *gauge = value;
            }
        }
        self.counters.observe(checkpoint);
        self.totals_unsaved = !canary::is(Canary::TotalsUnsaved);
        self.last_checkpoint = Some(now.mono);
        self.runs.seen(now);
    }

    /// The process exited: its raw counts become part of the base. What is stored from now on is
    /// right for the next process, whose raw counts begin at 0.
    pub fn fold_counters(&mut self) {
        let before = self.counters;
        self.counters.rebase();
        self.totals_unsaved |= self.counters != before;
    }

    /// Zeroes the gauges of a live process; `mode` and the totals are kept (Contract §6).
    pub fn clear_live(&mut self) {
        if !canary::is(Canary::GaugesKept) {
            self.metrics = Metrics { mode: self.metrics.mode, ..Metrics::default() };
        }
    }

    /// Sets all totals to zero (Contract §7, `reset`), its record being durable.
    pub fn reset_counters(&mut self) {
        self.counters.reset();
        self.unsaved_resets = self.unsaved_resets.saturating_sub(1);
    }

    /// How it looks to clients.
    pub fn view(&self) -> InstanceView {
        self.view_with(Arc::clone(&self.definition))
    }

    /// How it would look with another definition in force.
    pub fn view_with(&self, definition: Arc<Definition>) -> InstanceView {
        let (status, totals) = (self.state.status(), self.counters.totals());
        InstanceView { definition, status, metrics: self.metrics, totals }
    }
}
