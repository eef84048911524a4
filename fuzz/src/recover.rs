//! State directories that something happened to.

use std::sync::Arc;

use openctrl_core::counters::{SavedTotals, Totals};
use openctrl_core::engine::Input;
use openctrl_core::ids::{EventId, InstanceId, RecordSeq, StoreEpoch};
use openctrl_core::instance::{Cas, Definition, Desired, Goal};
use openctrl_core::master::MasterIdentity;
use openctrl_core::store::{
    Entry, Files, Image, Record, Verdict, encode, journal_header, recover as recovered, repair,
};
use openctrl_core::url::InstanceUrl;
use openctrl_sim::world::{Disk, Name};

use crate::choices::Choices;

/// The bytes are choices: a history of changes that is written to a disk, which refuses some of
/// them, then edits of its files. What is recovered is a state that the master was in, and after
/// one flipped bit its last one; or nothing is, and it is said why. What a repair then keeps opens.
pub fn recover(data: &[u8]) {
    let choices = &mut Choices::new(data);
    let History { disk, states, was_refused } = history(choices);
    let compared = |image: &Image| compared(image, was_refused);
    let mut files = Copies::of(&disk);
    let is_flipped = choices.one_in(4);
    if is_flipped {
        files.flip(choices);
    } else {
        (0..choices.below(5)).for_each(|_| files.edit(choices));
    }
    match files.recover() {
        Ok(Some(state)) => {
            let legal = if is_flipped { &states[states.len() - 1..] } else { &states[..] };
            let is_legal = legal.iter().any(|legal| compared(legal) == compared(&state));
            assert!(is_legal, "the master was never in this state: {state:?}");
        }
        // Without its files it is a new master: the edits may take all of them away.
        Ok(None) => assert!(files.snapshot.is_none() && files.backup.is_none()),
        Err(error) => {
            assert!(!error.is_empty());
            files.repair();
        }
    }
}

/// A change, or totals.
pub(crate) fn entry(choices: &mut Choices<'_>) -> Entry {
    let id = InstanceId(choices.below(6) as u32);
    let totals = Totals { tcprx: choices.byte().into(), ..Totals::default() };
    let totals = SavedTotals::from_totals(i32::from(choices.byte()), totals);
    // Kinds that came later are at the end: inputs that were found keep their meaning.
    match choices.below(8) {
        0 => Entry::Change(Record::RemoveInstance(id)),
        1 => {
            let mut identity = MasterIdentity::from_random([1; 8], [choices.byte(); 16]);
            identity.alias = "a".repeat(choices.below(40));
            Entry::Change(Record::PutMaster(identity))
        }
        2 | 3 => Entry::Totals(vec![(id, totals)]),
        6 => {
            let goal = if choices.one_in(2) { Goal::Down } else { Goal::Up };
            let cas = Cas(choices.byte().into());
            let desired = Desired { goal, cas, ..Desired::default() };
            Entry::Change(Record::SetDesired { id, desired: Arc::new(desired) })
        }
        7 => Entry::Change(Record::ReserveEvents(EventId(choices.byte().into()))),
        _ => {
            let url = InstanceUrl::parse("demo:a").expect("a good URL");
            let mut definition = Definition::new(id, url, "b".repeat(choices.below(200)));
            definition.set_restarts(choices.one_in(2));
            let (definition, desired) = (definition.into(), Arc::default());
            Entry::Change(Record::PutInstance { definition, desired, totals })
        }
    }
}

/// What was done to a disk.
struct History {
    disk: Disk,
    /// Every state that was on it, or on its way there, oldest first.
    states: Vec<Image>,
    was_refused: bool,
}

/// What is compared of a state. Totals that were refused with a change are in the next snapshot
/// and in no journal, so that the backup has older ones; no client has seen them.
fn compared(image: &Image, was_refused: bool) -> Vec<u8> {
    let mut image = image.clone();
    if was_refused {
        image.instances.values_mut().for_each(|stored| stored.totals = SavedTotals::default());
    }
    encode(&image, 0)
}

