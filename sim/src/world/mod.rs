//! The world around the engine: what carries its effects out, and what can happen in it.

mod clients;
mod clock;
mod disk;
mod fault;
mod files;
mod hub;
mod keeper;
mod processes;

pub use clients::Clients;
pub use clock::Clock;
pub use disk::{Died, Disk, KeptNews};
pub use fault::Fault;
pub use files::{Crash, Files, Name, Stop, Tail};
pub use hub::{Frame, Given, Hub, Missed, Seen};
pub use keeper::{Counts, Eviction, Keeper, Remains};
pub use processes::{Character, HasToEnd, OnTerm, Phase, Prints, Process, Processes};

use std::collections::BTreeSet;

use openctrl_core::engine::{Effect, Survivor};
use openctrl_core::event::{EventKind, Subject};
use openctrl_core::ids::{InstanceId, ProcessRef};
use openctrl_core::instance::{Boot, CheckKind, Goal};
use openctrl_core::store::Image;
use openctrl_core::webhook::{DeliveryId, HookId};

use crate::object::Shown;

/// Everything but the engine.
#[derive(Debug)]
pub struct World {
    /// The two clocks.
    pub clock: Clock,
    /// The process table of the machine.
    pub processes: Processes,
    /// What processes outlive the master with; `None` with `survive=off`.
    pub keeper: Option<Keeper>,
    /// The disk.
    pub disk: Disk,
    /// Clients, and their pending dials.
    pub clients: Clients,
    /// Pending checks of processes, oldest first.
    pub checks: Vec<(ProcessRef, CheckKind)>,
    /// Time zones that are being read.
    pub zones: Vec<String>,
    /// The instances whose files are watched.
    pub watched: BTreeSet<InstanceId>,
    /// Reports that are being sent to webhooks.
    pub deliveries: Vec<(HookId, DeliveryId)>,
    /// The event stream.
    pub hub: Hub,
    /// How often each kind of trouble happened.
    pub faults: [u64; Fault::ALL.len()],
}

impl World {
    /// A world whose disk holds `image`.
    pub fn new(image: Image, hub: Hub) -> Self {
        Self {
            clock: Clock::default(),
            processes: Processes::default(),
            keeper: None,
            disk: Disk::new(image),
            clients: Clients::default(),
            checks: Vec::new(),
            zones: Vec::new(),
            watched: BTreeSet::new(),
            deliveries: Vec::new(),
            hub,
            faults: [0; Fault::ALL.len()],
        }
    }

    /// Notes that something of this kind happened.
    pub fn happened(&mut self, fault: Fault) {
        self.faults[fault as usize] += 1;
    }

    /// Carries an effect out, as far as it has an effect on the world. `object` is the one in it.
    pub fn carry_out(&mut self, effect: &Effect, object: Option<&Shown>) {
        self.hub.carry_out(effect, object);
        #[expect(clippy::wildcard_enum_match_arm, reason = "others are of effect in the hub alone")]
        match effect {
            Effect::Spawn { process, run, definition } => {
                self.processes.spawn(*process, definition);
                let (now_ms, awake_ms) = (self.clock.ms(), self.clock.awake_ms());
                let keeper = self.keeper.iter_mut();
                keeper.for_each(|keeper| keeper.order(*run, definition, now_ms, awake_ms));
            }
            Effect::ShowProcess { instance, facts } => {
                self.keeper.iter_mut().for_each(|keeper| keeper.show(*instance, facts));
            }
            Effect::Publish(event) => {
                if let (EventKind::Delete, Subject::Instance(id)) =
                    (event.kind, event.object.subject())
                {
                    self.keeper.iter_mut().for_each(|keeper| keeper.forget(id));
                }
            }
            Effect::Adopt { process, instance } => self.processes.adopt(*process, *instance),
            Effect::Signal { process, scope: _, signal } => {
                self.processes.signal(self.clock.now().mono, *process, *signal);
            }
            Effect::RenewLeases => self.renew_leases(),
            Effect::Persist { epoch, seq, record } => self.disk.accept(*epoch, *seq, record),
            Effect::SaveTotals(totals) => self.disk.save_totals(totals),
            Effect::Dial { request, .. } => self.clients.dial(*request),
            Effect::Finish => self.keeper.iter_mut().for_each(Keeper::left_alone),
            Effect::Check { process, check, .. } => self.checks.push((*process, *check)),
            Effect::ReadZone { name } => self.zones.push(name.clone()),
            Effect::Watch { definition } => {
                self.watched.insert(definition.id);
            }
            Effect::Unwatch { instance } => {
                self.watched.remove(instance);
            }
            Effect::Deliver { hook, delivery } => self.deliveries.push((*hook, delivery.id)),
            _ => {}
        }
    }

