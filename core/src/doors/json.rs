//! JSON objects as the Go programs read them: field names match without regard to case, the last of
//! several wins, unknown fields are ignored, and `null` for an optional field means "absent".

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

/// Why a body cannot be read, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadBody(pub String);

/// A JSON object, read field by field.
pub(super) trait Fields: Default {
    /// Takes the value of the field `name` from `map`, or returns false for an unknown name.
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error>;
}

/// Reads a body.
pub(super) fn decode<T: Fields>(body: &[u8]) -> Result<T, BadBody> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(BadBody("the body is empty; send a JSON object".to_string()));
    }
    serde_json::from_slice::<Object<T>>(body)
        .map(|object| object.0)
        .map_err(|error| BadBody(format!("the body is not what is expected: {error}")))
}

/// The next value of `map`, with the name of the field in its error.
pub(super) fn value<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    name: &str,
    map: &mut A,
) -> Result<T, A::Error> {
    map.next_value().map_err(|error| A::Error::custom(format_args!("{name}: {error}")))
}

/// Any object that has [`Fields`].
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Fields> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Object)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Fields> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut fields = T::default();
        while let Some(name) = map.next_key::<String>()? {
            if !fields.take(&name, &mut map)? {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(fields)
    }
}
