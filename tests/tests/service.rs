//! Manners towards a service manager: `sd_notify`, socket activation, HUP, the log as JSON.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use openctrl_tests::http::{Connection, Endpoint};
use openctrl_tests::output::{Line, Output, Source};
use openctrl_tests::script::Step;
use openctrl_tests::{Api, Master, PATIENCE, Script, binary};
use rcgen::generate_simple_self_signed;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

/// The service manager's end of the socket.
struct Manager {
    socket: UnixDatagram,
    _folder: TempDir,
    name: String,
}

impl Manager {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, name: path.to_str().unwrap().to_owned(), _folder: folder }
    }

    /// One whose socket has no file.
    #[cfg(target_os = "linux")]
    fn abstract_one() -> Self {
        use std::os::linux::net::SocketAddrExt;
        let mut manager = Self::new();
        let name = format!("openctrl-test-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        manager.socket = UnixDatagram::bind_addr(&address).unwrap();
        manager.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        manager.name = format!("@{name}");
        manager
    }

    fn next(&self) -> String {
        let mut bytes = [0; 4096];
        let count = self.socket.recv(&mut bytes).expect("the master says something");
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    /// The next message but for signs of life.
    fn next_news(&self) -> String {
        loop {
            let message = self.next();
            if message != "WATCHDOG=1" {
                return message;
            }
        }
    }
}

fn contains(text: &str) -> impl Fn(&Line) -> bool + '_ {
    move |line| line.text.contains(text)
}

