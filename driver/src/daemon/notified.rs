//! Hears processes that say by themselves that they are ready, as `sd_notify` does.
//!
//! The socket has a name that every process of the machine can find, so the system tells who sent a
//! message: only the process of the instance, its group, and its user count.

use std::io;
use std::os::fd::{OwnedFd, RawFd};

use openctrl_core::ids::{ProcessRef, RunId};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::inbox::Mailbox;

/// Ends with what it belongs to.
#[derive(Debug)]
pub(crate) struct Listening {
    task: AbortHandle,
    number: RawFd,
    /// Takes the number of the process once it runs.
    started: Option<oneshot::Sender<i32>>,
}

impl Listening {
    /// The number of its descriptor, to keep it open.
    pub(crate) const fn number(&self) -> RawFd {
        self.number
    }

    /// The process runs with this number: its messages are read from now on.
    pub(crate) fn started(&mut self, pid: Option<i32>) {
        if let (Some(started), Some(pid)) = (self.started.take(), pid) {
            // A task that ended hears nothing.
            let _ = started.send(pid);
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The value of `NOTIFY_SOCKET` of a run.
pub(crate) fn notify_socket(run: RunId) -> String {
    format!("@{}", notify_name(run))
}

fn notify_name(run: RunId) -> String {
    format!("openctrl-{:032x}", run.0)
}

/// Hears the process of a run. To be called before it is started, unless another program of this
/// master listened before, which left `handed`.
///
/// # Errors
/// If the system has no such socket.
#[cfg(target_os = "linux")]
pub(crate) fn listen(
    process: ProcessRef,
    run: RunId,
    handed: Option<OwnedFd>,
    mailbox: Mailbox,
) -> io::Result<Listening> {
    use std::os::fd::AsRawFd;

    use openctrl_core::engine::Input;
    use openctrl_core::instance::CheckKind;

    use super::inbox::Notice;

    let socket = match handed {
        Some(handed) => linux::adopt(handed.into())?,
        None => linux::bind(&notify_name(run))?,
    };
    let number = socket.as_raw_fd();
    let (started, is_started) = oneshot::channel();
    let task = tokio::spawn(async move {
        let Ok(leader) = is_started.await else { return };
        while let Ok((message, sender)) = linux::receive(&socket).await {
            let is_ready = message.split(|byte| *byte == b'\n').any(|line| line == b"READY=1");
            if !is_ready {
                continue;
            }
            match sender.filter(|sender| linux::is_of(*sender, leader)) {
                Some(_) => {
                    let (check, failure) = (CheckKind::Ready, None);
                    mailbox.fact(Notice::Fact(Input::CheckEnded { process, check, failure }));
                    return;
                }
                None => tracing::warn!(
                    "Master.run: a message that process {leader} is ready came from another process and user; it is ignored"
                ),
            }
        }
    });
    Ok(Listening { task: task.abort_handle(), number, started: Some(started) })
}

/// Other systems have no sockets without a file.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub(crate) fn listen(
    _: ProcessRef,
    _: RunId,
    _: Option<OwnedFd>,
    _: Mailbox,
) -> io::Result<Listening> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::io::{self, IoSliceMut};
    use std::mem::MaybeUninit;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::SocketAddr;

    use rustix::net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, UCred, recvmsg, sockopt,
    };
    use tokio::io::Interest;
    use tokio::net::UnixDatagram;

    /// The longest message of a process about itself that is read.
    const MESSAGE_MAX_BYTES: usize = 4096;

    pub(super) fn bind(name: &str) -> io::Result<UnixDatagram> {
        let address = SocketAddr::from_abstract_name(name)?;
        adopt(std::os::unix::net::UnixDatagram::bind_addr(&address)?)
    }

    pub(super) fn adopt(socket: std::os::unix::net::UnixDatagram) -> io::Result<UnixDatagram> {
        sockopt::set_socket_passcred(&socket, true)?;
        socket.set_nonblocking(true)?;
        UnixDatagram::from_std(socket)
    }

    /// The next message, and who sent it by the word of the system.
    pub(super) async fn receive(socket: &UnixDatagram) -> io::Result<(Vec<u8>, Option<UCred>)> {
        socket.async_io(Interest::READABLE, || receive_now(socket)).await
    }

    fn receive_now(socket: &UnixDatagram) -> io::Result<(Vec<u8>, Option<UCred>)> {
        let mut message = vec![0; MESSAGE_MAX_BYTES];
        // Descriptors that a sender adds find no room, and are closed.
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut message)];
        let read = recvmsg(socket, &mut parts, &mut beside, RecvFlags::CMSG_CLOEXEC)?.bytes;
        let credentials = |part| {
            if let RecvAncillaryMessage::ScmCredentials(sender) = part {
                Some(sender)
            } else {
                None
            }
        };
        let sender = beside.drain().find_map(credentials);
        message.truncate(read);
        Ok((message, sender))
    }

    /// Whether a sender is a process, one of its group, or one of its user. A helper such as
    /// `systemd-notify` may have ended by now: then its user decides.
    pub(super) fn is_of(sender: UCred, leader: i32) -> bool {
        let is_in_group = group_of(sender.pid.as_raw_pid()) == Some(leader);
        let user = fs::metadata(format!("/proc/{leader}")).map(|process| process.uid());
        let is_user = user.is_ok_and(|user| user == sender.uid.as_raw());
        sender.pid.as_raw_pid() == leader || is_in_group || is_user
    }

    /// The process group of a process.
    fn group_of(pid: i32) -> Option<i32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in parentheses and may have some itself; state, parent and group follow.
        let (_, rest) = stat.rsplit_once(')')?;
        rest.split_ascii_whitespace().nth(2)?.parse().ok()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::process;

    use rustix::process::{Pid, Uid};

    #[tokio::test]
    async fn the_system_names_the_sender() {
        let name = format!("openctrl-test-{}", process::id());
        let socket = linux::bind(&name).expect("a socket");
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let client = UnixDatagram::unbound().expect("a socket");
        client.send_to_addr(b"READY=1", &address).expect("it is sent");
        let (message, sender) = linux::receive(&socket).await.expect("a message");
        let sender = sender.expect("the system names it");
        let own = i32::try_from(process::id()).expect("it fits");
        assert_eq!((&message[..], sender.pid.as_raw_pid()), (&b"READY=1"[..], own));
        assert!(linux::is_of(sender, own));
        // Another user, and no process of the group.
        let mut stranger = sender;
        stranger.uid = Uid::from_raw(sender.uid.as_raw() + 1);
        stranger.pid = Pid::INIT;
        assert!(!linux::is_of(stranger, own));
        stranger.pid = sender.pid;
        assert!(linux::is_of(stranger, own), "a process may change its user");
    }
}
