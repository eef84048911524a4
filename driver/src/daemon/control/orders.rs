//! Orders of the loop to make and remove the sockets of instances, carried out by a thread or by
//! the loop itself.
//!
//! Of each instance only the last order counts, so there are no more than instances. An answer that
//! the loop gives after an order waits for it: the client that created an instance finds its
//! socket.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openctrl_core::command::Outcome;
use openctrl_core::ids::InstanceId;
use tokio::sync::oneshot;

/// Where an instance has its socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Followed {
    pub(crate) id: InstanceId,
    pub(crate) scheme: String,
    pub(crate) name: String,
    /// Whether it has the tag `control`.
    pub(crate) is_tagged: bool,
}

/// The place of an order: those before it are carried out first, or with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OrderNumber(u64);

/// The orders that are not carried out yet.
#[derive(Debug, Default)]
pub(super) struct Orders {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rows: HashMap<InstanceId, Option<Followed>>,
    last: OrderNumber,
    /// All orders up to this one are carried out.
    done: OrderNumber,
    /// Answers, each with the order that it waits for.
    answers: Vec<(OrderNumber, oneshot::Sender<Outcome>, Outcome)>,
    /// Whether the thread has something to do.
    is_called: bool,
    is_closed: bool,
}

/// Orders to be carried out.
#[derive(Debug)]
pub(super) struct Batch {
    /// Where each instance has its socket; `None` for one that was deleted.
    pub(super) rows: HashMap<InstanceId, Option<Followed>>,
    /// The last of them.
    pub(super) upto: OrderNumber,
}

impl Orders {
    /// The instance has its socket here.
    pub(super) fn put(&self, followed: Followed) -> OrderNumber {
        self.order(followed.id, Some(followed))
    }

    /// The instance was deleted.
    pub(super) fn remove(&self, id: InstanceId) -> OrderNumber {
        self.order(id, None)
    }

    fn order(&self, id: InstanceId, followed: Option<Followed>) -> OrderNumber {
        let mut state = self.lock();
        state.rows.insert(id, followed);
        state.last.0 += 1;
        state.last
    }

    /// Whether something is to be carried out.
    pub(super) fn are_waiting(&self) -> bool {
        !self.lock().rows.is_empty()
    }

    /// Calls the thread.
    pub(super) fn call(&self) {
        self.lock().is_called = true;
        self.changed.notify_one();
    }

    /// Sends an answer when all orders up to `needed` are carried out: now, if they are.
    pub(super) fn answer(
        &self,
        needed: OrderNumber,
        to: oneshot::Sender<Outcome>,
        outcome: Outcome,
    ) {
        let mut state = self.lock();
        if state.is_closed || needed <= state.done {
            drop(state);
            // A client that did not wait is told nothing.
            let _ = to.send(outcome);
            return;
        }
        state.answers.push((needed, to, outcome));
    }

    /// Waits until the thread is called, or for `pause`, if one is given. Whether no more orders
    /// come.
    pub(super) fn wait(&self, pause: Option<Duration>) -> bool {
        let state = self.lock();
        let is_idle = |state: &mut State| !state.is_called && !state.is_closed;
        let mut state = match pause {
            None => self.changed.wait_while(state, is_idle).unwrap_or_else(PoisonError::into_inner),
            Some(pause) => {
                let waited = self.changed.wait_timeout_while(state, pause, is_idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.is_called = false;
        state.is_closed
    }

    /// All orders; there may be none. To be carried out before the next are taken.
    pub(super) fn take(&self) -> Batch {
        let mut state = self.lock();
        Batch { rows: std::mem::take(&mut state.rows), upto: state.last }
    }

    /// All orders up to this one are carried out: sends the answers that waited for them.
    pub(super) fn carried_out(&self, upto: OrderNumber) {
        let mut state = self.lock();
        state.done = upto;
        let ready: Vec<_> = state.answers.extract_if(.., |(needed, ..)| *needed <= upto).collect();
        drop(state);
        ready.into_iter().for_each(|(_, to, outcome)| drop(to.send(outcome)));
    }

    /// No more orders come.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    fn followed(id: u32, name: &str) -> Followed {
        let (id, scheme, name) = (InstanceId(id), "demo".to_owned(), name.to_owned());
        Followed { id, scheme, name, is_tagged: false }
    }

    #[test]
    fn an_answer_waits_for_the_orders_that_it_needs_and_for_no_others() {
        let orders = Orders::default();
        let (to, mut answered) = oneshot::channel();
        orders.answer(OrderNumber::default(), to, Outcome::Removed);
        assert!(answered.try_recv().is_ok(), "nothing was ordered");
        let first = orders.put(followed(1, "web"));
        let (to, mut waiting) = oneshot::channel();
        orders.answer(first, to, Outcome::Removed);
        let batch = orders.take();
        assert_eq!((batch.rows.len(), batch.upto), (1, first));
        // The batch is in progress, and another order comes.
        let second = orders.put(followed(2, "db"));
        let (to, mut later) = oneshot::channel();
        orders.answer(second, to, Outcome::Removed);
        assert_eq!(waiting.try_recv().err(), Some(TryRecvError::Empty));
        orders.carried_out(batch.upto);
        assert!(waiting.try_recv().is_ok());
        assert_eq!(later.try_recv().err(), Some(TryRecvError::Empty));
        // What is done is waited for no more.
        let (to, mut answered) = oneshot::channel();
        orders.answer(first, to, Outcome::Removed);
        assert!(answered.try_recv().is_ok());
        let batch = orders.take();
        orders.carried_out(batch.upto);
        assert!(later.try_recv().is_ok());
    }

    #[test]
    fn the_last_order_of_an_instance_counts() {
        let orders = Orders::default();
        orders.put(followed(1, "web"));
        orders.put(followed(2, "db"));
        orders.put(followed(1, "www"));
        orders.remove(InstanceId(2));
        orders.close();
        let batch = orders.take();
        assert_eq!(batch.rows.get(&InstanceId(1)), Some(&Some(followed(1, "www"))));
        assert_eq!(batch.rows.get(&InstanceId(2)), Some(&None));
        assert!(orders.take().rows.is_empty());
    }

    #[test]
    fn the_thread_waits_for_a_call_a_pause_or_the_end() {
        let orders = Orders::default();
        assert!(!orders.wait(Some(Duration::ZERO)));
        orders.call();
        assert!(!orders.wait(None));
        orders.close();
        assert!(orders.wait(None));
    }
}
