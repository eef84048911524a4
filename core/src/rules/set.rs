//! All rules of a master: their events and their timers.
//!
//! A rule cannot trigger itself. Events of EventRules reach no EventRule, and one cause changes a
//! DerivedEvent at most once, so the number of rules limits what follows from a cause.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::derived::{Derived, DerivedStatus};
use super::derived_spec::Field;
use super::event_rule::{EventRule, EventRuleStatus};
use super::spec::{Body, RuleKind, RuleRef, RuleSpec};
use crate::canary::{self, Canary};
use crate::event::{Draft, StoredEvent};
use crate::go::rfc3339_nano;
use crate::time::{Now, Time, Wall};

/// Reads a field of the status of a resource that is no rule: kind, name, key. Empty if there is
/// none.
pub type Statuses<'a> = &'a dyn Fn(&str, &str, &str) -> String;

/// A change of the rules: all of it or nothing.
#[derive(Clone, Debug, Default)]
pub struct RulesChange {
    /// Rules that are added, or replace one of the same kind and name.
    pub put: Vec<RuleSpec>,
    /// Rules that are removed.
    pub remove: Vec<RuleRef>,
}

/// The effect of a change on one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// There was none.
    Created,
    /// Its spec differs: its state is reset.
    Updated,
    /// Its spec is the same: it keeps its state.
    Unchanged,
    /// It is removed.
    Removed,
}

/// One line of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRule {
    /// Which rule.
    pub rule: RuleRef,
    /// The effect on it.
    pub change: Changed,
}

/// The current rules.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    pub(super) specs: BTreeMap<RuleRef, Arc<RuleSpec>>,
    pub(super) event_rules: BTreeMap<Arc<str>, EventRule>,
    pub(super) derived: BTreeMap<Arc<str>, Derived>,
    /// The DerivedEvents, each after those whose status it reads.
    order: Vec<Arc<str>>,
    generation: u64,
    last_change: Option<Wall>,
    /// Rules whose status changed since this was last asked for.
    touched: BTreeSet<RuleRef>,
}

/// The shown form of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleStatus {
    /// An EventRule.
    Event(EventRuleStatus),
    /// A DerivedEvent.
    Derived(DerivedStatus),
}

impl RuleSet {
    /// Restores stored rules. Their state is reset.
    pub fn restored(specs: Vec<RuleSpec>, generation: u64, last_change: Option<Wall>) -> Self {
        let mut set = Self::default();
        set.change(&RulesChange { put: specs, remove: Vec::new() });
        set.generation = generation;
        set.last_change = last_change;
        set
    }

    /// How often the rules were changed.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// When they were last changed.
    pub const fn last_change(&self) -> Option<Wall> {
        self.last_change
    }

    /// Every rule as it was applied, in the order of kind and name.
    pub fn specs(&self) -> impl Iterator<Item = &Arc<RuleSpec>> {
        self.specs.values()
    }

    /// One rule as it was applied.
    pub fn spec(&self, rule: &RuleRef) -> Option<&Arc<RuleSpec>> {
        self.specs.get(rule)
    }

    /// How many rules of a kind there are.
    pub fn count(&self, kind: RuleKind) -> usize {
        match kind {
            RuleKind::EventRule => self.event_rules.len(),
            RuleKind::DerivedEvent => self.derived.len(),
        }
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.specs.len()
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }

    /// The status of an EventRule.
    pub fn event_rule_status(&self, name: &str) -> Option<EventRuleStatus> {
        self.event_rules.get(name).map(EventRule::status)
    }

    /// The status of a DerivedEvent.
    pub fn derived_status(&self, name: &str) -> Option<DerivedStatus> {
        self.derived.get(name).map(Derived::status)
    }

    /// The status of any rule.
    pub fn status(&self, rule: &RuleRef) -> Option<RuleStatus> {
        match rule.kind {
            RuleKind::EventRule => self.event_rule_status(&rule.name).map(RuleStatus::Event),
            RuleKind::DerivedEvent => self.derived_status(&rule.name).map(RuleStatus::Derived),
        }
    }

