//! Contract §11 on a disk that cannot be written: changes are refused whole and nothing else
//! suffers.
//!
//! Each test runs in a mount namespace of its own, with a small file system for the state. Where
//! neither root nor a user namespace is to be had, they say so and are skipped.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use openctrl_tests::api::id_of;
use openctrl_tests::control::{Sockets, event_rule};
use openctrl_tests::master::{Builder, run_to_end};
use openctrl_tests::process::is_alive;
use openctrl_tests::script::Step;
use openctrl_tests::{KEY_ID, Mark, Master, Response, Script, Shell, together, until};
use serde_json::{Value, json};
use tempfile::TempDir;

together!(
    a_full_disk_refuses_changes_and_nothing_else,
    a_full_disk_shows_in_the_control_api,
    a_full_disk_is_noticed_once_and_left_behind_by_itself,
    a_crash_on_a_full_disk_loses_nothing,
    children_are_written_down_again_once_there_is_room,
    little_room_is_not_eaten_up_by_what_is_refused,
    a_refused_put_or_delete_leaves_the_instance_running,
    a_disk_that_becomes_read_only,
    a_master_on_a_read_only_disk_says_so_and_ends,
);

/// Names the test that a process in a namespace is for.
const INNER: &str = "OPENCTRL_TEST_NAMESPACE";

