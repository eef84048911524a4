//! A client of the control API: HTTP/1.1 over Unix sockets, with nothing hidden.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::{Master, PATIENCE, eventually};

/// The path that every resource of the main sockets lies under.
pub const BASE: &str = "/api/control.routerd.net/v1alpha1";

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Header fields in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// A connection that carries requests one after the other.
pub struct Wire {
    reader: BufReader<UnixStream>,
}

/// The sockets of one master.
#[derive(Clone, Debug)]
pub struct Sockets {
    dir: PathBuf,
}

impl Wire {
    /// Connects.
    pub fn open(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE + Duration::from_secs(10)))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    /// Sends a request and reads the whole answer.
    pub fn send(&mut self, method: &str, target: &str, body: Option<&[u8]>) -> io::Result<Answer> {
        self.write(method, target, body)?;
        self.read(method)
    }

    /// Sends a request and reads nothing.
    pub fn write(&mut self, method: &str, target: &str, body: Option<&[u8]>) -> io::Result<()> {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: routerd\r\n");
        if let Some(body) = body {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let stream = self.reader.get_mut();
        stream.write_all(head.as_bytes())?;
        // A server may answer before it has read all of a large body.
        let _ = stream.write_all(body.unwrap_or_default());
        Ok(())
    }

    /// Reads the next answer.
    pub fn read(&mut self, method: &str) -> io::Result<Answer> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(status_line))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let answer = Answer { status, headers, body: String::new() };
        let length = answer.header("Content-Length").and_then(|length| length.parse().ok());
        let length = if method == "HEAD" { 0 } else { length.unwrap_or(0) };
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body)?;
        let body = String::from_utf8(body).map_err(io::Error::other)?;
        Ok(Answer { body, ..answer })
    }

    /// Whether the server has closed the connection.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.reader.read(&mut [0; 1]), Ok(0) | Err(_))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Answer {
    /// The value of a header field, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let field = self.headers.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.as_str())
    }

    /// Asserts the status and hands the answer on.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.header("Content-Type"), Some("application/json"), "{}", self.body);
        assert!(self.body.ends_with('\n'), "a document ends in a line feed");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The message of an error of a main socket.
    #[track_caller]
    pub fn error(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        let body = self.json();
        assert_eq!(body["apiVersion"], "control.routerd.net/v1alpha1");
        assert_eq!(body["kind"], "Error");
        body["error"]["message"].as_str().expect("an error has a message").to_owned()
    }
}

impl Sockets {
    /// Those in this directory.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// A master with the control API in its own folder, and its sockets.
    pub fn start() -> (Master, Self) {
        Self::start_with(|builder| builder)
    }

    /// The same with other parameters.
    pub fn start_with(
        change: impl FnOnce(crate::master::Builder) -> crate::master::Builder,
    ) -> (Master, Self) {
        let run = tempfile::TempDir::new().expect("a temporary directory can be made").keep();
        let dir = run.join("run");
        let text = dir.to_str().expect("a test's path is UTF-8").to_owned();
        let master = change(Master::builder().query("control", &text)).start();
        (master, Self { dir })
    }

    /// Their directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The socket that takes all calls.
    pub fn control(&self) -> PathBuf {
        self.dir.join("openctrl.sock")
    }

    /// The socket that takes reads.
    pub fn status(&self) -> PathBuf {
        self.dir.join("openctrl-status.sock")
    }

    /// The socket of an instance.
    pub fn instance(&self, name: &str) -> PathBuf {
        self.dir.join("stub").join(format!("{name}.sock"))
    }

    /// `GET` on the control socket.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        call(&self.control(), "GET", &format!("{BASE}{path}"), None)
    }

    /// `POST` on the control socket.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let body = body.to_string();
        call(&self.control(), "POST", &format!("{BASE}{path}"), Some(body.as_bytes()))
    }

    /// A request on the socket of an instance.
    #[track_caller]
    pub fn managed(&self, name: &str, method: &str, target: &str) -> Answer {
        call(&self.instance(name), method, target, None)
    }

    /// Applies rules, which must be accepted.
    #[track_caller]
    pub fn apply(&self, resources: &Value) -> Value {
        let candidate = json!({"spec": {"resources": resources}}).to_string();
        self.post("/apply", &json!({"candidateYaml": candidate})).expect(200).json()
    }

    /// An instance as `get` shows it.
    #[track_caller]
    pub fn process(&self, name: &str) -> Value {
        let answer = self.get(&format!("/get?subject=Process/{name}&events-limit=1000"));
        answer.expect(200).json()["items"][0].clone()
    }

    /// Waits until an instance has a phase.
    #[track_caller]
    pub fn wait_phase(&self, name: &str, phase: &str) -> Value {
        eventually(&format!("{name} to be {phase}"), || {
            let process = self.process(name);
            (process["status"]["phase"] == phase).then_some(process)
        })
    }

    /// Every stored event with an id above `since`, oldest first.
    #[track_caller]
    pub fn stored(&self, since: u64) -> Vec<Value> {
        let target = format!("/get?subject=events&order=asc&limit=1000&since-id={since}");
        let answer = self.get(&target).expect(200).json();
        answer["events"].as_array().cloned().unwrap_or_default()
    }

    /// As [`Sockets::stored`], of one instance alone: those of others may come between two requests.
    #[track_caller]
    pub fn stored_of(&self, name: &str, since: u64) -> Vec<Value> {
        let mut events = self.stored(since);
        events.retain(|event| event["resourceName"] == name);
        events
    }

    /// Waits for a stored event with this topic above `since`.
    #[track_caller]
    pub fn wait_event(&self, since: u64, topic: &str) -> Value {
        eventually(topic, || self.stored(since).into_iter().find(|event| event["topic"] == topic))
    }

    /// The id of the newest stored event.
    #[track_caller]
    pub fn head(&self) -> u64 {
        let answer = self.get("/get?subject=events&limit=1").expect(200).json();
        answer["events"][0]["id"].as_u64().unwrap_or_default()
    }
}

/// One request on a connection of its own.
#[track_caller]
pub fn call(socket: &Path, method: &str, target: &str, body: Option<&[u8]>) -> Answer {
    let wire = Wire::open(socket);
    let mut wire = wire.unwrap_or_else(|error| panic!("{}: {error}", socket.display()));
    wire.send(method, target, body).unwrap_or_else(|error| panic!("{target}: {error}"))
}

/// An EventRule as a resource.
pub fn event_rule(name: &str, pattern: Value, emit: &str) -> Value {
    rule("EventRule", name, json!({"pattern": pattern, "emit": {"topic": emit}}))
}

/// A rule as a resource.
pub fn rule(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "net.routerd.net/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}
