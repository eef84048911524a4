//! Starts processes through a keeper, which is their parent. The thread of the spawner uses it
//! unless `survive=off`.

use std::collections::HashMap;
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use openctrl_core::ids::{InstanceId, ProcessRef, RunId};
use openctrl_core::instance::Definition;
use openctrl_core::keeper::{Child, ChildState, Lease, Note, Order, Ordered};
use openctrl_core::process::{Scope, Signal};
use rustix::process::WaitOptions;
use tokio::runtime::Handle;

use super::in_flight::Starts;
use super::job::{Job, Orphan};
use super::launch::Launcher;
use super::ledger::Ledger;
use super::link::{Link, is_closed, remove_socket};
use super::pipes::Pipes;
use super::renewal::Renewal;
use super::reports::Reports;
use super::runs::Pending;
use super::stat::{Sink, inode};
use super::survivors::discard;
use crate::daemon::inbox::Notice;
use crate::descriptors::{are_enough_for_two, are_scarce, too_many};

/// How long a keeper may take to end after the order to do so.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

/// The thread's side of a keeper.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) directory: PathBuf,
    /// `None` while no keeper could be started.
    pub(super) link: Option<Link>,
    pub(super) reports: Reports,
    pub(super) runtime: Handle,
    /// The runs of the processes that were not discarded.
    pub(super) names: HashMap<ProcessRef, Named>,
    /// The last process of each instance.
    pub(super) last_of: HashMap<InstanceId, (ProcessRef, RunId)>,
    pub(super) renewal: Renewal,
    pub(super) starts: Starts,
}

/// What became of the order of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spawned {
    /// It was sent, or started without a keeper.
    Ordered,
    /// The keeper is lost: the order is repeated once there is another one.
    NoKeeper,
}

/// The identity of a process at the keeper.
#[derive(Debug)]
pub(super) struct Named {
    run: RunId,
    instance: InstanceId,
    ordered: Option<Ordered>,
    note: Vec<u8>,
    lease: Option<Lease>,
}

impl Kept {
    /// Orders a process.
    pub(super) fn spawn(
        &mut self,
        (process, run): (ProcessRef, RunId),
        definition: &Definition,
        note: &Note,
        launcher: &Launcher,
        ledger: &mut Ledger,
    ) -> io::Result<Spawned> {
        let pipes = Pipes::new(&definition.checks, |newest| are_enough_for_two(newest))?;
        let Pipes { read: outputs, write } = pipes;
        if outputs.iter().any(are_scarce) {
            return Err(too_many());
        }
        let sink = |output: &PipeReader| Ok::<_, io::Error>(Sink::Pipe(inode(output.as_fd())?));
        ledger.intend(process, definition.id, outputs.as_ref().try_map(sink)?);
        let (mut start, has_report) = launcher.for_keeper(definition, run)?;
        start.has_stderr = outputs.stderr.is_some();
        let note = &note.clone().ordering(&definition.launch);
        start.note = note.encode();
        let report = if has_report { Some(io::pipe()?) } else { None };
        let (report, end) = report.unzip();
        self.name((process, run), definition.id, note, start.lease);
        let copies = outputs.as_ref().try_map(PipeReader::try_clone)?;
        let pairs = copies.iter().zip(write.iter());
        let mut descriptors: Vec<BorrowedFd<'_>> =
            pairs.flat_map(|(copy, input)| [copy.as_fd(), input.as_fd()]).collect();
        descriptors.extend(end.as_ref().map(AsFd::as_fd));
        let link = self.keeper(launcher)?;
        let in_flight = self.starts.begin();
        let pending = Pending { keeper: link.pid, process, outputs, report, in_flight };
        self.reports.runs.lock().pending.insert(run, pending);
        let Err(error) = link.order(&Order::Start(start), &descriptors) else {
            return Ok(Spawned::Ordered);
        };
        // If the keeper is known to be lost, the reader of its reports settles the start.
        if self.reports.runs.lock().pending.remove(&run).is_none() {
            return Ok(Spawned::Ordered);
        }
        if !is_closed(&error) {
            return Err(error);
        }
        self.close(link.pid);
        Ok(Spawned::NoKeeper)
    }

    /// Names a process that the keeper of an earlier master has.
    pub(super) fn name(
        &mut self,
        (process, run): (ProcessRef, RunId),
        instance: InstanceId,
        note: &Note,
        lease: Option<Lease>,
    ) {
        let (ordered, note) = (note.ordered, note.encode());
        self.names.insert(process, Named { run, instance, ordered, note, lease });
        self.last_of.insert(instance, (process, run));
    }

    pub(super) fn signal(&self, process: ProcessRef, scope: Scope, signal: Signal) {
        let is_stop = signal != Signal::CONT;
        if let Some(Named { run, .. }) = self.names.get(&process) {
            self.order(&Order::Signal { run: *run, scope, signal, is_stop });
        }
    }

    /// Stores a note about the last process of an instance.
    pub(super) fn note(&mut self, instance: InstanceId, note: &Note) {
        let Some((process, run)) = self.last_of.get(&instance).copied() else { return };
        let named = self.names.get_mut(&process);
        let ordered = named.as_ref().and_then(|named| named.ordered);
        let note = Note { ordered, ..note.clone() }.encode();
        if let Some(named) = named {
            named.note.clone_from(&note);
        }
        self.order(&Order::Note { run, note });
    }