/// Runs `body` where it may mount.
fn isolated(name: &str, body: fn()) {
    match std::env::var(INNER) {
        Ok(inner) if inner == name => return body(),
        // The group starts all of its members; this process is for another one.
        Ok(_) => return,
        Err(_) => {}
    }
    let can = |way: &&str| {
        let try_mount = "mount -t tmpfs -o size=64k tmpfs /tmp";
        let mut command = Command::new("unshare");
        command.args([way, "sh", "-c", try_mount]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let Some(way) = ["-m", "-rm"].into_iter().find(can) else {
        let reason = "skipped: no mounts without root or a user namespace (unshare -rm)";
        #[expect(clippy::print_stderr, reason = "a test that is skipped has nothing else to tell")]
        {
            eprintln!("{name} {reason}");
        }
        return;
    };
    let test = format!("together::{name}");
    let mut command = Command::new("unshare");
    command.arg(way).arg(std::env::current_exe().unwrap()).args(["--exact", &test, "--nocapture"]);
    let output = command.env(INNER, name).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

/// A small file system. It goes with the namespace.
struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        let disk = Self(TempDir::new().unwrap());
        fs::create_dir(disk.path()).unwrap();
        mount("size=256k", &disk.path());
        disk
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("disk")
    }

    fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    fn master(&self) -> Builder {
        Master::builder().query("state", self.state().to_str().unwrap())
    }

    /// Leaves no room for anything.
    fn fill(&self) {
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).open(self.path().join("filler")).unwrap();
        for size in [4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Makes so much room again.
    fn leave_bytes(&self, bytes: u64) {
        let filler = OpenOptions::new().write(true).open(self.path().join("filler")).unwrap();
        filler.set_len(filler.metadata().unwrap().len() - bytes).unwrap();
    }

    fn make_room(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }

    fn files(&self) -> BTreeMap<String, u64> {
        let entries = fs::read_dir(self.state()).unwrap().map(Result::unwrap);
        entries
            .map(|entry| {
                (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len())
            })
            .collect()
    }
}

fn mount(options: &str, target: &Path) {
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(target);
    assert!(command.status().unwrap().success());
}

fn unmount(target: &Path) {
    assert!(Command::new("umount").arg("-l").arg(target).status().unwrap().success());
}

/// What is durable of everything that is listed.
fn definitions(master: &Master) -> BTreeMap<String, Value> {
    let durable = |found: &Value| {
        let fields = ["url", "config", "alias", "restart", "meta"];
        json!(fields.map(|field| found[field].clone()))
    };
    master.api().list().iter().map(|found| (id_of(found), durable(found))).collect()
}

/// Changes the alias until that is refused: what is left of a page has room for some changes.
/// Returns the refusal.
fn until_refused(master: &Master, id: &str) -> Response {
    for number in 0..500 {
        let answer = master.api().patch(id, &json!({"alias": format!("{number}")}));
        if answer.status != 200 {
            return answer.expect_error(503);
        }
    }
    panic!("a full disk takes five hundred changes");
}

fn assert_refused(answer: Response, reason: &str) {
    let text = answer.expect_error(503).text().to_owned();
    assert!(text.contains("cannot save the state") && text.contains(reason), "{text}");
}

/// Every change that there is, each refused for `reason`. PUT and DELETE are left out.
fn assert_changes_refused(master: &Master, id: &str, reason: &str) {
    let api = master.api();
    assert_refused(api.post("/instances", &json!({"url": "stub://new"})), reason);
    for patch in [
        json!({"alias": "refused"}),
        json!({"restart": false}),
        json!({"meta": {"tags": {"refused": "yes"}}}),
        json!({"action": "reset"}),
        json!({"alias": "refused", "action": "stop"}),
    ] {
        assert_refused(api.patch(id, &patch), reason);
    }
    assert_refused(api.post("/info", &json!({"alias": "refused"})), reason);
    assert_refused(api.patch(KEY_ID, &json!({"action": "restart"})), reason);
}

const FULL: &str = "No space left";
const BEGINS: &str = "cannot save the state";
const ENDS: &str = "the state can be saved again";

fn count(master: &Master, words: &str) -> usize {
    master.output().count(|line| line.text.contains(words))
}

/// An instance that fails again and again, with totals that grow each time.
fn crasher(master: &Master) -> Mark {
    let mark = master.mark("crashed");
    let script = Script::new().mark(&mark).checkpoint([1, 2, 3, 4, 5, 6, 7, 8, 9]).exit(1);
    master.api().run(&script);
    mark.wait(1);
    mark
}

fn a_full_disk_refuses_changes_and_nothing_else() {
    isolated("a_full_disk_refuses_changes_and_nothing_else", || {
        let disk = Disk::new();
        let mut master = disk.master().start();
        let mut events = master.events();
        let up = master.mark("up");
        let id = master.run(&mut events, &Script::new().mark(&up).wait());
        up.wait(1);
        let line = Script::new().print("still here").step(Step::SleepMs(20));
        let chatter = master.run(&mut events, &Script::new().step(Step::Repeat(0, line)));
        let crashed = crasher(&master);
        disk.fill();
        assert_refused(until_refused(&master, &id), FULL);
        let known = definitions(&master);
        let crashes = crashed.count();
        assert_changes_refused(&master, &id, FULL);
        assert_eq!(definitions(&master), known);
        assert_eq!(master.api().status(&id), "running", "a refused PATCH stops nothing");
        let state = disk.state();
        let words = ["doctor", "--state", state.to_str().unwrap()];
        let doctor = Shell::beside(&master).run(&words);
        assert_eq!(doctor.code, Some(1), "{}", doctor.stdout);
        assert!(doctor.stdout.contains("the master cannot store changes"), "{}", doctor.stdout);

        // Supervision continues.
        crashed.wait(crashes + 1);
        let lines = events.logs(&chatter).len();
        until("lines to flow", || events.logs(&chatter).len() > lines);
        master.api().act(&id, "stop");
        events.wait_status(&id, "stopped");
        master.api().act(&id, "start");
        events.wait_status(&id, "running");
        assert_eq!(up.wait(2).len(), 2);
        assert!(!events.has_ended(), "a refused change of the key closes no stream");
        assert_eq!(definitions(&master), known);

        master.crash();
        disk.make_room();
        master.restart();
        assert_eq!(definitions(&master), known);
    });
}

/// Control contract A "Event store": events wait for room, in their order and without a gap.
fn a_full_disk_shows_in_the_control_api() {
    isolated("a_full_disk_shows_in_the_control_api", || {
        let disk = Disk::new();
        let run = TempDir::new().unwrap();
        let sockets = Sockets::new(run.path().join("run"));
        let master = disk.master().query("control", sockets.dir().to_str().unwrap()).start();
        let body = json!({"url": Script::new().wait().url(), "alias": "web"});
        let id = id_of(&master.api().post("/instances", &body).expect(201).json());
        sockets.wait_phase("web", "Running");
        let rules = json!([event_rule("r", json!({"operator": "any_of", "topic": "x"}), "y")]);
        sockets.apply(&rules);
        disk.fill();
        assert_refused(until_refused(&master, &id), FULL);
        let head = sockets.head();
        // The alias is the name, and that was changed until there was no room.
        let name = sockets.process(&id)["name"].as_str().unwrap().to_owned();
        let durable = || {
            let status = sockets.managed(&name, "GET", "/v1/status").json();
            let conditions = status["conditions"].as_array().unwrap().clone();
            conditions.into_iter().find(|condition| condition["type"] == "Durable")
        };
        // Supervision continues, and what happens is not stored for the time being.
        master.api().act(&id, "stop");
        sockets.wait_phase(&id, "Stopped");
        until("the condition", || durable().is_some_and(|durable| durable["status"] == "False"));
        let candidate = json!({"spec": {"resources": [event_rule("s", json!({"operator": "any_of", "topic": "x"}), "y")]}});
        let refused = sockets.post("/apply", &json!({"candidateYaml": candidate.to_string()}));
        assert!(refused.error(503).contains("cannot be saved"));
        let refused = sockets.managed(&name, "POST", "/v1/commands/renew").expect(400).json();
        assert_eq!(refused["accepted"], false);
        disk.make_room();
        let stopped = sockets.wait_event(head, "routerd.daemon.lifecycle.stopped");
        assert_eq!(stopped["resourceName"], name.as_str());
        until("the condition to be gone", || durable().is_none());
        let ids: Vec<u64> =
            sockets.stored(0).iter().map(|event| event["id"].as_u64().unwrap()).collect();
        assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
        assert_eq!(sockets.get("/status").json()["status"]["generation"], 1);
    });
}

fn a_full_disk_is_noticed_once_and_left_behind_by_itself() {
    isolated("a_full_disk_is_noticed_once_and_left_behind_by_itself", || {
        let disk = Disk::new();
        let mut master = disk.master().start();
        let id = master.api().run(&Script::new().wait());
        let crashed = crasher(&master);
        disk.fill();
        until_refused(&master, &id);
        for number in 0..50 {
            let answer = master.api().patch(&id, &json!({"alias": format!("refused {number}")}));
            assert_refused(answer, FULL);
        }
        // Totals change at every crash, so every tick finds something to save.
        crashed.wait(crashed.count() + 2);
        assert_eq!((count(&master, BEGINS), count(&master, ENDS)), (1, 0));
        let files = disk.files();
        assert!(files.len() < 12, "refused changes leave files behind: {files:?}");

        let known = definitions(&master);
        disk.make_room();
        master.output().wait_for_line(ENDS, |line| line.text.contains(ENDS));
        assert_eq!(definitions(&master), known);
        for number in 0..3 {
            master.api().patch(&id, &json!({"alias": format!("after {number}")})).expect(200);
        }
        assert_eq!((count(&master, BEGINS), count(&master, ENDS)), (1, 1));
        let known = definitions(&master);
        master.crash();
        master.restart();
        assert_eq!(definitions(&master), known);
        assert_eq!((count(&master, BEGINS), count(&master, "loadState")), (0, 0));

        // The next time it is reported again.
        disk.fill();
        until_refused(&master, &id);
        assert_eq!((count(&master, BEGINS), count(&master, ENDS)), (1, 0));
        disk.make_room();
        master.api().patch(&id, &json!({"alias": "room"})).expect(200);
        assert_eq!((count(&master, BEGINS), count(&master, ENDS)), (1, 1));
    });
}

fn a_crash_on_a_full_disk_loses_nothing() {
    isolated("a_crash_on_a_full_disk_loses_nothing", || {
        let disk = Disk::new();
        let mut master = disk.master().start();
        let up = master.mark("up");
        let id = master.api().run(&Script::new().mark(&up).wait());
        up.wait(1);
        for has_keeper in [true, true, false, false] {
            if !has_keeper {
                master.reconfigure(|builder| builder.query("survive", "off"));
                master.stop();
                let before = up.count();
                master.restart();
                up.wait(before + 1);
            }
            disk.fill();
            until_refused(&master, &id);
            // Started while nothing can be written down of it.
            let before = up.count();
            master.api().act(&id, "restart");
            let last = *up.wait(before + 1).last().unwrap();
            let known = definitions(&master);
            master.crash();
            let url = format!("master://127.0.0.1:0?state={}", disk.state().display());
            let refused = run_to_end(&[&url]);
            assert!(!refused.status.success());
            assert!(refused.stderr.contains(FULL), "{}", refused.stderr);
            disk.make_room();
            master.restart();
            assert_eq!(definitions(&master), known);
            if has_keeper {
                assert_eq!(master.api().process(&id)["pid"], last.pid);
                assert_eq!(up.count(), before + 1, "it runs on");
            } else {
                up.wait(before + 2);
                assert!(!is_alive(last.pid), "it is known again, and does not run twice");
            }
        }
    });
}

/// More starts than what is left of a page has room for.
fn children_are_written_down_again_once_there_is_room() {
    isolated("children_are_written_down_again_once_there_is_room", || {
        let disk = Disk::new();
        let mut master = disk.master().query("survive", "off").start();
        let mut events = master.events();
        let up = master.mark("up");
        let id = master.run(&mut events, &Script::new().mark(&up).wait());
        let unseen = master.run(&mut events, &Script::new().mark(&up).wait());
        up.wait(2);
        let words = "cannot write ";
        let restart = |id: &str| {
            let starts = up.count();
            master.api().act(id, "restart");
            up.wait(starts + 1)
        };
        disk.fill();
        while count(&master, words) == 0 {
            restart(&id);
        }
        restart(&unseen);
        restart(&id);
        assert_eq!(count(&master, words), 1, "it is told once");
        disk.make_room();
        let starts = restart(&id).len();
        master.crash();
        let alive: Vec<i32> =
            up.entries().iter().map(|entry| entry.pid).filter(|pid| is_alive(*pid)).collect();
        assert_eq!(alive.len(), 2);
        master.restart();
        up.wait(starts + 2);
        assert!(alive.iter().all(|pid| !is_alive(*pid)), "none runs twice");
    });
}

/// A save needs room for a journal and a snapshot; there is enough for the journal alone.
fn little_room_is_not_eaten_up_by_what_is_refused() {
    isolated("little_room_is_not_eaten_up_by_what_is_refused", || {
        let disk = Disk::new();
        let mut master = disk.master().start();
        let id = master.api().run(&Script::new().wait());
        // A snapshot of more than a few pages.
        let tags = json!({"k": "v".repeat(250)});
        for _ in 0..60 {
            let url = format!("stub://x?{}", "y".repeat(300));
            let id = id_of(&master.api().create(&url));
            master.api().patch(&id, &json!({"restart": false, "meta": {"tags": tags}})).expect(200);
        }
        disk.fill();
        until_refused(&master, &id);
        let before = disk.files();
        disk.leave_bytes(4 * 4096);
        for number in 0..20 {
            let answer = master.api().patch(&id, &json!({"alias": format!("refused {number}")}));
            assert_refused(answer, FULL);
        }
        let after = disk.files();
        assert!(after.len() <= before.len() + 1, "{before:?} became {after:?}");
        let known = definitions(&master);
        disk.make_room();
        master.api().patch(&id, &json!({"restart": false})).expect(200);
        master.api().patch(&id, &json!({"restart": true})).expect(200);
        master.crash();
        master.restart();
        assert_eq!(definitions(&master), known);
    });
}

fn a_refused_put_or_delete_leaves_the_instance_running() {
    isolated("a_refused_put_or_delete_leaves_the_instance_running", || {
        let disk = Disk::new();
        let master = disk.master().start();
        let mut events = master.events();
        let up = master.mark("up");
        let ids =
            ["put", "delete"].map(|_| master.run(&mut events, &Script::new().mark(&up).wait()));
        disk.fill();
        until_refused(&master, &ids[0]);
        let known = definitions(&master);
        assert_refused(master.api().put(&ids[0], &Script::new().wait().url_at("other://y")), FULL);
        assert_refused(master.api().delete(&ids[1]), FULL);
        until("both to run", || ids.iter().all(|id| master.api().status(id) == "running"));
        assert_eq!(definitions(&master), known);
        let alive = || up.entries().iter().filter(|entry| is_alive(entry.pid)).count();
        until("one process each", || alive() == 2 && master.descendants().len() == 2);
        // What is stopped stays so.
        master.api().act(&ids[0], "stop");
        events.wait_status(&ids[0], "stopped");
        assert_refused(master.api().put(&ids[0], "other://y"), FULL);
        assert_refused(master.api().delete(&ids[0]), FULL);
        assert_eq!(master.api().status(&ids[0]), "stopped");
        assert_eq!(definitions(&master), known);
        disk.make_room();
        master.api().put(&ids[0], "other://y").expect(200);
        master.api().delete(&ids[1]).expect(204);
    });
}

/// The open journal is filled up first, for a file system does not become read-only under a file
/// that is being written; from then on every save begins with a new file.
fn a_disk_that_becomes_read_only() {
    isolated("a_disk_that_becomes_read_only", || {
        let disk = Disk::new();
        let mut master = disk.master().start();
        let id = master.api().run(&Script::new().wait());
        let crashed = crasher(&master);
        disk.fill();
        until_refused(&master, &id);
        let known = definitions(&master);
        mount("ro,size=64k", &disk.state());
        assert_changes_refused(&master, &id, "Read-only");
        assert_refused(master.api().delete(&id), "Read-only");
        crashed.wait(crashed.count() + 1);
        until("it to run again", || master.api().status(&id) == "running");
        assert_eq!(definitions(&master), known);
        unmount(&disk.state());
        disk.make_room();
        master.output().wait_for_line(ENDS, |line| line.text.contains(ENDS));
        assert_eq!((count(&master, BEGINS), count(&master, ENDS)), (1, 1));
        master.api().patch(&id, &json!({"alias": "after"})).expect(200);
        let known = definitions(&master);
        master.crash();
        master.restart();
        assert_eq!(definitions(&master), known);
    });
}

fn a_master_on_a_read_only_disk_says_so_and_ends() {
    isolated("a_master_on_a_read_only_disk_says_so_and_ends", || {
        let disk = Disk::new();
        let mut master = disk.master().start();
        let known = definitions(&master);
        master.stop();
        let remount = |options: &str| {
            let mut command = Command::new("mount");
            command.args(["-o", options]).arg(disk.path());
            assert!(command.status().unwrap().success());
        };
        remount("remount,bind,ro");
        let url = format!("master://127.0.0.1:0?state={}", disk.state().display());
        let refused = run_to_end(&[&url]);
        assert!(!refused.status.success());
        assert!(refused.stderr.contains("Read-only"), "{}", refused.stderr);
        assert!(refused.stderr.contains(disk.state().to_str().unwrap()), "{}", refused.stderr);
        remount("remount,bind,rw");
        master.restart();
        assert_eq!(definitions(&master), known);
    });
}
