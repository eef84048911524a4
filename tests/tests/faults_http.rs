//! What browsers, proxies, probes and client libraries need of the HTTP interface, and errors that
//! say what was wrong.

use std::fs::{self, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use openctrl_tests::http::Connection;
use openctrl_tests::script::Step;
use openctrl_tests::{Master, Script, Sse, eventually, until};
use rustix::process::Signal;
use serde_json::json;

#[test]
fn browsers_may_send_last_event_id_and_keep_the_preflight() {
    let master = Master::start();
    let api = master.api();
    let preflight = api.without_key().request("OPTIONS", "/events").send();
    let allowed = preflight.header("Access-Control-Allow-Headers").expect("a preflight has it");
    assert!(allowed.split(", ").any(|name| name == "Last-Event-ID"), "{allowed}");
    let age = preflight.header("Access-Control-Max-Age").expect("a preflight has it");
    assert!(age.parse::<u32>().is_ok_and(|seconds| seconds >= 600), "{age}");
    assert_eq!(api.get("/info").header("Access-Control-Max-Age"), None, "preflights only");
}

#[test]
fn proxies_may_not_transform_the_stream() {
    let master = Master::start();
    let events = master.events();
    let caching = events.head().header("Cache-Control").expect("a stream has it");
    assert!(caching.split(", ").any(|word| word == "no-transform"), "{caching}");
    assert!(caching.split(", ").any(|word| word == "no-cache"), "{caching}");
}

#[test]
fn head_works_wherever_get_does() {
    let master = Master::start();
    let api = master.api();
    let id = api.run(&Script::new().wait());
    let paths = ["/info", "/instances", "/instances/********", "/processes", "/openapi.json"];
    let one = ["", "/logs", "/process"].map(|part| format!("/instances/{id}{part}"));
    let ping = "/tcping?target=127.0.0.1:1".to_owned();
    for path in paths.map(str::to_owned).into_iter().chain(one).chain([ping, "/health".into()]) {
        let head = api.request("HEAD", &path).send().expect(200);
        assert!(head.body.is_empty(), "{path}");
        let get = api.get(&path).expect(200);
        assert_eq!(head.header("Content-Type"), get.header("Content-Type"), "{path}");
        assert!(head.header("Content-Length").is_some(), "{path}");
    }
    api.request_at("HEAD", "/metrics").send().expect(200);
    api.without_key().request("HEAD", "/info").send().expect(401);
    api.request("HEAD", "/instances/00000000").send().expect(404);
    let events = api.request("HEAD", "/events").send().expect(405);
    assert_eq!(events.header("Allow"), Some("GET, OPTIONS"));
    // Bytes that follow on the connection are not read as a body.
    let mut connection = Connection::open(api.endpoint()).expect("it accepts connections");
    for method in ["HEAD", "GET", "HEAD", "GET"] {
        let request = api.request(method, "/info").into_request();
        assert_eq!(connection.send(&request).expect("an answer").status, 200, "{method}");
    }
}

#[test]
fn options_of_the_root_is_204() {
    for page in ["on", "off"] {
        let master = Master::builder().query("page", page).start();
        let api = master.api().without_key();
        for target in ["/", "*"] {
            let answer = api.request_at("OPTIONS", target).send().expect(204);
            assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
        }
        let preflight = api
            .request_at("OPTIONS", "/")
            .header("Access-Control-Request-Private-Network", "true")
            .send();
        assert_eq!(preflight.header("Access-Control-Allow-Private-Network"), Some("true"));
    }
}

#[test]
fn health_needs_no_key_and_tells_ready_from_draining() {
    let master = Master::start();
    let api = master.api();
    let health = api.without_key().get("/health").expect(200).json();
    let ready = json!({"status": "ready", "ready": true, "draining": false, "disk": "ok"});
    assert_eq!(health, ready);
    api.without_key().request("POST", "/health").send().expect_error(405);

    // A child that ignores TERM keeps the master draining for 5 s.
    let mut events = master.events();
    master.run(&mut events, &Script::new().step(Step::OnTerm(Script::new())).wait());
    master.signal(Signal::TERM);
    events.wait_end();
    let health = api.without_key().get("/health").expect(503).json();
    assert_eq!((&health["status"], &health["ready"]), (&json!("draining"), &json!(false)));
    assert_eq!(health["draining"], true);
}

#[test]
fn bodies_that_are_not_plain_json_are_named_with_the_remedy() {
    let master = Master::start();
    let api = master.api();
    let json = r#"{"url":"stub://a"}"#;
    let utf_16: Vec<u8> = json.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: [(Vec<u8>, &str, &str); 6] = [
        ([b"\xef\xbb\xbf", json.as_bytes()].concat(), "byte order mark", "remove"),
        ([&b"\xff\xfe"[..], &utf_16].concat(), "UTF-16", "send it as UTF-8"),
        (utf_16, "UTF-16", "send it as UTF-8"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec(), "gzip", "without Content-Encoding"),
        (b"url=stub%3A%2F%2Fa&alias=b".to_vec(), "URL-encoded form", "send a JSON object"),
        (b"--b\r\nContent-Disposition: form-data".to_vec(), "multipart", "send a JSON object"),
    ];
    for (body, named, remedy) in cases {
        for (method, path) in
            [("POST", "/instances"), ("POST", "/info"), ("PATCH", "/instances/********")]
        {
            let answer = api.request(method, path).body(body.clone()).send().expect_error(400);
            let error = answer.json()["error"].as_str().expect("a message").to_owned();
            assert!(error.contains(named) && error.contains(remedy), "{method} {path}: {error}");
        }
    }
    // The type that curl sends with -d is no reason to refuse JSON.
    let call = api.request("POST", "/instances").body(json);
    call.header("Content-Type", "application/x-www-form-urlencoded").send().expect(201);
}

#[test]
fn a_runtime_that_does_not_start_says_why() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let runtime = folder.path().join("runtime");
    let master = Master::builder_for(&runtime).start();
    let api = master.api();
    let id = api.run(&Script::new());
    let said = |part: &str| {
        until(part, || {
            let process = api.get(&format!("/instances/{id}/process")).json();
            let reason = process["lastExit"]["reason"].as_str().unwrap_or_default().to_owned();
            reason.contains(runtime.to_str().expect("UTF-8")) && reason.contains(part)
        });
        let logs = api.get(&format!("/instances/{id}/logs")).json();
        let lines = logs["lines"].as_array().expect("lines").iter();
        let said = lines.filter_map(|line| line["text"].as_str()).any(|text| text.contains(part));
        assert!(said, "{part}: {logs}");
    };
    let retry = || drop(api.act(&id, "restart"));
    said("there is no such file; correct bin=");
    fs::write(&runtime, "#!/no/such/interpreter\n").expect("written");
    retry();
    said("is not executable; chmod +x");
    fs::set_permissions(&runtime, Permissions::from_mode(0o755)).expect("changed");
    retry();
    said("asks for \"/no/such/interpreter\"");
    fs::write(&runtime, "nonsense").expect("written");
    retry();
    said("neither a program for this machine nor a script");
    fs::remove_file(&runtime).expect("removed");
    fs::create_dir(&runtime).expect("made");
    retry();
    said("it is a directory");
}

