//! The bounded queue between the loop and the thread that writes, and requests of the thread to the
//! loop.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use openctrl_core::control::{Control, ControlInput};
use openctrl_core::engine::{Contradiction, Engine, Input};
use openctrl_core::ids::ProcessRef;
use openctrl_core::output::OutputBatch;
use openctrl_core::time::Now;
use openctrl_core::trace::{Digest, End};

/// Maximum size of pending messages, including all that they keep in memory: a tenth of a second of
/// the worst flood, which is how far the thread can be behind.
const WAITING_MAX_BYTES: usize = 8 * 1024 * 1024;

/// How long the thread lets inputs gather: waking it up costs the loop more than handing over. A
/// master that is killed loses so much of its trace.
const GATHERING: Duration = Duration::from_millis(250);

/// Something for the thread.
#[derive(Debug)]
pub(super) enum Message {
    /// Ends the segment in this way, if there is one, and starts another with the current engine.
    Begin(Box<Begin>),
    /// The engine handles output now; the digest is that of all effects since `Begin`.
    Output { now: Now, effects: Digest, process: ProcessRef, batch: Arc<OutputBatch> },
    /// The same for any other input: boxed, for they are large and few.
    Input { now: Now, effects: Digest, input: Box<Input> },
    /// The fingerprint of the engine here.
    State(u64),
    /// The machine of the control API handles an input now; the digest is as for `Input`.
    Control { now: Now, effects: Digest, input: Box<ControlInput> },
    /// After an input: the digest of all effects of that machine since `Begin`, and the ids of
    /// processes that it was given.
    Followed { effects: Digest, pids: Vec<(ProcessRef, i32)> },
    /// The fingerprint of that machine here.
    ControlState(u64),
    /// The engine contradicts itself like this: keep the segment.
    Keep(Box<Contradiction>),
    /// Ends the segment.
    End(Box<End>),
}

/// The start of a segment.
#[derive(Debug)]
pub(super) struct Begin {
    /// The end of the previous one.
    pub(super) end: End,
    pub(super) now: Now,
    pub(super) engine: Engine,
    pub(super) control: Option<Control>,
}

/// Requests of the thread to the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Wish {
    /// Hand them over.
    Inputs,
    /// Begin a segment first.
    Segment,
    /// Nothing.
    Nothing,
}

/// The queue. One thread fills it and one empties it.
#[derive(Debug)]
pub(super) struct Queue {
    wish: AtomicU8,
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// The thread is woken up before its time when so much is waiting.
    wake_bytes: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: Vec<Message>,
    bytes: usize,
    was_full: bool,
    is_closed: bool,
    is_done: bool,
    /// The segment that was begun last.
    path: Option<PathBuf>,
}

/// The state of the thread.
pub(super) struct Taken {
    /// There was no room for something after the messages.
    pub(super) was_full: bool,
    /// Nothing will follow.
    pub(super) is_closed: bool,
}

impl Queue {
    /// An empty queue that requests a segment.
    pub(super) fn new(wake_bytes: usize) -> Self {
        Self {
            wish: AtomicU8::new(Wish::Segment as u8),
            waiting: Mutex::default(),
            changed: Condvar::new(),
            wake_bytes: wake_bytes.min(WAITING_MAX_BYTES / 4),
        }
    }

    // The loop's side.

    /// The request of the thread. One atomic load, because it is read for every input.
    pub(super) fn wish(&self) -> Wish {
        match self.wish.load(Ordering::Relaxed) {
            wish if wish == Wish::Inputs as u8 => Wish::Inputs,
            wish if wish == Wish::Segment as u8 => Wish::Segment,
            _ => Wish::Nothing,
        }
    }

    /// The request for a segment is being granted.
    pub(super) fn granted(&self) {
        let (old, new) = (Wish::Segment as u8, Wish::Inputs as u8);
        // Otherwise the thread has withdrawn its request.
        let _ = self.wish.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Passes on messages that keep this many bytes in memory. Returns `false`, and leaves them, if
    /// there is no room for them.
    pub(super) fn push(&self, messages: &mut Vec<Message>, bytes: usize) -> bool {
        let mut waiting = self.lock();
        let was_empty = waiting.messages.is_empty();
        // The messages of one step are limited, so one step alone always has room.
        if !was_empty && waiting.bytes + bytes > WAITING_MAX_BYTES {
            waiting.was_full = true;
            self.changed.notify_all();
            return false;
        }
        let was_few = waiting.bytes < self.wake_bytes;
        waiting.messages.append(messages);
        waiting.bytes += bytes;
        if was_empty || (was_few && waiting.bytes >= self.wake_bytes) {
            self.changed.notify_all();
        }
        true
    }

    /// Nothing will follow: waits until everything is written, but no longer than `limit`. Returns
    /// the last segment.
    pub(super) fn close(&self, last: Vec<Message>, limit: Duration) -> Option<PathBuf> {
        let mut waiting = self.lock();
        waiting.messages.extend(last);
        waiting.is_closed = true;
        self.changed.notify_all();
        let is_busy = |waiting: &mut Waiting| !waiting.is_done;
        let waited = self.changed.wait_timeout_while(waiting, limit, is_busy);
        waited.unwrap_or_else(PoisonError::into_inner).0.path.take()
    }

    /// Whether the thread has taken everything.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lock().messages.is_empty()
    }

    // The thread's side.

    /// Waits for messages, or until `deadline`; swaps them with the empty `messages`.
    pub(super) fn take(&self, messages: &mut Vec<Message>, deadline: Option<Instant>) -> Taken {
        let is_idle = |waiting: &mut Waiting| {
            waiting.messages.is_empty() && !waiting.is_closed && !waiting.was_full
        };
        let mut waiting = self.lock();
        waiting = match deadline {
            None => {
                self.changed.wait_while(waiting, is_idle).unwrap_or_else(PoisonError::into_inner)
            }
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                let waited = self.changed.wait_timeout_while(waiting, left, is_idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        let is_gathering = |waiting: &mut Waiting| {
            let is_urgent = waiting.is_closed || waiting.was_full;
            !waiting.messages.is_empty() && waiting.bytes < self.wake_bytes && !is_urgent
        };
        let waited = self.changed.wait_timeout_while(waiting, GATHERING, is_gathering);
        let mut waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        std::mem::swap(&mut waiting.messages, messages);
        waiting.bytes = 0;
        let was_full = std::mem::take(&mut waiting.was_full);
        Taken { was_full, is_closed: waiting.is_closed }
    }

    /// Wishes for something else from now on.
    pub(super) fn wish_for(&self, wish: Wish) {
        self.wish.store(wish as u8, Ordering::Relaxed);
    }

    /// A segment was begun in this file.
    pub(super) fn begun(&self, path: PathBuf) {
        self.lock().path = Some(path);
    }

    /// The thread stops.
    pub(super) fn done(&self) {
        self.wish_for(Wish::Nothing);
        let mut waiting = self.lock();
        waiting.is_done = true;
        waiting.messages.clear();
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
