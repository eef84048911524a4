//! A state directory after a crash. Written and synced data are separate, for the bytes of a file
//! and for the names in the directory.
//!
//! Names change in order: a crash keeps a prefix of the unsynced changes, as journaling file
//! systems do.

use std::collections::BTreeMap;

/// The files of a state directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// The snapshot.
    Snapshot,
    /// The snapshot before it.
    Backup,
    /// A snapshot that is being written.
    Temporary,
    /// A second name of the snapshot, about to become the backup.
    Link,
    /// The journal of a generation.
    Journal(u64),
}

/// Why a step was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The disk refused it.
    Refused,
    /// The master has crashed.
    Died,
}

/// The effect of a crash on unsynced data.
#[derive(Clone, Copy, Debug)]
pub struct Crash {
    /// Whether the machine lost its power; else the master alone was killed.
    pub power_loss: bool,
    /// The retained bytes.
    pub tail: Tail,
    /// How many changes of names are kept at a loss of power.
    pub names: usize,
}

/// The retained part of the unsynced bytes at the end of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// None.
    Nothing,
    /// So many 256ths.
    Part(u8),
    /// All.
    All,
    /// All but some sectors, which are zeros: of eight in a row those whose bit is set. The file
    /// was made longer already, by whole sectors.
    Unwritten(u8),
}

#[derive(Clone, Debug, Default)]
struct File {
    bytes: Vec<u8>,
    /// How many of them are sure to survive.
    synced: usize,
    /// Truncated bytes after them, which can come back.
    cut: Vec<u8>,
}

/// A change of names that happens as one.
type Rename = Vec<(Name, Option<usize>)>;

/// The directory.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// The files that have a name, or can get it back.
    contents: BTreeMap<usize, File>,
    /// How many files there were.
    created: usize,
    names: BTreeMap<Name, usize>,
    synced_names: BTreeMap<Name, usize>,
    renames: Vec<Rename>,
    /// Steps done so far.
    steps: usize,
    /// Number of steps until the master crashes, if it will.
    dies_in: Option<usize>,
    /// Which steps from now on are refused.
    refused: std::ops::Range<usize>,
    /// Whether there is no room for more bytes.
    full: bool,
}

const SECTOR_BYTES: usize = 512;

impl Files {
    /// Lets the master crash after this many more steps.
    pub fn die_in(&mut self, steps: usize) {
        self.dies_in = Some(steps);
    }

    /// Lets the disk refuse `count` steps, after this many successful ones.
    pub fn refuse(&mut self, after: usize, count: usize) {
        self.refused = after..after + count;
    }

    /// Lets the disk be full, or have room again.
    pub fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// How many steps were done.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Makes an empty file.
    pub(super) fn create(&mut self, name: Name) -> Result<(), Stop> {
        self.step()?;
        let index = self.created;
        self.created += 1;
        self.contents.insert(index, File::default());
        self.rename(vec![(name, Some(index))]);
        Ok(())
    }

    /// Appends bytes; a part of refused bytes is written.
    pub(super) fn append(&mut self, name: Name, bytes: &[u8]) -> Result<(), Stop> {
        let done = self.step();
        let done = if self.full { done.and(Err(Stop::Refused)) } else { done };
        let file = self.file(name);
        let written = match done {
            Ok(()) => bytes,
            Err(Stop::Refused) => &bytes[..whole_sectors(file.bytes.len(), bytes.len() / 2)],
            Err(Stop::Died) => &[],
        };
        file.bytes.extend_from_slice(written);
        done
    }

    /// Syncs the bytes of a file. After a refusal it is unknown how many of them are durable.
    pub(super) fn sync(&mut self, name: Name) -> Result<(), Stop> {
        self.step()?;
        let file = self.file(name);
        file.synced = file.bytes.len();
        file.cut.clear();
        Ok(())
    }

    /// Truncates a file after its durable part.
    pub(super) fn cut(&mut self, name: Name, length: usize) -> Result<(), Stop> {
        self.step()?;
        let file = self.file(name);
        assert!(length >= file.synced, "what is durable is never cut off");
        let cut = file.bytes.split_off(length);
        if file.cut.len() < cut.len() {
            file.cut = cut;
        }
        Ok(())
    }

