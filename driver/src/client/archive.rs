//! Lines that the master no longer has in memory, from its log files on this machine.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use openctrl_core::ids::InstanceId;
use openctrl_core::stream::Stream;
use openctrl_core::terminal::displayed;
use regex::Regex;

use super::document::Document;
use crate::log_files::{parse_line, path_of};

/// How much of the end of a file is read at first; then four times as much, until it suffices.
const SPAN_BYTES: u64 = 1024 * 1024;

/// Which lines are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// At most the last ones of this many, unless there is a time.
    pub(super) count: usize,
    /// All since this time.
    pub(super) since: Option<&'a str>,
    /// Lines that match.
    pub(super) grep: Option<&'a str>,
    /// Lines of this stream.
    pub(super) stream: Option<Stream>,
}

/// Where the lines end that are there already.
#[derive(Clone, Debug)]
struct Bound {
    /// The time of the first of them; none if there are none.
    time: Option<String>,
    /// How many of them have this time.
    ties: usize,
}

/// The lines before `kept`, which are the last ones of the same kind in the memory of the master.
/// Oldest first; none where there are no files.
///
/// # Errors
/// When a file that is there cannot be read.
pub(super) fn before(
    kept: &[Document],
    directory: &Path,
    id: InstanceId,
    wanted: Wanted<'_>,
) -> io::Result<Vec<Document>> {
    let time_of = |line: &Document| line.at("time").text().to_owned();
    let time = kept.first().map(time_of);
    let ties = kept.iter().take_while(|line| Some(time_of(line)) == time).count();
    let mut bound = Bound { time, ties };
    // The master has compiled it already.
    let grep = wanted.grep.map(Regex::new).transpose().map_err(io::Error::other)?;
    let mut room = wanted.count.saturating_sub(kept.len());
    let mut lines = Vec::new();
    for number in 0.. {
        let file = match File::open(path_of(directory, id, number)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        };
        let Part { lines: mut older, is_over } = end_of(file, &bound, room, wanted, grep.as_ref())?;
        let tied = older.iter().rev().take_while(|line| Some(time_of(line)) == bound.time).count();
        let known = tied.min(bound.ties);
        older.truncate(older.len() - known);
        bound.ties -= known;
        room = room.saturating_sub(older.len());
        older.append(&mut lines);
        lines = older;
        if is_over || (wanted.since.is_none() && room == 0) {
            break;
        }
    }
    if wanted.since.is_none() {
        lines.drain(..lines.len().saturating_sub(wanted.count.saturating_sub(kept.len())));
    }
    Ok(lines)
}

/// Lines of one file.
struct Part {
    lines: Vec<Document>,
    /// Whether older files have none that are wanted.
    is_over: bool,
}

fn end_of(
    mut file: File,
    bound: &Bound,
    room: usize,
    wanted: Wanted<'_>,
    grep: Option<&Regex>,
) -> io::Result<Part> {
    let length = file.metadata()?.len();
    let mut span = SPAN_BYTES;
    loop {
        let start = length.saturating_sub(span);
        file.seek(SeekFrom::Start(start))?;
        let mut reader = BufReader::new((&file).take(length - start));
        if start > 0 {
            // Most likely it begins within a line.
            reader.skip_until(b'\n')?;
        }
        let (lines, first) = select(reader, bound, room, wanted, grep)?;
        let is_over = wanted.since.is_some_and(|since| first.is_some_and(|first| *first < *since));
        let is_full = wanted.since.is_none() && lines.len() >= room + bound.ties;
        if is_over || is_full || start == 0 {
            return Ok(Part { lines: lines.into(), is_over });
        }
        span = span.saturating_mul(4);
    }
}

/// The lines that are wanted, and the time of the first one that was read.
fn select(
    mut reader: impl BufRead,
    bound: &Bound,
    room: usize,
    wanted: Wanted<'_>,
    grep: Option<&Regex>,
) -> io::Result<(VecDeque<Document>, Option<String>)> {
    let mut lines = VecDeque::new();
    let (mut first, mut bytes) = (None, Vec::new());
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        let line = parse_line(bytes.strip_suffix(b"\n").unwrap_or(&bytes));
        let Some((time, stream, text)) = line else {
            bytes.clear();
            continue;
        };
        let time = time.to_string();
        if bound.time.as_ref().is_some_and(|bound| time > *bound) {
            break;
        }
        let text = String::from_utf8_lossy(text);
        let text = displayed(&text);
        let is_recent = wanted.since.is_none_or(|since| *time >= *since);
        let is_of_stream = wanted.stream.is_none_or(|wanted| wanted == stream);
        if is_recent && is_of_stream && grep.is_none_or(|grep| grep.is_match(&text)) {
            lines.push_back(document(&time, stream, &text));
            if wanted.since.is_none() && lines.len() > room + bound.ties {
                lines.pop_front();
            }
        }
        first.get_or_insert(time);
        bytes.clear();
    }
    Ok((lines, first))
}

