//! Contract §11, upgrade in place: the master becomes another program in the same process, and
//! no client and no child notices.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use openctrl_tests::api::id_of;
use openctrl_tests::control::{BASE, Sockets, call};
use openctrl_tests::http::Connection;
use openctrl_tests::keeper::{find, say};
use openctrl_tests::master::run_to_end;
use openctrl_tests::process::{is_alive, send};
use openctrl_tests::script::Step;
use openctrl_tests::shell::Ran;
use openctrl_tests::sse::Sse;
use openctrl_tests::{Api, Master, Script, Shell, binary, eventually, together, until};
use rustix::process::Signal;
use serde_json::{Value, json};

together!(
    a_child_goes_on_and_its_line_does_too,
    a_reader_of_events_misses_nothing,
    no_connection_is_refused,
    an_accepted_request_is_answered,
    a_stopped_one_stays_stopped_and_a_crash_loop_goes_on,
    what_cannot_take_over_leaves_the_master_running,
    what_fails_after_it_was_tried_leaves_the_master_running,
    a_hanging_program_leaves_the_master_running,
    twice_in_a_row_and_then_a_crash,
    a_signal_does_it_too,
    a_stop_under_way_goes_on_where_it_was,
    a_process_that_says_that_it_is_ready_is_heard_after_it,
    without_survival_it_is_refused_by_name,
    the_certificate_made_in_memory_stays,
    unix_sockets_stay_open,
    a_trace_across_it_replays,
    the_pid_file_says_who_it_is,
    a_question_that_is_none_is_refused,
);

/// Puts a file at a path.
type Put = Box<dyn FnOnce(&Path)>;

fn program(master: &Master) -> PathBuf {
    master.folder().join("openctrl")
}

/// Puts a file in the place of the master's program, as a package manager does.
fn replace(master: &Master, put: impl FnOnce(&Path)) {
    let new = master.folder().join("openctrl.new");
    put(&new);
    fs::rename(&new, program(master)).unwrap();
}

/// Another file with the same program.
fn renew(master: &Master) {
    replace(master, |new| {
        fs::copy(binary::openctrl(), new).unwrap();
    });
}

