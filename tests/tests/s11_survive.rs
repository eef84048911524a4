//! Contract §11: children outlive their master, and the next master takes them over.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use openctrl_tests::crash::{Harness, Victim};
use openctrl_tests::keeper::{Impostor, find, say, wait_other_than};
use openctrl_tests::process::{is_alive, send, wait_gone};
use openctrl_tests::script::Step;
use openctrl_tests::wait::holds_for;
use openctrl_tests::{Api, KEY_ID, Master, Script, eventually, together, until};
use rustix::process::Signal;
use serde_json::{Value, json};

together!(
    a_child_outlives_its_master_and_is_shown_as_before,
    totals_go_on_exactly,
    a_child_that_ended_meanwhile_is_shown_with_its_exit,
    a_flood_waits_while_no_master_reads_and_nothing_is_lost,
    nothing_is_left_after_a_shutdown,
    a_lost_keeper_costs_no_child,
    a_child_outlives_its_keepers_and_then_its_master,
    a_start_that_is_lost_with_its_keeper_is_repeated,
    nothing_is_left_of_starts_that_the_keeper_has_not_begun,
    many_children_fit_under_few_descriptors,
    a_stop_under_way_goes_on,
    a_child_that_is_not_restarted_outlives_its_master_too,
    what_is_left_of_a_group_is_ended,
    without_survival_children_end_with_the_next_start,
    a_stranger_on_the_socket_is_refused,
    a_keeper_of_another_version_is_refused,
    what_is_no_socket_is_left_alone,
    a_stranger_cannot_take_the_keeper_over,
    a_moved_state_directory_still_has_its_children,
    a_removed_socket_harms_no_running_child,
    a_lease_that_no_master_renews_ends_its_child,
);

/// `OPENCTRL_CRASH_ROUNDS` and `OPENCTRL_CRASH_SEED` ask for other rounds than these.
fn crash_rounds(victim: Victim, usual: u64) {
    let asked = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let rounds: u64 = asked("OPENCTRL_CRASH_ROUNDS").unwrap_or(usual);
    let seed = asked("OPENCTRL_CRASH_SEED").unwrap_or(12);
    let program = Path::new(env!("CARGO_BIN_EXE_crash-harness"));
    let mut harness = Harness::surviving(seed, program, victim);
    (0..rounds).for_each(|_| harness.round());
    let summary = harness.finish();
    assert!(summary.is_clean(), "seed {seed}: {summary}\n{}", summary.findings.join("\n"));
    assert!(summary.changes > rounds, "seed {seed}: {summary}: too little was done");
}

#[test]
fn many_lost_masters() {
    crash_rounds(Victim::Master, 30);
}

#[test]
fn many_lost_keepers() {
    crash_rounds(Victim::Keeper, 30);
}

#[test]
fn many_lost_masters_with_their_keepers() {
    crash_rounds(Victim::Both, 30);
}

fn lines(api: &Api, id: &str) -> Vec<String> {
    let page = api.get(&format!("/instances/{id}/logs?limit=1000")).expect(200).json();
    let lines = page["lines"].as_array().unwrap().clone();
    lines.iter().map(|line| line["text"].as_str().unwrap().to_owned()).collect()
}

fn pid(process: &Value) -> i32 {
    i32::try_from(process["pid"].as_i64().unwrap()).unwrap()
}

fn counts(rx: u64) -> [u64; 9] {
    [1, 2, 3, 4, 5, rx, rx, rx, rx]
}

