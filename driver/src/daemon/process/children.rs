//! The processes of this master as the loop has them: the group of each instance, what has left its
//! group, and what came to the master when its parents ended.
//!
//! Carries signals out and reaps; when either is due is the engine's decision. Everything here
//! belongs to the loop's thread, which is the first of the program: the system gives that thread
//! the processes whose parents have ended, and reaping between signals keeps every number sure.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use openctrl_core::ids::{ProcessRef, RunId};
use openctrl_core::keeper;
use openctrl_core::process::{Exit, Scope, Signal};
use rustix::process::Pid;

use super::aftermath::OomKills;
use super::group::{Group, needs_cont, number};
use super::holder::{Holder, KeptGroup, UNKNOWN};
use super::job::Job;
use super::kin::{
    Kin, adopted, adopted_by, below, ended_leaders, is_of, names, reap_adopted, what_holds,
};
use super::leftover::Leftover;
use super::newborn::Leader;
use super::proof::is_of_an_app;
use super::stat::Stat;
use super::survivor::Survivor;
use crate::cgroups::Groups;
use crate::outputs::Outputs;

/// A process of an instance, as the loop is told of it.
#[derive(Debug)]
pub(crate) struct Newcomer {
    holder: Holder,
    pipes: Outputs<u64>,
}

impl Newcomer {
    /// One that this master started.
    pub(super) const fn own(group: Group, pipes: Outputs<u64>) -> Self {
        Self { holder: Holder::Own(group), pipes }
    }

    /// One that a keeper started.
    pub(super) const fn kept(leader: Leader, pipes: Outputs<u64>) -> Self {
        Self { holder: Holder::Kept(KeptGroup::new(leader)), pipes }
    }
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    /// Whether other processes are left of it.
    pub(crate) group_left: bool,
    /// What is known of the end beyond its status, for people.
    pub(crate) note: Option<String>,
    /// Whether its keeper ended it because its lease had expired.
    pub(crate) has_lost_lease: bool,
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
    /// The processes that a keeper started, by their leaders.
    leaders: HashMap<i32, ProcessRef>,
    keeper: Option<Keeper>,
    /// What was adopted as of this step.
    adopted: Option<Rc<[Stat]>>,
    /// How many processes the keeper was asked to start and has not answered for.
    starting: usize,
    /// Where processes have control groups.
    groups: Option<Groups>,
}

/// Where the keeper is asked for something.
#[derive(Debug)]
pub(crate) struct KeeperOf {
    pub(super) jobs: mpsc::Sender<Job>,
    pub(super) pid: i32,
}

/// The keeper, which is asked to signal what it started.
#[derive(Debug)]
struct Keeper {
    jobs: mpsc::Sender<Job>,
    pid: i32,
}

#[derive(Debug)]
struct Child {
    group: Holder,
    /// The pipes that it prints to.
    pipes: Outputs<u64>,
    is_reaped: bool,
    /// The keeper that started it does not run any more.
    keeper_is_lost: bool,
    /// It got KILL.
    is_killed: bool,
    /// The last signal that its keeper was ordered to send. A keeper that is lost may not have sent it.
    ordered: Option<(Scope, Signal)>,
    /// What belongs to it and has left its group, as of the last look.
    kin: Vec<Kin>,
}

/// What is said of an exit whose status nobody has.
const NOT_KNOWN: &str = "how it ended is not known: the keeper that was its parent was lost";

/// How often a warning about strays may come.
const TELL_EVERY: Duration = Duration::from_secs(60);

impl Children {
    /// No process yet. With a keeper, it is asked through `jobs`.
    pub(crate) fn new(keeper: Option<KeeperOf>, groups: Option<Groups>) -> Self {
        let keeper = keeper.map(|KeeperOf { jobs, pid }| Keeper { jobs, pid });
        Self { keeper, groups, ..Self::default() }
    }

    /// A step of the loop begins: what was seen before it may have changed.
    pub(crate) fn begin_step(&mut self) {
        self.adopted = None;
    }

    /// A process was ordered.
    pub(crate) const fn ordered(&mut self) {
        self.starting += 1;
    }

    /// An order came to nothing.
    pub(crate) const fn not_started(&mut self) {
        self.starting = self.starting.saturating_sub(1);
    }

    /// Takes a process that was started.
    pub(crate) fn take(&mut self, process: ProcessRef, newcomer: Newcomer) {
        self.not_started();
        let Newcomer { holder, pipes } = newcomer;
        if matches!(holder, Holder::Kept(_)) {
            self.leaders.insert(holder.pid(), process);
        }
        self.children.insert(process, Child::new(holder, pipes, Vec::new()));
    }

    /// Takes what an earlier master left behind.
    pub(crate) fn adopt(&mut self, process: ProcessRef, leftover: &mut Leftover) {
        let (group, kin) = (leftover.group.clone(), std::mem::take(&mut leftover.kin));
        self.children.insert(process, Child::new(Holder::Own(group), leftover.pipes, kin));
    }

