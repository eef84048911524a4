//! The audit log as files: `openctrl.audit` in the state directory, and one older one.
//!
//! A separate thread writes, in the order of the answers. Core decides what is written.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

/// The size at which the next file is started.
const FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The largest number of entries that wait to be written. Beyond that, requests wait.
const WAITING_MAX: usize = 1_024;

/// How long entries wait for others after a write. While there are many, this saves each request a
/// wake-up of the thread; a crash of the master costs those that wait.
const GATHER: Duration = Duration::from_millis(4);

/// How much is written at a time, roughly.
const WRITE_BYTES: usize = 64 * 1024;

enum Job {
    Write(String),
    Read(usize, oneshot::Sender<io::Result<Bytes>>),
    /// Everything before this was done.
    Settle(oneshot::Sender<()>),
}

/// Passes entries to the thread.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    jobs: SyncSender<Job>,
}

impl Audit {
    /// Opens the log in a state directory.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub(crate) fn open(state: &Path) -> io::Result<Self> {
        let (jobs, queue) = mpsc::sync_channel(WAITING_MAX);
        let mut book = Book {
            newest: state.join("openctrl.audit"),
            older: state.join("openctrl.audit.1"),
            is_failing: false,
        };
        thread::Builder::new().name("audit".to_owned()).spawn(move || book.run(&queue))?;
        Ok(Self { jobs })
    }

    /// Adds an entry, one line.
    pub(crate) async fn write(&self, line: String) {
        let mut job = Job::Write(line);
        // The queue is full because the disk hangs. The answer waits: it must be recorded.
        while let Err(TrySendError::Full(back)) = self.jobs.try_send(job) {
            job = back;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until all entries so far are written.
    pub(crate) async fn settle(&self) {
        let (done, is_done) = oneshot::channel();
        if self.jobs.try_send(Job::Settle(done)).is_ok() {
            let _ = is_done.await;
        }
    }

    /// The newest entries as a JSON array, the oldest first; every entry before it is in it.
    ///
    /// # Errors
    /// The error of the system.
    pub(crate) async fn read(&self, limit: usize) -> io::Result<Bytes> {
        let (answer, answered) = oneshot::channel();
        let ended = || io::Error::other("the audit log has ended");
        self.jobs.try_send(Job::Read(limit, answer)).map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

struct Book {
    newest: PathBuf,
    older: PathBuf,
    /// Whether the last entry could not be written; logged once.
    is_failing: bool,
}

impl Book {
    fn run(&mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            // Lines that wait together are written together.
            let mut lines = String::new();
            for job in std::iter::once(first).chain(queue.try_iter()) {
                match job {
                    Job::Write(line) => {
                        lines.push_str(&line);
                        if lines.len() < WRITE_BYTES {
                            continue;
                        }
                        self.write(&std::mem::take(&mut lines));
                    }
                    Job::Read(limit, answer) => {
                        self.write(&std::mem::take(&mut lines));
                        // The client may have disconnected.
                        drop(answer.send(self.read(limit)));
                    }
                    Job::Settle(done) => {
                        self.write(&std::mem::take(&mut lines));
                        let _ = done.send(());
                    }
                }
            }
            self.write(&lines);
            thread::sleep(GATHER);
        }
    }

    fn write(&mut self, lines: &str) {
        if lines.is_empty() {
            return;
        }
        match self.append(lines) {
            Ok(()) => self.is_failing = false,
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    let path = self.newest.display();
                    tracing::error!(
                        "Master.audit: cannot write {path}: {error}; entries are missing"
                    );
                }
            }
        }
    }

    /// Opens the file each time, so that a file that was moved away is created again.
    fn append(&self, lines: &str) -> io::Result<()> {
        let file = open(&self.newest)?;
        let length = file.metadata()?.len();
        let mut file = if length > 0 && length + lines.len() as u64 > FILE_MAX_BYTES {
            fs::rename(&self.newest, &self.older)?;
            open(&self.newest)?
        } else {
            file
        };
        file.write_all(lines.as_bytes())
    }

    fn read(&self, limit: usize) -> io::Result<Bytes> {
        let mut lines = VecDeque::new();
        for path in [&self.older, &self.newest] {
            let file = match File::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            for line in BufReader::new(file).split(b'\n') {
                let line = line?;
                // A line that a crash cut off is ignored.
                if line.first() == Some(&b'{') && line.last() == Some(&b'}') {
                    lines.push_back(line);
                }
                if lines.len() > limit {
                    lines.pop_front();
                }
            }
        }
        let lines: Vec<Vec<u8>> = lines.into();
        Ok([b"[", &lines.join(&b',')[..], b"]"].concat().into())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_gives_the_newest() {
        let place = tempfile::tempdir().expect("a folder");
        let path = |name| place.path().join(name);
        let (newest, older) = (path("openctrl.audit"), path("openctrl.audit.1"));
        let mut book = Book { newest: newest.clone(), older: older.clone(), is_failing: false };
        let filler = "x".repeat(1_000);
        for number in 0..10_000 {
            book.write(&format!("{{\"n\":{number},\"x\":\"{filler}\"}}\n"));
        }
        let length = |path: &Path| fs::metadata(path).expect("a file").len();
        assert!(length(&newest) <= FILE_MAX_BYTES && length(&older) <= FILE_MAX_BYTES);
        let read = |limit| -> serde_json::Value {
            serde_json::from_slice(&book.read(limit).expect("readable")).expect("JSON")
        };
        let last = read(2);
        assert_eq!((&last[0]["n"], &last[1]["n"]), (&9_998.into(), &9_999.into()));
        assert!(read(10_000).as_array().expect("an array").len() > 4_000);
    }
}
