//! The spec of an EventRule: `{pattern, emit}` (control contract B 4).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::Value;

use super::decode::{Fields, SpecError, text_of};
use crate::event::{StoredEvent, TopicPattern};

/// Topics that one rule may list.
const TOPICS_MAX: usize = 256;

/// Times that a window or a throttle may have to remember for one key.
const TIMES_MAX: u64 = 10_000;

/// Attributes that a rule may add to its events.
const ATTRIBUTES_MAX: usize = 64;

/// The condition of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    AllOf,
    AnyOf,
    Sequence,
    Window,
    Count,
    Throttle,
    Debounce,
    Absence,
}

impl Operator {
    pub(super) const ALL: [(&'static str, Self); 8] = [
        ("all_of", Self::AllOf),
        ("any_of", Self::AnyOf),
        ("sequence", Self::Sequence),
        ("window", Self::Window),
        ("count", Self::Count),
        ("throttle", Self::Throttle),
        ("debounce", Self::Debounce),
        ("absence", Self::Absence),
    ];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, operator)| operator)
    }
}

/// The value that events must share to be counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Correlation {
    None,
    Attribute(String),
    ResourceName,
    ResourceKind,
    ResourceApiVersion,
    DaemonInstance,
    DaemonKind,
}

/// The decoded spec.
#[derive(Clone, Debug)]
pub(super) struct EventRuleSpec {
    pub(super) operator: Operator,
    /// `topics`, `topic` and `trigger`, in this order.
    pub(super) topics: Vec<TopicPattern>,
    /// What starts an absence: `trigger`, else `topic`.
    pub(super) trigger: Option<TopicPattern>,
    pub(super) expected: Option<TopicPattern>,
    /// The period of a timed operator, in milliseconds.
    pub(super) period_ms: u64,
    pub(super) rate: u64,
    pub(super) threshold: u64,
    pub(super) correlation: Correlation,
    pub(super) allow_missing: bool,
    pub(super) strict: bool,
    pub(super) emit_topic: String,
    pub(super) emit_attributes: BTreeMap<String, String>,
}

impl EventRuleSpec {
    pub(super) fn decode(spec: &Value) -> Result<Self, SpecError> {
        let mut fields = Fields::new(spec)?;
        let pattern =
            fields.take("pattern").ok_or_else(|| SpecError::new("pattern", "required"))?;
        let emit = fields.take("emit").ok_or_else(|| SpecError::new("emit.topic", "required"))?;
        fields.finish()?;
        let mut decoded = decode_pattern(pattern).map_err(|error| error.below("pattern"))?;
        let (topic, attributes) = decode_emit(emit).map_err(|error| error.below("emit"))?;
        decoded.emit_topic = topic;
        decoded.emit_attributes = attributes;
        Ok(decoded)
    }

    /// The key under which an event counts; `None` if it does not count at all.
    pub(super) fn key<'a>(&self, event: &'a StoredEvent) -> Option<&'a str> {
        let resource = event.resource.as_ref();
        let value: Option<&str> = match &self.correlation {
            Correlation::None => return Some("default"),
            Correlation::Attribute(name) => event.attributes.get(name.as_str()).map(String::as_str),
            Correlation::ResourceName => resource.map(|resource| &*resource.name),
            Correlation::ResourceKind => resource.map(|resource| &*resource.kind),
            Correlation::ResourceApiVersion => resource.map(|resource| &*resource.api_version),
            Correlation::DaemonInstance => Some(&event.daemon.instance),
            Correlation::DaemonKind => Some(&event.daemon.kind),
        };
        value.filter(|value| !value.is_empty()).or(self.allow_missing.then_some(""))
    }
}

