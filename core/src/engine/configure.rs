//! Applies a reloaded configuration: new instances start, changed ones are redefined, removed ones
//! are deleted, and unchanged ones are not touched.
//!
//! It waits until the changes of an earlier one are done, and is applied again if the disk refuses
//! a change of it.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use rand_chacha::rand_core::Rng;

use super::Engine;
use super::commits::{Change, Commit};
use super::operations::Operations;
use crate::event::{EventKind, Object};
use crate::expect::Expect;
use crate::ids::{RequestId, SlotId, StoreEpoch};
use crate::instance::{Definition, Desired, Instance, Label, Operation, OperationKind};
use crate::limits::INSTANCES_MAX;
use crate::store::{Record, begin};
use crate::time::Now;

impl Engine {
    /// Applies the configuration that was read last, if it is due and can be applied.
    pub(super) fn reconfigure(&mut self, now: Now) {
        // Almost always none is, and to look for changes takes time linear in instances.
        if !self.reload.as_ref().is_some_and(|reload| reload.is_due) || self.is_reconfiguring() {
            return;
        }
        if let Some(reload) = &mut self.reload {
            reload.is_due = false;
            let set = Arc::clone(&reload.set);
            self.operations(now).configure_all(&set);
        }
    }

    /// The disk refuses what is on its way: if a change of the configuration is among it, all of
    /// the configuration is compared again later.
    pub(super) fn configuration_refused(&mut self, epoch: StoreEpoch) {
        let is_of_configuration = |commit: &Commit| match commit.change {
            Change::Configure(..) => true,
            Change::Patch { .. } | Change::Replace { .. } | Change::Delete(_) => {
                commit.request == RequestId::NONE
            }
            Change::Create(_)
            | Change::Desire { .. }
            | Change::Shown { .. }
            | Change::SetAlias(_)
            | Change::RotateKey(_) => false,
        };
        let is_refused =
            epoch == self.commits.epoch && self.commits.queue.iter().any(is_of_configuration);
        if let Some(reload) = self.reload.as_mut().filter(|_| is_refused) {
            reload.is_due = true;
        }
    }

    /// Whether changes of an earlier configuration are not done yet.
    fn is_reconfiguring(&self) -> bool {
        let is_new = |commit: &Commit| matches!(commit.change, Change::Configure(..));
        let mut rows = self.table.slots().filter_map(|slot| self.table.get(slot));
        self.commits.queue.iter().any(is_new)
            || rows.any(|row| row.definition().is_configured() && !row.queue().is_empty())
    }
}

impl Operations<'_> {
    /// A configuration was read again.
    pub(super) fn configure_all(&mut self, set: &[(Definition, Desired)]) {
        if !self.life.is_serving() {
            return;
        }
        let mut known: BTreeMap<Label, SlotId> = BTreeMap::new();
        for slot in self.table.slots() {
            let definition = self.table.get(slot).map(|instance| instance.definition());
            let label =
                definition.filter(|one| one.is_configured()).and_then(|one| one.label.clone());
            if let Some(label) = label {
                known.insert(label, slot);
            }
        }
        for (definition, initial) in set {
            match definition.label.as_ref().and_then(|label| known.remove(label)) {
                Some(slot) => self.redefine(slot, definition),
                None => self.configure(definition, initial),
            }
        }
        for slot in known.into_values() {
            // It is only full of operations that also stop it.
            let _ = self.enqueue(slot, operation(OperationKind::Delete));
        }
    }

    /// Puts a new instance in the table, its record being durable.
    pub(super) fn configured(&mut self, definition: Arc<Definition>, desired: &Desired) {
        let mut instance = Instance::new(definition, 0, crate::counters::Totals::default());
        *instance.desired_mut() = desired.clone();
        let view = instance.view();
        let slot = self.table.insert(instance);
        if let Some(mut supervisor) = self.supervise(slot) {
            supervisor.show_facts();
            supervisor.arrive();
        }
        self.out.publish(self.now.wall, EventKind::Create, Object::Instance(view));
        let affected = self.link(slot);
        self.settle(slot);
        self.settle_all(affected);
    }

    fn configure(&mut self, definition: &Definition, initial: &Desired) {
        if self.table.len() + self.commits.reserved() >= INSTANCES_MAX {
            return;
        }
        let id = self.unused_id();
        let definition = Arc::new(Definition { id, ..definition.clone() });
        let desired = Arc::new(begin(initial.clone(), self.rng.next_u64()));
        let totals = crate::counters::SavedTotals::default();
        let (stored, wanted) = (Arc::clone(&definition), Arc::clone(&desired));
        let put = Record::PutInstance { definition: stored, desired: wanted, totals };
        let change = Change::Configure(definition, desired);
        self.commits.submit(self.out, RequestId::NONE, put, change);
    }

    fn redefine(&mut self, slot: SlotId, wanted: &Definition) {
        let Some(instance) = self.table.get_mut(slot) else { return };
        let newest = Arc::clone(instance.versions().newest());
        let revision = newest.revision;
        let mut definition = Definition { id: newest.id, revision, ..wanted.clone() };
        if definition == *newest {
            return;
        }
        definition.revision = revision.next();
        let is_same_process = definition.launch == newest.launch
            && definition.setup == newest.setup
            && definition.liveness == newest.liveness;
        let definition = Arc::new(definition);
        if is_same_process {
            let totals = instance.saved_totals();
            let goal = instance.newest_goal();
            let desired = instance.stage(Arc::clone(&definition), goal);
            let stored = Arc::clone(&definition);
            let record = Record::PutInstance { definition: stored, desired, totals };
            let change = Change::Patch { slot, definition, action: None, goal };
            self.commits.submit(self.out, RequestId::NONE, record, change);
        } else {
            let _ = self.enqueue(slot, operation(OperationKind::Redefine(definition)));
        }
    }
}

/// An operation that no request waits for.
fn operation(kind: OperationKind) -> Operation {
    Operation::new(RequestId::NONE, Expect::Any, kind)
}
