//! Simulates the machine of the control API: a real engine, processes, a clock that steps, and a
//! disk that fails and loses data.
//!
//! Every step checks INV-14 (stored events) and INV-15 (rules), and a recording of every part of
//! the run replays to the same events (INV-10); see `docs/contributors/INVARIANTS.md`.

mod disk;
pub(crate) mod law;
mod recording;
pub(crate) mod script;

use std::collections::BTreeMap;

use openctrl_core::command::{Caller, Command, Door, Trust};
use openctrl_core::control::{Cause, Control, ControlEffect, ControlInput, Observed, Ticket};
use openctrl_core::engine::{Effect, Engine, Input};
use openctrl_core::ids::{InstanceId, ProcessRef, RequestId};
use openctrl_core::master::MasterIdentity;
use openctrl_core::store::Image;
use openctrl_core::time::{Now, Time, Wall};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use self::disk::{Disk, Wrote};
use self::law::Law;
use self::recording::Recording;

/// How many events are kept: few, so that the oldest go.
const EVENTS_MAX: usize = 200;

/// The result of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events that were shown.
    pub events: u64,
    /// Those of rules.
    pub firings: u64,
    /// How often the master was killed.
    pub crashes: u64,
    /// How often the disk refused.
    pub refusals: u64,
    /// Digests of events that a replay was compared with.
    pub replayed: u64,
    /// A number that depends on every event.
    pub digest: u64,
}

/// Runs a seed for this many steps.
///
/// # Errors
/// The first violated invariant, and the step.
pub fn run(seed: u64, steps: usize) -> Result<Summary, String> {
    let mut world = World::new(seed);
    for step in 0..steps {
        world.step().map_err(|what| format!("seed {seed}, step {step}: {what}"))?;
    }
    world.finish().map_err(|what| format!("seed {seed}, at the end: {what}"))?;
    Ok(world.law.summary)
}

struct World {
    rng: ChaCha8Rng,
    engine: Engine,
    control: Control,
    now: Now,
    disk: Disk,
    law: Law,
    requests: u64,
    /// Processes that were ordered or live.
    processes: BTreeMap<ProcessRef, bool>,
    instances: Vec<InstanceId>,
    recording: Recording,
}

