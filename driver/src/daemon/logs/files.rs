//! The thread that writes the output of instances to files.
//!
//! The loop passes blocks of lines and never waits. Either a process that prints faster than the
//! disk writes waits (`room`), or its lines are dropped and the file contains their number. A write
//! failure is reported once.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use std::{fs, io, thread};

use openctrl_core::history::Block;
use openctrl_core::ids::{InstanceId, ProcessRef};
use openctrl_core::stream::Stream;
use openctrl_core::time::Wall;

use super::file::{LogFile, instance_of, numbered};
use super::room::LogRoom;
use crate::counters::COUNTERS;
use crate::log_files::STDERR;

/// What may wait to be written if lines are dropped beyond that: some seconds of a flood.
const PENDING_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Maximum size of one write for one instance.
const GROUP_BYTES: usize = 1024 * 1024;

/// Maximum number of open files; those of the instances that printed last stay open.
const OPEN_MAX: usize = 128;

/// How often files are looked for that are too old.
const SWEEP_INTERVAL: Duration = Duration::from_hours(1);

/// When a file is rotated, and when it is removed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// A file is not written beyond this.
    pub(super) size_bytes: u64,
    /// How many older files of an instance are kept.
    pub(super) keep: u32,
    /// How old a file may be; zero for any age.
    pub(super) age: Duration,
}

enum Job {
    Lines(Lines),
    Missing(InstanceId, Wall, u64),
    Forget(InstanceId),
    Reopen,
    Flush(Sender<()>),
}

/// Lines to be written.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) instance: InstanceId,
    /// Who printed them; `None` for lines of the master, which are few.
    pub(super) process: Option<ProcessRef>,
    pub(super) time: Wall,
    pub(super) blocks: Vec<Arc<Block>>,
}

impl Lines {
    fn cost_bytes(&self) -> usize {
        self.blocks.iter().map(|block| block.cost_bytes()).sum()
    }
}

/// The files, as the loop sees them.
#[derive(Debug)]
pub(super) struct Files {
    jobs: Sender<Job>,
    /// What waits.
    room: Arc<LogRoom>,
    /// Whether lines are dropped when too much waits.
    drops: bool,
    /// Lines left out since the last that was taken, of each instance.
    missing: Mutex<BTreeMap<InstanceId, u64>>,
}

impl Files {
    /// Makes the directory, if it is not there, and starts the thread.
    pub(super) fn start(
        directory: &Path,
        limits: Limits,
        instances: &[InstanceId],
        (room, drops): (Arc<LogRoom>, bool),
    ) -> io::Result<Self> {
        make_directory(directory)?;
        let (jobs, queue) = mpsc::channel();
        let mut writer = Writer {
            directory: directory.to_owned(),
            limits,
            room: Arc::clone(&room),
            known: instances.iter().copied().collect(),
            open: BTreeMap::new(),
            turn: 0,
            is_failing: false,
        };
        thread::Builder::new().name("logs".to_owned()).spawn(move || writer.run(&queue))?;
        if drops {
            room.lift();
        }
        Ok(Self { jobs, room, drops, missing: Mutex::default() })
    }

    /// Asks for lines to be written, unless too much is waiting already and lines are dropped then.
    pub(super) fn append(&self, lines: Lines) {
        let (id, time) = (lines.instance, lines.time);
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.drops && self.room.total_bytes() >= PENDING_MAX_BYTES {
            let lines: usize = lines.blocks.iter().map(|block| block.len()).sum();
            *missing.entry(id).or_default() += lines as u64;
            COUNTERS.log_file_lines_missing.add(lines as u64);
            return;
        }
        if !missing.is_empty()
            && let Some(count) = missing.remove(&id)
        {
            self.send(Job::Missing(id, time, count));
        }
        if let Some(process) = lines.process {
            self.room.take(process, lines.cost_bytes());
        }
        self.send(Job::Lines(lines));
    }

    /// An instance was deleted: its files are removed when they reach the maximum age.
    pub(super) fn forget(&self, id: InstanceId) {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.send(Job::Forget(id));
    }

    /// Asks for the files to be closed, and opened by their names with the next line.
    pub(super) fn reopen(&self) {
        self.send(Job::Reopen);
    }

    /// Waits until everything pending is written, at most for `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let (done, flushed) = mpsc::channel();
        self.send(Job::Flush(done));
        // Written or not: there is nothing more to be done for it.
        let _ = flushed.recv_timeout(limit);
    }

    fn send(&self, job: Job) {
        // The thread lives as long as this; if it panicked, the files are lost and nothing else.
        let _ = self.jobs.send(job);
    }
}

struct Writer {
    directory: PathBuf,
    limits: Limits,
    room: Arc<LogRoom>,
    /// The instances that exist: their newest file is kept, however old.
    known: BTreeSet<InstanceId>,
    open: BTreeMap<InstanceId, Open>,
    turn: u64,
    /// Whether the last write failed; reported once, when it changes.
    is_failing: bool,
}

struct Open {
    file: LogFile,
    /// When it was written last.
    turn: u64,
}

