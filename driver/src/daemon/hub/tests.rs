//! The hub as a subscriber sees it, without a socket.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use openctrl_core::doors::v2::{InstanceObject, Secrets};
use openctrl_core::event::{Event, EventKind, EventName, LogRun, Object};
use openctrl_core::ids::Revision;
use openctrl_core::ids::{BootId, EventId, InstanceId, KeyEpoch};
use openctrl_core::instance::{Definition, InstanceView};
use openctrl_core::master::{MasterFace, MasterIdentity};
use openctrl_core::output::OutputParser;
use openctrl_core::time::{Now, Time, Wall};
use openctrl_core::url::InstanceUrl;

use super::{Hub, Publisher, Reader, Subscriber};

const BOOT: BootId = BootId(0xb007);

fn face(key: u8, epoch: u32) -> MasterFace {
    let identity = MasterIdentity::from_random([1; 8], [key; 16]);
    MasterFace { identity, key_epoch: KeyEpoch(epoch) }
}

fn view(instance: u32, ping: i32) -> InstanceView {
    let url = InstanceUrl::parse("demo:x").expect("a valid URL");
    let definition = Definition::new(InstanceId(instance), url, String::new());
    let mut view = InstanceView::new(Arc::new(definition));
    view.metrics.ping = ping;
    view
}

fn event(id: u64, object: Object) -> Event {
    let (id, time) = (EventId(id), Wall::from_micros(id));
    Event { id, time, kind: EventKind::Update, object }
}

/// The hub and its publisher: all published data is visible at once.
struct Stage {
    hub: Arc<Hub>,
    publisher: Publisher,
}

impl Stage {
    fn new() -> Self {
        let hub = Hub::new(BOOT, face(0xaa, 0));
        Self { publisher: Publisher::new(Arc::clone(&hub)), hub }
    }

    fn publish(&mut self, event: Event) {
        self.publisher.publish(event);
        self.publisher.flush();
    }

    /// Publishes updates of the instance 1 with these ids, each with its id as a gauge.
    fn update(&mut self, ids: RangeInclusive<u64>) {
        for id in ids {
            let ping = i32::try_from(id).expect("a small number");
            self.publish(event(id, Object::Instance(view(1, ping))));
        }
        self.wake();
    }

    fn wake(&mut self) {
        let mut now = Time::ZERO;
        while let Some(later) = self.publisher.wake(now) {
            now = later;
        }
    }
}

fn seen(number: u64) -> Option<EventName> {
    Some(EventName { boot: BOOT, id: EventId(number) })
}

/// Everything that a stream currently has, and whether it has ended.
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
    let mut stage = Stage::new();
    let hub = Arc::clone(&stage.hub);
    stage.publisher.show_instance(view(1, 1));
    stage.publish(event(1, Object::Instance(view(2, 2))));
    let mut reader = hub.subscribe(Reader::Key(KeyEpoch(0)), None).expect("the key is in force");
    stage.publish(event(2, Object::Instance(view(1, 3))));
    stage.wake();
    let (text, ended) = read(&mut reader);
    assert_eq!(outline(&text), ["retry: 3000", "initial", "initial", "initial 1", "update 2"]);
    assert!(!ended);
    let list = String::from_utf8(
        hub.list(Reader::Key(KeyEpoch(0))).expect("the key is in force").to_vec(),
    )
    .expect("UTF-8");
    let instances =
        [view(1, 3), view(2, 2)].map(|view| InstanceObject::new(view).json(Secrets::Shown));
    let [one, two] = instances.map(|json| String::from_utf8(json.to_vec()).expect("UTF-8"));
    assert!(list.ends_with(&format!(",{one},{two}]")), "{list}");
}

#[test]
fn a_reader_goes_on_where_it_was() {
    let mut stage = Stage::new();
    let hub = Arc::clone(&stage.hub);
    stage.update(1..=3);
    let mut reader = hub.subscribe(Reader::Key(KeyEpoch(0)), seen(1)).expect("the key is in force");
    assert_eq!(outline(&read(&mut reader).0), ["retry: 3000", "update 2", "update 3"]);
    let mut reader = hub.subscribe(Reader::Key(KeyEpoch(0)), seen(3)).expect("the key is in force");
    assert_eq!(outline(&read(&mut reader).0), ["retry: 3000"]);
}

