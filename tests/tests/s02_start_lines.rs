//! Contract §2: the start-up lines that scripts scrape.

use std::fs;

use openctrl_tests::json::is_hex;
use openctrl_tests::output::{Line, Source};
use openctrl_tests::{KEY_ID, Master, Script, until};
use serde_json::json;

const CREATED: &str = "Master.run: API key created: ";
const LOADED: &str = "Master.run: API key loaded: ";
const REGENERATED: &str = "Master.handlePatchInstance: API key regenerated: ";

/// What stands after `name` on the one line that has it.
fn scrape(lines: &[Line], name: &str) -> Option<String> {
    let mut found = lines.iter().filter_map(|line| line.text.split_once(name));
    let value = found.next().map(|(_, value)| value.to_owned());
    assert!(found.next().is_none(), "{name} stands on one line only");
    value
}

#[test]
fn the_first_start_prints_url_and_created_key() {
    let master = Master::start();
    let lines = master.output().lines();
    let key = scrape(&lines, CREATED).expect("a first start creates a key");
    assert!(is_hex(&key, 32), "the line ends with the key: {key:?}");
    assert_eq!(scrape(&lines, LOADED), None);
    let url = scrape(&lines, "Master.run: started: ").unwrap();
    let port = master.endpoint().address.port();
    assert_ne!(port, 0);
    assert_eq!(url, format!("http://127.0.0.1:{port}/api/v2"));
    master.api().with_key(&key).get("/info").expect(200);
}

#[test]
fn a_later_start_prints_the_loaded_key() {
    let mut master = Master::start();
    let key = master.key().to_owned();
    for crash in [false, true] {
        if crash {
            master.kill9();
        } else {
            master.stop();
        }
        master.restart();
        let lines = master.output().lines();
        assert_eq!(scrape(&lines, LOADED), Some(key.clone()));
        assert_eq!(scrape(&lines, CREATED), None);
        master.api().get("/info").expect(200);
    }
}

#[test]
fn a_regenerated_key_is_printed() {
    let master = Master::start();
    let answer = master.api().patch(KEY_ID, &json!({"action": "restart"})).expect(200).json();
    let line = master.output().wait_for_line("new key", |line| line.text.contains(REGENERATED));
    let key = scrape(&[line], REGENERATED).unwrap();
    assert!(is_hex(&key, 32), "{key:?}");
    assert_eq!(answer["url"], key);
    assert_ne!(key, master.key());
}

#[test]
fn prefix_and_tls_show_in_the_printed_url() {
    let master = Master::builder().path("/control/").query("tls", "1").start();
    let port = master.endpoint().address.port();
    assert_eq!(master.url(), format!("https://127.0.0.1:{port}/control/v2"));
}

/// Installers look for the key in the last 200 lines of the log.
#[test]
fn requests_and_life_cycles_do_not_push_the_key_out_of_the_log() {
    let master = Master::start();
    let mut events = master.events();
    let id = master.run(&mut events, &Script::new().wait());
    for _ in 0..60 {
        master.api().list();
        master.api().get("/info").expect(200);
        master.api().without_key().get("/info").expect(401);
        master.api().get("/nowhere").expect(404);
    }
    master.api().act(&id, "stop");
    events.wait_status(&id, "stopped");
    let lines = master.output().lines();
    let last = &lines[lines.len().saturating_sub(200)..];
    assert_eq!(scrape(last, CREATED).as_deref(), Some(master.key()));
    until("nothing to be left running", || master.descendants().is_empty());
}

/// `cargo clean` deletes a state that is beside a program in `target/`.
#[test]
fn a_program_that_cargo_built_warns_that_its_state_is_beside_it() {
    let warned = |master: &Master| {
        let log = master.output().text(Source::Stderr);
        log.contains("where cargo clean deletes it; use state=<dir>")
    };
    let mut master = Master::start();
    assert!(!warned(&master), "it is not in a build directory");
    master.stop();
    // What cargo writes to the directory that it builds in.
    fs::write(master.folder().join(".rustc_info.json"), "{}").expect("written");
    master.restart();
    assert!(warned(&master));
    master.stop();
    let state = master.folder().join("elsewhere").to_str().expect("UTF-8").to_owned();
    master.reconfigure(|builder| builder.query("state", &state));
    master.restart();
    assert!(!warned(&master), "the state is elsewhere");
}
