//! What the spawner's thread is asked.

use std::sync::Arc;

use openctrl_core::ids::ProcessRef;
use openctrl_core::instance::Definition;

/// Holds no descriptor: the thread could not use it.
pub(super) enum Job {
    Spawn(ProcessRef, Arc<Definition>),
    /// A process has the number of one of the last master in the ledger.
    Name(ProcessRef, u64),
    Gone(ProcessRef),
}
