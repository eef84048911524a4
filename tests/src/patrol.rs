//! One Patrol server under test: the real binary with a `config.json` in a temporary directory of
//! its own, and clients for its HTTP and UDP addresses.
//!
//! Dropping a [`Patrol`] ends it and everything it started.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Connection, Endpoint, Request};
use crate::master::fresh_mark;
use crate::output::{Output, Source};
use crate::{Cue, Mark, Response, binary, eventually, process, until};

/// How long a datagram that gets no reply is waited for.
const SILENCE: Duration = Duration::from_millis(300);

/// Where a server is started, and how.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    config: Value,
    variables: Vec<(String, String)>,
    arguments: Vec<String>,
    services: Option<PathBuf>,
}

/// A running server.
pub struct Patrol {
    folder: TempDir,
    builder: Builder,
    mark: String,
    child: Child,
    output: Output,
    http: SocketAddr,
    udp: SocketAddr,
}

/// The result of a server that was expected to exit by itself.
#[derive(Debug)]
pub struct Refused {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it wrote to stderr.
    pub stderr: String,
}

/// A folder for a server that does not run yet: for apps that have to know paths of it.
pub struct Folder(TempDir);

impl Default for Folder {
    fn default() -> Self {
        Self(TempDir::new().expect("a temporary directory can be made"))
    }
}

impl Folder {
    /// The path of a file in it, as text.
    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("a test's path is UTF-8").to_owned()
    }

    /// A mark that apps can leave.
    pub fn mark(&self, name: &str) -> Mark {
        Mark::new(self.0.path().join(name))
    }

    /// A cue that apps can wait for.
    pub fn cue(&self, name: &str) -> Cue {
        Cue::new(self.0.path().join(name))
    }

    /// An app with this keep-alive that does what `words` say. Its program is a script, so that
    /// members of its own can stand in for the app's.
    pub fn app(&self, keep_alive: u8, words: &[&str]) -> Value {
        let program = self.0.path().join("app");
        if !program.exists() {
            std::os::unix::fs::symlink(binary::beside_us("patrol-app"), &program)
                .expect("the folder is writable");
        }
        json!({
            "keepalive": keep_alive,
            "name": "App under test",
            "working-directory": self.0.path(),
            "binary": "app",
            "log-directory": "logs",
            "pid-path": "app.pid",
            "args": words,
            "env-parent": true,
        })
    }

    /// Starts a server here with these apps and services.
    pub fn start(self, apps: Value, services: Value) -> Patrol {
        self.start_with(Builder::new(apps, services))
    }

    /// Starts a server here.
    pub fn start_with(self, builder: Builder) -> Patrol {
        let mark = fresh_mark();
        builder.write(self.0.path());
        let output = Output::new();
        let child = builder.spawn(self.0.path(), &mark, &output);
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut patrol =
            Patrol { folder: self.0, builder, mark, child, output, http: nowhere, udp: nowhere };
        patrol.read_addresses();
        patrol
    }

    /// Starts a server here that must end by itself.
    pub fn refuse(&self, builder: &Builder) -> Refused {
        builder.write(self.0.path());
        self.refuse_as_it_is(builder)
    }

    /// As [`refuse`](Self::refuse), with the configuration that is there.
    pub fn refuse_as_it_is(&self, builder: &Builder) -> Refused {
        refuse_in(self.0.path(), builder)
    }
}

/// Starts a server in a folder with the configuration that is there; it must end by itself.
pub fn refuse_in(folder: &Path, builder: &Builder) -> Refused {
    let (output, mark) = (Output::new(), fresh_mark());
    let mut child = builder.spawn(folder, &mark, &output);
    let status = eventually("the server to end", || child.try_wait().expect("our child"));
    output.wait_end();
    process::sweep(&mark);
    Refused { code: status.code(), stderr: output.text(Source::Stderr) }
}

impl Builder {
    /// A server with these apps and services on free ports of 127.0.0.1.
    pub fn new(apps: Value, services: Value) -> Self {
        let config = json!({
            "apps": apps,
            "services": services,
            "tick-every": 5,
            "http": {"listen": "127.0.0.1:0"},
            "udp": {"listen": "127.0.0.1:0"},
        });
        Self { config, ..Self::default() }
    }

