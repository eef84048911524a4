//! Converts an instance to plain data and back, for the start of a trace, and hashes it, to compare
//! a replay with its recording.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::definition::Definition;
use super::desired::{Desired, Goal};
use super::health::Health;
use super::instance::Instance;
use super::lifecycle::Lifecycle;
use super::meters::Meters;
use super::presence::Presence;
use super::queue::{Operation, OperationKind, Queue};
use super::readiness::Readiness;
use super::runs::{ProcessFacts, Runs};
use super::state::State;
use super::versions::Versions;
use super::watching::Watching;
use crate::alarm::Alarm;
use crate::backoff::Backoff;
use crate::counters::{Counters, Metrics};
use crate::ids::{Generation, RequestId, RunId};
use crate::mixer::Digest;
use crate::time::Time;

/// All of an instance but its runs, which decide nothing.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) definition: Arc<Definition>,
    pub(crate) staged: Option<Arc<Definition>>,
    pub(crate) staged_goal: Option<Goal>,
    pub(crate) unsaved_records: u32,
    pub(crate) unsaved_resets: u32,
    pub(crate) desired: Desired,
    pub(crate) state: State,
    pub(crate) generation: Generation,
    pub(crate) steps_done: u8,
    pub(crate) restarts: VecDeque<Time>,
    pub(crate) gave_up: bool,
    pub(crate) group_left: bool,
    pub(crate) healthy_since: Option<Time>,
    pub(crate) backoff: Backoff,
    pub(crate) metrics: Metrics,
    pub(crate) counters: Counters,
    pub(crate) totals_unsaved: bool,
    pub(crate) last_checkpoint: Option<Time>,
    pub(crate) interval_ms: u64,
    pub(crate) run: Option<RunId>,
    pub(crate) operations: VecDeque<Operation>,
    pub(crate) awaiting_start: Vec<RequestId>,
    pub(crate) facts: ProcessFacts,
    pub(crate) presence: Presence,
    pub(crate) readiness: Readiness,
    pub(crate) alarm: Alarm,
    pub(crate) watching: Watching,
}

impl From<&Instance> for Snapshot {
    fn from(instance: &Instance) -> Self {
        let Instance {
            versions,
            desired,
            lifecycle,
            meters,
            queue,
            runs,
            presence,
            readiness,
            alarm,
            watching,
        } = instance.clone();
        Self {
            definition: versions.current,
            staged: versions.staged,
            staged_goal: versions.staged_goal,
            unsaved_records: versions.unsaved_records,
            unsaved_resets: versions.unsaved_resets,
            desired,
            state: lifecycle.state,
            generation: lifecycle.generation,
            steps_done: lifecycle.steps_done,
            restarts: lifecycle.restarts,
            gave_up: lifecycle.gave_up,
            group_left: lifecycle.group_left,
            healthy_since: lifecycle.healthy_since,
            backoff: lifecycle.backoff,
            metrics: meters.metrics,
            counters: meters.counters,
            totals_unsaved: meters.unsaved,
            last_checkpoint: meters.last_checkpoint,
            interval_ms: meters.interval_ms,
            run: meters.run,
            operations: queue.operations,
            awaiting_start: queue.awaiting_start.into(),
            facts: runs.facts,
            presence,
            readiness,
            alarm,
            watching,
        }
    }
}

impl From<Snapshot> for Instance {
    fn from(snapshot: Snapshot) -> Self {
        Self {
            versions: Versions {
                current: snapshot.definition,
                staged: snapshot.staged,
                staged_goal: snapshot.staged_goal,
                unsaved_records: snapshot.unsaved_records,
                unsaved_resets: snapshot.unsaved_resets,
            },
            desired: snapshot.desired,
            lifecycle: Lifecycle {
                state: snapshot.state,
                generation: snapshot.generation,
                steps_done: snapshot.steps_done,
                restarts: snapshot.restarts,
                gave_up: snapshot.gave_up,
                group_left: snapshot.group_left,
                healthy_since: snapshot.healthy_since,
                backoff: snapshot.backoff,
            },
            meters: Meters {
                metrics: snapshot.metrics,
                counters: snapshot.counters,
                unsaved: snapshot.totals_unsaved,
                last_checkpoint: snapshot.last_checkpoint,
                interval_ms: snapshot.interval_ms,
                run: snapshot.run,
            },
            queue: Queue {
                operations: snapshot.operations,
                awaiting_start: snapshot.awaiting_start.into(),
            },
            runs: Runs::with_facts(snapshot.facts),
            presence: snapshot.presence,
            readiness: snapshot.readiness,
            alarm: snapshot.alarm,
            watching: snapshot.watching,
        }
    }
}

