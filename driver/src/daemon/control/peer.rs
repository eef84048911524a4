//! Who is at the other end of a Unix socket, and whether it may change something.

use openctrl_core::command::{Caller, Door, Trust};
use tokio::net::UnixStream;

use crate::promises::peer_groups;

/// Who may change something, beside root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writers {
    /// The user of the master.
    pub(crate) uid: u32,
    /// The group of `control_group`.
    pub(crate) gid: Option<u32>,
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    /// As the engine is told.
    pub(super) caller: Caller,
    /// Whether it may change something.
    pub(super) may_write: bool,
}

impl Writers {
    /// Who the peer of a connection is, and whether it is one of them. What cannot be found out is
    /// no.
    pub(super) fn admit(self, stream: &UnixStream) -> Peer {
        let Ok(peer) = stream.peer_cred() else {
            let trust = Trust::Open;
            return Peer { caller: Caller { door: Door::Control, trust }, may_write: false };
        };
        let is_member = |gid: u32| {
            peer.gid() == gid || peer_groups(stream).is_ok_and(|groups| groups.contains(&gid))
        };
        let may_write =
            peer.uid() == 0 || peer.uid() == self.uid || self.gid.is_some_and(is_member);
        let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok()).unwrap_or_default();
        let trust = Trust::Peer { uid: peer.uid(), gid: peer.gid(), pid };
        Peer { caller: Caller { door: Door::Control, trust }, may_write }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_user_of_the_master_may_write() {
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        let uid = rustix::process::getuid().as_raw();
        assert!(Writers { uid, gid: None }.admit(&ours).may_write);
        // Another user may not, unless it is root or in the group.
        let stranger = Writers { uid: uid.wrapping_add(1), gid: None };
        assert_eq!(stranger.admit(&ours).may_write, uid == 0);
        let gid = Some(rustix::process::getgid().as_raw());
        assert!(Writers { uid: uid.wrapping_add(1), gid }.admit(&ours).may_write);
        assert!(peer_groups(&ours).is_ok());
    }
}
