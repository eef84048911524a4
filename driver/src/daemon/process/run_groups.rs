//! The control groups of processes from their start to their end, on the spawner's thread.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use openctrl_core::ids::{ProcessRef, RunId};

use crate::cgroups::Groups;

/// How soon a group is looked at again whose processes are about to end.
const AGAIN: Duration = Duration::from_millis(20);

/// The groups of the processes that are alive, and of those that are about to end.
#[derive(Debug, Default)]
pub(super) struct RunGroups {
    groups: Option<Groups>,
    runs: HashMap<ProcessRef, RunId>,
    leaving: VecDeque<RunId>,
}

impl RunGroups {
    pub(super) fn new(groups: Option<Groups>) -> Self {
        Self { groups, ..Self::default() }
    }

    /// A process is started, or outlived the last master.
    pub(super) fn has(&mut self, process: ProcessRef, run: RunId) {
        if self.groups.is_some() {
            self.runs.insert(process, run);
        }
    }

    /// Nothing of a process is left, or it was not started: removes its group.
    pub(super) fn gone(&mut self, process: ProcessRef) {
        let (Some(groups), Some(run)) = (&self.groups, self.runs.remove(&process)) else { return };
        if !groups.remove(run) {
            // What is in it was killed, or came after the last look.
            groups.kill(run);
            self.leaving.push_back(run);
        }
    }

    /// Tries again to remove one of the groups that had members.
    pub(super) fn tidy(&mut self) {
        if let (Some(groups), Some(run)) = (&self.groups, self.leaving.pop_front())
            && !groups.remove(run)
        {
            self.leaving.push_back(run);
        }
    }

    /// When [`RunGroups::tidy`] is due; `None` if nothing waits for it.
    pub(super) fn is_due_in(&self) -> Option<Duration> {
        (!self.leaving.is_empty()).then_some(AGAIN)
    }

    /// Kills and removes everything, at the end of the master.
    pub(super) fn finish(&mut self) {
        if let Some(groups) = self.groups.take() {
            groups.finish();
        }
    }
}
