//! JSON as Go's encoder writes it, byte for byte: layout, escapes and numbers.
//!
//! [`Fields`] omits values that are zero, false or empty, as Patrol's replies do.

use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

use serde_json::Value;

/// A JSON text that is being written.
pub struct Json {
    text: String,
    depth: Option<usize>,
}

/// The members of an object that is being written.
pub struct Fields<'a> {
    json: &'a mut Json,
    any: bool,
}

impl Json {
    /// Without white space: for datagrams.
    pub const fn compact() -> Self {
        Self { text: String::new(), depth: None }
    }

    /// With one tab for each level: for HTTP replies.
    pub const fn indented() -> Self {
        Self { text: String::new(), depth: Some(0) }
    }

    /// The text, with a line feed at its end if it is indented.
    pub fn finish(mut self) -> String {
        if self.depth.is_some() {
            self.text.push('\n');
        }
        self.text
    }

    /// Writes an object.
    pub fn object(&mut self, fields: impl FnOnce(&mut Fields<'_>)) {
        self.text.push('{');
        self.deeper(1);
        let mut members = Fields { json: self, any: false };
        fields(&mut members);
        let any = members.any;
        self.close(any, '}');
    }

    /// Writes an array, each item with `write`.
    pub fn array<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.text.push('[');
        self.deeper(1);
        let mut any = false;
        for item in items {
            self.separate(any);
            write(self, item);
            any = true;
        }
        self.close(any, ']');
    }

    /// Writes a text.
    pub fn text(&mut self, text: &str) {
        self.text.push('"');
        let mut written = 0;
        for (index, char) in text.char_indices() {
            let Some(escape) = escape(char) else { continue };
            self.text.push_str(&text[written..index]);
            written = index + char.len_utf8();
            match escape {
                Escape::Short(letter) => self.text.extend(['\\', letter]),
                Escape::Code => {
                    let _ = write!(self.text, "\\u{:04x}", u32::from(char));
                }
            }
        }
        self.text.push_str(&text[written..]);
        self.text.push('"');
    }

    /// Writes a value.
    pub fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.text.push_str("null"),
            Value::Bool(flag) => self.text.push_str(if *flag { "true" } else { "false" }),
            Value::Number(number) => match number.as_u64() {
                Some(whole) => self.whole(whole),
                None => self.double(number.as_f64().unwrap_or_default()),
            },
            Value::String(text) => self.text(text),
            Value::Array(items) => self.array(items, Self::value),
            Value::Object(members) => self.object(|fields| {
                for (name, value) in members {
                    fields.member(name).value(value);
                }
            }),
        }
    }

    fn whole(&mut self, number: u64) {
        self.text.push_str(itoa::Buffer::new().format(number));
    }

    /// The shortest digits that read back as the same double; with an exponent below 1e-6 and
    /// from 1e21 on.
    fn double(&mut self, number: f64) {
        let size = number.abs();
        if size != 0.0 && !(1e-6..1e21).contains(&size) {
            let text = format!("{number:e}");
            let sign = if size < 1.0 { "e" } else { "e+" };
            self.text.push_str(&text.replace('e', sign));
        } else {
            let _ = write!(self.text, "{number}");
        }
    }

    fn deeper(&mut self, by: usize) {
        self.depth = self.depth.map(|depth| depth + by);
    }

    fn separate(&mut self, any: bool) {
        if any {
            self.text.push(',');
        }
        self.line();
    }

    fn close(&mut self, any: bool, bracket: char) {
        self.depth = self.depth.map(|depth| depth - 1);
        if any {
            self.line();
        }
        self.text.push(bracket);
    }

    fn line(&mut self) {
        if let Some(depth) = self.depth {
            self.text.push('\n');
            self.text.extend(core::iter::repeat_n('\t', depth));
        }
    }
}

impl Fields<'_> {
    /// The name of a member; its value has to be written next.
    pub fn member(&mut self, name: &str) -> &mut Json {
        self.json.separate(self.any);
        self.any = true;
        self.json.text(name);
        self.json.text.push_str(if self.json.depth.is_some() { ": " } else { ":" });
        self.json
    }

    /// A text, unless it is empty.
    pub fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.member(name).text(text);
        }
    }

    /// `true`, unless it is false.
    pub fn flag(&mut self, name: &str, flag: bool) {
        if flag {
            self.member(name).text.push_str("true");
        }
    }

    /// A number, unless it is 0.
    pub fn number(&mut self, name: &str, number: u64) {
        if number != 0 {
            self.member(name).whole(number);
        }
    }
}

enum Escape {
    Short(char),
    Code,
}

fn escape(char: char) -> Option<Escape> {
    match char {
        '"' | '\\' => Some(Escape::Short(char)),
        '\u{8}' => Some(Escape::Short('b')),
        '\u{c}' => Some(Escape::Short('f')),
        '\n' => Some(Escape::Short('n')),
        '\r' => Some(Escape::Short('r')),
        '\t' => Some(Escape::Short('t')),
        '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => Some(Escape::Code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    fn written(value: &Value) -> String {
        let mut json = Json::compact();
        json.value(value);
        json.finish()
    }

    #[test]
    fn texts_are_escaped_as_go_does() {
        let text = Value::from("a\"\\\u{8}\u{c}\n\r\t\u{1}<b>&\u{2028}\u{7f}é/");
        assert_eq!(
            written(&text),
            r#""a\"\\\b\f\n\r\t\u0001\u003cb\u003e\u0026\u2028"#.to_string() + "\u{7f}é/\""
        );
    }

    #[test]
    fn numbers_are_written_as_go_does() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (1e-6, "0.000001"),
            (9.9e-7, "9.9e-7"),
            (1e-10, "1e-10"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-2.5e300, "-2.5e+300"),
            (12_345_678_901_234_567_890.0, "12345678901234567000"),
        ];
        for (number, text) in cases {
            assert_eq!(written(&Value::from(number)), text);
        }
    }

    #[test]
    fn levels_are_tabs_and_what_is_empty_has_no_lines() {
        let mut json = Json::indented();
        json.object(|fields| {
            fields.text("left-out", "");
            fields.flag("left-out", false);
            fields.number("left-out", 0);
            fields.text("text", "a");
            fields.flag("flag", true);
            fields.number("number", u64::MAX);
            fields.member("empty").object(|_| {});
            fields.member("none").array([0; 0], |_, _| {});
            fields.member("list").array(["x", "y"], Json::text);
        });
        insta::assert_snapshot!(json.finish(), @r#"
        {
        	"text": "a",
        	"flag": true,
        	"number": 18446744073709551615,
        	"empty": {},
        	"none": [],
        	"list": [
        		"x",
        		"y"
        	]
        }
        "#);
    }

    proptest! {
        #[test]
        fn any_text_reads_back(text in "\\PC{0,20}|[\\x00-\\x7f]{0,20}") {
            let value = Value::from(text);
            prop_assert_eq!(serde_json::from_str::<Value>(&written(&value)).expect("JSON"), value);
        }

        #[test]
        fn any_double_reads_back(number in proptest::num::f64::NORMAL) {
            let text = written(&Value::from(number));
            prop_assert_eq!(text.parse::<f64>().expect("a number").to_bits(), number.to_bits());
        }
    }
}
