//! What needs an instance without a process: PUT and DELETE, and the start after a stop.
//!
//! `settle` runs after every step of an instance and does what its new state allows.

use alloc::sync::Arc;

use super::Engine;
use super::commits::Change;
use super::on_command::check_size;
use crate::command::{Outcome, Refusal};
use crate::ids::{InstanceId, RequestId, SlotId};
use crate::instance::{Definition, Operation, OperationKind, State, StateEvent};
use crate::limits::OPERATIONS_MAX;
use crate::store::Record;
use crate::time::Now;
use crate::url::InstanceUrl;

impl Engine {
    pub(super) fn replace(
        &mut self,
        now: Now,
        request: RequestId,
        id: InstanceId,
        url: InstanceUrl,
    ) -> Result<(), Refusal> {
        let slot = self.find(id).ok_or(Refusal::NoInstance)?;
        let instance = self.table.get(slot).ok_or(Refusal::NoInstance)?;
        // With others before it, it is looked at when its turn comes.
        if instance.newest_definition().url == url && instance.operations.is_empty() {
            return Err(Refusal::SameUrl);
        }
        let changed =
            Definition { url: url.clone(), ..instance.newest_definition().as_ref().clone() };
        check_size(&instance.view_with(Arc::new(changed)))?;
        self.enqueue(now, slot, request, OperationKind::Replace(url))
    }

    pub(super) fn delete(
        &mut self,
        now: Now,
        request: RequestId,
        id: InstanceId,
    ) -> Result<(), Refusal> {
        let slot = self.find(id).ok_or(Refusal::NoInstance)?;
        self.enqueue(now, slot, request, OperationKind::Delete)
    }

    fn enqueue(
        &mut self,
        now: Now,
        slot: SlotId,
        request: RequestId,
        kind: OperationKind,
    ) -> Result<(), Refusal> {
        let instance = self.table.get_mut(slot).ok_or(Refusal::NoInstance)?;
        if instance.operations.len() >= OPERATIONS_MAX {
            return Err(Refusal::Busy);
        }
        // What the operation stops is started again if the operation is refused.
        instance.start_after_stop |= instance.wants_to_run();
        let starts = matches!(kind, OperationKind::Replace(_));
        instance.operations.push_back(Operation { request, kind, committing: false, starts });
        self.settle(now, slot);
        Ok(())
    }

    /// Does what the state of an instance allows, until it allows nothing more.
    pub(super) fn settle(&mut self, now: Now, slot: SlotId) {
        loop {
            let Some(instance) = self.table.get_mut(slot) else { return };
            if !instance.state.is_spawning() {
                while let Some(request) = instance.awaiting_start.pop_front() {
                    self.out.respond(request, Outcome::Replaced(instance.view()));
                }
            }
            let has_operation = !instance.operations.is_empty();
            let wants_start = instance.start_after_stop && self.life.is_serving();
            match instance.state {
                State::Stopped if has_operation => {
                    if !self.refuse_same_url(slot) {
                        return self.run_operation(slot);
                    }
                }
                State::Stopped if wants_start => self.fire_only(now, slot, StateEvent::StartWanted),
                State::Failed
                | State::Starting
                | State::Retrying
                | State::Running
                | State::Failing
                    if has_operation =>
                {
                    self.fire_only(now, slot, StateEvent::StopWanted);
                }
                State::Stopped
                | State::Starting
                | State::Retrying
                | State::Cancelling
                | State::Running
                | State::Failing
                | State::Stopping
                | State::StoppingFailing
                | State::Discarding
                | State::Failed => return,
            }
        }
    }

    /// Turns the oldest operation down if it would replace the URL by itself. What it stopped is
    /// started again.
    fn refuse_same_url(&mut self, slot: SlotId) -> bool {
        let Some(instance) = self.table.get_mut(slot) else { return false };
        let is_same = instance.operations.front().is_some_and(|operation| match &operation.kind {
            OperationKind::Replace(url) => {
                !operation.committing && instance.newest_definition().url == *url
            }
            OperationKind::Delete => false,
        });
        if let Some(operation) = instance.operations.pop_front_if(|_| is_same) {
            self.out.refuse(operation.request, Refusal::SameUrl);
        }
        is_same
    }

    /// Sends the record of the oldest operation off, its instance having no process.
    fn run_operation(&mut self, slot: SlotId) {
        let Some(instance) = self.table.get_mut(slot) else { return };
        let newest = Arc::clone(instance.newest_definition());
        let totals = instance.saved_totals();
        let Some(operation) = instance.operations.front_mut() else { return };
        if core::mem::replace(&mut operation.committing, true) {
            return;
        }
        let request = operation.request;
        let (record, change) = match &operation.kind {
            OperationKind::Replace(url) => {
                let changed = Definition { url: url.clone(), ..newest.as_ref().clone() };
                let definition = Arc::new(changed);
                instance.stage(Arc::clone(&definition));
                let record = Record::PutInstance { definition: Arc::clone(&definition), totals };
                (record, Change::Replace { slot, definition })
            }
            OperationKind::Delete => (Record::RemoveInstance(newest.id), Change::Delete(slot)),
        };
        self.commits.submit(&mut self.out, request, record, change);
    }

    fn fire_only(&mut self, now: Now, slot: SlotId, event: StateEvent) {
        if let Some(mut supervisor) = self.supervise(now, slot) {
            supervisor.fire(event);
        }
    }
}
