//! The children of a keeper: starting, signaling, reaping and listing them.
//!
//! A child is reaped right after its exit was reported to the master, so that one of the two has the
//! status whichever dies. Signals are sent between two reaps, so that the number of a group cannot
//! be reused meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{SystemTime, UNIX_EPOCH};

use openctrl_core::ids::{InstanceId, RunId};
use openctrl_core::keeper::{Child, ChildState, DueSignal, Ended, Lease, Leases, Report, Start};
use openctrl_core::process::{Exit, Scope, Signal};
use openctrl_core::time::Wall;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, WaitId, WaitIdOptions, kill_process, kill_process_group, pidfd_open,
    pidfd_send_signal, test_kill_process_group, waitid,
};
use rustix::time::{ClockId, clock_gettime};

use super::held::Held;
use super::launch::Launcher;
use super::report::report_to;
use crate::lease_clock::lease_ms;
use crate::outputs::Outputs;
use crate::promises::ended_child;

/// All children that were started and not discarded.
pub(super) struct Children {
    launcher: Launcher,
    rows: BTreeMap<RunId, Row>,
    /// The runs of children that were not reaped.
    runs: HashMap<i32, RunId>,
    /// The run that was started last of each instance.
    last_of: HashMap<InstanceId, RunId>,
    /// The processes that another keeper started.
    held: Held,
    leases: Leases,
}

struct Row {
    instance: InstanceId,
    pid: Pid,
    start_ticks: u64,
    started: Wall,
    /// The same by the monotonic clock.
    born_ms: u64,
    note: Box<[u8]>,
    /// Held open so that the child can print while no master reads.
    outputs: Option<Outputs<OwnedFd>>,
    state: ChildState,
    is_stopping: bool,
    /// Whether its group may have members. An empty group stays empty.
    has_group: bool,
}

impl Row {
    /// Whether its number still is that of its process.
    fn is_itself(&self) -> bool {
        self.start_ticks == 0 || start_ticks(self.pid) == self.start_ticks
    }
}

