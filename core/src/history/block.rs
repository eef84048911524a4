//! Some consecutive lines of one instance, in one piece of memory of just their size.
//!
//! A block is a copy: the lines of a batch share 32 KiB of text, and one line that is kept for a
//! day must not keep all of it. It is small, so that memory is given back in small steps.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::mem::size_of;

use crate::event::LogRun;
use crate::ids::EventId;
use crate::stream::Stream;
use crate::time::Wall;

/// A block is closed when its text has this size: the overhead of a block is then small, and an
/// instance with a share of a few KiB still has several blocks.
const BLOCK_TEXT_BYTES: usize = 2 * 1024;

/// A block is closed when it has so many lines: empty ones have no text to count.
const BLOCK_LINES: usize = 128;

/// Approximate overhead of the allocator and the reference counts for each block.
const OVERHEAD_BYTES: usize = 96;

/// The id of a line: its event, or a line of an earlier run of the master. The latter sort before
/// the first event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineId {
    /// The number of the event; 0 for a line of an earlier run.
    pub event: EventId,
    /// Counts the lines of an earlier run, from 1; else 0.
    pub earlier: u32,
}

impl LineId {
    /// Before every line.
    pub const ZERO: Self = Self { event: EventId(0), earlier: 0 };

    /// The line of an event.
    pub const fn of_event(event: EventId) -> Self {
        Self { event, earlier: 0 }
    }

    /// The position just before the line of an event.
    pub(super) const fn before(self) -> Self {
        Self { event: EventId(self.event.0.saturating_sub(1)), earlier: 0 }
    }

    const fn plus(self, count: u32) -> Self {
        match self.event {
            EventId(0) => Self { event: EventId(0), earlier: self.earlier + count },
            EventId(event) => Self { event: EventId(event + count as u64), earlier: 0 },
        }
    }
}

impl fmt::Display for LineId {
    /// `17`, or `0.17` for a line of an earlier run.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.event, self.earlier) {
            (EventId(event), 0) => write!(f, "{event}"),
            (EventId(event), earlier) => write!(f, "{event}.{earlier}"),
        }
    }
}

/// Some lines with consecutive ids that were written to one stream at one time.
pub struct Block {
    first: LineId,
    time: Wall,
    stream: Stream,
    text: Box<[u8]>,
    lines: Box<[Extent]>,
}

#[derive(Clone, Copy)]
struct Extent {
    end: u32,
    cut_bytes: u64,
}

/// A line of a block.
#[derive(Clone, Copy)]
pub struct KeptLine<'a> {
    /// Its id.
    pub id: LineId,
    /// When it was printed.
    pub time: Wall,
    /// The stream that it was written to.
    pub stream: Stream,
    /// Its bytes, as printed; at most 64 KiB.
    pub bytes: &'a [u8],
    /// How many bytes followed and were dropped.
    pub cut_bytes: u64,
}

impl KeptLine<'_> {
    /// The line as text: bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.bytes)
    }
}

impl Block {
    /// How many lines there are; never 0.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are no lines, which never happens.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Its size in memory.
    pub fn cost_bytes(&self) -> usize {
        OVERHEAD_BYTES
            + size_of::<Self>()
            + self.text.len()
            + self.lines.len() * size_of::<Extent>()
    }

    /// The line at `index`.
    pub fn line(&self, index: usize) -> Option<KeptLine<'_>> {
        let extent = self.lines.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.lines[before].end);
        Some(KeptLine {
            id: self.first.plus(u32::try_from(index).expect("a block has few lines")),
            time: self.time,
            stream: self.stream,
            bytes: &self.text[start as usize..extent.end as usize],
            cut_bytes: extent.cut_bytes,
        })
    }

    /// Its lines, oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = KeptLine<'_>> {
        (0..self.len()).filter_map(|index| self.line(index))
    }
}

