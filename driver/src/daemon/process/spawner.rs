//! Starts processes in a thread of its own: a start takes a tenth of a millisecond, and hundreds
//! of them at once must not hold up the loop.
//!
//! The thread has a descriptor table of its own, too. The system copies the table for every start,
//! so that each would take the longer the more children and connections there are.

use std::collections::{HashMap, VecDeque};
use std::io::{self, PipeReader};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use openctrl_core::engine::Input;
use openctrl_core::ids::{InstanceId, ProcessRef, RunId};
use openctrl_core::instance::{Definition, Exec, Launch, Output, ProcessFacts, Setup};
use openctrl_core::keeper::{Child, Note};
use openctrl_core::process::Identity;
use rustix::process::Pid;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::children::KeeperOf;
use super::handover::{Receiver, Sender, handover};
use super::in_flight::Starts;
use super::job::{Attached, Job};
use super::kept::{Kept, Spawned};
use super::launch::{Launched, Launcher, Runtime, environment, start_command};
use super::ledger::Ledger;
use super::leftover::Leftover;
use super::link::Link;
use super::nursery::{Nursery, abort};
use super::pipes::Pipes;
use super::refused::explain;
use super::renewal::Renewal;
use super::reports::Reports;
use super::run_groups::RunGroups;
use super::runs::Runs;
use super::stat::{Sink, inode, log_file, start_ticks};
use super::survivor::Survivor;
use super::survivors::KeeperLink;
use super::watch::{Ending, Watch, wait_for_leftover};
use crate::cgroups::Groups;
use crate::daemon::inbox::{Mailbox, Notice};
use crate::daemon::patrol::{Descriptors, Door};
use crate::lease_clock::lease_ms;
use crate::outputs::Outputs;
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
    /// Starts the thread. It needs no table of its own if a keeper starts the processes, and may
    /// have none if it passes on descriptors that other threads open.
    pub(crate) fn start(shares_table: bool) -> io::Result<Self> {
        let (handover, newborns) = handover()?;
        let (worker, workers) = mpsc::channel::<Worker>();
        let (ready, is_ready) = mpsc::channel();
        thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            // Without a table of its own it is slower, and right all the same.
            let _ = if shares_table { Ok(()) } else { leave_descriptor_table() };
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
    /// Log files of apps are said to `door`.
    ///
    /// # Errors
    /// When the path of the runtime, or that of this program, is nothing that can be started.
    pub(crate) fn begin(
        self,
        runtime: Runtime,
        mut ledger: Ledger,
        mailbox: Mailbox,
        door: Option<Arc<Door>>,
        keeper: Option<(KeeperLink, PathBuf)>,
        groups: Option<Groups>,
    ) -> io::Result<Spawner> {
        let (jobs, queue) = mpsc::channel();
        ledger.close();
        let launcher = Launcher::new(&runtime, groups.clone())?;
        let nursery =
            Nursery { runtime: runtime.path.clone(), mailbox: mailbox.clone(), jobs: jobs.clone() };
        let runs = Runs::default();
        let reports = Reports {
            runs: runs.clone(),
            nursery: Arc::new(nursery.clone()),
            jobs: jobs.clone(),
            is_over: Arc::default(),
        };
        let first = keeper.as_ref().map(|(KeeperLink(link), _)| (link.clone(), reports.clone()));
        let kept = keeper.map(|(KeeperLink(link), directory)| Kept {
            directory,
            link: Some(link),
            reports,
            runtime: Handle::current(),
            names: HashMap::new(),
            last_of: HashMap::new(),
            renewal: Renewal::default(),
            starts: Starts::new(jobs.clone()),
        });
        let waiting = VecDeque::new();
        let worker = Worker {
            runtime,
            launcher,
            ledger,
            kept,
            waiting,
            mailbox: mailbox.clone(),
            queue,
            door,
            has_ceased: false,
            run_groups: RunGroups::new(groups.clone()),
        };
        self.worker.send(worker).expect("the thread waits for this");
        tokio::spawn(nursery.run(self.newborns));
        Ok(Spawner { jobs, mailbox, runs, keeper: first, groups })
    }
}

/// Starts what it is asked to start, in order, and keeps the ledger.
#[derive(Debug)]
pub(crate) struct Spawner {
    jobs: mpsc::Sender<Job>,
    mailbox: Mailbox,
    runs: Runs,
    /// The first keeper, and who reads its reports.
    keeper: Option<(Link, Reports)>,
    groups: Option<Groups>,
}

