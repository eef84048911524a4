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
