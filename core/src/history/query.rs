//! What a reader of the history asks for: the query of `GET /instances/{id}/logs`.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use super::block::LineId;
use crate::ids::{BootId, EventId};

/// Lines of an answer where the question does not say.
pub const LIMIT_DEFAULT: usize = 200;

/// Lines of an answer at most.
pub const LIMIT_MAX: usize = 5_000;

/// The longest regular expression that is looked at, in bytes.
const GREP_MAX_BYTES: usize = 1_024;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogQuery {
    /// Where the answer begins or ends.
    pub place: Place,
    /// At most so many lines.
    pub limit: usize,
    /// Only lines that this regular expression matches.
    pub grep: Option<String>,
}

/// Why a query cannot be read, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadQuery(pub String);

/// Which lines, of those that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The last ones.
    End,
    /// The first ones after this.
    After(Cursor),
    /// The last ones before this.
    Before(Cursor),
}

/// A place among the lines: `<boot>-<id>`, as the event stream names a line, or with the number of
/// the line among those of its instance, `<boot>-<id>:<number>`, as an answer says where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The run of the master.
    pub boot: BootId,
    /// The line.
    pub line: LineId,
    /// How many lines the instance had printed up to it; tells how many were missed.
    pub number: Option<u64>,
}

impl LogQuery {
    /// Reads a query. Unknown parameters are passed over; of one given twice the first counts.
    ///
    /// # Errors
    /// A cursor or a limit that is none, `cursor` with `before`, and for a regular
    /// expression of more than 1 KiB.
    pub fn decode(query: &str) -> Result<Self, BadQuery> {
        let find = |wanted: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.into_owned())
        };
        // What is empty is not asked for.
        let find_any = |wanted| find(wanted).filter(|value| !value.is_empty());
        let cursor = |name| find_any(name).map(|text| Cursor::decode(name, &text)).transpose();
        let place = match (cursor("cursor")?, cursor("before")?) {
            (None, None) => Place::End,
            (Some(after), None) => Place::After(after),
            (None, Some(before)) => Place::Before(before),
            (Some(_), Some(_)) => {
                return Err(bad("cursor and before were both given; ask for one of them"));
            }
        };
        let limit = match find("limit") {
            None => LIMIT_DEFAULT,
            Some(text) => limit(&text)?,
        };
        let grep = find_any("grep");
        if grep.as_ref().is_some_and(|grep| grep.len() > GREP_MAX_BYTES) {
            return Err(bad(&format!("grep is longer than {GREP_MAX_BYTES} bytes")));
        }
        Ok(Self { place, limit, grep })
    }
}

impl Cursor {
    fn decode(name: &str, text: &str) -> Result<Self, BadQuery> {
        Self::parse(text)
            .ok_or_else(|| bad(&format!("{name} is not an id of a line or the next of an answer")))
    }

    /// Reads what is printed for a cursor.
    fn parse(text: &str) -> Option<Self> {
        let (boot, rest) = text.split_once('-')?;
        let (line, number) = match rest.split_once(':') {
            Some((line, number)) => (line, Some(number.parse().ok()?)),
            None => (rest, None),
        };
        let (event, earlier) = match line.split_once('.') {
            Some((event, earlier)) => (event, earlier.parse().ok()?),
            None => (line, 0),
        };
        let line = LineId { event: EventId(event.parse().ok()?), earlier };
        let boot = BootId(u32::from_str_radix(boot, 16).ok()?);
        let cursor = Self { boot, line, number };
        (cursor.to_string() == text).then_some(cursor)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.boot, self.line)?;
        match self.number {
            Some(number) => write!(f, ":{number}"),
            None => Ok(()),
        }
    }
}

fn limit(text: &str) -> Result<usize, BadQuery> {
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| bad(&format!("limit is not a number from 1 to {LIMIT_MAX}")))
}

fn bad(reason: &str) -> BadQuery {
    BadQuery(reason.to_string())
}
