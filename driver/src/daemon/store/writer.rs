//! The thread that makes changes durable: all pending ones share one write and one sync.
//!
//! The loop hands over all changes of a step at once: one wake-up for all of them, and none of them
//! is synced alone. Events that no client waits for are handed over with later changes.
//!
//! A write that fails reverts its changes and ends their epoch. The content of the disk is then
//! unknown, so the journal is not appended to again: the next change starts with a snapshot.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use openctrl_core::access::TokenChange;
use openctrl_core::control::ControlInput;
use openctrl_core::counters::SavedTotals;
use openctrl_core::engine::Input;
use openctrl_core::event::StoredId;
use openctrl_core::ids::{InstanceId, RecordSeq, StoreEpoch};
use openctrl_core::store::{ControlUndo, Entry, Image, Kept, Record};
use tokio::sync::oneshot;

use crate::daemon::inbox::{Mailbox, Notice};
use crate::file_identity::Place;
use crate::state::{Journal, Prepared, StateDirectory};

/// A journal is followed by a snapshot when it is longer than this and twice as long as the last
/// snapshot: reading it back stays quick, and writing snapshots stays a small part of the work.
const JOURNAL_MIN_BYTES: u64 = 4 * 1024 * 1024;

/// How often it is looked whether the files are where they were put, while nothing changes. After
/// a failure this is also how soon it is tried again.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// How long events that no client waits for may wait for others to share their write. Without this
/// each start and exit of a process would sync the journal, and changes would wait for that.
const GATHER: Duration = Duration::from_millis(10);

/// Steps whose changes share a write at most.
const GROUP_MAX: usize = 4096;

/// Where the result of a change of the tokens goes.
type Done = oneshot::Sender<Result<(), String>>;

#[derive(Debug)]
enum Job {
    Persist {
        epoch: StoreEpoch,
        seq: RecordSeq,
        record: Record,
        /// The events that it causes.
        caused: Option<Kept>,
    },
    Keep(Kept),
    Totals(Vec<(InstanceId, SavedTotals)>),
    Tokens(TokenChange, Option<Done>),
    /// Everything before this was done.
    Settle(oneshot::Sender<()>),
    #[cfg(test)]
    BreakJournal,
}

/// Whether a client waits for events to be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// One does.
    Awaited,
    /// None does: they can share the next write.
    Patient,
}

/// Takes changes in for the thread, and hands them over to it.
#[derive(Debug)]
pub(crate) struct StoreWriter {
    jobs: Sender<Vec<Job>>,
    /// What is not handed over yet, in order.
    waiting: Vec<Job>,
    /// When the oldest of these has to be handed over; `None` if something has to be now.
    due: Option<Instant>,
    thread: JoinHandle<()>,
    is_failing: Arc<AtomicBool>,
}

