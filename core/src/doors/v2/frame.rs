//! Events as Server-Sent Events frames (Contract §8).
//!
//! Rendering only: the engine assigns ids, the driver delivers.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::event::{EventKind, EventName};
use crate::ids::InstanceId;
use crate::line::segment_starts;
use crate::stream::Stream;
use crate::time::Wall;

/// Maximum size of a frame: two existing dashboards reconnect endlessly on a line of 64 KiB. The
/// rest is slack for clients that count the line ends or the field name.
pub const FRAME_MAX_BYTES: usize = 65_000;

/// The reconnect hint; opens every stream, and keeps an idle one alive (Contract §8).
pub const RETRY_FRAME: &[u8] = b"retry: 3000\n\n";

/// The frame of an event that carries no log line. `instance` is the object's JSON.
pub fn event_frame(
    name: Option<EventName>,
    kind: EventKind,
    time: Wall,
    instance: Option<&[u8]>,
) -> Vec<u8> {
    let instance = instance.unwrap_or(b"null");
    let mut frame = Vec::with_capacity(instance.len() + HEAD_MAX_BYTES);
    let object = |frame: &mut Vec<u8>| frame.extend_from_slice(instance);
    write_event(&mut frame, name, kind, &time.to_string(), object);
    frame
}

/// Appends the frame of an event that carries no log line; `object` appends the object's JSON.
pub fn write_event(
    frame: &mut Vec<u8>,
    name: Option<EventName>,
    kind: EventKind,
    time: &str,
    object: impl FnOnce(&mut Vec<u8>),
) {
    if let Some(name) = name {
        push_name(frame, name);
    }
    push_head(frame, kind, time, object);
    frame.extend_from_slice(TAIL);
}

/// The common part of the frames of several lines: the time and the object.
#[derive(Debug)]
pub struct LogFrames {
    head: Vec<u8>,
    spare_bytes: usize,
}

impl LogFrames {
    /// For lines printed at `time`; `object` appends the object's JSON.
    pub fn new(time: &str, object: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut head = Vec::new();
        push_head(&mut head, EventKind::Log, time, object);
        Self { head, spare_bytes: 0 }
    }

    /// Leaves room in each frame for an object that is longer by this much where it is masked.
    pub fn sparing(self, spare_bytes: usize) -> Self {
        Self { spare_bytes, ..self }
    }

    /// Appends the frame of one line. The line is cut, with a note, if the frame would exceed
    /// [`FRAME_MAX_BYTES`]; `cut_bytes` were cut from it before. Returns where the head starts.
    pub fn write(
        &self,
        frame: &mut Vec<u8>,
        name: EventName,
        line: &[u8],
        cut_bytes: u64,
    ) -> usize {
        let start = frame.len();
        push_name(frame, name);
        let head_at = frame.len();
        frame.extend_from_slice(&self.head);
        let taken = frame.len() - start + self.spare_bytes + TAIL.len();
        push_line(frame, line, cut_bytes, FRAME_MAX_BYTES.saturating_sub(taken));
        frame.extend_from_slice(TAIL);
        head_at
    }
}

/// The frame with the number of events that a client missed; `initial` events follow it. Clients
/// that handle `event: instance` only ignore it.
pub fn gap_frame(lost: Option<u64>, time: Wall) -> Vec<u8> {
    let lost = lost.map_or_else(|| String::from("null"), |lost| lost.to_string());
    format!("event: gap\ndata: {{\"time\":\"{time}\",\"lost\":{lost}}}\n\n").into_bytes()
}

/// Maximum length of a shown unfinished line; its end is shown.
pub const UNFINISHED_MAX_BYTES: usize = 4 * 1024;

/// The frame that shows an unfinished line, or, with an empty text, that there is none any more. It
/// has no id: it is not an event of the contract, and the line becomes one when it ends. Only
/// standard error is named.
pub fn unfinished_frame(
    (instance, stream): (InstanceId, Stream),
    time: Wall,
    text: &str,
) -> Vec<u8> {
    let stream = stream.shown().map(|name| format!("\"stream\":\"{name}\","));
    let stream = stream.unwrap_or_default();
    let mut frame = format!(
        "event: unfinished\ndata: {{\"instance\":\"{instance}\",\"time\":\"{time}\",{stream}\"text\":\""
    )
    .into_bytes();
    push_escaped(&mut frame, text.as_bytes(), FRAME_MAX_BYTES / 2);
    frame.extend_from_slice(TAIL);
    frame
}

