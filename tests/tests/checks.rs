//! Readiness, dependencies, live checks and error lines of commands, from outside.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use openctrl_tests::{Master, Shell, wait};
use serde_json::{Value, json};

fn own() -> (Master, Shell) {
    let master = Master::builder().without_bin().start();
    let shell = Shell::beside(&master);
    (master, shell)
}

/// An instance of a shell line.
fn create(master: &Master, alias: &str, line: &str, parameters: &str) -> String {
    let line: String = line.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let url = format!("exec:sh?arg=-c&arg={line}{parameters}");
    let body = json!({"url": url, "alias": alias});
    let created = master.api().request("POST", "/instances").json(&body).send().expect(201).json();
    created["id"].as_str().expect("an id").to_owned()
}

fn wait_process(master: &Master, id: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    wait::eventually(what, || Some(master.api().process(id)).filter(|process| is(process)))
}

fn is_ready(process: &Value) -> bool {
    process["ready"] == true
}

/// A server on 127.0.0.1 that answers 200 while `well`, and 500 else.
fn server() -> (String, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let well = Arc::new(AtomicBool::new(false));
    let is_well = Arc::clone(&well);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.read(&mut [0; 1024]);
            let status = if is_well.load(Ordering::SeqCst) { "200 OK" } else { "500 No" };
            let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        }
    });
    (address, well)
}

#[test]
fn a_line_a_time_a_port_a_page_and_a_message_make_ready() {
    let (master, _) = own();
    let go = master.folder().join("go");
    let line =
        format!("until [ -e {} ]; do sleep 0.02; done; echo listening; sleep 1000", go.display());
    let by_line = create(&master, "line", &line, "&ready=line:%5Elistening");
    let (address, well) = server();
    let page = format!("&ready=http://{address}/health");
    let by_page = create(&master, "page", "sleep 1000", &page);
    let by_port = create(&master, "port", "sleep 1000", &format!("&ready=tcp:{address}"));
    let by_time = create(&master, "time", "sleep 1000", "&ready=after:1ms");
    let notify = "import os,socket,time; s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); \
        s.connect(chr(0)+os.environ['NOTIFY_SOCKET'][1:]); s.send(b'STATUS=x\\nREADY=1'); \
        time.sleep(1000)";
    let notify =
        create(&master, "notify", &format!("exec python3 -c \"{notify}\""), "&ready=notify");
    for id in [&by_port, &by_time, &notify] {
        wait_process(&master, id, "it is ready", is_ready);
    }
    for id in [&by_line, &by_page] {
        let process = wait_process(&master, id, "it runs", |it| it["pid"] != Value::Null);
        assert_eq!(process["ready"], false);
        assert_eq!(process["reason"], "not ready yet");
    }
    well.store(true, Ordering::SeqCst);
    fs::write(go, "").expect("written");
    for id in [&by_line, &by_page] {
        let process = wait_process(&master, id, "it is ready", is_ready);
        assert_eq!(process["reason"], "");
    }
}

#[test]
fn a_page_over_tls_makes_ready_whoever_has_the_certificate() {
    let (master, _) = own();
    // Its certificate is self-signed.
    let other = Master::builder().query("tls", "1").start();
    let target = format!("https://{}{}", other.endpoint().address, other.base());
    let good = create(&master, "good", "sleep 1000", &format!("&ready={target}/openapi.json"));
    wait_process(&master, &good, "it is ready", is_ready);
    let plain = format!("&ready=https://{}/&ready_timeout=1s", master.endpoint().address);
    let bad = create(&master, "bad", "sleep 1000", &plain);
    wait_process(&master, &bad, "it fails", |it| it["reason"] != "not ready yet");
}

#[test]
fn one_that_is_not_ready_in_time_is_an_error_until_it_is() {
    let (master, _) = own();
    let go = master.folder().join("go");
    let line = format!("until [ -e {} ]; do sleep 0.02; done; echo up; sleep 1000", go.display());
    let late = create(&master, "late", &line, "&ready=line:up&ready_timeout=300ms&restart=never");
    let is_late =
        |it: &Value| it["reason"].as_str().is_some_and(|it| it.contains("not ready within"));
    wait_process(&master, &late, "it is late", is_late);
    assert_eq!(master.api().status(&late), "error");
    assert_eq!(master.api().process(&late)["starts"], 1);
    fs::write(go, "").expect("written");
    wait_process(&master, &late, "it is ready", is_ready);
    assert_eq!(master.api().status(&late), "running");
}

#[test]
fn an_instance_starts_when_those_it_names_are_ready() {
    let (master, shell) = own();
    let go = master.folder().join("go");
    let line = format!("until [ -e {} ]; do sleep 0.02; done; echo up; sleep 1000", go.display());
    let db = create(&master, "db", &line, "&ready=line:up");
    let web = create(&master, "web", "echo web; sleep 1000", "&after=db&after=cache");
    let process = wait_process(&master, &web, "it waits", |it| it["waitsFor"] == "db");
    assert_eq!(process["reason"], "waiting for db to be ready");
    assert_eq!(process["starts"], 0);
    assert_eq!(master.api().status(&web), "stopped");
    let listed = shell.ok(&["list"]);
    assert!(listed.contains("waiting for db to be ready"), "{listed}");
    fs::write(&go, "").expect("written");
    wait_process(&master, &db, "it is ready", is_ready);
    wait_process(&master, &web, "it waits for the next", |it| it["waitsFor"] == "cache");
    create(&master, "cache", "sleep 1000", "");
    wait_process(&master, &web, "it runs", is_ready);

    // A circle is refused by name, at any time.
    let url = "exec:sleep?arg=1000&after=web";
    let put = |id: &str| {
        master.api().request("PUT", &format!("/instances/{id}")).json(&json!({"url": url})).send()
    };
    let error = put(&db).expect(409).json()["error"].to_string();
    assert!(error.contains("circle: db -> web -> db"), "{error}");
    let said = shell.fails(1, &["run", "--name", "me", "--after", "me", "sleep", "1"]);
    assert!(said.contains("circle: me -> me"), "{said}");
}

