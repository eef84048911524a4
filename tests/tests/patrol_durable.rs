//! Patrol contract A: what outlives the server, and its state directory.

use std::time::Duration;

use openctrl_tests::patrol::{Builder, Folder, records};
use openctrl_tests::until;
use openctrl_tests::wait::holds_for;
use serde_json::{Value, json};

/// Everything that was acknowledged is there after an orderly end and after `kill -9`.
#[test]
fn toggles_key_values_cas_and_history_outlive_the_server() {
    for crash in [false, true] {
        let folder = Folder::default();
        let app = || folder.app(1, &["on:USR1=exit:10", "on:USR2=exit:12", "wait"]);
        let (mut off, web) = (app(), app());
        off["keyvalue"] = json!({"from": "the configuration"});
        let mut patrol = folder.start(json!({"off": off, "web": web}), json!({}));
        let first = patrol.wait_instance("web", "");
        patrol.wait_instance("off", "");
        patrol.toggle("web", 3);
        patrol.wait_history("web", 1);
        patrol.wait_instance("web", first["instance-id"].as_str().expect("an id"));
        patrol.toggle("off", 2);
        patrol.wait_history("off", 1);
        patrol.post(
            &json!({"group": "app", "id": "off", "keyvalue": {"a": [1, {"b": null}]}, "toggle": 4}),
        );
        let before = patrol.app("off");
        if crash {
            patrol.crash();
        } else {
            patrol.stop();
        }
        patrol.restart();
        let after = patrol.app("off");
        assert_eq!(after, before, "crash: {crash}");
        assert_eq!(after["keyvalue"], json!({"from": "the configuration", "a": [1, {"b": null}]}));
        holds_for("disabled", Duration::from_secs(1), || patrol.app("off")["started"].is_null());
        // A CAS that a client holds is still the right one.
        let reply =
            patrol.post(&json!({"group": "app", "id": "off", "cas": before["cas"], "toggle": 5}));
        assert!(reply["cas-invalid"].is_null(), "{reply}");
        let web = records(&patrol.app("web"));
        assert_eq!(web[0]["instance-id"], first["instance-id"], "{web:?}");
    }
}

/// A client that gets an acknowledgement before a crash finds its change, whenever that comes.
#[test]
fn no_acknowledged_change_is_lost_by_kill_9() {
    let folder = Folder::default();
    let mut app = folder.app(1, &["wait"]);
    app["disabled"] = json!(true);
    let mut patrol = folder.start(json!({"web": app}), json!({}));
    for round in 0..5 {
        let mut acknowledged = Value::Null;
        for step in 0..10 {
            acknowledged = json!({"round": round, "step": step});
            patrol.post(&json!({"group": "app", "id": "web", "keyvalue": acknowledged}));
        }
        patrol.crash();
        patrol.restart();
        assert_eq!(patrol.app("web")["keyvalue"], acknowledged);
    }
}

/// An app that was left running by a crash is not doubled.
#[test]
fn no_app_runs_twice_after_a_crash() {
    let folder = Folder::default();
    let up = folder.mark("up");
    let app = folder.app(1, &[&format!("mark:{}", up.path().display()), "wait"]);
    let mut patrol = folder.start(json!({"web": app}), json!({}));
    up.wait(1);
    // By then it is written down whose the process is.
    until("a pid", || patrol.app("web")["pid"].as_u64().is_some_and(|pid| pid > 0));
    patrol.crash();
    patrol.restart();
    patrol.wait_instance("web", "");
    until("one copy", || patrol.descendants().len() == 1);
    holds_for("one copy", Duration::from_secs(1), || patrol.descendants().len() == 1);
}

#[test]
fn the_state_directory_can_be_chosen() {
    let folder = Folder::default();
    let state = folder.path("elsewhere");
    let mut app = folder.app(1, &["wait"]);
    app["disabled"] = json!(true);
    let builder = Builder::new(json!({"web": app}), json!({})).arguments(&["--state", &state]);
    let mut patrol = folder.start_with(builder);
    patrol.toggle("web", 4);
    patrol.stop();
    assert!(std::path::Path::new(&state).is_dir());
    assert!(!patrol.folder().join(".openctrl").exists());
    patrol.restart();
    assert_eq!(patrol.app("web")["run-once"], true);
}

/// The configuration's `disabled` and `keyvalue` are where an app begins, not where it returns to.
#[test]
fn initial_values_count_once() {
    let folder = Folder::default();
    let mut app = folder.app(1, &["wait"]);
    app["disabled"] = json!(true);
    app["keyvalue"] = json!({"a": 1});
    let mut patrol = folder.start(json!({"web": app}), json!({}));
    patrol.post(&json!({"group": "app", "id": "web", "keyvalue-replace": true, "toggle": 1}));
    patrol.wait_instance("web", "");
    patrol.stop();
    patrol.restart();
    let after = patrol.wait_instance("web", "");
    assert!(after["keyvalue"].is_null() && after["disabled"].is_null(), "{after}");
}
