//! Puts a repaired state in the place of a damaged one.
//!
//! The files of the damaged state get a second name in a folder of their own first. Until the new
//! snapshot is in its place, the directory has the damaged state, which can be repaired again; from
//! then on it has the repaired one.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};

use openctrl_core::store::Image;
use rustix::process::geteuid;

use super::directory::{StateDirectory, aside_name};
use super::files::{BACKUP, LOCK, SNAPSHOT, journal_path, journals, sync_directory, write_private};

/// The report in the folder.
const REPORT: &str = "report.txt";

impl StateDirectory {
    /// Replaces the state by `image` as the snapshot of `generation`. Returns the folder that has
    /// the files of the damaged one, and `report` beside them.
    ///
    /// # Errors
    /// When a file cannot be written. The damaged state is then still in its place, unless the new
    /// one already is.
    pub(crate) fn replace(
        &mut self,
        image: &Image,
        generation: u64,
        report: &str,
    ) -> io::Result<PathBuf> {
        let path = self.path().to_owned();
        let old = state_files(&path)?;
        self.continue_at(generation);
        // A full disk fails here, before anything is changed.
        let prepared = self.prepare(image)?;
        let folder = keep_in_folder(&path, &old, report)?;
        self.install(&prepared)?;
        // Twice, as a new state: there is a backup from the start.
        let prepared = self.prepare(image)?;
        self.install(&prepared)?;
        let new = [generation, generation + 1].map(|generation| journal_path(&path, generation));
        for (_, journal) in journals(&path)? {
            if !new.contains(&journal) {
                fs::remove_file(journal)?;
            }
        }
        sync_directory(&path)?;
        let written = [SNAPSHOT, BACKUP, LOCK].map(|name| path.join(name));
        let in_folder = [folder.clone(), folder.join(REPORT)];
        keep_owner(&path, written.iter().chain(&new).chain(&in_folder))?;
        Ok(folder)
    }
}

/// The snapshots and journals.
fn state_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let snapshots = [SNAPSHOT, BACKUP].map(|name| directory.join(name));
    let snapshots = snapshots.into_iter().filter(|path| path.exists());
    Ok(snapshots.chain(journals(directory)?.into_iter().map(|(_, path)| path)).collect())
}

fn keep_in_folder(directory: &Path, files: &[PathBuf], report: &str) -> io::Result<PathBuf> {
    let folder = aside_name(&directory.join("openctrl"), "repaired");
    DirBuilder::new().mode(0o700).create(&folder)?;
    for file in files {
        let kept = folder.join(file.file_name().expect("it was found by its name"));
        // A copy where the file system has no links.
        fs::hard_link(file, &kept).or_else(|_| fs::copy(file, &kept).map(drop))?;
    }
    write_private(&folder.join(REPORT), report.as_bytes())?;
    sync_directory(&folder)?;
    sync_directory(directory)?;
    Ok(folder)
}

/// Gives files that root has written to the user of the directory, whose master reads them.
fn keep_owner<'a>(directory: &Path, files: impl Iterator<Item = &'a PathBuf>) -> io::Result<()> {
    let owner = fs::metadata(directory)?;
    if !geteuid().is_root() || owner.uid() == 0 {
        return Ok(());
    }
    for file in files {
        chown(file, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}
