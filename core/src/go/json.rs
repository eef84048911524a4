//! JSON as Go's `encoding/json` writes it: `<`, `>`, `&` and two line separators are escaped, and
//! a line feed ends the document.

use alloc::string::String;

use serde::Serialize;

/// `value` without white space, on one line that ends in a line feed.
pub fn to_json(value: &(impl Serialize + ?Sized)) -> String {
    let text = serde_json::to_string(value).expect("plain data always encodes");
    escape(text)
}

/// `value` indented by two spaces a level, ending in a line feed.
pub fn to_json_indented(value: &(impl Serialize + ?Sized)) -> String {
    let text = serde_json::to_string_pretty(value).expect("plain data always encodes");
    escape(text)
}

/// These characters occur in JSON inside of strings alone, so a plain replacement is enough.
fn escape(text: String) -> String {
    let special = |c: char| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
    if !text.contains(special) {
        let mut text = text;
        text.push('\n');
        return text;
    }
    let mut escaped = String::with_capacity(text.len() + 64);
    for piece in text.split_inclusive(special) {
        let last = piece.chars().next_back().filter(|last| special(*last));
        let Some(last) = last else {
            escaped.push_str(piece);
            continue;
        };
        escaped.push_str(&piece[..piece.len() - last.len_utf8()]);
        escaped.push_str(match last {
            '<' => "\\u003c",
            '>' => "\\u003e",
            '&' => "\\u0026",
            '\u{2028}' => "\\u2028",
            _ => "\\u2029",
        });
    }
    escaped.push('\n');
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn what_html_would_take_for_markup_is_escaped() {
        let value = json!({"a": "<b>&\u{2028}\u{2029}ü\n\"", "c": [], "d": {}});
        assert_eq!(
            to_json(&value),
            "{\"a\":\"\\u003cb\\u003e\\u0026\\u2028\\u2029ü\\n\\\"\",\"c\":[],\"d\":{}}\n"
        );
        assert_eq!(
            to_json_indented(&json!({"c": [1], "d": {}})),
            "{\n  \"c\": [\n    1\n  ],\n  \"d\": {}\n}\n"
        );
    }

    proptest! {
        #[test]
        fn it_reads_back_as_the_same(text in "\\PC{0,40}") {
            let value = json!({ text.clone(): text });
            for json in [to_json(&value), to_json_indented(&value)] {
                prop_assert_eq!(&serde_json::from_str::<Value>(&json).expect("JSON"), &value);
                let special = ['<', '>', '&', '\u{2028}', '\u{2029}'];
                prop_assert!(!json.contains(special));
            }
        }
    }
}
