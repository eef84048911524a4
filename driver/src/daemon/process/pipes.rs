//! The pipes that a process prints to, before it is started.

use std::io::{self, PipeReader, PipeWriter};

use openctrl_core::instance::{Checks, Stderr};

use crate::outputs::Outputs;

/// The pipes of one process.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) read: Outputs<PipeReader>,
    pub(super) write: Outputs<PipeWriter>,
}

impl Pipes {
    /// One pipe for both outputs, and one of its own for standard error if the instance asks for that
    /// and `has_room` says so: it is of use, but a process that has none starts all the same.
    pub(super) fn new(
        checks: &Checks,
        has_room: impl FnOnce(&PipeReader) -> bool,
    ) -> io::Result<Self> {
        let (stdout, input) = io::pipe()?;
        let is_apart = checks.stderr == Stderr::Apart && has_room(&stdout);
        let (stderr, error) = if is_apart { Some(io::pipe()?) } else { None }.unzip();
        Ok(Self {
            read: Outputs { stdout, stderr },
            write: Outputs { stdout: input, stderr: error },
        })
    }
}
