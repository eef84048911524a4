//! The last observed state of one instance, and the facts that follow from its changes, in order.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::doors::control::ProcessEntry;
use crate::ids::ProcessRef;
use crate::instance::{Definition, End, Health, Instance, Process, Reason, State};
use crate::process::Exit;
use crate::resource::{Activity, Ending, Fact, ResourceState, Situation, Trouble};
use crate::time::{Now, Time, Wall};

/// An instance as it was last seen.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) definition: Arc<Definition>,
    /// The newest pending definition.
    pub(super) staged: Option<Arc<Definition>>,
    pub(super) state: ResourceState,
    pub(super) message: String,
    pub(super) seen: Seen,
}

/// All that a look compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) state: State,
    pub(super) starts: u64,
    pub(super) failures: u64,
    pub(super) exits: u64,
    pub(super) next_restart: Option<(Wall, u64)>,
    pub(super) checkpoint_seen: bool,
    pub(super) last_checkpoint: Option<Time>,
    pub(super) trouble: Trouble,
}

/// The result of an observation.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// What happened, in order.
    pub(super) facts: Vec<Fact>,
    /// Whether its definition changed.
    pub(super) is_redefined: bool,
    /// Whether its state changed.
    pub(super) is_changed: bool,
    /// Whether the process printed a checkpoint.
    pub(super) saw_checkpoint: bool,
}

impl Known {
    /// An instance that is seen for the first time, and its first fact.
    pub(super) fn new(instance: &Instance, now: Now) -> (Self, Fact) {
        let seen = Seen::of(instance);
        let (state, fact) = ResourceState::new(seen.situation(), now.wall);
        let definition = Arc::clone(instance.definition());
        (Self { definition, staged: None, state, message: String::new(), seen }, fact)
    }

    /// Looks at the instance again.
    pub(super) fn look(
        &mut self,
        instance: &Instance,
        now: Now,
        pid_of: &mut dyn FnMut(ProcessRef) -> Option<i32>,
    ) -> Look {
        let seen = Seen::of(instance);
        let mut look = Look::default();
        if !Arc::ptr_eq(&self.definition, instance.definition()) {
            self.definition = Arc::clone(instance.definition());
            look.is_redefined = true;
            if instance.versions().staged().is_none() {
                self.staged = None;
            }
        }
        look.saw_checkpoint =
            seen.last_checkpoint.is_some() && seen.last_checkpoint != self.seen.last_checkpoint;
        if seen == self.seen {
            return look;
        }
        let last_end = instance.facts().last_exit.as_ref().map(|last| &last.end);
        if seen.exits > self.seen.exits {
            look.facts.extend(last_end.and_then(ended));
        }
        if seen.failures > self.seen.failures
            && let Some(End::NotStarted(reason)) = last_end
        {
            look.facts.push(Fact::StartFailed(reason.to_string()));
        }
        if let Some((at, delay_ms)) = seen.next_restart
            && seen.next_restart != self.seen.next_restart
        {
            look.facts.push(Fact::RestartScheduled(at, delay_ms));
        }
        if seen.starts > self.seen.starts {
            self.state.begin_process();
            let alive = instance.facts().alive.map(|(process, _)| process);
            look.facts.push(Fact::Started(alive.and_then(pid_of)));
        }
        look.facts.extend(self.state.observe(seen.situation(), now.wall));
        self.message = message(instance, &seen);
        self.seen = seen;
        look.is_changed = true;
        look
    }

    /// It as reads see it.
    pub(super) fn entry(&self, name: &Arc<str>) -> Arc<ProcessEntry> {
        let definition = &self.definition;
        Arc::new(ProcessEntry {
            id: definition.id,
            name: Arc::clone(name),
            alias: definition.alias.clone(),
            scheme: definition.url().scheme().to_string(),
            url: definition.url().as_str().to_string(),
            restart: definition.restarts(),
            tags: definition.meta.tags.clone(),
            generation: definition.revision.0,
            state: self.state,
            message: self.message.clone(),
        })
    }
}

impl Seen {
    fn of(instance: &Instance) -> Self {
        let facts = instance.facts();
        Self {
            state: instance.state(),
            starts: facts.starts,
            failures: facts.failures,
            exits: facts.exits,
            next_restart: facts.next_restart,
            checkpoint_seen: instance.meters().last_checkpoint().is_some(),
            last_checkpoint: instance.meters().last_checkpoint(),
            trouble: trouble(&facts.reason),
        }
    }

    fn situation(&self) -> Situation {
        Situation {
            activity: activity(self.state),
            trouble: self.trouble,
            restart_due: self.next_restart.is_some(),
            checkpoint_seen: self.checkpoint_seen,
        }
    }
}

/// The row of the control API's table for a state.
const fn activity(state: State) -> Activity {
    match (state.process, state.health) {
        (Process::Absent, Health::Failed) => Activity::Failed,
        (Process::Absent, _) => Activity::Stopped,
        (Process::Spawning, _) => Activity::Starting,
        (Process::Live, Health::Failing | Health::Failed) => Activity::Failing,
        (Process::Live, Health::Well | Health::Unknown) => Activity::Running,
        (Process::Cancelled | Process::Ending, _) => Activity::Ending,
    }
}

/// The error, from the reason of the status.
const fn trouble(reason: &Reason) -> Trouble {
    match reason {
        Reason::Silent { .. } | Reason::NotLive(_) | Reason::NotReady { .. } => Trouble::FellSilent,
        Reason::Complained(_) => Trouble::ErrorLogged,
        Reason::NotStarted(_) => Trouble::StartFailed,
        Reason::Exited(Exit::Signal(_)) | Reason::LeaseExpired => Trouble::Killed,
        Reason::Exited(Exit::Code(_))
        | Reason::None
        | Reason::Stopping(_)
        | Reason::FileChanged(_)
        | Reason::CannotEnd { .. }
        | Reason::Stopped(_) => Trouble::Exited,
    }
}

/// The exit of a process as a fact: a requested one, or one with exit code 0, is not a crash.
fn ended(end: &End) -> Option<Fact> {
    let ending = |exit: &Exit| match exit {
        Exit::Code(code) => Ending::Code(*code),
        Exit::Signal(signal) => Ending::Signal(*signal),
    };
    match end {
        End::Requested(exit) | End::Own(exit @ Exit::Code(0)) => Some(Fact::Stopped(ending(exit))),
        End::Own(exit) => Some(Fact::Crashed(ending(exit))),
        End::NotStarted(_) => None,
    }
}

/// The error, in words.
pub(super) fn message(instance: &Instance, seen: &Seen) -> String {
    match activity(seen.state) {
        Activity::Failing | Activity::Failed => instance.facts().reason.to_string(),
        Activity::Starting | Activity::Running | Activity::Ending | Activity::Stopped => {
            String::new()
        }
    }
}

/// The shown fields of a definition that differ, sorted; empty if none does. An alias that changes
/// the name is reported as a new name.
pub(super) fn changed_fields(old: &Definition, new: &Definition, is_renamed: bool) -> String {
    let differences: BTreeMap<&str, bool> = BTreeMap::from([
        ("alias", old.alias != new.alias && !is_renamed),
        ("peer", old.meta.peer != new.meta.peer),
        ("restart", old.restarts() != new.restarts()),
        ("tags", old.meta.tags != new.meta.tags),
        ("url", old.url().as_str() != new.url().as_str()),
    ]);
    let changed: Vec<&str> =
        differences.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
    changed.join(",")
}
