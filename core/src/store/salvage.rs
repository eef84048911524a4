//! Reads what is left of a damaged journal: the records whose checksums are right, and the gaps
//! between them.
//!
//! A record whose head is right has a known length, so its damaged body is skipped. Where a head is
//! damaged, the next record is searched byte by byte.

use alloc::vec::Vec;
use core::ops::Range;

use super::dto;
use super::journal::{
    JOURNAL_HEADER_BYTES, JournalError, head_at, is_torn, is_unwritten, next_record,
};
use super::record::Entry;
use crate::formats::Version;

/// What is left of a journal, in order.
#[derive(Debug, Default)]
pub(super) struct Salvaged {
    /// The records and the gaps between them.
    pub(super) parts: Vec<Part>,
    /// Where the readable part ends, if something follows it.
    pub(super) tail: Option<Tail>,
}

/// A part of a journal.
#[derive(Debug)]
pub(super) enum Part {
    /// A record with its number.
    Record(u64, Entry),
    /// Records that are lost.
    Gap(Gap),
}

/// Lost records between two that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    /// Their bytes, from the start of the file; empty if the file does not have them.
    pub(super) bytes: Range<usize>,
    /// The number of the first.
    pub(super) first: u64,
    /// The number of the last.
    pub(super) last: u64,
}

/// The end of a journal that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// Its bytes, from the start of the file.
    pub(super) bytes: Range<usize>,
    /// The number of the first record in it.
    pub(super) first: u64,
    /// Whether a crash leaves such an end: nothing in it was ever acknowledged.
    pub(super) is_torn: bool,
}

/// What is at a position of a journal.
enum Found {
    /// A record, its number and its length.
    Record(u64, Entry, usize),
    /// A record of this length whose body is damaged.
    Damaged(usize),
    /// A record whose body goes beyond the end of the file.
    CutOff,
    /// No head of a record.
    Nothing,
}

/// Reads the records of a journal of this version. Its header is not looked at.
///
/// # Errors
/// An undamaged record that this program does not know.
pub(super) fn salvage(version: Version, file: &[u8]) -> Result<Salvaged, JournalError> {
    let mut salvaged = Salvaged::default();
    let (mut at, mut expected) = (JOURNAL_HEADER_BYTES.min(file.len()), 1);
    // Where the current gap begins.
    let mut gap: Option<usize> = None;
    while at < file.len() && !is_unwritten(&file[at..]) {
        let next = match look(version, file, at, expected)? {
            Found::Record(number, entry, length) => {
                let begins = gap.take().unwrap_or(at);
                if number > expected {
                    let gap = Gap { bytes: begins..at, first: expected, last: number - 1 };
                    salvaged.parts.push(Part::Gap(gap));
                }
                salvaged.parts.push(Part::Record(number, entry));
                expected = number + 1;
                at += length;
                continue;
            }
            Found::Damaged(length) => at + length,
            Found::CutOff => file.len(),
            Found::Nothing => next_record(file, at + 1, expected).map_or(file.len(), |(at, _)| at),
        };
        if gap.is_none() && is_torn(file, at, expected) {
            salvaged.tail = Some(Tail { bytes: at..file.len(), first: expected, is_torn: true });
            return Ok(salvaged);
        }
        gap.get_or_insert(at);
        at = next;
    }
    let tail = |begins| Tail { bytes: begins..file.len(), first: expected, is_torn: false };
    salvaged.tail = gap.map(tail);
    Ok(salvaged)
}

fn look(version: Version, file: &[u8], at: usize, expected: u64) -> Result<Found, JournalError> {
    let bytes = &file[at..];
    let Some(head) = head_at(bytes, expected, file.len()) else { return Ok(Found::Nothing) };
    let Some(body) = head.body(bytes) else { return Ok(Found::CutOff) };
    let length = head.record_bytes();
    if !head.is_of(body) {
        return Ok(Found::Damaged(length));
    }
    match dto::decode_entry(version, body) {
        Ok(entry) => Ok(Found::Record(head.number, entry, length)),
        Err(error) if error.is_newer() => Err(JournalError::Body { at, error }),
        Err(_) => Ok(Found::Damaged(length)),
    }
}
