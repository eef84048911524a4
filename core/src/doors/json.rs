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
    if let Some((found, remedy)) = foreign(body) {
        return Err(BadBody(format!("the body is {found}, not plain JSON; {remedy}")));
    }
    serde_json::from_slice::<Object<T>>(body)
        .map(|object| object.0)
        .map_err(|error| BadBody(format!("the body is invalid: {error}")))
}

/// Names an encoding of a body other than JSON in UTF-8, and the remedy. JSON starts with a blank
/// or an ASCII character of its own, so nothing that could be JSON is named.
fn foreign(body: &[u8]) -> Option<(&'static str, &'static str)> {
    const PLAIN: &str = "send it without Content-Encoding";
    const UTF_8: &str = "send it as UTF-8";
    const OBJECT: &str = "send a JSON object such as {\"url\":\"exec:true\"}";
    match body {
        [0xef, 0xbb, 0xbf, ..] => {
            Some(("UTF-8 with a byte order mark", "remove the first three bytes"))
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{' | b'[', 0, ..] | [0, b'{' | b'[', ..] => {
            Some(("UTF-16 or UTF-32", UTF_8))
        }
        [0x1f, 0x8b, ..] => Some(("compressed with gzip", PLAIN)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(("compressed with zstd", PLAIN)),
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => Some(("compressed with zlib", PLAIN)),
        [b'-', b'-', ..] => Some(("a multipart form", OBJECT)),
        _ if is_form(body) => Some(("a URL-encoded form", OBJECT)),
        _ => None,
    }
}

/// Whether a body is `name=value`. In JSON a name is in quotation marks.
fn is_form(body: &[u8]) -> bool {
    let name = body.split(|byte| *byte == b'=').next().unwrap_or_default();
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.+%[]".contains(byte);
    name.len() < body.len()
        && name.first().is_some_and(u8::is_ascii_alphabetic)
        && name.iter().all(is_of_name)
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[derive(Debug, Default)]
    struct Nothing;

    impl Fields for Nothing {
        fn take<'de, A: MapAccess<'de>>(&mut self, _: &str, _: &mut A) -> Result<bool, A::Error> {
            Ok(false)
        }
    }

    fn refused(body: &[u8]) -> String {
        decode::<Nothing>(body).expect_err("a refusal").0
    }

    #[test]
    fn another_encoding_is_named_with_its_remedy() {
        let json = "{\"url\":\"exec:true\"}";
        let utf_16 = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            json.encode_utf16().flat_map(bytes).collect()
        };
        insta::assert_snapshot!(refused(b"\xef\xbb\xbf{}"), @"the body is UTF-8 with a byte order mark, not plain JSON; remove the first three bytes");
        let named = "the body is UTF-16 or UTF-32, not plain JSON; send it as UTF-8";
        for body in [utf_16(u16::to_le_bytes), utf_16(u16::to_be_bytes)] {
            assert_eq!(refused(&body), named);
        }
        assert_eq!(refused(&[&b"\xff\xfe"[..], &utf_16(u16::to_le_bytes)].concat()), named);
        insta::assert_snapshot!(refused(b"\x1f\x8b\x08\0"), @"the body is compressed with gzip, not plain JSON; send it without Content-Encoding");
        insta::assert_snapshot!(refused(b"url=exec%3Atrue&alias=x"), @r#"the body is a URL-encoded form, not plain JSON; send a JSON object such as {"url":"exec:true"}"#);
        insta::assert_snapshot!(refused(b"--x\r\nContent-Disposition: form-data"), @r#"the body is a multipart form, not plain JSON; send a JSON object such as {"url":"exec:true"}"#);
    }

    #[test]
    fn what_may_be_json_is_left_to_the_parser() {
        for body in ["{", " {\"a\":1}x", "[=]", "true", "\"a=b\"", "-1", "nonsense", "=a"] {
            assert!(foreign(body.as_bytes()).is_none(), "{body}");
        }
        assert!(decode::<Nothing>(b"\r\n\t {\"a\":\"b=c\"}").is_ok());
    }
}
