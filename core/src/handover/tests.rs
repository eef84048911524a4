use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::formats::FormatError;
use crate::history::{Block, BlockParts, KeptLog, LineId};
use crate::ids::{BootId, EventId, InstanceId, RunId};
use crate::line::{LineSplitter, UnfinishedLine};
use crate::stream::Stream;
use crate::time::Wall;

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..max)
}

/// Blocks that follow one another, by the frames of their events.
fn window() -> impl Strategy<Value = (Vec<HandedBlock>, EventId)> {
    let block = prop::collection::vec(bytes(12), 1..5);
    (1..1000u64, prop::collection::vec((block, any::<bool>()), 0..4)).prop_map(|(first, blocks)| {
        let mut next = EventId(first);
        let mut handed = Vec::new();
        for (frames, has_secret) in blocks {
            let (mut all, mut ends) = (Vec::new(), Vec::new());
            for frame in &frames {
                all.extend_from_slice(frame);
                ends.push(all.len() as u32);
            }
            let secret = HandedSecret { start: 0, end: ends[0], masked: vec![b'*'] };
            let secrets = if has_secret { vec![secret] } else { Vec::new() };
            let block = HandedBlock { first: next, frames: all, ends, secrets };
            next = block.end();
            handed.push(block);
        }
        (handed, next)
    })
}

fn log() -> impl Strategy<Value = KeptLog> {
    let lines = prop::collection::vec((bytes(9), any::<u64>()), 1..6);
    let block = (any::<u32>(), lines).prop_map(|(event, lines)| {
        let (mut text, mut ends) = (Vec::new(), Vec::new());
        for (line, cut_bytes) in lines {
            text.extend_from_slice(&line);
            ends.push((text.len() as u32, cut_bytes));
        }
        let first = LineId::of_event(EventId(event.into()));
        let stream = if event % 2 == 0 { Stream::Stdout } else { Stream::Stderr };
        let parts = BlockParts { first, time: Wall::from_micros(7), stream, text, lines: ends };
        Arc::new(Block::from_parts(parts).expect("lines of their text"))
    });
    (any::<u32>(), prop::collection::vec(block, 0..4), any::<u64>()).prop_map(
        |(instance, blocks, gone)| KeptLog {
            instance: InstanceId(instance),
            blocks,
            gone,
            last_gone: (gone > 9).then_some(LineId { event: EventId(0), earlier: 3 }),
        },
    )
}

fn line() -> impl Strategy<Value = UnfinishedLine> {
    prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'a')], 1..20).prop_map(|text| {
        let mut splitter = LineSplitter::new();
        splitter.push(&text, &mut |_| {});
        splitter.pause().expect("a line that has not ended")
    })
}

fn stream() -> impl Strategy<Value = Stream> {
    prop::sample::select(&Stream::ALL[..])
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![
        Just(Role::StateLock),
        Just(Role::Tcp),
        Just(Role::Channel),
        bytes(9).prop_map(Role::Socket),
        any::<u128>().prop_map(|run| Role::Notify(RunId(run))),
        Just(Role::Inherited),
    ]
}

fn handover() -> impl Strategy<Value = Handover> {
    let numbers = (any::<u32>(), any::<u32>(), any::<u64>(), any::<u64>());
    let descriptor = (3..i32::MAX, role()).prop_map(|(number, role)| Descriptor { number, role });
    let lists = (
        prop::collection::vec(log(), 0..3),
        prop::collection::vec((any::<u128>().prop_map(RunId), stream(), line()), 0..3),
        prop::collection::vec(descriptor, 0..5),
    );
    let certificate = prop::option::of((bytes(9), bytes(9)));
    ("[ -~]{0,9}", numbers, bytes(30), window(), lists, certificate).prop_map(
        |(product, numbers, engine, (window, next_event), lists, certificate)| {
            let (generation, boot, origin_micros, last_request) = numbers;
            let (logs, unfinished, descriptors) = lists;
            Handover {
                product,
                generation,
                boot: BootId(boot),
                origin_micros,
                started_micros: origin_micros / 2,
                last_request,
                engine,
                next_event,
                time: Wall::from_micros(9),
                window,
                logs,
                unfinished,
                descriptors,
                certificate,
            }
        },
    )
}

