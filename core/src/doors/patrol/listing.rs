//! `/logs/`, `/stdout/` and `/stderr/`: finds the file, and renders a directory as a page.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::page::escape;
use super::path;
use super::secret::Secret;

/// Characters of a file name that need no escape in a link.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The largest number of lines that `last=` may ask for; none are given for a smaller one either.
const LAST_MAX: u64 = 1024;

/// The query of these addresses. Of several fields with the same name, the first counts.
#[derive(Clone, Debug, Default)]
pub struct LogQuery {
    fields: BTreeMap<String, Vec<String>>,
}

/// Why there is no file and no folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogError {
    /// Not the group `app`.
    UnknownGroup,
    /// No such app; letter case counts here.
    UnknownApp,
    /// Not the secret of the app, or none.
    Secret,
    /// `last=` is not a number.
    LastInvalid,
    /// `last=` is too large.
    LastTooLarge,
    /// `last=` is a number.
    LastUnsupported,
    /// The app has no such log.
    NoLog,
    /// No such file.
    NotFound,
}

impl LogError {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::NoLog | Self::NotFound => 404,
            Self::UnknownGroup
            | Self::UnknownApp
            | Self::Secret
            | Self::LastInvalid
            | Self::LastTooLarge
            | Self::LastUnsupported => 405,
        }
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownGroup => "Unknown Group",
            Self::UnknownApp => "Unknown App",
            Self::Secret => "Secret Invalid",
            Self::LastInvalid => "?last=INVALID",
            Self::LastTooLarge => "?last= does not support over 1024 lines",
            Self::LastUnsupported => "?last= NOT supported yet!",
            Self::NoLog => "404 log type doesn't exist",
            Self::NotFound => "404 page not found",
        })
    }
}

impl core::error::Error for LogError {}

impl LogQuery {
    /// Reads a query, without the `?`.
    pub fn parse(query: &str) -> Self {
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, text) in form_urlencoded::parse(query.as_bytes()) {
            fields.entry(name.into_owned()).or_default().push(text.into_owned());
        }
        Self { fields }
    }

    fn get(&self, name: &str) -> &str {
        self.fields.get(name).and_then(|texts| texts.first()).map_or("", String::as_str)
    }

    /// Finds the app with `find`, which is given its id and says what secret it has.
    /// `secret` is that of the header, for a query that has none.
    ///
    /// # Errors
    /// The first error, in the order of the contract.
    pub fn admit<'a, T>(
        &self,
        secret: Option<&str>,
        find: impl FnOnce(&str) -> Option<(T, Option<&'a Secret>)>,
    ) -> Result<T, LogError> {
        if self.get("group") != "app" {
            return Err(LogError::UnknownGroup);
        }
        let (app, needed) = find(self.get("id")).ok_or(LogError::UnknownApp)?;
        let presented = match self.get("secret") {
            "" => secret.unwrap_or_default(),
            text => text,
        };
        if needed.is_some_and(|needed| !needed.admits(presented)) {
            return Err(LogError::Secret);
        }
        Ok(app)
    }

    /// `last=`, which no server has ever answered.
    ///
    /// # Errors
    /// For any value that is not empty.
    pub fn check_last(&self) -> Result<(), LogError> {
        let text = self.get("last");
        if text.is_empty() {
            return Ok(());
        }
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| text.parse::<u64>().ok()).flatten();
        Err(match number.ok_or(LogError::LastInvalid)? {
            number if number > LAST_MAX => LogError::LastTooLarge,
            _ => LogError::LastUnsupported,
        })
    }

    /// The query again, sorted by name.
    fn encoded(&self) -> String {
        let mut serializer = form_urlencoded::Serializer::new(String::new());
        for (name, texts) in &self.fields {
            for text in texts {
                serializer.append_pair(name, text);
            }
        }
        serializer.finish()
    }
}

/// The place that the rest of an address after `/logs` means: a cleaned path that begins with `/`
/// and cannot leave the log folder.
///
/// # Errors
/// For what cannot be a path.
pub fn place(rest: &str) -> Result<String, LogError> {
    let decoded: Cow<'_, str> =
        percent_encoding::percent_decode_str(rest).decode_utf8().map_err(|_| LogError::NotFound)?;
    if decoded.contains('\0') {
        return Err(LogError::NotFound);
    }
    Ok(path::below("/", &decoded))
}

