//! A child starts clean, whatever the parent of the master was like.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use openctrl_tests::api::id_of;
use openctrl_tests::master::Builder;
use openctrl_tests::process::{self, has_program, status_field};
use openctrl_tests::{Api, Master, eventually, until};
use serde_json::Value;
use tempfile::TempDir;

/// Does the worst to signals, descriptors and limits, then becomes the master. The first argument
/// says whether to ignore SIGHUP, too.
const HOSTILE: &str = "
import os, resource, signal, sys
for number in range(1, 65):
    if number != signal.SIGHUP or sys.argv[1] == 'nohup':
        try: signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError): pass
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
for number in (9, 77):
    os.dup2(os.open('/dev/null', os.O_RDONLY), number, inheritable=True)
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
os.execv(sys.argv[2], sys.argv[2:])
";

/// What a service manager says to the master alone.
const PRIVATE: [&str; 5] =
    ["INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "LISTEN_FDNAMES", "SUPERVISOR_ENABLED"];

/// A runtime that is a script: it sleeps, whatever the URL.
fn sleeper() -> TempDir {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sleeper");
    fs::write(&path, "#!/bin/sh\nexec sleep 4300\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn hostile(builder: Builder, hang_up: &str) -> Master {
    let builder = PRIVATE.iter().fold(builder, |builder, name| builder.variable(name, "private"));
    builder.variable("SHARED", "kept").through(&["python3", "-c", HOSTILE, hang_up]).start()
}

fn pid_of(api: &Api, id: &str) -> i32 {
    let pid = eventually("a process", || api.process(id)["pid"].as_i64());
    i32::try_from(pid).unwrap()
}

/// Creates an instance that becomes `sleep`, and waits until it has.
fn sleeping(master: &Master, url: &str) -> i32 {
    let pid = pid_of(&master.api(), &id_of(&master.api().create(url)));
    let comm = || fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    until("the runtime to be sleep", || comm() == "sleep\n");
    pid
}

fn check_clean(pid: i32, ignored: u64) {
    let mask = |name: &str| u64::from_str_radix(&status_field(pid, name).unwrap(), 16).unwrap();
    assert_eq!((mask("SigBlk"), mask("ShdPnd")), (0, 0), "blocked and pending signals");
    assert_eq!(mask("SigIgn"), ignored, "ignored signals");
    // The loader of the program still holds the files that it reads for a moment.
    let descriptors = || {
        let found = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let found = found.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        found.collect::<BTreeSet<String>>()
    };
    until("no other descriptors", || descriptors() == ["0", "1", "2"].map(str::to_owned).into());
    let input = fs::read_link(format!("/proc/{pid}/fd/0")).unwrap();
    assert_eq!(input.to_str(), Some("/dev/null"));
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let own = pid.to_string();
    assert_eq!((fields[2], fields[3], fields[4]), (&*own, &*own, "0"), "group, session, terminal");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("256"), "{files}");
    let environment = fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    let has =
        |name: &str| environment.split('\0').any(|text| text.starts_with(&format!("{name}=")));
    assert!(has("SHARED") && has(process::MARK_VARIABLE));
    let leaked: Vec<&str> = PRIVATE.into_iter().filter(|name| has(name)).collect();
    assert!(leaked.is_empty(), "{leaked:?}");
}

/// Mask, dispositions, descriptors, session, limits and environment, for `bin=` and `exec:` alike;
/// SIGHUP as `nohup` left it.
#[test]
fn a_child_of_a_hostile_parent_starts_clean() {
    if !has_program("python3", "a_child_of_a_hostile_parent_starts_clean") {
        return;
    }
    let folder = sleeper();
    let bin = folder.path().join("sleeper").into_os_string().into_string().unwrap();
    for (hang_up, ignored) in [("default", 0), ("nohup", 1)] {
        let builder = Master::builder().query("bin", &bin);
        let mut master = hostile(builder, hang_up);
        let pid = sleeping(&master, "a:b");
        check_clean(pid, ignored);
        // TERM was blocked: it is still obeyed at once, by master and child.
        let took = master.stop();
        assert!(took.as_secs() < 4, "nothing waits for a KILL: {took:?}");

        let mut master = hostile(Master::builder().without_bin(), hang_up);
        check_clean(sleeping(&master, "exec:sleep?arg=4300"), ignored);
        let took = master.stop();
        assert!(took.as_secs() < 4, "nothing waits for a KILL: {took:?}");
    }
}

/// The command line of the runtime is `<bin> <url>`, also after an exec step, and a runtime that
/// cannot be executed is said at its start.
#[test]
fn an_exec_step_leaves_no_trace_and_says_why_it_failed() {
    if !has_program("python3", "an_exec_step_leaves_no_trace_and_says_why_it_failed") {
        return;
    }
    let master = hostile(Master::builder(), "default");
    let id = id_of(&master.api().create("stub://step"));
    let pid = pid_of(&master.api(), &id);
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    let words: Vec<&str> = line.trim_end_matches('\0').split('\0').collect();
    assert_eq!(words.len(), 2, "{line:?}");
    assert!(words[0].ends_with("stub-runtime") && words[1].starts_with("stub://step"), "{line:?}");

    let folder = TempDir::new().unwrap();
    let text = folder.path().join("text");
    fs::write(&text, "no program\n").unwrap();
    for (bin, reason) in [
        ("/no/such/runtime", "/no/such/runtime: No such file or directory (os error 2)"),
        ("no-such-runtime", "no-such-runtime: No such file or directory (os error 2)"),
        (text.to_str().unwrap(), "Permission denied (os error 13)"),
    ] {
        let master = hostile(Master::builder().query("bin", bin), "default");
        let api = master.api();
        let id = id_of(&api.create("a:b"));
        let shown = eventually("the failure", || {
            let shown = api.process(&id);
            (shown["failures"] != 0).then_some(shown)
        });
        let exit = shown["lastExit"]["reason"].as_str().unwrap();
        assert!(exit.starts_with("could not be started: ") && exit.ends_with(reason), "{exit}");
        assert_eq!(shown["starts"], 0);
    }
}

#[test]
fn exits_are_known_when_the_parent_ignored_sigchld() {
    if !has_program("python3", "exits_are_known_when_the_parent_ignored_sigchld") {
        return;
    }
    let ignore = "import signal,os,sys
signal.signal(signal.SIGCHLD,signal.SIG_IGN)
os.execv(sys.argv[1],sys.argv[1:])";
    let master = Master::builder().without_bin().through(&["python3", "-c", ignore]).start();
    let (api, mut events) = (master.api(), master.events());
    let id = id_of(&api.create("exec:true"));
    events.wait_status(&id, "running");
    events.wait_status(&id, "stopped");
    let shown = api.process(&id);
    assert_eq!(shown["lastExit"]["code"], 0, "{shown}");
    // A child of the child: SIGCHLD has its default there, too.
    let script = "import subprocess;print('exit',subprocess.call(['sh','-c','exit 7']))";
    let escaped = script.replace('\'', "%27").replace(' ', "%20");
    let id = id_of(&api.create(&format!("exec:python3?arg=-c&arg={escaped}")));
    events.wait_log(&id, "exit 7");
}

/// Each of many starts sees the soft limit on open files, not the one that the master raised.
#[test]
fn every_start_sees_the_soft_limit() {
    if !has_program("prlimit", "every_start_sees_the_soft_limit") {
        return;
    }
    const STARTS: usize = 150;
    let builder = Master::builder().without_bin();
    let master = builder.through(&["prlimit", "--nofile=333:4096"]).start();
    let api = master.api();
    for _ in 0..STARTS {
        api.create("exec:sh?arg=-c&arg=echo+limit+$(ulimit+-n)");
    }
    let said = |text: &str| master.output().count(|line| line.text.starts_with(text));
    until("every start to say its limit", || said("limit ") == STARTS);
    assert_eq!(said("limit 333 "), STARTS);
}

/// A master in a terminal: its children have none, and neither read from it nor stop at it.
#[test]
fn children_have_no_terminal() {
    if !has_program("python3", "children_have_no_terminal") {
        return;
    }
    let terminal = "
import fcntl, os, pty, sys, termios
os.setsid()
ours, theirs = pty.openpty()
os.set_inheritable(ours, True)
fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
";
    let master = Master::builder().without_bin().through(&["python3", "-c", terminal]).start();
    let (api, mut events) = (master.api(), master.events());
    let script = "read+x+</dev/tty;echo+read+$?;echo+loud+>/dev/tty;echo+write+$?;sleep+4301";
    let id = id_of(&api.create(&format!("exec:bash?arg=-c&arg={}", script.replace('?', "%3F"))));
    events.wait_log(&id, "read 1");
    events.wait_log(&id, "write 1");
    let state = status_field(pid_of(&api, &id), "State").unwrap();
    assert!(!state.starts_with('T'), "{state}");
    let shown: Value = api.instance(&id);
    assert_eq!(shown["status"], "running");
}