proptest! {
    #[test]
    fn a_handover_comes_back(handover in handover()) {
        let bytes = handover.encode();
        let back = Handover::decode(&bytes).expect("just written");
        // Blocks of lines have no equality of their own: their bytes are compared.
        prop_assert_eq!(back.encode(), bytes);
        prop_assert_eq!(&back.product, &handover.product);
        prop_assert_eq!(back.boot, handover.boot);
        prop_assert_eq!(&back.window, &handover.window);
        prop_assert_eq!(&back.unfinished, &handover.unfinished);
        prop_assert_eq!(&back.descriptors, &handover.descriptors);
        prop_assert_eq!(&back.certificate, &handover.certificate);
    }

    #[test]
    fn what_is_cut_off_or_changed_is_refused(handover in handover(), place: prop::sample::Index) {
        let bytes = handover.encode();
        let place = place.index(bytes.len());
        prop_assert!(Handover::decode(&bytes[..place]).is_err());
        let mut changed = bytes;
        changed[place] ^= 1;
        prop_assert!(Handover::decode(&changed).is_err());
    }

    #[test]
    fn any_body_is_read_or_refused(body in bytes(300)) {
        if let Ok(read) = Handover::decode_body(&body) {
            prop_assert!(Handover::decode(&read.encode()).is_ok());
        }
    }

    #[test]
    fn a_line_goes_on_where_it_was_paused(head in "[a\r]{0,12}", tail in "[a\r\n]{0,12}") {
        let lines_of = |mut splitter: LineSplitter| {
            let mut lines = Vec::new();
            splitter.push(tail.as_bytes(), &mut |line| lines.push(line.bytes.to_vec()));
            splitter.finish(&mut |line| lines.push(line.bytes.to_vec()));
            lines
        };
        let mut splitter = LineSplitter::new();
        splitter.push(head.as_bytes(), &mut |_| {});
        let resumed = splitter.pause().map_or_else(LineSplitter::new, LineSplitter::resuming);
        prop_assert_eq!(lines_of(resumed), lines_of(splitter));
    }
}

#[test]
fn a_window_with_a_gap_is_refused() {
    let block = |first| HandedBlock {
        first: EventId(first),
        frames: b"ab".to_vec(),
        ends: vec![1, 2],
        secrets: Vec::new(),
    };
    let with = |window: Vec<HandedBlock>, next_event| Handover {
        product: String::new(),
        generation: 0,
        boot: BootId(1),
        origin_micros: 0,
        started_micros: 0,
        last_request: 0,
        engine: Vec::new(),
        next_event: EventId(next_event),
        time: Wall::default(),
        window,
        logs: Vec::new(),
        unfinished: Vec::new(),
        descriptors: Vec::new(),
        certificate: None,
    };
    let read = |handover: Handover| Handover::decode(&handover.encode()).map(drop);
    assert_eq!(read(with(vec![block(4), block(6)], 8)), Ok(()));
    assert_eq!(read(with(Vec::new(), 8)), Ok(()));
    let gap = FormatError::Contradiction("the events of the window have a gap");
    for handover in [with(vec![block(4), block(7)], 9), with(vec![block(4)], 7)] {
        assert_eq!(read(handover), Err(HandoverError::Format(gap.clone())));
    }
}

#[test]
fn another_version_is_named() {
    let mut bytes = b"OPENCTRH".to_vec();
    bytes.extend_from_slice(&9u16.to_le_bytes());
    assert_eq!(Handover::decode(&bytes).map(drop), Err(HandoverError::Version(9)));
    let text = HandoverError::Version(9).to_string();
    assert_eq!(text, "its version is 9, and this program reads version 2");
    assert_eq!(Handover::decode(b"OPENCTRT").map(drop), Err(HandoverError::NoHandover));
}

#[test]
fn words_come_back_and_others_are_not_understood() {
    for question in [Question::Who, Question::Upgrade] {
        assert_eq!(Question::read(question.to_string().as_bytes()), Some(question));
    }
    assert_eq!(Question::read(b"upgrade now"), None);
    let version = "2.1.0-rc 1".to_string();
    for answer in [
        Answer::Running { generation: 3, version: version.clone() },
        Answer::Begun { generation: 3, version: version.clone() },
        Answer::Refused("it hangs".to_string()),
    ] {
        assert_eq!(Answer::read(answer.to_string().as_bytes()), Some(answer));
    }
    assert_eq!(Answer::read(b"running x 2"), None);
    assert_eq!(Answer::read(b"\xff"), None);
    let long = Answer::Refused("x\n".repeat(9_000)).to_string();
    let cut = Answer::read(long.as_bytes()).expect("a long reason is cut");
    assert_eq!(cut.to_string(), long, "and not again");
    let preflight = Preflight { version, handover: 2, keeper: 2 };
    assert_eq!(Preflight::read(preflight.to_string().as_bytes()), Some(preflight.clone()));
    let newer = preflight.to_string() + "more 9\n";
    assert_eq!(Preflight::read(newer.as_bytes()), Some(preflight));
    for other in ["openctrl-preflight\nversion 1\n", "hello\n", ""] {
        assert_eq!(Preflight::read(other.as_bytes()), None, "{other:?}");
    }
}
