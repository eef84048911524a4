//! The processes of this master as the loop has them: the group of each instance, what has left its
//! group, and what came to the master when its parents ended.
//!
//! Carries signals out and reaps; when either is due is the engine's decision. Everything here
//! belongs to the loop's thread, which is the first of the program: the system gives that thread
//! the processes whose parents have ended, and reaping between signals keeps every number sure.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use openctrl_core::ids::ProcessRef;
use openctrl_core::process::{Exit, Scope, Signal};

use super::aftermath::OomKills;
use super::group::{Group, needs_cont, number};
use super::kin::{Kin, adopted, below, is_of, names, reap_adopted, what_holds};
use super::leftover::Leftover;
use super::stat::Stat;

/// A process of an instance, as the loop is told of it.
#[derive(Debug)]
pub(crate) struct Newcomer {
    pub(super) group: Group,
    pub(super) pipe: u64,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    /// Whether other processes are left of it.
    pub(crate) group_left: bool,
    /// What is known of the end beyond its status, for people.
    pub(crate) note: Option<String>,
}

/// The result of a signal.
#[derive(Debug)]
pub(crate) enum Signaled {
    /// It was sent to whatever is there.
    Sent,
    /// The process is still alive after an earlier KILL, and what keeps it so, for people.
    Held(String),
    /// What was left of an ended process was killed, and nothing more can be done for it.
    Over,
}

/// The processes that are alive, or of which others are left.
#[derive(Debug, Default)]
pub(crate) struct Children {
    children: HashMap<ProcessRef, Child>,
    oom_kills: OomKills,
    /// Adopted ones that belong to no instance for all that is known; with their start times.
    strays: HashMap<i32, u64>,
    told: Option<Instant>,
}

#[derive(Debug)]
struct Child {
    group: Group,
    /// The pipe that it prints to.
    pipe: u64,
    is_reaped: bool,
    /// It got KILL.
    is_killed: bool,
    /// What belongs to it and has left its group, as of the last look.
    kin: Vec<Kin>,
}

/// How often a warning about strays may come.
const TELL_EVERY: Duration = Duration::from_secs(60);

impl Children {
    /// Takes a process that was started.
    pub(crate) fn take(&mut self, process: ProcessRef, newcomer: Newcomer) {
        let Newcomer { group, pipe } = newcomer;
        self.children.insert(process, Child::new(group, pipe, Vec::new()));
    }

    /// Takes what an earlier master left behind.
    pub(crate) fn adopt(&mut self, process: ProcessRef, leftover: &mut Leftover) {
        let (group, kin) = (leftover.group.clone(), std::mem::take(&mut leftover.kin));
        self.children.insert(process, Child::new(group, leftover.pipe, kin));
    }

    /// The pid of a process.
    pub(crate) fn pid(&self, process: ProcessRef) -> Option<i32> {
        self.children.get(&process).map(|child| child.group.pid())
    }

    /// Whether this is the process itself, which has not been reaped.
    pub(crate) fn is_running(&self, process: ProcessRef, pid: u32) -> bool {
        let child = self.children.get(&process).filter(|child| !child.is_reaped);
        child.is_some_and(|child| u32::try_from(child.group.pid()) == Ok(pid))
    }

    /// Signals a process, its group, and what has left the group. A KILL of what is left of an ended
    /// process is the last thing that can be done for it: it is forgotten.
    pub(crate) fn signal(&mut self, process: ProcessRef, scope: Scope, signal: Signal) -> Signaled {
        let Some(child) = self.children.get_mut(&process) else { return Signaled::Sent };
        if scope == Scope::Group {
            child.look_for_kin(&adopted());
            for kin in &child.kin {
                kin.signal(number(signal));
                if needs_cont(signal) {
                    kin.signal(rustix::process::Signal::CONT);
                }
            }
        }
        if !child.is_reaped || child.group.is_left() {
            child.group.signal(scope, signal);
        }
        if signal != Signal::KILL {
            return Signaled::Sent;
        }
        let was_killed = std::mem::replace(&mut child.is_killed, true);
        if child.is_reaped {
            self.children.remove(&process);
            return Signaled::Over;
        }
        let held = if was_killed { child.what_holds() } else { None };
        held.map_or(Signaled::Sent, Signaled::Held)
    }

