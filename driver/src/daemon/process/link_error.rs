//! Why a master has no keeper, for people.

use std::fmt;
use std::io;
use std::path::PathBuf;

use openctrl_core::keeper::{Turned, VERSION};

/// Why there is no keeper.
#[derive(Debug)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has keepers"))]
pub(crate) enum LinkError {
    /// Something else listens on the socket.
    Stranger(PathBuf, String),
    /// What listens on the socket closes the connection.
    Closed(PathBuf),
    /// The running keeper refuses the orders of this master.
    Turned(PathBuf, Turned, u16),
    /// A file that is not a socket has this path.
    NoSocket(PathBuf),
    /// There is none, and none can be started.
    NotStarted(&'static str, PathBuf, io::Error),
    Io(&'static str, PathBuf, io::Error),
}

impl LinkError {
    /// Whether there was no keeper, and a new one could not be started.
    pub(crate) const fn is_of_a_new_one(&self) -> bool {
        matches!(self, Self::NotStarted(..))
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stranger(path, what) => write!(
                f,
                "the process that listens on {} is no keeper of this program ({what}); end that \
                 process or remove the file",
                path.display()
            ),
            Self::Closed(path) => write!(
                f,
                "the process that listens on {} closes the connection; end that process or remove \
                 the file",
                path.display()
            ),
            Self::Turned(path, why, version) => {
                write!(f, "the keeper that listens on {} ", path.display())?;
                match why {
                    Turned::Version => write!(
                        f,
                        "speaks version {version} and this program version {VERSION}; start the \
                         program that it belongs to, stop that master, and start this one"
                    ),
                    Turned::Busy => f.write_str("serves another master; stop that one first"),
                    Turned::User => {
                        f.write_str("runs as another user; start the master as that user")
                    }
                }
            }
            Self::NoSocket(path) => write!(
                f,
                "{} is in the way and is no socket; remove it or choose another state directory",
                path.display()
            ),
            Self::NotStarted(attempt, path, error) | Self::Io(attempt, path, error) => {
                write!(
                    f,
                    "cannot {attempt} {}: {error}; survive=off goes without it",
                    path.display()
                )
            }
        }
    }
}

impl std::error::Error for LinkError {}
