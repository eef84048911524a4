//! Decides what is kept of a state that is not complete, and states what is given up.
//!
//! The base is the newest snapshot that can be read; a snapshot has one checksum and is used as a
//! whole or not at all. Every record of the journals since then that can be read is applied, also
//! those after a damaged one. A record holds the whole new content of what it changes. Whatever is
//! changed again after the damage is therefore as it was; everything else may be older, which it
//! would also be if the journal were cut at the damage. The cost: what only a lost record deleted,
//! stopped or revoked is there again.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use super::image::Image;
use super::journal::{JournalError, is_barely_begun, is_of_newer_program, read_header};
use super::record::{Entry, Record};
use super::recover::{Files, Recovered, RecoveryError, recover};
use super::salvage::{Part, Salvaged, salvage};
use super::snapshot::{DecodeError, decode};
use crate::access::{TokenChange, TokenName};
use crate::formats::Version;
use crate::ids::{InstanceId, Revision};
use crate::instance::Cas;

/// How far numbers that clients compare are moved on, so that none is used twice: more than a lost
/// journal can have had.
const LEAP: u64 = 1 << 20;

/// Journals further from their snapshot than this belong to another state.
const GENERATIONS_MAX: u64 = 1 << 20;

/// The result of looking at a state directory.
#[derive(Debug)]
pub enum Verdict {
    /// There is no state in it.
    Nothing,
    /// A master starts with it as it is.
    Whole(Box<Recovered>),
    /// A part of it can be kept.
    Partial(Box<Repair>),
}

/// A state that is not complete, as far as it can be kept.
#[derive(Debug)]
pub struct Repair {
    /// The state.
    pub image: Image,
    /// Why a master does not start with the files.
    pub reason: RecoveryError,
    /// The generation of the snapshot that it rests on.
    pub snapshot: u64,
    /// Whether this snapshot is the backup.
    pub is_backup: bool,
    /// How many records of journals were applied.
    pub records: u64,
    /// What is given up.
    pub given_up: Vec<Loss>,
    /// What may be older than it was.
    pub older: Older,
    /// A generation that no journal of this state has, and none that follows one of them.
    pub next_generation: u64,
}

/// Something that is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// A journal is missing, or cannot be read at all.
    Journal {
        /// Its generation.
        generation: u64,
        /// The last one, where several are missing.
        last: u64,
        /// What is in its place.
        found: FoundInstead,
        /// How many records it had, if the next journal states it.
        records: Option<u64>,
    },
    /// The header of a journal; its records are kept.
    Header {
        /// Its generation.
        generation: u64,
    },
    /// Records of a journal.
    Records {
        /// Its generation.
        generation: u64,
        /// Their bytes, from the start of the file; empty if the file does not have them.
        bytes: Range<usize>,
        /// The number of the first.
        first: u64,
        /// The number of the last, if it is known.
        last: Option<u64>,
    },
}

/// What is in the place of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundInstead {
    /// Nothing.
    Missing,
    /// The journal of this generation.
    Other(u64),
    /// A file of this length without any record.
    Unreadable(usize),
}

/// What may be older than it was: a lost record can have changed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Older {
    /// Instances.
    pub instances: Vec<InstanceId>,
    /// Tokens.
    pub tokens: Vec<TokenName>,
    /// The alias and the key of the master.
    pub master: bool,
    /// The rules of the control API.
    pub rules: bool,
}

