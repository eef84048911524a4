//! A run that goes on with an engine from the middle of its life, as a trace begins with one, and
//! runs that are recorded as traces.

use openctrl_core::engine::{Engine, TimerReason};
use openctrl_core::ids::ProcessRef;
use openctrl_core::instance::{CheckKind, Instance, Process, Ready};
use openctrl_core::process::Signal;
use openctrl_core::time::Now;
use openctrl_core::trace::Header;

use super::recording::Recording;
use super::{Run, WINDOW};
use crate::invariants::{self, Readers, Scene};
use crate::oracle::{Oracle, image_of};
use crate::run::Report;
use crate::world::{Hub, Phase, World};

impl Run {
    /// A run that goes on with `engine`, in a world that has given it no reason to complain: the
    /// processes that it believes in are there, what it had written is on the disk.
    pub fn resumed(engine: Engine, now: Now) -> Self {
        let (world, oracle) = (world_of(&engine, now), Oracle::of(&engine));
        let mut invariants = invariants::all();
        let scene =
            Scene { engine: &engine, world: &world, oracle: &oracle, is_late: false, object: None };
        invariants.iter_mut().for_each(|invariant| invariant.resume(scene));
        Self {
            engine,
            world,
            oracle,
            invariants,
            readers: Readers::new(0),
            report: Report::default(),
            dies_in: None,
            checks_engine: true,
            tamper: None,
            timeline: None,
            before: Vec::new(),
            effects: Vec::new(),
            recording: None,
            records_at: None,
            beside: None,
            webhooks: Vec::new(),
        }
    }

    /// The engine as it stands.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Records what the engine is told from here on, up to the end or death of the master.
    pub fn record(&mut self, header: Header) {
        let header = Header { started: self.world.clock.now(), has_text: false, ..header };
        self.recording = Some(Recording::begin(&header, &self.engine));
    }

    /// Records from the step of that number on.
    pub fn record_from(&mut self, step: usize, header: Header) {
        self.records_at = Some((step, header));
    }

    /// The trace of what was recorded; `None` if the master died since. `is_whole` says that the
    /// engine came through its last input.
    pub fn recorded(&mut self, is_whole: bool) -> Option<Vec<u8>> {
        let recording = self.recording.take()?;
        Some(recording.end(is_whole.then_some(&self.engine)))
    }
}

fn world_of(engine: &Engine, now: Now) -> World {
    let mut world = World::new(image_of(engine), Hub::new(WINDOW, 0));
    world.clock.set(now);
    for slot in engine.table().slots() {
        let Some(row) = engine.table().get(slot) else { continue };
        let process = ProcessRef { slot, generation: row.lifecycle().generation() };
        if let Some(phase) = phase(row) {
            world.processes.put(process, row.definition(), phase);
        }
        if row.lifecycle().group_left() && !row.state().has_process() {
            world.processes.gone(process, true);
        }
        if row.state().is_stopping() && !row.state().is_spawning() {
            world.processes.signal(now.mono, process, Signal::TERM);
        }
    }
    let under_way = engine.under_way();
    for record in under_way.records {
        world.disk.accept(record.epoch, record.seq, &record.record);
    }
    world.checks = checks(engine);
    world.zones = engine.under_way().zones;
    let rows = engine.table().slots().filter_map(|slot| engine.table().get(slot));
    let watched = rows.filter(|row| row.watching().is_on).map(|row| row.definition().id);
    world.watched = watched.collect();
    world.deliveries = engine.under_way().deliveries;
    under_way.dials.into_iter().for_each(|request| world.clients.dial(request));
    world
}

/// The checks under way: of those that are not, a timer is armed.
fn checks(engine: &Engine) -> Vec<(ProcessRef, CheckKind)> {
    let armed: Vec<TimerReason> = engine.timers().map(|(_, reason)| reason).collect();
    let mut under_way = Vec::new();
    for slot in engine.table().slots() {
        let Some(row) = engine.table().get(slot) else { continue };
        let process = ProcessRef { slot, generation: row.lifecycle().generation() };
        if row.state().process != Process::Live {
            continue;
        }
        let (checks, met) = (&row.definition().checks, row.readiness().met);
        let is_asked = matches!(checks.ready, Some(Ready::Target(_) | Ready::Notify)) && !met;
        if is_asked && !armed.contains(&TimerReason::Ready(slot)) {
            under_way.push((process, CheckKind::Ready));
        }
        let is_watched = checks.live.is_some() && (met || checks.ready.is_none());
        if is_watched && !armed.contains(&TimerReason::Live(slot)) {
            under_way.push((process, CheckKind::Live));
        }
    }
    under_way
}

/// Where the process of an instance is, as far as the instance knows; none if it has none.
fn phase(row: &Instance) -> Option<Phase> {
    match row.state() {
        state if state.is_spawning() => Some(Phase::Spawning),
        state if state.has_process() => Some(Phase::Alive),
        _ => row.lifecycle().group_left().then_some(Phase::Alive),
    }
}
