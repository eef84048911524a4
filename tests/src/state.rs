//! A state directory without a running master: the files to start one on, and the report of
//! `openctrl state` on it.
//!
//! Owns the temporary directory. `master` starts and stops masters.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::master::{Finished, run_to_end};
use crate::{Master, binary};

/// A temporary state directory.
pub struct State(TempDir);

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// An empty one.
    pub fn new() -> Self {
        Self(TempDir::new().expect("a temporary directory can be made"))
    }

    /// One with these files, each a name and its content.
    pub fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let state = Self::new();
        for (name, bytes) in files {
            fs::write(state.file(name), bytes).expect("the temporary directory is writable");
        }
        state
    }

    /// One with a copy of every file of `folder`.
    pub fn copy_of(folder: &Path) -> Self {
        let files = files_in(folder);
        Self::of(files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])))
    }

    /// Its path.
    pub fn path(&self) -> &str {
        self.0.path().to_str().expect("a test's path is UTF-8")
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Starts a master whose instances exit with 0 at once.
    pub fn start(&self) -> Master {
        Master::builder_for(Path::new("/bin/true")).query("state", self.path()).start()
    }

    /// Starts a master that must refuse: one line that names the directory, and no key.
    pub fn refused(&self) -> Finished {
        let finished = run_to_end(&[&format!("master://127.0.0.1:0?state={}", self.path())]);
        assert!(!finished.status.success());
        let text = format!("{}{}", finished.stdout, finished.stderr);
        assert!(!text.contains("Master.run"), "{text}");
        assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
        assert!(finished.stderr.contains(self.path()), "{}", finished.stderr);
        finished
    }

    /// Every file but the lock, which is always empty.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let mut contents = files_in(self.0.path());
        contents.remove("openctrl.lock");
        contents
    }

    /// The journal with the highest generation.
    pub fn journal(&self) -> PathBuf {
        let number = |name: &str| name.strip_prefix("openctrl.journal.")?.parse::<u64>().ok();
        let last = self.contents().keys().filter_map(|name| number(name)).max();
        self.file(&format!("openctrl.journal.{}", last.expect("there is a journal")))
    }

    /// Another directory with the same files.
    pub fn copy(&self) -> Self {
        Self::copy_of(self.0.path())
    }
}

/// Where each record of a journal is. Zeros up to the end of the file are room for more.
pub fn records(journal: &[u8]) -> Vec<Range<usize>> {
    let (mut records, mut at) = (Vec::new(), 30);
    while journal[at..].iter().any(|byte| *byte != 0) {
        let length = journal[at..at + 4].try_into().expect("four bytes were asked for");
        let end = at + 20 + u32::from_le_bytes(length) as usize;
        records.push(at..end);
        at = end;
    }
    records
}

/// Runs `openctrl state <words>`.
pub fn inspect(words: &[&str]) -> Output {
    let mut command = Command::new(binary::openctrl());
    command.arg("state").args(words).stdin(Stdio::null()).output().expect("it can be started")
}

/// The segments in a directory of traces, the oldest first; none if it does not exist.
pub fn segments(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("an entry of the directory").path()).collect();
    paths.sort();
    paths
}

fn files_in(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("the folder exists");
    entries
        .map(|entry| entry.expect("an entry of the folder"))
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| {
            let name = entry.file_name().into_string().expect("file names are UTF-8");
            (name, fs::read(entry.path()).expect("the file can be read"))
        })
        .collect()
}
