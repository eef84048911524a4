//! The window of events, and readers that come, go and resume in it.

use std::collections::VecDeque;

use openctrl_core::doors::v2::{LogFrames, event_frame};
use openctrl_core::event::{Cursor, EventKind, EventName, Read, Window, WindowLimits};
use openctrl_core::ids::{BootId, EventId};
use openctrl_core::time::Wall;

use crate::choices::Choices;

const BOOT: BootId = BootId(0xb007);
const READERS: usize = 3;

/// More of them are slow and show nothing new: the window holds a dozen events.
const STEPS_MAX: usize = 200;

/// The bytes are choices: limits of a window, then events and runs of log lines that are pushed or
/// turn out to be of another size, and readers that read, start again, or resume with a
/// `Last-Event-ID`. Each reader gets every event once and in order, or receives how many it lost;
/// of the window no more is kept than its limits allow.
pub fn cursors(data: &[u8]) {
    let choices = &mut Choices::new(data);
    let limits = WindowLimits { max_events: choices.below(12), max_bytes: choices.below(16) * 100 };
    let mut hall = Hall::new(limits);
    for _ in 0..STEPS_MAX {
        if choices.is_exhausted() {
            break;
        }
        let reader = choices.below(READERS);
        match choices.below(8) {
            0..3 => hall.push(choices),
            3..5 => hall.read(reader, choices.below(1_000)),
            5 => hall.resize(choices),
            6 => hall.start(reader),
            _ => hall.resume(reader, choices),
        }
        hall.compare();
    }
    for reader in 0..READERS {
        hall.read(reader, usize::MAX);
    }
}

/// The window, its readers, and a model of both.
struct Hall {
    limits: WindowLimits,
    window: Window<Item>,
    /// Every frame so far, by the number of its event.
    frames: Vec<Vec<u8>>,
    /// What the window ought to hold.
    kept: VecDeque<Kept>,
    readers: [Reader; READERS],
}

/// The frames of consecutive events, pushed as one.
struct Item {
    first: EventId,
    frames: Vec<Vec<u8>>,
}

#[derive(Clone, Copy)]
struct Kept {
    first: usize,
    events: usize,
    bytes: usize,
}

struct Reader {
    cursor: Cursor,
    /// How many events it has got, or knows to be gone.
    seen: usize,
    /// The last `id:` line that it got.
    last_event_id: Option<String>,
}

impl Hall {
    fn new(limits: WindowLimits) -> Self {
        let window = Window::new(limits);
        let cursor = window.cursor_at_head();
        let readers = [(); READERS].map(|()| Reader { cursor, seen: 0, last_event_id: None });
        Self { limits, window, frames: Vec::new(), kept: VecDeque::new(), readers }
    }

    fn push(&mut self, choices: &mut Choices<'_>) {
        let first = EventId(self.frames.len() as u64 + 1);
        let frames = frames(first, choices);
        let (events, bytes) = (frames.len(), frames.iter().map(Vec::len).sum());
        self.kept.push_back(Kept { first: self.frames.len() + 1, events, bytes });
        self.frames.extend(frames.iter().cloned());
        assert_eq!(self.window.next_id(), first);
        assert_eq!(self.window.push_run(Item { first, frames }, events, bytes), first);
        self.evict(self.limits.max_events);
    }

    /// What was pushed turns out to be larger or smaller.
    fn resize(&mut self, choices: &mut Choices<'_>) {
        let (event, bytes) = (choices.below(self.frames.len() + 2), choices.below(700));
        self.window.resize(EventId(event as u64), bytes);
        let is_it = |kept: &&mut Kept| (kept.first..kept.first + kept.events).contains(&event);
        if let Some(kept) = self.kept.iter_mut().find(is_it) {
            kept.bytes = bytes;
            self.evict(usize::MAX);
        }
    }

    /// Keeps the model to the limits.
    fn evict(&mut self, max_events: usize) {
        let is_over = |kept: &VecDeque<Kept>| {
            let events: usize = kept.iter().map(|kept| kept.events).sum();
            let bytes: usize = kept.iter().map(|kept| kept.bytes).sum();
            events > max_events || bytes > self.limits.max_bytes
        };
        while self.kept.len() > 1 && is_over(&self.kept) {
            self.kept.pop_front();
        }
    }

    fn compare(&self) {
        assert_eq!(self.window.oldest_id().0, self.gone() as u64 + 1);
        assert_eq!(self.window.len(), self.frames.len() - self.gone());
        assert_eq!(self.window.bytes(), self.kept.iter().map(|kept| kept.bytes).sum::<usize>());
    }

    /// How many events were discarded.
    fn gone(&self) -> usize {
        self.kept.front().map_or(self.frames.len(), |kept| kept.first - 1)
    }

