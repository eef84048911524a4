//! The thread that makes records durable: all that are waiting share one write and one sync.
//!
//! The state is small and is written whole. A write that fails takes its records back and ends
//! their epoch; the next one starts from a new file, never from one whose sync failed.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use openctrl_core::engine::Input;
use openctrl_core::ids::{InstanceId, RecordSeq, StoreEpoch};
use openctrl_core::store::{Image, Record, SavedTotals, encode};

use super::directory::StateDirectory;
use crate::inbox::{Mailbox, Notice};

/// How old the backup may be: as long as a tick of the Go master.
const BACKUP_INTERVAL: Duration = Duration::from_secs(5);

enum Job {
    Persist { epoch: StoreEpoch, seq: RecordSeq, record: Record },
    Totals(Vec<(InstanceId, SavedTotals)>),
}

/// Takes records in for the thread.
#[derive(Debug)]
pub(crate) struct StoreWriter {
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

impl StoreWriter {
    /// Starts the thread; `image` is what is on the disk.
    pub(crate) fn start(
        directory: StateDirectory,
        image: Image,
        mailbox: Mailbox,
    ) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let worker = Worker {
            directory,
            image,
            mailbox,
            failed: None,
            is_failing: false,
            unsaved: false,
            last_backup: None,
        };
        let thread =
            thread::Builder::new().name("store".to_owned()).spawn(move || worker.run(&queue))?;
        Ok(Self { jobs, thread })
    }

    /// Asks for a record to be made durable; how it went is said through the mailbox.
    pub(crate) fn persist(&self, epoch: StoreEpoch, seq: RecordSeq, record: Record) {
        self.send(Job::Persist { epoch, seq, record });
    }

    /// Asks for totals to be kept.
    pub(crate) fn save_totals(&self, totals: Vec<(InstanceId, SavedTotals)>) {
        self.send(Job::Totals(totals));
    }

    /// Waits until all that was asked for is done.
    pub(crate) fn finish(self) {
        drop(self.jobs);
        if self.thread.join().is_err() {
            tracing::error!("the store ended with a panic; the last totals may be lost");
        }
    }

    fn send(&self, job: Job) {
        self.jobs.send(job).expect("the store lives until it is told to finish");
    }
}

struct Worker {
    directory: StateDirectory,
    image: Image,
    mailbox: Mailbox,
    /// The last epoch that failed: its records are dropped.
    failed: Option<StoreEpoch>,
    /// Whether the last write failed; said once, when it changes.
    is_failing: bool,
    /// Whether the image has something that is not on the disk.
    unsaved: bool,
    last_backup: Option<Instant>,
}

/// Records that share a write.
#[derive(Default)]
struct Group {
    last: Option<(StoreEpoch, RecordSeq)>,
    /// What takes them back, newest last.
    undo: Vec<Record>,
}

impl Worker {
    fn run(mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            let mut group = Group::default();
            self.take(first, &mut group);
            for job in queue.try_iter() {
                self.take(job, &mut group);
            }
            if self.unsaved {
                self.write(group);
            }
        }
    }

    fn take(&mut self, job: Job, group: &mut Group) {
        match job {
            Job::Persist { epoch, seq, record } => {
                if self.failed.is_some_and(|failed| epoch <= failed) {
                    return;
                }
                group.undo.push(self.image.apply(&record));
                group.last = Some((epoch, seq));
            }
            Job::Totals(totals) => {
                for (id, totals) in totals {
                    self.image.set_totals(id, totals);
                }
            }
        }
        self.unsaved = true;
    }

    fn write(&mut self, group: Group) {
        let is_due = |last: Instant| last.elapsed() >= BACKUP_INTERVAL;
        let keep_backup = self.last_backup.is_none_or(is_due);
        let result = self.directory.save(&encode(&self.image), keep_backup);
        if keep_backup && result.is_ok() {
            self.last_backup = Some(Instant::now());
        }
        match result {
            Ok(()) => self.written(&group),
            Err(error) => self.refused(group, &error),
        }
    }

    fn written(&mut self, group: &Group) {
        self.unsaved = false;
        if std::mem::take(&mut self.is_failing) {
            tracing::info!("Master.saveState: the state can be saved again");
        }
        if let Some((_, upto)) = group.last {
            self.mailbox.fact(Notice::Fact(Input::RecordsPersisted { upto }));
        }
    }

    fn refused(&mut self, group: Group, error: &io::Error) {
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::error!(
                "Master.saveState: cannot save the state: {error}; changes are refused until it \
                 can be, instances go on"
            );
        }
        for undo in group.undo.iter().rev() {
            self.image.apply(undo);
        }
        if let Some((epoch, _)) = group.last {
            self.failed = Some(epoch);
            let reason = error.to_string();
            self.mailbox.fact(Notice::Fact(Input::PersistFailed { epoch, reason }));
        }
    }
}
