//! An EventRule at work: its keys, its timers, its status, and the events that it publishes.

use alloc::borrow::Cow;
use alloc::string::ToString;
use alloc::sync::Arc;

use super::event_rule_spec::{EventRuleSpec, Operator};
use super::keys::Keys;
use super::operator::{KeyState, concerns};
use super::spec::{API_VERSION, RuleKind, RuleRef};
use super::template::{Context, cut, expand};
use crate::event::{Attributes, DaemonRef, Draft, ResourceRef, Severity, StoredEvent};
use crate::time::{Time, Wall};

/// The status of an EventRule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventRuleStatus {
    /// How often it fired since the start of the master, or since its spec changed.
    pub fire_count: u64,
    /// When it last fired.
    pub last_fired: Option<Wall>,
}

/// The rule.
#[derive(Clone, Debug)]
pub(super) struct EventRule {
    rule: RuleRef,
    spec: Arc<EventRuleSpec>,
    pub(super) keys: Keys<KeyState>,
    pub(super) status: EventRuleStatus,
}

impl EventRule {
    pub(super) fn new(rule: RuleRef, spec: Arc<EventRuleSpec>) -> Self {
        Self { rule, spec, keys: Keys::default(), status: EventRuleStatus::default() }
    }

    pub(super) const fn reference(&self) -> &RuleRef {
        &self.rule
    }

    pub(super) const fn status(&self) -> EventRuleStatus {
        self.status
    }

    /// How many keys are remembered.
    pub(super) fn key_count(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        self.keys.next_due()
    }

    /// Handles an event, and returns the event to publish for it. Checks the topic first: an event
    /// with another topic, or without the key, changes nothing.
    pub(super) fn on_event(&mut self, now: Time, event: &Arc<StoredEvent>) -> Option<Draft> {
        let is_own_kind = event.daemon.kind == RuleKind::EventRule.daemon_kind();
        if is_own_kind || !concerns(&self.spec, &event.topic) {
            return None;
        }
        let key = self.spec.key(event)?;
        let spec = &self.spec;
        let step = |state: &mut KeyState| state.step(spec, now, event);
        let count = self.keys.update(key, || KeyState::new(spec), step)?;
        self.note(event.time);
        Some(self.draft(event, key, count))
    }

    /// Handles a timer that is due, and returns the event to publish for it.
    pub(super) fn on_time(&mut self, now: Time, time: Wall) -> Option<Draft> {
        let (key, state) = self.keys.pop_due(now)?;
        let KeyState::Waiting(Some(event)) = state else { return None };
        self.note(time);
        Some(self.draft(&event, &key, 0))
    }

    fn note(&mut self, time: Wall) {
        self.status.fire_count = self.status.fire_count.saturating_add(1);
        self.status.last_fired = Some(time);
    }

    fn draft(&self, event: &StoredEvent, key: &str, count: u64) -> Draft {
        let has_count = matches!(self.spec.operator, Operator::Window | Operator::Count);
        let count = if has_count { count } else { 0 };
        let context = Context { event, correlation: key, count };
        let mut attributes = Attributes::new();
        for (name, template) in &self.spec.emit_attributes {
            attributes.insert(Cow::Owned(name.clone()), expand(template, &context));
        }
        if !key.is_empty() {
            attributes.insert("correlation".into(), cut(key.to_string()));
        }
        if count > 0 {
            attributes.insert("count".into(), count.to_string());
        }
        Draft {
            topic: Cow::Owned(self.spec.emit_topic.clone()),
            reason: "EventRuleFired".into(),
            message: "event rule fired".into(),
            attributes,
            ..draft_of(&self.rule)
        }
    }
}

/// An event that `rule` publishes, still without a topic.
pub(super) fn draft_of(rule: &RuleRef) -> Draft {
    let kind = rule.kind.daemon_kind();
    let name = || Cow::Owned(rule.name.to_string());
    Draft {
        topic: "".into(),
        daemon: DaemonRef { name: kind.into(), kind: kind.into(), instance: name() },
        resource: Some(ResourceRef {
            api_version: API_VERSION.into(),
            kind: rule.kind.as_str().into(),
            name: name(),
        }),
        subject: Some(rule.subject()),
        severity: Severity::Info,
        reason: "".into(),
        message: "".into(),
        attributes: Attributes::new(),
    }
}
