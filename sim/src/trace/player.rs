//! Replays the steps of a trace on an engine, in a world that follows along: steps that a driver
//! could not cause any more are skipped.

use std::collections::BTreeMap;

use openctrl_core::command::Command;
use openctrl_core::engine::Input;
use openctrl_core::ids::{InstanceId, ProcessRef, RecordSeq, RequestId};
use openctrl_core::time::{Now, Time, Wall};
use openctrl_core::webhook::{DeliveryId, HookId};

use super::steps::{About, Step, Steps, created};
use crate::invariants::Violation;
use crate::run::{Run, is_about_a_process};
use crate::world::{Character, Phase};

/// A trace, or the rest of one, being replayed.
pub(super) struct Player<'a> {
    trace: &'a Steps,
    /// The run that it is.
    pub(super) run: Run,
    /// The ids here of instances that the recording created.
    created: BTreeMap<RequestId, InstanceId>,
    /// The numbers here of records.
    records: BTreeMap<RequestId, RecordSeq>,
    /// Whether steps are replayed as recorded.
    is_recorded: bool,
    /// Number of replayed steps.
    pub(super) told: usize,
    /// Number of steps that no driver could have caused.
    pub(super) impossible: usize,
}

impl<'a> Player<'a> {
    /// The engine of a trace, and its world.
    pub(super) fn new(trace: &'a Steps) -> Self {
        let run = Run::resumed(trace.engine.clone(), trace.header.started);
        let mut player = Self {
            trace,
            run,
            created: BTreeMap::new(),
            records: BTreeMap::new(),
            is_recorded: false,
            told: 0,
            impossible: 0,
        };
        player.learn();
        player
    }

