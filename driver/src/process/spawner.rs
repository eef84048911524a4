//! Starts processes in a thread of its own: a start takes a tenth of a millisecond, and hundreds
//! of them at once must not hold up the loop.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use openctrl_core::engine::Input;
use openctrl_core::ids::ProcessRef;
use openctrl_core::instance::Definition;
use rustix::process::Pid;
use tokio::runtime::Handle;

use super::group::Group;
use super::ledger::Ledger;
use super::leftover::{Leftover, start_ticks};
use super::watch::{Watch, wait_for_leftover};
use crate::inbox::{Mailbox, Notice};
use crate::limits::restore_descriptor_limit;

/// How long a ledger that could not be written is left alone.
const LEDGER_RETRY: Duration = Duration::from_secs(1);

/// Starts what it is asked to start, in order, and keeps the ledger.
#[derive(Debug)]
pub(crate) struct Spawner {
    jobs: mpsc::Sender<Job>,
}

enum Job {
    Spawn(ProcessRef, Arc<Definition>),
    Adopt(ProcessRef, Leftover),
    Gone(ProcessRef),
}

impl Spawner {
    /// Starts the thread. Every process runs `runtime` with the instance's URL.
    pub(crate) fn start(runtime: PathBuf, ledger: Ledger, mailbox: Mailbox) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let mut worker = Worker { runtime, ledger, mailbox };
        let tasks = Handle::current();
        thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            // Pipes and pidfds are registered with the async runtime where they are made.
            let _entered = tasks.enter();
            worker.run(&queue);
        })?;
        Ok(Self { jobs })
    }

    /// Asks for a process; whether it came to life is said through the mailbox.
    pub(crate) fn spawn(&self, process: ProcessRef, definition: Arc<Definition>) {
        self.send(Job::Spawn(process, definition));
    }

    /// Gives a process of the last master its name; its end is said through the mailbox.
    pub(crate) fn adopt(&self, process: ProcessRef, leftover: Leftover) {
        self.send(Job::Adopt(process, leftover));
    }

    /// A process was reaped and nothing of its group is left.
    pub(crate) fn gone(&self, process: ProcessRef) {
        self.send(Job::Gone(process));
    }

    fn send(&self, job: Job) {
        self.jobs.send(job).expect("the spawner lives as long as the loop");
    }
}

struct Worker {
    runtime: PathBuf,
    ledger: Ledger,
    mailbox: Mailbox,
}

impl Worker {
    fn run(&mut self, queue: &Receiver<Job>) {
        loop {
            let patience = if self.ledger.is_behind() { LEDGER_RETRY } else { Duration::MAX };
            match queue.recv_timeout(patience) {
                Ok(job) => self.take(job),
                Err(RecvTimeoutError::Timeout) => self.ledger.retry(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn take(&mut self, job: Job) {
        match job {
            Job::Spawn(process, definition) => {
                if let Err(error) = self.start_one(process, &definition) {
                    self.ledger.gone(process);
                    let reason = format!("{}: {error}", self.runtime.display());
                    self.mailbox.fact(Notice::Fact(Input::StartFailed { process, reason }));
                }
            }
            Job::Adopt(process, Leftover { number, leader, .. }) => {
                self.ledger.name(process, number);
                tokio::spawn(wait_for_leftover(process, leader, self.mailbox.clone()));
            }
            Job::Gone(process) => self.ledger.gone(process),
        }
    }

    fn start_one(&mut self, process: ProcessRef, definition: &Definition) -> io::Result<()> {
        let (output, input) = io::pipe()?;
        self.ledger.intend(process, definition.id, inode(&output)?);
        let leader = spawn(&self.runtime, definition.url.as_str(), input)?;
        restore_descriptor_limit(leader);
        if let Ok(start_ticks) = start_ticks(leader) {
            self.ledger.born(process, leader.as_raw_nonzero().get(), start_ticks);
        }
        let watch = Watch::new(leader, output).inspect_err(|_| abort(leader))?;
        self.mailbox.fact(Notice::Spawned(process, Group::new(leader)));
        tokio::spawn(watch.run(process, self.mailbox.clone()));
        Ok(())
    }
}

/// Starts `<runtime> <url>` as the leader of its own group, with no input and one pipe for both
/// outputs. Nothing here may need code to run in the child before `exec`: that would make the
/// standard library `fork`, which takes as long as the master is large.
fn spawn(runtime: &PathBuf, url: &str, input: PipeWriter) -> io::Result<Pid> {
    let child = Command::new(runtime)
        .arg(OsString::from(url))
        .stdin(Stdio::null())
        .stdout(Stdio::from(input.try_clone()?))
        .stderr(Stdio::from(input))
        .process_group(0)
        .spawn()?;
    Ok(Pid::from_child(&child))
}

/// The number by which the system tells a pipe from every other one.
fn inode(pipe: &PipeReader) -> io::Result<u64> {
    Ok(File::from(OwnedFd::from(pipe.try_clone()?)).metadata()?.ino())
}

/// Ends a process that cannot be watched.
fn abort(leader: Pid) {
    let group = Group::new(leader);
    group.signal(openctrl_core::engine::Signal::Kill);
    let _ = rustix::process::waitpid(Some(leader), rustix::process::WaitOptions::empty());
}
