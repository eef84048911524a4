//! The answer to a query of the history: lines, and the cursor to continue from.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
use serde::Serialize;

use super::block::{KeptLine, LineId};
use super::book::Shelf;
use super::query::{Cursor, LogQuery, Place};
use crate::ids::BootId;
use crate::stream::Stream;
use crate::terminal::displayed;
use crate::time::Wall;

/// Limit on the text of an answer, except for its first line: 5 000 lines of 64 KiB would use too
/// much memory. `next` continues.
pub const PAGE_TEXT_MAX_BYTES: usize = 4 * 1024 * 1024;

/// An answer, fields in the order of the wire.
#[derive(Debug, Serialize)]
pub struct Page {
    lines: Vec<ShownLine>,
    next: String,
    missed: Option<u64>,
    more: bool,
    /// Present only if there is one: clients of earlier versions know the other fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    unfinished: Option<ShownUnfinished>,
    /// The same of standard error.
    #[serde(skip_serializing_if = "Option::is_none")]
    unfinished_stderr: Option<ShownUnfinished>,
}

/// A line that has not ended yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// When it was read last.
    pub time: Wall,
    /// The last part of it, as a terminal shows it.
    pub text: String,
}

#[derive(Debug, Serialize)]
struct ShownUnfinished {
    time: String,
    text: String,
}

#[derive(Debug, Serialize)]
struct ShownLine {
    id: String,
    time: String,
    text: String,
    cut: u64,
    /// Present only for standard error: clients of earlier versions know the other fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<&'static str>,
}

impl Page {
    /// The lines of `shelf` that `query` selects, in the run `boot` of the master. `matches` says
    /// whether a text matches.
    pub fn new(
        shelf: &Shelf,
        query: &LogQuery,
        boot: BootId,
        matches: impl Fn(&str) -> bool,
    ) -> Self {
        let mut taking = Taking { boot, query, matches, taken: Vec::new(), bytes: 0 };
        match query.place {
            Place::After(cursor) => Self::after(shelf, cursor, taking),
            Place::End => {
                let newest = shelf.lines().next_back();
                let more = taking.fill(shelf.lines().rev());
                taking.taken.reverse();
                let next = newest.map(|(number, line)| (number, line.id));
                Self::with(taking, next.unwrap_or(beginning(shelf)), Some(0), more)
            }
            Place::Before(cursor) => {
                let is_before =
                    |line: &(u64, KeptLine<'_>)| cursor.boot == boot && line.1.id < cursor.line;
                let newest = shelf.lines().rev().find(is_before);
                let more = taking.fill(shelf.lines().rev().filter(is_before));
                taking.taken.reverse();
                let next = newest.map(|(number, line)| (number, line.id));
                Self::with(taking, next.unwrap_or(beginning(shelf)), Some(0), more)
            }
        }
    }

    fn after<M: Fn(&str) -> bool>(
        shelf: &Shelf,
        cursor: Cursor,
        mut taking: Taking<'_, M>,
    ) -> Self {
        let (gone, last_gone) = shelf.gone();
        let is_of_this_run = cursor.boot == taking.boot;
        let from = if is_of_this_run { cursor.line } else { LineId::ZERO };
        let missed = match (is_of_this_run, last_gone) {
            (false, _) => None,
            (true, Some(last)) if from < last => {
                cursor.number.map(|number| gone.saturating_sub(number))
            }
            (true, _) => Some(0),
        };
        let mut last = None;
        let fresh = shelf.lines().filter(|(_, line)| line.id > from);
        let more = taking.fill(fresh.inspect(|(number, line)| last = Some((*number, line.id))));
        // If there is more, the last examined line did not fit.
        let last = if more { taking.taken.last().map(|taken| taken.0) } else { last };
        match last {
            Some(next) => Self::with(taking, next, missed, more),
            None if is_of_this_run => {
                let next = cursor.to_string();
                Self { next, ..Self::with(taking, (0, from), missed, more) }
            }
            None => Self::with(taking, beginning(shelf), missed, more),
        }
    }

    fn with<M>(
        taking: Taking<'_, M>,
        next: (u64, LineId),
        missed: Option<u64>,
        more: bool,
    ) -> Self {
        let (number, line) = next;
        let next = Cursor { boot: taking.boot, line, number: Some(number) }.to_string();
        let lines = taking.taken.into_iter().map(|(_, line)| line).collect();
        Self { lines, next, missed, more, unfinished: None, unfinished_stderr: None }
    }

    /// Adds the unfinished lines of both streams that the query asks for, if the page reaches the
    /// end of the output.
    #[must_use]
    pub fn with_unfinished(
        mut self,
        query: &LogQuery,
        mut unfinished: impl FnMut(Stream) -> Option<Unfinished>,
    ) -> Self {
        let is_at_end = match query.place {
            Place::End => true,
            Place::After(_) => !self.more,
            Place::Before(_) => false,
        };
        let shown = |Unfinished { time, text }: Unfinished| ShownUnfinished {
            time: time.to_string(),
            text,
        };
        let mut of = |stream| {
            let is_wanted = is_at_end && query.takes(stream);
            is_wanted.then(|| unfinished(stream)).flatten().map(shown)
        };
        self.unfinished = of(Stream::Stdout);
        self.unfinished_stderr = of(Stream::Stderr);
        self
    }

    /// The JSON of the answer.
    pub fn json(&self) -> Bytes {
        Bytes::from(serde_json::to_vec(self).expect("strings and integers always encode"))
    }
}

/// Cursor of a reader that has seen every discarded line and none of the retained ones.
fn beginning(shelf: &Shelf) -> (u64, LineId) {
    let (gone, last) = shelf.gone();
    (gone, last.unwrap_or(LineId::ZERO))
}

/// Lines collected for an answer.
struct Taking<'q, M> {
    boot: BootId,
    query: &'q LogQuery,
    matches: M,
    taken: Vec<((u64, LineId), ShownLine)>,
    bytes: usize,
}

impl<M: Fn(&str) -> bool> Taking<'_, M> {
    /// Takes lines until the answer is full; whether one that matches is left.
    fn fill<'a>(&mut self, lines: impl Iterator<Item = (u64, KeptLine<'a>)>) -> bool {
        for (number, line) in lines {
            if !self.query.takes(line.stream) {
                continue;
            }
            let line_text = line.text();
            let text = displayed(&line_text);
            if !(self.matches)(&text) {
                continue;
            }
            let is_full = self.taken.len() >= self.query.limit
                || self.bytes + text.len() > PAGE_TEXT_MAX_BYTES && !self.taken.is_empty();
            if is_full {
                return true;
            }
            self.bytes += text.len();
            let cursor = Cursor { boot: self.boot, line: line.id, number: None };
            let shown = ShownLine {
                id: cursor.to_string(),
                time: line.time.to_string(),
                text: text.into_owned(),
                cut: line.cut_bytes,
                stream: line.stream.shown(),
            };
            self.taken.push(((number, line.id), shown));
        }
        false
    }
}
