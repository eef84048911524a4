//! Handles results of the store: durable changes are applied, answered and published; failed ones
//! are refused completely.

use alloc::string::{String, ToString};
use alloc::sync::Arc;

use super::commits::{Change, Commit};
use super::effect::Effect;
use super::operations::Operations;
use super::timers::TimerReason;
use crate::canary::{self, Canary};
use crate::command::{Desire, InstanceAction, Outcome, Refusal};
use crate::event::{EventKind, Object};
use crate::ids::{KeyEpoch, RecordSeq, RequestId, SlotId, StoreEpoch};
use crate::instance::{Definition, Goal, Instance};
use crate::master::{ApiKey, MasterIdentity};
use crate::store::Record;

/// What news of the disk may touch.
pub(super) struct Storage<'a> {
    pub(super) master: &'a mut MasterIdentity,
    pub(super) key_epoch: &'a mut KeyEpoch,
    pub(super) operations: Operations<'a>,
}

impl Storage<'_> {
    /// Every record up to this one is durable.
    pub(super) fn persisted(mut self, upto: RecordSeq) {
        while let Some(Commit { request, change, .. }) = self.operations.commits.pop_durable(upto) {
            match change {
                Change::Create(definition) => self.created(request, definition),
                Change::Configure(definition, desired) => {
                    self.operations.configured(definition, &desired);
                }
                Change::Desire { slot, desire, is_stale } => {
                    self.desired(request, slot, &desire, is_stale);
                }
                Change::Shown { slot, .. } => {
                    if let Some(mut supervisor) = self.operations.supervise(slot) {
                        supervisor.shown();
                    }
                }
                Change::Patch { slot, definition, action, goal } => {
                    self.patched(request, slot, definition, (action, goal));
                }
                Change::Replace { slot, definition } => {
                    self.replaced(request, slot, definition);
                }
                Change::Delete(slot) => self.deleted(request, slot),
                Change::SetAlias(alias) => self.alias_set(request, alias),
                Change::RotateKey(key) => self.key_rotated(request, key),
            }
        }
    }

    /// No record of this epoch will be durable.
    pub(super) fn failed(mut self, epoch: StoreEpoch, reason: &str) {
        let refused = self.operations.commits.fail(epoch);
        // Refuse all of them first: an operation that continues below must not be based on a
        // refused change.
        for Commit { change, .. } in &refused {
            match change {
                Change::Create(_)
                | Change::Configure(..)
                | Change::SetAlias(_)
                | Change::RotateKey(_) => {}
                Change::Desire { slot, .. } => {
                    if let Some(instance) = self.operations.table.get_mut(*slot) {
                        let presence = instance.presence_mut();
                        (presence.staged, presence.pending) = (None, 0);
                        // What is shown has facts and requests in another order than the disk.
                        presence.unsaved = true;
                    }
                }
                Change::Shown { slot, run } => {
                    if let Some(mut supervisor) = self.operations.supervise(*slot) {
                        supervisor.not_saved(run.clone());
                    }
                }
                Change::Delete(slot) => {
                    if let Some(instance) = self.operations.table.get_mut(*slot) {
                        instance.meters_mut().set_unsaved();
                    }
                }
                Change::Patch { slot, .. } | Change::Replace { slot, .. } => {
                    if let Some(instance) = self.operations.table.get_mut(*slot) {
                        instance.versions_mut().record_settled();
                        // With the record, the store took back the totals that came after it.
                        instance.meters_mut().set_unsaved();
                    }
                }
            }
        }
        for Commit { request, change, .. } in refused {
            self.operations.out.refuse(request, Refusal::NotDurable { reason: reason.to_string() });
            match change {
                Change::Create(_)
                | Change::Configure(..)
                | Change::SetAlias(_)
                | Change::RotateKey(_)
                | Change::Shown { .. } => {}
                // An operation may have waited for it.
                Change::Patch { slot, .. } | Change::Desire { slot, .. } => {
                    self.operations.settle(slot);
                }
                Change::Replace { slot, .. } | Change::Delete(slot) => {
                    self.operation_refused(slot);
                }
            }
        }
    }

    fn desired(&mut self, request: RequestId, slot: SlotId, desire: &Desire, is_stale: bool) {
        let Some(mut supervisor) = self.operations.supervise(slot) else {
            return self.operations.out.refuse(request, Refusal::NoInstance);
        };
        supervisor.desired(request, desire, is_stale);
        self.operations.settle(slot);
    }

    fn created(&mut self, request: RequestId, definition: Arc<Definition>) {
        let instance = Instance::new(definition, 0, crate::counters::Totals::default());
        let view = instance.view();
        let slot = self.operations.table.insert(instance);
        let affected = self.operations.link(slot);
        if let Some(mut supervisor) = self.operations.supervise(slot) {
            supervisor.show_facts();
        }
        self.operations.out.publish(
            self.operations.now.wall,
            EventKind::Create,
            Object::Instance(view.clone()),
        );
        self.operations.out.respond(request, Outcome::Created(view));
        if let Some(instance) = self.operations.table.get_mut(slot) {
            instance.want();
        }
        self.operations.settle(slot);
        self.operations.settle_all(affected);
    }

    fn patched(
        &mut self,
        request: RequestId,
        slot: SlotId,
        definition: Arc<Definition>,
        (action, goal): (Option<InstanceAction>, Goal),
    ) {
        let Some(mut supervisor) = self.operations.supervise(slot) else { return };
        let is_reset = action == Some(InstanceAction::Reset);
        let before = supervisor.instance.view();
        // One that asked for what another had on its way finds it in force already.
        let changes = is_reset || definition.revision != supervisor.instance.definition().revision;
        let is_renamed = definition.alias != supervisor.instance.definition().alias;
        supervisor.instance.adopt(definition);
        supervisor.apply_policy();
        if is_reset {
            supervisor.instance.reset_counters();
        }
        if changes {
            supervisor.publish();
        }
        if is_renamed {
            let affected = self.operations.link(slot);
            self.operations.settle_all(affected);
        }
        if !self.operations.life.is_serving() {
            // Nothing is started or stopped during a shutdown; the next master uses the stored
            // goal.
            self.operations.keep_goal(slot, goal);
        } else if self.starts_against(slot, action, goal) {
            // A record of the start would come after that of a newer stop.
            if !self.operations.commits.is_opposed(slot, action) {
                return self.store_goal(request, slot, (action, Goal::Up));
            }
        } else {
            let is_accepted = self.starts_after_stop(slot, action, goal);
            let action = if is_accepted { Some(InstanceAction::Restart) } else { action };
            self.operations.act(request, slot, action);
        }
        match self.operations.unstored_goal(slot, goal) {
            Some(goal) => self.store_goal(request, slot, (None, goal)),
            None => self.operations.done(request, slot, before),
        }
        // An operation may have waited for the record.
        self.operations.settle(slot);
    }

    /// Whether a start is accepted now that was not when its record was written; the record
    /// therefore says that the instance stays stopped.
    fn starts_against(&self, slot: SlotId, action: Option<InstanceAction>, goal: Goal) -> bool {
        let Some(instance) = self.operations.table.get(slot) else { return false };
        let is_accepted = action == Some(InstanceAction::Start) && instance.accepts_start();
        is_accepted && goal == Goal::Down && instance.stores_goal()
    }

    /// Whether a start was accepted when its record was written and would not be now: an older stop
    /// took effect since then, and its process still runs. The newer of the two counts, so the
    /// instance starts when the process has exited.
    fn starts_after_stop(&self, slot: SlotId, action: Option<InstanceAction>, goal: Goal) -> bool {
        let Some(instance) = self.operations.table.get(slot) else { return false };
        let is_stopped = instance.stores_goal() && instance.desired().goal == Goal::Down;
        action == Some(InstanceAction::Start) && goal == Goal::Up && is_stopped
    }

    /// Stores the goal that a durable record does not have. The request is answered after that,
    /// with the definition of then.
    fn store_goal(
        &mut self,
        request: RequestId,
        slot: SlotId,
        (action, goal): (Option<InstanceAction>, Goal),
    ) {
        let Operations { table, commits, out, .. } = &mut self.operations;
        let Some(instance) = table.get_mut(slot) else { return };
        let definition = Arc::clone(instance.versions().newest());
        let desired = instance.stage(Arc::clone(&definition), goal);
        let record = Record::SetDesired { id: definition.id, desired };
        commits.submit(out, request, record, Change::Patch { slot, definition, action, goal });
    }

    fn replaced(&mut self, request: RequestId, slot: SlotId, definition: Arc<Definition>) {
        let Some(mut supervisor) = self.operations.supervise(slot) else { return };
        supervisor.instance.adopt(definition);
        supervisor.end_watch();
        let operation = supervisor.instance.queue_mut().pop();
        if operation.is_some_and(|operation| operation.starts) {
            supervisor.instance.want();
        }
        // The next time is that of the new schedule.
        supervisor.timers.cancel(TimerReason::Schedule(slot));
        supervisor.arrive();
        supervisor.instance.lifecycle_mut().reset_backoff();
        supervisor.instance.forgive_restarts();
        supervisor.publish();
        let affected = self.operations.link(slot);
        self.operations.settle(slot);
        self.operations.settle_all(affected);
        if canary::is(Canary::AnsweredTwice) {
            let replaced =
                self.operations.table.get(slot).map(|instance| Outcome::Replaced(instance.view()));
            replaced.into_iter().for_each(|outcome| self.operations.out.respond(request, outcome));
        }
        // Answer now if nothing was started, otherwise when the start has succeeded or failed.
        if let Some(instance) = self.operations.table.get_mut(slot) {
            instance.queue_mut().await_start(request);
        }
        self.operations.settle(slot);
    }

    fn deleted(&mut self, request: RequestId, slot: SlotId) {
        let Some(mut supervisor) = self.operations.supervise(slot) else { return };
        supervisor.kill_leftover();
        supervisor.answer_waiting();
        supervisor.end_watch();
        let view = supervisor.instance.view();
        self.operations.timers.disarm_all(slot);
        let Some(mut instance) = self.operations.table.remove(slot) else { return };
        let affected = self.operations.unlink(slot);
        self.operations.out.publish(
            self.operations.now.wall,
            EventKind::Delete,
            Object::Instance(view),
        );
        self.operations.out.respond(request, Outcome::Removed);
        instance.queue_mut().pop();
        if canary::is(Canary::WaitingForgotten) {
            instance.queue_mut().take_operations();
        }
        for late in instance.queue_mut().take_operations() {
            self.operations.out.refuse(late.request, Refusal::NoInstance);
        }
        self.operations.settle_all(affected);
    }

    fn alias_set(&mut self, request: RequestId, alias: String) {
        // One that asked for what another had on its way finds it in force already.
        if self.master.alias != alias {
            self.master.alias = alias;
            self.operations.out.show_master(self.master, *self.key_epoch);
            self.publish_key_instance();
        }
        self.operations.out.respond(request, Outcome::AliasSet);
    }

    /// The streams end before any event with the new key is published (Contract §5).
    fn key_rotated(&mut self, request: RequestId, key: ApiKey) {
        *self.key_epoch = KeyEpoch(self.key_epoch.0 + 1);
        let time = self.operations.out.event_time(self.operations.now.wall);
        if !canary::is(Canary::StreamsOutliveKey) {
            self.operations
                .out
                .push(Effect::CloseStreams { keep_from: Some(*self.key_epoch), time });
        }
        self.master.key = key.clone();
        self.operations.out.show_master(self.master, *self.key_epoch);
        self.publish_key_instance();
        self.operations.out.push(Effect::AnnounceKey(key));
        self.operations.out.respond(request, Outcome::KeyRotated(self.master.clone()));
    }

    fn publish_key_instance(&mut self) {
        self.operations.out.publish(
            self.operations.now.wall,
            EventKind::Update,
            Object::Key(self.master.clone()),
        );
    }

    /// Removes the oldest operation; the process that it had stopped is started again.
    fn operation_refused(&mut self, slot: SlotId) {
        let Some(instance) = self.operations.table.get_mut(slot) else { return };
        instance.queue_mut().pop();
        self.operations.settle(slot);
    }
}
