//! The processes of this master whose parent is a keeper, by their runs: which are being started,
//! which are watched, and the channel for their end. Shared by the thread that sends orders and the
//! task that reads reports.

use std::collections::HashMap;
use std::io::PipeReader;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openctrl_core::ids::{ProcessRef, RunId};
use openctrl_core::keeper::Ended;
use tokio::sync::oneshot;

use super::in_flight::InFlight;
use super::woken::Woken;
use crate::outputs::Outputs;

/// A process that was ordered and whose start was not reported yet.
#[derive(Debug)]
pub(super) struct Pending {
    /// The keeper that received the order.
    pub(super) keeper: i32,
    pub(super) process: ProcessRef,
    pub(super) outputs: Outputs<PipeReader>,
    pub(super) report: Option<PipeReader>,
    pub(super) in_flight: InFlight,
}

/// A process that was started and whose end was not reported yet.
#[derive(Debug)]
pub(super) struct Living {
    /// The keeper that has it.
    keeper: i32,
    /// Its exit, which was reported; that it was reaped was not.
    pub(super) ended: Option<Ended>,
    wake: oneshot::Sender<Woken>,
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

    /// Begins to wait for the end of a process that a keeper has.
    pub(super) fn watch(&self, run: RunId, keeper: i32) -> oneshot::Receiver<Woken> {
        let (wake, woken) = oneshot::channel();
        self.kept(run, keeper, wake);
        woken
    }

    /// A keeper has a process; whoever waits for its end is known already.
    pub(super) fn kept(&self, run: RunId, keeper: i32, wake: oneshot::Sender<Woken>) {
        self.lock().living.insert(run, Living { keeper, ended: None, wake });
    }
}

impl Inner {
    /// Takes what a keeper had when it was lost: the starts that it did not answer and the
    /// processes, with their ends as far as it reported them.
    pub(super) fn take_of(&mut self, keeper: i32) -> (Vec<(RunId, Pending)>, Vec<Living>) {
        let pending = self.pending.extract_if(|_, pending| pending.keeper == keeper);
        let pending = pending.collect();
        let living = self.living.extract_if(|_, living| living.keeper == keeper);
        (pending, living.map(|(_, living)| living).collect())
    }
}

impl Living {
    pub(super) fn wake(self, woken: Woken) {
        // Fails if the watch has ended.
        let _ = self.wake.send(woken);
    }
}
