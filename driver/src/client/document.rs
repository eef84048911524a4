//! A JSON document as the master sent it, its fields in their order, and how it is written out.

use std::borrow::Cow;
use std::fmt::{self, Write};

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::text::is_hostile;

/// One value of a document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Document {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number
    Number(serde_json::Number),
    /// A string
    Text(String),
    /// A list
    List(Vec<Document>),
    /// An object
    Object(Vec<(Cow<'static, str>, Document)>),
}

impl Document {
    /// Reads JSON.
    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// Reads a list of objects, of each only these fields: a table of a thousand instances needs few
    /// of them.
    pub(crate) fn parse_rows(json: &[u8], fields: &[&'static str]) -> Option<Vec<Self>> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let rows = Rows(Fields { wanted: fields, seen: Vec::new() })
            .deserialize(&mut deserializer)
            .ok()?;
        deserializer.end().ok()?;
        Some(rows)
    }

    /// A field of an object; null if there is none.
    pub(crate) fn at(&self, name: &str) -> &Self {
        let Self::Object(fields) = self else { return &Self::Null };
        fields.iter().find(|(key, _)| key == name).map_or(&Self::Null, |(_, value)| value)
    }

    /// A string; empty if it is not one.
    pub(crate) fn text(&self) -> &str {
        if let Self::Text(text) = self { text } else { "" }
    }

    /// A whole number, if it is one.
    pub(crate) fn whole(&self) -> Option<u64> {
        if let Self::Number(number) = self { number.as_u64() } else { None }
    }

    /// A number, if it is one.
    pub(crate) fn number(&self) -> Option<f64> {
        if let Self::Number(number) = self { number.as_f64() } else { None }
    }

    /// The fields of an object.
    pub(crate) fn fields(&self) -> &[(Cow<'static, str>, Self)] {
        if let Self::Object(fields) = self { fields } else { &[] }
    }

    /// The members of a list.
    pub(crate) fn items(&self) -> &[Self] {
        if let Self::List(members) = self { members } else { &[] }
    }

    /// The members of a list, taken out.
    pub(crate) fn into_list(self) -> Vec<Self> {
        if let Self::List(members) = self { members } else { Vec::new() }
    }

    /// The value for display: strings without quotes, nothing for null.
    pub(crate) fn bare(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Text(text) => text.clone(),
            Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Object(_) => self.to_json(),
        }
    }

    /// Indented JSON with a final line end.
    pub(crate) fn to_json(&self) -> String {
        let mut json = String::new();
        self.write_json(&mut json, 0);
        json
    }

    /// YAML with a final line end. Every string is quoted, as in JSON, which is a subset of YAML.
    pub(crate) fn to_yaml(&self) -> String {
        let mut yaml = String::new();
        self.write_yaml(&mut yaml, 0);
        yaml
    }

    fn write_json(&self, out: &mut String, depth: usize) {
        match self {
            Self::List(members) if !members.is_empty() => {
                out.push_str("[\n");
                for (index, member) in members.iter().enumerate() {
                    indent(out, depth + 1);
                    member.write_json(out, depth + 1);
                    out.push_str(if index + 1 < members.len() { ",\n" } else { "\n" });
                }
                indent(out, depth);
                out.push(']');
            }
            Self::Object(fields) if !fields.is_empty() => {
                out.push_str("{\n");
                for (index, (name, value)) in fields.iter().enumerate() {
                    indent(out, depth + 1);
                    quote(out, name);
                    out.push_str(": ");
                    value.write_json(out, depth + 1);
                    out.push_str(if index + 1 < fields.len() { ",\n" } else { "\n" });
                }
                indent(out, depth);
                out.push('}');
            }
            Self::List(_) => out.push_str("[]"),
            Self::Object(_) => out.push_str("{}"),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => self.write_scalar(out),
        }
    }

    fn write_yaml(&self, out: &mut String, depth: usize) {
        match self {
            Self::List(members) if !members.is_empty() => {
                for member in members {
                    indent(out, depth);
                    out.push('-');
                    member.write_yaml_member(out, depth + 1);
                }
            }
            Self::Object(fields) if !fields.is_empty() => {
                for (name, value) in fields {
                    indent(out, depth);
                    key(out, name);
                    out.push(':');
                    value.write_yaml_value(out, depth + 1);
                }
            }
            Self::Null
            | Self::Bool(_)
            | Self::Number(_)
            | Self::Text(_)
            | Self::List(_)
            | Self::Object(_) => {
                self.write_json(out, 0);
                out.push('\n');
            }
        }
    }

    fn is_block(&self) -> bool {
        match self {
            Self::List(members) => !members.is_empty(),
            Self::Object(fields) => !fields.is_empty(),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => false,
        }
    }

    /// After a `-`: the first field is on the same line.
    fn write_yaml_member(&self, out: &mut String, depth: usize) {
        let mut block = String::new();
        self.write_yaml(&mut block, if self.is_block() { depth } else { 0 });
        out.push(' ');
        out.push_str(block.trim_start_matches(' '));
    }

    /// After a `name:`.
    fn write_yaml_value(&self, out: &mut String, depth: usize) {
        if self.is_block() {
            out.push('\n');
            self.write_yaml(out, depth);
        } else {
            out.push(' ');
            self.write_yaml(out, 0);
        }
    }

    fn write_scalar(&self, out: &mut String) {
        match self {
            Self::Text(text) => quote(out, text),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => {
                let _ = write!(out, "{number}");
            }
            Self::Null | Self::List(_) | Self::Object(_) => out.push_str("null"),
        }
    }
}

/// A JSON string. What would act on a terminal is escaped; it is the same string all the same.
pub(crate) fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_hostile(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A compact JSON text with what would act on a terminal escaped. Outside of strings JSON has no
/// such character.
pub(crate) fn safe_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hostile(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

/// A key of a YAML mapping: bare where it is a word that cannot be read as anything else.
fn key(out: &mut String, name: &str) {
    let is_word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let is_special = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(name));
    if is_word && !is_special && name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        out.push_str(name);
    } else {
        quote(out, name);
    }
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Document, E> {
        Ok(Document::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Document, E> {
        Ok(Document::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Document, E> {
        Ok(Document::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Document, E> {
        Ok(Document::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Document, E> {
        Ok(serde_json::Number::from_f64(value).map_or(Document::Null, Document::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Document, E> {
        Ok(Document::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Document, A::Error> {
        let mut list = Vec::new();
        while let Some(member) = members.next_element()? {
            list.push(member);
        }
        Ok(Document::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Document, A::Error> {
        let mut object = Vec::new();
        while let Some((name, value)) = fields.next_entry::<String, Document>()? {
            object.push((name.into(), value));
        }
        Ok(Document::Object(object))
    }
}

/// Which fields of the objects of a list are read.
struct Fields<'a> {
    wanted: &'a [&'static str],
    /// The names of the fields of the last object by their places, each with what it was found to
    /// be: those of the next object are most likely the same.
    seen: Vec<(String, Option<&'static str>)>,
}

impl Fields<'_> {
    /// The name of the field at this place, if it is wanted.
    fn find(&mut self, at: usize, name: &str) -> Option<&'static str> {
        if let Some((seen, found)) = self.seen.get(at)
            && seen == name
        {
            return *found;
        }
        let found = self.wanted.iter().find(|wanted| **wanted == name).copied();
        self.seen.truncate(at);
        if self.seen.len() == at {
            self.seen.push((name.to_owned(), found));
        }
        found
    }
}

/// Reads a list of objects with some of their fields.
struct Rows<'a>(Fields<'a>);

impl<'de> DeserializeSeed<'de> for Rows<'_> {
    type Value = Vec<Document>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = Vec<Document>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut rows = Vec::new();
        while let Some(row) = members.next_element_seed(Row(&mut self.0))? {
            rows.push(row);
        }
        Ok(rows)
    }
}

/// Reads an object with some of its fields.
struct Row<'a, 'b>(&'a mut Fields<'b>);

impl<'de> DeserializeSeed<'de> for Row<'_, '_> {
    type Value = Document;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Document, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Row<'_, '_> {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Document, A::Error> {
        let mut object = Vec::with_capacity(self.0.wanted.len());
        let mut at = 0;
        while let Some(name) = members.next_key_seed(Name(self.0, at))? {
            match name {
                Some(name) => object.push((name.into(), members.next_value()?)),
                None => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
            at += 1;
        }
        Ok(Document::Object(object))
    }
}

/// Reads the name of the field at a place, if it is wanted.
struct Name<'a, 'b>(&'a mut Fields<'b>, usize);

impl<'de> DeserializeSeed<'de> for Name<'_, '_> {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_, '_> {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.find(self.1, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_the_fields_that_are_asked_for() {
        let json =
            br#"[{"a":1,"b":{"c":"d"},"e":[1]},{"e":2},{},{"b":3,"a":4},{"e":5,"b":6,"a":7}]"#;
        let rows = Document::parse_rows(json, &["b", "e"]).expect("rows");
        let all = Document::parse(json).expect("JSON").into_list();
        assert_eq!(rows.len(), 5);
        for (row, whole) in rows.iter().zip(&all) {
            assert_eq!(row.at("a"), &Document::Null);
            assert_eq!((row.at("b"), row.at("e")), (whole.at("b"), whole.at("e")));
        }
        for bad in [&b"{}"[..], b"[1]", b"[{}", b"[{\"a\":}]", b"[] x"] {
            assert!(Document::parse_rows(bad, &["a"]).is_none());
        }
    }

    fn document() -> Document {
        let json = br#"[{"url":"a\u001b\u009b","n":-1,"z":null,"meta":{"tags":{"on":"1"},"e":{}}},
            [1,[]],9223372036854775807,true]"#;
        Document::parse(json).expect("JSON")
    }

    #[test]
    fn json_is_the_same_document() {
        let shown = document().to_json();
        assert_eq!(Document::parse(shown.as_bytes()), Some(document()), "{shown}");
        assert!(!shown.contains(|c: char| c != '\n' && is_hostile(c)), "{shown}");
        assert!(shown.contains("\\u009b") && shown.contains("9223372036854775807"), "{shown}");
    }

    #[test]
    fn yaml_keeps_the_order_and_quotes_strings() {
        insta::assert_snapshot!(document().to_yaml(), @r#"
        - url: "a\u001b\u009b"
          "n": -1
          z: null
          meta:
            tags:
              "on": "1"
            e: {}
        - - 1
          - []
        - 9223372036854775807
        - true
        "#);
    }

    #[test]
    fn what_is_not_there_is_nothing() {
        let document = document().into_list().swap_remove(0);
        assert_eq!(document.at("meta").at("tags").at("on").text(), "1");
        assert_eq!(document.at("no").at("such").whole(), None);
        assert_eq!(document.at("url").number(), None);
    }

    #[test]
    fn compact_json_is_made_harmless() {
        assert_eq!(safe_json("{\"a\":\"\u{9b}\u{e0001}\"}"), r#"{"a":"\u009b\udb40\udc01"}"#);
    }
}
