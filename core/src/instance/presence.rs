//! Facts about an instance that the server does not only start, but finds: by a pid file, by its
//! own reports or by a command; and the runs of an instance from a configuration file.
//!
//! Values and small decisions; the engine changes them (`engine::presence`). Instances of the v2
//! API have one of these that never changes.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::hash::{Hash, Hasher};

use super::decide::{Decision, Why};
use super::desired::Desired;
use super::liveness::Liveness;
use super::process_table::Process;
use super::section::Values;
use crate::ids::{RequestId, RunId};
use crate::process::Identity;
use crate::time::{Time, Wall};

/// The facts about one instance.
#[derive(Clone, Debug, Default, Hash)]
pub struct Presence {
    /// The run under way.
    pub run: Option<OpenRun>,
    /// When an instance without a run was last heard of.
    pub heard: Option<Wall>,
    /// Whether the last sign of life was a report of the instance itself.
    pub by_report: bool,
    /// Whether the process that was started is alive.
    pub has_leader: bool,
    /// That process, once its number is known.
    pub leader: Option<Identity>,
    /// The process that a pid file or a report named, if it is proven to be the instance's.
    pub tracked: Option<Identity>,
    /// Whether starts wait.
    pub hold: Hold,
    /// The command of a service that is under way.
    pub verb: Option<VerbKind>,
    /// Whether a command of a service failed: it is tried again at the next look.
    pub retries: bool,
    /// Whether the process was asked to exit for a restart.
    pub restarting: bool,
    /// Whether the next start is one that the configuration or a request asks for: it does not
    /// wait for the back-off and does not count as a restart.
    pub start_requested: bool,
    /// The runs that ended, the oldest first.
    pub past: Arc<VecDeque<Arc<PastRun>>>,
    /// The desired state, with all pending changes.
    pub staged: Option<Desired>,
    /// Number of pending requested changes.
    pub pending: u32,
    /// Set while a requested change is applied: changes that follow from it count with it. Whether
    /// there were any.
    pub joined: Option<bool>,
    /// Number of pending records after which the instance is shown.
    pub unshown: u32,
    /// Answers that wait for those records: a client that has an answer reads the same state.
    pub answers: VecDeque<WaitingAnswer>,
    /// Whether a record could not be made durable: the desired state is saved again at the next
    /// tick.
    pub unsaved: bool,
    /// The past runs among those.
    pub unsaved_runs: VecDeque<Arc<PastRun>>,
}

/// An answer that waits until the instance is shown accordingly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WaitingAnswer {
    /// Whose.
    pub request: RequestId,
    /// The instance before the change.
    pub before: Box<RunShown>,
    /// Whether the CAS was not the expected one.
    pub is_stale: bool,
    /// Whether the answer is the instance after the change.
    pub shows_instance: bool,
}

/// Whether starts wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Hold {
    /// They do not.
    #[default]
    No,
    /// Until it is known whether the instance runs already.
    Look,
    /// Until instances that run already have had the time to report.
    Grace,
}

/// A run under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OpenRun {
    /// Its id.
    pub id: RunId,
    /// The number of its process; 0 as long as it is not known.
    pub pid: u32,
    /// When it began.
    pub started: Wall,
    /// When it was last seen, if it was since.
    pub last_seen: Option<Wall>,
    /// When it began or was last seen: silence counts from here.
    pub since: Time,
}

impl OpenRun {
    /// Whether it is known to be the run of another process.
    pub const fn is_of_another(&self, identity: Identity) -> bool {
        self.pid != 0 && self.pid != identity.pid
    }
}

/// A past run. Durable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PastRun {
    /// Its id.
    pub id: RunId,
    /// The number of its process; 0 if it was not known.
    pub pid: u32,
    /// When it began.
    pub started: Wall,
    /// When it was last seen, if it was.
    pub last_seen: Option<Wall>,
    /// The time of its end.
    pub stopped: Wall,
    /// Whether the instance was disabled then.
    pub disabled: bool,
    /// Whether a restart ended it.
    pub restart: bool,
    /// Whether it was a run-once run.
    pub once: bool,
    /// Whether the server was shutting down.
    pub shutdown: bool,
    /// The exit code; 255 for a signal, 0 where it is not known.
    pub exit_code: u8,
    /// The values of the instance at its end.
    pub values: Values,
}

/// A command of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VerbKind {
    /// Starts it.
    Start,
    /// Tells whether it runs.
    Status,
    /// Stops it.
    Stop,
    /// Restarts it.
    Restart,
}

/// A report of an instance: that it runs, and maybe as which process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beat {
    /// The number of its process, or 0.
    pub pid: u32,
    /// That process, if it is proven to be the instance's.
    pub proven: Option<Identity>,
}

/// The effect of a beat on the current run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeatStep {
    /// The run ended without being observed: it is closed and another one starts.
    Replace,
    /// A run begins.
    Begin,
    /// The run lives.
    Seen,
    /// There is no run, and no process to begin one with.
    Heard,
}

/// The current run and its surroundings, as shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunShown {
    /// The run under way.
    pub run: Option<OpenRun>,
    /// When an instance without a run was last heard of.
    pub heard: Option<Wall>,
    /// Whether the last sign of life was a report of the instance itself.
    pub by_report: bool,
    /// The process that was started, while it is alive.
    pub leader: Option<Identity>,
    /// Whether the run counts as seen at any moment: the server waits for its process.
    pub is_watched: bool,
    /// The desired state.
    pub desired: Arc<Desired>,
    /// The runs that ended, the oldest first.
    pub past: Arc<VecDeque<Arc<PastRun>>>,
    /// Whether the server is shutting down.
    pub draining: bool,
}