/// A folder as a page: a link for each entry, and one to the folder above.
///
/// `entries` are names and whether they are folders, in the order in which they are shown.
pub fn folder<'a>(
    place: &str,
    query: &LogQuery,
    entries: impl IntoIterator<Item = (&'a str, bool)>,
) -> String {
    let query = query.encoded();
    let query = escape(&query);
    let mut page = String::from("<ul>\n");
    let up = if place == "/" { String::from("../") } else { alloc::format!("../?{query}") };
    let _ = writeln!(page, "<li><a href=\"{up}\">..</a></li>");
    for (name, is_folder) in entries {
        let slash = if is_folder { "/" } else { "" };
        let link = utf8_percent_encode(name, NAME);
        let shown = escape(name);
        let _ = writeln!(page, "<li><a href=\"{link}{slash}?{query}\">{shown}{slash}</a></li>");
    }
    page.push_str("</ul>\n");
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    fn admit(query: &str, header: Option<&str>) -> Result<(), LogError> {
        let secret = Secret::new("s".to_string());
        LogQuery::parse(query).admit(header, |id| match id {
            "web" => Some(((), None)),
            "kept" => Some(((), secret.as_ref())),
            _ => None,
        })
    }

    #[test]
    fn queries_are_refused_in_the_order_of_the_contract() {
        let cases = [
            ("", Some("Unknown Group")),
            ("group=service&id=web", Some("Unknown Group")),
            ("group=APP&id=web", Some("Unknown Group")),
            ("group=app", Some("Unknown App")),
            ("group=app&id=WEB", Some("Unknown App")),
            ("group=app&id=kept", Some("Secret Invalid")),
            ("group=app&id=kept&secret=x", Some("Secret Invalid")),
            ("group=app&id=kept&secret=s", None),
            ("group=app&id=web&secret=x", None),
            ("group=app&id=web&id=nothing", None),
        ];
        for (query, problem) in cases {
            let found = admit(query, None).err().map(|error| error.to_string());
            assert_eq!(found.as_deref(), problem, "{query}");
        }
        assert_eq!(admit("group=app&id=kept", Some("s")), Ok(()));
    }

    #[test]
    fn last_lines_are_never_given() {
        let cases = [
            ("last=", None),
            ("last=x", Some((405, "?last=INVALID"))),
            ("last=-1", Some((405, "?last=INVALID"))),
            ("last=99999999999999999999", Some((405, "?last=INVALID"))),
            ("last=1025", Some((405, "?last= does not support over 1024 lines"))),
            ("last=1024", Some((405, "?last= NOT supported yet!"))),
            ("last=0", Some((405, "?last= NOT supported yet!"))),
        ];
        for (query, expected) in cases {
            let found = LogQuery::parse(query).check_last().err();
            let found = found.map(|error| (error.status(), error.to_string()));
            assert_eq!(found, expected.map(|(status, text)| (status, text.to_string())), "{query}");
        }
        assert_eq!(LogError::NoLog.status(), 404);
    }

    #[test]
    fn a_folder_is_a_list_of_links() {
        let query = LogQuery::parse("id=web&group=app&secret=%22%26");
        let entries = [("2026", true), ("a b:<c>.log", false)];
        insta::assert_snapshot!(folder("/", &query, entries), @r#"
        <ul>
        <li><a href="../">..</a></li>
        <li><a href="2026/?group=app&amp;id=web&amp;secret=%22%26">2026/</a></li>
        <li><a href="a%20b%3A%3Cc%3E.log?group=app&amp;id=web&amp;secret=%22%26">a b:&lt;c&gt;.log</a></li>
        </ul>
        "#);
        insta::assert_snapshot!(folder("/2026", &LogQuery::parse("group=app&id=web"), []), @r#"
        <ul>
        <li><a href="../?group=app&amp;id=web">..</a></li>
        </ul>
        "#);
    }

    proptest! {
        #[test]
        fn no_address_leaves_the_folder(rest in "(/|%2e|%2F|\\.|a|\\\\|%00|%ff){0,20}") {
            if let Ok(place) = place(&rest) {
                prop_assert!(place.starts_with('/'), "{}", place);
                prop_assert!(!place.split('/').any(|part| part == ".."), "{}", place);
                prop_assert!(!place.contains('\0'));
            }
        }
    }
}
