//! The signals that stop a demo. Owns the platform's names for them.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlBreak, CtrlC, ctrl_break, ctrl_c};

/// A request to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// A supervisor's: SIGTERM, or Ctrl-Break on Windows.
    Terminate,
    /// A person's: SIGINT, or Ctrl-C.
    Interrupt,
}

/// Listens for both; while it exists, neither terminates the process directly.
#[derive(Debug)]
pub(super) struct Signals {
    #[cfg(unix)]
    terminate: Signal,
    #[cfg(unix)]
    interrupt: Signal,
    #[cfg(windows)]
    terminate: CtrlBreak,
    #[cfg(windows)]
    interrupt: CtrlC,
}

impl Signals {
    /// Installs the handlers; needs a running async runtime.
    pub(super) fn listen() -> io::Result<Self> {
        #[cfg(unix)]
        let (terminate, interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        #[cfg(windows)]
        let (terminate, interrupt) = (ctrl_break()?, ctrl_c()?);
        Ok(Self { terminate, interrupt })
    }

    /// Waits for the next one. Dropping the future loses none.
    pub(super) async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Terminate,
            _ = self.interrupt.recv() => Stop::Interrupt,
        }
    }
}
