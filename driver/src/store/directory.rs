//! The state directory (Contract §11): private, held by one master, its files replaced whole.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use openctrl_core::store::{DecodeError, Image, decode};

use super::error::{StoreError, Unreadable};

const STATE: &str = "openctrl.state";
const BACKUP: &str = "openctrl.state.backup";
const LOCK: &str = "openctrl.lock";
/// What the Go master keeps its state in.
const FOREIGN: [&str; 2] = ["openctrl.gob", "openctrl.gob.backup"];

/// A state directory, held as long as this lives.
#[derive(Debug)]
pub(crate) struct StateDirectory {
    path: PathBuf,
    /// The lock ends with the file, also when the master is killed.
    _lock: File,
}

/// What was found in a state directory.
#[derive(Debug)]
pub(crate) enum Loaded {
    /// Nothing: a new master.
    Nothing,
    /// The state as it was last written.
    Current(Image),
    /// The state file was not to be read; the backup was. What became of the file is told.
    Backup(Image, String),
}

impl StateDirectory {
    /// Makes the directory if need be, and takes hold of it.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let io = |attempt, error| StoreError::Io(attempt, path.to_owned(), error);
        let is_new = !path.exists();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| io("make the state directory", error))?;
        // The Go master left it open to others. Where it is not ours to change, the files are
        // private all the same.
        let _ = fs::set_permissions(path, Permissions::from_mode(0o700));
        if is_new
            && let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty())
        {
            sync_directory(parent).map_err(|error| io("make the state directory", error))?;
        }
        let lock = private_file(&path.join(LOCK))
            .map_err(|error| io("make a lock file in the state directory", error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(io("lock the state directory", error)),
        }
    }

    /// Reads the state, or its backup. A bad state file is kept aside; a key is never made over
    /// a state that cannot be read.
    pub(crate) fn load(&self) -> Result<Loaded, StoreError> {
        let (state, backup) = (self.path.join(STATE), self.path.join(BACKUP));
        let reason = match self.read(STATE)? {
            Some(Ok(image)) => return Ok(Loaded::Current(image)),
            Some(Err(reason)) => Some(reason),
            None => None,
        };
        match (reason, self.read(BACKUP)?) {
            (None, None) => self.refuse_foreign().map(|()| Loaded::Nothing),
            (None, Some(Ok(image))) => {
                let note = format!("{} is missing; its backup is used", state.display());
                Ok(Loaded::Backup(image, note))
            }
            (None, Some(Err(reason))) => Err(unreadable(backup, reason, None)),
            (Some(reason), Some(Ok(image))) => {
                let aside = self.keep_aside(&state)?;
                let note = format!(
                    "cannot read the state in {}: {reason}; it is kept as {} and its backup is used",
                    state.display(),
                    aside.display()
                );
                Ok(Loaded::Backup(image, note))
            }
            (Some(reason), backup) => {
                let backup = backup.and_then(Result::err);
                Err(unreadable(state, reason, backup))
            }
        }
    }

    /// Replaces the state file: a reader finds the old one or the new one, whole, whatever
    /// happens meanwhile. With `keep_backup` the old one becomes the backup.
    pub(crate) fn save(&self, state: &[u8], keep_backup: bool) -> io::Result<()> {
        let (temporary, target) = (self.path.join("openctrl.state.tmp"), self.path.join(STATE));
        let mut file = private_file(&temporary)?;
        file.write_all(state)?;
        file.sync_all()?;
        drop(file);
        if keep_backup && target.exists() {
            let link = self.path.join("openctrl.state.backup.tmp");
            let _ = fs::remove_file(&link);
            // A copy where the file system has no links.
            fs::hard_link(&target, &link).or_else(|_| fs::copy(&target, &link).map(drop))?;
            fs::rename(&link, self.path.join(BACKUP))?;
        }
        fs::rename(&temporary, &target)?;
        sync_directory(&self.path)
    }

    fn read(&self, name: &str) -> Result<Option<Result<Image, DecodeError>>, StoreError> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(decode(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::Io("read", path, error)),
        }
    }

    fn keep_aside(&self, file: &Path) -> Result<PathBuf, StoreError> {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let aside = self.path.join(format!("{STATE}.corrupt-{}", since_epoch.as_millis()));
        match fs::rename(file, &aside) {
            Ok(()) => Ok(aside),
            Err(error) => Err(StoreError::Io("keep aside", file.to_owned(), error)),
        }
    }

    fn refuse_foreign(&self) -> Result<(), StoreError> {
        match FOREIGN.iter().map(|name| self.path.join(name)).find(|path| path.exists()) {
            Some(path) => Err(StoreError::Foreign(path)),
            None => Ok(()),
        }
    }
}

fn unreadable(file: PathBuf, reason: DecodeError, backup: Option<DecodeError>) -> StoreError {
    StoreError::Unreadable(Box::new(Unreadable { file, reason, backup }))
}

/// An empty file that only its owner can read.
fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Makes what was created or renamed in a directory durable.
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
