//! Parses a URL and checks it.
//!
//! Owns: the grammar that both kinds of URL share, and which parts may be shown. Does not own: the
//! meaning of a scheme or a part.

use alloc::string::String;
use core::fmt;

/// The most that an error repeats of a URL, in bytes.
const OUTLINE_MAX_BYTES: usize = 80;

/// The replacement of a secret.
const REDACTED: &str = "<redacted>";

/// Why a text is not a URL (Contract §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlFault {
    /// There is no text.
    Empty,
    /// No scheme comes before the first colon.
    NoScheme,
    /// A byte below 0x20, or DEL, anywhere.
    ControlCharacter,
    /// A space between `//` and the path.
    SpaceInHost,
    /// A `[` that is never closed, or that does not begin the host.
    Bracket,
    /// A `%` without two hexadecimal digits after it, in the part named.
    BadEscape(&'static str),
}

impl fmt::Display for UrlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UrlFault::Empty => f.write_str("it is empty; write scheme://host"),
            UrlFault::NoScheme => f.write_str("no scheme; begin with one, as in scheme://host"),
            UrlFault::ControlCharacter => f.write_str("control character; remove or escape it"),
            UrlFault::SpaceInHost => f.write_str("space in the host; remove or escape it"),
            UrlFault::Bracket => {
                f.write_str("stray or unclosed [ in the host; write an IPv6 address as [::1]")
            }
            UrlFault::BadEscape(part) => {
                write!(f, "bad percent escape in the {part}; write % itself as %25")
            }
        }
    }
}

/// A URL taken apart; nothing is decoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    /// As given, in any letter case.
    pub(super) scheme: &'a str,
    /// The text before the last `@` of the authority.
    pub(super) user_info: &'a str,
    /// The host with its port; an IPv6 literal is in brackets.
    pub(super) host: &'a str,
    /// Empty or with a leading `/`; anything else is the rest of an opaque URL.
    pub(super) path: &'a str,
    /// Without the `?`.
    pub(super) query: &'a str,
    /// Without the `#`.
    pub(super) fragment: &'a str,
}

impl<'a> Parts<'a> {
    /// Parses and checks `text`. Ports, characters of names and the query are not checked: the
    /// recipient of the URL checks them.
    pub(super) fn parse(text: &'a str) -> Result<Parts<'a>, UrlFault> {
        if text.is_empty() {
            return Err(UrlFault::Empty);
        }
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(UrlFault::ControlCharacter);
        }
        let (scheme, rest) = split_scheme(text).ok_or(UrlFault::NoScheme)?;
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => ("", rest),
        };
        if authority.contains(' ') {
            return Err(UrlFault::SpaceInHost);
        }
        let (user_info, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let parts = Parts { scheme, user_info, host, path, query, fragment };
        parts.check_brackets()?;
        parts.check_escapes()?;
        Ok(parts)
    }

    fn check_brackets(&self) -> Result<(), UrlFault> {
        let inner = self.host.strip_prefix('[');
        let closed = inner.is_none_or(|inner| inner.contains(']'));
        let stray = inner.unwrap_or(self.host).contains('[');
        if closed && !stray { Ok(()) } else { Err(UrlFault::Bracket) }
    }

    fn check_escapes(&self) -> Result<(), UrlFault> {
        let path = if self.path.starts_with('/') { self.path } else { "" };
        let checked = [
            ("user-info", self.user_info),
            ("host", self.host),
            ("path", path),
            ("fragment", self.fragment),
        ];
        match checked.into_iter().find(|(_, text)| !escapes_are_good(text)) {
            Some((name, _)) => Err(UrlFault::BadEscape(name)),
            None => Ok(()),
        }
    }
}

