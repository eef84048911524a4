//! What the machine orders, and what of it is durable.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde_json::Value;

use crate::doors::control::{ProcessEntry, Reply};
use crate::event::{StoredEvent, StoredId};
use crate::ids::{InstanceId, RecordSeq};
use crate::rules::{RuleRef, RuleSpec, RuleStatus};
use crate::time::Wall;

/// Who asked. Handed out by the driver, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// An order to the driver.
#[derive(Clone, Debug)]
pub enum ControlEffect {
    /// Make this durable and say so, in order.
    Keep(Kept),
    /// Append these events, which are durable, to the log that readers see.
    Show(Vec<Arc<StoredEvent>>),
    /// Let reads see this instance; its managed socket has its name.
    ShowProcess(ProcessEntry),
    /// The instance was deleted: remove it and its managed socket.
    RemoveProcess(InstanceId),
    /// The current process of the instance printed a checkpoint.
    SawCheckpoint(InstanceId, Wall),
    /// Let reads see this rule.
    ShowRule {
        /// Which.
        rule: RuleRef,
        /// Its spec as it was applied.
        source: Value,
        /// Its status.
        status: RuleStatus,
    },
    /// These are all rules.
    RulesInForce {
        /// Which.
        rules: BTreeSet<RuleRef>,
        /// How often they were changed.
        generation: u64,
        /// When they were last changed.
        last_change: Option<Wall>,
    },
    /// A rule that was kept cannot be read any more, and why.
    RuleLost(RuleRef, String),
    /// Whether events and changes can be made durable.
    Durable {
        /// Whether.
        is_durable: bool,
        /// Since when.
        time: Wall,
    },
    /// A note is durable, or could not be made so.
    Noted {
        /// Whose.
        ticket: Ticket,
        /// Whether it is durable.
        is_kept: bool,
    },
    /// Answer a request.
    Answer {
        /// Whose.
        ticket: Ticket,
        /// With what.
        reply: Reply,
    },
    /// A controller handled something.
    Ran {
        /// Its name.
        controller: &'static str,
        /// What it handled: a topic.
        trigger: String,
        /// What failed: the name of the instance, and why.
        error: Option<(String, String)>,
    },
}

/// What is made durable together.
#[derive(Clone, Debug)]
pub struct Kept {
    /// To be dropped if this epoch of events has failed.
    pub epoch: u32,
    /// The events, in order.
    pub events: Vec<Arc<StoredEvent>>,
    /// A change of the rules.
    pub rules: Option<RulesRecord>,
    /// The last place that is taken with it.
    pub upto: StoredId,
}

/// Events that are to be made durable in one piece with a change.
#[derive(Clone, Debug)]
pub struct Attached {
    /// The change.
    pub seq: RecordSeq,
    /// Its events.
    pub kept: Kept,
}

/// A change of the rules, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesRecord {
    /// The generation that it makes.
    pub generation: u64,
    /// When.
    pub time: Wall,
    /// Rules that are added or replaced.
    pub put: Vec<(RuleRef, KeptRule)>,
    /// Rules that are removed.
    pub remove: Vec<RuleRef>,
}

/// A rule, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRule {
    /// Its spec as it was applied, as JSON.
    pub source: String,
}

impl KeptRule {
    pub(super) fn of(spec: &RuleSpec) -> (RuleRef, Self) {
        (spec.rule.clone(), Self { source: spec.source.to_string() })
    }
}

/// All that is durable of the control API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlImage {
    /// The newest events, oldest first.
    pub events: VecDeque<Arc<StoredEvent>>,
    /// The place that comes next; 0 and 1 are the same.
    pub next_id: u64,
    /// The rules.
    pub rules: BTreeMap<RuleRef, KeptRule>,
    /// How often they were changed.
    pub generation: u64,
    /// When last.
    pub last_change: Option<Wall>,
    /// The age of each instance: a smaller number is older.
    pub ages: BTreeMap<InstanceId, u64>,
}

impl ControlImage {
    /// Takes in what was made durable; keeps the newest `events_max` events.
    pub fn apply(&mut self, kept: &Kept, events_max: usize) {
        for event in &kept.events {
            if self.events.back().is_none_or(|last| last.id < event.id) {
                self.events.push_back(Arc::clone(event));
            }
        }
        while self.events.len() > events_max {
            self.events.pop_front();
        }
        self.next_id = self.next_id.max(kept.upto.next().0);
        if let Some(change) = &kept.rules {
            for rule in &change.remove {
                self.rules.remove(rule);
            }
            self.rules.extend(change.put.iter().cloned());
            self.generation = change.generation;
            self.last_change = Some(change.time);
        }
    }

    /// An instance exists; one that is new is younger than all others.
    pub fn born(&mut self, id: InstanceId) {
        let next = self.ages.values().max().map_or(0, |age| age + 1);
        self.ages.entry(id).or_insert(next);
    }
}
