//! What the outside sees: instances as JSON for reads, and the event stream for subscribers.
//!
//! The loop publishes, everybody else reads; what is published was decided and made durable
//! before. One lock, held for copies of references only.

mod state;
mod subscriber;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use openctrl_core::api::Refusal;
use openctrl_core::engine::{Event, LogRun, MasterFace};
use openctrl_core::events::{EventId, EventKind, EventName, event_frame, log_frame};
use openctrl_core::ids::{BootId, InstanceId, KeyEpoch};
use openctrl_core::output::LogLine;
use openctrl_core::time::{Now, Wall};

use self::state::State;
pub(crate) use self::subscriber::Subscriber;

/// How many frames of a run of lines are encoded before they are taken into the window.
const FRAMES_PER_LOCK: usize = 256;

/// The published state of the master.
#[derive(Debug)]
pub(crate) struct Hub {
    boot: BootId,
    state: Mutex<State>,
}

impl Hub {
    pub(crate) fn new(boot: BootId, face: MasterFace) -> Arc<Self> {
        Arc::new(Self { boot, state: Mutex::new(State::new(face)) })
    }

    /// The epoch of the key, if `presented` is the one in force.
    pub(crate) fn admits(&self, presented: Option<&[u8]>) -> Option<KeyEpoch> {
        let state = self.lock();
        let face = state.face();
        let admitted = presented.is_some_and(|key| face.identity.key.admits(key));
        Some(face.key_epoch).filter(|epoch| admitted && state.is_in_force(*epoch))
    }

    /// Whether the key that a request presented a while ago is still good.
    ///
    /// # Errors
    /// 401 when it is not.
    pub(crate) fn check(&self, epoch: KeyEpoch) -> Result<(), Refusal> {
        if self.lock().is_in_force(epoch) { Ok(()) } else { Err(Refusal::NoKey) }
    }

    pub(crate) fn has(&self, id: InstanceId) -> bool {
        self.lock().instance(id).is_some()
    }

    /// The JSON of an instance.
    pub(crate) fn instance(&self, id: InstanceId) -> Option<Bytes> {
        self.lock().instance(id)
    }

    /// The JSON of the key instance, for who presented the key of `epoch`.
    ///
    /// # Errors
    /// 401 when the key has changed since: the new one is not for holders of the old one.
    pub(crate) fn key_instance(&self, epoch: KeyEpoch) -> Result<Bytes, Refusal> {
        let state = self.lock();
        if state.is_in_force(epoch) { Ok(state.key_instance()) } else { Err(Refusal::NoKey) }
    }

    /// The JSON of all instances, put together once per change, for who presented the key of
    /// `epoch`.
    ///
    /// # Errors
    /// 401 when the key has changed since: the list has the new one in it.
    pub(crate) fn list(&self, epoch: KeyEpoch) -> Result<Bytes, Refusal> {
        let mut state = self.lock();
        if state.is_in_force(epoch) { Ok(state.list()) } else { Err(Refusal::NoKey) }
    }

    /// The JSON of every instance, but not of the key instance.
    pub(crate) fn instances(&self) -> Vec<(InstanceId, Bytes)> {
        self.lock().instances()
    }

    /// How many events there were, and how many streams are open.
    pub(crate) fn figures(&self) -> (u64, usize) {
        self.lock().figures()
    }

    pub(crate) fn face(&self) -> MasterFace {
        self.lock().face().clone()
    }

    /// Opens a stream for a reader that presented the key of `epoch` and has seen `last_seen`.
    ///
    /// # Errors
    /// 401 when the key has changed since it was looked at.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        epoch: KeyEpoch,
        last_seen: Option<EventName>,
    ) -> Result<Subscriber, Refusal> {
        let last_seen_id = last_seen.map(|name| (name.boot == self.boot).then_some(name.id));
        let entry = self.lock().enter(epoch, last_seen_id).ok_or(Refusal::NoKey)?;
        Ok(Subscriber::new(Arc::clone(self), entry))
    }

    /// Takes the wall clock in and holds it where it stepped back, so that neither events nor
    /// pictures ever show an earlier time than one before.
    pub(crate) fn advance(&self, now: Now) -> Now {
        Now { wall: self.lock().advance(now.wall), ..now }
    }

    pub(crate) fn show_master(&self, face: MasterFace) {
        self.lock().set_face(face);
    }

    pub(crate) fn show_instance(&self, id: InstanceId, json: Bytes) {
        self.lock().set_instance(id, json);
    }

    /// Adds an event to the stream and takes what it says into what reads see.
    pub(crate) fn publish(&self, event: &Event) {
        let name = EventName { boot: self.boot, id: event.id };
        let frame = event_frame(Some(name), event.kind, event.time, Some(&event.json));
        let mut state = self.lock();
        state.reduce(event);
        state.push(event.id, Bytes::from(frame));
    }

    /// Adds lines of output to the stream.
    pub(crate) fn publish_logs(&self, run: &LogRun) {
        let time = run.time.to_string();
        let mut lines = run.lines().peekable();
        // Encoded outside the lock, some at a time: all of a flood at once would stand beside the
        // window in memory, and holding the lock for it would hold up readers.
        while lines.peek().is_some() {
            let encode = |(id, line): (EventId, &LogLine)| {
                let name = EventName { boot: self.boot, id };
                let text = run.batch.text_of(line);
                (id, Bytes::from(log_frame(name, &time, &run.json, text, line.cut_bytes)))
            };
            let frames: Vec<(EventId, Bytes)> =
                lines.by_ref().take(FRAMES_PER_LOCK).map(encode).collect();
            let mut state = self.lock();
            for (id, frame) in frames {
                state.push(id, frame);
            }
        }
    }

    /// Ends streams opened before `keep_from`, or all; each gets a `shutdown` event at its end.
    pub(crate) fn close_streams(&self, keep_from: Option<KeyEpoch>, time: Wall) {
        let frame = Bytes::from(event_frame(None, EventKind::Shutdown, time, None));
        self.lock().close(keep_from, &frame);
    }

    /// Wakes the subscribers that wait, after a batch of events.
    pub(crate) fn wake(&self) {
        for waker in self.lock().take_wakers() {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
