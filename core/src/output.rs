//! Parses the output of a process into lines and checkpoints, and marks lines with `ERROR`.
//!
//! The engine sees only the parsed items; the text of log lines is passed along with them
//! unchanged.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;
use memchr::memmem::Finder;

use crate::checkpoint::Checkpoint;
use crate::line::{Line, LineSplitter, UnfinishedLine};
use crate::stream::Stream;

/// A log line with this in it makes the instance `error` (Contract §6).
const ERROR_MARK: &[u8] = b"ERROR";

/// A line of output as the engine sees it (Contract §7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputItem {
    /// A line with a checkpoint in it. Boxed, so that a flood of the shortest lines does not take
    /// the room of as many checkpoints.
    Checkpoint(Box<Checkpoint>),
    /// Any other line.
    Log(LogLine),
}

/// The position of a log line in the text of its batch, and what the engine needs to know about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLine {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// How many bytes of the line were cut off.
    pub cut_bytes: u64,
    /// Whether the line is an error: it contains `ERROR`, or what the instance has for that.
    pub is_error: bool,
    /// Whether the line says that the process is ready.
    pub is_ready: bool,
}

impl LogLine {
    /// How many bytes of the line were kept.
    pub const fn kept_bytes(&self) -> u32 {
        self.end - self.start
    }
}

/// The lines that one read of an output stream of a process completed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OutputBatch {
    /// The stream that all of them were read from.
    pub stream: Stream,
    text: Bytes,
    /// The lines, in the order they were printed.
    pub items: Vec<OutputItem>,
}

impl OutputBatch {
    /// One log line of the master's own, which is never an error of the process.
    pub fn note(text: &str) -> Self {
        let mut building = Building::new(Stream::Stdout, text.len());
        building.push_log(Line { bytes: text.as_bytes(), cut_bytes: 0 }, false);
        building.done()
    }

    /// A batch as it was recorded. Without its text, every line reads as empty.
    pub(crate) const fn recorded(stream: Stream, text: Bytes, items: Vec<OutputItem>) -> Self {
        Self { stream, text, items }
    }

    /// The text of a log line of this batch, as the process printed it; empty in a batch that was
    /// read from a trace without text.
    pub fn text_of(&self, line: &LogLine) -> &[u8] {
        self.text.get(line.start as usize..line.end as usize).unwrap_or_default()
    }

