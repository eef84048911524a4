//! Rules with what they remember as plain data, and back. Their topics, names and times are seen;
//! the attributes that they emit and the names of instances are masked.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde_json::{Map, Value};

use crate::formats::v2::control::RuleV2;
use crate::formats::v2::machine::{KeyStateV2, KeyV2, RuleMemoryV2, RuleSetV2};
use crate::formats::{FormatError, Masks};
use crate::ids::InstanceId;
use crate::resource::PROCESS_KIND;
use crate::rules::{
    Correlated, DerivedMemory, EventRuleStatus, KeyMemory, KeyState, Memory, RuleKind, RuleMemory,
    RuleSet, RuleSpec,
};
use crate::time::{Time, Wall};

/// No counter reaches this value, and none that starts here overflows.
pub(super) const COUNT_MAX: u64 = 1 << 62;

/// Commands that everyone may see; another one may be anything.
const COMMANDS: [&str; 5] = ["renew", "reload", "start", "stop", ""];

pub(super) fn freeze(rules: &RuleSet, masks: &mut Masks) -> RuleSetV2 {
    let memories = rules.memories().into_iter();
    RuleSetV2 {
        generation: rules.generation(),
        last_change: rules.last_change().map(Wall::as_micros),
        rules: memories
            .map(|RuleMemory { spec, memory }| {
                let memory = match memory {
                    Memory::Event(EventRuleStatus { fire_count, last_fired }, keys) => {
                        let by = spec.correlated();
                        let keys = keys.into_iter().map(|key| freeze_key(key, by, masks));
                        RuleMemoryV2::Event {
                            fire_count,
                            last_fired: last_fired.map(Wall::as_micros),
                            keys: keys.collect(),
                        }
                    }
                    Memory::Derived(memory) => memory.into(),
                };
                (masked_rule(&spec, masks), memory)
            })
            .collect(),
    }
}

pub(super) fn thaw(rules: RuleSetV2) -> Result<RuleSet, FormatError> {
    let RuleSetV2 { generation, last_change, rules } = rules;
    if generation > COUNT_MAX {
        return Err(FormatError::TooLarge("a number"));
    }
    let memories = rules.into_iter().map(|(rule, memory)| {
        let memory = match memory {
            RuleMemoryV2::Event { fire_count, last_fired, keys } => {
                let last_fired = last_fired.map(Wall::from_micros);
                let keys = keys.into_iter().map(KeyV2::thaw).collect::<Result<_, _>>()?;
                Memory::Event(EventRuleStatus { fire_count, last_fired }, keys)
            }
            RuleMemoryV2::Derived { asserted, pending, published: [last, retracted] } => {
                Memory::Derived(DerivedMemory {
                    asserted,
                    pending: pending.map(|(target, due)| (target, Time::from_micros(due))),
                    last_asserted: last.map(Wall::from_micros),
                    last_retracted: retracted.map(Wall::from_micros),
                })
            }
        };
        Ok(RuleMemory { spec: Arc::new(rule_of(rule)?), memory })
    });
    let memories = memories.collect::<Result<Vec<_>, FormatError>>()?;
    Ok(RuleSet::remembering(memories, generation, last_change.map(Wall::from_micros)))
}

/// A rule without what may be secret. It decides as before.
pub(crate) fn masked_rule(spec: &RuleSpec, masks: &mut Masks) -> RuleV2 {
    let mut source = Value::clone(&spec.source);
    match spec.rule.kind {
        RuleKind::EventRule => {
            if let Some(attributes) = source.pointer_mut("/emit/attributes") {
                attributes.as_object_mut().into_iter().for_each(|map| mask_values(map, masks));
            }
        }
        RuleKind::DerivedEvent => {
            if let Some(inputs) = source.get_mut("inputs") {
                mask_predicates(inputs, masks);
            }
        }
    }
    RuleV2 {
        is_derived: spec.rule.kind == RuleKind::DerivedEvent,
        name: spec.rule.name.to_string(),
        source: source.to_string(),
    }
}

/// The rule that was masked.
///
/// # Errors
/// What is no rule.
pub(crate) fn rule_of(rule: RuleV2) -> Result<RuleSpec, FormatError> {
    let RuleV2 { is_derived, name, source } = rule;
    let kind = if is_derived { RuleKind::DerivedEvent } else { RuleKind::EventRule };
    let wrong = FormatError::Contradiction("a rule cannot be read");
    let source = serde_json::from_str(&source).map_err(|_| wrong.clone())?;
    RuleSpec::new(kind, &name, source).map_err(|_| wrong)
}

