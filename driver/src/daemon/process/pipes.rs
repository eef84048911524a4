//! The pipes that a process prints to, before it is started.

use std::io::{self, PipeReader, PipeWriter};
use std::sync::Once;

use openctrl_core::instance::{Checks, Stderr};

use crate::descriptors::joined;
use crate::outputs::Outputs;

/// That outputs are joined is logged once.
static JOINED: Once = Once::new();

/// The pipes of one process.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) read: Outputs<PipeReader>,
    pub(super) write: Outputs<PipeWriter>,
}

impl Pipes {
    /// One pipe for both outputs, and one of its own for standard error if the instance asks for that
    /// and `has_room` says so, given the one pipe: the other is of use, but a process starts without it.
    pub(super) fn new(
        checks: &Checks,
        has_room: impl FnOnce(&PipeReader) -> bool,
    ) -> io::Result<Self> {
        let (stdout, input) = io::pipe()?;
        let is_wanted = checks.stderr == Stderr::Apart;
        let is_apart = is_wanted && has_room(&stdout);
        if is_wanted && !is_apart {
            JOINED.call_once(|| tracing::warn!("{}", joined()));
        }
        let (stderr, error) = if is_apart { Some(io::pipe()?) } else { None }.unzip();
        Ok(Self {
            read: Outputs { stdout, stderr },
            write: Outputs { stdout: input, stderr: error },
        })
    }
}