/// A line as the API has it, without an id.
fn document(time: &str, stream: Stream, text: &str) -> Document {
    let field = |name: &'static str, text: &str| (name.into(), Document::Text(text.to_owned()));
    let mut fields = vec![field("time", time), field("text", text)];
    fields.extend(stream.shown().map(|name| field("stream", name)));
    Document::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const ID: InstanceId = InstanceId(7);
    const ALL: Wanted<'_> = Wanted { count: 100, since: None, grep: None, stream: None };

    fn line(second: u32, text: &str) -> String {
        format!("2026-06-09T10:00:{second:02}.000000Z{text}\n")
    }

    /// Two files: a to c, and d to g; c and d, and f and g, have the same time.
    fn files() -> tempfile::TempDir {
        let home = tempfile::tempdir().expect("a temporary directory");
        let older = [line(1, " a"), line(2, "! b"), line(3, " c")].concat();
        let newer = [line(3, " d"), line(4, " e"), line(5, " f"), line(5, " g")].concat();
        fs::write(path_of(home.path(), ID, 1), older).expect("written");
        fs::write(path_of(home.path(), ID, 0), newer).expect("written");
        home
    }

    fn found(kept: &[(u32, &str)], wanted: Wanted<'_>) -> String {
        let kept: Vec<Document> = kept
            .iter()
            .map(|(second, text)| {
                let time = line(*second, "");
                document(time.trim_end(), Stream::Stdout, text)
            })
            .collect();
        let home = files();
        let lines = before(&kept, home.path(), ID, wanted).expect("readable");
        lines.iter().map(|line| line.at("text").text()).collect()
    }

    #[test]
    fn lines_that_the_master_has_are_not_there_twice() {
        assert_eq!(found(&[], ALL), "abcdefg");
        assert_eq!(found(&[(5, "g")], ALL), "abcdef");
        assert_eq!(found(&[(5, "f"), (5, "g")], ALL), "abcde");
        assert_eq!(found(&[(3, "d"), (4, "e"), (5, "f"), (5, "g")], ALL), "abc");
        assert_eq!(found(&[(3, "c"), (3, "d"), (4, "e")], ALL), "ab");
        assert_eq!(found(&[(1, "a")], ALL), "");
    }

    #[test]
    fn only_what_is_wanted_is_read() {
        assert_eq!(found(&[(5, "g")], Wanted { count: 3, ..ALL }), "ef");
        assert_eq!(found(&[(4, "e"), (5, "f"), (5, "g")], Wanted { count: 5, ..ALL }), "cd");
        assert_eq!(found(&[(5, "g")], Wanted { count: 1, ..ALL }), "");
        let since = Some("2026-06-09T10:00:03");
        assert_eq!(found(&[(5, "g")], Wanted { since, ..ALL }), "cdef");
        assert_eq!(found(&[], Wanted { since: Some("2026-06-09T10:00:05"), ..ALL }), "fg");
        assert_eq!(found(&[(5, "g")], Wanted { grep: Some("^[bdg]$"), ..ALL }), "bd");
        assert_eq!(found(&[], Wanted { stream: Some(Stream::Stderr), ..ALL }), "b");
    }

    #[test]
    fn a_long_file_is_read_from_its_end() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let long = "x".repeat(1_000);
        let text: String = (0..6_000).map(|number| line(1, &format!(" {number} {long}"))).collect();
        fs::write(path_of(home.path(), ID, 0), text).expect("written");
        let numbers = |count| -> Vec<usize> {
            let lines = before(&[], home.path(), ID, Wanted { count, ..ALL }).expect("readable");
            let number = |line: &Document| line.at("text").text().split(' ').next()?.parse().ok();
            lines.iter().filter_map(number).collect()
        };
        assert_eq!(numbers(3), [5_997, 5_998, 5_999]);
        assert_eq!(numbers(5_000), (1_000..6_000).collect::<Vec<_>>());
        assert_eq!(numbers(9_000).len(), 6_000);
    }

    #[test]
    fn no_files_are_no_lines() {
        let home = tempfile::tempdir().expect("a temporary directory");
        assert!(before(&[], home.path(), ID, ALL).expect("there are none").is_empty());
    }
}
