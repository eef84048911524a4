//! Contract §11: taking over the state of the Go master, and damaged or missing state files: what
//! is reported, what is kept, and what is refused.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use openctrl_tests::state::{State, inspect, records};
use openctrl_tests::{KEY_ID, Master};
use serde_json::{Value, json};

/// The key, id and alias in the files that Go wrote.
const GO_KEY: &str = "00112233445566778899aabbccddeeff";
const GO_MID: &str = "1a2b3c4d5e6f7890";
const GO_ALIAS: &str = "prod-master-1";

/// The greatest number on the wire (contract §4).
const WIRE_MAX: u64 = (1 << 63) - 1;

/// A file that Go's encoder wrote.
fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src/store/gob/testdata");
    fs::read(folder.join(format!("{name}.gob"))).unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn assert_lines(master: &Master, parts: &[&str]) {
    for part in parts {
        let count = master.output().count(|line| line.text.contains(part));
        assert_eq!(count, 1, "{part}:\n{}", master.output().tail());
    }
}

/// The list, by id, without what a start changes.
fn definitions(master: &Master) -> BTreeMap<String, Value> {
    let mut list = master.api().list();
    list.iter_mut().for_each(|instance| instance["status"] = json!(null));
    list.into_iter().map(|found| (found["id"].as_str().unwrap().to_owned(), found)).collect()
}

mod go_master {
    use super::*;

    #[test]
    fn its_state_is_taken_over_once_and_left_alone() {
        let gob = fixture("full");
        let state = State::of([("openctrl.gob", &gob[..])]);
        let untouched = || fs::metadata(state.file("openctrl.gob")).unwrap().modified().unwrap();
        let modified = untouched();
        let mut master = state.start();
        assert_lines(&master, &["API key loaded: ", "1 instance taken over from ", GO_KEY]);
        let api = master.api();
        let found = api.instance("d34db33f");
        assert_eq!(found["url"], "managed://user:secret@edge-a?token=SECRET");
        assert_eq!((&found["alias"], &found["restart"]), (&json!("edge-a"), &json!(true)));
        assert_eq!((&found["type"], &found["mode"]), (&json!("managed"), &json!(2)));
        let peer = json!({"sid": "site-1", "type": "edge", "alias": "Site 1 Edge"});
        assert_eq!(found["meta"], json!({"peer": peer, "tags": {"region": "us-east"}}));
        let totals = ["tcprx", "tcptx", "udprx", "udptx"].map(|field| found[field].as_u64());
        assert_eq!(totals, [123_456, 654_321, 2_048, 127].map(Some));
        let key = api.instance(KEY_ID);
        assert_eq!((&key["url"], &key["config"]), (&json!(GO_KEY), &json!(GO_MID)));
        assert_eq!(key["alias"], GO_ALIAS);
        let info = api.get("/info").expect(200).json();
        assert_eq!((&info["mid"], &info["alias"]), (&json!(GO_MID), &json!(GO_ALIAS)));

        // Durable before the key was shown.
        let taken = definitions(&master);
        master.crash();
        master.restart();
        assert_eq!(definitions(&master), taken);
        assert!(!master.output().text(openctrl_tests::output::Source::Stderr).contains("taken"));

        // From now on it is ours: what is deleted does not come back.
        master.api().delete("d34db33f").expect(204);
        master.stop();
        fs::write(state.file("openctrl.gob.backup"), fixture("thousand")).unwrap();
        master.restart();
        assert_eq!(master.api().list().len(), 1);
        assert_eq!(fs::read(state.file("openctrl.gob")).unwrap(), gob);
        assert_eq!(untouched(), modified);
    }

    #[test]
    fn every_good_file_is_taken_over() {
        let counts = [
            ("key-only", 0),
            ("zeros", 1),
            ("text", 1),
            ("counters", 8),
            ("modes", 12),
            ("thousand", 1000),
            ("tags", 3),
            ("own-key", 0),
            ("variant", 1),
            ("swapped", 2),
        ];
        for (name, count) in counts {
            let state = State::of([("openctrl.gob", &fixture(name)[..])]);
            let mut master = state.start();
            assert_eq!(master.api().list().len(), count + 1, "{name}");
            let taken = definitions(&master);
            master.stop();
            let again = state.start();
            assert_eq!(definitions(&again), taken, "{name}");
            assert_eq!(fs::read(state.file("openctrl.gob")).unwrap(), fixture(name));
        }
    }

