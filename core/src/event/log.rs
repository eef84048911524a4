//! The newest stored events, bounded by a count, and the questions that readers ask.
//!
//! Owns: which events a question selects, cursors, gaps (control contract A "Event store", D 5, 6).
//! Does not own: ids and times of events, the wire, waiting.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::stored::{EventSubject, StoredEvent, StoredId};
use super::topic::TopicPattern;
use crate::ids::InstanceId;

/// The log. Ids rise from the oldest to the newest.
#[derive(Clone, Debug)]
pub struct EventLog {
    capacity: usize,
    events: VecDeque<Arc<StoredEvent>>,
    histories: BTreeMap<EventSubject, VecDeque<StoredId>>,
    managed: BTreeMap<InstanceId, Managed>,
    head: StoredId,
}

/// Data of the managed socket of one instance besides its retained events.
#[derive(Clone, Copy, Debug, Default)]
struct Managed {
    /// Its newest event, kept or dropped.
    head: StoredId,
    /// Its newest event that was dropped; 0 if none was.
    dropped: StoredId,
}

/// The query of a client of a managed socket.
#[derive(Clone, Copy, Debug)]
pub struct PageQuery<'a> {
    /// Whose socket it is.
    pub instance: InstanceId,
    /// Only events after this one.
    pub since: StoredId,
    /// Only events with such a topic.
    pub topic: Option<&'a TopicPattern>,
    /// Maximum number of events.
    pub limit: usize,
    /// Maximum number of bytes by the measure of `size_of`, but at least one event.
    pub max_bytes: usize,
}

/// An answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Oldest first.
    pub events: Vec<Arc<StoredEvent>>,
    /// The next cursor: the last event of the instance that was examined, else `since`.
    pub cursor: StoredId,
    /// Whether an event that is selected did not fit.
    pub more: bool,
    /// Whether events after `since` were dropped, or `since` is beyond the newest.
    pub gap: bool,
}

/// The query of a client of the main socket. All given conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct StoredFilter {
    /// Only events after this one.
    pub since: StoredId,
    /// Only events with such a topic.
    pub topic: Option<TopicPattern>,
    /// Exactly this kind in the stored form.
    pub kind: Option<alloc::string::String>,
    /// Exactly this name in the stored form.
    pub name: Option<alloc::string::String>,
    /// About exactly this kind and name.
    pub resource: Option<(alloc::string::String, alloc::string::String)>,
    /// Maximum number of events.
    pub limit: usize,
    /// Maximum number of bytes by the measure of `size_of`, but at least one event.
    pub max_bytes: usize,
    /// Oldest first; otherwise the newest first.
    pub ascending: bool,
}

/// An answer to it.
#[derive(Clone, Debug)]
pub struct Selection<'a> {
    /// In the order of the query.
    pub events: Vec<&'a Arc<StoredEvent>>,
    /// Whether an event within the limit did not fit.
    pub more: bool,
}

