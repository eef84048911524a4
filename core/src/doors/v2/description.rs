//! The API as an OpenAPI 3.1 document: `GET /openapi.json`.
//!
//! The document is written by hand, in `openapi.json`; the tests hold it to the router and to what
//! is rendered.

use alloc::string::ToString;

use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

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

/// The document of a master of `version` whose API is at `api_base`, as compact JSON.
pub fn describe(api_base: &str, version: &str) -> Bytes {
    let mut document: Value = serde_json::from_str(DOCUMENT).expect("the document is JSON");
    let base = utf8_percent_encode(api_base, ESCAPED).to_string();
    if let Some(server) = document.pointer_mut("/servers/0/url") {
        *server = Value::from(base);
    }
    if let Some(shown) = document.pointer_mut("/info/version") {
        *shown = Value::from(version);
    }
    Bytes::from(serde_json::to_vec(&document).expect("JSON always encodes"))
}

#[cfg(test)]
#[path = "description_tests.rs"]
mod tests;
