//! Consecutive events, encoded together when the first subscriber reads them: unread events are
//! never encoded, and events with many readers are encoded once.

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use openctrl_core::doors::v2::{InstanceObject, LogFrames, MaskedPart, Secrets, write_event};
use openctrl_core::event::{EventKind, EventName, LogRun};
use openctrl_core::handover::{HandedBlock, HandedSecret};
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
            Self::Instance(object) => object.write(Secrets::Shown, out),
        }
    }

    /// The part of the object that readers without the key see in another form.
    fn hidden(&self) -> Option<(Range<usize>, Masked)> {
        match self {
            Self::Key { json, masked } => Some((0..json.len(), Masked::Key(masked.clone()))),
            Self::Instance(object) => hidden(object),
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
    frames: Frames,
    /// The places with secrets, in order.
    edits: Vec<Edit>,
    /// The frames without them, made when the first reader without the key asks for them.
    masked: OnceLock<Frames>,
}

#[derive(Debug, Default)]
struct Frames {
    bytes: Bytes,
    /// The end of the frame of each event.
    ends: Vec<u32>,
}

/// A place with a secret.
#[derive(Debug)]
struct Edit {
    range: Range<usize>,
    masked: Masked,
}

/// What readers without the key see in its place.
#[derive(Clone, Debug)]
enum Masked {
    Key(Bytes),
    Part(MaskedPart),
}

impl Masked {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Key(bytes) => bytes,
            Self::Part(part) => part.replacement(),
        }
    }
}

fn hidden(object: &InstanceObject) -> Option<(Range<usize>, Masked)> {
    object.masked_part().map(|part| (part.range.clone(), Masked::Part(part)))
}

impl Encoded {
    fn shown(&self, secrets: Secrets) -> &Frames {
        match secrets {
            Secrets::Masked if !self.edits.is_empty() => self.masked.get_or_init(|| self.mask()),
            Secrets::Masked | Secrets::Shown => &self.frames,
        }
    }

    fn mask(&self) -> Frames {
        let Frames { bytes, ends } = &self.frames;
        let mut masked = Vec::with_capacity(bytes.len());
        let mut edits = self.edits.iter().peekable();
        let mut from = 0;
        let masked_ends = ends.iter().map(|end| {
            let end = *end as usize;
            while let Some(edit) = edits.next_if(|edit| edit.range.end <= end) {
                masked.extend_from_slice(&bytes[from..edit.range.start]);
                masked.extend_from_slice(edit.masked.bytes());
                from = edit.range.end;
            }
            masked.extend_from_slice(&bytes[from..end]);
            from = end;
            masked.len() as u32
        });
        let ends = masked_ends.collect();
        Frames { bytes: Bytes::from(masked), ends }
    }
}

impl Block {
    /// A block that another program of this master encoded.
    pub(super) fn taken_over(boot: BootId, block: HandedBlock) -> Self {
        let HandedBlock { first, frames, ends, secrets } = block;
        let edit = |HandedSecret { start, end, masked }: HandedSecret| Edit {
            range: start as usize..end as usize,
            masked: Masked::Key(Bytes::from(masked)),
        };
        let (frame_bytes, kept_bytes) = (frames.len(), 0);
        let edits = secrets.into_iter().map(edit).collect();
        let frames = Frames { bytes: Bytes::from(frames), ends };
        let encoded = OnceLock::from(Encoded { frames, edits, masked: OnceLock::new() });
        Self { boot, first, frame_bytes, kept_bytes, items: Mutex::default(), encoded }
    }

    /// The block for another program of this master.
    pub(super) fn hand_over(&self) -> HandedBlock {
        let Encoded { frames, edits, .. } = self.encoded.get_or_init(|| self.encode());
        let place = |at: usize| u32::try_from(at).expect("a block is far below 4 GiB");
        let secret = |edit: &Edit| HandedSecret {
            start: place(edit.range.start),
            end: place(edit.range.end),
            masked: edit.masked.bytes().to_vec(),
        };
        HandedBlock {
            first: self.first,
            frames: frames.bytes.to_vec(),
            ends: frames.ends.clone(),
            secrets: edits.iter().map(secret).collect(),
        }
    }

    /// How many events it has, once it was encoded.
    pub(super) fn events(&self) -> usize {
        self.encoded.get().map_or(0, |encoded| encoded.frames.ends.len())
    }

    /// The frames from the event `id` on, which is one of its own, with secrets or without.
    pub(super) fn frames_from(&self, id: EventId, secrets: Secrets) -> Bytes {
        let encoded = self.encoded.get_or_init(|| self.encode());
        let Frames { bytes, ends } = encoded.shown(secrets);
        let before = (id.0 - self.first.0).checked_sub(1);
        let start = before.map_or(0, |index| ends[index as usize]) as usize;
        bytes.slice(start..)
    }

    /// How much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        match self.encoded.get() {
            Some(Encoded { frames, edits, masked }) => {
                let masked_bytes = masked.get().map_or(0, |masked| masked.bytes.len());
                let edit_bytes = edits.len() * size_of::<Edit>();
                frames.bytes.len().max(self.frame_bytes) + masked_bytes + edit_bytes
            }
            None => self.frame_bytes + self.kept_bytes,
        }
    }

    fn encode(&self) -> Encoded {
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        let mut frames = Vec::with_capacity(self.frame_bytes);
        let (mut ends, mut edits) = (Vec::with_capacity(items.len()), Vec::new());
        let mut clock = TimeText::default();
        let name = |id| EventName { boot: self.boot, id };
        for item in std::mem::take(&mut *items) {
            match item {
                Item::Event(Event { id, time, kind, object }) => {
                    let mut object_at = 0;
                    let write = |out: &mut Vec<u8>| {
                        object_at = out.len();
                        object.write(out);
                    };
                    write_event(&mut frames, Some(name(id)), kind, clock.text(time), write);
                    edits.extend(object.hidden().map(|part| edit(object_at, part)));
                    ends.push(frames.len() as u32);
                }
                Item::Logs(run) => {
                    let mut object_at = 0;
                    let object = |out: &mut Vec<u8>| {
                        object_at = out.len();
                        run.object.write(Secrets::Shown, out);
                    };
                    let common = LogFrames::new(clock.text(run.time), object);
                    let hidden = hidden(&run.object);
                    let longer = hidden.as_ref().map_or(0, |(range, masked)| {
                        masked.bytes().len().saturating_sub(range.len())
                    });
                    let common = common.sparing(longer);
                    for (id, line) in run.lines() {
                        let text = run.batch.text_of(line);
                        let head_at = common.write(&mut frames, name(id), text, line.cut_bytes);
                        let part = hidden.clone();
                        edits.extend(part.map(|part| edit(head_at + object_at, part)));
                        ends.push(frames.len() as u32);
                    }
                }
            }
        }
        edits.shrink_to_fit();
        let frames = Frames { bytes: Bytes::from(frames), ends };
        Encoded { frames, edits, masked: OnceLock::new() }
    }
}

fn edit(object_at: usize, (range, masked): (Range<usize>, Masked)) -> Edit {
    Edit { range: object_at + range.start..object_at + range.end, masked }
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