/// Why nothing is repaired.
#[derive(Debug)]
pub enum RepairError {
    /// A newer program wrote a file: it is good.
    Newer(RecoveryError),
    /// No snapshot can be read, and with them the key is lost.
    NoSnapshot(RecoveryError),
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal { generation, last, found, records } => {
                match last > generation {
                    true => write!(f, "journals {generation} to {last}: ")?,
                    false => write!(f, "journal {generation}: ")?,
                }
                match records {
                    Some(1) => f.write_str("1 record; ")?,
                    Some(records) => write!(f, "{records} records; ")?,
                    None => f.write_str("an unknown number of records; ")?,
                }
                match found {
                    FoundInstead::Missing => f.write_str("there is no file"),
                    FoundInstead::Other(other) => write!(f, "the file is journal {other}"),
                    FoundInstead::Unreadable(bytes) => {
                        write!(f, "no record can be read in the {bytes} bytes of the file")
                    }
                }
            }
            Self::Header { generation } => {
                write!(f, "journal {generation}: its header, bytes 0 to 29; no record")
            }
            Self::Records { generation, bytes, first, last } => {
                write!(f, "journal {generation}: ")?;
                match last {
                    Some(last) if last == first => write!(f, "record {first}; ")?,
                    Some(last) => write!(f, "records {first} to {last}; ")?,
                    None => write!(f, "record {first} and all after it; ")?,
                }
                match bytes.is_empty() {
                    true => write!(f, "missing at byte {}", bytes.start),
                    false => write!(f, "bytes {} to {}", bytes.start, bytes.end - 1),
                }
            }
        }
    }
}

impl fmt::Display for RepairError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer(error) | Self::NoSnapshot(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for RepairError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Newer(error) | Self::NoSnapshot(error) => Some(error),
        }
    }
}

impl Loss {
    /// Whether records are lost.
    pub const fn has_records(&self) -> bool {
        !matches!(self, Self::Header { .. })
    }
}

/// Decides what is kept of a state; a state that is complete stays as it is.
///
/// # Errors
/// A file of a newer program, and a state without a snapshot.
pub fn repair(files: Files<'_>) -> Result<Verdict, RepairError> {
    let reason = match recover(files) {
        Ok(None) => return Ok(Verdict::Nothing),
        Ok(Some(recovered)) => return Ok(Verdict::Whole(Box::new(recovered))),
        Err(reason) => reason,
    };
    let Some((image, snapshot, is_backup)) = base(files)? else {
        return Err(RepairError::NoSnapshot(reason));
    };
    let mut salvage = Salvage { image, records: 0, given_up: Vec::new(), exact: None };
    let highest = salvage.follow(files, snapshot)?;
    let older = salvage.older();
    let Salvage { mut image, records, given_up, .. } = salvage;
    if given_up.iter().any(Loss::has_records) {
        leap(&mut image, &older);
    }
    // Not the one after it, whose header would state how many records the last journal has.
    let next_generation = highest.saturating_add(2);
    let repair =
        Repair { image, reason, snapshot, is_backup, records, given_up, older, next_generation };
    Ok(Verdict::Partial(Box::new(repair)))
}

/// The newest snapshot that can be read, its generation, and whether it is the backup.
fn base(files: Files<'_>) -> Result<Option<(Image, u64, bool)>, RepairError> {
    for (bytes, is_backup) in [(files.snapshot, false), (files.backup, true)] {
        match bytes.map(decode) {
            Some(Ok((image, generation))) => return Ok(Some((image, generation, is_backup))),
            Some(Err(error)) if error.is_newer() => {
                return Err(RepairError::Newer(newer_snapshot(error, is_backup)));
            }
            Some(Err(_)) | None => {}
        }
    }
    Ok(None)
}

fn newer_snapshot(error: DecodeError, is_backup: bool) -> RecoveryError {
    match is_backup {
        false => RecoveryError::NoSnapshot { snapshot: Some(error), backup: None },
        true => RecoveryError::NoSnapshot { snapshot: None, backup: Some(error) },
    }
}

/// The state while the journals are applied to it.
struct Salvage {
    image: Image,
    records: u64,
    given_up: Vec<Loss>,
    /// What was changed after the last lost record; `None` before the first.
    exact: Option<Exact>,
}

#[derive(Default)]
struct Exact {
    instances: BTreeSet<InstanceId>,
    tokens: BTreeSet<TokenName>,
    master: bool,
}

