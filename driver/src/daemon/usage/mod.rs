//! Facts about processes, and their resource usage: `GET /instances/{id}/process`, `GET
//! /processes`.
//!
//! Facts come from the engine, pids from the loop. One thread samples CPU time and memory in the
//! background, only while clients ask, and never for more than 1 % of the time: see [`Sampler`].

#[cfg(target_os = "linux")]
mod groups;
#[cfg(not(target_os = "linux"))]
#[path = "groups_unknown.rs"]
mod groups;
mod rows;
mod sampler;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use openctrl_core::doors::v2::{Usage, render_processes};
use openctrl_core::event::{Event, EventKind, Subject};
use openctrl_core::ids::{InstanceId, ProcessRef};
use openctrl_core::instance::{ProcessFacts, Status};

use self::rows::{Row, Rows};
use self::sampler::Sampler;
use crate::cgroups::Groups;
use crate::counters::COUNTERS;
use crate::daemon::clock::Clock;

/// Facts about the processes of every instance.
#[derive(Debug)]
pub(crate) struct Processes {
    rows: Arc<Rows>,
    sampler: Sampler,
    clock: Clock,
}

impl Processes {
    /// Starts the thread that samples processes.
    pub(crate) fn start(clock: Clock, groups: Option<Groups>) -> io::Result<Arc<Self>> {
        let rows = Arc::new(Rows::default());
        let sampler = Sampler::start(Arc::clone(&rows), clock.clone(), groups)?;
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

    /// Adds facts beyond the exit status, before the engine receives the exit.
    pub(crate) fn explain_exit(&self, process: ProcessRef, note: String) {
        let mut rows = self.rows.lock();
        let is_its = |row: &&mut Row| row.facts.alive.is_some_and(|(alive, _)| alive == process);
        if let Some(row) = rows.values_mut().find(is_its) {
            row.next_exit_note = Some(note);
        }
    }

    /// Removes a deleted instance.
    pub(crate) fn follow(&self, event: &Event) {
        if let (EventKind::Delete, Subject::Instance(id)) = (event.kind, event.object.subject()) {
            self.rows.lock().remove(&id);
        }
    }

    /// Reads the facts about the processes of an instance, and the running process.
    pub(crate) fn with_facts(&self, id: InstanceId, read: impl FnOnce(&ProcessFacts, Option<i32>)) {
        if let Some(row) = self.rows.lock().get(&id) {
            read(&row.facts, row.pid);
        }
    }

    /// What each instance is shown as.
    pub(crate) fn statuses(&self) -> Vec<Status> {
        self.each(|_, facts, _| facts.status)
    }

    /// The instance whose live process this is.
    pub(crate) fn instance_of(&self, process: ProcessRef) -> Option<InstanceId> {
        let rows = self.rows.lock();
        let is_its = |row: &Row| row.facts.alive.is_some_and(|(alive, _)| alive == process);
        rows.iter().find(|(_, row)| is_its(row)).map(|(id, _)| *id)
    }

    /// Has the usage sampled for the readers that follow.
    pub(crate) async fn refresh(&self) {
        self.sampler.wake().await;
    }

    /// The facts and the usage of the processes of each instance, by id.
    pub(crate) fn each<T>(
        &self,
        read: impl Fn(InstanceId, &ProcessFacts, Option<&Usage>) -> T,
    ) -> Vec<T> {
        let rows = self.rows.lock();
        rows.iter().map(|(id, row)| read(*id, &row.facts, row.usage.as_ref())).collect()
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