    /// Takes what outlived an earlier master.
    pub(crate) fn attach(&mut self, process: ProcessRef, survivor: &Survivor) {
        let known = &survivor.child;
        let pid = Pid::from_raw(known.pid).expect("the id of a process is not 0");
        let keeper = self.keeper().unwrap_or(0);
        let leader = Leader { pid, start_ticks: known.start_ticks, keeper };
        let mut holder = Holder::Kept(KeptGroup::new(leader));
        if let Some(ended) = survivor.ended() {
            holder.ended(ended, Some(true));
        }
        self.leaders.insert(known.pid, process);
        self.children.insert(process, Child::new(holder, survivor.pipes, Vec::new()));
    }

    /// The keeper reported how a process ended.
    pub(crate) fn ended(&mut self, process: ProcessRef, ended: keeper::Ended, left: Option<bool>) {
        if let Some(child) = self.children.get_mut(&process) {
            child.group.ended(ended, left);
        }
    }

    /// A keeper was lost. What it started is this master's now, as far as the system has it so.
    pub(crate) fn keeper_lost(&mut self, keeper: i32) {
        let of_it = |child: &&mut Child| child.group.keeper() == Some(keeper);
        for child in self.children.values_mut().filter(of_it) {
            child.keeper_is_lost = true;
            if child.is_reaped {
                child.group.lead_no_more();
            } else {
                child.orphaned();
            }
        }
    }

    /// The keeper of a process was lost, as its watch says.
    pub(crate) fn orphaned(&mut self, process: ProcessRef) {
        if let Some(child) = self.children.get_mut(&process) {
            child.orphaned();
        }
    }

    /// A start came to nothing because a keeper was lost, which was a child of this process if it
    /// is given. Returns whether the process may have run and ended unnoticed: then the system
    /// keeps an ended child of this process that leads a session and has no name here.
    pub(crate) fn may_have_run(&mut self, keeper: Option<i32>) -> bool {
        self.not_started();
        let Some(keeper) = keeper else { return true };
        let is_named = |pid| pid == keeper || self.leaders.contains_key(&pid);
        ended_leaders().into_iter().any(|pid| !is_named(pid))
    }

    /// Another keeper runs.
    pub(crate) const fn keeper_is(&mut self, pid: i32) {
        if let Some(keeper) = &mut self.keeper {
            keeper.pid = pid;
        }
    }

