//! Control contract A "Commands", "Event store"; B 2; D 8-10: the socket of one instance.

use std::time::{Duration, Instant};

use openctrl_tests::control::{Sockets, Wire};
use openctrl_tests::{Master, Script, until};
use serde_json::{Value, json};

fn start(script: &Script) -> (Master, Sockets, String) {
    let (master, sockets) = Sockets::start();
    let id = create(&master, "web", script);
    (master, sockets, id)
}

fn create(master: &Master, alias: &str, script: &Script) -> String {
    let body = json!({"url": script.url(), "alias": alias});
    let answer = master.api().post("/instances", &body).expect(201).json();
    answer["id"].as_str().expect("an id").to_owned()
}

fn events(sockets: &Sockets, query: &str) -> Value {
    sockets.managed("web", "GET", &format!("/v1/events?{query}")).expect(200).json()
}

fn topics(answer: &Value) -> Vec<&str> {
    let events = answer["events"].as_array().expect("never null");
    events.iter().map(|event| event["topic"].as_str().expect("a topic")).collect()
}

fn cursor(answer: &Value) -> u64 {
    answer["cursor"].as_str().expect("a cursor").parse().expect("digits")
}

#[test]
fn health_and_status_are_those_of_the_instance() {
    let (_master, sockets, _) = start(&Script::new().wait());
    sockets.wait_phase("web", "Running");
    let healthz = sockets.managed("web", "GET", "/v1/healthz").expect(200);
    assert_eq!(healthz.body, "{\"status\":\"ok\"}\n");
    for method in ["GET", "POST", "DELETE", "HEAD"] {
        sockets.managed("web", method, "/v1/status").expect(200);
    }
    let status = sockets.managed("web", "GET", "/v1/status").json();
    assert_eq!(status["kind"], "DaemonStatus");
    let daemon =
        json!({"name": "openctrl-process-web", "kind": "openctrl-process", "instance": "web"});
    assert_eq!(status["daemon"], daemon);
    assert_eq!((&status["phase"], &status["health"]), (&json!("Running"), &json!("ok")));
    let resource = json!({"apiVersion": "openctrl/v1alpha1", "kind": "Process", "name": "web"});
    assert_eq!(status["resources"][0]["resource"], resource);
    assert_eq!(status["resources"][0]["conditions"], status["conditions"]);
    assert_eq!(status["observed"]["starts"], "1");
    let missing = sockets.managed("web", "GET", "/v1/nothing").expect(404);
    assert_eq!(missing.body, "404 page not found\n");
    assert_eq!(missing.header("Content-Type"), Some("text/plain; charset=utf-8"));
}

#[test]
fn a_stopped_instance_has_a_health_that_is_not_known() {
    let (master, sockets, id) = start(&Script::new().wait());
    sockets.wait_phase("web", "Running");
    master.api().act(&id, "stop");
    sockets.wait_phase("web", "Stopped");
    assert_eq!(sockets.managed("web", "GET", "/v1/healthz").body, "{\"status\":\"unknown\"}\n");
    assert_eq!(sockets.managed("web", "GET", "/v1/status").json()["phase"], "Stopped");
}

#[test]
fn events_are_those_of_the_instance_in_their_order() {
    let (master, sockets, _) = start(&Script::new().wait());
    create(&master, "other", &Script::new().wait());
    sockets.wait_phase("web", "Running");
    let answer = events(&sockets, "");
    assert_eq!(
        topics(&answer),
        [
            "openctrl.instance.created",
            "routerd.daemon.lifecycle.started",
            "routerd.daemon.lifecycle.ready",
            "routerd.daemon.health.changed",
        ],
        "changes of the stored status are not among them"
    );
    let first = &answer["events"][0];
    assert_eq!(
        (&first["kind"], &first["type"], &first["topic"]),
        (
            &json!("DaemonEvent"),
            &json!("openctrl.instance.created"),
            &json!("openctrl.instance.created")
        )
    );
    assert_eq!(answer["events"][1]["attributes"]["pid"].as_str().map(str::is_empty), Some(false));
    assert_eq!((answer.get("more"), answer.get("gap")), (None, None));
    let all = cursor(&answer);
    let last = answer["events"].as_array().and_then(|events| events.last()).expect("events");
    assert_eq!(last["cursor"], all.to_string());
    let rest = events(&sockets, &format!("since={all}"));
    assert_eq!((rest["events"].clone(), cursor(&rest)), (json!([]), all));
}

