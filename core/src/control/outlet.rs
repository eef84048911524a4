//! Published events that are not durable yet: ids, times, and the retry after a failure.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::event::{Draft, StoredEvent, StoredId};
use crate::ids::StoreEpoch;
use crate::store::{Kept, RulesRecord};
use crate::time::{Now, Wall};

/// Events that may wait for a disk that fails. The oldest are dropped first: they were never shown.
const PENDING_MAX: usize = 10_000;

/// The outlet.
#[derive(Clone, Debug)]
pub(super) struct Outlet {
    pub(super) next_id: u64,
    pub(super) last_time: Wall,
    /// Published and not known to be durable, oldest first.
    pub(super) pending: VecDeque<Pending>,
    /// How many of these are still to be ordered to be kept.
    pub(super) unkept: usize,
    pub(super) epoch: u32,
    pub(super) is_durable: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Pending {
    /// `None` for a place that is no event.
    pub(super) event: Option<Arc<StoredEvent>>,
    pub(super) id: StoredId,
    /// The epoch of the change that caused it.
    pub(super) cause: Option<StoreEpoch>,
}

impl Outlet {
    pub(super) fn new(next_id: u64, last_time: Wall) -> Self {
        Self {
            next_id: next_id.max(1),
            last_time,
            pending: VecDeque::new(),
            unkept: 0,
            epoch: 0,
            is_durable: true,
        }
    }

    /// Gives a draft its place and its time, which is never earlier than that before it.
    pub(super) fn publish(&mut self, now: Now, draft: Draft) -> Arc<StoredEvent> {
        self.last_time = self.last_time.max(now.wall);
        let id = self.place();
        let event = Arc::new(draft.stored(id, self.last_time));
        self.pending.push_back(Pending { event: Some(Arc::clone(&event)), id, cause: None });
        event
    }

    /// Takes a place that is no event.
    pub(super) fn reserve(&mut self) {
        let id = self.place();
        self.pending.push_back(Pending { event: None, id, cause: None });
    }

    fn place(&mut self) -> StoredId {
        let id = StoredId(self.next_id);
        self.next_id += 1;
        self.unkept += 1;
        id
    }

    pub(super) const fn last_id(&self) -> StoredId {
        StoredId(self.next_id.saturating_sub(1))
    }

    /// The events to store now. While the disk fails, they wait for the next attempt.
    pub(super) fn take_unkept(&mut self, rules: Option<RulesRecord>) -> Option<Kept> {
        if !self.is_durable {
            self.bound();
            // A change of rules is tried anyway: a client waits for its answer.
            return rules.is_some().then(|| self.everything(rules));
        }
        self.take(rules)
    }

    /// The same, stored with a pending change. It has caused all pending events from `first` on.
    pub(super) fn take_caused(&mut self, cause: StoreEpoch, first: usize) -> Option<Kept> {
        let first = first.min(self.pending.len());
        self.pending.range_mut(first..).for_each(|pending| pending.cause = Some(cause));
        if self.is_durable { self.take(None) } else { self.keep_again() }
    }

    fn take(&mut self, rules: Option<RulesRecord>) -> Option<Kept> {
        if self.unkept == 0 && rules.is_none() {
            return None;
        }
        let start = self.pending.len() - self.unkept;
        self.unkept = 0;
        Some(self.kept_from(start, rules))
    }

    /// Everything that is not known to be durable, once more. Nothing at all shows as well whether
    /// the disk stores events again.
    pub(super) fn keep_again(&mut self) -> Option<Kept> {
        (!self.is_durable || !self.pending.is_empty()).then(|| self.everything(None))
    }

    fn everything(&mut self, rules: Option<RulesRecord>) -> Kept {
        self.unkept = 0;
        self.kept_from(0, rules)
    }

    fn kept_from(&self, start: usize, rules: Option<RulesRecord>) -> Kept {
        let events: Vec<Arc<StoredEvent>> =
            self.pending.range(start..).filter_map(|pending| pending.event.clone()).collect();
        Kept { epoch: self.epoch, events, rules, upto: self.last_id() }
    }

    /// Takes out the events up to `upto`.
    pub(super) fn take_kept(&mut self, upto: StoredId) -> Vec<Arc<StoredEvent>> {
        let mut events = Vec::new();
        while let Some(pending) = self.pending.pop_front_if(|pending| pending.id <= upto) {
            events.extend(pending.event);
        }
        self.unkept = self.unkept.min(self.pending.len());
        events
    }

    /// Nothing that was not reported durable is durable. Drops the events that refused changes
    /// caused, and gives the rest new ids. `false` if this epoch was handled before.
    pub(super) fn fail(&mut self, epoch: u32, refused: Option<StoreEpoch>) -> bool {
        if epoch != self.epoch {
            return false;
        }
        self.epoch += 1;
        self.is_durable = false;
        let first = self.pending.front().map_or(self.next_id, |pending| pending.id.0);
        // A place that is no event stood for a change of rules, which is refused.
        self.pending.retain(|pending| {
            let is_refused = pending.cause.is_some_and(|cause| Some(cause) <= refused);
            pending.event.is_some() && !is_refused
        });
        self.next_id = first;
        for pending in &mut self.pending {
            pending.id = StoredId(self.next_id);
            self.next_id += 1;
            if let Some(event) = &mut pending.event {
                Arc::make_mut(event).id = pending.id;
            }
        }
        self.unkept = self.pending.len();
        self.bound();
        true
    }

    fn bound(&mut self) {
        while self.pending.len() > PENDING_MAX {
            self.pending.pop_front();
        }
        self.unkept = self.unkept.min(self.pending.len());
    }

    pub(super) const fn is_durable(&self) -> bool {
        self.is_durable
    }

    pub(super) const fn set_durable(&mut self, is_durable: bool) {
        self.is_durable = is_durable;
    }

    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }
}
