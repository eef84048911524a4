//! Control contract B and C: the wire rules of the existing implementation that part A keeps.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use openctrl_tests::control::{BASE, Sockets, Wire, call, event_rule};
use openctrl_tests::{Master, PATIENCE, Script};
use serde_json::{Value, json};

fn start() -> (Master, Sockets) {
    let (master, sockets) = Sockets::start();
    let body = json!({"url": Script::new().wait().url(), "alias": "web"});
    master.api().post("/instances", &body).expect(201);
    sockets.wait_phase("web", "Running");
    (master, sockets)
}

/// The names of the fields of an object, as they stand in the text.
fn fields(text: &str, object: &Value) -> Vec<String> {
    let object = object.as_object().expect("an object");
    let mut names: Vec<(usize, String)> = object
        .keys()
        .map(|name| (text.find(&format!("\"{name}\":")).expect("it is there"), name.clone()))
        .collect();
    names.sort();
    names.into_iter().map(|(_, name)| name).collect()
}

/// B 1.2, 1.4, 2: indented on main sockets, compact on managed ones.
#[test]
fn documents_are_written_as_go_writes_them() {
    let (_master, sockets) = start();
    let main = sockets.get("/status").expect(200);
    let head = "{\n  \"apiVersion\": \"control.routerd.net/v1alpha1\",\n  \"kind\": \"Status\",\n";
    assert!(main.body.starts_with(head) && main.body.ends_with("\n}\n"), "{}", main.body);
    let error = sockets.get("/nothing").expect(404);
    assert_eq!(error.error(404), "not found");
    let managed = sockets.managed("web", "GET", "/v1/status").expect(200);
    assert_eq!(managed.body.lines().count(), 1, "{}", managed.body);
    let head = "{\"apiVersion\":\"daemon.routerd.net/v1alpha1\",\"kind\":\"DaemonStatus\",";
    assert!(managed.body.starts_with(head), "{}", managed.body);
}

/// B 2.2: what routerd reads of a daemon.
#[test]
fn a_daemon_status_has_these_fields() {
    let (_master, sockets) = start();
    let answer = sockets.managed("web", "GET", "/v1/status").expect(200);
    let status = answer.json();
    let expected = [
        "apiVersion",
        "kind",
        "daemon",
        "generation",
        "phase",
        "health",
        "since",
        "conditions",
        "resources",
        "observed",
    ];
    assert_eq!(fields(&answer.body, &status), expected);
    let condition = &status["conditions"][0];
    let expected = ["type", "status", "reason", "lastTransitionTime"];
    assert_eq!(fields(&condition.to_string(), condition).len(), expected.len());
    assert!(expected.iter().all(|name| condition[name].is_string()), "{condition}");
    let resource = &status["resources"][0];
    for name in ["resource", "phase", "health", "since", "conditions", "observed"] {
        assert!(!resource[name].is_null(), "{name}: {resource}");
    }
    let observed = status["observed"].as_object().expect("an object");
    assert!(observed.values().all(Value::is_string), "{observed:?}");
}

/// B 3.1 and 3.2: the same event on a managed and on a main socket.
#[test]
fn an_event_has_one_form_on_each_kind_of_socket() {
    let (_master, sockets) = start();
    sockets.managed("web", "POST", "/v1/commands/renew").expect(200);
    let topic = "routerd.daemon.command.executed";
    let answer = sockets.managed("web", "GET", &format!("/v1/events?topic={topic}")).expect(200);
    let event = answer.json()["events"][0].clone();
    let resource = json!({"apiVersion": "openctrl/v1alpha1", "kind": "Process", "name": "web"});
    let daemon =
        json!({"name": "openctrl-process-web", "kind": "openctrl-process", "instance": "web"});
    let expected = json!({
        "apiVersion": "daemon.routerd.net/v1alpha1", "kind": "DaemonEvent",
        "cursor": event["cursor"], "time": event["time"], "daemon": daemon, "resource": resource,
        "type": topic, "topic": topic, "severity": "info", "reason": "CommandExecuted",
        "message": event["message"], "attributes": {"command": "renew"},
    });
    let is_empty = event["message"].is_null();
    let mut expected = expected;
    if is_empty {
        expected.as_object_mut().expect("an object").remove("message");
    }
    assert_eq!(event, expected);

    let target = format!("/get?subject=events&topic={topic}");
    let stored = sockets.get(&target).expect(200).json()["events"][0].clone();
    assert_eq!(stored["id"].to_string(), event["cursor"].as_str().expect("a cursor"));
    for (name, value) in [
        ("apiVersion", "openctrl/v1alpha1"),
        ("kind", "Process"),
        ("name", "web"),
        ("type", topic),
        ("topic", topic),
        ("sourceKind", "openctrl-process"),
        ("sourceInstance", "web"),
        ("resourceApiVersion", "openctrl/v1alpha1"),
        ("resourceKind", "Process"),
        ("resourceName", "web"),
        ("severity", "info"),
        ("reason", "CommandExecuted"),
    ] {
        assert_eq!(stored[name], value, "{name}: {stored}");
    }
    assert_eq!(stored["createdAt"], event["time"]);
    assert_eq!(stored["attributes"], json!({"command": "renew"}));

    let within = sockets.process("web")["events"][0].clone();
    let names = ["id", "apiVersion", "kind", "name", "type", "reason", "message", "generation"];
    assert!(names.iter().all(|name| !within[name].is_null()), "{within}");
    assert_eq!(within.as_object().map(serde_json::Map::len), Some(names.len() + 1));
}