    /// The text of all log lines, one after the other.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Hands each log line with its text to `mark`.
    pub(crate) fn mark(&mut self, mut mark: impl FnMut(&mut LogLine, &[u8])) {
        let text = self.text.clone();
        for item in &mut self.items {
            if let OutputItem::Log(line) = item {
                let bytes = text.get(line.start as usize..line.end as usize).unwrap_or_default();
                mark(line, bytes);
            }
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl core::fmt::Debug for OutputBatch {
    /// Leaves the text out: it may hold secrets of the runtime.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(&self.items).finish()
    }
}

/// Parses one output stream of a process, independent of where its chunks are split.
#[derive(Debug, Default)]
pub struct OutputParser {
    stream: Stream,
    splitter: LineSplitter,
}

impl OutputParser {
    /// A parser of a stream, at its start.
    pub fn of(stream: Stream) -> Self {
        Self { stream, ..Self::default() }
    }

    /// A parser that goes on within a line of a stream.
    pub fn resuming(stream: Stream, line: UnfinishedLine) -> Self {
        Self { stream, splitter: LineSplitter::resuming(line) }
    }

    /// The stream that it parses.
    pub const fn stream(&self) -> Stream {
        self.stream
    }

    /// A copy of the line that has not ended yet, for a parser that goes on in its place.
    pub fn pause(&self) -> Option<UnfinishedLine> {
        self.splitter.pause()
    }

    /// The lines that `chunk` completes. `chunk` is at most a few hundred KiB: positions in a
    /// batch are 32 bits wide.
    pub fn push(&mut self, chunk: &[u8]) -> OutputBatch {
        let mut building = Building::new(self.stream, chunk.len());
        self.splitter.push(chunk, &mut |line| building.add(line));
        building.done()
    }

    /// The kept part of the unfinished line, and the number of bytes read of it.
    pub fn unfinished(&self) -> Option<(&[u8], u64)> {
        self.splitter.unfinished()
    }

    /// The unterminated last line at the end of the output, if there is one.
    pub fn finish(&mut self) -> OutputBatch {
        let mut building = Building::new(self.stream, 0);
        self.splitter.finish(&mut |line| building.add(line));
        building.done()
    }
}

struct Building {
    stream: Stream,
    text: Vec<u8>,
    text_bytes: usize,
    items: Vec<OutputItem>,
    /// Dear to make, so there is one for all lines.
    error_mark: Finder<'static>,
}

impl Building {
    /// For about `text_bytes` bytes of lines.
    fn new(stream: Stream, text_bytes: usize) -> Self {
        let error_mark = Finder::new(ERROR_MARK);
        Self { stream, text: Vec::new(), text_bytes, items: Vec::new(), error_mark }
    }

    fn add(&mut self, line: Line<'_>) {
        if let Some(checkpoint) = Checkpoint::find(line.bytes) {
            self.items.push(OutputItem::Checkpoint(Box::new(checkpoint)));
            return;
        }
        let is_error = self.error_mark.find(line.bytes).is_some();
        self.push_log(line, is_error);
    }

    fn push_log(&mut self, line: Line<'_>, is_error: bool) {
        if self.text.capacity() == 0 {
            self.text.reserve_exact(self.text_bytes);
        }
        let start = self.offset();
        self.text.extend_from_slice(line.bytes);
        let (end, cut_bytes) = (self.offset(), line.cut_bytes);
        let line = LogLine { start, end, cut_bytes, is_error, is_ready: false };
        self.items.push(OutputItem::Log(line));
    }

    fn offset(&self) -> u32 {
        u32::try_from(self.text.len()).expect("a batch is far below 4 GiB")
    }

    fn done(mut self) -> OutputBatch {
        // A batch may be kept for long, for one line of it. A long line around a checkpoint is not
        // in the text, and the room made for it must not be kept either.
        if self.text.len() < self.text.capacity() / 2 {
            self.text.shrink_to_fit();
        }
        OutputBatch { stream: self.stream, text: Bytes::from(self.text), items: self.items }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_small() {
        assert!(size_of::<OutputItem>() <= 32);
    }

    #[test]
    fn the_room_of_a_long_checkpoint_is_given_back() {
        let mut output = b"x\n".to_vec();
        output.resize(30_000, b'.');
        output.extend_from_slice(b"CHECK_POINT|MODE=1|PING=2ms|POOL=3|TCPS=4|UDPS=5");
        output.extend_from_slice(b"|TCPRX=6|TCPTX=7|UDPRX=8|UDPTX=9\n");
        let batch = OutputParser::default().push(&output);
        assert_eq!((batch.items.len(), batch.text()), (2, &b"x"[..]));
        let kept = batch.text.try_into_mut().expect("nobody shares it").capacity();
        assert!(kept < 64, "{kept} bytes are kept for one");
    }

    #[test]
    fn lines_are_told_apart() {
        let mut parser = OutputParser::default();
        let mut output =
            b"hello\r\n\x1b[31mCHECK_POINT|MODE=1|PING=2ms|POOL=3|TCPS=4|UDPS=5".to_vec();
        output.extend_from_slice(b"|TCPRX=6|TCPTX=7|UDPRX=8|UDPTX=9\nan ERROR\nERR");
        let batch = parser.push(&output);
        let [OutputItem::Log(hello), OutputItem::Checkpoint(point), OutputItem::Log(error)] =
            &batch.items[..]
        else {
            panic!("{batch:?}");
        };
        assert_eq!((batch.text_of(hello), hello.is_error), (&b"hello"[..], false));
        assert_eq!((point.mode, point.udptx), (Some(1), Some(9)));
        assert_eq!((batch.text_of(error), error.is_error), (&b"an ERROR"[..], true));

        assert_eq!(batch.stream, Stream::Stdout);
        let of_stderr = OutputParser::of(Stream::Stderr).push(b"x\n");
        assert_eq!(of_stderr.stream, Stream::Stderr);

        let last = parser.push(b"OR");
        assert!(last.is_empty());
        let last = parser.finish();
        let [OutputItem::Log(line)] = &last.items[..] else { panic!("{last:?}") };
        assert_eq!((last.text_of(line), line.is_error), (&b"ERROR"[..], true));
        assert!(parser.finish().is_empty());
    }
}
