//! Recognising the processes that an earlier master left behind, through /proc.
//!
//! A process is taken for one only by its id and start time together, or by the pipe that it
//! prints to: one that merely has the same id is never touched.

use std::collections::BTreeMap;
use std::{fs, io};

use openctrl_core::ids::InstanceId;
use openctrl_core::process::{Scope, Signal};
use rustix::process::Pid;

use super::ended::Ended;
use super::group::Group;
use super::ledger::{Child, Ledger};

/// A process group that an earlier master left behind.
#[derive(Debug)]
pub(crate) struct Leftover {
    /// Its number in the ledger.
    pub(super) number: u64,
    pub(crate) group: Group,
    /// Its leader, if that is still alive; else only members of its group are.
    pub(super) leader: Option<Ended>,
}

/// Finds what is left of the children in the ledger, at most one group an instance; those that
/// are gone are struck out. What `is_known` does not know, and all but the newest of an instance,
/// is killed at once: nobody will look after it.
pub(crate) fn find(
    ledger: &mut Ledger,
    is_known: impl Fn(InstanceId) -> bool,
) -> BTreeMap<InstanceId, Leftover> {
    let children: Vec<(u64, Child)> = ledger.children().collect();
    let mut found: BTreeMap<InstanceId, Leftover> = BTreeMap::new();
    if children.is_empty() {
        return found;
    }
    let running = running_processes();
    // The newest first: an older one of the same instance is what was left of its group.
    for (number, child) in children.into_iter().rev() {
        match look_for(&child, &running) {
            None => ledger.forget(number),
            Some((group, leader)) => {
                if found.contains_key(&child.instance) || !is_known(child.instance) {
                    group.signal(Scope::Group, Signal::KILL);
                    ledger.forget(number);
                } else {
                    found.insert(child.instance, Leftover { number, group, leader });
                }
            }
        }
    }
    found
}

/// When a process that was not reaped started, in clock ticks since the machine did.
pub(crate) fn start_ticks(pid: Pid) -> io::Result<u64> {
    read_stat(pid.as_raw_nonzero().get()).map(|stat| stat.start_ticks)
}

fn look_for(child: &Child, running: &[Running]) -> Option<(Group, Option<Ended>)> {
    let Some((pid, start_ticks)) = child.born else {
        return look_for_printing(child.pipe, running);
    };
    if let Some(leader) = running.iter().find(|process| process.pid == pid) {
        // Another start time: the id, and so the group's number, means something else by now.
        return (leader.start_ticks == start_ticks).then(|| open(pid, start_ticks))?;
    }
    let is_member = |process: &&Running| process.group == pid && process.start_ticks >= start_ticks;
    let group = Pid::from_raw(pid).map(Group::new)?;
    running.iter().find(is_member).map(|_| (group, None))
}

/// A child whose id never came to be written down. It may have ended before the master did, and
/// left members of its group behind.
fn look_for_printing(pipe: u64, running: &[Running]) -> Option<(Group, Option<Ended>)> {
    let printing: Vec<&Running> =
        running.iter().filter(|process| prints_to(process.pid, pipe)).collect();
    if let Some(leader) = printing.iter().find(|process| process.pid == process.group) {
        return open(leader.pid, leader.start_ticks);
    }
    let member = printing.first()?;
    Pid::from_raw(member.group).map(|group| (Group::new(group), None))
}

/// Takes hold of a process, and makes sure that it is still the one that was meant.
fn open(pid: i32, start_ticks: u64) -> Option<(Group, Option<Ended>)> {
    let leader = Pid::from_raw(pid)?;
    let ended = Ended::of(leader).ok()?;
    let is_same = read_stat(pid).is_ok_and(|stat| stat.start_ticks == start_ticks);
    is_same.then_some((Group::new(leader), Some(ended)))
}

/// Whether a process has a pipe as its standard output or error.
fn prints_to(pid: i32, pipe: u64) -> bool {
    let name = format!("pipe:[{pipe}]");
    [1, 2].into_iter().any(|descriptor| {
        fs::read_link(format!("/proc/{pid}/fd/{descriptor}"))
            .is_ok_and(|target| target.as_os_str() == name.as_str())
    })
}

/// A line of /proc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Running {
    pid: i32,
    group: i32,
    start_ticks: u64,
    is_zombie: bool,
}

/// Every process but zombies, which cannot be ended and end by themselves.
fn running_processes() -> Vec<Running> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| read_stat(pid).ok())
        .filter(|process| !process.is_zombie)
        .collect()
}

fn read_stat(pid: i32) -> io::Result<Running> {
    let text = fs::read(format!("/proc/{pid}/stat"))?;
    parse_stat(pid, &String::from_utf8_lossy(&text))
        .ok_or_else(|| io::Error::other("not a line of /proc"))
}

