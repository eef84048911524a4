//! The spec of a DerivedEvent: `{topic, inputs, emitWhen, retractWhen, hysteresis, emitInitial}`
//! (control contract B 5).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::Value;

use super::decode::{Fields, SpecError, text_of};

/// Predicates that one DerivedEvent may have in all.
const PREDICATES_MAX: usize = 1_024;

/// The decoded spec.
#[derive(Clone, Debug)]
pub(super) struct DerivedSpec {
    pub(super) topic: String,
    pub(super) inputs: Vec<Condition>,
    pub(super) emit_when: Emit,
    pub(super) retract_when: Option<Retract>,
    pub(super) hysteresis_ms: u64,
    pub(super) emit_initial: bool,
}

/// When it is asserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Emit {
    AllTrue,
    AnyTrue,
}

/// When it is retracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retract {
    AnyFalse,
    AllFalse,
}

/// One input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Is(Predicate),
    /// At least one of the groups holds as a whole.
    AnyOf(Vec<Vec<Predicate>>),
}

/// The condition on one field of a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Predicate {
    /// `None` for a field of any other form: it reads as empty.
    pub(super) field: Option<Field>,
    pub(super) equals: Option<String>,
    pub(super) not_empty: bool,
}

/// `${Kind/name.status.key}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Field {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) key: String,
}

impl Field {
    /// Names may have dots in them, so the last `.status.` divides.
    fn parse(text: &str) -> Option<Self> {
        let inner = text.strip_prefix("${")?.strip_suffix('}')?;
        let (resource, key) = inner.rsplit_once(".status.")?;
        let (kind, name) = resource.split_once('/')?;
        let is_whole = !kind.is_empty() && !name.is_empty() && !key.is_empty();
        is_whole.then(|| Self { kind: kind.into(), name: name.into(), key: key.into() })
    }
}

impl DerivedSpec {
    pub(super) fn decode(spec: &Value) -> Result<Self, SpecError> {
        let mut fields = Fields::new(spec)?;
        let topic = fields.required_text("topic")?;
        let mut predicates = 0;
        let mut inputs = Vec::new();
        for (index, input) in fields.list("inputs")?.iter().enumerate() {
            let input = decode_input(input, &mut predicates);
            inputs.push(input.map_err(|error| error.below(&format!("inputs[{index}]")))?);
        }
        if inputs.is_empty() {
            return Err(SpecError::new("inputs", "required, but missing or empty"));
        }
        if predicates > PREDICATES_MAX {
            return Err(SpecError::new("inputs", format!("at most {PREDICATES_MAX} predicates")));
        }
        let emit_when = choice(
            &mut fields,
            "emitWhen",
            [("all_true", Emit::AllTrue), ("any_true", Emit::AnyTrue)],
        )?;
        let retract_when = choice(
            &mut fields,
            "retractWhen",
            [("any_false", Retract::AnyFalse), ("all_false", Retract::AllFalse)],
        )?;
        let hysteresis_ms = fields.duration_ms("hysteresis")?;
        let emit_initial = fields.flag("emitInitial")?;
        fields.finish()?;
        let emit_when = emit_when.unwrap_or(Emit::AllTrue);
        Ok(Self { topic, inputs, emit_when, retract_when, hysteresis_ms, emit_initial })
    }

    /// Every field that it reads.
    pub(super) fn fields(&self) -> impl Iterator<Item = &Field> {
        self.predicates().filter_map(|predicate| predicate.field.as_ref())
    }

    /// Every predicate of its inputs.
    pub(super) fn predicates(&self) -> impl Iterator<Item = &Predicate> {
        self.inputs.iter().flat_map(|input| match input {
            Condition::Is(predicate) => core::slice::from_ref(predicate).iter().collect(),
            Condition::AnyOf(groups) => groups.iter().flatten().collect::<Vec<_>>(),
        })
    }
}

fn choice<T: Copy>(
    fields: &mut Fields<'_>,
    name: &'static str,
    values: [(&'static str, T); 2],
) -> Result<Option<T>, SpecError> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    let found = values.into_iter().find(|(known, _)| *known == text);
    found.map(|(_, value)| Some(value)).ok_or_else(|| {
        let [(first, _), (second, _)] = values;
        SpecError::new(name, format!("unsupported {text:?}; expected {first} or {second}"))
    })
}

fn decode_input(input: &Value, predicates: &mut usize) -> Result<Condition, SpecError> {
    let Some(groups) = input.get("any_of").filter(|groups| !groups.is_null()) else {
        *predicates += 1;
        return decode_predicate(input).map(Condition::Is);
    };
    let mut fields = Fields::new(input)?;
    fields.take("any_of");
    fields.finish()?;
    let list = |value: &Value, path: &str| {
        let items = value.as_array().filter(|items| !items.is_empty()).cloned();
        items.ok_or_else(|| SpecError::new(path.to_string(), "expected a list that is not empty"))
    };
    let mut decoded = Vec::new();
    for (index, group) in list(groups, "any_of")?.iter().enumerate() {
        let path = format!("any_of[{index}]");
        let mut all = Vec::new();
        for (place, predicate) in list(group, &path)?.iter().enumerate() {
            *predicates += 1;
            let below = format!("{path}[{place}]");
            all.push(decode_predicate(predicate).map_err(|error| error.below(&below))?);
        }
        decoded.push(all);
    }
    Ok(Condition::AnyOf(decoded))
}

fn decode_predicate(predicate: &Value) -> Result<Predicate, SpecError> {
    let mut fields = Fields::new(predicate)?;
    let field = fields.required_text("field")?;
    let equals = fields.take("equals").map(|value| text_of(value, "equals")).transpose()?;
    let not_empty = fields.flag("not_empty")?;
    fields.finish()?;
    Ok(Predicate { field: Field::parse(&field), equals, not_empty })
}
