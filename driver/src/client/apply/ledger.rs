//! Which file owns which instances: stored for the caller, not in the instances.
//!
//! One private file, `applied.json`, has the owners of every master by its id: the `name` of a
//! file, otherwise its path. It is locked while an apply runs, so that two do not undo each other.
//! A file does not own an instance that no longer exists.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use crate::client::failure::Failure;

/// Instances by name, with their ids; an id is empty while the instance is being made.
pub(super) type Owned = BTreeMap<String, String>;

/// The owners of the instances of one master.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    master: String,
    all: BTreeMap<String, BTreeMap<String, Owned>>,
    /// The lock is released with the file.
    _lock: File,
}

impl Ledger {
    /// Opens the ledger of this user, after waiting for another apply.
    pub(super) fn open(master: &str) -> Result<Self, Failure> {
        let folder = folder().ok_or_else(|| {
            Failure::Usage("no place for applied.json: set HOME or XDG_STATE_HOME".to_owned())
        })?;
        let path = folder.join("applied.json");
        let failed =
            |error: io::Error| Failure::Refused(format!("cannot keep {}: {error}", path.display()));
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
        let lock = private().truncate(false).open(folder.join("applied.lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let all = match fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json).map_err(|error| {
                let path = path.display();
                Failure::Refused(format!(
                    "{path} is damaged: {error}; move it aside, and the next apply records the owned instances again"
                ))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(failed(error)),
        };
        Ok(Self { path, master: master.to_owned(), all, _lock: lock })
    }

    /// What each owner has on this master.
    pub(super) fn owners(&self) -> BTreeMap<String, Owned> {
        self.all.get(&self.master).cloned().unwrap_or_default()
    }

    /// Sets the instances of an owner, and writes the file.
    pub(super) fn own(&mut self, owner: &str, owned: Owned) -> Result<(), Failure> {
        let owners = self.all.entry(self.master.clone()).or_default();
        if owners.get(owner) == Some(&owned) {
            return Ok(());
        }
        if owned.is_empty() {
            owners.remove(owner);
        } else {
            owners.insert(owner.to_owned(), owned);
        }
        let json = serde_json::to_vec(&self.all).expect("texts always encode");
        let fresh = self.path.with_extension("new");
        let written = private().truncate(true).open(&fresh).and_then(|mut file| {
            file.write_all(&json)?;
            file.sync_all()?;
            fs::rename(&fresh, &self.path)
        });
        written.map_err(|error| {
            Failure::Refused(format!("cannot write {}: {error}", self.path.display()))
        })
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

fn folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base =
        set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")))?;
    Some(base.join("openctrl"))
}