/// B 2.3: the requests of routerd's own consumer, on one connection.
#[test]
fn the_consumer_of_routerd_follows_an_instance() {
    let (_master, sockets) = start();
    let mut wire = Wire::open(&sockets.instance("web")).expect("it listens");
    let tail = wire.send("GET", "/v1/events?wait=0s&tail=true", None).expect("an answer").json();
    assert_eq!(tail["events"], json!([]));
    let mut cursor = tail["cursor"].as_str().expect("a cursor").to_owned();
    let mut seen = Vec::new();
    sockets.managed("web", "POST", "/v1/commands/renew").expect(200);
    while seen.len() < 2 {
        let target = format!("/v1/events?wait=10s&since={cursor}");
        let page = wire.send("GET", &target, None).expect("an answer").expect(200).json();
        for event in page["events"].as_array().expect("never null") {
            assert!(event["daemon"]["name"].is_string(), "{event}");
            seen.push(event["type"].as_str().expect("a topic").to_owned());
        }
        cursor = page["cursor"].as_str().expect("a cursor").to_owned();
    }
    assert_eq!(seen, ["routerd.daemon.command.received", "routerd.daemon.command.executed"]);
}

/// B 1.2, C 6: what a body may be.
#[test]
fn bodies_are_read_as_go_reads_them() {
    let (_master, sockets) = Sockets::start();
    let post = |path: &str, body: &str| {
        call(&sockets.control(), "POST", &format!("{BASE}{path}"), Some(body.as_bytes()))
    };
    let rule = event_rule("r", json!({"operator": "any_of", "topic": "x"}), "y");
    let candidate = json!({"spec": {"resources": [rule]}}).to_string();
    let body = json!({"candidateYaml": candidate, "unknown": {"field": 1}, "kind": ""}).to_string();
    let applied = post("/apply", &format!("{body} and more that is not read")).expect(200).json();
    assert_eq!(applied["result"]["resources"][0]["id"], "net.routerd.net/v1alpha1/EventRule/r");
    // Without a candidate the current rules are meant.
    for body in ["null", "{}", "{\"candidateYaml\":\"  \"}"] {
        assert_eq!(post("/validate", body).expect(200).json()["valid"], true, "{body}");
        let planned = post("/plan", body).expect(200).json();
        let id = &planned["result"]["resources"][0]["id"];
        assert_eq!(id, "net.routerd.net/v1alpha1/EventRule/r", "{body}: {planned}");
    }
    let invalid =
        post("/validate", "{\"candidateYaml\":\"spec: {resources: [7]}\"}").expect(200).json();
    assert_eq!(invalid["valid"], false);
    assert!(post("/apply", "{\"candidateYaml\":").error(400).contains("EOF"));
}

/// B 1.3: the routes of a router, on both sockets.
#[test]
fn what_only_a_router_has_is_501() {
    let (_master, sockets) = Sockets::start();
    for socket in [sockets.control(), sockets.status()] {
        for path in
            ["/connections", "/dns-queries?since=1h&agg=1", "/traffic-flows", "/firewall-logs"]
        {
            let answer = call(&socket, "GET", &format!("{BASE}{path}"), None);
            assert!(answer.error(501).ends_with("handler is not configured"), "{path}");
        }
        for path in ["/dhcp-lease-event", "/dhcpv6-event", "/sam-enrollment-claims"] {
            let answer = call(&socket, "POST", &format!("{BASE}{path}"), Some(b"{}"));
            answer.error(501);
        }
    }
}

/// B 1.1: a head that does not arrive ends a connection to a main socket after 5 s; a managed
/// socket waits longer.
#[test]
fn a_head_has_five_seconds_on_a_main_socket() {
    let (_master, sockets) = start();
    let open = |path: &std::path::Path| {
        let mut stream = UnixStream::connect(path).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        stream.write_all(b"GET /v1/healthz HTTP/1.1\r\nHost:").expect("sent");
        stream
    };
    let begun = Instant::now();
    let (mut main, mut managed) = (open(&sockets.control()), open(&sockets.instance("web")));
    let mut rest = Vec::new();
    let _ = main.read_to_end(&mut rest);
    assert!(begun.elapsed() >= Duration::from_secs(5), "{:?}", begun.elapsed());
    managed.write_all(b" x\r\n\r\n").expect("it is open");
    let mut status = [0; 15];
    managed.read_exact(&mut status).expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 200 OK");
}
