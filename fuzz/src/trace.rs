//! Trace segments.

use openctrl_core::control::Control;
use openctrl_core::engine::Engine;
use openctrl_core::ids::BootId;
use openctrl_core::master::MasterIdentity;
use openctrl_core::store::Image;
use openctrl_core::time::Now;
use openctrl_core::trace::{
    Encoder, End, EndReason, Header, Reader, Replay, TRACE_VERSION, show_change,
    show_control_effect, show_effect, show_happened,
};

/// The bytes as a file, as a header of each version whose checksum is right, and as records after a
/// good header: nothing may do harm, and what is shown of it may do none to a terminal.
pub fn trace(data: &[u8]) {
    check(data);
    for version in 1..=TRACE_VERSION {
        check(&[&preamble(version)[..], &block(b'H', data)].concat());
    }
    check(&[segment(), block(b'R', data)].concat());
}

fn check(file: &[u8]) {
    let Ok(mut replay) = Replay::new(file) else { return };
    assert_thaws(&replay);
    while let Some(step) = replay.step() {
        let changes = step.changes.iter().map(show_change);
        let effects = step.effects.iter().map(show_effect);
        let control = step.control.iter().filter_map(show_control_effect);
        let input = show_happened(&step.input);
        for line in changes.chain(effects).chain(control).chain([input]) {
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
    assert!(replay.ending().is_some(), "it comes to an end");
}

/// What was read can be written, and read again as the same.
fn assert_thaws(replay: &Replay<'_>) {
    let encoder = Encoder::begin_beside(replay.header(), replay.engine(), replay.control());
    let end = End { why: EndReason::Finished, effects: None, state: None };
    let again = encoder.end(&end);
    let reader = Reader::new(&again).expect("what is written can be read");
    assert_eq!(reader.engine().fingerprint(), replay.engine().fingerprint());
    assert_eq!(reader.header(), replay.header());
    let print = |control: Option<&Control>| control.map(Control::fingerprint);
    assert_eq!(print(reader.control().as_ref()), print(replay.control()));
}

/// A segment with nothing after its header.
fn segment() -> Vec<u8> {
    let image = Image::new(MasterIdentity::from_random([1; 8], [2; 16]));
    let mut engine = Engine::new(image, [3; 32], Now::default());
    while engine.poll_effect().is_some() {}
    let header = Header {
        product: "fuzz".to_string(),
        boot: BootId(1),
        sequence: 1,
        started: Now::default(),
        has_text: false,
    };
    Encoder::begin(&header, &engine).take()
}

fn preamble(version: u16) -> Vec<u8> {
    [&b"OPENCTRT"[..], &version.to_le_bytes()].concat()
}

fn block(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("inputs are short").to_le_bytes();
    let checked = [&[kind][..], &length, body].concat();
    [&[kind][..], &length, &crc32fast::hash(&checked).to_le_bytes(), body].concat()
}
