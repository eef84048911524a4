//! Calls of the API: what can be refused or answered at once, and what goes to the disk first.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;

use rand_chacha::rand_core::Rng;

use super::Engine;
use super::commits::Change;
use crate::command::{Call, InstanceAction, Patch, Refusal, Reply};
use crate::counters::SavedTotals;
use crate::ids::{InstanceId, RequestId, SlotId};
use crate::instance::{Definition, Instance, OBJECT_MAX_BYTES};
use crate::limits::INSTANCES_MAX;
use crate::master::MasterIdentity;
use crate::store::Record;
use crate::time::Now;
use crate::url::InstanceUrl;

impl Engine {
    pub(super) fn on_request(&mut self, now: Now, request: RequestId, call: Call) {
        if !self.life.is_serving() {
            return self.out.refuse(request, Refusal::ShuttingDown);
        }
        let refused = match call {
            Call::Create { url, alias } => self.create(request, url, alias),
            Call::Patch(id, patch) => self.patch(now, request, id, &patch),
            Call::Replace(id, url) => self.replace(now, request, id, url),
            Call::Delete(id) => self.delete(now, request, id),
            Call::SetAlias(alias) => self.set_alias(request, alias),
            Call::RotateKey(key) => {
                let identity = MasterIdentity { key: key.clone(), ..self.newest_master().clone() };
                self.put_master(request, identity, Change::RotateKey(key))
            }
            Call::Ping(target) => {
                self.dials.ask(now, request, target, &mut self.timers, &mut self.out);
                Ok(())
            }
        };
        if let Err(refusal) = refused {
            self.out.refuse(request, refusal);
        }
    }

    fn create(
        &mut self,
        request: RequestId,
        url: InstanceUrl,
        alias: String,
    ) -> Result<(), Refusal> {
        if self.table.len() + self.commits.reserved() >= INSTANCES_MAX {
            return Err(Refusal::Full(INSTANCES_MAX));
        }
        let definition = Arc::new(Definition::new(self.unused_id(), url, alias));
        let totals = SavedTotals::default();
        let shown = Instance::new(Arc::clone(&definition), totals.mode, totals.totals);
        check_size(&shown, &definition)?;
        let record = Record::PutInstance { definition: Arc::clone(&definition), totals };
        self.commits.submit(&mut self.out, request, record, Change::Create(definition));
        Ok(())
    }

    fn patch(
        &mut self,
        now: Now,
        request: RequestId,
        id: InstanceId,
        patch: &Patch,
    ) -> Result<(), Refusal> {
        let slot = self.find(id).ok_or(Refusal::NoInstance)?;
        let instance = self.table.get_mut(slot).ok_or(Refusal::NoInstance)?;
        if instance.is_being_deleted() {
            return Err(Refusal::NoInstance);
        }
        let is_reset = patch.action == Some(InstanceAction::Reset);
        let changed = patch.apply(instance.newest_definition());
        // What is on its way already is waited for: the answer must not come before it is durable.
        let rests_on_staged = patch.apply(&instance.definition).is_some();
        if changed.is_none() && !rests_on_staged && !is_reset {
            self.act(now, slot, patch.action);
            self.reply_instance(request, slot);
            return Ok(());
        }
        let definition = match changed {
            Some(changed) => {
                let changed = Arc::new(changed);
                check_size(instance, &changed)?;
                changed
            }
            None => Arc::clone(instance.newest_definition()),
        };
        instance.unsaved_resets += u32::from(is_reset);
        let totals = instance.saved_totals();
        instance.stage(Arc::clone(&definition));
        let record = Record::PutInstance { definition: Arc::clone(&definition), totals };
        let change = Change::Patch { slot, definition, action: patch.action };
        self.commits.submit(&mut self.out, request, record, change);
        Ok(())
    }

    fn set_alias(&mut self, request: RequestId, alias: Option<String>) -> Result<(), Refusal> {
        let newest = self.newest_master();
        // An alias that is on its way already is waited for.
        match alias.filter(|alias| *alias != newest.alias || *alias != self.master.alias) {
            None => {
                self.out.respond(request, Reply::AliasSet);
                Ok(())
            }
            Some(alias) => {
                let identity = MasterIdentity { alias: alias.clone(), ..newest.clone() };
                self.put_master(request, identity, Change::SetAlias(alias))
            }
        }
    }

    fn put_master(
        &mut self,
        request: RequestId,
        identity: MasterIdentity,
        change: Change,
    ) -> Result<(), Refusal> {
        self.commits.submit(&mut self.out, request, Record::PutMaster(identity), change);
        Ok(())
    }

    /// Does what a PATCH asks, its definition being in force.
    pub(super) fn act(&mut self, now: Now, slot: SlotId, action: Option<InstanceAction>) {
        let Some(mut supervisor) = self.supervise(now, slot) else { return };
        match action {
            // A reset is done once its record is durable.
            None | Some(InstanceAction::Reset) => return,
            Some(InstanceAction::Start) => supervisor.start(),
            Some(InstanceAction::Stop) => supervisor.stop(),
            Some(InstanceAction::Restart) => supervisor.restart(),
        }
        self.settle(now, slot);
    }

    pub(super) fn reply_instance(&mut self, request: RequestId, slot: SlotId) {
        match self.table.get_mut(slot) {
            Some(instance) => self.out.respond(request, Reply::Instance(instance.view().json())),
            None => self.out.refuse(request, Refusal::NoInstance),
        }
    }

    fn newest_master(&self) -> &MasterIdentity {
        self.commits.newest_master(&self.master)
    }

    fn unused_id(&mut self) -> InstanceId {
        loop {
            let id = InstanceId(self.rng.next_u32());
            if self.find(id).is_none() && !self.commits.reserves(id) {
                return id;
            }
        }
    }
}

/// Holds the object to 32 KiB (Contract §4).
pub(super) fn check_size(instance: &Instance, definition: &Arc<Definition>) -> Result<(), Refusal> {
    let bytes = instance.json_bytes_with(definition);
    if bytes <= OBJECT_MAX_BYTES {
        return Ok(());
    }
    let limit = OBJECT_MAX_BYTES.to_string();
    Err(Refusal::Bad(format!(
        "the instance would be {bytes} bytes of JSON; at most {limit} are kept: shorten url, alias or meta"
    )))
}
