//! Splits the output of a process into lines.
//!
//! Owns: where a line starts and ends, and how much of a long one is kept. Does not own: the
//! meaning of a line (see [`crate::checkpoint`]), or the display of invalid UTF-8.

use alloc::vec::Vec;
use core::mem;

use crate::canary::{self, Canary};

/// The number of bytes kept of one line. A frame of the event stream stays under 64 KiB
/// (Contract §8), so no reader could be shown more than this.
pub const LINE_MAX_BYTES: usize = 64 * 1024;

/// One line, without its line ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// At most [`LINE_MAX_BYTES`] of the line, as they came: its first ones, or of a line that
    /// carriage returns overwrite, as a progress bar does, the last ones from such a return on.
    pub bytes: &'a [u8],
    /// How many other bytes of the line were dropped. The line ending is not counted.
    pub cut_bytes: u64,
}

/// Splits the chunks of one pipe into lines, independent of where the chunks are split (Contract
/// §7).
///
/// LF ends a line and one CR before it is dropped. Memory is bounded by [`LINE_MAX_BYTES`], and
/// none is held between lines: most pipes are idle most of the time.
#[derive(Debug, Default)]
pub struct LineSplitter {
    /// The kept part of the unfinished line, at most [`LINE_MAX_BYTES`], without the CRs at its
    /// end.
    held: Vec<u8>,
    /// Start of the last segment in `held`: the text after the last CR.
    segment: usize,
    /// Whether bytes of the last segment were dropped, as it alone is too long.
    is_segment_cut: bool,
    /// Number of CRs at the end of the unfinished line.
    returns: u64,
    /// All bytes of the unfinished line, including dropped ones and the last CRs.
    seen_bytes: u64,
}

/// A line that has not ended yet, as a splitter keeps it: for a splitter that goes on in its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnfinishedLine {
    /// The kept part, without the CRs at its end.
    pub held: Vec<u8>,
    /// Start of the text after the last CR in it.
    pub segment: usize,
    /// Whether bytes of that text were dropped.
    pub is_segment_cut: bool,
    /// Number of CRs at the end.
    pub returns: u64,
    /// All bytes of the line so far.
    pub seen_bytes: u64,
}

impl UnfinishedLine {
    /// Whether a splitter can have kept this.
    pub fn is_possible(&self) -> bool {
        let Self { held, segment, is_segment_cut: _, returns, seen_bytes } = self;
        let kept = (held.len() as u64).checked_add(*returns);
        held.len() <= LINE_MAX_BYTES
            && *segment <= held.len()
            && kept.is_some_and(|kept| kept <= *seen_bytes)
            && *seen_bytes < 1 << 62
    }
}

/// Positions where text overwrites earlier text: after each CR, except the last one of a line.
pub(crate) fn segment_starts(line: &[u8]) -> impl DoubleEndedIterator<Item = usize> + '_ {
    let after = memchr::memchr_iter(b'\r', line).map(|at| at + 1);
    after.filter(|start| line.get(*start).is_some_and(|byte| *byte != b'\r'))
}

impl LineSplitter {
    /// A splitter at the start of a stream.
    pub fn new() -> LineSplitter {
        LineSplitter::default()
    }

    /// A splitter within a line. A line that no splitter can have kept counts as none.
    pub fn resuming(line: UnfinishedLine) -> LineSplitter {
        if !line.is_possible() {
            return LineSplitter::default();
        }
        let UnfinishedLine { held, segment, is_segment_cut, returns, seen_bytes } = line;
        LineSplitter { held, segment, is_segment_cut, returns, seen_bytes }
    }

    /// A copy of the line that has not ended yet; `None` at the start of a line.
    pub fn pause(&self) -> Option<UnfinishedLine> {
        let &LineSplitter { ref held, segment, is_segment_cut, returns, seen_bytes } = self;
        let held = held.clone();
        (seen_bytes > 0).then_some(UnfinishedLine {
            held,
            segment,
            is_segment_cut,
            returns,
            seen_bytes,
        })
    }

    /// Takes the next bytes of the stream and passes each finished line to `sink`, in order.
    ///
    /// A line that is entirely in `chunk` is borrowed from it, not copied, unless it is too long.
    pub fn push(&mut self, chunk: &[u8], sink: &mut impl FnMut(Line<'_>)) {
        let mut rest = chunk;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (head, tail) = (&rest[..end], &rest[end + 1..]);
            if self.seen_bytes == 0 && head.len() <= LINE_MAX_BYTES {
                sink(Line { bytes: head.strip_suffix(b"\r").unwrap_or(head), cut_bytes: 0 });
            } else {
                self.hold(head);
                self.emit(sink);
            }
            rest = tail;
        }
        self.hold(rest);
    }