fn a_child_outlives_its_master_and_is_shown_as_before() {
    let mut master = Master::start();
    let (first, up) = (master.cue("first run may fail"), master.mark("up"));
    let go_on = master.cue("go on");
    let script = Script::new().mark(&up).cue(&first).print("again").cue(&go_on).print("on").wait();
    let id = master.api().run(&script);
    up.wait(1);
    // A restart and an exit, so that there is something to keep.
    send(up.entries()[0].pid, Signal::KILL);
    first.give();
    up.wait(2);
    until("it runs again", || master.api().status(&id) == "running");
    let before = master.api().process(&id);
    master.crash();
    assert!(is_alive(pid(&before)));
    master.restart();
    assert_eq!(master.api().status(&id), "running", "at once");
    let after = master.api().process(&id);
    for field in ["pid", "started", "starts", "failures", "restarts", "exits", "lastExit"] {
        assert_eq!(before[field], after[field], "{field}");
    }
    assert_eq!(
        (&after["starts"], &after["restarts"], &after["exits"]),
        (&json!(2), &json!(1), &json!(1))
    );
    go_on.give();
    until("its output is read", || lines(&master.api(), &id).contains(&"on".to_owned()));
    assert!(lines(&master.api(), &id)[0].contains("is missing here"), "the hole is named");
    assert_eq!(up.count(), 2, "it is not started again");
    master.stop();
    assert!(!is_alive(pid(&before)));
}

fn totals_go_on_exactly() {
    let mut master = Master::start();
    let (more, most) = (master.cue("more"), master.cue("most"));
    let script = Script::new().checkpoint(counts(100)).cue(&more).checkpoint(counts(150));
    let script = script.cue(&most).checkpoint(counts(175)).wait();
    let id = master.api().run(&script);
    let total = |master: &Master| master.api().instance(&id)["tcprx"].as_u64().unwrap();
    until("the first count", || total(&master) == 100);
    master.api().act(&id, "reset");
    assert_eq!(total(&master), 0);
    master.crash();
    more.give();
    master.restart();
    until("what was counted since the reset", || total(&master) == 50);
    master.crash();
    master.restart();
    most.give();
    until("what was counted since the reset", || total(&master) == 75);
}

fn a_child_that_ended_meanwhile_is_shown_with_its_exit() {
    for (code, restart, status) in
        [(7, false, "error"), (0, false, "stopped"), (0, true, "stopped"), (9, true, "running")]
    {
        let mut master = Master::start();
        let (end, up) = (master.cue("end"), master.mark("up"));
        let script = Script::new().mark(&up).cue(&end).print("last words").exit(code);
        let id = master.api().run(&script);
        master.api().patch(&id, &json!({"restart": restart})).expect(200);
        let child = up.wait(1)[0].pid;
        master.crash();
        end.give();
        wait_gone(child);
        fs::remove_file(end.path()).unwrap();
        master.restart();
        let api = master.api();
        until("its exit", || !api.process(&id)["lastExit"].is_null());
        assert_eq!(api.process(&id)["lastExit"]["code"], code);
        assert!(lines(&api, &id).contains(&"last words".to_owned()));
        // Its policy applies from then on.
        if status == "running" {
            up.wait(2);
        }
        until("its status", || api.status(&id) == status);
        assert_eq!(up.count(), if status == "running" { 2 } else { 1 });
    }
}

fn a_flood_waits_while_no_master_reads_and_nothing_is_lost() {
    let mut master = Master::start();
    let (go, up) = (master.cue("go"), master.mark("up"));
    let script = Script::new().mark(&up).cue(&go).step(Step::Flood(900, 1_000)).print("end").wait();
    let id = master.api().run(&script);
    up.wait(1);
    master.crash();
    // More than a pipe holds.
    go.give();
    master.restart();
    until("the end of the flood", || lines(&master.api(), &id).last().is_some_and(|l| l == "end"));
    let floods = lines(&master.api(), &id).iter().filter(|line| line.starts_with("flood-")).count();
    assert_eq!(floods, 900);
}

fn nothing_is_left_after_a_shutdown() {
    for signal in [Signal::TERM, Signal::INT] {
        for crashes in [0, 1] {
            let mut master = Master::start();
            let up = master.mark("up");
            let lonely = Script::new().mark(&up).wait();
            let family = Script::new().mark(&up).step(Step::Orphan(lonely.clone())).wait();
            master.api().run(&family);
            master.api().run(&lonely);
            up.wait(3);
            for _ in 0..crashes {
                master.crash();
                master.restart();
            }
            let keeper = find(&master).unwrap();
            master.signal(signal);
            assert!(master.wait_exit().success());
            assert!(!is_alive(keeper), "the keeper is left");
            assert_eq!(master.descendants(), [0; 0]);
            assert!(!master.folder().join("gob/keeper.sock").exists());
        }
    }
}

