//! One master under test: the real binary, in a temporary directory of its own.
//!
//! Dropping a [`Master`] ends it and everything it started, so that a failing test leaves nothing
//! behind.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::http::Endpoint;
use crate::output::{Output, Source};
use crate::script::Script;
use crate::{Api, Cue, Mark, Sse, binary, eventually, keeper, process};

/// How many lines of a stdout that is not kept are still kept: more than a master says at
/// its start.
const HEAD_LINES: usize = 20;

/// How a master is started.
#[derive(Clone)]
pub struct Builder {
    authority: String,
    path: String,
    query: Vec<(String, String)>,
    raw_query: Vec<String>,
    variables: Vec<(String, String)>,
    wrapper: Vec<String>,
    is_for_all: bool,
    stdout: Stdout,
}

/// What is done with a master's stdout.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stdout {
    Captured,
    Unread,
    /// The first lines are captured, the rest is thrown away.
    Head,
}

/// A running master.
pub struct Master {
    builder: Builder,
    folder: TempDir,
    mark: String,
    child: Child,
    output: Output,
    key: String,
    url: String,
}

/// The result of a program that was expected to exit by itself.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Everything it wrote to stdout.
    pub stdout: String,
    /// Everything it wrote to stderr.
    pub stderr: String,
}

impl Master {
    /// A master with the stub as its runtime on a free port of 127.0.0.1; its state lies in
    /// `gob/` beside its executable, which is in the test's folder.
    pub fn builder() -> Builder {
        Self::builder_for(binary::stub_runtime())
    }

    /// As [`Master::builder`] with another runtime.
    pub fn builder_for(runtime: &Path) -> Builder {
        let runtime = runtime.to_str().expect("a test's path is UTF-8").to_owned();
        Builder {
            authority: "127.0.0.1:0".into(),
            path: String::new(),
            query: vec![("bin".into(), runtime)],
            raw_query: Vec::new(),
            variables: Vec::new(),
            wrapper: Vec::new(),
            is_for_all: false,
            stdout: Stdout::Captured,
        }
    }

    /// A master with nothing special about it.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// A client that holds the key the master printed.
    pub fn api(&self) -> Api {
        Api::new(self.endpoint(), self.base(), &self.key)
    }

    /// An open event stream.
    pub fn events(&self) -> Sse {
        self.api().events()
    }

    /// Where it listens. A wildcard or a name in the printed URL is reached over loopback.
    pub fn endpoint(&self) -> Endpoint {
        let (scheme, rest) = self.url.split_once("://").expect("the printed URL has a scheme");
        let authority = rest.split('/').next().unwrap_or("");
        let (host, port) = authority.rsplit_once(':').expect("the printed URL has a port");
        let address = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) if !address.is_unspecified() => address,
            Ok(_) | Err(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let port = port.parse().expect("the printed port is a number");
        Endpoint { address: SocketAddr::new(address, port), tls: scheme == "https" }
    }

    /// The API's path, from the printed URL.
    pub fn base(&self) -> &str {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        rest.find('/').map_or("", |at| &rest[at..])
    }