impl Instance {
    /// Takes in all of it that decides something, but for texts.
    pub(crate) fn fingerprint(&self, print: &mut Digest) {
        let Self {
            versions,
            desired,
            lifecycle,
            meters,
            queue,
            runs,
            presence,
            readiness,
            alarm,
            watching,
        } = self;
        let flags = [
            versions.current.restarts(),
            versions.staged.is_some(),
            meters.unsaved,
            desired.restart,
            desired.goal == Goal::Down,
            self.newest_goal() == Goal::Down,
            lifecycle.gave_up,
            lifecycle.group_left,
        ];
        let flags = flags.into_iter().fold(0, |bits, flag| bits << 1 | u64::from(flag));
        let Definition { id, revision, .. } = versions.current.as_ref();
        print.words([id.0.into(), revision.0, state_number(lifecycle.state), flags]);
        print.words([lifecycle.steps_done.into(), lifecycle.restarts.len() as u64]);
        print.words([versions.unsaved_records.into(), versions.unsaved_resets.into()]);
        print.words([lifecycle.generation.0, lifecycle.backoff.attempts.into()]);
        let Metrics { mode, ping, pool, tcps, udps } = meters.metrics;
        print.words([mode, ping, pool, tcps, udps].map(|gauge| gauge as u64));
        let Counters { tcprx, tcptx, udprx, udptx } = meters.counters;
        for counter in [tcprx, tcptx, udprx, udptx] {
            print.words([counter.base, counter.reset_point, counter.last_raw]);
        }
        for time in [meters.last_checkpoint, lifecycle.healthy_since] {
            print.word(time.map_or(u64::MAX, Time::as_micros));
        }
        print.word(queue.operations.len() as u64);
        for operation in &queue.operations {
            let Operation { request, expect: _, kind, committing, starts } = operation;
            let is_delete = matches!(kind, OperationKind::Delete);
            print.words([request.0, is_delete.into(), (*committing).into(), (*starts).into()]);
        }
        print.numbers(&runs.facts);
        let Readiness { met, asked, missed, failed_live, late, .. } = *readiness;
        // An instance without checks has the number that it had before there were any.
        if met || failed_live || late || asked > 0 || missed > 0 {
            let flags = u64::from(met) | u64::from(late) << 1;
            print.words([flags, failed_live.into(), asked.into(), missed.into()]);
        }
        let Alarm { in_error, is_flapping, is_well, is_known, restarts } = alarm;
        let flags = [*in_error, *is_flapping, *is_well, *is_known];
        // Without webhooks nothing is noted.
        if flags.contains(&true) || !restarts.is_empty() {
            print.words(flags.map(u64::from));
            restarts.iter().for_each(|at| print.word(at.as_micros()));
        }
        let Watching { is_on, changed, cause } = watching;
        if *is_on || changed.is_some() || cause.is_some() {
            let since = changed.as_ref().map_or(0, |(_, since)| since.as_micros());
            print.words([(*is_on).into(), since, cause.is_some().into()]);
        }
        print.word(queue.awaiting_start.len() as u64);
        queue.awaiting_start.iter().for_each(|request| print.word(request.0));
        if versions.current.is_configured() {
            print.numbers(desired);
            print.numbers(presence);
        }
    }
}

fn state_number(state: State) -> u64 {
    state.process as u64 * Health::ALL.len() as u64 + state.health as u64
}
