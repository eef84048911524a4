//! Control contract A "Start", "Names"; D 1-3: which sockets there are, who may use them, what is
//! refused before anything is started.

#![allow(clippy::print_stderr, reason = "a test that is skipped has nothing else to tell")]

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;

use openctrl_tests::control::{BASE, Sockets, Wire, call};
use openctrl_tests::master::run_to_end;
use openctrl_tests::{Master, Script, until};
use serde_json::json;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).mode() & 0o777
}

#[test]
fn without_the_parameter_there_is_none_of_it() {
    let master = Master::start();
    assert!(!master.folder().join("gob/events.db").exists());
}

#[test]
fn sockets_have_their_modes_and_go_at_shutdown() {
    let (mut master, sockets) = Sockets::start();
    assert_eq!(mode(sockets.dir()), 0o755);
    assert_eq!(mode(&sockets.control()), 0o660);
    assert_eq!(mode(&sockets.status()), 0o666);
    let mut events = master.events();
    let id = master.run(&mut events, &Script::new().wait());
    assert_eq!(mode(&sockets.instance(&id)), 0o660);
    assert_eq!(mode(&sockets.dir().join("stub")), 0o755);
    master.stop();
    for socket in [sockets.control(), sockets.status(), sockets.instance(&id)] {
        assert!(!socket.exists(), "{}", socket.display());
    }
}

#[test]
fn a_group_gets_the_sockets_that_take_changes() {
    let (master, sockets) = Sockets::start_with(|builder| builder.query("control_group", "daemon"));
    let gid = |path: &Path| fs::metadata(path).expect("it is there").gid();
    let daemon = fs::read_to_string("/etc/group").expect("there are groups");
    let line = daemon.lines().find(|line| line.starts_with("daemon:")).expect("a group daemon");
    let daemon: u32 = line.split(':').nth(2).expect("a number").parse().expect("a number");
    assert_eq!(gid(&sockets.control()), daemon);
    assert_ne!(gid(&sockets.status()), daemon);
    drop(master);
}

/// Starts a master that must refuse, and gives what it says.
fn refused(parameters: &str) -> String {
    let folder = tempfile::TempDir::new().expect("a directory");
    let state = folder.path().join("state");
    let url = format!("master://127.0.0.1:0?state={}&{parameters}", state.display());
    let finished = run_to_end(&[&url]);
    assert_eq!(finished.status.code(), Some(1), "{}", finished.stderr);
    finished.stderr
}

#[test]
fn what_is_in_the_way_ends_the_master_before_it_starts_anything() {
    let folder = tempfile::TempDir::new().expect("a directory");
    let dir = folder.path().join("run");
    fs::create_dir(&dir).expect("it is new");
    let socket = dir.join("openctrl.sock");
    let parameters = format!("control={}", dir.display());

    fs::write(&socket, "precious").expect("it is new");
    let said = refused(&parameters);
    assert!(said.contains("control") && said.contains(socket.to_str().expect("UTF-8")), "{said}");
    assert_eq!(fs::read_to_string(&socket).expect("it is left alone"), "precious");
    fs::remove_file(&socket).expect("it is there");

    let listener = UnixListener::bind(&socket).expect("it is free");
    let said = refused(&parameters);
    assert!(said.contains("control") && said.contains(socket.to_str().expect("UTF-8")), "{said}");
    UnixStream::connect(&socket).expect("it still listens");
    drop(listener);

    let long = folder.path().join("x".repeat(100));
    let said = refused(&format!("control={}", long.display()));
    assert!(said.contains("control") && said.contains("107"), "{said}");

    let said = refused(&format!("{parameters}&control_group=no-such-group-here"));
    assert!(said.contains("control_group") && said.contains("no-such-group-here"), "{said}");
    let said = refused(&format!("{parameters}&control_events=none"));
    assert!(said.contains("control_events"), "{said}");
}

#[test]
fn a_dead_socket_is_replaced() {
    let (mut master, sockets) = Sockets::start();
    let mut events = master.events();
    let id = master.run(&mut events, &Script::new().wait());
    master.kill9();
    assert!(sockets.instance(&id).exists(), "a killed master leaves its sockets behind");
    master.restart();
    sockets.get("/status").expect(200);
    sockets.managed(&id, "GET", "/v1/healthz").expect(200);
}