    /// Ends the stream: an unterminated last line is handed to `sink`, once.
    pub fn finish(&mut self, sink: &mut impl FnMut(Line<'_>)) {
        if self.seen_bytes > 0 && !canary::is(Canary::LastLineLost) {
            self.emit(sink);
        }
    }

    /// The kept part of the unfinished line, without CRs at its end, and the number of bytes seen
    /// of it; `None` at the start of a line.
    pub fn unfinished(&self) -> Option<(&[u8], u64)> {
        (self.seen_bytes > 0).then_some((&self.held, self.seen_bytes))
    }

    fn hold(&mut self, bytes: &[u8]) {
        self.seen_bytes += bytes.len() as u64;
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\r', rest).unwrap_or(rest.len());
            if end > 0 {
                self.hold_text(&rest[..end]);
            }
            let returns = rest[end..].iter().take_while(|byte| **byte == b'\r').count();
            self.returns += returns as u64;
            rest = &rest[end + returns..];
        }
    }

    /// Takes text without a CR in it.
    fn hold_text(&mut self, text: &[u8]) {
        let returns = usize::try_from(mem::take(&mut self.returns)).unwrap_or(usize::MAX);
        if returns > 0 {
            self.begin_segment(returns);
        }
        if self.is_segment_cut {
            return;
        }
        self.make_room(text.len());
        let room = LINE_MAX_BYTES - self.held.len();
        self.is_segment_cut = text.len() > room;
        self.held.extend_from_slice(&text[..text.len().min(room)]);
    }

    /// Starts a new segment after this many CRs.
    fn begin_segment(&mut self, returns: usize) {
        // If the one before is cut, the line is too long to be kept from anywhere in it.
        let is_short = returns < LINE_MAX_BYTES && !self.is_segment_cut;
        if is_short {
            // The new segment has a byte at least.
            self.make_room(returns + 1);
        }
        if is_short && self.held.len() + returns < LINE_MAX_BYTES {
            self.held.resize(self.held.len() + returns, b'\r');
        } else {
            self.held.clear();
        }
        self.segment = self.held.len();
        self.is_segment_cut = false;
    }

    /// Drops the fewest segments at the front that leave room for this many bytes more; all but the
    /// last if there is not enough room.
    fn make_room(&mut self, more_bytes: usize) {
        let excess = (self.held.len() + more_bytes).saturating_sub(LINE_MAX_BYTES);
        if excess > 0 {
            let enough = segment_starts(&self.held).find(|start| *start >= excess);
            let start = enough.unwrap_or(self.segment);
            self.held.drain(..start);
            self.segment -= start;
        }
    }

