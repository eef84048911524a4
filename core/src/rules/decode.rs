//! Reads the fields of a spec, strictly: an error names the field by its path.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde_json::{Map, Value};

use crate::go::parse_duration;

/// An error in a resource, with its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError {
    /// The path of the field: `spec.emit.topic`.
    pub path: String,
    /// The error, and the expected value.
    pub fault: String,
}

impl SpecError {
    pub(super) fn new(path: impl Into<String>, fault: impl Into<String>) -> Self {
        Self { path: path.into(), fault: fault.into() }
    }

    /// The same below `parent`.
    #[must_use]
    pub fn below(self, parent: &str) -> Self {
        let path = match (parent, self.path.as_str()) {
            ("", path) => path.to_string(),
            (parent, "") => parent.to_string(),
            (parent, path) if path.starts_with('[') => format!("{parent}{path}"),
            (parent, path) => format!("{parent}.{path}"),
        };
        Self { path, fault: self.fault }
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.fault)
    }
}

impl core::error::Error for SpecError {}

/// An object whose fields are taken one by one; fields that remain at the end are unknown. `null`
/// counts as absent, as in Go.
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    taken: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(value: &'a Value) -> Result<Self, SpecError> {
        let object = value.as_object().ok_or_else(|| {
            SpecError::new("", format!("expected an object, found {}", kind(value)))
        })?;
        Ok(Self { object, taken: Vec::new() })
    }

    pub(super) fn take(&mut self, name: &'static str) -> Option<&'a Value> {
        self.taken.push(name);
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// A string; absent and empty are the same, as they are for Go.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, SpecError> {
        let text = self.take(name).map(|value| text_of(value, name)).transpose()?;
        Ok(text.filter(|text| !text.is_empty()))
    }

    pub(super) fn required_text(&mut self, name: &'static str) -> Result<String, SpecError> {
        self.text(name)?.ok_or_else(|| SpecError::new(name, "required, but missing or empty"))
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Result<bool, SpecError> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => {
                Err(SpecError::new(name, format!("expected true or false, found {}", kind(other))))
            }
        }
    }

    /// A whole number from 0 to `most`; 0 without one.
    pub(super) fn number(&mut self, name: &'static str, most: u64) -> Result<u64, SpecError> {
        let Some(value) = self.take(name) else { return Ok(0) };
        let number = value.as_u64().filter(|number| *number <= most);
        number.ok_or_else(|| {
            SpecError::new(name, format!("expected a whole number from 0 to {most}, found {value}"))
        })
    }

    /// A duration as Go writes it, in milliseconds, rounded up; 0 without one.
    pub(super) fn duration_ms(&mut self, name: &'static str) -> Result<u64, SpecError> {
        let Some(text) = self.text(name)? else { return Ok(0) };
        let nanos = parse_duration(&text).and_then(|nanos| u64::try_from(nanos).ok());
        let nanos = nanos.ok_or_else(|| {
            SpecError::new(
                name,
                format!("expected a duration such as 30s or 1m30s, found {text:?}"),
            )
        })?;
        Ok(nanos.div_ceil(1_000_000))
    }

    pub(super) fn list(&mut self, name: &'static str) -> Result<&'a [Value], SpecError> {
        match self.take(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(other) => {
                Err(SpecError::new(name, format!("expected a list, found {}", kind(other))))
            }
        }
    }

    /// Fails if a field was not taken.
    pub(super) fn finish(self) -> Result<(), SpecError> {
        match self.object.keys().find(|name| !self.taken.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let known = self.taken.join(", ");
                Err(SpecError::new(name.as_str(), format!("unknown field; known are {known}")))
            }
        }
    }
}

/// A scalar as text: YAML writes `equals: true` without quotes.
pub(super) fn text_of(value: &Value, path: &str) -> Result<String, SpecError> {
    match value {
        Value::String(text) => Ok(text.to_owned()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(SpecError::new(path, format!("expected a text, found {}", kind(value))))
        }
    }
}

pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
