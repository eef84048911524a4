//! Starts processes in a thread of its own: a start takes a tenth of a millisecond, and hundreds
//! of them at once must not hold up the loop.
//!
//! The thread has a descriptor table of its own, too. The system copies the table for every start,
//! so that each would take the longer the more children and connections there are.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use openctrl_core::engine::Input;
use openctrl_core::ids::ProcessRef;
use openctrl_core::instance::Definition;
use rustix::process::Pid;

use super::group::Group;
use super::handover::{Receiver, Sender, handover};
use super::ledger::Ledger;
use super::leftover::{Leftover, start_ticks};
use super::newborn::Newborn;
use super::refused::explain;
use super::watch::{Watch, wait_for_leftover};
use crate::daemon::inbox::{Mailbox, Notice};
use crate::daemon::limits::restore_descriptor_limit;
use crate::daemon::service::PRIVATE_VARIABLES;
use crate::promises::leave_descriptor_table;

/// How long a ledger that could not be written is left alone.
const LEDGER_RETRY: Duration = Duration::from_secs(1);

/// How often it is looked whether the ledger is still there, while nothing is written to it.
const LEDGER_LOOK: Duration = Duration::from_secs(5);

/// The spawner's thread, before there is anything for it to do. To be made before descriptors are
/// opened that must be closed when the rest of the master closes them, such as a listener.
#[derive(Debug)]
pub(crate) struct IdleSpawner {
    worker: mpsc::Sender<Worker>,
    newborns: Receiver,
}

impl IdleSpawner {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (handover, newborns) = handover()?;
        let (worker, workers) = mpsc::channel::<Worker>();
        let (ready, is_ready) = mpsc::channel();
        thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            // Without a table of its own it is slower, and right all the same.
            let _ = leave_descriptor_table();
            drop(ready);
            if let Ok(mut worker) = workers.recv() {
                worker.run(&handover);
            }
        })?;
        // Nothing is ever sent: the end is the signal.
        let _: Result<(), _> = is_ready.recv();
        Ok(Self { worker, newborns })
    }

    /// Gives it its work. Every process runs `runtime` with the instance's URL.
    pub(crate) fn begin(self, runtime: PathBuf, mut ledger: Ledger, mailbox: Mailbox) -> Spawner {
        let (jobs, queue) = mpsc::channel();
        ledger.close();
        let worker = Worker { runtime, ledger, mailbox: mailbox.clone(), queue };
        self.worker.send(worker).expect("the thread waits for this");
        tokio::spawn(take_over(self.newborns, mailbox.clone(), jobs.clone()));
        Spawner { jobs, mailbox }
    }
}

/// Starts what it is asked to start, in order, and keeps the ledger.
#[derive(Debug)]
pub(crate) struct Spawner {
    jobs: mpsc::Sender<Job>,
    mailbox: Mailbox,
}

/// Holds no descriptor: the thread could not use it.
enum Job {
    Spawn(ProcessRef, Arc<Definition>),
    /// A process has the number of one of the last master in the ledger.
    Name(ProcessRef, u64),
    Gone(ProcessRef),
}

impl Spawner {
    /// Asks for a process; whether it came to life is said through the mailbox.
    pub(crate) fn spawn(&self, process: ProcessRef, definition: Arc<Definition>) {
        self.send(Job::Spawn(process, definition));
    }

    /// Gives a process of the last master its name; its end is said through the mailbox.
    pub(crate) fn adopt(&self, process: ProcessRef, leftover: Leftover) {
        let Leftover { number, leader, .. } = leftover;
        self.send(Job::Name(process, number));
        tokio::spawn(wait_for_leftover(process, leader, self.mailbox.clone()));
    }

    /// A process was reaped and nothing of its group is left.
    pub(crate) fn gone(&self, process: ProcessRef) {
        self.send(Job::Gone(process));
    }

    fn send(&self, job: Job) {
        self.jobs.send(job).expect("the spawner lives as long as the loop");
    }
}

/// Takes the processes that the thread started: tells the loop of them, and reads what they print.
async fn take_over(mut newborns: Receiver, mailbox: Mailbox, jobs: mpsc::Sender<Job>) {
    while let Ok(Newborn { process, leader, output }) = newborns.receive().await {
        let watch = output
            .ok_or_else(|| io::Error::other("too many open files: raise the limit (ulimit -n)"))
            .and_then(|output| Watch::new(leader, output));
        match watch {
            Ok(watch) => {
                mailbox.fact(Notice::Spawned(process, Group::new(leader)));
                tokio::spawn(watch.run(process, mailbox.clone()));
            }
            Err(error) => {
                abort(leader);
                // The thread has ended with the loop when it cannot be told.
                let _ = jobs.send(Job::Gone(process));
                let reason = format!("it cannot be watched: {error}");
                mailbox.fact(Notice::Fact(Input::StartFailed { process, reason }));
            }
        }
    }
}

/// What the thread works with, and on.
struct Worker {
    runtime: PathBuf,
    ledger: Ledger,
    mailbox: Mailbox,
    queue: mpsc::Receiver<Job>,
}

impl Worker {
    fn run(&mut self, handover: &Sender) {
        loop {
            let patience = if self.ledger.is_behind() { LEDGER_RETRY } else { LEDGER_LOOK };
            match self.queue.recv_timeout(patience) {
                Ok(job) => self.take(job, handover),
                Err(RecvTimeoutError::Timeout) => {
                    self.ledger.retry();
                    self.ledger.look();
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn take(&mut self, job: Job, handover: &Sender) {
        match job {
            Job::Spawn(process, definition) => {
                if let Err(error) = self.start_one(process, &definition, handover) {
                    self.ledger.gone(process);
                    let reason = explain(&self.runtime, &error);
                    self.mailbox.fact(Notice::Fact(Input::StartFailed { process, reason }));
                }
            }
            Job::Name(process, number) => self.ledger.name(process, number),
            Job::Gone(process) => self.ledger.gone(process),
        }
    }

    fn start_one(
        &mut self,
        process: ProcessRef,
        definition: &Definition,
        handover: &Sender,
    ) -> io::Result<()> {
        let (output, input) = io::pipe()?;
        self.ledger.intend(process, definition.id, inode(&output)?);
        let leader = spawn(&self.runtime, definition.url().as_str(), input)?;
        restore_descriptor_limit(leader);
        if let Ok(start_ticks) = start_ticks(leader) {
            self.ledger.born(process, leader.as_raw_nonzero().get(), start_ticks);
        }
        handover.send(process, leader, output.as_fd()).inspect_err(|_| abort(leader))
    }
}

/// Starts `<runtime> <url>` as the leader of its own group, with no input and one pipe for both
/// outputs. Nothing here may need code to run in the child before `exec`: that would make the
/// standard library `fork`, which takes as long as the master is large.
fn spawn(runtime: &PathBuf, url: &str, input: PipeWriter) -> io::Result<Pid> {
    let mut command = Command::new(runtime);
    for name in PRIVATE_VARIABLES {
        // Not without need: the standard library then has to copy the environment.
        if std::env::var_os(name).is_some() {
            command.env_remove(name);
        }
    }
    let child = command
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
    group.signal(openctrl_core::process::Scope::Group, openctrl_core::process::Signal::KILL);
    let _ = rustix::process::waitpid(Some(leader), rustix::process::WaitOptions::empty());
}
