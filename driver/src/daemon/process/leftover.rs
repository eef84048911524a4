//! Recognising the processes that an earlier master left behind, through /proc.
//!
//! A process is taken for one only by its id and start time together, or by the pipe or log file
//! that it prints to: one that merely has the same id is never touched.

use std::collections::{BTreeMap, HashMap};

use openctrl_core::ids::InstanceId;
use openctrl_core::process::{Identity, Scope, Signal};
use rustix::process::Pid;

use super::ended::Ended;
use super::group::{Group, number};
use super::kin::{Kin, below};
use super::ledger::{Child, Ledger};
use super::stat::{Sink, Stat, outputs, running};
use crate::outputs::Outputs;

/// A process group that an earlier master left behind, and what the group started.
#[derive(Debug)]
pub(crate) struct Leftover {
    /// Its number in the ledger.
    pub(super) number: u64,
    pub(super) group: Group,
    /// Its leader, if that is still alive; else only others are.
    pub(super) leader: Option<Ended>,
    /// What has left the group: it is in the session of the leader, prints to its pipes, or descends
    /// from it.
    pub(super) kin: Vec<Kin>,
    /// The pipes that it prints to; 0 if that is none.
    pub(super) pipes: Outputs<u64>,
    /// Its leader, by number and start.
    pub(super) identity: Option<Identity>,
}

/// Finds what is left of the children in the ledger, at most one group for each instance, and
/// removes those from the ledger that have ended. What `is_known` does not know, and all but the
/// newest of an instance, is killed at once: it belongs to no instance that could end it. What a
/// keeper has is no leftover.
pub(crate) fn find(
    ledger: &mut Ledger,
    is_known: impl Fn(InstanceId) -> bool,
    is_kept: impl Fn(u64) -> bool,
) -> BTreeMap<InstanceId, Leftover> {
    let children = ledger.children().filter(|(number, _)| !is_kept(*number));
    let children: Vec<(u64, Child)> = children.collect();
    let mut found: BTreeMap<InstanceId, Leftover> = BTreeMap::new();
    if children.is_empty() {
        return found;
    }
    let running = Running::look();
    // The newest first: an older one of the same instance is what was left of its group.
    for (number, child) in children.into_iter().rev() {
        match running.look_for(&child, number) {
            None => ledger.forget(number),
            Some(left) => {
                if found.contains_key(&child.instance) || !is_known(child.instance) {
                    left.kill();
                    ledger.forget(number);
                } else {
                    found.insert(child.instance, left);
                }
            }
        }
    }
    found
}

impl Leftover {
    /// Its leader, if that is still alive.
    pub(crate) const fn identity(&self) -> Option<Identity> {
        self.identity
    }

    fn kill(&self) {
        self.group.signal(Scope::Group, Signal::KILL);
        self.kin.iter().for_each(|kin| kin.signal(number(Signal::KILL)));
    }
}

/// Every process that runs, and by what they print to.
struct Running {
    all: Vec<Stat>,
    by_output: HashMap<Sink, Vec<usize>>,
}

impl Running {
    fn look() -> Self {
        let all = running();
        let mut by_output: HashMap<Sink, Vec<usize>> = HashMap::new();
        for (index, process) in all.iter().enumerate() {
            for output in outputs(process.pid) {
                by_output.entry(output).or_default().push(index);
            }
        }
        Self { all, by_output }
    }

    fn look_for(&self, child: &Child, number: u64) -> Option<Leftover> {
        let (pid, start_ticks, leader) = match child.born {
            Some((pid, start_ticks)) => {
                (pid, start_ticks, self.all.iter().find(|process| process.pid == pid))
            }
            None => self.find_printing(child.outputs)?,
        };
        // Another start time: the id, and so the number of the group, means something else by now.
        if leader.is_some_and(|leader| leader.start_ticks != start_ticks) {
            return None;
        }
        let leader = leader.and_then(open);
        let mut is_left = leader.is_some();
        let mut kin: Vec<&Stat> = self.printing_to(child.outputs).collect();
        for other in self.all.iter().filter(|other| other.start_ticks >= start_ticks) {
            is_left |= other.group == pid;
            if other.session == pid {
                kin.push(other);
            }
        }
        let descendants = if leader.is_some() { below(pid) } else { Vec::new() };
        kin.extend(&descendants);
        kin.retain(|other| other.group != pid && other.pid != pid);
        kin.sort_unstable_by_key(|other| other.pid);
        kin.dedup();
        let kin: Vec<Kin> = kin.into_iter().filter_map(Kin::hold).collect();
        if !is_left && kin.is_empty() {
            return None;
        }
        let number_of_group = Pid::from_raw(pid)?;
        let group = match is_left {
            true => Group::new(number_of_group, leader.as_ref().map(Ended::handle)),
            false => Group::empty(number_of_group),
        };
        let pipes = child.outputs.map(|output| match output {
            Sink::Pipe(pipe) => pipe,
            Sink::File { .. } => 0,
        });
        let pid = leader.as_ref().and_then(|_| u32::try_from(pid).ok());
        let identity = pid.map(|pid| Identity { pid, start_ticks });
        Some(Leftover { number, group, leader, kin, pipes, identity })
    }

