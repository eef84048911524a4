//! Control contract A "Rules", B 4, 5, D 10-12: what each operator makes of the same events.

use openctrl_tests::control::{Sockets, event_rule, rule};
use openctrl_tests::{Master, Script, until};
use serde_json::{Value, json};

const EXECUTED: &str = "routerd.daemon.command.executed";
const REJECTED: &str = "routerd.daemon.command.rejected";

fn start() -> (Master, Sockets) {
    let (master, sockets) = Sockets::start();
    create(&master, &sockets, "web");
    (master, sockets)
}

fn create(master: &Master, sockets: &Sockets, alias: &str) -> String {
    let body = json!({"url": Script::new().wait().url(), "alias": alias});
    let id = master.api().post("/instances", &body).expect(201).json()["id"].clone();
    sockets.wait_phase(alias, "Running");
    id.as_str().expect("an id").to_owned()
}

/// `x` for a command that is executed, `r` for one that is rejected.
fn command(sockets: &Sockets, commands: &str) {
    for command in commands.chars() {
        let (name, status) = if command == 'x' { ("renew", 200) } else { ("refuse", 400) };
        sockets.managed("web", "POST", &format!("/v1/commands/{name}")).expect(status);
    }
}

/// The stored events with a topic, oldest first.
fn with_topic(sockets: &Sockets, topic: &str) -> Vec<Value> {
    let events = sockets.stored(0).into_iter();
    events.filter(|event| event["topic"] == topic).collect()
}

fn status(sockets: &Sockets, subject: &str) -> Value {
    sockets.get(&format!("/get?subject={subject}")).expect(200).json()["items"][0]["status"].clone()
}

#[test]
fn each_operator_counts_in_its_own_way() {
    let (_master, sockets) = start();
    let patterns = [
        ("all-of", json!({"operator": "all_of", "topics": [EXECUTED, REJECTED]}), 5),
        (
            "all-of-is-literal",
            json!({"operator": "all_of", "topics": ["routerd.daemon.command.*"]}),
            0,
        ),
        ("sequence", json!({"operator": "sequence", "topics": [EXECUTED, REJECTED]}), 2),
        (
            "sequence-strict",
            json!({"operator": "sequence", "topics": [EXECUTED, REJECTED], "strict": true}),
            1,
        ),
        (
            "sequence-is-literal",
            json!({"operator": "sequence", "topics": ["routerd.daemon.command.*"]}),
            0,
        ),
        (
            "window",
            json!({"operator": "window", "topic": REJECTED, "threshold": 2, "window": "1h"}),
            2,
        ),
        ("count", json!({"operator": "count", "topic": EXECUTED, "threshold": 3}), 1),
        ("throttle", json!({"operator": "throttle", "topic": REJECTED, "interval": "1h"}), 1),
        (
            "throttle-rate",
            json!({"operator": "throttle", "topic": REJECTED, "interval": "1h", "rate": 2}),
            2,
        ),
        ("debounce", json!({"operator": "debounce", "topic": REJECTED, "quiet": "1h"}), 0),
        (
            "absence",
            json!({"operator": "absence", "trigger": EXECUTED, "expected": REJECTED, "duration": "1h"}),
            0,
        ),
        ("any-of", json!({"operator": "any_of", "topic": REJECTED}), 4),
        ("any-of-many", json!({"operator": "any_of", "topics": ["routerd.daemon.command.*"]}), 14),
        ("any-of-deep", json!({"operator": "any_of", "topic": "**.rejected"}), 4),
        (
            "any-of-zero",
            json!({"operator": "any_of", "topic": "routerd.daemon.command.rejected.**"}),
            4,
        ),
        ("any-of-prefix", json!({"operator": "any_of", "topic": "routerd.daemon.command.rej*"}), 0),
        ("any-of-expected", json!({"operator": "any_of", "expected": REJECTED}), 0),
        (
            "no-key",
            json!({"operator": "any_of", "topic": REJECTED, "correlate_by": "attributes.nothing"}),
            0,
        ),
        (
            "no-key-needed",
            json!({"operator": "any_of", "topic": REJECTED, "correlate_by": "attributes.nothing", "allow_missing_correlation": true}),
            4,
        ),
        (
            "by-instance",
            json!({"operator": "count", "topic": REJECTED, "threshold": 4, "correlate_by": "daemon.instance"}),
            1,
        ),
        (
            "by-name",
            json!({"operator": "any_of", "topic": REJECTED, "correlate_by": "resource.name"}),
            4,
        ),
    ];
    let rules: Vec<Value> = patterns
        .iter()
        .map(|(name, pattern, _)| event_rule(name, pattern.clone(), &format!("test.{name}")))
        .collect();
    sockets.apply(&json!(rules));
    command(&sockets, "xxrxrrr");
    let events = sockets.stored(0);
    for (name, pattern, expected) in &patterns {
        let topic = format!("test.{name}");
        let firings = events.iter().filter(|event| event["topic"] == topic.as_str());
        assert_eq!(firings.count(), *expected, "{name}: {pattern}");
        let status = status(&sockets, &format!("EventRule/{name}"));
        assert_eq!(status["phase"], "Active");
        assert_eq!(status["fireCount"].as_u64().unwrap_or_default(), *expected as u64, "{name}");
        assert_eq!(status.get("warningCount"), None, "a missing key is no warning");
        assert_eq!(status.get("lastFiredAt").is_some(), *expected > 0, "{name}");
    }
    let attributes = |topic: &str| with_topic(&sockets, topic)[0]["attributes"].clone();
    assert_eq!(attributes("test.window"), json!({"correlation": "default", "count": "2"}));
    assert_eq!(attributes("test.by-instance"), json!({"correlation": "web", "count": "4"}));
    assert_eq!(attributes("test.by-name"), json!({"correlation": "web"}));
    assert_eq!(sockets.get("/status").json()["status"]["resourceCount"], patterns.len() + 1);
}

