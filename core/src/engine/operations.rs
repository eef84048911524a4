//! What needs an instance without a process: PUT and DELETE, and the start after a stop.
//!
//! `settle` runs after every step of an instance and does what its new state allows.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::commits::{Change, Commits};
use super::effect::Effect;
use super::life::Life;
use super::links::Links;
use super::outbox::Outbox;
use super::supervisor::{Processes, Supervisor};
use super::timers::Timers;
use super::webhooks::Webhooks;
use super::zones::Zones;
use crate::command::{InstanceAction, Outcome, Refusal};
use crate::expect::Expect;
use crate::ids::{InstanceId, RequestId, SlotId};
use crate::instance::{
    Decision, Goal, InstanceEvent, InstanceView, OBJECT_MAX_BYTES, Operation, OperationKind, State,
    Table,
};
use crate::limits::OPERATIONS_MAX;
use crate::store::Record;
use crate::time::Now;
use crate::url::InstanceUrl;

/// The instances, with what may be touched to bring their operations on.
pub(super) struct Operations<'a> {
    pub(super) now: Now,
    pub(super) life: Life,
    pub(super) table: &'a mut Table,
    pub(super) processes: &'a mut Processes,
    pub(super) commits: &'a mut Commits,
    pub(super) timers: &'a mut Timers,
    pub(super) links: &'a mut Links,
    pub(super) zones: &'a mut Zones,
    pub(super) webhooks: &'a mut Webhooks,
    pub(super) rng: &'a mut ChaCha8Rng,
    pub(super) out: &'a mut Outbox,
}

