//! Patrol contract A and §6: `hooks`, commands in the place of triggers.

use std::fs;
use std::path::Path;
use std::time::Duration;

use openctrl_tests::patrol::{Builder, Folder, write_script};
use openctrl_tests::until;
use rustix::process::Signal;
use serde_json::{Value, json};

/// A hook that appends its facts to a file.
fn note(folder: &Folder) -> (Value, String) {
    let (script, file) = (folder.path("note"), folder.path("noted"));
    let line = "$PATROL_HOOK $PATROL_GROUP $PATROL_ID $PATROL_EXIT_CODE $PATROL_RESTART";
    write_script(Path::new(&script), &format!("echo \"{line} $*\" >> {file}"));
    (json!([script, "argument"]), file)
}

fn lines(file: &str) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn hooks_of_an_app_have_the_facts_in_their_environment() {
    let folder = Folder::default();
    let (hook, file) = note(&folder);
    let mut app = folder.app(1, &["on:USR2=exit:12", "wait"]);
    app["hooks"] = json!({"start": hook, "started": hook, "closed": hook});
    let patrol = folder.start(json!({"web": app}), json!({}));
    let has = |line: &str| lines(&file).iter().any(|found| found == line);
    until("the start", || has("start app web argument") && has("started app web argument"));
    patrol.toggle("web", 3);
    until("the end", || has("closed app web 12 true argument"));
    until("the next start", || {
        lines(&file).iter().filter(|line| line.starts_with("started ")).count() == 2
    });
}

#[test]
fn hooks_of_the_server_and_of_ticks_are_run() {
    let folder = Folder::default();
    let (hook, file) = note(&folder);
    let mut running = folder.app(1, &["wait"]);
    running["hooks"] = json!({"running": hook});
    let mut disabled = folder.app(1, &["wait"]);
    disabled["hooks"] = json!({"disabled": hook});
    disabled["disabled"] = json!(true);
    let mut failing = folder.app(1, &["wait"]);
    failing["binary"] = json!("no-such-program");
    failing["hooks"] = json!({"start-failed": hook});
    let apps = json!({"running": running, "disabled": disabled, "failing": failing});
    let builder =
        Builder::new(apps, json!({})).set("hooks", json!({"started": hook, "tick": hook})).quick();
    let _patrol = folder.start_with(builder);
    for line in [
        "started argument",
        "tick argument",
        "running app running argument",
        "disabled app disabled argument",
        "start-failed app failing argument",
    ] {
        until(line, || lines(&file).iter().any(|found| found == line));
    }
}

/// A hook that hangs, and one that is not there, hold up nothing.
#[test]
fn hooks_never_hold_up_supervision() {
    let folder = Folder::default();
    let hang = folder.path("hang");
    write_script(Path::new(&hang), "sleep 1000");
    let mut app = folder.app(1, &["on:HUP=exit:0", "on:USR1=exit:10", "wait"]);
    app["hooks"] = json!({"started": [hang], "closed": ["/no/such/program"]});
    let mut patrol = folder.start(json!({"web": app}), json!({}));
    let mut last = String::new();
    for _ in 0..3 {
        let running = patrol.wait_instance("web", &last);
        last = running["instance-id"].as_str().expect("an id").to_owned();
        let pid = running["pid"].as_i64().expect("a pid");
        openctrl_tests::process::send(i32::try_from(pid).expect("fits"), Signal::HUP);
    }
    patrol.wait_instance("web", &last);
    assert!(patrol.stop() < Duration::from_secs(6));
    assert_eq!(patrol.descendants(), Vec::<i32>::new());
}

/// The hooks that wait when the server ends are run, also the server's last one and those of apps
/// that do not run.
#[test]
fn hooks_that_wait_at_the_end_of_the_server_are_run() {
    let folder = Folder::default();
    let (hook, file) = note(&folder);
    let mut apps = json!({});
    for index in 0..10 {
        let mut app = folder.app(1, &["on:USR1=exit:10", "wait"]);
        app["hooks"] = json!({"closed": hook});
        apps[format!("app{index}")] = app;
    }
    let mut off = folder.app(1, &["wait"]);
    off["disabled"] = json!(true);
    off["hooks"] = json!({"shutdown": hook});
    apps["off"] = off;
    let all =
        json!({"start": hook, "started": hook, "tick": hook, "shutdown": hook, "stopped": hook});
    let mut patrol = folder.start_with(Builder::new(apps, json!({})).set("hooks", all));
    for index in 0..10 {
        patrol.wait_instance(&format!("app{index}"), "");
    }
    patrol.stop();
    let found = lines(&file);
    let count = |line: &str| found.iter().filter(|found| *found == line).count();
    for index in 0..10 {
        let line = format!("closed app app{index} 10 false argument");
        assert_eq!(count(&line), 1, "{line} {found:?}");
    }
    for line in ["start", "started", "shutdown", "stopped", "shutdown app off"] {
        assert_eq!(count(&format!("{line} argument")), 1, "{line} {found:?}");
    }
    assert!(count("tick argument") >= 1, "{found:?}");
    assert_eq!(patrol.output().count(|line| line.text.contains("cut off")), 0);
}

/// Hooks that hang do not keep the server from ending; those that were cut off are named.
#[test]
fn hooks_that_hang_at_the_end_of_the_server_are_named() {
    let folder = Folder::default();
    let hang = folder.path("hang");
    write_script(Path::new(&hang), "sleep 1000");
    let mut apps = json!({});
    for index in 0..5 {
        let mut app = folder.app(1, &["on:USR1=exit:10", "wait"]);
        app["hooks"] = json!({"closed": [hang]});
        apps[format!("app{index}")] = app;
    }
    let mut patrol = folder.start(apps, json!({}));
    for index in 0..5 {
        patrol.wait_instance(&format!("app{index}"), "");
    }
    assert!(patrol.stop() < Duration::from_secs(6));
    patrol.wait_no_descendants();
    let cut_off = "Patrol.hook: cut off by the end of the server: ";
    let line = patrol.output().wait_for_line(cut_off, |line| line.text.contains(cut_off)).text;
    for index in 0..5 {
        assert_eq!(line.matches(&format!("closed of app app{index} (")).count(), 1, "{line}");
    }
    assert_eq!((line.matches("(killed)").count(), line.matches("(not run)").count()), (4, 1));
}