fn mask_values(map: &mut Map<String, Value>, masks: &mut Masks) {
    for value in map.values_mut() {
        let text = value.as_str().map_or_else(|| value.to_string(), ToString::to_string);
        *value = Value::String(masks.text(&text));
    }
}

/// The predicates in a list, at any depth. A `field` names an instance; `equals` is compared with
/// words of a status, and is masked only if it is compared with a message.
fn mask_predicates(value: &mut Value, masks: &mut Masks) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| mask_predicates(item, masks)),
        Value::Object(map) => {
            if let Some(groups) = map.get_mut("any_of") {
                return mask_predicates(groups, masks);
            }
            let Some(Value::String(field)) = map.get_mut("field") else { return };
            let is_message = field.ends_with(".status.message}");
            *field = masked_field(field, masks);
            if let Some(Value::String(equals)) = map.get_mut("equals").filter(|_| is_message) {
                *equals = masks.text(equals);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `${Process/name.status.key}` with another name; another form stays another form.
fn masked_field(field: &str, masks: &mut Masks) -> String {
    let inner = field.strip_prefix("${").and_then(|field| field.strip_suffix('}'));
    let parts = inner.and_then(|inner| inner.rsplit_once(".status."));
    let named = parts.and_then(|(resource, key)| Some((resource.split_once('/')?, key)));
    match named {
        Some(((PROCESS_KIND, name), key)) => {
            alloc::format!("${{{PROCESS_KIND}/{}.status.{key}}}", masked_name(name, masks))
        }
        Some(((kind, _), _)) if RuleKind::parse(kind).is_some() => field.to_string(),
        Some(_) | None => masks.text(field),
    }
}

/// A name of an instance: its masked alias, or its id.
fn masked_name(name: &str, masks: &mut Masks) -> String {
    match InstanceId::parse(name) {
        Some(_) => name.to_string(),
        None => masks.alias(name),
    }
}

fn freeze_key(memory: KeyMemory, by: Correlated, masks: &mut Masks) -> KeyV2 {
    let KeyMemory { key, due, state } = memory;
    KeyV2 {
        key: match by {
            Correlated::ByName => masked_name(&key, masks),
            Correlated::ByCommand => masked_command(&key, masks),
            Correlated::ByWord => key.to_string(),
        },
        due: due.map(Time::as_micros),
        state: match state {
            KeyState::Seen(seen) => KeyStateV2::Seen(seen.into_vec()),
            KeyState::Place(place) => KeyStateV2::Place(place as u64),
            KeyState::Times(times) => {
                KeyStateV2::Times(times.into_iter().map(Wall::as_micros).collect())
            }
            KeyState::Count(count) => KeyStateV2::Count(count),
            KeyState::Waiting(event) => KeyStateV2::Waiting(event.as_deref().map(Into::into)),
        },
    }
}

/// A command as a trace has it.
pub(crate) fn masked_command(command: &str, masks: &mut Masks) -> String {
    match COMMANDS.contains(&command) {
        true => command.to_string(),
        false => masks.text(command),
    }
}

impl KeyV2 {
    fn thaw(self) -> Result<KeyMemory, FormatError> {
        let Self { key, due, state } = self;
        let state = match state {
            KeyStateV2::Seen(seen) => KeyState::Seen(seen.into()),
            KeyStateV2::Place(place) => {
                KeyState::Place(usize::try_from(place).unwrap_or(usize::MAX))
            }
            KeyStateV2::Times(times) => {
                KeyState::Times(times.into_iter().map(Wall::from_micros).collect())
            }
            KeyStateV2::Count(count) if count > COUNT_MAX => {
                return Err(FormatError::TooLarge("a number"));
            }
            KeyStateV2::Count(count) => KeyState::Count(count),
            KeyStateV2::Waiting(event) => {
                KeyState::Waiting(event.map(|event| Arc::new(event.into())))
            }
        };
        Ok(KeyMemory { key: key.into(), due: due.map(Time::from_micros), state })
    }
}

impl From<DerivedMemory> for RuleMemoryV2 {
    fn from(memory: DerivedMemory) -> Self {
        let DerivedMemory { asserted, pending, last_asserted, last_retracted } = memory;
        Self::Derived {
            asserted,
            pending: pending.map(|(target, due)| (target, due.as_micros())),
            published: [last_asserted, last_retracted].map(|time| time.map(Wall::as_micros)),
        }
    }
}