impl Children {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            launcher: Launcher::new()?,
            rows: BTreeMap::new(),
            runs: HashMap::new(),
            last_of: HashMap::new(),
            held: Held::new()?,
            leases: Leases::default(),
        })
    }

    /// Takes over the environment of a new master for the children that it starts.
    pub(super) fn serve_master(&mut self, descriptors: Vec<OwnedFd>) {
        self.renew(lease_ms());
        self.launcher.serve_master(descriptors);
    }

    pub(super) fn set_environment(&mut self, is_first: bool, variables: Vec<Vec<u8>>) {
        self.launcher.set_environment(is_first, variables);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether a child has not ended.
    pub(super) fn any_runs(&self) -> bool {
        self.rows.values().any(|row| row.state == ChildState::Alive)
    }

    /// Starts a child. Returns its process id and its start time.
    pub(super) fn start(
        &mut self,
        start: Start,
        descriptors: Vec<OwnedFd>,
    ) -> io::Result<(i32, u64)> {
        let mut descriptors = descriptors.into_iter();
        let mut next = || descriptors.next().ok_or(io::Error::from(Errno::BADF));
        let (stdout, input) = (next()?, next()?);
        let (stderr, error) =
            if start.has_stderr { Some((next()?, next()?)) } else { None }.unzip();
        let (outputs, inputs) =
            (Outputs { stdout, stderr }, Outputs { stdout: input, stderr: error });
        let report = descriptors.next();
        let report = report.as_ref().map(AsFd::as_fd);
        if self.rows.contains_key(&start.run) {
            return Err(Errno::EXIST.into());
        }
        let inputs = inputs.as_ref().map(AsFd::as_fd);
        let pid = self.launcher.launch(&start, inputs, report)?;
        self.forget_instance(start.instance);
        self.last_of.insert(start.instance, start.run);
        let start_ticks = start_ticks(pid);
        self.runs.insert(pid.as_raw_pid(), start.run);
        let row = Row {
            instance: start.instance,
            pid,
            start_ticks,
            started: wall(),
            born_ms: monotonic_ms(),
            note: start.note.into(),
            outputs: Some(outputs),
            state: ChildState::Alive,
            is_stopping: false,
            has_group: true,
        };
        self.rows.insert(start.run, row);
        self.grant(start.run, start.lease);
        Ok((pid.as_raw_pid(), start_ticks))
    }

    /// Signals a child, or what is left of its group.
    pub(super) fn signal(&mut self, run: RunId, scope: Scope, signal: Signal, is_stop: bool) {
        let Some(row) = self.rows.get_mut(&run) else { return };
        let number = i32::from(signal.number());
        let Some(number) = rustix::process::Signal::from_named_raw(number) else { return };
        let has_ended = row.state != ChildState::Alive;
        row.is_stopping |= is_stop && !has_ended;
        if has_ended {
            row.has_group &= test_kill_process_group(row.pid) != Err(Errno::SRCH);
        }
        if scope == Scope::Group && row.has_group {
            let _ = kill_process_group(row.pid, number);
        }
        let is_for_leader = scope == Scope::Leader || signal == Signal::KILL;
        if has_ended || !is_for_leader {
            return;
        }
        let _ = match self.held.handle(run) {
            Some(handle) => pidfd_send_signal(handle, number),
            // Its number is sure if it is a child; else it is as sure as its start time.
            None if self.runs.contains_key(&row.pid.as_raw_pid()) || row.is_itself() => {
                kill_process(row.pid, number)
            }
            None => Ok(()),
        };
    }

    /// A master lived at `at_ms`.
    pub(super) fn renew(&mut self, at_ms: u64) {
        self.leases.renew(at_ms, lease_ms());
    }

    /// Stops the children whose lease has expired.
    pub(super) fn end_expired(&mut self) {
        for DueSignal { run, scope, signal } in self.leases.take_due(lease_ms()) {
            self.signal(run, scope, signal, false);
        }
    }

    /// How long no lease expires, in ms; `None` if there is none.
    pub(super) fn expires_in_ms(&self) -> Option<u64> {
        self.leases.due_in_ms(lease_ms())
    }

    fn grant(&mut self, run: RunId, lease: Option<Lease>) {
        lease.into_iter().for_each(|lease| self.leases.grant(run, lease, lease_ms()));
    }

    pub(super) fn note(&mut self, run: RunId, note: Vec<u8>) {
        if let Some(row) = self.rows.get_mut(&run) {
            row.note = note.into();
        }
    }

    /// Watches a process that is not a child of the keeper.
    pub(super) fn hold(&mut self, child: Child, descriptors: Vec<OwnedFd>) {
        let Child { run, instance, pid, start_ticks: known, started, age_ms, note, .. } = child;
        let (state, is_stopping, lease) = (child.state, child.is_stopping, child.lease);
        let Some(pid) = Pid::from_raw(pid) else { return };
        let mut row = Row {
            instance,
            pid,
            start_ticks: known,
            started,
            born_ms: monotonic_ms().saturating_sub(age_ms),
            note: note.into(),
            outputs: Outputs::of_list(descriptors),
            state,
            is_stopping,
            has_group: true,
        };
        let handle = pidfd_open(pid, PidfdFlags::NONBLOCK).ok();
        // Another process may have the number by now.
        if row.is_itself() {
            self.held.insert(run, handle);
            self.grant(run, lease);
        } else {
            row.state = ChildState::Ended(Ended::UNKNOWN);
        }
        self.last_of.insert(instance, run);
        self.rows.insert(run, row);
    }

    /// What can be read when a process has ended that another keeper started.
    pub(super) fn held(&self) -> &OwnedFd {
        self.held.ended()
    }

    /// Looks at the processes that another keeper started and that have no handle: their master may
    /// have ended, and no one else says that they have.
    pub(super) fn look_at_unwatched(&mut self) {
        for run in self.held.unwatched() {
            let Some(row) = self.rows.get_mut(&run) else { continue };
            if row.state == ChildState::Alive && !row.is_itself() {
                let has_lost_lease = self.leases.ended(run);
                row.state = ChildState::Ended(Ended { has_lost_lease, ..Ended::UNKNOWN });
            }
        }
    }

    /// Reports the processes that have ended and are not children. Their exit status is unknown.
    fn look_at_held(&mut self, master: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let mut told = Ok(());
        for run in self.held.take_ended() {
            let has_lost_lease = self.leases.ended(run);
            let ended = Ended { has_lost_lease, ..Ended::UNKNOWN };
            let Some(row) = self.rows.get_mut(&run) else { continue };
            row.state = ChildState::Ended(ended);
            row.has_group = test_kill_process_group(row.pid) != Err(Errno::SRCH);
            if let Some(master) = master.filter(|_| told.is_ok()) {
                let has_group = row.has_group;
                told = report_to(master, &Report::Ended(run, ended), &[])
                    .and_then(|()| report_to(master, &Report::Reaped { run, has_group }, &[]));
            }
        }
        told
    }

    /// The master has handled the exit of a child. The note is kept, unless its instance has another
    /// child.
    pub(super) fn taken(&mut self, run: RunId) {
        let Some(row) = self.rows.get_mut(&run) else { return };
        self.leases.forget(run);
        row.outputs = None;
        row.state = ChildState::Taken;
        self.held.remove(run);
        if self.last_of.get(&row.instance) != Some(&run) {
            self.forget(run);
        }
    }

    /// Discards the note about an instance.
    pub(super) fn forget_instance(&mut self, instance: InstanceId) {
        if let Some(run) = self.last_of.get(&instance).copied()
            && self.rows.get(&run).is_some_and(|row| row.state == ChildState::Taken)
        {
            self.forget(run);
        }
    }

    pub(super) fn forget(&mut self, run: RunId) {
        if let Some(row) = self.rows.remove(&run) {
            if self.last_of.get(&row.instance) == Some(&run) {
                self.last_of.remove(&row.instance);
            }
            let pid = row.pid.as_raw_pid();
            if self.runs.get(&pid) == Some(&run) {
                self.runs.remove(&pid);
            }
        }
        self.held.remove(run);
        self.leases.forget(run);
    }

    /// Every child, and its outputs.
    pub(super) fn list(&self) -> impl Iterator<Item = (Child, Vec<BorrowedFd<'_>>)> {
        let now = monotonic_ms();
        self.rows.iter().map(move |(run, row)| {
            let child = Child {
                run: *run,
                instance: row.instance,
                pid: row.pid.as_raw_pid(),
                start_ticks: row.start_ticks,
                started: row.started,
                age_ms: now.saturating_sub(row.born_ms),
                note: row.note.to_vec(),
                state: row.state,
                is_stopping: row.is_stopping,
                lease: self.leases.get(*run),
            };
            let outputs = row.outputs.iter().flat_map(Outputs::iter);
            (child, outputs.map(AsFd::as_fd).collect())
        })
    }

    /// Reaps everything that has ended. The exit is reported to the master before the child is
    /// reaped; without a master the statuses are kept. Fails if the connection has ended.
    pub(super) fn reap(&mut self, master: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let mut told = self.look_at_held(master);
        while let Some(pid) = ended_child(false) {
            let Some(run) = self.runs.get(&pid.as_raw_pid()).copied() else {
                // An orphan that the keeper adopted.
                reaped(pid, WaitIdOptions::empty());
                continue;
            };
            let has_lost_lease = self.leases.ended(run);
            let ended = Ended { has_lost_lease, ..reaped(pid, WaitIdOptions::NOWAIT) };
            let master = master.filter(|_| told.is_ok());
            if let Some(master) = master {
                told = report_to(master, &Report::Ended(run, ended), &[]);
            }
            reaped(pid, WaitIdOptions::empty());
            self.runs.remove(&pid.as_raw_pid());
            let Some(row) = self.rows.get_mut(&run) else { continue };
            row.state = ChildState::Ended(ended);
            row.has_group = test_kill_process_group(row.pid) != Err(Errno::SRCH);
            if let Some(master) = master.filter(|_| told.is_ok()) {
                let has_group = row.has_group;
                told = report_to(master, &Report::Reaped { run, has_group }, &[]);
            }
        }
        told
    }
}

