//! Files that can be replayed. The first bytes determine the kind of a file, and only this module
//! reads them: bare choices, as a fuzzer stores them, start with other bytes.

use std::fs;

use openctrl_sim::trace::is_trace;

/// The content of a file.
#[derive(Debug)]
pub(crate) enum Content {
    /// The choices of a run.
    Choices(Vec<u8>),
    /// A segment of a trace of the real master.
    Trace(Vec<u8>),
}

/// Reads a file.
///
/// # Errors
/// Why it cannot be read, and what to do.
pub(crate) fn read(path: &str) -> Result<Content, String> {
    let bytes = fs::read(path).map_err(|error| {
        format!(
            "cannot read {path:?}: {error}; name a file that `run --save` or a failure wrote, or a segment of a trace"
        )
    })?;
    Ok(if is_trace(&bytes) { Content::Trace(bytes) } else { Content::Choices(bytes) })
}

/// Writes what can be run again.
///
/// # Errors
/// Why it cannot be written, and what to do.
pub(crate) fn write(path: &str, content: &[u8]) -> Result<(), String> {
    fs::write(path, content).map_err(|error| {
        format!("cannot write {path:?}: {error}; name a file in a folder of yours")
    })
}
