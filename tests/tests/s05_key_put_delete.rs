//! Contract §5: the key instance, PUT and DELETE.

use std::io::Write;

use openctrl_tests::http::{Connection, Request};
use openctrl_tests::json::is_hex;
use openctrl_tests::process::{is_alive, wait_gone};
use openctrl_tests::script::Step;
use openctrl_tests::{Api, KEY_ID, Master, Script};
use serde_json::json;

fn rotate(api: &Api) -> String {
    let answer = api.patch(KEY_ID, &json!({"action": "restart"})).expect(200).json();
    assert_eq!(answer["id"], KEY_ID);
    answer["url"].as_str().expect("the new key").to_owned()
}

#[test]
fn restart_of_the_key_instance_makes_a_new_key() {
    let mut master = Master::start();
    let api = master.api();
    let before = api.instance(KEY_ID);
    let key = rotate(&api);
    assert!(is_hex(&key, 32), "{key:?}");
    assert_ne!(key, master.key());
    api.get("/info").expect_error(401);
    let renewed = api.with_key(&key);
    let after = renewed.instance(KEY_ID);
    assert_eq!(after["url"], key);
    assert_eq!(after["config"], before["config"], "the master id stays");
    let escaped = renewed.patch("%2A%2A%2A%2A%2A%2A%2A%2A", &json!({"action": "restart"}));
    let last = escaped.expect(200).json()["url"].as_str().unwrap().to_owned();
    renewed.get("/info").expect_error(401);
    master.stop();
    master.restart();
    assert_eq!(master.key(), last, "a key outlives a restart");
}

#[test]
fn a_request_begun_with_the_old_key_does_nothing_once_there_is_a_new_one() {
    let master = Master::start();
    let api = master.api();
    let slow = |method: &str, target: &str, body: &str| {
        let headers = [
            ("X-API-Key", master.key().to_owned()),
            ("Expect", "100-continue".to_owned()),
            ("Content-Length", body.len().to_string()),
        ];
        let request = Request {
            method: method.to_owned(),
            target: format!("{}{target}", master.base()),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            body: None,
        };
        let mut connection = Connection::open(&master.endpoint()).expect("connected");
        connection.write(&request).expect("written");
        // The master asks for the body: by then it has looked at the key.
        assert_eq!(connection.read_head().expect("an interim answer").status, 100);
        (connection, body.to_owned())
    };
    let key_target = format!("/instances/{KEY_ID}");
    let begun = [
        slow("PATCH", &key_target, "{}"),
        slow("PATCH", &key_target, r#"{"action":"restart"}"#),
        slow("POST", "/instances", r#"{"url":"stub://late"}"#),
    ];
    let renewed = api.with_key(&rotate(&api));
    for (mut connection, body) in begun {
        let mut socket = connection.socket();
        socket.write_all(body.as_bytes()).expect("written");
        assert_eq!(connection.read_head().expect("an answer").status, 401, "{body}");
    }
    assert_eq!(renewed.list().len(), 1, "nothing was created, and the new key holds");
}

#[test]
fn no_stream_opened_with_the_old_key_carries_the_new_one() {
    let master = Master::start();
    let api = master.api();
    // Children that talk all the time, so that events are under way at the very moment.
    let chatter =
        Script::new().step(Step::Repeat(0, Script::new().print("chatter").step(Step::SleepMs(1))));
    for _ in 0..3 {
        api.run(&chatter);
    }
    let mut key = master.key().to_owned();
    for _ in 0..5 {
        let old = api.with_key(&key);
        let streams: Vec<_> = (0..8).map(|_| old.events()).collect();
        key = rotate(&old);
        for stream in &streams {
            stream.wait_end();
            let events = stream.events();
            assert_eq!(events.last().map(|event| event.kind.as_str()), Some("shutdown"));
            assert!(stream.frames().iter().all(|frame| !frame.text.contains(&key)));
        }
        let fresh = api.with_key(&key).events();
        assert!(!fresh.has_ended(), "a stream opened with the new key stays open");
    }
}

#[test]
fn any_other_patch_of_the_key_instance_changes_nothing() {
    let master = Master::start();
    let api = master.api();
    let mut events = master.events();
    let before = api.instance(KEY_ID);
    for body in [
        json!({}),
        json!({"alias": "x"}),
        json!({"action": "stop"}),
        json!({"action": "start"}),
        json!({"action": "reset"}),
        json!({"action": "explode"}),
        json!({"restart": true}),
        json!({"meta": {"tags": {"a": "b"}}}),
        json!({"alias": "x".repeat(300)}),
    ] {
        let answer = api.patch(KEY_ID, &body).expect(200).json();
        assert_eq!(answer, before, "{body:.60}");
    }
    assert_eq!(api.instance(KEY_ID), before);
    api.create("stub://witness");
    let next = events.wait_for("any event after the initial one", |event| event.kind != "initial");
    assert_eq!(next.kind, "create", "no event came without a change");
}

#[test]
fn put_and_delete_of_the_key_instance_are_forbidden() {
    let master = Master::start();
    let api = master.api();
    api.put(KEY_ID, "stub://x").expect_error(403);
    api.delete(KEY_ID).expect_error(403);
    assert_eq!(api.instance(KEY_ID)["url"], master.key());
}

#[test]
fn put_of_the_same_url_is_a_conflict() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let started = master.mark("started");
    let script = Script::new().mark(&started).wait();
    let id = master.run(&mut events, &script);
    started.wait(1);
    api.put(&id, &script.url()).expect_error(409);
    api.put(&id, &script.url_at("STUB://x")).expect_error(409);
    assert_eq!(api.status(&id), "running");
    assert_eq!(started.count(), 1, "the process goes on");
}

#[test]
fn put_replaces_url_and_type_and_starts() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let (old, new) = (master.mark("old"), master.mark("new"));
    let counters = Script::new().checkpoint([1, 2, 3, 4, 5, 10, 20, 30, 40]).mark(&old).wait();
    let id = master.run(&mut events, &counters);
    events.wait_value(&id, "udptx", 40);
    let meta = json!({"tags": {"kept": "yes"}});
    api.patch(&id, &json!({"alias": "kept", "restart": false, "meta": meta})).expect(200);
    let first = old.wait(1)[0].pid;
    let script = Script::new().mark(&new).wait();
    let answer = api.put(&id, &script.url_at("Other://Host")).expect(200).json();
    assert!(!is_alive(first), "the old process is gone before the answer");
    assert_eq!(answer["url"], script.url_at("other://Host"));
    assert_eq!(answer["type"], "other");
    assert_eq!(answer["status"], "running");
    assert_eq!(answer["id"], *id);
    assert_eq!((&answer["alias"], &answer["restart"]), (&json!("kept"), &json!(false)));
    assert_eq!(answer["meta"]["tags"]["kept"], "yes");
    assert_eq!(answer["udptx"], 40, "totals are kept");
    new.wait(1);
    assert_eq!(old.count(), 1);
}

