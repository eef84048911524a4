//! Consecutive events, encoded together when the first subscriber reads them: unread events are
//! never encoded, and events with many readers are encoded once.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use openctrl_core::doors::v2::{InstanceObject, LogFrames, write_event};
use openctrl_core::event::{EventKind, EventName, LogRun};
use openctrl_core::ids::{BootId, EventId};
use openctrl_core::output::{LogLine, OutputBatch, OutputItem};
use openctrl_core::time::Wall;

/// Maximum size of a frame without the object and the line.
const FRAME_EXTRA_BYTES: usize = 160;

/// How much one block has at most, so that the first reader of it does not keep others waiting:
/// what one write to a socket may well take.
const BLOCK_MAX_EVENTS: usize = 256;
const BLOCK_MAX_BYTES: usize = 64 * 1024;

/// Something published.
#[derive(Debug)]
pub(super) enum Item {
    Event(Event),
    Logs(Lines),
}

// A hundred thousand of them wait for readers that are behind.
const _: () = assert!(size_of::<Item>() <= 104);

/// Consecutive log lines of one instance.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    first: EventId,
    time: Wall,
    /// The object that each is shown with.
    object: InstanceObject,
    batch: Arc<OutputBatch>,
    /// The first of them in the batch, and the one behind the last.
    items: [u32; 2],
}

impl Lines {
    /// The lines of a run; `object` is that of its view.
    pub(super) fn new(run: LogRun, object: InstanceObject) -> Self {
        let LogRun { first, time, batch, items, .. } = run;
        let items = [items.start, items.end].map(|index| index as u32);
        Self { first, time, object, batch, items }
    }

    fn len(&self) -> usize {
        let [start, end] = self.items;
        (end - start) as usize
    }

    fn lines(&self) -> impl Iterator<Item = (EventId, &LogLine)> {
        let [start, end] = self.items.map(|index| index as usize);
        let logs = self.batch.items[start..end].iter().filter_map(|item| match item {
            OutputItem::Log(line) => Some(line),
            OutputItem::Checkpoint(_) => None,
        });
        (0..).zip(logs).map(|(offset, line)| (self.first.plus(offset), line))
    }

    /// Takes the first `count` of them away.
    fn take(&mut self, count: usize) -> Self {
        let [start, end] = self.items;
        let cut = start + count as u32;
        let head = Self { items: [start, cut], ..self.clone() };
        (self.first, self.items) = (self.first.plus(count as u64), [cut, end]);
        head
    }
}

/// An event whose object can be rendered.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) id: EventId,
    pub(super) time: Wall,
    pub(super) kind: EventKind,
    pub(super) object: Object,
}

/// The content of an event.
#[derive(Debug)]
pub(super) enum Object {
    /// The key instance, as JSON: for holders of the key, and for other readers.
    Key {
        json: Bytes,
        masked: Bytes,
    },
    Instance(InstanceObject),
}

impl Object {
    fn max_bytes(&self) -> usize {
        match self {
            Self::Key { json, .. } => json.len(),
            Self::Instance(object) => object.max_bytes(),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Key { json, .. } => out.extend_from_slice(json),
            Self::Instance(object) => object.write(out),
        }
    }
}

impl Item {
    /// Cuts a run of lines where a block would get too large; calls `sink` with each piece.
    pub(super) fn split(self, mut sink: impl FnMut(Self)) {
        let Self::Logs(mut run) = self else { return sink(self) };
        let (mut bytes, mut count) = (0, 0);
        let object_bytes = run.object.max_bytes() + FRAME_EXTRA_BYTES;
        let mut cuts = Vec::new();
        for (_, line) in run.lines() {
            bytes += object_bytes + run.batch.text_of(line).len();
            count += 1;
            if bytes >= BLOCK_MAX_BYTES || count == BLOCK_MAX_EVENTS {
                cuts.push(count);
                (bytes, count) = (0, 0);
            }
        }
        for cut in cuts {
            sink(Self::Logs(run.take(cut)));
        }
        if run.len() > 0 {
            sink(Self::Logs(run));
        }
    }

    fn first(&self) -> EventId {
        match self {
            Self::Event(event) => event.id,
            Self::Logs(run) => run.first,
        }
    }

    fn events(&self) -> usize {
        match self {
            Self::Event(_) => 1,
            Self::Logs(run) => run.len(),
        }
    }

    /// How much its frames take; more only where text has to be escaped.
    fn bytes(&self) -> usize {
        match self {
            Self::Event(event) => event.object.max_bytes() + FRAME_EXTRA_BYTES,
            Self::Logs(run) => {
                let each = run.object.max_bytes() + FRAME_EXTRA_BYTES;
                run.lines().map(|(_, line)| each + run.batch.text_of(line).len()).sum()
            }
        }
    }
}