    /// The API base as the master printed it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The key as the master printed it at its last start.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What it wrote since its last start.
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid fits")
    }

    /// The test's folder, which holds the executable.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its state directory.
    pub fn state(&self) -> PathBuf {
        let given = self.builder.query.iter().find(|(name, _)| name == "state");
        given.map_or_else(|| self.folder().join("gob"), |(_, state)| state.into())
    }

    /// A cue that this master's children can wait for.
    pub fn cue(&self, name: &str) -> Cue {
        Cue::new(self.folder().join(format!("{name}.cue")))
    }

    /// A mark that this master's children can leave.
    pub fn mark(&self, name: &str) -> Mark {
        Mark::new(self.folder().join(format!("{name}.mark")))
    }

    /// Every live process that descends from this master, in any of its lives.
    pub fn descendants(&self) -> Vec<i32> {
        let mut pids = process::bearing(&self.mark);
        pids.retain(|pid| *pid != self.pid());
        pids
    }

    /// Runs `script` until its process is up; returns the instance's id.
    pub fn run(&self, events: &mut Sse, script: &Script) -> String {
        let id = self.api().run(script);
        events.wait_status(&id, "running");
        id
    }

    /// Sends a signal to the master alone.
    pub fn signal(&self, signal: Signal) {
        process::send(self.pid(), signal);
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child of ours can be waited for").is_none()
    }

    /// Waits for its end.
    pub fn wait_exit(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let status = eventually("the master to exit", || {
            child.try_wait().expect("a child of ours can be waited for")
        });
        self.output.wait_end();
        status
    }

    /// Ends it with SIGTERM, which must give exit status 0; returns how long that took.
    pub fn stop(&mut self) -> Duration {
        let start = Instant::now();
        self.signal(Signal::TERM);
        let status = self.wait_exit();
        assert!(status.success(), "SIGTERM gives {status}\n{}", self.output.tail());
        start.elapsed()
    }

    /// Ends it with SIGKILL, and then what it left running, as a machine that goes down.
    pub fn kill9(&mut self) {
        self.crash();
        if let Some(keeper) = keeper::find(self) {
            process::send(keeper, Signal::KILL);
            process::wait_gone(keeper);
        }
        process::sweep(&self.mark);
    }

    /// Ends it with SIGKILL and leaves what it had started alone, as a crash does.
    pub fn crash(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }

    /// Starts it again in the same directory, after `stop`, `kill9` or `crash`.
    pub fn restart(&mut self) {
        self.begin_restart();
        self.read_start_lines();
    }

    /// As [`Master::restart`], but does not wait until it listens.
    pub fn begin_restart(&mut self) {
        self.output = Output::new();
        self.child = self.builder.spawn(self.folder(), &self.mark, &self.output);
    }

    /// Changes how the next restart starts it.
    pub fn reconfigure(&mut self, change: impl FnOnce(Builder) -> Builder) {
        self.builder = change(self.builder.clone());
    }

    fn read_start_lines(&mut self) {
        let field = |text: &str, name: &str| text.split_once(name).map(|(_, v)| v.to_owned());
        let started = "Master.run: started: ";
        let line = self.output.wait_for_line(started, |line| line.text.contains(started));
        self.url = field(&line.text, started).expect("just found");
        let names = ["Master.run: API key created: ", "Master.run: API key loaded: "];
        let line = self
            .output
            .wait_for_line("the API key", |line| names.iter().any(|name| line.text.contains(name)));
        let key = names.iter().find_map(|name| field(&line.text, name));
        self.key = key.expect("just found");
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        process::sweep(&self.mark);
        if std::thread::panicking() {
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("the master's output ends with\n{}", self.output.tail()).as_bytes(),
            );
        }
    }
}

impl Builder {
    /// Sets host and port; port 0 lets the master choose.
    pub fn authority(mut self, authority: &str) -> Self {
        self.authority = authority.into();
        self
    }

    /// Sets the path of the master URL.
    pub fn path(mut self, path: &str) -> Self {
        self.path = path.into();
        self
    }

