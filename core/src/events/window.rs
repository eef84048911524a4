//! The bounded window of past events from which every reader is fed (Contract §8).
//!
//! Owns: ids, what is kept, and where a reader stands. Does not own: what an event is, how it is
//! rendered, or what a reader that fell out of the window is told.

use alloc::collections::VecDeque;

/// The number of an event. The first is 1 and each is one more than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub u64);

impl EventId {
    /// The id of the event `count` events later.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }
}

/// How much a window keeps; the tighter one holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowLimits {
    /// Number of events.
    pub max_events: usize,
    /// Sum of the sizes given to [`Window::push`], in bytes.
    pub max_bytes: usize,
}

/// The latest events, oldest evicted first. The newest is kept whatever the limits.
#[derive(Debug)]
pub struct Window<T> {
    limits: WindowLimits,
    slots: VecDeque<Slot<T>>,
    bytes: usize,
    next: EventId,
}

#[derive(Debug)]
struct Slot<T> {
    item: T,
    bytes: usize,
}

/// Where one reader stands: the next event it has not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    next: EventId,
}

/// What a read came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// This many events were delivered, at least one; there may be more.
    Items(usize),
    /// There is nothing new.
    CaughtUp,
    /// Events that the cursor had not seen are gone, and the cursor was not moved. The reader
    /// needs a fresh picture and a new cursor at the head.
    FellOut {
        /// How many are gone. Those between them and the head are not counted.
        lost: u64,
    },
}

impl<T> Window<T> {
    /// An empty window.
    pub fn new(limits: WindowLimits) -> Window<T> {
        Window { limits, slots: VecDeque::new(), bytes: 0, next: EventId(1) }
    }

    /// Appends an event of a size of `bytes` and evicts the oldest ones beyond either limit. An
    /// event larger than the limit stays, alone.
    pub fn push(&mut self, item: T, bytes: usize) -> EventId {
        // Evicting first keeps the sum from overflowing.
        while self.is_full(bytes) {
            let Some(evicted) = self.slots.pop_front() else { break };
            self.bytes -= evicted.bytes;
        }
        self.bytes += bytes;
        self.slots.push_back(Slot { item, bytes });
        let id = self.next;
        self.next = EventId(id.0 + 1);
        id
    }

    /// The id that the next event will get.
    pub fn next_id(&self) -> EventId {
        self.next
    }

    /// The id of the oldest event kept; [`Window::next_id`] if there is none.
    pub fn oldest_id(&self) -> EventId {
        EventId(self.next.0 - self.slots.len() as u64)
    }

