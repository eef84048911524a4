//! Contract §11 across releases: state directories and traces that an earlier release wrote
//! (`core/testdata/`) work with the program of today.
//!
//! `core/tests/golden.rs` loads the same files without the program. `make` writes them.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod make;

use std::fs;
use std::path::{Path, PathBuf};

use openctrl_tests::master::run_to_end;
use openctrl_tests::state::inspect;
use openctrl_tests::{Api, KEY_ID, State};
use serde_json::{Value, json};

/// The files of format version 1.
fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/testdata/v1")
}

/// What the files of `kind` hold, by their names.
fn expected(kind: &str) -> Vec<(String, Value)> {
    let text = fs::read(golden().join("expected.json")).unwrap();
    let all: Value = serde_json::from_slice(&text).unwrap();
    let files = all[kind].as_object().unwrap();
    assert!(files.len() >= 2, "{all}");
    files.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// What a master shows of what it stores, in the form of `openctrl state export`.
fn shown(api: &Api) -> Value {
    let pick = |found: &Value, fields: &[&str]| -> Value {
        fields.iter().map(|name| (name.to_string(), found[*name].clone())).collect()
    };
    let mut instances = api.list();
    instances.retain(|found| found["id"] != KEY_ID);
    instances.sort_by_key(|found| found["id"].as_str().unwrap().to_owned());
    let fields =
        ["id", "alias", "url", "restart", "meta", "mode", "tcprx", "tcptx", "udprx", "udptx"];
    let instances: Vec<Value> = instances.iter().map(|found| pick(found, &fields)).collect();
    let key = api.instance(KEY_ID);
    let identity = json!({"mid": key["config"], "alias": key["alias"], "key": key["url"]});
    json!({"master": identity, "instances": instances})
}

/// What `openctrl state export --secrets` prints.
fn exported(directory: &str) -> Value {
    let exported = inspect(&["export", "--secrets", directory]);
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    serde_json::from_slice(&exported.stdout).unwrap()
}

#[test]
fn a_master_starts_on_every_state() {
    for (name, expected) in expected("states") {
        let (identity, instances) = (&expected["master"], &expected["instances"]);
        let stored = json!({"master": identity, "instances": instances});
        let state = State::copy_of(&golden().join(&name));
        assert_eq!(exported(state.path()), stored, "{name}");
        let mut master = state.start();
        assert_eq!(master.key(), identity["key"], "{name}");
        assert_eq!(shown(&master.api()), stored, "{name}");
        // Also after it wrote the state again, in its own version, with the old one as the backup.
        let files = state.contents();
        let versions = ["openctrl.state", "openctrl.state.backup"].map(|name| files[name][8]);
        assert_eq!(versions, [2, 1], "{name}");
        master.crash();
        master.restart();
        assert_eq!(shown(&master.api()), stored, "{name}");
        master.stop();
        assert_eq!(exported(state.path()), stored, "{name}");
    }
}

#[test]
fn every_trace_is_shown_and_not_compared() {
    for (name, expected) in expected("traces") {
        let file = golden().join(&name);
        let replayed = run_to_end(&["replay", file.to_str().unwrap()]);
        assert_eq!(replayed.status.code(), Some(0), "{name}: {}", replayed.stderr);
        let texts = ["shows", "replay_shows"].map(|kind| expected[kind].as_array().unwrap());
        for text in texts.into_iter().flatten() {
            let text = text.as_str().unwrap();
            assert!(replayed.stdout.contains(text), "{name}: {text}\n{}", replayed.stdout);
        }
        let last = format!("\n{} inputs, not compared: format version 1\n", expected["inputs"]);
        assert!(replayed.stdout.ends_with(&last), "{name}: {}", replayed.stdout);
    }
}

/// Bytes 8 and 9 of every file are its version.
#[test]
fn a_version_that_is_not_known_is_refused_by_name() {
    let newer = |mut bytes: Vec<u8>| {
        bytes[8..10].copy_from_slice(&u16::MAX.to_le_bytes());
        bytes
    };
    let good = State::copy_of(&golden().join("killed"));
    let journal = good.journal().file_name().unwrap().to_str().unwrap().to_owned();
    for name in ["openctrl.state", &journal] {
        let state = good.copy();
        fs::write(state.file(name), newer(state.contents()[name].clone())).unwrap();
        let before = state.contents();
        let refused = state.refused();
        assert!(refused.stderr.contains("format version 65535"), "{name}: {}", refused.stderr);
        assert_eq!(state.contents(), before, "{name}: nothing is changed");
    }
    let (name, _) = &expected("traces")[0];
    let trace = good.file("newer.trace");
    fs::write(&trace, newer(fs::read(golden().join(name)).unwrap())).unwrap();
    let refused = run_to_end(&["replay", trace.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stderr.contains("format version 65535"), "{}", refused.stderr);
}