    fn read(&mut self, reader: usize, max_bytes: usize) {
        let gone = self.gone();
        let Self { window, frames, kept, readers, .. } = self;
        let reader = &mut readers[reader];
        let (before, mut at) = (reader.cursor, reader.seen);
        let read = window.read(&mut reader.cursor, max_bytes, |id, item| {
            assert_eq!(id.0, at as u64 + 1, "events come in order");
            let seen = usize::try_from(id.0 - item.first.0).expect("a short run");
            for frame in &item.frames[seen..] {
                assert_eq!(frame, &frames[at], "an event stays what it was");
                at += 1;
                reader.last_event_id = Some(id_line(frame));
            }
        });
        if reader.seen < gone {
            let lost = (gone - reader.seen) as u64;
            assert_eq!((read, at), (Read::FellOut { lost }, reader.seen));
            assert_eq!(reader.cursor, before, "who fell out stays where he was");
            // As the driver does: a picture, and on from the head.
            (reader.cursor, reader.seen) = (window.cursor_at_head(), frames.len());
            return;
        }
        assert_eq!(at, fitting(kept, reader.seen, max_bytes), "as much as fits, and something");
        let expected = match at - reader.seen {
            0 => Read::CaughtUp,
            count => Read::Items(count),
        };
        assert_eq!(read, expected);
        reader.seen = at;
    }

    fn start(&mut self, reader: usize) {
        let (cursor, seen) = (self.window.cursor_at_head(), self.frames.len());
        self.readers[reader] = Reader { cursor, seen, last_event_id: None };
    }

    /// Comes back with the last id that it got, or with something else.
    fn resume(&mut self, reader: usize, choices: &mut Choices<'_>) {
        let text = match (choices.below(4), self.readers[reader].last_event_id.take()) {
            (0 | 1, Some(last)) => last,
            (2, _) => format!("{BOOT}-{}", choices.below(self.frames.len() + 3)),
            (_, last) => mangled(&last.unwrap_or_default(), choices),
        };
        let name = EventName::parse(&text);
        if let Some(name) = name {
            assert_eq!(name.to_string(), text.trim(), "it reads back as it is printed");
        }
        // One of another run of the master means nothing here.
        let Some(name) = name.filter(|name| name.boot == BOOT) else { return };
        match self.window.cursor_after(name.id) {
            Some(cursor) => {
                let seen = usize::try_from(name.id.0).expect("fewer events than that");
                assert!(seen <= self.frames.len(), "{seen} is yet to come");
                self.readers[reader] = Reader { cursor, seen, last_event_id: Some(text) };
            }
            None => assert!(name.id.0 > self.frames.len() as u64, "{name} was given out"),
        }
    }
}

/// One event of an instance, or a run of log lines.
fn frames(first: EventId, choices: &mut Choices<'_>) -> Vec<Vec<u8>> {
    let time = Wall::from_micros(first.0);
    let name = |offset| EventName { boot: BOOT, id: first.plus(offset) };
    if choices.one_in(2) {
        return vec![event_frame(Some(name(0)), EventKind::Update, time, Some(b"{}"))];
    }
    let lines = LogFrames::new(&time.to_string(), |head| head.extend_from_slice(b"{}"));
    let line = vec![choices.byte(); choices.below(300)];
    let mut frame = |offset| {
        let mut frame = Vec::new();
        lines.write(&mut frame, name(offset), &line, 0);
        frame
    };
    (0..=choices.below(4) as u64).map(&mut frame).collect()
}

/// Up to which event a reader gets that has seen `seen`: as many items as fit, and at least one.
fn fitting(kept: &VecDeque<Kept>, seen: usize, max_bytes: usize) -> usize {
    let (mut at, mut bytes) = (seen, 0);
    for item in kept.iter().filter(|item| item.first + item.events > seen + 1) {
        bytes += item.bytes;
        if at > seen && bytes > max_bytes {
            break;
        }
        at = item.first + item.events - 1;
    }
    at
}

/// What follows `id: ` in a frame, as a reader keeps it.
fn id_line(frame: &[u8]) -> String {
    let frame = std::str::from_utf8(frame).expect("a frame is UTF-8");
    let id = frame.lines().find_map(|line| line.strip_prefix("id: "));
    id.expect("a frame of the window has an id").to_string()
}

fn mangled(text: &str, choices: &mut Choices<'_>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=choices.below(3) {
        let at = choices.below(bytes.len() + 1);
        match choices.below(3) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, *choices.pick(b"0-9fF +\xff")),
            _ if at < bytes.len() => bytes[at] = choices.byte(),
            _ => {}
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
