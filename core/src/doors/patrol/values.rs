//! Key-values: arbitrary data that clients store with an app or a service.
//!
//! Numbers are doubles, as they have always been here: 12345678901234567890 reads back as
//! 12345678901234567000. Single keys cannot be deleted; a replacement can leave them out.

use alloc::collections::BTreeMap;
use alloc::string::String;

use serde_json::{Number, Value};

use super::json::Json;
use crate::instance::Values;

/// The key-values of one app or service, sorted by key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyValues(BTreeMap<String, Value>);

impl KeyValues {
    /// Key-values from JSON as it was decoded; every number becomes a double.
    pub fn new(entries: impl IntoIterator<Item = (String, Value)>) -> Self {
        Self(entries.into_iter().map(|(key, value)| (key, as_doubles(value))).collect())
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Each value as JSON in its shortest form, as stored.
    pub fn to_texts(&self) -> Values {
        let text = |value: &Value| {
            let mut json = Json::compact();
            json.value(value);
            json.finish()
        };
        self.0.iter().map(|(key, value)| (key.clone(), text(value))).collect()
    }

    /// Key-values from the stored form; a value that is not JSON counts as null.
    pub fn from_texts(texts: &Values) -> Self {
        let value = |text: &String| serde_json::from_str(text).unwrap_or(Value::Null);
        Self::new(texts.iter().map(|(key, text)| (key.clone(), value(text))))
    }

    /// Writes them as an object.
    pub fn write(&self, json: &mut Json) {
        json.object(|fields| {
            for (key, value) in &self.0 {
                fields.member(key).value(value);
            }
        });
    }
}

fn as_doubles(value: Value) -> Value {
    match value {
        Value::Number(number) => {
            let double = number.as_f64().and_then(Number::from_f64);
            Value::Number(double.unwrap_or(number))
        }
        Value::Array(items) => Value::Array(items.into_iter().map(as_doubles).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(key, value)| (key, as_doubles(value))).collect())
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn values(text: &str) -> KeyValues {
        KeyValues::new(serde_json::from_str::<BTreeMap<String, Value>>(text).expect(text))
    }

    #[test]
    fn numbers_are_doubles() {
        let read = values(r#"{"n":12345678901234567890,"o":[1,-0,1.50,1e21,1e-7]}"#);
        assert_eq!((read.len(), read.is_empty()), (2, false));
        assert!(read.get("n").is_some_and(Value::is_f64));
        let mut json = Json::compact();
        read.write(&mut json);
        insta::assert_snapshot!(json.finish(), @r#"{"n":12345678901234567000,"o":[1,-0,1.5,1e+21,1e-7]}"#);
    }

    proptest! {
        #[test]
        fn what_is_stored_reads_back(
            keys in proptest::collection::btree_map("\\PC{0,8}", "\\PC{0,8}", 0..8),
            number in proptest::num::f64::NORMAL | proptest::num::f64::ZERO,
        ) {
            let mut entries: Vec<(String, Value)> =
                keys.into_iter().map(|(key, text)| (key, Value::String(text))).collect();
            entries.push(("number".to_string(), Value::from(number)));
            let kept = KeyValues::new(entries);
            prop_assert_eq!(KeyValues::from_texts(&kept.to_texts()), kept);
        }
    }
}