#[test]
fn cursors_move_past_what_a_topic_leaves_out() {
    let (_master, sockets, _) = start(&Script::new().wait());
    sockets.wait_phase("web", "Running");
    let all = cursor(&events(&sockets, ""));
    let ready = events(&sockets, "topic=routerd.*.lifecycle.ready");
    assert_eq!(
        (topics(&ready), cursor(&ready)),
        (Vec::from(["routerd.daemon.lifecycle.ready"]), all)
    );
    let none = events(&sockets, "topic=exec*");
    assert_eq!((none["events"].clone(), cursor(&none)), (json!([]), all));
    assert_eq!(topics(&events(&sockets, "topic=**.created")).len(), 1);
    assert_eq!(topics(&events(&sockets, "topic=openctrl.instance.created.**")).len(), 1);
    let tail = events(&sockets, "tail=true&wait=20s");
    assert_eq!((tail["events"].clone(), cursor(&tail)), (json!([]), all));
    assert_eq!(topics(&events(&sockets, "tail=TRUE")).len(), 4);
    for lenient in ["since=-1", "since=soon", "since="] {
        assert_eq!(topics(&events(&sockets, lenient)).len(), 4, "{lenient}");
    }
    let ahead = events(&sockets, "since=999999&wait=20s");
    assert_eq!((ahead["gap"].clone(), cursor(&ahead)), (json!(true), all));
}

#[test]
fn a_wait_ends_with_an_event_of_its_topic() {
    let (master, sockets, id) = start(&Script::new().wait());
    sockets.wait_phase("web", "Running");
    let since = cursor(&events(&sockets, ""));
    let mut waiting = Wire::open(&sockets.instance("web")).expect("it listens");
    let topic = "routerd.daemon.lifecycle.stopped";
    waiting
        .write("GET", &format!("/v1/events?since={since}&wait=30&topic={topic}"), None)
        .expect("sent");
    let mut other = Wire::open(&sockets.instance("web")).expect("it listens");
    other.write("GET", &format!("/v1/events?since={since}&wait=30s"), None).expect("sent");
    sockets.managed("web", "POST", "/v1/commands/renew").expect(200);
    let woken = other.read("GET").expect("an answer").json();
    assert_eq!(topics(&woken)[0], "routerd.daemon.command.received");
    master.api().act(&id, "stop");
    let answer = waiting.read("GET").expect("an answer").json();
    assert_eq!(topics(&answer), [topic], "events of other topics did not end it");
}

