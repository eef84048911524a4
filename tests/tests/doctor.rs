//! `openctrl doctor`: what it finds, and its exit status.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use openctrl_tests::{Master, Script, Shell};
use serde_json::Value;

#[test]
fn a_healthy_master_passes_and_an_error_of_an_instance_is_a_warning() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    let checked = shell.ok(&["doctor"]);
    let check = |text: &str| checked.lines().any(|line| line.starts_with(text));
    for line in
        ["clock       ok", "master      ok", "version     ok", "state       ok", "instances   ok"]
    {
        assert!(check(line), "{line}: {checked}");
    }
    let mut events = master.events();
    let bad = master.api().run_once(&Script::new().exit(3));
    events.wait_status(&bad, "error");
    let state = master.folder().join("gob");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let json = shell.ok(&["doctor", "-o", "json", "--state", state.to_str().expect("UTF-8")]);
    let all: Vec<Value> = serde_json::from_str(&json).expect("JSON");
    let grade = |check: &str| {
        let found = all.iter().find(|one| one["check"] == check);
        found.unwrap_or_else(|| panic!("{check}: {json}"))["grade"].clone()
    };
    assert_eq!(
        [grade("instances"), grade("permissions"), grade("state")],
        ["warning", "warning", "ok"]
    );
}

#[test]
fn a_master_elsewhere_is_named_by_the_environment() {
    let master = Master::start();
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let shell = Shell::new(&master.folder().join("openctrl"), elsewhere.path())
        .with("OPENCTRL_API", master.url())
        .with("OPENCTRL_KEY", master.key());
    let checked = shell.ok(&["doctor"]);
    let answers = format!("master      ok      {} answers", master.url());
    assert!(checked.contains(&answers), "{checked}");
    let wrong = shell.with("OPENCTRL_KEY", &"0".repeat(32)).fails(1, &["doctor"]);
    assert!(wrong.starts_with("master: ") && wrong.contains("OPENCTRL_KEY"), "{wrong}");
}

#[test]
fn an_error_is_named() {
    let mut master = Master::start();
    let shell = Shell::beside(&master);
    master.stop();
    let ran = shell.run(&["doctor"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    assert!(
        ran.stderr.starts_with("openctrl: master: no master runs with its state in"),
        "{}",
        ran.stderr
    );
    let state = master.folder().join("gob/openctrl.state");
    fs::write(&state, "damaged").expect("written");
    let _ = fs::remove_file(master.folder().join("gob/openctrl.state.backup"));
    let ran = shell.run(&["doctor"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    assert!(ran.stderr.starts_with("openctrl: 2 errors, first state: "), "{}", ran.stderr);
    let missing = shell.run(&["doctor", "--state", "/no/such/directory"]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("/no/such/directory"), "{}", missing.stderr);
}
