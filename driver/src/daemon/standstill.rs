//! How the loop is asked to pause while its program is replaced, and what it hands over.

use std::fmt;
use std::os::fd::RawFd;

use openctrl_core::ids::RunId;
use openctrl_core::line::UnfinishedLine;
use openctrl_core::stream::Stream;
use tokio::sync::oneshot;

/// Asks the loop to pause.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux replaces it"))]
#[derive(Debug)]
pub(crate) struct Freeze {
    /// Gets what the loop hands over. If it is dropped before, the loop goes on.
    pub(crate) frozen: oneshot::Sender<Frozen>,
    /// The loop pauses until this is dropped.
    pub(crate) resume: oneshot::Receiver<()>,
}

/// What only the loop has.
pub(crate) struct Frozen {
    /// The engine.
    pub(crate) engine: Vec<u8>,
    /// The number of the last request.
    pub(crate) last_request: u64,
    /// The lines that runs have not ended yet, and their streams.
    pub(crate) unfinished: Vec<(RunId, Stream, UnfinishedLine)>,
    /// Where runs say that they are ready.
    pub(crate) notify: Vec<(RunId, RawFd)>,
}

impl fmt::Debug for Frozen {
    /// Leaves the content out: it has secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frozen({} unfinished lines)", self.unfinished.len())
    }
}
