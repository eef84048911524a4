//! Waiting for the end of a process without reaping it, where there are no pidfds: a thread each.

use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tokio::sync::watch;

/// Becomes ready when a process ends.
#[derive(Debug)]
pub(super) struct Ended(watch::Receiver<bool>);

impl Ended {
    /// Begins to wait for a child that was not reaped.
    pub(super) fn of(leader: Pid) -> io::Result<Self> {
        let (ended, ends) = watch::channel(false);
        std::thread::Builder::new().name("wait".to_owned()).spawn(move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while let Err(Errno::INTR) = waitid(WaitId::Pid(leader), options) {}
            let _ = ended.send(true);
        })?;
        Ok(Self(ends))
    }

    /// Returns once the process has ended; at once if it has.
    pub(super) async fn wait(&mut self) {
        let _ = self.0.wait_for(|ended| *ended).await;
    }
}
