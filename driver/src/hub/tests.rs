//! The hub as a subscriber sees it, without a socket.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use openctrl_core::engine::{Event, MasterFace, Subject};
use openctrl_core::events::{EventId, EventKind, EventName};
use openctrl_core::ids::{BootId, InstanceId, KeyEpoch};
use openctrl_core::master::MasterIdentity;
use openctrl_core::time::{Now, Time, Wall};

use super::{Hub, Subscriber};

const BOOT: BootId = BootId(0xb007);

fn face(key: u8, epoch: u32) -> MasterFace {
    let identity = MasterIdentity::from_random([1; 8], [key; 16]);
    MasterFace { identity, key_epoch: KeyEpoch(epoch) }
}

fn hub() -> Arc<Hub> {
    Hub::new(BOOT, face(0xaa, 0))
}

fn update(id: u64, instance: u32, json: &str) -> Event {
    Event {
        id: EventId(id),
        time: Wall::from_micros(id),
        kind: EventKind::Update,
        subject: Subject::Instance(InstanceId(instance)),
        json: Bytes::from(json.to_owned()),
    }
}

fn seen(number: u64) -> Option<EventName> {
    Some(EventName { boot: BOOT, id: EventId(number) })
}

/// Everything a stream has for now, and whether it has ended.
fn read(subscriber: &mut Subscriber) -> (String, bool) {
    let mut text = String::new();
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match subscriber.poll_next(&mut context) {
            Poll::Ready(Some(bytes)) => text.push_str(std::str::from_utf8(&bytes).expect("UTF-8")),
            Poll::Ready(None) => return (text, true),
            Poll::Pending => return (text, false),
        }
    }
}

/// The types of the events in a stream, with their ids.
fn outline(text: &str) -> Vec<String> {
    let word = |frame: &str| {
        let kind = frame.split("\"type\":\"").nth(1).and_then(|rest| rest.split('"').next());
        let id = frame.lines().find_map(|line| line.strip_prefix("id: 0000b007-"));
        match (kind, id) {
            (Some(kind), Some(id)) => format!("{kind} {id}"),
            (Some(kind), None) => kind.to_owned(),
            (None, _) => frame.lines().next().unwrap_or_default().to_owned(),
        }
    };
    text.split_terminator("\n\n").map(word).collect()
}

#[test]
fn a_new_reader_gets_the_picture_then_what_follows() {
    let hub = hub();
    hub.show_instance(InstanceId(1), Bytes::from("{\"n\":1}"));
    hub.publish(&update(1, 2, "{\"n\":2}"));
    let mut reader = hub.subscribe(KeyEpoch(0), None).expect("the key is in force");
    hub.publish(&update(2, 1, "{\"n\":3}"));
    let (text, ended) = read(&mut reader);
    assert_eq!(outline(&text), ["retry: 3000", "initial", "initial", "initial 1", "update 2"]);
    assert!(!ended);
    let list = String::from_utf8(hub.list(KeyEpoch(0)).expect("the key is in force").to_vec())
        .expect("UTF-8");
    assert!(list.ends_with(",{\"n\":3},{\"n\":2}]"), "{list}");
}

#[test]
fn a_reader_goes_on_where_it_was() {
    let hub = hub();
    for id in 1..=3 {
        hub.publish(&update(id, 1, "{}"));
    }
    let mut reader = hub.subscribe(KeyEpoch(0), seen(1)).expect("the key is in force");
    assert_eq!(outline(&read(&mut reader).0), ["retry: 3000", "update 2", "update 3"]);
    let mut reader = hub.subscribe(KeyEpoch(0), seen(3)).expect("the key is in force");
    assert_eq!(outline(&read(&mut reader).0), ["retry: 3000"]);
}

#[test]
fn a_reader_of_another_run_or_of_the_future_is_told_of_a_gap() {
    let hub = hub();
    hub.publish(&update(1, 1, "{}"));
    let other_run = Some(EventName { boot: BootId(1), id: EventId(1) });
    for last_seen in [other_run, seen(2)] {
        let mut reader = hub.subscribe(KeyEpoch(0), last_seen).expect("the key is in force");
        let (text, _) = read(&mut reader);
        assert_eq!(outline(&text), ["retry: 3000", "event: gap", "initial", "initial 1"]);
        assert!(text.contains("\"lost\":null"), "{text}");
    }
}

