//! Contract §5: PATCH of ordinary instances.

use openctrl_tests::{Api, Event, Master, Script, Sse};
use serde_json::{Value, json};

/// Fails if anything about `id` is published before a change that is made now.
fn assert_silent(api: &Api, events: &mut Sse, id: &str) {
    let witness = format!("witness-{}", events.events().len());
    api.patch(id, &json!({ "alias": witness })).expect(200);
    let next = events.wait_for("the next change", |event| event.is_change_of(id));
    assert_eq!(next.instance["alias"], *witness, "an event came without a change");
}

fn idle(master: &Master, events: &mut Sse) -> String {
    master.run(events, &Script::new().wait())
}

#[test]
fn every_field_can_be_changed_and_the_answer_shows_it() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let id = idle(&master, &mut events);
    let meta = json!({
        "peer": {"sid": "site-1", "type": "edge", "alias": "Site 1"},
        "tags": {"region": "us-east", "env": "prod"},
    });
    let body = json!({"alias": "edge-b", "restart": false, "meta": meta});
    let answer = api.patch(&id, &body).expect(200).json();
    assert_eq!(answer["alias"], "edge-b");
    assert_eq!(answer["restart"], false);
    assert_eq!(answer["meta"], meta);
    assert_eq!(api.instance(&id), answer, "a client reads its own writes");
    let update = events.wait_for("the update", |event| event.is_change_of(&id));
    assert_eq!((update.kind.as_str(), &update.instance), ("update", &answer));
}

#[test]
fn a_refused_patch_changes_nothing() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let id = idle(&master, &mut events);
    let before = api.instance(&id);
    let long = "x".repeat(257);
    for bad in [
        json!({"action": "explode"}),
        json!({"action": "Start"}),
        json!({"action": "stop", "meta": {"tags": {"k": long}}}),
        json!({"action": "stop", "alias": long}),
        json!({"action": "restart", "restart": "no"}),
        json!({"action": "reset", "meta": {"peer": {"sid": long}}}),
        json!({"meta": {"tags": {"good": "1", "bad": 2}}}),
        json!({"meta": {"peer": {"sid": "good"}, "tags": {long: ""}}}),
    ] {
        let mut body = json!({"alias": "new", "restart": false});
        let fields = bad.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(fields);
        let response = api.patch(&id, &body);
        assert_eq!(response.status, 400, "{bad:.80}: {}", response.text());
        response.expect_error(400);
        assert_eq!(api.instance(&id), before, "{bad:.80}");
    }
    assert_silent(&api, &mut events, &id);
    assert_eq!(api.status(&id), "running");
}

#[test]
fn limits_are_256_bytes() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let id = idle(&master, &mut events);
    // 'é' is two bytes: 128 of them fit, 129 do not although they are fewer than 256 characters.
    let (fits, too_long) = (["a".repeat(256), "é".repeat(128)], ["a".repeat(257), "é".repeat(129)]);
    let bodies = |text: &str| {
        [
            json!({ "alias": text }),
            json!({"meta": {"peer": {"sid": text}}}),
            json!({"meta": {"peer": {"type": text}}}),
            json!({"meta": {"peer": {"alias": text}}}),
            json!({"meta": {"tags": {"key": text}}}),
            json!({"meta": {"tags": {text: "value"}}}),
        ]
    };
    for body in fits.iter().flat_map(|text| bodies(text)) {
        api.patch(&id, &body).expect(200);
    }
    for body in too_long.iter().flat_map(|text| bodies(text)) {
        let response = api.patch(&id, &body);
        assert_eq!(response.status, 400, "{body:.60}: {}", response.text());
    }
    for text in &fits {
        let info = api.post("/info", &json!({ "alias": text })).expect(200).json();
        assert_eq!(info["alias"], **text);
    }
    for text in &too_long {
        api.post("/info", &json!({ "alias": text })).expect_error(400);
    }
    assert_eq!(api.get("/info").expect(200).json()["alias"], *fits[1]);
}

#[test]
fn an_empty_alias_means_no_change_here_and_clears_the_masters() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let id = idle(&master, &mut events);
    api.patch(&id, &json!({"alias": "kept"})).expect(200);
    let answer = api.patch(&id, &json!({"alias": "", "restart": false})).expect(200).json();
    assert_eq!(answer["alias"], "kept");
    assert_eq!(answer["restart"], false);
    api.post("/info", &json!({"alias": "gone"})).expect(200);
    let info = api.post("/info", &json!({"alias": ""})).expect(200).json();
    assert_eq!(info["alias"], "");
    assert_eq!(api.get("/info").expect(200).json()["alias"], "");
}

#[test]
fn meta_is_replaced_part_by_part() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let id = idle(&master, &mut events);
    let patch =
        |meta: Value| api.patch(&id, &json!({ "meta": meta })).expect(200).json()["meta"].clone();
    let peer =
        |sid: &str, kind: &str, alias: &str| json!({"sid": sid, "type": kind, "alias": alias});
    patch(json!({"peer": peer("s", "t", "a"), "tags": {"k": "v", "l": "w"}}));
    let meta = patch(json!({"peer": {"type": "only"}}));
    let tags = json!({"k": "v", "l": "w"});
    assert_eq!(meta, json!({"peer": peer("", "only", ""), "tags": tags}), "tags stay");
    let meta = patch(json!({"tags": {"m": "x"}}));
    assert_eq!(meta, json!({"peer": peer("", "only", ""), "tags": {"m": "x"}}), "peer stays");
    let meta = patch(json!({"peer": {}}));
    assert_eq!(meta, json!({"peer": peer("", "", ""), "tags": {"m": "x"}}));
    let response = api.patch(&id, &json!({"meta": {"tags": {}}})).expect(200);
    assert!(response.text().contains("\"tags\":{}"), "{}", response.text());
}

