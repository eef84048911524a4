//! Events on their way from the loop to the thread that projects them. Bounded by the number of
//! events that are kept: an older one would be removed from the database at once.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use openctrl_core::event::StoredEvent;

/// Events in one batch at most.
pub(super) const BATCH_MAX: usize = 4_096;

/// How long events are gathered before they are taken: a transaction costs as much as dozens of
/// rows, and what publishes many events has more to do meanwhile.
const GATHER: Duration = Duration::from_secs(1);

/// When no more came for so long, they are taken earlier.
const QUIET: Duration = Duration::from_millis(100);

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
    /// How often events were added.
    additions: u64,
    is_closed: bool,
}

impl State {
    fn take_batch(&mut self) -> Vec<Arc<StoredEvent>> {
        let rest = self.events.split_off(self.events.len().min(BATCH_MAX));
        std::mem::replace(&mut self.events, rest).into()
    }
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
        let before = state.events.len();
        state.additions += 1;
        state.events.extend(events);
        let surplus = state.events.len().saturating_sub(self.keep);
        state.events.drain(..surplus);
        // The thread is not woken while it gathers.
        if before == 0 || (before < BATCH_MAX && state.events.len() >= BATCH_MAX) {
            self.changed.notify_one();
        }
    }

    /// Puts events back in front; those that do not fit are dropped, the oldest first.
    pub(super) fn put_back(&self, events: Vec<Arc<StoredEvent>>) {
        let mut state = self.lock();
        let room = self.keep.saturating_sub(state.events.len());
        for event in events.into_iter().rev().take(room) {
            state.events.push_front(event);
        }
    }

    /// Waits for events, gathers more, and takes the oldest. `None` once the queue is closed: what
    /// is left then is taken with [`Self::take_rest`].
    pub(super) fn take(&self) -> Option<Vec<Arc<StoredEvent>>> {
        let mut state = self.lock();
        while state.events.is_empty() && !state.is_closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state = self.gather(state);
        if state.is_closed { None } else { Some(state.take_batch()) }
    }

    /// Takes the oldest events, without waiting. `None` if there are none.
    pub(super) fn take_rest(&self) -> Option<Vec<Arc<StoredEvent>>> {
        Some(self.lock().take_batch()).filter(|batch| !batch.is_empty())
    }

    /// Whether no more events come.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    fn gather<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let is_short = |state: &mut State| state.events.len() < BATCH_MAX && !state.is_closed;
        let begun = Instant::now();
        loop {
            let before = state.additions;
            let waited = self.changed.wait_timeout_while(state, QUIET, is_short);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            let is_quiet = state.additions == before;
            if is_quiet || !is_short(&mut state) || begun.elapsed() >= GATHER {
                return state;
            }
        }
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