#[test]
fn put_starts_what_was_stopped_or_in_error() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let id = master.run(&mut events, &Script::new().wait());
    api.act(&id, "stop");
    events.wait_status(&id, "stopped");
    let broken = api.run_once(&Script::new().exit(3));
    events.wait_status(&broken, "error");
    let started = master.mark("started");
    for id in [id, broken] {
        let answer = api.put(&id, &Script::new().mark(&started).wait().url()).expect(200);
        assert_eq!(answer.json()["status"], "running");
    }
    started.wait(2);
}

#[test]
fn a_refused_put_changes_nothing() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let id = master.run(&mut events, &Script::new().wait());
    let before = api.instance(&id);
    for url in ["", "nosch", "/x", "master://x", "MASTER://x", "stub://a b", "stub://%zz", "x\n:"] {
        api.put(&id, url).expect_error(400);
    }
    assert_eq!(api.instance(&id), before);
}

#[test]
fn delete_answers_once_the_child_is_gone() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let started = master.mark("started");
    let slow = Script::new().step(Step::SleepMs(300)).exit(9);
    let id = master.run(&mut events, &Script::new().on_term(slow).mark(&started).wait());
    let pid = started.wait(1)[0].pid;
    let response = api.delete(&id).expect(204);
    assert!(response.body.is_empty());
    assert!(!is_alive(pid), "the child is gone before the answer");
    let deleted = events.wait_for("the delete event", |event| event.kind == "delete");
    assert_eq!(deleted.instance["id"], *id);
    assert_eq!(deleted.instance["status"], "stopped");
    api.get(&format!("/instances/{id}")).expect_error(404);
    api.patch(&id, &json!({"alias": "x"})).expect_error(404);
    api.put(&id, "stub://x").expect_error(404);
    api.delete(&id).expect_error(404);
    assert_eq!(api.list().len(), 1);
}

#[test]
fn delete_of_what_does_not_run() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let broken = api.run_once(&Script::new().exit(3));
    events.wait_status(&broken, "error");
    let stopped = api.run(&Script::new());
    events.wait_status(&stopped, "stopped");
    for id in [broken, stopped] {
        api.delete(&id).expect(204);
        let deleted = events.wait_for("the delete event", |event| event.kind == "delete");
        assert_eq!(
            (&deleted.instance["id"], &deleted.instance["status"]),
            (&json!(id), &json!("stopped"))
        );
    }
}

/// A delete is the last word about an instance: a client that applies a later event would show
/// it again.
#[test]
fn nothing_is_published_about_a_deleted_instance() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    // In bursts, so that this reader keeps up.
    let burst = Step::Repeat(20, Script::new().print("talk").checkpoint([1; 9]));
    let flood =
        Script::new().step(Step::Repeat(0, Script::new().step(burst).step(Step::SleepMs(1))));
    for _ in 0..5 {
        let id = master.run(&mut events, &flood);
        events.wait_log(&id, "talk");
        api.delete(&id).expect(204);
        let witness = master.run(&mut events, &Script::new().wait());
        api.delete(&witness).expect(204);
        events.wait_for("the witness's end", |event| {
            event.kind == "delete" && event.instance["id"] == *witness
        });
        let all = events.events();
        let of_id: Vec<_> = all.iter().filter(|event| event.instance["id"] == *id).collect();
        assert_eq!(of_id.last().map(|event| event.kind.as_str()), Some("delete"));
    }
}

#[test]
fn a_child_of_a_deleted_instance_does_not_come_back() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let started = master.mark("started");
    let id = master.run(&mut events, &Script::new().mark(&started).wait());
    let pid = started.wait(1)[0].pid;
    api.act(&id, "restart");
    api.delete(&id).expect(204);
    wait_gone(pid);
    let left: Vec<_> = started.entries().into_iter().filter(|entry| is_alive(entry.pid)).collect();
    assert_eq!(left, []);
}
