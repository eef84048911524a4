//! The runs of an instance: facts about its processes, for display.
//!
//! Nothing here is durable or used for decisions: it starts empty with every run of the master. The
//! driver has the figures of the system (CPU, memory).

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};

use super::decide::Why;
use super::health::Status;
use super::policy::RestartLimit;
use super::reason::Reason;
use super::run::{Run, RunRecord};
use core::hash::{Hash, Hasher};

use crate::ids::ProcessRef;
use crate::process::Exit;
use crate::time::{Now, Wall};

/// Facts about the processes of one instance in this run of the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessFacts {
    /// The shown status of the instance.
    pub status: Status,
    /// The process that is alive, and since when.
    pub alive: Option<(ProcessRef, Now)>,
    /// Number of started processes.
    pub starts: u64,
    /// How many starts failed.
    pub failures: u64,
    /// How often the restart timer had it started again.
    pub restarts: u64,
    /// Number of exited processes.
    pub exits: u64,
    /// How the last one exited, or failed to start.
    pub last_exit: Option<LastExit>,
    /// When it is started again, and how long that was from when it was decided.
    pub next_restart: Option<(Wall, u64)>,
    /// Why the instance is in its status.
    pub reason: Reason,
    /// The limit of restarts that was reached: it is not restarted until it is started by request.
    pub limit_reached: Option<RestartLimit>,
    /// Whether it has met its rule of being ready; `None` if it has no rule.
    pub ready: Option<bool>,
    /// The alias that its start waits for.
    pub waits_for: Option<Box<str>>,
    /// What its schedule waits for.
    pub next_run: Option<Box<NextRun>>,
    /// Whether it is still to be shown.
    pub(crate) changed: bool,
}

/// The next time of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NextRun {
    /// When; `None` if that cannot be known.
    pub at: Option<Wall>,
    /// The same in the time of the schedule's zone, which is named unless it is that of the system; or why
    /// it cannot be known.
    pub text: Box<str>,
}

/// The exit of a process, or a failed start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastExit {
    /// When the master learned of it.
    pub time: Wall,
    /// How it came about.
    pub end: End,
}

/// How a process exited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Without a request, or by a signal from outside.
    Own(Exit),
    /// During a stop, for any reason.
    Requested(Exit),
    /// It failed to start, and why.
    NotStarted(String),
}

impl Default for ProcessFacts {
    /// Nothing happened yet.
    fn default() -> Self {
        Self {
            status: Status::Stopped,
            alive: None,
            starts: 0,
            failures: 0,
            restarts: 0,
            exits: 0,
            last_exit: None,
            next_restart: None,
            reason: Reason::None,
            limit_reached: None,
            ready: None,
            waits_for: None,
            next_run: None,
            changed: true,
        }
    }
}

impl Hash for ProcessFacts {
    /// What they come to. How long ago an exit was is of no effect.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { status, alive, starts, failures, restarts, exits, .. } = self;
        let alive = alive.map(|(process, _)| process.generation);
        (status, alive, starts, failures, restarts, exits).hash(state);
        (self.next_restart, &self.reason).hash(state);
        // What has no checks has the numbers that it had before there were any.
        if self.ready.is_some() || self.waits_for.is_some() {
            (self.ready, &self.waits_for).hash(state);
        }
        if let Some(next) = &self.next_run {
            next.at.hash(state);
        }
    }
}

impl ProcessFacts {
    /// A process started.
    pub fn started(&mut self, process: ProcessRef, now: Now) {
        self.alive = Some((process, now));
        self.starts += 1;
        self.changed = true;
    }

    /// An earlier master counted so many starts, failures, restarts and exits.
    pub fn go_on(&mut self, counts: (u64, u64, u64, u64), last_exit: Option<LastExit>) {
        (self.starts, self.failures, self.restarts, self.exits) = counts;
        self.last_exit = last_exit;
        self.changed = true;
    }

    /// A process goes on that an earlier master had started.
    pub const fn goes_on(&mut self, process: ProcessRef, since: Now) {
        self.alive = Some((process, since));
        self.changed = true;
    }

    /// A process failed to start.
    pub fn not_started(&mut self, reason: &str, time: Wall) {
        self.failures += 1;
        self.last_exit = Some(LastExit { time, end: End::NotStarted(String::from(reason)) });
        self.changed = true;
    }

    /// The process exited. Returns whether that is shown: exits of processes of an earlier run of
    /// the master are not.
    pub fn exited(&mut self, exit: Exit, is_requested: bool, time: Wall) -> bool {
        if self.alive.take().is_none() {
            return false;
        }
        self.exits += 1;
        let end = if is_requested { End::Requested(exit) } else { End::Own(exit) };
        self.last_exit = Some(LastExit { time, end });
        self.changed = true;
        true
    }

    /// The restart timer ran out, and led to a start.
    pub fn restarted(&mut self) {
        self.restarts += 1;
        self.changed = true;
    }

    /// The restart timer was armed, or disarmed.
    pub fn set_next_restart(&mut self, next_restart: Option<(Wall, u64)>) {
        self.changed |= self.next_restart != next_restart;
        self.next_restart = next_restart;
    }

    /// The status that is shown from now on.
    pub fn set_status(&mut self, status: Status) {
        self.changed |= self.status != status;
        self.status = status;
    }

    /// Why the instance is in its status from now on.
    pub fn set_reason(&mut self, reason: Reason) {
        self.changed |= self.reason != reason;
        self.reason = reason;
    }