    fn emit(&mut self, sink: &mut impl FnMut(Line<'_>)) {
        let LineSplitter { mut held, returns, seen_bytes, .. } = mem::take(self);
        // One is of the line ending.
        let returns_inside = returns.saturating_sub(1);
        let line_bytes = seen_bytes - returns.min(1);
        let room = LINE_MAX_BYTES - held.len();
        let kept = usize::try_from(returns_inside).unwrap_or(room).min(room);
        held.resize(held.len() + kept, b'\r');
        sink(Line { bytes: &held, cut_bytes: line_bytes - held.len() as u64 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    type Owned = (Vec<u8>, u64);

    #[test]
    fn line_endings() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("a", &["a"]),
            ("a\n", &["a"]),
            ("a\r\nb\r", &["a", "b"]),
            ("\n\r\n\n", &["", "", ""]),
            ("a\r\r\n", &["a\r"]),
            ("a\rb\n", &["a\rb"]),
            ("\r", &[""]),
            ("\ra\r\r\rb\r\r", &["\ra\r\r\rb\r"]),
        ];
        for (text, expected) in cases {
            let lines = split([text.as_bytes()]);
            let expected: Vec<Owned> =
                expected.iter().map(|line| (line.as_bytes().to_vec(), 0)).collect();
            assert_eq!(lines, expected, "{text:?}");
        }
    }

    #[test]
    fn cut_bytes_leave_out_the_line_ending() {
        for (length, cut) in [(LINE_MAX_BYTES, 0), (LINE_MAX_BYTES + 1, 1)] {
            let mut text = vec![b'x'; length];
            text.extend_from_slice(b"\r\n");
            let kept = vec![b'x'; LINE_MAX_BYTES];
            assert_eq!(split([text.as_slice()]), [(kept.clone(), cut)]);
            assert_eq!(split(text.chunks(1000)), [(kept, cut)]);
        }
    }

    #[test]
    fn a_whole_line_is_borrowed_from_its_chunk() {
        let chunk = b"first\nsecond\nthi";
        let mut seen = 0;
        LineSplitter::new().push(chunk, &mut |line| {
            assert!(chunk.as_ptr_range().contains(&line.bytes.as_ptr()));
            seen += 1;
        });
        assert_eq!(seen, 2);
    }

    #[test]
    fn no_memory_is_held_between_lines() {
        let mut splitter = LineSplitter::new();
        splitter.push(b"par", &mut |_| {});
        assert!(splitter.held.capacity() > 0);
        splitter.push(b"tial\n", &mut |_| {});
        assert_eq!(splitter.held.capacity(), 0);
        splitter.push(b"last", &mut |_| {});
        splitter.finish(&mut |_| {});
        assert_eq!(splitter.held.capacity(), 0);
        splitter.finish(&mut |_| panic!("the last line counts once"));
    }

    #[test]
    fn of_a_long_progress_bar_the_end_is_kept() {
        let step = |percent: usize| alloc::format!("\r{percent:3} % {}", "#".repeat(percent));
        let mut bar: Vec<u8> = (0..5_000).flat_map(|at| step(at % 101).into_bytes()).collect();
        bar.extend_from_slice(step(100).as_bytes());
        let text = [&bar[..], b"\r\n"].concat();
        let [(kept, cut)] = &split(text.chunks(37))[..] else { panic!("one line") };
        assert!(kept.ends_with(step(100).as_bytes()) && kept.starts_with(b" "));
        assert!(kept.len() <= LINE_MAX_BYTES && kept.len() > LINE_MAX_BYTES - 110);
        assert_eq!(kept.len() as u64 + cut, bar.len() as u64);
    }

    #[test]
    fn what_has_not_ended_can_be_looked_at() {
        let mut splitter = LineSplitter::new();
        assert_eq!(splitter.unfinished(), None);
        splitter.push(b"done\nname: ", &mut |_| {});
        assert_eq!(splitter.unfinished(), Some((&b"name: "[..], 6)));
        splitter.push(b"x\r", &mut |_| {});
        assert_eq!(splitter.unfinished(), Some((&b"name: x"[..], 8)));
        splitter.push(b"\n", &mut |_| {});
        assert_eq!(splitter.unfinished(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn chunks_do_not_matter(
            text in stream(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            at.extend([0, text.len()]);
            at.sort_unstable();
            let chunks = at.windows(2).map(|pair| &text[pair[0]..pair[1]]);
            prop_assert!(split(chunks) == model(&text));
        }

        #[test]
        fn bytes_may_come_one_by_one(text in prop::collection::vec(byte(), 0..40)) {
            prop_assert_eq!(split(text.chunks(1)), model(&text));
        }
    }

    fn byte() -> impl Strategy<Value = u8> {
        prop::sample::select(vec![b'\n', b'\r', b'x', 0xff])
    }

    /// Short runs of endings and text, and now and then a run of about the limit.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let short = prop::collection::vec(byte(), 0..6);
        let long = (LINE_MAX_BYTES - 3..LINE_MAX_BYTES + 4).prop_map(|length| vec![b'y'; length]);
        prop::collection::vec(prop_oneof![4 => short, 1 => long], 0..6)
            .prop_map(|runs| runs.concat())
    }

    fn split<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Owned> {
        let mut lines = Vec::new();
        let mut sink = |line: Line<'_>| lines.push((line.bytes.to_vec(), line.cut_bytes));
        let mut splitter = LineSplitter::new();
        for chunk in chunks {
            splitter.push(chunk, &mut sink);
        }
        splitter.finish(&mut sink);
        lines
    }

    fn model(text: &[u8]) -> Vec<Owned> {
        let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        if lines.last().is_some_and(|line| line.is_empty()) {
            lines.pop();
        }
        let owned = |line: &[u8]| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let end = line.iter().rposition(|byte| *byte != b'\r').map_or(0, |last| last + 1);
            let (text, returns) = line.split_at(end);
            // The longest part that fits and starts where text overwrites earlier text.
            let starts: Vec<usize> = core::iter::once(0).chain(segment_starts(text)).collect();
            let fits = |start: &&usize| text.len() - **start <= LINE_MAX_BYTES;
            let start = starts.iter().find(fits).or(starts.last()).copied().unwrap_or(0);
            let kept = &text[start..text.len().min(start + LINE_MAX_BYTES)];
            let room = LINE_MAX_BYTES - kept.len();
            let kept = [kept, &returns[..returns.len().min(room)]].concat();
            let cut = (line.len() - kept.len()) as u64;
            (kept, cut)
        };
        lines.into_iter().map(owned).collect()
    }
}
