//! Why a master cannot use its state directory.

use std::path::PathBuf;
use std::{fmt, io};

use openctrl_core::store::{GobError, RecoveryError};

/// The failed action, its object, and the remedy.
#[derive(Debug)]
pub(crate) enum StoreError {
    /// A file or directory could not be read or written.
    Io(&'static str, PathBuf, io::Error),
    /// The directory is not there and cannot be made.
    NoDirectory(PathBuf, io::Error),
    /// Another master holds the directory.
    Locked(PathBuf),
    /// The files do not hold every change that was acknowledged.
    Unreadable(PathBuf, Box<RecoveryError>),
    /// There is a state of the Go master that cannot be taken over, and none of ours.
    Foreign(Vec<(PathBuf, GobError)>),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(attempt, path, error) => {
                write!(f, "cannot {attempt} {}: {error}", path.display())
            }
            Self::NoDirectory(path, error) => write!(
                f,
                "cannot make the state directory {}: {error}; choose another one with state=<dir> \
                 in the URL of the master, or --state DIR for openctrl patrol",
                path.display()
            ),
            Self::Locked(path) => write!(
                f,
                "another master holds the state directory {}: stop it, or give this one its own \
                 with state=<dir> in its URL, or --state DIR for openctrl patrol",
                path.display()
            ),
            Self::Unreadable(path, reason) => write!(
                f,
                "the state in {0} is not complete: {reason}. Nothing was changed. Put missing \
                 or damaged files back from a copy, see what 'openctrl state repair {0}' can keep, \
                 or start with a new key and no instances by moving openctrl.state* and \
                 openctrl.journal.* away",
                path.display()
            ),
            Self::Foreign(files) => {
                f.write_str("cannot take over the state of the Go master: ")?;
                for (path, reason) in files {
                    write!(f, "{}: {reason}; ", path.display())?;
                }
                f.write_str(
                    "nothing was changed. Put a good copy in its place, use another directory with \
                     state=<dir>, or move the file away to start with a new key and no instances",
                )
            }
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, _, error) | Self::NoDirectory(_, error) => Some(error),
            Self::Unreadable(_, reason) => Some(reason),
            Self::Locked(_) | Self::Foreign(_) => None,
        }
    }
}