    /// Sets a key of the configuration.
    pub fn set(mut self, key: &str, value: Value) -> Self {
        self.config[key] = value;
        self
    }

    /// Sets an environment variable of the server.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Shortens ticks to 2 s and pings to 3 s, as Patrol's own tests do.
    pub fn quick(self) -> Self {
        self.variable("PATROL_UNITTEST", "I KNOW WHAT I AM DOING")
    }

    /// Adds arguments.
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Puts a program called `service` first in the server's PATH.
    pub fn service_script(mut self, folder: &Folder, script: &str) -> Self {
        let directory = folder.0.path().join("bin");
        fs::create_dir_all(&directory).expect("the folder is writable");
        write_script(&directory.join("service"), script);
        self.services = Some(directory);
        self
    }

    fn write(&self, folder: &Path) {
        fs::write(folder.join("config.json"), self.config.to_string())
            .expect("the folder is writable");
    }

    fn spawn(&self, folder: &Path, mark: &str, output: &Output) -> Child {
        let mut command = Command::new(binary::openctrl());
        command
            .arg("patrol")
            .args(&self.arguments)
            .current_dir(folder)
            .env(process::MARK_VARIABLE, mark)
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(services) = &self.services {
            let path = std::env::var("PATH").unwrap_or_default();
            command.env("PATH", format!("{}:{path}", services.display()));
        }
        let mut child = command.spawn().expect("openctrl can be started");
        output.capture(Source::Stdout, child.stdout.take().expect("stdout is piped"));
        output.capture(Source::Stderr, child.stderr.take().expect("stderr is piped"));
        child
    }
}

/// Writes an executable shell script. A file that was just written can be busy while another
/// test's child holds it open, so it is put in place by a link.
pub fn write_script(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, format!("#!/bin/sh\n{script}\n")).expect("the folder is writable");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
}