#[test]
fn a_reader_goes_on_in_the_middle_of_what_was_published_together() {
    let mut stage = Stage::new();
    let mut first =
        stage.hub.subscribe(Reader::Key(KeyEpoch(0)), None).expect("the key is in force");
    read(&mut first);
    stage.update(1..=600);
    let mut middle =
        stage.hub.subscribe(Reader::Key(KeyEpoch(0)), seen(300)).expect("the key is in force");
    let (all, _) = read(&mut first);
    let (rest, _) = read(&mut middle);
    let ids = |from: u64| (from..=600).map(|id| format!("update {id}")).collect::<Vec<_>>();
    assert_eq!(outline(&all), ids(1));
    assert_eq!(outline(&rest)[1..], ids(301));
    assert!(all.ends_with(rest.trim_start_matches("retry: 3000\n\n")), "encoded but once");
}

#[test]
fn lines_of_one_read_are_events_of_their_own_however_many() {
    let mut stage = Stage::new();
    let mut reader =
        stage.hub.subscribe(Reader::Key(KeyEpoch(0)), None).expect("the key is in force");
    read(&mut reader);
    let mut output = b"\x1b\n".repeat(1_000);
    output.extend_from_slice(&[[b'x'; 40_000].as_slice(), b"\n"].concat().repeat(3));
    let batch = Arc::new(OutputParser::default().push(&output));
    let (items, view) = (0..batch.items.len(), view(1, 0));
    let first = EventId(1);
    let time = Wall::from_micros(1);
    stage.publisher.publish_logs(LogRun {
        first,
        time,
        instance: InstanceId(1),
        view,
        batch,
        items,
    });
    stage.wake();
    let (text, _) = read(&mut reader);
    assert_eq!(outline(&text), (1..=1_003).map(|id| format!("log {id}")).collect::<Vec<_>>());
    assert_eq!(text.matches("\"logs\":\"\\u001b\"").count(), 1_000);
}

/// Frames for readers without the key are those of the others, but for the masks, wherever a reader
/// starts; and they are not longer than a client takes.
#[test]
fn readers_without_the_key_get_the_same_frames_with_masks() {
    let mut stage = Stage::new();
    let hub = Arc::clone(&stage.hub);
    let (key, peer) = (Reader::Key(KeyEpoch(0)), Reader::Peer);
    let open = |reader, last| hub.subscribe(reader, last).expect("the key is in force");
    let (mut full, mut masked) = (open(key, None), open(peer, None));
    read(&mut full);
    read(&mut masked);

    // Short values: their masks are longer.
    let url = format!("exec:x?{}", "env=A=x&".repeat(1_000));
    let definition =
        Definition::new(InstanceId(2), InstanceUrl::parse(&url).expect("a URL"), String::new());
    let secretive = InstanceView::new(Arc::new(definition));
    stage.publish(event(1, Object::Instance(view(1, 1))));
    stage.publish(event(2, Object::Instance(secretive.clone())));
    let batch =
        Arc::new(OutputParser::default().push(&[b"short\n", &[b'y'; 70_000][..], b"\n"].concat()));
    let items = 0..batch.items.len();
    let lines = items.len() as u64;
    let run = LogRun {
        first: EventId(3),
        time: Wall::from_micros(3),
        instance: InstanceId(2),
        view: secretive,
        batch,
        items,
    };
    stage.publisher.publish_logs(run);
    stage.publish(event(3 + lines, Object::Key(face(0xaa, 0).identity)));
    stage.wake();

    let (full, masked) = (read(&mut full).0, read(&mut masked).0);
    assert!(full.contains("A=x") && full.contains(&"aa".repeat(16)));
    assert!(!masked.contains("A=x") && !masked.contains(&"aa".repeat(16)), "{masked}");
    assert_eq!(outline(&masked), outline(&full));
    let expected = full.replace("A=x", "A=***").replace(&"aa".repeat(16), "");
    assert_eq!(masked, expected);
    assert!(masked.split("\n\n").all(|frame| frame.len() < 64 * 1024), "a frame is too long");
    for last in 1..3 + lines {
        let (rest, _) = read(&mut open(peer, seen(last)));
        let rest = rest.strip_prefix("retry: 3000\n\n").expect("the hint comes first");
        assert!(masked.ends_with(rest) && !rest.is_empty(), "from {last}: {rest}");
    }
}

#[test]
fn events_close_behind_another_are_written_together() {
    let mut stage = Stage::new();
    let mut reader =
        stage.hub.subscribe(Reader::Key(KeyEpoch(0)), None).expect("the key is in force");
    read(&mut reader);
    let now = Time::ZERO.after_ms(1_000);
    for id in 1..=8 {
        stage.publish(event(id, Object::Instance(view(1, 1))));
        assert_eq!(stage.publisher.wake(now), None, "the first few do not wait");
        assert_eq!(outline(&read(&mut reader).0), [format!("update {id}")]);
    }
    for id in 9..=10 {
        stage.publish(event(id, Object::Instance(view(1, 1))));
        let due = stage.publisher.wake(now.after_ms(3)).expect("it is too early");
        assert!(due > now.after_ms(3) && due <= now.after_ms(5));
        assert!(read(&mut reader).0.is_empty());
    }
    assert_eq!(stage.publisher.wake(now.after_ms(4)), None);
    assert_eq!(outline(&read(&mut reader).0), ["update 9", "update 10"]);
    assert_eq!(stage.publisher.wake(now.after_ms(4)), None, "there is nothing new");
}

