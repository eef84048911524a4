//! The events that hooks are run for, with their facts. `hook_runner` runs the hooks.

use std::fmt;
use std::sync::Arc;

use openctrl_core::doors::patrol::access::Group;
use openctrl_core::doors::patrol::config::HookName;
use openctrl_core::instance::{OpenRun, PastRun, RunShown};
use openctrl_core::time::Wall;

use super::sources::Sources;
use super::uuid::uuid;

/// Something that happened to a Patrol server, or to an app or a service of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub name: HookName,
    /// To which app or service; `None` for the server.
    pub subject: Option<(Group, String)>,
    /// The run that it is about, as the environment of a command.
    pub facts: Vec<(&'static str, String)>,
    /// The value of `x` in the configuration of the app, service or server, as JSON text; `None`
    /// if it has none.
    pub x: Option<Arc<str>>,
}

/// A closure of a library user.
pub(crate) type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// Additional variables for the app with this id.
pub(crate) type More = Arc<dyn Fn(&str) -> Vec<String> + Send + Sync>;

/// Additions of a library user to a configuration.
#[derive(Clone, Default)]
pub(crate) struct Extras {
    pub(crate) listener: Option<Listener>,
    pub(crate) args: Option<More>,
    pub(crate) env: Option<More>,
    pub(crate) sources: Sources,
}

impl fmt::Debug for Extras {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Extras")
    }
}

impl Event {
    /// Something that happened to the server.
    pub(super) const fn of_server(name: HookName) -> Self {
        Self { name, subject: None, facts: Vec::new(), x: None }
    }

    /// Something that happened to an app or service without a run.
    pub(super) fn of(name: HookName, group: Group, id: &str) -> Self {
        Self { name, subject: Some((group, id.to_owned())), facts: Vec::new(), x: None }
    }

    fn of_run(name: HookName, group: Group, id: &str, run: &OpenRun) -> Self {
        let facts = vec![
            ("PATROL_INSTANCE", uuid(run.id)),
            ("PATROL_PID", run.pid.to_string()),
            ("PATROL_STARTED", seconds(run.started)),
        ];
        Self { facts, ..Self::of(name, group, id) }
    }

    fn of_past(group: Group, id: &str, run: &PastRun) -> Self {
        let facts = vec![
            ("PATROL_INSTANCE", uuid(run.id)),
            ("PATROL_PID", run.pid.to_string()),
            ("PATROL_STARTED", seconds(run.started)),
            ("PATROL_STOPPED", seconds(run.stopped)),
            ("PATROL_EXIT_CODE", run.exit_code.to_string()),
            ("PATROL_RESTART", run.restart.to_string()),
            ("PATROL_DISABLED", run.disabled.to_string()),
            ("PATROL_SHUTDOWN", run.shutdown.to_string()),
        ];
        Self { facts, ..Self::of(HookName::Closed, group, id) }
    }

    /// The environment of a command.
    pub(super) fn variables(&self) -> Vec<(String, String)> {
        let mut variables = vec![("PATROL_HOOK".to_owned(), self.name.as_str().to_owned())];
        if let Some((group, id)) = &self.subject {
            variables.push(("PATROL_GROUP".to_owned(), group.as_str().to_owned()));
            variables.push(("PATROL_ID".to_owned(), id.clone()));
        }
        variables
            .extend(self.facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        variables
    }

    /// To what it happened, in words.
    pub(super) fn whose(&self) -> String {
        match &self.subject {
            Some((group, id)) => format!("{} {id}", group.as_str()),
            None => "the server".to_owned(),
        }
    }
}

/// What happened between two times that an instance was shown, in the order of Patrol's triggers.
pub(super) fn changes(
    group: Group,
    id: &str,
    before: Option<&RunShown>,
    after: &RunShown,
) -> Vec<Event> {
    let mut events = Vec::new();
    let Some(before) = before else {
        return after
            .run
            .iter()
            .map(|run| Event::of_run(HookName::Started, group, id, run))
            .collect();
    };
    let last = before.past.back().map(|run| run.id);
    let is_old = |run: &&Arc<PastRun>| Some(run.id) != last;
    let mut ended: Vec<&Arc<PastRun>> = after.past.iter().rev().take_while(is_old).collect();
    ended.reverse();
    events.extend(ended.into_iter().map(|run| Event::of_past(group, id, run)));
    let was = before.run.as_ref();
    if let Some(run) = &after.run {
        let is_same = was.is_some_and(|was| was.id == run.id);
        if !is_same {
            let name = if after.by_report { HookName::StartedPinged } else { HookName::Started };
            events.push(Event::of_run(name, group, id, run));
        } else if after.by_report && was.is_some_and(|was| was.last_seen != run.last_seen) {
            events.push(Event::of_run(HookName::Pinged, group, id, run));
        }
    }
    if after.draining && !before.draining {
        events.push(Event::of(HookName::Shutdown, group, id));
    }
    events
}

/// The state of an app or service at a tick.
pub(super) fn at_tick(group: Group, id: &str, shown: &RunShown) -> Option<Event> {
    match &shown.run {
        Some(run) => Some(Event::of_run(HookName::Running, group, id, run)),
        None if shown.desired.goal == openctrl_core::instance::Goal::Down => {
            Some(Event::of(HookName::Disabled, group, id))
        }
        None => None,
    }
}

fn seconds(at: Wall) -> String {
    (at.as_micros() / 1_000_000).to_string()
}
