//! Looks at a step of the engine: which instances it touched, and what became of them.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::effect::{Attached, ControlEffect};
use super::known::{Known, changed_fields};
use super::{Control, read_status};
use crate::engine::{Effect, Engine, Input, TimerReason};
use crate::event::{EventKind, Object};
use crate::ids::{InstanceId, ProcessRef};
use crate::instance::Definition;
use crate::resource::{Fact, Identity, PROCESS_KIND, Renamed};
use crate::store::Record;
use crate::time::Now;

/// The input of the engine in this step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The periodic look.
    Tick,
    /// Anything else.
    Other,
}

impl Cause {
    /// The cause of the step in which `engine` is about to handle `input`.
    pub fn of(engine: &Engine, input: &Input) -> Self {
        let is_tick = matches!(input, Input::TimeAdvanced)
            && matches!(engine.poll_timeout(), Some((_, TimerReason::Tick)));
        if is_tick { Self::Tick } else { Self::Other }
    }
}

/// The number that the system gave a process.
pub type Pids<'a> = &'a dyn Fn(ProcessRef) -> Option<i32>;

/// The result of looking at a step.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The events that are to be stored together with the changes among the effects.
    pub attached: Vec<Attached>,
    /// The numbers of processes that were asked for, as given: a replay needs them.
    pub pids: Vec<(ProcessRef, i32)>,
}

impl Control {
    /// Looks at a step of the engine, before its effects are carried out.
    pub fn observe(
        &mut self,
        now: Now,
        cause: Cause,
        engine: &Engine,
        effects: &[Effect],
        pids: Pids<'_>,
    ) -> Observed {
        let mut observed = Observed::default();
        let mut touched: Vec<InstanceId> = Vec::new();
        let mut deleted: Vec<InstanceId> = Vec::new();
        for effect in effects {
            if let Effect::Persist { epoch, seq, record } = effect {
                if let Record::RemoveInstance(id) = &**record {
                    // How it exited is reported before that.
                    self.look(now, engine, *id, pids, &mut observed.pids);
                }
                // Events published before are stored with it, but it did not cause them.
                let first = self.outlet.pending();
                self.changing(now, record);
                if let Some(kept) = self.outlet.take_caused(*epoch, first) {
                    self.note_batch(&kept);
                    observed.attached.push(Attached { seq: *seq, kept });
                }
                self.show_touched_rules();
            }
            if let Effect::Publish(event) = effect
                && event.kind == EventKind::Delete
                && let Object::Instance(view) = &event.object
            {
                deleted.push(view.definition.id);
            } else if let Some(id) = subject(effect, engine)
                && touched.last() != Some(&id)
                && !touched.contains(&id)
            {
                touched.push(id);
            }
        }
        for id in deleted {
            touched.retain(|touched| *touched != id);
            self.deleted(now, id);
        }
        for id in touched {
            self.look(now, engine, id, pids, &mut observed.pids);
        }
        if cause == Cause::Tick {
            self.ran("checkpoint-watch", "periodic", None);
        }
        self.keep(now, None);
        observed
    }

    /// A change is pending: its events are stored with it.
    fn changing(&mut self, now: Now, record: &Record) {
        match record {
            Record::PutInstance { definition, .. } => match self.known.get(&definition.id) {
                None => self.creating(now, definition),
                Some(_) => self.updating(now, definition),
            },
            Record::RemoveInstance(id) => self.publish(now, *id, Fact::Deleted),
            Record::SetDesired { .. }
            | Record::AddRun { .. }
            | Record::PutRuns { .. }
            | Record::PutMaster(_)
            | Record::ReserveEvents(_) => {}
        }
    }

    fn creating(&mut self, now: Now, definition: &Arc<Definition>) {
        let id = definition.id;
        if self.names.name(id).is_none() {
            self.names.insert(id, &definition.alias);
        }
        if let Some(name) = self.names.name(id) {
            let definition = Arc::clone(definition);
            self.effects.push_back(ControlEffect::ExpectProcess { id, name, definition });
        }
        self.publish(now, id, Fact::Created);
    }

