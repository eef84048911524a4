//! Starts and stops instances in the order of their links, and refuses links that make a circle.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::commits::Change;
use super::operations::Operations;
use super::timers::TimerReason;
use crate::command::Refusal;
use crate::ids::{InstanceId, RequestId, SlotId};
use crate::instance::{Definition, circle};
use crate::limits::SHUTDOWN_ORDER_MS;

impl Operations<'_> {
    /// The definition of an instance is in force. Returns the instances that have to be settled.
    pub(super) fn link(&mut self, slot: SlotId) -> Vec<SlotId> {
        let Some(definition) = self.table.get(slot).map(|row| row.definition()) else {
            return Vec::new();
        };
        if self.links.is_empty() && definition.checks.after.is_empty() {
            return Vec::new();
        }
        let mut affected = self.links.waiting_for(slot);
        self.links.remove(slot);
        self.links.add(slot, definition, self.table);
        affected.extend(self.links.waiting_for(slot));
        affected.push(slot);
        affected.retain(|slot| self.refresh(*slot));
        affected
    }

    /// An instance is taken out of the table. Returns the instances that have to be settled.
    pub(super) fn unlink(&mut self, slot: SlotId) -> Vec<SlotId> {
        let mut affected = self.links.waiting_for(slot);
        self.links.remove(slot);
        affected.retain(|waiting| *waiting != slot && self.refresh(*waiting));
        self.links.ahead.remove(&slot);
        let freed = self.links.step_aside(slot);
        affected.extend(self.let_go(freed));
        affected
    }

    /// Whether an instance became ready or stopped to be, and what follows: the instances that have
    /// to be settled.
    pub(super) fn spread(&mut self, slot: SlotId) -> Vec<SlotId> {
        let Some(instance) = self.table.get_mut(slot) else { return Vec::new() };
        let is_ready = instance.is_ready();
        let is_news =
            core::mem::replace(&mut instance.readiness_mut().announced, is_ready) != is_ready;
        if let Some(mut supervisor) = self.supervise(slot) {
            supervisor.note_readiness();
            supervisor.show_facts();
        }
        self.keep_schedule(slot);
        let mut affected = if is_news { self.links.waiting_for(slot) } else { Vec::new() };
        affected.retain(|waiting| self.refresh(*waiting));
        if !self.links.ahead.is_empty() {
            affected.extend(self.make_way(slot));
        }
        affected
    }

    /// The master shuts down: what others start after is stopped after them.
    pub(super) fn begin_order(&mut self) {
        let mut has_order = false;
        for slot in self.links.awaited() {
            has_order |= self.put_behind(slot, |_| true);
        }
        if has_order {
            let limit = self.now.mono.after_ms(SHUTDOWN_ORDER_MS);
            self.timers.arm(TimerReason::ShutdownOrder, limit);
        }
    }

    /// These are stopped: those of them that others of them start after come last.
    pub(super) fn stop_in_order(&mut self, ids: &[InstanceId]) {
        if self.links.is_empty() {
            return;
        }
        let slots: BTreeSet<SlotId> = ids.iter().filter_map(|id| self.table.find(*id)).collect();
        for slot in &slots {
            self.put_behind(*slot, |other| slots.contains(&other));
        }
        self.links.unreached = slots;
    }

    /// Sorts parts of a request so that each comes after those that it starts after: what these do
    /// decides whether it may start.
    pub(super) fn first_to_last(
        &self,
        mut parts: Vec<(RequestId, InstanceId)>,
    ) -> Vec<(RequestId, InstanceId)> {
        if self.links.is_empty() {
            return parts;
        }
        let slots = parts.iter().filter_map(|(_, id)| self.table.find(*id));
        let mut missing: BTreeMap<SlotId, usize> = slots.map(|slot| (slot, 0)).collect();
        for slot in missing.keys().copied().collect::<Vec<_>>() {
            for waiting in self.links.waiting_for(slot) {
                missing.entry(waiting).and_modify(|count| *count += 1);
            }
        }
        let free = missing.iter().filter(|(_, count)| **count == 0);
        let mut free: Vec<SlotId> = free.map(|(slot, _)| *slot).collect();
        let mut places = BTreeMap::new();
        while let Some(slot) = free.pop() {
            places.insert(slot, places.len());
            for waiting in self.links.waiting_for(slot) {
                let Some(count) = missing.get_mut(&waiting).filter(|count| **count > 0) else {
                    continue;
                };
                *count -= 1;
                if *count == 0 {
                    free.push(waiting);
                }
            }
        }
        parts.sort_by_key(|(_, id)| self.table.find(*id).and_then(|slot| places.get(&slot)));
        parts
    }

    /// Takes over the order of an engine that was frozen.
    pub(super) fn restore_order(&mut self, ahead: Vec<(u32, Vec<u32>)>) {
        for (slot, ahead) in ahead {
            let ahead: BTreeSet<SlotId> = ahead.into_iter().map(SlotId).collect();
            if let Some(instance) = self.table.get_mut(SlotId(slot)).filter(|_| !ahead.is_empty()) {
                instance.readiness_mut().is_needed = true;
                self.links.ahead.insert(SlotId(slot), ahead);
            }
        }
    }

    /// Waits no longer for what is to be stopped first. Returns the instances that have to be settled.
    pub(super) fn end_order(&mut self) -> Vec<SlotId> {
        let held = core::mem::take(&mut self.links.ahead).into_keys().collect();
        self.let_go(held)
    }

    /// Refuses a definition that would wait for itself. `slot` is where its instance is.
    pub(super) fn check_cycle(
        &self,
        slot: Option<SlotId>,
        definition: &Definition,
    ) -> Result<(), Refusal> {
        let alias = definition.alias.as_str();
        if alias.is_empty() || definition.checks.after.is_empty() {
            return Ok(());
        }
        let pending = || {
            self.commits.queue.iter().filter_map(|commit| match &commit.change {
                Change::Create(other) | Change::Replace { definition: other, .. } => Some(other),
                Change::Patch { definition: other, .. } => Some(other),
                Change::Configure(..)
                | Change::Delete(_)
                | Change::Desire { .. }
                | Change::Shown { .. }
                | Change::SetAlias(_)
                | Change::RotateKey(_) => None,
            })
        };
        let waits = |other: &Definition| other.checks.after.iter().any(|name| name == alias);
        // A circle needs one that waits for this.
        let is_awaited = self.links.is_awaited(alias);
        if !is_awaited && !waits(definition) && !pending().any(|other| waits(other)) {
            return Ok(());
        }
        let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let rows = self.table.slots().filter(|other| Some(*other) != slot);
        let rows =
            rows.filter_map(|other| self.table.get(other)).map(|row| row.versions().newest());
        let others = pending().filter(|other| other.id != definition.id).chain(rows);
        for other in others.map(|other| &**other).chain([definition]) {
            if !other.checks.after.is_empty() {
                let names = other.checks.after.iter().map(String::as_str);
                edges.entry(other.alias.as_str()).or_default().extend(names);
            }
        }
        match circle(alias, &edges) {
            Some(path) => Err(Refusal::Circle { path }),
            None => Ok(()),
        }
    }

    /// Recomputes what an instance waits for; whether that changed.
    fn refresh(&mut self, slot: SlotId) -> bool {
        let hold = self.links.hold(slot, self.table).map(Into::into);
        let Some(instance) = self.table.get_mut(slot) else { return false };
        let readiness = instance.readiness_mut();
        core::mem::replace(&mut readiness.waits_for, hold) != readiness.waits_for
    }

    /// Lets those be stopped that waited for the exit of this instance alone, if that is over or
    /// will not come. Returns the instances that have to be settled.
    fn make_way(&mut self, slot: SlotId) -> Vec<SlotId> {
        let is_serving = self.life.is_serving();
        let is_to_exit = self.table.get(slot).is_some_and(|row| row.is_to_exit(!is_serving));
        if is_to_exit || self.links.unreached.contains(&slot) {
            return Vec::new();
        }
        let freed = self.links.step_aside(slot);
        self.let_go(freed)
    }

    fn let_go(&mut self, mut held: Vec<SlotId>) -> Vec<SlotId> {
        held.retain(|slot| {
            let instance = self.table.get_mut(*slot);
            instance.is_some_and(|row| core::mem::take(&mut row.readiness_mut().is_needed))
        });
        held
    }

    fn put_behind(&mut self, slot: SlotId, selected: impl Fn(SlotId) -> bool) -> bool {
        let is_needed = self.links.put_behind(slot, selected, self.table);
        if let Some(instance) = self.table.get_mut(slot) {
            instance.readiness_mut().is_needed = is_needed;
        }
        is_needed
    }
}
