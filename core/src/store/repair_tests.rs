//! Repairs of damaged directories: what must be kept is kept, and what may be older is listed.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::access::TokenChange;
use crate::store::journal::{JOURNAL_HEADER_BYTES, RECORD_HEADER_BYTES};
use crate::store::recover::tests::{Disk, first_image, generations, history, put, shown};
use crate::store::{encode, encode_entry, journal_header};

fn partial(disk: &Disk) -> Box<Repair> {
    match disk.read(repair).expect("something can be kept") {
        Verdict::Partial(repair) => repair,
        whole @ (Verdict::Nothing | Verdict::Whole(_)) => panic!("{whole:?}"),
    }
}

fn given_up(disk: &Disk) -> Vec<String> {
    partial(disk).given_up.iter().map(ToString::to_string).collect()
}

fn remove(id: u32) -> Entry {
    Entry::Change(Record::RemoveInstance(InstanceId(id)))
}

/// Where each record of a good journal is.
fn ranges(journal: &[u8]) -> Vec<Range<usize>> {
    let (mut ranges, mut at) = (Vec::new(), JOURNAL_HEADER_BYTES);
    while at < journal.len() {
        let length = journal[at..at + 4].try_into().expect("four bytes were asked for");
        let end = at + RECORD_HEADER_BYTES + u32::from_le_bytes(length) as usize;
        ranges.push(at..end);
        at = end;
    }
    ranges
}

/// A disk with one journal of these entries, and the journal.
fn disk(entries: &[Entry]) -> (Disk, u64) {
    let (disk, _) = history(&[entries.to_vec()]);
    let generation = disk.generation;
    (disk, generation)
}

fn flip(disk: &mut Disk, generation: u64, at: usize) {
    disk.journals.get_mut(&generation).expect("it is there")[at] ^= 0x10;
}

#[test]
fn a_directory_that_a_master_starts_with_stays_as_it_is() {
    assert!(matches!(Disk::default().read(repair), Ok(Verdict::Nothing)));
    let (mut disk, _) = history(&[vec![put(1, 1)], vec![put(2, 2)]]);
    assert!(matches!(disk.read(repair), Ok(Verdict::Whole(_))));
    disk.snapshot = Some(vec![]);
    assert!(matches!(disk.read(repair), Ok(Verdict::Whole(_))));
}

#[test]
fn a_lost_deletion_brings_an_instance_back_and_says_so() {
    let (mut disk, generation) = disk(&[put(1, 1), remove(1), put(2, 2)]);
    let deletion = ranges(&disk.journals[&generation])[1].clone();
    flip(&mut disk, generation, deletion.end - 1);
    let repair = partial(&disk);
    let text =
        format!("journal {generation}: record 2; bytes {} to {}", deletion.start, deletion.end - 1);
    assert_eq!(given_up(&disk), [text]);
    assert_eq!(repair.image.instances.len(), 2);
    assert_eq!(repair.older.instances, [InstanceId(1)], "the other was written after it");
    assert!(repair.older.master && !repair.older.rules);
    assert_eq!((repair.records, repair.is_backup), (2, false));
    let revision = |id| repair.image.instances[&InstanceId(id)].definition.revision;
    assert_eq!(revision(2), Revision::FIRST);
    assert!(revision(1) > Revision(LEAP), "an old ETag does not match a new content");
}

#[test]
fn a_damaged_head_hides_no_record_but_its_own() {
    let (mut disk, generation) = disk(&[put(1, 1), put(2, 2), put(3, 3), put(4, 4)]);
    let records = ranges(&disk.journals[&generation]);
    flip(&mut disk, generation, records[1].start + 2);
    flip(&mut disk, generation, records[2].start + 6);
    let bytes = (records[1].start, records[2].end - 1);
    let text = format!("journal {generation}: records 2 to 3; bytes {} to {}", bytes.0, bytes.1);
    assert_eq!(given_up(&disk), [text]);
    let kept: Vec<u32> = partial(&disk).image.instances.keys().map(|id| id.0).collect();
    assert_eq!(kept, [1, 4]);
}

#[test]
fn a_damaged_end_is_given_up() {
    let (mut disk, generation) = disk(&[put(1, 1), put(2, 2)]);
    let record = ranges(&disk.journals[&generation])[1].clone();
    flip(&mut disk, generation, record.start);
    let bytes = (record.start, record.end - 1);
    let text = format!(
        "journal {generation}: record 2 and all after it; bytes {} to {}",
        bytes.0, bytes.1
    );
    assert_eq!(given_up(&disk), [text]);
}