/// However long it lasts: events that do not stop come at the pace.
#[test]
fn a_stream_without_pauses_is_paced() {
    let mut stage = Stage::new();
    let mut reader =
        stage.hub.subscribe(Reader::Key(KeyEpoch(0)), None).expect("the key is in force");
    read(&mut reader);
    let (mut now, mut wakes) = (Time::ZERO.after_ms(1_000), 0);
    for id in 1..=400 {
        stage.publish(event(id, Object::Instance(view(1, 1))));
        if stage.publisher.wake(now).is_none() {
            wakes += 1;
            assert!(!read(&mut reader).0.is_empty());
        }
        now = now.after_ms(1);
    }
    assert!((100..=110).contains(&wakes), "{wakes} wakes in 400 ms");
}

#[test]
fn a_reader_of_another_run_or_of_the_future_is_told_of_a_gap() {
    let mut stage = Stage::new();
    let hub = Arc::clone(&stage.hub);
    stage.update(1..=1);
    let other_run = Some(EventName { boot: BootId(1), id: EventId(1) });
    for last_seen in [other_run, seen(2)] {
        let mut reader =
            hub.subscribe(Reader::Key(KeyEpoch(0)), last_seen).expect("the key is in force");
        let (text, _) = read(&mut reader);
        assert_eq!(outline(&text), ["retry: 3000", "event: gap", "initial", "initial 1"]);
        assert!(text.contains("\"lost\":null"), "{text}");
    }
}

#[test]
fn a_reader_that_fell_out_is_told_how_much_it_missed() {
    let mut stage = Stage::new();
    let hub = Arc::clone(&stage.hub);
    let mut reader = hub.subscribe(Reader::Key(KeyEpoch(0)), None).expect("the key is in force");
    read(&mut reader);
    stage.update(1..=100_003);
    let (text, _) = read(&mut reader);
    assert_eq!(outline(&text), ["event: gap", "initial", "initial 100003"]);
    assert!(text.contains("\"lost\":100003"), "{text}");

    let mut late = hub.subscribe(Reader::Key(KeyEpoch(0)), seen(1)).expect("the key is in force");
    let (text, _) = read(&mut late);
    assert_eq!(outline(&text), ["retry: 3000", "event: gap", "initial", "initial 100003"]);
    assert!(text.contains("\"lost\":100002"), "{text}");
}

