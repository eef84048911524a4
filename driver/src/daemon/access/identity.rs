//! The authenticated sender of a request.

use std::borrow::Cow;

use openctrl_core::access::{Role, Token};
use openctrl_core::command::{Caller, Door, Trust};
use openctrl_core::doors::v2::{Endpoint, Rejection};
use openctrl_core::ids::KeyEpoch;

use crate::daemon::hub::Reader;

/// The credential that a request was authenticated by.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    /// The API key of this epoch.
    Key(KeyEpoch),
    /// A token.
    Token(Token),
    /// The peer credentials of the Unix socket.
    Peer(Trust),
}

impl Identity {
    /// How the audit log names it.
    pub(crate) fn name(&self) -> Cow<'static, str> {
        match self {
            Self::Key(_) => "key".into(),
            Self::Token(token) => format!("token:{}", token.name).into(),
            Self::Peer(Trust::Peer { uid, .. }) => format!("user:{uid}").into(),
            Self::Peer(_) => "-".into(),
        }
    }

    /// Its form for the engine.
    pub(crate) const fn caller(&self) -> Caller {
        let trust = match self {
            Self::Key(epoch) => Trust::Key(*epoch),
            Self::Token(token) => Trust::Token(token.role),
            Self::Peer(trust) => *trust,
        };
        Caller { door: Door::V2, trust }
    }

    /// Its form for the hub.
    pub(crate) const fn reader(&self) -> Reader {
        match self {
            Self::Key(epoch) => Reader::Key(*epoch),
            Self::Token(token) => Reader::Token(token.digest),
            Self::Peer(_) => Reader::Peer,
        }
    }

    /// Checks its rights.
    ///
    /// # Errors
    /// 403 if the role of the token is not sufficient.
    pub(crate) fn check(&self, endpoint: Endpoint) -> Result<(), Rejection> {
        match self {
            Self::Token(token) => endpoint.check(token.role),
            Self::Key(_) | Self::Peer(_) => endpoint.check(Role::Admin),
        }
    }
}
