//! Files that can be run again. What a file is, is told by how it begins, and this is the one
//! place where that is looked at: bare choices, as a fuzzer keeps them, begin with anything.

use std::fs;

/// What a file holds.
#[derive(Debug)]
pub(crate) enum Content {
    /// The choices of a run.
    Choices(Vec<u8>),
}

/// Reads a file.
///
/// # Errors
/// Why it cannot be read, and what to do.
pub(crate) fn read(path: &str) -> Result<Content, String> {
    let bytes = fs::read(path);
    bytes.map(Content::Choices).map_err(|error| {
        format!("cannot read {path:?}: {error}; name a file that `run --save` or a failure wrote")
    })
}

/// Writes the choices of a run.
///
/// # Errors
/// Why they cannot be written, and what to do.
pub(crate) fn write_choices(path: &str, choices: &[u8]) -> Result<(), String> {
    fs::write(path, choices).map_err(|error| {
        format!("cannot write {path:?}: {error}; name a file in a folder of yours")
    })
}
