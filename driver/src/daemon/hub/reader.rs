//! The readers of the hub.

use openctrl_core::access::TokenDigest;
use openctrl_core::doors::v2::Secrets;
use openctrl_core::ids::KeyEpoch;

/// A reader, as far as the hub distinguishes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Presented the API key of this epoch.
    Key(KeyEpoch),
    /// Presented the token with this digest.
    Token(TokenDigest),
    /// The user of the master, or root, over the Unix socket.
    Peer,
}

impl Reader {
    /// Only holders of the key see it, and the secrets of instances.
    pub(crate) const fn secrets(self) -> Secrets {
        match self {
            Self::Key(_) => Secrets::Shown,
            Self::Token(_) | Self::Peer => Secrets::Masked,
        }
    }
}