#[test]
fn an_instance_has_its_socket_from_creation_to_deletion() {
    let (master, sockets) = Sockets::start();
    follow_an_instance(&master, &sockets);
}

/// In memory the loop makes the sockets, on a disk a thread does.
#[test]
fn in_memory_it_has_it_too_and_one_that_could_not_be_made_is_tried_again() {
    let Ok(folder) = tempfile::TempDir::new_in("/dev/shm") else {
        return eprintln!("skipped: there is no directory in memory");
    };
    let dir = folder.path().join("run");
    let text = dir.to_str().expect("UTF-8").to_owned();
    let master = Master::builder().query("control", &text).start();
    let sockets = Sockets::new(dir);
    follow_an_instance(&master, &sockets);
    let in_the_way = sockets.instance("late");
    fs::write(&in_the_way, "").expect("the directory is there");
    let body = json!({"url": Script::new().wait().url(), "alias": "late"});
    master.api().post("/instances", &body).expect(201);
    master.output().wait_for_line("a warning", |line| line.text.contains("is no socket"));
    fs::remove_file(&in_the_way).expect("it is still there");
    until("the socket to be made", || Wire::open(&in_the_way).is_ok());
    sockets.managed("late", "GET", "/v1/healthz").expect(200);
}

fn follow_an_instance(master: &Master, sockets: &Sockets) {
    let api = master.api();
    let create = |alias: &str| {
        let body = json!({"url": Script::new().wait().url(), "alias": alias});
        let answer = api.post("/instances", &body).expect(201).json();
        answer["id"].as_str().expect("an id").to_owned()
    };
    let id = create("web");
    assert!(fs::metadata(sockets.instance("web")).expect("at once").file_type().is_socket());
    api.act(&id, "stop");
    sockets.wait_phase("web", "Stopped");
    sockets.managed("web", "GET", "/v1/status").expect(200);
    // A name is taken; one that is none; one that looks like an id.
    for alias in ["web", "no name", "../up", "0123abcd", ""] {
        let other = create(alias);
        assert!(sockets.instance(&other).exists(), "{alias:?}");
    }
    api.patch(&id, &json!({"alias": "site"})).expect(200);
    assert!(sockets.instance("site").exists());
    until("the old socket to be gone", || {
        let entry = sockets.process("web");
        sockets.instance("web").exists() && entry["status"]["id"] != id.as_str()
    });
    assert_eq!(sockets.process("site")["status"]["id"], id.as_str());
    assert_eq!(sockets.process(&id)["name"], "site", "the id works as well");
    api.request("DELETE", &format!("/instances/{id}")).send().expect(204);
    assert!(!sockets.instance("site").exists());
    sockets.get("/get?subject=Process/site").error(400);
}

#[test]
fn main_sockets_close_and_managed_sockets_stay_open() {
    let (master, sockets) = Sockets::start();
    let mut events = master.events();
    let id = master.run(&mut events, &Script::new().wait());
    let mut wire = Wire::open(&sockets.control()).expect("it listens");
    let answer = wire.send("GET", &format!("{BASE}/status"), None).expect("an answer");
    assert_eq!(answer.header("Connection"), Some("close"));
    assert!(wire.is_closed());
    let mut wire = Wire::open(&sockets.instance(&id)).expect("it listens");
    for target in ["/v1/healthz", "/v1/nothing", "/v1/status", "/v1/events"] {
        let answer = wire.send("GET", target, None).expect("an answer");
        assert_eq!(answer.status, if target == "/v1/nothing" { 404 } else { 200 });
    }
}

#[test]
fn main_sockets_know_no_405() {
    let (_master, sockets) = Sockets::start();
    for (method, path) in [
        ("POST", "/status"),
        ("HEAD", "/status"),
        ("OPTIONS", "/status"),
        ("GET", "/status/"),
        ("GET", "/apply"),
        ("GET", "/events"),
        ("GET", ""),
    ] {
        let answer = call(&sockets.control(), method, &format!("{BASE}{path}"), None);
        assert_eq!(answer.status, 404, "{method} {path}");
        if method != "HEAD" {
            assert_eq!(answer.error(404), "not found");
        }
    }
    for (method, path) in
        [("GET", "/connections"), ("POST", "/dhcp-lease-event"), ("GET", "/firewall-logs")]
    {
        call(&sockets.control(), method, &format!("{BASE}{path}"), None).error(501);
    }
}