    /// Gives a file a second name.
    pub(super) fn link(&mut self, name: Name, second: Name) -> Result<(), Stop> {
        self.step()?;
        let index = self.names[&name];
        self.rename(vec![(second, Some(index))]);
        Ok(())
    }

    /// Gives a file another name.
    pub(super) fn move_to(&mut self, name: Name, other: Name) -> Result<(), Stop> {
        self.step()?;
        let index = self.names[&name];
        self.rename(vec![(name, None), (other, Some(index))]);
        Ok(())
    }

    /// Takes a name away, if it is there.
    pub(super) fn remove(&mut self, name: Name) -> Result<(), Stop> {
        if !self.names.contains_key(&name) {
            return Ok(());
        }
        self.step()?;
        self.rename(vec![(name, None)]);
        Ok(())
    }

    /// Makes the names durable.
    pub(super) fn sync_names(&mut self) -> Result<(), Stop> {
        self.step()?;
        self.synced_names = self.names.clone();
        self.renames.clear();
        let named = &self.names;
        self.contents.retain(|index, _| named.values().any(|name| name == index));
        Ok(())
    }

    /// The bytes of a file, if it exists.
    pub fn read(&self, name: Name) -> Option<&[u8]> {
        self.names.get(&name).map(|index| &self.contents[index].bytes[..])
    }

    /// Every journal.
    pub fn journals(&self) -> Vec<(u64, &[u8])> {
        let journal = |(name, index): (&Name, &usize)| match name {
            Name::Journal(generation) => Some((*generation, &self.contents[index].bytes[..])),
            Name::Snapshot | Name::Backup | Name::Temporary | Name::Link => None,
        };
        self.names.iter().filter_map(journal).collect()
    }

    /// Whether a file has bytes that are not synced.
    pub fn has_unsynced_bytes(&self) -> bool {
        let mut named = self.names.values().map(|index| &self.contents[index]);
        named.any(|file| file.bytes.len() > file.synced)
    }

    /// How many changes of names are not synced.
    pub fn unsynced_names(&self) -> usize {
        self.renames.len()
    }

    /// Applies a crash to the files; planned faults are canceled.
    pub fn crash(&mut self, crash: Crash) {
        (self.dies_in, self.refused, self.full) = (None, 0..0, false);
        for file in self.contents.values_mut() {
            file.crash(crash);
        }
        if crash.power_loss {
            self.names = std::mem::take(&mut self.synced_names);
            for (name, index) in self.renames.drain(..).take(crash.names).flatten() {
                set(&mut self.names, name, index);
            }
            self.synced_names = self.names.clone();
        }
    }

    /// Ends the trouble that was to come.
    pub(super) fn calm(&mut self) {
        (self.dies_in, self.refused, self.full) = (None, 0..0, false);
    }

    fn step(&mut self) -> Result<(), Stop> {
        if let Some(left) = &mut self.dies_in {
            *left = left.checked_sub(1).ok_or(Stop::Died)?;
        }
        let is_refused = self.refused.contains(&0);
        self.refused = self.refused.start.saturating_sub(1)..self.refused.end.saturating_sub(1);
        self.steps += 1;
        if is_refused { Err(Stop::Refused) } else { Ok(()) }
    }

    fn rename(&mut self, rename: Rename) {
        for (name, index) in &rename {
            set(&mut self.names, *name, *index);
        }
        self.renames.push(rename);
    }

    fn file(&mut self, name: Name) -> &mut File {
        let file = self.contents.get_mut(&self.names[&name]);
        file.expect("a file with a name is there")
    }
}

impl File {
    fn crash(&mut self, Crash { power_loss, tail, .. }: Crash) {
        // Truncated bytes come back only if the system that truncated them crashes.
        let mut unsynced = self.bytes.split_off(self.synced);
        if power_loss && unsynced.len() < self.cut.len() {
            unsynced = std::mem::take(&mut self.cut);
        }
        match tail {
            Tail::Nothing => unsynced.clear(),
            Tail::Part(part) => unsynced.truncate(unsynced.len() * usize::from(part) / 256),
            Tail::All => {}
            Tail::Unwritten(_) if unsynced.is_empty() || !power_loss => unsynced.clear(),
            Tail::Unwritten(missing) => leave_unwritten(&mut unsynced, self.synced, missing),
        }
        self.bytes.append(&mut unsynced);
        if power_loss {
            self.synced = self.bytes.len();
            self.cut.clear();
        }
    }
}

