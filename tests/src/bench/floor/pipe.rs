//! A bare reader of a pipe: reads what a process prints and finds its lines.

use std::io::{self, Read};
use std::path::Path;
use std::time::Instant;

use memchr::memmem;

use super::super::meter::thread_cpu_ns;
use super::spawn;

/// What a master reads at a time.
const BLOCK_BYTES: usize = 64 * 1024;
const END_MARK: &[u8] = b"TCPRX=987654321987";

/// What the reading came to.
#[derive(Clone, Copy, Debug)]
pub struct PipeFloor {
    /// Lines per second.
    pub lines_per_s: f64,
    /// CPU time of the reader a line, in µs.
    pub cpu_us: f64,
    /// Megabytes per second.
    pub mb_per_s: f64,
}

/// Reads what `program` prints for `url`, up to the end mark.
///
/// # Errors
/// What the system says.
pub fn read_lines(program: &Path, url: &str) -> io::Result<PipeFloor> {
    let (mut child, mut output) = spawn::start(program, url)?;
    let mut block = vec![0; BLOCK_BYTES];
    let (mut lines, mut bytes) = (0, 0);
    // A process makes its lines before it prints them: the time begins with the first.
    let mut begun = None;
    let cpu = thread_cpu_ns();
    loop {
        let count = output.read(&mut block)?;
        let text = &block[..count];
        begun.get_or_insert_with(Instant::now);
        lines += memchr::memchr_iter(b'\n', text).count();
        bytes += count;
        // The end mark is written alone, and comes again if a read cuts it in two.
        let last = &text[text.len().saturating_sub(200)..];
        if count == 0 || memmem::find(last, END_MARK).is_some() {
            break;
        }
    }
    let took = begun.map_or(f64::NAN, |begun| begun.elapsed().as_secs_f64());
    let cpu_us = (thread_cpu_ns() - cpu) / 1e3 / lines as f64;
    child.kill()?;
    child.wait()?;
    Ok(PipeFloor { lines_per_s: lines as f64 / took, cpu_us, mb_per_s: bytes as f64 / took / 1e6 })
}