const TAIL: &[u8] = b"\"}\n\n";

/// Maximum size of a frame without object and line.
const HEAD_MAX_BYTES: usize = 160;

fn push_name(frame: &mut Vec<u8>, name: EventName) {
    frame.extend_from_slice(b"id: ");
    for shift in (0..8).rev() {
        frame.push(hex_digit((name.boot.0 >> (4 * shift)) as u8 & 15));
    }
    frame.push(b'-');
    frame.extend_from_slice(itoa::Buffer::new().format(name.id.0).as_bytes());
    frame.push(b'\n');
}

fn push_head(frame: &mut Vec<u8>, kind: EventKind, time: &str, object: impl FnOnce(&mut Vec<u8>)) {
    for part in ["event: instance\ndata: {\"type\":\"", kind.as_str(), "\",\"time\":\"", time] {
        frame.extend_from_slice(part.as_bytes());
    }
    frame.extend_from_slice(b"\",\"instance\":");
    object(frame);
    frame.extend_from_slice(b",\"logs\":\"");
}

/// Appends `line` escaped, at most `budget` bytes of it including the note of a cut. If the line
/// contains carriage returns, its end is kept, otherwise its start.
fn push_line(frame: &mut Vec<u8>, line: &[u8], cut_bytes: u64, budget: usize) {
    const NOTE_MAX_BYTES: usize = 48; // " … (18446744073709551615 bytes cut)"
    let start = frame.len();
    if cut_bytes == 0 && push_escaped(frame, line, budget) == line.len() {
        return;
    }
    // Written once more, now leaving room for the note: only a line at the limit comes here.
    frame.truncate(start);
    let budget = budget.saturating_sub(NOTE_MAX_BYTES);
    let kept = &line[kept_from(line, budget)..];
    let kept = push_escaped(frame, kept, budget);
    let cut = cut_bytes.saturating_add((line.len() - kept) as u64);
    frame.extend_from_slice(format!(" … ({cut} bytes cut)").as_bytes());
}

/// The start of the longest part of a line that fits into `budget` bytes when escaped and that
/// overwrites earlier text; the last such part if even that does not fit.
fn kept_from(line: &[u8], budget: usize) -> usize {
    let mut scratch = Vec::new();
    let mut escaped_bytes = 0;
    let mut kept = line.len();
    for start in segment_starts(line).rev().chain([0]) {
        scratch.clear();
        push_escaped(&mut scratch, &line[start..kept], FRAME_MAX_BYTES);
        escaped_bytes += scratch.len();
        let is_last = kept == line.len();
        if escaped_bytes > budget && !is_last {
            break;
        }
        kept = start;
        if escaped_bytes > budget {
            break;
        }
    }
    kept
}

/// Appends the start of `text` as the inside of a JSON string, in at most `budget` bytes; bytes
/// that are not UTF-8 become U+FFFD. Returns how many bytes of `text` went in.
fn push_escaped(out: &mut Vec<u8>, text: &[u8], budget: usize) -> usize {
    let end = out.len() + budget;
    // Far quicker than chunk by chunk, and nearly all text is valid.
    if let Ok(text) = core::str::from_utf8(text) {
        return push_valid(out, text, end);
    }
    let mut taken = 0;
    for chunk in text.utf8_chunks() {
        let went_in = push_valid(out, chunk.valid(), end);
        taken += went_in;
        if went_in < chunk.valid().len() {
            return taken;
        }
        if !chunk.invalid().is_empty() {
            if out.len() + REPLACEMENT.len() > end {
                return taken;
            }
            out.extend_from_slice(REPLACEMENT);
            taken += chunk.invalid().len();
        }
    }
    taken
}