#[test]
fn a_rule_that_did_not_change_keeps_its_state() {
    let (_master, sockets) = start();
    let count = |threshold: u64| {
        event_rule(
            "c",
            json!({"operator": "count", "topic": REJECTED, "threshold": threshold}),
            "test.c",
        )
    };
    let other = event_rule("other", json!({"operator": "any_of", "topic": "a"}), "b");
    sockets.apply(&json!([count(2)]));
    command(&sockets, "r");
    sockets.apply(&json!([other, count(2)]));
    command(&sockets, "r");
    assert_eq!(with_topic(&sockets, "test.c").len(), 1, "the first one still counts");
    command(&sockets, "r");
    sockets.apply(&json!([count(3)]));
    command(&sockets, "rr");
    assert_eq!(with_topic(&sockets, "test.c").len(), 1, "another spec starts anew");
}

#[test]
fn a_template_knows_its_event() {
    let (_master, sockets) = start();
    let attributes = json!({
        "type": "${event.type}", "key": "${correlation}", "n": "${count}", "kind": "${resource.kind}",
        "name": "${resource.name}", "version": "${resource.apiVersion}",
        "command": "${attributes.command}", "none": "${attributes.none}",
    });
    let spec = json!({"pattern": {"operator": "any_of", "topic": REJECTED}, "emit": {"topic": "test.t", "attributes": attributes}});
    sockets.apply(&json!([rule("EventRule", "t", spec)]));
    command(&sockets, "r");
    let expected = json!({
        "type": REJECTED, "key": "default", "n": "0", "kind": "Process", "name": "web",
        "version": "openctrl/v1alpha1", "command": "refuse", "none": "${attributes.none}",
        "correlation": "default",
    });
    assert_eq!(with_topic(&sockets, "test.t")[0]["attributes"], expected);
}