    /// Names are tried here; they take effect when the change does.
    fn updating(&mut self, now: Now, new: &Arc<Definition>) {
        let Some(known) = self.known.get_mut(&new.id) else { return };
        let in_force = Arc::clone(&known.definition);
        let old = known.staged.replace(Arc::clone(new)).unwrap_or_else(|| Arc::clone(&in_force));
        self.names.set_alias(new.id, &old.alias);
        let renamed = self.names.set_alias(new.id, &new.alias);
        self.names.set_alias(new.id, &in_force.alias);
        let is_renamed = renamed.iter().any(|renamed| renamed.id == new.id);
        let fields = changed_fields(&old, new, is_renamed);
        if !fields.is_empty() {
            self.publish(now, new.id, Fact::Updated(fields));
        }
        for Renamed { id, previous, name } in renamed {
            self.emit(now, Fact::Renamed(previous).draft(&Identity { id, name }));
        }
    }

    /// The definition of an instance has taken effect, and its name with it.
    fn name_again(&mut self, id: InstanceId, alias: &str) {
        for renamed in self.names.set_alias(id, alias) {
            self.show(renamed.id);
        }
    }

    fn deleted(&mut self, now: Now, id: InstanceId) {
        self.known.remove(&id);
        self.held.retain(|(_, held)| held.id != id);
        self.effects.push_back(ControlEffect::RemoveProcess(id));
        for Renamed { id, previous, name } in self.names.remove(id) {
            self.emit(now, Fact::Renamed(previous).draft(&Identity { id, name }));
            self.show(id);
        }
    }

    /// `asked` are the numbers of processes that it asks `pids` for.
    fn look(
        &mut self,
        now: Now,
        engine: &Engine,
        id: InstanceId,
        pids: Pids<'_>,
        asked: &mut Vec<(ProcessRef, i32)>,
    ) {
        let slot = engine.table().find(id);
        let Some(instance) = slot.and_then(|slot| engine.table().get(slot)) else { return };
        if !self.known.contains_key(&id) {
            self.first_look(now, engine, id);
        }
        let Some(known) = self.known.get_mut(&id) else { return };
        let look = known.look(instance, now, &mut |process| {
            let pid = pids(process)?;
            asked.push((process, pid));
            Some(pid)
        });
        if look.is_redefined {
            self.name_again(id, &instance.definition().alias);
            self.show(id);
        }
        for fact in look.facts {
            self.note_run(id, &fact);
            self.publish(now, id, fact);
        }
        if look.is_changed {
            self.show_later(id);
        }
        if look.saw_checkpoint {
            self.effects.push_back(ControlEffect::SawCheckpoint(id, now.wall));
        }
    }

    /// An instance that existed before the machine is taken as it is; a new one is a change of its
    /// stored status.
    fn first_look(&mut self, now: Now, engine: &Engine, id: InstanceId) {
        let slot = engine.table().find(id);
        let Some(instance) = slot.and_then(|slot| engine.table().get(slot)) else { return };
        let is_new = self.outlet_has_created(id);
        if self.names.name(id).is_none() {
            self.names.insert(id, &instance.definition().alias);
        } else {
            self.names.set_alias(id, &instance.definition().alias);
        }
        let (known, fact) = Known::new(instance, now);
        self.known.insert(id, known);
        if is_new {
            self.publish(now, id, fact);
        }
        self.show_new(id);
    }

    /// Whether the instance was created while the machine looked on.
    fn outlet_has_created(&mut self, id: InstanceId) -> bool {
        self.created.remove(&id)
    }

    fn publish(&mut self, now: Now, id: InstanceId, fact: Fact) {
        if fact == Fact::Created {
            self.created.insert(id);
        }
        if let Some(name) = self.names.name(id) {
            self.emit(now, fact.draft(&Identity { id, name }));
        }
    }

    /// Shows an instance that is new, or has another name or definition, at once.
    fn show(&mut self, id: InstanceId) {
        self.held.retain(|(_, held)| held.id != id);
        self.show_new(id);
    }

