//! Traces of the Patrol door (docs/operators/TRACE.md): what a server recorded replays to the same
//! digests, across crashes and reloads, and holds no secret.

use std::path::Path;

use openctrl_tests::http::{Connection, Request};
use openctrl_tests::master::run_to_end;
use openctrl_tests::patrol::{Builder, Folder, Patrol, read};
use openctrl_tests::process::send;
use openctrl_tests::{Master, until};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Part of every text that must not be found.
const SECRET: &str = "hush";

/// Replays all segments of a directory, which must be equal; the timeline.
fn replayed(directory: &Path) -> String {
    let path = directory.to_str().expect("a test's path is UTF-8");
    let replayed = run_to_end(&["replay", path]);
    let (out, errors) = (&replayed.stdout, &replayed.stderr);
    assert_eq!(replayed.status.code(), Some(0), "{out}\n{errors}");
    let verdicts: Vec<&str> = out.lines().filter(|it| it.contains("digests of effects")).collect();
    assert!(!verdicts.is_empty(), "{out}");
    assert!(verdicts.iter().all(|verdict| verdict.ends_with(": all equal")), "{verdicts:?}");
    assert!(!out.contains(SECRET), "{out}");
    out.clone()
}

fn secret(mut app: Value, words: &[&str]) -> Value {
    app["secret"] = json!(SECRET);
    app["keyvalue"] = json!({"first": SECRET});
    app["env"] = json!([format!("TOKEN={SECRET}")]);
    app["args"] = [&[&*format!("print:{SECRET}")], words].concat().into();
    app
}

fn builder(folder: &Folder, more: Option<&str>) -> Builder {
    let file = format!("pidfile:{}", folder.path("app.pid"));
    let mut apps = json!({
        "own": secret(folder.app(1, &[]), &["on:USR1=exit:10", "on:USR2=exit:12", "wait"]),
        "file": secret(folder.app(2, &[]), &[&file, "on:USR1=exit:10", "wait"]),
        "ping": folder.app(4, &["ping:200", "on:USR1=exit:10", "wait"]),
        "crash": folder.app(1, &["exit:3"]),
    });
    if let Some(more) = more {
        apps[more] = folder.app(1, &["wait"]);
    }
    let service = json!({"management": 1, "name": "SSH", "service": "ssh"});
    let log = folder.path("calls");
    let script = format!("echo $2 >> {log}\n[ $2 = status ] && exit 3\necho {SECRET} >&2; exit 1");
    Builder::new(apps, json!({"ssh": service})).quick().service_script(folder, &script)
}

/// What a day of a Patrol server is like, in some seconds.
fn live(patrol: &Patrol) {
    for app in ["own", "file", "ping"] {
        patrol.wait_app(app, "a pid", |app| app["pid"].is_number());
    }
    let write = |id: &str, more: Value| {
        let mut request = json!({"group": "app", "id": id, "secret": SECRET});
        for (name, value) in more.as_object().expect("an object") {
            request[name] = value.clone();
        }
        patrol.post(&request)
    };
    write("own", json!({"keyvalue": {"a": SECRET, "b": [1, SECRET]}}));
    write("own", json!({"keyvalue": {"c": SECRET}, "keyvalue-replace": true, "cas": 1}));
    write("own", json!({"toggle": 3}));
    patrol.wait_history("own", 1);
    write("file", json!({"toggle": 2}));
    patrol.wait_history("file", 1);
    write("file", json!({"toggle": 6}));
    patrol
        .wait_app("file", "running once", |app| app["run-once"] == true && app["pid"].is_number());
    let stranger = json!({"group": "app", "id": "ping", "ping": true, "pid": 1});
    patrol.datagram(stranger.to_string().as_bytes());
    patrol.post(&json!({"group": "service", "id": "ssh", "toggle": 2}));
    patrol.wait_history("crash", 2);
}

#[test]
fn what_a_server_recorded_replays_equal_across_crashes_and_reloads() {
    let folder = Folder::default();
    let (first, second) = (builder(&folder, None), builder(&folder, Some("new")));
    let mut patrol = folder.start_with(first);
    live(&patrol);
    patrol.reload(second);
    patrol.wait_app("new", "started", |app| app["started"].is_string());
    // A killed server loses what is not written yet.
    let directory = patrol.folder().join(".openctrl/trace").display().to_string();
    let is_written = || run_to_end(&["replay", &directory]).stdout.contains("Restart");
    until("the restart to be written", is_written);
    patrol.crash();
    patrol.restart();
    let app = patrol.wait_app("file", "found", |app| app["pid"].is_number());
    let pid = i32::try_from(app["pid"].as_i64().expect("a number")).expect("a pid fits");
    send(pid, Signal::KILL);
    patrol.wait_app("file", "run once", |app| app["disabled"] == true);
    patrol.stop();
    let timeline = replayed(&patrol.folder().join(".openctrl/trace"));
    for part in
        ["segment 1 of run", "the master stopped here", "Restart", "the pid file of", "status"]
    {
        assert!(timeline.contains(part), "{part}: {timeline}");
    }
}

#[test]
fn a_master_with_both_doors_records_both() {
    let folder = Folder::default();
    let config = json!({
        "apps": {"web": folder.app(1, &["on:USR1=exit:10", "wait"])},
        "udp": {"listen": "127.0.0.1:0"},
    });
    let path = folder.path("config.json");
    std::fs::write(&path, config.to_string()).expect("the folder is writable");
    let mut master = Master::builder().query("patrol", &path).start();
    let ask = |master: &Master, method: &str, target: &str, body: Option<Value>| {
        let body = body.map(|body| body.to_string().into_bytes());
        let request =
            Request { method: method.into(), target: target.into(), headers: vec![], body };
        let mut connection = Connection::open(&master.endpoint()).expect("it listens");
        read(&connection.send(&request).expect("an answer"))
    };
    let web = |master: &Master| ask(master, "GET", "/status/", None)["apps"]["web"].clone();
    until("the app to run", || web(&master)["pid"].is_number());
    let toggle = json!({"group": "app", "id": "web", "toggle": 2});
    ask(&master, "POST", "/api/", Some(toggle));
    until("the app to stop", || web(&master)["pid"].is_null());
    let list = master.api().list();
    let app = list.iter().find(|instance| instance["type"] == "app").expect("the app");
    master.api().act(app["id"].as_str().expect("an id"), "start");
    until("the app to run", || web(&master)["pid"].is_number());
    master.stop();
    replayed(&master.folder().join("gob").join("trace"));
}
