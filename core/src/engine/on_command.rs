//! Commands: what can be refused or answered at once, and what goes to the disk first.

use alloc::string::String;
use alloc::sync::Arc;

use rand_chacha::rand_core::Rng;

use super::Engine;
use super::commits::Change;
use crate::command::{Amend, Caller, Command, InstanceAction, Outcome, Refusal, Trust};
use crate::counters::SavedTotals;
use crate::ids::{InstanceId, RequestId, SlotId};
use crate::instance::{Definition, InstanceView, OBJECT_MAX_BYTES, StateEvent, Status};
use crate::limits::INSTANCES_MAX;
use crate::master::MasterIdentity;
use crate::revision::Expect;
use crate::store::Record;
use crate::time::Now;
use crate::url::InstanceUrl;

impl Engine {
    pub(super) fn on_request(
        &mut self,
        now: Now,
        request: RequestId,
        caller: Caller,
        command: Command,
    ) {
        if !self.admits(caller.trust) {
            return self.out.refuse(request, Refusal::NotAdmitted);
        }
        if !self.life.is_serving() {
            return self.out.refuse(request, Refusal::ShuttingDown);
        }
        let refused = match command {
            Command::Create { url, alias } => self.create(request, url, alias),
            Command::Amend { id, expect, amend } => self.amend(now, request, (id, &expect), &amend),
            Command::Replace { id, expect, url } => self.replace(now, request, (id, expect), url),
            Command::Remove { id, expect } => self.delete(now, request, id, expect),
            Command::SetAlias(alias) => self.set_alias(request, alias),
            Command::RotateKey(key) => {
                let identity = MasterIdentity { key: key.clone(), ..self.newest_master().clone() };
                self.put_master(request, identity, Change::RotateKey(key))
            }
            Command::Dial(target) => {
                self.dials.ask(now, request, target, &mut self.timers, &mut self.out);
                Ok(())
            }
        };
        if let Err(refusal) = refused {
            self.out.refuse(request, refusal);
        }
    }

    /// Whether a caller that a door let in may still ask. A request can take long to arrive: the
    /// key that was good when it began must still be in force.
    fn admits(&self, trust: Trust) -> bool {
        match trust {
            Trust::Key(epoch) => epoch == self.key_epoch,
            Trust::Peer { .. } | Trust::Open => true,
        }
    }

    fn create(
        &mut self,
        request: RequestId,
        url: InstanceUrl,
        alias: String,
    ) -> Result<(), Refusal> {
        if self.table.len() + self.commits.reserved() >= INSTANCES_MAX {
            return Err(Refusal::Full { limit: INSTANCES_MAX });
        }
        let definition = Arc::new(Definition::new(self.unused_id(), url, alias));
        let totals = SavedTotals::default();
        check_size(&InstanceView::new(Arc::clone(&definition)))?;
        let record = Record::PutInstance { definition: Arc::clone(&definition), totals };
        self.commits.submit(&mut self.out, request, record, Change::Create(definition));
        Ok(())
    }

    fn amend(
        &mut self,
        now: Now,
        request: RequestId,
        (id, expect): (InstanceId, &Expect),
        amend: &Amend,
    ) -> Result<(), Refusal> {
        let slot = self.find(id).ok_or(Refusal::NoInstance)?;
        let instance = self.table.get_mut(slot).ok_or(Refusal::NoInstance)?;
        if instance.is_being_deleted() {
            return Err(Refusal::NoInstance);
        }
        if !expect.admits(instance.newest_definition().revision) {
            let outcome = Outcome::Stale(instance.view());
            self.out.respond(request, outcome);
            return Ok(());
        }
        let is_reset = amend.action == Some(InstanceAction::Reset);
        let changed = amend.apply(instance.newest_definition());
        // What is on its way already is waited for: the answer must not come before it is durable.
        let rests_on_staged = amend.apply(&instance.definition).is_some();
        if changed.is_none() && !rests_on_staged && !is_reset {
            let before = instance.view();
            self.act(now, slot, amend.action);
            self.done(request, slot, before);
            return Ok(());
        }
        let definition = match changed {
            Some(changed) => {
                let changed = Arc::new(changed);
                check_size(&instance.view_with(Arc::clone(&changed)))?;
                changed
            }
            None => Arc::clone(instance.newest_definition()),
        };
        instance.unsaved_resets += u32::from(is_reset);
        let totals = instance.saved_totals();
        instance.stage(Arc::clone(&definition));
        let record = Record::PutInstance { definition: Arc::clone(&definition), totals };
        let change = Change::Patch { slot, definition, action: amend.action };
        self.commits.submit(&mut self.out, request, record, change);
        Ok(())
    }

    fn set_alias(&mut self, request: RequestId, alias: Option<String>) -> Result<(), Refusal> {
        let newest = self.newest_master();
        // An alias that is on its way already is waited for.
        match alias.filter(|alias| *alias != newest.alias || *alias != self.master.alias) {
            None => {
                self.out.respond(request, Outcome::AliasSet);
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

    /// Does what an amendment asks, its definition being in force.
    pub(super) fn act(&mut self, now: Now, slot: SlotId, action: Option<InstanceAction>) {
        let Some(mut supervisor) = self.supervise(now, slot) else { return };
        match action {
            // A reset is done once its record is durable.
            None | Some(InstanceAction::Reset) => return,
            Some(InstanceAction::Start) => {
                supervisor.instance.backoff.reset();
                if supervisor.instance.operations.is_empty() {
                    supervisor.fire(StateEvent::StartWanted);
                } else if supervisor.instance.state.status() == Status::Stopped {
                    supervisor.instance.start_after_stop = true;
                }
            }
            Some(InstanceAction::Stop) => supervisor.stop(),
            Some(InstanceAction::Restart) => {
                supervisor.instance.backoff.reset();
                supervisor.restart();
            }
        }
        self.settle(now, slot);
    }

    /// Answers an amendment that took effect.
    pub(super) fn done(&mut self, request: RequestId, slot: SlotId, before: InstanceView) {
        match self.table.get(slot) {
            Some(instance) => {
                let after = instance.view();
                self.out.respond(request, Outcome::Done { before, after });
            }
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

/// Holds an instance to 32 KiB as an object (Contract §4).
pub(super) fn check_size(view: &InstanceView) -> Result<(), Refusal> {
    let (bytes, limit) = (view.object_bytes(), OBJECT_MAX_BYTES);
    if bytes <= limit { Ok(()) } else { Err(Refusal::TooLarge { bytes, limit }) }
}