impl Spawner {
    /// Asks for a process; whether it came to life is said through the mailbox.
    pub(crate) fn spawn(
        &self,
        (process, run): (ProcessRef, RunId),
        definition: Arc<Definition>,
        note: Note,
    ) {
        self.send(Job::Spawn(process, run, definition, Box::new(note)));
    }

    /// The keeper that starts processes, if there is one.
    pub(crate) fn keeper(&self) -> Option<KeeperOf> {
        self.keeper.as_ref().map(|(link, _)| KeeperOf { jobs: self.jobs.clone(), pid: link.pid })
    }

    /// The control groups of processes, if they have some.
    pub(crate) fn groups(&self) -> Option<Groups> {
        self.groups.clone()
    }

    /// Begins to read what the keeper reports. Every survivor was attached before.
    pub(crate) fn listen(&self) {
        if let Some((link, reports)) = &self.keeper {
            tokio::spawn(reports.clone().read(link.clone()));
        }
    }

    /// Takes over a process that outlived the last master; its output and its end are said through
    /// the mailbox.
    pub(crate) fn attach(&self, process: ProcessRef, survivor: Survivor) {
        let ended = survivor.ended();
        let Survivor { child, outputs, pipes, number, unfinished, notify: _ } = survivor;
        let Child { run, instance, pid, start_ticks, note, lease, .. } = child;
        let leader = Pid::from_raw(pid).expect("the id of a process is not 0");
        let note = Note::decode(&note);
        let born = (pid, start_ticks);
        let attached = Attached { run, instance, note, lease, number, pipes, born };
        self.send(Job::Attach(process, Box::new(attached)));
        let keeper = self.keeper.as_ref().map_or(0, |(link, _)| link.pid);
        let ending = match ended {
            Some(_) => Ending::Over,
            None => Ending::Kept { woken: self.runs.watch(run, keeper), leader, start_ticks },
        };
        match Watch::with(ending, outputs) {
            Ok(watch) => {
                let watch = watch.keep_with(self.jobs.clone()).resuming(unfinished);
                tokio::spawn(watch.run(process, self.mailbox.clone()));
            }
            Err(error) => {
                tracing::warn!("Master.run: the output of process {pid} cannot be read: {error}");
            }
        }
    }

    /// Whether a keeper is the parent of the children.
    pub(crate) const fn has_keeper(&self) -> bool {
        self.keeper.is_some()
    }

    /// Lets the keeper know what is shown of the processes of an instance.
    pub(crate) fn note(&self, instance: InstanceId, facts: &ProcessFacts) {
        if self.has_keeper() {
            self.send(Job::Note(instance, Box::new(Note::of(facts))));
        }
    }

    /// Renews the leases of all processes that have one.
    pub(crate) fn renew_leases(&self) {
        if self.has_keeper() {
            self.send(Job::Renew(lease_ms()));
        }
    }

    /// An instance was deleted.
    pub(crate) fn deleted(&self, instance: InstanceId) {
        if self.has_keeper() {
            self.send(Job::Deleted(instance));
        }
    }

    /// Drops the starts that have not begun and those that are asked for from now on, and waits
    /// until that is done.
    pub(crate) async fn cease(&self) {
        let (done, is_done) = oneshot::channel();
        self.send(Job::Cease(done));
        let _ = is_done.await;
    }

    /// Lets the keeper end, and waits until it has.
    pub(crate) async fn finish_keeper(&self) {
        if self.has_keeper() {
            let (done, is_done) = oneshot::channel();
            self.send(Job::Quit(done));
            let _ = is_done.await;
        }
    }

    /// Kills what is left in control groups, removes them, and waits until that is done.
    pub(crate) async fn remove_groups(&self) {
        if self.groups.is_some() {
            let (done, is_done) = oneshot::channel();
            self.send(Job::RemoveGroups(done));
            let _ = is_done.await;
        }
    }

    /// Ends what outlived the last master and belongs to no instance.
    pub(crate) fn discard(&self, survivor: Survivor) {
        self.send(Job::Discard(Box::new(survivor.child)));
    }

