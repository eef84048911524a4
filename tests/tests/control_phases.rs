//! Control contract A: the rows of the state table, what moves a time, and one event for each fact.

use openctrl_tests::control::Sockets;
use openctrl_tests::script::Step;
use openctrl_tests::{Master, Script, until};
use serde_json::{Value, json};

fn create(master: &Master, alias: &str, restart: bool, script: &Script) -> String {
    let body = json!({"url": script.url(), "alias": alias, "restart": restart});
    let answer = master.api().post("/instances", &body).expect(201).json();
    let id = answer["id"].as_str().expect("an id").to_owned();
    if answer["restart"] != restart {
        master.api().patch(&id, &json!({"restart": restart})).expect(200);
    }
    id
}

/// `<status> <reason>` of a condition.
fn condition(process: &Value, kind: &str) -> String {
    let found = find(process, kind);
    let text = |name: &str| found[name].as_str().expect("a text");
    format!("{} {}", text("status"), text("reason"))
}

fn find<'a>(process: &'a Value, kind: &str) -> &'a Value {
    let conditions = process["status"]["conditions"].as_array().expect("conditions");
    conditions.iter().find(|condition| condition["type"] == kind).expect("it is there")
}

/// Phase, health, daemon phase and the three conditions of an instance; nothing while the main
/// and the managed socket were read on either side of a change.
fn row(sockets: &Sockets, name: &str) -> Vec<String> {
    let process = sockets.process(name);
    let daemon = sockets.managed(name, "GET", "/v1/status").expect(200).json();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let status = &process["status"];
    if daemon["health"] != status["health"] || daemon["resources"][0]["phase"] != status["phase"] {
        return Vec::new();
    }
    let mut row = vec![text(&status["phase"]), text(&status["health"]), text(&daemon["phase"])];
    row.extend(["Ready", "Healthy", "Progressing"].map(|kind| condition(&process, kind)));
    row
}

#[track_caller]
fn wait_row(sockets: &Sockets, name: &str, expected: [&str; 6]) {
    until(&format!("{name} to be {expected:?}"), || row(sockets, name) == expected);
}

