//! The names of the state files, and how they are replaced: whole, private and durable.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The snapshot.
pub(crate) const SNAPSHOT: &str = "openctrl.state";
/// The snapshot before it.
pub(crate) const BACKUP: &str = "openctrl.state.backup";
/// A snapshot that is being written.
pub(crate) const TEMPORARY: &str = "openctrl.state.tmp";
/// Held by the master that uses the directory.
pub(crate) const LOCK: &str = "openctrl.lock";
/// The process id of the master that uses the directory. It is valid only while the lock is held.
pub(crate) const PID_FILE: &str = "openctrl.pid";
/// The state file of the Go master.
pub(crate) const FOREIGN: [&str; 2] = ["openctrl.gob", "openctrl.gob.backup"];

const JOURNAL_PREFIX: &str = "openctrl.journal.";

/// The journal that follows the snapshot of `generation`.
pub(crate) fn journal_path(directory: &Path, generation: u64) -> PathBuf {
    directory.join(format!("{JOURNAL_PREFIX}{generation}"))
}

/// Every journal in a directory, with its generation.
pub(crate) fn journals(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(JOURNAL_PREFIX));
        if let Some(generation) = number.and_then(|number| number.parse().ok()) {
            found.push((generation, entry.path()));
        }
    }
    Ok(found)
}

/// The bytes of a file, if it exists.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a durable file that only its owner can read; leaves none behind if that fails.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let written = create_private(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(file)
    });
    // On a full disk the part that was written would take the room that the next try needs.
    written.inspect_err(|_| drop(fs::remove_file(path)))
}

/// An empty file that only its owner can read.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Replaces the snapshot with the temporary file, which is durable; the previous snapshot becomes
/// the backup. A reader finds either the old one or the new one, complete, in any case.
pub(crate) fn install_snapshot(directory: &Path) -> io::Result<()> {
    let target = directory.join(SNAPSHOT);
    if target.exists() {
        let link = directory.join("openctrl.state.backup.tmp");
        let _ = fs::remove_file(&link);
        // A copy where the file system has no links.
        fs::hard_link(&target, &link).or_else(|_| fs::copy(&target, &link).map(drop))?;
        fs::rename(&link, directory.join(BACKUP))?;
    }
    fs::rename(directory.join(TEMPORARY), &target)?;
    sync_directory(directory)
}

/// Syncs a directory, so that created, renamed and removed files are durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
