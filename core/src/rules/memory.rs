//! What rules remember as plain data, and back.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::derived::DerivedMemory;
use super::event_rule::EventRuleStatus;
use super::event_rule_spec::Correlation;
use super::keys::Keys;
use super::operator::KeyState;
use super::set::RuleSet;
use super::spec::{Body, RuleSpec};
use crate::time::{Time, Wall};

/// A rule and what it remembers.
#[derive(Clone, Debug)]
pub struct RuleMemory {
    /// The rule.
    pub spec: Arc<RuleSpec>,
    /// What it remembers.
    pub memory: Memory,
}

/// What a rule remembers.
#[derive(Clone, Debug)]
pub enum Memory {
    /// An EventRule: its status, and its keys, the one that was not seen for the longest first.
    Event(EventRuleStatus, Vec<KeyMemory>),
    /// A DerivedEvent.
    Derived(DerivedMemory),
}

/// A key of an EventRule.
#[derive(Clone, Debug)]
pub struct KeyMemory {
    /// The key.
    pub key: Arc<str>,
    /// When its timer is due.
    pub due: Option<Time>,
    /// What it remembers.
    pub state: KeyState,
}

/// What the keys of a rule are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correlated {
    /// Names of instances.
    ByName,
    /// Commands.
    ByCommand,
    /// One of a few words, a number or a time.
    ByWord,
}

impl RuleSpec {
    /// What its keys are.
    pub fn correlated(&self) -> Correlated {
        let Body::Event(spec) = &self.body else { return Correlated::ByWord };
        match &spec.correlation {
            Correlation::ResourceName | Correlation::DaemonInstance => Correlated::ByName,
            Correlation::Attribute(name) => match name.as_str() {
                "name" | "previousName" => Correlated::ByName,
                "command" => Correlated::ByCommand,
                _ => Correlated::ByWord,
            },
            Correlation::None
            | Correlation::ResourceKind
            | Correlation::ResourceApiVersion
            | Correlation::DaemonKind => Correlated::ByWord,
        }
    }

    /// Whether it compares the message of an instance with a text.
    pub fn compares_messages(&self) -> bool {
        let Body::Derived(spec) = &self.body else { return false };
        spec.predicates().any(|predicate| {
            let field = predicate.field.as_ref();
            predicate.equals.is_some() && field.is_some_and(|field| field.key == "message")
        })
    }
}

impl RuleSet {
    /// Every rule with what it remembers, in the order of kind and name.
    pub fn memories(&self) -> Vec<RuleMemory> {
        let memory = |spec: &Arc<RuleSpec>| {
            let name = &spec.rule.name;
            let memory = match &spec.body {
                Body::Event(_) => {
                    let rule = self.event_rules.get(name)?;
                    Memory::Event(rule.status(), rule.keys.memories())
                }
                Body::Derived(_) => Memory::Derived(self.derived.get(name)?.memory),
            };
            Some(RuleMemory { spec: Arc::clone(spec), memory })
        };
        self.specs.values().filter_map(memory).collect()
    }

    /// The rules that remember this. Memory of the other kind of rule is ignored.
    pub fn remembering(rules: Vec<RuleMemory>, generation: u64, last_change: Option<Wall>) -> Self {
        let specs = rules.iter().map(|rule| RuleSpec::clone(&rule.spec)).collect();
        let mut set = Self::restored(specs, generation, last_change);
        set.take_touched();
        for RuleMemory { spec, memory } in rules {
            let name = &spec.rule.name;
            match (memory, &spec.body) {
                (Memory::Event(status, keys), Body::Event(_)) => {
                    if let Some(rule) = set.event_rules.get_mut(name) {
                        (rule.status, rule.keys) = (status, Keys::remembering(keys));
                    }
                }
                (Memory::Derived(memory), Body::Derived(_)) => {
                    if let Some(rule) = set.derived.get_mut(name) {
                        rule.memory = memory;
                    }
                }
                (Memory::Event(..), Body::Derived(_)) | (Memory::Derived(_), Body::Event(_)) => {}
            }
        }
        set
    }
}

impl Keys<KeyState> {
    fn memories(&self) -> Vec<KeyMemory> {
        let memory = |(key, due, state): (&Arc<str>, Option<Time>, &KeyState)| KeyMemory {
            key: Arc::clone(key),
            due,
            state: state.clone(),
        };
        self.in_order().map(memory).collect()
    }

    fn remembering(memories: Vec<KeyMemory>) -> Self {
        let mut keys = Self::default();
        for KeyMemory { key, due, state } in memories {
            keys.restore(key, due, state);
        }
        keys
    }
}
