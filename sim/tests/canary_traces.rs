//! A trace that the real master recorded, with a known bug in it and among much that has nothing to
//! do with it, is brought down to the few steps that show the bug. `.ci/run` builds the master.
#![cfg(canary)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most steps that may be left.
const STEPS_MAX: usize = 20;

#[test]
fn gauges_that_are_kept() {
    shrinks("gauges-kept", "INV-6", |master| {
        let id = master.create("demo://busy?every=20ms");
        master.until(&id, "a checkpoint", |object| !object.contains("\"tcprx\":0,"));
        master.ask("PATCH", &format!("/instances/{id}"), r#"{"action":"stop"}"#);
        master.until(&id, "it to stop", |object| object.contains("\"status\":\"stopped\""));
    });
}

#[test]
fn an_event_id_that_is_skipped() {
    shrinks("event-id-skipped", "INV-6", |master| {
        let script = "printf%20'a%5Cnb%5Cnc%5Cn'%3B%20exit%201";
        let id = master.create(&format!("exec:sh?arg=-c&arg={script}"));
        master.until(&id, "its lines", |object| object.contains("\"status\":\"error\""));
        master.ask("PATCH", &format!("/instances/{id}"), r#"{"alias":"other"}"#);
    });
}

#[test]
fn nothing_where_there_is_no_bug() {
    let master = Master::start("");
    master.live();
    let (trace, folder) = master.stop();
    let (good, said) = sim("", "replay", &trace);
    assert!(
        good && !said.contains("no driver")
            && said.contains("all equal")
            && said.contains("all invariants hold"),
        "{said}"
    );
    fs::remove_dir_all(folder).expect("the folder is ours");
}

/// Records `bug` being there, and makes the trace small.
fn shrinks(canary: &str, invariant: &str, bug: impl FnOnce(&Master)) {
    let master = Master::start(canary);
    master.live();
    bug(&master);
    master.live();
    let (trace, folder) = master.stop();

    let (found, said) = sim(canary, "replay", &trace);
    assert!(!found && said.contains(&format!("{invariant} does not hold")), "{said}");
    let (shrunk, said) = sim(canary, "shrink", &trace);
    assert!(shrunk, "{said}");
    let (before, after) = steps(&said);
    assert!(before > 100 && after < STEPS_MAX, "{said}");

    let small = trace.with_extension("shrunk.trace");
    let (_, again) = sim(canary, "replay", &small);
    assert!(again.contains(&format!("{invariant} does not hold")), "{again}");
    let (_, without) = sim("", "replay", &small);
    assert!(!without.contains(&format!("{invariant} does not hold")), "{without}");
    let shown = program(&binary("openctrl"), canary).arg("replay").arg(&small).output();
    let shown = shown.expect("the program runs");
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stdout));
    fs::remove_dir_all(folder).expect("the folder is ours");
}

/// How many steps there were and are left.
fn steps(said: &str) -> (usize, usize) {
    let line = said.lines().find_map(|line| line.strip_prefix("shrunk from "));
    let mut words = line.expect("it says how far it came").split_whitespace();
    let mut number = || words.next().and_then(|word| word.parse().ok());
    let before = number();
    (before.expect("a number"), words.nth(1).and_then(|word| word.parse().ok()).expect("a number"))
}

fn sim(canary: &str, what: &str, file: &Path) -> (bool, String) {
    let mut command = program(Path::new(env!("CARGO_BIN_EXE_openctrl-sim")), canary);
    let output = command.arg(what).arg(file).output().expect("the command runs");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn program(path: &Path, canary: &str) -> Command {
    let mut command = Command::new(path);
    command.env_remove("OPENCTRL_CANARY");
    if !canary.is_empty() {
        command.env("OPENCTRL_CANARY", canary);
    }
    command
}

/// A program of the same build.
fn binary(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_openctrl-sim")).with_file_name(name);
    assert!(path.exists(), "{path:?} is missing: build it as `.ci/run` does");
    path
}

/// The real master, in a folder of its own.
struct Master {
    child: Child,
    folder: PathBuf,
    key: String,
    address: String,
}

impl Master {
    fn start(canary: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("canary-{canary}"));
        let _ = fs::remove_dir_all(&folder);
        let mut command = program(&binary("openctrl"), canary);
        let url = format!("master://127.0.0.1:0?state={}", folder.display());
        command.arg(url).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the master runs");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let mut told = |before: &str| loop {
            let line = lines.next().expect("it says how it starts").expect("text");
            if let Some((_, rest)) = line.split_once(before) {
                return rest.to_string();
            }
        };
        let key = told("API key created: ");
        let url = told("started: http://");
        let address = url.split('/').next().expect("an address").to_string();
        // What it prints from now on is thrown away, so that it never waits for a reader.
        thread::spawn(move || lines.for_each(drop));
        Self { child, folder, key, address }
    }

    /// Everyday life.
    fn live(&self) {
        let ids: Vec<String> = (0..4)
            .map(|number| self.create(&format!("demo://noise{number}?every=50ms&checkpoints=off")))
            .collect();
        for (number, id) in ids.iter().enumerate() {
            let path = format!("/instances/{id}");
            self.ask("PATCH", &path, &format!(r#"{{"alias":"noise {number}"}}"#));
            self.ask("PATCH", &path, r#"{"meta":{"tags":{"a":"b"}},"restart":false}"#);
            self.ask("PATCH", &path, r#"{"action":"restart"}"#);
            self.ask("POST", "/info", &format!(r#"{{"alias":"master {number}"}}"#));
            self.ask("GET", "/tcping?target=127.0.0.1:1", "");
        }
        for id in &ids[1..] {
            self.ask("PUT", &format!("/instances/{id}"), r#"{"url":"exec:sleep?arg=1000"}"#);
            self.ask("PATCH", &format!("/instances/{id}"), r#"{"action":"reset"}"#);
            self.ask("DELETE", &format!("/instances/{id}"), "");
        }
    }

    fn create(&self, url: &str) -> String {
        let object = self.ask("POST", "/instances", &format!(r#"{{"url":"{url}"}}"#));
        let (_, rest) = object.split_once("\"id\":\"").expect("an instance");
        rest[..8].to_string()
    }

    /// Asks for an instance until it is as it should be.
    fn until(&self, id: &str, what: &str, is_so: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        loop {
            let object = self.ask("GET", &format!("/instances/{id}"), "");
            if is_so(&object) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "waiting for {what}: {object}");
            thread::yield_now();
        }
    }

    /// Sends a request; returns the whole answer.
    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a good time");
        let (address, key, length) = (&self.address, &self.key, body.len());
        write!(
            stream,
            "{method} /api/v2{path} HTTP/1.1\r\nHost: {address}\r\nX-API-Key: {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 2"), "{method} {path} {body}: {answer}");
        answer
    }

    /// Ends it; returns its trace, and the folder.
    fn stop(mut self) -> (PathBuf, PathBuf) {
        let kill = format!("kill -TERM {}", self.child.id());
        let sent = Command::new("sh").arg("-c").arg(kill).status().expect("there is a shell");
        assert!(sent.success());
        let ended = self.child.wait().expect("it is our child");
        // With a known bug in it, it may also panic.
        assert!(ended.code().is_some(), "{ended}");
        let traces = fs::read_dir(self.folder.join("trace")).expect("it has recorded");
        let mut traces: Vec<PathBuf> = traces.map(|entry| entry.expect("a name").path()).collect();
        assert_eq!(traces.len(), 1, "{traces:?}");
        (traces.remove(0), self.folder.clone())
    }
}

impl Drop for Master {
    /// A test that fails leaves no master behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