fn a_lost_keeper_costs_no_child() {
    let mut master = Master::start();
    let (up, end) = (master.mark("up"), master.cue("end"));
    let steady = master.api().run(&Script::new().mark(&up).wait());
    let ending = master.api().run_once(&Script::new().mark(&up).cue(&end).print("bye").exit(3));
    up.wait(2);
    let keeper = find(&master).unwrap();
    let before = master.api().process(&steady);
    send(keeper, Signal::KILL);
    wait_other_than(&master, keeper);
    // The exit status comes to the master, which is the parent now.
    end.give();
    until("its exit", || !master.api().process(&ending)["lastExit"].is_null());
    assert_eq!(master.api().process(&ending)["lastExit"]["code"], 3);
    let after = master.api().process(&steady);
    assert_eq!((&after["pid"], &after["starts"]), (&before["pid"], &before["starts"]));
    assert_eq!(up.count(), 2, "nothing runs twice");
    // Stops and starts work.
    master.api().act(&steady, "stop");
    wait_gone(pid(&before));
    until("it is stopped", || master.api().status(&steady) == "stopped");
    master.api().act(&steady, "start");
    up.wait(3);
    master.stop();
    assert_eq!(find(&master), None);
    assert_eq!(master.descendants(), [0; 0]);
}

/// The keeper stops before it reads the orders, and is killed.
fn a_start_that_is_lost_with_its_keeper_is_repeated() {
    let mut master = Master::start();
    let up = master.mark("up");
    let keeper = find(&master).unwrap();
    send(keeper, Signal::STOP);
    let script = Script::new().mark(&up).wait();
    let ids = [master.api().run(&script), master.api().run_once(&script)];
    send(keeper, Signal::KILL);
    up.wait(2);
    for id in &ids {
        until("it runs", || master.api().status(id) == "running");
        let process = master.api().process(id);
        let counts = ["starts", "failures", "restarts"].map(|name| process[name].as_u64());
        assert_eq!(counts, [Some(1), Some(0), Some(0)], "{process}");
        assert!(process["lastExit"].is_null(), "{process}");
    }
    assert_eq!(up.count(), 2, "nothing runs twice");
    master.stop();
    assert_eq!(master.descendants(), [0; 0]);
}

/// The keeper does not read the orders until the master has ended.
fn nothing_is_left_of_starts_that_the_keeper_has_not_begun() {
    let mut master = Master::start();
    let events = master.events();
    let (up, keeper) = (master.mark("up"), find(&master).unwrap());
    send(keeper, Signal::STOP);
    let script = Script::new().mark(&up).wait();
    for _ in 0..4 {
        master.api().run(&script);
    }
    master.signal(Signal::TERM);
    events.wait_end();
    master.signal(Signal::TERM);
    assert_eq!(master.wait_exit().code(), Some(0));
    wait_gone(keeper);
    assert_eq!(up.count(), 0, "the keeper starts nothing after the end of its master");
}

/// How many descriptors the master may have for [`CHILDREN`], which take one each.
const DESCRIPTORS: usize = 500;
const CHILDREN: usize = 400;

