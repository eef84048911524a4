//! What the contract says about every JSON text, whatever is in it.

use serde_json::Value;

use crate::KEY_ID;

/// The 17 fields of an instance object (contract §4).
pub const INSTANCE_FIELDS: [&str; 17] = [
    "id", "alias", "type", "status", "url", "config", "restart", "meta", "mode", "ping", "pool",
    "tcps", "udps", "tcprx", "tcptx", "udprx", "udptx",
];

/// The 22 fields of `/info` (contract §9).
pub const INFO_FIELDS: [&str; 22] = [
    "mid",
    "alias",
    "os",
    "arch",
    "noc",
    "cpu",
    "mem_total",
    "mem_used",
    "swap_total",
    "swap_used",
    "netrx",
    "nettx",
    "diskr",
    "diskw",
    "sysup",
    "ver",
    "name",
    "uptime",
    "log",
    "tls",
    "crt",
    "key",
];

/// Whether `text` has no white space outside strings (one line feed at the end is allowed), which
/// is what shell clients rely on.
pub fn is_compact(text: &str) -> bool {
    let mut in_string = false;
    let mut escaped = false;
    for c in text.strip_suffix('\n').unwrap_or(text).chars() {
        if escaped {
            escaped = false;
        } else if in_string {
            escaped = c == '\\';
            in_string = c != '"';
        } else if c == '"' {
            in_string = true;
        } else if c.is_whitespace() {
            return false;
        }
    }
    !in_string
}

/// What is wrong with `value` as an instance object, or `None` (contract §4).
pub fn instance_fault(value: &Value) -> Option<String> {
    let Some(object) = value.as_object() else { return Some(format!("not an object: {value}")) };
    for field in INSTANCE_FIELDS {
        let Some(value) = object.get(field) else { return Some(format!("{field} is missing")) };
        let fits = match field {
            "restart" => value.is_boolean(),
            "meta" => is_meta(value),
            "mode" | "ping" | "pool" | "tcps" | "udps" => value.as_i64().is_some(),
            "tcprx" | "tcptx" | "udprx" | "udptx" => value.as_i64().is_some_and(|n| n >= 0),
            "status" if object.get("id").is_some_and(|id| id == KEY_ID) => value == "",
            "status" => ["stopped", "running", "error"].iter().any(|status| value == *status),
            _ => value.is_string(),
        };
        if !fits {
            return Some(format!("{field} is {value}"));
        }
    }
    (object.len() != INSTANCE_FIELDS.len()).then(|| format!("more than 17 fields: {value}"))
}

fn is_meta(meta: &Value) -> bool {
    let peer = &meta["peer"];
    let peer_fits = ["sid", "type", "alias"].iter().all(|field| peer[field].is_string());
    let tags = meta["tags"].as_object();
    peer_fits && tags.is_some_and(|tags| tags.values().all(Value::is_string))
}

/// Whether `text` is `length` lower-case hexadecimal digits.
pub fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::{instance_fault, is_compact, is_hex};
    use serde_json::json;

    #[test]
    fn white_space_counts_only_outside_strings() {
        assert!(is_compact(r#"{"a":"b: c, \" d","e":[1,2]}"#));
        assert!(is_compact("[]\n"));
        assert!(!is_compact(r#"{"a": 1}"#));
        assert!(!is_compact("{\"a\":1}\n\n"));
        assert!(!is_compact(r#"{"a"#));
    }

    #[test]
    fn a_fault_names_its_field() {
        let mut value = json!({
            "id": "0123abcd", "alias": "", "type": "x", "status": "error", "url": "", "config": "",
            "restart": true, "meta": {"peer": {"sid": "", "type": "", "alias": ""}, "tags": {}},
            "mode": 0, "ping": 0, "pool": 0, "tcps": 0, "udps": 0,
            "tcprx": 0, "tcptx": 0, "udprx": 0, "udptx": 9_223_372_036_854_775_807_u64,
        });
        assert_eq!(instance_fault(&value), None);
        value["udptx"] = json!(9_223_372_036_854_775_808_u64);
        assert!(instance_fault(&value).is_some_and(|fault| fault.starts_with("udptx")));
        value["udptx"] = json!(1.0);
        assert!(instance_fault(&value).is_some());
        value["udptx"] = json!(1);
        value["status"] = json!("unwell");
        assert!(instance_fault(&value).is_some_and(|fault| fault.starts_with("status")));
        value["status"] = json!("running");
        value["meta"]["tags"] = json!(null);
        assert!(instance_fault(&value).is_some_and(|fault| fault.starts_with("meta")));
    }

    #[test]
    fn hex_is_lower_case_and_of_the_length() {
        assert!(is_hex("00ffab12", 8));
        assert!(!is_hex("00FFAB12", 8));
        assert!(!is_hex("00ffab1", 8));
    }
}