    #[test]
    fn a_thousand_instances_keep_their_fields() {
        let state = State::of([("openctrl.gob", &fixture("thousand")[..])]);
        let found = definitions(&state.start());
        for n in 0..1000_u64 {
            let found = &found[&format!("{:08x}", n * 0x10001)];
            assert_eq!(found["alias"], format!("a{n}"));
            assert_eq!(found["url"], format!("demo://h{n}"));
            assert_eq!(found["restart"], n % 2 == 0);
            assert_eq!(found["meta"]["tags"], json!({"n": n.to_string()}));
            assert_eq!((&found["mode"], &found["tcprx"]), (&json!(n % 3), &json!(n * 1000)));
        }
    }

    #[test]
    fn great_totals_are_kept_and_fit_on_the_wire() {
        let state = State::of([("openctrl.gob", &fixture("counters")[..])]);
        let mut master = state.start();
        let shown: Vec<u64> = definitions(&master)
            .into_values()
            .filter(|found| found["id"] != KEY_ID)
            .map(|found| found["udptx"].as_u64().unwrap())
            .collect();
        let numbers = [127, 128, 255, 256, 1 << 32, WIRE_MAX, WIRE_MAX + 1, u64::MAX];
        assert_eq!(shown, numbers.map(|number| number.min(WIRE_MAX)));
        master.stop();
        let exported = inspect(&["export", state.path()]);
        let exported: Value = serde_json::from_slice(&exported.stdout).unwrap();
        let kept: Vec<_> = exported["instances"].as_array().unwrap().iter().collect();
        let kept: Vec<_> = kept.iter().map(|found| found["udptx"].as_u64().unwrap()).collect();
        assert_eq!(kept, numbers);
    }

    /// Neither is of the form that we make ourselves.
    #[test]
    fn a_key_of_ones_own_and_a_missing_id() {
        let state = State::of([("openctrl.gob", &fixture("own-key")[..])]);
        let mut master = state.start();
        assert_eq!(master.key(), "my own key");
        let mid = |master: &Master| master.api().instance(KEY_ID)["config"].clone();
        let made = mid(&master);
        assert!(openctrl_tests::json::is_hex(made.as_str().unwrap(), 16), "{made}");
        master.crash();
        master.restart();
        assert_eq!((master.key(), mid(&master)), ("my own key", made));
    }

    #[test]
    fn the_backup_is_taken_over_where_the_file_is_bad() {
        let (bad, good) = (&fixture("full")[..100], fixture("full"));
        let files: [(&str, &[u8]); 2] = [("openctrl.gob", bad), ("openctrl.gob.backup", &good)];
        let state = State::of(files);
        let master = state.start();
        assert_eq!(master.api().instance("d34db33f")["alias"], "edge-a");
        assert_lines(&master, &["taken over from ", "openctrl.gob.backup", "API key loaded"]);
        for (name, bytes) in files {
            assert_eq!(state.contents()[name], bytes);
        }
    }

    #[test]
    fn what_cannot_be_taken_over_is_refused_and_left_alone() {
        let good = fixture("full");
        for bad in [&good[..0], &good[..good.len() - 1], b"{}", &fixture("refused-no-key")] {
            let files: [(&str, &[u8]); 2] = [("openctrl.gob", bad), ("openctrl.gob.backup", bad)];
            let state = State::of(files);
            let before = state.contents();
            for _ in 0..2 {
                let finished = state.refused();
                for name in ["openctrl.gob", "openctrl.gob.backup"] {
                    let path = state.file(name).display().to_string();
                    assert!(finished.stderr.contains(&path), "{}", finished.stderr);
                }
                assert_eq!(state.contents(), before);
            }
        }
    }
}

/// What a master leaves that is killed in its second life, and what it had acknowledged. In every
/// file there is something that is nowhere else but in the file that may replace it.
fn killed() -> (State, BTreeMap<String, Value>) {
    let state = State::new();
    let mut master = state.start();
    let mut ids = Vec::new();
    for life in 0..3 {
        for number in 0..3 {
            let url = format!("stub://me:hush@host-{life}-{number}/?token=hush");
            let body = json!({"url": url, "alias": format!("{life}-{number}")});
            let id = openctrl_tests::api::id_of(&master.api().post("/instances", &body).json());
            master.api().patch(&id, &json!({"restart": false})).expect(200);
            ids.push(id);
        }
        master.api().post("/info", &json!({"alias": format!("life {life}")})).expect(200);
        master.crash();
        if life < 2 {
            master.restart();
        }
    }
    master.restart();
    master.api().patch(&ids[0], &json!({"alias": "the last change"})).expect(200);
    let known = definitions(&master);
    master.crash();
    (state, known)
}

/// Damages a file in one of many ways.
fn damages(bytes: &[u8]) -> Vec<Vec<u8>> {
    let flipped = |index: usize| {
        let mut copy = bytes.to_vec();
        copy[index] ^= 0x10;
        copy
    };
    let cut = |length: usize| bytes[..length].to_vec();
    let middle = bytes.len() / 2;
    let longer = [bytes, b"x"].concat();
    vec![cut(0), cut(5), cut(middle), cut(bytes.len() - 1), flipped(0), flipped(middle), longer]
}