/// The exit of a child that has ended; reaps it unless `NOWAIT` is among the options.
fn reaped(pid: Pid, options: WaitIdOptions) -> Ended {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | options;
    loop {
        match waitid(WaitId::Pid(pid), options) {
            Err(Errno::INTR) => {}
            Ok(Some(status)) => {
                let signal = status.terminating_signal().map(Exit::Signal);
                let exit = signal.or(status.exit_status().map(Exit::Code));
                return Ended { exit, has_dumped_core: status.dumped(), has_lost_lease: false };
            }
            Ok(None) | Err(_) => return Ended::UNKNOWN,
        }
    }
}

/// When a process started, in clock ticks since the machine did; 0 if that cannot be read.
fn start_ticks(pid: Pid) -> u64 {
    const AFTER_NAME: usize = 19;
    // Longer than all its fields can be.
    let mut text = [0; 1024];
    let file = File::open(format!("/proc/{}/stat", pid.as_raw_pid()));
    let length = file.and_then(|mut file| file.read(&mut text)).unwrap_or(0);
    let text = String::from_utf8_lossy(&text[..length]);
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields.split_whitespace().nth(AFTER_NAME).and_then(|ticks| ticks.parse().ok()).unwrap_or(0)
}

fn wall() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

fn monotonic_ms() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
    seconds * 1_000 + nanos / 1_000_000
}
