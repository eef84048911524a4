//! What `/proc` says of one process.

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use rustix::process::Pid;

use crate::outputs::Outputs;

/// How the names of the log files of apps end.
const LOG: &str = ".log";

/// What the system adds to the name of an open file that was removed.
const REMOVED: &str = " (deleted)";

/// Where a process prints to: what no other process has but those that it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sink {
    /// The inode of a pipe.
    Pipe(u64),
    /// The inode of a log file, and the device that it is on.
    File { inode: u64, device: u64 },
}

/// A line of `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    /// When it started, in clock ticks since the machine did. With the pid this names a process.
    pub(super) start_ticks: u64,
    is_zombie: bool,
    threads: u32,
}

impl Stat {
    /// Looks at a process that was not reaped.
    pub(super) fn read(pid: i32) -> io::Result<Self> {
        let text = fs::read(format!("/proc/{pid}/stat"))?;
        Self::parse(pid, &String::from_utf8_lossy(&text))
            .ok_or_else(|| io::Error::other("not a line of /proc"))
    }

    /// Whether it only waits to be reaped. A process whose first thread has ended looks the same,
    /// but has others.
    pub(super) const fn has_ended(&self) -> bool {
        self.is_zombie && self.threads <= 1
    }

    /// Reads `pid (name) state ppid pgrp session … starttime …`; the name may hold anything.
    fn parse(pid: i32, text: &str) -> Option<Self> {
        const STATE: usize = 0;
        const PARENT: usize = 1;
        const GROUP: usize = 2;
        const SESSION: usize = 3;
        const THREADS: usize = 17;
        const START: usize = 19;
        let after_name = &text[text.rfind(')')? + 1..];
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        Some(Self {
            pid,
            parent: fields.get(PARENT)?.parse().ok()?,
            group: fields.get(GROUP)?.parse().ok()?,
            session: fields.get(SESSION)?.parse().ok()?,
            start_ticks: fields.get(START)?.parse().ok()?,
            is_zombie: matches!(*fields.get(STATE)?, "Z" | "X"),
            threads: fields.get(THREADS)?.parse().ok()?,
        })
    }
}

/// When a process that was not reaped started, in clock ticks since the machine did.
pub(super) fn start_ticks(pid: Pid) -> io::Result<u64> {
    Stat::read(pid.as_raw_pid()).map(|stat| stat.start_ticks)
}

/// Every process that runs.
pub(super) fn running() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Stat::read(pid).ok())
        .filter(|process| !process.has_ended())
        .collect()
}

/// Whether a process has one of these pipes as its standard output or error.
pub(super) fn prints_to(pid: i32, pipes: Outputs<u64>) -> bool {
    outputs(pid).iter().any(|sink| pipes.iter().any(|pipe| *sink == Sink::Pipe(*pipe)))
}

/// The pipes and log files that are the standard output and error of a process.
pub(super) fn outputs(pid: i32) -> Vec<Sink> {
    let table = PathBuf::from(format!("/proc/{pid}/fd"));
    let is_empty = fs::read_dir(&table).is_ok_and(|mut entries| entries.next().is_none());
    if !is_empty {
        return outputs_in(&table);
    }
    // The table of a first thread that has ended is empty; that of the others is not.
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let tables = threads.filter_map(|thread| Some(thread.ok()?.path().join("fd")));
    tables.map(|table| outputs_in(&table)).find(|found| !found.is_empty()).unwrap_or_default()
}

fn outputs_in(table: &Path) -> Vec<Sink> {
    let sink = |descriptor: &str| {
        let path = table.join(descriptor);
        let target = fs::read_link(&path).ok()?;
        let target = target.to_str()?;
        if let Some(inode) = target.strip_prefix("pipe:[") {
            return Some(Sink::Pipe(inode.strip_suffix(']')?.parse().ok()?));
        }
        // Other files are not looked at: one on a file system that does not answer would be
        // waited for.
        let name = target.strip_suffix(REMOVED).unwrap_or(target);
        let file = name.ends_with(LOG).then(|| fs::metadata(&path).ok())??;
        Some(Sink::File { inode: file.ino(), device: file.dev() })
    };
    ["1", "2"].into_iter().filter_map(sink).collect()
}

/// A log file, as `outputs` finds it.
pub(super) fn log_file(file: &File) -> io::Result<Sink> {
    let meta = file.metadata()?;
    Ok(Sink::File { inode: meta.ino(), device: meta.dev() })
}

/// The number by which the system tells a pipe from every other one.
pub(super) fn inode(pipe: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(rustix::fs::fstat(pipe)?.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_is_read_whatever_the_name() {
        let fields = "S 1 77 78 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 3 0 4242 0 0";
        let expected = Stat {
            pid: 5,
            parent: 1,
            group: 77,
            session: 78,
            start_ticks: 4242,
            is_zombie: false,
            threads: 3,
        };
        for name in ["sh", "a b", "x) R 1 2 3", ")"] {
            assert_eq!(Stat::parse(5, &format!("5 ({name}) {fields}")), Some(expected), "{name}");
        }
        assert!(Stat::parse(5, "5 (sh) Z 1 77").is_none());
        assert!(Stat::parse(5, "").is_none());
    }

    #[test]
    fn a_zombie_with_other_threads_has_not_ended() {
        let of = |state: &str, threads: u32| {
            let text = format!("5 (x) {state} 1 5 5 0 0 0 0 0 0 0 0 0 0 0 0 0 {threads} 0 9");
            Stat::parse(5, &text).expect("a line of /proc").has_ended()
        };
        assert_eq!((of("Z", 1), of("Z", 2), of("S", 1)), (true, false, false));
    }
}
