//! The form of log files: their names, and what a line is. The master writes them, and reads them at
//! its start; commands on the same machine read lines that the master no longer has in memory.

use std::path::{Path, PathBuf};

use openctrl_core::ids::InstanceId;
use openctrl_core::line::LINE_MAX_BYTES;
use openctrl_core::stream::Stream;
use openctrl_core::time::Wall;

/// What stands after the time of a line of standard error.
pub(crate) const STDERR: u8 = b'!';

/// How long a time is at the start of a line.
pub(crate) const TIME_BYTES: usize = "2026-06-09T10:00:00.000000Z".len();

/// The newest file is number 0.
pub(crate) fn path_of(directory: &Path, id: InstanceId, number: u32) -> PathBuf {
    match number {
        0 => directory.join(format!("{id}.log")),
        older => directory.join(format!("{id}.log.{older}")),
    }
}

/// A line of a file, `<time> <text>` or `<time>! <text>`; `None` for anything else.
pub(crate) fn parse_line(bytes: &[u8]) -> Option<(Wall, Stream, &[u8])> {
    let (time, rest) = bytes.split_at_checked(TIME_BYTES)?;
    let time = Wall::parse(str::from_utf8(time).ok()?)?;
    let (stream, rest) = match rest.strip_prefix(&[STDERR]) {
        Some(rest) => (Stream::Stderr, rest),
        None => (Stream::Stdout, rest),
    };
    let text = rest.strip_prefix(b" ")?;
    Some((time, stream, &text[..text.len().min(LINE_MAX_BYTES)]))
}
