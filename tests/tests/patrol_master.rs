//! Patrol contract A: the Patrol door of a master that serves the v2 API as well.

use openctrl_tests::http::{Connection, Request};
use openctrl_tests::patrol::{Folder, read};
use openctrl_tests::{Master, Script, until};
use serde_json::{Value, json};

fn master(folder: &Folder) -> Master {
    let mut off = folder.app(1, &["wait"]);
    off["disabled"] = json!(true);
    let apps = json!({"web": folder.app(1, &["on:USR2=exit:12", "wait"]), "off": off});
    let services = json!({"ssh": {"management": 1, "name": "SSH", "service": "openctrl-no-such-service", "disabled": true}});
    let udp = json!({"listen": "127.0.0.1:0"});
    let config = json!({"apps": apps, "services": services, "udp": udp});
    let path = folder.path("config.json");
    std::fs::write(&path, config.to_string()).expect("the folder is writable");
    Master::builder().query("patrol", &path).start()
}

fn patrol(master: &Master, method: &str, target: &str, body: Option<Value>) -> Value {
    let body = body.map(|body| body.to_string().into_bytes());
    let request = Request { method: method.into(), target: target.into(), headers: vec![], body };
    let mut connection = Connection::open(&master.endpoint()).expect("it listens");
    read(&connection.send(&request).expect("an answer"))
}

/// Apps and services are instances with types of their own, beside those of the API.
#[test]
fn apps_and_services_are_instances_of_the_master() {
    let folder = Folder::default();
    let master = master(&folder);
    let mut events = master.events();
    let other = master.run(&mut events, &Script::new().wait());
    let kinds = || -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        master
            .api()
            .list()
            .iter()
            .map(|found| (text(&found["type"]), text(&found["status"])))
            .collect()
    };
    until("the app to run", || kinds().contains(&("app".into(), "running".into())));
    let kinds = kinds();
    assert_eq!(kinds.iter().filter(|(kind, _)| kind == "app").count(), 2, "{kinds:?}");
    assert!(kinds.contains(&("service".into(), "stopped".into())), "{kinds:?}");
    assert_eq!(master.api().instance(&other)["status"], "running");
}

/// The v2 actions work on apps, and every change of them shows in the event stream.
#[test]
fn actions_and_events_of_the_api_are_those_of_apps_too() {
    let folder = Folder::default();
    let master = master(&folder);
    let mut events = master.events();
    let id = |alias: &str| {
        let list = master.api().list();
        let found = list.iter().find(|found| found["alias"] == alias && found["type"] == "app");
        found.map(|found| found["id"].as_str().expect("an id").to_owned())
    };
    let web = openctrl_tests::eventually("the app", || id("App under test"));
    let of_patrol = |app: &str| patrol(&master, "GET", "/status/", None)["apps"][app].clone();
    until("the app to run", || of_patrol("web")["started"].is_string());
    let app_of = |instance: &str| {
        let url = master.api().instance(instance)["url"].as_str().expect("a URL").to_owned();
        if url.contains("web") { "web" } else { "off" }
    };
    let (name, action) = if app_of(&web) == "web" { ("web", "stop") } else { ("off", "start") };
    master.api().act(&web, action);
    events.wait_status(&web, if action == "stop" { "stopped" } else { "running" });
    let disabled = if action == "stop" { json!(true) } else { Value::Null };
    until("the same in Patrol's words", || of_patrol(name)["disabled"] == disabled);
    let request =
        json!({"group": "app", "id": name, "toggle": if action == "stop" { 1 } else { 2 }});
    patrol(&master, "POST", "/api/", Some(request));
    events.wait_status(&web, if action == "stop" { "running" } else { "stopped" });
}

/// The first start of an app is no restart: the first crash is restarted at once, and only the next
/// ones back off. So it is again after a toggle.
#[test]
fn only_restarts_of_an_app_count_for_its_back_off() {
    let folder = Folder::default();
    let crash = folder.cue("crash");
    let web = folder.app(1, &[&format!("cue:{}", folder.path("crash")), "exit:1"]);
    let udp = json!({"listen": "127.0.0.1:0"});
    let config = json!({"apps": {"web": web}, "udp": udp});
    let path = folder.path("config.json");
    std::fs::write(&path, config.to_string()).expect("the folder is writable");
    let master = Master::builder().query("patrol", &path).start();
    let list = master.api().list();
    let id = list.iter().find(|found| found["type"] == "app").expect("the app")["id"].clone();
    let id = id.as_str().expect("an id");
    let process = || master.api().process(id);
    let counts = |shown: &Value| {
        ["starts", "restarts", "exits"].map(|name| shown[name].as_u64().expect("a number"))
    };
    until("the first start", || counts(&process()) == [1, 0, 0]);
    crash.give();
    let waits = |exits: u64| {
        openctrl_tests::eventually("a restart that is due", || {
            Some(process())
                .filter(|shown| counts(shown)[2] == exits && !shown["backoffMs"].is_null())
        })
    };
    let shown = waits(2);
    assert_eq!(counts(&shown), [2, 1, 2], "{shown}");
    let delay_ms = shown["backoffMs"].as_u64().expect("a restart is due");
    assert!((800..=1_200).contains(&delay_ms), "{shown}");
    // The request starts it, its first restart is at once, and the next one waits as before.
    patrol(&master, "POST", "/api/", Some(json!({"group": "app", "id": "web", "toggle": 3})));
    let shown = waits(4);
    assert_eq!(counts(&shown), [4, 2, 4], "{shown}");
    let delay_ms = shown["backoffMs"].as_u64().expect("a restart is due");
    assert!((800..=1_200).contains(&delay_ms), "{shown}");
}

/// HUP reads the configuration again, as at a Patrol server.
#[test]
fn hup_applies_the_configuration_of_a_master_too() {
    let folder = Folder::default();
    let master = master(&folder);
    let path = folder.path("config.json");
    let text = std::fs::read_to_string(&path).expect("it is there");
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    let web = || patrol(&master, "GET", "/status/", None)["apps"]["web"]["instance-id"].clone();
    until("web", || web().is_string());
    let before = web();
    config["apps"]["new"] = folder.app(1, &["wait"]);
    std::fs::write(&path, config.to_string()).expect("the folder is writable");
    master.signal(rustix::process::Signal::HUP);
    until("the new app", || {
        patrol(&master, "GET", "/status/", None)["apps"]["new"]["started"].is_string()
    });
    assert_eq!(web(), before);
}

/// Without the parameter there is no such door.
#[test]
fn a_master_without_the_parameter_has_no_such_addresses() {
    let master = Master::start();
    let mut connection = Connection::open(&master.endpoint()).expect("it listens");
    let request =
        Request { method: "GET".into(), target: "/status/".into(), headers: vec![], body: None };
    assert_eq!(connection.send(&request).expect("an answer").status, 404);
}