#[test]
fn a_wait_is_over_when_its_time_is() {
    let (_master, sockets, _) = start(&Script::new().wait());
    sockets.wait_phase("web", "Running");
    let since = cursor(&events(&sockets, ""));
    for (wait, least) in [("300ms", 300), ("1", 1_000), ("-5s", 0), ("soon", 0)] {
        let begun = Instant::now();
        let answer = events(&sockets, &format!("since={since}&wait={wait}"));
        assert_eq!((answer["events"].clone(), cursor(&answer)), (json!([]), since), "{wait}");
        assert!(begun.elapsed() >= Duration::from_millis(least), "{wait}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_client_that_goes_ends_its_wait() {
    let (master, sockets, _) = start(&Script::new().wait());
    sockets.wait_phase("web", "Running");
    let since = cursor(&events(&sockets, ""));
    let descriptors =
        || std::fs::read_dir(format!("/proc/{}/fd", master.pid())).expect("/proc").count();
    let before = descriptors();
    let waiting: Vec<Wire> = (0..50)
        .map(|_| {
            let mut wire = Wire::open(&sockets.instance("web")).expect("it listens");
            wire.write("GET", &format!("/v1/events?since={since}&wait=30s"), None).expect("sent");
            wire
        })
        .collect();
    until("all to be connected", || descriptors() >= before + 45);
    drop(waiting);
    until("all to be gone", || descriptors() <= before + 2);
}

#[test]
fn commands_are_in_the_log_before_they_are_answered() {
    let (_master, sockets, _) = start(&Script::new().wait());
    let pid = |process: &Value| process["status"]["observed"]["pid"].clone();
    let process = sockets.wait_phase("web", "Running");
    let since = cursor(&events(&sockets, ""));
    let renew = sockets.managed("web", "POST", "/v1/commands/renew").expect(200).json();
    let expected = json!({"apiVersion": "daemon.routerd.net/v1alpha1", "kind": "CommandResult", "command": "renew", "accepted": true, "message": "accepted"});
    assert_eq!(renew, expected);
    let answer = events(&sockets, &format!("since={since}"));
    assert_eq!(
        topics(&answer),
        ["routerd.daemon.command.received", "routerd.daemon.command.executed"]
    );
    for (event, reason) in answer["events"]
        .as_array()
        .expect("events")
        .iter()
        .zip(["CommandReceived", "CommandExecuted"])
    {
        assert_eq!((&event["reason"], &event["severity"]), (&json!(reason), &json!("info")));
        assert_eq!(event["attributes"], json!({"command": "renew"}));
    }
    assert_eq!(pid(&sockets.process("web")), pid(&process), "renew touches no process");
}

#[test]
fn an_unknown_command_is_rejected() {
    let (_master, sockets, _) = start(&Script::new().wait());
    sockets.wait_phase("web", "Running");
    for (path, command) in [("flush", "flush"), ("Stop", "Stop"), ("", ""), ("a%2Fb/c", "a/b/c")] {
        let since = cursor(&events(&sockets, ""));
        let answer =
            sockets.managed("web", "POST", &format!("/v1/commands/{path}")).expect(400).json();
        assert_eq!((&answer["command"], &answer["accepted"]), (&json!(command), &json!(false)));
        let log = events(&sockets, &format!("since={since}"));
        assert_eq!(
            topics(&log),
            ["routerd.daemon.command.received", "routerd.daemon.command.rejected"]
        );
        assert_eq!(
            (&log["events"][1]["severity"], &log["events"][1]["reason"]),
            (&json!("warning"), &json!("CommandRejected"))
        );
        assert_eq!(log["events"][1]["attributes"], json!({"command": command}));
    }
    assert_eq!(
        sockets.managed("web", "GET", "/v1/commands/renew").expect(405).header("Content-Type"),
        Some("text/plain; charset=utf-8")
    );
    let moved = sockets.managed("web", "POST", "/v1/commands").expect(307);
    assert_eq!(moved.header("Location"), Some("/v1/commands/"));
}

#[test]
fn stop_start_and_reload_act_on_the_process() {
    let (master, sockets, _) = start(&Script::new().wait());
    let pid = |process: &Value| process["status"]["observed"]["pid"].clone();
    let first = pid(&sockets.wait_phase("web", "Running"));
    sockets.managed("web", "POST", "/v1/commands/reload").expect(200);
    until("another process to run", || {
        let process = sockets.process("web");
        process["status"]["phase"] == "Running" && pid(&process) != first
    });
    sockets.managed("web", "POST", "/v1/commands/stop").expect(200);
    sockets.wait_phase("web", "Stopped");
    until("the whole group to be gone", || master.descendants().is_empty());
    // It has no effect on an instance that is stopped, and is still accepted.
    sockets.managed("web", "POST", "/v1/commands/reload").expect(200);
    assert_eq!(sockets.process("web")["status"]["phase"], "Stopped");
    sockets.managed("web", "POST", "/v1/commands/start").expect(200);
    sockets.wait_phase("web", "Running");
}

#[test]
fn a_stop_is_durable_when_it_is_answered() {
    let (mut master, sockets, id) = start(&Script::new().wait());
    // Unless this is set, every instance with a restart policy starts with the master.
    let policy = master.api().request("PATCH", &format!("/instances/{id}/policy"));
    policy.json(&json!({"boot": "saved"})).send().expect(200);
    for (command, phase) in [("stop", "Stopped"), ("start", "Running")] {
        sockets.managed("web", "POST", &format!("/v1/commands/{command}")).expect(200);
        master.kill9();
        master.restart();
        sockets.wait_phase("web", phase);
    }
}

#[test]
fn a_crash_is_told_in_this_order() {
    let (_master, sockets, _) = start(&Script::new().exit(3));
    let expected = [
        "routerd.daemon.lifecycle.crashed",
        "openctrl.instance.restart.scheduled",
        "routerd.daemon.lifecycle.started",
        "routerd.daemon.lifecycle.ready",
    ];
    until("the restart", || {
        let answer = events(&sockets, "");
        let mut topics = topics(&answer).into_iter();
        expected.iter().all(|topic| topics.any(|found| found == *topic))
    });
    let answer = events(&sockets, "topic=routerd.daemon.lifecycle.crashed");
    let crash = &answer["events"][0];
    assert_eq!(
        (&crash["severity"], &crash["attributes"]),
        (&json!("error"), &json!({"exitCode": "3"}))
    );
}
