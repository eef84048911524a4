//! Contract §8: the event stream. Frame size, JSON, the 17 fields and the clock are checked by
//! `Sse` on every stream of every test.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openctrl_tests::script::Step;
use openctrl_tests::{Event, KEY_ID, Master, Script, Sse};
use serde_json::{Value, json};

/// A stream that starts after `id`.
fn resume(master: &Master, id: &str) -> Sse {
    Sse::open_raw(&master.api(), &[("Last-Event-ID", id)])
}

/// Boot and number of an id.
fn split_id(event: &Event) -> (String, u64) {
    let id = event.id.as_deref().expect("a live event has an id");
    let (boot, number) = id.rsplit_once('-').expect("an id is <boot>-<n>");
    (boot.to_owned(), number.parse().expect("an id ends in a number"))
}

#[test]
fn a_stream_starts_with_retry_and_one_initial_per_instance() {
    let master = Master::start();
    let api = master.api();
    let mut ids: Vec<String> = (0..4).map(|_| api.run(&Script::new().wait())).collect();
    ids.push(KEY_ID.to_owned());
    let mut events = master.events();
    let head = events.head();
    assert!(head.header("Content-Type").unwrap_or("").starts_with("text/event-stream"));
    (0..5).for_each(|_| drop(events.wait_for("five initial events", |e| e.kind == "initial")));
    assert_eq!(events.frames()[0].text, "retry: 3000");
    let initial: Vec<Event> = events.events().into_iter().take(5).collect();
    assert!(initial.iter().all(|event| event.kind == "initial" && event.logs.is_empty()));
    let mut seen: Vec<String> =
        initial.iter().map(|event| openctrl_tests::api::id_of(&event.instance)).collect();
    ids.sort();
    seen.sort();
    assert_eq!(seen, ids);
    assert!(initial[4].id.is_some(), "the last initial event says where live ones begin");
}

#[test]
fn a_frame_has_the_published_form() {
    let master = Master::start();
    let mut events = master.events();
    let id = master.run(&mut events, &Script::new().print("a \"line\"").wait());
    events.wait_log(&id, "a \"line\"");
    for frame in &events.frames()[1..] {
        let mut lines: Vec<&str> = frame.text.lines().collect();
        lines.retain(|line| !line.starts_with("id: "));
        assert_eq!(lines.len(), 2, "{}", frame.text);
        assert_eq!(lines[0], "event: instance");
        let data: Value = serde_json::from_str(lines[1].strip_prefix("data: ").unwrap()).unwrap();
        let mut fields: Vec<&String> = data.as_object().unwrap().keys().collect();
        fields.sort();
        assert_eq!(fields, ["instance", "logs", "time", "type"]);
        let known = ["initial", "create", "update", "delete", "log", "shutdown"];
        assert!(known.contains(&data["type"].as_str().unwrap()), "{}", frame.text);
    }
}

#[test]
fn a_life_is_told_in_order() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    for _ in 0..10 {
        let id = master.run(&mut events, &Script::new().print("said").wait());
        events.wait_log(&id, "said");
        api.delete(&id).expect(204);
        events.wait_for("the end", |event| event.kind == "delete");
        let all = events.events();
        let told: Vec<&Event> = all.iter().filter(|event| event.instance["id"] == *id).collect();
        assert_eq!(told[0].kind, "create");
        assert_eq!(told.last().unwrap().kind, "delete");
        let rest = &told[1..told.len() - 1];
        assert!(rest.iter().all(|event| matches!(event.kind.as_str(), "update" | "log")));
        assert_eq!(rest.iter().filter(|event| event.kind == "log").count(), 1);
        let logs_where_they_belong = |e: &&Event| (e.kind == "log") == (e.logs == "said");
        assert!(told.iter().all(logs_where_they_belong), "logs is empty but for a log event");
    }
}

#[test]
fn the_masters_alias_is_an_update_of_the_key_instance() {
    let master = Master::start();
    let mut events = master.events();
    master.api().post("/info", &json!({"alias": "named"})).expect(200);
    let update = events.wait_for("the update", |event| event.instance["alias"] == "named");
    assert_eq!((update.kind.as_str(), &update.instance["id"]), ("update", &json!(KEY_ID)));
}

#[test]
fn all_streams_show_one_order() {
    let master = Master::start();
    let api = master.api();
    let mut streams: Vec<Sse> = (0..4).map(|_| master.events()).collect();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let id = api.run(&Script::new().print("x").checkpoint([1; 9]).wait());
                    api.patch(&id, &json!({"alias": "y"})).expect(200);
                    api.delete(&id).expect(204);
                }
            });
        }
    });
    let last = api.run(&Script::new().print("the end").wait());
    let mut told = streams.iter_mut().map(|stream| {
        stream.wait_log(&last, "the end");
        let live = stream.events().into_iter().filter(|event| event.kind != "initial");
        let upto_the_end = live.take_while(|event| event.logs != "the end");
        upto_the_end
            .map(|event| {
                (split_id(&event), event.kind, event.instance, event.logs, event.unix_nanos)
            })
            .collect::<Vec<_>>()
    });
    let first = told.next().unwrap();
    assert!(first.len() > 60, "{} events", first.len());
    assert!(told.all(|other| other == first), "all readers see the same events in one order");
    for pair in first.windows(2) {
        let ((boot, number), (next_boot, next_number)) = (&pair[0].0, &pair[1].0);
        assert_eq!((boot, number + 1), (next_boot, *next_number), "ids are contiguous");
    }
}

