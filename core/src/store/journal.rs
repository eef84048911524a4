//! Encodes the journal file: the changes since a snapshot, in order.
//!
//! A header (`magic | version | generation | records of the journal before | CRC-32`), then
//! records, each `length | number | place in its write | body CRC-32 | CRC-32 of these | body`, then
//! zeros up to the end of the file: room for later records, so that a write changes no more of the
//! file than its bytes.
//!
//! A crash leaves sectors of the last write unwritten, in any order. They were never acknowledged.
//! Everything else that is wrong is damage: a write begins only when the one before it is durable,
//! so a bad record before a record of a later write was acknowledged.

use alloc::vec::Vec;
use core::fmt;

use super::dto;
use super::record::Entry;
use super::snapshot::{FORMAT_VERSION, split};
use crate::canary::{self, Canary};
use crate::formats::{FormatError, Version};

const MAGIC: [u8; 8] = *b"OPENCTRJ";
pub(super) const JOURNAL_HEADER_BYTES: usize = 8 + 2 + 8 + 8 + 4;
pub(super) const RECORD_HEADER_BYTES: usize = 4 + 6 + 2 + 4 + 4;

/// How many records one write may have.
pub const WRITE_RECORDS_MAX: usize = 1 << 16;

/// The unit in which a disk writes: unwritten data is missing in multiples of it.
const SECTOR_BYTES: usize = 512;

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

/// Appends the record of `entry`, the `number`th of its journal, counted from 1; it is alone in its
/// write.
pub fn encode_entry(journal: &mut Vec<u8>, number: u64, entry: &Entry) {
    encode_record(journal, number, 0, entry);
}

/// Appends the records of entries that are written together, at most [`WRITE_RECORDS_MAX`]; `first`
/// is the number of the first.
pub fn encode_write(journal: &mut Vec<u8>, first: u64, entries: &[Entry]) {
    for (place, entry) in entries.iter().enumerate() {
        let in_write = u16::try_from(place).expect("a write has at most 65,536 records");
        encode_record(journal, first + u64::from(in_write), in_write, entry);
    }
}

