//! The disk's word: changes that are durable are put in force, answered and told of; changes that
//! cannot be made durable are refused whole.

use alloc::string::{String, ToString};
use alloc::sync::Arc;

use super::Engine;
use super::commits::{Change, Commit};
use super::effect::Effect;
use crate::canary::{self, Canary};
use crate::command::{InstanceAction, Outcome, Refusal};
use crate::event::{EventKind, Object};
use crate::ids::{KeyEpoch, RecordSeq, RequestId, SlotId, StoreEpoch};
use crate::instance::{Definition, Instance, StateEvent};
use crate::master::ApiKey;
use crate::time::Now;

impl Engine {
    pub(super) fn on_persisted(&mut self, now: Now, upto: RecordSeq) {
        while let Some(Commit { request, change, .. }) = self.commits.pop_durable(upto) {
            match change {
                Change::Create(definition) => self.created(now, request, definition),
                Change::Patch { slot, definition, action } => {
                    self.patched(now, request, slot, definition, action);
                }
                Change::Replace { slot, definition } => {
                    self.replaced(now, request, slot, definition);
                }
                Change::Delete(slot) => self.deleted(now, request, slot),
                Change::SetAlias(alias) => self.alias_set(now, request, alias),
                Change::RotateKey(key) => self.key_rotated(now, request, key),
            }
        }
    }

    pub(super) fn on_persist_failed(&mut self, now: Now, epoch: StoreEpoch, reason: &str) {
        let refused = self.commits.fail(epoch);
        // All of them first: an operation that goes on below must not build on a refused change.
        for Commit { change, .. } in &refused {
            match change {
                Change::Create(_) | Change::SetAlias(_) | Change::RotateKey(_) => {}
                Change::Delete(slot) => {
                    if let Some(instance) = self.table.get_mut(*slot) {
                        instance.totals_unsaved = true;
                    }
                }
                Change::Patch { slot, .. } | Change::Replace { slot, .. } => {
                    if let Some(instance) = self.table.get_mut(*slot) {
                        instance.record_settled();
                        // With the record, the store took back the totals that came after it.
                        instance.totals_unsaved = true;
                    }
                }
            }
        }
        for Commit { request, change, .. } in refused {
            self.out.refuse(request, Refusal::NotDurable { reason: reason.to_string() });
            match change {
                Change::Create(_)
                | Change::SetAlias(_)
                | Change::RotateKey(_)
                | Change::Patch { .. } => {}
                Change::Replace { slot, .. } | Change::Delete(slot) => {
                    self.operation_refused(now, slot);
                }
            }
        }
    }

    fn created(&mut self, now: Now, request: RequestId, definition: Arc<Definition>) {
        let instance = Instance::new(definition, 0, crate::counters::Totals::default());
        let view = instance.view();
        let slot = self.table.insert(instance);
        if let Some(mut supervisor) = self.supervise(now, slot) {
            supervisor.show_facts();
        }
        self.out.publish(now.wall, EventKind::Create, Object::Instance(view.clone()));
        self.out.respond(request, Outcome::Created(view));
        if self.life.is_serving() {
            self.fire(now, slot, StateEvent::StartWanted);
        }
    }

    fn patched(
        &mut self,
        now: Now,
        request: RequestId,
        slot: SlotId,
        definition: Arc<Definition>,
        action: Option<InstanceAction>,
    ) {
        let Some(mut supervisor) = self.supervise(now, slot) else { return };
        let is_reset = action == Some(InstanceAction::Reset);
        let before = supervisor.instance.view();
        // One that asked for what another had on its way finds it in force already.
        let changes = is_reset || definition.revision != supervisor.instance.definition.revision;
        supervisor.instance.adopt(definition);
        supervisor.apply_restart_policy();
        if is_reset {
            supervisor.instance.reset_counters();
        }
        if changes {
            supervisor.publish();
        }
        if self.life.is_serving() {
            self.act(now, slot, action);
        }
        self.done(request, slot, before);
    }

    fn replaced(
        &mut self,
        now: Now,
        request: RequestId,
        slot: SlotId,
        definition: Arc<Definition>,
    ) {
        let Some(mut supervisor) = self.supervise(now, slot) else { return };
        supervisor.instance.adopt(definition);
        if let Some(operation) = supervisor.instance.operations.pop_front() {
            supervisor.instance.start_after_stop |= operation.starts;
        }
        supervisor.instance.backoff.reset();
        supervisor.publish();
        self.settle(now, slot);
        if canary::is(Canary::AnsweredTwice) {
            let replaced = self.table.get(slot).map(|instance| Outcome::Replaced(instance.view()));
            replaced.into_iter().for_each(|outcome| self.out.respond(request, outcome));
        }
        // Answered now if nothing was started, else once it is known whether that came to life.
        if let Some(instance) = self.table.get_mut(slot) {
            instance.awaiting_start.push_back(request);
        }
        self.settle(now, slot);
    }

    fn deleted(&mut self, now: Now, request: RequestId, slot: SlotId) {
        let Some(mut supervisor) = self.supervise(now, slot) else { return };
        supervisor.kill_leftover();
        let view = supervisor.instance.view();
        self.disarm_all(slot);
        let Some(mut instance) = self.table.remove(slot) else { return };
        self.out.publish(now.wall, EventKind::Delete, Object::Instance(view));
        self.out.respond(request, Outcome::Removed);
        instance.operations.pop_front();
        if canary::is(Canary::WaitingForgotten) {
            instance.operations.clear();
        }
        for late in instance.operations {
            self.out.refuse(late.request, Refusal::NoInstance);
        }
    }

    fn alias_set(&mut self, now: Now, request: RequestId, alias: String) {
        // One that asked for what another had on its way finds it in force already.
        if self.master.alias != alias {
            self.master.alias = alias;
            self.show_master();
            self.publish_key_instance(now);
        }
        self.out.respond(request, Outcome::AliasSet);
    }

    /// The streams end before anything that holds the new key is published (Contract §5).
    fn key_rotated(&mut self, now: Now, request: RequestId, key: ApiKey) {
        self.key_epoch = KeyEpoch(self.key_epoch.0 + 1);
        let time = self.out.event_time(now.wall);
        if !canary::is(Canary::StreamsOutliveKey) {
            self.out.push(Effect::CloseStreams { keep_from: Some(self.key_epoch), time });
        }
        self.master.key = key.clone();
        self.show_master();
        self.publish_key_instance(now);
        self.out.push(Effect::AnnounceKey(key));
        self.out.respond(request, Outcome::KeyRotated(self.master.clone()));
    }

    fn publish_key_instance(&mut self, now: Now) {
        self.out.publish(now.wall, EventKind::Update, Object::Key(self.master.clone()));
    }

    /// Takes the oldest operation out; what it had stopped is started again.
    fn operation_refused(&mut self, now: Now, slot: SlotId) {
        let Some(instance) = self.table.get_mut(slot) else { return };
        instance.operations.pop_front();
        self.settle(now, slot);
    }
}