impl Patrol {
    /// The folder of the server, its apps and its configuration.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it wrote since its last start.
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid fits")
    }

    /// Where it answers HTTP.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where it answers datagrams.
    pub fn udp(&self) -> SocketAddr {
        self.udp
    }

    /// Every live process that descends from it.
    pub fn descendants(&self) -> Vec<i32> {
        let mut pids = process::bearing(&self.mark);
        pids.retain(|pid| *pid != self.pid());
        pids
    }

    /// Sends a request and reads the answer.
    pub fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Response {
        let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        let request = Request {
            method: method.into(),
            target: target.into(),
            headers: headers.iter().map(own).collect(),
            body: body.map(|body| body.as_bytes().to_vec()),
        };
        let endpoint = Endpoint { address: self.http, tls: false };
        let answer = Connection::open(&endpoint).and_then(|mut open| open.send(&request));
        answer.unwrap_or_else(|error| panic!("{method} {target}: {error}\n{}", self.output.tail()))
    }

    /// `GET`.
    pub fn get(&self, target: &str) -> Response {
        self.send("GET", target, &[], None)
    }

    /// `POST /api/`; the reply as JSON.
    pub fn post(&self, request: &Value) -> Value {
        read(&self.send("POST", "/api/", &[], Some(&request.to_string())))
    }

    /// `POST /` with a form.
    pub fn form(&self, body: &str) -> Response {
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        self.send("POST", "/", &[kind], Some(body))
    }

    /// `/status/`.
    pub fn status(&self) -> Value {
        read(&self.get("/status/"))
    }

    /// An app, as `/status/` shows it.
    pub fn app(&self, id: &str) -> Value {
        self.status()["apps"][id].clone()
    }

    /// A service, as `/status/` shows it.
    pub fn service(&self, id: &str) -> Value {
        self.status()["service"][id].clone()
    }

    /// Toggles an app.
    pub fn toggle(&self, id: &str, toggle: u8) -> Value {
        self.post(&json!({"group": "app", "id": id, "toggle": toggle}))
    }

    /// Waits until an app satisfies a condition.
    pub fn wait_app(&self, id: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{id}: {what}"), || {
            let app = self.app(id);
            holds(&app).then_some(app)
        })
    }

    /// Waits until an app has an instance other than `not`.
    pub fn wait_instance(&self, id: &str, not: &str) -> Value {
        self.wait_app(id, "another instance", |app| {
            app["instance-id"].as_str().is_some_and(|found| found != not)
        })
    }

    /// Waits until an app has `count` ended instances; the newest.
    pub fn wait_history(&self, id: &str, count: usize) -> Value {
        let app = self.wait_app(id, &format!("{count} records"), |app| records(app).len() >= count);
        records(&app)[count - 1].clone()
    }

    /// Sends a datagram and waits for the reply.
    pub fn datagram(&self, bytes: &[u8]) -> Option<String> {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.set_read_timeout(Some(crate::PATIENCE)).expect("a socket has timeouts");
        socket.send_to(bytes, self.udp).expect("a datagram can be sent");
        receive(&socket)
    }

    /// Sends a datagram that gets no reply, and one after it that does.
    pub fn silent_datagram(&self, bytes: &[u8], then: &Value) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.set_read_timeout(Some(crate::PATIENCE)).expect("a socket has timeouts");
        socket.send_to(bytes, self.udp).expect("a datagram can be sent");
        socket.send_to(then.to_string().as_bytes(), self.udp).expect("a datagram can be sent");
        let reply = receive(&socket).expect("the server still answers");
        let reply: Value = serde_json::from_str(&reply).expect("a reply is JSON");
        assert_eq!(reply["id"], then["id"], "the first reply is that to the second datagram");
        socket.set_read_timeout(Some(SILENCE)).expect("a socket has timeouts");
        assert_eq!(receive(&socket), None, "there is one reply");
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        process::send(self.pid(), signal);
    }

    /// Writes another configuration and has it read.
    pub fn reload(&mut self, builder: Builder) {
        builder.write(self.folder.path());
        self.builder = builder;
        self.signal(Signal::HUP);
    }

    /// Waits for its end.
    pub fn wait_exit(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let status = eventually("the server to end", || child.try_wait().expect("our child"));
        self.output.wait_end();
        status
    }

    /// Ends it with SIGTERM, which must give exit status 0; how long that took.
    pub fn stop(&mut self) -> Duration {
        let start = Instant::now();
        self.signal(Signal::TERM);
        let status = self.wait_exit();
        assert!(status.success(), "SIGTERM gives {status}\n{}", self.output.tail());
        start.elapsed()
    }

    /// Ends it with SIGKILL and leaves what it had started alone.
    pub fn crash(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }

    /// Starts it again in the same folder.
    pub fn restart(&mut self) {
        self.output = Output::new();
        self.child = self.builder.spawn(self.folder.path(), &self.mark, &self.output);
        self.read_addresses();
    }

    /// Waits until only the server itself is left.
    pub fn wait_no_descendants(&self) {
        until("no process to be left", || self.descendants().is_empty());
    }

    fn read_addresses(&mut self) {
        let started = "Patrol.run: started: ";
        let line = self.output.wait_for_line(started, |line| line.text.contains(started));
        let rest = line.text.split_once(started).map_or("", |(_, rest)| rest);
        let mut addresses = rest.split_whitespace().map(|word| {
            let (_, address) = word.split_once("://").expect("an address has a scheme");
            address.trim_end_matches('/').parse::<SocketAddr>().expect("an address")
        });
        self.http = addresses.next().expect("an HTTP address");
        self.udp = addresses.next().expect("a UDP address");
    }
}

impl Drop for Patrol {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        process::sweep(&self.mark);
        if std::thread::panicking() {
            let text = format!("the server's output ends with\n{}", self.output.tail());
            let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
        }
    }
}

/// The ended instances of an app or service.
pub fn records(object: &Value) -> Vec<Value> {
    object["history"].as_array().cloned().unwrap_or_default()
}

/// A reply as JSON; checks what holds for every reply.
pub fn read(response: &Response) -> Value {
    assert_eq!(response.header("Content-Type"), Some("application/json; charset=utf-8"));
    let text = response.text();
    assert!(text.ends_with("}\n"), "no line feed at the end: {text:?}");
    let value: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"));
    let is_indented =
        value.as_object().is_none_or(|object| object.is_empty() || text.starts_with("{\n\t\""));
    assert!(is_indented, "not indented by tabs: {text}");
    value
}

fn receive(socket: &UdpSocket) -> Option<String> {
    let mut buffer = [0; 65_536];
    let length = socket.recv(&mut buffer).ok()?;
    Some(String::from_utf8(buffer[..length].to_vec()).expect("a reply is UTF-8"))
}
