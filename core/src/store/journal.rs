//! Encodes the journal file: the changes since a snapshot, in order.
//!
//! A header (`magic | version | generation | records of the journal before | CRC-32`), then
//! records, each `length | number | body CRC-32 | CRC-32 of these | body`. Head and body have
//! separate checksums, to distinguish an end that was cut off from damage. A crash causes the first, and the part that it cut off was never
//! acknowledged; only damage causes the second.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use super::dto;
use super::record::Entry;
use super::salvage::next_record;
use super::snapshot::{FORMAT_VERSION, split};
use crate::canary::{self, Canary};
use crate::formats::{FormatError, Version};

const MAGIC: [u8; 8] = *b"OPENCTRJ";
pub(super) const JOURNAL_HEADER_BYTES: usize = 8 + 2 + 8 + 8 + 4;
pub(super) const RECORD_HEADER_BYTES: usize = 4 + 8 + 4 + 4;

/// The content of a journal.
#[derive(Debug)]
pub struct ReadJournal {
    /// The generation of the snapshot that it follows.
    pub generation: u64,
    /// How many records the journal of the generation before had when this one was begun.
    pub previous_records: u64,
    /// Its entries.
    pub entries: Vec<Entry>,
    /// Its end.
    pub end: JournalEnd,
}

/// The end of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalEnd {
    /// After a whole record.
    Clean,
    /// In the middle of a record that was being written: cut here.
    Torn {
        /// Where that record begins, in bytes from the start of the file.
        at: usize,
    },
}

/// Why a journal cannot be read.
#[derive(Debug)]
pub enum JournalError {
    /// It does not start like one.
    NotAJournal,
    /// It has a version that this program does not know.
    Version(u16),
    /// A whole record is damaged, or out of order.
    Damaged {
        /// Where that record begins, in bytes from the start of the file.
        at: usize,
    },
    /// A record whose checksum is right cannot be read.
    Body {
        /// Where that record begins, in bytes from the start of the file.
        at: usize,
        /// What is wrong with it.
        error: FormatError,
    },
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAJournal => f.write_str("it is not a journal of OpenCtrl"),
            Self::Version(version) => write!(
                f,
                "it has format version {version}; this program knows up to {FORMAT_VERSION}: use a newer one"
            ),
            Self::Damaged { at } => write!(f, "it is damaged at byte {at}"),
            Self::Body { at, error } => write!(f, "at byte {at}: {error}"),
        }
    }
}

impl core::error::Error for JournalError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Body { error, .. } => Some(error),
            Self::NotAJournal | Self::Version(_) | Self::Damaged { .. } => None,
        }
    }
}

