//! Contract §11: state that survives. Damaged files, the import of a reference master's state and
//! children left over after a crash are not covered here.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;

use openctrl_tests::api::id_of;
use openctrl_tests::master::run_to_end;
use openctrl_tests::{KEY_ID, Master, Script};
use serde_json::{Value, json};
use tempfile::TempDir;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Every path below `folder`, with whether it is a directory.
fn walk(folder: &Path) -> Vec<(PathBuf, bool)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let is_folder = entry.file_type().unwrap().is_dir();
        found.push((entry.path(), is_folder));
        if is_folder {
            found.extend(walk(&entry.path()));
        }
    }
    found
}

fn assert_private(folder: &Path) {
    assert_eq!(mode(folder), 0o700, "{}", folder.display());
    let found = walk(folder);
    assert!(found.iter().any(|(_, is_folder)| !is_folder), "there are files");
    for (path, is_folder) in found {
        let expected = if is_folder { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
}

#[test]
fn state_lies_in_gob_beside_the_executable_and_nowhere_else() {
    let mut master = Master::start();
    let api = master.api();
    let id = api.run(&Script::new().wait());
    api.patch(&id, &json!({"alias": "x"})).expect(200);
    assert_private(&master.folder().join("gob"));
    master.stop();
    assert_private(&master.folder().join("gob"));
    let mut names: Vec<String> = fs::read_dir(master.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["cwd", "gob", "openctrl"]);
    assert_eq!(walk(&master.folder().join("cwd")), [], "nothing in the working directory");
}

#[test]
fn state_can_be_put_elsewhere() {
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("deep").join("er");
    fs::create_dir(folder.path().join("deep")).unwrap();
    let mut master = Master::builder().query("state", state.to_str().unwrap()).start();
    let id = master.api().run(&Script::new().wait());
    assert_private(&state);
    assert!(!master.folder().join("gob").exists(), "nothing beside the executable");
    master.stop();
    master.restart();
    assert_eq!(id_of(&master.api().instance(&id)), id);
}

#[test]
fn one_master_a_directory() {
    let mut first = Master::start();
    let id = first.run(&mut first.events(), &Script::new().wait());
    let state = first.folder().join("gob");
    let url = format!("master://127.0.0.1:0?state={}", state.display());
    for _ in 0..3 {
        let refused = run_to_end(&[&url]);
        assert!(!refused.status.success());
        assert!(refused.stderr.contains(state.to_str().unwrap()), "{}", refused.stderr);
        assert!(!refused.stderr.contains("API key"), "{}", refused.stderr);
    }
    assert_eq!(first.api().status(&id), "running", "the first one goes on");
    first.api().patch(&id, &json!({"alias": "after"})).expect(200);
    // A lock does not outlive its holder, however that ended.
    first.kill9();
    first.restart();
    assert_eq!(first.api().instance(&id)["alias"], "after");
}

/// What a client received stays true: change, SIGKILL at once, start, look.
#[test]
fn an_answered_change_survives_a_kill() {
    let mut master = Master::start();
    let crash = |master: &mut Master| {
        master.kill9();
        master.restart();
    };
    let url = Script::new().wait().url();
    let body = json!({"url": url, "alias": "a \"name\" é"});
    let created = master.api().post("/instances", &body).expect(201).json();
    let id = id_of(&created);
    crash(&mut master);
    let found = master.api().instance(&id);
    assert_eq!((&found["url"], &found["alias"]), (&json!(url), &json!("a \"name\" é")));
    assert_eq!((&found["restart"], &found["type"]), (&json!(true), &json!("stub")));

    let meta = json!({"peer": {"sid": "s", "type": "t", "alias": "a"}, "tags": {"k": "v"}});
    let patch = json!({"alias": "patched", "restart": false, "meta": meta});
    master.api().patch(&id, &patch).expect(200);
    crash(&mut master);
    let found = master.api().instance(&id);
    assert_eq!((&found["alias"], &found["restart"]), (&json!("patched"), &json!(false)));
    assert_eq!(found["meta"], meta);
    assert_eq!(found["status"], "stopped", "restart: false is not started");

    let replaced = Script::new().wait().url_at("other://y");
    master.api().put(&id, &replaced).expect(200);
    crash(&mut master);
    let found = master.api().instance(&id);
    assert_eq!((&found["url"], &found["type"]), (&json!(replaced), &json!("other")));

    let mid = master.api().get("/info").expect(200).json()["mid"].clone();
    master.api().post("/info", &json!({"alias": "the master"})).expect(200);
    crash(&mut master);
    let info = master.api().get("/info").expect(200).json();
    assert_eq!((&info["alias"], &info["mid"]), (&json!("the master"), &mid));

    let old = master.key().to_owned();
    let answer = master.api().patch(KEY_ID, &json!({"action": "restart"})).expect(200).json();
    crash(&mut master);
    assert_eq!(answer["url"], master.key());
    master.api().with_key(&old).get("/info").expect(401);

    master.api().delete(&id).expect(204);
    crash(&mut master);
    master.api().get(&format!("/instances/{id}")).expect(404);
    assert_eq!(master.api().list().len(), 1);
}

#[test]
fn a_reset_survives_a_kill() {
    let mut master = Master::start();
    let mut events = master.events();
    let script = Script::new().checkpoint([1, 0, 0, 0, 0, 5, 5, 5, 5]).exit(0);
    let id = master.api().run(&script);
    events.wait_value(&id, "udptx", 5);
    events.wait_status(&id, "stopped");
    master.api().patch(&id, &json!({"restart": false})).expect(200);
    master.stop();
    master.restart();
    assert_eq!(master.api().instance(&id)["udptx"], 5, "totals survive an orderly end");
    assert_eq!(master.api().act(&id, "reset")["udptx"], 0);
    master.kill9();
    master.restart();
    assert_eq!(master.api().instance(&id)["udptx"], 0);
}

#[test]
fn crowds_of_creates_survive_a_kill_in_their_midst() {
    let mut master = Master::start();
    let api = master.api();
    let enough = 60;
    let answered = std::sync::Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let body = json!({ "url": "stub://idle" });
                // The last requests meet a dead master and get no answer.
                while let Ok(response) = api.request("POST", "/instances").json(&body).try_send() {
                    let id = id_of(&response.expect(201).json());
                    answered.lock().unwrap().push(id);
                }
            });
        }
        openctrl_tests::until("enough creates", || answered.lock().unwrap().len() >= enough);
        master.kill9();
    });
    let answered = answered.into_inner().unwrap();
    master.restart();
    let listed: Vec<String> = master.api().list().iter().map(id_of).collect();
    let lost: Vec<&String> = answered.iter().filter(|id| !listed.contains(id)).collect();
    assert_eq!(lost, Vec::<&String>::new());
    // Requests that were under way may have been stored, no more than one a client.
    assert!(listed.len() <= answered.len() + 6 + 1, "{} for {}", listed.len(), answered.len());
}

