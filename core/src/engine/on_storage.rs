//! The disk's word: changes that are durable are put in force, answered and told of; changes that
//! cannot be made durable are refused whole.

use alloc::sync::Arc;
use alloc::{string::String, string::ToString};

use super::Engine;
use super::commits::{Change, Commit};
use super::effect::{Effect, Subject};
use crate::api::{InstanceAction, Refusal, Reply};
use crate::events::EventKind;
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
        for Commit { request, change, .. } in self.commits.fail(epoch) {
            self.out.refuse(request, Refusal::NotDurable(reason.to_string()));
            match change {
                Change::Create(_) | Change::SetAlias(_) | Change::RotateKey(_) => {}
                Change::Patch { slot, .. } => self.record_settled(slot),
                Change::Replace { slot, .. } => {
                    self.record_settled(slot);
                    self.operation_refused(now, slot);
                }
                Change::Delete(slot) => self.operation_refused(now, slot),
            }
        }
    }

    fn created(&mut self, now: Now, request: RequestId, definition: Arc<Definition>) {
        let id = definition.id;
        let mut instance = Instance::new(definition, 0, crate::counters::Totals::default());
        let json = instance.json();
        let slot = self.table.insert(instance);
        self.out.publish(now.wall, EventKind::Create, Subject::Instance(id), json.clone());
        self.out.respond(request, Reply::Created(json));
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
        supervisor.instance.adopt(definition);
        supervisor.apply_restart_policy();
        if action == Some(InstanceAction::Reset) {
            supervisor.instance.reset_counters();
        }
        supervisor.publish();
        let action = action.filter(|action| *action != InstanceAction::Reset);
        if self.life.is_serving() {
            self.act(now, slot, action);
        }
        self.reply_instance(request, slot);
    }

    fn replaced(
        &mut self,
        now: Now,
        request: RequestId,
        slot: SlotId,
        definition: Arc<Definition>,
    ) {
        let serving = self.life.is_serving();
        let Some(mut supervisor) = self.supervise(now, slot) else { return };
        supervisor.instance.adopt(definition);
        supervisor.instance.operations.pop_front();
        supervisor.instance.backoff.reset();
        supervisor.publish();
        supervisor.instance.awaiting_start.push_back(request);
        if serving && supervisor.instance.operations.is_empty() {
            supervisor.fire(StateEvent::StartWanted);
        }
        self.settle(now, slot);
    }

    fn deleted(&mut self, now: Now, request: RequestId, slot: SlotId) {
        let Some(mut supervisor) = self.supervise(now, slot) else { return };
        supervisor.kill_leftover();
        let (id, json) = (supervisor.instance.definition.id, supervisor.instance.json());
        self.disarm_all(slot);
        let Some(mut instance) = self.table.remove(slot) else { return };
        self.out.publish(now.wall, EventKind::Delete, Subject::Instance(id), json);
        self.out.respond(request, Reply::Deleted);
        instance.operations.pop_front();
        for late in instance.operations {
            self.out.refuse(late.request, Refusal::NoInstance);
        }
    }

    fn alias_set(&mut self, now: Now, request: RequestId, alias: String) {
        self.master.alias = alias;
        self.show_master();
        self.publish_key_instance(now);
        self.out.respond(request, Reply::AliasSet);
    }

    /// The streams end before anything that holds the new key is published (Contract §5).
    fn key_rotated(&mut self, now: Now, request: RequestId, key: ApiKey) {
        self.key_epoch = KeyEpoch(self.key_epoch.0 + 1);
        let time = self.out.event_time(now.wall);
        self.out.push(Effect::CloseStreams { keep_from: Some(self.key_epoch), time });
        self.master.key = key.clone();
        self.show_master();
        let json = self.publish_key_instance(now);
        self.out.push(Effect::AnnounceKey(key));
        self.out.respond(request, Reply::Instance(json));
    }

    fn publish_key_instance(&mut self, now: Now) -> bytes::Bytes {
        let json = crate::instance::render_key_instance(&self.master);
        self.out.publish(now.wall, EventKind::Update, Subject::Key, json.clone());
        json
    }

    fn record_settled(&mut self, slot: SlotId) {
        if let Some(instance) = self.table.get_mut(slot) {
            instance.record_settled();
        }
    }

    /// Takes the oldest operation out; what it had stopped is started again.
    fn operation_refused(&mut self, now: Now, slot: SlotId) {
        let Some(instance) = self.table.get_mut(slot) else { return };
        if let Some(operation) = instance.operations.pop_front() {
            instance.start_after_stop |= operation.was_active;
        }
        self.settle(now, slot);
    }
}
