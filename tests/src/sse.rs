//! The published reader of the event stream, in a thread of its own.
//!
//! Frames are split at blank lines and their fields found by `event: ` and `data: ` at the start
//! of a line, as the documented reader does; comment lines mean nothing. What the contract says
//! about every frame (§8) is checked on every frame of every test.

use std::io::{self, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::PATIENCE;
use crate::api::Api;
use crate::http::{Connection, Head};
use crate::json::{instance_fault, is_compact};
use crate::rfc3339::unix_nanos;

/// Existing dashboards reconnect endlessly on a frame of this many bytes.
pub const FRAME_LIMIT: usize = 64 * 1024;

/// One frame as it came.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The frame's text without the blank line that ends it.
    pub text: String,
    /// When it was complete.
    pub at: Instant,
}

/// One `event: instance` frame, read.
#[derive(Clone, Debug)]
pub struct Event {
    /// The `type` of the payload.
    pub kind: String,
    /// The `time` of the payload, nanoseconds since the Unix epoch.
    pub unix_nanos: i128,
    /// The instance, or null.
    pub instance: Value,
    /// The log line, or empty.
    pub logs: String,
    /// The frame's `id:` line.
    pub id: Option<String>,
    /// When the frame was complete here.
    pub at: Instant,
}

#[derive(Default)]
struct State {
    frames: Vec<Frame>,
    events: Vec<Event>,
    ended: bool,
    fault: Option<String>,
}

type Shared = Arc<(Mutex<State>, Condvar)>;

/// An open event stream. Waiting moves a cursor forward: each `wait_…` looks only at events after
/// the one the last `wait_…` returned.
pub struct Sse {
    head: Head,
    shared: Shared,
    socket: TcpStream,
    cursor: usize,
}

impl Sse {
    /// Opens the stream with extra header fields and waits for its first `initial` event: all that
    /// happens from then on is seen.
    pub fn open(api: &Api, headers: &[(&str, &str)]) -> Self {
        let stream = Self::open_raw(api, headers);
        stream.wait_initial();
        stream
    }

    fn wait_initial(&self) {
        self.wait_state("the first initial event", |state| {
            state.events.first().map(|event| assert_eq!(event.kind, "initial"))
        });
    }

    /// Opens the stream and waits for its headers only.
    pub fn open_raw(api: &Api, headers: &[(&str, &str)]) -> Self {
        Self::open_at(api, &format!("{}/events", api.base()), headers)
    }

    /// As [`Sse::open`] at a target of its own, such as one with a query.
    pub fn open_target(api: &Api, target: &str) -> Self {
        let stream = Self::open_at(api, target, &[]);
        stream.wait_initial();
        stream
    }

    /// As [`Sse::open_target`], but waits for the headers only.
    pub fn open_target_raw(api: &Api, target: &str) -> Self {
        Self::open_at(api, target, &[])
    }

    fn open_at(api: &Api, target: &str, headers: &[(&str, &str)]) -> Self {
        let mut call = api.request_at("GET", target).header("Cache-Control", "no-cache");
        for (name, value) in headers {
            call = call.header(name, value);
        }
        let connection = Connection::open(api.endpoint()).expect("the master accepts connections");
        let socket = connection.socket().try_clone().expect("a socket can be shared");
        let (head, body) = connection.start(&call.into_request()).expect("the stream opens");
        assert_eq!(head.status, 200, "the event stream opens");
        // A stream may be silent between heartbeats; a test's own patience ends a dead one.
        socket.set_read_timeout(None).expect("the time-out can be set");
        let shared = Shared::default();
        let reader = Arc::clone(&shared);
        thread::spawn(move || read(body, &reader));
        Self { head, shared, socket, cursor: 0 }
    }

    /// Status and headers.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Waits for the next event that satisfies `predicate`.
    pub fn wait_for(&mut self, what: &str, predicate: impl Fn(&Event) -> bool) -> Event {
        let mut at = self.cursor;
        let event = self.wait_state(what, |state| {
            let found = state.events[at..].iter().position(&predicate);
            at = found.map_or(state.events.len(), |offset| at + offset + 1);
            found.map(|_| state.events[at - 1].clone())
        });
        self.cursor = at;
        event
    }

    /// Waits for the next `create` or `update` that shows the instance with this status.
    pub fn wait_status(&mut self, id: &str, status: &str) -> Event {
        self.wait_for(&format!("{id} to be {status}"), |event| {
            event.is_change_of(id) && event.instance["status"] == status
        })
    }

    /// Waits for the next log line of an instance that equals `line`.
    pub fn wait_log(&mut self, id: &str, line: &str) -> Event {
        self.wait_for(&format!("the line {line:?} of {id}"), |event| {
            event.is_log_of(id) && event.logs == line
        })
    }

    /// Waits until a counter or metric of an instance shows this value.
    pub fn wait_value(&mut self, id: &str, field: &str, value: u64) -> Event {
        self.wait_for(&format!("{field} of {id} to be {value}"), |event| {
            event.is_change_of(id) && event.instance[field] == value
        })
    }

    /// Waits for a frame that satisfies `predicate`, looking at all but the first `skip`.
    pub fn wait_frame(&self, skip: usize, what: &str, predicate: impl Fn(&Frame) -> bool) -> Frame {
        let mut at = skip;
        self.wait_state(what, |state| {
            let fresh = state.frames.get(at..).unwrap_or_default();
            at = at.max(state.frames.len());
            fresh.iter().find(|frame| predicate(frame)).cloned()
        })
    }

    /// Waits for the end of the stream.
    pub fn wait_end(&self) {
        self.wait_state("the end of the stream", |state| state.ended.then_some(()));
    }

