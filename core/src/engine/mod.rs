//! The state machine of the whole master.
//!
//! # The contract
//! The driver passes facts to the engine with [`Engine::handle`] and then takes effects from
//! [`Engine::poll_effect`] until there are none, before the next fact. It carries out effects in
//! order. When the clock reaches [`Engine::poll_timeout`], it sends [`Input::TimeAdvanced`].
//!
//! # What is not here
//! No clock, no randomness except that of the seed, no I/O. Nothing waits: a change that must be
//! durable first leaves as [`Effect::Persist`] and continues at [`Input::RecordsPersisted`], so
//! that the driver never delays an effect. Wall time may step; event times do not.

mod batches;
mod check;
mod checks;
mod commits;
mod configure;
mod desires;
mod dials;
mod effect;
mod facets;
mod found;
mod frozen;
mod input;
mod life;
mod links;
mod on_command;
mod on_process;
mod on_storage;
mod on_timer;
mod operations;
mod order;
mod outbox;
mod presence;
mod reload;
mod reports;
mod resume;
mod schedules;
mod show;
mod shutdown;
mod supervisor;
mod timers;
mod verbs;
mod watches;
mod webhooks;
mod zones;

use alloc::vec::Vec;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

pub use check::Contradiction;
pub use effect::Effect;
pub use found::{Found, Survivor};
pub use frozen::{RecordUnderWay, UnderWay};
pub use input::Input;
pub use presence::Sighting;
pub use show::{Names, Shown, show_effect, show_effect_with, show_input};
pub use timers::TimerReason;
pub use verbs::VerbResult;

use self::commits::Commits;
use self::dials::{Dialing, Dials};
use self::life::Life;
use self::links::Links;
use self::on_command::Commands;
use self::on_storage::Storage;
use self::operations::Operations;
use self::outbox::Outbox;
use self::reload::Reload;
use self::shutdown::Shutdown;
use self::supervisor::{Processes, Supervisor};
use self::timers::Timers;
use self::webhooks::Webhooks;
use self::zones::Zones;
use crate::ids::{InstanceId, KeyEpoch, SlotId};
use crate::instance::{Boot, Definition, Goal, Instance, InstanceEvent, State, Table};
use crate::limits::TICK_MS;
use crate::master::MasterIdentity;
use crate::store::Image;
use crate::time::{Now, Time};

/// The master, but for its hands.
#[derive(Clone, Debug)]
pub struct Engine {
    master: MasterIdentity,
    key_epoch: KeyEpoch,
    table: Table,
    processes: Processes,
    commits: Commits,
    dials: Dials,
    timers: Timers,
    life: Life,
    links: Links,
    rng: ChaCha8Rng,
    out: Outbox,
    reload: Option<Reload>,
    zones: Zones,
    webhooks: Webhooks,
}

impl Engine {
    /// A master with the state it had. Instances whose policy is `restart` are started
    /// (Contract §11). The same seed and inputs give the same effects.
    pub fn new(image: Image, seed: [u8; 32], now: Now) -> Self {
        Self::with_found(image, Found::default(), seed, now)
    }

    /// A master with the state it had, after another one that did not end its processes
    /// (Contract §11).
    pub fn with_found(image: Image, found: Found<'_>, seed: [u8; 32], now: Now) -> Self {
        let mut engine = Self {
            master: image.master,
            key_epoch: KeyEpoch::default(),
            table: Table::default(),
            processes: Processes::default(),
            commits: Commits::default(),
            dials: Dials::default(),
            timers: Timers::default(),
            life: Life::Serving,
            links: Links::default(),
            rng: ChaCha8Rng::from_seed(seed),
            out: Outbox::new(),
            reload: None,
            zones: Zones::default(),
            webhooks: Webhooks::default(),
        };
        engine.timers.arm(TimerReason::Tick, now.mono.after_ms(TICK_MS));
        engine.out.show_master(&engine.master, engine.key_epoch);
        let totals_of = |survivor: &Survivor| Some(image.instances.get(&survivor.instance)?.totals);
        let totals_of_survivors: Vec<_> = found.survivors.iter().map(totals_of).collect();
        for stored in image.instances.into_values() {
            let (definition, saved) = (stored.definition, stored.totals);
            let mut instance = Instance::new(definition, saved.mode, saved.totals());
            instance.desired_mut().clone_from(&stored.desired);
            // Raw counts of a process that is no more are folded: the next one counts from 0.
            if *instance.meters().counters() != saved.counters {
                instance.meters_mut().set_unsaved();
            }
            instance.presence_mut().past = stored.runs;
            engine.out.push(Effect::ShowInstance(instance.view()));
            let slot = engine.table.insert(instance);
            if let Some(mut supervisor) = engine.supervise(now, slot) {
                supervisor.show_facts();
                supervisor.arrive();
            }
        }
        for slot in found.leftovers.iter().filter_map(|id| engine.find(*id)).collect::<Vec<_>>() {
            engine.left_behind(now, slot);
        }
        for (id, note) in found.notes {
            if let Some(slot) = engine.find(*id)
                && let Some(mut supervisor) = engine.supervise(now, slot)
            {
                supervisor.recall(note);
            }
        }
        for (survivor, totals) in found.survivors.iter().zip(&totals_of_survivors) {
            if let Some(slot) = engine.find(survivor.instance)
                && let Some(mut supervisor) = engine.supervise(now, slot)
            {
                supervisor.attach(survivor, totals.as_ref());
            }
        }
        engine.link_all(now);
        engine.start_all(now);
        engine
    }