#[test]
fn the_manager_is_told_how_far_the_master_is() {
    let manager = Manager::new();
    let mut master = Master::builder().variable("NOTIFY_SOCKET", &manager.name).start();
    assert_eq!(manager.next(), format!("READY=1\nSTATUS=Serving {}", master.url()));
    master.api().get("/info").expect(200);
    master.signal(Signal::HUP);
    let reloading = manager.next();
    let mut lines = reloading.lines();
    assert_eq!(lines.next(), Some("RELOADING=1"));
    let micros = lines.next().and_then(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(micros.unwrap().parse::<u64>().unwrap() > 0, "{reloading}");
    assert!(manager.next().starts_with("READY=1\n"));
    master.output().wait_for_line("HUP", contains("HUP received, there is no certificate"));
    assert!(master.is_running());
    master.signal(Signal::TERM);
    assert!(manager.next().starts_with("STOPPING=1\n"));
    assert_eq!(master.wait_exit().code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn the_manager_may_have_an_abstract_name() {
    let manager = Manager::abstract_one();
    let _master = Master::builder().variable("NOTIFY_SOCKET", &manager.name).start();
    assert!(manager.next().starts_with("READY=1\n"));
}

#[test]
fn the_watchdog_is_fed_until_the_end_and_children_are_not_told_of_it() {
    let manager = Manager::new();
    let mut master = Master::builder()
        .variable("NOTIFY_SOCKET", &manager.name)
        .variable("WATCHDOG_USEC", "40000")
        .variable("LISTEN_FDNAMES", "of somebody else")
        .variable("OTHER", "is kept")
        .start();
    assert!(manager.next().starts_with("READY=1\n"));
    for _ in 0..5 {
        assert_eq!(manager.next(), "WATCHDOG=1");
    }
    let mut events = master.events();
    let names = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDNAMES", "OTHER"];
    let script =
        names.iter().fold(Script::new(), |script, name| script.step(Step::Env((*name).into())));
    let id = master.run(&mut events, &script.wait());
    events.wait_log(&id, "NOTIFY_SOCKET=(unset)");
    events.wait_log(&id, "WATCHDOG_USEC=(unset)");
    events.wait_log(&id, "LISTEN_FDNAMES=(unset)");
    events.wait_log(&id, "OTHER=is kept");
    master.signal(Signal::TERM);
    assert!(manager.next_news().starts_with("STOPPING=1\n"));
    master.wait_exit();
}

#[test]
fn a_manager_that_is_not_there_is_warned_of_once() {
    let master = Master::builder()
        .variable("NOTIFY_SOCKET", "/nowhere/notify")
        .variable("WATCHDOG_USEC", "2000")
        .start();
    let text = "cannot tell the service manager at NOTIFY_SOCKET=/nowhere/notify";
    master.output().wait_for_line(text, contains(text));
    master.signal(Signal::HUP);
    master.output().wait_for_line("HUP", contains("HUP received"));
    assert_eq!(master.output().count(contains(text)), 1);
}

/// A certificate and its key as PEM files; returns the certificate's DER.
fn write_pair(certificate: &Path, key: &Path) -> Vec<u8> {
    let pair = generate_simple_self_signed(["example.org".to_owned()]).unwrap();
    fs::write(certificate, pair.cert.pem()).unwrap();
    fs::write(key, pair.signing_key.serialize_pem()).unwrap();
    pair.cert.der().to_vec()
}

#[test]
fn hup_takes_a_new_certificate_at_once_and_never_a_bad_one() {
    let folder = TempDir::new().unwrap();
    let (certificate, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    let first = write_pair(&certificate, &key);
    let mut master = Master::builder()
        .query("tls", "2")
        .query("crt", certificate.to_str().unwrap())
        .query("key", key.to_str().unwrap())
        .start();
    let shown = |master: &Master| {
        let connection = Connection::open(master.api().endpoint()).unwrap();
        connection.handshake().expect("this is TLS").certificate
    };
    assert_eq!(shown(&master), first);
    let second = write_pair(&certificate, &key);
    assert_eq!(shown(&master), first, "nobody has asked yet");
    master.signal(Signal::HUP);
    master.output().wait_for_line("the new one", contains("the new certificate in"));
    assert_eq!(shown(&master), second);

    fs::write(&certificate, "no certificate").unwrap();
    master.signal(Signal::HUP);
    let refused = "the new certificate is refused, the old one stays in use";
    let line = master.output().wait_for_line(refused, contains(refused));
    assert!(line.text.contains("warning: "), "{}", line.text);
    assert!(line.text.contains(certificate.to_str().unwrap()), "{}", line.text);
    assert_eq!(shown(&master), second);
    assert!(master.is_running());
    master.stop();
}

/// A master that is given `socket` as its descriptor 3.
struct Activated {
    child: Child,
    output: Output,
    folder: TempDir,
}

impl Activated {
    fn start(socket: impl Into<OwnedFd>, url: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let state = folder.path().join("state");
        let script = r#"exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$1""#;
        let mut child = Command::new("sh")
            .args(["-c", script])
            .arg(binary::openctrl())
            .arg(format!(
                "{url}?state={}&bin={}",
                state.display(),
                binary::stub_runtime().display()
            ))
            .stdin(Stdio::from(socket.into()))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Output::new();
        output.capture(Source::Stdout, child.stdout.take().unwrap());
        output.capture(Source::Stderr, child.stderr.take().unwrap());
        Self { child, output, folder }
    }

    fn wait(&mut self) -> Option<i32> {
        let code = self.child.wait().unwrap().code();
        self.output.wait_end();
        code
    }

    fn after(&self, name: &str) -> String {
        let line = self.output.wait_for_line(name, contains(name));
        line.text.split_once(name).unwrap().1.to_owned()
    }
}

impl Drop for Activated {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_socket_that_was_made_before_is_served() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Of a port that is bound already the master could make no listener of its own.
    let mut master = Activated::start(listener, &format!("master://localhost:{}", address.port()));
    let started = master.after("Master.run: started: ");
    assert_eq!(started, format!("http://localhost:{}/api/v2", address.port()));
    let key = master.after("Master.run: API key created: ");
    let api = Api::new(Endpoint { address, tls: false }, "/api/v2", &key);
    api.get("/info").expect(200);
    let mut events = api.events();
    let descriptors = master.folder.path().join("descriptors");
    let mark = openctrl_tests::Mark::new(descriptors);
    let names = ["LISTEN_FDS", "LISTEN_PID"];
    let script = names
        .iter()
        .fold(Script::new(), |script, name| script.step(Step::Env((*name).into())))
        .mark(&mark)
        .wait();
    let id = api.run(&script);
    events.wait_log(&id, "LISTEN_FDS=(unset)");
    events.wait_log(&id, "LISTEN_PID=(unset)");
    let pid = mark.wait(1)[0].pid;
    assert!(!Path::new(&format!("/proc/{pid}/fd/3")).exists(), "the child has the socket");
    openctrl_tests::process::send(i32::try_from(master.child.id()).unwrap(), Signal::TERM);
    assert_eq!(master.wait(), Some(0));
}

#[test]
fn port_0_is_that_of_the_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let master = Activated::start(listener, "master://127.0.0.1:0");
    assert_eq!(master.after("started: "), format!("http://127.0.0.1:{port}/api/v2"));
}

#[test]
fn what_is_no_listening_tcp_socket_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let folder = TempDir::new().unwrap();
    let unix = std::os::unix::net::UnixListener::bind(folder.path().join("s")).unwrap();
    let odd: [(OwnedFd, &str); 4] = [
        (stream.into(), "descriptor 3 is not listening"),
        (unix.into(), "descriptor 3 is not a TCP socket"),
        (
            std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into(),
            "descriptor 3 is not a TCP socket",
        ),
        (fs::File::open("/dev/null").unwrap().into(), "descriptor 3 is not a socket"),
    ];
    for (socket, reason) in odd {
        let mut master = Activated::start(socket, "master://127.0.0.1:0");
        assert_eq!(master.wait(), Some(1), "{reason}");
        let text = master.output.text(Source::Stderr);
        assert!(text.contains(reason) && text.contains("ListenStream="), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

#[test]
fn the_log_as_json_is_one_object_a_line() {
    let odd = "/no \"such\"\tthing";
    let folder = TempDir::new().unwrap();
    let mut master = Command::new(binary::openctrl())
        .arg(format!(
            "master://127.0.0.1:0?log_format=json&log=info&state={}&bin={}",
            folder.path().join("state").display(),
            odd.replace(' ', "%20").replace('"', "%22").replace('\t', "%09"),
        ))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = Output::new();
    output.capture(Source::Stderr, master.stderr.take().unwrap());
    output.wait_for_line("the start", contains("Master.run: started: "));
    openctrl_tests::process::send(i32::try_from(master.id()).unwrap(), Signal::TERM);
    assert!(master.wait().unwrap().success());
    output.wait_end();
    let lines: Vec<Value> = output
        .lines()
        .iter()
        .map(|line| serde_json::from_str(&line.text).unwrap_or_else(|_| panic!("{}", line.text)))
        .collect();
    for line in &lines {
        let time = line["time"].as_str().unwrap();
        assert!(openctrl_tests::rfc3339::unix_nanos(time).is_some(), "{time}");
        assert!(["info", "warn"].contains(&line["level"].as_str().unwrap()), "{line}");
    }
    let message = |text: &str| {
        let mut found =
            lines.iter().filter(|line| line["message"].as_str().unwrap().contains(text));
        found.next().unwrap_or_else(|| panic!("no line has {text}")).clone()
    };
    let key = message("Master.run: API key created: ");
    assert_eq!(key["message"].as_str().unwrap().len(), "Master.run: API key created: ".len() + 32);
    assert_eq!(message("Master.run: started: http://127.0.0.1:")["level"], "info");
    assert_eq!(message("parameters of the master URL are ignored: log")["level"], "warn");
    assert!(message("does not exist")["message"].as_str().unwrap().contains(odd));
    message("TERM received");
}