    /// The rules whose status changed since this was last called.
    pub fn take_touched(&mut self) -> BTreeSet<RuleRef> {
        core::mem::take(&mut self.touched)
    }

    /// How many keys all rules remember.
    pub fn key_count(&self) -> usize {
        self.event_rules.values().map(EventRule::key_count).sum()
    }

    /// The effects of a change, sorted by kind and name. Changes nothing.
    pub fn plan(&self, change: &RulesChange) -> Vec<PlannedRule> {
        let mut planned = BTreeMap::new();
        for rule in change.remove.iter().filter(|rule| self.specs.contains_key(rule)) {
            planned.insert(rule.clone(), Changed::Removed);
        }
        for spec in &change.put {
            let change = match self.specs.get(&spec.rule) {
                None => Changed::Created,
                Some(old) if old.source == spec.source => Changed::Unchanged,
                Some(_) => Changed::Updated,
            };
            planned.insert(spec.rule.clone(), change);
        }
        planned.into_iter().map(|(rule, change)| PlannedRule { rule, change }).collect()
    }

    /// How many rules there would be after a change.
    pub fn len_after(&self, change: &RulesChange) -> usize {
        let mut rules: BTreeSet<&RuleRef> = self.specs.keys().collect();
        change.remove.iter().for_each(|rule| {
            rules.remove(rule);
        });
        rules.extend(change.put.iter().map(|spec| &spec.rule));
        rules.len()
    }

    /// Applies a change as one generation, and evaluates new DerivedEvents.
    pub fn apply(
        &mut self,
        now: Now,
        change: &RulesChange,
        statuses: Statuses<'_>,
        publish: &mut dyn FnMut(Draft) -> Arc<StoredEvent>,
    ) {
        self.change(change);
        self.generation += 1;
        self.last_change = Some(now.wall);
        self.follow(now, Vec::new(), statuses, publish);
    }

    fn change(&mut self, change: &RulesChange) {
        for rule in &change.remove {
            self.specs.remove(rule);
            match rule.kind {
                RuleKind::EventRule => drop(self.event_rules.remove(&rule.name)),
                RuleKind::DerivedEvent => drop(self.derived.remove(&rule.name)),
            }
        }
        for spec in &change.put {
            if self.specs.get(&spec.rule).is_some_and(|old| old.source == spec.source) {
                continue;
            }
            let (rule, name) = (spec.rule.clone(), Arc::clone(&spec.rule.name));
            match &spec.body {
                Body::Event(body) => {
                    self.event_rules.insert(name, EventRule::new(rule, Arc::clone(body)));
                }
                Body::Derived(body) => {
                    self.derived.insert(name, Derived::new(rule, Arc::clone(body)));
                }
            }
            self.specs.insert(spec.rule.clone(), Arc::new(spec.clone()));
            self.touched.insert(spec.rule.clone());
        }
        self.order = self.derived_order();
    }

    /// Each DerivedEvent after those that it reads; a cycle is cut where it is found first.
    fn derived_order(&self) -> Vec<Arc<str>> {
        let mut order = Vec::with_capacity(self.derived.len());
        let mut entered: BTreeSet<Arc<str>> = BTreeSet::new();
        // An explicit stack: a chain may be as long as there are rules.
        let mut stack: Vec<(Arc<str>, bool)> = Vec::new();
        for name in self.derived.keys() {
            stack.push((Arc::clone(name), false));
            while let Some((name, is_left)) = stack.pop() {
                if is_left {
                    order.push(name);
                    continue;
                }
                if !entered.insert(Arc::clone(&name)) {
                    continue;
                }
                let Some(rule) = self.derived.get(&name) else { continue };
                stack.push((name, true));
                let reads = rule.spec.fields().filter(|field| is_derived(field));
                for field in reads {
                    if let Some((read, _)) = self.derived.get_key_value(field.name.as_str())
                        && !entered.contains(read)
                    {
                        stack.push((Arc::clone(read), false));
                    }
                }
            }
        }
        order
    }

