//! The data of the door: every resource as last shown, the stored events, the controllers. Reads
//! are answered from it; all of it is durable.

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::sync::Arc;

use serde_json::Value;

use super::controllers::Controllers;
use crate::event::{EventLog, EventSubject};
use crate::go::rfc3339_nano;
use crate::ids::InstanceId;
use crate::instance::End;
use crate::process::Exit;
use crate::resource::ResourceState;
use crate::rules::{RuleRef, RuleStatus};
use crate::time::Wall;

/// The model.
#[derive(Clone, Debug)]
pub struct ControlModel {
    pub(super) processes: BTreeMap<InstanceId, Arc<ProcessEntry>>,
    pub(super) by_name: BTreeMap<Arc<str>, InstanceId>,
    pub(super) rules: BTreeMap<RuleRef, RuleEntry>,
    pub(super) generation: u64,
    pub(super) last_change: Option<Wall>,
    /// Since when changes cannot be made durable, if they cannot.
    pub(super) not_durable: Option<Wall>,
    /// The stored events.
    pub log: EventLog,
    /// The controllers.
    pub controllers: Controllers,
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessEntry {
    /// Its id.
    pub id: InstanceId,
    /// Its name now.
    pub name: Arc<str>,
    /// Its alias.
    pub alias: String,
    /// The scheme of its URL.
    pub scheme: String,
    /// Its URL, as it was given.
    pub url: String,
    /// Whether it is started again after a failure.
    pub restart: bool,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// How often its definition was changed.
    pub generation: u64,
    /// Its phase and conditions.
    pub state: ResourceState,
    /// The error, in words; may be empty.
    pub message: String,
}

/// Reads the figures of an instance.
pub type Figures<'a> = &'a dyn Fn(InstanceId) -> Observed;

/// Figures of an instance and its process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The process that is alive.
    pub pid: Option<i32>,
    /// Number of started processes.
    pub starts: u64,
    /// How many of them by the restart timer.
    pub restarts: u64,
    /// Number of exited processes.
    pub exits: u64,
    /// How the last one exited.
    pub last_exit: Option<End>,
    /// When the next restart is due.
    pub next_restart: Option<Wall>,
    /// `mode`, `ping`, `pool`, `tcps`, `udps` of the last checkpoint.
    pub gauges: [i32; 5],
    /// `tcprx`, `tcptx`, `udprx`, `udptx`.
    pub totals: [u64; 4],
    /// When the current process last printed a checkpoint.
    pub last_checkpoint: Option<Wall>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleEntry {
    /// Its spec as it was applied.
    pub source: Arc<Value>,
    /// Its status.
    pub status: RuleStatus,
}

impl ControlModel {
    /// Nothing yet. Keeps `events_max` events.
    pub fn new(events_max: usize, started: Wall) -> Self {
        Self {
            processes: BTreeMap::new(),
            by_name: BTreeMap::new(),
            rules: BTreeMap::new(),
            generation: 0,
            last_change: None,
            not_durable: None,
            log: EventLog::new(events_max),
            controllers: Controllers::new(started),
        }
    }

    /// Shows the current instance. Returns its previous name, if it was another.
    pub fn put_process(&mut self, entry: impl Into<Arc<ProcessEntry>>) -> Option<Arc<str>> {
        let entry = entry.into();
        let (id, name) = (entry.id, Arc::clone(&entry.name));
        let old = self.processes.insert(id, entry);
        let previous = old.map(|old| Arc::clone(&old.name)).filter(|old| *old != name);
        if let Some(previous) = &previous
            && self.by_name.get(previous) == Some(&id)
        {
            self.by_name.remove(previous);
        }
        self.by_name.insert(name, id);
        previous
    }

    /// The instance was deleted.
    pub fn remove_process(&mut self, id: InstanceId) {
        if let Some(entry) = self.processes.remove(&id)
            && self.by_name.get(&entry.name) == Some(&id)
        {
            self.by_name.remove(&entry.name);
        }
        self.log.forget(id);
    }