fn decode_pattern(pattern: &Value) -> Result<EventRuleSpec, SpecError> {
    let mut fields = Fields::new(pattern)?;
    let name = fields.required_text("operator")?;
    let operator = Operator::parse(&name).ok_or_else(|| {
        let known = Operator::ALL.map(|(name, _)| name).join(", ");
        SpecError::new("operator", format!("unsupported {name:?}; expected one of {known}"))
    })?;
    let topic = fields.text("topic")?;
    let listed = decode_topics(fields.list("topics")?)?;
    let trigger = fields.text("trigger")?;
    let expected = fields.text("expected")?;
    if topic.is_none() && listed.is_empty() && trigger.is_none() && expected.is_none() {
        let fault = "required: give at least one of topic, topics, trigger and expected";
        return Err(SpecError::new("topic", fault));
    }
    let duration_ms = fields.duration_ms("duration")?;
    let window_ms = fields.duration_ms("window")?;
    let quiet_ms = fields.duration_ms("quiet")?;
    let interval_ms = fields.duration_ms("interval")?;
    let first = |given: [u64; 3]| given.into_iter().find(|ms| *ms > 0).unwrap_or_default();
    let period_ms = match operator {
        Operator::Window => first([window_ms, duration_ms, 60_000]),
        Operator::Throttle => first([interval_ms, duration_ms, 60_000]),
        Operator::Debounce => first([quiet_ms, duration_ms, 1_000]),
        Operator::Absence => first([duration_ms, 60_000, 0]),
        Operator::AllOf | Operator::AnyOf | Operator::Sequence | Operator::Count => 0,
    };
    let rate = fields.number("rate", TIMES_MAX)?;
    let most = if operator == Operator::Window { TIMES_MAX } else { u64::MAX };
    let threshold = fields.number("threshold", most)?;
    let correlation = decode_correlation(fields.text("correlate_by")?)?;
    let allow_missing = fields.flag("allow_missing_correlation")?;
    let strict = fields.flag("strict")?;
    fields.finish()?;
    let parse = |text: &String| TopicPattern::parse(text);
    Ok(EventRuleSpec {
        operator,
        topics: listed.iter().chain(&topic).chain(&trigger).map(parse).collect(),
        trigger: trigger.as_ref().or(topic.as_ref()).map(parse),
        expected: expected.as_ref().map(parse),
        period_ms,
        rate: rate.max(1),
        threshold: threshold.max(1),
        correlation,
        allow_missing,
        strict,
        emit_topic: String::new(),
        emit_attributes: BTreeMap::new(),
    })
}

fn decode_topics(topics: &[Value]) -> Result<Vec<String>, SpecError> {
    if topics.len() > TOPICS_MAX {
        return Err(SpecError::new("topics", format!("at most {TOPICS_MAX} topics")));
    }
    let decode = |(index, topic): (usize, &Value)| {
        let path = format!("topics[{index}]");
        match text_of(topic, &path)? {
            text if text.is_empty() => Err(SpecError::new(path, "must not be empty")),
            text => Ok(text),
        }
    };
    topics.iter().enumerate().map(decode).collect()
}

fn decode_correlation(text: Option<String>) -> Result<Correlation, SpecError> {
    let Some(text) = text else { return Ok(Correlation::None) };
    Ok(match text.as_str() {
        "resource.name" => Correlation::ResourceName,
        "resource.kind" => Correlation::ResourceKind,
        "resource.apiVersion" => Correlation::ResourceApiVersion,
        "daemon.instance" => Correlation::DaemonInstance,
        "daemon.kind" => Correlation::DaemonKind,
        other => match other.strip_prefix("attributes.").filter(|name| !name.is_empty()) {
            Some(name) => Correlation::Attribute(name.to_string()),
            None => {
                let fault = format!(
                    "unsupported {other:?}; expected attributes.<key>, resource.name, \
                     resource.kind, resource.apiVersion, daemon.instance or daemon.kind"
                );
                return Err(SpecError::new("correlate_by", fault));
            }
        },
    })
}

fn decode_emit(emit: &Value) -> Result<(String, BTreeMap<String, String>), SpecError> {
    let mut fields = Fields::new(emit)?;
    let topic = fields.required_text("topic")?;
    let mut attributes = BTreeMap::new();
    if let Some(given) = fields.take("attributes") {
        Fields::new(given).map_err(|error| error.below("attributes"))?;
        for (name, value) in given.as_object().into_iter().flatten() {
            attributes.insert(name.clone(), text_of(value, &format!("attributes.{name}"))?);
        }
        if attributes.len() > ATTRIBUTES_MAX {
            let fault = format!("at most {ATTRIBUTES_MAX} attributes");
            return Err(SpecError::new("attributes", fault));
        }
    }
    fields.finish()?;
    Ok((topic, attributes))
}
