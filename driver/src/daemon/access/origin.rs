//! The other end of a connection.

use std::fmt;
use std::net::SocketAddr;

use nix::unistd::geteuid;
use openctrl_core::command::Trust;
use tokio::net::UnixStream;

/// The origin of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Over TCP.
    Tcp(SocketAddr),
    /// Over the Unix socket, with the credentials of the peer when it connected.
    Unix { uid: u32, gid: u32, pid: u32 },
    /// Over the Unix socket, without credentials of the peer.
    Unknown,
}

impl Origin {
    /// Reads the credentials of the peer of a Unix socket.
    pub(crate) fn of_peer(stream: &UnixStream) -> Self {
        let Ok(peer) = stream.peer_cred() else { return Self::Unknown };
        let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok()).unwrap_or_default();
        Self::Unix { uid: peer.uid(), gid: peer.gid(), pid }
    }

    /// The trust that needs no key: root and the user of the master can read the key in the state
    /// directory anyway.
    pub(crate) fn trust(self) -> Option<Trust> {
        match self {
            Self::Unix { uid, gid, pid } if uid == 0 || uid == geteuid().as_raw() => {
                Some(Trust::Peer { uid, gid, pid })
            }
            Self::Unix { .. } | Self::Unknown | Self::Tcp(_) => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().fmt(f),
            Self::Unix { uid, pid, .. } => write!(f, "unix:uid={uid},pid={pid}"),
            Self::Unknown => f.write_str("unix"),
        }
    }
}