    /// Shows the current rule.
    pub fn put_rule(&mut self, rule: RuleRef, entry: RuleEntry) {
        self.rules.insert(rule, entry);
    }

    /// Since when changes cannot be made durable, if they cannot.
    pub const fn not_durable(&self) -> Option<Wall> {
        self.not_durable
    }

    /// Whether changes can be made durable, from `time` on.
    pub const fn set_durable(&mut self, is_durable: bool, time: Wall) {
        self.not_durable = match self.not_durable {
            _ if is_durable => None,
            Some(since) => Some(since),
            None => Some(time),
        };
    }

    /// Removes every rule but these.
    pub fn keep_rules(&mut self, rules: &BTreeSet<RuleRef>) {
        self.rules.retain(|rule, _| rules.contains(rule));
    }

    /// How often rules were changed, and when last.
    pub const fn set_generation(&mut self, generation: u64, last_change: Option<Wall>) {
        self.generation = generation;
        self.last_change = last_change;
    }

    /// An instance.
    pub fn process(&self, id: InstanceId) -> Option<&Arc<ProcessEntry>> {
        self.processes.get(&id)
    }

    /// Every instance, in the order of ids.
    pub fn processes(&self) -> impl Iterator<Item = &Arc<ProcessEntry>> {
        self.processes.values()
    }

    /// The instance of this name or id.
    pub fn find_process(&self, text: &str) -> Option<&Arc<ProcessEntry>> {
        let by_id = || InstanceId::parse(text);
        let id = self.by_name.get(text).copied().or_else(by_id)?;
        self.processes.get(&id)
    }
}

impl ProcessEntry {
    /// The name of its daemon.
    pub(super) fn daemon_name(&self) -> String {
        alloc::format!("openctrl-process-{}", self.name)
    }

    /// Whose history its events belong to.
    pub(super) const fn subject(&self) -> EventSubject {
        EventSubject::Process(self.id)
    }
}

impl Observed {
    /// The same as texts of their own.
    pub(super) fn owned_texts(&self) -> BTreeMap<&'static str, String> {
        self.texts().into_iter().map(|(name, text)| (name, text.into_owned())).collect()
    }

    /// All figures that there are, as text, in the order of their names.
    pub(super) fn texts(&self) -> BTreeMap<&'static str, Cow<'_, str>> {
        let mut texts: BTreeMap<&'static str, Cow<'_, str>> = BTreeMap::new();
        let numbers = [("starts", self.starts), ("restarts", self.restarts), ("exits", self.exits)];
        let totals = ["tcprx", "tcptx", "udprx", "udptx"].into_iter().zip(self.totals);
        for (name, number) in numbers.into_iter().chain(totals) {
            texts.insert(name, Cow::Owned(number.to_string()));
        }
        for (name, gauge) in ["mode", "ping", "pool", "tcps", "udps"].into_iter().zip(self.gauges) {
            texts.insert(name, Cow::Owned(gauge.to_string()));
        }
        if let Some(pid) = self.pid {
            texts.insert("pid", Cow::Owned(pid.to_string()));
        }
        if let Some(exit) = &self.last_exit {
            texts.insert("lastExit", Cow::Owned(end_text(exit)));
        }
        for (name, time) in
            [("nextRestart", self.next_restart), ("lastCheckpoint", self.last_checkpoint)]
        {
            if let Some(time) = time {
                texts.insert(name, Cow::Owned(rfc3339_nano(time)));
            }
        }
        texts
    }
}

/// The end of a process in words.
fn end_text(end: &End) -> String {
    match end {
        End::Own(exit) | End::Requested(exit) => match exit {
            Exit::Code(code) => alloc::format!("code {code}"),
            Exit::Signal(signal) => alloc::format!("signal {signal}"),
        },
        End::NotStarted(reason) => alloc::format!("not started: {reason}"),
    }
}