fn history(choices: &mut Choices<'_>) -> History {
    let mut image = Image::new(MasterIdentity::from_random([1; 8], [2; 16]));
    let mut disk = Disk::new(image.clone());
    let mut states = vec![image.clone()];
    let (mut epoch, mut was_refused) = (StoreEpoch::default(), false);
    for seq in 0..choices.below(24) as u64 {
        match entry(choices) {
            Entry::Change(record) => {
                image.apply(&record);
                disk.accept(epoch, RecordSeq(seq), &record);
            }
            Entry::Caused(..) | Entry::Kept(_) | Entry::Tokens(_) => {}
            Entry::Totals(totals) => {
                totals.iter().for_each(|(id, totals)| image.set_totals(*id, *totals));
                disk.save_totals(&totals);
            }
        }
        states.push(image.clone());
        if choices.one_in(2) {
            disk.write(usize::MAX).expect("nobody dies");
        } else if choices.one_in(8) {
            let (after, count) = (choices.below(8), 1 + choices.below(4));
            let told = disk.write_refused(usize::MAX, after, count).expect("nobody dies");
            was_refused = true;
            if let Some(Input::PersistFailed { epoch: failed, .. }) = told {
                // What was refused may still be on the disk; the master continues without it.
                epoch = StoreEpoch(failed.0 + 1);
                image = disk.image().clone();
                states.push(image.clone());
            }
        }
    }
    disk.write(usize::MAX).expect("nobody dies");
    History { disk, states, was_refused }
}

/// The files, to be edited.
struct Copies {
    snapshot: Option<Vec<u8>>,
    backup: Option<Vec<u8>>,
    journals: Vec<(u64, Vec<u8>)>,
}

impl Copies {
    fn of(disk: &Disk) -> Self {
        let journals = disk.files.journals().into_iter();
        Self {
            snapshot: disk.files.read(Name::Snapshot).map(<[u8]>::to_vec),
            backup: disk.files.read(Name::Backup).map(<[u8]>::to_vec),
            journals: journals.map(|(generation, bytes)| (generation, bytes.to_vec())).collect(),
        }
    }

    fn recover(&self) -> Result<Option<Image>, String> {
        let journals: Vec<(u64, &[u8])> =
            self.journals.iter().map(|(generation, bytes)| (*generation, &bytes[..])).collect();
        let (snapshot, backup) = (self.snapshot.as_deref(), self.backup.as_deref());
        recovered(Files { snapshot, backup, journals: &journals })
            .map(|found| found.map(|found| found.image))
            .map_err(|error| error.to_string())
    }

    /// Repairs a state that is refused: in the place of the snapshot, what is kept opens.
    fn repair(mut self) {
        let journals: Vec<(u64, &[u8])> =
            self.journals.iter().map(|(generation, bytes)| (*generation, &bytes[..])).collect();
        let (snapshot, backup) = (self.snapshot.as_deref(), self.backup.as_deref());
        let kept = match repair(Files { snapshot, backup, journals: &journals }) {
            Ok(Verdict::Partial(kept)) => kept,
            Ok(Verdict::Nothing | Verdict::Whole(_)) => panic!("a master refuses it"),
            Err(error) => return assert!(!error.to_string().is_empty()),
        };
        let generation = kept.next_generation;
        self.journals.push((generation, journal_header(generation, 0)));
        self.snapshot = Some(encode(&kept.image, generation));
        let opened = self.recover().expect("a repaired state opens").expect("there is a state");
        assert_eq!(encode(&opened, 0), encode(&kept.image, 0), "it is what was kept");
    }

    fn edit(&mut self, choices: &mut Choices<'_>) {
        match choices.below(6) {
            0 => {
                let file = self.file(choices);
                let length = choices.below(file.len() + 1);
                file.truncate(length);
            }
            1 => self.flip(choices),
            2 => {
                let file = self.file(choices);
                file.resize(file.len() + 512, 0);
            }
            3 => self.snapshot = None,
            4 => self.backup = None,
            _ if self.journals.is_empty() => {}
            _ => {
                let index = choices.below(self.journals.len());
                self.journals.remove(index);
            }
        }
    }

    fn flip(&mut self, choices: &mut Choices<'_>) {
        let file = self.file(choices);
        let at = choices.below(file.len().max(1));
        if let Some(byte) = file.get_mut(at) {
            *byte ^= 1 << choices.below(8);
        }
    }

    /// One of the files; there is always one to be edited.
    fn file(&mut self, choices: &mut Choices<'_>) -> &mut Vec<u8> {
        let index = choices.below(2 + self.journals.len());
        match (index, self.journals.is_empty()) {
            (0, _) => self.snapshot.get_or_insert_default(),
            (1, _) | (_, true) => self.backup.get_or_insert_default(),
            (_, false) => &mut self.journals[index - 2].1,
        }
    }
}
