//! Control contract A, B 1, C, D 1-7: the main sockets.

use openctrl_tests::control::{BASE, Sockets, call, event_rule};
use openctrl_tests::{Script, until};
use serde_json::{Value, json};

/// Creates an instance and waits for its phase; gives its id, and it as it was then. One that is
/// started again has another phase soon after.
fn run_named(
    sockets: &Sockets,
    api: &openctrl_tests::Api,
    alias: &str,
    script: &Script,
    phase: &str,
) -> (String, Value) {
    let body = json!({"url": script.url(), "alias": alias});
    let id = api.post("/instances", &body).expect(201).json()["id"].clone();
    (id.as_str().expect("an id").to_owned(), sockets.wait_phase(alias, phase))
}

fn condition(process: &Value, kind: &str) -> (String, String) {
    let conditions = process["status"]["conditions"].as_array().expect("conditions");
    let found = conditions.iter().find(|condition| condition["type"] == kind).expect("it is there");
    let text = |name: &str| found[name].as_str().expect("a text").to_owned();
    (text("status"), text("reason"))
}

fn pair(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

#[test]
fn a_healthy_instance_is_shown_in_full() {
    let (master, sockets) = Sockets::start();
    let script = Script::new().checkpoint([7, 12, 3, 10, 2, 1000, 2000, 3000, 4000]).wait();
    let (id, _) = run_named(&sockets, &master.api(), "web", &script, "Running");
    until("the checkpoint to be seen", || {
        condition(&sockets.process("web"), "Healthy") == pair("True", "CheckpointSeen")
    });
    let process = sockets.process("web");
    assert_eq!(process["apiVersion"], "openctrl/v1alpha1");
    assert_eq!(process["kind"], "Process");
    let spec = process["spec"].as_object().expect("a spec");
    let fields: Vec<&String> = spec.keys().collect();
    assert_eq!(fields, ["alias", "id", "restart", "tags", "type", "url"]);
    assert_eq!(
        (&spec["id"], &spec["alias"], &spec["type"]),
        (&json!(id), &json!("web"), &json!("stub"))
    );
    let status = &process["status"];
    assert_eq!(
        (&status["phase"], &status["reason"], &status["health"]),
        (&json!("Running"), &json!("Running"), &json!("ok"))
    );
    assert_eq!(status.get("message"), None, "no field is empty where it may be left out");
    assert_eq!(condition(&process, "Ready"), pair("True", "Running"));
    assert_eq!(condition(&process, "Progressing"), pair("False", "Settled"));
    let observed = status["observed"].as_object().expect("figures");
    assert!(observed.values().all(Value::is_string), "{observed:?}");
    for (name, value) in [
        ("mode", "7"),
        ("ping", "12"),
        ("tcps", "10"),
        ("udptx", "4000"),
        ("starts", "1"),
        ("exits", "0"),
    ] {
        assert_eq!(observed[name], value, "{name}");
    }
    assert!(observed.contains_key("pid") && observed.contains_key("lastCheckpoint"));
    assert!(!observed.contains_key("lastExit") && !observed.contains_key("nextRestart"));
}

#[test]
fn phases_follow_the_process() {
    let (master, sockets) = Sockets::start();
    let api = master.api();
    // Alive, but it printed an error.
    let script = Script::new().print("ERROR no route").ignore_term().wait();
    let (_, failing) = run_named(&sockets, &api, "failing", &script, "Unhealthy");
    assert_eq!(condition(&failing, "Ready"), pair("False", "ErrorLogged"));
    assert_eq!(condition(&failing, "Healthy"), pair("False", "ErrorLogged"));
    assert_eq!(failing["status"]["health"], "failed");
    // Ended, and started again later.
    let (id, crashed) = run_named(&sockets, &api, "crashed", &Script::new().exit(3), "Error");
    assert_eq!(crashed["status"]["reason"], "BackOff");
    assert_eq!(condition(&crashed, "Healthy"), pair("False", "Exited"));
    assert_eq!(condition(&crashed, "Progressing"), pair("True", "BackOff"));
    assert_eq!(crashed["status"]["observed"]["lastExit"], "code 3");
    assert!(crashed["status"]["observed"]["nextRestart"].is_string());
    // Ended, and not started again.
    api.patch(&id, &json!({"restart": false})).expect(200);
    until("no restart to be due", || {
        let process = sockets.process("crashed");
        process["status"]["phase"] == "Error" && process["status"]["reason"] == "Exited"
    });
    // Asked to end.
    let (id, _) = run_named(&sockets, &api, "stopped", &Script::new().wait(), "Running");
    api.act(&id, "stop");
    let stopped = sockets.wait_phase("stopped", "Stopped");
    assert_eq!(stopped["status"]["health"], "unknown");
    assert_eq!(condition(&stopped, "Healthy"), pair("Unknown", "NotRunning"));
    // Asked to end, and in no hurry.
    let script = Script::new().ignore_term().print("up").wait();
    let (id, _) = run_named(&sockets, &api, "slow", &script, "Running");
    api.act(&id, "stop");
    let draining = sockets.wait_phase("slow", "Draining");
    assert_eq!(draining["status"]["health"], "degraded");
    assert_eq!(condition(&draining, "Progressing"), pair("True", "Stopping"));

    let status = sockets.get("/status").expect(200).json()["status"].clone();
    assert_eq!((&status["phase"], &status["resourceCount"]), (&json!("Error"), &json!(4)));
    let issues = status["resourcePhaseIssues"].as_array().expect("issues");
    let names: Vec<&str> = issues.iter().filter_map(|issue| issue["name"].as_str()).collect();
    assert_eq!(names[..2], ["crashed", "failing"], "the worst first, then by name");
}

#[test]
fn a_start_that_fails_is_an_error_with_a_reason() {
    let (master, sockets) = Sockets::start_with(|builder| builder.query("bin", "/no/such/runtime"));
    let (_, process) = run_named(&sockets, &master.api(), "web", &Script::new().wait(), "Error");
    assert_eq!(process["status"]["reason"], "StartFailed");
    assert_eq!(condition(&process, "Ready"), pair("False", "BackOff"));
    let controllers = sockets.get("/controllers").expect(200).json()["items"].clone();
    let supervisor =
        controllers.as_array().expect("items").iter().find(|item| item["name"] == "supervisor");
    let supervisor = supervisor.expect("a supervisor");
    assert_eq!(supervisor["currentError"], true);
    assert_eq!(supervisor["lastTrigger"], "openctrl.instance.start.failed");
    let history = &supervisor["reconcileErrorHistory"][0];
    assert_eq!(
        (&history["resourceKind"], &history["resourceName"]),
        (&json!("Process"), &json!("web"))
    );
}

#[test]
fn urls_are_masked_everywhere() {
    let (master, sockets) = Sockets::start();
    let url = "stub://user:hunter2@host?token=hunter2&password=hunter2&x=1";
    master.api().post("/instances", &json!({"url": url, "alias": "web"})).expect(201);
    for target in ["/get", "/get?subject=events", "/describe?target=Process/web", "/status"] {
        let answer = sockets.get(target).expect(200);
        assert!(!answer.body.contains("hunter2"), "{target}: {}", answer.body);
    }
    for target in ["/v1/status", "/v1/events"] {
        assert!(!sockets.managed("web", "GET", target).body.contains("hunter2"));
    }
    assert_eq!(sockets.process("web")["spec"]["url"], "stub://***@host?token=***&password=***&x=1");
}

#[test]
fn controllers_are_there_and_true() {
    let (master, sockets) = Sockets::start();
    let items = sockets.get("/controllers").expect(200).json()["items"].clone();
    let names: Vec<&str> =
        items.as_array().expect("items").iter().filter_map(|item| item["name"].as_str()).collect();
    assert_eq!(names, ["checkpoint-watch", "derived-event", "event-rule", "supervisor"]);
    for item in items.as_array().expect("items") {
        assert_eq!((&item["mode"], &item["reason"]), (&json!("live"), &json!("Live")));
        assert_eq!(item["currentError"], false);
        // A look every five seconds: on a slow machine it may have run by now.
        let has_run = item["name"] == "checkpoint-watch" && item["lastTrigger"] == "periodic";
        assert!(has_run || item["lastTrigger"] == "bootstrap", "{item}");
    }
    assert_eq!(items[0]["interval"], "5s");
    run_named(&sockets, &master.api(), "web", &Script::new().wait(), "Running");
    let items = sockets.get("/controllers").expect(200).json()["items"].clone();
    assert_eq!(
        (&items[3]["reconcileCount"], &items[3]["lastTrigger"]),
        (&json!(1), &json!("routerd.daemon.lifecycle.started"))
    );
    assert!(items[3]["lastDuration"].is_string() && items[3]["lastSuccessTime"].is_string());
    let status = sockets.get("/status").expect(200).json();
    assert_eq!(status["status"]["controllers"][3], items[3]);
    until("the checkpoint watch to run", || {
        let item = sockets.get("/controllers").json()["items"][0].clone();
        item["lastTrigger"] == "periodic" && item["nextReconcileTime"].is_string()
    });
}

#[test]
fn the_runtime_is_that_of_the_master() {
    let (_master, sockets) = Sockets::start();
    let runtime = sockets.get("/runtime").expect(200).json();
    assert_eq!(runtime["kind"], "RuntimeStats");
    for name in
        ["heapAllocBytes", "heapInuseBytes", "sysBytes", "numGoroutine", "openFds", "maxFds"]
    {
        assert!(runtime[name].as_u64().is_some_and(|number| number > 0), "{name}: {runtime}");
    }
    assert_eq!((&runtime["heapObjects"], &runtime["numGC"]), (&json!(0), &json!(0)));
    assert_eq!(runtime["lastGC"], "0001-01-01T00:00:00Z");
    assert_eq!(sockets.get("/get?subject=rt").expect(200).json()["raw"]["kind"], "RuntimeStats");
}

#[test]
fn queries_are_checked_whatever_they_are_for() {
    let (_master, sockets) = Sockets::start();
    for name in ["limit", "events-limit", "since-id"] {
        for bad in ["-1", "1e3", "%201", "99999999999999999999"] {
            for subject in ["events", "status", "resources"] {
                let message =
                    sockets.get(&format!("/get?subject={subject}&{name}={bad}")).error(400);
                assert_eq!(message, format!("{name} must be a non-negative integer"));
            }
        }
        sockets.get(&format!("/get?subject=status&{name}=")).expect(200);
    }
    for (target, message) in [
        ("/get?subject=Process/nobody", "Process/nobody not found"),
        ("/get?subject=Nothing", "Nothing not found"),
        ("/get?subject=Process/", "empty name"),
        ("/get?subject=/web", "empty resource kind"),
        ("/get?subject=events&resource=bad", "resource must be <Kind>/<name>"),
        ("/describe?target=Process", "expected one resource"),
        ("/describe", "target is required"),
        ("/probe", "subject is required"),
    ] {
        assert_eq!(sockets.get(target).error(400), message, "{target}");
    }
    assert!(sockets.get("/get?subject=ledger").error(501).contains("ledger"));
    let raw = sockets.get("/get?subject=events&resource=bad").body;
    assert!(raw.contains("\\u003cKind\\u003e/\\u003cname\\u003e"), "{raw}");
    let empty = sockets.get("/get").expect(200).json();
    assert_eq!((&empty["metadata"]["name"], empty.get("items")), (&json!("resources"), None));
}

#[test]
fn probes_check_phases() {
    let (master, sockets) = Sockets::start();
    let api = master.api();
    run_named(&sockets, &api, "up", &Script::new().wait(), "Running");
    let (id, _) = run_named(&sockets, &api, "down", &Script::new().wait(), "Running");
    api.act(&id, "stop");
    sockets.wait_phase("down", "Stopped");
    let probe = sockets.get("/probe?subject=process").expect(200).json();
    let checks = json!([
        {"name": "Process/down", "status": "warn", "detail": "Stopped"},
        {"name": "Process/up", "status": "pass", "detail": "Running"},
    ]);
    assert_eq!((&probe["kind"], &probe["checks"]), (&json!("ProbeResult"), &checks));
    let one = sockets.get("/probe?subject=process&target=up").expect(200).json();
    assert_eq!((&one["target"], one["checks"].as_array().map(Vec::len)), (&json!("up"), Some(1)));
    assert_eq!(
        sockets.get("/probe?subject=process&target=no").json()["checks"][0]["status"],
        "fail"
    );
    let unknown = sockets.get("/probe?subject=dns&target=x").expect(200).json();
    assert_eq!(
        (&unknown["metadata"]["name"], &unknown["checks"][0]["status"]),
        (&json!("dns"), &json!("fail"))
    );
    assert_eq!(unknown.get("target"), None);
}

#[test]
fn a_body_of_one_byte_more_is_400() {
    let (_master, sockets) = Sockets::start();
    let post =
        |body: &[u8]| call(&sockets.control(), "POST", &format!("{BASE}/validate"), Some(body));
    let mut body = b"{}".to_vec();
    body.resize(1024 * 1024, b' ');
    post(&body).expect(200);
    body.push(b' ');
    assert_eq!(post(&body).error(400), "http: request body too large");
    body.resize(5 * 1024 * 1024, b' ');
    assert_eq!(post(&body).error(400), "http: request body too large");
    for (path, body, message) in [
        ("/validate", "", "EOF"),
        ("/apply", "{\"candidateYaml\":\"  \"}", "candidateYaml"),
        ("/apply", "{\"candidateYaml\":\"spec: {resources: []}\"}", "resources"),
        ("/apply", "{\"apiVersion\":\"v9\"}", "unsupported apiVersion"),
        ("/apply", "{\"kind\":\"PlanRequest\"}", "unsupported kind"),
        ("/delete", "{}", "target"),
        ("/log-level", "{\"level\":\"loud\"}", "level"),
    ] {
        let answer =
            call(&sockets.control(), "POST", &format!("{BASE}{path}"), Some(body.as_bytes()));
        let said = answer.error(400);
        assert!(said.contains(message), "{path} {body}: {said}");
    }
}

#[test]
fn the_log_level_is_that_of_the_master() {
    let (master, sockets) = Sockets::start();
    let level = |body: &str| {
        call(&sockets.control(), "POST", &format!("{BASE}/log-level"), Some(body.as_bytes()))
    };
    assert_eq!(level("{\"level\":\" error \"}").expect(200).json()["level"], "error");
    // Rules that are lost, keys, and the like are warnings and less.
    master.signal(rustix::process::Signal::HUP);
    for body in ["null", "{\"level\":null}", "{}", "{\"level\":\"\"} and more"] {
        assert_eq!(level(body).expect(200).json()["level"], "default", "{body}");
    }
}

#[test]
fn a_bomb_of_aliases_is_refused_at_once() {
    let (_master, sockets) = Sockets::start();
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", "));
    }
    let message = sockets.post("/apply", &json!({"candidateYaml": bomb})).error(400);
    assert!(message.contains("candidateYaml"), "{message}");
    let answer = sockets.post("/validate", &json!({"candidateYaml": "a: [1"})).expect(200).json();
    assert_eq!(answer["valid"], false);
    assert!(answer["error"].as_str().is_some_and(|error| error.contains("candidateYaml")));
}

#[test]
fn names_of_results() {
    let (_master, sockets) = Sockets::start();
    sockets.apply(&json!([event_rule("r", json!({"operator": "any_of", "topic": "x"}), "y")]));
    for (subject, name) in [
        ("", "resources"),
        ("all", "all"),
        ("STATUS", "status"),
        ("event", "events"),
        ("eventRULE/r", "eventRULE/r"),
        ("%20rt%20", "runtime"),
    ] {
        let answer = sockets.get(&format!("/get?subject={subject}")).expect(200).json();
        assert_eq!(answer["metadata"]["name"], name, "{subject}");
    }
    assert_eq!(sockets.get("/get?subject=resource").error(400), "resource not found");
}
