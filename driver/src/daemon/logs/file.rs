//! The current file of one instance, `<id>.log`, and its rotated files, `<id>.log.1` and so on.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openctrl_core::ids::InstanceId;
use openctrl_core::time::Wall;

use crate::file_identity::{FileIdentity, Place};
use crate::log_files::{TIME_BYTES, path_of};

/// The file that is being written.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    identity: FileIdentity,
    length: u64,
    /// The time of its first line.
    first: Option<Wall>,
}

impl LogFile {
    /// Opens or creates it. A last line that a crash interrupted is terminated.
    pub(super) fn open(directory: &Path, id: InstanceId) -> io::Result<Self> {
        let path = path_of(directory, id, 0);
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).create(true).mode(0o600).open(&path)?;
        let identity = FileIdentity::of(&file)?;
        let length = file.metadata()?.len();
        let mut head = Vec::new();
        Read::by_ref(&mut file).take(TIME_BYTES as u64).read_to_end(&mut head)?;
        let first = str::from_utf8(&head).ok().and_then(Wall::parse);
        let mut opened = Self { path, file, identity, length, first };
        if length > 0 {
            let mut last = [0];
            opened.file.seek(SeekFrom::End(-1))?;
            opened.file.read_exact(&mut last)?;
            if last != *b"\n" {
                opened.append(b"\n")?;
            }
        }
        Ok(opened)
    }

    /// Whether its name still leads to it. A file that was cut short, as `copytruncate` of logrotate
    /// does, is the same.
    pub(super) fn is_in_place(&mut self) -> bool {
        if let Ok(data) = self.file.metadata()
            && data.len() < self.length
        {
            (self.length, self.first) = (data.len(), None);
        }
        self.identity.place(&self.path).is_ok_and(|place| place == Place::Same)
    }

    /// Whether another file has to be begun before `more_bytes` are written.
    pub(super) fn is_due(&self, more_bytes: u64, size_bytes: u64, age: Duration) -> bool {
        let is_long = self.length > 0 && self.length + more_bytes > size_bytes;
        let first = self.first.map(|first| UNIX_EPOCH + Duration::from_micros(first.as_micros()));
        let old = first.and_then(|first| SystemTime::now().duration_since(first).ok());
        is_long || (!age.is_zero() && old.is_some_and(|old| old > age))
    }

    /// Writes whole lines, or as far as the disk lets us none of them.
    pub(super) fn append(&mut self, text: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(text) {
            // If this fails too, a partial line stays; it is terminated when the file is opened
            // again.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        if self.length == 0 {
            let head = text.get(..TIME_BYTES).and_then(|head| str::from_utf8(head).ok());
            self.first = head.and_then(Wall::parse);
        }
        self.length += text.len() as u64;
        Ok(())
    }
}

/// The older files.
pub(super) mod numbered {
    use std::fs;
    use std::io;
    use std::path::Path;

    use openctrl_core::ids::InstanceId;

    use crate::log_files::path_of;

    /// Gives the newest file the number 1, and every other the next one; `keep` of them stay.
    pub(in crate::daemon::logs) fn rotate(
        directory: &Path,
        id: InstanceId,
        keep: u32,
    ) -> io::Result<()> {
        let there = (1..keep).take_while(|number| path_of(directory, id, *number).exists());
        for number in (0..=there.last().unwrap_or(0)).rev() {
            if number < keep {
                fs::rename(path_of(directory, id, number), path_of(directory, id, number + 1))?;
            }
        }
        if keep == 0 {
            fs::remove_file(path_of(directory, id, 0))?;
        }
        Ok(())
    }
}

/// The instance and the number of a file, from its name; `None` for a foreign file.
pub(super) fn instance_of(name: &str) -> Option<(InstanceId, u32)> {
    let (id, number) = name.split_once(".log")?;
    let number = match number.strip_prefix('.') {
        Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => number.parse().ok()?,
        None if number.is_empty() => 0,
        Some(_) | None => return None,
    };
    Some((InstanceId::parse(id)?, number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const ID: InstanceId = InstanceId(0xd34d_b33f);
    const LINE: &[u8] = b"2026-06-09T10:00:00.000000Z a line\n";

    fn files(directory: &Path) -> Vec<(String, String)> {
        let mut files: Vec<(String, String)> = fs::read_dir(directory)
            .expect("readable")
            .map(|entry| entry.expect("an entry"))
            .map(|entry| {
                let text = fs::read_to_string(entry.path()).expect("text");
                (entry.file_name().into_string().expect("a name"), text)
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn names_say_whose_file_it_is() {
        assert_eq!(instance_of("d34db33f.log"), Some((ID, 0)));
        assert_eq!(instance_of("d34db33f.log.12"), Some((ID, 12)));
        for other in ["d34db33f.log.", "d34db33f.log.x", "d34db33f.logs", "x.log", "D34DB33F.log"] {
            assert_eq!(instance_of(other), None, "{other}");
        }
    }

    #[test]
    fn older_files_move_up_and_the_oldest_goes() {
        let home = tempfile::tempdir().expect("a temporary directory");
        for number in 1..=4 {
            fs::write(path_of(home.path(), ID, 0), number.to_string()).expect("written");
            numbered::rotate(home.path(), ID, 3).expect("rotated");
        }
        let expected = [("d34db33f.log.1", "4"), ("d34db33f.log.2", "3"), ("d34db33f.log.3", "2")];
        let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(files(home.path()), expected);
        fs::write(path_of(home.path(), ID, 0), "5").expect("written");
        numbered::rotate(home.path(), ID, 0).expect("removed");
        assert_eq!(files(home.path()), expected);
    }

    #[test]
    fn a_file_is_due_by_size_and_by_age() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let (age, day) = (Duration::ZERO, Duration::from_hours(24));
        let mut file = LogFile::open(home.path(), ID).expect("opened");
        assert!(!file.is_due(1_000, 10, age), "an empty file takes anything");
        file.append(LINE).expect("written");
        let length = LINE.len() as u64;
        assert!(!file.is_due(length, 2 * length, age));
        assert!(file.is_due(length + 1, 2 * length, age));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let recent = Wall::from_micros(u64::try_from(now.as_micros()).expect("not so late"));
        file.first = Some(recent);
        assert!(!file.is_due(1, u64::MAX, day));
        drop(file);
        let old = Wall::from_micros(recent.as_micros() - 2 * 86_400_000_000);
        fs::write(path_of(home.path(), ID, 0), format!("{old} x\n")).expect("written");
        let file = LogFile::open(home.path(), ID).expect("opened");
        assert!(file.is_due(1, u64::MAX, day) && !file.is_due(1, u64::MAX, age));
    }

    #[test]
    fn half_a_line_is_ended() {
        let home = tempfile::tempdir().expect("a temporary directory");
        fs::write(path_of(home.path(), ID, 0), "2026-06-09T10:00").expect("written");
        LogFile::open(home.path(), ID).expect("opened").append(LINE).expect("written");
        let text = fs::read(path_of(home.path(), ID, 0)).expect("readable");
        assert_eq!(text, [b"2026-06-09T10:00\n", LINE].concat());
    }
}