#[test]
fn a_damaged_snapshot_costs_nothing() {
    let (good, known) = killed();
    for bad in damages(&good.contents()["openctrl.state"]) {
        let state = good.copy();
        fs::write(state.file("openctrl.state"), &bad).unwrap();
        // It is reported before it is repaired, and the check changes nothing.
        let before = state.contents();
        let report = inspect(&["check", state.path()]);
        assert!(report.status.success());
        assert!(text(&report.stdout).contains("note: the snapshot cannot be read"));
        assert_eq!(state.contents(), before);

        let mut master = state.start();
        assert_eq!(definitions(&master), known);
        assert_lines(&master, &["the snapshot cannot be read", "the bad file is kept as "]);
        let contents = state.contents();
        let aside: Vec<_> =
            contents.iter().filter(|(name, _)| name.contains(".corrupt-")).collect();
        assert_eq!(aside.len(), 1);
        assert_eq!(*aside[0].1, bad, "it is kept as it was");
        master.crash();
        master.restart();
        assert_eq!(definitions(&master), known, "and it is mended for good");
        assert_eq!(master.output().count(|line| line.text.contains("loadState")), 0);
    }
}

#[test]
fn a_missing_snapshot_costs_nothing() {
    let (state, known) = killed();
    fs::remove_file(state.file("openctrl.state")).unwrap();
    let master = state.start();
    assert_eq!(definitions(&master), known);
    assert_lines(&master, &["the snapshot is missing; the backup and the journals are used"]);
}

#[test]
fn a_missing_or_damaged_backup_is_not_needed() {
    let (good, known) = killed();
    for bad in [None, Some(b"x")] {
        let state = good.copy();
        fs::remove_file(state.file("openctrl.state.backup")).unwrap();
        if let Some(bytes) = bad {
            fs::write(state.file("openctrl.state.backup"), bytes).unwrap();
        }
        assert_eq!(definitions(&state.start()), known);
    }
}

/// What was being written when the master was killed was never acknowledged.
#[test]
fn a_torn_end_of_the_journal_is_cut_off() {
    let (good, known) = killed();
    let journal = fs::read(good.journal()).unwrap();
    let last = records(&journal).pop().unwrap();
    let journal = &journal[..last.end];
    // A copy of the last record stands for one that was under way.
    let tail = &journal[last];
    for torn in [1000_u32.to_le_bytes().to_vec(), tail[..7].to_vec()] {
        let state = good.copy();
        fs::write(state.journal(), [journal, &torn].concat()).unwrap();
        let report = inspect(&["check", state.path()]);
        assert!(report.status.success(), "{}", text(&report.stderr));
        assert!(text(&report.stdout).contains("ends within a record"));
        let mut master = state.start();
        assert_eq!(definitions(&master), known);
        assert_lines(&master, &["which was never acknowledged"]);
        master.crash();
        master.restart();
        assert_eq!(definitions(&master), known);
    }
}

/// Cut off while the next snapshot was being made, at any point of it.
#[test]
fn a_save_that_was_cut_off_does_no_harm() {
    let (good, known) = killed();
    let journal = good.journal();
    let generation = journal.extension().unwrap().to_str().unwrap().parse::<u64>().unwrap();
    let header = &fs::read(&journal).unwrap()[..20];
    for begun in [&header[..0], header] {
        let state = good.copy();
        fs::write(state.file(&format!("openctrl.journal.{}", generation + 1)), begun).unwrap();
        fs::write(state.file("openctrl.state.tmp"), "OPENC").unwrap();
        fs::write(state.file("openctrl.state.backup.tmp"), "").unwrap();
        fs::write(state.file("openctrl.children.tmp"), "openctrl-ch").unwrap();
        assert!(inspect(&["check", state.path()]).status.success());
        let mut master = state.start();
        assert_eq!(definitions(&master), known);
        master.api().post("/instances", &json!({"url": "stub://after"})).expect(201);
        master.crash();
        master.restart();
        assert_eq!(definitions(&master).len(), known.len() + 1);
    }
}

