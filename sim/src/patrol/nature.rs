//! The processes of the machine: those of apps, in groups, and strangers; pid files; and whether a
//! service is up.
//!
//! Numbers are used again. Whose a process is, is known here alone: the engine is told only what a
//! driver can prove.

use std::collections::{BTreeMap, BTreeSet};

use openctrl_core::engine::Input;
use openctrl_core::ids::ProcessRef;
use openctrl_core::process::{Exit, Identity, Scope, Signal};

use super::config::App;
use crate::choice::Choices;

/// What a process does with a signal that it can handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manners {
    Exits,
    Ignores,
    /// At USR2 it leaves a copy of itself and exits; at others it exits.
    Forks,
}

/// A process.
#[derive(Clone, Debug)]
pub(super) struct Being {
    pub(super) identity: Identity,
    /// Whose it is; a stranger is nobody's.
    pub(super) of: Option<App>,
    /// The process of the engine that it is, if the master is its parent.
    pub(super) child_of: Option<ProcessRef>,
    /// Whether an earlier master was its parent, and the next one takes it over.
    is_left: bool,
    group: u32,
    manners: Manners,
    /// Whether it is about to exit, and how.
    pub(super) dying: Option<Exit>,
}

/// What stands in a pid file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PidFile {
    Absent,
    /// Not all of a number yet, or anything else.
    Torn,
    Number(u32),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Nature {
    pub(super) beings: Vec<Being>,
    /// What the master will be told, by and by.
    pub(super) reports: Vec<Input>,
    /// The processes that it watches beside its children.
    tracked: BTreeMap<ProcessRef, Identity>,
    /// The group that each of its processes leads or led.
    groups: BTreeMap<ProcessRef, u32>,
    pub(super) files: BTreeMap<App, PidFile>,
    /// Whether a service is up.
    pub(super) up: BTreeMap<App, bool>,
    /// Whose process each is that the master started or took over, also when its instance is deleted.
    owners: BTreeMap<ProcessRef, App>,
    free: Vec<u32>,
    /// Numbers that strangers have and processes of apps had.
    reused: BTreeSet<u32>,
    ticks: u64,
    last_pid: u32,
}

impl Nature {
    /// A process comes into being; its number may be one that another had.
    fn begin(&mut self, of: Option<App>, group: Option<u32>, manners: Manners) -> Identity {
        self.ticks += 1;
        let reused = if of.is_none() { self.free.pop() } else { None };
        self.reused.extend(reused);
        self.last_pid += u32::from(reused.is_none());
        let pid = reused.unwrap_or(100 + self.last_pid);
        let identity = Identity { pid, start_ticks: self.ticks };
        let group = group.unwrap_or(pid);
        self.beings.push(Being {
            identity,
            of,
            child_of: None,
            is_left: false,
            group,
            manners,
            dying: None,
        });
        identity
    }

    /// The master started a process for an instance.
    pub(super) fn born(&mut self, process: ProcessRef, of: App, manners: Manners) -> Identity {
        let identity = self.begin(Some(of), None, manners);
        self.groups.insert(process, identity.pid);
        self.owners.insert(process, of);
        let being = self.beings.last_mut().expect("it was just added");
        being.child_of = Some(process);
        identity
    }

    /// A process that has nothing to do with the master.
    pub(super) fn stranger(&mut self) -> Identity {
        self.begin(None, None, Manners::Ignores)
    }

    /// A process of an app starts another one, maybe in a group of its own.
    pub(super) fn fork(&mut self, parent: usize, leads: bool) {
        let Being { of, group, manners, .. } = self.beings[parent].clone();
        self.begin(of, if leads { None } else { Some(group) }, manners);
    }

    /// The master is killed. Its ledger has the newest child of each app; the next master takes
    /// over those of apps that it knows, and ends the others. Returns whose it takes over.
    pub(super) fn left_behind(&mut self, is_known: impl Fn(App) -> bool) -> Vec<App> {
        self.reports.clear();
        self.tracked.clear();
        self.groups.clear();
        self.owners.clear();
        let mut left: Vec<App> = Vec::new();
        for being in self.beings.iter_mut().rev() {
            let of = being.child_of.take().and(being.of);
            being.is_left = of.is_some_and(|of| is_known(of) && !left.contains(&of));
            left.extend(of.filter(|_| being.is_left));
            if of.is_some_and(|of| !is_known(of)) {
                being.dying = Some(Exit::Signal(9));
            }
        }
        left.sort_unstable();
        left
    }

    /// A new master takes over the child of an earlier one.
    pub(super) fn adopt(&mut self, process: ProcessRef, of: App) {
        let old = self.beings.iter_mut().find(|one| one.of == Some(of) && one.is_left);
        let old = old.expect("the master was told of just these");
        (old.is_left, old.child_of) = (false, Some(process));
        self.groups.insert(process, old.group);
        self.owners.insert(process, of);
    }

