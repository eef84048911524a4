//! The harness itself: the stub runtime does what its script says, without any master.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread;

use openctrl_tests::output::{Output, Source};
use openctrl_tests::script::Step;
use openctrl_tests::{Api, Cue, Mark, Script, binary, http, process};
use rustix::process::Signal;
use tempfile::TempDir;

/// A stub on its own.
struct Stub {
    child: Child,
    output: Output,
}

impl Stub {
    fn start(script: &Script) -> Self {
        let mut child = Command::new(binary::stub_runtime())
            .arg(script.url())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the stub starts");
        let output = Output::new();
        output.capture(Source::Stdout, child.stdout.take().expect("piped"));
        output.capture(Source::Stderr, child.stderr.take().expect("piped"));
        Self { child, output }
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid fits")
    }

    fn term(&self) {
        process::send(self.pid(), Signal::TERM);
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line<'a>(text: &'a str) -> impl Fn(&openctrl_tests::output::Line) -> bool + 'a {
    move |line| line.text == text
}

#[test]
fn steps_run_in_order_and_the_end_is_a_clean_exit() {
    let folder = TempDir::new().unwrap();
    let cue = Cue::new(folder.path().join("go on"));
    let mark = Mark::new(folder.path().join("here"));
    let script = Script::new()
        .print("one")
        .step(Step::PrintError("two".into()))
        .raw(b"thr\xff")
        .raw(b"ee\n")
        .step(Step::Fill(b'y', 3))
        .raw("\n")
        .step(Step::Flood(2, 12))
        .step(Step::Repeat(2, Script::new().print("again")))
        .mark(&mark)
        .cue(&cue)
        .print("after the cue");
    let mut stub = Stub::start(&script);
    let entries = mark.wait(1);
    assert_eq!(entries[0].pid, stub.pid());
    assert_eq!(stub.output.count(line("after the cue")), 0);
    cue.give();
    assert_eq!(stub.child.wait().unwrap().code(), Some(0));
    stub.output.wait_end();
    assert_eq!(
        stub.output.text(Source::Stdout),
        "one\nthr\u{fffd}ee\nyyy\nflood-0-xxxx\nflood-1-xxxx\nagain\nagain\nafter the cue\n"
    );
    assert_eq!(stub.output.text(Source::Stderr), "two\n");
}

#[test]
fn term_kills_unless_the_script_says_otherwise() {
    let mut plain = Stub::start(&Script::new().print("up").wait());
    plain.output.wait_for_line("up", line("up"));
    plain.term();
    assert_eq!(plain.child.wait().unwrap().signal(), Some(15));

    let bye = Script::new().print("bye").exit(7);
    let mut polite = Stub::start(&Script::new().on_term(bye).print("up").wait());
    polite.output.wait_for_line("up", line("up"));
    polite.term();
    assert_eq!(polite.child.wait().unwrap().code(), Some(7));
    polite.output.wait_end();
    assert_eq!(polite.output.text(Source::Stdout), "up\nbye\n");

    let noted = Script::new().on_term(Script::new().print("not yet")).print("up").wait();
    let deaf = Stub::start(&noted);
    deaf.output.wait_for_line("up", line("up"));
    deaf.term();
    deaf.output.wait_for_line("not yet", line("not yet"));
    assert!(process::is_alive(deaf.pid()));
}

#[test]
fn exit_codes_and_signals_are_as_told() {
    let mut stub = Stub::start(&Script::new().exit(3));
    assert_eq!(stub.child.wait().unwrap().code(), Some(3));
    let mut stub = Stub::start(&Script::new().step(Step::Die(9)));
    assert_eq!(stub.child.wait().unwrap().signal(), Some(9));
}

