//! Requests: a query, a JSON body or a datagram as one value.
//!
//! Field names match without regard to case, the last of several counts, and `null` counts as
//! absent. What the fields ask for is checked in [`super::access`].

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde::de::{Deserialize, MapAccess};
use serde_json::Value;

use super::secret::Secret;
use super::values::KeyValues;
use crate::doors::json::{Fields, Object};

/// The largest body that is read; a larger one is refused with 413.
pub const BODY_MAX_BYTES: usize = 1024 * 1024;

/// How much of a datagram is read; a longer one is cut, is no JSON then, and gets no reply.
pub const DATAGRAM_MAX_BYTES: usize = 2048;

/// The request of a client about an app or a service. Empty, zero and false fields request nothing.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The id as it was sent.
    pub id: String,
    /// The group as it was sent.
    pub group: String,
    /// Whether the app reports that it runs.
    pub ping: bool,
    /// The process id that a ping brings along.
    pub pid: u32,
    /// The number of a toggle.
    pub toggle: u8,
    /// Whether the reply has the history; `None` if the request does not say.
    pub history: Option<bool>,
    /// New key-values.
    pub values: KeyValues,
    /// Whether they replace all that there are.
    pub values_replace: bool,
    /// What proves that the client may change something; `None` if it is empty.
    pub secret: Option<Secret>,
    /// The CAS that changes depend on; 0 for none.
    pub cas: u64,
}

/// Why bytes are no request: HTTP answers with 400 and `Invalid Request`, UDP not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Request {
    /// A request from a query, without the `?`. A number that is none counts as absent, and of
    /// several fields the first counts. A query carries neither pings nor key-values.
    pub fn from_query(query: &str) -> Self {
        let mut fields: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
        for (name, text) in form_urlencoded::parse(query.as_bytes()) {
            if !fields.iter().any(|(known, _)| *known == name) {
                fields.push((name, text));
            }
        }
        let mut request = Self::default();
        for (name, text) in fields {
            match &*name {
                "id" => request.id = text.into_owned(),
                "group" => request.group = text.into_owned(),
                "secret" => request.secret = Secret::new(text.into_owned()),
                "history" => request.history = Some(!matches!(&*text, "false" | "0")),
                "toggle" => {
                    let number = whole(&text).and_then(|number| u8::try_from(number).ok());
                    request.toggle = number.unwrap_or(0);
                }
                "cas" => request.cas = whole(&text).unwrap_or(0),
                _ => {}
            }
        }
        request
    }

    /// A request from JSON: the body of a POST or a datagram. `null` is the empty request.
    ///
    /// # Errors
    /// For anything but one JSON object whose fields have the right types and ranges.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Malformed> {
        // Bytes that are not UTF-8 become U+FFFD, as in Patrol.
        let text = String::from_utf8_lossy(bytes);
        let body: Option<Object<Self>> = serde_json::from_str(&text).map_err(|_| Malformed)?;
        Ok(body.map(|body| body.0).unwrap_or_default())
    }

    /// Takes the secret of the header `X-Patrol-Secret`, unless the request has one already.
    pub fn with_secret(mut self, header: Option<&str>) -> Self {
        if self.secret.is_none() {
            self.secret = header.and_then(|text| Secret::new(text.into()));
        }
        self
    }
}

