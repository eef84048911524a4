//! Recovers a state from its files after a crash or damage: bytes in, state and findings out.
//!
//! A journal is created before its snapshot becomes visible, and the files of the previous
//! generation are kept. Every acknowledged change is therefore in a snapshot with its journal, and
//! again in the previous snapshot with its journals. If neither is complete, the state is refused:
//! an incomplete state is never used as a complete one.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use super::image::Image;
use super::journal::{JournalEnd, JournalError, ReadJournal, is_barely_begun, read_journal};
use super::snapshot::{DecodeError, decode};

/// The generation of the first snapshot.
pub const FIRST_GENERATION: u64 = 1;

/// The files of a state directory, as far as they exist.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files<'a> {
    /// The snapshot.
    pub snapshot: Option<&'a [u8]>,
    /// The snapshot before it.
    pub backup: Option<&'a [u8]>,
    /// Every journal with the generation in its name.
    pub journals: &'a [(u64, &'a [u8])],
}

/// A state that is complete.
#[derive(Debug)]
pub struct Recovered {
    /// The state.
    pub image: Image,
    /// The generation of the snapshot that it rests on: journals before it are not needed.
    pub snapshot: u64,
    /// The generation of the last journal; the next one is to be one higher.
    pub generation: u64,
    /// How many records that journal has.
    pub records: u64,
    /// A deviation that did no harm.
    pub findings: Vec<Finding>,
}

/// A fact that an operator should know.
#[derive(Debug)]
pub enum Finding {
    /// The snapshot cannot be read, or is missing; the one before it is used.
    BackupUsed(Option<DecodeError>),
    /// A journal ended within a record, which was never acknowledged.
    Cut {
        /// Which journal.
        generation: u64,
        /// Where, in bytes from its start.
        at: usize,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BackupUsed(Some(error)) => {
                write!(
                    f,
                    "the snapshot cannot be read: {error}; the backup and the journals are used"
                )
            }
            Self::BackupUsed(None) => {
                f.write_str("the snapshot is missing; the backup and the journals are used")
            }
            Self::Cut { generation, at } => write!(
                f,
                "journal {generation} ends within a record at byte {at}, which was never acknowledged"
            ),
        }
    }
}

/// Why a state is refused.
#[derive(Debug)]
pub enum RecoveryError {
    /// Neither snapshot can be read; an error is missing where the file is.
    NoSnapshot {
        /// The error of the snapshot.
        snapshot: Option<DecodeError>,
        /// The error of the backup.
        backup: Option<DecodeError>,
    },
    /// A journal is missing, or names another generation than its file.
    NoJournal(u64),
    /// A journal cannot be read.
    Journal(u64, JournalError),
    /// A journal is shorter than it was when the next one was begun.
    Incomplete(u64),
}

impl fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let say = |f: &mut fmt::Formatter<'_>, name, error: &Option<DecodeError>| match error {
            Some(error) => write!(f, "the {name} cannot be read: {error}"),
            None => write!(f, "the {name} is missing"),
        };
        match self {
            Self::NoSnapshot { snapshot: Some(error), .. } if error.is_newer() => {
                write!(f, "the snapshot cannot be read: {error}")
            }
            Self::NoSnapshot { snapshot, backup } => {
                say(f, "snapshot", snapshot)?;
                f.write_str("; ")?;
                say(f, "backup", backup)
            }
            Self::NoJournal(generation) => write!(f, "journal {generation} is missing"),
            Self::Journal(generation, error) => {
                write!(f, "journal {generation} cannot be read: {error}")
            }
            Self::Incomplete(generation) => {
                write!(f, "records are missing at the end of journal {generation}")
            }
        }
    }
}

impl core::error::Error for RecoveryError {}

/// Puts the state together; `None` where there never was one.
///
/// # Errors
/// Whatever leaves it unsure that every acknowledged change is there.
pub fn recover(files: Files<'_>) -> Result<Option<Recovered>, RecoveryError> {
    let snapshot = files.snapshot.map(decode).transpose();
    // Not damage: a newer program wrote it, with content that this one does not know.
    match snapshot {
        Ok(Some((image, generation))) => follow(files, image, generation, Vec::new()).map(Some),
        Err(error) if error.is_newer() => {
            Err(RecoveryError::NoSnapshot { snapshot: Some(error), backup: None })
        }
        snapshot => recover_from_backup(files, snapshot.err()),
    }
}

fn recover_from_backup(
    files: Files<'_>,
    snapshot: Option<DecodeError>,
) -> Result<Option<Recovered>, RecoveryError> {
    match files.backup.map(decode).transpose() {
        Ok(Some((image, generation))) => {
            let findings = alloc::vec![Finding::BackupUsed(snapshot)];
            follow(files, image, generation, findings).map(Some)
        }
        // A journal is created before the first snapshot: an empty one without any snapshot does
        // not mean that a state was lost.
        Ok(None) if snapshot.is_none() && files.journals.iter().all(is_first_and_empty) => Ok(None),
        backup => Err(RecoveryError::NoSnapshot { snapshot, backup: backup.err() }),
    }
}

fn is_first_and_empty((generation, file): &(u64, &[u8])) -> bool {
    // Cut off while its header was being written, it has not even that.
    *generation == FIRST_GENERATION
        && read_journal(file).map_or(is_barely_begun(file), |journal| journal.entries.is_empty())
}

/// Applies every journal from that of the snapshot of `generation` on.
fn follow(
    files: Files<'_>,
    mut image: Image,
    generation: u64,
    mut findings: Vec<Finding>,
) -> Result<Recovered, RecoveryError> {
    let journals: BTreeMap<u64, &[u8]> = files.journals.iter().copied().collect();
    let last = journals.keys().last().copied().unwrap_or(generation).max(generation);
    let (mut reached, mut records, mut entries) = (generation, 0, Vec::new());
    for current in generation..=last {
        let file = journals.get(&current).ok_or(RecoveryError::NoJournal(current))?;
        let journal = match read_journal(file) {
            Ok(journal) => journal,
            // The snapshot it was to follow never became visible.
            Err(_) if current == last && current > generation && is_barely_begun(file) => {
                continue;
            }
            Err(error) => return Err(RecoveryError::Journal(current, error)),
        };
        check(&journal, current, generation, records)?;
        if current > generation {
            // More than it had when the next one was begun was refused, and could not be cut off.
            let acknowledged = usize::try_from(journal.previous_records);
            entries.truncate(acknowledged.unwrap_or(usize::MAX));
        }
        entries.drain(..).for_each(|entry| image.apply_entry(&entry));
        (reached, records) = (current, journal.entries.len() as u64);
        if let JournalEnd::Torn { at } = journal.end {
            findings.push(Finding::Cut { generation: current, at });
        }
        entries = journal.entries;
    }
    entries.iter().for_each(|entry| image.apply_entry(entry));
    Ok(Recovered { image, snapshot: generation, generation: reached, records, findings })
}

/// Whether a journal is the one that is looked for, and the one before it was read whole.
fn check(
    journal: &ReadJournal,
    expected: u64,
    first: u64,
    records_before: u64,
) -> Result<(), RecoveryError> {
    if journal.generation != expected {
        return Err(RecoveryError::NoJournal(expected));
    }
    if expected > first && journal.previous_records > records_before {
        return Err(RecoveryError::Incomplete(expected - 1));
    }
    Ok(())
}

#[cfg(test)]
#[path = "recover_tests.rs"]
pub(super) mod tests;