impl StoreWriter {
    /// Writes a snapshot of `image`, and starts the thread. A new state is written twice, so that
    /// there is a backup of its key before anyone sees the key, and a missing snapshot can be
    /// distinguished from one that was never written.
    ///
    /// # Errors
    /// When the snapshot cannot be made durable.
    pub(crate) fn start(
        mut directory: StateDirectory,
        image: Image,
        mailbox: Mailbox,
    ) -> io::Result<Self> {
        if directory.is_new() {
            begin(&mut directory, &image)?;
        }
        let journal = Some(begin(&mut directory, &image)?);
        let (jobs, queue) = mpsc::channel();
        let is_failing = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            directory,
            image,
            mailbox,
            journal,
            failed: None,
            failed_keep: None,
            is_failing: Arc::clone(&is_failing),
        };
        let thread =
            thread::Builder::new().name("store".to_owned()).spawn(move || worker.run(&queue))?;
        Ok(Self { jobs, waiting: Vec::new(), due: None, thread, is_failing })
    }

    /// Whether saving the state fails, for the health of the master.
    pub(crate) fn is_failing(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_failing)
    }

    /// Requests that a record is made durable; the result comes through the mailbox. `caused` are
    /// events of the control API that are stored with it.
    pub(crate) fn persist(
        &mut self,
        epoch: StoreEpoch,
        seq: RecordSeq,
        record: Record,
        caused: Option<Kept>,
    ) {
        self.order(Job::Persist { epoch, seq, record, caused });
    }

    /// Asks for events and rules of the control API to be made durable.
    pub(crate) fn keep(&mut self, kept: Kept, urgency: Urgency) {
        if urgency == Urgency::Awaited {
            return self.order(Job::Keep(kept));
        }
        if self.waiting.is_empty() {
            self.due = Some(Instant::now() + GATHER);
        }
        // Consecutive ones are one: so many starts and exits make one record.
        match self.waiting.last_mut() {
            Some(Job::Keep(last)) if last.epoch == kept.epoch && last.rules.is_none() => {
                last.events.extend(kept.events);
                (last.rules, last.upto) = (kept.rules, kept.upto);
            }
            _ => self.waiting.push(Job::Keep(kept)),
        }
    }

    /// Asks for totals to be kept.
    pub(crate) fn save_totals(&mut self, totals: Vec<(InstanceId, SavedTotals)>) {
        self.order(Job::Totals(totals));
    }

    /// Asks for a change of the tokens to be made durable; how it went is said through `done`.
    pub(crate) fn save_tokens(&mut self, change: TokenChange, done: Option<Done>) {
        self.order(Job::Tokens(change, done));
    }

    /// Gives the thread what was asked for, at the end of a step.
    pub(crate) fn hand_over(&mut self) {
        let is_early = || self.due.is_some_and(|due| due > Instant::now());
        if !self.waiting.is_empty() && !is_early() {
            self.hand_over_all();
        }
    }

    /// When something is to be handed over next.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due.filter(|_| !self.waiting.is_empty())
    }

    /// Waits until everything that was asked for so far is done.
    pub(crate) async fn settle(&mut self) {
        let (done, is_done) = oneshot::channel();
        self.order(Job::Settle(done));
        self.hand_over_all();
        let _ = is_done.await;
    }

    /// Makes the next append fail.
    #[cfg(test)]
    pub(super) fn break_journal(&mut self) {
        self.order(Job::BreakJournal);
    }

    /// Waits until all that was asked for is done.
    pub(crate) fn finish(mut self) {
        self.hand_over_all();
        drop(self.jobs);
        if self.thread.join().is_err() {
            tracing::error!("the store stopped after a panic; the last totals may be lost");
        }
    }

    fn order(&mut self, job: Job) {
        self.due = None;
        self.waiting.push(job);
    }

    fn hand_over_all(&mut self) {
        let jobs = std::mem::take(&mut self.waiting);
        self.jobs.send(jobs).expect("the store lives until it is told to finish");
    }
}

struct Worker {
    directory: StateDirectory,
    /// The content of the disk, including the current group.
    image: Image,
    mailbox: Mailbox,
    /// None after a failure.
    journal: Option<Current>,
    /// The last epoch that failed: its records are dropped.
    failed: Option<StoreEpoch>,
    /// The last epoch of events that failed.
    failed_keep: Option<u32>,
    /// Whether the last write failed; reported once, when it changes.
    is_failing: Arc<AtomicBool>,
}

/// The journal that is appended to, and the length at which a snapshot is due.
struct Current {
    journal: Journal,
    snapshot_at: u64,
}

/// Changes that share a write.
#[derive(Default)]
struct Group {
    entries: Vec<Entry>,
    last: Option<(StoreEpoch, RecordSeq)>,
    /// What takes the changes back, newest last.
    undo: Vec<Record>,
    /// The same for events and rules.
    control_undo: Vec<ControlUndo>,
    /// The same for tokens.
    token_undo: Vec<TokenChange>,
    /// Who waits for tokens.
    token_done: Vec<Done>,
    /// Who waits until all of this is done.
    settled: Vec<oneshot::Sender<()>>,
    /// The epoch of the events, and the last of them.
    kept: Option<(u32, StoredId)>,
    /// The epoch of events that were dropped with changes that earlier ones made impossible.
    dropped: Option<u32>,
}

impl Worker {
    fn run(mut self, queue: &Receiver<Vec<Job>>) {
        loop {
            match queue.recv_timeout(LOOK_INTERVAL) {
                Ok(first) => self.save(first, queue),
                Err(RecvTimeoutError::Timeout) => self.look(),
                Err(RecvTimeoutError::Disconnected) => return self.look(),
            }
        }
    }