/// A whole number in digits alone; one that is too large counts as the largest.
fn whole(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

impl Fields for Request {
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        match name.to_ascii_lowercase().as_str() {
            "id" => read(map, &mut self.id)?,
            "group" => read(map, &mut self.group)?,
            "ping" => read(map, &mut self.ping)?,
            "pid" => read(map, &mut self.pid)?,
            "toggle" => read(map, &mut self.toggle)?,
            "history" => self.history = map.next_value::<Option<bool>>()?.or(self.history),
            "keyvalue-replace" => read(map, &mut self.values_replace)?,
            "cas" => read(map, &mut self.cas)?,
            "secret" => {
                if let Some(text) = map.next_value::<Option<String>>()? {
                    self.secret = Secret::new(text);
                }
            }
            "keyvalue" => {
                let entries: Option<serde_json::Map<String, Value>> = map.next_value()?;
                self.values = KeyValues::new(entries.unwrap_or_default());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Reads the next value; null changes nothing.
fn read<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    map: &mut A,
    field: &mut T,
) -> Result<(), A::Error> {
    if let Some(read) = map.next_value::<Option<T>>()? {
        *field = read;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doors::patrol::json::Json;
    use alloc::format;
    use proptest::prelude::*;

    fn shown(request: &Request) -> String {
        let Request { id, group, ping, pid, toggle, history, values, values_replace, secret, cas } =
            request;
        let mut json = Json::compact();
        values.write(&mut json);
        let values = json.finish();
        let secret = secret.as_ref().map(Secret::reveal);
        format!(
            "{id:?} {group:?} {ping} {pid} {toggle} {history:?} {values} {values_replace} {secret:?} {cas}"
        )
    }

    #[test]
    fn queries_have_six_fields_and_bad_numbers_count_as_absent() {
        let cases = [
            "",
            "id=web&group=app",
            "ID=web&group=app",
            "id=a&id=b",
            "id=a%20b&secret=%22",
            "toggle=2",
            "toggle=258",
            "toggle=+2",
            "toggle=x",
            "history",
            "history=true",
            "history=false",
            "cas=7",
            "cas=-1",
            "cas=x",
            "cas=18446744073709551615",
            "cas=99999999999999999999",
            "ping=true&pid=7&keyvalue=1",
        ];
        let table: Vec<String> = cases
            .iter()
            .map(|query| format!("{query:30} {}", shown(&Request::from_query(query))))
            .collect();
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn bodies_are_read_field_by_field() {
        let cases = [
            "null",
            "{}",
            r#"{"id":"web","group":"app","ping":true,"pid":4294967295,"toggle":255}"#,
            r#"{"ID":"a","Id":"b","id":null,"x":[1]}"#,
            r#"{"history":false}"#,
            r#"{"history":true,"history":null}"#,
            r#"{"keyvalue":{"a":1,"b":{"c":[null]}},"keyvalue-replace":true}"#,
            r#"{"keyvalue":null,"secret":"s","cas":18446744073709551615}"#,
            r#"{"secret":"","cas":0}"#,
        ];
        let table: Vec<String> = cases
            .iter()
            .map(|body| {
                let request = Request::from_json(body.as_bytes()).expect(body);
                format!("{body}\n    {}", shown(&request))
            })
            .collect();
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn malformed_bodies_are_no_requests() {
        for body in [
            "",
            " ",
            "x",
            "[]",
            "1",
            r#""a""#,
            "{",
            "{}x",
            "{} {}",
            r#"{"pid":-1}"#,
            r#"{"pid":4294967296}"#,
            r#"{"pid":1.5}"#,
            r#"{"toggle":256}"#,
            r#"{"toggle":300}"#,
            r#"{"toggle":"1"}"#,
            r#"{"ping":1}"#,
            r#"{"history":"true"}"#,
            r#"{"id":1}"#,
            r#"{"keyvalue":[]}"#,
            r#"{"keyvalue-replace":0}"#,
            r#"{"cas":18446744073709551616}"#,
            r#"{"cas":-1}"#,
            r#"{"secret":[]}"#,
        ] {
            assert_eq!(Request::from_json(body.as_bytes()).err(), Some(Malformed), "{body}");
        }
    }

    #[test]
    fn a_long_datagram_is_no_request() {
        let body = format!(r#"{{"id":"{}"}}"#, "x".repeat(DATAGRAM_MAX_BYTES));
        assert!(Request::from_json(body.as_bytes()).is_ok());
        assert!(Request::from_json(&body.as_bytes()[..DATAGRAM_MAX_BYTES]).is_err());
    }

    #[test]
    fn a_secret_comes_in_the_request_or_else_in_the_header() {
        let with = |query: &str, header| {
            let request = Request::from_query(query).with_secret(header);
            request.secret.map(|secret| String::from(secret.reveal()))
        };
        assert_eq!(with("secret=a", Some("b")).as_deref(), Some("a"));
        assert_eq!(with("", Some("b")).as_deref(), Some("b"));
        assert_eq!(with("", Some("")), None);
        assert_eq!(with("", None), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), query in "\\PC{0,40}") {
            let _ = Request::from_json(&bytes);
            let _ = Request::from_query(&query);
        }

        #[test]
        fn numbers_in_range_are_read(pid in any::<u32>(), toggle in any::<u8>(), cas in any::<u64>()) {
            let body = format!(r#"{{"pid":{pid},"toggle":{toggle},"cas":{cas}}}"#);
            let request = Request::from_json(body.as_bytes()).expect("a request");
            prop_assert_eq!((request.pid, request.toggle, request.cas), (pid, toggle, cas));
            let request = Request::from_query(&format!("toggle={toggle}&cas={cas}"));
            prop_assert_eq!((request.toggle, request.cas), (toggle, cas));
        }
    }
}
