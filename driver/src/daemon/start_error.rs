//! Why a master does not start, or does not end well: one line with the remedy, and the exit status.

use std::{fmt, io};

use openctrl_core::url::MasterUrlError;

use crate::daemon::control::ListenError;
use crate::daemon::patrol::SetupError;
use crate::daemon::process::LinkError;
use crate::daemon::tls::TlsError;
use crate::daemon::webhook::WebhookError;
use crate::state::StoreError;

/// Why a master does not start, or does not end well.
#[derive(Debug)]
pub(crate) enum StartError {
    Url(MasterUrlError),
    Store(StoreError),
    Tls(TlsError),
    Bind(String, io::Error),
    Control(ListenError),
    Patrol(SetupError),
    /// A Patrol server has no working directory.
    NoDirectory(io::Error),
    Keeper(LinkError),
    Socket(ListenError),
    Webhook(WebhookError),
    System(&'static str, io::Error),
    /// The processes that run on after the end.
    CannotEnd(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Keeper(error) => error.fmt(f),
            Self::Webhook(error) => error.fmt(f),
            Self::Control(error @ ListenError::NoGroup(_)) => error.fmt(f),
            Self::Control(error) => write!(f, "control: {error}"),
            Self::Socket(error) => write!(f, "socket: {error}"),
            Self::Bind(address, error) if error.kind() == io::ErrorKind::AddrInUse => write!(
                f,
                "cannot listen on {address}: address in use; stop the other program or choose \
                 another port"
            ),
            Self::Bind(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Patrol(error) => error.fmt(f),
            Self::NoDirectory(error) => write!(f, "there is no working directory: {error}"),
            Self::System(attempt, error) => write!(f, "cannot {attempt}: {error}"),
            Self::CannotEnd(names) => {
                write!(
                    f,
                    "these processes cannot be killed and still run: {names}; kill them by hand"
                )
            }
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Url(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::Tls(error) => Some(error),
            Self::Control(error) | Self::Socket(error) => Some(error),
            Self::Patrol(error) => Some(error),
            Self::Keeper(error) => Some(error),
            Self::Webhook(error) => Some(error),
            Self::Bind(_, error) | Self::System(_, error) | Self::NoDirectory(error) => Some(error),
            Self::CannotEnd(_) => None,
        }
    }
}

impl StartError {
    /// The exit status of a master that does not start.
    pub(crate) const fn exit_status(&self) -> u8 {
        match self {
            Self::Patrol(error) => error.exit_status(),
            Self::NoDirectory(_) => 250,
            Self::Url(_)
            | Self::Store(_)
            | Self::Tls(_)
            | Self::Socket(_)
            | Self::Control(_)
            | Self::Keeper(_)
            | Self::Webhook(_)
            | Self::Bind(..)
            | Self::System(..)
            | Self::CannotEnd(_) => 1,
        }
    }
}

impl From<ListenError> for StartError {
    fn from(error: ListenError) -> Self {
        Self::Control(error)
    }
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
