//! Why a master cannot use its state directory.

use std::fmt;
use std::io;
use std::path::PathBuf;

use openctrl_core::store::DecodeError;

/// What was attempted, on what, and what to do about it.
#[derive(Debug)]
pub(crate) enum StoreError {
    /// A file or directory could not be read or written.
    Io(&'static str, PathBuf, io::Error),
    /// Another master holds the directory.
    Locked(PathBuf),
    /// Neither the state file nor its backup can be read.
    Unreadable(Box<Unreadable>),
    /// There is the state of the Go master, and none of ours.
    Foreign(PathBuf),
}

/// A state file that cannot be read, and why its backup is no help.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) file: PathBuf,
    pub(crate) reason: DecodeError,
    pub(crate) backup: Option<DecodeError>,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(attempt, path, error) => {
                write!(f, "cannot {attempt} {}: {error}", path.display())
            }
            Self::Locked(path) => write!(
                f,
                "another master holds the state directory {}: stop it, or give this one its own \
                 with state=<dir>",
                path.display()
            ),
            Self::Unreadable(unreadable) => unreadable.fmt(f),
            Self::Foreign(path) => write!(
                f,
                "{} was written by the Go master and cannot be taken over by this version. \
                 Nothing was changed. Use another directory with state=<dir>, or move the file \
                 away to start with a new key and no instances",
                path.display()
            ),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read the state in {}: {}; ", self.file.display(), self.reason)?;
        match &self.backup {
            Some(reason) => write!(f, "its backup cannot be read either: {reason}")?,
            None => f.write_str("there is no backup")?,
        }
        f.write_str(
            ". Nothing was changed. Put a good copy in its place, or move both away to start with \
             a new key and no instances",
        )
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, _, error) => Some(error),
            Self::Unreadable(unreadable) => Some(&unreadable.reason),
            Self::Locked(_) | Self::Foreign(_) => None,
        }
    }
}