#[test]
fn the_programs_own_file_removed_is_said() {
    let mut master = Master::builder().without_bin().start();
    let api = master.api();
    fs::remove_file(master.folder().join("openctrl")).expect("removed");
    let id = openctrl_tests::api::id_of(&api.create("demo://x"));
    let reason = eventually("the reason", || {
        let process = api.get(&format!("/instances/{id}/process")).json();
        process["lastExit"]["reason"].as_str().map(str::to_owned)
    });
    assert!(reason.contains("the file of this program was removed or moved"), "{reason}");
    assert!(master.is_running());
}

#[test]
fn signals_have_names() {
    let master = Master::builder().without_bin().start();
    let api = master.api();
    for name in ["BUS", "SYS", "XCPU", "XFSZ", "USR1", "USR2", "PWR", "VTALRM"] {
        let url = format!("exec:sh?arg=-c&arg=ulimit+-c+0;kill+-{name}+$$");
        let id = openctrl_tests::api::id_of(&api.create(&url));
        let reason = eventually("the exit", || {
            let process = api.get(&format!("/instances/{id}/process")).json();
            process["lastExit"]["reason"].as_str().map(str::to_owned)
        });
        assert_eq!(reason, format!("killed by SIG{name}"));
        api.delete(&id).expect(204);
    }
}

