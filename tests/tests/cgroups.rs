//! Control groups: where the unified hierarchy is writable, each process of an instance has one, and
//! what it starts ends with it, whatever it does to leave.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs;
use std::path::{Path, PathBuf};

use openctrl_tests::api::id_of;
use openctrl_tests::process::{is_alive, skip, status_field, wait_gone, with_argument};
use openctrl_tests::{Master, Sse, eventually, keeper, until};

/// A shell that starts a daemon without ties to it, in a session and with outputs of its own, and
/// sleeps.
fn with_daemon(seconds: &str) -> String {
    let text = format!("(setsid sleep {seconds} >/dev/null 2>&1 &); echo up; exec sleep 4306");
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    format!("exec:sh?arg=-c&arg={}", text.bytes().map(escape).collect::<String>())
}

/// Seconds that a `sleep` of this process of the tests sleeps, and no other does.
fn seconds(test: u32) -> String {
    format!("{}{test:02}", 10_000 + std::process::id() % 80_000)
}

fn create(master: &Master, events: &mut Sse, url: &str) -> String {
    let id = id_of(&master.api().create(url));
    events.wait_status(&id, "running");
    events.wait_log(&id, "up");
    id
}

fn shown(master: &Master, id: &str, field: &str) -> Option<i64> {
    master.api().get(&format!("/instances/{id}/process")).expect(200).json()[field].as_i64()
}

fn pid_of(master: &Master, id: &str) -> i32 {
    i32::try_from(eventually("a process", || shown(master, id, "pid"))).unwrap()
}

/// The daemon, which the process `parent` has adopted.
fn the_daemon(seconds: &str, parent: i32) -> i32 {
    eventually("the daemon to be adopted", || {
        with_argument(seconds).into_iter().find(|pid| {
            status_field(*pid, "Name").as_deref() == Some("sleep")
                && status_field(*pid, "PPid") == Some(parent.to_string())
        })
    })
}

/// Where the unified hierarchy is, and the own group in it.
fn own_group() -> Option<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?.to_owned();
    let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    let mount = mounts.into_iter().find(|mount| mount.join("cgroup.procs").exists())?;
    Some(mount.join(own))
}

/// Says that a test is skipped where no group can be made.
fn can_make_groups(test: &str) -> bool {
    // Tests of one process run at the same time.
    let name = format!("openctrl-test-{}-{test}", std::process::id());
    let is_made = own_group().map(|own| own.join(name)).is_some_and(|probe| {
        fs::create_dir(&probe).is_ok()
            && probe.join("cgroup.kill").exists()
            && fs::remove_dir(&probe).is_ok()
    });
    if !is_made {
        skip(test, "no control group (cgroup v2) can be made here");
    }
    is_made
}

/// The folder of the group of a process.
fn group_of(pid: i32) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path = text.lines().find_map(|line| line.strip_prefix("0::/")).unwrap();
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap();
    let below = path.strip_prefix(own).unwrap().trim_start_matches('/');
    own_group().unwrap().join(below)
}

fn start(survive: &str) -> Master {
    Master::builder().without_bin().query("cgroups", "on").query("survive", survive).start()
}

#[test]
fn a_daemon_without_ties_ends_with_its_instance_and_no_group_is_left() {
    if !can_make_groups("a_daemon_without_ties_ends_with_its_instance_and_no_group_is_left") {
        return;
    }
    for (survive, number) in [("on", 1), ("off", 2)] {
        let mut master = start(survive);
        let mut events = master.events();
        let parent = keeper::find(&master).unwrap_or(master.pid());
        let seconds = seconds(number);
        let id = create(&master, &mut events, &with_daemon(&seconds));
        let (pid, daemon) = (pid_of(&master, &id), the_daemon(&seconds, parent));
        let group = group_of(pid);
        assert_eq!(group_of(daemon), group);
        let folder = group.parent().unwrap().to_owned();
        assert!(folder.file_name().unwrap().to_str().unwrap().starts_with("openctrl-"));

        master.api().act(&id, "stop");
        events.wait_status(&id, "stopped");
        wait_gone(daemon);
        until("the group to be removed", || !group.exists());

        // The next process has a group of its own, and what its leader leaves behind ends, too.
        master.api().act(&id, "start");
        events.wait_log(&id, "up");
        let (pid, daemon) = (pid_of(&master, &id), the_daemon(&seconds, parent));
        assert_ne!(group_of(pid), group);
        let group = group_of(pid);
        master.api().delete(&id).expect(204);
        wait_gone(daemon);
        until("the group to be removed", || !group.exists());
        assert!(folder.exists());

        // What runs at the end ends with the master.
        create(&master, &mut events, &with_daemon(&seconds));
        let daemon = the_daemon(&seconds, parent);
        master.stop();
        assert!(!is_alive(daemon));
        assert!(!folder.exists(), "nothing is left in the hierarchy");
    }
}

#[test]
fn a_group_outlives_a_killed_master() {
    if !can_make_groups("a_group_outlives_a_killed_master") {
        return;
    }
    let mut master = start("on");
    let mut events = master.events();
    let parent = keeper::find(&master).expect("a keeper");
    let seconds = seconds(3);
    let id = create(&master, &mut events, &with_daemon(&seconds));
    let (pid, daemon) = (pid_of(&master, &id), the_daemon(&seconds, parent));
    let group = group_of(pid);
    master.crash();
    master.restart();
    assert_eq!(pid_of(&master, &id), pid);
    assert!(is_alive(daemon));
    master.api().act(&id, "stop");
    wait_gone(daemon);
    until("the group to be removed", || !group.exists());
    master.stop();
    assert!(!group.parent().unwrap().exists());
}

#[test]
fn the_usage_of_an_instance_is_that_of_its_group() {
    if !can_make_groups("the_usage_of_an_instance_is_that_of_its_group") {
        return;
    }
    let mut master = start("on");
    let mut events = master.events();
    let parent = keeper::find(&master).expect("a keeper");
    let seconds = seconds(4);
    let id = create(&master, &mut events, &with_daemon(&seconds));
    let daemon = the_daemon(&seconds, parent);
    until("both processes to be counted", || shown(&master, &id, "processes") == Some(2));
    assert!(shown(&master, &id, "memoryBytes").is_some_and(|bytes| bytes > 4096));
    openctrl_tests::process::send(daemon, rustix::process::Signal::KILL);
    until("the leader to be left", || shown(&master, &id, "processes") == Some(1));
    master.stop();
}

#[test]
fn without_groups_a_process_is_in_that_of_the_master() {
    let mut off = Master::builder().without_bin().query("cgroups", "off").start();
    let mut events = off.events();
    let id = id_of(&off.api().create("exec:sleep?arg=4307"));
    events.wait_status(&id, "running");
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let its = fs::read_to_string(format!("/proc/{}/cgroup", pid_of(&off, &id))).unwrap_or_default();
    assert_eq!(own, its, "it is in the group of the master");
    off.stop();
}