impl World {
    fn new(seed: u64) -> Self {
        let now = Now { mono: Time::ZERO, wall: Wall::from_micros(1_790_000_000_000_000) };
        let mut image = Image::new(MasterIdentity::from_random([1; 8], [1; 16]));
        image.adopt_control(EVENTS_MAX);
        let mut engine = Engine::new(image.clone(), [7; 32], now);
        let mut control = Control::new(&image.control, now);
        // A new master with nothing to start.
        while engine.poll_effect().is_some() || control.poll_effect().is_some() {}
        let recording = Recording::begin(now, &engine, &control);
        let mut world = Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            engine,
            control,
            recording,
            now,
            disk: Disk::new(image),
            law: Law::default(),
            requests: 0,
            processes: BTreeMap::new(),
            instances: Vec::new(),
        };
        world.after(Cause::Other).expect("nothing happened yet");
        world
    }

    fn below(&mut self, limit: u32) -> u32 {
        self.rng.next_u32() % limit
    }

    fn step(&mut self) -> Result<(), String> {
        match self.below(20) {
            0..=2 => {
                let command = script::command(&mut self.rng, &self.instances);
                self.command(command)?;
            }
            3..=7 => self.process()?,
            8 | 9 => self.rules()?,
            10 => self.note()?,
            11 => {
                // A burst, with many keys.
                for _ in 0..self.below(40) {
                    self.note()?;
                }
            }
            12 | 13 => {
                let most = [5_u32, 500, 5_000, 70_000][self.below(4) as usize];
                let ms = self.below(most);
                self.pass(u64::from(ms))?;
            }
            14 => self.step_wall_clock(),
            15 => self.disk.fail_for(self.rng.next_u32() % 3),
            16 if self.below(4) == 0 => self.crash()?,
            _ => self.write()?,
        }
        // First handles what is due: rules that are reverted may have had a timer in between.
        self.pass(0)?;
        if self.recording.is_long() {
            self.record_again()?;
        }
        self.law.rest(&self.control, self.now)
    }

    /// Replays what was recorded, and records on.
    fn record_again(&mut self) -> Result<(), String> {
        let next = Recording::begin(self.now, &self.engine, &self.control);
        let recorded = std::mem::replace(&mut self.recording, next);
        self.law.summary.replayed += recorded.check(&self.engine, &self.control)?;
        Ok(())
    }

    /// Lets the disk write until nothing is pending.
    fn finish(&mut self) -> Result<(), String> {
        self.disk.fail_for(0);
        for _ in 0..100 {
            self.write()?;
            self.pass(1_500)?;
        }
        self.record_again()?;
        self.law.end(&self.disk.image)
    }

    fn feed(&mut self, input: Input) -> Result<(), String> {
        let cause = Cause::of(&self.engine, &input);
        self.recording.input(self.now, &input);
        self.engine.handle(self.now, input);
        self.after(cause)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "two effects matter in this world")]
    fn after(&mut self, cause: Cause) -> Result<(), String> {
        let mut effects = Vec::new();
        while let Some(effect) = self.engine.poll_effect() {
            self.recording.effect(&effect);
            effects.push(effect);
        }
        let mut observed = Observed::default();
        if !effects.is_empty() || cause == Cause::Tick {
            let pids = |_| Some(4711);
            observed = self.control.observe(self.now, cause, &self.engine, &effects, &pids);
        }
        let Observed { mut attached, pids } = observed;
        self.recording.attached(&attached);
        let mut later = Vec::new();
        self.drain(&mut later)?;
        self.recording.followed(&pids);
        for effect in effects {
            match effect {
                Effect::Persist { epoch, seq, record } => {
                    let place = attached.iter().position(|attached| attached.seq == seq);
                    let caused = place.map(|place| attached.remove(place).kept);
                    if let Some(kept) = &caused {
                        self.law.ordered(kept, self.control.rules())?;
                    }
                    self.disk.persist(epoch, seq, *record, caused);
                }
                Effect::Spawn { process, definition, .. } => {
                    self.processes.insert(process, false);
                    if !self.instances.contains(&definition.id) {
                        self.instances.push(definition.id);
                    }
                }
                _ => {}
            }
        }
        for kept in later {
            self.law.ordered(&kept, self.control.rules())?;
            self.disk.keep(kept);
        }
        Ok(())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are for readers")]
    fn drain(&mut self, later: &mut Vec<openctrl_core::store::Kept>) -> Result<(), String> {
        while let Some(effect) = self.control.poll_effect() {
            self.recording.control_effect(&effect);
            match effect {
                ControlEffect::Keep(kept) => later.push(kept),
                ControlEffect::Show(events) => self.law.shown(&events, &self.disk.image)?,
                ControlEffect::RuleLost(rule, fault) => {
                    return Err(format!("the rule {rule} cannot be read any more: {fault}"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Something happens to the machine outside of a step of the engine.
    fn tell(&mut self, input: ControlInput) -> Result<(), String> {
        self.recording.control(self.now, &input);
        self.control.handle(self.now, input);
        self.settle()?;
        self.recording.followed(&[]);
        Ok(())
    }

    fn settle(&mut self) -> Result<(), String> {
        let mut later = Vec::new();
        self.drain(&mut later)?;
        for kept in later {
            self.law.ordered(&kept, self.control.rules())?;
            self.disk.keep(kept);
        }
        Ok(())
    }

    fn command(&mut self, command: Command) -> Result<(), String> {
        self.requests += 1;
        let caller = Caller { door: Door::Control, trust: Trust::Open };
        self.feed(Input::RequestArrived { request: RequestId(self.requests), caller, command })
    }

    /// Something happens to a process that was ordered or lives.
    #[expect(clippy::wildcard_enum_match_arm, reason = "output changes nothing here")]
    fn process(&mut self) -> Result<(), String> {
        let count = self.processes.len() as u32;
        if count == 0 {
            return Ok(());
        }
        let chosen = self.below(count) as usize;
        let (process, lives) =
            self.processes.iter().nth(chosen).map(|(p, l)| (*p, *l)).expect("it is there");
        let fate = script::fate(&mut self.rng, process, lives);
        match fate {
            Input::ProcessStarted { .. } => drop(self.processes.insert(process, true)),
            Input::StartFailed { .. } | Input::StartLost { .. } | Input::ProcessExited { .. } => {
                self.processes.remove(&process);
            }
            _ => {}
        }
        self.feed(fate)
    }

    fn rules(&mut self) -> Result<(), String> {
        let request = script::rules(&mut self.rng);
        self.requests += 1;
        let ticket = Ticket(self.requests);
        self.tell(ControlInput::RulesRequested { ticket, request })
    }

    fn note(&mut self) -> Result<(), String> {
        if self.instances.is_empty() {
            return Ok(());
        }
        let place = self.below(self.instances.len() as u32) as usize;
        let id = self.instances[place];
        self.requests += 1;
        let fact = script::note(&mut self.rng);
        let (ticket, instance) = (Ticket(self.requests), id);
        self.tell(ControlInput::Noted { ticket, instance, fact })
    }

    fn pass(&mut self, ms: u64) -> Result<(), String> {
        let end = self.now.mono.after_ms(ms);
        loop {
            let engine = self.engine.poll_timeout().map(|(due, _)| due);
            let control = self.control.poll_timeout();
            let due = engine.into_iter().chain(control).min();
            let Some(due) = due.filter(|due| *due <= end) else { break };
            self.go_to(due.max(self.now.mono));
            if engine.is_some_and(|due| due <= self.now.mono) {
                self.feed(Input::TimeAdvanced)?;
            }
            if control.is_some_and(|due| due <= self.now.mono) {
                self.law.time_advances();
                self.tell(ControlInput::TimeAdvanced)?;
            }
        }
        self.go_to(end);
        Ok(())
    }

    fn go_to(&mut self, mono: Time) {
        let passed = mono.as_micros().saturating_sub(self.now.mono.as_micros());
        self.now.mono = mono;
        self.now.wall = Wall::from_micros(self.now.wall.as_micros() + passed);
    }

    /// An hour back or forth.
    fn step_wall_clock(&mut self) {
        let hour = 3_600_000_000;
        let micros = self.now.wall.as_micros();
        let stepped = if self.below(2) == 0 { micros - hour } else { micros + hour };
        self.now.wall = Wall::from_micros(stepped);
    }

    fn write(&mut self) -> Result<(), String> {
        match self.disk.write() {
            Wrote::Nothing => Ok(()),
            Wrote::All { kept, records } => {
                if let Some(upto) = kept {
                    self.tell(ControlInput::EventsKept { upto })?;
                }
                match records {
                    Some(upto) => self.feed(Input::RecordsPersisted { upto }),
                    None => Ok(()),
                }
            }
            Wrote::Refused { kept, records } => {
                self.law.summary.refusals += 1;
                if let Some(epoch) = kept {
                    let (refused, reason) = (records, "full".to_owned());
                    self.tell(ControlInput::KeepFailed { epoch, refused, reason })?;
                }
                match records {
                    Some(epoch) => {
                        self.feed(Input::PersistFailed { epoch, reason: "full".to_string() })
                    }
                    None => Ok(()),
                }
            }
        }
    }

    /// The master is killed and started again; processes go with it.
    fn crash(&mut self) -> Result<(), String> {
        self.record_again()?;
        self.law.summary.crashes += 1;
        let survivors = self.rng.next_u32();
        let mut image = self.disk.crash(survivors);
        image.adopt_control(EVENTS_MAX);
        self.law.restarted(&image)?;
        self.processes.clear();
        self.instances = image.instances.keys().copied().collect();
        self.control = Control::new(&image.control, self.now);
        self.settle()?;
        self.engine = Engine::new(image, [self.rng.next_u32() as u8; 32], self.now);
        self.after(Cause::Other)?;
        self.recording = Recording::begin(self.now, &self.engine, &self.control);
        Ok(())
    }
}