/// A block that still grows.
#[derive(Debug, Default)]
pub(super) struct OpenBlock {
    items: Vec<Item>,
    pub(super) events: usize,
    frame_bytes: usize,
    kept_bytes: usize,
}

impl OpenBlock {
    /// Adds an item, which keeps `kept_bytes` in memory until it is encoded that nothing before it
    /// keeps.
    pub(super) fn push(&mut self, item: Item, kept_bytes: usize) {
        self.events += item.events();
        self.frame_bytes += item.bytes();
        self.kept_bytes += kept_bytes;
        self.items.push(item);
    }

    /// How much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        self.frame_bytes + self.kept_bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.events >= BLOCK_MAX_EVENTS || self.bytes() >= BLOCK_MAX_BYTES
    }

    /// The current block; `None` if it is empty.
    pub(super) fn close(&mut self, boot: BootId) -> Option<Block> {
        let first = self.items.first()?.first();
        // The next one will hold about as many.
        let next = Self { items: Vec::with_capacity(self.items.len()), ..Self::default() };
        let Self { items, frame_bytes, kept_bytes, .. } = std::mem::replace(self, next);
        let (items, encoded) = (Mutex::new(items), OnceLock::new());
        Some(Block { boot, first, frame_bytes, kept_bytes, items, encoded })
    }
}

/// A block that is complete.
#[derive(Debug)]
pub(super) struct Block {
    boot: BootId,
    pub(super) first: EventId,
    frame_bytes: usize,
    /// The other memory of the items.
    kept_bytes: usize,
    /// Given up once they are encoded.
    items: Mutex<Vec<Item>>,
    encoded: OnceLock<Encoded>,
}

#[derive(Debug)]
struct Encoded {
    frames: Bytes,
    /// The end of the frame of each event.
    ends: Vec<u32>,
    /// The frames that show the key, in order.
    keys: Vec<KeyFrame>,
}

/// A frame that shows the key, and what readers get who do not hold it.
#[derive(Debug)]
struct KeyFrame {
    start: usize,
    end: usize,
    masked: Vec<u8>,
}

impl Block {
    /// The frames from the event `id` on, which is one of its own, with the key or without it.
    pub(super) fn frames_from(&self, id: EventId, sees_key: bool) -> Bytes {
        let Encoded { frames, ends, keys } = self.encoded.get_or_init(|| self.encode());
        let before = (id.0 - self.first.0).checked_sub(1);
        let start = before.map_or(0, |index| ends[index as usize]) as usize;
        if sees_key || keys.is_empty() {
            return frames.slice(start..);
        }
        let (mut shown, mut from) = (Vec::new(), start);
        for key in keys.iter().filter(|key| key.start >= start) {
            shown.extend_from_slice(&frames[from..key.start]);
            shown.extend_from_slice(&key.masked);
            from = key.end;
        }
        shown.extend_from_slice(&frames[from..]);
        Bytes::from(shown)
    }

    /// How much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        match self.encoded.get() {
            Some(encoded) => encoded.frames.len().max(self.frame_bytes),
            None => self.frame_bytes + self.kept_bytes,
        }
    }

    fn encode(&self) -> Encoded {
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        let mut frames = Vec::with_capacity(self.frame_bytes);
        let (mut ends, mut keys) = (Vec::with_capacity(items.len()), Vec::new());
        let mut clock = TimeText::default();
        let name = |id| EventName { boot: self.boot, id };
        for item in std::mem::take(&mut *items) {
            match item {
                Item::Event(Event { id, time, kind, object }) => {
                    let (time, start) = (clock.text(time), frames.len());
                    let write = |out: &mut Vec<u8>| object.write(out);
                    write_event(&mut frames, Some(name(id)), kind, time, write);
                    if let Object::Key { masked: json, .. } = &object {
                        let (end, mut masked) = (frames.len(), Vec::new());
                        let write = |out: &mut Vec<u8>| out.extend_from_slice(json);
                        write_event(&mut masked, Some(name(id)), kind, time, write);
                        keys.push(KeyFrame { start, end, masked });
                    }
                    ends.push(frames.len() as u32);
                }
                Item::Logs(run) => {
                    let object = |out: &mut Vec<u8>| run.object.write(out);
                    let common = LogFrames::new(clock.text(run.time), object);
                    for (id, line) in run.lines() {
                        common.write(
                            &mut frames,
                            name(id),
                            run.batch.text_of(line),
                            line.cut_bytes,
                        );
                        ends.push(frames.len() as u32);
                    }
                }
            }
        }
        Encoded { frames: Bytes::from(frames), ends, keys }
    }
}

/// A time and how it is written: many events share one.
#[derive(Default)]
struct TimeText {
    time: Wall,
    text: String,
}

impl TimeText {
    fn text(&mut self, time: Wall) -> &str {
        if self.text.is_empty() || self.time != time {
            (self.time, self.text) = (time, time.to_string());
        }
        &self.text
    }
}
