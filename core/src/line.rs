//! Splits the output of a process into lines.
//!
//! Owns: where a line begins and ends, and how much of a long one is kept. Does not own: what a
//! line means (see [`crate::checkpoint`]), or how invalid UTF-8 is shown.

use alloc::vec::Vec;
use core::mem;

use crate::canary::{self, Canary};

/// The number of bytes kept of one line. A frame of the event stream stays under 64 KiB
/// (Contract §8), so no reader could be shown more than this.
pub const LINE_MAX_BYTES: usize = 64 * 1024;

/// One line, without its line ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// The first [`LINE_MAX_BYTES`] of the line, as they came.
    pub bytes: &'a [u8],
    /// How many bytes of the line followed and were dropped. The line ending is not counted.
    pub cut_bytes: u64,
}

/// Turns the chunks of one pipe into lines, the same ones however the chunks fall (Contract §7).
///
/// LF ends a line and one CR before it is dropped. Memory is bounded by [`LINE_MAX_BYTES`], and
/// none is held between lines: most pipes are idle most of the time.
#[derive(Debug, Default)]
pub struct LineSplitter {
    /// The first bytes of the line not ended yet, at most [`LINE_MAX_BYTES`].
    held: Vec<u8>,
    /// All bytes of the line not ended yet, those dropped and a last CR included.
    seen_bytes: u64,
    /// Whether the last byte seen is a CR, which `held` cannot tell of a long line.
    ends_in_cr: bool,
}

impl LineSplitter {
    /// A splitter at the start of a stream.
    pub fn new() -> LineSplitter {
        LineSplitter::default()
    }

    /// Takes the next bytes of the stream and hands each line they end to `sink`, in order.
    ///
    /// A line that lies wholly within `chunk` is borrowed from it, not copied.
    pub fn push(&mut self, chunk: &[u8], sink: &mut impl FnMut(Line<'_>)) {
        let mut rest = chunk;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (head, tail) = (&rest[..end], &rest[end + 1..]);
            if self.seen_bytes == 0 {
                let ends_in_cr = head.last() == Some(&b'\r');
                sink(trim(head, head.len() as u64, ends_in_cr));
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

    fn hold(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        let room = LINE_MAX_BYTES - self.held.len();
        self.held.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.seen_bytes += bytes.len() as u64;
        self.ends_in_cr = *last == b'\r';
    }

    fn emit(&mut self, sink: &mut impl FnMut(Line<'_>)) {
        let LineSplitter { held, seen_bytes, ends_in_cr } = mem::take(self);
        sink(trim(&held, seen_bytes, ends_in_cr));
    }
}

/// The line whose first bytes are `head`, of `seen_bytes` in all before the LF.
fn trim(head: &[u8], seen_bytes: u64, ends_in_cr: bool) -> Line<'_> {
    let line_bytes = seen_bytes - u64::from(ends_in_cr);
    let kept = line_bytes.min(LINE_MAX_BYTES as u64);
    Line { bytes: &head[..kept as usize], cut_bytes: line_bytes - kept }
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
            let kept = line.len().min(LINE_MAX_BYTES);
            (line[..kept].to_vec(), (line.len() - kept) as u64)
        };
        lines.into_iter().map(owned).collect()
    }
}
