//! Whether the master serves, shuts down, or is done.

/// Whether the master is shutting down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// At work.
    Serving,
    /// Waiting until processes have exited and records are durable.
    ShuttingDown,
    /// Nothing is left to do.
    Finished,
}

impl Life {
    pub(super) const fn is_serving(self) -> bool {
        matches!(self, Self::Serving)
    }
}
