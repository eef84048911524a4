//! The master starts clean, every signal has a decision, and what the system refuses it is said.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use openctrl_tests::api::id_of;
use openctrl_tests::process::{has_program, is_alive, skip, status_field};
use openctrl_tests::{Api, Master, Script, eventually, keeper, until};
use serde_json::json;

/// Sends a signal by its name or number.
fn kill(pid: i32, signal: &str) {
    let sent = Command::new("kill").args(["-s", signal, &pid.to_string()]).status().unwrap();
    assert!(sent.success(), "{signal}");
}

#[test]
fn signals_that_end_the_master_end_its_children_too() {
    for signal in ["TERM", "INT", "QUIT", "PWR", "XCPU"] {
        let mut master = Master::start();
        let mut events = master.events();
        master.run(&mut events, &Script::new().wait());
        kill(master.pid(), signal);
        let status = master.wait_exit();
        assert_eq!(status.code(), Some(0), "{signal}: {status}");
        assert_eq!(master.descendants(), Vec::<i32>::new(), "{signal}");
    }
}

#[test]
fn all_other_signals_leave_the_master_alone() {
    let mut master = Master::start();
    let id = master.api().run(&Script::new().wait());
    let real_time = ["34", "35", "50", "64"];
    let named = [
        "HUP", "USR1", "USR2", "ALRM", "VTALRM", "PROF", "IO", "STKFLT", "XFSZ", "PIPE", "TTIN",
        "TTOU", "CHLD", "CONT", "URG", "WINCH",
    ];
    for signal in named.into_iter().chain(real_time) {
        kill(master.pid(), signal);
        assert_eq!(master.api().instance(&id)["id"], id.as_str(), "after {signal}");
        assert!(master.is_running(), "after {signal}");
        let state = status_field(master.pid(), "State").unwrap();
        assert!(!state.starts_with('T'), "{signal} stops the master: {state}");
    }
    master.stop();
}

/// A limit on the size of files is like a full disk: 503, and everything continues.
#[test]
fn a_limit_on_file_size_is_like_a_full_disk() {
    let test = "a_limit_on_file_size_is_like_a_full_disk";
    if !has_program("prlimit", test) {
        return;
    }
    let builder = Master::builder().query("trace", "off");
    let mut master = builder.through(&["prlimit", "--fsize=20480"]).start();
    let api = master.api();
    let mut answered = Vec::new();
    let refused = eventually("the limit", || {
        let url = format!("stub://{}?{}", answered.len(), "x".repeat(1000));
        let answer = api.post("/instances", &json!({ "url": url }));
        if answer.status == 503 {
            return Some(answer);
        }
        answered.push(id_of(&answer.expect(201).json()));
        None
    });
    let reason = refused.expect_error(503).json()["error"].to_string();
    assert!(reason.contains("File too large"), "{reason}");
    assert!(master.is_running() && !answered.is_empty());
    master.stop();
    master.reconfigure(|builder| builder.through(&[]));
    master.restart();
    for id in answered {
        assert_eq!(master.api().instance(&id)["id"], id.as_str());
    }
}

/// Starts a master whose user may have this many threads and processes; `None` where that cannot be
/// tried.
fn limited(test: &str, threads: usize) -> Option<openctrl_tests::master::Builder> {
    if !has_program("setpriv", test) || !has_program("prlimit", test) {
        return None;
    }
    if !rustix::process::geteuid().is_root() {
        skip(test, "only root can become another user");
        return None;
    }
    // Of its own, as the limit is on all processes of the user.
    let user = 54_000 + threads + usize::try_from(std::process::id()).unwrap() % 1000 * 10;
    let (user, limit) = (format!("--reuid={user}"), format!("--nproc={threads}"));
    let words = ["setpriv", &user, "--clear-groups", "prlimit", &limit];
    Some(Master::builder().without_bin().for_all_users().through(&words))
}

#[test]
fn at_the_process_limit_everything_is_answered() {
    let test = "at_the_process_limit_everything_is_answered";
    let Some(builder) = limited(test, 14) else { return };
    let mut master = builder.start();
    let api = master.api();
    let ids: Vec<String> = (0..20).map(|_| id_of(&api.create("exec:sleep?arg=4302"))).collect();
    let failures = |api: &Api| {
        let all = api.get("/processes").expect(200).json();
        let of = |process: &serde_json::Value| process["failures"].as_u64().unwrap();
        all.as_array().unwrap().iter().map(of).sum::<u64>()
    };
    until("the limit to be reached", || failures(&api) > 0);
    let base = api.base();
    for path in [format!("{base}/instances/{}/logs", ids[0]), "/metrics".to_owned()] {
        let answer = api.request_at("GET", &path).send();
        assert!([200, 503].contains(&answer.status), "{path}: {}", answer.status);
        if answer.status == 503 {
            let reason = answer.expect_error(503).json()["error"].to_string();
            assert!(reason.contains("cannot start a thread"), "{reason}");
        }
    }
    let asked = Instant::now();
    api.request("GET", "/tcping?target=localhost:1").send().expect(200);
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert!(!master.output().tail().contains("panicked"), "{}", master.output().tail());
    master.stop();
}

#[test]
fn a_master_without_threads_says_so_and_ends() {
    let test = "a_master_without_threads_says_so_and_ends";
    for threads in [1, 2, 3, 4, 6, 8] {
        let Some(builder) = limited(test, threads) else { return };
        let mut master = builder.begin();
        let status = master.wait_exit();
        assert_eq!(status.code(), Some(1), "{threads}: {}", master.output().tail());
        let said = master.output().tail();
        assert!(said.contains("cannot start a") && !said.contains("panicked"), "{said}");
    }
}

/// Zombies among the children of a process.
fn zombies(parent: i32) -> usize {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_one = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let mut fields = fields.split_whitespace();
        fields.next() == Some("Z") && fields.next() == Some(&parent.to_string())
    };
    pids.filter(is_one).count()
}

/// As process 1 of a container, and as the parent of what its children leave behind.
#[test]
fn orphans_are_reaped() {
    let namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let can = || Command::new("unshare").args(&namespace[1..]).arg("true").status();
    let is_possible = can().is_ok_and(|status| status.success());
    if !is_possible {
        skip("orphans_are_reaped as process 1", "unshare --pid is not allowed");
    }
    for wrapper in [&[][..], &namespace[..]].into_iter().take(1 + usize::from(is_possible)) {
        let master = Master::builder().without_bin().through(wrapper).start();
        let mut events = master.events();
        // 40 children whose parents end before them.
        let script = "for+i+in+$(seq+40);do+(sleep+0.05%26);done;sleep+0.2;echo+done;sleep+4303";
        let id = id_of(&master.api().create(&format!("exec:sh?arg=-c&arg={script}")));
        events.wait_log(&id, "done");
        let parent = if wrapper.is_empty() {
            master.pid()
        } else {
            let children = format!("/proc/{0}/task/{0}/children", master.pid());
            fs::read_to_string(children).unwrap().trim().parse().unwrap()
        };
        assert!(is_alive(parent));
        let keeper = keeper::find(&master).unwrap();
        until("the orphans to be reaped", || zombies(parent) + zombies(keeper) == 0);
    }
}
