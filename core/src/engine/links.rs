//! Instances that start after others: who waits for whom.
//!
//! Only names that something waits for are kept, so that instances without `after` cost nothing. All
//! of it derives from the definitions.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use crate::ids::SlotId;
use crate::instance::{Definition, Table};

/// Who waits for whom.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    names: BTreeMap<String, Name>,
    /// The names that an instance starts after.
    after: BTreeMap<SlotId, Vec<String>>,
    /// The aliases of instances that something waits for.
    aliases: BTreeMap<SlotId, String>,
    /// Of each instance that is stopped in order: those that exit before it is asked to.
    pub(super) ahead: BTreeMap<SlotId, BTreeSet<SlotId>>,
    /// Those that the action under way has yet to reach; empty between two inputs.
    pub(super) unreached: BTreeSet<SlotId>,
}

/// A name that something waits for.
#[derive(Clone, Debug, Default)]
struct Name {
    waiting: BTreeSet<SlotId>,
    /// The instances with this alias.
    bearers: BTreeSet<SlotId>,
}

impl Links {
    /// Whether nothing waits for anything.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether something waits for this name.
    pub(super) fn is_awaited(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// The instances that something waits for.
    pub(super) fn awaited(&self) -> Vec<SlotId> {
        self.aliases.keys().copied().collect()
    }

    /// Takes in an instance with its definition.
    pub(super) fn add(&mut self, slot: SlotId, definition: &Definition, table: &Table) {
        let (alias, after) = (&definition.alias, &definition.checks.after);
        for name in after {
            if !self.names.contains_key(name) {
                let bears = |slot: &SlotId| {
                    table.get(*slot).is_some_and(|row| row.definition().alias == *name)
                };
                let bearers: BTreeSet<SlotId> = table.slots().filter(bears).collect();
                self.aliases.extend(bearers.iter().map(|slot| (*slot, name.clone())));
                self.names.insert(name.clone(), Name { waiting: BTreeSet::new(), bearers });
            }
            if let Some(known) = self.names.get_mut(name) {
                known.waiting.insert(slot);
            }
        }
        if !after.is_empty() {
            self.after.insert(slot, after.clone());
        }
        if let Some(name) = self.names.get_mut(alias) {
            name.bearers.insert(slot);
            self.aliases.insert(slot, alias.clone());
        }
    }

    /// Forgets an instance.
    pub(super) fn remove(&mut self, slot: SlotId) {
        for name in self.after.remove(&slot).unwrap_or_default() {
            let Some(known) = self.names.get_mut(&name) else { continue };
            known.waiting.remove(&slot);
            if known.waiting.is_empty() {
                let bearers = core::mem::take(&mut known.bearers);
                bearers.iter().for_each(|slot| drop(self.aliases.remove(slot)));
                self.names.remove(&name);
            }
        }
        if let Some(alias) = self.aliases.remove(&slot)
            && let Some(name) = self.names.get_mut(&alias)
        {
            name.bearers.remove(&slot);
        }
    }

    /// Those that wait for an instance.
    pub(super) fn waiting_for(&self, slot: SlotId) -> Vec<SlotId> {
        let name = self.aliases.get(&slot).and_then(|alias| self.names.get(alias));
        name.map(|name| name.waiting.iter().copied().collect()).unwrap_or_default()
    }

    /// The first name of which an instance is not ready, or that no instance has.
    pub(super) fn hold(&self, slot: SlotId, table: &Table) -> Option<&str> {
        let is_ready = |slot: &SlotId| table.get(*slot).is_some_and(|row| row.is_ready());
        let is_met = |name: &Name| !name.bearers.is_empty() && name.bearers.iter().all(is_ready);
        let mut names = self.after.get(&slot)?.iter();
        names.find(|name| !self.names.get(*name).is_some_and(is_met)).map(String::as_str)
    }

    /// Notes that an instance is stopped after all that start after it, have a process and are
    /// `selected`. Whether there are any.
    pub(super) fn put_behind(
        &mut self,
        slot: SlotId,
        selected: impl Fn(SlotId) -> bool,
        table: &Table,
    ) -> bool {
        let runs = |slot: SlotId| table.get(slot).is_some_and(|row| row.state().has_process());
        let mut ahead: BTreeSet<SlotId> = self.waiting_for(slot).into_iter().collect();
        ahead.retain(|other| *other != slot && runs(*other) && selected(*other));
        let is_behind = !ahead.is_empty();
        if is_behind {
            self.ahead.insert(slot, ahead);
        } else {
            self.ahead.remove(&slot);
        }
        is_behind
    }

    /// The order of stops, as it is frozen.
    pub(super) fn frozen_order(&self) -> Vec<(u32, Vec<u32>)> {
        let numbers = |ahead: &BTreeSet<SlotId>| ahead.iter().map(|slot| slot.0).collect();
        self.ahead.iter().map(|(slot, ahead)| (slot.0, numbers(ahead))).collect()
    }

    /// Nothing waits for the exit of an instance any more. Returns those that waited for it alone.
    pub(super) fn step_aside(&mut self, slot: SlotId) -> Vec<SlotId> {
        let let_go = self.ahead.extract_if(.., |_, ahead| ahead.remove(&slot) && ahead.is_empty());
        let_go.map(|(behind, _)| behind).collect()
    }
}