#[test]
fn what_falls_out_while_a_gap_is_counted_is_missed_too() {
    let mut stage = Stage::new();
    let mut reader =
        stage.hub.subscribe(Reader::Key(KeyEpoch(0)), None).expect("the key is in force");
    read(&mut reader);
    stage.update(1..=100_200);
    // Published but not visible yet: they evict others when the subscriber connects.
    for id in 100_201..=100_300 {
        stage.publish(event(id, Object::Instance(view(1, 0))));
    }
    let (text, _) = read(&mut reader);
    assert_eq!(outline(&text), ["event: gap", "initial", "initial 100300"]);
    assert!(text.contains(r#""lost":100300}"#), "{text}");
}

#[test]
fn old_definitions_count_until_they_are_encoded() {
    let tagged = |number: u64| {
        let url = InstanceUrl::parse("demo:x").expect("a valid URL");
        let mut definition = Definition::new(InstanceId(1), url, String::new());
        definition.meta.tags.extend((0..3000).map(|tag| (format!("{tag:x}"), String::new())));
        definition.meta.tags.insert("n".to_owned(), number.to_string());
        definition.revision = Revision(number);
        InstanceView::new(Arc::new(definition))
    };
    let mut stage = Stage::new();
    let mut reader =
        stage.hub.subscribe(Reader::Key(KeyEpoch(0)), None).expect("the key is in force");
    read(&mut reader);
    let definitions = (64 << 20) / InstanceObject::new(tagged(1)).definition_bytes() as u64;
    assert!(definitions < 200, "a short tag takes far more than its text: {definitions}");
    for id in 1..=definitions + 10 {
        stage.publish(event(id, Object::Instance(tagged(id))));
        if id == definitions / 2 {
            stage.wake();
            read(&mut reader);
        }
    }
    // The half that was read takes no more than its frames, so that nothing had to go.
    let mut late =
        stage.hub.subscribe(Reader::Key(KeyEpoch(0)), seen(1)).expect("the key is in force");
    let (text, _) = read(&mut late);
    assert_eq!(outline(&text).len() as u64, definitions + 10, "all but the first, and the hint");

    let mut stage = Stage::new();
    for id in 1..=definitions + 10 {
        stage.publish(event(id, Object::Instance(tagged(id))));
    }
    let mut late =
        stage.hub.subscribe(Reader::Key(KeyEpoch(0)), seen(1)).expect("the key is in force");
    let (text, _) = read(&mut late);
    assert_eq!(outline(&text)[1], "event: gap", "unread, so many do not fit");
}

#[test]
fn no_stream_of_the_old_key_carries_the_new_one() {
    let mut stage = Stage::new();
    let hub = Arc::clone(&stage.hub);
    let mut lagging = hub.subscribe(Reader::Key(KeyEpoch(0)), None).expect("the key is in force");
    let mut waiting = hub.subscribe(Reader::Key(KeyEpoch(0)), None).expect("the key is in force");
    read(&mut waiting);
    stage.update(1..=1);
    stage.publisher.close_streams(Some(KeyEpoch(1)), Wall::from_micros(2));
    stage.publisher.show_master(face(0xbb, 1));
    stage.publish(event(2, Object::Key(face(0xbb, 1).identity)));

    for (reader, expected) in [(&mut lagging, 4), (&mut waiting, 2)] {
        let (text, ended) = read(reader);
        assert_eq!(outline(&text).len(), expected, "{text}");
        assert!(ended && text.contains("shutdown") && !text.contains("bbbb"), "{text}");
    }
    assert!(
        hub.subscribe(Reader::Key(KeyEpoch(0)), None).is_err(),
        "a stream was opened with the old key"
    );
    assert!(hub.subscribe(Reader::Key(KeyEpoch(0)), seen(1)).is_err());
    let mut fresh = hub.subscribe(Reader::Key(KeyEpoch(1)), None).expect("the key is in force");
    assert!(read(&mut fresh).0.contains("bbbb"));
    assert_eq!(hub.admits(Some(&[b'a'; 32])), None);
    assert_eq!(hub.admits(Some(&[b'b'; 32])), Some(KeyEpoch(1)));
    assert_eq!(hub.admits(None), None);
}

#[test]
fn from_the_close_on_the_old_key_opens_and_reads_nothing() {
    let mut stage = Stage::new();
    let hub = Arc::clone(&stage.hub);
    let epoch = hub.admits(Some(&[b'a'; 32])).expect("the key is in force");
    stage.publisher.close_streams(Some(KeyEpoch(1)), Wall::from_micros(1));
    // The new face is not shown yet; the old key is good for nothing all the same.
    assert_eq!(hub.admits(Some(&[b'a'; 32])), None);
    assert!(hub.subscribe(Reader::Key(epoch), None).is_err());
    stage.publisher.show_master(face(0xbb, 1));
    let old = Reader::Key(epoch);
    assert!(hub.list(old).is_err() && hub.key_instance(old).is_err());
    assert!(hub.list(Reader::Key(KeyEpoch(1))).is_ok());
}

#[test]
fn a_stream_that_fell_out_before_its_end_ends() {
    let mut stage = Stage::new();
    let hub = Arc::clone(&stage.hub);
    let mut reader = hub.subscribe(Reader::Key(KeyEpoch(0)), None).expect("the key is in force");
    read(&mut reader);
    stage.publisher.close_streams(Some(KeyEpoch(1)), Wall::from_micros(1));
    stage.publisher.show_master(face(0xbb, 1));
    stage.update(1..=100_001);
    let (text, ended) = read(&mut reader);
    assert!(ended);
    assert_eq!(outline(&text), ["shutdown"]);
}

#[test]
fn at_the_end_of_the_master_new_streams_end_too() {
    let mut stage = Stage::new();
    let hub = Arc::clone(&stage.hub);
    stage.publisher.close_streams(None, Wall::from_micros(1));
    let mut reader = hub.subscribe(Reader::Key(KeyEpoch(0)), None).expect("the key is in force");
    let (text, ended) = read(&mut reader);
    assert_eq!(outline(&text), ["retry: 3000", "initial 0", "shutdown"]);
    assert!(ended);
}

#[test]
fn the_clock_of_the_hub_does_not_step_back() {
    let stage = Stage::new();
    let at = |micros| Now { mono: Time::ZERO, wall: Wall::from_micros(micros) };
    assert_eq!(stage.publisher.advance(at(5)).wall, Wall::from_micros(5));
    assert_eq!(stage.publisher.advance(at(3)).wall, Wall::from_micros(5));
    assert_eq!(stage.publisher.advance(at(7)).wall, Wall::from_micros(7));
}