    /// Makes changes durable, with those behind them.
    fn save(&mut self, first: Vec<Job>, queue: &Receiver<Vec<Job>>) {
        let begun = self.begin_journal();
        let mut group = Group::default();
        let others = queue.try_iter().take(GROUP_MAX).flatten();
        first.into_iter().chain(others).for_each(|job| self.take(job, &mut group));
        let written = begun.and_then(|()| self.write(&group.entries));
        // A write to a file that was removed succeeds, and is worth nothing.
        let settled = std::mem::take(&mut group.settled);
        match written.and_then(|()| self.stay_in_place()) {
            Ok(()) => self.written(group),
            Err(error) => self.refused(&mut group, &error),
        }
        for done in settled {
            let _ = done.send(());
        }
        self.follow_long_journal();
    }

    /// While nothing changes: sees to it that the state is there for the next start.
    fn look(&mut self) {
        match self.stay_in_place().and_then(|()| self.begin_journal()) {
            Ok(()) => self.succeed(),
            Err(error) => self.fail(&error),
        }
    }

    fn take(&mut self, job: Job, group: &mut Group) {
        match job {
            Job::Persist { epoch, caused, .. }
                if self.failed.is_some_and(|failed| epoch <= failed) =>
            {
                if let Some(kept) = caused.filter(|kept| self.takes(kept)) {
                    self.failed_keep = Some(kept.epoch);
                    group.dropped = Some(kept.epoch);
                }
            }
            Job::Persist { epoch, seq, record, caused } => {
                let caused = caused.filter(|kept| self.takes(kept)).map(Box::new);
                if let Some(kept) = &caused {
                    self.keep(kept, group);
                }
                group.undo.push(self.image.apply(&record));
                group.last = Some((epoch, seq));
                group.entries.push(match caused {
                    None => Entry::Change(record),
                    Some(kept) => Entry::Caused(record, kept),
                });
            }
            Job::Keep(kept) => {
                if self.takes(&kept) {
                    self.keep(&kept, group);
                    group.entries.push(Entry::Kept(Box::new(kept)));
                }
            }
            Job::Totals(totals) => {
                for (id, saved) in &totals {
                    self.image.set_totals(*id, *saved);
                }
                group.entries.push(Entry::Totals(totals));
            }
            Job::Tokens(change, done) => {
                group.token_undo.push(self.image.apply_token(change.clone()));
                group.token_done.extend(done);
                group.entries.push(Entry::Tokens(Box::new(change)));
            }
            Job::Settle(done) => group.settled.push(done),
            #[cfg(test)]
            Job::BreakJournal => self.journal = None,
        }
    }

    /// Whether events are of an epoch that has not failed.
    fn takes(&self, kept: &Kept) -> bool {
        self.failed_keep.is_none_or(|failed| kept.epoch > failed)
    }

    fn keep(&mut self, kept: &Kept, group: &mut Group) {
        group.control_undo.push(self.image.control.apply(kept));
        group.kept = Some((kept.epoch, kept.upto));
    }

    /// After a failure, starts with a snapshot of the current state. The changes of the current
    /// group are not in it but follow in the journal, so that the backup and its journals have them
    /// too.
    fn begin_journal(&mut self) -> io::Result<()> {
        if self.journal.is_none() {
            self.stay_in_place()?;
        }
        if self.journal.is_none() {
            self.journal = Some(begin(&mut self.directory, &self.image)?);
        }
        Ok(())
    }

    /// Rewrites files that were removed or replaced, with the changes of the current group.
    fn stay_in_place(&mut self) -> io::Result<()> {
        let Some((path, place)) = self.directory.displaced()? else { return Ok(()) };
        let what = match place {
            Place::Replaced => "replaced",
            Place::Missing | Place::Same => "removed or renamed",
        };
        let what = format!("{} was {what} while the master runs", path.display());
        self.journal = None;
        let aside = self.directory.reclaim()?;
        // Twice, as at the first start: the backup is there from the beginning.
        begin(&mut self.directory, &self.image)?;
        self.journal = Some(begin(&mut self.directory, &self.image)?);
        let aside: Vec<String> = aside.iter().map(|path| path.display().to_string()).collect();
        let kept = match aside.is_empty() {
            true => String::new(),
            false => format!("; the files found there are kept as {}", aside.join(", ")),
        };
        tracing::warn!("Master.saveState: {what}; the state was rewritten from memory{kept}");
        Ok(())
    }