    /// Sets a query parameter; the value is percent-encoded where a query needs it.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.retain(|(known, _)| known != name);
        self.query.push((name.into(), value.into()));
        self
    }

    /// Adds `name=value` exactly as it is written here.
    pub fn raw_query(mut self, parameter: &str) -> Self {
        self.raw_query.push(parameter.into());
        self
    }

    /// Leaves the runtime binary out, so that the master runs itself.
    pub fn without_bin(mut self) -> Self {
        self.query.retain(|(name, _)| name != "bin");
        self
    }

    /// Sets an environment variable of the master.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Starts it through another program, which is given the executable and the URL as its last
    /// arguments and becomes the master.
    pub fn through(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Lets every user of the machine write in its folder.
    pub fn for_all_users(mut self) -> Self {
        self.is_for_all = true;
        self
    }

    /// Never reads the master's stdout; the lines scripts scrape must then come on stderr.
    pub fn unread_stdout(mut self) -> Self {
        self.stdout = Stdout::Unread;
        self
    }

    /// Keeps the first lines of stdout and throws the rest away: a flood costs the test little.
    pub fn brief_stdout(mut self) -> Self {
        self.stdout = Stdout::Head;
        self
    }

    /// The master URL.
    pub fn url(&self) -> String {
        let escaped = self.query.iter().map(|(name, value)| format!("{name}={}", escape(value)));
        let query: Vec<String> = escaped.chain(self.raw_query.iter().cloned()).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("master://{}{}{mark}{}", self.authority, self.path, query.join("&"))
    }

    /// Starts it and waits until it listens.
    pub fn start(self) -> Master {
        let mut master = self.begin();
        master.read_start_lines();
        master
    }

    /// Starts it, which may fail.
    pub fn begin(self) -> Master {
        let folder = TempDir::new().expect("a temporary directory can be made");
        place_executable(folder.path());
        if self.is_for_all {
            let all = fs::Permissions::from_mode(0o777);
            fs::set_permissions(folder.path(), all).expect("the folder is ours");
        }
        let mark = fresh_mark();
        let output = Output::new();
        let child = self.spawn(folder.path(), &mark, &output);
        let (key, url) = (String::new(), String::new());
        Master { builder: self, folder, mark, child, output, key, url }
    }

    fn spawn(&self, folder: &Path, mark: &str, output: &Output) -> Child {
        let elsewhere = folder.join("cwd");
        fs::create_dir_all(&elsewhere).expect("the temporary directory is writable");
        let executable = executable(folder);
        let mut command = match self.wrapper.split_first() {
            None => Command::new(executable),
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(executable);
                command
            }
        };
        command
            .arg(self.url())
            .current_dir(elsewhere)
            .env(process::MARK_VARIABLE, mark)
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = spawn_retrying(&mut command);
        if self.stdout != Stdout::Unread {
            let stdout = child.stdout.take().expect("stdout is piped");
            match self.stdout {
                Stdout::Head => output.capture_head(Source::Stdout, stdout, HEAD_LINES),
                Stdout::Captured | Stdout::Unread => output.capture(Source::Stdout, stdout),
            }
        }
        output.capture(Source::Stderr, child.stderr.take().expect("stderr is piped"));
        child
    }
}

/// Runs the binary with these arguments, which must make it end by itself; its executable lies in
/// a folder of its own.
pub fn run_to_end(arguments: &[&str]) -> Finished {
    let folder = TempDir::new().expect("a temporary directory can be made");
    place_executable(folder.path());
    let mut command = Command::new(executable(folder.path()));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn_retrying(&mut command);
    let output = Output::new();
    output.capture(Source::Stdout, child.stdout.take().expect("stdout is piped"));
    output.capture(Source::Stderr, child.stderr.take().expect("stderr is piped"));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child of ours can be waited for") {
            break status;
        }
        if start.elapsed() > crate::PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            panic!("openctrl {arguments:?} does not end:\n{}", output.tail());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    output.wait_end();
    let (stdout, stderr) = (output.text(Source::Stdout), output.text(Source::Stderr));
    Finished { status, stdout, stderr }
}

/// Another executable in the same folder would share its `gob/`, hence one folder a master.
fn place_executable(folder: &Path) {
    let target = executable(folder);
    // A link is quick and cannot meet "text file busy"; another file system needs a copy.
    if fs::hard_link(binary::openctrl(), &target).is_err() {
        fs::copy(binary::openctrl(), &target).expect("the binary under test can be copied");
    }
}

fn executable(folder: &Path) -> PathBuf {
    folder.join("openctrl")
}

/// A copied executable is "busy" while another test's child, just forked, still holds it open.
fn spawn_retrying(command: &mut Command) -> Child {
    eventually("the executable to be free", || match command.spawn() {
        Ok(child) => Some(child),
        Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => None,
        Err(error) => panic!("openctrl cannot be started: {error}"),
    })
}

pub(crate) fn fresh_mark() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Percent-encodes what would end a query value or be read as something else.
fn escape(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte);
    let encode = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    value.bytes().map(encode).collect()
}
