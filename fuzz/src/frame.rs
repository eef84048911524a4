//! Frames of the event stream.

use openctrl_core::doors::v2::{FRAME_MAX_BYTES, LogFrames};
use openctrl_core::event::EventName;
use openctrl_core::ids::{BootId, EventId};
use openctrl_core::instance::OBJECT_MAX_BYTES;
use serde_json::Value;

/// The first bytes choose the size of the object, how often the line is repeated, and whether
/// something was cut from it before; the rest is the line.
pub fn frame(data: &[u8]) {
    let [size, repeats, cut, line @ ..] = data else { return };
    let object = object(usize::from(*size) * OBJECT_MAX_BYTES / 255);
    let line = line.repeat(1 << (repeats % 12));
    let line = &line[..line.len().min(70_000)];
    let name = EventName { boot: BootId(1), id: EventId(u64::from(*cut)) };
    let mut frame = Vec::new();
    let frames =
        LogFrames::new("2026-06-09T10:00:00.000000Z", |head| head.extend_from_slice(&object));
    frames.write(&mut frame, name, line, u64::from(*cut));

    let frame_bytes = frame.len();
    assert!(frame_bytes <= FRAME_MAX_BYTES, "{frame_bytes} bytes");
    let frame = String::from_utf8(frame).expect("a frame is UTF-8");
    let lines: Vec<&str> = frame.split('\n').collect();
    let [_, "event: instance", data, "", ""] = lines[..] else { panic!("{lines:?}") };
    let data = data.strip_prefix("data: ").expect("the data line");
    let event: Value = serde_json::from_str(data).expect("it is JSON");
    assert!(event["instance"].is_object() && event["type"] == "log");
    let shown = event["logs"].as_str().expect("logs are a string");
    let whole = String::from_utf8_lossy(line);
    if *cut == 0 && shown == whole {
        return;
    }
    assert!(shown.ends_with(" bytes cut)"), "cut without a note");
    let (kept, note) = shown.rsplit_once(" … (").expect("the note of the cut");
    // Of a line that carriage returns overwrite, whole segments of its end are left.
    let is_overwritten = line.contains(&b'\r');
    if is_overwritten {
        assert!(whole.contains(kept), "what is left is a part of it");
    } else {
        assert!(whole.starts_with(kept), "what is left is how it began");
    }
    let note = note.strip_suffix(" bytes cut)").and_then(|count| count.parse::<usize>().ok());
    if std::str::from_utf8(line).is_ok() {
        assert_eq!(note, Some(line.len() - kept.len() + usize::from(*cut)), "it says how much");
    }
    let room = FRAME_MAX_BYTES - frame_bytes;
    let is_full = is_overwritten || kept.len() == whole.len() || room < 100;
    assert!(is_full, "{room} bytes of room were left");
}

/// An object of about `bytes` bytes.
fn object(bytes: usize) -> Vec<u8> {
    format!("{{\"alias\":\"{}\"}}", "x".repeat(bytes.saturating_sub(12))).into_bytes()
}
