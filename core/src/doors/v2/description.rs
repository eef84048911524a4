//! The API as an OpenAPI document, 3.1 or 3.0: `GET /openapi.json`.
//!
//! The document is written by hand, in `openapi.json`; the tests hold it to the router and to what
//! is rendered.

use alloc::string::{String, ToString};

use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value};

use super::status::Rejection;

const DOCUMENT: &str = include_str!("openapi.json");

/// Characters that are escaped in the path of a URL.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// A version of OpenAPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// 3.1.0, with the schemas of JSON Schema.
    V3_1,
    /// 3.0.3, for generators that cannot read 3.1.
    V3_0,
}

impl Dialect {
    /// Reads the `version` of a query; without one it is 3.1.
    ///
    /// # Errors
    /// 400 for any other version.
    pub fn decode(query: &str) -> Result<Self, Rejection> {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        match pairs.find(|(name, _)| name == "version").as_ref().map(|(_, text)| &**text) {
            None | Some("3.1" | "3.1.0") => Ok(Self::V3_1),
            Some("3.0" | "3.0.3") => Ok(Self::V3_0),
            Some(_) => Err(Rejection::Bad("version has to be 3.0 or 3.1".to_string())),
        }
    }
}

/// The document of a master of `version` whose API is at `api_base`, as compact JSON.
pub fn describe(api_base: &str, version: &str, dialect: Dialect) -> Bytes {
    let mut document: Value = serde_json::from_str(DOCUMENT).expect("the document is JSON");
    let base = utf8_percent_encode(api_base, ESCAPED).to_string();
    if let Some(server) = document.pointer_mut("/servers/0/url") {
        *server = Value::from(base);
    }
    if let Some(shown) = document.pointer_mut("/info/version") {
        *shown = Value::from(version);
    }
    if dialect == Dialect::V3_0 {
        to_3_0(&mut document);
        document["openapi"] = Value::from("3.0.3");
        for (place, name) in [("/info", "summary"), ("/info/license", "identifier")] {
            if let Some(Value::Object(fields)) = document.pointer_mut(place) {
                fields.remove(name);
            }
        }
    }
    Bytes::from(serde_json::to_vec(&document).expect("JSON always encodes"))
}

/// Writes what 3.0 has no words for in the words that it has. What it cannot say at all, such as
/// the length of property names, is left out.
fn to_3_0(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(to_3_0),
        Value::Object(fields) => {
            fields.values_mut().for_each(to_3_0);
            schema_to_3_0(fields);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn schema_to_3_0(fields: &mut Map<String, Value>) {
    // A type with null is a type that is nullable.
    let types = fields.get("type").and_then(Value::as_array).cloned();
    if let Some(types) = types {
        let other = types.iter().find(|one| *one != "null").cloned();
        fields.insert("type".to_string(), other.unwrap_or(Value::Null));
        fields.insert("nullable".to_string(), Value::Bool(true));
    }
    let either = fields.get("oneOf").and_then(Value::as_array).cloned();
    if let Some([one, null]) = either.as_deref()
        && null["type"] == "null"
    {
        fields.remove("oneOf");
        fields.insert("allOf".to_string(), Value::Array(alloc::vec![one.clone()]));
        fields.insert("nullable".to_string(), Value::Bool(true));
    }
    if let Some(Value::Array(words)) = fields.get_mut("enum")
        && words.contains(&Value::Null)
    {
        words.retain(|word| !word.is_null());
        fields.insert("nullable".to_string(), Value::Bool(true));
    }
    if let Some(only) = fields.get("const").filter(|only| only.is_string()).cloned() {
        fields.remove("const");
        fields.insert("enum".to_string(), Value::Array(alloc::vec![only]));
    }
    fields.remove("propertyNames");
}

#[cfg(test)]
#[path = "description_tests.rs"]
mod tests;