#[test]
fn what_is_not_complete_is_refused_and_left_alone() {
    let (good, _) = killed();
    let journal = good.journal();
    let name = journal.file_name().unwrap().to_str().unwrap();
    let journal = fs::read(&journal).unwrap();
    let mut damaged = journal.clone();
    damaged[40] ^= 1;
    type Change<'a> = (&'a str, Option<&'a [u8]>);
    let snapshots: [Change<'_>; 2] =
        [("openctrl.state", Some(b"bad")), ("openctrl.state.backup", Some(b""))];
    let cases: [(&[Change<'_>], &str); 5] = [
        (&snapshots, "the snapshot cannot be read"),
        (&[("openctrl.state", None), ("openctrl.state.backup", None)], "the backup is missing"),
        (&[(name, None)], "is missing"),
        (&[(name, Some(&damaged))], "cannot be read"),
        (&[(name, Some(&journal[..20]))], "cannot be read"),
    ];
    for (changes, reason) in cases {
        let state = good.copy();
        for (name, bytes) in changes {
            fs::remove_file(state.file(name)).unwrap();
            if let Some(bytes) = bytes {
                fs::write(state.file(name), bytes).unwrap();
            }
        }
        let before = state.contents();
        for _ in 0..2 {
            let finished = state.refused();
            assert!(finished.stderr.contains(reason), "{reason}: {}", finished.stderr);
            for words in [&["check", state.path()][..], &["export", state.path()]] {
                let report = inspect(words);
                assert!(!report.status.success());
                assert!(text(&report.stderr).contains(reason), "{}", text(&report.stderr));
                assert_eq!(text(&report.stdout), "");
            }
            assert_eq!(state.contents(), before, "never a new key, nothing touched");
        }
    }
}

/// A newer program wrote it, which is no damage: nothing is kept aside.
#[test]
fn a_newer_format_is_refused() {
    let (state, _) = killed();
    let mut snapshot = fs::read(state.file("openctrl.state")).unwrap();
    snapshot[8] += 1;
    let newer = format!("format version {}", snapshot[8]);
    fs::write(state.file("openctrl.state"), snapshot).unwrap();
    let before = state.contents();
    let finished = state.refused();
    assert!(finished.stderr.contains(&newer), "{}", finished.stderr);
    assert_eq!(state.contents(), before);
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    for name in ["openctrl.state", "openctrl.state.backup", "openctrl.journal.7"] {
        let (state, _) = killed();
        let _ = fs::remove_file(state.file(name));
        fs::create_dir(state.file(name)).unwrap();
        let before = state.contents();
        let finished = state.refused();
        let path = state.file(name).display().to_string();
        assert!(finished.stderr.contains(&path), "{}", finished.stderr);
        assert_eq!(state.contents(), before);
    }
}

#[test]
fn a_state_is_checked_and_exported() {
    let (state, known) = killed();
    let before = state.contents();
    let report = inspect(&["check", state.path()]);
    assert!(report.status.success());
    let mid = known[KEY_ID]["config"].as_str().unwrap();
    let report = text(&report.stdout);
    for part in ["complete", mid, "9 instances"] {
        assert!(report.contains(part), "{part}: {report}");
    }
    assert!(!report.contains("note"), "{report}");

    let key = known[KEY_ID]["url"].as_str().unwrap();
    for (words, shown) in [(&["export"][..], false), (&["export", "--secrets"], true)] {
        let exported = inspect(&[words, &[state.path()]].concat());
        assert!(exported.status.success());
        let exported_text = text(&exported.stdout);
        assert_eq!(exported_text.contains("hush"), shown);
        assert_eq!(exported_text.contains(key), shown);
        let exported: Value = serde_json::from_str(exported_text).unwrap();
        assert_eq!(exported["master"]["mid"], mid);
        assert_eq!(exported["master"]["alias"], "life 2");
        let instances = exported["instances"].as_array().unwrap();
        assert_eq!(instances.len(), 9);
        for found in instances {
            let wanted = &known[found["id"].as_str().unwrap()];
            for field in ["alias", "restart", "meta", "mode", "tcprx", "udptx"] {
                assert_eq!(found[field], wanted[field], "{field}");
            }
            assert!(!shown || found["url"] == wanted["url"]);
        }
    }
    assert_eq!(state.contents(), before);
}

#[test]
fn there_is_nothing_to_check_where_no_master_was() {
    let empty = State::new();
    let nowhere = empty.file("nowhere");
    for path in [empty.path(), nowhere.to_str().unwrap()] {
        for words in [["check", path], ["export", path]] {
            let report = inspect(&words);
            assert!(!report.status.success());
            assert!(text(&report.stderr).contains(path), "{}", text(&report.stderr));
        }
    }
    assert_eq!(empty.contents(), BTreeMap::new());
    assert!(!nowhere.exists());
}

#[test]
fn a_state_in_use_can_be_looked_at() {
    let state = State::new();
    let master = state.start();
    let url = json!({"url": "stub://x"});
    master.api().post("/instances", &url).expect(201);
    let report = inspect(&["check", state.path()]);
    assert!(report.status.success());
    assert!(text(&report.stdout).contains("a master is using it"));
    assert!(text(&report.stdout).contains("1 instance,"));
    master.api().post("/instances", &url).expect(201);
}
