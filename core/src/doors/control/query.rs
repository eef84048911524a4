//! Queries as Go's `url.ParseQuery` reads them: pairs that cannot be decoded are left out, and the
//! first of several values counts.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use percent_encoding::percent_decode_str;

use super::answer::Reply;

/// The pairs of a query.
#[derive(Debug)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
}

/// Maximum number of parsed pairs; no endpoint has as many parameters.
const PAIRS_MAX: usize = 128;

impl Query {
    pub(super) fn parse(query: Option<&str>) -> Self {
        let pairs = query.unwrap_or_default().split('&').take(PAIRS_MAX);
        let decoded =
            pairs.filter(|pair| !pair.is_empty() && !pair.contains(';')).filter_map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Some((decode(name)?, decode(value)?))
            });
        Self { pairs: decoded.collect() }
    }

    /// The first value of `name`; empty without one.
    pub(super) fn text(&self, name: &str) -> &str {
        let found = self.pairs.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// The value of `name` if it is not empty.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|value| !value.is_empty())
    }

    /// A whole number from 0 on; `default` if it is absent or empty.
    pub(super) fn number(&self, name: &str, default: u64) -> Result<u64, Reply> {
        let Some(text) = self.given(name) else { return Ok(default) };
        let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<i64>().ok().filter(|_| is_digits);
        number
            .and_then(|number| u64::try_from(number).ok())
            .ok_or_else(|| Reply::bad(&format!("{name} must be a non-negative integer")))
    }
}

/// Decodes percent escapes and `+`; `None` for an invalid escape.
fn decode(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    escapes_are_good(&text).then(|| decode_path(&text).into_owned())
}

/// Decodes percent escapes only. Bytes that are not UTF-8 are replaced.
pub(super) fn decode_path(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

fn escapes_are_good(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .all(|tail| tail.len() >= 2 && tail.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn queries_read_as_go_reads_them() {
        let query = Query::parse(Some("a=1&a=2&b=x+y%2B&c&%64=e&f=%zz&g=1;h=2&=i&j=%ff"));
        assert_eq!(query.text("a"), "1");
        assert_eq!(query.text("b"), "x y+");
        assert_eq!(query.text("c"), "");
        assert_eq!(query.text("d"), "e");
        assert_eq!(query.given("f"), None);
        assert_eq!(query.given("g"), None);
        assert_eq!(query.text("j"), "\u{fffd}");
    }

    #[test]
    fn only_whole_numbers_from_0_on_are_numbers() {
        for (text, number) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("9223372036854775807", Some(i64::MAX as u64)),
            ("", Some(5)),
            ("9223372036854775808", None),
            ("-1", None),
            ("1e3", None),
            ("%201", None),
            ("+1", None),
            ("1.0", None),
            ("x", None),
        ] {
            let query = format!("n={text}");
            let found = Query::parse(Some(&query)).number("n", 5);
            assert_eq!(found.as_ref().ok().copied(), number, "{text}");
            if let Err(reply) = found {
                assert_eq!(reply.status, 400);
                assert!(reply.body.contains("n must be a non-negative integer"));
            }
        }
    }

    proptest! {
        #[test]
        fn no_query_panics(text in "\\PC{0,40}|[a-c=&%+;0-9]{0,40}") {
            let query = Query::parse(Some(&text));
            let _ = (query.given("a"), query.number("b", 1));
        }
    }
}
