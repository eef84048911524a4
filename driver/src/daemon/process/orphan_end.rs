//! The end of a process whose keeper was lost. The system tells of it by a descriptor, as long as
//! there are enough: ten thousand processes become orphans at once. The others are looked at.

use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tokio::time::sleep;

use super::ended::{Ended, Handle};
use super::stat::Stat;

/// How often a process without a descriptor is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Becomes ready when the process ends.
#[derive(Debug)]
pub(super) enum OrphanEnd {
    /// The system tells.
    Told(Ended),
    /// It is looked at.
    Looked(Pid, u64),
}

impl OrphanEnd {
    /// Begins to wait for a process by its id and start time; `None` if it does not exist any more.
    pub(super) fn of(leader: Pid, start_ticks: u64) -> Option<Self> {
        let handle = Handle::of(leader).ok().filter(|handle| !handle.is_scarce());
        let ended = handle.and_then(|handle| Ended::by(handle).ok());
        // After the descriptor was opened: another process may have the number by now.
        let is_same =
            Stat::read(leader.as_raw_pid()).is_ok_and(|now| now.start_ticks == start_ticks);
        is_same.then(|| ended.map_or(Self::Looked(leader, start_ticks), Self::Told))
    }

    /// Returns once the process has ended.
    pub(super) async fn wait(&mut self) {
        match self {
            Self::Told(ended) => ended.wait().await,
            Self::Looked(leader, start_ticks) => {
                while !has_ended(*leader, *start_ticks) {
                    sleep(LOOK_EVERY).await;
                }
            }
        }
    }
}

/// Whether a process has ended. The system answers at once for a child of this process.
fn has_ended(leader: Pid, start_ticks: u64) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(leader), options) {
        Ok(status) => status.is_some(),
        Err(_) => {
            let now = Stat::read(leader.as_raw_pid());
            !now.is_ok_and(|now| now.start_ticks == start_ticks && !now.has_ended())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[tokio::test(start_paused = true)]
    async fn a_process_without_a_descriptor_is_looked_at() {
        let mut child = Command::new("sleep").arg("1000").spawn().expect("there is a sleep");
        let pid = Pid::from_child(&child);
        let ticks = Stat::read(pid.as_raw_pid()).expect("it runs").start_ticks;
        assert!(matches!(OrphanEnd::of(pid, ticks), Some(OrphanEnd::Told(_))));
        assert!(OrphanEnd::of(pid, ticks + 1).is_none(), "that would be another process");
        assert!(!has_ended(pid, ticks));
        child.kill().expect("it is a child");
        OrphanEnd::Looked(pid, ticks).wait().await;
        child.wait().expect("it was not reaped");
        assert!(has_ended(pid, ticks));
    }
}