#[test]
fn a_damaged_header_costs_no_record() {
    for at in 0..JOURNAL_HEADER_BYTES {
        let (mut disk, generation) = disk(&[put(1, 1), put(2, 2)]);
        flip(&mut disk, generation, at);
        assert_eq!(
            given_up(&disk),
            [format!("journal {generation}: its header, bytes 0 to 29; no record")]
        );
        let repair = partial(&disk);
        assert_eq!((repair.image.instances.len(), repair.records), (2, 2));
        assert_eq!(repair.older, Older::default());
    }
}

#[test]
fn records_that_the_file_does_not_have_are_counted() {
    let (mut disk, generation) = disk(&[put(1, 1), put(2, 2), put(3, 3)]);
    let record = ranges(&disk.journals[&generation])[1].clone();
    disk.journals.get_mut(&generation).expect("it is there").drain(record.clone());
    let text = format!("journal {generation}: record 2; missing at byte {}", record.start);
    assert_eq!(given_up(&disk), [text]);
}

#[test]
fn a_lost_end_of_an_earlier_journal_is_counted() {
    let (mut disk, _) = history(&[vec![put(1, 1), put(2, 2), put(3, 3)], vec![put(4, 4)]]);
    disk.snapshot = None;
    let journal = disk.journals.get_mut(&2).expect("it is there");
    let end = ranges(journal)[0].end;
    journal.truncate(end + 5);
    let repair = partial(&disk);
    assert!(repair.is_backup);
    assert_eq!(given_up(&disk), [format!("journal 2: records 2 to 3; bytes {end} to {}", end + 4)]);
    let kept: Vec<u32> = repair.image.instances.keys().map(|id| id.0).collect();
    assert_eq!(kept, [1, 4]);
    assert_eq!(repair.older.instances, [InstanceId(1)]);
}

#[test]
fn a_journal_that_is_missing_or_another_is_named() {
    let good = || disk(&[put(1, 1)]);
    let (mut missing, generation) = good();
    missing.journals.remove(&generation);
    let lost = format!("journal {generation}: an unknown number of records; ");
    assert_eq!(given_up(&missing), [format!("{lost}there is no file")]);
    let (mut empty, _) = good();
    empty.journals.insert(generation, vec![]);
    let text = format!("{lost}no record can be read in the 0 bytes of the file");
    assert_eq!(given_up(&empty), [text]);
    let (mut other, _) = good();
    other.journals.insert(generation, journal_header(9, 0));
    assert_eq!(given_up(&other), [format!("{lost}the file is journal 9")]);
    assert!(partial(&other).image.instances.is_empty());

    let (mut disk, _) = history(&[vec![put(1, 1), put(2, 2)], vec![put(4, 4)]]);
    disk.snapshot = None;
    disk.journals.insert(2, b"another program".to_vec());
    let text = "journal 2: 2 records; no record can be read in the 15 bytes of the file";
    assert_eq!(given_up(&disk), [text]);
}

/// A journal far from the snapshot is of another state, and costs no time.
#[test]
fn a_journal_of_another_state_does_not_matter() {
    let (mut disk, generation) = disk(&[put(1, 1)]);
    disk.journals.insert(u64::MAX, journal_header(u64::MAX, 0));
    let repair = partial(&disk);
    assert_eq!((repair.image.instances.len(), repair.next_generation), (1, generation + 2));
    assert!(repair.given_up.is_empty());
}

#[test]
fn without_a_snapshot_nothing_is_repaired() {
    let (mut disk, _) = disk(&[put(1, 1)]);
    (disk.snapshot, disk.backup) = (Some(vec![1]), None);
    let error = disk.read(repair).expect_err("the key is lost").to_string();
    assert_eq!(
        error,
        "the snapshot cannot be read: it is not a state file of OpenCtrl; the backup is missing"
    );
}

#[test]
fn what_a_newer_program_wrote_is_refused_by_name() {
    let refused = |disk: &Disk| {
        let error = disk.read(repair).expect_err("a newer program wrote it");
        assert!(matches!(error, RepairError::Newer(_)), "{error:?}");
        error.to_string()
    };
    let (mut snapshot, generation) = disk(&[put(1, 1)]);
    snapshot.snapshot.as_mut().expect("it is there")[8] = 3;
    assert!(refused(&snapshot).contains("format version 3"));

    let newer = |version: u8| {
        let (mut disk, _) = disk(&[put(1, 1), put(2, 2)]);
        let journal = disk.journals.get_mut(&generation).expect("it is there");
        journal[8] = version;
        let checksum = crc32fast::hash(&journal[..26]).to_le_bytes();
        journal[26..30].copy_from_slice(&checksum);
        disk
    };
    assert!(refused(&newer(3)).contains("format version 3; this program knows up to 2"));

    // A whole record of a kind that is not known, after a damaged one.
    let (mut entry, _) = disk(&[put(1, 1)]);
    flip(&mut entry, generation, 40);
    let journal = entry.journals.get_mut(&generation).expect("it is there");
    let (start, body) = (journal.len(), [99, 2, 0]);
    journal.extend_from_slice(&3_u32.to_le_bytes());
    journal.extend_from_slice(&2_u64.to_le_bytes());
    journal.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    let checksum = crc32fast::hash(&journal[start..]).to_le_bytes();
    journal.extend_from_slice(&checksum);
    journal.extend_from_slice(&body);
    assert!(refused(&entry).contains("kind 99, version 2"));
}

