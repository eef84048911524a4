//! The last lines in the files of an instance, for the memory of a master that was just started.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use openctrl_core::ids::InstanceId;
use openctrl_core::stream::Stream;
use openctrl_core::time::Wall;

use crate::log_files::{parse_line, path_of};

/// At most the last `count` lines and `bytes` of the newest file of `id`, and of the one before it
/// where the newest has less. Oldest first; a file that cannot be read has none.
pub(super) fn last_lines(
    directory: &Path,
    id: InstanceId,
    count: usize,
    bytes: usize,
) -> Vec<(Wall, Stream, Vec<u8>)> {
    let mut lines: Vec<(Wall, Stream, Vec<u8>)> = Vec::new();
    let mut room = bytes;
    for number in [0, 1] {
        let text = end_of(&path_of(directory, id, number), room).unwrap_or_default();
        room -= text.len();
        // Newest first, because those are retained.
        let found = text.split(|byte| *byte == b'\n').rev().filter_map(line);
        lines.extend(found.take(count - lines.len()));
    }
    lines.reverse();
    lines
}

/// The last `bytes` of a file, from the start of a line.
fn end_of(path: &Path, bytes: usize) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(bytes as u64);
    file.seek(SeekFrom::Start(start))?;
    let mut text = Vec::new();
    file.take(bytes as u64).read_to_end(&mut text)?;
    if start > 0 {
        let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
        text.drain(..end);
    }
    Ok(text)
}

fn line(bytes: &[u8]) -> Option<(Wall, Stream, Vec<u8>)> {
    parse_line(bytes).map(|(time, stream, text)| (time, stream, text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const ID: InstanceId = InstanceId(7);

    fn texts(directory: &Path, count: usize, bytes: usize) -> Vec<String> {
        let text = |(_, stream, text): (Wall, Stream, Vec<u8>)| {
            let text = String::from_utf8(text).expect("text");
            if stream == Stream::Stderr { format!("stderr: {text}") } else { text }
        };
        last_lines(directory, ID, count, bytes).into_iter().map(text).collect()
    }

    #[test]
    fn the_last_lines_come_from_both_files() {
        let home = tempfile::tempdir().expect("a temporary directory");
        assert!(texts(home.path(), 10, 1_000).is_empty(), "there are none");
        let at = |second: u32| format!("2026-06-09T10:00:{second:02}.000000Z");
        let older = format!("{} a\n{} b\n", at(1), at(2));
        fs::write(path_of(home.path(), ID, 1), older).expect("written");
        let newer = format!("{}! c\nnot a line\n{} \n{} half", at(3), at(4), at(5));
        fs::write(path_of(home.path(), ID, 0), newer).expect("written");

        assert_eq!(texts(home.path(), 10, 1_000), ["a", "b", "stderr: c", "", "half"]);
        assert_eq!(texts(home.path(), 4, 1_000), ["b", "stderr: c", "", "half"]);
        assert_eq!(texts(home.path(), 0, 1_000).len(), 0);
        assert_eq!(texts(home.path(), 10, 40), ["half"], "a line that is not whole is left out");
        assert_eq!(texts(home.path(), 10, 0).len(), 0);
    }
}