    /// Reaps a process that has ended. If no other process is left of it, it is forgotten.
    pub(crate) fn reap(&mut self, process: ProcessRef) -> Ended {
        let child = self.children.get_mut(&process).expect("a child ends after it was started");
        let reaped = child.group.reap();
        let exit = reaped.exit;
        let note = self.oom_kills.explain(reaped, child.is_killed);
        child.is_reaped = true;
        reap_adopted();
        let adopted = adopted();
        child.look_for_kin(&adopted);
        let is_left = child.group.is_left() || !child.kin.is_empty();
        if !is_left {
            self.children.remove(&process);
        }
        self.tell_of_strays(&adopted);
        Ended { exit, group_left: is_left, note }
    }

    /// Asks the adopted processes of no instance to end: the master is about to.
    pub(crate) fn terminate_strays(&mut self) {
        let adopted = adopted();
        self.strays = self.strays_among(&adopted);
        for stat in adopted.iter().filter(|stat| self.strays.contains_key(&stat.pid)) {
            let below = below(stat.pid);
            for kin in [stat].into_iter().chain(&below).filter_map(Kin::hold) {
                kin.signal(rustix::process::Signal::TERM);
                kin.signal(rustix::process::Signal::CONT);
            }
        }
    }

    fn strays_among(&self, adopted: &[Stat]) -> HashMap<i32, u64> {
        let is_known = |stat: &Stat| self.children.values().any(|child| child.has(stat));
        let strays = adopted.iter().filter(|stat| !is_known(stat));
        strays.map(|stat| (stat.pid, stat.start_ticks)).collect()
    }

    /// Warns of processes that no stop of an instance will end.
    fn tell_of_strays(&mut self, adopted: &[Stat]) {
        let is_new = |stat: &&Stat| self.strays.get(&stat.pid) != Some(&stat.start_ticks);
        if !adopted.iter().any(|stat| is_new(&stat)) {
            return;
        }
        let strays = self.strays_among(adopted);
        let new: Vec<i32> = strays
            .iter()
            .filter(|(pid, ticks)| self.strays.get(pid) != Some(*ticks))
            .map(|(pid, _)| *pid)
            .collect();
        let is_due = self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY);
        if new.is_empty() || !is_due {
            // What was not told of is new the next time, too.
            return;
        }
        self.told = Some(Instant::now());
        self.strays = strays;
        let (count, names) = (new.len(), names(&new));
        tracing::warn!(
            "Master.run: {count} processes have left the instances that started them; they \
             run until the master stops: {names}"
        );
    }
}

impl Child {
    const fn new(group: Group, pipe: u64, kin: Vec<Kin>) -> Self {
        Self { group, pipe, is_reaped: false, is_killed: false, kin }
    }

    /// Looks again for what belongs to it outside its group.
    fn look_for_kin(&mut self, adopted: &[Stat]) {
        let leader = self.group.pid();
        self.kin.retain(|kin| !kin.has_ended());
        let mut roots: Vec<Stat> =
            adopted.iter().filter(|stat| is_of(stat, leader, self.pipe)).copied().collect();
        let parents = self.kin.iter().map(|kin| kin.pid);
        let parents = parents.chain(roots.iter().map(|root| root.pid));
        let parents: Vec<i32> = parents.chain((!self.is_reaped).then_some(leader)).collect();
        for parent in parents {
            roots.extend(below(parent));
        }
        for stat in roots.iter().filter(|stat| stat.group != leader) {
            if !self.kin.iter().any(|kin| kin.is(stat)) {
                self.kin.extend(Kin::hold(stat));
            }
        }
    }

    /// What keeps it alive, for people, after it was killed; `None` if it has ended.
    fn what_holds(&self) -> Option<String> {
        let pid = self.group.pid();
        let why = what_holds(pid)?;
        tracing::warn!("Master.run: process {} cannot be killed: {why}", names(&[pid]));
        Some(why)
    }

    fn has(&self, stat: &Stat) -> bool {
        is_of(stat, self.group.pid(), self.pipe) || self.kin.iter().any(|kin| kin.is(stat))
    }
}
