//! The instance table: slots that are used again, and the ids that lead to them.
//!
//! Everything that is about one instance is found in constant or logarithmic time.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::instance::Instance;
use crate::canary::{self, Canary};
use crate::ids::{InstanceId, ProcessRef, SlotId};

/// All instances of the master.
#[derive(Clone, Debug, Default)]
pub struct Table {
    slots: Vec<Option<Instance>>,
    free: Vec<SlotId>,
    by_id: BTreeMap<InstanceId, SlotId>,
}

impl Table {
    /// Adds an instance. Its id must not be in the table.
    pub fn insert(&mut self, instance: Instance) -> SlotId {
        let id = instance.definition().id;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            SlotId(u32::try_from(self.slots.len() - 1).expect("fewer instances than 2^32"))
        });
        self.slots[slot.0 as usize] = Some(instance);
        let earlier = self.by_id.insert(id, slot);
        assert!(earlier.is_none(), "instance {id} is in the table already");
        slot
    }

    /// Takes an instance out; its slot is free for another one.
    pub fn remove(&mut self, slot: SlotId) -> Option<Instance> {
        let instance = self.slots.get_mut(slot.0 as usize)?.take()?;
        self.by_id.remove(&instance.definition().id);
        if !canary::is(Canary::SlotLeaked) {
            self.free.push(slot);
        }
        Some(instance)
    }

    /// Restores a table from its rows and its free slots, of which the last is used next. `None` if
    /// they contradict each other.
    pub(crate) fn restored(slots: Vec<Option<Instance>>, free: Vec<SlotId>) -> Option<Self> {
        let mut is_free: Vec<bool> = slots.iter().map(Option::is_none).collect();
        for slot in &free {
            if !core::mem::take(is_free.get_mut(slot.0 as usize)?) {
                return None;
            }
        }
        let mut by_id = BTreeMap::new();
        for (slot, row) in (0u32..).zip(&slots) {
            if let Some(instance) = row
                && by_id.insert(instance.definition().id, SlotId(slot)).is_some()
            {
                return None;
            }
        }
        (!is_free.contains(&true)).then_some(Self { slots, free, by_id })
    }

    /// Every row, free ones included, and the free slots, of which the last is used next.
    pub(crate) fn parts(&self) -> (&[Option<Instance>], &[SlotId]) {
        (&self.slots, &self.free)
    }

    /// The slot of the instance `id`.
    pub fn find(&self, id: InstanceId) -> Option<SlotId> {
        self.by_id.get(&id).copied()
    }

    /// The instance in `slot`, if there is one.
    pub fn get(&self, slot: SlotId) -> Option<&Instance> {
        self.slots.get(slot.0 as usize)?.as_ref()
    }

    /// The instance in `slot`, to change it.
    pub fn get_mut(&mut self, slot: SlotId) -> Option<&mut Instance> {
        self.slots.get_mut(slot.0 as usize)?.as_mut()
    }

    /// The slot of `process`, if it is still the process of an instance. This is the one place that
    /// drops late input of an earlier process.
    pub fn current(&self, process: ProcessRef) -> Option<SlotId> {
        let instance = self.get(process.slot)?;
        let is_its_own = instance.lifecycle().generation() == process.generation
            || canary::is(Canary::GenerationUnchecked);
        let current = is_its_own && instance.state().has_process();
        current.then_some(process.slot)
    }

    /// Every taken slot, in order.
    pub fn slots(&self) -> impl Iterator<Item = SlotId> + '_ {
        (0u32..).zip(&self.slots).filter(|(_, row)| row.is_some()).map(|(slot, _)| SlotId(slot))
    }

    /// Every id, in order, and the slot that it leads to.
    pub(crate) fn ids(&self) -> impl Iterator<Item = (InstanceId, SlotId)> + '_ {
        self.by_id.iter().map(|(id, slot)| (*id, *slot))
    }

    /// How many instances there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether the table is empty.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}
