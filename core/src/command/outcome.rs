//! The result of a command.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::acted::Acted;
use super::desire::DesireDone;
use super::dial::DialReport;
use super::refusal::Refusal;
use crate::instance::InstanceView;
use crate::master::MasterIdentity;

/// The result of a command, as values: a door renders them.
#[derive(Clone, Debug, Hash)]
pub enum Outcome {
    /// An instance was changed, or was found to be as requested.
    Done {
        /// The instance just before the change took effect.
        before: Box<InstanceView>,
        /// The instance now.
        after: InstanceView,
    },
    /// The instance was created.
    Created(InstanceView),
    /// The instance has another URL, and was started with it.
    Replaced(InstanceView),
    /// The instance was deleted.
    Removed,
    /// The instance has another revision than expected; nothing was changed. Has the current
    /// instance.
    Stale(InstanceView),
    /// The alias of the master is as requested.
    AliasSet,
    /// What came of a change of what is wanted.
    Desired(DesireDone),
    /// What an action did with each instance, in the order of their ids.
    Acted(Vec<Acted>),
    /// The API key was replaced.
    KeyRotated(MasterIdentity),
    /// The dial has finished.
    Dialed(DialReport),
    /// Nothing was changed.
    Refused(Refusal),
}
