//! Files that are removed, renamed or replaced under a running master: noticed and written again, or
//! changes are refused. No change is answered that no file holds.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use openctrl_tests::script::Step;
use openctrl_tests::{Master, Script, until};
use rustix::process::Signal;
use serde_json::json;

fn gob(master: &Master) -> PathBuf {
    master.folder().join("gob")
}

fn wait_line(master: &Master, part: &str) -> String {
    master.output().wait_for_line(part, |line| line.text.contains(part)).text
}

/// Removes a folder in which the master may make files meanwhile.
fn remove_folder(folder: &Path) {
    until("the folder to be removed", || fs::remove_dir_all(folder).is_ok());
}

/// Removes a file that the master may have renamed meanwhile.
fn remove_file(file: &Path) {
    let removed = fs::remove_file(file);
    let is_missing = removed.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound);
    assert!(is_missing || removed.is_ok(), "{removed:?}");
}

/// Creates an instance and names another; returns the ids of both.
fn change(master: &Master) -> [String; 2] {
    let api = master.api();
    let id = api.run_once(&Script::new());
    api.patch(&id, &json!({"alias": "after"})).expect(200);
    let other = api.run_once(&Script::new());
    [id, other]
}

fn assert_kept(master: &Master, key: &str, ids: &[String]) {
    assert_eq!(master.key(), key, "the key is kept");
    let api = master.api();
    for id in ids {
        api.instance(id);
    }
}

/// A name and what it does to the state directory.
type Removal = (&'static str, fn(&Path));

/// What removes the state under a master.
const REMOVALS: [Removal; 4] = [
    ("the directory", remove_folder),
    ("the files", |gob| {
        for entry in fs::read_dir(gob).expect("listed") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                remove_file(&path);
            }
        }
    }),
    ("the directory, renamed", |gob| {
        fs::rename(gob, gob.with_extension("moved")).expect("renamed");
    }),
    ("a copy in its place", |gob| {
        let aside = gob.with_extension("moved");
        fs::rename(gob, &aside).expect("renamed");
        fs::create_dir(gob).expect("made");
        for entry in fs::read_dir(&aside).expect("listed") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                fs::copy(&path, gob.join(path.file_name().expect("a name"))).expect("copied");
            }
        }
    }),
];

#[test]
fn a_state_that_is_removed_is_written_anew_at_the_next_change() {
    for (what, remove) in REMOVALS {
        for end in ["stop", "crash"] {
            let mut master = Master::start();
            let key = master.key().to_owned();
            let before = master.api().run_once(&Script::new());
            remove(&gob(&master));
            let mut ids = change(&master).to_vec();
            wait_line(&master, "the state was rewritten from memory");
            ids.push(before);
            if end == "stop" {
                master.stop();
            } else {
                master.kill9();
            }
            master.restart();
            assert_kept(&master, &key, &ids);
            assert_eq!(master.api().instance(&ids[0])["alias"], "after", "{what}, {end}");
        }
    }
}

#[test]
fn a_state_that_is_removed_and_not_changed_is_there_at_the_next_start() {
    let mut master = Master::start();
    let key = master.key().to_owned();
    let id = master.api().run_once(&Script::new());
    until("its end", || master.api().status(&id) == "stopped");
    remove_folder(&gob(&master));
    master.stop();
    wait_line(&master, "the state was rewritten from memory");
    master.restart();
    assert_kept(&master, &key, &[id]);
}

#[test]
fn an_idle_master_writes_its_state_anew_without_being_asked() {
    let master = Master::start();
    remove_folder(&gob(&master));
    wait_line(&master, "the state was rewritten from memory");
    for name in ["openctrl.state", "openctrl.state.backup", "openctrl.lock", "openctrl.address"] {
        until(name, || gob(&master).join(name).exists());
    }
}

