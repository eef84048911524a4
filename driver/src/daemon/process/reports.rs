//! Reads the reports of the keeper and passes them to the tasks that wait for them.

use std::io;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openctrl_core::engine::Input;
use openctrl_core::ids::RunId;
use openctrl_core::keeper::{Ended, Report};
use rustix::process::Pid;
use tokio::time::timeout;

use super::ended::Ended as Dying;
use super::job::Job;
use super::link::Link;
use super::newborn::Leader;
use super::nursery::Nursery;
use super::orphans::leader_printing_to;
use super::refused::explain;
use super::runs::{Pending, Runs};
use super::woken::Woken;
use crate::daemon::inbox::Notice;

/// How long a keeper may take to die after its connection ended: on a busy machine, seconds. Until
/// then its children are not the master's, and their exit status is known to the keeper alone.
const DIES_WITHIN: Duration = Duration::from_secs(10);

/// Reads the reports of one keeper.
#[derive(Clone, Debug)]
pub(super) struct Reports {
    pub(super) runs: Runs,
    pub(super) nursery: Arc<Nursery>,
    pub(super) jobs: mpsc::Sender<Job>,
    /// Whether the keeper was ordered to end.
    pub(super) is_over: Arc<Mutex<bool>>,
}

impl Reports {
    /// Reads until the connection ends. If the keeper was not ordered to end, it is lost: every task
    /// that waits for a report receives that.
    pub(super) async fn read(self, link: Link) {
        let keeper = link.pid;
        let mut has_started = false;
        let take = |report| {
            has_started |= matches!(report, Report::Started { .. });
            self.take(keeper, report);
        };
        link.read_reports(take).await;
        let is_over = *self.is_over.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !is_over {
            // Its children are the master's once it is dead, which is a little later than the end of
            // its connection.
            if let Some(Ok(mut ended)) = Pid::from_raw(keeper).map(Dying::of) {
                let _ = timeout(DIES_WITHIN, ended.wait()).await;
            }
            self.lost(&link, has_started);
        }
    }

    fn take(&self, keeper: i32, report: Report) {
        match report {
            Report::Started { run, pid, start_ticks } => {
                let pending = self.runs.lock().pending.remove(&run);
                if let (Some(pending), Some(leader)) = (pending, Pid::from_raw(pid)) {
                    self.started((run, keeper), leader, start_ticks, pending);
                }
            }
            Report::Failed { run, errno } => {
                let pending = self.runs.lock().pending.remove(&run);
                if let Some(Pending { process, .. }) = pending {
                    let _ = self.jobs.send(Job::NotStarted(process));
                    let error = io::Error::from_raw_os_error(errno);
                    let reason = explain(&self.nursery.runtime, &error);
                    let failed = Input::StartFailed { process, reason };
                    self.nursery.mailbox.fact(Notice::Fact(failed));
                }
            }
            Report::Ended(run, ended) => {
                if let Some(living) = self.runs.lock().living.get_mut(&run) {
                    living.ended = Some(ended);
                }
            }
            Report::Reaped { run, has_group } => self.reaped(run, Some(has_group)),
            Report::Hello { .. }
            | Report::Turned { .. }
            | Report::Item(_)
            | Report::Listed { .. } => {}
        }
    }

    fn started(
        &self,
        (run, keeper): (RunId, i32),
        leader: Pid,
        start_ticks: u64,
        pending: Pending,
    ) {
        let Pending { process, outputs, report, in_flight, keeper: _ } = pending;
        let woken = self.runs.watch(run, keeper);
        // Fails when the thread has ended with the loop.
        let _ = self.jobs.send(Job::Born(process, leader.as_raw_pid(), start_ticks));
        let leader = Leader { pid: leader, start_ticks, keeper };
        let newborn = super::newborn::Kept { process, leader, outputs, report, in_flight, woken };
        tokio::spawn(Arc::clone(&self.nursery).raise_kept(newborn));
    }

    /// A process was reaped. Its watch passes that to the loop, after the start.
    fn reaped(&self, run: RunId, has_group: Option<bool>) {
        let living = self.runs.lock().living.remove(&run);
        living.into_iter().for_each(|living| {
            let ended = living.ended.unwrap_or(Ended::UNKNOWN);
            living.wake(Woken::Ended(ended, has_group));
        });
    }

    /// A keeper was lost. Processes of another one, which may have been started since, are not
    /// affected.
    fn lost(&self, link: &Link, has_started: bool) {
        let keeper = link.pid;
        self.nursery.mailbox.fact(Notice::KeeperLost(keeper));
        let (pending, living) = self.runs.lock().take_of(keeper);
        // A new keeper comes first: the remaining processes are handed to it.
        let _ = self.jobs.send(Job::KeeperLost(link.clone(), has_started));
        for living in living {
            let woken = match living.ended {
                Some(ended) => Woken::Ended(ended, None),
                None => Woken::Orphaned,
            };
            living.wake(woken);
        }
        for (run, pending) in pending {
            tokio::spawn(self.clone().settle(link.clone(), run, pending));
        }
    }

    /// Finds out the result of a start that the lost keeper did not answer.
    async fn settle(self, link: Link, run: RunId, pending: Pending) {
        let leader = leader_printing_to(&pending.outputs).await.ok().flatten();
        let found = leader.and_then(|leader| Some((Pid::from_raw(leader.pid)?, leader)));
        let Some((pid, leader)) = found else {
            let Pending { process, .. } = pending;
            let _ = self.jobs.send(Job::NotStarted(process));
            let keeper = link.is_child.then_some(link.pid);
            return self.nursery.mailbox.fact(Notice::StartLost(process, keeper));
        };
        self.started((run, link.pid), pid, leader.start_ticks, pending);
        // No keeper reports its end.
        let living = self.runs.lock().living.remove(&run);
        living.into_iter().for_each(|living| living.wake(Woken::Orphaned));
    }
}
