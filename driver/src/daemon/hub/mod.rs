//! Published data: instances as JSON for reads, and the event stream for subscribers.
//!
//! The loop publishes, and all other threads read. Published data was decided and made durable
//! before. One lock, held only while references are copied.

mod asides;
mod block;
mod publisher;
mod reader;
mod state;
mod subscriber;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use openctrl_core::access::TokenDigest;
use openctrl_core::doors::v2::Rejection;
use openctrl_core::handover::{HandedBlock, Handover};
use openctrl_core::ids::Revision;
use openctrl_core::ids::{BootId, EventId, InstanceId, KeyEpoch};
use openctrl_core::instance::{Definition, InstanceView};
use openctrl_core::master::MasterFace;
use openctrl_core::time::Wall;

pub(crate) use self::publisher::Publisher;
pub(crate) use self::reader::Reader;
use self::state::{List, State};
pub(crate) use self::subscriber::Subscriber;

/// The published state of the master.
#[derive(Debug)]
pub(crate) struct Hub {
    boot: BootId,
    state: Mutex<State>,
}

impl Hub {
    pub(crate) fn new(boot: BootId, face: MasterFace) -> Arc<Self> {
        Arc::new(Self { boot, state: Mutex::new(State::new(boot, face)) })
    }

    /// A hub that goes on with what another program of this master published.
    pub(crate) fn resuming(handover: &mut Handover, face: MasterFace) -> Arc<Self> {
        let mut state = State::new(handover.boot, face);
        let blocks = std::mem::take(&mut handover.window);
        state.go_on_with(handover.time, handover.next_event, blocks);
        Arc::new(Self { boot: handover.boot, state: Mutex::new(state) })
    }

    /// What was published, for another program: the shown time, the id of the next event and, if
    /// `is_whole`, the replay window.
    pub(crate) fn hand_over(&self, is_whole: bool) -> (Wall, EventId, Vec<HandedBlock>) {
        let (time, next, blocks) = self.lock().hand_over();
        let blocks = if is_whole { blocks } else { Vec::new() };
        (time, next, blocks.iter().map(|block| block.hand_over()).collect())
    }

    /// Ends all streams without a `shutdown` event: their readers reconnect and miss nothing.
    pub(crate) fn pause(&self) {
        let wakers = self.lock().pause();
        wakers.into_iter().for_each(std::task::Waker::wake);
    }

    /// Lets streams stay open again.
    pub(crate) fn go_on(&self) {
        self.lock().go_on();
    }

    /// The epoch of the key, if `presented` is the current one.
    pub(crate) fn admits(&self, presented: Option<&[u8]>) -> Option<KeyEpoch> {
        let state = self.lock();
        let face = state.face();
        let admitted = presented.is_some_and(|key| face.identity.key.admits(key));
        Some(face.key_epoch).filter(|epoch| admitted && state.is_in_force(*epoch))
    }

    /// Whether the streams have received that the master is shutting down.
    pub(crate) fn is_draining(&self) -> bool {
        self.lock().is_draining()
    }

    pub(crate) fn has(&self, id: InstanceId) -> bool {
        self.lock().has(id)
    }

    /// The JSON of an instance as `reader` may see it, and its revision.
    pub(crate) fn instance(&self, reader: Reader, id: InstanceId) -> Option<(Bytes, Revision)> {
        self.lock().instance(reader, id)
    }

    /// The definition of an instance.
    pub(crate) fn definition(&self, id: InstanceId) -> Option<Arc<Definition>> {
        self.lock().definition(id)
    }

    /// The JSON of the key instance, as `reader` may see it.
    ///
    /// # Errors
    /// 401 if the key has changed since: holders of the old key must not see the new one.
    pub(crate) fn key_instance(&self, reader: Reader) -> Result<Bytes, Rejection> {
        let state = self.lock();
        if state.is_open_to(reader) {
            Ok(state.key_instance(reader))
        } else {
            Err(Rejection::NoKey)
        }
    }

    /// Ends the streams of a token, each with a `shutdown` event.
    pub(crate) fn close_token(&self, token: TokenDigest) {
        let wakers = self.lock().close_token(token);
        wakers.into_iter().for_each(std::task::Waker::wake);
    }

    /// The JSON of all instances, put together once per change, as `reader` may see it.
    ///
    /// # Errors
    /// 401 if the key has changed since: the list contains the new key.
    pub(crate) fn list(&self, reader: Reader) -> Result<Bytes, Rejection> {
        let state = self.lock();
        if !state.is_open_to(reader) {
            return Err(Rejection::NoKey);
        }
        let parts = match state.list(reader) {
            List::Ready(list) => return Ok(list),
            List::Parts(parts) => parts,
        };
        // Rendering thousands of instances takes milliseconds; only the client that requested it
        // waits.
        drop(state);
        let list = parts.render();
        self.lock().keep_list(&parts, &list);
        Ok(list)
    }

    /// The current state of an instance.
    pub(crate) fn view(&self, id: InstanceId) -> Option<InstanceView> {
        self.lock().view(id)
    }

    /// The current state of every instance, without the key instance.
    pub(crate) fn instances(&self) -> Vec<InstanceView> {
        self.lock().instances()
    }

    /// How many events there were, and how many streams are open.
    pub(crate) fn figures(&self) -> (u64, usize) {
        self.lock().figures()
    }

    pub(crate) fn face(&self) -> MasterFace {
        self.lock().face().clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
