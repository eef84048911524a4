//! The master of this user on this machine, found by the files in its state directory.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io, thread};

use super::failure::Failure;
use super::trust::pin_of_file;
use crate::address_file;
use crate::state::{self, LOCK, is_held, read_state};

/// A master that writes may be met between two steps; it is through in no time.
const READ_TRIES: u32 = 5;
const READ_PAUSE: Duration = Duration::from_millis(50);

/// The master that was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// The API base, as the master logs it.
    pub(crate) url: String,
    /// The current key.
    pub(crate) key: String,
    /// Fingerprints of its certificate; none without TLS.
    pub(crate) pins: Vec<String>,
    /// The directory of its log files.
    pub(crate) logs: Option<PathBuf>,
}

/// Where the master of the package keeps its state.
const PACKAGED: &str = "/var/lib/openctrl";

/// The state directory of the master on this machine, if there is one: beside this program, the
/// default without `state=`, that of the service of this user, or that of the package.
pub(crate) fn usual_directory() -> Option<PathBuf> {
    let program = std::env::current_exe().ok();
    let beside = program.and_then(|program| Some(program.parent()?.join("gob")));
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let of_user = home.map(|home| home.join(".local/state/openctrl"));
    first_used(beside.into_iter().chain(of_user).chain([PACKAGED.into()]))
}

/// The first directory that a master uses. One that cannot be read belongs to another user, so it
/// counts as used by a master.
fn first_used(mut directories: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    directories.find(|directory| match fs::metadata(directory.join(LOCK)) {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    })
}

/// Finds the master that holds `directory`.
pub(crate) fn find(directory: &Path) -> Result<Found, Failure> {
    let shown = directory.display();
    if !directory.is_dir() {
        return Err(Failure::Unreachable(format!("there is no state directory {shown}")));
    }
    let address = address_file::read(directory).map_err(|error| {
        if error.kind() != io::ErrorKind::PermissionDenied {
            return Failure::Unreachable(format!("cannot read the state in {shown}: {error}"));
        }
        Failure::Unreachable(format!(
            "the state in {shown} is another user's: become that user, or use --api and --key-file"
        ))
    })?;
    if !is_held(directory) {
        return Err(Failure::Unreachable(format!(
            "no master runs with its state in {shown}: start one, or use --api, --master or --state"
        )));
    }
    let address = address.ok_or_else(|| {
        Failure::Unreachable(format!(
            "the master of {shown} is starting, or of an older version: try again, or use --api"
        ))
    })?;
    let from_file = address.crt.as_deref().and_then(pin_of_file);
    let pins = address.certificate.into_iter().chain(from_file).collect();
    let key = read_key(directory)?;
    Ok(Found { url: address.url, key, pins, logs: address.logs })
}

fn read_key(directory: &Path) -> Result<String, Failure> {
    if let Some(key) = state::read_key(directory) {
        return Ok(key.reveal().to_owned());
    }
    let mut reason = String::new();
    for attempt in 0..READ_TRIES {
        if attempt > 0 {
            thread::sleep(READ_PAUSE);
        }
        match read_state(directory) {
            Ok(Some(state)) => return Ok(state.image.master.key.reveal().to_owned()),
            Ok(None) => reason = "it is empty".to_owned(),
            Err(error) => reason = error.to_string(),
        }
    }
    let shown = directory.display();
    Err(Failure::Key(format!("cannot read the key from the state in {shown}: {reason}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_directory_with_a_lock_is_the_one() {
        let home = tempfile::tempdir().expect("a folder");
        let [empty, used, more] = ["empty", "used", "more"].map(|name| home.path().join(name));
        for directory in [&empty, &used, &more] {
            fs::create_dir(directory).expect("made");
        }
        let first = |all: &[&PathBuf]| first_used(all.iter().map(|&one| one.clone()));
        assert_eq!(first(&[&empty, &used, &more]), None);
        for directory in [&used, &more] {
            fs::write(directory.join(LOCK), "").expect("written");
        }
        assert_eq!(first(&[&empty, &used, &more]), Some(used.clone()));
    }
}
