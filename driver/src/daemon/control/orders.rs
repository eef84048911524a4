//! Orders of the loop to the task that makes and removes the sockets of instances.
//!
//! Of each instance only the last order counts, so there are no more than instances. An answer that
//! the loop gives after an order waits for it: the client that created an instance finds its
//! socket.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use openctrl_core::command::Outcome;
use openctrl_core::ids::InstanceId;
use tokio::sync::{Notify, oneshot};

/// Where an instance has its socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Followed {
    pub(crate) id: InstanceId,
    pub(crate) scheme: String,
    pub(crate) name: String,
    /// Whether it has the tag `control`.
    pub(crate) is_tagged: bool,
}

/// The orders that are not carried out yet.
#[derive(Debug, Default)]
pub(super) struct Orders {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    batch: Batch,
    /// Whether the batch before this one may still be in progress.
    is_busy: bool,
    is_closed: bool,
}

/// Orders, and the answers that wait for them.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Where each instance has its socket; `None` for one that was deleted.
    pub(super) rows: HashMap<InstanceId, Option<Followed>>,
    pub(super) answers: Vec<(oneshot::Sender<Outcome>, Outcome)>,
}

impl Orders {
    /// The instance has its socket here.
    pub(super) fn put(&self, followed: Followed) {
        self.order(followed.id, Some(followed));
    }

    /// The instance was deleted.
    pub(super) fn remove(&self, id: InstanceId) {
        self.order(id, None);
    }

    fn order(&self, id: InstanceId, followed: Option<Followed>) {
        let mut state = self.lock();
        let is_first = state.batch.rows.is_empty();
        state.batch.rows.insert(id, followed);
        drop(state);
        if is_first {
            self.changed.notify_one();
        }
    }

    /// Sends an answer when all orders before it are carried out: now, if there are none.
    pub(super) fn answer(&self, to: oneshot::Sender<Outcome>, outcome: Outcome) {
        let mut state = self.lock();
        if state.is_closed || (state.batch.rows.is_empty() && !state.is_busy) {
            drop(state);
            // A client that did not wait is told nothing.
            let _ = to.send(outcome);
            return;
        }
        state.batch.answers.push((to, outcome));
        drop(state);
        self.changed.notify_one();
    }

    /// The next orders, when there are any and those before are carried out; `None` when it is
    /// closed and there are none.
    pub(super) async fn take(&self) -> Option<Batch> {
        loop {
            let is_closed = {
                let mut state = self.lock();
                let batch = std::mem::take(&mut state.batch);
                state.is_busy = !(batch.rows.is_empty() && batch.answers.is_empty());
                if state.is_busy {
                    return Some(batch);
                }
                state.is_closed
            };
            if is_closed {
                return None;
            }
            self.changed.notified().await;
        }
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

    #[tokio::test]
    async fn an_answer_waits_for_the_orders_before_it_and_for_no_others() {
        let orders = Orders::default();
        let (to, mut answered) = oneshot::channel();
        orders.answer(to, Outcome::Removed);
        assert!(answered.try_recv().is_ok(), "nothing was ordered");
        orders.put(followed(1, "web"));
        let (to, mut first) = oneshot::channel();
        orders.answer(to, Outcome::Removed);
        let batch = orders.take().await.expect("it is open");
        assert_eq!(batch.rows.len(), 1);
        // The batch is in progress: an answer after it waits for the next look.
        let (to, mut second) = oneshot::channel();
        orders.answer(to, Outcome::Removed);
        assert_eq!(first.try_recv().err(), Some(TryRecvError::Empty));
        for (to, outcome) in batch.answers {
            to.send(outcome).expect("it waits");
        }
        assert!(first.try_recv().is_ok());
        assert_eq!(second.try_recv().err(), Some(TryRecvError::Empty));
        let batch = orders.take().await.expect("it is open");
        assert!(batch.rows.is_empty());
        assert_eq!(batch.answers.len(), 1);
    }

    #[tokio::test]
    async fn the_last_order_of_an_instance_counts() {
        let orders = Orders::default();
        orders.put(followed(1, "web"));
        orders.put(followed(2, "db"));
        orders.put(followed(1, "www"));
        orders.remove(InstanceId(2));
        orders.close();
        let batch = orders.take().await.expect("there are orders");
        assert_eq!(batch.rows.get(&InstanceId(1)), Some(&Some(followed(1, "www"))));
        assert_eq!(batch.rows.get(&InstanceId(2)), Some(&None));
        assert!(orders.take().await.is_none());
    }
}
