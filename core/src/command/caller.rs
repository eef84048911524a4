//! The sender of a command, as far as the door knows.

use crate::access::Role;
use crate::ids::KeyEpoch;

/// Who sent a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The door that it came through.
    pub door: Door,
    /// Why the door let it in.
    pub trust: Trust,
}

/// A door of the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The REST API.
    V2,
    /// The Patrol API.
    Patrol,
    /// The control API.
    Control,
}

/// Why a caller was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It presented the API key of this epoch. The engine refuses a key that was replaced since.
    Key(KeyEpoch),
    /// It presented a token of this role. The engine refuses commands that take another role.
    Token(Role),
    /// It is a process of this machine, by the word of the system.
    Peer {
        /// Its user.
        uid: u32,
        /// Its group.
        gid: u32,
        /// Its process id when it connected.
        pid: u32,
    },
    /// The door accepts everyone who can reach it.
    Open,
}

impl Caller {
    /// A client of the REST API that presented the key of an epoch.
    pub const fn v2(epoch: KeyEpoch) -> Self {
        Self { door: Door::V2, trust: Trust::Key(epoch) }
    }
}