fn script(text: &str) -> impl FnOnce(&Path) {
    move |new| {
        fs::write(new, text).unwrap();
        fs::set_permissions(new, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn upgrade(master: &Master) -> Ran {
    let shell = Shell::new(binary::openctrl(), master.folder());
    shell.run(&["upgrade", "--state", master.folder().join("gob").to_str().unwrap()])
}

fn upgraded(master: &Master) {
    let ran = upgrade(master);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let end = format!(", process {}\n", master.pid());
    assert!(ran.stdout.starts_with("upgraded from ") && ran.stdout.ends_with(&end), "{ran:?}");
}

/// The number of the file that the master executes.
fn inode(master: &Master) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(format!("/proc/{}/exe", master.pid())).unwrap().ino()
}

fn lines(api: &Api, id: &str) -> Vec<String> {
    let page = api.get(&format!("/instances/{id}/logs?limit=1000")).expect(200).json();
    let lines = page["lines"].as_array().unwrap().clone();
    lines.iter().map(|line| line["text"].as_str().unwrap().to_owned()).collect()
}

fn pid(process: &Value) -> i32 {
    i32::try_from(process["pid"].as_i64().unwrap()).unwrap()
}

fn a_child_goes_on_and_its_line_does_too() {
    let master = Master::start();
    let (first, on, up) = (master.cue("first"), master.cue("on"), master.mark("up"));
    let script = Script::new().mark(&up).cue(&first).print("again").raw("half").cue(&on);
    let script = script.raw(" and half\n").checkpoint([1, 2, 3, 4, 5, 6, 7, 8, 9]).wait();
    let id = master.api().run(&script);
    up.wait(1);
    send(up.entries()[0].pid, Signal::KILL);
    first.give();
    up.wait(2);
    until("its first line", || lines(&master.api(), &id) == ["again"]);
    let (before, object) = (master.api().process(&id), master.api().instance(&id));
    let (file, keeper) = (inode(&master), find(&master).unwrap());
    renew(&master);
    upgraded(&master);
    assert_ne!(inode(&master), file, "the other file runs");
    assert_eq!(find(&master), Some(keeper));
    let after = master.api().process(&id);
    for field in
        ["pid", "started", "starts", "failures", "restarts", "exits", "lastExit", "explanation"]
    {
        assert_eq!(before[field], after[field], "{field}");
    }
    assert_eq!(master.api().instance(&id), object);
    on.give();
    until("the rest of its line", || lines(&master.api(), &id).len() == 2);
    assert_eq!(lines(&master.api(), &id), ["again", "half and half"]);
    until("its counts", || master.api().instance(&id)["udptx"] == 9);
    assert_eq!(up.count(), 2);
}

/// The numbers of the lines in the frames of a stream.
fn numbers(stream: &Sse, id: &str) -> Vec<u64> {
    stream.logs(id).iter().filter_map(|line| line.strip_prefix("n-")?.parse().ok()).collect()
}

fn last_id(stream: &Sse) -> String {
    stream.events().iter().rev().find_map(|event| event.id.clone()).unwrap()
}

fn a_reader_of_events_misses_nothing() {
    let text = "i=0; while :; do i=$((i+1)); echo n-$i; sleep 0.002; done";
    let url = format!("exec:/bin/sh?arg=-c&arg={}", text.replace(' ', "%20").replace('+', "%2B"));
    let master = Master::builder().without_bin().start();
    let mut stream = master.events();
    let id = id_of(&master.api().create(&url));
    stream.wait_log(&id, "n-5");
    let mut seen = Vec::new();
    for _ in 0..3 {
        renew(&master);
        upgraded(&master);
        stream.wait_end();
        assert!(stream.events().iter().all(|event| event.kind != "shutdown"), "no farewell");
        seen.extend(numbers(&stream, &id));
        let last = last_id(&stream);
        let next = Sse::open_raw(&master.api(), &[("Last-Event-ID", &last)]);
        until("more lines", || !numbers(&next, &id).is_empty());
        assert!(next.events().iter().all(|event| event.kind != "initial"), "it goes on");
        stream = next;
    }
    let (so_far, before) = (numbers(&stream, &id), seen.len() as u64);
    seen.extend(so_far);
    assert!(before > 0);
    let expected: Vec<u64> = (1..=seen.len() as u64).collect();
    assert_eq!(seen, expected, "each line once, in order");
    let kept: Vec<u64> = lines(&master.api(), &id)
        .iter()
        .map(|line| line.strip_prefix("n-").expect("there is no other line").parse().unwrap())
        .collect();
    assert!(kept.len() as u64 >= before.min(1000), "the history goes on: {}", kept.len());
    let expected: Vec<u64> = (kept[0]..).take(kept.len()).collect();
    assert_eq!(kept, expected, "without a hole");
}

fn no_connection_is_refused() {
    let master = Master::start();
    let (is_over, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (api, is_over, count) = (master.api(), Arc::clone(&is_over), Arc::clone(&count));
            thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let call = api.request("GET", "/info").header("Connection", "close");
                    let answer = call.try_send().map_err(|error| format!("{error:?}"))?;
                    if answer.head.status != 200 {
                        return Err(answer.text().to_owned());
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        })
        .collect();
    for _ in 0..5 {
        let before = count.load(Ordering::Relaxed);
        until("some answers", || count.load(Ordering::Relaxed) > before + 20);
        renew(&master);
        upgraded(&master);
    }
    is_over.store(true, Ordering::Relaxed);
    for client in clients {
        assert_eq!(client.join().unwrap(), Ok(()), "no client sees an error");
    }
}

fn an_accepted_request_is_answered() {
    let master = Master::start();
    let (told, end) = (master.mark("told"), master.cue("end"));
    let slow = Script::new().mark(&told).cue(&end).exit(0);
    let id = master.api().run(&Script::new().print("up").step(Step::OnTerm(slow)).wait());
    until("it is up", || lines(&master.api(), &id) == ["up"]);
    let api = master.api();
    let deleting = {
        let id = id.clone();
        thread::spawn(move || api.delete(&id).expect(204))
    };
    told.wait(1);
    let gob = master.folder().join("gob");
    let asking = {
        let shell = Shell::new(binary::openctrl(), master.folder());
        thread::spawn(move || shell.run(&["upgrade", "--state", gob.to_str().unwrap()]))
    };
    let begins = "Master.upgrade: ";
    master.output().wait_for_line("the upgrade", |line| line.text.contains(begins));
    end.give();
    deleting.join().expect("it is answered");
    let ran = asking.join().unwrap();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    master.api().get(&format!("/instances/{id}")).expect(404);
}

fn a_stopped_one_stays_stopped_and_a_crash_loop_goes_on() {
    let master = Master::start();
    let api = master.api();
    let stopped = api.run(&Script::new().print("up").wait());
    until("it is up", || lines(&master.api(), &stopped) == ["up"]);
    api.patch(&stopped, &json!({"restart": true})).expect(200);
    api.act(&stopped, "stop");
    until("it stops", || api.status(&stopped) == "stopped");
    let looping = api.run(&Script::new().print("down").exit(3));
    api.patch(&looping, &json!({"restart": true})).expect(200);
    api.act(&looping, "start");
    let restarts = |id: &str| master.api().process(id)["restarts"].as_u64().unwrap();
    until("it loops", || restarts(&looping) >= 2);
    let before = master.api().process(&looping);
    renew(&master);
    upgraded(&master);
    let after = master.api().process(&looping);
    assert!(after["restarts"].as_u64() >= before["restarts"].as_u64(), "{before}\n{after}");
    let seen = restarts(&looping);
    until("it loops on", || restarts(&looping) > seen);
    assert_eq!(master.api().status(&stopped), "stopped");
    assert_eq!(master.api().process(&stopped)["starts"], 1);
    let text = lines(&master.api(), &looping).join("\n");
    assert!(!text.contains("missing"), "{text}");
}

fn what_cannot_take_over_leaves_the_master_running() {
    let master = Master::start();
    let up = master.mark("up");
    let id = master.api().run(&Script::new().mark(&up).wait());
    up.wait(1);
    let stream = master.events();
    let file = inode(&master);
    let not_executable = |new: &Path| {
        fs::write(new, "#!/bin/sh\n").unwrap();
        fs::set_permissions(new, fs::Permissions::from_mode(0o644)).unwrap();
    };
    let other_format = "#!/bin/sh\n\
                        printf 'openctrl-preflight\\nversion 9\\nhandover 99\\nkeeper 2\\n'\n";
    let other_keeper = "#!/bin/sh\n\
                        printf 'openctrl-preflight\\nversion 9\\nhandover 2\\nkeeper 99\\n'\n";
    let cases: [(Put, &str); 6] = [
        (Box::new(script("#!/bin/sh\necho 'openctrl: no licence' >&2\nexit 1\n")), "no licence"),
        (Box::new(script("#!/bin/sh\nexit 7\n")), "status 7"),
        (Box::new(script("#!/bin/sh\necho hello\n")), "no program that can take over"),
        (Box::new(script(other_format)), "handover 99"),
        (Box::new(script(other_keeper)), "keeper of another version"),
        (Box::new(not_executable), "ermission denied"),
    ];
    for (put, reason) in cases {
        replace(&master, put);
        let ran = upgrade(&master);
        assert_eq!(ran.code, Some(1), "{reason}: {ran:?}");
        assert!(ran.stderr.contains(reason) && ran.stderr.lines().count() == 1, "{ran:?}");
        assert_eq!(inode(&master), file);
        assert_eq!(master.api().status(&id), "running");
    }
    fs::remove_file(program(&master)).unwrap();
    assert_eq!(upgrade(&master).code, Some(1));
    assert!(!stream.has_ended(), "streams were not even touched");
    renew(&master);
    upgraded(&master);
    assert_eq!(up.count(), 1);
}

/// The program shows that it can take over, and then something happens to its file.
fn what_fails_after_it_was_tried_leaves_the_master_running() {
    let master = Master::start();
    let up = master.mark("up");
    let id = master.api().run(&Script::new().mark(&up).wait());
    let child = up.wait(1)[0].pid;
    let file = inode(&master);
    let shell = master.folder().join("shell");
    let say = "printf 'openctrl-preflight\nversion 9\nhandover 2\nkeeper 2\n'\n";
    let put = |text: &str| {
        format!("printf '{text}' >\"$0.other\"; chmod 755 \"$0.other\"; mv \"$0.other\" \"$0\"\n")
    };
    let (failing, format) = (put("#!/bin/sh\\nexit 1\\n"), put("no format\\n"));
    let cases = [
        (format!("#!/bin/sh\n{failing}{say}"), "was replaced while it was tried"),
        (format!("#!/bin/sh\n{format}{say}"), "was replaced while it was tried"),
        (
            format!("#!/bin/sh\necho exit 1 >>\"$0\"\n{say}exit 0\n"),
            "was replaced while it was tried",
        ),
        (format!("#!/bin/sh\nrm \"$0\"\n{say}"), "was replaced while it was tried"),
        (format!("#!{}\nrm {0}\n{say}", shell.display()), "cannot execute"),
    ];
    for (text, reason) in cases {
        fs::copy("/bin/sh", &shell).unwrap();
        replace(&master, script(&text));
        let ran = upgrade(&master);
        assert_eq!(ran.code, Some(1), "{reason}: {ran:?}");
        assert!(ran.stderr.contains(reason) && ran.stderr.lines().count() == 1, "{ran:?}");
        assert_eq!(inode(&master), file);
        assert_eq!(master.api().status(&id), "running");
        assert!(is_alive(child));
    }
    let other = master.api().run(&Script::new().print("works").wait());
    until("another child prints", || lines(&master.api(), &other) == ["works"]);
    renew(&master);
    upgraded(&master);
    assert_eq!((pid(&master.api().process(&id)), up.count()), (child, 1));
}

/// Writes the seeds of the fuzz target `handover` again, after a change of its format:
/// `cargo test -p openctrl-tests --test s11_upgrade -- --ignored seeds`.
#[test]
#[ignore = "it writes into the sources"]
fn seeds_of_handovers() {
    let master = Master::builder().without_bin().start();
    let mut events = master.events();
    let text =
        "echo+hi%3B+printf+half%3B+echo+oh+%3E%262%3B+printf+half+%3E%262%3B+exec+sleep+1000";
    let id = id_of(&master.api().create(&format!("exec:sh?arg=-c&arg={text}&cwd=/tmp")));
    events.wait_log(&id, "hi");
    events.wait_log(&id, "oh");
    master.api().patch(&id, &json!({"alias": "seed"})).expect(200);
    let stopped = id_of(&master.api().create("demo://stopped"));
    master.api().act(&stopped, "stop");
    events.wait_status(&stopped, "stopped");
    let folder = master.folder().to_owned();
    let text = format!(
        "#!/bin/sh\n\
         if [ \"$1\" = --preflight ]; then\n\
         cat <&3 >{0}/trial\n\
         printf 'openctrl-preflight\\nversion 9\\nhandover 2\\nkeeper 2\\n'\n\
         exit 0\nfi\n\
         cat \"/proc/self/fd/$OPENCTRL_HANDOVER\" >{0}/part\nmv {0}/part {0}/whole\n",
        folder.display()
    );
    replace(&master, script(&text));
    master.signal(Signal::USR2);
    until("what is handed over", || folder.join("whole").exists());
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/handover");
    // Without the magic bytes, the version and the checksum.
    const HEADER_BYTES: usize = 14;
    let (trial, whole) =
        (fs::read(folder.join("trial")).unwrap(), fs::read(folder.join("whole")).unwrap());
    fs::write(corpus.join("trial-body"), &trial[HEADER_BYTES..]).unwrap();
    fs::write(corpus.join("body"), &whole[HEADER_BYTES..]).unwrap();
    fs::write(corpus.join("cut"), &whole[..200]).unwrap();
    fs::write(corpus.join("whole"), whole).unwrap();
}

fn a_hanging_program_leaves_the_master_running() {
    let master = Master::start();
    let file = inode(&master);
    replace(&master, script("#!/bin/sh\nexec sleep 600\n"));
    let ran = upgrade(&master);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("does not answer within 10 s"), "{ran:?}");
    assert_eq!(inode(&master), file);
    master.api().get("/info").expect(200);
}

/// Checkpoints every second: one that stays silent for 15 s is restarted, and a busy machine may
/// take longer.
fn lively(counts: [u64; 9]) -> Step {
    Step::Repeat(0, Script::new().checkpoint(counts).step(Step::SleepMs(1_000)))
}

fn twice_in_a_row_and_then_a_crash() {
    let mut master = Master::start();
    let up = master.mark("up");
    let script = Script::new().mark(&up).step(lively([1, 2, 3, 4, 5, 60, 7, 8, 9]));
    let id = master.api().run(&script);
    until("it counts", || master.api().instance(&id)["tcprx"] == 60);
    let before = master.api().process(&id);
    for _ in 0..2 {
        renew(&master);
        upgraded(&master);
    }
    let (renamed, after) = (json!({"alias": "later"}), master.api().process(&id));
    assert_eq!(before["pid"], after["pid"]);
    master.api().patch(&id, &renamed).expect(200);
    master.crash();
    assert!(is_alive(pid(&before)));
    master.restart();
    assert_eq!(master.api().process(&id)["pid"], before["pid"]);
    assert_eq!(master.api().instance(&id)["alias"], "later");
    assert_eq!(master.api().instance(&id)["tcprx"], 60);
    assert_eq!(up.count(), 1);
    master.stop();
    assert!(!is_alive(pid(&before)), "TERM ends everything as ever");
    let left: Vec<_> = fs::read_dir(master.folder().join("gob")).unwrap().flatten().collect();
    let is_gone = |name: &str| left.iter().all(|entry| entry.file_name() != name);
    assert!(is_gone("openctrl.upgrade") && is_gone("openctrl.pid") && is_gone("keeper.sock"));
}

fn a_signal_does_it_too() {
    let master = Master::start();
    let up = master.mark("up");
    master.api().run(&Script::new().mark(&up).wait());
    up.wait(1);
    let file = inode(&master);
    renew(&master);
    master.signal(Signal::USR2);
    let on = "continues in place of";
    master.output().wait_for_line("the new program", |line| line.text.contains(on));
    assert_ne!(inode(&master), file);
    replace(&master, script("#!/bin/sh\nexit 1\n"));
    master.signal(Signal::USR2);
    let stays = "the master continues unchanged: ";
    master.output().wait_for_line("the refusal", |line| line.text.contains(stays));
    master.api().get("/info").expect(200);
    assert_eq!(up.count(), 1);
}

fn a_stop_under_way_goes_on_where_it_was() {
    let master = Master::start();
    let (told, end) = (master.mark("told"), master.cue("end"));
    let slow = Script::new().mark(&told).cue(&end).exit(0);
    let slow = Script::new().print("up").step(Step::OnTerm(slow)).wait();
    let url = slow.url();
    let id = id_of(&master.api().create(&url));
    until("it is up", || lines(&master.api(), &id) == ["up"]);
    let patient = json!({"stopGraceMs": 60_000});
    let path = format!("/instances/{id}/policy");
    master.api().request("PATCH", &path).json(&patient).send().expect(200);
    renew(&master);
    master.api().act(&id, "stop");
    told.wait(1);
    upgraded(&master);
    end.give();
    until("its exit", || !master.api().process(&id)["lastExit"].is_null());
    assert_eq!(told.count(), 1, "TERM is not sent again");
    assert_eq!(master.api().process(&id)["lastExit"]["code"], 0);
    assert_eq!(master.api().status(&id), "stopped");
}

fn a_process_that_says_that_it_is_ready_is_heard_after_it() {
    let master = Master::builder().without_bin().start();
    let go = master.cue("go");
    let text = format!(
        "while [ ! -e {} ]; do sleep 0.02; done; systemd-notify --ready 2>/dev/null || \
         python3 -c \"import os,socket;s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);\
         s.sendto(b'READY=1',chr(0)+os.environ['NOTIFY_SOCKET'][1:])\"; sleep 600",
        go.path().display()
    );
    let arg: String = text
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect();
    let url = format!("exec:/bin/sh?arg=-c&arg={arg}&ready=notify");
    let id = id_of(&master.api().create(&url));
    until("it runs", || master.api().status(&id) == "running");
    assert_eq!(master.api().process(&id)["ready"], false);
    renew(&master);
    upgraded(&master);
    assert_eq!(master.api().process(&id)["ready"], false);
    go.give();
    until("it is ready", || master.api().process(&id)["ready"] == true);
}

fn without_survival_it_is_refused_by_name() {
    let master = Master::builder().query("survive", "off").start();
    let up = master.mark("up");
    master.api().run(&Script::new().mark(&up).wait());
    up.wait(1);
    renew(&master);
    let ran = upgrade(&master);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("survive=off"), "{ran:?}");
    assert_eq!(up.count(), 1);
    let nowhere = run_to_end(&["upgrade", "--state", "/nowhere"]);
    assert_eq!(nowhere.status.code(), Some(3));
    assert!(nowhere.stderr.contains("no master runs with its state in /nowhere"), "{nowhere:?}");
}

