//! The engine in its world, step by step, with the books and all invariants at each.

mod beside;
mod objects;
mod recording;
mod replaced;
mod resumed;

use std::collections::VecDeque;

use openctrl_core::control::Cause;
use openctrl_core::engine::{Effect, Engine, Found, Input, show_effect, show_input};
use openctrl_core::ids::{InstanceId, SlotId};
use openctrl_core::instance::State;
use openctrl_core::occasion::Occasions;
use openctrl_core::store::Image;
use openctrl_core::trace::Header;

use self::beside::{Beside, EVENTS_MAX};
use self::recording::Recording;
use super::Report;
use crate::choice::Choices;
use crate::invariants::{self, Invariant, Met, Readers, Scene, Verdict, Violation};
use crate::object::Shown;
use crate::oracle::Oracle;
use crate::scenario::{self, Outcome, Scenario};
use crate::world::{Fault, Hub, Remains, World};

/// Time for everything to converge: the longest back-off (72 s), a silence that is detected late
/// (20 s), a stop (5 s), and a tick that saves totals.
const HEALING_MS: u64 = 120_000;

/// Number of steps after the end of the master, none of which may have an effect.
const AFTER_END: usize = 10;

/// The last steps, for debugging a failure.
const TIMELINE_MAX: usize = 2_000;

/// A window for runs that have no readers.
const WINDOW: openctrl_core::event::WindowLimits =
    openctrl_core::event::WindowLimits { max_events: 8, max_bytes: 8_192 };

type Tamper = Box<dyn FnMut(Effect) -> Vec<Effect>>;

/// An engine in its world, with the books and the invariants of its boot.
pub struct Run {
    engine: Engine,
    /// The world.
    pub world: World,
    /// The books.
    pub oracle: Oracle,
    invariants: Vec<Box<dyn Invariant>>,
    readers: Readers,
    /// The result so far.
    pub report: Report,
    /// Number of effects until the master crashes, if it will.
    dies_in: Option<u64>,
    checks_engine: bool,
    tamper: Option<Tamper>,
    timeline: Option<VecDeque<String>>,
    /// The state of each instance before the input at hand.
    before: Vec<(SlotId, InstanceId, State)>,
    /// Empty between inputs, only for its space.
    effects: Vec<Effect>,
    recording: Option<Recording>,
    /// At which step a recording is to begin.
    records_at: Option<(usize, Header)>,
    /// The machine of the control API, if the master has it.
    beside: Option<Beside>,
    /// What each webhook reports.
    webhooks: Vec<Occasions>,
}

impl Run {
    /// A master that starts with `image`; nothing has happened yet.
    pub fn new(image: Image, seed: [u8; 32]) -> Self {
        let world = World::new(image.clone(), Hub::new(WINDOW, 0));
        Self::in_world(world, image, seed, 0)
    }

    /// A run of a scenario; nothing has happened yet.
    pub fn of(scenario: &Scenario) -> Self {
        let mut image = scenario.image.clone();
        if !scenario.has_control() {
            let mut run =
                Self::in_world(scenario.world(), image, scenario.seed, scenario.readers());
            run.webhooks = scenario.webhooks();
            return run;
        }
        image.adopt_control(EVENTS_MAX);
        let mut world = scenario.world_with(image.clone());
        world.disk.keep_events(EVENTS_MAX);
        let beside = Beside::new(&image, world.clock.now(), scenario.seed);
        let mut run = Self::in_world(world, image, scenario.seed, scenario.readers());
        run.beside = Some(beside);
        run.webhooks = scenario.webhooks();
        run
    }

