//! The parts of a running master that an upgrade needs.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use openctrl_core::handover::Descriptor;
use openctrl_core::ids::BootId;

use super::own_program::OwnProgram;
use crate::daemon::access::Audit;
use crate::daemon::clock::Clock;
use crate::daemon::console::Console;
use crate::daemon::control::OpenSockets;
use crate::daemon::gate::Gate;
use crate::daemon::hub::Hub;
use crate::daemon::inbox::Mailbox;
use crate::daemon::logs::Logs;
use crate::daemon::service::Notifier;

/// What does not change while the master runs.
pub(crate) struct Fixed {
    pub(crate) program: OwnProgram,
    pub(crate) state: PathBuf,
    pub(crate) boot: BootId,
    /// How many programs were replaced in this process.
    pub(crate) generation: u32,
    /// The address of the API, for the service manager.
    pub(crate) address: String,
    /// Why this master is not upgraded in place, with the remedy.
    pub(crate) obstacle: Option<&'static str>,
    /// The number of the lock of the state directory, which may be made anew.
    pub(crate) lock: Arc<AtomicI32>,
    /// Other descriptors that stay open.
    pub(crate) descriptors: Vec<Descriptor>,
    /// The certificate that was made in memory, and its key.
    pub(crate) certificate: Option<(Vec<u8>, Vec<u8>)>,
}

/// What works, and has to pause.
pub(crate) struct Running {
    /// What connections pass.
    pub(crate) gates: [Arc<Gate>; 2],
    pub(crate) hub: Arc<Hub>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) audit: Audit,
    pub(crate) notifier: Notifier,
    pub(crate) consoles: [Console; 2],
    pub(crate) mailbox: Mailbox,
    pub(crate) clock: Clock,
    /// The Unix sockets.
    pub(crate) sockets: OpenSockets,
}
