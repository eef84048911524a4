//! A rule as it was applied: its kind, its name, its spec as given and as decoded.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt;

use serde_json::Value;

use super::decode::{Fields, SpecError};
use super::derived_spec::DerivedSpec;
use super::event_rule_spec::EventRuleSpec;
use crate::event::{EventSubject, is_resource_name};

/// Group and version of both kinds of rules.
pub const API_VERSION: &str = "net.routerd.net/v1alpha1";

/// The kinds of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleKind {
    /// Reads the status of resources, and publishes when a condition starts or stops to hold.
    DerivedEvent,
    /// Reads events, publishes when they fit a pattern.
    EventRule,
}

impl RuleKind {
    /// Both, in the order of their names.
    pub const ALL: [Self; 2] = [Self::DerivedEvent, Self::EventRule];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DerivedEvent => "DerivedEvent",
            Self::EventRule => "EventRule",
        }
    }

    /// The kind of the daemon that publishes for it.
    pub const fn daemon_kind(self) -> &'static str {
        match self {
            Self::DerivedEvent => "openctrl-derived",
            Self::EventRule => "openctrl-eventrule",
        }
    }

    /// The kind of this name, exactly.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Which rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleRef {
    /// Its kind.
    pub kind: RuleKind,
    /// Its name.
    pub name: Arc<str>,
}

impl RuleRef {
    /// Whose history its events belong to.
    pub fn subject(&self) -> EventSubject {
        match self.kind {
            RuleKind::DerivedEvent => EventSubject::DerivedEvent(Arc::clone(&self.name)),
            RuleKind::EventRule => EventSubject::EventRule(Arc::clone(&self.name)),
        }
    }
}

impl fmt::Display for RuleRef {
    /// `net.routerd.net/v1alpha1/EventRule/name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{API_VERSION}/{}/{}", self.kind.as_str(), self.name)
    }
}

/// A rule that was checked.
#[derive(Clone, Debug)]
pub struct RuleSpec {
    /// Which.
    pub rule: RuleRef,
    /// Its spec as it was applied, without defaults.
    pub source: Arc<Value>,
    pub(super) body: Body,
}

/// The parsed spec.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Event(Arc<EventRuleSpec>),
    Derived(Arc<DerivedSpec>),
}

impl RuleSpec {
    /// Checks a resource: `{apiVersion, kind, metadata: {name}, spec}`.
    ///
    /// # Errors
    /// The first fault, with the path of its field within the resource.
    pub fn decode(resource: &Value) -> Result<Self, SpecError> {
        let mut fields = Fields::new(resource)?;
        let api_version = fields.required_text("apiVersion")?;
        if api_version != API_VERSION {
            let fault = format!("unsupported {api_version:?}; expected {API_VERSION:?}");
            return Err(SpecError::new("apiVersion", fault));
        }
        let kind = fields.required_text("kind")?;
        let kind = RuleKind::parse(&kind).ok_or_else(|| {
            let fault = format!("unsupported {kind:?}; expected EventRule or DerivedEvent");
            SpecError::new("kind", fault)
        })?;
        let metadata = fields.take("metadata").unwrap_or(&Value::Null);
        let name = metadata_name(metadata).map_err(|error| error.below("metadata"))?;
        let spec = fields.take("spec").ok_or_else(|| SpecError::new("spec", "required"))?;
        fields.finish()?;
        Self::new(kind, &name, spec.clone())
    }

    /// Checks a separate spec, as it is stored.
    ///
    /// # Errors
    /// The first fault, with the path of its field within the resource.
    pub fn new(kind: RuleKind, name: &str, source: Value) -> Result<Self, SpecError> {
        let body = match kind {
            RuleKind::EventRule => EventRuleSpec::decode(&source).map(|s| Body::Event(Arc::new(s))),
            RuleKind::DerivedEvent => {
                DerivedSpec::decode(&source).map(|spec| Body::Derived(Arc::new(spec)))
            }
        };
        let body = body.map_err(|error| error.below("spec"))?;
        let rule = RuleRef { kind, name: name.into() };
        Ok(Self { rule, source: Arc::new(source), body })
    }
}

fn metadata_name(metadata: &Value) -> Result<String, SpecError> {
    if metadata.is_null() {
        return Err(SpecError::new("name", "required, but missing or empty"));
    }
    let mut fields = Fields::new(metadata)?;
    let name = fields.required_text("name")?;
    fields.finish()?;
    if is_resource_name(&name) {
        return Ok(name);
    }
    let fault = "must be 1 to 63 of A-Z a-z 0-9 . _ - and begin with a letter or digit";
    Err(SpecError::new("name", fault.to_string()))
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;