fn derived(name: &str, spec: Value) -> Value {
    let mut spec = spec;
    spec["topic"] = json!(format!("test.{name}"));
    rule("DerivedEvent", name, spec)
}

fn phase_of(name: &str) -> Value {
    json!({"field": format!("${{Process/{name}.status.phase}}"), "equals": "Running"})
}

#[test]
fn a_derived_event_has_two_conditions() {
    let (master, sockets) = start();
    create(&master, &sockets, "db");
    sockets.apply(&json!([
        derived("both", json!({"inputs": [phase_of("web"), phase_of("db")]})),
        derived(
            "either",
            json!({"inputs": [phase_of("web"), phase_of("db")], "emitWhen": "any_true"})
        ),
        derived(
            "latched",
            json!({"inputs": [phase_of("web"), phase_of("db")], "retractWhen": "all_false"})
        ),
        derived("odd", json!({"inputs": [{"field": "a word"}], "emitInitial": true})),
        derived(
            "groups",
            json!({"inputs": [{"any_of": [[phase_of("web"), phase_of("no")], [phase_of("db")]]}]})
        ),
    ]));
    let asserted =
        |name: &str| status(&sockets, &format!("DerivedEvent/{name}"))["asserted"].clone();
    for name in ["both", "either", "latched", "groups"] {
        assert_eq!(asserted(name), true, "{name}");
        assert_eq!(with_topic(&sockets, &format!("test.{name}.asserted")).len(), 0, "silent");
    }
    assert_eq!(with_topic(&sockets, "test.odd.retracted").len(), 1, "it reads as empty");
    sockets.managed("web", "POST", "/v1/commands/stop").expect(200);
    until("the first to be retracted", || asserted("both") == false);
    for name in ["either", "latched", "groups"] {
        assert_eq!(asserted(name), true, "{name}");
    }
    sockets.managed("db", "POST", "/v1/commands/stop").expect(200);
    for name in ["either", "latched", "groups"] {
        until(&format!("{name} to be retracted"), || asserted(name) == false);
        let events = with_topic(&sockets, &format!("test.{name}.retracted"));
        assert_eq!(events.len(), 1, "{name}");
        assert_eq!(
            (&events[0]["reason"], &events[0]["attributes"], &events[0]["sourceInstance"]),
            (&json!("DerivedEventRetracted"), &json!({"asserted": "false"}), &json!(name))
        );
        let status = status(&sockets, &format!("DerivedEvent/{name}"));
        assert_eq!(
            (&status["phase"], &status["pendingTransition"]),
            (&json!("Retracted"), &json!("None"))
        );
        assert!(status["lastRetractedAt"].is_string() && status.get("lastAssertedAt").is_none());
    }
}

#[test]
fn hysteresis_holds_both_ways() {
    let (_master, sockets) = start();
    sockets.apply(&json!([
        derived("calm", json!({"inputs": [phase_of("web")], "hysteresis": "1h"})),
        derived("quick", json!({"inputs": [phase_of("web")], "hysteresis": "100ms"})),
    ]));
    let shown = |name: &str| {
        let status = status(&sockets, &format!("DerivedEvent/{name}"));
        ["phase", "asserted", "pendingTransition"].map(|field| status[field].clone())
    };
    let settled = [json!("Asserted"), json!(true), json!("None")];
    assert_eq!(shown("calm"), settled);
    sockets.managed("web", "POST", "/v1/commands/stop").expect(200);
    sockets.wait_event(0, "test.quick.retracted");
    assert_eq!(shown("calm"), [json!("Pending"), json!(true), json!("Retracting")]);
    // Back again: what was pending is off.
    sockets.managed("web", "POST", "/v1/commands/start").expect(200);
    sockets.wait_event(0, "test.quick.asserted");
    assert_eq!(shown("calm"), settled);
    assert_eq!(with_topic(&sockets, "test.calm.retracted"), [] as [Value; 0]);
}