#[test]
fn what_is_put_in_the_place_of_the_state_is_kept_aside() {
    let master = Master::start();
    let state = gob(&master).join("openctrl.state");
    let other = gob(&master).join("other");
    fs::write(&other, "of another").expect("written");
    fs::write(gob(&master).join("openctrl.state.mine"), "mine").expect("written");
    fs::rename(&other, &state).expect("replaced");
    change(&master);
    wait_line(&master, "openctrl.state was replaced while the master runs");
    let aside: Vec<String> = fs::read_dir(gob(&master))
        .expect("listed")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_string_lossy().contains("openctrl.state.replaced-"))
        .map(|path| fs::read_to_string(path).expect("readable"))
        .collect();
    assert_eq!(aside, ["of another"]);
    let mine = fs::read_to_string(gob(&master).join("openctrl.state.mine"));
    assert_eq!(mine.expect("untouched"), "mine");
}

#[test]
fn changes_are_refused_while_another_master_holds_the_directory() {
    let mut first = Master::start();
    let state = gob(&first).display().to_string();
    let id = first.api().run_once(&Script::new());
    until("its end", || first.api().status(&id) == "stopped");
    fs::rename(gob(&first), first.folder().join("moved")).expect("renamed");
    let mut second = Master::builder().query("state", &state).start();
    let key = second.key().to_owned();
    assert_ne!(first.key(), key);
    let theirs = second.api().run_once(&Script::new());

    let api = first.api();
    let refused = api.post("/instances", &json!({"url": Script::new().url()})).expect_error(503);
    let error = refused.json()["error"].as_str().expect("a message").to_owned();
    assert!(error.contains("another master holds the state directory"), "{error}");
    api.patch(&id, &json!({"alias": "x"})).expect_error(503);
    assert_eq!(api.instance(&id)["alias"], "");
    api.without_key().get("/health").expect(503);
    // What reads see is still right, and nothing of the other one is touched.
    assert_eq!(api.list().len(), 2);
    first.signal(Signal::TERM);
    first.wait_exit();
    second.stop();
    second.restart();
    assert_kept(&second, &key, &[theirs]);
}

#[test]
fn a_change_is_refused_where_the_directory_cannot_be_made_again() {
    let master = Master::start();
    remove_folder(&gob(&master));
    fs::write(gob(&master), "in the way").expect("written");
    let api = master.api();
    api.post("/instances", &json!({"url": Script::new().url()})).expect_error(503);
    api.without_key().get("/health").expect(503);
    assert_eq!(api.list().len(), 1);
    // Made good, it recovers by itself: a probe that waits for it would change nothing.
    fs::remove_file(gob(&master)).expect("removed");
    until("the master to be ready", || api.without_key().get("/health").status == 200);
    change(&master);
}

/// A master with log files, and an instance that prints a line for each cue.
fn logging(cues: usize) -> (Master, String, PathBuf) {
    let master = Master::builder().query("logs", "LOGS").start();
    let folder = master.folder().join("cwd/LOGS");
    let mut script = Script::new();
    for number in 0..cues {
        let path = master.folder().join(format!("{number}.cue"));
        script = script.step(Step::Cue(path)).print(format!("line {number}"));
    }
    let id = master.run(&mut master.events(), &script.wait());
    (master, id.clone(), folder.join(format!("{id}.log")))
}

fn print(master: &Master, number: usize) {
    fs::write(master.folder().join(format!("{number}.cue")), "").expect("written");
}

fn wait_text(path: &Path, part: &str) {
    until(&format!("{part} in {}", path.display()), || {
        fs::read_to_string(path).is_ok_and(|text| text.contains(part))
    });
}

#[test]
fn a_log_file_that_is_renamed_or_removed_is_begun_anew_with_the_next_line() {
    let (master, _, log) = logging(4);
    print(&master, 0);
    wait_text(&log, "line 0");
    let renamed = log.with_extension("log-20260609");
    fs::rename(&log, &renamed).expect("renamed");
    print(&master, 1);
    wait_text(&log, "line 1");
    let old = fs::read_to_string(&renamed).expect("readable");
    assert!(old.contains("line 0") && !old.contains("line 1"), "{old}");
    fs::remove_file(&log).expect("removed");
    print(&master, 2);
    wait_text(&log, "line 2");
    fs::remove_dir_all(log.parent().expect("a folder")).expect("removed");
    print(&master, 3);
    wait_text(&log, "line 3");
}