    /// The process id of the keeper.
    pub(crate) fn keeper(&self) -> Option<i32> {
        self.keeper.as_ref().map(|keeper| keeper.pid)
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
    /// process is the last thing that can be done for it: it is forgotten. `run` is that of the process.
    pub(crate) fn signal(
        &mut self,
        (process, run): (ProcessRef, Option<RunId>),
        scope: Scope,
        signal: Signal,
    ) -> Signaled {
        let is_all = scope == Scope::Group;
        let adopted = if is_all { self.look() } else { Rc::default() };
        let control_group = self.groups.as_ref().zip(run).filter(|_| is_all);
        let members = control_group.map(|(groups, run)| groups.members(run)).unwrap_or_default();
        let Some(child) = self.children.get_mut(&process) else { return Signaled::Sent };
        if is_all {
            child.look_for_kin(&adopted, &members);
            for kin in &child.kin {
                kin.signal(number(signal));
                if needs_cont(signal) {
                    kin.signal(rustix::process::Signal::CONT);
                }
            }
        }
        if child.is_reaped {
            // No keeper is needed: what is left has no leader whose number could be reused.
            child.group.signal_left(scope, signal);
        } else {
            match (&child.group, &self.keeper) {
                (Holder::Own(group), _) => group.signal(scope, signal),
                (Holder::Kept(_), Some(keeper)) => {
                    child.ordered = Some((scope, signal));
                    keeper.signal(process, scope, signal);
                }
                (Holder::Kept(_), None) => {}
            }
        }
        if signal != Signal::KILL {
            return Signaled::Sent;
        }
        // After the signals: also what was started since the members were listed.
        if let Some((groups, run)) = control_group {
            groups.kill(run);
        }
        let was_killed = std::mem::replace(&mut child.is_killed, true);
        if child.is_reaped {
            self.forget(process);
            return Signaled::Over;
        }
        let held = if was_killed { child.what_holds() } else { None };
        held.map_or(Signaled::Sent, Signaled::Held)
    }

    /// Reaps a process that has ended. If no other process is left of it, it is forgotten. `run` is
    /// that of the process.
    pub(crate) fn reap(&mut self, process: ProcessRef, run: Option<RunId>) -> Ended {
        let leaders = &self.leaders;
        let child = self.children.get_mut(&process).expect("a child ends after it was started");
        let reaped = child.group.reap();
        let is_known = reaped.is_some();
        let reaped = reaped.unwrap_or(UNKNOWN);
        let (exit, has_lost_lease) = (reaped.exit, child.group.has_lost_lease());
        let note = self.oom_kills.explain(reaped, child.is_killed);
        let is_kept = leaders.contains_key(&child.group.pid());
        let note = if is_known || !is_kept { note } else { Some(NOT_KNOWN.to_owned()) };
        child.is_reaped = true;
        if child.keeper_is_lost {
            child.group.lead_no_more();
        }
        if self.keeper.is_none() || self.starting == 0 {
            reap_adopted(|pid| leaders.get(&pid).is_some_and(|leader| *leader != process));
        }
        let adopted = self.look();
        let control_group = self.groups.as_ref().zip(run);
        let members = control_group.map(|(groups, run)| groups.members(run)).unwrap_or_default();
        let child = self.children.get_mut(&process).expect("it was there just now");
        child.look_for_kin(&adopted, &members);
        let is_left = child.group.is_left() || !child.kin.is_empty();
        if !is_left {
            self.forget(process);
        }
        self.tell_of_strays(&adopted);
        Ended { exit, group_left: is_left, note, has_lost_lease }
    }

    /// Reaps what was adopted and has ended, but for leaders whose output is still to be read. While
    /// a keeper starts processes, an unknown one that has ended may be such a leader.
    pub(crate) fn reap_adopted(&self) {
        if self.keeper.is_none() || self.starting == 0 {
            reap_adopted(|pid| self.leaders.contains_key(&pid));
        }
    }

    /// Asks the adopted processes of no instance to end: the master is about to.
    pub(crate) fn terminate_strays(&mut self) {
        let adopted = self.look();
        self.strays = self.strays_among(&adopted);
        for stat in adopted.iter().filter(|stat| self.strays.contains_key(&stat.pid)) {
            let below = below(stat.pid);
            for kin in [stat].into_iter().chain(&below).filter_map(Kin::hold) {
                kin.signal(rustix::process::Signal::TERM);
                kin.signal(rustix::process::Signal::CONT);
            }
        }
    }

    fn forget(&mut self, process: ProcessRef) {
        if let Some(child) = self.children.remove(&process) {
            self.leaders.remove(&child.group.pid());
        }
    }

    /// What was adopted by the master or its keeper. Below a keeper that is looked up once a step:
    /// it is the parent of every process.
    fn look(&mut self) -> Rc<[Stat]> {
        let Some(keeper) = &self.keeper else { return adopted(|_| false).into() };
        if let Some(adopted) = &self.adopted {
            return Rc::clone(adopted);
        }
        let is_leader = |pid: i32| self.leaders.contains_key(&pid);
        let mut found = adopted(|pid| pid == keeper.pid || is_leader(pid));
        found.extend(adopted_by(keeper.pid, is_leader));
        // What is being started is no stray.
        let is_starting = self.starting > 0;
        found.retain(|stat| !(is_starting && stat.session == stat.pid));
        let found: Rc<[Stat]> = found.into();
        self.adopted = Some(Rc::clone(&found));
        found
    }

    fn strays_among(&self, adopted: &[Stat]) -> HashMap<i32, u64> {
        // Those in a control group end with its instance.
        let is_grouped = |pid| self.groups.as_ref().and_then(|groups| groups.run_of(pid)).is_some();
        let is_known = |stat: &Stat| {
            self.children.values().any(|child| child.has(stat)) || is_grouped(stat.pid)
        };
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
            // Those are found by other signs, and ended with their app.
            .filter(|pid| !is_of_an_app(*pid))
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

impl Keeper {
    fn signal(&self, process: ProcessRef, scope: Scope, signal: Signal) {
        let send = |signal| self.jobs.send(Job::Signal(process, scope, signal));
        send(signal).expect("the thread lives as long as the loop");
        if needs_cont(signal) {
            send(Signal::CONT).expect("the thread lives as long as the loop");
        }
    }
}

impl Child {
    const fn new(group: Holder, pipes: Outputs<u64>, kin: Vec<Kin>) -> Self {
        let (is_reaped, keeper_is_lost, is_killed, ordered) = (false, false, false, None);
        Self { group, pipes, is_reaped, keeper_is_lost, is_killed, ordered, kin }
    }

    /// Its keeper was lost: it is this master's now. The signal that the keeper may not have sent is
    /// sent again.
    fn orphaned(&mut self) {
        if let Some(group) = self.group.orphaned()
            && let Some((scope, signal)) = self.ordered.take()
        {
            group.signal(scope, signal);
        }
    }

    /// Looks again for what belongs to it outside its group. `members` are those of its control group.
    fn look_for_kin(&mut self, adopted: &[Stat], members: &[i32]) {
        let leader = self.group.pid();
        self.kin.retain(|kin| !kin.has_ended());
        let mut roots: Vec<Stat> =
            adopted.iter().filter(|stat| is_of(stat, leader, self.pipes)).copied().collect();
        let parents = self.kin.iter().map(|kin| kin.pid);
        let parents = parents.chain(roots.iter().map(|root| root.pid));
        let parents: Vec<i32> = parents.chain((!self.is_reaped).then_some(leader)).collect();
        for parent in parents {
            roots.extend(below(parent));
        }
        let members = members.iter().filter_map(|pid| Stat::read(*pid).ok());
        roots.extend(members.filter(|stat| !stat.has_ended()));
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
        is_of(stat, self.group.pid(), self.pipes) || self.kin.iter().any(|kin| kin.is(stat))
    }
}