/// The start of a journal that follows the snapshot of `generation`; the journal before it has
/// `previous_records`.
pub fn journal_header(generation: u64, previous_records: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(JOURNAL_HEADER_BYTES);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    header.extend_from_slice(&generation.to_le_bytes());
    header.extend_from_slice(&previous_records.to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
    header
}

/// Appends the record of `entry`, the `number`th of its journal, counted from 1.
pub fn encode_entry(journal: &mut Vec<u8>, number: u64, entry: &Entry) {
    let start = journal.len();
    journal.extend_from_slice(&[0; RECORD_HEADER_BYTES]);
    dto::encode_entry(journal, entry);
    // Known once the body is there.
    let (header, body) = journal[start..].split_at_mut(RECORD_HEADER_BYTES);
    let length = u32::try_from(body.len()).expect("a record is far below 4 GiB");
    header[..4].copy_from_slice(&length.to_le_bytes());
    header[4..12].copy_from_slice(&number.to_le_bytes());
    header[12..16].copy_from_slice(&crc32fast::hash(body).to_le_bytes());
    let checksum = crc32fast::hash(&header[..16]);
    header[16..].copy_from_slice(&checksum.to_le_bytes());
}

/// Reads a journal of any known version up to its end, or to the position where it was cut off.
///
/// # Errors
/// A file that is not a journal, and any whole record with a wrong checksum or number.
pub fn read_journal(file: &[u8]) -> Result<ReadJournal, JournalError> {
    let (version, generation, previous_records) = read_header(file)?;
    let mut entries = Vec::new();
    let mut at = JOURNAL_HEADER_BYTES;
    while at < file.len() {
        let number = entries.len() as u64 + 1;
        match read_record(version, file, at, number)? {
            Some((entry, length)) => {
                entries.push(entry);
                at += length;
            }
            None => {
                if canary::is(Canary::RecordLost) {
                    entries.pop();
                }
                let end = JournalEnd::Torn { at };
                return Ok(ReadJournal { generation, previous_records, entries, end });
            }
        }
    }
    Ok(ReadJournal { generation, previous_records, entries, end: JournalEnd::Clean })
}

/// Whether a file was cut off while it was being begun: it has no whole header, or was made longer
/// and never written.
pub(super) fn is_barely_begun(file: &[u8]) -> bool {
    file.len() < JOURNAL_HEADER_BYTES || file.iter().all(|byte| *byte == 0)
}

/// Whether a file has a whole header of a version after the newest that this program knows.
pub(super) fn is_of_newer_program(file: &[u8]) -> bool {
    let Some((header, _)) = split::<JOURNAL_HEADER_BYTES>(file) else { return false };
    let (checked, checksum) = header.split_at(JOURNAL_HEADER_BYTES - 4);
    checked.starts_with(&MAGIC)
        && u16::from_le_bytes([checked[8], checked[9]]) > FORMAT_VERSION
        && crc32fast::hash(checked).to_le_bytes() == checksum
}

/// The version, the generation, and the records of the journal before.
pub(super) fn read_header(file: &[u8]) -> Result<(Version, u64, u64), JournalError> {
    let (magic, rest) = split::<8>(file).ok_or(JournalError::NotAJournal)?;
    if magic != MAGIC {
        return Err(JournalError::NotAJournal);
    }
    let damaged = JournalError::Damaged { at: 0 };
    let Some((version, rest)) = split::<2>(rest) else { return Err(damaged) };
    let number = u16::from_le_bytes(version);
    let version = Version::known(number).ok_or(JournalError::Version(number))?;
    let Some((generation, rest)) = split::<8>(rest) else { return Err(damaged) };
    let Some((previous, rest)) = split::<8>(rest) else { return Err(damaged) };
    let Some((checksum, _)) = split::<4>(rest) else { return Err(damaged) };
    if crc32fast::hash(&file[..JOURNAL_HEADER_BYTES - 4]) != u32::from_le_bytes(checksum) {
        return Err(damaged);
    }
    Ok((version, u64::from_le_bytes(generation), u64::from_le_bytes(previous)))
}

/// The head of a record, whose own checksum is right.
#[derive(Clone, Copy)]
pub(super) struct Head {
    /// How long its body is.
    length: usize,
    /// The number of the record in its journal.
    pub(super) number: u64,
    body_checksum: u32,
}

impl Head {
    /// The head at the start of these bytes, if its checksum is right.
    pub(super) fn read(bytes: &[u8; RECORD_HEADER_BYTES]) -> Option<Self> {
        let field = |from: usize, to: usize| &bytes[from..to];
        let u32_at = |from| {
            u32::from_le_bytes(field(from, from + 4).try_into().expect("four bytes were asked for"))
        };
        let number = field(4, 12).try_into().expect("eight bytes were asked for");
        (crc32fast::hash(field(0, 16)) == u32_at(16)).then(|| Self {
            length: u32_at(0) as usize,
            number: u64::from_le_bytes(number),
            body_checksum: u32_at(12),
        })
    }

    /// The length of the whole record.
    pub(super) const fn record_bytes(&self) -> usize {
        RECORD_HEADER_BYTES + self.length
    }

    /// Its body, of a record at the start of `bytes` that is whole.
    pub(super) fn body<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        bytes.get(RECORD_HEADER_BYTES..self.record_bytes())
    }

    /// Whether this is the body that was written.
    pub(super) fn is_of(&self, body: &[u8]) -> bool {
        crc32fast::hash(body) == self.body_checksum
    }
}

/// The record at this position and its length; `None` if it was cut off.
fn read_record(
    version: Version,
    file: &[u8],
    at: usize,
    expected_number: u64,
) -> Result<Option<(Entry, usize)>, JournalError> {
    let bytes = &file[at..];
    let Some((head, rest)) = split::<RECORD_HEADER_BYTES>(bytes) else { return Ok(None) };
    let head = Head::read(&head).filter(|head| head.number == expected_number);
    let Some(mut head) = head else {
        return torn_or_damaged(file, at, expected_number);
    };
    if canary::is(Canary::TornTailTaken) {
        head.length = head.length.min(rest.len());
    }
    let Some(body) = head.body(bytes) else { return Ok(None) };
    if !head.is_of(body) {
        return torn_or_damaged(file, at, expected_number);
    }
    let entry =
        dto::decode_entry(version, body).map_err(|error| JournalError::Body { at, error })?;
    Ok(Some((entry, head.record_bytes())))
}

/// A file system can extend the file before it writes the appended data, and write its sectors in any
/// order: the file then ends in zeros, and what cannot be read has zeros where a sector is missing.
/// Anything else is damage, however the file ends.
fn torn_or_damaged<T>(file: &[u8], at: usize, number: u64) -> Result<Option<T>, JournalError> {
    let damaged = Err(JournalError::Damaged { at });
    if !ends_unwritten(&file[at..]) {
        return damaged;
    }
    match next_record(file, at + 1, number) {
        Some(next) if !lacks_sector(file, at..next) => damaged,
        Some(_) | None => Ok(None),
    }
}

