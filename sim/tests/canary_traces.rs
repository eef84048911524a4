//! A trace that the real master recorded, with a known bug in it and among much that has nothing to
//! do with it, is brought down to the few steps that show the bug. `.ci/run` builds the master.
#![cfg(canary)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
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
fn an_event_that_is_shown_early() {
    is_cut("events-shown-early", "INV-14", |master| {
        // Starts and exits publish events while the events of the next creation are written.
        for _ in 0..40 {
            master.create("exec:true");
        }
    });
}

#[test]
fn a_timer_of_a_rule_that_is_passed_over() {
    is_cut("rule-timer-passed-over", "INV-15", |master| {
        let pattern = r#"{operator: debounce, topic: "**.rejected", quiet: 200ms, correlate_by: attributes.command}"#;
        let rule = format!(
            "{{apiVersion: net.routerd.net/v1alpha1, kind: EventRule, metadata: {{name: calm}}, \
             spec: {{pattern: {pattern}, emit: {{topic: r.calm}}}}}}"
        );
        let yaml = format!("spec: {{resources: [{rule}]}}").replace('"', "\\\"");
        master.control("POST", "/apply", &format!("{{\"candidateYaml\":\"{yaml}\"}}"));
        let id = master.create("exec:sleep?arg=1000");
        let socket = master.folder.join("run/exec").join(format!("{id}.sock"));
        // Each of another name, and several within the millisecond that a timer is exact to.
        thread::scope(|scope| {
            for client in 0..8 {
                let socket = &socket;
                scope.spawn(move || commands(socket, client));
            }
        });
        let is_over = || {
            let rule = master.control("GET", "/get?subject=EventRule/calm", "");
            rule.contains("\"fireCount\": 40")
        };
        eventually("all keys to fire", is_over);
    });
}

/// Sends five commands that there are not on one connection.
fn commands(socket: &Path, client: usize) {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a good time");
    for number in 0..5 {
        let last = if number == 4 { "Connection: close\r\n" } else { "" };
        let path = format!("/v1/commands/c{client}x{number}");
        write!(stream, "POST {path} HTTP/1.1\r\nHost: x\r\n{last}Content-Length: 0\r\n\r\n")
            .expect("it reads");
    }
    let mut answers = String::new();
    stream.read_to_string(&mut answers).expect("it answers");
    assert_eq!(answers.matches("HTTP/1.1 400").count(), 5, "{answers}");
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

/// Records `bug` being there in the machine of the control API, and cuts the trace after it.
fn is_cut(canary: &str, invariant: &str, bug: impl FnOnce(&Master)) {
    let master = Master::start(canary);
    master.live();
    bug(&master);
    master.live();
    let (trace, folder) = master.stop();

    let found_it = format!("{invariant} does not hold");
    let (good, said) = sim(canary, "replay", &trace);
    assert!(!good && said.contains(&found_it), "{said}");
    let (is_cut, said) = sim(canary, "shrink", &trace);
    let (before, after) = steps(&said);
    assert!(is_cut && after < before, "{said}");

    let small = trace.with_extension("shrunk.trace");
    let (_, again) = sim(canary, "replay", &small);
    assert!(again.contains(&found_it), "{again}");
    let (_, without) = sim("", "replay", &small);
    assert!(!without.contains(&found_it), "{without}");
    // Without the bug, the recording of the control API is another one.
    let shown = program(&binary("openctrl"), "").arg("replay").arg(&trace).output();
    let shown = shown.expect("the program runs");
    let told = String::from_utf8_lossy(&shown.stdout);
    assert!(!shown.status.success() && told.contains("events or rules differ"), "{told}");
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

/// Waits for something that is looked at again and again.
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waiting for {what}");
        thread::yield_now();
    }
}

/// Sends a request, which must succeed; returns the whole answer.
fn send(
    mut stream: impl Read + Write,
    head: &str,
    method: &str,
    target: &str,
    body: &str,
) -> String {
    let length = body.len();
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\n{head}Content-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 2"), "{method} {target} {body}: {answer}");
    answer
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
        // Paths of sockets are short.
        let name = format!("canary-{}-{canary}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        let mut command = program(&binary("openctrl"), canary);
        let (state, run) = (folder.display(), folder.join("run"));
        // With a known bug it may panic, and must not leave a keeper behind.
        let more = format!("survive=off&control={}", run.display());
        let url = format!("master://127.0.0.1:0?state={state}&{more}");
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
        eventually(what, || is_so(&self.ask("GET", &format!("/instances/{id}"), "")));
    }

    /// Sends a request; returns the whole answer.
    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a good time");
        let head = format!("Host: {}\r\nX-API-Key: {}\r\n", self.address, self.key);
        send(stream, &head, method, &format!("/api/v2{path}"), body)
    }

    /// The same on the control socket.
    fn control(&self, method: &str, path: &str, body: &str) -> String {
        let stream = UnixStream::connect(self.folder.join("run/openctrl.sock"));
        let stream = stream.expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a good time");
        send(
            stream,
            "Host: x\r\n",
            method,
            &format!("/api/control.routerd.net/v1alpha1{path}"),
            body,
        )
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
