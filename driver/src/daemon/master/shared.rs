//! What all parts of a master share.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cgroups::Groups;
use crate::daemon::clock::Clock;
use crate::daemon::control::OpenSockets;
use crate::daemon::gate::Gate;
use crate::daemon::hub::Hub;
use crate::daemon::inbox::Mailbox;
use crate::daemon::logs::Logs;
use crate::daemon::patrol::Door;
use crate::daemon::usage::Processes;

/// What all parts of a master share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) state: PathBuf,
    pub(super) mailbox: Mailbox,
    pub(super) clock: Clock,
    pub(super) hub: Arc<Hub>,
    pub(super) logs: Arc<Logs>,
    pub(super) processes: Arc<Processes>,
    /// What connections pass: those of the API, and those of the control API.
    pub(super) gates: [Arc<Gate>; 2],
    /// The Unix sockets.
    pub(super) sockets: OpenSockets,
    /// The Patrol door, if there is one.
    pub(super) door: Option<Arc<Door>>,
    /// Where processes have control groups.
    pub(super) groups: Option<Groups>,
}