#[test]
fn the_status_socket_takes_no_changes() {
    let (_master, sockets) = Sockets::start();
    let post = |path: &str, body: &[u8]| {
        call(&sockets.status(), "POST", &format!("{BASE}{path}"), Some(body))
    };
    for (path, message) in [
        ("/apply", "apply handler is not configured"),
        ("/delete", "delete handler is not configured"),
        ("/log-level", "log level handler is not configured"),
    ] {
        assert_eq!(post(path, b"not even JSON").error(501), message);
    }
    assert_eq!(post("/validate", b"{}").expect(200).json()["valid"], true);
    assert_eq!(post("/plan", b"null").expect(200).json()["kind"], "PlanResult");
    let status = call(&sockets.status(), "GET", &format!("{BASE}/status"), None);
    assert_eq!(status.expect(200).json()["metadata"]["name"], "openctrl");
}

#[test]
fn only_tagged_instances_have_a_socket_if_that_is_chosen() {
    let (master, sockets) =
        Sockets::start_with(|builder| builder.query("control_sockets", "tagged"));
    let mut events = master.events();
    let id = master.run(&mut events, &Script::new().wait());
    assert!(!sockets.instance(&id).exists());
    master.api().patch(&id, &json!({"meta": {"tags": {"control": "yes"}}})).expect(200);
    assert!(sockets.instance(&id).exists());
    assert!(
        fs::metadata(sockets.instance(&id)).expect("it is there").permissions().mode() & 0o660
            == 0o660
    );
}

/// What another user, who is in these groups, is answered: the status, or `None` if no other user
/// can be become here.
fn call_as(groups: &str, method: &str, socket: &Path, target: &str) -> Option<String> {
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let script = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode()); print(s.makefile().readline())";
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", groups, "python3", "-c", script]);
    let output = command.arg(socket).arg(&request).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.split(' ').nth(1).map(str::to_owned)
}

/// Lets every user reach a socket and connect to it: what is left is who the peer is.
fn open_to_all(socket: &Path) {
    let mut folder = socket.parent();
    while let Some(path) = folder.filter(|path| path.starts_with(std::env::temp_dir())) {
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o755));
        folder = path.parent();
    }
    fs::set_permissions(socket, fs::Permissions::from_mode(0o666)).expect("it is ours");
}

/// Whether another user can connect here; says so if not. Needs root.
fn can_be_another_user(sockets: &Sockets) -> bool {
    open_to_all(&sockets.control());
    let read = call_as("--clear-groups", "GET", &sockets.control(), &format!("{BASE}/status"));
    let can = read.as_deref() == Some("200");
    if !can {
        eprintln!("skipped: no root, setpriv or python3 to become another user: {read:?}");
    }
    can
}

#[test]
fn a_peer_without_the_right_may_read_and_not_write() {
    let (master, sockets) = Sockets::start();
    let mut events = master.events();
    let id = master.run(&mut events, &Script::new().wait());
    open_to_all(&sockets.instance(&id));
    if !can_be_another_user(&sockets) {
        return;
    }
    let call = |method: &str, socket: &Path, target: &str| {
        call_as("--clear-groups", method, socket, target)
    };
    for path in ["/apply", "/delete", "/log-level"] {
        let answer = call("POST", &sockets.control(), &format!("{BASE}{path}"));
        assert_eq!(answer.as_deref(), Some("403"), "{path}");
    }
    let healthz = call("GET", &sockets.instance(&id), "/v1/healthz");
    let stop = call("POST", &sockets.instance(&id), "/v1/commands/stop");
    assert_eq!((healthz.as_deref(), stop.as_deref()), (Some("200"), Some("403")));
    assert_eq!(master.api().status(&id), "running");
    let events = sockets.stored(0);
    let is_command = |event: &serde_json::Value| event["type"].to_string().contains(".command.");
    assert!(!events.iter().any(is_command), "what is not admitted is no event");
}

