//! `openctrl control` over the socket, and the real `routerctl` where there is one.

#![allow(clippy::print_stderr, reason = "a test that is skipped has nothing else to tell")]

use std::process::Command;

use openctrl_tests::control::Sockets;
use openctrl_tests::{Script, Shell};
use serde_json::{Value, json};

fn start() -> (openctrl_tests::Master, Sockets) {
    let (master, sockets) = Sockets::start();
    let body = json!({"url": Script::new().wait().url(), "alias": "web"});
    master.api().post("/instances", &body).expect(201);
    sockets.wait_phase("web", "Running");
    (master, sockets)
}

#[test]
fn resources_are_shown_as_a_table_and_in_full() {
    let (master, sockets) = start();
    let shell = Shell::beside(&master);
    let socket = sockets.control();
    let socket = socket.to_str().expect("UTF-8");
    let control = |words: &[&str]| {
        let mut all = vec!["control"];
        all.extend_from_slice(words);
        all.extend_from_slice(&["--socket", socket]);
        shell.ok(&all)
    };
    let table = control(&["get", "Process/web"]);
    assert!(
        table.contains("RESOURCE") && table.contains("Process/web") && table.contains("Running"),
        "{table}"
    );
    let json: Value =
        serde_json::from_str(&control(&["get", "Process/web", "-o", "json"])).expect("JSON");
    assert_eq!(json["items"][0]["status"]["phase"], "Running");
    let described = control(&["describe", "Process/web"]);
    assert!(
        described.contains("kind: \"DescribeResult\"") && described.contains("phase: \"Running\""),
        "{described}"
    );
    let events = control(&["events", "--topic", "routerd.daemon.lifecycle.*"]);
    assert_eq!(events.lines().count(), 2, "{events}");
    assert!(events.contains("routerd.daemon.lifecycle.ready web"), "{events}");
    assert!(control(&["probe"]).contains("pass"));
    let file = master.folder().join("rules.yaml");
    let rules = "spec:\n  resources:\n  - apiVersion: net.routerd.net/v1alpha1\n    kind: EventRule\n    metadata: {name: r}\n    spec:\n      pattern: {operator: any_of, topic: a}\n      emit: {topic: b}\n";
    std::fs::write(&file, rules).expect("it can be written");
    let file = file.to_str().expect("UTF-8");
    assert!(control(&["apply", "-f", file, "--dry-run"]).contains("EventRule/r"));
    assert!(control(&["apply", "-f", file]).contains("create"));
    assert!(control(&["apply", "-f", file]).contains("unchanged"));
}

#[test]
fn what_is_wrong_is_one_line_and_an_exit_status() {
    let (master, sockets) = start();
    let shell = Shell::beside(&master);
    let socket = sockets.control();
    let socket = socket.to_str().expect("UTF-8");
    for (words, code, said) in [
        (
            vec!["control", "get", "Process/nobody", "--socket", socket],
            5,
            "Process/nobody not found",
        ),
        (vec!["control", "get", "Process/", "--socket", socket], 1, "empty name"),
        (vec!["control", "get", "--socket", "/no/such/socket"], 3, "/no/such/socket"),
        (vec!["control", "apply", "-f", "/no/such/file", "--socket", socket], 1, "/no/such/file"),
        (vec!["control", "probe", "nobody", "--socket", socket], 1, ""),
        (vec!["control"], 2, "control"),
    ] {
        let failed = shell.run(&words);
        assert_eq!(failed.code, Some(code), "{words:?}: {}", failed.stderr);
        assert!(failed.stderr.contains(said), "{words:?}: {}", failed.stderr);
    }
}

/// Skipped with a reason where there is no `routerctl`: it is not ours to bring along.
#[test]
fn routerctl_reads_our_sockets() {
    let program = std::env::var("ROUTERCTL").unwrap_or_else(|_| "routerctl".to_owned());
    if Command::new(&program).arg("--help").output().is_err() {
        eprintln!("skipped: there is no routerctl; name one in ROUTERCTL");
        return;
    }
    let (_master, sockets) = start();
    let run = |words: &[&str]| {
        let socket = sockets.control();
        let output = Command::new(&program).args(words).arg("--socket").arg(socket).output();
        let output = output.expect("it was started before");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(run(&["get", "Process/web"]).contains("Running"));
    assert!(run(&["describe", "Process/web"]).contains("web"));
    assert!(run(&["get", "status"]).contains("Healthy"));
}
