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

use serde::{Deserialize, Serialize};

use crate::client::failure::Failure;

/// Instances by name.
pub(super) type Owned = BTreeMap<String, Hold>;

/// How a file owns an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Hold {
    /// It declares the instance of this id, which is empty while the instance is being made.
    Declared(String),
    /// It declared the instance earlier: its `--prune` deletes it, and other files may take it over.
    Left {
        /// The id.
        left: String,
    },
}

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
        if !hand_over(owners, owner, owned) {
            return Ok(());
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

impl Hold {
    /// The id of the instance.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Declared(id) | Self::Left { left: id } => id,
        }
    }
}

/// Sets the instances of an owner. Those that it took over are no longer of a file that left them.
/// Whether anything changed.
fn hand_over(owners: &mut BTreeMap<String, Owned>, owner: &str, owned: Owned) -> bool {
    let mut has_changed = owners.get(owner) != Some(&owned).filter(|owned| !owned.is_empty());
    for (_, others) in owners.iter_mut().filter(|(other, _)| *other != owner) {
        let count = others.len();
        others.retain(|name, hold| match (hold, owned.get(name)) {
            (Hold::Left { left }, Some(Hold::Declared(id))) => left != id,
            _ => true,
        });
        has_changed |= others.len() != count;
    }
    owners.insert(owner.to_owned(), owned);
    owners.retain(|_, owned| !owned.is_empty());
    has_changed
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_left_is_taken_over_and_what_it_declares_is_not() {
        // As the first versions wrote it, and with instances that were left.
        let json = r#"{"a":{"web":"1","api":{"left":"2"},"old":{"left":"3"}}}"#;
        let mut owners: BTreeMap<String, Owned> = serde_json::from_str(json).expect("owners");
        let declared = |id: &str| Hold::Declared(id.to_owned());
        let b = Owned::from([("api".to_owned(), declared("2")), ("old".to_owned(), declared("9"))]);
        assert!(hand_over(&mut owners, "b", b.clone()));
        assert!(!hand_over(&mut owners, "b", b), "nothing is new");
        insta::assert_snapshot!(
            serde_json::to_string(&owners).expect("it encodes"),
            @r#"{"a":{"old":{"left":"3"},"web":"1"},"b":{"api":"2","old":"9"}}"#
        );
        assert!(hand_over(&mut owners, "b", Owned::new()));
        assert!(!owners.contains_key("b"));
        assert!(!hand_over(&mut owners, "b", Owned::new()), "it had none");
    }
}