/// The content of a block, for a history that goes on in the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockParts {
    /// The id of its first line.
    pub first: LineId,
    /// When its lines were printed.
    pub time: Wall,
    /// The stream that they were written to.
    pub stream: Stream,
    /// The text of all lines, one after the other.
    pub text: Vec<u8>,
    /// Of each line its end in the text, and how many bytes of it were dropped.
    pub lines: Vec<(u32, u64)>,
}

impl From<&Block> for BlockParts {
    fn from(block: &Block) -> Self {
        let Block { first, time, stream, text, lines } = block;
        let lines = lines.iter().map(|extent| (extent.end, extent.cut_bytes)).collect();
        Self { first: *first, time: *time, stream: *stream, text: text.to_vec(), lines }
    }
}

impl Block {
    /// The block of these parts; `None` if no block has them.
    pub fn from_parts(parts: BlockParts) -> Option<Self> {
        let BlockParts { first, time, stream, text, lines } = parts;
        let is_ordered = lines.is_sorted_by_key(|(end, _)| *end);
        let ends_with_text = lines.last().is_some_and(|(end, _)| *end as usize == text.len());
        if !is_ordered || !ends_with_text || lines.len() > BLOCK_LINES {
            return None;
        }
        let lines = lines.into_iter().map(|(end, cut_bytes)| Extent { end, cut_bytes }).collect();
        Some(Self { first, time, stream, text: text.into(), lines })
    }
}

impl fmt::Debug for Block {
    /// Leaves the text out: it may hold secrets of the runtime.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({} and {} more)", self.first, self.len() - 1)
    }
}

/// The last `keep` lines of a run as blocks.
pub fn blocks_of(run: &LogRun, keep: usize) -> Vec<Arc<Block>> {
    let skipped = run.items.len().saturating_sub(keep);
    let mut building = Building::new();
    let origin = (run.time, run.batch.stream);
    for (id, line) in run.lines().skip(skipped) {
        building.push(LineId::of_event(id), origin, run.batch.text_of(line), line.cut_bytes);
    }
    building.finish()
}

/// Lines of an earlier run of the master, oldest first, as blocks.
pub fn restored<'a>(lines: impl IntoIterator<Item = (Wall, Stream, &'a [u8])>) -> Vec<Arc<Block>> {
    let mut building = Building::new();
    for (earlier, (time, stream, bytes)) in (1..).zip(lines) {
        building.push(LineId { event: EventId(0), earlier }, (time, stream), bytes, 0);
    }
    building.finish()
}

struct Building {
    done: Vec<Arc<Block>>,
    first: LineId,
    /// When the lines were printed, and to which stream.
    origin: (Wall, Stream),
    text: Vec<u8>,
    lines: Vec<Extent>,
}

impl Building {
    fn new() -> Self {
        let (done, text, lines) = (Vec::new(), Vec::new(), Vec::new());
        Self { done, first: LineId::ZERO, origin: Default::default(), text, lines }
    }

    fn push(&mut self, id: LineId, origin: (Wall, Stream), bytes: &[u8], cut_bytes: u64) {
        let is_full = self.text.len() + bytes.len() > BLOCK_TEXT_BYTES
            || self.lines.len() >= BLOCK_LINES
            || origin != self.origin;
        if is_full {
            self.close();
        }
        if self.lines.is_empty() {
            (self.first, self.origin) = (id, origin);
        }
        self.text.extend_from_slice(bytes);
        let end = u32::try_from(self.text.len()).expect("a line is at most 64 KiB");
        self.lines.push(Extent { end, cut_bytes });
    }

    fn close(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        // Copies of just the size; the buffers are filled again.
        let (text, lines) = (self.text.as_slice().into(), self.lines.as_slice().into());
        let (first, (time, stream)) = (self.first, self.origin);
        self.done.push(Arc::new(Block { first, time, stream, text, lines }));
        self.text.clear();
        self.lines.clear();
    }

    fn finish(mut self) -> Vec<Arc<Block>> {
        self.close();
        self.done
    }
}