/// What looks like a record in a damaged place, and has a number that none can have there, hides
/// none of those that follow.
#[test]
fn a_record_with_an_impossible_number_is_ignored() {
    let (mut disk, generation) = disk(&[put(1, 1)]);
    let journal = disk.journals.get_mut(&generation).expect("it is there");
    encode_entry(journal, u64::MAX, &remove(1));
    encode_entry(journal, 2, &put(2, 2));
    assert_eq!(partial(&disk).image.instances.len(), 2);
}

#[test]
fn a_token_that_was_written_after_the_damage_is_as_it_was() {
    let token = |name: &str| {
        let text = |last: &str| TokenName::parse(last).expect("a name");
        let digest = crate::access::TokenDigest([7; 32]);
        let role = crate::access::Role::Read;
        let created = crate::time::Wall::default();
        let (expires, last_used) = (None, None);
        let token =
            crate::access::Token { name: text(name), role, digest, created, expires, last_used };
        Entry::Tokens(Box::new(TokenChange::Put(token)))
    };
    let (mut disk, generation) = disk(&[token("old"), remove(7), token("new")]);
    let lost = ranges(&disk.journals[&generation])[1].clone();
    flip(&mut disk, generation, lost.start);
    let names: Vec<String> =
        partial(&disk).older.tokens.iter().map(|name| name.as_str().to_string()).collect();
    assert_eq!(names, ["old"]);
}

/// The steps of the driver: a new journal, a new snapshot over the old one, the old files removed.
/// After each, a master starts, or another repair has the same result.
fn check_steps(disk: &Disk, repair: &Repair) -> Result<(), TestCaseError> {
    let generation = repair.next_generation;
    let mut begun = disk.clone();
    begun.journals.insert(generation, journal_header(generation, 0));
    let again = partial(&begun);
    prop_assert_eq!(shown(&again.image), shown(&repair.image));
    // A missing journal counts once, however many follow it.
    prop_assert_eq!(again.given_up.len(), repair.given_up.len());
    begun.backup = begun.snapshot.replace(encode(&repair.image, generation));
    let recovered = begun.recover().expect("a master starts").expect("there is a state");
    prop_assert_eq!(shown(&recovered.image), shown(&repair.image));
    begun.journals.retain(|found, _| *found == generation);
    begun.backup = None;
    let recovered = begun.recover().expect("a master starts").expect("there is a state");
    prop_assert_eq!(shown(&recovered.image), shown(&repair.image));
    Ok(())
}

/// What must be kept: the entries of these journals outside of `lost`, on `base`.
fn kept(mut base: Image, journals: &[(&[Entry], &[u8])], lost: &[Range<usize>]) -> Image {
    for ((entries, bytes), lost) in journals.iter().zip(lost) {
        for (entry, range) in entries.iter().zip(ranges(bytes)) {
            if range.end <= lost.start || lost.end <= range.start {
                base.apply_entry(entry);
            }
        }
    }
    base
}

/// Checks a repair against what must be kept and the state that was there.
fn check(disk: &Disk, kept: &Image, whole: &Image) -> Result<(), TestCaseError> {
    let repair = match disk.read(repair).expect("a snapshot is there") {
        Verdict::Nothing => panic!("there is a state"),
        Verdict::Whole(recovered) => {
            prop_assert_eq!(shown(&recovered.image), shown(kept));
            return Ok(());
        }
        Verdict::Partial(repair) => repair,
    };
    let mut kept = kept.clone();
    if repair.given_up.iter().any(Loss::has_records) {
        leap(&mut kept, &repair.older);
    }
    prop_assert_eq!(shown(&repair.image), shown(&kept));
    for (id, stored) in &repair.image.instances {
        if !repair.older.instances.contains(id) {
            let was = whole.instances.get(id);
            prop_assert_eq!(was.map(|was| &was.definition), Some(&stored.definition));
            prop_assert_eq!(was.map(|was| &was.desired), Some(&stored.desired));
        }
    }
    for (name, token) in &repair.image.tokens {
        if !repair.older.tokens.contains(name) {
            prop_assert_eq!(whole.tokens.get(name), Some(token));
        }
    }
    if !repair.older.master {
        prop_assert_eq!(whole.master.key.reveal(), repair.image.master.key.reveal());
    }
    check_steps(disk, &repair)
}

