//! The log files of apps: made when an app is started, and shown to clients.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use openctrl_core::doors::patrol::launch::LogFiles;

/// How much of the end of a log the page shows, in bytes.
const TAIL_MAX_BYTES: u64 = 2 * 1024;

/// How many lines of it.
const TAIL_LINES: usize = 10;

/// The outputs of an app that are logged; both lead to one file if they are merged.
#[derive(Debug)]
pub(super) struct Outputs {
    pub(super) stdout: Option<File>,
    pub(super) stderr: Option<File>,
}

/// The meaning of an address of a log.
#[derive(Debug)]
pub(crate) enum Place {
    /// A folder: names and whether they are folders, sorted.
    Folder(Vec<(String, bool)>),
    /// A file.
    File(PathBuf),
}

/// Creates the directory and opens the files of a start. Existing files are appended to.
///
/// # Errors
/// The path that cannot be created or opened.
pub(super) fn open(files: &LogFiles) -> io::Result<Outputs> {
    if files.paths().next().is_none() {
        return Ok(Outputs { stdout: None, stderr: None });
    }
    let at =
        |path: &str, error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"));
    fs::create_dir_all(&files.folder).map_err(|error| at(&files.folder, error))?;
    let open = |path: &str| {
        let file = OpenOptions::new().append(true).create(true).mode(0o644).open(path);
        file.map_err(|error| at(path, error))
    };
    let stdout = files.stdout.as_deref().map(open).transpose()?;
    let stderr = match &stdout {
        Some(stdout) if files.stderr == files.stdout => Some(stdout.try_clone()?),
        _ => files.stderr.as_deref().map(open).transpose()?,
    };
    Ok(Outputs { stdout, stderr })
}

/// What `place`, a cleaned path that begins with `/`, is below the log folder `root`. Links are
/// followed as long as they stay in it.
pub(crate) fn look_up(root: &Path, place: &str) -> Option<Place> {
    let root = root.canonicalize().ok()?;
    let path = root.join(place.trim_start_matches('/')).canonicalize().ok()?;
    let meta = path.starts_with(&root).then(|| path.metadata().ok())??;
    if meta.is_file() {
        return Some(Place::File(path));
    }
    let entries = meta.is_dir().then(|| fs::read_dir(&path).ok())??;
    let mut entries: Vec<(String, bool)> = entries
        .flatten()
        // A name that is not UTF-8 could not be asked for.
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path().is_dir())))
        .collect();
    entries.sort_unstable();
    Some(Place::Folder(entries))
}

/// The last lines of a log, for people; empty if there are none.
pub(crate) fn tail(path: &Path) -> String {
    read_tail(path).unwrap_or_default()
}

fn read_tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(TAIL_MAX_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(TAIL_MAX_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines: Vec<&str> = text.lines().collect();
    if from > 0 && lines.len() > 1 {
        // It begins in the middle of a line.
        lines.remove(0);
    }
    let first = lines.len().saturating_sub(TAIL_LINES);
    Ok(lines[first..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn files(home: &Path, merged: bool) -> LogFiles {
        let folder = home.join("logs/2026/november/7").display().to_string();
        let stdout = format!("{folder}/1.stdout.log");
        let stderr = if merged { stdout.clone() } else { format!("{folder}/1.stderr.log") };
        LogFiles { folder, stdout: Some(stdout), stderr: Some(stderr) }
    }

    #[test]
    fn files_are_made_and_added_to() {
        let home = tempfile::tempdir().expect("a temporary directory");
        for merged in [false, true] {
            for _ in 0..2 {
                let outputs = open(&files(home.path(), merged)).expect("writable");
                let mut stdout = outputs.stdout.expect("it is logged");
                let mut stderr = outputs.stderr.expect("it is logged");
                stdout.write_all(b"out\n").expect("writable");
                stderr.write_all(b"err\n").expect("writable");
            }
        }
        let read = |path: &Option<String>| {
            fs::read_to_string(path.as_ref().expect("it is logged")).expect("it is there")
        };
        let files = files(home.path(), false);
        assert_eq!(read(&files.stdout), "out\nout\nout\nerr\nout\nerr\n");
        assert_eq!(read(&files.stderr), "err\nerr\n");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let home = tempfile::tempdir().expect("a temporary directory");
        fs::write(home.path().join("logs"), "in the way").expect("writable");
        let error = open(&files(home.path(), false)).expect_err("a file is in the way");
        assert!(error.to_string().contains("logs/2026"), "{error}");
    }

    #[test]
    fn only_what_is_in_the_folder_is_found() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let root = home.path().join("logs");
        fs::create_dir_all(root.join("day")).expect("writable");
        fs::write(root.join("day/a.log"), "x").expect("writable");
        fs::write(home.path().join("outside"), "x").expect("writable");
        std::os::unix::fs::symlink("../outside", root.join("out")).expect("writable");
        std::os::unix::fs::symlink("day/a.log", root.join("in")).expect("writable");
        let Some(Place::Folder(entries)) = look_up(&root, "/") else { panic!("a folder") };
        let named = |name: &str, is_folder| (name.to_owned(), is_folder);
        assert_eq!(entries, [named("day", true), named("in", false), named("out", false)]);
        assert!(matches!(look_up(&root, "/day/a.log"), Some(Place::File(_))));
        assert!(matches!(look_up(&root, "/in"), Some(Place::File(_))));
        for place in ["/out", "/nothing", "/day/a.log/x"] {
            assert!(look_up(&root, place).is_none(), "{place}");
        }
    }

    #[test]
    fn a_tail_is_the_last_lines() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("log");
        assert_eq!(tail(&path), "");
        let lines: Vec<String> = (0..1_000).map(|number| format!("line {number}\n")).collect();
        fs::write(&path, lines.concat()).expect("writable");
        let tail_lines: Vec<String> = tail(&path).lines().map(str::to_owned).collect();
        assert_eq!((tail_lines.len(), tail_lines[9].as_str()), (10, "line 999"));
        fs::write(&path, "x".repeat(100_000)).expect("writable");
        assert_eq!(tail(&path).len(), 2_048);
    }
}
