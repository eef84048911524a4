//! A process where there are no pidfds: waiting for its end without reaping it takes a thread each,
//! and it is signalled by its number.

use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::sync::watch;

/// A process by its number, which is sure as long as it was not reaped.
#[derive(Clone, Debug)]
pub(super) struct Handle(Pid);

/// Becomes ready when a process ends.
#[derive(Debug)]
pub(super) struct Ended {
    process: Pid,
    ends: watch::Receiver<bool>,
}

impl Handle {
    /// Takes hold of the process that has this number now.
    pub(super) fn of(process: Pid) -> io::Result<Self> {
        Ok(Self(process))
    }

    /// It takes no descriptor.
    pub(super) const fn is_scarce(&self) -> bool {
        false
    }

    /// Signals the process.
    pub(super) fn signal(&self, signal: Signal) -> rustix::io::Result<()> {
        kill_process(self.0, signal)
    }
}

impl Ended {
    /// Begins to wait for a child that was not reaped.
    pub(super) fn of(process: Pid) -> io::Result<Self> {
        Self::by(Handle(process))
    }

    /// The same by a handle.
    pub(super) fn by(Handle(process): Handle) -> io::Result<Self> {
        let (ended, ends) = watch::channel(false);
        std::thread::Builder::new().name("wait".to_owned()).spawn(move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while let Err(Errno::INTR) = waitid(WaitId::Pid(process), options) {}
            let _ = ended.send(true);
        })?;
        Ok(Self { process, ends })
    }

    /// The process.
    pub(super) fn handle(&self) -> Handle {
        Handle(self.process)
    }

    /// Returns once the process has ended; at once if it has.
    pub(super) async fn wait(&mut self) {
        let _ = self.ends.wait_for(|ended| *ended).await;
    }
}