#[test]
fn every_state_has_its_row() {
    let (master, sockets) = Sockets::start();
    create(&master, "mute", true, &Script::new().wait());
    wait_row(
        &sockets,
        "mute",
        ["Running", "ok", "Running", "True Running", "True NoCheckpoints", "False Settled"],
    );
    let beat = Script::new().checkpoint([1; 9]).step(Step::SleepMs(1_000));
    create(&master, "beating", true, &Script::new().step(Step::Repeat(0, beat)));
    wait_row(
        &sockets,
        "beating",
        ["Running", "ok", "Running", "True Running", "True CheckpointSeen", "False Settled"],
    );
    let error = Script::new().ignore_term().print("ERROR no route").wait();
    create(&master, "failing", true, &error);
    wait_row(
        &sockets,
        "failing",
        [
            "Unhealthy",
            "failed",
            "Running",
            "False ErrorLogged",
            "False ErrorLogged",
            "True BackOff",
        ],
    );
    let go = master.cue("fail");
    create(&master, "left", false, &Script::new().cue(&go).print("ERROR no route").wait());
    go.give();
    wait_row(
        &sockets,
        "left",
        [
            "Unhealthy",
            "failed",
            "Running",
            "False ErrorLogged",
            "False ErrorLogged",
            "False Settled",
        ],
    );
    create(&master, "crashing", true, &Script::new().exit(3));
    wait_row(
        &sockets,
        "crashing",
        ["Error", "failed", "Blocked", "False BackOff", "False Exited", "True BackOff"],
    );
    let go = master.cue("crash");
    create(&master, "crashed", false, &Script::new().cue(&go).exit(3));
    let die = Script::new().cue(&go).step(Step::Die(9));
    create(&master, "killed", false, &die);
    go.give();
    wait_row(
        &sockets,
        "crashed",
        ["Error", "failed", "Blocked", "False Exited", "False Exited", "False Settled"],
    );
    wait_row(
        &sockets,
        "killed",
        ["Error", "failed", "Blocked", "False Killed", "False Killed", "False Settled"],
    );
    assert_eq!(sockets.process("killed")["status"]["observed"]["lastExit"], "signal 9");
    let id = create(&master, "stubborn", true, &Script::new().ignore_term().print("up").wait());
    wait_row(
        &sockets,
        "stubborn",
        ["Running", "ok", "Running", "True Running", "True NoCheckpoints", "False Settled"],
    );
    master.api().act(&id, "stop");
    wait_row(
        &sockets,
        "stubborn",
        ["Draining", "degraded", "Draining", "False Stopping", "Unknown Stopping", "True Stopping"],
    );
    wait_row(
        &sockets,
        "stubborn",
        ["Stopped", "unknown", "Stopped", "False Stopped", "Unknown NotRunning", "False Settled"],
    );
    let probe = sockets.get("/probe?subject=process").expect(200).json();
    let checks: Vec<String> = probe["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .map(|check| format!("{} {}", check["detail"], check["status"]).replace('"', ""))
        .collect();
    for level in ["Error fail", "Unhealthy fail", "Running pass", "Stopped warn"] {
        assert!(checks.contains(&level.to_owned()), "{level}: {checks:?}");
    }
}

#[test]
fn the_first_status_is_starting_and_a_failed_start_is_blocked() {
    let (master, sockets) = Sockets::start_with(|builder| builder.query("bin", "/no/such/runtime"));
    let id = create(&master, "web", true, &Script::new().wait());
    wait_row(
        &sockets,
        "web",
        ["Error", "failed", "Blocked", "False BackOff", "False StartFailed", "True BackOff"],
    );
    master.api().patch(&id, &json!({"restart": false})).expect(200);
    wait_row(
        &sockets,
        "web",
        ["Error", "failed", "Blocked", "False StartFailed", "False StartFailed", "False Settled"],
    );
    let process = sockets.process("web");
    assert_eq!(process["status"]["reason"], "StartFailed");
    assert!(process["status"]["message"].as_str().is_some_and(|text| text.contains("/no/such")));
    let first = sockets.wait_event(0, "routerd.resource.status.changed");
    assert_eq!(first["attributes"]["phase"], "Starting");
    let failed = sockets.wait_event(0, "openctrl.instance.start.failed");
    assert_eq!((&failed["severity"], &failed["reason"]), (&json!("error"), &json!("StartFailed")));
}

#[test]
fn the_worst_phase_is_that_of_the_whole() {
    let (master, sockets) = Sockets::start();
    let overall = || {
        let status = sockets.get("/status").expect(200).json()["status"].clone();
        (status["phase"].clone(), status["resourceCount"].clone())
    };
    assert_eq!(overall().0, "Healthy", "without any resource");
    let id = create(&master, "slow", true, &Script::new().ignore_term().print("up").wait());
    sockets.wait_phase("slow", "Running");
    assert_eq!(overall(), (json!("Healthy"), json!(1)));
    master.api().act(&id, "stop");
    sockets.wait_phase("slow", "Draining");
    assert_eq!(overall(), (json!("Pending"), json!(1)));
    create(&master, "bad", true, &Script::new().exit(1));
    sockets.wait_phase("bad", "Error");
    assert_eq!(overall(), (json!("Error"), json!(2)));
}

#[test]
fn a_time_moves_only_with_what_it_is_of() {
    let (master, sockets) = Sockets::start();
    let go = master.cue("fail");
    let script = Script::new().checkpoint([1; 9]).cue(&go).print("ERROR no route").wait();
    create(&master, "web", false, &script);
    until("the checkpoint to be seen", || {
        condition(&sockets.process("web"), "Healthy") == "True CheckpointSeen"
    });
    let before = sockets.process("web");
    let time = |process: &Value, kind: &str| find(process, kind)["lastTransitionTime"].clone();
    go.give();
    let after = sockets.wait_phase("web", "Unhealthy");
    assert_ne!(before["status"]["since"], after["status"]["since"], "the phase changed");
    assert_ne!(time(&before, "Ready"), time(&after, "Ready"));
    assert_ne!(time(&before, "Healthy"), time(&after, "Healthy"));
    assert_eq!(time(&before, "Progressing"), time(&after, "Progressing"), "it was False before");
    // The reason of a condition changes, its status does not.
    let id = after["status"]["id"].as_str().expect("an id").to_owned();
    master.api().patch(&id, &json!({"restart": true})).expect(200);
    let moved = sockets.process("web");
    assert_eq!(time(&after, "Ready"), time(&moved, "Ready"));
}

#[test]
fn checkpoints_and_lines_alone_make_no_event() {
    let (master, sockets) = Sockets::start();
    let beat = Script::new().checkpoint([1; 9]).print("a line").step(Step::SleepMs(100));
    create(&master, "web", true, &Script::new().step(Step::Repeat(0, beat)));
    until("the checkpoint to be seen", || {
        condition(&sockets.process("web"), "Healthy") == "True CheckpointSeen"
    });
    let seen = sockets.process("web");
    let head = sockets.head();
    until("more checkpoints", || {
        let observed = sockets.process("web")["status"]["observed"].clone();
        observed["lastCheckpoint"] != seen["status"]["observed"]["lastCheckpoint"]
    });
    let later = sockets.process("web");
    assert_eq!(sockets.stored_of("web", head), [] as [Value; 0]);
    for field in ["phase", "since", "conditions"] {
        assert_eq!(later["status"][field], seen["status"][field], "{field}");
    }
}

#[test]
fn every_fact_is_one_event() {
    let (master, sockets) = Sockets::start();
    let go = master.cue("end");
    let id = create(&master, "web", false, &Script::new().cue(&go).exit(0));
    sockets.wait_phase("web", "Running");
    let topics = |since: u64| -> Vec<String> {
        let events = sockets.stored_of("web", since);
        events.iter().map(|event| event["topic"].as_str().expect("a topic").to_owned()).collect()
    };
    let started = sockets.wait_event(0, "routerd.daemon.lifecycle.started");
    let pid = started["attributes"]["pid"].as_str().expect("a number").to_owned();
    assert_eq!(pid, sockets.process("web")["status"]["observed"]["pid"]);
    let ready = topics(0);
    let ready = ready.iter().filter(|topic| topic.ends_with(".ready")).count();
    assert_eq!(ready, 1, "once a process");
    let health = sockets.wait_event(0, "routerd.daemon.health.changed");
    assert_eq!(health["attributes"], json!({"health": "ok", "previousHealth": "unknown"}));

    let head = sockets.head();
    go.give();
    let stopped = sockets.wait_event(head, "routerd.daemon.lifecycle.stopped");
    assert_eq!(
        (&stopped["severity"], &stopped["attributes"]),
        (&json!("info"), &json!({"exitCode": "0"})),
        "exit status 0 is a stop"
    );
    sockets.wait_phase("web", "Stopped");
    assert!(!topics(head).iter().any(|topic| topic.ends_with(".crashed")));

    create(&master, "killed", false, &Script::new().step(Step::Die(9)));
    let crashed = sockets.wait_event(head, "routerd.daemon.lifecycle.crashed");
    assert_eq!(
        (&crashed["severity"], &crashed["reason"], &crashed["attributes"]),
        (&json!("error"), &json!("Killed"), &json!({"signal": "9"}))
    );

    let head = sockets.head();
    master.api().request("DELETE", &format!("/instances/{id}")).send().expect(204);
    assert_eq!(topics(head), ["openctrl.instance.deleted"]);
    let deleted = &sockets.stored_of("web", head)[0];
    assert_eq!(
        (&deleted["sourceKind"], &deleted["sourceInstance"], &deleted["reason"]),
        (&json!("openctrl-process"), &json!("web"), &json!("Deleted"))
    );
}

#[test]
fn a_restarted_process_is_ready_again_and_a_stop_is_not_undone() {
    let (master, sockets) = Sockets::start();
    create(&master, "web", true, &Script::new().wait());
    sockets.wait_phase("web", "Running");
    let head = sockets.head();
    sockets.managed("web", "POST", "/v1/commands/reload").expect(200);
    sockets.wait_event(head, "routerd.daemon.lifecycle.ready");
    let head = sockets.head();
    sockets.managed("web", "POST", "/v1/commands/stop").expect(200);
    sockets.wait_phase("web", "Stopped");
    assert_eq!(sockets.process("web")["spec"]["restart"], true);
    sockets.managed("web", "POST", "/v1/commands/renew").expect(200);
    assert_eq!(sockets.process("web")["status"]["phase"], "Stopped");
    let events = sockets.stored(head);
    let topics: Vec<&str> = events.iter().filter_map(|event| event["topic"].as_str()).collect();
    assert!(!topics.contains(&"routerd.daemon.lifecycle.started"), "{topics:?}");
    assert!(!topics.contains(&"openctrl.instance.restart.scheduled"), "{topics:?}");
    assert!(topics.contains(&"routerd.daemon.lifecycle.stopped"), "{topics:?}");
}