#[test]
fn hup_and_usr1_reopen_log_files() {
    for (signal, name) in [(Signal::HUP, "HUP"), (Signal::USR1, "USR1")] {
        let (mut master, _, log) = logging(2);
        print(&master, 0);
        wait_text(&log, "line 0");
        fs::rename(&log, log.with_extension("1")).expect("renamed");
        master.signal(signal);
        wait_line(&master, &format!("{name} received"));
        print(&master, 1);
        wait_text(&log, "line 1");
        assert!(master.is_running());
    }
}

#[test]
fn a_log_file_that_is_cut_short_goes_on() {
    let (master, _, log) = logging(2);
    print(&master, 0);
    wait_text(&log, "line 0");
    fs::OpenOptions::new().write(true).truncate(true).open(&log).expect("cut short");
    print(&master, 1);
    wait_text(&log, "line 1");
    let text = fs::read(&log).expect("readable");
    assert!(!text.contains(&0) && text.starts_with(b"20"), "no hole where it was");
}

#[test]
fn the_address_is_written_again_and_that_of_another_is_left_alone() {
    let mut master = Master::start();
    let address = gob(&master).join("openctrl.address");
    let text = fs::read_to_string(&address).expect("it is there");
    fs::remove_file(&address).expect("removed");
    until("the address", || fs::read_to_string(&address).is_ok_and(|again| again == text));
    fs::remove_file(&address).expect("removed");
    fs::write(&address, "of another").expect("written");
    master.stop();
    assert_eq!(fs::read_to_string(&address).expect("it is there"), "of another");
}

#[test]
fn a_ledger_that_is_removed_is_written_anew() {
    let mut master = Master::builder().query("survive", "off").start();
    let mut events = master.events();
    let first = master.run(&mut events, &Script::new().wait());
    let ledger = gob(&master).join("openctrl.children");
    fs::remove_file(&ledger).expect("removed");
    let second = master.run(&mut events, &Script::new().wait());
    wait_line(&master, "openctrl.children was removed or renamed");
    until("both in it", || {
        let text = fs::read_to_string(&ledger).unwrap_or_default();
        [&first, &second].iter().all(|id| text.contains(id.as_str()))
    });
    // The next master knows them: neither runs twice.
    let pids = master.descendants();
    master.crash();
    master.restart();
    for pid in pids {
        openctrl_tests::process::wait_gone(pid);
    }
}

#[test]
fn a_trace_that_is_removed_goes_on_in_another_file() {
    let master = Master::start();
    let trace = gob(&master).join("trace");
    let files = || -> Vec<PathBuf> {
        let entries = fs::read_dir(&trace).into_iter().flatten();
        entries.map(|entry| entry.expect("an entry").path()).collect()
    };
    until("a trace", || !files().is_empty());
    fs::remove_dir_all(&trace).expect("removed");
    change(&master);
    wait_line(&master, "recording continues in another file");
    until("another file", || !files().is_empty());
}

#[test]
fn a_certificate_that_is_removed_stays_in_use_and_is_said_once() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (crt, key) = (folder.path().join("crt.pem"), folder.path().join("key.pem"));
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    fs::write(&crt, pair.cert.pem()).expect("written");
    fs::write(&key, pair.signing_key.serialize_pem()).expect("written");
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let builder = Master::builder().query("tls", "2");
    let master = builder.query("crt", &text(&crt)).query("key", &text(&key)).start();
    let aside = folder.path().join("aside");
    fs::rename(&key, &aside).expect("renamed");
    let line = wait_line(&master, "was removed or renamed");
    assert!(line.contains("key.pem"), "{line}");
    master.api().get("/info").expect(200);
    fs::rename(&aside, &key).expect("renamed");
    wait_line(&master, "the files of the certificate exist again");
    assert_eq!(master.output().count(|line| line.text.contains("was removed or renamed")), 1);
}
