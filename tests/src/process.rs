//! Processes seen from outside: alive or not, and which ones belong to a test.
//!
//! A test's processes are known by a variable in their environment (the master hands its own
//! environment on, contract §6), so a failing test can end what it started and nothing else.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::until;

/// Name of the variable that carries a test's mark.
pub const MARK_VARIABLE: &str = "OPENCTRL_TEST_MARK";

/// Whether `pid` names a process that is neither gone nor a zombie.
pub fn is_alive(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The state follows the command name, which is in parentheses and may contain anything.
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// Every live process whose command line has this word.
pub fn with_argument(word: &str) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes())
        })
        .filter(|pid| is_alive(*pid))
        .collect()
}

/// A field of `/proc/<pid>/status`.
pub fn status_field(pid: i32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// Says why a test, or a part of it, is not done here.
pub fn skip(test: &str, reason: &str) {
    let text = format!("{test} is skipped: {reason}\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
}

/// Whether a program can be run; if not, says that `test` is skipped.
pub fn has_program(program: &str, test: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !is_there {
        skip(test, &format!("there is no {program}"));
    }
    is_there
}

/// Waits until `pid` has exited.
pub fn wait_gone(pid: i32) {
    until(&format!("process {pid} to be gone"), || !is_alive(pid));
}

/// Every live process whose environment carries `mark`.
pub fn bearing(mark: &str) -> Vec<i32> {
    bearing_variable(MARK_VARIABLE, mark)
}

fn bearing_variable(name: &str, value: &str) -> Vec<i32> {
    let needle = format!("{name}={value}");
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.split(|byte| *byte == 0).any(|variable| variable == needle.as_bytes())
        })
        .filter(|pid| is_alive(*pid))
        .collect()
}

/// Sends `signal` to one process; one that is already gone is fine.
pub fn send(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// Ends every process that carries `mark`, those included that are started meanwhile.
pub fn sweep(mark: &str) {
    sweep_variable(MARK_VARIABLE, mark);
}

/// As [`sweep`] for processes that are known by another variable.
pub fn sweep_variable(name: &str, value: &str) {
    // Bounded: a process that outlives SIGKILL is stuck in the kernel, which no test can mend.
    for _ in 0..200 {
        let left = bearing_variable(name, value);
        if left.is_empty() {
            return;
        }
        for pid in left {
            send(pid, Signal::KILL);
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Resident memory of `pid` at its highest, in bytes.
pub fn peak_memory(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is alive");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux tells VmHWM");
    let kib = line.split_whitespace().nth(1).expect("the field has a value");
    kib.parse::<u64>().expect("the value is a number") * 1024
}
