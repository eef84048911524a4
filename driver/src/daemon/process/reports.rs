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
use super::nursery::Nursery;
use super::orphans::leader_printing_to;
use super::refused::explain;
use super::runs::{Pending, Runs, Woken};
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
        link.read_reports(|report| self.take(report)).await;
        let keeper = link.pid;
        let is_over = *self.is_over.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !is_over {
            // Its children are the master's once it is dead, which is a little later than the end of
            // its connection.
            if let Some(Ok(mut ended)) = Pid::from_raw(keeper).map(Dying::of) {
                let _ = timeout(DIES_WITHIN, ended.wait()).await;
            }
            self.lost(keeper);
        }
    }

    fn take(&self, report: Report) {
        match report {
            Report::Started { run, pid, start_ticks } => {
                let pending = self.runs.lock().pending.remove(&run);
                if let (Some(pending), Some(leader)) = (pending, Pid::from_raw(pid)) {
                    self.started(run, leader, start_ticks, pending);
                }
            }
            Report::Failed { run, errno } => {
                if let Some(Pending { process, .. }) = self.runs.lock().pending.remove(&run) {
                    self.failed(process, &io::Error::from_raw_os_error(errno));
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

    fn started(&self, run: RunId, leader: Pid, start_ticks: u64, pending: Pending) {
        let Pending { process, output, report } = pending;
        let woken = self.runs.watch(run);
        // Fails when the thread has ended with the loop.
        let _ = self.jobs.send(Job::Born(process, leader.as_raw_pid(), start_ticks));
        let newborn = super::newborn::Kept { process, leader, start_ticks, output, report, woken };
        tokio::spawn(Arc::clone(&self.nursery).raise_kept(newborn));
    }

    fn failed(&self, process: openctrl_core::ids::ProcessRef, error: &io::Error) {
        let _ = self.jobs.send(Job::NotStarted(process));
        let reason = explain(&self.nursery.runtime, error);
        self.nursery.mailbox.fact(Notice::Fact(Input::StartFailed { process, reason }));
    }

    /// A process was reaped, or its keeper was lost. Its watch passes that to the loop, after the
    /// start.
    fn reaped(&self, run: RunId, has_group: Option<bool>) {
        let living = self.runs.lock().living.remove(&run);
        let Some(living) = living else { return };
        let unknown = Ended { exit: None, has_dumped_core: false };
        let ended = living.ended.unwrap_or(unknown);
        living.wake(Woken::Ended(ended, has_group));
    }

    fn lost(&self, keeper: i32) {
        let ended: Vec<RunId> = {
            let runs = self.runs.lock();
            let ended = runs.living.iter().filter(|(_, living)| living.ended.is_some());
            ended.map(|(run, _)| *run).collect()
        };
        ended.into_iter().for_each(|run| self.reaped(run, None));
        self.nursery.mailbox.fact(Notice::KeeperLost(keeper));
        let (pending, living) = {
            let mut runs = self.runs.lock();
            (std::mem::take(&mut runs.pending), std::mem::take(&mut runs.living))
        };
        // A new keeper comes first: the remaining processes are handed to it.
        let _ = self.jobs.send(Job::KeeperLost(keeper));
        living.into_values().for_each(|living| living.wake(Woken::Orphaned));
        for (run, pending) in pending {
            tokio::spawn(self.clone().settle(run, pending));
        }
    }

    /// Finds out the result of a start that the lost keeper did not answer.
    async fn settle(self, run: RunId, pending: Pending) {
        let leader = leader_printing_to(&pending.output).await.ok().flatten();
        let found = leader.and_then(|leader| Some((Pid::from_raw(leader.pid)?, leader)));
        let Some((pid, leader)) = found else {
            let reason = "the keeper was lost while it started the process";
            return self.failed(pending.process, &io::Error::other(reason));
        };
        self.started(run, pid, leader.start_ticks, pending);
        // No keeper reports its end.
        let living = self.runs.lock().living.remove(&run);
        living.into_iter().for_each(|living| living.wake(Woken::Orphaned));
    }
}
