//! Why a command failed, as one line and an exit status.

use std::fmt;
use std::io;

/// An error. The text is one line with the remedy; the kind determines the exit status, which is
/// part of the interface (docs/operators/CLI.md).
#[derive(Debug)]
pub(crate) enum Failure {
    /// 1: the master turned it down, or something on this machine did.
    Refused(String),
    /// 1: some of several failed, and each was reported.
    Partial,
    /// 2: the command line or the configuration makes no sense.
    Usage(String),
    /// 3: no master was found, or it cannot be reached.
    Unreachable(String),
    /// 4: the key is missing or wrong.
    Key(String),
    /// 5: no such instance, or several.
    Missing(String),
    /// 6: timeout.
    TimedOut(String),
    /// 2: a plan has changes, which were shown.
    Changes,
    /// 0: the reader closed the pipe, as `| head` does.
    NobodyReads,
}

impl Failure {
    /// The exit status.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::NobodyReads => 0,
            Self::Refused(_) | Self::Partial => 1,
            Self::Usage(_) | Self::Changes => 2,
            Self::Unreachable(_) => 3,
            Self::Key(_) => 4,
            Self::Missing(_) => 5,
            Self::TimedOut(_) => 6,
        }
    }

    /// The message of the master, with its subject: an instance, or a word of the command line.
    pub(crate) fn of(self, what: &str) -> Self {
        match self {
            Self::Refused(reason) => Self::Refused(format!("{what}: {reason}")),
            Self::Missing(reason) => Self::Missing(format!("{what}: {reason}")),
            Self::TimedOut(reason) => Self::TimedOut(format!("{what}: {reason}")),
            Self::Partial
            | Self::Changes
            | Self::Usage(_)
            | Self::Unreachable(_)
            | Self::Key(_)
            | Self::NobodyReads => self,
        }
    }

    /// Whether there is an error that was not reported yet.
    pub(crate) const fn is_silent(&self) -> bool {
        matches!(self, Self::Partial | Self::Changes | Self::NobodyReads)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(text)
            | Self::Usage(text)
            | Self::Unreachable(text)
            | Self::Key(text)
            | Self::Missing(text)
            | Self::TimedOut(text) => f.write_str(text),
            Self::Partial => f.write_str("some of it failed"),
            Self::Changes => f.write_str("there are changes"),
            Self::NobodyReads => f.write_str("the reader closed the pipe"),
        }
    }
}

impl std::error::Error for Failure {}

/// What became of a write to standard output.
pub(crate) fn written(result: io::Result<()>) -> Result<(), Failure> {
    result.map_err(|error| {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::NobodyReads;
        }
        Failure::Refused(format!("cannot write the output: {error}"))
    })
}
