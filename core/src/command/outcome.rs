//! What came of a command.

use super::desire::DesireDone;
use super::dial::DialReport;
use super::refusal::Refusal;
use crate::instance::InstanceView;
use crate::master::MasterIdentity;

/// What came of a command, as values: a door renders them.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// An instance was changed, or was found to be as requested.
    Done {
        /// The instance just before the change took effect.
        before: InstanceView,
        /// The instance now.
        after: InstanceView,
    },
    /// The instance was created.
    Created(InstanceView),
    /// The instance has another URL, and was started with it.
    Replaced(InstanceView),
    /// The instance was deleted.
    Removed,
    /// The instance is of another revision than expected: nothing was changed. It as it is now.
    Stale(InstanceView),
    /// The alias of the master is as requested.
    AliasSet,
    /// What came of a change of what is wanted.
    Desired(DesireDone),
    /// Another API key is in force.
    KeyRotated(MasterIdentity),
    /// The dial ended.
    Dialed(DialReport),
    /// Nothing was changed.
    Refused(Refusal),
}
