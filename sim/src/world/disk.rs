//! The store of the driver on simulated files: the same steps in the same order
//! (`driver/src/daemon/store/`), each of which may be the last, or be refused.

use std::cell::Cell;
use std::collections::VecDeque;

use openctrl_core::counters::SavedTotals;
use openctrl_core::engine::Input;
use openctrl_core::event::StoredId;
use openctrl_core::ids::{InstanceId, RecordSeq, StoreEpoch};
use openctrl_core::store::{
    self, ControlUndo, Entry, FIRST_GENERATION, Finding, Image, Kept, Record, Recovered, encode,
    encode_write, journal_header, recover,
};
use openctrl_core::time::Time;

use super::files::{Crash, Files, Name, Stop, unless_died};

/// A journal that is longer than this and than twice the snapshot is followed by a snapshot:
/// a few changes, so that it happens in every run.
const JOURNAL_MIN_BYTES: usize = 600;

thread_local! {
    /// The bytes of the last group, only for their space: some megabytes for a flood of events.
    static SPACE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The store was stopped within a step: the master has crashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Died;

/// The state directory, and the store that writes to it.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The content of the disk.
    pub files: Files,
    /// The state of the store: the content of the disk and the current group.
    image: Image,
    /// Rises with every change of `image`.
    changes: u64,
    queue: VecDeque<Job>,
    /// None after a failure.
    journal: Option<Journal>,
    failed: Option<StoreEpoch>,
    /// The last epoch of events that failed.
    failed_keep: Option<u32>,
    /// What became of events, oldest first, until the machine of the control API hears of it.
    news: VecDeque<KeptNews>,
    /// How many events are kept, if there is a control API.
    events_max: Option<usize>,
    next_generation: u64,
    snapshot_generation: u64,
    /// How many records the last journal has.
    records: u64,
    lingers: bool,
    /// Until when it does nothing at all.
    stalled_until: Time,
    /// Number of writes for which there is no space.
    full_for: usize,
}

/// What became of events.
#[derive(Clone, Copy, Debug)]
pub enum KeptNews {
    /// Those up to here are durable.
    Kept(StoredId),
    /// Those of this epoch could not be made durable, nor the changes of the other one.
    Refused(u32, Option<StoreEpoch>),
}

/// A pending write.
#[derive(Clone, Debug)]
enum Job {
    /// A change, and the events that it causes.
    Persist(StoreEpoch, RecordSeq, Record, Option<Box<Kept>>),
    Keep(Box<Kept>),
    Totals(Vec<(InstanceId, SavedTotals)>),
}

#[derive(Clone, Copy, Debug)]
struct Journal {
    name: Name,
    records: u64,
    length: usize,
    snapshot_at: usize,
}

/// Changes that share a write.
#[derive(Default)]
struct Group {
    entries: Vec<Entry>,
    last: Option<(StoreEpoch, RecordSeq)>,
    undo: Vec<Record>,
    control_undo: Vec<ControlUndo>,
    kept: Option<(u32, StoredId)>,
}

impl Disk {
    /// A directory that holds `image`, written for the first time.
    pub fn new(image: Image) -> Self {
        let mut disk = Self {
            files: Files::default(),
            image,
            changes: 1,
            queue: VecDeque::new(),
            journal: None,
            failed: None,
            failed_keep: None,
            news: VecDeque::new(),
            events_max: None,
            next_generation: FIRST_GENERATION,
            snapshot_generation: FIRST_GENERATION,
            records: 0,
            lingers: false,
            stalled_until: Time::ZERO,
            full_for: 0,
        };
        // Twice, so that there is a backup from the first on.
        for _ in 0..2 {
            disk.journal = Some(disk.begin().expect("there is no trouble yet"));
        }
        disk
    }

    /// Keeps so many events of a control API; `image` is told of it, too.
    pub fn keep_events(&mut self, events_max: usize) {
        self.events_max = Some(events_max);
    }

    /// The content of the disk as the store knows it.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// A number that rises with every change of [`Self::image`].
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Number of pending records.
    pub fn waiting(&self) -> usize {
        self.queue.iter().filter(|job| matches!(job, Job::Persist(..))).count()
    }

    /// How many pending writes are necessary to make this record durable; `None` if it is not
    /// pending.
    pub fn queued_up_to(&self, record: RecordSeq) -> Option<usize> {
        let is_it = |job: &Job| matches!(job, Job::Persist(_, seq, ..) if *seq == record);
        self.queue.iter().position(is_it).map(|index| index + 1)
    }