/// Reads `pid (name) state ppid pgrp … starttime …`; the name may hold anything.
fn parse_stat(pid: i32, text: &str) -> Option<Running> {
    const STATE: usize = 0;
    const GROUP: usize = 2;
    const START: usize = 19;
    let after_name = &text[text.rfind(')')? + 1..];
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    Some(Running {
        pid,
        group: fields.get(GROUP)?.parse().ok()?,
        start_ticks: fields.get(START)?.parse().ok()?,
        is_zombie: matches!(*fields.get(STATE)?, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::process::ledger::Ledger;
    use openctrl_core::ids::{Generation, ProcessRef, SlotId};
    use std::io::PipeReader;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    /// A child as the spawner makes them, and the inode of its pipe.
    fn child(script: &str) -> (std::process::Child, u64, PipeReader) {
        let (output, input) = io::pipe().expect("a pipe");
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(input).process_group(0);
        let child = command.spawn().expect("sh is there");
        let file = fs::File::from(OwnedFd::from(output.try_clone().expect("a descriptor")));
        let inode = file.metadata().expect("of a pipe").ino();
        assert!(file.as_raw_fd() >= 0);
        (child, inode, output)
    }

    fn process(generation: u64) -> ProcessRef {
        ProcessRef { slot: SlotId(0), generation: Generation(generation) }
    }

    fn pid_of(child: &std::process::Child) -> i32 {
        i32::try_from(child.id()).expect("a process id")
    }

    fn ticks_of(child: &std::process::Child) -> u64 {
        start_ticks(Pid::from_child(child)).expect("it was not reaped")
    }

    #[test]
    fn a_line_of_proc_is_read_whatever_the_name() {
        let fields = "S 1 77 77 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
        let expected = Running { pid: 5, group: 77, start_ticks: 4242, is_zombie: false };
        for name in ["sh", "a b", "x) R 1 2 3", ")"] {
            assert_eq!(parse_stat(5, &format!("5 ({name}) {fields}")), Some(expected), "{name}");
        }
        assert!(parse_stat(5, "5 (sh) Z 1 77").is_none());
        assert!(parse_stat(5, "").is_none());
    }

    #[test]
    fn only_the_very_process_is_found() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut children: Vec<_> = (0..4).map(|_| child("read x || sleep 1000")).collect();
        let id = |index: u32| InstanceId(index);
        let mut ledger = Ledger::open(home.path());
        // Known by id and start time; by its pipe alone; another start time; another pipe.
        ledger.intend(process(0), id(0), 1);
        ledger.born(process(0), pid_of(&children[0].0), ticks_of(&children[0].0));
        ledger.intend(process(1), id(1), children[1].1);
        ledger.intend(process(2), id(2), children[2].1);
        ledger.born(process(2), pid_of(&children[2].0), ticks_of(&children[2].0) + 1);
        ledger.intend(process(3), id(3), children[3].1 + 1_000_000);
        drop(ledger);

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let _entered = runtime.enter();
        let mut ledger = Ledger::open(home.path());
        let found = find(&mut ledger, |_| true);
        let mut ids: Vec<u32> = found.keys().map(|id| id.0).collect();
        ids.sort_unstable();
        assert_eq!(ids, [0, 1]);
        assert!(found.values().all(|leftover| leftover.leader.is_some()));
        let kept: Vec<InstanceId> = ledger.children().map(|(_, child)| child.instance).collect();
        assert_eq!(kept, [id(0), id(1)]);
        for (child, _, _) in &mut children {
            Group::new(Pid::from_child(child)).signal(Scope::Group, Signal::KILL);
            child.wait().expect("it was not reaped");
        }
    }

    #[test]
    fn a_group_without_its_leader_is_found_and_an_unknown_one_killed() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut ledger = Ledger::open(home.path());
        // The leader waits until the member lives, then ends; the pipe ends when both are gone.
        let (mut leader, pipe, mut output) = child("sleep 1000 & echo");
        let ticks = ticks_of(&leader);
        leader.wait().expect("it was not reaped");
        let mut line = [0];
        io::Read::read_exact(&mut output, &mut line).expect("the leader said something");
        ledger.intend(process(0), InstanceId(0), pipe);
        ledger.born(process(0), pid_of(&leader), ticks);

        // The same, killed before it came to write the id down.
        ledger.intend(process(1), InstanceId(1), pipe);

        let found = find(&mut ledger, |_| true);
        assert!(found[&InstanceId(0)].leader.is_none());
        assert!(found[&InstanceId(1)].leader.is_none());
        assert!(find(&mut ledger, |_| false).is_empty());
        assert_eq!(ledger.children().count(), 0);
        // Killed: nothing holds the pipe open any more.
        assert_eq!(io::Read::read(&mut output, &mut line).expect("the end of the pipe"), 0);
    }
}
