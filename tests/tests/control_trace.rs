//! Traces of a master with the control API (docs/operators/TRACE.md): its events and rules replay
//! to the same digests, across a kill, and hold no secret.

use std::fs;
use std::path::Path;

use openctrl_tests::control::{Sockets, event_rule, rule};
use openctrl_tests::master::run_to_end;
use openctrl_tests::state::segments;
use openctrl_tests::{Master, Script, until};
use serde_json::{Value, json};

/// Part of every text that must not be found.
const SECRET: &str = "hush";

/// Replays all segments, which must be equal; the timeline.
fn replayed(directory: &Path) -> String {
    let path = directory.to_str().expect("a test's path is UTF-8");
    let replayed = run_to_end(&["replay", path]);
    let (out, errors) = (&replayed.stdout, &replayed.stderr);
    assert_eq!(replayed.status.code(), Some(0), "{out}\n{errors}");
    let verdicts: Vec<&str> = out.lines().filter(|it| it.contains("of the control API")).collect();
    assert!(!verdicts.is_empty(), "{out}");
    let are_equal = verdicts.iter().all(|verdict| verdict.ends_with(" checked: all equal"));
    assert!(are_equal, "{verdicts:?}");
    assert!(!out.contains(SECRET), "{out}");
    out.clone()
}

/// Rules of several operators, two of them timed, with secrets wherever a text may be one.
fn rules() -> Value {
    let of_web = json!({"operator": "any_of", "topic": "routerd.daemon.lifecycle.*", "correlate_by": "resource.name"});
    let quiet = json!({"operator": "debounce", "topic": "routerd.daemon.command.*", "quiet": "50ms", "correlate_by": "attributes.command"});
    let missing = json!({"operator": "absence", "trigger": "routerd.daemon.lifecycle.crashed", "expected": "no.such", "duration": "50ms"});
    let mut noisy = event_rule("noisy", of_web, "r.noisy");
    noisy["spec"]["emit"]["attributes"] = json!({"token": SECRET});
    let field = format!("${{Process/{SECRET}.status.phase}}");
    let inputs = json!([{"field": field, "equals": "Running"}]);
    let up = json!({"topic": "d.up", "inputs": inputs, "emitInitial": true, "hysteresis": "50ms"});
    json!([
        noisy,
        event_rule("quiet", quiet, "r.quiet"),
        event_rule("missing", missing, "r.missing"),
        rule("DerivedEvent", "up", up),
    ])
}

/// What clients of the control API do in a day.
fn live(master: &Master, sockets: &Sockets) {
    let api = master.api();
    sockets.apply(&rules());
    let web = json!({"url": Script::new().wait().url(), "alias": SECRET});
    api.post("/instances", &web).expect(201);
    let since = sockets.head();
    sockets.wait_phase(SECRET, "Running");
    sockets.wait_event(0, "d.up.asserted");
    let secret = format!("/v1/commands/{SECRET}");
    for (command, status) in [("/v1/commands/renew", 200), (&secret, 400)] {
        sockets.managed(SECRET, "POST", command).expect(status);
    }
    sockets.wait_event(since, "r.quiet");
    api.post("/instances", &json!({"url": Script::new().exit(3).url(), "alias": "b"})).expect(201);
    sockets.wait_event(since, "r.missing");
    sockets.managed(SECRET, "POST", "/v1/commands/stop").expect(200);
    sockets.wait_event(since, "d.up.retracted");
    sockets.post("/delete", &json!({"target": "EventRule/noisy"})).expect(200);
}

#[test]
fn events_and_firings_replay_equal_across_a_kill() {
    let (mut master, sockets) = Sockets::start();
    live(&master, &sockets);
    let traces = master.folder().join("gob").join("trace");
    // A killed master loses what is not written yet.
    let path = traces.to_str().expect("a test's path is UTF-8");
    until("the deletion to be written", || {
        run_to_end(&["replay", path]).stdout.contains("delete EventRule/noisy")
    });
    master.crash();
    master.restart();
    sockets.managed(SECRET, "POST", "/v1/commands/start").expect(200);
    sockets.wait_phase(SECRET, "Running");
    sockets.wait_event(0, "d.up.asserted");
    master.stop();
    let timeline = replayed(&traces);
    for part in [
        "apply EventRule/noisy, EventRule/quiet, EventRule/missing, DerivedEvent/up",
        "r.missing of rule missing",
        "r.quiet of rule quiet",
        "d.up.asserted of rule up",
        "d.up.retracted of rule up",
        "routerd.daemon.lifecycle.crashed of",
        "CommandReceived(\"renew\")",
        "a rule is due",
        "show EventRule/missing: fired 1 times",
    ] {
        assert!(timeline.contains(part), "{part}: {timeline}");
    }
    for file in segments(&traces) {
        let bytes = fs::read(&file).expect("the segment can be read");
        let found = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        assert!(!found, "{}", file.display());
    }
}

#[test]
fn a_rule_that_compares_messages_is_not_compared() {
    let (mut master, sockets) = Sockets::start();
    let inputs = json!([{"field": "${Process/web.status.message}", "equals": SECRET}]);
    let spec = json!({"topic": "d.said", "inputs": inputs, "emitInitial": true});
    sockets.apply(&json!([rule("DerivedEvent", "said", spec)]));
    sockets.wait_event(0, "d.said.retracted");
    master.stop();
    let timeline = replayed(&master.folder().join("gob").join("trace"));
    assert!(timeline.contains("a rule compares messages"), "{timeline}");
}