/// A master that has one descriptor for each child, and after the loss of its keeper not a second
/// one for each, keeps all of them and still answers.
fn many_children_fit_under_few_descriptors() {
    let limit = format!("ulimit -n {DESCRIPTORS} && exec \"$0\" \"$@\"");
    let mut master = Master::builder().through(&["/bin/sh", "-c", &limit]).start();
    let (up, end) = (master.mark("up"), master.cue("end"));
    let api = master.api();
    let ending = api.run_once(&Script::new().mark(&up).cue(&end).exit(3));
    let script = Script::new().mark(&up).wait();
    (1..CHILDREN).for_each(|_| drop(api.run(&script)));
    up.wait(CHILDREN);
    // Those that find no descriptor say so, and the API still answers.
    let last = loop {
        let id = api.run_once(&script);
        until("a start to succeed or fail", || api.status(&id) != "stopped");
        if api.status(&id) == "error" {
            break id;
        }
    };
    let reason = api.process(&last)["lastExit"]["reason"].as_str().unwrap().to_owned();
    let remedy = format!("the limit is {DESCRIPTORS} open files");
    assert!(reason.contains(&remedy) && reason.contains("LimitNOFILE="), "{reason}");
    api.delete(&last).expect(204);
    let pids = || {
        let list = api.list();
        let ids = list.iter().filter_map(|found| found["id"].as_str()).filter(|id| *id != KEY_ID);
        ids.map(|id| api.process(id)["pid"].clone()).collect::<Vec<Value>>()
    };
    let before = pids();
    let keeper = find(&master).unwrap();
    send(keeper, Signal::KILL);
    let keeper = wait_other_than(&master, keeper);
    let held = |pid: i32| fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let held_pipes = |pid: i32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        let targets = open.filter_map(|entry| fs::read_link(entry.path()).ok());
        targets.filter(|target| target.to_string_lossy().starts_with("pipe:")).count()
    };
    until("all are handed over", || held_pipes(keeper) == before.len());
    assert_eq!(pids(), before, "each is the same process");
    assert!(held(master.pid()) < DESCRIPTORS && held(keeper) < DESCRIPTORS);
    // Also of those that are looked at the exit is known.
    end.give();
    until("its exit", || !api.process(&ending)["lastExit"].is_null());
    assert_eq!(api.process(&ending)["lastExit"]["code"], 3);
    master.stop();
    assert_eq!(master.descendants(), [0; 0]);
}

fn a_child_outlives_its_keepers_and_then_its_master() {
    let mut master = Master::start();
    let (up, go_on) = (master.mark("up"), master.cue("go on"));
    let id = master.api().run(&Script::new().mark(&up).cue(&go_on).print("on").wait());
    let child = up.wait(1)[0].pid;
    for _ in 0..3 {
        let keeper = find(&master).unwrap();
        send(keeper, Signal::KILL);
        wait_other_than(&master, keeper);
        until("it is handed over", || {
            let inode = |path: String| fs::read_link(path).ok();
            let pipe = inode(format!("/proc/{child}/fd/1"));
            let keeper = find(&master).unwrap();
            let open = fs::read_dir(format!("/proc/{keeper}/fd")).unwrap();
            open.flatten().any(|entry| fs::read_link(entry.path()).ok() == pipe)
        });
    }
    master.crash();
    assert!(is_alive(child));
    master.restart();
    assert_eq!(pid(&master.api().process(&id)), child);
    go_on.give();
    until("its output is read", || lines(&master.api(), &id).contains(&"on".to_owned()));
    // It has no parent that could report its exit status.
    send(child, Signal::KILL);
    until("its end", || !master.api().process(&id)["lastExit"].is_null());
    let reason = master.api().process(&id)["lastExit"]["reason"].clone();
    assert!(reason.as_str().unwrap().contains("not known"), "{reason}");
    master.stop();
    assert_eq!(master.descendants(), [0; 0]);
}

fn a_stop_under_way_goes_on() {
    let mut master = Master::start();
    let (up, asked) = (master.mark("up"), master.mark("asked"));
    let script = Script::new().on_term(Script::new().mark(&asked)).mark(&up).wait();
    let id = master.api().run(&script);
    master.api().patch(&id, &json!({"restart": false})).expect(200);
    let child = up.wait(1)[0].pid;
    master.api().act(&id, "stop");
    asked.wait(1);
    master.crash();
    master.restart();
    asked.wait(2);
    wait_gone(child);
    until("it is stopped", || master.api().status(&id) == "stopped");
    assert_eq!(up.count(), 1);
}