/// `text` without its secrets: user-info and the values of the query. All before the last `@`
/// that precedes the query is taken for user-info, as passwords with an unescaped `/` are common.
pub(super) fn redact(text: &str) -> String {
    let (rest, fragment) = text.split_at(text.find('#').unwrap_or(text.len()));
    let (rest, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
    let mut shown = hide_user_info(rest);
    for pair in query.split_inclusive(['?', '&']) {
        let (pair, separator) = match pair.strip_suffix(['?', '&']) {
            Some(bare) => (bare, &pair[bare.len()..]),
            None => (pair, ""),
        };
        if let Some((name, _)) = pair.split_once('=') {
            shown.push_str(name);
            shown.push('=');
        }
        if !pair.is_empty() {
            shown.push_str(REDACTED);
        }
        shown.push_str(separator);
    }
    shown.push_str(fragment);
    shown
}

/// The beginning of `text` for an error: no user-info, no query, nothing that would not print,
/// and at most [`OUTLINE_MAX_BYTES`] with the mark of a cut.
pub(super) fn outline(text: &str) -> String {
    let (head, hidden) = text.split_at(text.find(['?', '#']).unwrap_or(text.len()));
    let mut shown = String::new();
    let mut is_cut = !hidden.is_empty();
    for letter in hide_user_info(head).chars() {
        let printed = letter.escape_debug();
        let printed_bytes: usize = printed.clone().map(char::len_utf8).sum();
        if shown.len() + printed_bytes + '…'.len_utf8() > OUTLINE_MAX_BYTES {
            is_cut = true;
            break;
        }
        shown.extend(printed);
    }
    if is_cut {
        shown.push('…');
    }
    shown
}

fn hide_user_info(head: &str) -> String {
    let after_scheme = split_scheme(head).map_or(head, |(_, rest)| rest);
    let rest = after_scheme.strip_prefix("//").unwrap_or(after_scheme);
    let Some(at) = rest.rfind('@') else { return String::from(head) };
    let mut shown = String::from(&head[..head.len() - rest.len()]);
    shown.push_str(REDACTED);
    shown.push_str(&rest[at..]);
    shown
}

/// The scheme, one of `ALPHA *(ALPHA / DIGIT / "+" / "-" / ".")`, and the text after its colon.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let starts_well = scheme.starts_with(|letter: char| letter.is_ascii_alphabetic());
    let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    (starts_well && scheme.bytes().all(in_scheme)).then_some((scheme, rest))
}

fn escapes_are_good(text: &str) -> bool {
    let is_good = |tail: &str| {
        let mut digits = tail.bytes().take(2).filter(u8::is_ascii_hexdigit);
        digits.next().is_some() && digits.next().is_some()
    };
    text.split('%').skip(1).all(is_good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_url_apart() {
        let parts = Parts::parse("a+b.c-D://u:p@x@[::1]:80/p/a?q=/?#/f?#").expect("a URL");
        assert_eq!(parts.scheme, "a+b.c-D");
        assert_eq!(parts.user_info, "u:p@x");
        assert_eq!(parts.host, "[::1]:80");
        assert_eq!(parts.path, "/p/a");
        assert_eq!(parts.query, "q=/?");
        assert_eq!(parts.fragment, "/f?#");
        let opaque = Parts::parse("demo:x/%?y").expect("a URL");
        assert_eq!((opaque.host, opaque.path, opaque.query), ("", "x/%", "y"));
    }

    #[test]
    fn redacts_user_info_and_query_values() {
        for (text, shown) in [
            ("demo://h:1/p#f", "demo://h:1/p#f"),
            (
                "demo://u:p@h/p?a=1&b&&c=2=3&#f",
                "demo://<redacted>@h/p?a=<redacted>&<redacted>&&c=<redacted>&#f",
            ),
            ("demo://u:p/w@h?", "demo://<redacted>@h?"),
            ("mailto:joe@example.org", "mailto:<redacted>@example.org"),
            ("demo://h?a=b?c=d", "demo://h?a=<redacted>?c=<redacted>"),
        ] {
            assert_eq!(redact(text), shown);
        }
    }

    #[test]
    fn outlines_show_no_secret_and_little_else() {
        for (text, shown) in [
            ("demo://a b", "demo://a b"),
            ("demo://u:p@a b?q=1", "demo://<redacted>@a b…"),
            ("u p@h#x@y", "<redacted>@h…"),
            ("demo://a\n\"b", "demo://a\\n\\\"b"),
        ] {
            assert_eq!(outline(text), shown);
        }
        let long = outline(&"é".repeat(1000));
        assert_eq!(long.len(), 79, "{long}");
        assert!(long.ends_with("é…"));
    }
}
