//! What became of the processes of an instance: facts about the world, for people to look at.
//!
//! Nothing here is a state to come back to: it is not durable, begins anew with every run of the
//! master, and decides nothing. Figures that only the system knows (CPU, memory) are the driver's.

use alloc::string::String;

use super::view::Status;
use crate::ids::ProcessRef;
use crate::process::Exit;
use crate::time::{Now, Wall};

/// What there is to know of the processes of one instance, in this run of the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessFacts {
    /// What the instance is shown as.
    pub status: Status,
    /// The process that is alive, and since when.
    pub alive: Option<(ProcessRef, Now)>,
    /// How many processes came to life.
    pub starts: u64,
    /// How many starts failed.
    pub failures: u64,
    /// How often the restart timer had it started again.
    pub restarts: u64,
    /// How many processes ended.
    pub exits: u64,
    /// How the last one ended, or did not start.
    pub last_exit: Option<LastExit>,
    /// When it is started again, and how long that was from when it was decided.
    pub next_restart: Option<(Wall, u64)>,
    /// Whether it is still to be shown.
    pub(crate) changed: bool,
}

/// The end of a process, or of an attempt to start one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastExit {
    /// When the master learned of it.
    pub time: Wall,
    /// How it came about.
    pub end: End,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, or by somebody else's signal.
    Own(Exit),
    /// In the course of a stop, whatever for.
    Requested(Exit),
    /// It never came to life, and why.
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
            changed: true,
        }
    }
}

impl ProcessFacts {
    /// A process came to life.
    pub fn started(&mut self, process: ProcessRef, now: Now) {
        self.alive = Some((process, now));
        self.starts += 1;
        self.changed = true;
    }

    /// No process came to life.
    pub fn not_started(&mut self, reason: &str, time: Wall) {
        self.failures += 1;
        self.last_exit = Some(LastExit { time, end: End::NotStarted(String::from(reason)) });
        self.changed = true;
    }

    /// The process ended; one that was left behind by an earlier run is not spoken of.
    pub fn exited(&mut self, exit: Exit, is_requested: bool, time: Wall) {
        if self.alive.take().is_none() {
            return;
        }
        self.exits += 1;
        let end = if is_requested { End::Requested(exit) } else { End::Own(exit) };
        self.last_exit = Some(LastExit { time, end });
        self.changed = true;
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

    /// What the instance is shown as from now on.
    pub fn set_status(&mut self, status: Status) {
        self.changed |= self.status != status;
        self.status = status;
    }

    /// Whether something changed since the last time this was asked.
    pub fn take_changed(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }
}