#[test]
fn an_event_comes_only_with_a_change() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let id = idle(&master, &mut events);
    api.patch(&id, &json!({"alias": "same", "restart": false})).expect(200);
    events.wait_for("the change", |event| event.instance["alias"] == "same");
    for body in [
        json!({}),
        json!({"alias": "same"}),
        json!({"alias": ""}),
        json!({"restart": false}),
        json!({"alias": "same", "restart": false, "meta": null}),
        json!({"action": "start"}),
    ] {
        api.patch(&id, &json!({"alias": "same"})).expect(200);
        api.patch(&id, &body).expect(200);
        assert_silent(&api, &mut events, &id);
        api.patch(&id, &json!({"alias": "same"})).expect(200);
        events.wait_for("the name again", |event| event.instance["alias"] == "same");
    }
    for meta in [json!({}), json!({"tags": {}}), json!({"peer": {}})] {
        api.patch(&id, &json!({ "meta": meta })).expect(200);
        let update = events.wait_for("an update", |event| event.is_change_of(&id));
        assert_eq!(update.instance["alias"], "same", "any meta object counts as a change");
    }
}

#[test]
fn start_acts_only_on_stopped() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let started = master.mark("started");
    let id = master.run(&mut events, &Script::new().mark(&started).wait());
    started.wait(1);
    api.act(&id, "start");
    assert_silent(&api, &mut events, &id);
    assert_eq!(started.count(), 1, "a running instance is not started again");

    api.act(&id, "stop");
    events.wait_status(&id, "stopped");
    api.act(&id, "start");
    events.wait_status(&id, "running");
    started.wait(2);

    let failed = master.mark("failed");
    let broken = api.run_once(&Script::new().mark(&failed).exit(3));
    events.wait_for("the error without a policy", |event| {
        event.is_change_of(&broken)
            && event.instance["status"] == "error"
            && event.instance["restart"] == false
    });
    api.act(&broken, "start");
    assert_silent(&api, &mut events, &broken);
    assert_eq!(api.status(&broken), "error");
    assert_eq!(failed.count(), 1, "an instance in error is not started");
}

#[test]
fn start_leaves_an_error_with_a_live_process_alone() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let started = master.mark("started");
    let go = master.cue("go");
    let script = Script::new().mark(&started).cue(&go).print("an ERROR").wait();
    let id = master.run(&mut events, &script);
    api.patch(&id, &json!({"restart": false})).expect(200);
    go.give();
    events.wait_status(&id, "error");
    api.act(&id, "start");
    assert_silent(&api, &mut events, &id);
    assert_eq!(api.status(&id), "error");
    assert_eq!(started.count(), 1);
}

#[test]
fn stop_ends_an_error() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let id = api.run_once(&Script::new().exit(3));
    events.wait_status(&id, "error");
    api.act(&id, "stop");
    events.wait_status(&id, "stopped");
    assert_eq!(api.status(&id), "stopped");
    api.act(&id, "stop");
    assert_silent(&api, &mut events, &id);
    assert_eq!(api.status(&id), "stopped", "to stop what is stopped does nothing");
}

#[test]
fn restart_is_stop_then_start_from_any_state() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let started = master.mark("started");
    let once = master.cue("once");
    let script = Script::new().mark(&started).cue(&once).wait();
    let id = master.run(&mut events, &script);
    let first = started.wait(1)[0].pid;
    api.act(&id, "restart");
    let second = started.wait(2)[1].pid;
    assert_ne!(first, second);
    openctrl_tests::process::wait_gone(first);
    events.wait_status(&id, "stopped");
    events.wait_status(&id, "running");
    api.act(&id, "stop");
    events.wait_status(&id, "stopped");
    api.act(&id, "restart");
    events.wait_status(&id, "running");
    started.wait(3);

    let runs = master.mark("runs");
    let broken = api.run_once(&Script::new().mark(&runs).exit(3));
    events.wait_status(&broken, "error");
    runs.wait(1);
    api.act(&broken, "restart");
    runs.wait(2);
    events.wait_status(&broken, "error");
}

#[test]
fn reset_is_applied_before_the_answer() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let script = Script::new().checkpoint([1, 2, 3, 4, 5, 100, 200, 300, 400]).wait();
    let id = master.run(&mut events, &script);
    events.wait_value(&id, "udptx", 400);
    let answer = api.act(&id, "reset");
    for counter in ["tcprx", "tcptx", "udprx", "udptx"] {
        assert_eq!(answer[counter], 0, "{counter}");
    }
    for (metric, value) in [("mode", 1), ("ping", 2), ("pool", 3), ("tcps", 4), ("udps", 5)] {
        assert_eq!(answer[metric], value, "{metric} is not a byte counter");
    }
    assert_eq!(answer["status"], "running");
    let update: Event = events.wait_value(&id, "udptx", 0);
    assert_eq!(update.instance["tcprx"], 0);
}

#[test]
fn an_action_and_fields_go_together() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let id = idle(&master, &mut events);
    let body = json!({"action": "stop", "alias": "parked", "meta": {"tags": {"a": "b"}}});
    let answer = api.patch(&id, &body).expect(200).json();
    assert_eq!(answer["alias"], "parked");
    assert_eq!(answer["meta"]["tags"]["a"], "b");
    let stopped = events.wait_status(&id, "stopped");
    assert_eq!(stopped.instance["alias"], "parked");
}
