//! Takes over the processes that the spawner's thread has started: waits until their runtimes are
//! up, tells the loop, and has what they print read.

use std::io::{self, PipeReader};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use openctrl_core::engine::Input;
use openctrl_core::ids::ProcessRef;
use openctrl_core::process::{Scope, Signal};
use rustix::process::{Pid, WaitOptions, waitpid};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::timeout;

use super::children::Newcomer;
use super::ended::Handle;
use super::group::Group;
use super::handover::Receiver;
use super::job::Job;
use super::newborn::{Kept, Leader, Newborn};
use super::stat::inode;
use super::watch::{Ending, Watch};
use crate::daemon::inbox::{Mailbox, Notice};
use crate::descriptors::{self, are_scarce};
use crate::outputs::Outputs;

/// How long an exec step may take. One that takes longer, on a file system that does not answer, is
/// a process that is alive: it can be stopped.
const STEP_TAKES: Duration = Duration::from_secs(5);

/// How much of a report is read.
const REPORT_MAX_BYTES: u64 = 4096;

/// Where the new processes go.
#[derive(Clone, Debug)]
pub(super) struct Nursery {
    pub(super) runtime: PathBuf,
    pub(super) mailbox: Mailbox,
    pub(super) jobs: mpsc::Sender<Job>,
}

impl Nursery {
    /// Takes processes until the spawner's thread has ended.
    pub(super) async fn run(self, mut newborns: Receiver) {
        let nursery = Arc::new(self);
        while let Ok(newborn) = newborns.receive().await {
            tokio::spawn(Arc::clone(&nursery).raise(newborn));
        }
    }

    async fn raise(self: Arc<Self>, newborn: Newborn) {
        let Newborn { process, leader, outputs, report } = newborn;
        let (watch, handle, pipes) = match watch(leader, outputs) {
            Ok(watched) => watched,
            Err(error) => {
                return self.give_up(process, leader, format!("it cannot be watched: {error}"));
            }
        };
        if let Some(reason) = failure(report).await {
            return self.give_up(process, leader, reason);
        }
        let group = Group::new(leader, Some(handle));
        self.mailbox.fact(Notice::Spawned(process, Newcomer::own(group, pipes)));
        watch.run(process, self.mailbox.clone()).await;
    }

    /// The same with a process that a keeper started.
    pub(super) async fn raise_kept(self: Arc<Self>, newborn: Kept) {
        let Kept { process, leader, outputs, report, in_flight, woken } = newborn;
        let pipes = outputs.as_ref().try_map(|output| inode(output.as_fd()));
        let Leader { pid, start_ticks, .. } = leader;
        let kept = Ending::Kept { woken, leader: pid, start_ticks };
        let watch = Watch::with(kept, outputs.map(OwnedFd::from));
        let reason = match (&pipes, &watch) {
            (Err(error), _) | (_, Err(error)) => Some(format!("it cannot be watched: {error}")),
            (Ok(_), Ok(_)) => failure(report).await,
        };
        drop(in_flight);
        let (Ok(pipes), Ok(watch), None) = (pipes, watch, &reason) else {
            let _ = self.jobs.send(Job::Signal(process, Scope::Group, Signal::KILL));
            let _ = self.jobs.send(Job::NotStarted(process));
            let reason = reason.unwrap_or_default();
            return self.mailbox.fact(Notice::Fact(Input::StartFailed { process, reason }));
        };
        let newcomer = Newcomer::kept(leader, pipes);
        self.mailbox.fact(Notice::Spawned(process, newcomer));
        watch.keep_with(self.jobs.clone()).run(process, self.mailbox.clone()).await;
    }

    fn give_up(&self, process: ProcessRef, leader: Pid, reason: String) {
        abort(leader);
        // Fails when the thread has ended with the loop.
        let _ = self.jobs.send(Job::Gone(process));
        self.mailbox.fact(Notice::Fact(Input::StartFailed { process, reason }));
    }
}

/// Ends a process that was started in vain.
pub(super) fn abort(leader: Pid) {
    Group::new(leader, None).signal(Scope::Group, Signal::KILL);
    let _ = waitpid(Some(leader), WaitOptions::empty());
}

fn watch(
    leader: Pid,
    outputs: Option<Outputs<PipeReader>>,
) -> io::Result<(Watch, Handle, Outputs<u64>)> {
    let too_many = || io::Error::other(format!("too many open files: {}", descriptors::remedy()));
    let outputs = outputs.filter(|outputs| !outputs.iter().any(are_scarce));
    let outputs = outputs.ok_or_else(too_many)?;
    let pipes = outputs.as_ref().try_map(|output| inode(output.as_fd()))?;
    let (watch, handle) = Watch::new(leader, outputs)?;
    Ok((watch, handle, pipes))
}

/// Why the runtime did not take over from its exec step; `None` if it did, or there was none.
async fn failure(report: Option<PipeReader>) -> Option<String> {
    let report = pipe::Receiver::from_owned_fd(OwnedFd::from(report?)).ok()?;
    let mut text = Vec::new();
    let mut reader = report.take(REPORT_MAX_BYTES);
    timeout(STEP_TAKES, reader.read_to_end(&mut text)).await.ok()?.ok()?;
    (!text.is_empty()).then(|| String::from_utf8_lossy(&text).into_owned())
}
