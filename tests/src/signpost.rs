//! Files by which a test and its children agree on when to continue.
//!
//! A [`Cue`] is given by the test and awaited by a child; a [`Mark`] is left by a child and read
//! by the test. Both work without the master, so they can show what it did.

use std::fs;
use std::path::{Path, PathBuf};

use crate::eventually;

/// A file the test creates; children wait for it.
#[derive(Clone, Debug)]
pub struct Cue {
    path: PathBuf,
}

impl Cue {
    /// A cue that is not given yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Lets everyone who waits for this cue continue.
    pub fn give(&self) {
        fs::write(&self.path, b"").expect("the temporary directory is writable");
    }

    /// The file whose existence is the cue.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// One line a child left: who and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The process that left it.
    pub pid: i32,
    /// Milliseconds since the Unix epoch.
    pub unix_ms: u64,
}

/// A file to which children append one line each time they pass a point of their script.
#[derive(Clone, Debug)]
pub struct Mark {
    path: PathBuf,
}

impl Mark {
    /// A mark that is not left yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Everything left so far, in order.
    pub fn entries(&self) -> Vec<Entry> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        complete.lines().map(parse).collect()
    }

    /// How often the mark was left.
    pub fn count(&self) -> usize {
        self.entries().len()
    }

    /// Waits until the mark was left at least `count` times.
    pub fn wait(&self, count: usize) -> Vec<Entry> {
        eventually(&format!("{count} lines in {}", self.path.display()), || {
            let entries = self.entries();
            (entries.len() >= count).then_some(entries)
        })
    }

    /// The file children append to.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn parse(line: &str) -> Entry {
    let (pid, unix_ms) = line.split_once(' ').expect("the stub writes two fields");
    Entry {
        pid: pid.parse().expect("the stub writes its pid"),
        unix_ms: unix_ms.parse().expect("the stub writes the time"),
    }
}
