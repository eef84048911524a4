//! Recovery from a disk that the driver's steps leave behind, whole and damaged.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::counters::{SavedTotals, Totals};
use crate::ids::InstanceId;
use crate::instance::Definition;
use crate::master::MasterIdentity;
use crate::store::{Entry, Record, arbitrary, encode, encode_entry, encode_write, journal_header};
use crate::url::InstanceUrl;

/// The files as the driver leaves them, step by step.
#[derive(Clone, Default)]
pub(in crate::store) struct Disk {
    pub(in crate::store) snapshot: Option<Vec<u8>>,
    pub(in crate::store) backup: Option<Vec<u8>>,
    pub(in crate::store) journals: BTreeMap<u64, Vec<u8>>,
    pub(in crate::store) generation: u64,
    pub(in crate::store) backup_generation: u64,
    pub(in crate::store) records: u64,
}

impl Disk {
    fn new(image: &Image) -> Self {
        // Twice, as the driver does: before anybody hears of the key there is a backup of it.
        let mut disk = Self::default();
        for _ in 0..2 {
            disk.begin_journal();
            disk.replace_snapshot(image);
        }
        disk
    }

    fn begin_journal(&mut self) {
        let header = journal_header(self.generation + 1, self.records);
        self.journals.insert(self.generation + 1, header);
    }

    fn replace_snapshot(&mut self, image: &Image) {
        self.backup = self.snapshot.replace(encode(image, self.generation + 1));
        self.journals.retain(|generation, _| *generation >= self.generation);
        self.backup_generation = self.generation;
        self.generation += 1;
        self.records = 0;
    }

    pub(in crate::store) fn append(&mut self, entry: &Entry) {
        self.write(core::slice::from_ref(entry));
    }

    /// Appends entries in one write.
    fn write(&mut self, entries: &[Entry]) {
        let journal = self.journals.get_mut(&self.generation).expect("it was begun");
        encode_write(journal, self.records + 1, entries);
        self.records += entries.len() as u64;
    }

    pub(in crate::store) fn recover(&self) -> Result<Option<Recovered>, RecoveryError> {
        self.read(recover)
    }

    /// Passes the files to a function that reads them.
    pub(in crate::store) fn read<T>(&self, reader: impl FnOnce(Files<'_>) -> T) -> T {
        let journals: Vec<(u64, &[u8])> =
            self.journals.iter().map(|(generation, bytes)| (*generation, &bytes[..])).collect();
        let (snapshot, backup) = (self.snapshot.as_deref(), self.backup.as_deref());
        reader(Files { snapshot, backup, journals: &journals })
    }

    /// Every file that a recovery reads.
    fn files(&mut self) -> Vec<&mut Vec<u8>> {
        let snapshots = [&mut self.snapshot, &mut self.backup].into_iter().flatten();
        snapshots.chain(self.journals.values_mut()).collect()
    }
}

pub(in crate::store) fn first_image() -> Image {
    Image::new(MasterIdentity::from_random([1; 8], [2; 16]))
}

pub(in crate::store) fn shown(image: &Image) -> Vec<u8> {
    encode(image, 0)
}

pub(in crate::store) fn put(id: u32, alias: u32) -> Entry {
    let url = InstanceUrl::parse("a://b").expect("a good URL");
    let definition = Arc::new(Definition::new(InstanceId(id), url, alias.to_string()));
    let (desired, totals) = (Arc::default(), SavedTotals::default());
    Entry::Change(Record::PutInstance { definition, desired, totals })
}

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        (0u32..6, any::<u32>()).prop_map(|(id, alias)| put(id, alias)),
        (0u32..6).prop_map(|id| Entry::Change(Record::RemoveInstance(InstanceId(id)))),
        any::<[u8; 16]>().prop_map(|key| {
            Entry::Change(Record::PutMaster(MasterIdentity::from_random([1; 8], key)))
        }),
        (0u32..6, any::<u64>()).prop_map(|(id, tcprx)| {
            let totals = Totals { tcprx, ..Totals::default() };
            Entry::Totals(alloc::vec![(InstanceId(id), SavedTotals::from_totals(0, totals))])
        }),
        arbitrary::entry(),
    ]
}