    /// Whose process the master started or took over under this name.
    pub(super) fn owner(&self, process: ProcessRef) -> Option<App> {
        self.owners.get(&process).copied()
    }

    /// Whose process has this number, if that is proven to be the instance's.
    pub(super) fn prove(&self, of: App, pid: u32) -> Option<Identity> {
        let mut all = self.beings.iter();
        let found = all.find(|one| one.identity.pid == pid)?;
        (found.of == Some(of)).then_some(found.identity)
    }

    /// Whether the process of this number, if there is one, has it from another one.
    pub(super) fn is_used_again(&self, pid: u32) -> Option<bool> {
        let is_there = self.beings.iter().any(|one| one.identity.pid == pid);
        is_there.then(|| self.reused.contains(&pid))
    }

    /// The master watches a process, for one of its own.
    pub(super) fn track(&mut self, process: ProcessRef, identity: Identity) {
        self.tracked.insert(process, identity);
        if !self.lives(identity) {
            self.reports.push(Input::TrackedGone { process, identity });
        }
    }

    pub(super) fn lives(&self, identity: Identity) -> bool {
        self.beings.iter().any(|one| one.identity == identity)
    }

    /// A process of this slot that the master started or watches, and that is not told to end.
    pub(super) fn living_of(&self, process: ProcessRef) -> Option<Identity> {
        let is_watched = |one: &Being| {
            let watched = self.tracked.iter().filter(|(of, _)| of.slot == process.slot);
            one.child_of.is_some_and(|of| of.slot == process.slot)
                || watched.map(|(_, identity)| *identity).any(|it| it == one.identity)
        };
        let found = self.beings.iter().find(|one| one.dying.is_none() && is_watched(one));
        found.map(|one| one.identity)
    }

    /// Whether the master started or watches a process under one of its names.
    pub(super) fn is_watched(&self, being: &Being) -> bool {
        being.child_of.is_some() || self.tracked.values().any(|one| *one == being.identity)
    }

    /// Delivers a signal as the driver does. Returns whom it reached.
    pub(super) fn signal(
        &mut self,
        process: ProcessRef,
        scope: Scope,
        signal: Signal,
    ) -> Vec<(Identity, Option<App>)> {
        let group = self.groups.get(&process).copied().filter(|_| scope == Scope::Group);
        let tracked = self.tracked.get(&process).copied();
        let tracked_group = tracked.map(|one| one.pid).filter(|_| scope == Scope::Group);
        let tracked_lives = tracked.is_some_and(|one| self.lives(one));
        let is_hit = |one: &Being| {
            one.child_of == Some(process)
                || (group == Some(one.group) && one.of.is_some())
                || tracked == Some(one.identity)
                || (tracked_lives && tracked_group == Some(one.group))
        };
        let hit: Vec<usize> =
            (0..self.beings.len()).filter(|place| is_hit(&self.beings[*place])).collect();
        for place in &hit {
            self.receive(*place, signal);
        }
        hit.iter().map(|place| (self.beings[*place].identity, self.beings[*place].of)).collect()
    }

    fn receive(&mut self, place: usize, signal: Signal) {
        let manners = self.beings[place].manners;
        if signal == Signal::USR2 && manners == Manners::Forks && self.beings[place].dying.is_none()
        {
            self.fork(place, false);
        }
        if signal == Signal::KILL {
            self.beings[place].dying = Some(Exit::Signal(9));
        } else if manners != Manners::Ignores && self.beings[place].dying.is_none() {
            self.beings[place].dying = Some(Exit::Code(10));
        }
    }

    /// A process exits. What the master sees of it is reported later.
    pub(super) fn die(&mut self, place: usize, exit: Exit) {
        let being = self.beings.remove(place);
        self.free.push(being.identity.pid);
        let exit = being.dying.unwrap_or(exit);
        if let Some(process) = being.child_of {
            let group_left = self.beings.iter().any(|one| one.group == being.group);
            self.reports.push(Input::ProcessExited { process, exit, group_left });
        }
        for (process, identity) in &self.tracked {
            if *identity == being.identity {
                let (process, identity) = (*process, *identity);
                self.reports.push(Input::TrackedGone { process, identity });
            }
        }
    }

    /// What a process does by itself.
    pub(super) fn stir(&mut self, choices: &mut Choices) {
        let count = self.beings.len();
        if count == 0 {
            return;
        }
        let place = choices.below(count);
        match choices.below(4) {
            0 => self.fork(place, choices.one_in(2)),
            _ => self.die(place, Exit::Code(i32::from(choices.byte() % 3))),
        }
    }
}