    /// The master lived at `at_ms`.
    pub(super) fn renew(&self, at_ms: u64) {
        self.order(&Order::Renew { at_ms });
    }

    /// A process has ended, and its exit is known here.
    pub(super) fn taken(&mut self, process: ProcessRef) {
        if let Some(named) = self.names.remove(&process) {
            self.order(&Order::Taken(named.run));
        }
    }

    /// An instance was deleted.
    pub(super) fn deleted(&mut self, instance: InstanceId) {
        self.last_of.remove(&instance);
        self.order(&Order::ForgetInstance(instance));
    }

    /// A process was not started.
    pub(super) fn forget(&mut self, process: ProcessRef) {
        if let Some(named) = self.names.remove(&process) {
            self.order(&Order::Forget(named.run));
        }
    }

    /// Ends what belongs to no instance.
    pub(super) fn discard(&self, child: &Child) {
        if let Some(link) = &self.link {
            discard(link, child);
        }
    }

    /// Hands a process over whose keeper was lost, so that the next one keeps its output open.
    pub(super) fn hold(&self, process: ProcessRef, orphan: Orphan) {
        let (Some(named), Some(link)) = (self.names.get(&process), &self.link) else { return };
        let Orphan { pid, start_ticks, age_ms, outputs, wake } = orphan;
        let started = Note::decode(&named.note).started.unwrap_or_default();
        let child = Child {
            run: named.run,
            instance: named.instance,
            pid,
            start_ticks,
            started,
            age_ms,
            note: named.note.clone(),
            state: ChildState::Alive,
            is_stopping: false,
            lease: named.lease,
        };
        // Before the order: if this keeper is lost, the process is handed to the next one.
        self.reports.runs.kept(named.run, link.pid, wake);
        let outputs: Vec<BorrowedFd<'_>> = outputs.iter().map(AsFd::as_fd).collect();
        let _ = link.order(&Order::Hold(child), &outputs);
    }

    /// A keeper was lost; another one becomes due.
    pub(super) fn lost(&mut self, lost: &Link, has_started: bool) {
        self.close(lost.pid);
        // Its death was waited for.
        lost.reap(WaitOptions::NOHANG);
        if self.link.is_none() && self.renewal.is_waiting() {
            self.renewal.lost(has_started, Instant::now());
        }
    }

    /// Whether a job has to wait: for another keeper, or until fewer starts are under way.
    pub(super) fn has_to_wait(&self, job: &Job) -> bool {
        let needs_room = matches!(job, Job::Spawn(..));
        let needs_keeper = needs_room || matches!(job, Job::Orphaned(..));
        (needs_keeper && self.renewal.is_waiting()) || (needs_room && !self.starts.have_room())
    }

    /// How long it takes until another keeper is due; `None` if none is.
    pub(super) fn is_due_in(&self) -> Option<Duration> {
        self.renewal.is_due_in(Instant::now())
    }

    /// Starts another keeper if one is due.
    pub(super) fn renew_if_due(&mut self, launcher: &Launcher) {
        if self.is_due_in() != Some(Duration::ZERO) {
            return;
        }
        if let Err(error) = self.keeper(launcher) {
            self.renewal.failed();
            tracing::warn!(
                "Master.run: cannot start a keeper: {error}; children do not outlive the master until it can"
            );
        }
    }

    /// Gives up the connection to a keeper that was lost.
    fn close(&mut self, lost: i32) {
        if self.link.as_ref().is_some_and(|link| link.pid == lost) {
            self.link = None;
            self.renewal.closed();
        }
    }

    /// Lets the keeper end, and kills it if it does not. No child must be left.
    pub(super) fn quit(&mut self) {
        *self.reports.is_over.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = true;
        let Some(link) = self.link.take() else { return };
        let is_told = link.order(&Order::Quit, &[]).is_ok();
        if is_told && !link.wait_closed(ENDS_WITHIN) {
            tracing::warn!("Master.run: the keeper {} does not end; it is killed", link.pid);
            link.kill();
        }
        link.reap(WaitOptions::empty());
        remove_socket(&self.directory);
    }

    /// The keeper, a new one if there is none.
    fn keeper(&mut self, launcher: &Launcher) -> io::Result<Link> {
        if let Some(link) = &self.link {
            return Ok(link.clone());
        }
        let link = Link::launch(&self.directory, launcher.environment_of_all())
            .map_err(|error| io::Error::other(error.to_string()))?;
        tracing::info!("Master.run: keeper {} was started in its place", link.pid);
        self.reports.nursery.mailbox.fact(Notice::KeeperStarted(link.pid));
        self.link = Some(link.clone());
        self.renewal.started(Instant::now());
        self.runtime.spawn(self.reports.clone().read(link.clone()));
        Ok(link)
    }

    /// A keeper that is lost is noticed where its reports are read.
    fn order(&self, order: &Order) {
        if let Some(link) = &self.link {
            let _ = link.order(order, &[]);
        }
    }
}
