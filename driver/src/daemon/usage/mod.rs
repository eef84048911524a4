//! What became of processes, and what they use: `GET /instances/{id}/process`, `GET /processes`.
//!
//! Facts come from the engine, pids from the loop. CPU time and memory are the system's, and are
//! looked at in the background by one thread, only while somebody asks, and never more than a
//! hundredth of the time: see [`Sampler`].

#[cfg(target_os = "linux")]
mod groups;
#[cfg(not(target_os = "linux"))]
#[path = "groups_unknown.rs"]
mod groups;
mod sampler;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use openctrl_core::doors::v2::{ProcessReport, Usage, render_processes};
use openctrl_core::event::{Event, EventKind, Subject};
use openctrl_core::ids::{InstanceId, ProcessRef};
use openctrl_core::instance::{ProcessFacts, Status};

use self::sampler::Sampler;
use crate::counters::COUNTERS;
use crate::daemon::clock::Clock;

/// What is known of the processes of every instance.
#[derive(Debug)]
pub(crate) struct Processes {
    rows: Arc<Rows>,
    sampler: Sampler,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Rows(Mutex<BTreeMap<InstanceId, Row>>);

#[derive(Debug)]
struct Row {
    facts: Box<ProcessFacts>,
    /// Of the process that is alive.
    pid: Option<i32>,
    usage: Option<Usage>,
    /// What is known of the end of the last process beyond its status.
    exit_note: Option<String>,
    /// The same of the process whose end the engine is about to be told.
    next_exit_note: Option<String>,
}

impl Processes {
    /// Starts the thread that looks at processes.
    pub(crate) fn start(clock: Clock) -> io::Result<Arc<Self>> {
        let rows = Arc::new(Rows::default());
        let sampler = Sampler::start(Arc::clone(&rows), clock.clone())?;
        Ok(Arc::new(Self { rows, sampler, clock }))
    }

    /// Takes facts in; `pid` is that of the process in them.
    pub(crate) fn show(&self, id: InstanceId, facts: Box<ProcessFacts>, pid: Option<i32>) {
        let mut rows = self.rows.lock();
        let mut before = rows.remove(&id);
        COUNTERS.processes(before.as_ref().map(|before| &*before.facts), &facts);
        let is_same = before.as_ref().is_some_and(|before| before.facts.alive == facts.alive);
        let usage = before.as_ref().and_then(|before| before.usage).filter(|_| is_same);
        let (exits, failures) = (facts.exits, facts.failures);
        let (exit_note, next_exit_note) = match &mut before {
            Some(before) if (before.facts.exits, before.facts.failures) == (exits, failures) => {
                (before.exit_note.take(), before.next_exit_note.take())
            }
            Some(before) => (before.next_exit_note.take(), None),
            None => (None, None),
        };
        rows.insert(id, Row { facts, pid, usage, exit_note, next_exit_note });
    }

    /// Adds to the end of a process, of which the engine is told next, what its status does not say.
    pub(crate) fn explain_exit(&self, process: ProcessRef, note: String) {
        let mut rows = self.rows.lock();
        let is_its = |row: &&mut Row| row.facts.alive.is_some_and(|(alive, _)| alive == process);
        if let Some(row) = rows.values_mut().find(is_its) {
            row.next_exit_note = Some(note);
        }
    }

    /// Forgets an instance that is gone.
    pub(crate) fn follow(&self, event: &Event) {
        if let (EventKind::Delete, Subject::Instance(id)) = (event.kind, event.object.subject()) {
            self.rows.lock().remove(&id);
        }
    }

    /// What each instance is shown as.
    pub(crate) fn statuses(&self) -> Vec<Status> {
        self.rows.lock().values().map(|row| row.facts.status).collect()
    }

    /// The instance whose live process this is.
    pub(crate) fn instance_of(&self, process: ProcessRef) -> Option<InstanceId> {
        let rows = self.rows.lock();
        let is_its = |row: &Row| row.facts.alive.is_some_and(|(alive, _)| alive == process);
        rows.iter().find(|(_, row)| is_its(row)).map(|(id, _)| *id)
    }

    /// The process object of an instance.
    pub(crate) async fn one(&self, id: InstanceId) -> Option<Bytes> {
        self.sampler.wake().await;
        let now = self.clock.sample();
        self.rows.lock().get(&id).map(|row| row.report(id).json(now))
    }

    /// The process objects of all instances, by id.
    pub(crate) async fn all(&self) -> Bytes {
        self.sampler.wake().await;
        let now = self.clock.sample();
        let rows = self.rows.lock();
        render_processes(rows.iter().map(|(id, row)| row.report(*id)), now)
    }
}

impl Rows {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<InstanceId, Row>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The processes that are alive, by their pid, which is that of their group.
    fn alive(&self) -> HashMap<i32, (InstanceId, ProcessRef)> {
        let rows = self.lock();
        let alive = rows.iter().filter_map(|(id, row)| {
            let (process, _) = row.facts.alive?;
            Some((row.pid?, (*id, process)))
        });
        alive.collect()
    }

    /// Shows what a process uses, unless another has come in its place.
    fn set_usage(&self, found: impl Iterator<Item = (InstanceId, ProcessRef, Usage)>) {
        let mut rows = self.lock();
        for (id, process, usage) in found {
            if let Some(row) = rows.get_mut(&id)
                && row.facts.alive.is_some_and(|(alive, _)| alive == process)
            {
                row.usage = Some(usage);
            }
        }
    }
}

impl Row {
    fn report(&self, id: InstanceId) -> ProcessReport<'_> {
        let exit_note = self.exit_note.as_deref();
        ProcessReport { id, facts: &self.facts, pid: self.pid, usage: self.usage, exit_note }
    }
}
