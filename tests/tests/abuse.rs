//! Hostile or careless clients, and floods: the API keeps working and memory stays bounded
//! (contract §3, §7, §8, §12).

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use openctrl_tests::api::id_of;
use openctrl_tests::http::Connection;
use openctrl_tests::process::peak_memory;
use openctrl_tests::script::Step;
use openctrl_tests::{Api, Master, PATIENCE, Script};
use serde_json::json;

const MIB: u64 = 1 << 20;

/// The master is alive, answers, starts a child and reports it.
fn assert_well(master: &Master) {
    let mut events = master.events();
    let id = master.run(&mut events, &Script::new().print("well").wait());
    events.wait_log(&id, "well");
    master.api().delete(&id).expect(204);
    let output = master.output().tail();
    assert!(!output.contains("panicked"), "{output}");
}

fn connect(master: &Master) -> TcpStream {
    let socket = TcpStream::connect(master.endpoint().address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// The answer to these bytes, after which nothing follows; only an end is accepted, too.
fn answer_to(master: &Master, bytes: &[u8]) -> String {
    let mut socket = connect(master);
    let _ = socket.write_all(bytes);
    let _ = socket.shutdown(Shutdown::Write);
    read_to_end(socket)
}

fn read_to_end(mut socket: TcpStream) -> String {
    let mut answer = Vec::new();
    let mut block = [0; 4096];
    while let Ok(count @ 1..) = socket.read(&mut block) {
        answer.extend_from_slice(&block[..count]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_request_target_of_70_000_bytes_is_refused() {
    let master = Master::start();
    let api = master.api();
    let long = "x".repeat(70_000);
    for path in [format!("/instances/{long}"), format!("/tcping?target={long}"), format!("/{long}")]
    {
        if let Ok(response) = api.request("GET", &path).try_send() {
            assert_eq!(response.status / 100, 4, "{}", response.status);
        }
    }
    api.post("/instances", &json!({"url": format!("stub://{long}")})).expect_error(400);
    let _ = api.request("GET", "/info").header("X-Long", &long).try_send();
    assert_well(&master);
}

#[test]
fn a_body_of_64_mib_is_refused_without_being_kept() {
    let master = Master::start();
    let api = master.api();
    api.get("/info").expect(200);
    let before = peak_memory(master.pid());
    let body = vec![b' '; 64 << 20];
    for _ in 0..2 {
        for (method, path) in [("POST", "/instances"), ("POST", "/info")] {
            api.request(method, path).body(body.clone()).send().expect_error(413);
        }
    }
    let grown = peak_memory(master.pid()) - before;
    assert!(grown < 32 * MIB, "memory grew by {grown} bytes");
    assert_well(&master);
}

#[test]
fn half_open_connections_cost_nobody_anything() {
    let master = Master::start();
    let mut events = master.events();
    let mut sockets = Vec::new();
    for number in 0..300 {
        let mut socket = connect(&master);
        let part = [
            "",
            "GET",
            "GET /api/v2/info HTTP/1.1\r\nHost: x\r\nX-",
            "POST /api/v2/instances HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{\"url\"",
        ];
        socket.write_all(part[number % 4].as_bytes()).unwrap();
        sockets.push(socket);
    }
    let id = master.run(&mut events, &Script::new().print("heard").wait());
    events.wait_log(&id, "heard");
    assert_well(&master);
    drop(sockets);
    assert_well(&master);
}

#[test]
fn garbage_is_answered_by_an_error_or_an_end() {
    let master = Master::start();
    let noise: Vec<u8> =
        (0..9_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let bad_lengths = "POST /api/v2/info HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello";
    let bad_chunk =
        "POST /api/v2/info HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    for bytes in [
        &b""[..],
        b"\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
        b"GET /api/v2/info HTTP/1.1\r\nNo colon here\r\n\r\n",
        b"GET /api/v2/info HTTP/1.1\r\nHost: x\r\nX-API-Key: \x00\xff\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/v2/instances/%zz%00%ff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /api/v2/info HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v2/info HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        bad_lengths.as_bytes(),
        bad_chunk.as_bytes(),
        &[0; 10_000],
        &noise,
    ] {
        let answer = answer_to(&master, bytes);
        let shown: String = answer.chars().take(200).collect();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1."), "{shown}");
        assert!(!answer.starts_with("HTTP/1.1 2"), "{shown}");
    }
    assert_well(&master);
}

#[test]
fn odd_paths_and_bodies_do_no_harm() {
    let master = Master::start();
    let api = master.api();
    for target in [
        "//",
        "/api//v2/info",
        "/api/v2/../v2/info",
        "/api/v2/instances/%2e%2e%2finfo",
        "/api/v2/instances/%00",
        "/api/v2/instances/%ff%fe",
        "/api/v2/instances/%zz",
        "*",
        "/nothing?",
        "/api/v2/info/",
    ] {
        let status = api.request_at("GET", target).send().status;
        assert!((400..500).contains(&status), "{target}: {status}");
    }
    let deep = "[".repeat(100_000);
    let deep_object = "{\"meta\":".repeat(20_000);
    for body in [deep.as_bytes(), deep_object.as_bytes(), b"\xff\xfe\x00", b"{\"url\":\"\\ud800\"}"]
    {
        api.request("POST", "/instances").body(body).send().expect_error(400);
    }
    assert_well(&master);
}

#[test]
fn requests_may_be_pipelined_and_many() {
    let master = Master::start();
    let api = master.api();
    let request = api.request("GET", "/instances/********").into_request();
    let mut connection = Connection::open(api.endpoint()).unwrap();
    for _ in 0..300 {
        assert_eq!(connection.send(&request).unwrap().status, 200);
    }
    let mut text = String::new();
    for _ in 0..20 {
        text.push_str(&format!(
            "GET /api/v2/info HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\n\r\n",
            master.key()
        ));
    }
    text.push_str("GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let mut socket = connect(&master);
    socket.write_all(text.as_bytes()).unwrap();
    let answer = read_to_end(socket);
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 20);
    assert_eq!(answer.matches("HTTP/1.1 404").count(), 1);
}

/// Opens the event stream and never reads it.
fn deaf_subscriber(master: &Master, api: &Api) -> TcpStream {
    let mut socket = connect(master);
    let key = master.key();
    let base = api.base();
    write!(socket, "GET {base}/events HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n").unwrap();
    let mut first = [0; 16];
    socket.read_exact(&mut first).unwrap();
    assert_eq!(&first[..12], b"HTTP/1.1 200");
    socket
}

#[test]
fn a_subscriber_that_never_reads_delays_nobody() {
    let mut master = Master::start();
    let api = master.api();
    let deaf: Vec<TcpStream> = (0..5).map(|_| deaf_subscriber(&master, &api)).collect();
    let mut events = master.events();
    let count = 20_000;
    let script = Script::new().step(Step::Flood(count, 150)).print("end").wait();
    let id = api.run(&script);
    events.wait_log(&id, "end");
    assert_eq!(events.logs(&id).len(), count + 1, "who reads gets everything");
    assert_well(&master);
    let peak = peak_memory(master.pid());
    assert!(peak < 256 * MIB, "memory is bounded by configuration: {peak} bytes");
    let took = master.stop();
    assert!(took < Duration::from_secs(12), "they do not hold up the end either: {took:?}");
    drop(deaf);
}

#[test]
fn many_floods_at_once_leave_the_api_usable() {
    let master = Master::start();
    let api = master.api();
    let flood = Script::new().step(Step::Repeat(0, Script::new().step(Step::Flood(1_000, 100))));
    let ids: Vec<String> = (0..4).map(|_| api.run(&flood)).collect();
    for _ in 0..2 {
        let start = Instant::now();
        api.list();
        let id = id_of(&api.create(&Script::new().wait().url()));
        api.patch(&id, &json!({"alias": "in the midst"})).expect(200);
        api.delete(&id).expect(204);
        assert!(start.elapsed() < PATIENCE, "requests go before output: {:?}", start.elapsed());
    }
    for id in ids {
        api.act(&id, "stop");
        openctrl_tests::until("the flood to be stopped", || api.status(&id) == "stopped");
    }
    let peak = peak_memory(master.pid());
    assert!(peak < 256 * MIB, "memory is bounded by configuration: {peak} bytes");
    assert_well(&master);
}

#[test]
fn a_stdout_that_nobody_reads_does_not_stop_the_api() {
    let master = Master::builder().unread_stdout().start();
    let api = master.api();
    let flood = Script::new().step(Step::Repeat(0, Script::new().step(Step::Flood(1_000, 100))));
    let id = api.run(&flood);
    let mut events = master.events();
    // Far more than a pipe holds: whatever waits for stdout by now never continues.
    for _ in 0..3_000 {
        events.wait_for("a line", |event| event.is_log_of(&id));
    }
    // This reader may lag behind the flood by now, so the list is asked.
    let quiet = api.run(&Script::new().wait());
    openctrl_tests::until("another to run", || api.status(&quiet) == "running");
    api.patch(&quiet, &json!({"alias": "answers"})).expect(200);
    assert_eq!(api.instance(&quiet)["alias"], "answers");
    api.act(&id, "stop");
    openctrl_tests::until("the flood to be stopped", || api.status(&id) == "stopped");
    api.delete(&quiet).expect(204);
    assert_eq!(api.list().len(), 2);
}

#[test]
fn clients_that_leave_early_do_no_harm() {
    let master = Master::start();
    let api = master.api();
    for number in 0..100 {
        let mut socket = connect(&master);
        let body = json!({"url": "stub://x", "alias": format!("{number}")}).to_string();
        let (key, length) = (master.key(), body.len());
        let _ = write!(
            socket,
            "POST /api/v2/instances HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        drop(socket);
        drop(deaf_subscriber(&master, &api));
    }
    for instance in api.list() {
        let id = id_of(&instance);
        if id != openctrl_tests::KEY_ID {
            api.delete(&id).expect(204);
        }
    }
    assert_well(&master);
}