    /// The number of events kept.
    pub fn len(&self) -> usize {
        self.slots.len()
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
    /// if the id was never issued. One that is gone is found out by the first read.
    pub fn cursor_after(&self, id: EventId) -> Option<Cursor> {
        (id < self.next).then(|| Cursor { next: EventId(id.0 + 1) })
    }

    /// Delivers to `sink`, in order, the events that `cursor` has not seen, as many as fit
    /// `max_bytes` and at least one, and moves the cursor past them.
    pub fn read(
        &self,
        cursor: &mut Cursor,
        max_bytes: usize,
        mut sink: impl FnMut(EventId, &T),
    ) -> Read {
        let oldest = self.oldest_id();
        let Some(seen) = cursor.next.0.checked_sub(oldest.0) else {
            return Read::FellOut { lost: oldest.0 - cursor.next.0 };
        };
        let mut delivered = 0;
        let mut total = 0usize;
        // A cursor of another window could stand beyond the head; it waits there.
        let start = self.slots.len().min(usize::try_from(seen).unwrap_or(usize::MAX));
        for slot in self.slots.range(start..) {
            total = total.saturating_add(slot.bytes);
            if delivered > 0 && total > max_bytes {
                break;
            }
            sink(cursor.next, &slot.item);
            cursor.next = EventId(cursor.next.0 + 1);
            delivered += 1;
        }
        if delivered == 0 { Read::CaughtUp } else { Read::Items(delivered) }
    }

    fn is_full(&self, more_bytes: usize) -> bool {
        self.slots.len() >= self.limits.max_events.max(1)
            || self.limits.max_bytes.checked_sub(more_bytes).is_none_or(|room| self.bytes > room)
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
        Push { bytes: usize },
        Read { reader: usize, max_bytes: usize },
        Restart { reader: usize },
        Resume { reader: usize, id: u64 },
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let reader = 0..3usize;
        let op = prop_oneof![
            5 => prop_oneof![9 => 0..20usize, 1 => 90..120usize]
                .prop_map(|bytes| Op::Push { bytes }),
            3 => (reader.clone(), 0..60usize)
                .prop_map(|(reader, max_bytes)| Op::Read { reader, max_bytes }),
            1 => reader.clone().prop_map(|reader| Op::Restart { reader }),
            1 => (reader, 0..60u64).prop_map(|(reader, id)| Op::Resume { reader, id }),
        ];
        prop::collection::vec(op, 0..120)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn equals_the_model(max_events in 0..12usize, max_bytes in 0..100usize, ops in ops()) {
            let mut window = Window::new(WindowLimits { max_events, max_bytes });
            // All sizes ever pushed: event `id` carries `id` and stands at `id - 1`.
            let mut sizes: Vec<usize> = Vec::new();
            // Per reader: its cursor and how many events it has seen or was told it lost.
            let mut readers = [(window.cursor_at_head(), 0usize); 3];
            for op in ops {
                match op {
                    Op::Push { bytes } => {
                        sizes.push(bytes);
                        let id = sizes.len() as u64;
                        prop_assert_eq!(window.push(id, bytes), EventId(id));
                    }
                    Op::Read { reader, max_bytes } => {
                        let (cursor, seen) = &mut readers[reader];
                        let before = *cursor;
                        let (outcome, items) = read(&window, cursor, max_bytes);
                        let gone = sizes.len() - window.len();
                        if *seen < gone {
                            let lost = (gone - *seen) as u64;
                            prop_assert_eq!(outcome, Read::FellOut { lost });
                            prop_assert_eq!((before, items), (*cursor, Vec::new()));
                            // As a reader does that takes what is left, to test the count.
                            *seen += lost as usize;
                            let last = window.cursor_after(EventId(*seen as u64));
                            *cursor = last.expect("issued");
                        } else {
                            let count = fitting(&sizes[*seen..], max_bytes);
                            let ids = (*seen + 1..=*seen + count).map(|id| (id as u64, id as u64));
                            prop_assert_eq!(items, ids.collect::<Vec<_>>());
                            let expected =
                                if count == 0 { Read::CaughtUp } else { Read::Items(count) };
                            prop_assert_eq!(outcome, expected);
                            *seen += count;
                        }
                    }
                    Op::Restart { reader } => {
                        readers[reader] = (window.cursor_at_head(), sizes.len());
                    }
                    Op::Resume { reader, id } => match window.cursor_after(EventId(id)) {
                        Some(cursor) => {
                            prop_assert!(id as usize <= sizes.len());
                            readers[reader] = (cursor, id as usize);
                        }
                        None => prop_assert!(id as usize > sizes.len()),
                    },
                }
                let kept = &sizes[sizes.len() - kept(&sizes, max_events, max_bytes)..];
                prop_assert_eq!(window.len(), kept.len());
                prop_assert_eq!(window.bytes(), kept.iter().sum::<usize>());
                prop_assert_eq!(window.next_id().0, sizes.len() as u64 + 1);
            }
        }
    }

    /// The number of latest events that the limits leave room for.
    fn kept(sizes: &[usize], max_events: usize, max_bytes: usize) -> usize {
        let fits = |count: &usize| sizes[sizes.len() - count..].iter().sum::<usize>() <= max_bytes;
        let least = sizes.len().min(1);
        (least..=sizes.len().min(max_events)).rev().find(fits).unwrap_or(least)
    }

    fn fitting(sizes: &[usize], max_bytes: usize) -> usize {
        let fits = |count: &usize| sizes[..*count].iter().sum::<usize>() <= max_bytes;
        let least = sizes.len().min(1);
        (least..=sizes.len()).rev().find(fits).unwrap_or(least)
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
