//! Who is at the other end of a Unix socket, and whether it may change something.

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

impl Writers {
    /// Whether the peer of a connection is one of them. What cannot be found out is no.
    pub(super) fn admit(self, stream: &UnixStream) -> bool {
        let Ok(peer) = stream.peer_cred() else { return false };
        let is_member = |gid: u32| {
            peer.gid() == gid || peer_groups(stream).is_ok_and(|groups| groups.contains(&gid))
        };
        peer.uid() == 0 || peer.uid() == self.uid || self.gid.is_some_and(is_member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_user_of_the_master_may_write() {
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        let uid = rustix::process::getuid().as_raw();
        assert!(Writers { uid, gid: None }.admit(&ours));
        // Another user may not, unless it is root or in the group.
        let stranger = Writers { uid: uid.wrapping_add(1), gid: None };
        assert_eq!(stranger.admit(&ours), uid == 0);
        let gid = Some(rustix::process::getgid().as_raw());
        assert!(Writers { uid: uid.wrapping_add(1), gid }.admit(&ours));
        assert!(peer_groups(&ours).is_ok());
    }
}
