//! Gives back the memory of code that only a start needs.
//!
//! A start runs through most of the program, and the kernel maps the 15 neighbors of each page of
//! code that is run. They stay mapped, and count as memory of the process, until memory runs short.
//! The running master needs about a tenth of them, and gets a page back when it runs its code.

use std::fs::{File, read_link};
use std::io::{self, BufRead, BufReader};
use std::ops::Range;
use std::path::Path;

use crate::promises::release_pages;

/// Takes the pages of this program out of the memory of the process. If the system does not tell
/// which they are, they stay.
pub(crate) fn give_back() {
    let Ok(program) = read_link("/proc/self/exe") else { return };
    let Ok(mappings) = File::open("/proc/self/smaps") else { return };
    for range in unchanged(BufReader::new(mappings), &program).unwrap_or_default() {
        release_pages(range);
    }
}

/// A mapping of the program that cannot be written.
struct Mapping {
    range: Range<usize>,
    /// Whether no page of it differs from the file: the loader writes to some before it protects
    /// them.
    is_unchanged: bool,
}

/// The mappings of `program` that are as in the file.
fn unchanged(mappings: impl BufRead, program: &Path) -> io::Result<Vec<Range<usize>>> {
    let mut found: Vec<Mapping> = Vec::new();
    // Whether the lines are about the last of them.
    let mut is_ours = false;
    for line in mappings.lines() {
        let line = line?;
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        match first.strip_suffix(':') {
            Some(name)
                if is_ours && matches!(name, "Private_Dirty" | "Shared_Dirty" | "Anonymous") =>
            {
                if let Some(mapping) = found.last_mut() {
                    mapping.is_unchanged &= words.next() == Some("0");
                }
            }
            Some(_) => {}
            None => {
                let range = range(first);
                let is_read_only = words.next().is_some_and(|rights| !rights.contains('w'));
                // A path may have spaces in it.
                is_ours = is_read_only && line.ends_with(&*program.to_string_lossy());
                if is_ours && let Some(range) = range {
                    found.push(Mapping { range, is_unchanged: true });
                } else {
                    is_ours = false;
                }
            }
        }
    }
    Ok(found
        .into_iter()
        .filter(|mapping| mapping.is_unchanged)
        .map(|mapping| mapping.range)
        .collect())
}

fn range(word: &str) -> Option<Range<usize>> {
    let (start, end) = word.split_once('-')?;
    let number = |digits| usize::from_str_radix(digits, 16).ok();
    Some(number(start)?..number(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
1000-3000 r--p 00000000 fe:00 7    /opt/a b/openctrl
Rss:                   8 kB
Private_Dirty:         0 kB
Anonymous:             0 kB
3000-9000 r-xp 00002000 fe:00 7    /opt/a b/openctrl
Private_Dirty:         0 kB
VmFlags: rd ex mr mw me
9000-a000 r--p 00008000 fe:00 7    /opt/a b/openctrl
Private_Dirty:         4 kB
a000-b000 rw-p 00009000 fe:00 7    /opt/a b/openctrl
Private_Dirty:         0 kB
b000-c000 r-xp 00000000 fe:00 8    /lib/libc.so.6
Private_Dirty:         0 kB
";

    #[test]
    fn only_what_is_as_in_the_file_is_given_back() {
        let found = unchanged(SMAPS.as_bytes(), Path::new("/opt/a b/openctrl"));
        assert_eq!(found.expect("good lines"), [0x1000..0x3000, 0x3000..0x9000]);
    }

    /// How much is left is up to the kernel, which maps more than the page that is needed again.
    #[test]
    fn the_program_runs_on_without_its_pages() {
        let read = || json5::from_str::<serde_json::Value>("{a: [1, .5e3], /* b */ 'c': 'd'}");
        let first = read().expect("JSON5");
        give_back();
        assert_eq!(read().expect("JSON5"), first);
    }
}