    fn in_world(world: World, image: Image, seed: [u8; 32], readers: usize) -> Self {
        let oracle = Oracle::new(&image);
        Self {
            engine: Engine::new(image, seed, world.clock.now()),
            world,
            oracle,
            invariants: invariants::all(),
            readers: Readers::new(readers),
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

    /// Lets all effects be altered before anybody sees them.
    pub fn tamper(&mut self, tamper: impl FnMut(Effect) -> Vec<Effect> + 'static) {
        self.tamper = Some(Box::new(tamper));
    }

    /// The engine does not check itself.
    pub fn leave_engine_unchecked(&mut self) {
        self.checks_engine = false;
    }

    /// Lets it remember what happens.
    pub fn keep_timeline(&mut self) {
        self.timeline = Some(VecDeque::new());
    }

    /// What happened, oldest first, if it was to be remembered.
    pub fn into_timeline(self) -> Vec<String> {
        self.timeline.into_iter().flatten().collect()
    }

    /// The result.
    pub fn into_report(self) -> Report {
        let mut report = self.report;
        report.coverage.faults(&self.world.faults);
        if let Some(beside) = &self.beside {
            report.control_inputs = Some(beside.inputs);
            report.coverage.stored(&beside.stored);
            report.digest.everything(&beside.digest());
        }
        report
    }

    /// Lets the master crash after this many more effects.
    pub fn die_in(&mut self, effects: u64) {
        self.dies_in = Some(effects);
    }

    /// Whether it has crashed: it does nothing any more.
    pub fn is_dead(&self) -> bool {
        self.dies_in == Some(0)
    }

    /// Does all of it: the start, every step that there are choices for, and the rest.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn whole(&mut self, choices: &mut Choices, scenario: &Scenario) -> Result<(), Violation> {
        self.begin()?;
        let mut after_end = 0;
        for step in 0.. {
            if after_end > AFTER_END || !choices.next_step() {
                break;
            }
            if let Some((_, header)) = self.records_at.take_if(|(at, _)| *at == step) {
                self.record(header);
            }
            let outcome = scenario.step(choices, &mut self.world, &self.engine, &self.oracle);
            self.take(outcome)?;
            self.hear()?;
            self.let_clients_act()?;
            after_end = if self.oracle.finished { after_end + 1 } else { 0 };
        }
        self.rest()
    }

    /// Carries out the effects of the master at its start.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn begin(&mut self) -> Result<(), Violation> {
        self.drain(false, Cause::Other)?;
        self.check(|invariant, scene| invariant.after_input(scene, None), false, None)?;
        if self.webhooks.is_empty() {
            return Ok(());
        }
        self.feed(Input::WebhooksConfigured { hooks: self.webhooks.clone() }, false)
    }

    /// The machine of the control API hears what became of events: before the engine hears of the
    /// changes that caused them.
    fn hear(&mut self) -> Result<(), Violation> {
        match &mut self.beside {
            Some(beside) if self.dies_in != Some(0) => beside.hear(&mut self.world),
            Some(_) | None => Ok(()),
        }
    }

