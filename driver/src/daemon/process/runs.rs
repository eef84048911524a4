//! The processes of this master whose parent is a keeper, by their runs: which are being started,
//! which are watched, and the channel for their end. Shared by the thread that sends orders and the
//! task that reads reports.

use std::collections::HashMap;
use std::io::PipeReader;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openctrl_core::ids::{ProcessRef, RunId};
use openctrl_core::keeper::Ended;
use tokio::sync::oneshot;

/// A process that was ordered and whose start was not reported yet.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) process: ProcessRef,
    pub(super) output: PipeReader,
    pub(super) report: Option<PipeReader>,
}

/// A process that was started and whose end was not reported yet.
#[derive(Debug)]
pub(super) struct Living {
    /// Its exit, which was reported; that it was reaped was not.
    pub(super) ended: Option<Ended>,
    wake: oneshot::Sender<Woken>,
}

/// Why a watch of a process wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// The process has ended; and, unless the keeper was lost then, whether others of its group
    /// are left.
    Ended(Ended, Option<bool>),
    /// The keeper was lost: it reports no end.
    Orphaned,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) pending: HashMap<RunId, Pending>,
    pub(super) living: HashMap<RunId, Living>,
}

impl Runs {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait for the end of a process.
    pub(super) fn watch(&self, run: RunId) -> oneshot::Receiver<Woken> {
        let (wake, woken) = oneshot::channel();
        self.lock().living.insert(run, Living { ended: None, wake });
        woken
    }
}

impl Living {
    pub(super) fn wake(self, woken: Woken) {
        // Fails if the watch has ended.
        let _ = self.wake.send(woken);
    }
}