    /// The same for one of which no state is held.
    fn show_new(&mut self, id: InstanceId) {
        if let (Some(known), Some(name)) = (self.known.get(&id), self.names.name(id)) {
            self.effects.push_back(ControlEffect::ShowProcess(known.entry(&name)));
        }
    }

    /// Shows the state of an instance when its events are durable: a client that sees the phase
    /// finds the events that led to it.
    fn show_later(&mut self, id: InstanceId) {
        if !self.outlet.is_durable() || self.outlet.pending() == 0 {
            return self.show(id);
        }
        if let (Some(known), Some(name)) = (self.known.get(&id), self.names.name(id)) {
            self.held.push_back((self.outlet.last_id(), known.entry(&name)));
        }
    }

    /// Starts, stops and exits are the runs of the supervisor.
    fn note_run(&mut self, id: InstanceId, fact: &Fact) {
        let (trigger, error) = match fact {
            Fact::Started(_) => ("routerd.daemon.lifecycle.started", None),
            Fact::Stopped(_) => ("routerd.daemon.lifecycle.stopped", None),
            Fact::Crashed(_) => ("routerd.daemon.lifecycle.crashed", None),
            Fact::StartFailed(reason) => ("openctrl.instance.start.failed", Some(reason.clone())),
            Fact::Created
            | Fact::Updated(_)
            | Fact::Renamed(_)
            | Fact::Deleted
            | Fact::Ready
            | Fact::RestartScheduled(..)
            | Fact::HealthChanged(..)
            | Fact::StatusChanged { .. }
            | Fact::CommandReceived(_)
            | Fact::CommandExecuted(_)
            | Fact::CommandRejected(_) => return,
        };
        let name = || self.names.name(id).map(|name| name.to_string()).unwrap_or_default();
        let error = error.map(|reason| (name(), reason));
        self.ran("supervisor", trigger, error);
    }

    pub(super) fn ran(
        &mut self,
        controller: &'static str,
        trigger: &str,
        error: Option<(String, String)>,
    ) {
        let trigger = trigger.to_string();
        self.effects.push_back(ControlEffect::Ran { controller, trigger, error });
    }

    /// Changes were refused: pending ones are dropped.
    pub(super) fn forget_refused(&mut self) {
        for known in self.known.values_mut() {
            known.staged = None;
        }
        for id in core::mem::take(&mut self.created) {
            self.names.remove(id);
            self.effects.push_back(ControlEffect::RemoveProcess(id));
        }
    }

    /// A field of the status of an instance, for tests.
    pub fn status_field(&self, name: &str, key: &str) -> String {
        read_status(&self.known, &self.names, PROCESS_KIND, name, key)
    }
}

/// The instance that an effect is about.
fn subject(effect: &Effect, engine: &Engine) -> Option<InstanceId> {
    let of = |process: &ProcessRef| {
        engine.table().get(process.slot).map(|instance| instance.definition().id)
    };
    match effect {
        Effect::ShowInstance(view) => Some(view.definition.id),
        Effect::ShowProcess { instance, .. } | Effect::Adopt { instance, .. } => Some(*instance),
        Effect::Publish(event) => match &event.object {
            Object::Instance(view) => Some(view.definition.id),
            Object::Key(_) => None,
        },
        Effect::Spawn { process, .. }
        | Effect::Track { process, .. }
        | Effect::Check { process, .. }
        | Effect::Signal { process, .. } => of(process),
        Effect::ReadPidFile { definition, .. }
        | Effect::RunVerb { definition, .. }
        | Effect::Watch { definition } => Some(definition.id),
        Effect::ShowRun { instance, .. } | Effect::Unwatch { instance } => Some(*instance),
        Effect::ShowMaster(_)
        | Effect::PublishLogs(_)
        | Effect::CloseStreams { .. }
        | Effect::Respond { .. }
        | Effect::Persist { .. }
        | Effect::SaveTotals(_)
        | Effect::Dial { .. }
        | Effect::AnnounceKey(_)
        | Effect::ReadZone { .. }
        | Effect::Deliver { .. }
        | Effect::ShowHook { .. }
        | Effect::RenewLeases
        | Effect::Finish => None,
    }
}