    fn let_clients_act(&mut self) -> Result<(), Violation> {
        match &mut self.beside {
            Some(beside) if self.dies_in != Some(0) && !self.oracle.finished => {
                beside.act(&mut self.world, &self.engine)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Passes an input to the engine and carries out its effects.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn feed(&mut self, input: Input, is_late: bool) -> Result<(), Violation> {
        self.hear()?;
        for eviction in self.world.end_expired() {
            self.remember(|| format!("the keeper stops what nobody renews: {eviction:?}"));
            invariants::judge_eviction(eviction)
                .map_err(|what| Violation { invariant: "INV-21", what })?;
        }
        let cause = Cause::of(&self.engine, &input);
        // After the end, all input of processes is late.
        let is_late = is_late || (self.oracle.finished && is_about_a_process(&input));
        self.remember(|| show_input(&input));
        self.check(|invariant, scene| invariant.before_input(scene, &input), is_late, None)?;
        self.report.coverage.before_input(&self.engine, &self.oracle, &input);
        self.before.clear();
        self.before.extend(states(&self.engine));
        self.oracle.on_input(&self.world, &input, is_late);
        let now = self.world.clock.now();
        self.recording.iter_mut().for_each(|recording| recording.input(now, &input));
        self.engine.handle(now, input.clone());
        self.report.inputs += 1;
        self.drain(is_late, cause)?;
        if self.is_dead() {
            return Ok(());
        }
        self.report.coverage.after_input(&self.before, &self.engine, &input);
        self.remember_changes();
        self.check(|invariant, scene| invariant.after_input(scene, Some(&input)), is_late, None)?;
        self.check_engine()?;
        self.replace_program()
    }

    /// The engine checks itself: last, because what shows outside has an invariant of its own.
    fn check_engine(&self) -> Result<(), Violation> {
        if !self.checks_engine {
            return Ok(());
        }
        let checked = self.engine.check();
        checked.map_err(|found| Violation { invariant: "CHECK", what: found.to_string() })
    }

    /// Continues with a master that found `image` and these processes after a crash: a new
    /// boot, with a new oracle. Unanswered requests stay unanswered.
    ///
    /// # Errors
    /// It found a state that no crash can leave, or the first violated invariant.
    pub fn restart(
        &mut self,
        found: Result<(Image, Remains), String>,
        mut seed: [u8; 32],
    ) -> Result<(), Violation> {
        let broken = |what| Violation { invariant: "INV-5", what };
        let (image, remains) =
            found.map_err(|error| broken(format!("a start after a crash is refused: {error}")))?;
        self.remember(|| format!("the master dies and starts again and finds {remains:?}"));
        let Remains { leftovers, survivors, notes } = &remains;
        invariants::judge(&self.oracle.ledger, &image).map_err(broken)?;
        self.report.restarts += 1;
        // No two boots draw the same ids, though a fuzzer chooses the same seed for them.
        seed[24..].copy_from_slice(&self.report.restarts.to_le_bytes());
        self.report.digest.everything(&(&image.master, image.next_event, &image.instances));
        if !leftovers.is_empty() {
            self.world.happened(Fault::LeavesProcesses);
            self.report.coverage.left_behind(leftovers.len());
        }
        survivors.iter().for_each(|_| self.world.happened(Fault::Survives));
        for survivor in survivors.iter().filter(|survivor| survivor.note.has_exited()) {
            self.remember(|| format!("the exit of {} follows again", survivor.instance));
            self.world.happened(Fault::ExitRepeated);
        }
        self.dies_in = None;
        self.recording = None;
        self.oracle = Oracle::restarted(&image, survivors, &self.world);
        self.invariants = invariants::all();
        let now = self.world.clock.now();
        if let Some(beside) = &mut self.beside {
            beside.restart(&image, now)?;
        }
        let found = Found { leftovers, survivors, notes };
        self.engine = Engine::with_found(image, found, seed, now);
        self.begin()
    }

    /// Lets everything that is pending come right, and time pass; then asks whether it has.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn rest(&mut self) -> Result<(), Violation> {
        self.remember(|| "from here on nothing goes wrong".to_string());
        self.heal()?;
        self.report.simulated_ms = self.world.clock.awake_ms();
        let caught_up = self.readers.catch_up(&mut self.world.hub, &self.oracle);
        caught_up.map_err(of_readers)?;
        match &mut self.beside {
            Some(beside) if !self.oracle.finished => beside.rest(&self.world)?,
            Some(_) | None => {}
        }
        self.check(|invariant, scene| invariant.at_rest(scene), false, None)
    }

    fn heal(&mut self) -> Result<(), Violation> {
        const NOBODY_DIES: &str = "nobody dies any more";
        let end = self.world.clock.now().mono.after_ms(HEALING_MS);
        while !self.oracle.finished {
            let pending = scenario::heal(&mut self.world).expect(NOBODY_DIES);
            self.hear()?;
            if !pending.is_empty() {
                pending.into_iter().try_for_each(|input| self.feed(input, false))?;
                continue;
            }
            match self.engine.poll_timeout() {
                Some((due, _)) if due <= end => {
                    self.world.clock.advance_to(due);
                    self.feed(Input::TimeAdvanced, false)?;
                }
                // Events that follow from the last ones.
                Some(_) | None if self.is_storing() => {}
                Some(_) | None => break,
            }
        }
        // The shutdown waits for the store.
        self.world.disk.write(usize::MAX).expect(NOBODY_DIES);
        self.hear()
    }

    fn is_storing(&self) -> bool {
        self.beside.as_ref().is_some_and(Beside::is_waiting) && self.world.disk.queued() > 0
    }

    fn take(&mut self, outcome: Outcome) -> Result<(), Violation> {
        match outcome {
            Outcome::Told(input) => self.feed(input, false),
            Outcome::Ended(inputs) => {
                inputs.into_iter().try_for_each(|input| self.feed(input, false))
            }
            Outcome::Late(input) => self.feed(input, true),
            Outcome::Untold(what) => {
                self.remember(|| what.to_string());
                Ok(())
            }
            Outcome::Reads { reader, max_bytes, afresh } => {
                self.read(reader, max_bytes, afresh).map_err(of_readers)
            }
            Outcome::Restarted(found, seed) => self.restart(*found, seed),
        }
    }

    fn read(&mut self, reader: usize, max_bytes: usize, afresh: bool) -> Verdict {
        let Self { readers, world, oracle, .. } = self;
        let met = readers.read(reader, &mut world.hub, oracle, max_bytes, afresh);
        match met.clone()? {
            Met::Resumed => self.world.happened(Fault::ReaderResumes),
            Met::FellOut => self.world.happened(Fault::ReaderFallsOut),
            Met::OtherBoot => self.world.happened(Fault::ReaderOfAnotherRun),
            Met::Farewell => self.world.happened(Fault::StreamEnds),
            Met::Nothing | Met::CaughtUp => {}
        }
        self.remember(|| format!("reader {reader} reads up to {max_bytes} bytes: {met:?}"));
        Ok(())
    }

    fn drain(&mut self, is_late: bool, cause: Cause) -> Result<(), Violation> {
        let mut effects = std::mem::take(&mut self.effects);
        while let Some(effect) = self.engine.poll_effect() {
            match &mut self.tamper {
                None => effects.push(effect),
                Some(tamper) => effects.extend(tamper(effect)),
            }
        }
        let (mut attached, mut later) = (Vec::new(), Vec::new());
        if let Some(beside) = &mut self.beside {
            (attached, later) = beside.observe(&self.world, cause, &self.engine, &effects)?;
        }
        for effect in &effects {
            self.carry_out(effect, is_late)?;
            if let Effect::Persist { seq, .. } = effect
                && let Some(place) = attached.iter().position(|attached| attached.seq == *seq)
            {
                let kept = attached.swap_remove(place).kept;
                self.world.disk.attach(*seq, kept);
            }
        }
        if !self.is_dead() {
            later.into_iter().for_each(|kept| self.world.disk.keep(kept));
        }
        effects.clear();
        self.effects = effects;
        Ok(())
    }

    fn carry_out(&mut self, effect: &Effect, is_late: bool) -> Result<(), Violation> {
        if self.is_dead() {
            return Ok(());
        }
        self.dies_in.iter_mut().for_each(|left| *left -= 1);
        self.report.digest.everything(effect);
        self.recording.iter_mut().for_each(|recording| recording.effect(effect));
        self.report.effects += 1;
        self.remember(|| format!("            {}", show_effect(effect)));
        let object = self.object_of(effect)?;
        let shown = object.as_ref();
        self.check(|invariant, scene| invariant.on_effect(scene, effect), is_late, shown)?;
        self.report.coverage.on_effect(effect);
        self.oracle.on_effect(&self.world, effect, shown);
        self.world.carry_out(effect, shown);
        Ok(())
    }

    fn check(
        &mut self,
        mut ask: impl FnMut(&mut dyn Invariant, Scene<'_>) -> Verdict,
        is_late: bool,
        object: Option<&Shown>,
    ) -> Result<(), Violation> {
        let Self { engine, world, oracle, invariants, .. } = self;
        let scene = Scene { engine, world, oracle, is_late, object };
        for invariant in invariants {
            if let Err(what) = ask(invariant.as_mut(), scene) {
                return Err(Violation { invariant: invariant.id(), what });
            }
        }
        Ok(())
    }

    fn remember(&mut self, what: impl FnOnce() -> String) {
        let Some(timeline) = &mut self.timeline else { return };
        if timeline.len() == TIMELINE_MAX {
            timeline.pop_front();
        }
        let ms = self.world.clock.now().mono.as_micros() / 1_000;
        timeline.push_back(format!("{:>7}.{:03} s  {}", ms / 1_000, ms % 1_000, what()));
    }

    fn remember_changes(&mut self) {
        if self.timeline.is_none() {
            return;
        }
        let after: Vec<(SlotId, InstanceId, State)> = states(&self.engine).collect();
        for (_, id, state) in std::mem::take(&mut self.before) {
            match after.iter().find(|(_, other, _)| *other == id) {
                Some((_, _, now)) if *now == state => {}
                now => self.remember(|| {
                    let now = now.map_or("gone".to_string(), |(_, _, now)| format!("{now:?}"));
                    format!("            {id}: {state:?} -> {now}")
                }),
            }
        }
    }
}

/// The state of each instance, by its slot.
fn states(engine: &Engine) -> impl Iterator<Item = (SlotId, InstanceId, State)> {
    let table = engine.table();
    let rows = table.slots().filter_map(|slot| Some((slot, table.get(slot)?)));
    rows.map(|(slot, instance)| (slot, instance.definition().id, instance.state()))
}

fn of_readers(what: String) -> Violation {
    Violation { invariant: "INV-6", what }
}

/// Whether a driver can send this input about a process.
pub(crate) const fn is_about_a_process(input: &Input) -> bool {
    input.process().is_some()
}