/// A journal as far as it can be read.
struct Journal {
    generation: u64,
    /// How many records the journal before it has, if its header can be read.
    previous_records: Option<u64>,
    has_header: bool,
    file_bytes: usize,
    salvaged: Salvaged,
}

/// What is at the place of a journal.
enum Place {
    Journal(Journal),
    /// A crash interrupted its creation.
    Begun,
    Lost(FoundInstead),
}

impl Salvage {
    /// Applies the journals from that of the snapshot on. Returns the generation of the last.
    fn follow(&mut self, files: Files<'_>, snapshot: u64) -> Result<u64, RepairError> {
        let near = snapshot..snapshot.saturating_add(GENERATIONS_MAX);
        let journals: BTreeMap<u64, &[u8]> = files.journals.iter().copied().collect();
        let last = journals.range(near).next_back().map_or(snapshot, |(last, _)| *last);
        let mut places = Vec::new();
        for (generation, file) in journals.range(snapshot..=last) {
            let is_followed = journals.contains_key(&(generation + 1));
            let is_begun = *generation > snapshot && !is_followed && is_barely_begun(file);
            let place = if is_begun { Place::Begun } else { place(*generation, file)? };
            places.push((*generation, place));
        }
        let mut places = places.into_iter().peekable();
        let mut expected = snapshot;
        while let Some((generation, place)) = places.next() {
            if generation > expected {
                let records = states(&place).filter(|_| generation == expected + 1);
                self.lose_journals(expected, generation - 1, FoundInstead::Missing, records);
            }
            let next = places.peek().filter(|(next, _)| *next == generation + 1);
            let acknowledged = next.and_then(|(_, next)| states(next));
            match place {
                Place::Journal(journal) => self.apply(journal, acknowledged),
                Place::Lost(found) => {
                    self.lose_journals(generation, generation, found, acknowledged);
                }
                Place::Begun => {}
            }
            expected = generation + 1;
        }
        if expected == snapshot {
            self.lose_journals(snapshot, snapshot, FoundInstead::Missing, None);
        }
        Ok(last)
    }

    fn lose_journals(
        &mut self,
        generation: u64,
        last: u64,
        found: FoundInstead,
        records: Option<u64>,
    ) {
        if records != Some(0) || generation < last {
            self.lose(Loss::Journal { generation, last, found, records });
        }
    }

    fn lose(&mut self, loss: Loss) {
        if loss.has_records() {
            self.exact = Some(Exact::default());
        }
        self.given_up.push(loss);
    }

    /// Applies a journal, of whose records this many were acknowledged, if that is known.
    fn apply(&mut self, journal: Journal, acknowledged: Option<u64>) {
        let Journal { generation, has_header, file_bytes, salvaged, .. } = journal;
        if !has_header {
            self.lose(Loss::Header { generation });
        }
        let is_acknowledged = |number: u64| acknowledged.is_none_or(|most| number <= most);
        let mut next = 1;
        for part in salvaged.parts {
            match part {
                Part::Record(number, entry) if is_acknowledged(number) => {
                    self.note(&entry);
                    self.image.apply_entry(&entry);
                    self.records += 1;
                    next = number + 1;
                }
                Part::Gap(gap) if is_acknowledged(gap.first) => {
                    let last = Some(gap.last.min(acknowledged.unwrap_or(u64::MAX)));
                    let (bytes, first) = (gap.bytes, gap.first);
                    self.lose(Loss::Records { generation, bytes, first, last });
                    next = gap.last + 1;
                }
                // It was refused, and could not be truncated.
                Part::Record(..) | Part::Gap(_) => {}
            }
        }
        let is_short = acknowledged.is_some_and(|most| next <= most);
        let tail = salvaged.tail.filter(|tail| is_acknowledged(tail.first));
        if is_short || tail.as_ref().is_some_and(|tail| !tail.is_torn) {
            let bytes = tail.map_or(file_bytes..file_bytes, |tail| tail.bytes);
            self.lose(Loss::Records { generation, bytes, first: next, last: acknowledged });
        }
    }

