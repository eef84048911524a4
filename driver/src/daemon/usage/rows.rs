//! Facts about the processes of every instance: the facts of the engine, the pid, and the resource
//! usage.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use openctrl_core::doors::v2::{ProcessReport, Usage};
use openctrl_core::ids::{InstanceId, ProcessRef};
use openctrl_core::instance::ProcessFacts;

/// All of them, behind one lock.
#[derive(Debug, Default)]
pub(super) struct Rows(Mutex<BTreeMap<InstanceId, Row>>);

/// The facts about one instance.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) facts: Box<ProcessFacts>,
    /// Of the process that is alive.
    pub(super) pid: Option<i32>,
    pub(super) usage: Option<Usage>,
    /// Facts about the last exit beyond its status.
    pub(super) exit_note: Option<String>,
    /// The same for the process whose exit the engine is about to receive.
    pub(super) next_exit_note: Option<String>,
}

impl Rows {
    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<InstanceId, Row>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The processes that are alive, by their pid, which is that of their group.
    pub(super) fn alive(&self) -> HashMap<i32, (InstanceId, ProcessRef)> {
        let rows = self.lock();
        let alive = rows.iter().filter_map(|(id, row)| {
            let (process, _) = row.facts.alive?;
            Some((row.pid?, (*id, process)))
        });
        alive.collect()
    }

    /// Shows the usage of a process, unless another process has replaced it.
    pub(super) fn set_usage(&self, found: impl Iterator<Item = (InstanceId, ProcessRef, Usage)>) {
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
    pub(super) fn report(&self, id: InstanceId) -> ProcessReport<'_> {
        let exit_note = self.exit_note.as_deref();
        ProcessReport { id, facts: &self.facts, pid: self.pid, usage: self.usage, exit_note }
    }
}
