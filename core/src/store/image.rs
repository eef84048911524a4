//! The whole durable state of a master.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use super::record::Record;
use crate::counters::SavedTotals;
use crate::ids::InstanceId;
use crate::instance::Definition;
use crate::master::MasterIdentity;

/// Everything that survives a restart (Contract §11).
#[derive(Clone, Debug)]
pub struct Image {
    /// Who the master is.
    pub master: MasterIdentity,
    /// Every instance, by its id.
    pub instances: BTreeMap<InstanceId, StoredInstance>,
}

/// What is stored of one instance.
#[derive(Clone, Debug)]
pub struct StoredInstance {
    /// Its definition.
    pub definition: Arc<Definition>,
    /// Its numbers.
    pub totals: SavedTotals,
}

impl Image {
    /// The state of a master that has no instances yet.
    pub const fn new(master: MasterIdentity) -> Self {
        Self { master, instances: BTreeMap::new() }
    }

    /// Takes a record in. Returns the record that takes it back.
    pub fn apply(&mut self, record: &Record) -> Record {
        match record {
            Record::PutInstance { definition, totals } => {
                let stored = StoredInstance { definition: definition.clone(), totals: *totals };
                let id = definition.id;
                Self::undo(id, self.instances.insert(id, stored))
            }
            Record::RemoveInstance(id) => Self::undo(*id, self.instances.remove(id)),
            Record::PutMaster(master) => {
                Record::PutMaster(core::mem::replace(&mut self.master, master.clone()))
            }
        }
    }

    /// Takes newer totals of an instance in; those of an unknown instance are passed over.
    pub fn set_totals(&mut self, id: InstanceId, totals: SavedTotals) {
        if let Some(stored) = self.instances.get_mut(&id) {
            stored.totals = totals;
        }
    }

    fn undo(id: InstanceId, before: Option<StoredInstance>) -> Record {
        match before {
            Some(StoredInstance { definition, totals }) => {
                Record::PutInstance { definition, totals }
            }
            None => Record::RemoveInstance(id),
        }
    }
}
