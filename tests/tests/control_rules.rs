//! Control contract A "Rules", B 4, 5, D 10-12: rules over the control socket.

use openctrl_tests::control::{Sockets, event_rule, rule};
use openctrl_tests::{Master, Script, until};
use serde_json::{Value, json};

fn create(master: &Master, alias: &str, script: &Script) -> String {
    let body = json!({"url": script.url(), "alias": alias});
    let answer = master.api().post("/instances", &body).expect(201).json();
    answer["id"].as_str().expect("an id").to_owned()
}

fn any_of(name: &str, topic: &str, emit: &str) -> Value {
    event_rule(name, json!({"operator": "any_of", "topic": topic}), emit)
}

fn status(sockets: &Sockets, subject: &str) -> Value {
    sockets.get(&format!("/get?subject={subject}")).expect(200).json()["items"][0]["status"].clone()
}

#[test]
fn a_rule_is_in_force_when_it_is_answered() {
    let (master, sockets) = Sockets::start();
    let result = sockets.apply(&json!([any_of("born", "openctrl.instance.created", "test.born")]));
    assert_eq!(
        (&result["kind"], &result["result"]["generation"]),
        (&json!("ApplyResult"), &json!(1))
    );
    assert_eq!(result["result"]["resources"][0]["id"], "net.routerd.net/v1alpha1/EventRule/born");
    let head = sockets.head();
    create(&master, "web", &Script::new().wait());
    let event = sockets.wait_event(head, "test.born");
    assert_eq!(
        (&event["sourceKind"], &event["sourceInstance"]),
        (&json!("openctrl-eventrule"), &json!("born"))
    );
    assert_eq!(
        (&event["reason"], &event["message"]),
        (&json!("EventRuleFired"), &json!("event rule fired"))
    );
    assert_eq!(event["attributes"], json!({"correlation": "default"}));
    assert_eq!(
        (&event["resourceKind"], &event["resourceName"]),
        (&json!("EventRule"), &json!("born"))
    );
    let status = status(&sockets, "EventRule/born");
    assert_eq!((&status["phase"], &status["fireCount"]), (&json!("Active"), &json!(1)));
    assert!(status["lastFiredAt"].is_string());
    let items = sockets.get("/controllers").json()["items"].clone();
    assert_eq!(items[1].get("reconcileCount"), None, "there is no DerivedEvent");
    assert!(items[2]["reconcileCount"].as_u64().is_some_and(|count| count > 0), "{items}");
    assert_ne!(items[2]["lastTrigger"], "bootstrap");
}

#[test]
fn rules_survive_a_kill_and_their_spec_is_as_it_was_applied() {
    let (mut master, sockets) = Sockets::start();
    let spec = json!({"pattern": {"operator": "window", "topics": ["a.*"], "window": "90s"}, "emit": {"topic": "t", "attributes": {"n": "1"}}});
    sockets.apply(&json!([rule("EventRule", "w", spec.clone())]));
    master.kill9();
    master.restart();
    let item = sockets.get("/get?subject=EventRule/w").expect(200).json()["items"][0].clone();
    assert_eq!(item["spec"], spec);
    let shown = sockets.get("/status").json();
    assert_eq!(
        (&shown["status"]["generation"], &shown["status"]["resourceCount"]),
        (&json!(1), &json!(1))
    );
    assert!(
        shown["status"]["lastApplyTime"].as_str().is_some_and(|time| !time.starts_with("0001"))
    );
    assert_eq!(shown["status"]["phase"], "Healthy", "rules rank 0");
}

#[test]
fn one_bad_resource_refuses_all() {
    let (_master, sockets) = Sockets::start();
    let good = any_of("good", "a", "b");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut bad = any_of("bad", "a", "b");
        change(&mut bad);
        let candidate = json!({"spec": {"resources": [good, bad]}}).to_string();
        let body = json!({"candidateYaml": candidate});
        let validated = sockets.post("/validate", &body).expect(200).json();
        assert_eq!(validated["valid"], false);
        let message = sockets.post("/apply", &body).error(400);
        assert_eq!(validated["error"], message.as_str());
        assert_eq!(sockets.post("/plan", &body).error(400), message);
        message
    };
    for (change, path) in [
        (
            (&|bad: &mut Value| bad["spec"]["emit"]["topic"] = json!("")) as &dyn Fn(&mut Value),
            "emit.topic",
        ),
        (&|bad| bad["spec"]["pattern"]["correlate_by"] = json!("nonsense"), "correlate_by"),
        (&|bad| bad["apiVersion"] = json!("v1"), "apiVersion"),
        (&|bad| bad["metadata"] = json!({}), "name"),
        (&|bad| bad["kind"] = json!("Interface"), "kind"),
        (&|bad| bad["spec"]["pattern"]["surprise"] = json!(1), "surprise"),
        (&|bad| bad["spec"]["pattern"]["operator"] = json!("most_of"), "operator"),
        (&|bad| bad["spec"]["pattern"]["window"] = json!("5 minutes"), "window"),
        (&|bad| bad["metadata"]["name"] = json!("good"), "name"),
    ] {
        let message = with(change);
        assert!(message.contains(path), "{message}");
    }
    assert_eq!(
        sockets.get("/get?subject=EventRule").expect(200).json().get("items"),
        None,
        "nothing was kept"
    );
    assert_eq!(sockets.get("/status").json()["status"].get("generation"), None);
}

