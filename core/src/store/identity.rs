//! Finds the master in a state without taking the rest of it apart, for programs that only need its
//! key.
//!
//! Reads only states that nothing is wrong with, as a running master leaves them. Of all others
//! `recover` decides what they mean.

use super::dto::decode_entry;
use super::journal::{Head, JOURNAL_HEADER_BYTES, RECORD_HEADER_BYTES, is_unwritten, read_header};
use super::record::{Entry, Record};
use super::recover::Files;
use super::snapshot::{Opened, open};
use crate::formats::Version;
use crate::formats::v2::stored::{may_have_master, split_entry};
use crate::master::MasterIdentity;

/// The master of a state; `None` where only [`super::recover()`] can tell.
pub fn identity(files: Files<'_>) -> Option<MasterIdentity> {
    let Opened { version, generation, body } = open(files.snapshot?).ok()?;
    if version != Version::V2 || files.journals.iter().any(|(other, _)| *other > generation) {
        return None;
    }
    let mut master = None;
    let mut rest = body;
    while !rest.is_empty() {
        let (entry, after) = split_entry(rest)?;
        take(&mut master, entry)?;
        rest = after;
    }
    let (_, journal) = files.journals.iter().find(|(other, _)| *other == generation)?;
    follow(&mut master, journal, generation)?;
    master
}

/// Applies the records of a journal that is whole.
fn follow(master: &mut Option<MasterIdentity>, file: &[u8], generation: u64) -> Option<()> {
    let (version, own, _) = read_header(file).ok()?;
    if version != Version::V2 || own != generation {
        return None;
    }
    let (mut at, mut number) = (JOURNAL_HEADER_BYTES, 1);
    while !is_unwritten(&file[at..]) {
        let bytes = &file[at..];
        let head = bytes.first_chunk::<RECORD_HEADER_BYTES>().and_then(Head::read)?;
        let body = head.body(bytes)?;
        if head.number != number || !head.is_of(body) {
            return None;
        }
        take(master, body)?;
        (at, number) = (at + head.record_bytes(), number + 1);
    }
    Some(())
}

fn take(master: &mut Option<MasterIdentity>, entry: &[u8]) -> Option<()> {
    if !may_have_master(entry) {
        return Some(());
    }
    let entry = decode_entry(Version::V2, entry).ok()?;
    if let Entry::Change(Record::PutMaster(new)) | Entry::Caused(Record::PutMaster(new), _) = entry
    {
        *master = Some(new);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Image, arbitrary, encode, encode_entry, journal_header, recover};
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn key(master: &MasterIdentity) -> &str {
        master.key.reveal()
    }

    proptest! {
        #[test]
        fn it_is_the_master_that_is_recovered(
            snapshot in prop::collection::vec(arbitrary::entry(), 0..6),
            changes in prop::collection::vec(arbitrary::entry(), 0..6),
            cut in prop::option::of(any::<prop::sample::Index>()),
            flip in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let mut image = Image::new(MasterIdentity::from_random([1; 8], [2; 16]));
            snapshot.iter().for_each(|entry| image.apply_entry(entry));
            let snapshot = encode(&image, 3);
            let mut journal = journal_header(3, 0);
            for (number, entry) in (1..).zip(&changes) {
                encode_entry(&mut journal, number, entry);
            }
            let is_whole = cut.is_none() && flip.is_none();
            if let Some(cut) = cut {
                journal.truncate(cut.index(journal.len()));
            }
            if let Some(flip) = flip.filter(|_| !journal.is_empty()) {
                let bit = flip.index(8 * journal.len());
                journal[bit / 8] ^= 1 << (bit % 8);
            }
            let journals: Vec<(u64, &[u8])> = [(3, &journal[..])].into();
            let files = Files { snapshot: Some(&snapshot), backup: None, journals: &journals };
            let found = identity(files);
            let recovered = recover(files);
            if let Some(found) = &found {
                let recovered = recovered.expect("it is whole").expect("there is a state");
                prop_assert_eq!(key(found), key(&recovered.image.master));
                prop_assert_eq!(&found.alias, &recovered.image.master.alias);
            }
            prop_assert!(found.is_some() || !is_whole);
        }
    }

    #[test]
    fn a_later_journal_is_not_passed_over() {
        let image = Image::new(MasterIdentity::from_random([1; 8], [2; 16]));
        let (snapshot, journal) = (encode(&image, 3), journal_header(3, 0));
        let next = journal_header(4, 0);
        let older = journal_header(2, 0);
        let found = |journals: &[(u64, &[u8])]| {
            identity(Files { snapshot: Some(&snapshot), backup: None, journals }).is_some()
        };
        assert!(found(&[(3, &journal)]) && found(&[(2, &older), (3, &journal)]));
        assert!(!found(&[(3, &journal), (4, &next)]) && !found(&[(2, &older)]));
    }
}