fn encode_record(journal: &mut Vec<u8>, number: u64, in_write: u16, entry: &Entry) {
    let start = journal.len();
    journal.extend_from_slice(&[0; RECORD_HEADER_BYTES]);
    dto::encode_entry(journal, entry);
    // Known once the body is there.
    let (header, body) = journal[start..].split_at_mut(RECORD_HEADER_BYTES);
    let length = u32::try_from(body.len()).expect("a record is far below 4 GiB");
    header[..4].copy_from_slice(&length.to_le_bytes());
    header[4..12].copy_from_slice(&number.to_le_bytes());
    // A journal has fewer than 2⁴⁸ records.
    header[10..12].copy_from_slice(&in_write.to_le_bytes());
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
    while !is_unwritten(&file[at..]) {
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

/// The bits of a head that are the number of its record; those above are its place in its write.
const NUMBER_BITS: u32 = 48;
const NUMBER_MASK: u64 = (1 << NUMBER_BITS) - 1;

/// The head of a record, whose own checksum is right.
#[derive(Clone, Copy)]
pub(super) struct Head {
    /// How long its body is.
    length: usize,
    /// The number of the record in its journal.
    pub(super) number: u64,
    /// How many records of the same write are before it.
    in_write: u16,
    body_checksum: u32,
}

impl Head {
    /// The head at the start of these bytes, if its checksum is right.
    pub(super) fn read(bytes: &[u8; RECORD_HEADER_BYTES]) -> Option<Self> {
        let field = |from: usize, to: usize| &bytes[from..to];
        let u32_at = |from| {
            u32::from_le_bytes(field(from, from + 4).try_into().expect("four bytes were asked for"))
        };
        let number: [u8; 8] = field(4, 12).try_into().expect("eight bytes were asked for");
        let number = u64::from_le_bytes(number);
        (crc32fast::hash(field(0, 16)) == u32_at(16)).then(|| Self {
            length: u32_at(0) as usize,
            number: number & NUMBER_MASK,
            in_write: (number >> NUMBER_BITS) as u16,
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

/// The record at `at` and its length; `None` if it was cut off.
fn read_record(
    version: Version,
    file: &[u8],
    at: usize,
    expected: u64,
) -> Result<Option<(Entry, usize)>, JournalError> {
    let bytes = &file[at..];
    let head = bytes.first_chunk().and_then(Head::read).filter(|head| head.number == expected);
    let is_taken_torn = canary::is(Canary::TornTailTaken);
    let body = head.and_then(|mut head| {
        if is_taken_torn {
            head.length = head.length.min(bytes.len() - RECORD_HEADER_BYTES);
        }
        head.body(bytes).filter(|body| is_taken_torn || head.is_of(body))
    });
    match body {
        Some(body) => match dto::decode_entry(version, body) {
            Ok(entry) => Ok(Some((entry, RECORD_HEADER_BYTES + body.len()))),
            Err(error) => Err(JournalError::Body { at, error }),
        },
        None if is_torn(file, at, expected) => Ok(None),
        None => Err(JournalError::Damaged { at }),
    }
}

/// Whether a crash left the record at `at` as it is, which is not whole and of the number
/// `expected`: its end is cut off or one of its sectors unwritten, and no later write was begun.
pub(super) fn is_torn(file: &[u8], at: usize, expected: u64) -> bool {
    let bytes = &file[at..];
    let head = bytes.first_chunk().and_then(Head::read).filter(|head| head.number == expected);
    let length = head.map_or(RECORD_HEADER_BYTES, |head| head.record_bytes());
    let is_missing = length > bytes.len() || is_unwritten(bytes) || {
        let mut sectors = at / SECTOR_BYTES..(at + length).div_ceil(SECTOR_BYTES);
        sectors.any(|sector| {
            // What is before the record in its sector was there before.
            let begins = at.max(sector * SECTOR_BYTES);
            file.get(begins..(sector + 1) * SECTOR_BYTES).is_some_and(is_unwritten)
        })
    };
    is_missing && !has_later_write(file, at, expected)
}

/// Whether a write after that of the record `expected` follows `at`.
fn has_later_write(file: &[u8], at: usize, expected: u64) -> bool {
    let mut at = at + 1;
    while let Some((found, head)) = next_record(file, at, expected) {
        if head.number - u64::from(head.in_write).min(head.number) > expected {
            return true;
        }
        at = found + head.record_bytes();
    }
    false
}

/// Where the next whole record begins that may follow.
pub(super) fn next_record(file: &[u8], from: usize, expected: u64) -> Option<(usize, Head)> {
    // Zeros are no head.
    let last = file.iter().rposition(|byte| *byte != 0)?;
    (from..=last).find_map(|at| {
        let bytes = &file[at..];
        let head = head_at(bytes, expected, file.len())?;
        let body = head.body(bytes)?;
        head.is_of(body).then_some((at, head))
    })
}

/// The head of a record at the start of `bytes` that can come next: a journal of this length has no
/// room for more records than it would skip.
pub(super) fn head_at(bytes: &[u8], expected: u64, file_bytes: usize) -> Option<Head> {
    let head = Head::read(bytes.first_chunk()?)?;
    let most = (file_bytes / RECORD_HEADER_BYTES) as u64;
    let skipped = head.number.checked_sub(expected)?;
    (skipped <= most).then_some(head)
}

/// Whether nothing was written here.
pub(super) fn is_unwritten(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

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
    fn room_at_the_end_is_no_part_of_it() {
        let (mut file, _) = journal();
        file.resize(4096, 0);
        let read = read_journal(&file).expect("zeros are room");
        assert_eq!((read.entries.len(), read.end), (3, JournalEnd::Clean));
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

    /// A journal of several sectors with room at its end: where its last write begins and ends.
    fn long_journal(last: usize) -> (Vec<u8>, usize, usize) {
        let mut file = journal_header(5, 9);
        for number in 1..=40 {
            encode_entry(&mut file, number, &entries()[number as usize % 3]);
        }
        let begins = file.len();
        let entries: Vec<Entry> = entries().into_iter().cycle().take(last).collect();
        encode_write(&mut file, 41, &entries);
        let ends = file.len();
        file.resize(8192, 0);
        (file, begins, ends)
    }

    #[test]
    fn any_sector_of_the_last_write_may_be_missing() {
        let (file, begins, ends) = long_journal(60);
        let sectors: Vec<usize> = (begins / SECTOR_BYTES..ends.div_ceil(SECTOR_BYTES)).collect();
        for missing in 1_u32..1 << sectors.len() {
            let mut file = file.clone();
            let is_missing = |(bit, _): &(usize, &usize)| missing >> bit & 1 == 1;
            for (_, sector) in sectors.iter().enumerate().filter(is_missing) {
                let from = begins.max(sector * SECTOR_BYTES);
                file[from..(sector + 1) * SECTOR_BYTES].fill(0);
            }
            let read = read_journal(&file).expect("a torn write is normal");
            assert!((40..100).contains(&read.entries.len()), "{missing:b}");
        }
    }

    #[test]
    fn a_missing_sector_before_the_last_write_is_damage() {
        let (file, begins, _) = long_journal(2);
        for sector in 1..begins / SECTOR_BYTES {
            let mut file = file.clone();
            file[sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES].fill(0);
            assert!(matches!(read_journal(&file), Err(JournalError::Damaged { .. })), "{sector}");
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed_also_where_there_is_room_at_the_end() {
        let (file, _, ends) = long_journal(2);
        for bit in 0..ends * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(read_journal(&damaged).is_err(), "bit {bit}");
        }
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