    /// A process has started.
    pub fn started(&mut self, process: ProcessRef, character: Character) {
        self.processes.started(self.clock.now(), process, character);
        if let (Some(keeper), Some(started)) = (&mut self.keeper, self.processes.get(process)) {
            keeper.started(started.definition.id);
        }
    }

    /// A process has exited, or failed to start.
    pub fn gone(&mut self, process: ProcessRef, group_left: bool) {
        if let (Some(keeper), Some(gone)) = (&mut self.keeper, self.processes.get(process))
            && gone.phase == Phase::Alive
            && !gone.adopted
        {
            if keeper.is_alone() {
                return;
            }
            if !gone.has_exited {
                keeper.exited(gone.definition.id);
            }
        }
        let id = self.processes.get(process).map(|gone| gone.definition.id);
        if let (Some(keeper), Some(id)) = (&mut self.keeper, id) {
            keeper.ended(id);
        }
        self.processes.gone(process, group_left);
    }

    /// A master lives.
    pub fn renew_leases(&mut self) {
        let (now_ms, awake_ms) = (self.clock.ms(), self.clock.awake_ms());
        self.keeper.iter_mut().for_each(|keeper| keeper.renew(now_ms, awake_ms));
    }

    /// The keeper stops the runs whose lease has expired.
    pub fn end_expired(&mut self) -> Vec<Eviction> {
        let (now, now_ms, awake_ms) =
            (self.clock.now().mono, self.clock.ms(), self.clock.awake_ms());
        let Some(keeper) = &mut self.keeper else { return Vec::new() };
        let evictions = keeper.evictions(now_ms, awake_ms);
        for Eviction { instance, signal, .. } in &evictions {
            self.processes.evict(now, *instance, *signal);
            self.happened(Fault::LeaseExpires);
        }
        evictions
    }

    /// The master dies, with the machine or alone, and the next one starts; `dies_in` steps from
    /// its beginning that one dies in the same way, if it is given, and one more starts. Returns
    /// the state that it finds, and what it finds of processes.
    ///
    /// # Errors
    /// Why it refuses to start.
    pub fn restart(
        &mut self,
        crash: Crash,
        dies_in: Option<usize>,
        keeper_dies: bool,
        came_to_life: impl FnMut() -> bool,
    ) -> Result<(Image, Remains), String> {
        self.clients.hung_up();
        self.checks.clear();
        self.zones.clear();
        self.deliveries.clear();
        self.watched.clear();
        self.hub = self.hub.reborn();
        self.end_expired();
        self.leave_processes(keeper_dies || crash.power_loss, came_to_life);
        // The greeting of the next one.
        self.renew_leases();
        if crash.power_loss {
            self.processes.end_all();
        }
        let image = match self.disk.restart(crash, dies_in)? {
            Some(image) => image,
            None => {
                self.happened(Fault::DiesAtStart);
                let again = self.disk.restart(crash, None)?;
                again.ok_or("it dies unasked")?
            }
        };
        let remains = self.remains(&image);
        Ok((image, remains))
    }

    fn leave_processes(&mut self, keeper_dies: bool, came_to_life: impl FnMut() -> bool) {
        match &mut self.keeper {
            Some(keeper) if keeper_dies => {
                *keeper = Keeper::default();
                self.processes.lose_keeper(came_to_life);
            }
            Some(keeper) => {
                for id in self.processes.leave_to_keeper(self.clock.now(), came_to_life) {
                    keeper.started(id);
                }
            }
            None => self.processes.leave_behind(came_to_life),
        }
    }

    fn remains(&mut self, image: &Image) -> Remains {
        let is_known = |id: InstanceId| image.instances.contains_key(&id);
        let leftovers = self.processes.find_leftovers(is_known);
        let Some(keeper) = &mut self.keeper else {
            return Remains { leftovers, ..Remains::default() };
        };
        let has_to_end = |process: &Process| {
            let stored = &image.instances[&process.definition.id];
            let policy = &stored.definition.policy;
            let is_down = policy.boot == Boot::Saved && stored.desired.goal == Goal::Down;
            let is_replaced = stored.definition.url() != process.definition.url();
            process.terminated_at.is_some() || process.killed || is_replaced || is_down
        };
        let survivors = self.processes.survivors(is_known, has_to_end);
        let survivors = survivors.filter_map(|process| {
            let instance = process.definition.id;
            let (run, note) = keeper.note(instance)?.clone();
            let is_stopping = process.terminated_at.is_some() || process.killed;
            let is_leased = keeper.is_leased(run);
            Some(Survivor { instance, run, since: process.since, is_stopping, is_leased, note })
        });
        let survivors: Vec<Survivor> = survivors.collect();
        let has_survived = |id| survivors.iter().any(|survivor| survivor.instance == id);
        let notes = keeper.notes(is_known, has_survived);
        Remains { leftovers, survivors, notes }
    }
}