/// A part of a file of this length.
fn part(length: usize, [one, other]: [Index; 2]) -> Range<usize> {
    let (one, other) = (one.index(length), other.index(length));
    one.min(other)..one.max(other) + 1
}

proptest! {
    /// Whatever is written over a part of the last journal costs the records there and no other.
    #[test]
    fn damage_of_a_journal_costs_what_it_hits(
        generations in generations(),
        place in any::<[Index; 2]>(),
        with in prop::collection::vec(1u8.., 1..64),
    ) {
        let (mut disk, whole) = history(&generations);
        let entries = generations.last().expect("there is one");
        let (base, _) = decode(disk.snapshot.as_deref().expect("it is there")).expect("it is good");
        let good = disk.journals[&disk.generation].clone();
        let lost = part(good.len(), place);
        let generation = disk.generation;
        let journal = disk.journals.get_mut(&generation).expect("it is there");
        for (at, mask) in lost.clone().zip(with.iter().cycle()) {
            journal[at] ^= mask;
        }
        let kept = kept(base, &[(&entries[..], &good)], &[lost]);
        check(&disk, &kept, &whole)?;
    }

    /// The same of the journals of the backup, where there is no snapshot.
    #[test]
    fn damage_of_the_journals_of_the_backup_costs_what_it_hits(
        mut generations in generations(),
        places in any::<[[Index; 2]; 2]>(),
        is_hit: [bool; 2],
        with in prop::collection::vec(1u8.., 1..64),
    ) {
        generations.push(vec![put(3, 3)]);
        let (mut disk, whole) = history(&generations);
        let (base, first) = decode(disk.backup.as_deref().expect("it is there")).expect("it is good");
        disk.snapshot = None;
        let good = disk.journals.clone();
        let [.., before, last] = &generations[..] else { panic!("there are two") };
        let journals = [(&before[..], &good[&first][..]), (&last[..], &good[&(first + 1)][..])];
        let mut lost = vec![0..0, 0..0];
        for index in 0..2 {
            let (place, length) = (places[index], journals[index].1.len());
            if is_hit[index] {
                lost[index] = part(length, place);
                let journal = disk.journals.get_mut(&(first + index as u64)).expect("it is there");
                for (at, mask) in lost[index].clone().zip(with.iter().cycle()) {
                    journal[at] ^= mask;
                }
            }
        }
        let kept = kept(base, &journals, &lost);
        check(&disk, &kept, &whole)?;
    }

    /// Every prefix of the last journal opens, with every whole record in it.
    #[test]
    fn a_prefix_of_a_journal_keeps_its_records(
        generations in generations(),
        length in any::<Index>(),
    ) {
        let (mut disk, _) = history(&generations);
        let entries = generations.last().expect("there is one");
        let (base, _) = decode(disk.snapshot.as_deref().expect("it is there")).expect("it is good");
        let generation = disk.generation;
        let good = disk.journals[&generation].clone();
        let length = length.index(good.len());
        disk.journals.get_mut(&generation).expect("it is there").truncate(length);
        let lost = length..good.len();
        let kept = kept(base, &[(&entries[..], &good)], &[lost]);
        let repaired = match disk.read(repair).expect("a snapshot is there") {
            Verdict::Nothing => panic!("there is a state"),
            Verdict::Whole(recovered) => recovered.image,
            Verdict::Partial(repair) => {
                check_steps(&disk, &repair)?;
                prop_assert!(length < JOURNAL_HEADER_BYTES, "all else is a torn end");
                let mut kept = kept.clone();
                leap(&mut kept, &repair.older);
                prop_assert_eq!(shown(&repair.image), shown(&kept));
                return Ok(());
            }
        };
        prop_assert_eq!(shown(&repaired), shown(&kept));
    }

    /// Any bytes in the place of any files: an answer, and a state that opens if one is kept.
    #[test]
    fn any_files_have_an_answer(
        snapshot in prop::option::of(any::<Vec<u8>>()),
        journals in prop::collection::btree_map(0u64..5, any::<Vec<u8>>(), 0..4),
        has_backup: bool,
    ) {
        let backup = has_backup.then(|| encode(&first_image(), 2));
        let disk = Disk { snapshot, backup, journals, ..Disk::default() };
        if let Ok(Verdict::Partial(repair)) = disk.read(repair) {
            check_steps(&disk, &repair)?;
        }
    }
}
