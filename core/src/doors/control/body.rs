//! Bodies of the main sockets (control contract B 1.2, C 6): one JSON value, read as Go reads it.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use serde::Deserialize;
use serde_json::{Deserializer, Map, Value};

use super::CONTROL_API_VERSION;
use super::answer::Reply;

/// The largest body that is read.
pub const BODY_MAX_BYTES: usize = 1024 * 1024;

/// `PlanRequest`, `ValidateRequest`, `ApplyRequest`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CandidateRequest {
    /// The candidate, as YAML; `None` if it is blank.
    pub yaml: Option<String>,
    /// Whether rules that the candidate does not have are removed.
    pub replace: bool,
    /// Whether nothing is to be changed.
    pub dry_run: bool,
}

/// `DeleteRequest`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteRequest {
    /// `Kind/name`.
    pub target: String,
    /// Group and version of it; empty for any.
    pub api_version: String,
    /// Whether nothing is to be changed.
    pub dry_run: bool,
}

/// The level of the log of the master.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are those of the contract")]
pub enum LogLevel {
    Debug,
    Info,
    Warning,
    Error,
    #[default]
    Default,
}

impl LogLevel {
    const ALL: [(&'static str, Self); 5] = [
        ("debug", Self::Debug),
        ("info", Self::Info),
        ("warning", Self::Warning),
        ("error", Self::Error),
        ("default", Self::Default),
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, level)| *level == self).map_or("default", |(name, _)| name)
    }
}

/// The fields of a body.
struct Body(Map<String, Value>);

/// Reads the body of `plan`, `validate` or `apply`; `kind` is its kind.
///
/// # Errors
/// 400 for an invalid request.
pub fn decode_candidate(body: &[u8], kind: &str) -> Result<CandidateRequest, Reply> {
    let body = Body::decode(body, kind)?;
    let yaml = body.text("candidateYaml")?;
    Ok(CandidateRequest {
        yaml: Some(yaml).filter(|yaml| !yaml.trim().is_empty()),
        replace: body.flag("replace")?,
        dry_run: body.flag("dryRun")?,
    })
}

/// Reads the body of `delete`.
///
/// # Errors
/// 400 for an invalid request.
pub fn decode_delete(body: &[u8]) -> Result<DeleteRequest, Reply> {
    let body = Body::decode(body, "DeleteRequest")?;
    let target = body.text("target")?.trim().to_owned();
    if target.is_empty() {
        return Err(Reply::bad("target is required"));
    }
    Ok(DeleteRequest {
        target,
        api_version: body.text("targetApiVersion")?,
        dry_run: body.flag("dryRun")?,
    })
}

/// Reads the body of `log-level`.
///
/// # Errors
/// 400 for an invalid request or level.
pub fn decode_log_level(body: &[u8]) -> Result<LogLevel, Reply> {
    let body = Body::decode(body, "LogLevelRequest")?;
    let text = body.text("level")?;
    let text = text.trim();
    if text.is_empty() {
        return Ok(LogLevel::Default);
    }
    let found = LogLevel::ALL.into_iter().find(|(name, _)| *name == text);
    found.map(|(_, level)| level).ok_or_else(|| {
        let fault = "level must be debug, info, warning, error or default";
        Reply::bad(&format!("{fault}, not {text:?}"))
    })
}

impl Body {
    /// The first JSON value of `body`; the rest is ignored.
    fn decode(body: &[u8], kind: &str) -> Result<Self, Reply> {
        let mut values = Deserializer::from_slice(body).into_iter::<AnyValue>();
        let value = match values.next() {
            None => return Err(Reply::bad("EOF")),
            Some(Err(error)) => return Err(Reply::bad(&format!("invalid JSON body: {error}"))),
            Some(Ok(AnyValue(value))) => value,
        };
        let fields = match value {
            Value::Object(fields) => fields,
            Value::Null => Map::new(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err(Reply::bad("the body must be a JSON object"));
            }
        };
        let body = Self(fields);
        let api_version = body.text("apiVersion")?;
        if !api_version.is_empty() && api_version != CONTROL_API_VERSION {
            return Err(Reply::bad(&format!("unsupported apiVersion {api_version:?}")));
        }
        let given = body.text("kind")?;
        if !given.is_empty() && given != kind {
            return Err(Reply::bad(&format!("unsupported kind {given:?}")));
        }
        Ok(body)
    }

    /// A field by its name; case-insensitive if there is no exact match.
    fn field(&self, name: &str) -> Option<&Value> {
        let any_case = || self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let found = self.0.get(name).or_else(|| any_case().map(|(_, value)| value));
        found.filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Result<String, Reply> {
        match self.field(name) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(Reply::bad(&format!("{name} must be a string"))),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, Reply> {
        match self.field(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(Reply::bad(&format!("{name} must be true or false"))),
        }
    }
}

/// A value that may be followed by anything: a stream of plain values would ask for white space
/// after a number.
struct AnyValue(Value);

impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self)
    }
}
