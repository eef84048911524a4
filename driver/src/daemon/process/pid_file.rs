//! Pid files: the number in one, if it is one.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// How much of a file is read: a number, and white space around it.
const FILE_MAX_BYTES: u64 = 1024;

/// What is in a pid file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PidFile {
    /// The number of a process.
    Pid(u32),
    /// No file, or none that can be read.
    Absent,
    /// Something else than one number.
    Invalid,
}

impl PidFile {
    /// Reads a file: a decimal number above 0, with or without white space around it.
    pub(crate) fn read(path: &Path) -> Self {
        let mut text = Vec::new();
        // A pipe or a device would be waited for.
        let file =
            File::open(path).ok().filter(|_| path.metadata().is_ok_and(|meta| meta.is_file()));
        let Some(file) = file else { return Self::Absent };
        if file.take(FILE_MAX_BYTES).read_to_end(&mut text).is_err() {
            return Self::Absent;
        }
        Self::parse(&text)
    }

    fn parse(text: &[u8]) -> Self {
        let text = text.trim_ascii();
        let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(text).ok().filter(|_| is_number);
        match number.and_then(|text| text.parse().ok()) {
            Some(pid) if pid > 0 => Self::Pid(pid),
            Some(_) | None => Self::Invalid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_holds_one_number() {
        for (text, expected) in [
            (" \n\t1254\n", PidFile::Pid(1254)),
            ("70000", PidFile::Pid(70_000)),
            ("4294967295", PidFile::Pid(u32::MAX)),
            ("4294967296", PidFile::Invalid),
            ("0", PidFile::Invalid),
            ("-1", PidFile::Invalid),
            ("+1", PidFile::Invalid),
            ("1 2", PidFile::Invalid),
            ("text", PidFile::Invalid),
            ("", PidFile::Invalid),
        ] {
            assert_eq!(PidFile::parse(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn only_a_file_is_read() {
        let home = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(PidFile::read(&home.path().join("nothing")), PidFile::Absent);
        assert_eq!(PidFile::read(home.path()), PidFile::Absent);
        assert_eq!(PidFile::read(Path::new("/dev/zero")), PidFile::Absent);
        let file = home.path().join("pid");
        std::fs::write(&file, "12\n").expect("writable");
        assert_eq!(PidFile::read(&file), PidFile::Pid(12));
        std::fs::write(&file, "1".repeat(5_000)).expect("writable");
        assert_eq!(PidFile::read(&file), PidFile::Invalid);
    }
}