    /// Notes what an entry sets as a whole.
    fn note(&mut self, entry: &Entry) {
        let Some(exact) = &mut self.exact else { return };
        match entry {
            Entry::Change(record) | Entry::Caused(record, _) => match record {
                Record::PutInstance { definition, .. } => {
                    exact.instances.insert(definition.id);
                }
                Record::PutMaster(_) => exact.master = true,
                Record::RemoveInstance(_)
                | Record::AddRun { .. }
                | Record::PutRuns { .. }
                | Record::SetDesired { .. }
                | Record::ReserveEvents(_) => {}
            },
            Entry::Tokens(change) => {
                if let TokenChange::Put(token) = &**change {
                    exact.tokens.insert(token.name.clone());
                }
            }
            Entry::Kept(_) | Entry::Totals(_) => {}
        }
    }

    fn older(&self) -> Older {
        let Some(exact) = &self.exact else { return Older::default() };
        let Image { instances, tokens, control, .. } = &self.image;
        Older {
            instances: instances
                .keys()
                .filter(|id| !exact.instances.contains(id))
                .copied()
                .collect(),
            tokens: tokens.keys().filter(|name| !exact.tokens.contains(*name)).cloned().collect(),
            master: !exact.master,
            rules: control.generation > 0,
        }
    }
}

/// What the file of a generation holds.
fn place(generation: u64, file: &[u8]) -> Result<Place, RepairError> {
    let newer = |error| RepairError::Newer(RecoveryError::Journal(generation, error));
    let (salvaged, previous_records) = match read_header(file) {
        Ok((_, other, _)) if other != generation => {
            return Ok(Place::Lost(FoundInstead::Other(other)));
        }
        Ok((version, _, previous)) => (salvage(version, file).map_err(newer)?, Some(previous)),
        Err(error) if is_of_newer_program(file) => return Err(newer(error)),
        Err(_) => (salvage_without_header(file).map_err(newer)?, None),
    };
    let has_header = previous_records.is_some();
    if !has_header && !has_records(&salvaged) {
        return Ok(Place::Lost(FoundInstead::Unreadable(file.len())));
    }
    let file_bytes = file.len();
    Ok(Place::Journal(Journal { generation, previous_records, has_header, file_bytes, salvaged }))
}

/// How many records the journal before has.
const fn states(place: &Place) -> Option<u64> {
    match place {
        Place::Journal(journal) => journal.previous_records,
        Place::Begun | Place::Lost(_) => None,
    }
}

/// The records of a journal whose header is damaged: the version may be in the damaged part.
fn salvage_without_header(file: &[u8]) -> Result<Salvaged, JournalError> {
    let older = salvage(Version::V1, file).ok().filter(has_records);
    match salvage(Version::NEWEST, file) {
        Ok(newest) if has_records(&newest) => Ok(newest),
        newest => older.map_or(newest, Ok),
    }
}

fn has_records(salvaged: &Salvaged) -> bool {
    salvaged.parts.iter().any(|part| matches!(part, Part::Record(..)))
}

/// Moves numbers on that clients compare: one that a client has seen must not come again with
/// another content.
fn leap(image: &mut Image, older: &Older) {
    for id in &older.instances {
        let Some(stored) = image.instances.get_mut(id) else { continue };
        let definition = Arc::make_mut(&mut stored.definition);
        definition.revision = Revision(definition.revision.0.saturating_add(LEAP));
        let desired = Arc::make_mut(&mut stored.desired);
        desired.cas = Cas(desired.cas.0.saturating_add(LEAP));
    }
    if image.control.was_used() {
        image.control.next_id = image.control.next_id.saturating_add(LEAP);
    }
}

#[cfg(test)]
#[path = "repair_tests.rs"]
mod tests;
