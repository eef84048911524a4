//! Patrol contract §2.4, §2.5 and A: apps that write a pid file (2) or send pings (3 and 4), and
//! which processes are signaled.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use openctrl_tests::patrol::{Builder, Folder, Patrol, records};
use openctrl_tests::process::{is_alive, send, wait_gone};
use openctrl_tests::wait::holds_for;
use openctrl_tests::{Mark, until};
use rustix::process::Signal;
use serde_json::{Value, json};

fn pid(app: &Value) -> i32 {
    app["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0)
}

fn instance(app: &Value) -> &str {
    app["instance-id"].as_str().unwrap_or_default()
}

fn mark_word(name: &str, mark: &Mark) -> String {
    format!("{name}mark:{}", mark.path().display())
}

/// A server with quick ticks and pings, and one app `web`.
fn start(folder: Folder, app: Value) -> Patrol {
    folder.start_with(Builder::new(json!({"web": app}), json!({})).quick())
}

/// A process that has nothing to do with any app. Dropping it ends it.
struct Stranger(Child);

impl Stranger {
    fn start() -> Self {
        let mut command = Command::new("sleep");
        Self(command.arg("1000").stdin(Stdio::null()).spawn().expect("sleep can be started"))
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).expect("a pid fits")
    }

    fn is_untouched(&mut self) -> bool {
        self.0.try_wait().expect("our child").is_none()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The app of a test, started by the test itself before the server.
fn start_before(app: &Value, variables: &[(&str, String)]) -> Child {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let directory = text(&app["working-directory"]);
    let words = app["args"].as_array().expect("an array").iter().map(text);
    let mut command = Command::new(format!("{directory}/{}", text(&app["binary"])));
    command.args(words).current_dir(directory).stdin(Stdio::null());
    command.envs(variables.iter().map(|(name, value)| (*name, value.as_str())));
    command.spawn().expect("the app can be started")
}

fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

#[test]
fn the_pid_comes_from_the_file_and_an_exit_is_one_record() {
    let folder = Folder::default();
    let file = folder.path("app.pid");
    let app = folder.app(2, &[&format!("pidfile:{file}"), "on:HUP=exit:7", "wait"]);
    let patrol = start(folder, app);
    let app = patrol.wait_app("web", "a pid", |app| pid(app) > 0);
    assert_eq!(fs::read_to_string(&file).expect("the file").trim(), pid(&app).to_string());
    patrol.wait_app("web", "seen", |app| app["lastseen"].is_string());
    send(pid(&app), Signal::HUP);
    let record = patrol.wait_history("web", 1);
    assert_eq!((instance(&record), &record["pid"]), (instance(&app), &app["pid"]));
    assert!(record["exit-code"].is_null(), "only keep-alive 1 has exit codes: {record}");
    let next = patrol.wait_instance("web", instance(&app));
    patrol.wait_app("web", "another pid", |app| pid(app) > 0 && pid(app) != pid(&record));
    assert_eq!(records(&patrol.app("web")).len(), 1, "{next}");
}

#[test]
fn an_app_that_runs_already_is_adopted_by_its_pid_file_and_not_doubled() {
    let folder = Folder::default();
    let up = folder.mark("up");
    let file = folder.path("app.pid");
    let words =
        [mark_word("", &up), format!("pidfile:{file}"), "on:USR1=exit:10".into(), "wait".into()];
    let app = folder.app(2, &words.each_ref().map(String::as_str));
    let mut before = start_before(&app, &[]);
    let process = up.wait(1)[0].pid;
    until("the pid file", || fs::exists(&file).unwrap_or(false));
    let patrol = start(folder, app);
    let found = patrol.wait_app("web", "adopted", |app| pid(app) == process);
    holds_for("one copy", Duration::from_secs(3), || up.count() == 1);
    assert_eq!(instance(&patrol.app("web")), instance(&found));
    // It runs the app's program: it is proven to be the app, and is signaled.
    patrol.toggle("web", 2);
    assert_eq!(before.wait().expect("our child").code(), Some(10));
    assert_eq!(patrol.wait_history("web", 1)["disabled"], true);
}

/// A stale file with the pid of another program, or rubbish: the app is started, and
/// the stranger is never signaled.
#[test]
fn a_pid_file_with_a_stranger_or_rubbish_is_no_sign_of_life() {
    let mut stranger = Stranger::start();
    for text in [
        stranger.pid().to_string(),
        "4194305".into(),
        "-1".into(),
        "text".into(),
        "0".into(),
        "1".into(),
    ] {
        let folder = Folder::default();
        let up = folder.mark("up");
        fs::write(folder.path("app.pid"), &text).expect("the folder is writable");
        let app = folder.app(2, &[&mark_word("", &up), "on:USR1=exit:10", "wait"]);
        let patrol = start(folder, app);
        up.wait(1);
        let running = patrol.wait_instance("web", "");
        assert!(pid(&running) != stranger.pid(), "{text}: {running}");
        patrol.toggle("web", 2);
        patrol.wait_app("web", "stopped", |app| instance(app).is_empty());
        wait_gone(up.entries()[0].pid);
        assert!(stranger.is_untouched(), "{text}");
    }
}

/// A daemon's parent exits at once. It is one app, and no second copy is started.
#[test]
fn a_daemon_is_followed_through_the_exit_of_its_parent() {
    let folder = Folder::default();
    let up = folder.mark("up");
    let file = folder.path("app.pid");
    let words = [
        "daemon".into(),
        mark_word("", &up),
        // The file is looked for before it is written.
        "sleep:300".into(),
        format!("pidfile:{file}"),
        "on:USR1=exit:10".into(),
        "wait".into(),
    ];
    let app = folder.app(2, &words.each_ref().map(String::as_str));
    let patrol = start(folder, app);
    let process = up.wait(1)[0].pid;
    patrol.wait_app("web", "its pid", |app| pid(app) == process);
    holds_for("one copy", Duration::from_secs(5), || up.count() == 1);
    patrol.toggle("web", 2);
    wait_gone(process);
    patrol.wait_app("web", "stopped", |app| instance(app).is_empty());
}

/// The grace period after the start of the server, pings over HTTP and UDP, and their end.
#[test]
fn an_app_that_pings_runs_as_long_as_it_does() {
    for keep_alive in [3, 4] {
        let folder = Folder::default();
        let up = folder.mark("up");
        let words = [mark_word("", &up), "ping:200".into(), "wait".into()];
        let app = folder.app(keep_alive, &words.each_ref().map(String::as_str));
        let begun = std::time::Instant::now();
        let patrol = start(folder, app);
        let first = up.wait(1)[0];
        assert!(
            begun.elapsed() >= Duration::from_secs(5),
            "nothing starts within twice the timeout"
        );
        let running = patrol.wait_app("web", "pinged", |app| app["lastseen"].is_string());
        assert_eq!(pid(&running), first.pid);
        holds_for("one instance", Duration::from_secs(5), || {
            instance(&patrol.app("web")) == instance(&running)
        });
        // INT ends the pings and not the process: it is ended before another one is started.
        send(first.pid, Signal::INT);
        let record = patrol.wait_history("web", 1);
        assert_eq!((pid(&record), record["lastseen"].is_string()), (first.pid, true));
        let why = "no ping for more than 3 s";
        patrol.output().wait_for_line(why, |line| line.text.contains(why));
        up.wait(2);
        assert!(!is_alive(first.pid), "never two");
    }
}

#[test]
fn an_app_that_pings_already_is_adopted_within_the_grace_period() {
    let folder = Folder::default();
    let up = folder.mark("up");
    let app = folder.app(3, &[&mark_word("", &up), "ping:200", "wait"]);
    let patrol = start(folder, app.clone());
    let variables = [
        ("PATROL_ID", "web".to_owned()),
        ("PATROL_KEEPALIVE", "3".to_owned()),
        ("PATROL_HTTP", format!("[\"{}\"]", patrol.http())),
    ];
    let before = start_before(&app, &variables);
    let process = up.wait(1)[0].pid;
    patrol.wait_app("web", "adopted", |app| pid(app) == process);
    holds_for("one copy", Duration::from_secs(8), || up.count() == 1);
    end(before);
}

/// An app that ran before the server forks a successor at USR2 and exits. The successor is the app
/// from then on, and no other copy is started beside it.
#[test]
fn a_successor_of_an_adopted_app_is_the_app() {
    let folder = Folder::default();
    let up = folder.mark("up");
    let words = [mark_word("", &up), "on:USR2=successor".into(), "ping:200".into(), "wait".into()];
    let app = folder.app(3, &words.each_ref().map(String::as_str));
    let patrol = start(folder, app.clone());
    let variables = [
        ("PATROL_ID", "web".to_owned()),
        ("PATROL_KEEPALIVE", "3".to_owned()),
        ("PATROL_HTTP", format!("[\"{}\"]", patrol.http())),
    ];
    let mut before = start_before(&app, &variables);
    let old = up.wait(1)[0].pid;
    patrol.wait_app("web", "adopted", |app| pid(app) == old);
    patrol.toggle("web", 3);
    assert_eq!(before.wait().expect("our child").code(), Some(12));
    let new = up.wait(2)[1].pid;
    patrol.wait_app("web", "the successor", |app| pid(app) == new);
    holds_for("the successor alone", Duration::from_secs(5), || up.count() == 2);
    assert_eq!(records(&patrol.app("web"))[0]["restart"], true);
    patrol.toggle("web", 2);
    wait_gone(new);
}

/// A ping with a stranger's pid is accepted and shown; that process is never signaled.
#[test]
fn a_pid_in_a_ping_is_believed_and_only_signalled_if_it_is_the_apps() {
    let mut stranger = Stranger::start();
    let folder = Folder::default();
    let app = folder.app(3, &["on:USR1=exit:10", "wait"]);
    let patrol = start(folder, app);
    let ping = json!({"group": "app", "id": "web", "ping": true, "pid": stranger.pid()});
    patrol.post(&ping);
    assert_eq!(pid(&patrol.app("web")), stranger.pid());
    for toggle in [3, 2] {
        patrol.toggle("web", toggle);
        patrol.post(&ping);
    }
    // Its instance expires without a ping; by then every signal would have been sent.
    patrol.wait_app("web", "expired", |app| instance(app).is_empty());
    assert!(stranger.is_untouched());
    assert!(patrol.app("web")["disabled"] == true);
}

/// The table of pings, in its order: each reply shows the state before.
#[test]
fn pings_begin_continue_and_replace_instances() {
    let strangers = [Stranger::start(), Stranger::start()];
    let pids = strangers.each_ref().map(Stranger::pid);
    let folder = Folder::default();
    let mut app = folder.app(3, &["wait"]);
    app["disabled"] = json!(true);
    let patrol = folder.start(json!({"web": app}), json!({}));
    let ping = |pid: Option<i32>| {
        let mut request = json!({"group": "app", "id": "web", "ping": true});
        if let Some(pid) = pid {
            request["pid"] = json!(pid);
        }
        patrol.post(&request)
    };
    let empty = ping(Some(pids[0]));
    assert!(instance(&empty).is_empty() && empty["pid"].is_null(), "{empty}");
    let first = ping(None);
    assert_eq!(pid(&first), pids[0]);
    assert!(first["started"].is_string() && first["lastseen"].is_null(), "{first}");
    let second = ping(Some(pids[1]));
    assert_eq!((instance(&second), pid(&second)), (instance(&first), pids[0]));
    assert!(second["lastseen"].is_string(), "a ping without a pid counts: {second}");
    let third = patrol.app("web");
    assert_eq!(pid(&third), pids[1]);
    assert!(instance(&third) != instance(&first) && third["lastseen"].is_null(), "{third}");
    let record = &records(&third)[0];
    assert_eq!((instance(record), pid(record)), (instance(&first), pids[0]));
    assert!(record["exit-code"].is_null() && record["stopped"].is_string(), "{record}");
}

/// A pid beyond 16 bits is a pid.
#[test]
fn pids_above_65535_are_shown() {
    let folder = Folder::default();
    let mut app = folder.app(4, &["wait"]);
    app["disabled"] = json!(true);
    let patrol = folder.start(json!({"web": app}), json!({}));
    let ping = json!({"group": "app", "id": "web", "ping": true, "pid": 4_000_000_000u32});
    patrol.datagram(ping.to_string().as_bytes()).expect("a reply");
    assert_eq!(patrol.app("web")["pid"], 4_000_000_000u32);
}

/// USR2: the app forks a successor into its own group and exits. The successor is the app from
/// then on, and nothing ends it.
#[test]
fn a_successor_in_the_same_group_survives_the_exit_of_the_old_leader() {
    let folder = Folder::default();
    let up = folder.mark("up");
    let words = [mark_word("", &up), "on:USR2=successor".into(), "ping:200".into(), "wait".into()];
    let app = folder.app(3, &words.each_ref().map(String::as_str));
    let patrol = start(folder, app);
    let old = up.wait(1)[0].pid;
    patrol.wait_app("web", "pinged", |app| pid(app) == old && app["lastseen"].is_string());
    patrol.toggle("web", 3);
    let new = up.wait(2)[1].pid;
    wait_gone(old);
    patrol.wait_app("web", "the successor", |app| pid(app) == new);
    holds_for("the successor alone", Duration::from_secs(12), || is_alive(new) && up.count() == 2);
    assert_eq!(records(&patrol.app("web"))[0]["restart"], true);
}

/// `pid-verify`: a pid counts only if its process runs the app's program.
#[test]
fn pid_verify_takes_only_the_program_of_the_app() {
    let folder = Folder::default();
    let up = folder.mark("up");
    let file = folder.path("app.pid");
    // The process in the file descends from the app and runs something else.
    let script =
        format!("sleep 1000 & echo $! > {file}; echo $! 0 >> {}; wait", up.path().display());
    openctrl_tests::patrol::write_script(std::path::Path::new(&folder.path("script")), &script);
    let mut app = folder.app(2, &[]);
    app["binary"] = json!("script");
    let mut verified = app.clone();
    verified["pid-verify"] = json!(true);
    verified["disabled"] = json!(true);
    let patrol = folder
        .start_with(Builder::new(json!({"plain": app, "verified": verified}), json!({})).quick());
    let descendant = up.wait(1)[0].pid;
    patrol.wait_app("plain", "the descendant", |app| pid(app) == descendant);
    holds_for("not taken", Duration::from_secs(4), || instance(&patrol.app("verified")).is_empty());
}
