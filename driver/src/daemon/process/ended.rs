//! A process by its pidfd: waiting for its end without reaping it, and signalling it whatever has
//! become of its number.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::unix::AsyncFd;

use crate::descriptors::are_scarce;
use crate::promises::register;

/// A process, also when its number has come to mean another.
#[derive(Clone, Debug)]
pub(super) struct Handle(Arc<OwnedFd>);

/// Becomes ready when a process ends.
#[derive(Debug)]
pub(super) struct Ended(AsyncFd<Arc<OwnedFd>>);

impl Handle {
    /// Takes hold of the process that has this number now.
    pub(super) fn of(process: Pid) -> io::Result<Self> {
        Ok(Self(Arc::new(pidfd_open(process, PidfdFlags::NONBLOCK)?)))
    }

    /// Whether it takes a descriptor that others than instances may need.
    pub(super) fn is_scarce(&self) -> bool {
        are_scarce(&*self.0)
    }

    /// Signals the process; an error if it has ended and was reaped.
    pub(super) fn signal(&self, signal: Signal) -> rustix::io::Result<()> {
        pidfd_send_signal(&self.0, signal)
    }
}

impl Ended {
    /// Begins to wait for a process, which must not have been reaped if it is a child.
    pub(super) fn of(process: Pid) -> io::Result<Self> {
        Self::by(Handle::of(process)?)
    }

    /// The same by a handle.
    pub(super) fn by(handle: Handle) -> io::Result<Self> {
        Ok(Self(register(handle.0)?))
    }

    /// The process.
    pub(super) fn handle(&self) -> Handle {
        Handle(Arc::clone(self.0.get_ref()))
    }

    /// Returns once the process has ended; at once if it has.
    pub(super) async fn wait(&mut self) {
        // The readiness is not cleared: a pidfd stays readable.
        let _ = self.0.readable().await;
    }
}