/// A disk after some generations of changes, the image on it, and the image of its last change
/// but one with the length that the journal had then.
pub(in crate::store) fn history(generations: &[Vec<Entry>]) -> (Disk, Image) {
    let mut image = first_image();
    let mut disk = Disk::new(&image);
    for (index, entries) in generations.iter().enumerate() {
        if index > 0 {
            disk.begin_journal();
            disk.replace_snapshot(&image);
        }
        for entry in entries {
            image.apply_entry(entry);
            disk.append(entry);
        }
    }
    (disk, image)
}

pub(in crate::store) fn generations() -> impl Strategy<Value = Vec<Vec<Entry>>> {
    prop::collection::vec(prop::collection::vec(entry(), 0..5), 1..4)
}

/// A snapshot whose checksum is right and that has an unknown entry is of a newer program: the
/// backup, which could be read, is an older state.
#[test]
fn a_backup_does_not_replace_a_snapshot_of_a_newer_program() {
    let mut disk = Disk::new(&first_image());
    let snapshot = disk.snapshot.as_mut().expect("it was written");
    snapshot.extend_from_slice(&[3, 0, 0, 0, 99, 2, 0]);
    let length = (snapshot.len() - 30) as u64;
    snapshot[18..26].copy_from_slice(&length.to_le_bytes());
    let checked = [&snapshot[10..18], &snapshot[30..]].concat();
    snapshot[26..30].copy_from_slice(&crc32fast::hash(&checked).to_le_bytes());
    let error = disk.recover().expect_err("the snapshot is of a newer program").to_string();
    assert!(
        error.starts_with("the snapshot cannot be read: it has an entry of kind 99"),
        "{error}"
    );
    assert!(!error.contains("backup"), "{error}");
}

#[test]
fn a_directory_that_never_had_a_state_is_new() {
    assert!(Disk::default().recover().expect("nothing is wrong").is_none());
    let mut begun = Disk::default();
    begun.begin_journal();
    assert!(begun.recover().expect("nothing is wrong").is_none());
    for file in [alloc::vec![b'O'], alloc::vec![0; 512]] {
        begun.journals.insert(1, file);
        assert!(begun.recover().expect("nothing is wrong").is_none());
    }
}

#[test]
fn journals_without_a_snapshot_are_no_new_master() {
    let (mut disk, _) = history(&[alloc::vec![put(1, 1)], alloc::vec![]]);
    (disk.snapshot, disk.backup) = (None, None);
    let error = disk.recover().expect_err("the key is lost").to_string();
    assert_eq!(error, "the snapshot is missing; the backup is missing");
}

#[test]
fn a_snapshot_of_a_newer_program_is_refused() {
    let (mut disk, _) = history(&[alloc::vec![put(1, 1)]]);
    disk.snapshot.as_mut().expect("it is there")[8] = 99;
    let error = disk.recover().expect_err("it cannot be understood").to_string();
    assert!(error.contains("format version 99") && error.contains("newer"), "{error}");
}

#[test]
fn a_lost_end_of_an_older_journal_is_noticed() {
    let (mut disk, _) = history(&[alloc::vec![put(1, 1), put(2, 2)], alloc::vec![put(3, 3)]]);
    disk.snapshot = None;
    assert!(disk.recover().is_ok());
    let mut shorter = journal_header(2, 0);
    encode_entry(&mut shorter, 1, &put(1, 1));
    disk.journals.insert(2, shorter);
    assert!(matches!(disk.recover(), Err(RecoveryError::Incomplete(2))));
}

