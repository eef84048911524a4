//! Why a watch of a process wakes.

use openctrl_core::keeper::Ended;

/// Why a watch of a process wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// The process has ended; and, unless the keeper was lost then, whether others of its group
    /// are left.
    Ended(Ended, Option<bool>),
    /// The keeper was lost: it reports no end.
    Orphaned,
}