    /// The limit of restarts was reached, or no longer counts.
    pub fn set_limit_reached(&mut self, limit: Option<RestartLimit>) {
        self.changed |= self.limit_reached != limit;
        self.limit_reached = limit;
    }

    /// Whether it is ready from now on; `None` if it has no rule.
    pub fn set_ready(&mut self, ready: Option<bool>) {
        self.changed |= self.ready != ready;
        self.ready = ready;
    }

    /// What its start waits for from now on.
    pub fn set_waits_for(&mut self, waits_for: Option<Box<str>>) {
        self.changed |= self.waits_for != waits_for;
        self.waits_for = waits_for;
    }

    /// What its schedule waits for from now on.
    pub fn set_next_run(&mut self, next: Option<Box<NextRun>>) {
        self.changed |= self.next_run != next;
        self.next_run = next;
    }

    /// Whether it is ready: running and, if it has a rule for that, by its rule.
    pub fn is_ready(&self) -> bool {
        self.status == Status::Running && self.ready != Some(false)
    }

    /// Why the instance is in its status and what comes next, in words; empty if there is nothing
    /// to say.
    pub fn explanation(&self) -> String {
        let mut parts = alloc::vec![self.reason.to_string()];
        if let Some(name) = &self.waits_for {
            parts.push(format!("waiting for {name} to be ready"));
        }
        if self.status == Status::Running && self.ready == Some(false) {
            parts.push("not ready yet".to_string());
        }
        if let Some(next) = self.next_run.as_ref().filter(|_| self.alive.is_none()) {
            parts.push(format!("waits for {}", next.text));
        }
        if let Some((due, _)) = self.next_restart {
            parts.push(format!("restart due at {due}"));
        }
        if let Some(RestartLimit { max, window_ms }) = self.limit_reached {
            let seconds = window_ms / 1_000;
            parts.push(format!(
                "not restarted: the limit of {max} restarts in {seconds} s is reached; start it to try again"
            ));
        }
        parts.retain(|part| !part.is_empty());
        parts.join("; ")
    }

    /// Whether something changed since the last time this was asked.
    pub fn take_changed(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }
}

/// The current run and the last past ones.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    pub(super) facts: ProcessFacts,
    current: Option<Run>,
    ended: VecDeque<RunRecord>,
}

impl Runs {
    /// No run that is remembered, with these facts.
    pub(super) const fn with_facts(facts: ProcessFacts) -> Self {
        Self { facts, current: None, ended: VecDeque::new() }
    }

    /// The facts that are shown.
    pub const fn facts(&self) -> &ProcessFacts {
        &self.facts
    }

    /// The facts, to change them.
    pub const fn facts_mut(&mut self) -> &mut ProcessFacts {
        &mut self.facts
    }

    /// The run under way.
    pub const fn current(&self) -> Option<&Run> {
        self.current.as_ref()
    }

    /// The last past runs, oldest first.
    pub fn ended(&self) -> impl ExactSizeIterator<Item = &RunRecord> {
        self.ended.iter()
    }

    /// A run begins.
    pub const fn begin(&mut self, run: Run) {
        self.current = Some(run);
    }

    /// The process of the run under way reported.
    pub const fn seen(&mut self, now: Now) {
        if let Some(run) = &mut self.current {
            run.last_seen = now;
        }
    }

    /// The current run has ended. Keeps at most `history` records.
    pub fn end(&mut self, exit: Exit, requested: Option<Why>, now: Now, history: u16) {
        if let Some(run) = self.current.take() {
            self.ended.push_back(RunRecord { run, ended: now, exit, requested });
        }
        self.keep(history);
    }

    /// Forgets all but the last `history` records.
    pub fn keep(&mut self, history: u16) {
        let surplus = self.ended.len().saturating_sub(history.into());
        self.ended.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Generation, RunId};
    use crate::instance::RunOrigin;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn run(number: u64) -> Run {
        Run {
            id: RunId(number.into()),
            generation: Generation(number),
            origin: RunOrigin::Spawned,
            started: Now::default(),
            last_seen: Now::default(),
        }
    }

    #[test]
    fn an_explanation_names_the_cause_and_what_comes_next() {
        let mut facts = ProcessFacts::default();
        assert_eq!(facts.explanation(), "");
        facts.set_reason(Reason::Exited(Exit::Code(1)));
        assert_eq!(facts.explanation(), "exited with code 1");
        facts.set_next_restart(Some((Wall::from_micros(2_000_000), 2_000)));
        let due = "exited with code 1; restart due at 1970-01-01T00:00:02.000000Z";
        assert_eq!(facts.explanation(), due);
        facts.set_next_restart(None);
        facts.set_limit_reached(Some(RestartLimit { max: 5, window_ms: 60_000 }));
        let reached = "exited with code 1; not restarted: the limit of 5 restarts in 60 s is \
                       reached; start it to try again";
        assert_eq!(facts.explanation(), reached);
    }

    proptest! {
        #[test]
        fn the_last_runs_are_remembered_in_order(count in 0u64..30, history in 0u16..12) {
            let mut runs = Runs::default();
            for number in 0..count {
                runs.begin(run(number));
                runs.end(Exit::Code(0), None, Now::default(), history);
            }
            let kept: Vec<u64> = runs.ended().map(|record| record.run.generation.0).collect();
            let first = count.saturating_sub(history.into());
            prop_assert_eq!(kept, (first..count).collect::<Vec<_>>());
            prop_assert!(runs.current().is_none());
        }
    }
}
