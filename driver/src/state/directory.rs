//! The state directory (Contract §11): private, held by one master, always recoverable.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{io, thread};

use openctrl_core::master::ApiKey;
use openctrl_core::store::{
    FIRST_GENERATION, Files, Finding, Image, Recovered, decode_gob, encode, identity, recover,
};

use super::error::StoreError;
use super::files::{
    BACKUP, FOREIGN, LOCK, SNAPSHOT, TEMPORARY, create_private, install_snapshot, journal_path,
    journals, read, sync_directory, write_private,
};
use super::journal::Journal;
use crate::file_identity::{FileIdentity, Place};

/// How long to wait for the lock: far longer than a new process needs to execute its program, and
/// short enough to report another master.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
const LOCK_POLL: Duration = Duration::from_millis(5);

/// A state directory, held as long as this lives.
#[derive(Debug)]
pub(crate) struct StateDirectory {
    path: PathBuf,
    /// The generation to begin next.
    next_generation: u64,
    /// The generation of the snapshot that is there now.
    snapshot_generation: u64,
    /// How many records the last journal has.
    records: u64,
    /// The lock is released with the file, also when the master is killed.
    lock: Placed,
    /// The number of its descriptor.
    lock_number: Arc<AtomicI32>,
    /// The current snapshot and journal, if there are any.
    current: Vec<Placed>,
}

/// A file that has to stay where it was put. It is held open, which keeps its identity unique.
#[derive(Debug)]
struct Placed {
    path: PathBuf,
    identity: FileIdentity,
    _file: File,
}

/// A snapshot that was written and is not in its place yet.
#[derive(Debug)]
pub(crate) struct Prepared {
    generation: u64,
    /// How large it is.
    pub(crate) bytes: u64,
}

/// The content of a state directory.
#[derive(Debug)]
pub(crate) enum Loaded {
    /// Nothing: a new master.
    Nothing,
    /// A complete state, and notes for the operator about how it was found.
    State(Image, Vec<String>),
    /// The state of the Go master, from this file; ours from now on, once it is saved.
    Imported(Image, PathBuf),
}