fn a_child_that_is_not_restarted_outlives_its_master_too() {
    let mut master = Master::start();
    let up = master.mark("up");
    let id = master.api().run(&Script::new().mark(&up).wait());
    master.api().patch(&id, &json!({"restart": false})).expect(200);
    let child = up.wait(1)[0].pid;
    master.crash();
    master.restart();
    assert_eq!(master.api().status(&id), "running");
    assert!(is_alive(child));
    // What it is now is not what it is at the next start.
    master.stop();
    master.restart();
    assert_eq!((master.api().status(&id).as_str(), up.count()), ("stopped", 1));
}

fn what_is_left_of_a_group_is_ended() {
    let mut master = Master::start();
    let up = master.mark("up");
    let cue = master.cue("leader may go");
    let member = Script::new().ignore_term().mark(&up).wait();
    let script = Script::new().step(Step::Grandchild(member)).cue(&cue).exit(0);
    let id = master.api().run(&script);
    let member = up.wait(1)[0].pid;
    let leader = pid(&master.api().process(&id));
    master.crash();
    cue.give();
    wait_gone(leader);
    assert!(is_alive(member));
    master.restart();
    wait_gone(member);
    assert_eq!(master.api().status(&id), "stopped");
}

fn without_survival_children_end_with_the_next_start() {
    let mut master = Master::start();
    let up = master.mark("up");
    let id = master.api().run(&Script::new().mark(&up).wait());
    let child = up.wait(1)[0].pid;
    let keeper = find(&master).unwrap();
    master.crash();
    master.reconfigure(|builder| builder.query("survive", "off"));
    master.restart();
    wait_gone(child);
    up.wait(2);
    until("it runs", || master.api().status(&id) == "running");
    wait_gone(keeper);
    assert_eq!(find(&master), None);
    // Nor do they outlive this one.
    let second = up.entries()[1].pid;
    master.crash();
    master.restart();
    wait_gone(second);
}

/// A master that was killed, its child, and what a start says that is refused.
fn refused(master: &mut Master, child: i32) -> String {
    master.begin_restart();
    let status = master.wait_exit();
    assert!(!status.success());
    assert!(is_alive(child), "no child is harmed");
    master.output().tail()
}

fn with_a_child() -> (Master, String, i32) {
    let mut master = Master::start();
    let up = master.mark("up");
    let id = master.api().run(&Script::new().mark(&up).wait());
    let child = up.wait(1)[0].pid;
    master.crash();
    (master, id, child)
}

fn a_stranger_on_the_socket_is_refused() {
    let (mut master, id, child) = with_a_child();
    let socket = master.folder().join("gob/keeper.sock");
    let aside = master.folder().join("gob/aside.sock");
    fs::rename(&socket, &aside).unwrap();
    let stranger = Impostor::listen(&socket, b"HTTP/1.1 400 Bad Request");
    let said = refused(&mut master, child);
    assert!(
        said.contains("is no keeper of this program") && said.contains("keeper.sock"),
        "{said}"
    );
    drop(stranger);
    fs::rename(&aside, &socket).unwrap();
    master.restart();
    assert_eq!(pid(&master.api().process(&id)), child);
}

fn a_keeper_of_another_version_is_refused() {
    let (mut master, id, child) = with_a_child();
    let socket = master.folder().join("gob/keeper.sock");
    let aside = master.folder().join("gob/aside.sock");
    fs::rename(&socket, &aside).unwrap();
    let other = Impostor::listen(&socket, b"\x20OCKP\x07\x00\x00");
    let said = refused(&mut master, child);
    assert!(said.contains("speaks version 7"), "{said}");
    drop(other);
    fs::rename(&aside, &socket).unwrap();
    master.restart();
    assert_eq!(pid(&master.api().process(&id)), child);
}

fn what_is_no_socket_is_left_alone() {
    let mut master = Master::start();
    master.stop();
    let socket = master.folder().join("gob/keeper.sock");
    fs::write(&socket, "mine").unwrap();
    master.begin_restart();
    assert!(!master.wait_exit().success());
    let said = master.output().tail();
    assert!(said.contains("is in the way and is no socket"), "{said}");
    assert_eq!(fs::read(&socket).unwrap(), b"mine");
}

