//! Which directories have to be watched for some paths.
//!
//! Of a directory all directories below it are watched. Of each path also the directory that it is
//! in, or would be in, so that a path that is removed and made again is found.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use openctrl_core::instance::Watch;

/// The most directories that are watched for one instance: about 8 MiB of memory of the system.
const FOLDERS_MAX: usize = 8_192;

/// A directory, and what in it concerns an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    /// Every entry that is not ignored.
    All,
    /// This entry alone.
    Name(OsString),
}

/// Calls `each` with every directory of a plan, and what of it concerns the instance.
///
/// # Errors
/// Those of `each`, and too many directories.
pub(super) fn plan(
    watch: &Watch,
    each: &mut impl FnMut(&Path, Interest) -> Result<(), String>,
) -> Result<(), String> {
    let mut count = 0;
    for path in watch.paths.iter().map(Path::new) {
        let (folder, name) = place(path);
        each(&folder, Interest::Name(name))?;
        folders(path, watch, &mut count, &mut |folder| each(folder, Interest::All))?;
    }
    Ok(())
}

/// The directory that has the path, or the first missing part of it; and that part.
fn place(path: &Path) -> (PathBuf, OsString) {
    let mut parts = path.components();
    let mut name = OsString::new();
    while let Some(part) = parts.next_back() {
        let folder = parts.as_path();
        name = part.as_os_str().to_owned();
        if folder.is_dir() {
            return (folder.to_owned(), name);
        }
    }
    (PathBuf::from("/"), name)
}

/// Calls `each` with `path`, if it is a directory, and all directories below it that are not
/// ignored. Links are not followed below it. What vanishes meanwhile is left out.
///
/// # Errors
/// Those of `each`, and too many directories: `count` is how many there were before.
pub(super) fn folders(
    path: &Path,
    watch: &Watch,
    count: &mut usize,
    each: &mut impl FnMut(&Path) -> Result<(), String>,
) -> Result<(), String> {
    let mut waiting = vec![path.to_owned()];
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        *count += 1;
        if *count > FOLDERS_MAX {
            let path = path.display();
            return Err(format!(
                "there are more than {FOLDERS_MAX} directories, the last ones below {path}; name \
                 fewer, or leave some out with watch_ignore"
            ));
        }
        // Before its entries are read: what is made from now on is seen.
        each(&folder)?;
        for entry in entries.flatten() {
            let is_ignored = watch.ignores(&entry.file_name().to_string_lossy());
            if !is_ignored && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                waiting.push(entry.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(paths: &[&Path]) -> Watch {
        let paths = paths.iter().map(|path| path.to_str().expect("UTF-8").to_owned()).collect();
        Watch { paths, ignored: vec!["out".to_owned()] }
    }

    fn planned(watch: &Watch) -> Vec<(PathBuf, Interest)> {
        let mut all = Vec::new();
        let each = &mut |folder: &Path, interest| {
            all.push((folder.to_owned(), interest));
            Ok(())
        };
        plan(watch, each).expect("there are few");
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }

    #[test]
    fn what_is_below_a_path_and_the_path_itself_are_watched() {
        let home = tempfile::tempdir().expect("a folder");
        let root = home.path().join("app");
        for folder in ["src/deep", "out/x", ".git", "node_modules/x"] {
            fs::create_dir_all(root.join(folder)).expect("made");
        }
        let name = |name: &str| Interest::Name(name.into());
        let expected = [
            (home.path().to_owned(), name("app")),
            (root.clone(), Interest::All),
            (root.join("src"), Interest::All),
            (root.join("src/deep"), Interest::All),
        ];
        assert_eq!(planned(&watch(&[&root])), expected);
        let missing = root.join("a/b/c");
        assert_eq!(planned(&watch(&[&missing])), [(root, name("a"))]);
    }
}
