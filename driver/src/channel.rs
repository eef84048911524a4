//! The private channel of a running master: a socket in its state directory, over which it is asked
//! which program it is, and to become the one that is at its path now.
//!
//! Owns where the socket is and how a question is put. Access follows from the mode of the
//! directory and of the socket, and the master checks its peer.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use openctrl_core::handover::{Answer, Question};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::packets;

/// The name of the socket in the state directory.
pub(crate) const SOCKET: &str = "openctrl.upgrade";

/// A question that was put, and its answers.
#[derive(Debug)]
pub(crate) struct Asked(OwnedFd);

/// Puts a question to the master of a state directory.
///
/// # Errors
/// When no master listens there, or this user has no access.
pub(crate) fn ask(directory: &Path, question: Question) -> io::Result<Asked> {
    let socket = packets::connect_in(directory, SOCKET)?;
    packets::send(socket.as_fd(), question.to_string().as_bytes(), &[])?;
    Ok(Asked(socket))
}

impl Asked {
    /// The next answer; `None` if the master has closed the connection.
    ///
    /// # Errors
    /// When there is none within `limit`, or it is not understood.
    pub(crate) fn next(&self, limit: Duration) -> io::Result<Option<Answer>> {
        let Some(bytes) = receive(&self.0, limit)? else { return Ok(None) };
        let unknown = || io::Error::other("the answer of the master is not understood");
        Answer::read(&bytes).map(Some).ok_or_else(unknown)
    }
}

/// Waits for a packet; `None` at the end of the connection.
///
/// # Errors
/// When there is none within `limit`.
pub(crate) fn receive(socket: &OwnedFd, limit: Duration) -> io::Result<Option<Vec<u8>>> {
    let mut polled = [PollFd::new(socket, PollFlags::IN)];
    let limit = Timespec::try_from(limit).ok();
    if rustix::io::retry_on_intr(|| poll(&mut polled, limit.as_ref()))? == 0 {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "there is no answer"));
    }
    match packets::receive(socket.as_fd(), false, &mut packets::scratch()) {
        Ok(packet) => Ok(packet.map(|packet| packet.bytes)),
        // A master that became another program while a question waited.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
        Err(error) => Err(error),
    }
}
