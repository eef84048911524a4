//! One durable change.

use alloc::sync::Arc;

use crate::counters::Totals;
use crate::ids::InstanceId;
use crate::instance::Definition;
use crate::master::MasterIdentity;

/// A change that has to be on the disk before anybody hears of it (Contract §11).
#[derive(Clone, Debug)]
pub enum Record {
    /// An instance as it is from now on: created, changed or reset.
    PutInstance {
        /// Its whole definition.
        definition: Arc<Definition>,
        /// Its totals at that moment.
        totals: SavedTotals,
    },
    /// An instance is deleted.
    RemoveInstance(InstanceId),
    /// The alias or the key of the master changed.
    PutMaster(MasterIdentity),
}

/// What is kept of an instance's numbers while it does not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SavedTotals {
    /// The last mode.
    pub mode: i32,
    /// The byte counters, as shown.
    pub totals: Totals,
}
