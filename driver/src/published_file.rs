//! A small text file that says something about a running master: private, written whole, restored
//! if it was removed, and removed at the end of the master.
//!
//! Owns how such a file is kept in its place, not its content. A master that was killed leaves its
//! file behind.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::file_identity::{FileIdentity, Place};

/// The file, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct PublishedFile {
    path: PathBuf,
    published: Option<Published>,
}

/// The content, and the file, held open so that no other file is mistaken for it.
#[derive(Debug)]
struct Published {
    text: String,
    identity: FileIdentity,
    _file: File,
}

impl PublishedFile {
    /// The file at this path, which is left as it is until it is published.
    pub(crate) const fn at(path: PathBuf) -> Self {
        Self { path, published: None }
    }

    /// Removes the file of an earlier master.
    pub(crate) fn remove_earlier(&self) {
        let _ = fs::remove_file(&self.path);
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it, whole and with access for its owner alone.
    ///
    /// # Errors
    /// When it cannot be written. The earlier content stays.
    pub(crate) fn publish(&mut self, text: String) -> io::Result<()> {
        let mut temporary = self.path.clone().into_os_string();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let _ = fs::remove_file(&temporary);
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&temporary, &self.path)?;
        let identity = FileIdentity::of(&file)?;
        self.published = Some(Published { text, identity, _file: file });
        Ok(())
    }

    /// Writes it again if it was removed. A file of another master in its place stays.
    ///
    /// Returns whether it was written.
    ///
    /// # Errors
    /// When its place cannot be read, or it cannot be written.
    pub(crate) fn restore(&mut self) -> io::Result<bool> {
        match &self.published {
            Some(published) if published.identity.place(&self.path)? == Place::Missing => {
                let text = published.text.clone();
                self.publish(text).map(|()| true)
            }
            Some(_) | None => Ok(false),
        }
    }
}

impl Drop for PublishedFile {
    fn drop(&mut self) {
        let is_ours = |published: &Published| {
            published.identity.place(&self.path).is_ok_and(|place| place == Place::Same)
        };
        if self.published.as_ref().is_some_and(is_ours) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_private_and_removed_at_the_end() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("openctrl.pid");
        fs::write(&path, "of an earlier master").expect("written");
        let mut file = PublishedFile::at(path.clone());
        assert!(path.exists());
        file.remove_earlier();
        assert!(!path.exists());
        file.publish("42\n".to_owned()).expect("written");
        assert_eq!(fs::read_to_string(&path).expect("there"), "42\n");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(file);
        assert_eq!(fs::read_dir(home.path()).expect("a directory").count(), 0);
    }

    #[test]
    fn a_file_that_was_removed_is_written_again_and_that_of_another_stays() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("openctrl.pid");
        let mut file = PublishedFile::at(path.clone());
        assert!(!file.restore().expect("nothing was published"));
        file.publish("42\n".to_owned()).expect("written");
        assert!(!file.restore().expect("it is there"));
        fs::remove_file(&path).expect("removed");
        assert!(file.restore().expect("written"));
        assert_eq!(fs::read_to_string(&path).expect("there"), "42\n");
        fs::remove_file(&path).expect("removed");
        fs::write(&path, "of another").expect("written");
        assert!(!file.restore().expect("it is there"));
        drop(file);
        assert_eq!(fs::read_to_string(&path).expect("still there"), "of another");
    }
}