/// The figure of a series without labels.
fn metric(master: &Master, name: &str) -> u64 {
    let text = master.api().request_at("GET", "/metrics").send().expect(200);
    let line = text.text().lines().find(|line| line.starts_with(&format!("{name} ")));
    let value = line.and_then(|line| line.rsplit(' ').next()).expect("the series is there");
    value.parse().expect("a whole number")
}

#[test]
fn lines_lost_to_a_stdout_that_is_not_read_are_counted_and_said() {
    let master = Master::builder().unread_stdout().start();
    assert_eq!(metric(&master, "openctrl_stdout_lines_missing_total"), 0);
    let flood = Script::new().step(Step::Flood(200_000, 80));
    let id = master.api().run_once(&flood);
    let said = "lines of instances are missing on standard output";
    master.output().wait_for_line(said, |line| line.text.contains(said));
    until("the end", || master.api().status(&id) == "stopped");
    assert!(metric(&master, "openctrl_stdout_lines_missing_total") > 0);
}

#[test]
fn an_idle_stream_is_never_silent_for_four_seconds() {
    let (plain, quick) = (Master::start(), Master::builder().query("heartbeat", "1").start());
    let mut gaps = Vec::new();
    for (master, count) in [(&plain, 2), (&quick, 4)] {
        let events = Sse::open(&master.api(), &[]);
        let mut last = Instant::now();
        for beat in 0..count {
            // The first is the one that opens the stream.
            let frame = events.wait_frame(2 + beat, "a heartbeat", |_| true);
            assert_eq!(frame.text, "retry: 3000");
            gaps.push((count, frame.at.saturating_duration_since(last)));
            last = frame.at;
        }
    }
    for (count, gap) in &gaps {
        let most = if *count == 2 { 4_000 } else { 2_000 };
        assert!(*gap < Duration::from_millis(most), "{gaps:?}");
    }
}

#[test]
fn a_bad_heartbeat_is_refused() {
    for bad in ["0", "3s", "-1", "31"] {
        let url = format!("master://127.0.0.1:0?heartbeat={bad}");
        let finished = openctrl_tests::master::run_to_end(&[&url]);
        assert!(!finished.status.success());
        assert!(finished.stderr.contains("heartbeat"), "{}", finished.stderr);
    }
}

/// When thousands of clients come back at once, the system keeps their connections until the master
/// accepts them.
#[test]
fn a_burst_of_connections_waits_to_be_accepted() {
    let limit = fs::read_to_string("/proc/sys/net/core/somaxconn").expect("Linux has it");
    let count = 1_000.min(limit.trim().parse::<usize>().expect("a number"));
    let master = Master::start();
    let address = master.endpoint().address;
    master.signal(Signal::STOP);
    // A connection that finds the queue full is tried again after a second.
    let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(900));
    let connections: Result<Vec<TcpStream>, _> = (0..count).map(connect).collect();
    master.signal(Signal::CONT);
    assert_eq!(connections.map(|all| all.len()).map_err(|error| error.kind()), Ok(count));
    master.api().get("/info").expect(200);
}
