//! Runs the examples of docs/operators/CONTROL.md as printed; only the paths of files differ.

#![allow(clippy::print_stderr, reason = "a test that is skipped has nothing else to tell")]

use std::path::Path;
use std::process::Command;

use openctrl_tests::control::Sockets;
use openctrl_tests::until;
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

/// The shell examples of the page, in order.
fn examples() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operators/CONTROL.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let blocks = page.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned()).collect()
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

#[test]
fn the_examples_run_as_printed() {
    if !has("curl") || !has("bash") {
        eprintln!("skipped: there is no curl or no bash");
        return;
    }
    let (master, sockets) = Sockets::start_with(|builder| builder.without_bin());
    let body = json!({"url": "demo://first", "alias": "web"});
    master.api().post("/instances", &body).expect(201);
    sockets.wait_phase("web", "Running");
    let examples = examples();
    assert!(examples.len() >= 5, "the page has its examples");
    let run = sockets.dir().to_str().expect("UTF-8").to_owned();
    let state = master.folder().join("gob");
    let state = state.to_str().expect("UTF-8").to_owned();
    let names = "S=/run/openctrl/openctrl.sock\nA=http://x/api/control.routerd.net/v1alpha1\n";
    // A reader of `events.db` is up to a second behind.
    until("events.db", || {
        let path = master.folder().join("gob/events.db");
        let events = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let count = events.and_then(|events| {
            events.query_row("SELECT count(*) FROM events", [], |row| row.get::<_, i64>(0))
        });
        count.is_ok_and(|count| count > 0)
    });
    // The first one starts a master.
    for example in &examples[1..] {
        if example.contains("sqlite3") && !has("sqlite3") {
            eprintln!("skipped: there is no sqlite3");
            continue;
        }
        let script = format!("set -e -o pipefail\n{names}{example}")
            .replace("/run/openctrl", &run)
            .replace("/var/lib/openctrl", &state)
            .replace("curl -s ", "curl -s --fail-with-body ");
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("bash")
            .args(["-c", &script])
            .current_dir(master.folder().join("cwd"))
            .env("PATH", format!("{}:{path}", master.folder().display()))
            .output()
            .expect("bash can be started");
        let said = String::from_utf8_lossy(&output.stdout);
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{example}\n{said}\n{wrong}");
        assert!(!said.trim().is_empty(), "{example} prints nothing");
    }
    let rules = sockets.get("/get?subject=EventRule").expect(200).json();
    assert_eq!(rules.get("items"), None, "the rule that was applied was deleted again");
    assert_eq!(
        sockets.get("/get?subject=DerivedEvent/web-up").expect(200).json()["items"][0]["kind"],
        "DerivedEvent"
    );
}