#[test]
fn the_master_stops_them_in_the_opposite_order() {
    let (mut master, _) = own();
    let folder = master.folder().to_owned();
    let cwd = format!("&cwd={}", folder.display());
    let idle = "echo up; while :; do sleep 0.05; done";
    let line = format!("trap 'ls web-gone >db-saw 2>&1; exit 0' TERM; {idle}");
    let db = create(&master, "db", &line, &format!("{cwd}&ready=line:up"));
    let line = format!("trap 'sleep 0.3; touch web-gone; exit 0' TERM; {idle}");
    let web = create(&master, "web", &line, &format!("{cwd}&ready=line:up&after=db"));
    wait_process(&master, &db, "it is ready", is_ready);
    wait_process(&master, &web, "it is ready", is_ready);
    master.stop();
    assert_eq!(fs::read_to_string(folder.join("db-saw")).expect("it was stopped"), "web-gone\n");
}

#[test]
fn run_waits_until_it_is_ready() {
    let (_master, shell) = own();
    let line = "echo one; sleep 0.3; echo two; sleep 1000";
    let words = ["run", "--name", "a", "--ready", "line:two", "--wait", "sh", "-c", line];
    shell.ok(&words);
    assert_eq!(shell.ok(&["logs", "a"]), "one\ntwo\n");
    shell.ok(&["run", "--name", "b", "--after", "a", "--wait", "--for", "10ms", "sleep", "1000"]);
    let never = ["run", "--name", "c", "--ready", "line:never", "--wait", "--timeout", "300ms"];
    let said = shell.run(&[&never[..], &["sleep", "1000"]].concat());
    assert_ne!(said.code, Some(0));
    assert!(said.stderr.contains("timed out"), "{}", said.stderr);
    let dies =
        ["run", "--name", "d", "--ready", "line:never", "--wait", "sh", "-c", "echo no; exit 3"];
    let said = shell.run(&dies);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("it failed at once: no"), "{}", said.stderr);
    for (words, what) in [
        (["--ready", "line:("], "--ready must be a pattern after line: unclosed group"),
        (["--ready", "soon"], "--ready must be line:PATTERN"),
        (["--error", ""], "--error must be a pattern: it is empty"),
        (["--after", "a b"], "--after must be the alias of an instance"),
        (["--live", "line:x"], "--live must be tcp:HOST:PORT"),
    ] {
        let said = shell.fails(2, &[&["run"][..], &words, &["sleep", "1"]].concat());
        assert!(said.starts_with(what), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_file_declares_order_and_checks() {
    let (master, shell) = own();
    let text = "[instance.web]\ncommand = [\"sleep\", \"1000\"]\nafter = [\"db\"]\n\n[instance.db]\nshell \
        = \"echo up; sleep 1000\"\nready = \"line:up\"\nerror = \"(?i)fatal\"\n";
    let path = master.folder().join("f.toml");
    fs::write(&path, text).expect("written");
    let file = path.to_str().expect("UTF-8");
    let applied = shell.ok(&["apply", "-f", file, "--yes", "--wait", "--for", "10ms"]);
    assert!(applied.contains("web: created"), "{applied}");
    assert_eq!(shell.ok(&["apply", "-f", file]), "2 unchanged\n");
    let exported = shell.ok(&["export"]);
    for line in ["after = [\"db\"]", "ready = \"line:up\"", "error = \"(?i)fatal\""] {
        assert!(exported.contains(line), "{exported}");
    }
    fs::write(&path, text.replace("[instance.db]\n", "[instance.db]\nafter = \"web\"\n"))
        .expect("written");
    let said = shell.run(&["plan", "-f", file]);
    assert!(said.stderr.contains("circle: db -> web -> db"), "{}", said.stderr);
    assert_eq!(said.stderr.lines().count(), 1);
}

#[test]
fn a_line_that_matches_is_an_error_and_a_failed_live_check_too() {
    let (master, _) = own();
    let line = "echo an ERROR; echo Fatal: no disk; sleep 1000";
    let id = create(&master, "a", line, "&error=(%3Fi)%5Efatal&restart=never");
    wait::until("it is in error", || master.api().status(&id) == "error");
    assert_eq!(master.api().process(&id)["reason"], "printed an error: Fatal: no disk");

    let (address, well) = server();
    well.store(true, Ordering::SeqCst);
    let live = format!("&live=http://{address}/&live_interval=100ms&live_threshold=2");
    let id = create(&master, "b", "sleep 1000", &live);
    wait_process(&master, &id, "it runs", is_ready);
    well.store(false, Ordering::SeqCst);
    let restarted = wait_process(&master, &id, "it is restarted", |it| it["starts"] == 2);
    assert_eq!(restarted["restarts"], 1);
    let lines = master.api().get(&format!("/instances/{id}/logs")).expect(200).json().to_string();
    assert!(
        lines.contains("live check failed: http://") && lines.contains("status 500"),
        "{lines}"
    );
}
