//! The window of events, and readers that come, go and resume in it.

use std::collections::VecDeque;

use openctrl_core::events::{
    Cursor, EventId, EventKind, EventName, Read, Window, WindowLimits, event_frame, log_frame,
};
use openctrl_core::ids::BootId;
use openctrl_core::time::Wall;

use crate::choices::Choices;

const BOOT: BootId = BootId(0xb007);
const READERS: usize = 3;

/// The bytes are choices: limits of a window, then events that are pushed and readers that read,
/// start anew, or resume with a `Last-Event-ID`. Each reader gets every event once and in order,
/// or is told how many it lost; of the window no more is kept than its limits allow.
pub fn cursors(data: &[u8]) {
    let choices = &mut Choices::new(data);
    let limits = WindowLimits { max_events: choices.below(12), max_bytes: choices.below(16) * 100 };
    let mut hall = Hall::new(limits);
    while !choices.is_exhausted() {
        let reader = choices.below(READERS);
        match choices.below(8) {
            0..3 => hall.push(choices),
            3..6 => hall.read(reader, choices.below(1_000)),
            6 => hall.start(reader),
            _ => hall.resume(reader, choices),
        }
        hall.check_limits();
    }
    for reader in 0..READERS {
        hall.read(reader, usize::MAX);
    }
}

/// The window, its readers, and a model of both.
struct Hall {
    limits: WindowLimits,
    window: Window<Vec<u8>>,
    /// Every frame so far, and the sizes of those that the window ought to hold.
    frames: Vec<Vec<u8>>,
    kept: VecDeque<usize>,
    readers: [Reader; READERS],
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
        let id = EventId(self.frames.len() as u64 + 1);
        let name = EventName { boot: BOOT, id };
        let time = Wall::from_micros(id.0);
        let frame = if choices.one_in(2) {
            event_frame(Some(name), EventKind::Update, time, Some(b"{}"))
        } else {
            log_frame(name, &time.to_string(), b"{}", &vec![choices.byte(); choices.below(300)], 0)
        };
        assert_eq!(self.window.next_id(), id);
        assert_eq!(self.window.push(frame.clone(), frame.len()), id);
        self.kept.push_back(frame.len());
        self.frames.push(frame);
    }

    /// Keeps the model to the limits, and compares.
    fn check_limits(&mut self) {
        let WindowLimits { max_events, max_bytes } = self.limits;
        let is_over = |kept: &VecDeque<usize>| {
            kept.len() > max_events || kept.iter().sum::<usize>() > max_bytes
        };
        while self.kept.len() > 1 && is_over(&self.kept) {
            self.kept.pop_front();
        }
        assert_eq!(self.window.len(), self.kept.len());
        assert_eq!(self.window.bytes(), self.kept.iter().sum::<usize>());
        assert_eq!(self.window.oldest_id().0, (self.frames.len() - self.kept.len()) as u64 + 1);
    }

    fn read(&mut self, reader: usize, max_bytes: usize) {
        let Self { window, frames, kept, readers, .. } = self;
        let reader = &mut readers[reader];
        let gone = frames.len() - kept.len();
        let (before, mut at, mut bytes) = (reader.cursor, reader.seen, 0);
        let mut sizes = Vec::new();
        let read = window.read(&mut reader.cursor, max_bytes, |id, frame| {
            assert_eq!(id.0, at as u64 + 1, "events come in order");
            assert_eq!(frame, &frames[at], "an event stays what it was");
            at += 1;
            bytes += frame.len();
            sizes.push(frame.len());
            reader.last_event_id = Some(id_line(frame));
        });
        if reader.seen < gone {
            let lost = (gone - reader.seen) as u64;
            assert_eq!((read, sizes.len()), (Read::FellOut { lost }, 0));
            assert_eq!(reader.cursor, before, "who fell out stays where he was");
            // As the driver does: a picture, and on from the head.
            (reader.cursor, reader.seen) = (window.cursor_at_head(), frames.len());
            return;
        }
        assert!(bytes <= max_bytes || sizes.len() == 1, "{sizes:?} do not fit {max_bytes}");
        match frames.get(at) {
            Some(next) => assert!(bytes + next.len() > max_bytes, "more would have fitted"),
            None => assert_eq!(at, frames.len()),
        }
        let expected = if at == reader.seen { Read::CaughtUp } else { Read::Items(sizes.len()) };
        assert_eq!(read, expected);
        assert!(at > reader.seen || at == frames.len(), "a reader that may read gets something");
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