const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Appends the start of `text` escaped, up to `end` bytes of `out`; returns how much of it.
fn push_valid(out: &mut Vec<u8>, text: &str, end: usize) -> usize {
    let mut taken = 0;
    while taken < text.len() {
        let rest = &text.as_bytes()[taken..];
        let plain = plain_bytes(rest);
        let room = end.saturating_sub(out.len());
        if plain > room {
            let kept = text[taken..].floor_char_boundary(room);
            out.extend_from_slice(&rest[..kept]);
            return taken + kept;
        }
        out.extend_from_slice(&rest[..plain]);
        taken += plain;
        if plain < rest.len() {
            let (escape, length) = escape(rest[plain]);
            if out.len() + length > end {
                return taken;
            }
            out.extend_from_slice(&escape[..length]);
            taken += 1;
        }
    }
    taken
}

/// The number of bytes at the start of `text` that need no escape in JSON.
fn plain_bytes(text: &[u8]) -> usize {
    // By blocks without a branch inside, which the compiler turns into vector instructions.
    const BLOCK: usize = 32;
    let is_plain = |block: &&[u8]| !block.iter().fold(false, |any, byte| any | needs_escape(*byte));
    let start = BLOCK * text.chunks_exact(BLOCK).take_while(is_plain).count();
    let rest = text[start..].iter().position(|byte| needs_escape(*byte));
    rest.map_or(text.len(), |rest| start + rest)
}

const fn needs_escape(byte: u8) -> bool {
    matches!(byte, 0..=0x1f | b'"' | b'\\')
}

/// The JSON escape of a byte that needs one, and its length.
fn escape(byte: u8) -> ([u8; 6], usize) {
    let short = |letter: u8| ([b'\\', letter, 0, 0, 0, 0], 2);
    match byte {
        b'"' | b'\\' => short(byte),
        b'\n' => short(b'n'),
        b'\r' => short(b'r'),
        b'\t' => short(b't'),
        other => ([b'\\', b'u', b'0', b'0', hex_digit(other >> 4), hex_digit(other & 15)], 6),
    }
}

