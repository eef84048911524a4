//! Waiting for the end of a process without reaping it: a pidfd on Linux.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;

use crate::promises::register;

/// Becomes ready when a process ends.
#[derive(Debug)]
pub(super) struct Ended(AsyncFd<OwnedFd>);

impl Ended {
    /// Opens a pidfd of a child that was not reaped.
    pub(super) fn of(leader: Pid) -> io::Result<Self> {
        let pidfd = pidfd_open(leader, PidfdFlags::NONBLOCK)?;
        Ok(Self(register(pidfd)?))
    }

    /// Returns once the process has ended; at once if it has.
    pub(super) async fn wait(&mut self) {
        // The readiness is not cleared: a pidfd stays readable.
        let _ = self.0.readable().await;
    }
}
