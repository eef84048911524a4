//! `openctrl state repair`: what it keeps of a damaged state directory, what it says, and what it
//! refuses.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use openctrl_tests::shell::{Ran, Shell};
use openctrl_tests::state::{State, records};
use openctrl_tests::{Master, binary};
use serde_json::{Value, json};

/// A directory of a master that had instances `first`, `second` and `third`, and deleted `first`;
/// with the place of each record in its journal.
fn killed() -> (State, Vec<std::ops::Range<usize>>) {
    let state = State::new();
    let mut master = state.start();
    let make = |alias: &str| {
        let body = json!({"url": "stub://host", "alias": alias});
        let id = openctrl_tests::api::id_of(&master.api().post("/instances", &body).json());
        master.api().patch(&id, &json!({"restart": false})).expect(200);
        id
    };
    let first = make("first");
    make("second");
    master.api().delete(&first).expect(204);
    make("third");
    master.crash();
    let records = records(&fs::read(state.journal()).unwrap());
    (state, records)
}

fn shell(state: &State) -> Shell {
    Shell::new(binary::openctrl(), Path::new(state.path()))
}

fn repair(state: &State) -> String {
    shell(state).ok(&["state", "repair", state.path(), "--yes"])
}

fn refused(state: &State) -> String {
    shell(state).fails(1, &["state", "repair", state.path(), "--yes"])
}

/// The aliases of the instances of a master on this state.
fn aliases(master: &Master) -> Vec<String> {
    let list = master.api().list();
    let mut aliases: Vec<String> =
        list.iter().map(|found| found["alias"].as_str().unwrap().to_owned()).collect();
    aliases.retain(|alias| !alias.is_empty());
    aliases.sort();
    aliases
}

/// The folder with the damaged files, and its files but for the report.
fn aside(state: &State) -> (PathBuf, BTreeMap<String, Vec<u8>>) {
    let entries = fs::read_dir(state.path()).unwrap().map(|entry| entry.unwrap().path());
    let is_folder = |path: &PathBuf| path.display().to_string().contains("/openctrl.repaired-");
    let folders: Vec<PathBuf> = entries.filter(is_folder).collect();
    let [folder] = &folders[..] else { panic!("{folders:?}") };
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let file = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read(path).unwrap())
    };
    (folder.clone(), files.map(file).filter(|(name, _)| name != "report.txt").collect())
}

/// The snapshots and journals of a directory.
fn state_files(state: &State) -> BTreeMap<String, Vec<u8>> {
    let mut files = state.contents();
    let is_state =
        |name: &str| name.starts_with("openctrl.state") || name.starts_with("openctrl.journal.");
    files.retain(|name, _| is_state(name));
    files
}

/// The record of the journal that has these bytes last.
fn last_with(state: &State, text: &str) -> usize {
    let journal = fs::read(state.journal()).unwrap();
    let has = |range: &std::ops::Range<usize>| {
        journal[range.clone()].windows(text.len()).any(|bytes| bytes == text.as_bytes())
    };
    records(&journal).iter().rposition(has).unwrap()
}

/// A master starts on the directory, changes it, and finds the change after a crash.
fn use_it(state: &State) -> Vec<String> {
    let mut master = state.start();
    let found = aliases(&master);
    let url = json!({"url": "stub://after", "alias": "zz"});
    master.api().post("/instances", &url).expect(201);
    master.crash();
    master.restart();
    assert_eq!(aliases(&master).len(), found.len() + 1);
    found
}

#[test]
fn a_state_that_a_master_starts_with_is_left_alone() {
    let (state, records) = killed();
    for length in [records.last().unwrap().end, records.last().unwrap().end - 3] {
        let bytes = fs::read(state.journal()).unwrap();
        fs::write(state.journal(), &bytes[..length]).unwrap();
        let before = state.contents();
        assert!(
            repair(&state).contains("complete, ") && repair(&state).contains("nothing to repair")
        );
        assert_eq!(state.contents(), before, "a torn end is no damage");
    }
}

#[test]
fn a_flipped_bit_costs_its_record_and_is_reported() {
    let (state, records) = killed();
    let mut journal = fs::read(state.journal()).unwrap();
    let at = last_with(&state, "second");
    let range = records[at].clone();
    journal[range.end - 1] ^= 1;
    fs::write(state.journal(), &journal).unwrap();
    let damaged = state_files(&state);
    state.refused();

    let report = repair(&state);
    let lost = format!("record {}; bytes {} to {}\n", at + 1, range.start, range.end - 1);
    for part in
        ["is damaged at byte", &lost, "may be older", "the API key", "second (", "repaired; "]
    {
        assert!(report.contains(part), "{part}: {report}");
    }
    let (folder, files) = aside(&state);
    assert_eq!(files, damaged, "nothing is deleted");
    assert!(report.contains(folder.to_str().unwrap()), "{report}");
    let kept = fs::read_to_string(folder.join("report.txt")).unwrap();
    assert!(report.starts_with(&kept), "{kept}");
    assert_eq!(use_it(&state), ["second", "third"], "what follows the damage is kept");
}

