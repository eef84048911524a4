//! Which file an open file is, to see whether a path still names it: files may be removed, renamed
//! or replaced while the master has them open, and writes to them succeed all the same.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The identity of a file. It is unique as long as the file is open somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    device: u64,
    inode: u64,
}

/// The file at a path, compared with a file that was put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The file itself.
    Same,
    /// Nothing: the file was removed or renamed, or a directory above it.
    Missing,
    /// Another file.
    Replaced,
}

impl FileIdentity {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|data| Self::from_metadata(&data))
    }

    /// The file that `path` names now. A path that cannot be read, because its directory may not be
    /// entered, is an error.
    pub(crate) fn place(self, path: &Path) -> io::Result<Place> {
        match fs::metadata(path) {
            Ok(data) if Self::from_metadata(&data) == self => Ok(Place::Same),
            Ok(_) => Ok(Place::Replaced),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(Place::Missing)
            }
            Err(error) => Err(error),
        }
    }

    fn from_metadata(data: &Metadata) -> Self {
        Self { device: data.dev(), inode: data.ino() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_file_nothing_or_another() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let (path, other) = (home.path().join("a"), home.path().join("b"));
        let file = File::create(&path).expect("made");
        let identity = FileIdentity::of(&file).expect("it is open");
        let place = || identity.place(&path).expect("it can be looked at");
        assert_eq!(place(), Place::Same);
        fs::rename(&path, &other).expect("renamed");
        assert_eq!(place(), Place::Missing);
        fs::write(&path, "").expect("written");
        assert_eq!(place(), Place::Replaced);
        fs::rename(&other, &path).expect("renamed");
        assert_eq!(place(), Place::Same);
    }
}