#[test]
fn fifty_readers_miss_nothing() {
    let master = Master::start();
    let mut streams: Vec<Sse> = (0..50).map(|_| master.events()).collect();
    let count = 1_000;
    let id = master.api().run(&Script::new().step(Step::Flood(count, 40)).print("end").wait());
    for (number, stream) in streams.iter_mut().enumerate() {
        stream.wait_log(&id, "end");
        let logs = stream.logs(&id);
        assert_eq!(logs.len(), count + 1, "reader {number}");
        let in_order = |(n, line): (usize, &String)| line.starts_with(&format!("flood-{n}-"));
        assert!(logs[..count].iter().enumerate().all(in_order), "reader {number}");
    }
}

#[test]
fn a_reader_resumes_where_it_left_off() {
    let master = Master::start();
    let api = master.api();
    let (mut before, mut witness) = (master.events(), master.events());
    let go = master.cue("go");
    let script = Script::new().print("one").cue(&go).print("two").print("three").wait();
    let id = master.run(&mut before, &script);
    let last = before.wait_log(&id, "one");
    drop(before);
    api.patch(&id, &json!({"alias": "while away"})).expect(200);
    go.give();
    witness.wait_log(&id, "three");
    let mut after = resume(&master, last.id.as_deref().unwrap());
    api.patch(&id, &json!({"alias": "back"})).expect(200);
    after.wait_for("what comes live", |event| event.instance["alias"] == "back");
    witness.wait_for("the same", |event| event.instance["alias"] == "back");
    assert_eq!(after.frames()[0].text, "retry: 3000");
    let key = |event: &Event| (event.id.clone(), event.kind.clone(), event.logs.clone());
    let missed = witness.events().into_iter().skip_while(|event| event.id != last.id).skip(1);
    let upto_back = |event: &Event| event.instance["alias"] == "back" && event.kind == "update";
    let position = |events: &[Event]| events.iter().position(upto_back).unwrap();
    let (missed, got): (Vec<Event>, Vec<Event>) = (missed.collect(), after.events());
    let expected: Vec<_> = missed[..=position(&missed)].iter().map(key).collect();
    let resumed: Vec<_> = got[..=position(&got)].iter().map(key).collect();
    assert_eq!(resumed, expected, "each missed event once, nothing else");
}

#[test]
fn a_reader_that_saw_only_initial_events_can_resume() {
    let master = Master::start();
    let api = master.api();
    let first = master.events();
    let last = first.events().pop().expect("one initial event");
    let id = last.id.expect("the last initial event has an id");
    drop(first);
    let created = api.run(&Script::new().wait());
    let mut after = resume(&master, &id);
    after.wait_status(&created, "running");
    assert_eq!(after.events()[0].kind, "create", "nothing twice, nothing left out");
    let mut fresh = resume(&master, &format!("{id}-not-an-id"));
    fresh.wait_for("an ordinary start", |event| event.kind == "initial");
}

/// A reader that cannot be served from the window receives a gap, then everything again.
fn assert_told_of_a_gap(master: &Master, id: &str) {
    let mut stream = resume(master, id);
    let count = master.api().list().len();
    for _ in 0..count {
        stream.wait_for("all initial events", |event| event.kind == "initial");
    }
    let frames = stream.frames();
    assert_eq!(frames[0].text, "retry: 3000");
    assert_eq!(frames[1].field("event"), Some("gap"), "{}", frames[1].text);
    let initial = &stream.events()[..count];
    assert!(initial.iter().all(|event| event.kind == "initial"));
}

#[test]
fn a_reader_of_an_earlier_life_is_told_of_the_gap() {
    let mut master = Master::start();
    let mut events = master.events();
    master.api().post("/info", &json!({"alias": "last"})).expect(200);
    events.wait_for("a last update", |event| event.instance["alias"] == "last");
    let id = events.events().pop().unwrap().id.unwrap();
    master.stop();
    master.restart();
    assert_told_of_a_gap(&master, &id);
    let digit = if id.starts_with('0') { "1" } else { "0" };
    assert_told_of_a_gap(&master, &format!("{digit}{}", &id[1..]));
}

#[test]
fn a_reader_that_fell_out_of_the_window_is_told_of_the_gap() {
    let master = Master::start();
    let mut events = master.events();
    let id = master.run(&mut events, &Script::new().wait());
    let old = events.events().pop().unwrap().id.unwrap();
    drop(events);
    let done = master.mark("done");
    // 160 MB: more than anybody keeps.
    let flood = Script::new().step(Step::Flood(20_000, 8_000)).mark(&done).wait();
    master.api().put(&id, &flood.url()).expect(200);
    done.wait(1);
    assert_told_of_a_gap(&master, &old);
}

#[test]
fn times_are_those_of_the_clock() {
    let mut master = Master::start();
    for _ in 0..2 {
        let mut events = master.events();
        let id = master.run(&mut events, &Script::new().wait());
        master.api().delete(&id).expect(204);
        events.wait_for("the end", |event| event.kind == "delete");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i128;
        for event in events.events() {
            let age = Duration::from_nanos(u64::try_from(now - event.unix_nanos).unwrap());
            assert!(age < Duration::from_secs(60), "{} is {age:?} old", event.kind);
        }
        master.stop();
        master.restart();
    }
}

#[test]
fn a_stream_needs_the_key() {
    let master = Master::start();
    master.api().without_key().get("/events").expect_error(401);
    master.api().with_key(&"0".repeat(32)).get("/events").expect_error(401);
}

#[test]
fn an_end_is_announced() {
    let mut master = Master::start();
    let streams: Vec<Sse> = (0..5).map(|_| master.events()).collect();
    master.stop();
    for stream in streams {
        stream.wait_end();
        let events = stream.events();
        let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(kinds.iter().filter(|kind| **kind == "shutdown").count(), 1, "{kinds:?}");
        let last = events.last().unwrap();
        assert_eq!((last.kind.as_str(), last.logs.as_str()), ("shutdown", ""));
        assert!(last.instance.is_null());
    }
}