    /// Makes entries that are in the image durable.
    fn write(&mut self, entries: &[Entry]) -> io::Result<()> {
        let current = self.journal.take();
        let mut current = current.ok_or_else(|| io::Error::other("there is no journal"))?;
        if !entries.is_empty() {
            let appended = current.journal.append(entries);
            self.directory.set_records(current.journal.records());
            appended?;
        }
        self.journal = Some(current);
        Ok(())
    }

    /// Writes a snapshot when the journal has grown long. The journal is already durable: while
    /// there is no space for a snapshot, it keeps growing.
    fn follow_long_journal(&mut self) {
        let Some(current) = &mut self.journal else { return };
        if current.journal.length() < current.snapshot_at {
            return;
        }
        match self.directory.prepare(&self.image) {
            Err(error) => {
                current.snapshot_at = current.journal.length() + JOURNAL_MIN_BYTES;
                tracing::warn!("Master.saveState: cannot write a snapshot: {error}");
            }
            Ok(prepared) => {
                // The journal is not appended to again once another may have been begun.
                self.journal = None;
                match follow(&mut self.directory, &prepared) {
                    Ok(current) => self.journal = Some(current),
                    Err(error) => self.fail(&error),
                }
            }
        }
    }

    /// Says that the state cannot be saved, once.
    fn fail(&self, error: &io::Error) {
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "Master.saveState: cannot save the state: {error}; changes are refused until it \
                 can be saved, and instances keep running"
            );
        }
    }

    /// Says that the state can be saved, if that was not so before.
    fn succeed(&self) {
        if self.is_failing.swap(false, Ordering::Relaxed) {
            tracing::info!("Master.saveState: the state can be saved again");
        }
    }

    fn written(&self, group: Group) {
        self.succeed();
        // A client that did not wait is told nothing.
        group.token_done.into_iter().for_each(|done| drop(done.send(Ok(()))));
        // Events first: they are shown before what they are about is answered.
        let mut notices = Vec::new();
        if let Some((_, upto)) = group.kept {
            notices.push(Notice::Control(ControlInput::EventsKept { upto }));
        }
        if let Some(epoch) = group.dropped {
            let reason = "an earlier change could not be saved".to_owned();
            let input = ControlInput::KeepFailed { epoch, refused: self.failed, reason };
            notices.push(Notice::Control(input));
        }
        if let Some((_, upto)) = group.last {
            notices.push(Notice::Fact(Input::RecordsPersisted { upto }));
        }
        // The loop is woken once.
        match notices.len() {
            0 => {}
            1 => notices.into_iter().for_each(|notice| self.mailbox.fact(notice)),
            _ => self.mailbox.fact(Notice::Several(notices)),
        }
    }

    fn refused(&mut self, group: &mut Group, error: &io::Error) {
        self.fail(error);
        for undo in group.undo.iter().rev() {
            self.image.apply(undo);
        }
        for undo in std::mem::take(&mut group.token_undo).into_iter().rev() {
            self.image.apply_token(undo);
        }
        for done in std::mem::take(&mut group.token_done) {
            let _ = done.send(Err(error.to_string()));
        }
        if let Some(epoch) = group.kept.map(|(epoch, _)| epoch).or(group.dropped) {
            for undo in std::mem::take(&mut group.control_undo).into_iter().rev() {
                self.image.control.undo(undo);
            }
            self.failed_keep = Some(epoch);
            let refused = group.last.map(|(epoch, _)| epoch).or(self.failed);
            let input = ControlInput::KeepFailed { epoch, refused, reason: error.to_string() };
            self.mailbox.fact(Notice::Control(input));
        }
        if let Some((epoch, _)) = group.last {
            self.failed = Some(epoch);
            let reason = error.to_string();
            self.mailbox.fact(Notice::Fact(Input::PersistFailed { epoch, reason }));
        }
    }
}

/// Writes a snapshot and begins the journal after it.
fn begin(directory: &mut StateDirectory, image: &Image) -> io::Result<Current> {
    let prepared = directory.prepare(image)?;
    follow(directory, &prepared)
}

fn follow(directory: &mut StateDirectory, prepared: &Prepared) -> io::Result<Current> {
    let journal = directory.install(prepared)?;
    Ok(Current { journal, snapshot_at: JOURNAL_MIN_BYTES.max(2 * prepared.bytes) })
}
