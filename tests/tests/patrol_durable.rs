//! Patrol contract A: what outlives the server, and its state directory.

use std::fs;
use std::time::Duration;

use openctrl_tests::patrol::{Builder, Folder, Patrol, records};
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

/// An app that a crash left running is ended before another copy is started, also if the server did
/// not get to write its process id down.
#[test]
fn no_app_runs_twice_after_a_crash() {
    let folder = Folder::default();
    let up = folder.mark("up");
    let app = folder.app(1, &[&format!("mark:{}", up.path().display()), "wait"]);
    let mut patrol = folder.start(json!({"web": app}), json!({}));
    for round in 1..=6 {
        up.wait(round);
        patrol.crash();
        if round % 2 == 0 {
            forget_process_ids(&patrol);
        }
        patrol.restart();
        patrol.wait_instance("web", "");
        until("one copy", || patrol.descendants().len() == 1);
    }
    holds_for("one copy", Duration::from_secs(1), || patrol.descendants().len() == 1);
}

/// Leaves the ledger as a server that was killed right after its starts.
fn forget_process_ids(patrol: &Patrol) {
    let path = patrol.folder().join(".openctrl/openctrl.children");
    let text = fs::read_to_string(&path).expect("the ledger");
    let kept = text.lines().filter(|line| !line.starts_with('='));
    let text: String = kept.map(|line| format!("{line}\n")).collect();
    fs::write(&path, text).expect("the folder is writable");
}

/// An app that reports, or that a pid file names, keeps running after a crash of the server: it is
/// adopted, and ended in order when that is asked for.
#[test]
fn an_app_that_is_found_is_adopted_after_a_crash() {
    for keep_alive in [2, 3, 4] {
        let folder = Folder::default();
        let (up, asked) = (folder.mark("up"), folder.mark("asked"));
        let words = [
            format!("on:USR1=mark:{}", asked.path().display()),
            format!("pidfile:{}", folder.path("app.pid")),
            format!("mark:{}", up.path().display()),
            "wait".to_owned(),
        ];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut app = folder.app(keep_alive, &words);
        app["pid-path"] = json!("app.pid");
        let mut patrol = folder.start_with(Builder::new(json!({"web": app}), json!({})).quick());
        up.wait(1);
        for (round, forgets) in [false, true].into_iter().enumerate() {
            let pid = patrol.descendants()[0];
            report(&patrol, keep_alive, pid);
            patrol.wait_app("web", "its pid", |app| app["pid"] == pid);
            patrol.crash();
            if forgets {
                forget_process_ids(&patrol);
            }
            patrol.restart();
            report(&patrol, keep_alive, pid);
            let adopted = patrol.wait_app("web", "its pid", |app| app["pid"] == pid);
            assert!(adopted["started"].is_string(), "{keep_alive} {round}: {adopted}");
            holds_for("one copy", Duration::from_secs(1), || patrol.descendants() == [pid]);
        }
        assert_eq!(up.count(), 1, "keep-alive {keep_alive}");
        patrol.toggle("web", 2);
        asked.wait(1);
        patrol.wait_history("web", 1);
        patrol.wait_no_descendants();
    }
}

/// An app that does not report to the next server in time is ended before another one is started.
#[test]
fn an_app_that_stays_silent_after_a_crash_is_replaced() {
    let folder = Folder::default();
    let up = folder.mark("up");
    let app = folder.app(3, &[&format!("mark:{}", up.path().display()), "wait"]);
    let mut patrol = folder.start_with(Builder::new(json!({"web": app}), json!({})).quick());
    up.wait(1);
    let first = patrol.descendants();
    patrol.crash();
    patrol.restart();
    until("another copy", || up.count() == 2);
    assert_eq!(patrol.descendants().len(), 1);
    assert_ne!(patrol.descendants(), first);
}

/// Sends the ping of an app whose keep-alive has one.
fn report(patrol: &Patrol, keep_alive: u8, pid: i32) {
    let ping = json!({"group": "app", "id": "web", "ping": true, "pid": pid});
    match keep_alive {
        3 => drop(patrol.post(&ping)),
        4 => drop(patrol.datagram(ping.to_string().as_bytes())),
        _ => {}
    }
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