    /// Feeds an event to all rules. What they publish is stored by `publish`, which gives back the
    /// event with its place and time.
    pub fn on_event(
        &mut self,
        now: Now,
        event: &Arc<StoredEvent>,
        statuses: Statuses<'_>,
        publish: &mut dyn FnMut(Draft) -> Arc<StoredEvent>,
    ) {
        if !self.is_empty() {
            self.follow(now, Vec::from([Arc::clone(event)]), statuses, publish);
        }
    }

    /// When to call [`RuleSet::on_time`] next.
    pub fn next_due(&self) -> Option<Time> {
        let event_rules = self.event_rules.values().filter_map(EventRule::next_due);
        event_rules.chain(self.derived.values().filter_map(Derived::next_due)).min()
    }

    /// Fires the timers that are due.
    pub fn on_time(
        &mut self,
        now: Now,
        statuses: Statuses<'_>,
        publish: &mut dyn FnMut(Draft) -> Arc<StoredEvent>,
    ) {
        for rule in self.event_rules.values_mut() {
            while let Some(draft) = rule.on_time(now.mono, now.wall) {
                self.touched.insert(rule.reference().clone());
                publish(draft);
                if canary::is(Canary::RuleTimerPassedOver) {
                    break;
                }
            }
        }
        self.follow(now, Vec::new(), statuses, publish);
    }

    /// Applies `events` and all events that follow from them to all rules. Terminates: each
    /// DerivedEvent changes at most once.
    fn follow(
        &mut self,
        now: Now,
        mut events: Vec<Arc<StoredEvent>>,
        statuses: Statuses<'_>,
        publish: &mut dyn FnMut(Draft) -> Arc<StoredEvent>,
    ) {
        let mut changed = BTreeSet::new();
        loop {
            for event in events.drain(..) {
                for rule in self.event_rules.values_mut() {
                    if let Some(draft) = rule.on_event(now.mono, &event) {
                        self.touched.insert(rule.reference().clone());
                        publish(draft);
                    }
                }
            }
            for place in 0..self.order.len() {
                let name = Arc::clone(&self.order[place]);
                if changed.contains(&name) {
                    continue;
                }
                if let Some(draft) = self.evaluate(now, &name, statuses) {
                    changed.insert(name);
                    events.push(publish(draft));
                }
            }
            if events.is_empty() {
                return;
            }
        }
    }

    fn evaluate(&mut self, now: Now, name: &Arc<str>, statuses: Statuses<'_>) -> Option<Draft> {
        let rule = self.derived.get(name)?;
        let own = rule.status();
        // Of itself it reads what it was before.
        let read = |field: &Field| match field.kind.as_str() {
            "DerivedEvent" => {
                self.derived_status(&field.name).map_or_else(String::new, |s| s.field(&field.key))
            }
            "EventRule" => self.event_rule_field(&field.name, &field.key),
            kind => statuses(kind, &field.name, &field.key),
        };
        let (memory, draft) = rule.evaluate(now.mono, now.wall, &read);
        if memory != rule.memory {
            let rule = self.derived.get_mut(name)?;
            rule.memory = memory;
            if rule.status() != own {
                self.touched.insert(rule.reference().clone());
            }
        }
        draft
    }

    fn event_rule_field(&self, name: &str, key: &str) -> String {
        let Some(status) = self.event_rule_status(name) else { return String::new() };
        match key {
            "phase" => "Active".to_string(),
            "fireCount" => status.fire_count.to_string(),
            "lastFiredAt" => status.last_fired.map(rfc3339_nano).unwrap_or_default(),
            _ => String::new(),
        }
    }
}

fn is_derived(field: &Field) -> bool {
    field.kind == RuleKind::DerivedEvent.as_str()
}

#[cfg(test)]
#[path = "set_tests.rs"]
mod tests;