impl Writer {
    fn run(&mut self, queue: &Receiver<Job>) {
        let mut sweep_at = Instant::now();
        loop {
            if Instant::now() >= sweep_at {
                self.sweep(SystemTime::now());
                sweep_at = Instant::now() + SWEEP_INTERVAL;
            }
            match queue.recv_timeout(sweep_at.saturating_duration_since(Instant::now())) {
                Ok(job) => self.take(job, queue),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Carries a job out, with those behind it that can share its writes.
    fn take(&mut self, first: Job, queue: &Receiver<Job>) {
        let mut texts: BTreeMap<InstanceId, Vec<u8>> = BTreeMap::new();
        let mut written: BTreeMap<ProcessRef, usize> = BTreeMap::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Lines(lines) => {
                    let text = texts.entry(lines.instance).or_default();
                    lines.blocks.iter().for_each(|block| push_lines(text, block));
                    let cost_bytes = lines.cost_bytes();
                    if let Some(process) = lines.process {
                        *written.entry(process).or_default() += cost_bytes;
                    }
                    bytes += cost_bytes;
                }
                Job::Missing(id, time, count) => {
                    let note =
                        format!("{time} ({count} lines are missing here: the disk is slow)\n");
                    texts.entry(id).or_default().extend_from_slice(note.as_bytes());
                }
                Job::Forget(id) => {
                    self.write(std::mem::take(&mut texts));
                    self.known.remove(&id);
                    self.open.remove(&id);
                }
                Job::Reopen => {
                    self.write(std::mem::take(&mut texts));
                    self.open.clear();
                }
                Job::Flush(done) => {
                    self.write(std::mem::take(&mut texts));
                    let _ = done.send(());
                }
            }
            next = if bytes < GROUP_BYTES { queue.try_recv().ok() } else { None };
        }
        self.write(texts);
        for (process, bytes) in written {
            self.room.give_back(process, bytes);
        }
    }

    fn write(&mut self, texts: BTreeMap<InstanceId, Vec<u8>>) {
        for (id, text) in texts {
            self.known.insert(id);
            match self.append(id, &text) {
                Ok(()) => {
                    if std::mem::take(&mut self.is_failing) {
                        tracing::info!("Master.logs: the log files can be written again");
                    }
                }
                Err(error) => {
                    let lines = text.iter().filter(|byte| **byte == b'\n').count();
                    COUNTERS.log_file_lines_missing.add(lines as u64);
                    self.open.remove(&id);
                    self.fail(&error);
                }
            }
        }
    }

    fn append(&mut self, id: InstanceId, text: &[u8]) -> io::Result<()> {
        self.turn += 1;
        // A file that was removed or renamed, as logrotate does, is created again.
        let mut open = self.open.remove(&id);
        let mut file = match open.take_if(|open| open.file.is_in_place()) {
            Some(open) => open.file,
            None => {
                self.make_room();
                self.open_file(id)?
            }
        };
        if file.is_due(text.len() as u64, self.limits.size_bytes, self.limits.age) {
            drop(file);
            numbered::rotate(&self.directory, id, self.limits.keep)?;
            file = LogFile::open(&self.directory, id)?;
        }
        let written = file.append(text);
        self.open.insert(id, Open { file, turn: self.turn });
        written
    }

    fn open_file(&self, id: InstanceId) -> io::Result<LogFile> {
        match LogFile::open(&self.directory, id) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let directory = self.directory.display();
                tracing::warn!("Master.logs: {directory} was removed or renamed; created it again");
                make_directory(&self.directory)?;
                LogFile::open(&self.directory, id)
            }
            opened => opened,
        }
    }

    /// Closes the file that was not written for longest, if there are too many.
    fn make_room(&mut self) {
        if self.open.len() < OPEN_MAX {
            return;
        }
        let oldest = self.open.iter().min_by_key(|(_, open)| open.turn).map(|(id, _)| *id);
        if let Some(id) = oldest {
            self.open.remove(&id);
        }
    }

    /// Removes files that are too many or too old. The newest file of an instance that exists is
    /// neither.
    fn sweep(&mut self, now: SystemTime) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for entry in entries.filter_map(Result::ok) {
            let Some((id, number)) = entry.file_name().to_str().and_then(instance_of) else {
                continue;
            };
            if number == 0 && self.known.contains(&id) {
                continue;
            }
            let modified = entry.metadata().and_then(|data| data.modified());
            let age = modified.ok().and_then(|modified| now.duration_since(modified).ok());
            let is_old = !self.limits.age.is_zero() && age.is_some_and(|age| age > self.limits.age);
            if is_old || number > self.limits.keep {
                // If it cannot be removed, the next attempt is in an hour.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn fail(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.is_failing, true) {
            let directory = self.directory.display();
            tracing::warn!(
                "Master.logs: cannot write log files in {directory}: {error}; lines are missing \
                 there until it can be written"
            );
        }
    }
}

impl Drop for Writer {
    /// Also after a panic: no process waits for a thread that has ended.
    fn drop(&mut self) {
        self.room.lift();
    }
}

fn make_directory(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// `<time> <text>`, one on a line, or `<time>! <text>` of standard error. A cut line ends with a
/// note.
fn push_lines(text: &mut Vec<u8>, block: &Block) {
    let mut time = String::new();
    for line in block.lines() {
        if time.is_empty() {
            // All lines of a block have one time.
            time = line.time.to_string();
        }
        text.extend_from_slice(time.as_bytes());
        if line.stream == Stream::Stderr {
            text.push(STDERR);
        }
        text.push(b' ');
        text.extend_from_slice(line.bytes);
        if line.cut_bytes > 0 {
            text.extend_from_slice(format!(" … ({} bytes cut)", line.cut_bytes).as_bytes());
        }
        text.push(b'\n');
    }
}