    /// Everything read so far, before the cursor too.
    pub fn events(&self) -> Vec<Event> {
        let state = self.state();
        assert_eq!(state.fault, None, "the stream breaks the contract");
        state.events.clone()
    }

    /// The log lines of an instance so far.
    pub fn logs(&self, id: &str) -> Vec<String> {
        let of_id = |event: &Event| event.is_log_of(id).then(|| event.logs.clone());
        self.events().iter().filter_map(of_id).collect()
    }

    /// All frames so far.
    pub fn frames(&self) -> Vec<Frame> {
        self.state().frames.clone()
    }

    /// Whether the stream has ended.
    pub fn has_ended(&self) -> bool {
        self.state().ended
    }

    fn wait_state<T>(&self, what: &str, mut look: impl FnMut(&State) -> Option<T>) -> T {
        // The idle repeat may take as long as a whole wait, so a stream gets a little longer.
        let patience = PATIENCE + Duration::from_secs(5);
        let start = Instant::now();
        let mut state = self.state();
        loop {
            assert_eq!(state.fault, None, "the stream breaks the contract");
            if let Some(value) = look(&state) {
                return value;
            }
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() || state.ended {
                let why = if state.ended { "the stream ended" } else { "waited in vain" };
                let tail = tail(&state.events);
                drop(state);
                panic!("{why}: {what}; the last events were\n{tail}");
            }
            state = self.shared.1.wait_timeout(state, left).expect("no holder panics").0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().expect("no holder panics")
    }
}

impl Drop for Sse {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

impl Event {
    /// Whether this is a `create` or an `update` of the instance.
    pub fn is_change_of(&self, id: &str) -> bool {
        matches!(self.kind.as_str(), "create" | "update") && self.instance["id"] == id
    }

    /// Whether this is a log line of the instance.
    pub fn is_log_of(&self, id: &str) -> bool {
        self.kind == "log" && self.instance["id"] == id
    }
}

impl Frame {
    /// The value of the first line that starts with `<name>: `.
    pub fn field(&self, name: &str) -> Option<&str> {
        let value = |line: &'_ str| -> Option<usize> {
            line.strip_prefix(name)?.strip_prefix(": ").map(str::len)
        };
        self.text.lines().find_map(|line| value(line).map(|length| &line[line.len() - length..]))
    }

    fn event(&self) -> Result<Option<Event>, String> {
        if self.field("event") != Some("instance") {
            return Ok(None);
        }
        let data = self.field("data").ok_or("a frame without data")?;
        let value: Value = serde_json::from_str(data).map_err(|error| error.to_string())?;
        let text = |name: &str| value[name].as_str().ok_or(format!("{name} is not a string"));
        let (kind, logs, time) = (text("type")?, text("logs")?, text("time")?);
        let unix_nanos = unix_nanos(time).ok_or(format!("time is {time}"))?;
        let instance = value.get("instance").ok_or("instance is missing")?.clone();
        if !is_compact(data) {
            return Err("not compact".into());
        }
        if instance.is_null() != (kind == "shutdown") {
            return Err(format!("{kind} with instance {instance}"));
        }
        if let (false, Some(fault)) = (instance.is_null(), instance_fault(&instance)) {
            return Err(fault);
        }
        let id = self.field("id").map(str::to_owned);
        let (kind, logs) = (kind.to_owned(), logs.to_owned());
        Ok(Some(Event { kind, unix_nanos, instance, logs, id, at: self.at }))
    }
}

fn read(mut body: impl Read, shared: &Shared) {
    let mut pending = Vec::new();
    let mut block = vec![0; 64 * 1024];
    loop {
        let count = match body.read(&mut block) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        let scan_from = pending.len().saturating_sub(1);
        pending.extend_from_slice(&block[..count]);
        if let Err(error) = take_frames(&mut pending, scan_from, shared) {
            shared.0.lock().expect("no holder panics").fault = Some(error.to_string());
        }
        shared.1.notify_all();
    }
    shared.0.lock().expect("no holder panics").ended = true;
    shared.1.notify_all();
}

fn take_frames(pending: &mut Vec<u8>, scan_from: usize, shared: &Shared) -> io::Result<()> {
    let mut taken = 0;
    let mut from = scan_from;
    let mut state = shared.0.lock().expect("no holder panics");
    let mut result = Ok(());
    while let Some(offset) = pending[from..].windows(2).position(|pair| pair == b"\n\n") {
        let bytes = &pending[taken..from + offset];
        taken = from + offset + 2;
        from = taken;
        let text = String::from_utf8_lossy(bytes).into_owned();
        let frame = Frame { text, at: Instant::now() };
        let outcome = accept(&mut state, &frame, bytes.len() + 2);
        if let (Err(fault), Ok(())) = (outcome, &result) {
            let shown: String = frame.text.chars().take(400).collect();
            result = Err(io::Error::other(format!("{fault}: {shown}")));
        }
        state.frames.push(frame);
    }
    pending.drain(..taken);
    result
}

fn accept(state: &mut State, frame: &Frame, length: usize) -> Result<(), String> {
    if length >= FRAME_LIMIT {
        return Err(format!("a frame of {length} bytes"));
    }
    let Some(event) = frame.event()? else { return Ok(()) };
    let last = state.events.last().map_or(event.unix_nanos, |last| last.unix_nanos);
    if event.unix_nanos < last {
        return Err("time goes backwards".into());
    }
    state.events.push(event);
    Ok(())
}

fn tail(events: &[Event]) -> String {
    let from = events.len().saturating_sub(20);
    let shown = events[from..].iter().map(|event| {
        let Event { kind, instance, logs, .. } = event;
        let logs: String = logs.chars().take(100).collect();
        format!("  {kind} {} {} {logs:?}\n", instance["id"], instance["status"])
    });
    shown.collect()
}
