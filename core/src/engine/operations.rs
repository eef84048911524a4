//! What needs an instance without a process: PUT and DELETE, and the start after a stop.
//!
//! `settle` runs after every step of an instance and does what its new state allows.

use alloc::sync::Arc;

use super::Engine;
use super::commits::Change;
use super::on_command::check_size;
use crate::command::{Outcome, Refusal};
use crate::ids::{InstanceId, RequestId, SlotId};
use crate::instance::{Operation, OperationKind, State, StateEvent};
use crate::limits::OPERATIONS_MAX;
use crate::revision::Expect;
use crate::store::Record;
use crate::time::Now;
use crate::url::InstanceUrl;

impl Engine {
    pub(super) fn replace(
        &mut self,
        now: Now,
        request: RequestId,
        (id, expect): (InstanceId, Expect),
        url: InstanceUrl,
    ) -> Result<(), Refusal> {
        let slot = self.find(id).ok_or(Refusal::NoInstance)?;
        let instance = self.table.get(slot).ok_or(Refusal::NoInstance)?;
        let newest = instance.newest_definition();
        if expect.admits(newest.revision) {
            // With others before it, it is looked at when its turn comes.
            if newest.url == url && instance.operations.is_empty() {
                return Err(Refusal::SameUrl);
            }
            check_size(&instance.view_with(Arc::new(newest.with_url(url.clone()))))?;
        }
        self.enqueue(now, slot, Operation::new(request, expect, OperationKind::Replace(url)))
    }

    pub(super) fn delete(
        &mut self,
        now: Now,
        request: RequestId,
        id: InstanceId,
        expect: Expect,
    ) -> Result<(), Refusal> {
        let slot = self.find(id).ok_or(Refusal::NoInstance)?;
        self.enqueue(now, slot, Operation::new(request, expect, OperationKind::Delete))
    }

    fn enqueue(&mut self, now: Now, slot: SlotId, operation: Operation) -> Result<(), Refusal> {
        let instance = self.table.get_mut(slot).ok_or(Refusal::NoInstance)?;
        if !operation.expect.admits(instance.newest_definition().revision) {
            let outcome = Outcome::Stale(instance.view());
            self.out.respond(operation.request, outcome);
            return Ok(());
        }
        if instance.operations.len() >= OPERATIONS_MAX {
            return Err(Refusal::Busy);
        }
        // What the operation stops is started again if the operation is refused.
        instance.start_after_stop |= instance.wants_to_run();
        instance.operations.push_back(operation);
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
                    if !self.turn_down_first(slot) {
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

    /// Turns the oldest operation down if it may not be done, the operations before it being done.
    /// What it stopped is started again.
    fn turn_down_first(&mut self, slot: SlotId) -> bool {
        let Some(instance) = self.table.get_mut(slot) else { return false };
        let newest = instance.newest_definition();
        let Some(first) = instance.operations.front().filter(|first| !first.committing) else {
            return false;
        };
        let is_same = matches!(&first.kind, OperationKind::Replace(url) if newest.url == *url);
        let outcome = if !first.expect.admits(newest.revision) {
            Outcome::Stale(instance.view())
        } else if is_same {
            Outcome::Refused(Refusal::SameUrl)
        } else {
            return false;
        };
        self.out.respond(first.request, outcome);
        instance.operations.pop_front();
        true
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
                let definition = Arc::new(newest.with_url(url.clone()));
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
