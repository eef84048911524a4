//! Commands: what can be refused or answered at once, and what goes to the disk first.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::commits::Change;
use super::dials::{Dialing, Dials};
use super::operations::{Operations, check_size};
use crate::command::{Amend, Caller, Command, Desire, InstanceAction, Outcome, Refusal, Trust};
use crate::counters::SavedTotals;
use crate::expect::Expect;
use crate::ids::{InstanceId, KeyEpoch, RequestId, SlotId};
use crate::instance::{Definition, Goal, Instance, InstanceView, Status, Toggle};
use crate::limits::{BATCHES_MAX, INSTANCES_MAX};
use crate::master::MasterIdentity;
use crate::store::Record;
use crate::url::InstanceUrl;

/// The parts of the engine that a command may use.
pub(super) struct Commands<'a> {
    pub(super) master: &'a MasterIdentity,
    pub(super) key_epoch: KeyEpoch,
    pub(super) dials: &'a mut Dials,
    pub(super) operations: Operations<'a>,
}

impl Commands<'_> {
    /// Takes a command in.
    pub(super) fn take(mut self, request: RequestId, caller: Caller, command: Command) {
        if let Err(refusal) = self.admit(caller.trust, &command) {
            return self.operations.out.refuse(request, refusal);
        }
        if !self.operations.life.is_serving() {
            return self.operations.out.refuse(request, Refusal::ShuttingDown);
        }
        let refused = match command {
            Command::Create { url, alias } => self.create(request, url, alias),
            Command::Amend { id, expect, amend } => self.amend(request, (id, &expect), &amend),
            Command::Replace { id, expect, url } => {
                self.operations.replace(request, (id, expect), url)
            }
            Command::Remove { id, expect } => self.operations.delete(request, id, expect),
            Command::Desire { id, desire } => self.desire(request, id, desire),
            Command::Act { ids, action } => self.act(request, &ids, action),
            Command::SetAlias(alias) => self.set_alias(request, alias),
            Command::RotateKey(key) => {
                let identity = MasterIdentity { key: key.clone(), ..self.newest_master().clone() };
                self.put_master(request, identity, Change::RotateKey(key))
            }
            Command::Dial(target) => {
                let Operations { now, timers, out, .. } = &mut self.operations;
                Dialing { dials: self.dials, timers, out }.ask(*now, request, target);
                Ok(())
            }
        };
        if let Err(refusal) = refused {
            self.operations.out.refuse(request, refusal);
        }
    }

    /// Whether a caller that a door has authenticated still may send commands. A request can take
    /// long to arrive: the key that was valid at its start must still be valid.
    fn admit(&self, trust: Trust, command: &Command) -> Result<(), Refusal> {
        match trust {
            Trust::Key(epoch) if epoch != self.key_epoch => Err(Refusal::NotAdmitted),
            Trust::Token(role) if !role.includes(command.role()) => {
                Err(Refusal::TakesRole(command.role()))
            }
            Trust::Key(_) | Trust::Token(_) | Trust::Peer { .. } | Trust::Open => Ok(()),
        }
    }

    fn create(
        &mut self,
        request: RequestId,
        url: InstanceUrl,
        alias: String,
    ) -> Result<(), Refusal> {
        let Operations { table, commits, .. } = &self.operations;
        if table.len() + commits.reserved() >= INSTANCES_MAX {
            return Err(Refusal::Full { limit: INSTANCES_MAX });
        }
        let definition = Arc::new(Definition::new(self.operations.unused_id(), url, alias));
        let totals = SavedTotals::default();
        self.operations.check_cycle(None, &definition)?;
        check_size(&InstanceView::new(Arc::clone(&definition)))?;
        let (stored, desired) = (Arc::clone(&definition), Arc::default());
        let record = Record::PutInstance { definition: stored, desired, totals };
        self.submit(request, record, Change::Create(definition));
        Ok(())
    }

    fn amend(
        &mut self,
        request: RequestId,
        (id, expect): (InstanceId, &Expect),
        amend: &Amend,
    ) -> Result<(), Refusal> {
        let Operations { table, out, .. } = &mut self.operations;
        let slot = table.find(id).ok_or(Refusal::NoInstance)?;
        let instance = table.get_mut(slot).ok_or(Refusal::NoInstance)?;
        if instance.queue().is_deleting() {
            return Err(Refusal::NoInstance);
        }
        if !expect.admits(instance.versions().newest().revision) {
            out.respond(request, Outcome::Stale(instance.view()));
            return Ok(());
        }
        if instance.definition().is_configured() {
            return self.amend_configured(request, slot, amend);
        }
        let is_reset = amend.action == Some(InstanceAction::Reset);
        let changed = amend.apply(instance.versions().newest());
        // Wait for the pending record: the answer must not come before it is durable.
        let rests_on_staged = amend.apply(instance.definition()).is_some();
        let goal = goal_after(instance, amend.action);
        let keeps_definition = changed.is_none() && !rests_on_staged && !is_reset;
        if keeps_definition && !has_to_store(instance, amend.action, goal) {
            let before = instance.view();
            if instance.versions().unsaved_records() > 0 {
                self.operations.commits.supersede(slot, amend.action);
            }
            self.operations.act(request, slot, amend.action);
            self.operations.done(request, slot, before);
            return Ok(());
        }
        let changed = changed.map(Arc::new);
        if let Some(changed) = &changed {
            check_size(&instance.view_with(Arc::clone(changed)))?;
            self.operations.check_cycle(Some(slot), changed)?;
        }
        let instance = self.operations.table.get_mut(slot).ok_or(Refusal::NoInstance)?;
        let definition = changed.unwrap_or_else(|| Arc::clone(instance.versions().newest()));
        if is_reset {
            instance.versions_mut().stage_reset();
        }
        let totals = instance.saved_totals();
        let desired = instance.stage(Arc::clone(&definition), goal);
        let record = if keeps_definition {
            Record::SetDesired { id, desired }
        } else {
            Record::PutInstance { definition: Arc::clone(&definition), desired, totals }
        };
        let change = Change::Patch { slot, definition, action: amend.action, goal };
        self.submit(request, record, change);
        Ok(())
    }

    /// Of an instance from a configuration file, an amendment changes what is wanted and nothing
    /// else.
    fn amend_configured(
        &mut self,
        request: RequestId,
        slot: SlotId,
        amend: &Amend,
    ) -> Result<(), Refusal> {
        let toggle = match amend.action {
            Some(InstanceAction::Start) => Some(Toggle::Enable),
            Some(InstanceAction::Stop) => Some(Toggle::Disable),
            Some(InstanceAction::Restart) => Some(Toggle::Restart),
            Some(InstanceAction::Reset) | None => None,
        };
        let mut supervisor = self.operations.supervise(slot).ok_or(Refusal::NoInstance)?;
        if amend.apply(supervisor.instance.definition()).is_some() {
            return Err(Refusal::Configured);
        }
        let Some(toggle) = toggle else {
            let before = supervisor.instance.view();
            self.operations.done(request, slot, before);
            return Ok(());
        };
        supervisor.desire(request, Box::new(Desire::toggled(toggle)));
        Ok(())
    }

    /// Does the same with many instances, in the order of their links.
    fn act(
        &mut self,
        request: RequestId,
        ids: &BTreeSet<InstanceId>,
        action: InstanceAction,
    ) -> Result<(), Refusal> {
        let batches = &mut self.operations.out.batches;
        if batches.open.len() >= BATCHES_MAX {
            return Err(Refusal::Crowded);
        }
        if ids.is_empty() {
            self.operations.out.respond(request, Outcome::Acted(Vec::new()));
            return Ok(());
        }
        let ids: Vec<InstanceId> = ids.iter().copied().collect();
        let parts = batches.begin(request, action, &ids);
        if matches!(action, InstanceAction::Stop | InstanceAction::Restart) {
            self.operations.stop_in_order(&ids);
        }
        for (part, id) in self.operations.first_to_last(parts) {
            let slot = self.operations.table.find(id);
            slot.map(|slot| self.operations.links.unreached.remove(&slot));
            let status = slot.and_then(|slot| self.operations.table.get(slot));
            let is_error = status.is_some_and(|row| row.state().status() == Status::Error);
            // Who starts an instance in error means "try now".
            let is_retry = is_error && action == InstanceAction::Start;
            let action = if is_retry { InstanceAction::Restart } else { action };
            let amend = Amend { action: Some(action), ..Amend::default() };
            if let Err(refusal) = self.amend(part, (id, &Expect::Any), &amend) {
                self.operations.out.refuse(part, refusal);
                // Nothing waits for its exit.
                slot.into_iter().for_each(|slot| self.operations.settle(slot));
            }
        }
        Ok(())
    }

    fn desire(
        &mut self,
        request: RequestId,
        id: InstanceId,
        desire: Box<Desire>,
    ) -> Result<(), Refusal> {
        let slot = self.operations.table.find(id).ok_or(Refusal::NoInstance)?;
        let mut supervisor = self.operations.supervise(slot).ok_or(Refusal::NoInstance)?;
        if supervisor.instance.queue().is_deleting() {
            return Err(Refusal::NoInstance);
        }
        supervisor.desire(request, desire);
        Ok(())
    }

    fn set_alias(&mut self, request: RequestId, alias: Option<String>) -> Result<(), Refusal> {
        let newest = self.newest_master();
        // Wait for a pending alias.
        match alias.filter(|alias| *alias != newest.alias || *alias != self.master.alias) {
            None => {
                self.operations.out.respond(request, Outcome::AliasSet);
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
        self.submit(request, Record::PutMaster(identity), change);
        Ok(())
    }

    fn submit(&mut self, request: RequestId, record: Record, change: Change) {
        let Operations { commits, out, .. } = &mut self.operations;
        commits.submit(out, request, record, change);
    }

    fn newest_master(&self) -> &MasterIdentity {
        self.operations.commits.newest_master(self.master)
    }
}

/// The goal after an action, based on pending records.
fn goal_after(instance: &Instance, action: Option<InstanceAction>) -> Goal {
    match action {
        Some(InstanceAction::Stop) => Goal::Down,
        Some(InstanceAction::Restart) => Goal::Up,
        Some(InstanceAction::Start) if instance.accepts_start() => Goal::Up,
        Some(InstanceAction::Start | InstanceAction::Reset) | None => instance.newest_goal(),
    }
}

/// Whether an action may be answered only when its goal is durable.
fn has_to_store(instance: &Instance, action: Option<InstanceAction>, goal: Goal) -> bool {
    let has_goal = !matches!(action, None | Some(InstanceAction::Reset));
    let is_stored = goal == instance.desired().goal && instance.versions().staged_goal().is_none();
    has_goal && instance.stores_goal() && !is_stored
}