impl StateDirectory {
    /// Makes the directory if need be, and takes hold of it.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let io = |attempt, error| StoreError::Io(attempt, path.to_owned(), error);
        make_private(path).map_err(|error| StoreError::NoDirectory(path.to_owned(), error))?;
        let lock = create_private(&path.join(LOCK))
            .map_err(|error| io("make a lock file in the state directory", error))?;
        match take_hold(&lock) {
            Ok(()) => Self::held(path, lock),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(io("lock the state directory", error)),
        }
    }

    /// Goes on with a lock that the program before this one in the same process has taken.
    pub(crate) fn held(path: &Path, lock: File) -> Result<Self, StoreError> {
        let io = |error| StoreError::Io("look at", path.to_owned(), error);
        let lock_number = Arc::new(AtomicI32::new(lock.as_raw_fd()));
        Ok(Self {
            path: path.to_owned(),
            next_generation: FIRST_GENERATION,
            snapshot_generation: FIRST_GENERATION,
            records: 0,
            lock: Placed::new(path.join(LOCK), lock).map_err(io)?,
            lock_number,
            current: Vec::new(),
        })
    }

    /// The number of the descriptor of its lock, which changes when the lock is made anew.
    pub(crate) fn lock_number(&self) -> Arc<AtomicI32> {
        Arc::clone(&self.lock_number)
    }

    /// The path of the directory, for files beside the state.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the state together from its files. A bad snapshot is kept aside; nothing new is ever
    /// made over a state that cannot be read.
    pub(crate) fn load(&mut self) -> Result<Loaded, StoreError> {
        let Some(recovered) = read_state(&self.path)? else {
            return self.import();
        };
        let Recovered { image, snapshot, generation, records, findings } = recovered;
        // If the last master was killed during a write, the data may not be on the disk yet: the
        // next journal states how many records this one has.
        let journal = journal_path(&self.path, generation);
        let synced = File::open(&journal).and_then(|file| file.sync_all());
        synced.map_err(|error| StoreError::Io("sync", journal, error))?;
        self.snapshot_generation = snapshot;
        self.next_generation = generation + 1;
        self.records = records;
        let mut notes = Vec::new();
        for finding in findings {
            let mut note = finding.to_string();
            if matches!(finding, Finding::BackupUsed(Some(_))) {
                let path = self.path.join(SNAPSHOT);
                let aside = keep_aside(&path, "corrupt")
                    .map_err(|error| StoreError::Io("keep aside", path, error))?;
                note = format!("{note}; the bad file is kept as {}", aside.display());
            }
            notes.push(note);
        }
        Ok(Loaded::State(image, notes))
    }

    /// Writes a snapshot to a temporary file. Until it is installed it has no effect, so a full
    /// disk, which would fail here, changes nothing.
    pub(crate) fn prepare(&self, image: &Image) -> io::Result<Prepared> {
        let generation = self.next_generation;
        let snapshot = encode(image, generation);
        write_private(&self.path.join(TEMPORARY), &snapshot)?;
        Ok(Prepared { generation, bytes: snapshot.len() as u64 })
    }

    /// Begins the journal of a prepared snapshot and puts the snapshot in its place. The journal
    /// comes first, so that a snapshot without its journal is always one that lost it.
    pub(crate) fn install(&mut self, prepared: &Prepared) -> io::Result<Journal> {
        let generation = prepared.generation;
        let journal = Journal::create(&self.path, generation, self.records);
        // It will not be installed and only takes space.
        let journal = journal.inspect_err(|_| drop(fs::remove_file(self.path.join(TEMPORARY))))?;
        // From here on the journal may be found, and every later file must follow it.
        self.next_generation = generation + 1;
        self.records = 0;
        sync_directory(&self.path)?;
        install_snapshot(&self.path)?;
        self.current = vec![
            Placed::open(self.path.join(SNAPSHOT))?,
            Placed::open(journal_path(&self.path, generation))?,
        ];
        // The previous snapshot is the backup now, and needs its journals.
        let backup_generation = std::mem::replace(&mut self.snapshot_generation, generation);
        self.forget_journals_before(backup_generation);
        Ok(journal)
    }

    /// Whether the lock, the snapshot and the journal are where this master put them: the first
    /// that is not, and what its path names.
    pub(crate) fn displaced(&self) -> io::Result<Option<(&Path, Place)>> {
        for placed in std::iter::once(&self.lock).chain(&self.current) {
            match placed.place()? {
                Place::Same => {}
                place @ (Place::Missing | Place::Replaced) => {
                    return Ok(Some((&placed.path, place)));
                }
            }
        }
        Ok(None)
    }

    /// Takes the directory again after files in it were removed or replaced: creates it if
    /// necessary, locks it, and keeps foreign state files aside, whose new names it returns. The
    /// caller must then rewrite the state.
    ///
    /// # Errors
    /// If another master holds the directory, or it cannot be written.
    pub(crate) fn reclaim(&mut self) -> io::Result<Vec<PathBuf>> {
        make_private(&self.path)?;
        if self.lock.place()? != Place::Same {
            let path = self.path.join(LOCK);
            let lock = create_private(&path)?;
            lock.try_lock().map_err(|error| match error {
                TryLockError::Error(error) => error,
                TryLockError::WouldBlock => {
                    io::Error::other("another master holds the state directory by now")
                }
            })?;
            self.lock_number.store(lock.as_raw_fd(), Ordering::Relaxed);
            self.lock = Placed::new(path, lock)?;
        }
        let is_replaced = |placed: &Placed| placed.place().map(|place| place == Place::Replaced);
        let replaced: Vec<bool> = self.current.iter().map(is_replaced).collect::<Result<_, _>>()?;
        if replaced.contains(&true) { self.keep_replacements_aside() } else { Ok(Vec::new()) }
    }

    /// Their origin is unknown: an operator may have put a copy there to restore it.
    fn keep_replacements_aside(&self) -> io::Result<Vec<PathBuf>> {
        let states = [SNAPSHOT, BACKUP].map(|name| self.path.join(name));
        let journals = journals(&self.path)?.into_iter().map(|(_, path)| path);
        let mut aside = Vec::new();
        for path in states.into_iter().chain(journals) {
            let is_ours = |placed: &Placed| {
                placed.path == path && placed.place().is_ok_and(|place| place == Place::Same)
            };
            if path.exists() && !self.current.iter().any(is_ours) {
                aside.push(keep_aside(&path, "replaced")?);
            }
        }
        Ok(aside)
    }

    /// Whether nothing was ever stored here.
    pub(crate) const fn is_new(&self) -> bool {
        self.next_generation == FIRST_GENERATION
    }

    /// Continues with the snapshot of `generation`, which follows no journal.
    pub(super) const fn continue_at(&mut self, generation: u64) {
        (self.next_generation, self.records) = (generation, 0);
    }

    /// Notes how many records the journal has that is about to be followed by another.
    pub(crate) const fn set_records(&mut self, records: u64) {
        self.records = records;
    }

    fn forget_journals_before(&self, generation: u64) {
        // One that stays costs some room and is passed over at the next start.
        for (found, path) in journals(&self.path).unwrap_or_default() {
            if found < generation {
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Reads the state of the Go master, or its backup; both stay as they are.
    fn import(&self) -> Result<Loaded, StoreError> {
        let mut refused = Vec::new();
        for name in FOREIGN {
            let path = self.path.join(name);
            let file = read(&path).map_err(|error| StoreError::Io("read", path.clone(), error))?;
            match file.as_deref().map(decode_gob) {
                None => {}
                Some(Ok(image)) => return Ok(Loaded::Imported(image, path)),
                Some(Err(reason)) => refused.push((path, reason)),
            }
        }
        if refused.is_empty() { Ok(Loaded::Nothing) } else { Err(StoreError::Foreign(refused)) }
    }
}

/// Reads the files of a state directory and puts them together; changes nothing.
pub(crate) fn read_state(path: &Path) -> Result<Option<Recovered>, StoreError> {
    with_files(path, recover)?
        .map_err(|reason| StoreError::Unreadable(path.to_owned(), Box::new(reason)))
}

/// The key of the master of a state directory that nothing is wrong with; `None` where only
/// [`read_state`] can tell.
pub(crate) fn read_key(path: &Path) -> Option<ApiKey> {
    let read_named = |name: &str| read(&path.join(name)).ok().flatten();
    let snapshot = read_named(SNAPSHOT)?;
    let mut contents = Vec::new();
    for (generation, path) in journals(path).ok()? {
        contents.push((generation, read(&path).ok()??));
    }
    let journals: Vec<(u64, &[u8])> =
        contents.iter().map(|(generation, bytes)| (*generation, &bytes[..])).collect();
    let files = Files { snapshot: Some(&snapshot), backup: None, journals: &journals };
    Some(identity(files)?.key)
}

/// Passes the files of a state directory to a function.
pub(crate) fn with_files<T>(
    path: &Path,
    reader: impl FnOnce(Files<'_>) -> T,
) -> Result<T, StoreError> {
    let io = |path: &Path, error| StoreError::Io("read", path.to_owned(), error);
    let read_named = |name: &str| {
        let path = path.join(name);
        read(&path).map_err(|error| io(&path, error))
    };
    let (snapshot, backup) = (read_named(SNAPSHOT)?, read_named(BACKUP)?);
    let mut contents = Vec::new();
    for (generation, path) in journals(path).map_err(|error| io(path, error))? {
        let bytes = read(&path).map_err(|error| io(&path, error))?;
        contents.extend(bytes.map(|bytes| (generation, bytes)));
    }
    let journals: Vec<(u64, &[u8])> =
        contents.iter().map(|(generation, bytes)| (*generation, &bytes[..])).collect();
    let (snapshot, backup) = (snapshot.as_deref(), backup.as_deref());
    Ok(reader(Files { snapshot, backup, journals: &journals }))
}

/// Renames a file; the new name has the reason and the time.
fn keep_aside(file: &Path, why: &str) -> io::Result<PathBuf> {
    let aside = aside_name(file, why);
    fs::rename(file, &aside)?;
    Ok(aside)
}

/// The name of what is kept aside, with the reason and the time.
pub(super) fn aside_name(file: &Path, why: &str) -> PathBuf {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut aside = file.as_os_str().to_owned();
    aside.push(format!(".{why}-{}", since_epoch.as_millis()));
    PathBuf::from(aside)
}

impl Placed {
    fn new(path: PathBuf, file: File) -> io::Result<Self> {
        Ok(Self { path, identity: FileIdentity::of(&file)?, _file: file })
    }

    fn open(path: PathBuf) -> io::Result<Self> {
        let file = File::open(&path)?;
        Self::new(path, file)
    }

    fn place(&self) -> io::Result<Place> {
        self.identity.place(&self.path)
    }
}

/// Locks, with a short wait: after a master was killed, a child that has not executed its program
/// yet still holds the lock. After that the child can be recognized.
fn take_hold(lock: &File) -> Result<(), TryLockError> {
    let begun = Instant::now();
    loop {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) if begun.elapsed() < LOCK_PATIENCE => {
                thread::sleep(LOCK_POLL);
            }
            result => return result,
        }
    }
}

/// Whether a directory contains only files of a master.
fn is_ours(path: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with("openctrl.") && !name.starts_with("gob-") && name != "trace" {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a master holds the directory.
pub(crate) fn is_held(path: &Path) -> bool {
    let lock = File::open(path.join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn make_private(path: &Path) -> io::Result<()> {
    let is_new = !path.exists();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // The Go master left its own open to others. A directory that has other things in it is not
    // ours to close: the files are private all the same.
    if is_ours(path)? {
        let _ = fs::set_permissions(path, Permissions::from_mode(0o700));
    }
    match path.parent().filter(|parent| is_new && !parent.as_os_str().is_empty()) {
        Some(parent) => sync_directory(parent),
        None => Ok(()),
    }
}