#[test]
fn what_was_refused_and_could_not_be_cut_off_is_passed_over() {
    let (mut disk, image) = history(&[alloc::vec![put(1, 1)]]);
    let acknowledged = disk.records;
    disk.append(&put(1, 2));
    disk.append(&put(2, 2));
    disk.records = acknowledged;
    disk.begin_journal();
    let recovered = disk.recover().expect("nothing is missing").expect("a state");
    assert_eq!(shown(&recovered.image), shown(&image));
    assert_eq!((recovered.generation, recovered.records), (disk.generation + 1, 0));
}

proptest! {
    #[test]
    fn a_whole_disk_gives_the_whole_state(generations in generations()) {
        let (disk, image) = history(&generations);
        let recovered = disk.recover().expect("whole").expect("a state");
        prop_assert_eq!(shown(&recovered.image), shown(&image));
        prop_assert_eq!(recovered.generation, disk.generation);
        prop_assert_eq!(recovered.records, disk.records);
        prop_assert!(recovered.findings.is_empty());
    }

    #[test]
    fn a_crash_at_any_step_of_a_new_generation_costs_nothing(
        generations in generations(),
        begun in 0usize..40,
    ) {
        let (mut disk, image) = history(&generations);
        disk.begin_journal();
        let journal = disk.journals.get_mut(&(disk.generation + 1)).expect("it was begun");
        if begun == 0 {
            *journal = alloc::vec![0; 512];
        } else {
            journal.truncate(begun - 1);
        }
        let recovered = disk.recover().expect("whole").expect("a state");
        prop_assert_eq!(shown(&recovered.image), shown(&image));
    }

    #[test]
    fn an_unsynced_end_gives_what_was_synced_or_more(
        generations in generations(),
        last in prop::collection::vec(entry(), 1..4),
        cut in any::<prop::sample::Index>(),
        unwritten in prop::option::of(any::<u64>()),
        room in 0usize..2000,
    ) {
        let (mut disk, mut image) = history(&generations);
        let mut states = alloc::vec![shown(&image)];
        let synced = disk.journals[&disk.generation].len();
        disk.write(&last);
        for entry in &last {
            image.apply_entry(entry);
            states.push(shown(&image));
        }
        let generation = disk.generation;
        let journal = disk.journals.get_mut(&generation).expect("it was begun");
        match unwritten {
            None => journal.truncate(synced + cut.index(journal.len() - synced)),
            // There was room for it, and any of its sectors may be missing.
            Some(unwritten) => {
                journal.resize((journal.len() + room).next_multiple_of(512), 0);
                for sector in synced / 512..journal.len() / 512 {
                    if unwritten & 1 << (sector % 64) != 0 {
                        journal[synced.max(sector * 512)..(sector + 1) * 512].fill(0);
                    }
                }
            }
        }
        let recovered = disk.recover().expect("a torn end is normal").expect("a state");
        prop_assert!(states.contains(&shown(&recovered.image)));
    }

    #[test]
    fn damage_is_refused_or_costs_nothing(
        generations in generations(),
        file in any::<prop::sample::Index>(),
        bit in any::<prop::sample::Index>(),
    ) {
        let (mut disk, image) = history(&generations);
        let mut files = disk.files();
        let count = files.len();
        let bytes = &mut files[file.index(count)];
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(recovered) = disk.recover() {
            let recovered = recovered.expect("never a new master over a damaged state");
            prop_assert_eq!(shown(&recovered.image), shown(&image));
        }
    }

    #[test]
    fn a_missing_file_is_refused_or_costs_nothing(
        generations in generations(),
        missing in any::<prop::sample::Index>(),
    ) {
        let (mut disk, image) = history(&generations);
        let count = 2 + disk.journals.len();
        match missing.index(count) {
            0 => disk.snapshot = None,
            1 => disk.backup = None,
            index => {
                let generation = disk.journals.keys().copied().nth(index - 2).expect("it exists");
                disk.journals.remove(&generation);
            }
        }
        let result = disk.recover();
        let described = format!("{result:?}");
        if let Ok(recovered) = result {
            let recovered = recovered.expect("never a new master where a file is missing");
            prop_assert_eq!(shown(&recovered.image), shown(&image), "{}", described);
        }
    }
}
