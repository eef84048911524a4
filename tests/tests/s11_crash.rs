//! Contract §11 after `kill -9` without a keeper: nothing acknowledged is lost, nothing runs twice, and
//! what is ended was a leftover.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use openctrl_tests::crash::Harness;
use openctrl_tests::process::{is_alive, wait_gone};
use openctrl_tests::script::Step;
use openctrl_tests::{Mark, Master, Script, binary, together, until};
use serde_json::json;

together!(
    many_crashes_under_load,
    who_merely_has_the_id_of_a_leftover_is_not_touched,
    a_leftover_of_an_unknown_instance_is_killed,
    a_leftover_that_ignores_term_is_killed_after_its_grace,
    a_leftover_of_an_instance_that_is_not_to_run_is_ended,
    what_is_left_of_a_group_is_ended,
    a_crash_while_leftovers_are_being_ended,
);

/// `OPENCTRL_CRASH_ROUNDS` and `OPENCTRL_CRASH_SEED` ask for other rounds than these.
fn many_crashes_under_load() {
    let asked = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let rounds: u64 = asked("OPENCTRL_CRASH_ROUNDS").unwrap_or(200);
    let seed = asked("OPENCTRL_CRASH_SEED").unwrap_or(11);
    let mut harness = Harness::new(seed, Path::new(env!("CARGO_BIN_EXE_crash-harness")));
    (0..rounds).for_each(|_| harness.round());
    let summary = harness.finish();
    assert!(summary.is_clean(), "seed {seed}: {summary}\n{}", summary.findings.join("\n"));
    assert!(summary.changes > rounds, "seed {seed}: {summary}: too little was done");
}

/// A process of the test's own, in a group of its own.
struct Innocent(Child);

impl Innocent {
    fn start() -> Self {
        let mut command = Command::new(binary::stub_runtime());
        command.arg("stub://innocent").stdin(Stdio::null()).process_group(0);
        Self(command.spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }

    /// When it started, in the ticks of /proc.
    fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        fields.split_whitespace().nth(19).unwrap().parse().unwrap()
    }
}

impl Drop for Innocent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ledger(master: &Master) -> PathBuf {
    master.folder().join("gob").join("openctrl.children")
}

/// The first line of a ledger of this run of the machine.
fn header() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    format!("openctrl-children 1 {}\n", boot.trim())
}

fn who_merely_has_the_id_of_a_leftover_is_not_touched() {
    let innocent = Innocent::start();
    let (pid, ticks) = (innocent.pid(), innocent.ticks());
    let mut master = Master::start();
    let up = master.mark("up");
    let id = master.api().run(&Script::new().mark(&up).wait());
    up.wait(1);
    let ledgers = [
        // Another start time.
        format!("{}+ 1 {id} 1\n= 1 {pid} {}\n", header(), ticks + 1),
        format!("{}+ 1 {id} 1\n= 1 {pid} {}\n", header(), ticks - 1),
        // The id never came to be written down, and the pipe is another one.
        format!("{}+ 1 {id} 1\n", header()),
        format!("{}+ 1 {id} 1\n= 1 {pid}", header()),
        // Another run of the machine.
        format!("openctrl-children 1 another\n+ 1 {id} 1\n= 1 {pid} {ticks}\n"),
        // Recorded as ended, and not a ledger at all.
        format!("{}+ 1 {id} 1\n= 1 {pid} {ticks}\n- 1\n", header()),
        format!("{pid} {ticks}\n"),
    ];
    for (count, text) in (2..).zip(ledgers) {
        master.stop();
        fs::write(ledger(&master), &text).unwrap();
        master.restart();
        up.wait(count);
        assert_eq!(up.count(), count, "{text}");
        assert!(is_alive(pid), "{text}");
    }
    // The last valid one: it is accepted as the leftover that it describes.
    master.stop();
    fs::write(ledger(&master), format!("{}+ 1 {id} 1\n= 1 {pid} {ticks}\n", header())).unwrap();
    master.restart();
    wait_gone(pid);
}

