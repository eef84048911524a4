//! Journal files.

use openctrl_core::store::{
    FORMAT_VERSION, JournalEnd, encode_entry, encode_write, journal_header, read_journal,
};

use crate::choices::Choices;
use crate::recover::entry;

/// The unit in which a disk writes.
const SECTOR_BYTES: usize = 512;

/// The first byte chooses what the rest is: a file, the body of a record whose checksums are right
/// in a file of each version, or the choices for a journal that is written and then cut off. None
/// may do harm; what is read can be written and read again, and of what was written it is the very
/// bytes up to the end.
pub fn journal(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    match choice % 3 {
        0 => check(rest),
        1 => (1..=FORMAT_VERSION).for_each(|version| check(&with_body(version, rest))),
        _ => cut_off(&mut Choices::new(rest)),
    }
}

fn check(file: &[u8]) {
    match read_journal(file) {
        Ok(_) => {
            let written = written_again(file);
            assert_eq!(written_again(&written), written, "it stays what it is");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A journal of one record.
fn with_body(version: u16, body: &[u8]) -> Vec<u8> {
    let mut file = journal_header(7, 1);
    file[8..10].copy_from_slice(&version.to_le_bytes());
    let checked = file.len() - 4;
    let checksum = crc32fast::hash(&file[..checked]).to_le_bytes();
    file[checked..].copy_from_slice(&checksum);
    let start = file.len();
    let length = u32::try_from(body.len()).expect("inputs are small");
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(&1_u64.to_le_bytes());
    file.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    file.extend_from_slice(&crc32fast::hash(&file[start..]).to_le_bytes());
    file.extend_from_slice(body);
    file
}

fn cut_off(choices: &mut Choices<'_>) {
    let mut file = journal_header(choices.word(), choices.word());
    for number in 1..=choices.below(8) as u64 {
        encode_entry(&mut file, number, &entry(choices));
    }
    let (begins, first) = (file.len(), read_journal(&file).expect("it is whole").entries.len() + 1);
    let last: Vec<_> = (0..choices.below(4)).map(|_| entry(choices)).collect();
    encode_write(&mut file, first as u64, &last);
    if choices.one_in(2) {
        file.truncate(begins + choices.below(file.len() - begins + 1));
    } else {
        // There was room, and any sector of the last write may be missing.
        file.resize((file.len() + choices.below(2048)).next_multiple_of(SECTOR_BYTES), 0);
        for sector in begins / SECTOR_BYTES..file.len() / SECTOR_BYTES {
            if choices.one_in(3) {
                file[begins.max(sector * SECTOR_BYTES)..(sector + 1) * SECTOR_BYTES].fill(0);
            }
        }
    }
    let read = read_journal(&file).expect("a torn end is normal");
    let at = match read.end {
        JournalEnd::Clean => file.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1),
        JournalEnd::Torn { at } => at,
    };
    let mut written = journal_header(read.generation, read.previous_records);
    let (before, of_last) = read.entries.split_at((first - 1).min(read.entries.len()));
    for (number, entry) in (1..).zip(before) {
        encode_entry(&mut written, number, entry);
    }
    encode_write(&mut written, first as u64, of_last);
    // The last byte of a record may be zero.
    assert!(written.len() >= at && written.starts_with(&file[..at]), "it reads as it was written");
    assert!(is_unwritten(&written[at..]), "no more than there is");
}

fn is_unwritten(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn written_again(file: &[u8]) -> Vec<u8> {
    let read = read_journal(file).expect("it was read before");
    let mut written = journal_header(read.generation, read.previous_records);
    for (number, entry) in (1..).zip(&read.entries) {
        encode_entry(&mut written, number, entry);
    }
    written
}
