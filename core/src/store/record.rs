//! One durable change.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::counters::SavedTotals;
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

/// One line of the journal.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A change that somebody waits for.
    Change(Record),
    /// Totals that changed since they were last kept; nobody waits for them.
    Totals(Vec<(InstanceId, SavedTotals)>),
}