fn a_leftover_of_an_unknown_instance_is_killed() {
    let nobody = Innocent::start();
    let mut master = Master::start();
    master.stop();
    let (pid, ticks) = (nobody.pid(), nobody.ticks());
    let text = format!("{}+ 1 0badcafe 1\n= 1 {pid} {ticks}\n", header());
    fs::write(ledger(&master), text).unwrap();
    master.restart();
    wait_gone(pid);
    assert_eq!(master.api().list().len(), 1, "no instance comes of it");
}

fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

/// Waits until a process passed `mark` for the second time, and checks that it came after the
/// first one, alone.
fn assert_started_once_more(mark: &Mark, master: &Master, id: &str) -> u64 {
    let entries = mark.wait(2);
    assert!(!is_alive(entries[0].pid), "the leftover is gone when the next one starts");
    until("the instance to run", || master.api().status(id) == "running");
    assert_eq!(mark.count(), 2, "it is started once");
    assert!(is_alive(entries[1].pid));
    entries[1].unix_ms
}

fn a_leftover_that_ignores_term_is_killed_after_its_grace() {
    let mut master = Master::builder().query("survive", "off").start();
    let up = master.mark("up");
    let id = master.api().run(&Script::new().ignore_term().mark(&up).wait());
    up.wait(1);
    master.crash();
    let begun = unix_ms();
    master.restart();
    // It does not hold up the API, nor others.
    let other = master.mark("other");
    master.api().run(&Script::new().mark(&other).wait());
    let other_started = other.wait(1)[0].unix_ms;
    let started = assert_started_once_more(&up, &master, &id);
    assert!(other_started < started);
    assert!(started - begun >= 5000, "killed after {} ms", started - begun);
}

fn a_leftover_of_an_instance_that_is_not_to_run_is_ended() {
    let mut master = Master::builder().query("survive", "off").start();
    let (up, polite) = (master.mark("up"), master.mark("polite"));
    let script = Script::new().on_term(Script::new().mark(&polite).exit(0)).mark(&up).wait();
    let id = master.api().run(&script);
    master.api().patch(&id, &json!({"restart": false})).expect(200);
    let leftover = up.wait(1)[0].pid;
    master.crash();
    master.restart();
    wait_gone(leftover);
    assert_eq!(polite.count(), 1, "it is asked before it is killed");
    assert_eq!(master.api().status(&id), "stopped");
    // Nothing is started behind it.
    master.stop();
    assert_eq!(up.count(), 1);
}

fn what_is_left_of_a_group_is_ended() {
    for restart in [true, false] {
        let mut master = Master::builder().query("survive", "off").start();
        let (begun, up) = (master.mark("begun"), master.mark("up"));
        let cue = master.cue("leader may go");
        let member = Script::new().ignore_term().mark(&up).wait();
        let leader = Script::new().mark(&begun).step(Step::Grandchild(member));
        // Started again, it goes at once, and takes its member along before that has begun.
        let script = leader.cue(&cue).exit(0);
        let id = master.api().run(&script);
        let member = up.wait(1)[0].pid;
        master.api().patch(&id, &json!({"restart": restart})).expect(200);
        let leader = master.descendants().into_iter().find(|pid| *pid != member).unwrap();
        master.crash();
        cue.give();
        wait_gone(leader);
        assert!(is_alive(member));
        master.restart();
        wait_gone(member);
        if restart {
            begun.wait(2);
        }
        master.stop();
        assert_eq!(begun.count(), if restart { 2 } else { 1 });
    }
}

fn a_crash_while_leftovers_are_being_ended() {
    let mut master = Master::builder().query("survive", "off").start();
    let (up, asked) = (master.mark("up"), master.mark("asked"));
    let script = Script::new().on_term(Script::new().mark(&asked)).mark(&up).wait();
    let id = master.api().run(&script);
    up.wait(1);
    for times in 1..=3 {
        master.crash();
        master.restart();
        asked.wait(times);
        assert_eq!(up.count(), 1, "nothing is started beside a leftover");
    }
    assert_started_once_more(&up, &master, &id);
}
