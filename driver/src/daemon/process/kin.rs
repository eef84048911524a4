//! Processes that descend from this master, through `/proc`: what the leader of an instance started
//! and what they started in turn, whatever group or session they have moved to.
//!
//! Whose a process is follows from its parents as long as they live. When a parent ends, its
//! children become those of the master, which is their subreaper; then the session and the pipes
//! that they print to tell. Nothing here decides when a process is ended.

use std::collections::HashSet;
use std::fs;

use rustix::process::{Pid, getpid};

use super::ended::Handle;
use super::stat::{Stat, prints_to};
use crate::outputs::Outputs;
#[cfg(target_os = "linux")]
use crate::promises::ended_child;

/// What is looked at in one go: a fork bomb must not hold up the master.
const PROCESSES_MAX: usize = 10_000;

/// How many processes are named.
const NAMED_MAX: usize = 5;

/// A process outside the group of its instance.
#[derive(Debug)]
pub(super) struct Kin {
    pub(super) pid: i32,
    start_ticks: u64,
    handle: Handle,
}

impl Kin {
    /// Takes hold of a process, if it still is the one that was looked at.
    pub(super) fn hold(stat: &Stat) -> Option<Self> {
        let handle = Handle::of(Pid::from_raw(stat.pid)?).ok()?;
        let kin = Self { pid: stat.pid, start_ticks: stat.start_ticks, handle };
        (!kin.has_ended()).then_some(kin)
    }

    /// Signals it. One that has ended is passed over.
    pub(super) fn signal(&self, signal: rustix::process::Signal) {
        let _ = self.handle.signal(signal);
    }

    /// Whether it does not run any more.
    pub(super) fn has_ended(&self) -> bool {
        let now = Stat::read(self.pid);
        !now.is_ok_and(|now| now.start_ticks == self.start_ticks && !now.has_ended())
    }

    /// Whether it is this process.
    pub(super) const fn is(&self, stat: &Stat) -> bool {
        self.pid == stat.pid && self.start_ticks == stat.start_ticks
    }
}

/// The processes that run and descend from a process, itself left out.
pub(super) fn below(pid: i32) -> Vec<Stat> {
    let mut seen = HashSet::from([pid]);
    let mut waiting = vec![pid];
    let mut found = Vec::new();
    while let Some(parent) = waiting.pop() {
        for child in children(parent) {
            if seen.len() > PROCESSES_MAX || !seen.insert(child) {
                continue;
            }
            waiting.push(child);
            found.extend(Stat::read(child).ok().filter(|stat| !stat.has_ended()));
        }
    }
    found
}

/// The processes that the master was given when their parents ended. The system gives them to its
/// first thread; those that it started belong to the thread that did.
///
/// Those of a lost keeper are among them: its leaders are passed over.
pub(super) fn adopted(is_leader: impl Fn(i32) -> bool) -> Vec<Stat> {
    let own = getpid().as_raw_pid();
    let others = children_of_thread(own, own).into_iter().filter(|pid| !is_leader(*pid));
    others.filter_map(|pid| Stat::read(pid).ok()).filter(|stat| !stat.has_ended()).collect()
}

/// The children of this process that have ended, were not reaped and lead a session.
pub(super) fn ended_leaders() -> Vec<i32> {
    let own = getpid().as_raw_pid();
    let stats = children_of_thread(own, own).into_iter().filter_map(|pid| Stat::read(pid).ok());
    stats.filter(|stat| stat.has_ended() && stat.session == stat.pid).map(|stat| stat.pid).collect()
}

/// The processes that a keeper was given when their parents ended: its children but for those that
/// it started for this master.
pub(super) fn adopted_by(keeper: i32, is_leader: impl Fn(i32) -> bool) -> Vec<Stat> {
    let others = children(keeper).into_iter().filter(|pid| !is_leader(*pid));
    others.filter_map(|pid| Stat::read(pid).ok()).filter(|stat| !stat.has_ended()).collect()
}

/// Reaps the adopted processes that have ended. Those that the master started are left alone: they
/// are children of another thread. So are the leaders of instances that came here when their keeper
/// was lost: they are reaped when their output was read.
#[cfg(target_os = "linux")]
pub(crate) fn reap_adopted(is_leader: impl Fn(i32) -> bool) {
    use rustix::io::Errno;
    use rustix::process::{WaitId, WaitIdOptions, waitid};

    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    while let Some(pid) = ended_child(true).filter(|pid| !is_leader(pid.as_raw_pid())) {
        while let Err(Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
    }
}

/// Nothing is adopted where there is no subreaper.
#[cfg(not(target_os = "linux"))]
pub(crate) fn reap_adopted(_: impl Fn(i32) -> bool) {}

/// Whether a process belongs to what a leader started, as far as it itself tells.
pub(super) fn is_of(stat: &Stat, leader: i32, pipes: Outputs<u64>) -> bool {
    stat.session == leader || stat.group == leader || prints_to(stat.pid, pipes)
}

/// Makes this process the parent of those that its descendants leave behind.
#[cfg(target_os = "linux")]
pub(crate) fn become_subreaper() {
    if let Err(error) = rustix::process::set_child_subreaper(Some(getpid())) {
        tracing::warn!("cannot become the parent of what instances leave behind: {error}");
    }
}

/// Only Linux has this.
#[cfg(not(target_os = "linux"))]
pub(crate) fn become_subreaper() {}

/// A few of these processes, for people.
pub(super) fn names(pids: &[i32]) -> String {
    let name = |pid: &i32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        format!("{pid} ({})", name.trim_end())
    };
    let mut names: Vec<String> = pids.iter().take(NAMED_MAX).map(name).collect();
    if pids.len() > NAMED_MAX {
        names.push("…".to_owned());
    }
    names.join(", ")
}

/// What keeps a process from ending of KILL, as far as the system tells; `None` if it has ended.
pub(super) fn what_holds(pid: i32) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    let user = |text: &str| text.split_whitespace().next().map(str::to_owned);
    let (theirs, state) = (field("Uid").and_then(user)?, field("State")?);
    let ours = rustix::process::geteuid();
    if !ours.is_root() && theirs != ours.as_raw().to_string() {
        return Some(format!(
            "it runs as user {theirs}, which the master may not signal; end it as that user or root"
        ));
    }
    Some(format!(
        "it is in state {state}: the kernel holds it back, as a file system that does not answer or \
         a frozen cgroup does"
    ))
}

fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    threads
        .filter_map(|thread| thread.ok()?.file_name().to_str()?.parse().ok())
        .flat_map(|thread| children_of_thread(pid, thread))
        .collect()
}

fn children_of_thread(pid: i32, thread: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{thread}/children"));
    let text = text.unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|child| child.parse().ok()).collect()
}