    /// Finds out who waits for whom.
    fn link_all(&mut self, now: Now) {
        for slot in self.table.slots().collect::<Vec<SlotId>>() {
            // They are settled when they are started.
            self.operations(now).link(slot);
        }
    }

    /// A process of the instance outlived the master that started it. It is ended, unless an
    /// instance of this kind is found while it runs: then it is the instance.
    fn left_behind(&mut self, now: Now, slot: SlotId) {
        let Some(mut supervisor) = self.supervise(now, slot) else { return };
        if supervisor.instance.definition().is_configured()
            && supervisor.instance.definition().liveness.tracks()
        {
            supervisor.survived();
        } else {
            supervisor.fire(InstanceEvent::Found);
        }
        self.settle(now, slot);
    }

    /// Handles a fact. Never fails: a fact that no longer applies changes nothing. After
    /// [`Effect::Finish`] requests are refused, and nothing else happens.
    pub fn handle(&mut self, now: Now, input: Input) {
        if self.life == Life::Finished && !matches!(input, Input::RequestArrived { .. }) {
            return;
        }
        match input {
            Input::RequestArrived { request, caller, command } => {
                self.commands(now).take(request, caller, command);
            }
            Input::ProcessStarted { process } => self.on_started(now, process),
            Input::StartFailed { process, reason } => self.on_start_failed(now, process, &reason),
            Input::StartLost { process, may_have_run } => {
                self.on_start_lost(now, process, may_have_run);
            }
            Input::PidTold { process, identity } => self.on_pid_told(now, process, identity),
            Input::PidFileRead { instance, sighting } => {
                self.on_pid_file_read(now, instance, sighting);
            }
            Input::TrackedGone { process, identity } => {
                self.on_tracked_gone(now, process, identity);
            }
            Input::VerbEnded { instance, verb, result } => {
                self.on_verb_ended(now, instance, verb, &result);
            }
            Input::CheckEnded { process, check, failure } => {
                self.on_check_ended(now, process, check, failure.as_deref());
            }
            Input::Configured { set } => {
                self.reload = Some(Reload { set, is_due: true });
                self.reconfigure(now);
            }
            Input::KillFailed { process, reason } => self.on_kill_failed(now, process, &reason),
            Input::OutputRead { process, batch } => self.on_output(now, process, &batch),
            Input::LeaseExpired { process } => self.on_lease_expired(now, process),
            Input::ProcessExited { process, exit, group_left } => {
                self.on_exited(now, process, exit, group_left);
            }
            Input::RecordsPersisted { upto } => {
                self.storage(now).persisted(upto);
                self.reconfigure(now);
            }
            Input::PersistFailed { epoch, reason } => {
                self.configuration_refused(epoch);
                self.storage(now).failed(epoch, &reason);
            }
            Input::Dialled { request, outcome } => self.dialing().dialed(request, outcome),
            Input::ZoneRead { name, zone } => self.operations(now).zone_read(name, zone),
            Input::FilesChanged { instance, path } => self.on_files_changed(now, instance, path),
            Input::WatchFailed { instance, reason } => {
                self.on_watch_failed(now, instance, &reason);
            }
            Input::WebhooksConfigured { hooks } => self.configure_webhooks(&hooks),
            Input::DeliveryEnded { hook, delivery, result } => {
                self.delivery_ended(now, hook, delivery, &result);
            }
            Input::TimeAdvanced => {
                self.on_time(now);
                self.reconfigure(now);
            }
            Input::ShutdownRequested => self.life = self.shutdown(now).request(),
        }
        self.finish_if_done();
    }

