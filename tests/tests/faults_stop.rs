//! A stop has an end: what belongs to an instance ends with it, and what cannot be killed is named.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use openctrl_tests::api::id_of;
use openctrl_tests::process::{
    has_program, is_alive, skip, status_field, wait_gone, with_argument,
};
use openctrl_tests::{Master, Sse, eventually, keeper, until};
use rustix::process::Signal;

/// An `exec:` URL of a shell or Python program; its text is escaped.
fn program(command: &str, text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    format!("exec:{command}?arg=-c&arg={}", text.bytes().map(escape).collect::<String>())
}

fn create(master: &Master, events: &mut Sse, url: &str) -> String {
    let id = id_of(&master.api().create(url));
    events.wait_status(&id, "running");
    id
}

fn pid_of(master: &Master, id: &str) -> i32 {
    let path = format!("/instances/{id}/process");
    let pid =
        eventually("a process", || master.api().get(&path).expect(200).json()["pid"].as_i64());
    i32::try_from(pid).unwrap()
}

/// Seconds that a `sleep` of this process of the tests sleeps, and no other does.
fn seconds(test: u32) -> String {
    format!("{}{test:02}", 10_000 + std::process::id() % 80_000)
}

fn the_sleeper(seconds: &str) -> i32 {
    eventually("the descendant", || {
        with_argument(seconds).into_iter().find(|pid| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == "sleep\n")
        })
    })
}

#[test]
fn a_process_that_was_stopped_handles_term() {
    let mut master = Master::builder().without_bin().start();
    let mut events = master.events();
    let text = "trap 'echo bye; exit 0' TERM; echo up; kill -STOP $$; while :; do sleep 0.05; done";
    let id = create(&master, &mut events, &program("sh", text));
    events.wait_log(&id, "up");
    let pid = pid_of(&master, &id);
    until("the child to be stopped", || {
        status_field(pid, "State").is_some_and(|state| state.starts_with('T'))
    });
    master.api().act(&id, "stop");
    events.wait_log(&id, "bye");
    events.wait_status(&id, "stopped");
    master.stop();
}

#[test]
fn a_leader_cannot_leave_its_group() {
    if !has_program("python3", "a_leader_cannot_leave_its_group") {
        return;
    }
    let mut master = Master::builder().without_bin().start();
    let mut events = master.events();
    let text = "import os,time
print('up', flush=True)
os.setpgid(0,os.getpgid(os.getppid()))
time.sleep(4567)";
    let id = id_of(&master.api().create(&program("python3", text)));
    events.wait_log(&id, "up");
    master.api().delete(&id).expect(204);
    assert_eq!(master.descendants(), Vec::<i32>::new());
    master.stop();
}

/// What moves to a session or group of its own still belongs to the instance: by its parents, by its
/// session, by the pipe that it prints to.
#[test]
fn descendants_end_with_their_instance() {
    let mut master = Master::builder().without_bin().start();
    let mut events = master.events();
    let texts = [
        "setsid sleep {} >/dev/null 2>&1 & echo up; wait",
        "(setsid sleep {} &); echo up; exec sleep 4304",
        "set -m; sleep {} >/dev/null 2>&1 & echo up; wait",
        "set -m; (sleep {} >/dev/null 2>&1 &); echo up; exec sleep 4304",
    ];
    for (number, text) in (0..).zip(texts) {
        let seconds = seconds(number);
        let url = program("sh", &text.replace("{}", &seconds));
        // Stopped, deleted, and killed with the leader.
        for way in ["stop", "delete", "end"] {
            let id = create(&master, &mut events, &url);
            events.wait_log(&id, "up");
            let pid = the_sleeper(&seconds);
            match way {
                "stop" => {
                    master.api().act(&id, "stop");
                    events.wait_status(&id, "stopped");
                }
                "delete" => _ = master.api().delete(&id).expect(204),
                _ if text.starts_with("setsid") => {
                    // Of a leader that ends by itself its parents are not known any more.
                    master.api().delete(&id).expect(204);
                }
                _ => {
                    let set = serde_json::json!({"restart": false});
                    master.api().patch(&id, &set).expect(200);
                    openctrl_tests::process::send(pid_of(&master, &id), Signal::KILL);
                }
            }
            wait_gone(pid);
        }
    }
    master.stop();
}