#[test]
fn a_reader_that_fell_out_is_told_how_much_it_missed() {
    let hub = hub();
    let mut reader = hub.subscribe(KeyEpoch(0), None).expect("the key is in force");
    read(&mut reader);
    for id in 1..=100_003 {
        hub.publish(&update(id, 1, "{}"));
    }
    let (text, _) = read(&mut reader);
    assert_eq!(outline(&text), ["event: gap", "initial", "initial 100003"]);
    assert!(text.contains("\"lost\":100003"), "{text}");

    let mut late = hub.subscribe(KeyEpoch(0), seen(1)).expect("the key is in force");
    let (text, _) = read(&mut late);
    assert_eq!(outline(&text), ["retry: 3000", "event: gap", "initial", "initial 100003"]);
    assert!(text.contains("\"lost\":100002"), "{text}");
}

#[test]
fn no_stream_of_the_old_key_carries_the_new_one() {
    let hub = hub();
    let mut lagging = hub.subscribe(KeyEpoch(0), None).expect("the key is in force");
    let mut waiting = hub.subscribe(KeyEpoch(0), None).expect("the key is in force");
    read(&mut waiting);
    hub.publish(&update(1, 1, "{}"));
    hub.close_streams(Some(KeyEpoch(1)), Wall::from_micros(2));
    hub.show_master(face(0xbb, 1));
    let mut rotated = update(2, 0, "bbbb");
    rotated.subject = Subject::Key;
    hub.publish(&rotated);

    for (reader, expected) in [(&mut lagging, 4), (&mut waiting, 2)] {
        let (text, ended) = read(reader);
        assert_eq!(outline(&text).len(), expected, "{text}");
        assert!(ended && text.contains("shutdown") && !text.contains("bbbb"), "{text}");
    }
    assert!(hub.subscribe(KeyEpoch(0), None).is_err(), "a stream was opened with the old key");
    assert!(hub.subscribe(KeyEpoch(0), seen(1)).is_err());
    let mut fresh = hub.subscribe(KeyEpoch(1), None).expect("the key is in force");
    assert!(read(&mut fresh).0.contains("bbbb"));
    assert_eq!(hub.admits(Some(&[b'a'; 32])), None);
    assert_eq!(hub.admits(Some(&[b'b'; 32])), Some(KeyEpoch(1)));
    assert_eq!(hub.admits(None), None);
}

#[test]
fn from_the_close_on_the_old_key_opens_and_reads_nothing() {
    let hub = hub();
    let epoch = hub.admits(Some(&[b'a'; 32])).expect("the key is in force");
    hub.close_streams(Some(KeyEpoch(1)), Wall::from_micros(1));
    // The new face is not shown yet; the old key is good for nothing all the same.
    assert_eq!(hub.admits(Some(&[b'a'; 32])), None);
    assert!(hub.subscribe(epoch, None).is_err());
    hub.show_master(face(0xbb, 1));
    assert!(hub.list(epoch).is_err() && hub.key_instance(epoch).is_err());
    assert!(hub.check(epoch).is_err() && hub.check(KeyEpoch(1)).is_ok());
    assert!(hub.list(KeyEpoch(1)).is_ok());
}

#[test]
fn a_stream_that_fell_out_before_its_end_ends() {
    let hub = hub();
    let mut reader = hub.subscribe(KeyEpoch(0), None).expect("the key is in force");
    read(&mut reader);
    hub.close_streams(Some(KeyEpoch(1)), Wall::from_micros(1));
    hub.show_master(face(0xbb, 1));
    for id in 1..=100_001 {
        hub.publish(&update(id, 1, "bbbb"));
    }
    let (text, ended) = read(&mut reader);
    assert!(ended);
    assert_eq!(outline(&text), ["shutdown"]);
}

#[test]
fn at_the_end_of_the_master_new_streams_end_too() {
    let hub = hub();
    hub.close_streams(None, Wall::from_micros(1));
    let mut reader = hub.subscribe(KeyEpoch(0), None).expect("the key is in force");
    let (text, ended) = read(&mut reader);
    assert_eq!(outline(&text), ["retry: 3000", "initial 0", "shutdown"]);
    assert!(ended);
}

#[test]
fn the_clock_of_the_hub_does_not_step_back() {
    let hub = hub();
    let at = |micros| Now { mono: Time::ZERO, wall: Wall::from_micros(micros) };
    assert_eq!(hub.advance(at(5)).wall, Wall::from_micros(5));
    assert_eq!(hub.advance(at(3)).wall, Wall::from_micros(5));
    assert_eq!(hub.advance(at(7)).wall, Wall::from_micros(7));
}