#[test]
fn plans_and_trials_change_nothing() {
    let (_master, sockets) = Sockets::start();
    sockets.apply(&json!([any_of("a", "x", "y"), any_of("b", "x", "y")]));
    let candidate =
        json!({"spec": {"resources": [any_of("a", "x", "y"), any_of("c", "x", "y")]}}).to_string();
    let plan = |replace: bool| {
        let answer = sockets
            .post("/plan", &json!({"candidateYaml": candidate, "replace": replace}))
            .expect(200)
            .json();
        let resources = answer["result"]["resources"].as_array().expect("resources").clone();
        resources
            .iter()
            .map(|resource| resource["plan"][0].as_str().expect("a word").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(plan(false), ["unchanged", "create"]);
    assert_eq!(plan(true), ["unchanged", "delete", "create"]);
    let tried = sockets
        .post("/apply", &json!({"candidateYaml": candidate, "dryRun": true}))
        .expect(200)
        .json();
    assert_eq!(
        (&tried["kind"], &tried["result"]["generation"]),
        (&json!("ApplyResult"), &json!(1))
    );
    let tried = sockets
        .post("/delete", &json!({"target": "EventRule/a", "dryRun": true}))
        .expect(200)
        .json();
    assert_eq!(tried["dryRun"], true);
    let items = sockets.get("/get?subject=EventRule").json()["items"].clone();
    assert_eq!(items.as_array().map(Vec::len), Some(2));
    let deleted = sockets.post("/delete", &json!({"target": "EventRule/a"})).expect(200).json();
    assert_eq!(deleted["deleted"], json!(["net.routerd.net/v1alpha1/EventRule/a"]));
    assert_eq!(sockets.get("/status").json()["status"]["generation"], 2);
    assert_eq!(
        sockets.post("/delete", &json!({"target": "EventRule/a"})).error(400),
        "EventRule/a not found"
    );
    let current = sockets.post("/plan", &json!({})).expect(200).json();
    assert_eq!(current["result"]["resources"][0]["plan"], json!(["unchanged"]));
}

#[test]
fn yaml_is_taken_as_routerctl_sends_it() {
    let (_master, sockets) = Sockets::start();
    let yaml = "apiVersion: routerd.net/v1alpha1\nkind: Router\nmetadata: {name: r}\nspec:\n  resources:\n  - apiVersion: net.routerd.net/v1alpha1\n    kind: DerivedEvent\n    metadata: {name: up}\n    spec:\n      topic: web.up\n      inputs:\n      - field: ${Process/web.status.phase}\n        equals: Running\n      hysteresis: 50ms\n      emitInitial: true\n";
    let body = json!({"apiVersion": "control.routerd.net/v1alpha1", "kind": "ApplyRequest", "candidateYaml": yaml});
    sockets.post("/apply", &body).expect(200);
    let event = sockets.wait_event(0, "web.up.retracted");
    assert_eq!(
        (&event["sourceKind"], &event["attributes"]["asserted"]),
        (&json!("openctrl-derived"), &json!("false"))
    );
    assert_eq!(status(&sockets, "DerivedEvent/up")["phase"], "Retracted");
}

#[test]
fn rules_see_derived_events_and_never_their_own() {
    let (master, sockets) = Sockets::start();
    let derived = rule(
        "DerivedEvent",
        "up",
        json!({"topic": "web.up", "inputs": [{"field": "${Process/web.status.phase}", "equals": "Running"}]}),
    );
    sockets.apply(&json!([
        derived,
        any_of("seen", "web.up.*", "test.seen"),
        any_of("echo", "**", "test.echo")
    ]));
    assert_eq!(sockets.stored(0), [] as [Value; 0], "the first evaluation is silent");
    let id = create(&master, "web", &Script::new().wait());
    sockets.wait_event(0, "test.seen");
    assert_eq!(status(&sockets, "DerivedEvent/up")["asserted"], true);
    master.api().act(&id, "stop");
    sockets.wait_event(0, "web.up.retracted");
    let events = sockets.stored(0);
    let from_rules = |event: &&Value| event["sourceKind"] == "openctrl-eventrule";
    let echoes = events.iter().filter(|event| event["topic"] == "test.echo").count();
    let causes = events.iter().filter(|event| !from_rules(event)).count();
    assert_eq!(echoes, causes, "one echo of each event, none of an echo");
}

#[test]
fn timers_fire_for_the_last_event() {
    let (master, sockets) = Sockets::start();
    let debounce = rule(
        "EventRule",
        "quiet",
        json!({
            "pattern": {"operator": "debounce", "topic": "routerd.daemon.command.executed", "quiet": "3s", "correlate_by": "daemon.instance"},
            "emit": {"topic": "test.quiet", "attributes": {"who": "${resource.name}", "what": "${attributes.command}", "n": "${count}", "x": "${unknown}"}},
        }),
    );
    let absence = rule(
        "EventRule",
        "gone",
        json!({
            "pattern": {"operator": "absence", "trigger": "routerd.daemon.lifecycle.stopped", "expected": "routerd.daemon.lifecycle.started", "duration": "300ms"},
            "emit": {"topic": "test.gone"},
        }),
    );
    sockets.apply(&json!([debounce, absence]));
    let id = create(&master, "web", &Script::new().wait());
    sockets.wait_phase("web", "Running");
    for command in ["renew", "renew", "start"] {
        sockets.managed("web", "POST", &format!("/v1/commands/{command}")).expect(200);
    }
    let event = sockets.wait_event(0, "test.quiet");
    assert_eq!(
        event["attributes"],
        json!({"who": "web", "what": "start", "n": "0", "x": "${unknown}", "correlation": "web"})
    );
    master.api().act(&id, "stop");
    sockets.wait_event(0, "test.gone");
    let firings = sockets.stored(0).iter().filter(|event| event["topic"] == "test.quiet").count();
    assert_eq!(firings, 1);
}

#[test]
fn counts_and_windows_give_their_number() {
    let (master, sockets) = Sockets::start();
    let count = event_rule(
        "c",
        json!({"operator": "count", "topic": "routerd.daemon.command.received", "threshold": 2, "correlate_by": "attributes.command"}),
        "test.count",
    );
    sockets.apply(&json!([count]));
    create(&master, "web", &Script::new().wait());
    sockets.wait_phase("web", "Running");
    for command in ["renew", "bad", "renew"] {
        sockets.managed("web", "POST", &format!("/v1/commands/{command}"));
    }
    let event = sockets.wait_event(0, "test.count");
    assert_eq!(event["attributes"], json!({"correlation": "renew", "count": "2"}));
    until("the status to say so", || status(&sockets, "EventRule/c")["fireCount"] == 1);
}

#[test]
fn a_firing_is_neither_lost_nor_doubled_by_a_kill() {
    let (mut master, sockets) = Sockets::start();
    sockets.apply(&json!([any_of("born", "openctrl.instance.created", "test.born")]));
    for round in 0..4 {
        create(&master, &format!("i{round}"), &Script::new().wait());
        master.kill9();
        master.restart();
        let events = sockets.stored(0);
        let count = |topic: &str| events.iter().filter(|event| event["topic"] == topic).count();
        assert_eq!(
            (count("openctrl.instance.created"), count("test.born")),
            (round + 1, round + 1)
        );
    }
}

#[test]
fn a_derived_event_reads_the_status_of_rules() {
    let (master, sockets) = Sockets::start();
    let reads = |name: &str, field: &str, value: &str| {
        let inputs = json!([{"field": field, "equals": value}]);
        rule("DerivedEvent", name, json!({"topic": format!("test.{name}"), "inputs": inputs}))
    };
    sockets.apply(&json!([
        any_of("born", "openctrl.instance.created", "test.born"),
        reads("twice", "${EventRule/born.status.fireCount}", "2"),
        reads("again", "${DerivedEvent/twice.status.phase}", "Asserted"),
    ]));
    create(&master, "one", &Script::new().wait());
    create(&master, "two", &Script::new().wait());
    sockets.wait_event(0, "test.twice.asserted");
    sockets.wait_event(0, "test.again.asserted");
    assert_eq!(status(&sockets, "DerivedEvent/again")["asserted"], true);
}
