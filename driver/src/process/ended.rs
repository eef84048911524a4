//! Waiting for the end of a process without reaping it: a pidfd on Linux.
//!
//! The one module of the driver with `unsafe` in it.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Becomes ready when a process ends.
#[derive(Debug)]
pub(super) struct Ended(AsyncFd<OwnedFd>);

impl Ended {
    /// Opens a pidfd of a child that was not reaped.
    pub(super) fn of(leader: Pid) -> io::Result<Self> {
        let pidfd = pidfd_open(leader, PidfdFlags::NONBLOCK)?;
        // SAFETY: the descriptor handed over is owned, so it stays open and the same for as long
        // as it is registered, and it is never taken out again.
        #[expect(unsafe_code, reason = "registering a descriptor asks for this promise")]
        let registered = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) };
        Ok(Self(registered?))
    }

    /// Returns once the process has ended; at once if it has.
    pub(super) async fn wait(&mut self) {
        // The readiness is not cleared: a pidfd stays readable.
        let _ = self.0.readable().await;
    }
}