fn the_certificate_made_in_memory_stays() {
    let master = Master::builder().query("tls", "1").start();
    let certificate = || {
        let connection = Connection::open(&master.endpoint()).unwrap();
        connection.handshake().unwrap().certificate
    };
    let before = certificate();
    renew(&master);
    upgraded(&master);
    assert_eq!(certificate(), before);
}

fn unix_sockets_stay_open() {
    let place = tempfile::tempdir().unwrap();
    let local = place.path().join("api.sock");
    let (master, sockets) =
        Sockets::start_with(|builder| builder.query("socket", local.to_str().unwrap()));
    let id = master.api().run(&Script::new().step(lively([1, 2, 3, 4, 5, 6, 7, 8, 9])));
    sockets.wait_phase(&id, "Running");
    let events = sockets.stored(0);
    let is_over = Arc::new(AtomicBool::new(false));
    let asking = {
        let (is_over, socket) = (Arc::clone(&is_over), sockets.status());
        thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                call(&socket, "GET", &format!("{BASE}/status"), None).expect(200);
            }
        })
    };
    let inode_of = |path: &Path| {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(path).unwrap().ino()
    };
    let all = || [&local, &sockets.status(), &sockets.instance(&id)].map(|path| inode_of(path));
    let before = all();
    for _ in 0..2 {
        renew(&master);
        upgraded(&master);
    }
    is_over.store(true, Ordering::Relaxed);
    asking.join().expect("none was refused");
    assert_eq!(all(), before);
    assert!(std::os::unix::net::UnixStream::connect(&local).is_ok());
    let healthz = sockets.managed(&id, "GET", "/v1/healthz").expect(200);
    assert_eq!(healthz.body, "{\"status\":\"ok\"}\n");
    sockets.wait_phase(&id, "Running");
    assert_eq!(sockets.stored(0), events, "nothing happened");
}

