//! Files whose changes restart an instance, with the real file system.

use std::fs;
use std::path::{Path, PathBuf};

use openctrl_tests::api::id_of;
use openctrl_tests::{Master, Shell, eventually, until};
use serde_json::{Value, json};

/// A master, and a folder to watch.
fn own() -> (Master, PathBuf) {
    let master = Master::builder().without_bin().start();
    let folder = master.folder().join("app");
    fs::create_dir_all(folder.join("src/deep")).expect("made");
    (master, folder)
}

/// An instance that runs until it is stopped.
fn watch(master: &Master, parameters: &str) -> String {
    let body = json!({"url": format!("exec:sleep?arg=1000{parameters}"), "alias": "app"});
    let created = master.api().request("POST", "/instances").json(&body).send().expect(201).json();
    let id = id_of(&created);
    starts(master, &id, 1);
    // The folder, two below it, and the one that it is in.
    until("its files are watched", || watched(master) >= 4);
    id
}

/// How many directories the master watches.
fn watched(master: &Master) -> usize {
    let entries = fs::read_dir(format!("/proc/{}/fdinfo", master.pid())).expect("it runs");
    let infos = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
    infos.map(|info| info.lines().filter(|line| line.starts_with("inotify ")).count()).sum()
}

/// Waits until it has started at least so often, and runs.
fn starts(master: &Master, id: &str, count: u64) -> Value {
    eventually(&format!("start {count}"), || {
        let process = master.api().process(id);
        let is_started = process["starts"].as_u64().is_some_and(|starts| starts >= count);
        (is_started && process["pid"] != Value::Null).then_some(process)
    })
}

/// Makes a change, and waits until the instance is started for it.
fn restarts_after(master: &Master, id: &str, change: impl FnOnce()) -> Value {
    let before = master.api().process(id)["starts"].as_u64().expect("a number");
    change();
    starts(master, id, before + 1)
}

fn write(path: &Path) {
    fs::write(path, "x").expect("written");
}

fn wait_log(master: &Master, text: &str) {
    master.output().wait_for_line(text, |line| line.text.contains(text));
}

#[test]
fn an_edit_restarts_and_a_burst_restarts_once() {
    let (master, folder) = own();
    let id = watch(&master, &format!("&watch={}&watch_ignore=*.log", folder.display()));
    // None of these counts, and the last one does.
    write(&folder.join("app.log"));
    write(&folder.join("src/.hidden"));
    write(&folder.join("src/a~"));
    fs::create_dir_all(folder.join("node_modules/x")).expect("made");
    write(&folder.join("node_modules/x/y"));
    let process = restarts_after(&master, &id, || {
        for number in 0..50 {
            write(&folder.join(format!("src/deep/{number}.js")));
        }
    });
    // Once, unless this machine paused the test for half a second.
    assert!(process["restarts"].as_u64().is_some_and(|count| count <= 3), "{process}");
    wait_log(
        &master,
        &format!("restarting: a watched file changed: {}/src/deep/0.js", folder.display()),
    );
    // A folder that is new is watched as well.
    restarts_after(&master, &id, || fs::create_dir(folder.join("src/new")).expect("made"));
    restarts_after(&master, &id, || write(&folder.join("src/new/b.js")));
    assert_eq!(master.api().status(&id), "running");
}

#[test]
fn a_folder_and_a_file_that_are_made_again_are_watched_again() {
    let (master, folder) = own();
    let file = master.folder().join("config.json");
    write(&file);
    let parameters = format!("&watch={}&watch={}", folder.display(), file.display());
    let id = watch(&master, &parameters);
    // As editors save.
    let other = master.folder().join("config.json.new");
    write(&other);
    restarts_after(&master, &id, || fs::rename(&other, &file).expect("renamed"));
    restarts_after(&master, &id, || fs::remove_dir_all(&folder).expect("removed"));
    restarts_after(&master, &id, || fs::create_dir_all(folder.join("src")).expect("made"));
    restarts_after(&master, &id, || write(&folder.join("src/a.js")));
    restarts_after(&master, &id, || fs::remove_file(&file).expect("removed"));
    restarts_after(&master, &id, || write(&file));
}

#[test]
fn a_change_starts_a_failed_instance_again_and_a_stopped_one_not() {
    let (master, folder) = own();
    let code = "test%20-e%20src/good%20%26%26%20exec%20sleep%201000";
    let url = format!("exec:sh?arg=-c&arg={code}&cwd={0}&watch={0}", folder.display());
    let body = json!({"url": url, "alias": "app"});
    let created = master.api().request("POST", "/instances").json(&body).send().expect(201).json();
    let id = id_of(&created);
    let path = format!("/instances/{id}/policy");
    let slow = json!({"backoff": {"firstMs": 3_600_000, "longestMs": 3_600_000}});
    master.api().request("PATCH", &path).json(&slow).send().expect(200);
    until("it failed", || master.api().status(&id) == "error");
    until("its files are watched", || watched(&master) >= 4);
    write(&folder.join("src/good"));
    until("it runs", || master.api().status(&id) == "running");
    master.api().act(&id, "stop");
    until("it is stopped", || master.api().status(&id) == "stopped");
    let before = master.api().process(&id);
    write(&folder.join("src/good"));
    // A start by request, after the change, is the next one.
    master.api().act(&id, "start");
    let after = starts(&master, &id, before["starts"].as_u64().expect("a number") + 1);
    assert_eq!(after["restarts"], before["restarts"]);
}

#[test]
fn the_next_master_watches_again() {
    let (mut master, folder) = own();
    let id = watch(&master, &format!("&watch={}", folder.display()));
    master.crash();
    master.restart();
    until("it runs", || master.api().process(&id)["pid"] != Value::Null);
    until("its files are watched", || watched(&master) >= 4);
    restarts_after(&master, &id, || write(&folder.join("a")));
}

#[test]
fn what_cannot_be_watched_is_refused_by_name() {
    let (master, folder) = own();
    let shell = Shell::beside(&master);
    let refused = |parameters: &str| {
        let body = json!({"url": format!("exec:sleep?arg=1{parameters}")});
        let answer = master.api().request("POST", "/instances").json(&body).send();
        answer.expect_error(400).text().to_owned()
    };
    let missing = format!("{}/missing", folder.display());
    let text = refused(&format!("&watch={missing}"));
    assert!(text.contains(&format!("watch: {missing} does not exist")), "{text}");
    assert!(refused("&watch=src").contains("watch must be an absolute path"));
    assert!(refused("&watch_ignore=x").contains("watch_ignore has no effect without watch"));
    for number in 0..8_200 {
        fs::create_dir(folder.join(number.to_string())).expect("made");
    }
    let text = refused(&format!("&watch={}", folder.display()));
    assert!(text.contains("there are more than 8192 directories"), "{text}");
    let text = shell.fails(1, &["run", "--watch", &missing, "--", "sleep", "1"]);
    assert!(text.contains("does not exist"), "{text}");
    assert_eq!(master.api().list().len(), 1, "nothing was made but the key instance");
    // One that is made anyway is watched once its path is there.
    shell.ok(&["run", "--name", "late", "--force", "--watch", &missing, "--", "sleep", "1000"]);
    let list = master.api().list();
    let late = list.iter().find(|one| one["alias"] == "late").expect("it was made");
    let id = id_of(late);
    starts(&master, &id, 1);
    until("its place is watched", || watched(&master) >= 1);
    restarts_after(&master, &id, || write(Path::new(&missing)));
}