/// Whether a sector was never written in this part of a file. Shorter runs of zeros occur in records.
fn lacks_sector(file: &[u8], part: Range<usize>) -> bool {
    let first = part.start / SECTOR_BYTES * SECTOR_BYTES;
    (first..part.end).step_by(SECTOR_BYTES).any(|sector| {
        let bytes = &file[sector.max(part.start)..(sector + SECTOR_BYTES).min(part.end)];
        bytes.len() >= RECORD_HEADER_BYTES && bytes.iter().all(|byte| *byte == 0)
    })
}

/// Whether the end of these bytes was never written.
pub(super) fn ends_unwritten(bytes: &[u8]) -> bool {
    let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
    zeros >= SECTOR_BYTES.min(bytes.len())
}

/// The unit in which a disk writes: unwritten data is missing in multiples of it.
const SECTOR_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::{SavedTotals, Totals};
    use crate::ids::InstanceId;
    use crate::instance::{Definition, Desired, Goal};
    use crate::store::{Record, arbitrary};
    use crate::url::InstanceUrl;
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::sync::Arc;
    use alloc::vec;
    use proptest::prelude::*;

    fn entries() -> Vec<Entry> {
        let totals = Totals { tcprx: 1, ..Totals::default() };
        vec![
            Entry::Change(Record::RemoveInstance(InstanceId(1))),
            Entry::Totals(vec![(InstanceId(2), SavedTotals::from_totals(3, totals))]),
            Entry::Change(Record::SetDesired {
                id: InstanceId(0xffff_ffff),
                desired: Arc::new(Desired { goal: Goal::Down, ..Desired::default() }),
            }),
        ]
    }

    fn journal() -> (Vec<u8>, Vec<usize>) {
        let mut file = journal_header(5, 9);
        let mut ends = vec![file.len()];
        for (number, entry) in (1..).zip(&entries()) {
            encode_entry(&mut file, number, entry);
            ends.push(file.len());
        }
        (file, ends)
    }

    /// The bytes of the dump in the page about the state.
    fn dump_of_the_page() -> Vec<u8> {
        let page = include_str!("../../../docs/operators/STATE.md");
        let dump =
            page.lines().filter(|line| line.get(8..10) == Some(": ") && line.starts_with('0'));
        let words = dump.flat_map(|line| line[10..49].split_whitespace());
        let pairs = words.flat_map(|word| [word.get(..2), word.get(2..4)]).flatten();
        let byte = |pair| u8::from_str_radix(pair, 16).expect("two digits");
        pairs.filter(|pair| !pair.is_empty()).map(byte).collect()
    }

    #[test]
    fn the_page_dumps_a_journal_with_one_new_instance() {
        let url = InstanceUrl::parse("demo://edge-a?token=hush").expect("a valid URL");
        let definition = Definition::new(InstanceId(0x0edf_bb13), url, "edge-a".to_string());
        let definition = Arc::new(definition);
        let (desired, totals) = (Arc::default(), SavedTotals::default());
        let record = Record::PutInstance { definition, desired, totals };
        let mut file = journal_header(2, 0);
        encode_entry(&mut file, 1, &Entry::Change(record));
        let rows = file.chunks(16).enumerate().map(|(row, bytes)| {
            let words =
                bytes.chunks(2).map(|word| word.iter().map(|b| format!("{b:02x}")).collect());
            format!("{:08x}: {}", row * 16, words.collect::<Vec<String>>().join(" "))
        });
        let rows: Vec<String> = rows.collect();
        assert_eq!(dump_of_the_page(), file, "docs/operators/STATE.md must show {rows:#?}");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let read = read_journal(&journal().0).expect("a good journal");
        assert_eq!((read.generation, read.previous_records), (5, 9));
        assert_eq!(format!("{:?}", read.entries), format!("{:?}", entries()));
        assert_eq!(read.end, JournalEnd::Clean);
    }

    #[test]
    fn an_end_that_was_cut_off_costs_the_last_record_only() {
        let (file, ends) = journal();
        for length in ends[0]..file.len() {
            let read = read_journal(&file[..length]).expect("a prefix is a torn journal");
            let whole = ends.iter().filter(|end| **end <= length).count() - 1;
            assert_eq!(read.entries.len(), whole, "{length} bytes");
            let clean = ends.contains(&length);
            let torn = JournalEnd::Torn { at: ends[whole] };
            assert_eq!(read.end, if clean { JournalEnd::Clean } else { torn });
        }
        for length in 0..ends[0] {
            assert!(read_journal(&file[..length]).is_err(), "{length} bytes of a header were read");
        }
    }

    #[test]
    fn an_end_that_was_never_written_is_cut_off_too() {
        let (mut file, ends) = journal();
        let at = ends[3];
        file.extend_from_slice(&[0; 4096]);
        let read = read_journal(&file).expect("zeros are a torn end");
        assert_eq!((read.entries.len(), read.end), (3, JournalEnd::Torn { at }));
        file.truncate(at + 7);
        assert_eq!(read_journal(&file).expect("as are few").end, JournalEnd::Torn { at });
    }

    /// Records that were acknowledged are never cut off, though the journal ends as after a crash.
    #[test]
    fn damage_before_whole_records_is_no_end() {
        let (file, ends) = journal();
        for bit in ends[0] * 8..ends[2] * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            damaged.extend_from_slice(&[0; 4096]);
            let at = if bit / 8 < ends[1] { ends[0] } else { ends[1] };
            match read_journal(&damaged) {
                Err(JournalError::Damaged { at: found }) => assert_eq!(found, at, "bit {bit}"),
                read => panic!("bit {bit}: {read:?}"),
            }
        }
    }

    /// Two records of one write, of which the second reached the disk and the first did not.
    #[test]
    fn a_record_after_a_missing_sector_was_never_acknowledged() {
        let mut file = journal_header(5, 0);
        let mut ends = vec![file.len()];
        for number in 1..100 {
            encode_entry(&mut file, number, &entries()[0]);
            ends.push(file.len());
        }
        assert!(file.len() > 3 * SECTOR_BYTES, "{}", file.len());
        file[SECTOR_BYTES..2 * SECTOR_BYTES].fill(0);
        file.extend_from_slice(&[0; 4096]);
        let whole = ends.iter().filter(|end| **end <= SECTOR_BYTES).count() - 1;
        let read = read_journal(&file).expect("a torn journal");
        assert_eq!((read.entries.len(), read.end), (whole, JournalEnd::Torn { at: ends[whole] }));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let (file, ends) = journal();
        for bit in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let record = ends.iter().filter(|end| **end <= bit / 8).count();
            match read_journal(&damaged) {
                Err(JournalError::Damaged { at }) if record > 0 => assert_eq!(at, ends[record - 1]),
                Err(_) => assert_eq!(record, 0, "bit {bit}"),
                Ok(read) => panic!("flipped bit {bit} was not noticed: {read:?}"),
            }
        }
    }

    #[test]
    fn what_a_newer_program_wrote_is_refused_by_name() {
        let (mut file, ends) = journal();
        let body = [99, 2, 0];
        let start = file.len();
        file.extend_from_slice(&3_u32.to_le_bytes());
        file.extend_from_slice(&4_u64.to_le_bytes());
        file.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        file.extend_from_slice(&crc32fast::hash(&file[start..]).to_le_bytes());
        file.extend_from_slice(&body);
        let error = read_journal(&file).expect_err("an entry of kind 99").to_string();
        assert!(error.starts_with(&format!("at byte {}: ", ends[3])), "{error}");
        assert!(error.contains("kind 99, version 2"), "{error}");

        file[8] = 3;
        let error = read_journal(&file).expect_err("version 3").to_string();
        assert!(error.contains("format version 3; this program knows up to 2"), "{error}");
    }

    /// A toggle is written at once for many instances: it has to be small.
    #[test]
    fn a_toggle_takes_32_bytes() {
        let mut file = Vec::new();
        encode_entry(&mut file, 1, &entries()[2]);
        assert_eq!(file.len(), RECORD_HEADER_BYTES + 12);
    }

    proptest! {
        #[test]
        fn any_entries_come_back(entries in prop::collection::vec(arbitrary::entry(), 0..8)) {
            let written = |entries: &[Entry]| {
                let mut file = journal_header(5, 9);
                for (number, entry) in (1..).zip(entries) {
                    encode_entry(&mut file, number, entry);
                }
                file
            };
            let file = written(&entries);
            let read = read_journal(&file).expect("a good journal");
            prop_assert_eq!(format!("{:?}", &read.entries), format!("{:?}", entries));
            prop_assert_eq!(written(&read.entries), file);
        }
    }

    #[test]
    fn records_out_of_order_are_damage() {
        let mut file = journal_header(5, 0);
        let start = file.len();
        for number in [1, 2, 4] {
            encode_entry(&mut file, number, &entries()[0]);
        }
        let length = (file.len() - start) / 3;
        let error = read_journal(&file).expect_err("the third record is missing");
        assert!(matches!(error, JournalError::Damaged { at } if at == start + 2 * length));
    }
}
