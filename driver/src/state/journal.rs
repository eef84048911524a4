//! The journal that is being written: appended to and synced, a group of records at a time.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use openctrl_core::store::{Entry, encode_entry, journal_header};

use super::files::{journal_path, write_private};
use crate::counters::COUNTERS;

/// An open journal. After a failed append it must not be used again: what of the group is on the
/// disk is not known.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    records: u64,
    length: u64,
}

impl Journal {
    /// Begins the journal of `generation`. The directory has still to be synced.
    pub(crate) fn create(
        directory: &Path,
        generation: u64,
        previous_records: u64,
    ) -> io::Result<Self> {
        let header = journal_header(generation, previous_records);
        let file = write_private(&journal_path(directory, generation), &header)?;
        Ok(Self { file, records: 0, length: header.len() as u64 })
    }

    /// Appends entries and makes them durable, all or, as far as the disk lets us, none.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for (number, entry) in (self.records + 1..).zip(entries) {
            encode_entry(&mut bytes, number, entry);
        }
        let begun = Instant::now();
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // A refused change must not come back after a crash. If this fails too, the next
            // snapshot corrects it.
            let _ = self.file.set_len(self.length).and_then(|()| self.file.sync_data());
            return Err(error);
        }
        self.records += entries.len() as u64;
        self.length += bytes.len() as u64;
        COUNTERS.journal_synced(bytes.len(), entries.len(), begun.elapsed());
        Ok(())
    }

    /// How many records it has.
    pub(crate) const fn records(&self) -> u64 {
        self.records
    }

    /// How long it is, in bytes.
    pub(crate) const fn length(&self) -> u64 {
        self.length
    }
}
