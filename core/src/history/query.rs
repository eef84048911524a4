//! The query of the history: that of `GET /instances/{id}/logs`.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use super::block::LineId;
use crate::ids::{BootId, EventId};
use crate::stream::Stream;

/// Default number of lines of an answer.
pub const LIMIT_DEFAULT: usize = 200;

/// Lines of an answer at most.
pub const LIMIT_MAX: usize = 5_000;

/// Maximum length of a regular expression, in bytes.
const GREP_MAX_BYTES: usize = 1_024;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogQuery {
    /// Where the answer starts or ends.
    pub place: Place,
    /// Maximum number of lines.
    pub limit: usize,
    /// Only lines that this regular expression matches.
    pub grep: Option<String>,
    /// Only lines of this stream.
    pub stream: Option<Stream>,
}

/// Why a query cannot be read, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadQuery(pub String);

/// Which of the matching lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The last ones.
    End,
    /// The first ones after this.
    After(Cursor),
    /// The last ones before this.
    Before(Cursor),
}

/// A position among the lines: `<boot>-<id>`, the id of a line in the event stream, or with the
/// number of the line within its instance, `<boot>-<id>:<number>`, as answers give it in `next`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The run of the master.
    pub boot: BootId,
    /// The line.
    pub line: LineId,
    /// Number of lines that the instance had printed up to it, to count missed lines.
    pub number: Option<u64>,
}

impl LogQuery {
    /// Parses a query. Unknown parameters are ignored; if one is given twice, the first counts.
    ///
    /// # Errors
    /// An invalid cursor, limit or stream, `cursor` together with `before`, and a regular
    /// expression of more than 1 KiB.
    pub fn decode(query: &str) -> Result<Self, BadQuery> {
        let find = |wanted: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.into_owned())
        };
        // Empty values are ignored.
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
        let stream = find_any("stream").map(|name| stream(&name)).transpose()?;
        Ok(Self { place, limit, grep, stream })
    }

    /// Whether it asks for lines of this stream.
    pub fn takes(&self, stream: Stream) -> bool {
        self.stream.is_none_or(|wanted| wanted == stream)
    }
}

impl Cursor {
    fn decode(name: &str, text: &str) -> Result<Self, BadQuery> {
        Self::parse(text)
            .ok_or_else(|| bad(&format!("{name} is not an id of a line or the next of an answer")))
    }

    /// Parses the printed form of a cursor.
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

fn stream(name: &str) -> Result<Stream, BadQuery> {
    Stream::parse(name).ok_or_else(|| bad("stream is not stdout or stderr"))
}

fn bad(reason: &str) -> BadQuery {
    BadQuery(reason.to_string())
}
