//! Where an instance is in its life, as a pair of its process and its health.

use core::fmt;

use super::health::{Health, Status};
use super::process_table::Process;

/// Where an instance is in its life: its process and its health.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct State {
    /// Its process.
    pub process: Process,
    /// Its health.
    pub health: Health,
}

impl State {
    /// No process, and none is desired.
    pub const STOPPED: Self = Self::of(Process::Absent, Health::Unknown);
    /// A process was asked for.
    pub const STARTING: Self = Self::of(Process::Spawning, Health::Unknown);
    /// Like `STARTING`, after a failure.
    pub const RETRYING: Self = Self::of(Process::Spawning, Health::Failed);
    /// A stop came while a process was being started.
    pub const CANCELLING: Self = Self::of(Process::Cancelled, Health::Unknown);
    /// A process is alive and well.
    pub const RUNNING: Self = Self::of(Process::Live, Health::Well);
    /// A process is alive, but printed an error or fell silent.
    pub const FAILING: Self = Self::of(Process::Live, Health::Failing);
    /// A running process was asked to exit.
    pub const STOPPING: Self = Self::of(Process::Ending, Health::Well);
    /// A failing process was asked to exit.
    pub const STOPPING_FAILING: Self = Self::of(Process::Ending, Health::Failing);
    /// A process that was started after its stop, or was found, was asked to exit.
    pub const DISCARDING: Self = Self::of(Process::Ending, Health::Unknown);
    /// No process: the last one failed, or did not start.
    pub const FAILED: Self = Self::of(Process::Absent, Health::Failed);

    /// Every pair of process and health that occurs, with its name.
    const NAMED: [(Self, &'static str); 10] = [
        (Self::STOPPED, "Stopped"),
        (Self::STARTING, "Starting"),
        (Self::RETRYING, "Retrying"),
        (Self::CANCELLING, "Cancelling"),
        (Self::RUNNING, "Running"),
        (Self::FAILING, "Failing"),
        (Self::STOPPING, "Stopping"),
        (Self::STOPPING_FAILING, "StoppingFailing"),
        (Self::DISCARDING, "Discarding"),
        (Self::FAILED, "Failed"),
    ];

    /// Every pair of process and health that occurs. The order is part of the trace format.
    pub const ALL: [Self; 10] = {
        let mut all = [Self::STOPPED; 10];
        let mut place = 0;
        while place < all.len() {
            all[place] = Self::NAMED[place].0;
            place += 1;
        }
        all
    };

    const fn of(process: Process, health: Health) -> Self {
        Self { process, health }
    }

    /// What clients of the v2 API are shown in this state.
    pub const fn status(self) -> Status {
        self.health.status()
    }

    /// Whether a process is alive, or being started.
    pub const fn has_process(self) -> bool {
        self.process.is_there()
    }

    /// Whether a process is being started and the outcome is not known.
    pub const fn is_spawning(self) -> bool {
        self.process.is_spawning()
    }

    /// Whether a start by request does something: it is shown as stopped, and no start is under
    /// way (Contract §5).
    pub fn accepts_start(self) -> bool {
        self.status() == Status::Stopped && self.process != Process::Spawning
    }

    /// Whether a stop is under way.
    pub const fn is_stopping(self) -> bool {
        self.process.is_stopping()
    }
}

impl fmt::Debug for State {
    /// The name of the pair.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMED.iter().find(|(state, _)| state == self) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "{:?}+{:?}", self.process, self.health),
        }
    }
}