    /// Number of pending writes, records and totals.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Whether the last write was refused, so that the next one begins with a snapshot.
    pub fn is_failing(&self) -> bool {
        self.journal.is_none()
    }

    /// Lets it do nothing up to then.
    pub fn stall_until(&mut self, then: Time) {
        self.stalled_until = then;
    }

    /// Lets it have no room for the next writes.
    pub fn fill_for(&mut self, writes: usize) {
        self.full_for = writes;
    }

    /// Whether a pending write could be written now.
    pub fn may_write(&self, now: Time) -> bool {
        !self.queue.is_empty() && now >= self.stalled_until
    }

    /// Ends all trouble: it has room and is not slow.
    pub fn heal(&mut self) {
        self.stalled_until = Time::ZERO;
        self.full_for = 0;
    }

    /// Whether the last refused write may be on the disk anyway.
    pub fn lingers(&self) -> bool {
        self.lingers
    }

    /// Takes a record; one of a failed epoch is dropped.
    pub fn accept(&mut self, epoch: StoreEpoch, seq: RecordSeq, record: &Record) {
        if self.failed.is_none_or(|failed| epoch > failed) {
            self.queue.push_back(Job::Persist(epoch, seq, record.clone(), None));
        }
    }

    /// Stores events together with a record that was taken; they share its fate.
    pub fn attach(&mut self, record: RecordSeq, kept: Kept) {
        let found = self.queue.iter_mut().rev().find_map(|job| match job {
            Job::Persist(_, seq, _, caused) if *seq == record => Some(caused),
            Job::Persist(..) | Job::Keep(_) | Job::Totals(_) => None,
        });
        match found {
            Some(caused) => *caused = Some(Box::new(kept)),
            // The record was dropped.
            None => {
                if self.takes(&kept) {
                    self.refuse_events_of(kept.epoch, self.failed);
                }
            }
        }
    }

    /// Takes events; those of a failed epoch are dropped in their turn.
    pub fn keep(&mut self, kept: Kept) {
        self.queue.push_back(Job::Keep(Box::new(kept)));
    }

    /// What became of events.
    pub fn news(&mut self) -> Option<KeptNews> {
        self.news.pop_front()
    }

    /// Takes totals; they are written in their turn.
    pub fn save_totals(&mut self, totals: &[(InstanceId, SavedTotals)]) {
        self.queue.push_back(Job::Totals(totals.to_vec()));
    }

    /// Writes the oldest `count` pending writes as one group. Returns the input for the engine:
    /// none for totals alone.
    ///
    /// # Errors
    /// The master crashed in between, and receives nothing.
    pub fn write(&mut self, count: usize) -> Result<Option<Input>, Died> {
        self.files.set_full(self.full_for > 0);
        self.full_for = self.full_for.saturating_sub(1);
        let begun = self.begin_again();
        let mut group = Group::default();
        for job in self.queue.drain(..count.min(self.queue.len())).collect::<Vec<_>>() {
            self.take(job, &mut group);
        }
        let told = match begun.and_then(|()| self.write_group(&group.entries)) {
            Ok(()) => {
                self.lingers = false;
                self.news.extend(group.kept.map(|(_, upto)| KeptNews::Kept(upto)));
                group.last.map(|(_, upto)| Input::RecordsPersisted { upto })
            }
            Err(Stop::Refused) => self.refused(group),
            Err(Stop::Died) => return Err(Died),
        };
        self.follow_long_journal()?;
        self.files.refuse(0, 0);
        self.files.set_full(false);
        Ok(told)
    }