#[test]
fn a_member_of_the_group_may_write() {
    let (master, sockets) = Sockets::start_with(|builder| builder.query("control_group", "daemon"));
    let mut events = master.events();
    let id = master.run(&mut events, &Script::new().wait());
    open_to_all(&sockets.instance(&id));
    if !can_be_another_user(&sockets) {
        return;
    }
    // A supplementary group counts as well; another group does not.
    let daemon = fs::metadata(sockets.control()).expect("it is there").gid();
    let renew = |groups: &str| {
        call_as(groups, "POST", &sockets.instance(&id), "/v1/commands/renew").expect("an answer")
    };
    assert_eq!(renew(&format!("--groups={daemon}")), "200");
    assert_eq!(renew(&format!("--groups={}", daemon + 1)), "403");
}

#[test]
fn a_path_of_an_instance_that_is_too_long_ends_the_master() {
    let folder = tempfile::TempDir::new().expect("a directory");
    let alias = "a".repeat(63);
    let mut master = Master::start();
    let body = json!({"url": Script::new().wait().url(), "alias": alias});
    master.api().post("/instances", &body).expect(201);
    master.stop();
    // The paths of the two main sockets fit, that of the instance does not.
    let used = folder.path().as_os_str().len();
    let dir = folder.path().join("d".repeat(80 - used - 1));
    let dir = dir.to_str().expect("UTF-8").to_owned();
    master.reconfigure(|builder| builder.query("control", &dir));
    master.begin_restart();
    assert_eq!(master.wait_exit().code(), Some(1));
    let line =
        master.output().wait_for_line("the reason", |line| line.text.contains("at most 107"));
    assert!(line.text.contains("control") && line.text.contains(&alias), "{}", line.text);
    assert!(!Path::new(&dir).join("openctrl.sock").exists(), "none is left behind");
}

#[test]
fn an_instance_whose_path_is_too_long_runs_without_a_socket() {
    let folder = tempfile::TempDir::new().expect("a directory");
    let dir = folder.path().join("d".repeat(80 - folder.path().as_os_str().len() - 1));
    let text = dir.to_str().expect("UTF-8").to_owned();
    let master = Master::builder().query("control", &text).start();
    let sockets = Sockets::new(dir);
    let alias = "a".repeat(63);
    let body = json!({"url": Script::new().wait().url(), "alias": alias});
    master.api().post("/instances", &body).expect(201);
    sockets.wait_phase(&alias, "Running");
    let warning =
        master.output().wait_for_line("a warning", |line| line.text.contains("at most 107"));
    assert!(warning.text.contains(&alias), "{}", warning.text);
}

#[test]
fn too_many_sockets_are_told_at_the_start() {
    let folder = tempfile::TempDir::new().expect("a directory");
    let dir = folder.path().join("run");
    let dir = dir.to_str().expect("UTF-8").to_owned();
    let mut master = Master::start();
    let api = master.api();
    for _ in 0..150 {
        // Stopped, they take no descriptors of their own.
        let id = api.run_once(&Script::new().exit(0));
        api.act(&id, "stop");
    }
    master.stop();
    let limited = |limit: &str| {
        let limit = format!("--nofile={limit}:{limit}");
        let dir = dir.clone();
        move |builder: openctrl_tests::master::Builder| {
            builder.query("control", &dir).through(&["prlimit", &limit])
        }
    };
    master.reconfigure(limited("280"));
    master.restart();
    let line = master.output().wait_for_line("the figure", |line| line.text.contains("150 of 280"));
    assert!(line.text.contains("control_sockets=tagged"), "{}", line.text);
    master.stop();
    master.reconfigure(limited("200"));
    master.begin_restart();
    assert_eq!(master.wait_exit().code(), Some(1));
    let line =
        master.output().wait_for_line("the reason", |line| line.text.contains("limit is 200"));
    for word in ["control", "150", "LimitNOFILE", "control_sockets=tagged"] {
        assert!(line.text.contains(word), "{word}: {}", line.text);
    }
}
