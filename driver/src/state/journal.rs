//! The journal that is being written: records are appended and synced, a group at a time.
//!
//! The file has room for records to come, as zeros. A write into it changes neither the length of
//! the file nor its place on the disk, so a sync waits for its bytes alone: not for the journal of
//! the file system, and for what other files have in it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use openctrl_core::store::{Entry, WRITE_RECORDS_MAX, encode_write, journal_header};

use super::files::{journal_path, write_private};
use crate::counters::COUNTERS;

/// How much room is made at a time. Where it begins, much of a sync is spent on it.
const ROOM_BYTES: u64 = 256 * 1024;

/// The size of a block of zeros.
const BLOCK_BYTES: usize = 16 * 1024;

/// No room is made on a disk with less space than this: snapshots need it.
const SPACE_MIN_BYTES: u64 = 64 * 1024 * 1024;

/// An open journal. After a failed append it must not be used again: what of the group is on the
/// disk is not known.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    records: u64,
    length: u64,
    /// Where the room for later records ends.
    room_end: u64,
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
        let length = header.len() as u64;
        Ok(Self { file, records: 0, length, room_end: length })
    }

    /// Appends entries and makes them durable, all or, as far as the disk lets us, none.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        let (mut records, mut end) = (self.records, self.length);
        let begun = Instant::now();
        for entries in entries.chunks(WRITE_RECORDS_MAX) {
            let mut bytes = Vec::new();
            encode_write(&mut bytes, records + 1, entries);
            self.make_room(end, bytes.len() as u64);
            let written = self.file.write_all_at(&bytes, end);
            if let Err(error) = written.and_then(|()| self.file.sync_data()) {
                // A refused change must not come back after a crash. If this fails too, the next
                // snapshot corrects it.
                let _ = self.file.set_len(self.length).and_then(|()| self.file.sync_data());
                return Err(error);
            }
            records += entries.len() as u64;
            end += bytes.len() as u64;
        }
        let bytes = end - self.length;
        (self.records, self.length) = (records, end);
        COUNTERS.journal_synced(bytes as usize, entries.len(), begun.elapsed());
        Ok(())
    }

    /// Sees to it that there is room for `count` bytes at `at`, the end of the records, and for the
    /// writes to come. Where that fails, the file grows with each write.
    fn make_room(&mut self, at: u64, count: u64) {
        if at + count <= self.room_end {
            return;
        }
        self.room_end = self.room_end.max(at);
        let has_space = rustix::fs::fstatvfs(&self.file)
            .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= SPACE_MIN_BYTES);
        let wanted = at + count + ROOM_BYTES;
        let zeros = [0; BLOCK_BYTES];
        while has_space && self.room_end < wanted {
            match self.file.write_at(&zeros, self.room_end) {
                Ok(written) if written > 0 => self.room_end += written as u64,
                Ok(_) | Err(_) => return,
            }
        }
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

impl Drop for Journal {
    /// Gives back the room.
    fn drop(&mut self) {
        let _ = self.file.set_len(self.length);
    }
}