    /// Lets the disk fail within the next write: `count` steps are refused, after `after` others.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_refused(
        &mut self,
        group: usize,
        after: usize,
        count: usize,
    ) -> Result<Option<Input>, Died> {
        self.files.refuse(after, count);
        self.write(group)
    }

    /// The state that a master would find now.
    ///
    /// # Errors
    /// Why it would refuse to start.
    pub fn recover(&self) -> Result<Recovered, String> {
        recover_from(&self.files)
    }

    /// The state that a master would find after a crash now.
    ///
    /// # Errors
    /// Why it would refuse to start.
    pub fn after(&self, crash: Crash) -> Result<Image, String> {
        let mut files = self.files.clone();
        files.crash(crash);
        recover_from(&files).map(|recovered| recovered.image)
    }

    /// The crash, and the start of the next master up to where it serves; `dies_in` steps from its
    /// beginning it dies as well, if it is given.
    ///
    /// # Errors
    /// Why it refuses to start; `Ok(None)` if it died.
    pub fn restart(
        &mut self,
        crash: Crash,
        dies_in: Option<usize>,
    ) -> Result<Option<Image>, String> {
        self.files.crash(crash);
        // On a full disk it would refuse to start until there is space.
        self.heal();
        let Recovered { image, snapshot, generation, records, findings } = self.recover()?;
        (self.snapshot_generation, self.next_generation) = (snapshot, generation + 1);
        self.records = records;
        self.queue.clear();
        self.news.clear();
        self.failed_keep = None;
        let mut image = image;
        self.events_max.into_iter().for_each(|events_max| image.adopt_control(events_max));
        (self.journal, self.failed, self.lingers) = (None, None, false);
        self.image = image.clone();
        self.changes += 1;
        if let Some(steps) = dies_in {
            self.files.die_in(steps);
        }
        let is_kept_aside = |finding: &Finding| matches!(finding, Finding::BackupUsed(Some(_)));
        let begun = (|| {
            // A master that was only killed may have left records that are read here and not
            // durable: the next journal must not count them before they are.
            self.files.sync(Name::Journal(generation))?;
            if findings.iter().any(is_kept_aside) {
                self.files.remove(Name::Snapshot)?;
            }
            self.begin()
        })();
        match begun {
            Ok(journal) => self.journal = Some(journal),
            Err(Stop::Died) => return Ok(None),
            Err(Stop::Refused) => return Err("the disk refused a start".to_string()),
        }
        self.files.calm();
        Ok(Some(image))
    }

    fn take(&mut self, job: Job, group: &mut Group) {
        self.changes += 1;
        match job {
            Job::Persist(epoch, seq, record, caused) => {
                let caused = caused.filter(|kept| self.takes(kept));
                caused.iter().for_each(|kept| self.apply_kept(kept, group));
                group.undo.push(self.image.apply(&record));
                group.last = Some((epoch, seq));
                group.entries.push(match caused {
                    None => Entry::Change(record),
                    Some(kept) => Entry::Caused(record, kept),
                });
            }
            Job::Keep(kept) => {
                if self.takes(&kept) {
                    self.apply_kept(&kept, group);
                    group.entries.push(Entry::Kept(kept));
                }
            }
            Job::Totals(totals) => {
                for (id, saved) in &totals {
                    self.image.set_totals(*id, *saved);
                }
                group.entries.push(Entry::Totals(totals));
            }
        }
    }

    fn takes(&self, kept: &Kept) -> bool {
        self.failed_keep.is_none_or(|failed| kept.epoch > failed)
    }

    fn apply_kept(&mut self, kept: &Kept, group: &mut Group) {
        group.control_undo.push(self.image.control.apply(kept));
        group.kept = Some((kept.epoch, kept.upto));
    }

    fn begin_again(&mut self) -> Result<(), Stop> {
        if self.journal.is_none() {
            self.journal = Some(self.begin()?);
        }
        Ok(())
    }

    fn write_group(&mut self, entries: &[Entry]) -> Result<(), Stop> {
        let mut journal = self.journal.take().expect("it was begun");
        if !entries.is_empty() {
            let appended = self.append(&mut journal, entries);
            self.records = journal.records;
            appended?;
        }
        self.journal = Some(journal);
        Ok(())
    }

    fn append(&mut self, journal: &mut Journal, entries: &[Entry]) -> Result<(), Stop> {
        let mut bytes = SPACE.take();
        bytes.clear();
        encode_write(&mut bytes, journal.records + 1, entries);
        let written =
            self.files.append(journal.name, &bytes).and_then(|()| self.files.sync(journal.name));
        if written == Err(Stop::Refused) {
            let cut = self.files.cut(journal.name, journal.length);
            let cut = cut.and_then(|()| self.files.sync(journal.name));
            self.lingers = cut.is_err();
            cut.or_else(|stop| if stop == Stop::Died { Err(stop) } else { Ok(()) })?;
        }
        written?;
        journal.records += entries.len() as u64;
        journal.length += bytes.len();
        SPACE.set(bytes);
        Ok(())
    }

    fn refused(&mut self, group: Group) -> Option<Input> {
        self.changes += 1;
        for undo in group.undo.iter().rev() {
            self.image.apply(undo);
        }
        if let Some((epoch, _)) = group.kept {
            for undo in group.control_undo.into_iter().rev() {
                self.image.control.undo(undo);
            }
            self.refuse_events_of(epoch, group.last.map(|(epoch, _)| epoch));
        }
        let (epoch, _) = group.last?;
        self.failed = Some(epoch);
        self.drop_events_of(epoch);
        self.queue.retain(|job| !matches!(job, Job::Persist(of, ..) if *of <= epoch));
        Some(Input::PersistFailed { epoch, reason: "full".to_string() })
    }

    fn refuse_events_of(&mut self, epoch: u32, changes: Option<StoreEpoch>) {
        self.failed_keep = Some(epoch);
        self.news.push_back(KeptNews::Refused(epoch, changes));
    }

    /// Events that pending changes of a failed epoch cause go with them.
    fn drop_events_of(&mut self, failed: StoreEpoch) {
        let dropped = self.queue.iter().filter_map(|job| match job {
            Job::Persist(epoch, _, _, Some(kept)) if *epoch <= failed => Some(kept.epoch),
            Job::Persist(..) | Job::Keep(_) | Job::Totals(_) => None,
        });
        let dropped = dropped.max();
        if let Some(epoch) = dropped.filter(|epoch| self.failed_keep.is_none_or(|old| *epoch > old))
        {
            self.refuse_events_of(epoch, Some(failed));
        }
    }

    fn follow_long_journal(&mut self) -> Result<(), Died> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        if journal.length < journal.snapshot_at {
            return Ok(());
        }
        let longer = journal.length + JOURNAL_MIN_BYTES;
        match self.prepare() {
            Err(Stop::Died) => return Err(Died),
            Err(Stop::Refused) => {
                self.journal.iter_mut().for_each(|journal| journal.snapshot_at = longer);
            }
            Ok(bytes) => {
                self.journal = None;
                match self.install(bytes) {
                    Ok(journal) => self.journal = Some(journal),
                    Err(Stop::Died) => return Err(Died),
                    Err(Stop::Refused) => {}
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<Journal, Stop> {
        let bytes = self.prepare()?;
        self.install(bytes)
    }

    /// Writes a snapshot to a temporary file; returns its size.
    fn prepare(&mut self) -> Result<usize, Stop> {
        let snapshot = encode(&self.image, self.next_generation);
        self.write_file(Name::Temporary, &snapshot)?;
        Ok(snapshot.len())
    }

    fn install(&mut self, snapshot_bytes: usize) -> Result<Journal, Stop> {
        let generation = self.next_generation;
        let (name, header) = (Name::Journal(generation), journal_header(generation, self.records));
        self.write_file(name, &header)?;
        self.next_generation = generation + 1;
        self.records = 0;
        self.files.sync_names()?;
        self.install_snapshot()?;
        let backup = std::mem::replace(&mut self.snapshot_generation, generation);
        self.forget_journals_before(backup)?;
        let snapshot_at = JOURNAL_MIN_BYTES.max(2 * snapshot_bytes);
        Ok(Journal { name, records: 0, length: header.len(), snapshot_at })
    }

    fn install_snapshot(&mut self) -> Result<(), Stop> {
        if self.files.read(Name::Snapshot).is_some() {
            unless_died(self.files.remove(Name::Link))?;
            self.files.link(Name::Snapshot, Name::Link)?;
            self.files.move_to(Name::Link, Name::Backup)?;
        }
        self.files.move_to(Name::Temporary, Name::Snapshot)?;
        self.files.sync_names()
    }

    fn forget_journals_before(&mut self, generation: u64) -> Result<(), Stop> {
        let old = self.files.journals().into_iter().map(|(found, _)| found);
        for found in old.filter(|found| *found < generation).collect::<Vec<_>>() {
            unless_died(self.files.remove(Name::Journal(found)))?;
        }
        Ok(())
    }

    fn write_file(&mut self, name: Name, bytes: &[u8]) -> Result<(), Stop> {
        self.files.create(name)?;
        let written = self.files.append(name, bytes).and_then(|()| self.files.sync(name));
        if written == Err(Stop::Refused) {
            unless_died(self.files.remove(name))?;
        }
        written
    }
}

fn recover_from(files: &Files) -> Result<Recovered, String> {
    let journals = files.journals();
    let (snapshot, backup) = (files.read(Name::Snapshot), files.read(Name::Backup));
    let found = recover(store::Files { snapshot, backup, journals: &journals });
    found.map_err(|error| error.to_string())?.ok_or_else(|| "no state is found".to_string())
}