impl EventLog {
    /// An empty log that keeps `capacity` events, at least one.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            events: VecDeque::new(),
            histories: BTreeMap::new(),
            managed: BTreeMap::new(),
            head: StoredId(0),
        }
    }

    /// Appends an event. One whose id does not rise is left out: it is there already.
    pub fn push(&mut self, event: Arc<StoredEvent>) {
        if event.id <= self.head {
            return;
        }
        self.head = event.id;
        if let Some(subject) = &event.subject {
            self.histories.entry(subject.clone()).or_default().push_back(event.id);
        }
        if let Some(instance) = event.managed_by() {
            self.managed.entry(instance).or_default().head = event.id;
        }
        self.events.push_back(event);
        if self.events.len() > self.capacity {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.events.pop_front() else { return };
        if let Some(subject) = &oldest.subject
            && let Some(history) = self.histories.get_mut(subject)
        {
            history.pop_front();
            if history.is_empty() {
                self.histories.remove(subject);
            }
        }
        let managed = oldest.managed_by().and_then(|instance| self.managed.get_mut(&instance));
        if let Some(managed) = managed {
            managed.dropped = oldest.id;
        }
    }

    /// The instance was deleted: its events stay, but no socket serves them.
    pub fn forget(&mut self, instance: InstanceId) {
        self.managed.remove(&instance);
    }

    /// The newest event there ever was; 0 without any.
    pub const fn head(&self) -> StoredId {
        self.head
    }

    /// The oldest event that is kept.
    pub fn first(&self) -> Option<StoredId> {
        self.events.front().map(|event| event.id)
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Every event that is kept, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<StoredEvent>> {
        self.events.iter()
    }

    /// The events after `since`, oldest first.
    pub fn after(&self, since: StoredId) -> impl DoubleEndedIterator<Item = &Arc<StoredEvent>> {
        let start = self.events.partition_point(|event| event.id <= since);
        self.events.range(start..)
    }

    /// The newest event of the instance that its managed socket lists, kept or dropped; 0 without.
    pub fn managed_head(&self, instance: InstanceId) -> StoredId {
        self.managed.get(&instance).map_or(StoredId(0), |managed| managed.head)
    }

    /// A page of the events of a managed socket. `size_of` measures an event for `max_bytes`.
    pub fn page(&self, query: &PageQuery<'_>, size_of: impl Fn(&StoredEvent) -> usize) -> Page {
        let managed = self.managed.get(&query.instance).copied().unwrap_or_default();
        if query.since > managed.head {
            let cursor = managed.head;
            return Page { events: Vec::new(), cursor, more: false, gap: true };
        }
        let gap = query.since < managed.dropped;
        let cursor = if gap { managed.dropped } else { query.since };
        let mut page = Page { events: Vec::new(), cursor, more: false, gap };
        let mut bytes = 0usize;
        for event in self.history(&EventSubject::Process(query.instance), query.since) {
            if event.managed_by().is_none() {
                continue;
            }
            if query.topic.is_none_or(|topic| topic.matches(&event.topic)) {
                bytes = bytes.saturating_add(size_of(event));
                let is_full = page.events.len() >= query.limit || bytes > query.max_bytes;
                if is_full && !page.events.is_empty() {
                    page.more = true;
                    break;
                }
                page.events.push(Arc::clone(event));
            }
            page.cursor = event.id;
        }
        page
    }

    /// Whether the page of this query would contain an event, which ends a wait.
    pub fn has_news(&self, query: &PageQuery<'_>) -> bool {
        let managed = self.managed.get(&query.instance).copied().unwrap_or_default();
        if query.since > managed.head || query.since < managed.dropped {
            return true;
        }
        self.history(&EventSubject::Process(query.instance), query.since).any(|event| {
            event.managed_by().is_some()
                && query.topic.is_none_or(|topic| topic.matches(&event.topic))
        })
    }

    /// The newest events of one subject, newest first.
    pub fn newest_of(&self, subject: &EventSubject, limit: usize) -> Vec<&Arc<StoredEvent>> {
        self.history(subject, StoredId(0)).rev().take(limit).collect()
    }

    /// The events that a filter selects. Newest first it is the newest of them, oldest first the
    /// oldest after `since`. `size_of` measures an event for `max_bytes`.
    pub fn select(
        &self,
        filter: &StoredFilter,
        size_of: impl Fn(&StoredEvent) -> usize,
    ) -> Selection<'_> {
        let (first, second) = match filter.ascending {
            true => (Some(self.after(filter.since)), None),
            false => (None, Some(self.after(filter.since).rev())),
        };
        let ordered = first.into_iter().flatten().chain(second.into_iter().flatten());
        let mut selection = Selection { events: Vec::new(), more: false };
        let mut bytes = 0usize;
        for event in ordered.filter(|event| filter.selects(event)).take(filter.limit) {
            bytes = bytes.saturating_add(size_of(event));
            if bytes > filter.max_bytes && !selection.events.is_empty() {
                selection.more = true;
                break;
            }
            selection.events.push(event);
        }
        selection
    }

    fn history(
        &self,
        subject: &EventSubject,
        since: StoredId,
    ) -> impl DoubleEndedIterator<Item = &Arc<StoredEvent>> {
        let ids = self.histories.get(subject);
        let start = ids.map_or(0, |ids| ids.partition_point(|id| *id <= since));
        ids.into_iter().flat_map(move |ids| ids.range(start..)).filter_map(|id| self.find(*id))
    }

    fn find(&self, id: StoredId) -> Option<&Arc<StoredEvent>> {
        self.events.binary_search_by_key(&id, |event| event.id).ok().map(|at| &self.events[at])
    }
}

impl StoredFilter {
    /// Whether everything but `since` and `limit` holds.
    fn selects(&self, event: &StoredEvent) -> bool {
        let is = |wanted: &Option<alloc::string::String>, value: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == value)
        };
        let resource = event.resource.as_ref();
        self.topic.as_ref().is_none_or(|topic| topic.matches(&event.topic))
            && is(&self.kind, event.row_kind())
            && is(&self.name, event.row_name())
            && self.resource.as_ref().is_none_or(|(kind, name)| {
                resource.is_some_and(|resource| resource.kind == *kind && resource.name == *name)
            })
    }
}

impl StoredEvent {
    /// `kind` of the stored form: that of the subject, else that of the event itself.
    pub fn row_kind(&self) -> &str {
        self.resource.as_ref().map_or("DaemonEvent", |resource| &resource.kind)
    }

    /// `name` of the stored form: that of the subject, else that of its daemon.
    pub fn row_name(&self) -> &str {
        self.resource.as_ref().map_or(&self.daemon.name, |resource| &resource.name)
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