fn a_stranger_cannot_take_the_keeper_over() {
    let master = Master::start();
    let up = master.mark("up");
    let id = master.api().run(&Script::new().mark(&up).wait());
    let child = up.wait(1)[0].pid;
    let socket = master.folder().join("gob/keeper.sock");
    assert_eq!(say(&socket, b"GET / HTTP/1.1").unwrap(), b"", "it is closed");
    // A master that is one, but not the one.
    let hello = b"\x01OCKP\x02\x00\x12\x00\x00\x00";
    assert_eq!(say(&socket, hello).unwrap(), b"\x20OCKP\x02\x00\x01", "busy");
    let other = b"\x01OCKP\x09\x00\x12\x00\x00\x00";
    assert_eq!(say(&socket, other).unwrap(), b"\x20OCKP\x02\x00\x00", "another version");
    assert!(is_alive(child));
    master.api().act(&id, "restart");
    up.wait(2);
}

fn a_moved_state_directory_still_has_its_children() {
    let mut master = Master::start();
    let up = master.mark("up");
    let id = master.api().run(&Script::new().mark(&up).wait());
    let child = up.wait(1)[0].pid;
    let moved = master.folder().join("elsewhere");
    fs::rename(master.folder().join("gob"), &moved).unwrap();
    master.crash();
    master.reconfigure(|builder| builder.query("state", moved.to_str().unwrap()));
    master.restart();
    assert_eq!(master.api().status(&id), "running");
    assert_eq!(pid(&master.api().process(&id)), child);
}

fn a_removed_socket_harms_no_running_child() {
    let mut master = Master::start();
    let up = master.mark("up");
    let id = master.api().run(&Script::new().mark(&up).wait());
    let child = up.wait(1)[0].pid;
    fs::remove_file(master.folder().join("gob/keeper.sock")).unwrap();
    assert!(is_alive(child));
    master.crash();
    master.restart();
    // The keeper cannot be reached: what it has is a leftover, and ended before another is started.
    let entries = up.wait(2);
    assert!(!is_alive(child));
    until("it runs", || master.api().status(&id) == "running");
    let second = eventually("its process", || master.api().process(&id)["pid"].as_i64());
    assert_eq!(second, i64::from(entries[1].pid));
}

/// Its master is killed, and the next one is stopped for longer than the lease. Until then the child
/// outlives its lease, as long as the master renews it.
fn a_lease_that_no_master_renews_ends_its_child() {
    const EXPIRED: &str = "its master did not renew its lease";
    let mut master = Master::start();
    let free = master.api().run(&Script::new().wait());
    let id = master.api().run(&Script::new().wait());
    let policy = json!({"leaseMs": 10_000, "restart": "never"});
    let path = format!("/instances/{id}/policy");
    master.api().request("PATCH", &path).json(&policy).send().expect(200);
    // A lease takes effect with the next start.
    let runs_anew = |master: &Master| {
        let before = master.api().process(&id);
        master.api().act(&id, "restart");
        eventually("another process", || {
            let now = master.api().process(&id);
            (now["starts"] != before["starts"] && now["pid"].is_i64()).then(|| pid(&now))
        })
    };
    let leased = runs_anew(&master);
    holds_for("its master renews", Duration::from_secs(12), || is_alive(leased));
    let other = pid(&master.api().process(&free));
    master.crash();
    wait_gone(leased);
    assert!(is_alive(other));
    master.restart();
    until("it has failed", || master.api().status(&id) == "error");
    assert_eq!(master.api().process(&id)["reason"], EXPIRED);
    assert_eq!(master.api().status(&free), "running");

    let leased = runs_anew(&master);
    master.signal(Signal::STOP);
    wait_gone(leased);
    master.signal(Signal::CONT);
    until("it has failed", || master.api().status(&id) == "error");
    assert_eq!(master.api().process(&id)["reason"], EXPIRED);
    assert_eq!(pid(&master.api().process(&free)), other);
    master.stop();
}