#[test]
fn grandchildren_hold_the_pipe_and_closing_lets_it_go() {
    let folder = TempDir::new().unwrap();
    let cue = Cue::new(folder.path().join("go"));
    let pids = Mark::new(folder.path().join("pids"));
    let inner = Script::new().mark(&pids).cue(&cue).print("late");
    let script =
        Script::new().step(Step::Grandchild(inner.clone())).step(Step::Orphan(inner)).print("up");
    let mut stub = Stub::start(&script);
    assert_eq!(stub.child.wait().unwrap().code(), Some(0));
    pids.wait(2);
    cue.give();
    stub.output.wait_end();
    assert_eq!(stub.output.count(line("late")), 2);

    let closed = Stub::start(&Script::new().print("up").step(Step::CloseOutput).wait());
    closed.output.wait_end();
    assert!(process::is_alive(closed.pid()));
}

#[test]
fn facts_are_reported() {
    let script = Script::new().step(Step::Report).step(Step::Env("PATH".into()));
    let stub = Stub::start(&script);
    stub.output.wait_for_line("argc", line("report argc=2"));
    stub.output.wait_for_line("stdin", line("report stdin=empty"));
    stub.output.wait_for_line("pid", line(&format!("report pid={}", stub.pid())));
    stub.output.wait_for_line("argv1", line(&format!("report argv1={}", script.url())));
    let path = std::env::var("PATH").unwrap();
    stub.output.wait_for_line("PATH", line(&format!("PATH={path}")));
}

#[test]
fn a_script_that_cannot_be_read_is_told() {
    let mut child = Command::new(binary::stub_runtime())
        .arg("stub://x?script=nonsense")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(64));
}

#[test]
fn the_stream_reader_splits_frames_wherever_the_network_cuts_them() {
    let instance = serde_json::json!({
        "id": "0123abcd", "alias": "", "type": "stub", "status": "running", "url": "stub://x",
        "config": "", "restart": true,
        "meta": {"peer": {"sid": "", "type": "", "alias": ""}, "tags": {}},
        "mode": 0, "ping": 0, "pool": 0, "tcps": 0, "udps": 0,
        "tcprx": 0, "tcptx": 0, "udprx": 0, "udptx": 0,
    });
    let event = |kind: &str, instance: &serde_json::Value, logs: &str| {
        let time = "2026-06-08T12:00:00.5Z";
        serde_json::json!({"type": kind, "time": time, "instance": instance, "logs": logs})
    };
    let text = format!(
        "retry: 3000\n\n: a comment\n\nid: b-1\nevent: instance\ndata: {}\n\n\
         event: instance\ndata: {}\n\nevent: instance\ndata: {}\n\n",
        event("initial", &instance, ""),
        event("log", &instance, "é\u{1b}"),
        event("shutdown", &serde_json::Value::Null, ""),
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        for piece in text.as_bytes().chunks(7) {
            socket.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).unwrap();
            socket.write_all(piece).unwrap();
            socket.write_all(b"\r\n").unwrap();
        }
        socket.write_all(b"0\r\n\r\n").unwrap();
        socket
    });
    let api = Api::new(http::Endpoint { address, tls: false }, "/api/v2", "key");
    let mut stream = api.events();
    let event = stream.wait_log("0123abcd", "é\u{1b}");
    assert_eq!(event.id, None);
    stream.wait_for("shutdown", |event| event.kind == "shutdown");
    stream.wait_end();
    assert_eq!(stream.events()[0].id.as_deref(), Some("b-1"));
    assert_eq!(stream.frames()[0].field("retry"), Some("3000"));
    assert_eq!(stream.frames().len(), 5);
    server.join().unwrap();
}

#[test]
fn a_process_that_is_gone_is_not_alive() {
    let mut stub = Stub::start(&Script::new().wait());
    let pid = stub.pid();
    assert!(process::is_alive(pid));
    stub.child.kill().unwrap();
    process::wait_gone(pid);
    // Not waited for yet: a zombie counts as gone.
    assert!(fs::metadata(format!("/proc/{pid}")).is_ok());
    stub.child.wait().unwrap();
}