impl Operations<'_> {
    /// One instance, with what may be touched to move it.
    pub(super) fn supervise(&mut self, slot: SlotId) -> Option<Supervisor<'_>> {
        Some(Supervisor {
            now: self.now,
            slot,
            draining: !self.life.is_serving(),
            instance: self.table.get_mut(slot)?,
            processes: self.processes,
            timers: self.timers,
            commits: self.commits,
            webhooks: self.webhooks,
            rng: self.rng,
            out: self.out,
        })
    }

    /// An id that no instance has.
    pub(super) fn unused_id(&mut self) -> InstanceId {
        loop {
            let id = InstanceId(self.rng.next_u32());
            if self.table.find(id).is_none() && !self.commits.reserves(id) {
                return id;
            }
        }
    }

    /// Applies an event of one instance to the state machine, and carries out what follows from the
    /// resulting state.
    pub(super) fn fire(&mut self, slot: SlotId, event: InstanceEvent) {
        if let Some(mut supervisor) = self.supervise(slot) {
            supervisor.fire(event);
            self.settle(slot);
        }
    }

    pub(super) fn replace(
        &mut self,
        request: RequestId,
        (id, expect): (InstanceId, Expect),
        url: InstanceUrl,
    ) -> Result<(), Refusal> {
        let slot = self.table.find(id).ok_or(Refusal::NoInstance)?;
        let instance = self.table.get(slot).ok_or(Refusal::NoInstance)?;
        if instance.definition().is_configured() {
            return Err(Refusal::Configured);
        }
        let newest = instance.versions().newest();
        if expect.admits(newest.revision) {
            // If others are before it, it is handled when they have finished.
            if *newest.url() == url && instance.queue().is_empty() {
                return Err(Refusal::SameUrl);
            }
            let definition = newest.with_url(url.clone());
            self.check_cycle(Some(slot), &definition)?;
            check_size(&instance.view_with(Arc::new(definition)))?;
        }
        self.enqueue(slot, Operation::new(request, expect, OperationKind::Replace(url)))
    }

    pub(super) fn delete(
        &mut self,
        request: RequestId,
        id: InstanceId,
        expect: Expect,
    ) -> Result<(), Refusal> {
        let slot = self.table.find(id).ok_or(Refusal::NoInstance)?;
        if self.table.get(slot).is_some_and(|instance| instance.definition().is_configured()) {
            return Err(Refusal::Configured);
        }
        self.enqueue(slot, Operation::new(request, expect, OperationKind::Delete))
    }

    pub(super) fn enqueue(&mut self, slot: SlotId, operation: Operation) -> Result<(), Refusal> {
        let instance = self.table.get_mut(slot).ok_or(Refusal::NoInstance)?;
        if !operation.expect.admits(instance.versions().newest().revision) {
            let outcome = Outcome::Stale(instance.view());
            self.out.respond(operation.request, outcome);
            return Ok(());
        }
        if instance.queue().operations().len() >= OPERATIONS_MAX {
            return Err(Refusal::Busy);
        }
        if instance.cannot_be_ended() {
            return Err(Refusal::CannotEnd);
        }
        // If the operation is refused, the process that it stopped is started again.
        if !instance.definition().is_configured() {
            let wants_to_run = instance.wants_to_run();
            instance.desired_mut().restart |= wants_to_run;
        }
        instance.queue_mut().push(operation);
        self.settle(slot);
        Ok(())
    }

    /// Carries out the action of an amendment whose definition is current.
    pub(super) fn act(&mut self, request: RequestId, slot: SlotId, action: Option<InstanceAction>) {
        let request = self.out.batches.whole(request);
        let Some(mut supervisor) = self.supervise(slot) else { return };
        match action {
            // A reset is done once its record is durable.
            None | Some(InstanceAction::Reset) => return,
            Some(InstanceAction::Start) => supervisor.start(),
            Some(InstanceAction::Stop) => supervisor.stop(request),
            Some(InstanceAction::Restart) => supervisor.restart(),
        }
        self.settle(slot);
    }

    /// Takes over a goal that is durable, without starting or stopping anything for it.
    pub(super) fn keep_goal(&mut self, slot: SlotId, goal: Goal) {
        if let Some(instance) = self.table.get_mut(slot).filter(|one| one.stores_goal()) {
            instance.desired_mut().goal = goal;
        }
    }

    /// The goal of an instance if it has to be stored and `stored`, the newest durable one, differs.
    pub(super) fn unstored_goal(&self, slot: SlotId, stored: Goal) -> Option<Goal> {
        let instance = self.table.get(slot).filter(|one| one.stores_goal())?;
        let goal = instance.desired().goal;
        (goal != stored).then_some(goal)
    }

    /// Answers an amendment that took effect.
    pub(super) fn done(&mut self, request: RequestId, slot: SlotId, before: InstanceView) {
        match self.table.get(slot) {
            Some(instance) => {
                let (before, after) = (Box::new(before), instance.view());
                self.out.respond(request, Outcome::Done { before, after });
            }
            None => self.out.refuse(request, Refusal::NoInstance),
        }
    }

    /// Carries out every operation that the state of an instance allows, and what follows for those
    /// that start after it.
    pub(super) fn settle(&mut self, slot: SlotId) {
        self.settle_one(slot);
        let mut affected = self.spread(slot);
        while let Some(slot) = affected.pop() {
            self.settle_one(slot);
            affected.append(&mut self.spread(slot));
        }
    }

    /// Settles each of these.
    pub(super) fn settle_all(&mut self, slots: Vec<SlotId>) {
        slots.into_iter().for_each(|slot| self.settle(slot));
    }

    fn settle_one(&mut self, slot: SlotId) {
        loop {
            let Some(instance) = self.table.get_mut(slot) else { return };
            if !instance.state().is_spawning() {
                while let Some(request) = instance.queue_mut().pop_awaiting() {
                    self.out.respond(request, Outcome::Replaced(instance.view()));
                }
            }
            let is_service = instance.definition().is_service();
            let is_free = instance.state() == State::STOPPED && !instance.queue().is_empty();
            let Some(mut supervisor) = self.supervise(slot) else { return };
            supervisor.keep_watch();
            if is_service {
                if supervisor.turn_service() && !supervisor.instance.queue().is_empty() {
                    return self.run_operation(slot);
                }
                return;
            }
            supervisor.consume_restart();
            match supervisor.decision() {
                Decision::Spawn => supervisor.fire(InstanceEvent::SpawnOrdered),
                Decision::End(_) => supervisor.end(),
                Decision::Keep | Decision::SpawnAt(_) => {
                    supervisor.apply_policy();
                    if !is_free {
                        return;
                    }
                    if !self.turn_down_first(slot) {
                        return self.run_operation(slot);
                    }
                }
            }
        }
    }

    /// Refuses the oldest operation if it is no longer allowed after the operations before it. The
    /// process that it stopped is started again.
    fn turn_down_first(&mut self, slot: SlotId) -> bool {
        let Some(instance) = self.table.get_mut(slot) else { return false };
        let newest = instance.versions().newest();
        let Some(first) = instance.queue().first().filter(|first| !first.committing) else {
            return false;
        };
        let is_same = matches!(&first.kind, OperationKind::Replace(url) if newest.url() == url);
        let outcome = if !first.expect.admits(newest.revision) {
            Outcome::Stale(instance.view())
        } else if is_same {
            Outcome::Refused(Refusal::SameUrl)
        } else {
            return false;
        };
        self.out.respond(first.request, outcome);
        instance.queue_mut().pop();
        true
    }

    /// Sends the record of the oldest operation off, its instance having no process.
    fn run_operation(&mut self, slot: SlotId) {
        let Some(instance) = self.table.get_mut(slot) else { return };
        // A pending stop or start comes first: it decides whether a start follows.
        if instance.stores_goal() && instance.versions().staged_goal().is_some() {
            return;
        }
        let newest = Arc::clone(instance.versions().newest());
        let (goal, totals) = (instance.newest_goal(), instance.saved_totals());
        let Some(first) = instance.queue_mut().commit_first() else { return };
        let (request, starts) = (first.request, first.starts);
        let (record, change) = match first.kind.clone() {
            OperationKind::Replace(url) => {
                let definition = Arc::new(newest.with_url(url));
                let goal = if starts { Goal::Up } else { goal };
                let desired = instance.stage(Arc::clone(&definition), goal);
                let stored = Arc::clone(&definition);
                let record = Record::PutInstance { definition: stored, desired, totals };
                (record, Change::Replace { slot, definition })
            }
            OperationKind::Redefine(definition) => {
                let desired = instance.stage(Arc::clone(&definition), goal);
                let stored = Arc::clone(&definition);
                let record = Record::PutInstance { definition: stored, desired, totals };
                (record, Change::Replace { slot, definition })
            }
            OperationKind::Delete => (Record::RemoveInstance(newest.id), Change::Delete(slot)),
        };
        self.commits.submit(self.out, request, record, change);
    }

    /// Hands totals that the store does not have to it.
    pub(super) fn save_totals(&mut self) {
        let slots: Vec<SlotId> = self.table.slots().collect();
        let unsaved = slots.into_iter().filter_map(|slot| {
            let instance = self.table.get_mut(slot)?;
            Some((instance.definition().id, instance.take_unsaved_totals()?))
        });
        let unsaved: Vec<_> = unsaved.collect();
        if !unsaved.is_empty() {
            self.out.push(Effect::SaveTotals(unsaved));
        }
    }
}

/// Holds an instance to 32 KiB as an object (Contract §4).
pub(super) fn check_size(view: &InstanceView) -> Result<(), Refusal> {
    let (bytes, limit) = (view.object_bytes(), OBJECT_MAX_BYTES);
    if bytes <= limit { Ok(()) } else { Err(Refusal::TooLarge { bytes, limit }) }
}
