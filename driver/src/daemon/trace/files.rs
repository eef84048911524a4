//! The files of a trace: their names, their order, and how much room they take together.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use openctrl_core::trace::Header;

const SUFFIX: &str = ".trace";

const KEPT_SUFFIX: &str = ".trace.kept";

/// How many segments are kept beside the size of the trace: each start of the master may find the
/// same contradiction.
const KEPT_MAX: usize = 4;

/// The name of a segment: `20260609T101320Z-0000b007-000001.trace`. Names sort by time, and contain
/// the run and the number of the segment.
fn name(header: &Header) -> String {
    let rfc_3339 = header.started.wall.to_string();
    let seconds = rfc_3339[..19].replace(['-', ':'], "");
    format!("{seconds}Z-{}-{:06}{SUFFIX}", header.boot, header.sequence)
}

/// Every segment in a directory, oldest first.
pub(crate) fn segments(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(is_ours) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Gives a segment a second name, under which it stays when the trace is full. An operator removes
/// it.
///
/// # Errors
/// When the directory does not take the name, or when [`KEPT_MAX`] segments are kept already.
pub(super) fn keep(segment: &Path) -> io::Result<PathBuf> {
    let directory = segment.parent().unwrap_or(Path::new("."));
    let mut kept = 0;
    for entry in fs::read_dir(directory)? {
        kept += usize::from(entry?.file_name().to_string_lossy().ends_with(KEPT_SUFFIX));
    }
    if kept >= KEPT_MAX {
        return Err(io::Error::other(format!("{kept} segments are kept already")));
    }
    let mut name = segment.to_owned().into_os_string();
    name.push(".kept");
    let name = PathBuf::from(name);
    fs::hard_link(segment, &name).map(|()| name)
}

/// Whether a file has the name of a segment: nothing else is ever removed.
fn is_ours(name: &str) -> bool {
    let parts: Vec<&str> = name.strip_suffix(SUFFIX).unwrap_or_default().split('-').collect();
    let is_made_of = |part: &str, length, allowed: fn(&u8) -> bool| {
        part.len() == length && part.bytes().all(|byte| allowed(&byte))
    };
    match parts[..] {
        [time, boot, sequence] => {
            is_made_of(time, 16, |byte| byte.is_ascii_digit() || matches!(byte, b'T' | b'Z'))
                && is_made_of(boot, 8, u8::is_ascii_hexdigit)
                && is_made_of(sequence, 6, u8::is_ascii_digit)
        }
        _ => false,
    }
}

/// Creates the file of a segment of at most `limit` bytes. Removes the oldest ones, so that all
/// together stay within `total` bytes.
///
/// # Errors
/// If it cannot be created, or if the disk has no room for two of its size: the remaining space is
/// for the state, not for the trace.
pub(super) fn create(
    directory: &Path,
    header: &Header,
    limit: u64,
    total: u64,
) -> io::Result<(PathBuf, File)> {
    if directory.exists() {
        make_room(directory, total.saturating_sub(limit))?;
    }
    let free = free_bytes(directory)?;
    if free < 2 * limit {
        let reason = format!("only {free} bytes are free on the disk");
        return Err(io::Error::new(io::ErrorKind::StorageFull, reason));
    }
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let path = directory.join(name(header));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    Ok((path, file))
}

/// Removes the oldest segments until the others take no more than `total` bytes.
fn make_room(directory: &Path, total: u64) -> io::Result<()> {
    let mut sizes = Vec::new();
    for path in segments(directory)? {
        let bytes = fs::metadata(&path)?.len();
        sizes.push((path, bytes));
    }
    let mut sum: u64 = sizes.iter().map(|(_, bytes)| bytes).sum();
    for (path, bytes) in sizes {
        if sum <= total {
            break;
        }
        fs::remove_file(path)?;
        sum -= bytes;
    }
    Ok(())
}

/// How much may be written where `directory` is or would be.
fn free_bytes(directory: &Path) -> io::Result<u64> {
    let there = directory.ancestors().find(|path| path.exists());
    let there = there.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let system = rustix::fs::statvfs(there)?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}
