//! Files that contain a key: read only if no other user can read them.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::failure::Failure;

/// Keys are 32 letters; a file that is much longer is another one.
const KEY_FILE_MAX_BYTES: u64 = 64 * 1024;

/// The key in a file, or on standard input for `-`.
pub(crate) fn read_key(path: &Path) -> Result<String, Failure> {
    let unreadable = |error: io::Error| {
        Failure::Key(format!("cannot read the key file {}: {error}", path.display()))
    };
    let mut text = String::new();
    if path == Path::new("-") {
        io::stdin().take(KEY_FILE_MAX_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    } else {
        let file = fs::File::open(path).map_err(unreadable)?;
        check_private(path).map_err(Failure::Key)?;
        file.take(KEY_FILE_MAX_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    }
    let key = text.trim().to_owned();
    if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let path = path.display();
        return Err(Failure::Key(format!("{path} holds no key; it has to be the only word in it")));
    }
    Ok(key)
}

/// Checks that only its owner can read a file. Pipes and other devices are accepted.
pub(crate) fn check_private(path: &Path) -> Result<(), String> {
    let Ok(about) = fs::metadata(path) else { return Ok(()) };
    if about.is_file() && about.permissions().mode() & 0o077 != 0 {
        let path = path.display();
        return Err(format!("others can read {path}, which holds a key: chmod 600 {path}"));
    }
    Ok(())
}