fn a_trace_across_it_replays() {
    let mut master = Master::start();
    let (more, up) = (master.cue("more"), master.mark("up"));
    let id = master.api().run(&Script::new().mark(&up).print("one").cue(&more).print("two").wait());
    up.wait(1);
    until("its line", || lines(&master.api(), &id) == ["one"]);
    renew(&master);
    upgraded(&master);
    more.give();
    until("its line", || lines(&master.api(), &id) == ["one", "two"]);
    master.stop();
    let trace = master.folder().join("gob/trace");
    let replayed = run_to_end(&["replay", trace.to_str().unwrap()]);
    assert_eq!(replayed.status.code(), Some(0), "{replayed:?}");
    let verdicts = replayed.stdout.lines().filter(|line| line.contains("digests of effects"));
    let verdicts: Vec<&str> = verdicts.collect();
    assert_eq!(verdicts.len(), 2, "{}", replayed.stdout);
    assert!(verdicts.iter().all(|line| line.ends_with(": all equal")), "{verdicts:?}");
}

fn the_pid_file_says_who_it_is() {
    let mut master = Master::start();
    let path = master.folder().join("gob/openctrl.pid");
    let check = |master: &Master| {
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", master.pid()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    };
    check(&master);
    upgraded(&master);
    check(&master);
    fs::remove_file(&path).unwrap();
    eventually("it is written again", || fs::metadata(&path).ok());
    check(&master);
    master.crash();
    assert!(path.exists());
    master.restart();
    check(&master);
    master.stop();
    assert!(!path.exists());
}

fn a_question_that_is_none_is_refused() {
    let master = Master::start();
    let socket = master.folder().join("gob/openctrl.upgrade");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let answer = say(&socket, b"shutdown").unwrap();
    assert!(answer.starts_with(b"refused "), "{}", String::from_utf8_lossy(&answer));
    let answer = say(&socket, b"who").unwrap();
    assert!(answer.starts_with(b"running 0 "), "{}", String::from_utf8_lossy(&answer));
    assert!(TcpStream::connect(master.endpoint().address).is_ok());
}