#[test]
fn instances_with_a_restart_policy_are_started_at_the_start() {
    let mut master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let started = master.mark("started");
    let count = 12;
    let mut wanted = Vec::new();
    for _ in 0..count {
        wanted.push(master.run(&mut events, &Script::new().mark(&started).wait()));
    }
    let unwanted = master.run(&mut events, &Script::new().mark(&started).wait());
    api.patch(&unwanted, &json!({"restart": false})).expect(200);
    started.wait(count + 1);
    // Being stopped is not remembered: the policy decides.
    api.act(&wanted[0], "stop");
    events.wait_status(&wanted[0], "stopped");
    for crash in [false, true] {
        if crash {
            master.kill9();
        } else {
            master.stop();
        }
        let before = started.count();
        master.restart();
        let status = |id: &str| master.api().status(id);
        openctrl_tests::until("all to run", || wanted.iter().all(|id| status(id) == "running"));
        started.wait(before + count);
        assert_eq!(status(&unwanted), "stopped");
        let found = master.api().instance(&unwanted);
        let live: Vec<&Value> = ["ping", "pool", "tcps", "udps"].map(|f| &found[f]).to_vec();
        assert_eq!(live, [&json!(0); 4]);
        assert_eq!(started.count(), before + count, "each of them once");
    }
}

/// The API is up while stored instances are being started, however many there are.
#[test]
fn the_api_is_up_while_stored_instances_start() {
    let mut master = Master::start();
    let failing = 40;
    for _ in 0..failing {
        master.api().create(&Script::new().exit(1).url());
    }
    master.stop();
    master.restart();
    assert_eq!(master.api().list().len(), failing + 1);
}
