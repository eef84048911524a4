//! A bare loop that appends a record and syncs it.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// As large as the record of a change of an instance with a short URL.
const RECORD_BYTES: usize = 200;

/// How many records, each synced by itself, the disk takes in a second.
///
/// # Errors
/// What the system says.
pub fn syncs_per_s(file: &Path, duration: Duration) -> io::Result<f64> {
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    let begun = Instant::now();
    let mut count = 0_u64;
    while begun.elapsed() < duration {
        file.write_all(&[b'r'; RECORD_BYTES])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}