/// How many of `count` bytes from `from` on a refused write stores: a system writes whole pages, and
/// so whole sectors.
const fn whole_sectors(from: usize, count: usize) -> usize {
    ((from + count) / SECTOR_BYTES * SECTOR_BYTES).saturating_sub(from)
}

/// `bytes` begin at `from` in their file.
fn leave_unwritten(bytes: &mut Vec<u8>, from: usize, missing: u8) {
    let end = (from + bytes.len()).next_multiple_of(SECTOR_BYTES);
    bytes.resize(end - from, 0);
    let sectors = from / SECTOR_BYTES..end / SECTOR_BYTES;
    for sector in sectors.filter(|sector| missing >> (sector % 8) & 1 == 1) {
        let begins = (sector * SECTOR_BYTES).saturating_sub(from);
        bytes[begins..(sector + 1) * SECTOR_BYTES - from].fill(0);
    }
}

fn set(names: &mut BTreeMap<Name, usize>, name: Name, index: Option<usize>) {
    match index {
        Some(index) => names.insert(name, index),
        None => names.remove(&name),
    };
}

/// Unchecked: it may fail, but nothing happens after the end.
pub(super) fn unless_died(done: Result<(), Stop>) -> Result<(), Stop> {
    if done == Err(Stop::Refused) { Ok(()) } else { done }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOURNAL: Name = Name::Journal(1);

    fn crash(power_loss: bool, tail: Tail, names: usize) -> Crash {
        Crash { power_loss, tail, names }
    }

    fn files() -> Result<Files, Stop> {
        let mut files = Files::default();
        files.create(JOURNAL)?;
        files.append(JOURNAL, b"abcd")?;
        files.sync(JOURNAL)?;
        files.sync_names()?;
        files.append(JOURNAL, b"efgh")?;
        files.link(JOURNAL, Name::Link)?;
        files.move_to(JOURNAL, Name::Snapshot)?;
        Ok(files)
    }

    #[test]
    fn what_was_not_synced_is_lost_in_part() {
        let after = |how| {
            let mut files = files().expect("no trouble");
            files.crash(how);
            files
        };
        let lost = after(crash(true, Tail::Nothing, 0));
        assert_eq!(lost.read(JOURNAL), Some(&b"abcd"[..]));
        assert_eq!(lost.read(Name::Link), None);
        let half = after(crash(true, Tail::Part(128), 1));
        assert_eq!(half.read(Name::Link), Some(&b"abcdef"[..]));
        assert_eq!(half.read(Name::Snapshot), None);
        let zeros = after(crash(true, Tail::Unwritten(1), 2));
        let expected = [&b"abcd"[..], &[0; 508]].concat();
        assert_eq!(zeros.read(Name::Snapshot), Some(&expected[..]));
        let killed = after(crash(false, Tail::All, 0));
        assert_eq!(killed.read(Name::Snapshot), Some(&b"abcdefgh"[..]));
        assert_eq!(killed.read(JOURNAL), None);
    }

    #[test]
    fn what_was_cut_off_may_come_back() {
        let mut files = files().expect("no trouble");
        files.cut(Name::Snapshot, 4).expect("no trouble");
        assert_eq!(files.read(Name::Snapshot), Some(&b"abcd"[..]));
        files.crash(crash(true, Tail::All, 2));
        assert_eq!(files.read(Name::Snapshot), Some(&b"abcdefgh"[..]));
    }

    #[test]
    fn trouble_comes_when_it_is_told_to() {
        let mut files = files().expect("no trouble");
        files.refuse(1, 1);
        files.die_in(3);
        assert_eq!(files.sync(Name::Link), Ok(()));
        assert_eq!(files.sync_names(), Err(Stop::Refused));
        assert_eq!(files.sync_names(), Ok(()));
        assert_eq!(files.append(Name::Link, b"x"), Err(Stop::Died));
        files.calm();
        files.set_full(true);
        assert_eq!(files.append(Name::Link, &[b'x'; 1_100]), Err(Stop::Refused));
        let half = [&b"abcdefgh"[..], &[b'x'; 504]].concat();
        assert_eq!(files.read(Name::Link), Some(&half[..]), "whole sectors");
        assert_eq!(files.cut(Name::Link, 8), Ok(()));
        assert_eq!(files.remove(Name::Temporary), Ok(()), "it is not there");
    }
}