    /// The next thing to do, oldest first.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.out.pop()
    }

    /// When to send the next [`Input::TimeAdvanced`], and why.
    pub fn poll_timeout(&self) -> Option<(Time, TimerReason)> {
        self.timers.next()
    }

    /// The instances, for tests and simulations.
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// Every armed timer, for tests and simulations.
    pub fn timers(&self) -> impl Iterator<Item = (Time, TimerReason)> + '_ {
        self.timers.armed()
    }

    /// Starts instances by their boot policies; the others stay stopped.
    fn start_all(&mut self, now: Now) {
        for slot in self.table.slots().collect::<Vec<SlotId>>() {
            let Some(instance) = self.table.get_mut(slot) else { continue };
            // A process that outlived the last master keeps running, unless its stop is durable.
            let goes_on = instance.state() == State::RUNNING;
            let is_wanted = goes_on && instance.definition().policy.boot != Boot::Saved;
            if instance.definition().is_configured() {
                // What is wanted of it is durable.
            } else if is_wanted || starts_at_boot(instance) {
                instance.desired_mut().start();
                instance.desired_mut().restart = !goes_on;
            } else if keeps_schedule(instance) {
                instance.want();
            } else {
                instance.desired_mut().stop();
            }
            self.settle(now, slot);
        }
    }

    /// Finishes the shutdown when no process and no pending change is left.
    fn finish_if_done(&mut self) {
        let idle = self.processes.alive == 0 && self.commits.is_empty();
        if self.life == Life::ShuttingDown && idle {
            self.abandon();
        }
    }

    /// Finishes the shutdown in any case.
    fn abandon(&mut self) {
        self.life = self.shutdown(Now::default()).abandon();
    }

    /// Applies an event of one instance to the state machine, and carries out what follows from the
    /// resulting state.
    fn fire(&mut self, now: Now, slot: SlotId, event: InstanceEvent) {
        self.operations(now).fire(slot, event);
    }

    fn settle(&mut self, now: Now, slot: SlotId) {
        self.operations(now).settle(slot);
    }

    fn supervise(&mut self, now: Now, slot: SlotId) -> Option<Supervisor<'_>> {
        Some(Supervisor {
            now,
            slot,
            draining: !self.life.is_serving(),
            instance: self.table.get_mut(slot)?,
            processes: &mut self.processes,
            timers: &mut self.timers,
            commits: &mut self.commits,
            webhooks: &mut self.webhooks,
            rng: &mut self.rng,
            out: &mut self.out,
        })
    }

    // Each handler borrows only the parts that it uses.

    fn commands(&mut self, now: Now) -> Commands<'_> {
        let (master, key_epoch, dials, operations) = self.parts(now);
        Commands { master, key_epoch: *key_epoch, dials, operations }
    }

    fn storage(&mut self, now: Now) -> Storage<'_> {
        let (master, key_epoch, _, operations) = self.parts(now);
        Storage { master, key_epoch, operations }
    }

    fn shutdown(&mut self, now: Now) -> Shutdown<'_> {
        let (_, _, dials, operations) = self.parts(now);
        Shutdown { dials, operations }
    }

    fn operations(&mut self, now: Now) -> Operations<'_> {
        self.parts(now).3
    }

    fn dialing(&mut self) -> Dialing<'_> {
        Dialing { dials: &mut self.dials, timers: &mut self.timers, out: &mut self.out }
    }

    fn parts(
        &mut self,
        now: Now,
    ) -> (&mut MasterIdentity, &mut KeyEpoch, &mut Dials, Operations<'_>) {
        let Self { table, processes, commits, timers, links, zones, webhooks, rng, out, .. } = self;
        let life = self.life;
        let operations = Operations {
            now,
            life,
            table,
            processes,
            commits,
            timers,
            links,
            zones,
            webhooks,
            rng,
            out,
        };
        (&mut self.master, &mut self.key_epoch, &mut self.dials, operations)
    }

    fn find(&self, id: InstanceId) -> Option<SlotId> {
        self.table.find(id)
    }
}

/// Whether an instance is started with the master.
fn starts_at_boot(instance: &Instance) -> bool {
    let is_scheduled = instance.definition().checks.schedule.is_some();
    match instance.definition().policy.boot {
        Boot::Restart => instance.definition().restarts() && !is_scheduled,
        Boot::Saved => instance.desired().goal == Goal::Up && !is_scheduled,
        Boot::Always => true,
    }
}

/// Whether an instance is started at the times of its schedule from now on.
fn keeps_schedule(instance: &Instance) -> bool {
    let Definition { policy, checks, .. } = &**instance.definition();
    let is_stopped = policy.boot == Boot::Saved && instance.desired().goal == Goal::Down;
    checks.schedule.is_some() && !is_stopped
}

#[cfg(test)]
pub(crate) mod presence_tests;
#[cfg(test)]
mod stories;
