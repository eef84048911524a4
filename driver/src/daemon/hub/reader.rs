//! The readers of the hub.

use openctrl_core::access::TokenDigest;
use openctrl_core::ids::KeyEpoch;

/// A reader, as far as the hub distinguishes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Presented the API key of this epoch. Only such a reader sees the key itself.
    Key(KeyEpoch),
    /// Presented the token with this digest.
    Token(TokenDigest),
    /// The user of the master, or root, over the Unix socket.
    Peer,
}

impl Reader {
    pub(crate) const fn sees_key(self) -> bool {
        matches!(self, Self::Key(_))
    }
}
