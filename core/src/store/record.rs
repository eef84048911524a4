//! One durable change.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::kept::Kept;
use crate::access::TokenChange;
use crate::counters::SavedTotals;
use crate::ids::{EventId, InstanceId};
use crate::instance::{Definition, Desired, PastRun};
use crate::master::MasterIdentity;

/// A change that must be on the disk before any client sees it (Contract §11).
#[derive(Clone, Debug, Hash)]
pub enum Record {
    /// The new state of an instance: created, changed or reset.
    PutInstance {
        /// Its whole definition.
        definition: Arc<Definition>,
        /// Its desired state, with every pending change.
        desired: Arc<Desired>,
        /// Its totals at that moment.
        totals: SavedTotals,
    },
    /// A run of an instance ended.
    AddRun {
        /// Which instance.
        id: InstanceId,
        /// The run.
        run: Arc<PastRun>,
        /// How many runs are kept.
        most: u16,
    },
    /// The runs of an instance as they were: what takes an `AddRun` back.
    PutRuns {
        /// Which instance.
        id: InstanceId,
        /// Its runs, the oldest first.
        runs: Arc<VecDeque<Arc<PastRun>>>,
    },
    /// An instance is deleted.
    RemoveInstance(InstanceId),
    /// Something else is desired of an instance; its definition stays. Without effect on an
    /// instance that does not exist.
    SetDesired {
        /// The instance.
        id: InstanceId,
        /// The new desired state.
        desired: Arc<Desired>,
    },
    /// The alias or the key of the master changed.
    PutMaster(MasterIdentity),
    /// Event ids below this one may be given out; the next master begins with it.
    ReserveEvents(EventId),
}

/// One entry of the journal.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A change whose durability is waited for.
    Change(Record),
    /// A change, and the events of the control API that it causes: both or neither.
    Caused(Record, Box<Kept>),
    /// Events and rules of the control API.
    Kept(Box<Kept>),
    /// Totals that changed since they were last kept; nothing waits for them.
    Totals(Vec<(InstanceId, SavedTotals)>),
    /// A change of the tokens.
    Tokens(Box<TokenChange>),
}
