//! The bounded window of past events from which every subscriber reads (Contract §8).
//!
//! Owns: ids, retained events, and the positions of subscribers. Does not own: the content of an
//! event, its rendering, or the answer to a subscriber that fell behind the window.

use alloc::collections::VecDeque;

use crate::ids::EventId;

/// How much a window keeps; the tighter one holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowLimits {
    /// Number of events; items that were pushed together are evicted together.
    pub max_events: usize,
    /// Sum of the sizes given to [`Window::push`], in bytes.
    pub max_bytes: usize,
}

/// The latest events, oldest evicted first. The newest is always kept.
#[derive(Debug)]
pub struct Window<T> {
    limits: WindowLimits,
    slots: VecDeque<Slot<T>>,
    events: usize,
    bytes: usize,
    next: EventId,
}

#[derive(Debug)]
struct Slot<T> {
    item: T,
    first: EventId,
    events: usize,
    bytes: usize,
}

/// The position of one subscriber: the next event it has not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    next: EventId,
}

/// The result of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// This many events were delivered, at least one; there may be more.
    Items(usize),
    /// There is nothing new.
    CaughtUp,
    /// Events that the cursor had not seen were discarded, and the cursor was not moved. The
    /// subscriber needs the current state and a new cursor at the head.
    FellOut {
        /// Number of discarded events. Those between them and the head are not counted.
        lost: u64,
    },
}

impl<T> Window<T> {
    /// An empty window.
    pub fn new(limits: WindowLimits) -> Window<T> {
        Window { limits, slots: VecDeque::new(), events: 0, bytes: 0, next: EventId(1) }
    }

    /// An empty window whose first event will be `next`: the ones before it were discarded.
    pub fn starting_at(limits: WindowLimits, next: EventId) -> Window<T> {
        Window { next, ..Window::new(limits) }
    }

    /// The items kept, oldest first.
    pub fn items(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().map(|slot| &slot.item)
    }

    /// Appends an event of a size of `bytes`, see [`Window::push_run`].
    pub fn push(&mut self, item: T, bytes: usize) -> EventId {
        self.push_run(item, 1, bytes)
    }

    /// Appends an item that stands for `events` consecutive events, at least one, and for `bytes`
    /// bytes, and evicts the oldest ones beyond either limit. An item larger than the limit stays,
    /// alone. Returns the id of its first event.
    pub fn push_run(&mut self, item: T, events: usize, bytes: usize) -> EventId {
        // Evicting first keeps the sum from overflowing.
        while self.is_full(events, bytes) && self.evict() {}
        self.bytes += bytes;
        self.events += events;
        let first = self.next;
        self.slots.push_back(Slot { item, first, events, bytes });
        self.next = first.plus(events as u64);
        first
    }

    /// Corrects the size of the item that the event `id` is in, if that is still kept, and evicts
    /// the oldest ones beyond the limit.
    pub fn resize(&mut self, id: EventId, bytes: usize) {
        let index = self.slots.partition_point(|slot| slot.end() <= id);
        let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.first <= id) else { return };
        self.bytes = self.bytes - slot.bytes + bytes;
        slot.bytes = bytes;
        while self.bytes > self.limits.max_bytes && self.slots.len() > 1 && self.evict() {}
    }

    /// The id that the next event will get.
    pub fn next_id(&self) -> EventId {
        self.next
    }

    /// The id of the oldest retained event; [`Window::next_id`] if there is none.
    pub fn oldest_id(&self) -> EventId {
        self.slots.front().map_or(self.next, |slot| slot.first)
    }

    /// The number of events kept.
    pub fn len(&self) -> usize {
        self.events
    }

    /// Whether no event has been pushed yet.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The sum of the sizes of the events kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A cursor that sees only events yet to come.
    pub fn cursor_at_head(&self) -> Cursor {
        Cursor { next: self.next }
    }

    /// A cursor that has seen everything up to and with `id`, such as a `Last-Event-ID`. `None`
    /// if the id was never issued. If it was discarded, the first read reports that.
    pub fn cursor_after(&self, id: EventId) -> Option<Cursor> {
        (id < self.next).then(|| Cursor { next: EventId(id.0 + 1) })
    }

    /// Delivers to `sink`, in order, the items with events that `cursor` has not seen, as many as
    /// fit `max_bytes` and at least one, each with its first event that was not seen, and moves
    /// the cursor past them.
    pub fn read(
        &self,
        cursor: &mut Cursor,
        max_bytes: usize,
        mut sink: impl FnMut(EventId, &T),
    ) -> Read {
        let oldest = self.oldest_id();
        if cursor.next < oldest {
            return Read::FellOut { lost: oldest.0 - cursor.next.0 };
        }
        // A cursor of another window could be beyond the head; it waits there.
        if cursor.next >= self.next {
            return Read::CaughtUp;
        }
        let before = *cursor;
        let mut total = 0usize;
        let start = self.slots.partition_point(|slot| slot.end() <= cursor.next);
        for slot in self.slots.range(start..) {
            total = total.saturating_add(slot.bytes);
            if *cursor != before && total > max_bytes {
                break;
            }
            sink(cursor.next, &slot.item);
            cursor.next = slot.end();
        }
        Read::Items((cursor.next.0 - before.next.0) as usize)
    }

    fn is_full(&self, more_events: usize, more_bytes: usize) -> bool {
        let has_room = |limit: usize, more: usize, used: usize| {
            limit.checked_sub(more).is_some_and(|room| used <= room)
        };
        !has_room(self.limits.max_events, more_events, self.events)
            || !has_room(self.limits.max_bytes, more_bytes, self.bytes)
    }

    fn evict(&mut self) -> bool {
        let Some(evicted) = self.slots.pop_front() else { return false };
        self.bytes -= evicted.bytes;
        self.events -= evicted.events;
        true
    }
}