/// A daemon that has cut all ties: named, and ended with the master.
#[test]
fn a_daemon_of_no_known_instance_is_named_and_ends_with_the_master() {
    for (survive, number) in [("on", 10), ("off", 11)] {
        named_and_ended_with_the_master(survive, &seconds(number));
    }
}

fn named_and_ended_with_the_master(survive: &str, seconds: &str) {
    let mut master = Master::builder().without_bin().query("survive", survive).start();
    let mut events = master.events();
    let parent = keeper::find(&master).unwrap_or(master.pid());
    assert_eq!(parent == master.pid(), survive == "off");
    let text = format!("(setsid sleep {seconds} >/dev/null 2>&1 &); echo up; exec sleep 4305");
    let id = create(&master, &mut events, &program("sh", &text));
    events.wait_log(&id, "up");
    let pid = the_sleeper(seconds);
    until("the daemon to be adopted", || status_field(pid, "PPid") == Some(parent.to_string()));
    master.api().delete(&id).expect(204);
    let line = master.output().wait_for_line("the name of the daemon", |line| {
        line.text.contains("have left the instances that started them")
    });
    assert!(line.text.contains(&format!("{pid} (sleep)")), "{}", line.text);
    assert!(is_alive(pid), "it is not known to be of that instance");
    master.stop();
    assert!(!is_alive(pid));
}

/// Its first thread has ended, another one works: it is alive, for the next master too.
#[test]
fn a_process_whose_first_thread_ended_is_alive() {
    if !has_program("python3", "a_process_whose_first_thread_ended_is_alive") {
        return;
    }
    let mut master = Master::builder().without_bin().query("survive", "off").start();
    let mut events = master.events();
    let text = "import ctypes,threading,time
def work():
    hold=bytearray(8<<20)
    time.sleep(0.1)
    print('up', flush=True)
    while True: time.sleep(1)
threading.Thread(target=work).start()
ctypes.CDLL(None).pthread_exit(None)";
    let id = create(&master, &mut events, &program("python3", text));
    events.wait_log(&id, "up");
    let pid = pid_of(&master, &id);
    until("its first thread to end", || {
        status_field(pid, "State").is_some_and(|state| state.starts_with('Z'))
    });
    let path = format!("/instances/{id}/process");
    until("its memory", || {
        let shown = master.api().get(&path).expect(200).json();
        shown["memoryBytes"].as_u64().is_some_and(|bytes| bytes > 8 << 20)
    });
    master.crash();
    master.restart();
    let next = eventually("the next process", || {
        let shown = master.api().get(&path).expect(200).json();
        shown["pid"].as_i64()
    });
    assert_ne!(i64::from(pid), next);
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    assert!(threads <= 1, "the old one has ended before the new one was started");
    master.stop();
}

/// A process in a freezer: no signal reaches it.
struct Frozen(PathBuf);

impl Frozen {
    fn new(pid: i32) -> Option<Self> {
        let folder = Path::new("/sys/fs/cgroup/freezer").join(format!("openctrl-{pid}"));
        fs::create_dir(&folder).ok()?;
        let frozen = Self(folder);
        fs::write(frozen.0.join("tasks"), pid.to_string()).ok()?;
        fs::write(frozen.0.join("freezer.state"), "FROZEN").ok()?;
        let state = || fs::read_to_string(frozen.0.join("freezer.state")).unwrap_or_default();
        until("the freezer", || state() == "FROZEN\n");
        Some(frozen)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("freezer.state"), "THAWED");
        until("the freezer to be empty", || fs::remove_dir(&self.0).is_ok());
    }
}