/// A deletion that is lost: the instance is there again, and its name is in the report.
#[test]
fn a_lost_deletion_is_pointed_out() {
    let (state, records) = killed();
    let deletions: Vec<usize> = records
        .iter()
        .enumerate()
        .filter(|(_, range)| {
            let journal = fs::read(state.journal()).unwrap();
            // The tag of a deletion.
            journal[range.start + 20] == 2
        })
        .map(|(at, _)| at)
        .collect();
    let [at] = deletions[..] else { panic!("{deletions:?}") };
    let mut journal = fs::read(state.journal()).unwrap();
    // In the head: the next record has to be searched.
    journal[records[at].start] ^= 1;
    fs::write(state.journal(), &journal).unwrap();
    let report = repair(&state);
    assert!(report.contains("first (") && report.contains("deleted is there again"), "{report}");
    assert!(!report.contains("third ("), "it was created after the damage: {report}");
    assert_eq!(use_it(&state), ["first", "second", "third"]);
}

#[test]
fn a_journal_that_is_empty_or_missing_costs_the_changes_since_the_snapshot() {
    for is_missing in [false, true] {
        let (state, _) = killed();
        // Another start writes a snapshot with all of it.
        state.start().stop();
        let journal = state.journal();
        match is_missing {
            true => fs::remove_file(&journal).unwrap(),
            false => fs::write(&journal, "").unwrap(),
        }
        let found = if is_missing { "there is no file" } else { "in the 0 bytes of the file" };
        let report = repair(&state);
        assert!(report.contains(found), "{report}");
        assert!(report.contains("an unknown number of records"), "{report}");
        assert_eq!(use_it(&state), ["second", "third"], "the snapshot has them");
    }
}

#[test]
fn a_damaged_snapshot_with_a_damaged_journal_is_replaced_by_the_backup() {
    let (state, _) = killed();
    let at = last_with(&state, "third");
    let mut journal = fs::read(state.journal()).unwrap();
    let record = records(&journal)[at].clone();
    journal[record.end - 1] ^= 1;
    fs::write(state.journal(), &journal).unwrap();
    fs::write(state.file("openctrl.state"), "").unwrap();
    let report = repair(&state);
    assert!(report.contains("the backup of generation "), "{report}");
    assert!(use_it(&state).contains(&"second".to_owned()));
}

#[test]
fn without_any_snapshot_nothing_is_done() {
    let (state, _) = killed();
    for name in ["openctrl.state", "openctrl.state.backup"] {
        fs::write(state.file(name), "bad").unwrap();
    }
    let before = state.contents();
    let reason = refused(&state);
    assert!(
        reason.contains("nothing of the state in ") && reason.contains("Put a copy"),
        "{reason}"
    );
    assert_eq!(state.contents(), before);
}

#[test]
fn directories_of_others_are_left_alone() {
    let state = State::of([("notes.txt", &b"x"[..]), ("state.json", b"{}")]);
    let before = fs::read_dir(state.path()).unwrap().count();
    assert!(refused(&state).contains("there is no state of a master in "));
    let nowhere = state.file("nowhere");
    let words = ["state", "repair", nowhere.to_str().unwrap(), "--yes"];
    assert!(shell(&state).fails(1, &words).contains("nowhere"));
    assert_eq!(fs::read_dir(state.path()).unwrap().count(), before, "not even a lock is made");
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let (state, _) = killed();
    let mut snapshot = fs::read(state.file("openctrl.state")).unwrap();
    snapshot[8] = 3;
    fs::write(state.file("openctrl.state"), snapshot).unwrap();
    let before = state.contents();
    let reason = refused(&state);
    assert!(reason.contains("format version 3; this program knows up to 2"), "{reason}");
    assert_eq!(state.contents(), before);
}

#[test]
fn a_state_in_use_is_not_repaired() {
    let state = State::new();
    let master = state.start();
    let reason = refused(&state);
    assert!(reason.contains("a master uses the state directory "), "{reason}");
    assert!(reason.contains("stop it before the repair"), "{reason}");
    assert_eq!(master.api().list().len(), 1, "the master is not disturbed");
}

/// Without a terminal it needs `--yes`, and reports what it would do; on a terminal it asks.
#[test]
fn it_asks_before_it_changes_anything() {
    let (state, _) = killed();
    let mut journal = fs::read(state.journal()).unwrap();
    journal[40] ^= 1;
    fs::write(state.journal(), &journal).unwrap();
    let before = state.contents();
    let words = ["state", "repair", state.path()];
    let Ran { code, stdout, stderr } = shell(&state).run(&words);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("use --yes") && stderr.lines().count() == 1, "{stderr}");
    assert!(stdout.contains("given up:") && !stdout.contains("repaired;"), "{stdout}");

    let mut terminal = shell(&state).terminal(200, 40, &words);
    terminal.wait_output("[y/N]");
    terminal.press("n\r");
    assert_eq!(terminal.wait(), Some(1));
    assert_eq!(state.contents(), before, "nothing was changed");

    let mut terminal = shell(&state).terminal(200, 40, &words);
    terminal.wait_output("[y/N]");
    terminal.press("y\r");
    assert_eq!(terminal.wait(), Some(0));
    let check: Value = {
        let exported = shell(&state).ok(&["state", "export", state.path()]);
        serde_json::from_str(&exported).unwrap()
    };
    assert!(!check["instances"].as_array().unwrap().is_empty());
    assert!(repair(&state).contains("nothing to repair"), "it is repaired once");
}