/// Takes in the number of runs that ended and the last of them: the others were taken in before, and
/// there can be a thousand at each report of an instance.
impl Hash for RunShown {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { run, heard, by_report, leader, is_watched, desired, past, draining } = self;
        (run, heard, by_report, leader, is_watched, desired, draining).hash(state);
        (past.len(), past.back()).hash(state);
    }
}

impl VerbKind {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Start, Self::Status, Self::Stop, Self::Restart];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Status => "status",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }
}

impl Presence {
    /// The effect of a beat.
    pub fn on_beat(&self, pid: u32) -> BeatStep {
        match &self.run {
            None if pid == 0 => BeatStep::Heard,
            None => BeatStep::Begin,
            Some(run) if pid == 0 || run.pid == 0 || run.pid == pid => BeatStep::Seen,
            Some(_) => BeatStep::Replace,
        }
    }

    /// Whether there is a process that signals can be sent to.
    pub const fn can_signal(&self) -> bool {
        self.has_leader || self.tracked.is_some()
    }

    /// Whether the process that a file or a report named is another one than was started.
    pub fn has_other_process(&self) -> bool {
        self.tracked.is_some() && self.tracked != self.leader
    }

    /// Whether the run under way is that of another process than was started, proven or not.
    pub fn run_has_other_pid(&self) -> bool {
        self.run.zip(self.leader).is_some_and(|(run, leader)| run.is_of_another(leader))
    }

    /// The part of a decision that is carried out: starts wait for the hold, and a process that
    /// cannot be signaled is not stopped, unless its master stops or it is deleted.
    pub const fn withhold(&self, process: Process, decision: Decision) -> Decision {
        match (process, decision) {
            (Process::Absent, Decision::Spawn | Decision::SpawnAt(_))
                if !matches!(self.hold, Hold::No) =>
            {
                Decision::Keep
            }
            (Process::Live, Decision::End(Why::Stop | Why::Restart)) if !self.can_signal() => {
                Decision::Keep
            }
            _ => decision,
        }
    }

    /// Adds a past run, the newest one.
    pub fn remember(&mut self, run: Arc<PastRun>) {
        Arc::make_mut(&mut self.past).push_back(run);
    }

    /// Keeps at most `most` past runs, the newest ones.
    pub fn keep(&mut self, most: usize) {
        let surplus = self.past.len().saturating_sub(most);
        if surplus > 0 {
            Arc::make_mut(&mut self.past).drain(..surplus);
        }
    }

    /// Removes the process, which has exited.
    pub const fn forget_process(&mut self) {
        self.has_leader = false;
        self.leader = None;
        self.tracked = None;
        self.restarting = false;
    }
}

impl Liveness {
    /// Whether an instance can run as another process than the one that was started.
    pub const fn tracks(&self) -> bool {
        matches!(self, Self::PidFile { .. } | Self::Beat { .. })
    }

    /// How often the instance is checked.
    pub const fn looks_every_ms(&self) -> Option<u64> {
        match self {
            Self::PidFile { every_ms, .. } | Self::Probe { every_ms, .. } => Some(*every_ms),
            Self::Exit | Self::Checkpoint { .. } | Self::Beat { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::BackoffPolicy;

    fn running(pid: u32) -> Presence {
        let run = OpenRun {
            id: RunId(1),
            pid,
            started: Wall::default(),
            last_seen: None,
            since: Time::ZERO,
        };
        Presence { run: Some(run), ..Presence::default() }
    }

    #[test]
    fn the_table_of_beats() {
        let none = Presence::default();
        let cases = [
            (&none, 0, BeatStep::Heard),
            (&none, 7, BeatStep::Begin),
            (&running(0), 0, BeatStep::Seen),
            (&running(0), 7, BeatStep::Seen),
            (&running(7), 0, BeatStep::Seen),
            (&running(7), 7, BeatStep::Seen),
            (&running(7), 70_000, BeatStep::Replace),
        ];
        for (presence, pid, expected) in cases {
            assert_eq!(presence.on_beat(pid), expected, "{presence:?} {pid}");
        }
    }

    #[test]
    fn starts_wait_for_the_hold_and_strangers_are_not_ended() {
        let held = Presence { hold: Hold::Look, ..Presence::default() };
        let spawn_at = Decision::SpawnAt(BackoffPolicy::default());
        for decision in [Decision::Spawn, spawn_at] {
            assert_eq!(held.withhold(Process::Absent, decision), Decision::Keep);
            assert_eq!(Presence::default().withhold(Process::Absent, decision), decision);
        }
        let stranger = running(7);
        for why in [Why::Stop, Why::Restart] {
            assert_eq!(stranger.withhold(Process::Live, Decision::End(why)), Decision::Keep);
        }
        let end = Decision::End(Why::Shutdown);
        assert_eq!(stranger.withhold(Process::Live, end), end);
        let known = Presence { has_leader: true, ..running(7) };
        let stop = Decision::End(Why::Stop);
        assert_eq!(known.withhold(Process::Live, stop), stop);
    }
}