impl<T> Slot<T> {
    /// The first event after it.
    fn end(&self) -> EventId {
        self.first.plus(self.events as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn a_new_window_is_empty() {
        let window = small(10, 10);
        assert_eq!((window.next_id(), window.oldest_id()), (EventId(1), EventId(1)));
        assert_eq!((window.len(), window.bytes(), window.is_empty()), (0, 0, true));
        assert_eq!(read(&window, &mut window.cursor_at_head(), 10), (Read::CaughtUp, Vec::new()));
    }

    #[test]
    fn an_oversized_event_stays_alone() {
        let mut window = small(10, 100);
        window.push('a', 40);
        window.push('b', 101);
        assert_eq!((window.len(), window.bytes()), (1, 101));
        let mut cursor = window.cursor_after(EventId(1)).expect("issued");
        assert_eq!(read(&window, &mut cursor, 1), (Read::Items(1), [(2, 'b')].to_vec()));
        window.push('c', usize::MAX);
        window.push('d', 100);
        assert_eq!((window.oldest_id(), window.bytes()), (EventId(4), 100));
    }

    #[test]
    fn a_cursor_starts_after_any_id_issued() {
        let mut window = small(2, 100);
        "abc".chars().for_each(|item| {
            window.push(item, 1);
        });
        assert_eq!(window.cursor_after(EventId(4)), None);
        assert_eq!(window.cursor_after(EventId(u64::MAX)), None);
        assert_eq!(window.cursor_after(EventId(3)), Some(window.cursor_at_head()));
        let mut cursor = window.cursor_after(EventId(1)).expect("issued");
        assert_eq!(read(&window, &mut cursor, 100).1, [(2, 'b'), (3, 'c')]);
        let mut cursor = window.cursor_after(EventId(0)).expect("before all");
        for _ in 0..2 {
            assert_eq!(read(&window, &mut cursor, 100), (Read::FellOut { lost: 1 }, Vec::new()));
        }
    }

    #[derive(Debug, Clone)]
    enum Op {
        Push { events: usize, bytes: usize },
        Resize { event: usize, bytes: usize },
        Read { reader: usize, max_bytes: usize },
        Restart { reader: usize },
        Resume { reader: usize, id: u64 },
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let reader = 0..3usize;
        let bytes = || prop_oneof![9 => 0..20usize, 1 => 90..120usize];
        let events = prop_oneof![3 => Just(1usize), 1 => 2..6usize];
        let op = prop_oneof![
            5 => (events, bytes()).prop_map(|(events, bytes)| Op::Push { events, bytes }),
            1 => (0..60usize, bytes()).prop_map(|(event, bytes)| Op::Resize { event, bytes }),
            3 => (reader.clone(), 0..60usize)
                .prop_map(|(reader, max_bytes)| Op::Read { reader, max_bytes }),
            1 => reader.clone().prop_map(|reader| Op::Restart { reader }),
            1 => (reader, 0..60u64).prop_map(|(reader, id)| Op::Resume { reader, id }),
        ];
        prop::collection::vec(op, 0..120)
    }

    /// All events that were ever pushed, and how many of them were discarded.
    #[derive(Default)]
    struct Model {
        /// Of each item: its first event, how many events, how many bytes.
        items: Vec<(usize, usize, usize)>,
        gone: usize,
        events: usize,
    }

    impl Model {
        fn kept(&self) -> &[(usize, usize, usize)] {
            &self.items[self.gone..]
        }

        fn bytes(&self) -> usize {
            self.kept().iter().map(|(_, _, bytes)| bytes).sum()
        }

        fn oldest(&self) -> usize {
            self.kept().first().map_or(self.events + 1, |(first, _, _)| *first)
        }

        fn evict(&mut self, max_events: usize, max_bytes: usize) {
            let is_over = |model: &Self| {
                let events: usize = model.kept().iter().map(|(_, events, _)| events).sum();
                events > max_events || model.bytes() > max_bytes
            };
            while self.kept().len() > 1 && is_over(self) {
                self.gone += 1;
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn equals_the_model(max_events in 0..12usize, max_bytes in 0..100usize, ops in ops()) {
            let mut window = Window::new(WindowLimits { max_events, max_bytes });
            let mut model = Model::default();
            // For each subscriber: its cursor, and the number of events that it has seen or that
            // were reported as lost.
            let mut readers = [(window.cursor_at_head(), 0usize); 3];
            for op in ops {
                match op {
                    Op::Push { events, bytes } => {
                        let first = model.events + 1;
                        let given = window.push_run(first as u64, events, bytes);
                        prop_assert_eq!(given, EventId(first as u64));
                        model.items.push((first, events, bytes));
                        model.events += events;
                        model.evict(max_events, max_bytes);
                    }
                    Op::Resize { event, bytes } => {
                        window.resize(EventId(event as u64), bytes);
                        let gone = model.gone;
                        let is_in = |item: &&mut (usize, usize, usize)| {
                            (item.0..item.0 + item.1).contains(&event)
                        };
                        if let Some(item) = model.items[gone..].iter_mut().find(is_in) {
                            item.2 = bytes;
                            model.evict(usize::MAX, max_bytes);
                        }
                    }
                    Op::Read { reader, max_bytes } => {
                        let (cursor, seen) = &mut readers[reader];
                        let before = *cursor;
                        let (outcome, items) = read(&window, cursor, max_bytes);
                        if *seen + 1 < model.oldest() {
                            let lost = (model.oldest() - *seen - 1) as u64;
                            prop_assert_eq!(outcome, Read::FellOut { lost });
                            prop_assert_eq!((before, items), (*cursor, Vec::new()));
                            // Like a subscriber that reads the rest, to test the count.
                            *seen += lost as usize;
                            let last = window.cursor_after(EventId(*seen as u64));
                            *cursor = last.expect("issued");
                        } else {
                            let (expected, end) = model.fitting(*seen, max_bytes);
                            prop_assert_eq!(items, expected);
                            let expected = match end - *seen {
                                0 => Read::CaughtUp,
                                count => Read::Items(count),
                            };
                            prop_assert_eq!(outcome, expected);
                            *seen = end;
                        }
                    }
                    Op::Restart { reader } => {
                        readers[reader] = (window.cursor_at_head(), model.events);
                    }
                    Op::Resume { reader, id } => match window.cursor_after(EventId(id)) {
                        Some(cursor) => {
                            prop_assert!(id as usize <= model.events);
                            readers[reader] = (cursor, id as usize);
                        }
                        None => prop_assert!(id as usize > model.events),
                    },
                }
                prop_assert_eq!(window.len(), model.events + 1 - model.oldest());
                prop_assert_eq!(window.bytes(), model.bytes());
                prop_assert_eq!(window.next_id().0, model.events as u64 + 1);
                prop_assert_eq!(window.oldest_id().0, model.oldest() as u64);
            }
        }
    }

    impl Model {
        /// The events for a subscriber that has seen `seen`: of each item the first new event, and
        /// which item; and the last event of them.
        fn fitting(&self, seen: usize, max_bytes: usize) -> (Vec<(u64, u64)>, usize) {
            let (mut items, mut end, mut total) = (Vec::new(), seen, 0);
            for (first, events, bytes) in
                self.kept().iter().filter(|item| item.0 + item.1 > seen + 1)
            {
                total += bytes;
                if !items.is_empty() && total > max_bytes {
                    break;
                }
                items.push(((end + 1) as u64, *first as u64));
                end = first + events - 1;
            }
            (items, end)
        }
    }

    fn small(max_events: usize, max_bytes: usize) -> Window<char> {
        Window::new(WindowLimits { max_events, max_bytes })
    }

    fn read<T: Copy>(
        window: &Window<T>,
        cursor: &mut Cursor,
        max_bytes: usize,
    ) -> (Read, Vec<(u64, T)>) {
        let mut items = Vec::new();
        let outcome = window.read(cursor, max_bytes, |id, item| items.push((id.0, *item)));
        (outcome, items)
    }
}