fn hex_digit(nibble: u8) -> u8 {
    b"0123456789abcdef"[usize::from(nibble)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{BootId, EventId};
    use proptest::prelude::*;
    use serde_json::Value;

    const NAME: EventName = EventName { boot: BootId(0xb007), id: EventId(7) };

    fn log_frame(object: &[u8], line: &[u8], cut_bytes: u64) -> Vec<u8> {
        let mut frame = Vec::new();
        let frames = LogFrames::new("t", |head| head.extend_from_slice(object));
        frames.write(&mut frame, NAME, line, cut_bytes);
        frame
    }

    fn data(frame: &[u8]) -> Value {
        let text = core::str::from_utf8(frame).expect("frames are UTF-8");
        let line = text.lines().find_map(|line| line.strip_prefix("data: ")).expect("a data line");
        serde_json::from_str(line).expect("data is JSON")
    }

    #[test]
    fn frames_have_the_shape_that_readers_expect() {
        let time = Wall::from_micros(1_781_000_000_000_001);
        let shown = |frame: Vec<u8>| String::from_utf8(frame).expect("UTF-8");
        insta::assert_snapshot!(
            shown(event_frame(Some(NAME), EventKind::Update, time, Some(b"{\"id\":\"1\"}"))),
            @r#"
        id: 0000b007-7
        event: instance
        data: {"type":"update","time":"2026-06-09T10:13:20.000001Z","instance":{"id":"1"},"logs":""}
        "#
        );
        insta::assert_snapshot!(
            shown(event_frame(None, EventKind::Shutdown, time, None)),
            @r#"
        event: instance
        data: {"type":"shutdown","time":"2026-06-09T10:13:20.000001Z","instance":null,"logs":""}
        "#
        );
        insta::assert_snapshot!(shown(gap_frame(Some(3), time)), @r#"
        event: gap
        data: {"time":"2026-06-09T10:13:20.000001Z","lost":3}
        "#);
    }

    #[test]
    fn a_line_at_the_limit_is_cut_and_says_so() {
        let object = format!("\"{}\"", "1".repeat(32 * 1024));
        for byte in [b'x', 0x1b, 0xff, b'"'] {
            let line = alloc::vec![byte; 100_000];
            let frame = log_frame(object.as_bytes(), &line, 5);
            assert!(frame.len() <= FRAME_MAX_BYTES && frame.len() > FRAME_MAX_BYTES - 100);
            let logs = data(&frame)["logs"].as_str().expect("a string").to_string();
            let (kept, note) = logs.split_once(" … (").expect("the note of a cut");
            let cut: usize = note.strip_suffix(" bytes cut)").expect("its end").parse().expect("n");
            assert_eq!(kept.chars().count() + cut, 100_005);
        }
    }

    #[test]
    fn of_a_line_that_overwrites_itself_the_end_is_kept() {
        let object = format!("\"{}\"", "1".repeat(32 * 1024));
        let step = |at: usize| format!("\r\u{1b}[32m{at:5} %");
        let bar: String = (0..6_000).map(step).collect();
        let frame = log_frame(object.as_bytes(), bar.as_bytes(), 7);
        assert!(frame.len() <= FRAME_MAX_BYTES && frame.len() > FRAME_MAX_BYTES - 150);
        let logs = data(&frame)["logs"].as_str().expect("a string").to_string();
        let (kept, note) = logs.split_once(" … (").expect("the note of a cut");
        assert!(kept.ends_with(&step(5_999)) && kept.starts_with('\u{1b}'));
        let cut: usize = note.strip_suffix(" bytes cut)").expect("its end").parse().expect("n");
        assert_eq!(kept.len() + cut, bar.len() + 7);
        // The last part alone is too long: its start is kept.
        let long = format!("short\r{}", "x".repeat(64 * 1024 - 6));
        let frame = log_frame(object.as_bytes(), long.as_bytes(), 0);
        assert!(frame.len() <= FRAME_MAX_BYTES);
        let logs = data(&frame)["logs"].as_str().expect("a string").to_string();
        assert!(logs.starts_with("xxx") && logs.ends_with(" bytes cut)"));
    }

    #[test]
    fn a_line_that_has_not_ended_has_a_frame_of_its_own() {
        let frame = |stream| {
            let frame =
                unfinished_frame((InstanceId(7), stream), Wall::from_micros(1), "say \"yes\": ");
            String::from_utf8(frame).expect("UTF-8")
        };
        let of_stderr = frame(Stream::Stderr);
        assert!(of_stderr.contains(",\"stream\":\"stderr\",\"text\":"), "{of_stderr}");
        let frame = frame(Stream::Stdout);
        insta::assert_snapshot!(frame, @r#"
        event: unfinished
        data: {"instance":"00000007","time":"1970-01-01T00:00:00.000001Z","text":"say \"yes\": "}
        "#);
    }

    #[test]
    fn only_what_is_printed_is_read_as_an_event_name() {
        assert_eq!(EventName::parse(&NAME.to_string()), Some(NAME));
        for bad in ["", "-", "7", "b007-7", "0000B007-7", "0000b007-+7", "0000b007-07", "x-1"] {
            assert_eq!(EventName::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn the_logs_field_is_the_line_with_bad_bytes_replaced(line: Vec<u8>) {
            let frame = log_frame(b"{}", &line, 0);
            let value = data(&frame);
            prop_assert_eq!(value["logs"].as_str(), Some(&*String::from_utf8_lossy(&line)));
            prop_assert_eq!(frame.iter().filter(|byte| **byte == b'\n').count(), 4);
        }

        #[test]
        fn a_cut_falls_between_characters(text in "[a\u{e9}\u{20ac}\u{1f600}\"\u{1b}]{0,40}", budget in 0usize..60) {
            let mut out = Vec::new();
            let taken = push_escaped(&mut out, text.as_bytes(), budget);
            prop_assert!(out.len() <= budget && text.is_char_boundary(taken));
            let json = format!("\"{}\"", core::str::from_utf8(&out).expect("UTF-8"));
            let back: String = serde_json::from_str(&json).expect("JSON");
            prop_assert_eq!(back, &text[..taken]);
        }
    }
}