    /// A child whose id was never written down, by what it prints to. It may have ended before the
    /// master did, and left members of its group behind.
    fn find_printing(&self, outputs: Outputs<Sink>) -> Option<(i32, u64, Option<&Stat>)> {
        let leader = self.printing_to(outputs).find(|process| process.pid == process.group);
        if let Some(leader) = leader {
            return Some((leader.pid, leader.start_ticks, Some(leader)));
        }
        let member = self.printing_to(outputs).next()?;
        Some((member.group, member.start_ticks, None))
    }

    fn printing_to(&self, outputs: Outputs<Sink>) -> impl Iterator<Item = &Stat> {
        let Outputs { stdout, stderr } = outputs;
        let known = [Some(stdout), stderr].into_iter().flatten();
        let indices = known.filter_map(|output| self.by_output.get(&output)).flatten();
        indices.map(|index| &self.all[*index])
    }
}

/// Takes hold of a process, and makes sure that it is still the one that was meant.
fn open(process: &Stat) -> Option<Ended> {
    let ended = Ended::of(Pid::from_raw(process.pid)?).ok()?;
    let is_same = Stat::read(process.pid).is_ok_and(|now| now.start_ticks == process.start_ticks);
    is_same.then_some(ended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::process::stat::start_ticks;
    use openctrl_core::ids::{Generation, ProcessRef, SlotId};
    use std::fs;
    use std::io::{self, PipeReader};
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
    fn only_the_very_process_is_found() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut children: Vec<_> = (0..4).map(|_| child("read x || sleep 1000")).collect();
        let id = |index: u32| InstanceId(index);
        let mut ledger = Ledger::open(home.path());
        // Known by id and start time; by its pipe alone; another start time; another pipe.
        ledger.intend(process(0), id(0), Outputs::joined(Sink::Pipe(1)));
        ledger.born(process(0), pid_of(&children[0].0), ticks_of(&children[0].0));
        ledger.intend(process(1), id(1), Outputs::joined(Sink::Pipe(children[1].1)));
        ledger.intend(process(2), id(2), Outputs::joined(Sink::Pipe(children[2].1)));
        ledger.born(process(2), pid_of(&children[2].0), ticks_of(&children[2].0) + 1);
        ledger.intend(process(3), id(3), Outputs::joined(Sink::Pipe(children[3].1 + 1_000_000)));
        drop(ledger);

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let _entered = runtime.enter();
        let mut ledger = Ledger::open(home.path());
        let found = find(&mut ledger, |_| true, |_| false);
        let mut ids: Vec<u32> = found.keys().map(|id| id.0).collect();
        ids.sort_unstable();
        assert_eq!(ids, [0, 1]);
        assert!(found.values().all(|leftover| leftover.leader.is_some()));
        let kept: Vec<InstanceId> = ledger.children().map(|(_, child)| child.instance).collect();
        assert_eq!(kept, [id(0), id(1)]);
        for (child, _, _) in &mut children {
            Group::new(Pid::from_child(child), None).signal(Scope::Group, Signal::KILL);
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
        ledger.intend(process(0), InstanceId(0), Outputs::joined(Sink::Pipe(pipe)));
        ledger.born(process(0), pid_of(&leader), ticks);

        // The same, killed before it came to write the id down.
        ledger.intend(process(1), InstanceId(1), Outputs::joined(Sink::Pipe(pipe)));

        let found = find(&mut ledger, |_| true, |_| false);
        assert!(found[&InstanceId(0)].leader.is_none());
        assert!(found[&InstanceId(1)].leader.is_none());
        assert!(find(&mut ledger, |_| false, |_| false).is_empty());
        assert_eq!(ledger.children().count(), 0);
        // Killed: nothing holds the pipe open any more.
        assert_eq!(io::Read::read(&mut output, &mut line).expect("the end of the pipe"), 0);
    }
}
