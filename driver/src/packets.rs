//! Packets with descriptors over a Unix socket, as the master and the keeper exchange them.
//!
//! Owns how a packet is sent and received, and how a socket in a directory is bound and reached
//! whatever the length of the directory's path. What is in a packet is `openctrl_core::keeper`'s.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use openctrl_core::keeper::MESSAGE_MAX_BYTES;
use rustix::fs::{Mode, OFlags, open};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    bind, connect, listen, recvmsg, sendmsg, socket_with,
};

/// The most descriptors that travel with a packet.
const DESCRIPTORS_MAX: usize = 5;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 16;

/// A packet that was received.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) bytes: Vec<u8>,
    pub(crate) descriptors: Vec<OwnedFd>,
    /// Descriptors are missing: this process has too many open.
    pub(crate) is_cut: bool,
}

/// Sends a packet; waits while too many are on their way.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        let has_room = control.push(SendAncillaryMessage::ScmRights(descriptors));
        assert!(has_room, "at most {DESCRIPTORS_MAX} descriptors are sent");
    }
    let slices = [IoSlice::new(bytes)];
    rustix::io::retry_on_intr(|| sendmsg(socket, &slices, &mut control, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// Room for the longest packet that is received.
pub(crate) fn scratch() -> Vec<u8> {
    // One byte more: a packet that is too long shows.
    vec![0; MESSAGE_MAX_BYTES + 1]
}

/// The next packet; `None` at the end of the connection. Without `waits` an error of the kind
/// `WouldBlock` if there is none.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    waits: bool,
    scratch: &mut [u8],
) -> io::Result<Option<Packet>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let waiting = if waits { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
    let flags = RecvFlags::CMSG_CLOEXEC | waiting;
    let received = loop {
        match recvmsg(socket, &mut [IoSliceMut::new(scratch)], &mut control, flags) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    };
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    let bytes = scratch[..received.bytes].to_vec();
    let is_cut = received.flags.contains(ReturnFlags::CTRUNC);
    Ok(Some(Packet { bytes, descriptors, is_cut }))
}

/// Listens on a socket in a directory, with access for the own user alone. There must be no file of
/// that name.
pub(crate) fn listen_in(directory: &Path, name: &str) -> io::Result<OwnedFd> {
    let (_held, address) = address(directory, name)?;
    let socket = socket()?;
    bind(&socket, &address)?;
    let mode = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
    fs::set_permissions(directory.join(name), mode)?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Connects to a socket in a directory.
pub(crate) fn connect_in(directory: &Path, name: &str) -> io::Result<OwnedFd> {
    let (_held, address) = address(directory, name)?;
    let socket = socket()?;
    rustix::io::retry_on_intr(|| connect(&socket, &address))?;
    Ok(socket)
}

fn socket() -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Addresses have a hundred bytes, paths of directories may have more: the directory is named by
/// its descriptor, which has to be open until the address was used.
fn address(directory: &Path, name: &str) -> io::Result<(OwnedFd, SocketAddrUnix)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = open(directory, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}/{name}", directory.as_fd().as_raw_fd());
    Ok((directory, SocketAddrUnix::new(path)?))
}