    /// Waits until everything that was asked for so far is done.
    pub(crate) async fn settle(&self) {
        let (done, is_done) = oneshot::channel();
        self.send(Job::Settle(done));
        let _ = is_done.await;
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

/// What the thread works with, and on.
struct Worker {
    runtime: Runtime,
    launcher: Launcher,
    ledger: Ledger,
    /// What starts the processes, if it is not this thread.
    kept: Option<Kept>,
    /// What waits for another keeper or for other starts: at most a start or an orphan for each
    /// instance.
    waiting: VecDeque<Job>,
    mailbox: Mailbox,
    queue: mpsc::Receiver<Job>,
    door: Option<Arc<Door>>,
    /// Nothing is started any more.
    has_ceased: bool,
    run_groups: RunGroups,
}

impl Worker {
    fn run(&mut self, handover: &Sender) {
        loop {
            let patience = if self.ledger.is_behind() { LEDGER_RETRY } else { LEDGER_LOOK };
            let due = self.kept.as_ref().and_then(Kept::is_due_in).unwrap_or(patience);
            let due = self.run_groups.is_due_in().map_or(due, |tidy| tidy.min(due));
            match self.queue.recv_timeout(patience.min(due)) {
                Ok(job) => self.take(job, handover),
                Err(RecvTimeoutError::Timeout) => {
                    self.ledger.retry();
                    self.ledger.look();
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if let Some(kept) = &mut self.kept {
                kept.renew_if_due(&self.launcher);
            }
            self.run_groups.tidy();
            self.resume(handover);
        }
    }

    /// Does what does not have to wait any more, in order.
    fn resume(&mut self, handover: &Sender) {
        while let (Some(kept), Some(job)) = (&self.kept, self.waiting.front()) {
            if kept.has_to_wait(job) {
                return;
            }
            if let Some(job) = self.waiting.pop_front() {
                self.carry_out(job, handover);
            }
        }
    }

    fn take(&mut self, job: Job, handover: &Sender) {
        match &self.kept {
            Some(kept) if kept.has_to_wait(&job) && !self.has_ceased => self.waiting.push_back(job),
            Some(_) | None => self.carry_out(job, handover),
        }
    }

    fn carry_out(&mut self, job: Job, handover: &Sender) {
        match job {
            Job::Spawn(process, ..) if self.has_ceased => self.ledger.gone(process),
            Job::Spawn(process, run, definition, note) => {
                self.spawn((process, run), definition, note, handover);
            }
            Job::Name(process, number) => self.ledger.name(process, number),
            Job::Gone(process) => {
                self.ledger.gone(process);
                self.kept.iter_mut().for_each(|kept| kept.taken(process));
                self.run_groups.gone(process);
            }
            Job::NotStarted(process) => {
                self.ledger.gone(process);
                self.kept.iter_mut().for_each(|kept| kept.forget(process));
                self.run_groups.gone(process);
            }
            Job::Deleted(instance) => {
                self.kept.iter_mut().for_each(|kept| kept.deleted(instance));
            }
            Job::Born(process, pid, start_ticks) => self.ledger.born(process, pid, start_ticks),
            Job::Attach(process, attached) => self.attach(process, &attached),
            Job::Signal(process, scope, signal) => {
                self.kept.iter().for_each(|kept| kept.signal(process, scope, signal));
            }
            Job::Note(instance, note) => {
                self.kept.iter_mut().for_each(|kept| kept.note(instance, &note));
            }
            Job::Renew(at_ms) => self.kept.iter().for_each(|kept| kept.renew(at_ms)),
            Job::KeeperLost(link, has_started) => {
                self.kept.iter_mut().for_each(|kept| kept.lost(&link, has_started));
            }
            Job::Orphaned(process, orphan) => {
                if let Some(kept) = &self.kept {
                    kept.hold(process, orphan);
                }
            }
            Job::Discard(child) => self.kept.iter().for_each(|kept| kept.discard(&child)),
            // What waits is looked at after every job.
            Job::Room => {}
            Job::Settle(done) => {
                let _ = done.send(());
            }
            Job::Cease(done) => {
                self.has_ceased = true;
                for job in std::mem::take(&mut self.waiting) {
                    self.take(job, handover);
                }
                let _ = done.send(());
            }
            Job::Quit(done) => {
                self.kept.iter_mut().for_each(Kept::quit);
                let _ = done.send(());
            }
            Job::RemoveGroups(done) => {
                self.run_groups.finish();
                let _ = done.send(());
            }
        }
    }

    fn spawn(
        &mut self,
        (process, run): (ProcessRef, RunId),
        definition: Arc<Definition>,
        note: Box<Note>,
        handover: &Sender,
    ) {
        self.run_groups.has(process, run);
        let started = match &mut self.kept {
            Some(kept) => {
                let (launcher, ledger) = (&self.launcher, &mut self.ledger);
                kept.spawn((process, run), &definition, &note, launcher, ledger)
            }
            None => {
                let started = self.start_one((process, run), &definition, handover);
                started.map(|()| Spawned::Ordered)
            }
        };
        let Err(error) = started else {
            if let Ok(Spawned::NoKeeper) = started {
                self.ledger.gone(process);
                self.waiting.push_front(Job::Spawn(process, run, definition, note));
            }
            return;
        };
        self.ledger.gone(process);
        self.kept.iter_mut().for_each(|kept| kept.forget(process));
        self.run_groups.gone(process);
        let reason = match &definition.launch {
            Launch::Exec(exec) => format!("{}: {error}", exec.argv[0]),
            Launch::Runtime(_) | Launch::Verbs(_) => explain(&self.runtime.path, &error),
        };
        if definition.is_configured() {
            let label = definition.label.as_ref().map_or("", |label| &label.0);
            tracing::warn!("Patrol.start: {label}: {reason}");
        }
        self.mailbox.fact(Notice::Fact(Input::StartFailed { process, reason }));
    }

    fn attach(&mut self, process: ProcessRef, attached: &Attached) {
        let Attached { run, instance, ref note, lease, number, pipes, born } = *attached;
        let (pid, ticks) = born;
        self.run_groups.has(process, run);
        match number {
            Some(number) => self.ledger.name(process, number),
            None => {
                self.ledger.intend(process, instance, pipes.map(Sink::Pipe));
                self.ledger.born(process, pid, ticks);
            }
        }
        self.kept.iter_mut().for_each(|kept| kept.name((process, run), instance, note, lease));
    }

    fn start_one(
        &mut self,
        (process, run): (ProcessRef, RunId),
        definition: &Definition,
        handover: &Sender,
    ) -> io::Result<()> {
        let pipes = Pipes::new(&definition.checks, |newest| handover.has_room_for_two(newest))?;
        let Launched { leader, report } = match &definition.launch {
            Launch::Exec(exec) => {
                let leader = self.start_command(process, definition, exec)?;
                Launched { leader, report: None }
            }
            Launch::Runtime(_) => {
                let sink =
                    |output: &PipeReader| Ok::<_, io::Error>(Sink::Pipe(inode(output.as_fd())?));
                self.ledger.intend(process, definition.id, pipes.read.as_ref().try_map(sink)?);
                self.launcher.launch(definition, run, &pipes.write)?
            }
            Launch::Verbs(_) => return Err(io::Error::other("a service has no process")),
        };
        if let Ok(start_ticks) = start_ticks(leader) {
            self.ledger.born(process, leader.as_raw_nonzero().get(), start_ticks);
            if let Ok(pid) = u32::try_from(leader.as_raw_pid())
                && definition.is_configured()
            {
                let identity = Identity { pid, start_ticks };
                self.mailbox.fact(Notice::Fact(Input::PidTold { process, identity }));
            }
        }
        let report = report.as_ref().map(AsFd::as_fd);
        let outputs = pipes.read.as_ref().map(AsFd::as_fd);
        handover.send(process, leader, outputs, report).inspect_err(|_| abort(leader))
    }
}

impl Worker {
    /// Starts an app, and says where its log files are. By the first of them it is known to the
    /// next master if this one ends before it has written the process id down.
    fn start_command(
        &mut self,
        process: ProcessRef,
        definition: &Definition,
        exec: &Exec,
    ) -> io::Result<Pid> {
        let Setup { env, clear_env, cwd, .. } = &*definition.setup;
        let variables = env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let environment = environment(variables, *clear_env);
        let descriptors = match (&exec.output, &self.door, &definition.label) {
            (Output::Files { directory, merge }, Some(door), Some(label)) => {
                door.descriptors(label, directory, *merge)?
            }
            _ => Descriptors::discarding()?,
        };
        let log = Outputs::joined(log_file(descriptors.log())?);
        self.ledger.intend(process, definition.id, log);
        start_command(&exec.argv, environment, cwd.as_deref(), &descriptors.list())
    }
}
