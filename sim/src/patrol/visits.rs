//! What runs of this world went through: the kinds of inputs and effects that only apps and services
//! have, and every kind of trouble.

use std::fmt;

use openctrl_core::command::Command;
use openctrl_core::engine::{Effect, Input};

/// Kinds of inputs, commands and effects that only apps and services have.
pub const KINDS: [&str; 10] = [
    "PidTold",
    "PidFileRead",
    "TrackedGone",
    "VerbEnded",
    "Configured",
    "Desire",
    "Track",
    "ReadPidFile",
    "RunVerb",
    "ShowRun",
];

/// Trouble, and other things that have to happen now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    FileTorn,
    FileForeign,
    FileReused,
    FileLate,
    PingDouble,
    PingLate,
    PingOfStranger,
    PingWithoutPid,
    PingExpired,
    VerbHangs,
    VerbFails,
    ServiceFlips,
    StaleCas,
    GroupLeft,
    StartFails,
    DiskRefuses,
    MasterKilled,
    LeavesProcesses,
    WallSteps,
    Shutdown,
}

impl Trouble {
    const ALL: [(Self, &str); 20] = [
        (Self::FileTorn, "a pid file is read before all of it is written"),
        (Self::FileForeign, "a pid file names a process of nobody"),
        (Self::FileReused, "a pid file names a process that has the number of another one"),
        (Self::FileLate, "a pid file is written after it was read"),
        (Self::PingDouble, "a ping arrives twice"),
        (Self::PingLate, "a ping arrives after the process ended"),
        (Self::PingOfStranger, "a ping names a process of nobody"),
        (Self::PingWithoutPid, "a ping names no process"),
        (Self::PingExpired, "an app stays silent for too long"),
        (Self::VerbHangs, "a command of a service hangs until its limit"),
        (Self::VerbFails, "a command of a service fails"),
        (Self::ServiceFlips, "a service goes up or down by itself"),
        (Self::StaleCas, "a request has another CAS"),
        (Self::GroupLeft, "a process leaves others of its group"),
        (Self::StartFails, "an app cannot be started"),
        (Self::DiskRefuses, "the disk refuses"),
        (Self::MasterKilled, "the master is killed"),
        (Self::LeavesProcesses, "it leaves processes behind"),
        (Self::WallSteps, "the wall clock steps"),
        (Self::Shutdown, "the master is shut down"),
    ];
}

/// How often each thing happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Visits {
    kinds: [u64; KINDS.len()],
    troubles: [u64; Trouble::ALL.len()],
}

impl Visits {
    pub(super) fn happened(&mut self, trouble: Trouble) {
        self.troubles[trouble as usize] += 1;
    }

    pub(super) fn input(&mut self, input: &Input) {
        self.kind(Input::KINDS[input.kind()]);
        if let Input::RequestArrived { command, .. } = input {
            self.kind(Command::KINDS[command.kind()]);
        }
    }

    pub(super) fn effect(&mut self, effect: &Effect) {
        self.kind(Effect::KINDS[effect.kind()]);
    }

    fn kind(&mut self, name: &str) {
        if let Some(place) = KINDS.iter().position(|kind| *kind == name) {
            self.kinds[place] += 1;
        }
    }

    /// Takes in what another run went through.
    pub fn add(&mut self, other: &Self) {
        self.kinds.iter_mut().zip(other.kinds).for_each(|(sum, more)| *sum += more);
        self.troubles.iter_mut().zip(other.troubles).for_each(|(sum, more)| *sum += more);
    }

    /// What never happened.
    pub fn missed(&self) -> Vec<String> {
        let kinds = KINDS.iter().zip(self.kinds).filter(|(_, count)| *count == 0);
        let kinds = kinds.map(|(name, _)| format!("of Patrol: {name}"));
        let troubles = Trouble::ALL.iter().zip(self.troubles).filter(|(_, count)| *count == 0);
        kinds.chain(troubles.map(|((_, words), _)| format!("trouble of Patrol: {words}"))).collect()
    }
}

impl fmt::Display for Visits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<String> =
            KINDS.iter().zip(self.kinds).map(|(name, count)| format!("{name} {count}")).collect();
        write!(f, "of Patrol {}", kinds.join(", "))?;
        for ((_, words), count) in Trouble::ALL.iter().zip(self.troubles) {
            write!(f, "\n  {count:>8}  {words}")?;
        }
        Ok(())
    }
}