    /// Replays a step as recorded, whatever the world expects: an input that no driver could send
    /// counts as late.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub(super) fn tell_as_recorded(&mut self, step: &Step) -> Result<(), Violation> {
        self.is_recorded = true;
        self.run.world.clock.set(step.now);
        let is_possible = self.come_about(step).is_some();
        self.impossible += usize::from(!is_possible);
        self.told += 1;
        self.feed(step.input.clone(), !is_possible && is_about_a_process(&step.input))
    }

    /// Tells a step, by the names that things have here, if a driver could.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub(super) fn tell(&mut self, step: &Step) -> Result<(), Violation> {
        let before = self.run.world.clock.now();
        let Some(now) = self.time_of(step) else { return Ok(()) };
        self.run.world.clock.set(now);
        match self.come_about(step) {
            Some(input) => {
                self.told += 1;
                self.feed(input, false)
            }
            None => {
                self.run.world.clock.set(before);
                Ok(())
            }
        }
    }

    fn feed(&mut self, input: Input, is_late: bool) -> Result<(), Violation> {
        self.run.feed(input, is_late)?;
        self.learn();
        Ok(())
    }

    /// The time of a step; `None` if no timer could be due.
    fn time_of(&self, step: &Step) -> Option<Now> {
        let Now { mono, wall } = self.run.world.clock.now();
        let mut micros = step.micros;
        if let Input::TimeAdvanced = step.input {
            let (due, _) = self.run.engine().poll_timeout()?;
            micros = micros.max(due.as_micros().saturating_sub(mono.as_micros()));
        }
        let wall = (wall.as_micros() + micros).saturating_add_signed(step.wall_step);
        let mono = Time::from_micros(mono.as_micros() + micros);
        Some(Now { mono, wall: Wall::from_micros(wall) })
    }

    /// Causes a step in the world, and returns the input for the engine, if it is possible.
    fn come_about(&mut self, step: &Step) -> Option<Input> {
        let world = &mut self.run.world;
        Some(match &step.input {
            Input::RequestArrived { request, caller, command } => Input::RequestArrived {
                request: *request,
                caller: *caller,
                command: self.command(command),
            },
            Input::ProcessStarted { process } => {
                let process = self.process(step, *process, Phase::Spawning)?;
                self.run.world.started(process, Character::default());
                Input::ProcessStarted { process }
            }
            Input::StartFailed { process, reason } => {
                let process = self.process(step, *process, Phase::Spawning)?;
                self.run.world.gone(process, false);
                Input::StartFailed { process, reason: reason.clone() }
            }
            Input::StartLost { process, may_have_run } => {
                let process = self.process(step, *process, Phase::Spawning)?;
                self.run.world.gone(process, false);
                Input::StartLost { process, may_have_run: *may_have_run }
            }
            Input::KillFailed { process, reason } => {
                let process = self.process(step, *process, Phase::Alive)?;
                Input::KillFailed { process, reason: reason.clone() }
            }
            Input::OutputRead { process, batch } => {
                let process = self.process(step, *process, Phase::Alive)?;
                Input::OutputRead { process, batch: batch.clone() }
            }
            Input::LeaseExpired { process } => {
                let process = self.process(step, *process, Phase::Alive)?;
                if let Some(process) = self.run.world.processes.get_mut(process) {
                    process.has_lost_lease = true;
                }
                Input::LeaseExpired { process }
            }
            Input::ProcessExited { process, exit, group_left } => {
                let process = self.process(step, *process, Phase::Alive)?;
                self.run.world.gone(process, *group_left);
                Input::ProcessExited { process, exit: *exit, group_left: *group_left }
            }
            Input::RecordsPersisted { .. } => {
                let count = self.records_of(step)?;
                self.run.world.disk.write(count).ok()??
            }
            Input::PersistFailed { reason, .. } => {
                let waiting = world.disk.waiting();
                let told = if waiting > 0 {
                    world.disk.write_refused(usize::MAX, 0, 1).ok()??
                } else {
                    return None;
                };
                let Input::PersistFailed { epoch, .. } = told else { return None };
                Input::PersistFailed { epoch, reason: reason.clone() }
            }
            Input::Dialled { request, outcome } => {
                world.clients.dials().find(|dial| dial == request)?;
                world.clients.dialled(*request);
                Input::Dialled { request: *request, outcome: outcome.clone() }
            }
            Input::CheckEnded { process, check, failure } => {
                let process = self.process(step, *process, Phase::Alive)?;
                let asked = (process, *check);
                // A process that says by itself that it is ready was not asked.
                self.run.world.checks.retain(|known| *known != asked);
                Input::CheckEnded { process, check: *check, failure: failure.clone() }
            }
            Input::ZoneRead { name, zone } => {
                self.run.world.zones.retain(|known| known != name);
                Input::ZoneRead { name: name.clone(), zone: zone.clone() }
            }
            Input::FilesChanged { instance, path } => {
                let instance = self.name_of(*instance);
                let is_watched = self.run.world.watched.contains(&instance);
                is_watched.then(|| Input::FilesChanged { instance, path: path.clone() })?
            }
            Input::WatchFailed { instance, reason } => {
                let instance = self.name_of(*instance);
                let is_watched = self.run.world.watched.contains(&instance);
                is_watched.then(|| Input::WatchFailed { instance, reason: reason.clone() })?
            }
            Input::WebhooksConfigured { hooks } => {
                self.run.world.deliveries.clear();
                Input::WebhooksConfigured { hooks: hooks.clone() }
            }
            Input::DeliveryEnded { hook, delivery, result } => {
                let world = &mut self.run.world;
                // The ids here are others if steps are left out.
                let is_it = |(to, id): &(HookId, DeliveryId)| {
                    to == hook && (id == delivery || !self.is_recorded)
                };
                let place = world.deliveries.iter().position(is_it)?;
                let (hook, delivery) = world.deliveries.remove(place);
                Input::DeliveryEnded { hook, delivery, result: result.clone() }
            }
            Input::PidTold { .. }
            | Input::PidFileRead { .. }
            | Input::TrackedGone { .. }
            | Input::VerbEnded { .. }
            | Input::Configured { .. } => return None,
            Input::TimeAdvanced => Input::TimeAdvanced,
            Input::ShutdownRequested => Input::ShutdownRequested,
        })
    }

    /// The process that a step is about: the recorded one or, with steps left out, the oldest of
    /// its instance in that phase.
    fn process(&self, step: &Step, recorded: ProcessRef, phase: Phase) -> Option<ProcessRef> {
        if self.is_recorded {
            let process = self.run.world.processes.get(recorded);
            return process.filter(|process| process.phase == phase).map(|_| recorded);
        }
        let About::ProcessOf(instance) = step.about else { return None };
        let instance = self.name_of(instance);
        let mut all = self.run.world.processes.iter();
        let is_it = |id: InstanceId, of: Phase| id == instance && of == phase;
        all.find(|other| is_it(other.definition.id, other.phase)).map(|other| other.reference)
    }

    /// How much the disk has to write: up to the record of the request that a step is about or, if
    /// that was left out, of the last one before it.
    fn records_of(&self, step: &Step) -> Option<usize> {
        let About::RecordOf(request) = step.about else { return None };
        let before = self.records.range(..=request).rev();
        before.filter_map(|(_, seq)| self.run.world.disk.queued_up_to(*seq)).next()
    }

    fn command(&self, command: &Command) -> Command {
        let mut command = command.clone();
        if let Command::Amend { id, .. }
        | Command::Desire { id, .. }
        | Command::Replace { id, .. }
        | Command::Remove { id, .. } = &mut command
        {
            *id = self.name_of(*id);
        }
        if let Command::Act { ids, .. } = &mut command {
            *ids = ids.iter().map(|id| self.name_of(*id)).collect();
        }
        command
    }

    /// The id here of an instance of the recording.
    fn name_of(&self, recorded: InstanceId) -> InstanceId {
        let created = self.trace.created.get(&recorded);
        created.and_then(|request| self.created.get(request)).copied().unwrap_or(recorded)
    }

    fn learn(&mut self) {
        if self.run.world.disk.waiting() == 0 {
            return;
        }
        for record in self.run.engine().under_way().records {
            self.records.insert(record.request, record.seq);
            self.created.extend(created(&record).map(|id| (record.request, id)));
        }
    }
}
