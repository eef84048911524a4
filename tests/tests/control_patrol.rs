//! Issue 14, point 8: apps and services of Patrol are resources like any other instance.

use openctrl_tests::control::{Sockets, call, event_rule};
use openctrl_tests::http::{Connection, Request};
use openctrl_tests::patrol::{Folder, read};
use openctrl_tests::{Master, until};
use serde_json::{Value, json};

/// A master with an app that runs, one that is disabled, and a service that is disabled.
fn start(folder: &Folder) -> (Master, Sockets) {
    let app = |name: &str| {
        let mut app = folder.app(1, &["on:USR2=exit:12", "wait"]);
        app["name"] = json!(name);
        app
    };
    let mut off = app("off");
    off["disabled"] = json!(true);
    let services = json!({"ssh": {"management": 1, "name": "ssh", "service": "openctrl-no-such-service", "disabled": true}});
    let config = json!({"apps": {"web": app("web"), "off": off}, "services": services, "udp": {"listen": "127.0.0.1:0"}});
    let path = folder.path("config.json");
    std::fs::write(&path, config.to_string()).expect("the folder is writable");
    Sockets::start_with(|builder| builder.query("patrol", &path))
}

/// An app in Patrol's words.
fn of_patrol(master: &Master, app: &str) -> Value {
    let target = "/status/".to_owned();
    let request = Request { method: "GET".into(), target, headers: vec![], body: None };
    let mut connection = Connection::open(&master.endpoint()).expect("it listens");
    read(&connection.send(&request).expect("an answer"))["apps"][app].clone()
}

#[test]
fn apps_and_services_are_resources() {
    let folder = Folder::default();
    let (_master, sockets) = start(&folder);
    sockets.wait_phase("web", "Running");
    let items = sockets.get("/get?subject=Process").expect(200).json()["items"].clone();
    let shown: Vec<(&Value, &Value, &Value)> = items
        .as_array()
        .expect("items")
        .iter()
        .map(|item| (&item["name"], &item["spec"]["type"], &item["status"]["phase"]))
        .collect();
    let expected = [
        (json!("off"), json!("app"), json!("Stopped")),
        (json!("ssh"), json!("service"), json!("Stopped")),
        (json!("web"), json!("app"), json!("Running")),
    ];
    for (one, expected) in shown.iter().zip(&expected) {
        assert_eq!(*one, (&expected.0, &expected.1, &expected.2));
    }
    assert_eq!(shown.len(), expected.len());
    let probe = sockets.get("/probe?subject=process&target=ssh").expect(200).json();
    assert_eq!(probe["checks"][0]["status"], "warn");
    assert_eq!(sockets.get("/status").expect(200).json()["status"]["phase"], "Healthy");
}

#[test]
fn an_app_has_its_socket_events_and_commands() {
    let folder = Folder::default();
    let (master, sockets) = start(&folder);
    let pid = sockets.wait_phase("web", "Running")["status"]["observed"]["pid"].clone();
    let socket = sockets.dir().join("app/web.sock");
    let ask = |method: &str, target: &str| call(&socket, method, target, None);
    assert_eq!(ask("GET", "/v1/healthz").expect(200).body, "{\"status\":\"ok\"}\n");
    assert_eq!(ask("GET", "/v1/status").expect(200).json()["daemon"]["instance"], "web");
    let events = ask("GET", "/v1/events").expect(200).json()["events"].clone();
    let topics: Vec<&Value> =
        events.as_array().expect("events").iter().map(|event| &event["topic"]).collect();
    // It was there when the master started, so it is not created.
    for topic in ["routerd.daemon.lifecycle.started", "routerd.daemon.lifecycle.ready"] {
        assert!(topics.contains(&&json!(topic)), "{topic}: {topics:?}");
    }
    // Rules see it like any other instance, and what a command does is what Patrol shows.
    let stopped = json!({"operator": "any_of", "topic": "routerd.daemon.lifecycle.stopped"});
    sockets.apply(&json!([event_rule("stopped", stopped, "test.stopped")]));
    ask("POST", "/v1/commands/stop").expect(200);
    sockets.wait_phase("web", "Stopped");
    sockets.wait_event(0, "test.stopped");
    until("Patrol to show it", || of_patrol(&master, "web")["disabled"] == true);
    ask("POST", "/v1/commands/start").expect(200);
    let running = sockets.wait_phase("web", "Running");
    assert_ne!(running["status"]["observed"]["pid"], pid);
    until("Patrol to show it", || of_patrol(&master, "web")["disabled"].is_null());
    let off = sockets.dir().join("app/off.sock");
    assert_eq!(call(&off, "GET", "/v1/healthz", None).body, "{\"status\":\"unknown\"}\n");
    assert!(sockets.dir().join("service/ssh.sock").exists());
}
