//! Hostile and careless clients of the control API: the others are served, and memory stays
//! bounded.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;

use openctrl_tests::control::{BASE, Sockets, Wire, event_rule};
use openctrl_tests::process::peak_memory;
use openctrl_tests::{Master, PATIENCE, Script};
use serde_json::json;

const MIB: u64 = 1 << 20;

fn start() -> (Master, Sockets) {
    let (master, sockets) = Sockets::start();
    let body = json!({"url": Script::new().wait().url(), "alias": "web"});
    master.api().post("/instances", &body).expect(201);
    sockets.wait_phase("web", "Running");
    (master, sockets)
}

fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    stream.set_write_timeout(Some(PATIENCE)).expect("a time");
    stream
}

/// Every kind of socket answers, and the master said nothing of a panic.
fn assert_well(master: &Master, sockets: &Sockets) {
    sockets.get("/status").expect(200);
    sockets.managed("web", "POST", "/v1/commands/renew").expect(200);
    let output = master.output().tail();
    assert!(!output.contains("panicked"), "{output}");
}

#[test]
fn garbage_harms_no_other_client() {
    let (master, sockets) = start();
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(70_000));
    let heads = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(20_000));
    let pieces: [&[u8]; 8] = [
        b"\0\xff\xfe\r\n\r\n",
        b"GET",
        b"POST /v1/commands/renew HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /v1/commands/renew HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /v1/events?since=1&wait=30s&topic=%00%ff** HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        long.as_bytes(),
        heads.as_bytes(),
    ];
    for path in [sockets.control(), sockets.status(), sockets.instance("web")] {
        for piece in pieces {
            let mut stream = connect(&path);
            let _ = stream.write_all(piece);
            let _ = stream.shutdown(Shutdown::Write);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            let is_answer = answer.is_empty() || answer.starts_with(b"HTTP/1.");
            assert!(is_answer, "{:?}", String::from_utf8_lossy(&answer));
        }
        // What was sent on one connection is nothing to the next.
        assert_well(&master, &sockets);
    }
}

#[test]
fn clients_of_the_status_socket_do_not_take_the_place_of_others() {
    let (master, sockets) = start();
    let page = "x".repeat(6_000);
    let mut wire = Wire::open(&sockets.instance("web")).expect("it listens");
    for _ in 0..120 {
        wire.send("POST", &format!("/v1/commands/{page}"), None).expect("an answer").expect(400);
    }
    let before = peak_memory(master.pid());
    // Ten more than the status socket serves at a time: each asks for much and reads nothing.
    let request = format!("GET {BASE}/get?subject=events&limit=1000 HTTP/1.1\r\nHost: x\r\n\r\n");
    let deaf: Vec<UnixStream> = (0..74)
        .map(|_| {
            let mut stream = connect(&sockets.status());
            stream.write_all(request.as_bytes()).expect("it fits in the buffer");
            stream
        })
        .collect();
    assert_well(&master, &sockets);
    let grown = peak_memory(master.pid()).saturating_sub(before);
    assert!(grown < 400 * MIB, "{} MiB", grown / MIB);
    // Their places are free when they have disconnected.
    drop(deaf);
    let status =
        openctrl_tests::control::call(&sockets.status(), "GET", &format!("{BASE}/status"), None);
    status.expect(200);
}

#[test]
fn a_thousand_waits_end_with_their_event_or_with_their_clients() {
    let (master, sockets) = start();
    let since = sockets.managed("web", "GET", "/v1/events?tail=true").json()["cursor"].clone();
    let since = since.as_str().expect("a cursor").to_owned();
    let wait = |topic: &str| {
        let mut wire = Wire::open(&sockets.instance("web")).expect("it listens");
        let target = format!("/v1/events?since={since}&wait=30s&topic={topic}");
        wire.write("GET", &target, None).expect("it fits in the buffer");
        wire
    };
    let mut staying: Vec<Wire> =
        (0..500).map(|_| wait("routerd.daemon.command.executed")).collect();
    let leaving: Vec<Wire> = (0..500).map(|_| wait("no.such.topic")).collect();
    // Some leave while the event is on its way.
    let leaver = std::thread::spawn(move || drop(leaving));
    sockets.managed("web", "POST", "/v1/commands/renew").expect(200);
    for wire in &mut staying {
        let page = wire.read("GET").expect("an answer").expect(200).json();
        assert_eq!(page["events"].as_array().map(Vec::len), Some(1), "{page}");
    }
    leaver.join().expect("no panic");
    assert_well(&master, &sockets);
}

#[test]
fn thousands_of_keys_and_a_kill_leave_the_master_well() {
    let (mut master, sockets) = start();
    let quiet = json!({"operator": "debounce", "topic": "routerd.daemon.command.rejected", "quiet": "200ms", "correlate_by": "attributes.command"});
    let count = json!({"operator": "count", "topic": "routerd.daemon.command.*", "threshold": 2, "correlate_by": "attributes.command"});
    let rules = json!([event_rule("quiet", quiet, "r.quiet"), event_rule("pair", count, "r.pair")]);
    sockets.apply(&rules);
    let mut wire = Wire::open(&sockets.instance("web")).expect("it listens");
    for number in 0..4_200 {
        wire.send("POST", &format!("/v1/commands/k{number}"), None).expect("an answer").expect(400);
    }
    // Every key counted both of its events, and the timers fire key by key.
    let pairs = sockets.get("/get?subject=EventRule/pair").json()["items"][0]["status"].clone();
    assert_eq!(pairs["fireCount"], 4_200);
    let since = sockets.head() - 500;
    sockets.wait_event(since, "r.quiet");
    let before = sockets.stored(since);
    // Timers are still due.
    master.crash();
    master.restart();
    sockets.wait_phase("web", "Running");
    let after = sockets.stored(since);
    assert_eq!(after[..before.len()], before[..], "what was shown is durable");
    let ids: Vec<u64> = after.iter().filter_map(|event| event["id"].as_u64()).collect();
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
    assert_well(&master, &sockets);
}