#[test]
fn what_cannot_be_ended_is_named_at_the_end() {
    let mut master = Master::builder().without_bin().start();
    let mut events = master.events();
    let id = create(&master, &mut events, "exec:sleep?arg=4306");
    let pid = pid_of(&master, &id);
    let Some(frozen) = Frozen::new(pid) else {
        skip("what_cannot_be_ended_is_named_at_the_end", "there is no freezer cgroup");
        return;
    };
    master.signal(Signal::TERM);
    let status = master.wait_exit();
    assert_eq!(status.code(), Some(1), "{status}");
    let said = master.output().tail();
    assert!(
        said.contains("cannot be killed") && said.contains(&format!("{pid} (sleep)")),
        "{said}"
    );
    drop(frozen);
    wait_gone(pid);
}

/// The instance says that its process cannot be killed, who waits is answered, the end is tried again,
/// and everything continues once the process has exited.
fn what_cannot_be_ended_is_said(master: &Master, id: &str, events: &mut Sse, why: &str) {
    let api = master.api();
    let refused = api.delete(id).expect_error(503).json()["error"].to_string();
    assert!(refused.contains("cannot be killed"), "{refused}");
    events.wait_for("a line of the instance", |event| {
        event.is_log_of(id) && event.logs.starts_with("cannot be killed: it ")
    });
    let shown = api.process(id);
    let reason = shown["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("cannot be killed: it ") && reason.contains(why), "{shown}");
    let line = master
        .output()
        .wait_for_line("what holds it", |line| line.text.contains("cannot be killed: it "));
    assert!(line.text.contains(why), "{}", line.text);
    // A new request does not wait.
    api.delete(id).expect_error(503);
    assert_eq!(api.act(id, "stop")["status"], "running");
}

#[test]
fn a_frozen_process_is_said_and_ends_when_it_can() {
    let mut master = Master::builder().without_bin().start();
    let mut events = master.events();
    let id = create(&master, &mut events, "exec:sleep?arg=4307");
    let pid = pid_of(&master, &id);
    let Some(frozen) = Frozen::new(pid) else {
        return skip("a_frozen_process_is_said_and_ends_when_it_can", "there is no freezer cgroup");
    };
    what_cannot_be_ended_is_said(&master, &id, &mut events, "it is in state D");
    drop(frozen);
    events.wait_status(&id, "stopped");
    master.api().delete(&id).expect(204);
    master.stop();
}

/// A master that is not root, and a program that is.
#[test]
fn a_set_uid_process_is_said_and_named() {
    let test = "a_set_uid_process_is_said_and_named";
    if !has_program("setpriv", test) {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        return skip(test, "only root can make a set-uid program");
    }
    // It becomes another user altogether, as sudo does.
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("become-root");
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join("setpriv"))
        .find(|path| path.is_file());
    fs::copy(found.unwrap(), &path).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).unwrap();
    let builder = Master::builder().without_bin().for_all_users();
    let mut master = builder.through(&["setpriv", "--reuid=54322", "--clear-groups"]).start();
    let mut events = master.events();
    let url = format!("exec:{}?arg=--reuid&arg=0&arg=sleep&arg=4308", path.display());
    let id = create(&master, &mut events, &url);
    let pid = pid_of(&master, &id);
    let is_sleep = || fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|c| c == "sleep\n");
    until("the program to be another user's", is_sleep);
    what_cannot_be_ended_is_said(&master, &id, &mut events, "it runs as user 0");
    master.signal(Signal::TERM);
    assert_eq!(master.wait_exit().code(), Some(1));
    let said = master.output().tail();
    assert!(said.contains(&format!("{pid} (sleep)")), "{said}");
    openctrl_tests::process::send(pid, Signal::KILL);
}
