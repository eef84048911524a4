//! How it is known that an instance is alive and well.
//!
//! Values only; the engine turns them into timers and decisions.

use alloc::string::String;

use super::checks::Checks;
use super::launch::Launch;
use crate::limits::SILENCE_MS;

/// How the master detects that an instance is alive and healthy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Liveness {
    /// The process that was started; nothing is expected of it.
    Exit,
    /// The process that was started, and what it prints (Contract §6, §7).
    Checkpoint {
        /// How long it may be silent after its first checkpoint.
        silence_ms: u64,
        /// Whether a line that is marked as an error is a failure.
        error_mark: bool,
    },
    /// By a process whose id is in a file.
    PidFile {
        /// The file.
        path: String,
        /// How often it is read.
        every_ms: u64,
        /// Whether only a process that runs the program of the instance counts.
        verify: bool,
    },
    /// By reports of the process.
    Beat {
        /// How its reports arrive.
        via: BeatVia,
        /// How long it may be silent.
        timeout_ms: u64,
        /// How long it may be silent after a start.
        grace_ms: u64,
    },
    /// A command that is run every now and then.
    Probe {
        /// How often.
        every_ms: u64,
        /// How long it may take.
        timeout_ms: u64,
    },
}

/// How the reports of a process arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BeatVia {
    /// As HTTP requests.
    Http,
    /// As datagrams.
    Udp,
}

impl Liveness {
    /// The rules for what is launched if nothing else is asked for: those of the v2 API, which
    /// leave a line with `ERROR` in it to runtimes (Contract §6). Of a command a line is an error
    /// if it has a pattern for them.
    pub fn of(launch: &Launch, checks: &Checks) -> Self {
        let error_mark = !launch.is_command() || checks.error.is_some();
        Self::Checkpoint { silence_ms: SILENCE_MS, error_mark }
    }

    /// How long the instance may be silent after its first checkpoint, in ms; `None` if nothing
    /// is expected of its output.
    pub const fn silence_ms(&self) -> Option<u64> {
        match self {
            Self::Checkpoint { silence_ms, .. } => Some(*silence_ms),
            Self::Exit | Self::PidFile { .. } | Self::Beat { .. } | Self::Probe { .. } => None,
        }
    }

    /// Whether a line with `ERROR` in it is a failure.
    pub const fn heeds_errors(&self) -> bool {
        matches!(self, Self::Checkpoint { error_mark: true, .. })
    }
}
