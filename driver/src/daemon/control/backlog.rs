//! Events on their way from the loop to the thread that projects them. Bounded by the number of
//! events that are kept: an older one would be removed from the database at once.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openctrl_core::event::StoredEvent;

/// The queue.
#[derive(Debug)]
pub(super) struct Backlog {
    state: Mutex<State>,
    changed: Condvar,
    keep: usize,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Arc<StoredEvent>>,
    is_closed: bool,
}

impl Backlog {
    /// An empty queue of at most `keep` events.
    pub(super) fn new(keep: usize) -> Arc<Self> {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Arc::new(Self { state, changed, keep: keep.max(1) })
    }

    /// Adds events behind those that are waiting. Never blocks for long; the oldest make room.
    pub(super) fn append(&self, events: Vec<Arc<StoredEvent>>) {
        let mut state = self.lock();
        state.events.extend(events);
        let surplus = state.events.len().saturating_sub(self.keep);
        state.events.drain(..surplus);
        self.changed.notify_one();
    }

    /// Puts events back in front; those that do not fit are dropped, the oldest first.
    pub(super) fn put_back(&self, events: Vec<Arc<StoredEvent>>) {
        let mut state = self.lock();
        let room = self.keep.saturating_sub(state.events.len());
        for event in events.into_iter().rev().take(room) {
            state.events.push_front(event);
        }
    }

    /// Waits for events and takes at most `max` of the oldest. `None` once all are taken and the
    /// queue is closed.
    pub(super) fn take(&self, max: usize) -> Option<Vec<Arc<StoredEvent>>> {
        let mut state = self.lock();
        while state.events.is_empty() && !state.is_closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let count = state.events.len().min(max);
        (count > 0).then(|| state.events.drain(..count).collect())
    }

    /// Waits until `pause` is over or the queue is closed; whether it is closed.
    pub(super) fn pause(&self, pause: Duration) -> bool {
        let state = self.lock();
        let waited = self.changed.wait_timeout_while(state, pause, |state| !state.is_closed);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_closed
    }

    /// No more events come.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
