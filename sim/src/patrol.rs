//! Simulates the engine with apps and services of a Patrol configuration: processes that fork and
//! outlive their parents, pid files that are late or wrong, pings of anybody, commands that hang,
//! a disk that refuses, and a master that is killed.
//!
//! Every step checks INV-11 (what is wanted), INV-12 (runs), INV-16 (signals), INV-18 (first
//! restarts), that no second copy is started (INV-2), and what the engine checks itself; see
//! `docs/contributors/INVARIANTS.md`.
//! The machine is one of its own, because apps are found and not only started.

mod config;
mod law;
mod nature;
mod requests;
mod visits;

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

use openctrl_core::command::Outcome;
use openctrl_core::engine::{
    Effect, Engine, Found, Input, Sighting, VerbResult, show_effect, show_input,
};
use openctrl_core::ids::{InstanceId, ProcessRef, RecordSeq, StoreEpoch};
use openctrl_core::instance::{Definition, Desired, Goal, Process, VerbKind};
use openctrl_core::master::MasterIdentity;
use openctrl_core::process::Exit;
use openctrl_core::store::{Image, Record};
use openctrl_core::time::{Now, Time, Wall};
use openctrl_core::trace::Digest;

use self::config::{App, Config};
use self::law::{Law, broken};
use self::nature::{Manners, Nature, PidFile};
use self::visits::Trouble;
pub use self::visits::{KINDS, Visits};
use crate::choice::Choices;
use crate::invariants::Violation;
use crate::run::{Failure, panicked};

/// How long everything may take to come right: a back-off of 60 s, commands and a stop.
const HEALING_MS: u64 = 180_000;

/// The last steps, for debugging a failure.
const TIMELINE_MAX: usize = 400;

/// The result of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Inputs that the engine took.
    pub inputs: u64,
    /// The digest of all effects.
    pub digest: Digest,
    /// Its coverage.
    pub visits: Visits,
}

/// Does the run of a seed.
///
/// # Errors
/// The first invariant that does not hold.
pub fn run_seed(seed: u64) -> Result<Summary, Box<Failure>> {
    run(&mut Choices::from_seed(seed))
}

/// Does a whole run. One that fails is done again, to keep its timeline.
///
/// # Errors
/// The first invariant that does not hold.
pub fn run(choices: &mut Choices) -> Result<Summary, Box<Failure>> {
    attempt(choices, false).or_else(|_| {
        let bytes = choices.taken().to_vec();
        attempt(&mut Choices::from_bytes(&bytes[..]), true).and_then(|_| {
            let what = "a run that failed does not fail again".to_string();
            let violation = Violation { invariant: "INV-10", what };
            Err(Box::new(Failure { violation, choices: bytes, timeline: Vec::new() }))
        })
    })
}

/// Does a run; a panic counts as a violation. The timeline of a failure is empty unless it is kept.
fn attempt(choices: &mut Choices, keeps_timeline: bool) -> Result<Summary, Box<Failure>> {
    let mut world = World::new(choices);
    world.timeline = keeps_timeline.then(VecDeque::new);
    let done = catch_unwind(AssertUnwindSafe(|| world.whole(choices)));
    let violation = match done {
        Ok(Ok(())) => return Ok(world.summary),
        Ok(Err(violation)) => violation,
        Err(payload) => panicked(payload.as_ref()),
    };
    let timeline = world.timeline.into_iter().flatten().collect();
    Err(Box::new(Failure { violation, choices: choices.taken().to_vec(), timeline }))
}

struct World {
    engine: Engine,
    now: Now,
    law: Law,
    nature: Nature,
    config: Config,
    disk: Image,
    under_way: Vec<(StoreEpoch, RecordSeq, Record)>,
    epoch: StoreEpoch,
    starting: Vec<(ProcessRef, App)>,
    /// Pid files that are to be read.
    reads: Vec<(InstanceId, App)>,
    /// Commands that run.
    verbs: Vec<(InstanceId, App, VerbKind)>,
    requests: requests::Requests,
    start_failures: usize,
    manners: Vec<Manners>,
    /// Whether a shutdown was requested, and whether the master has ended.
    is_ending: bool,
    is_over: bool,
    summary: Summary,
    timeline: Option<VecDeque<String>>,
}

impl World {
    fn new(choices: &mut Choices) -> Self {
        let now = Now { mono: Time::ZERO, wall: Wall::from_micros(1_790_000_000_000_000) };
        let config = Config::draw(choices);
        let start_failures = *choices.pick(&[1_000, 6]);
        let mut disk = Image::new(MasterIdentity::from_random([1; 8], [1; 16]));
        configure(&mut disk, config, choices);
        let manners = (0..3)
            .map(|_| *choices.pick(&[Manners::Exits, Manners::Ignores, Manners::Forks]))
            .collect();
        let mut law = Law::default();
        law.begin(&disk);
        Self {
            engine: Engine::new(disk.clone(), choices.seed(), now),
            now,
            law,
            nature: Nature::default(),
            config,
            disk,
            under_way: Vec::new(),
            epoch: StoreEpoch::default(),
            starting: Vec::new(),
            reads: Vec::new(),
            verbs: Vec::new(),
            requests: requests::Requests::default(),
            start_failures,
            manners,
            is_ending: false,
            is_over: false,
            summary: Summary::default(),
            timeline: None,
        }
    }

    fn whole(&mut self, choices: &mut Choices) -> Result<(), Violation> {
        self.drain()?;
        while choices.next_step() && !self.is_over {
            self.step(choices)?;
        }
        self.heal()
    }

    fn happened(&mut self, trouble: Trouble) {
        self.summary.visits.happened(trouble);
    }

    fn say(&mut self, what: impl FnOnce() -> String) {
        let Some(timeline) = &mut self.timeline else { return };
        if timeline.len() == TIMELINE_MAX {
            timeline.pop_front();
        }
        let ms = self.now.mono.as_micros() / 1_000;
        timeline.push_back(format!("{:>7}.{:03} s  {}", ms / 1_000, ms % 1_000, what()));
    }

    fn step(&mut self, choices: &mut Choices) -> Result<(), Violation> {
        match choices.below(32) {
            0..=4 => self.start(choices),
            5..=8 => self.report(choices),
            9..=11 => self.read_file(choices),
            12..=14 => self.end_verb(choices),
            15..=19 => self.request(choices),
            20..=22 => self.write(choices.below(6)),
            23 | 24 => self.die(choices),
            25 => {
                self.nature.stir(choices);
                self.scribble(choices);
                Ok(())
            }
            26 | 27 => {
                self.scribble(choices);
                Ok(())
            }
            28 => self.rare(choices),
            _ => self.pass(*choices.pick(&[1, 100, 1_000, 6_000, 70_000])),
        }
    }

    fn rare(&mut self, choices: &mut Choices) -> Result<(), Violation> {
        match choices.below(10) {
            0 | 1 => self.refuse(),
            2 | 3 => self.kill(choices),
            4 | 5 => self.reload(choices),
            6 => {
                self.happened(Trouble::WallSteps);
                let micros = self.now.wall.as_micros();
                let hour = 3_600_000_000;
                let stepped = if choices.one_in(2) { micros - hour } else { micros + hour };
                self.now.wall = Wall::from_micros(stepped);
                Ok(())
            }
            7 | 8 => {
                self.nature.stranger();
                Ok(())
            }
            _ if choices.one_in(2) => {
                self.happened(Trouble::Shutdown);
                self.is_ending = true;
                self.feed(Input::ShutdownRequested)
            }
            _ => Ok(()),
        }
    }

    fn feed(&mut self, input: Input) -> Result<(), Violation> {
        if self.is_over {
            return Ok(());
        }
        self.say(|| show_input(&input));
        self.summary.visits.input(&input);
        self.summary.inputs += 1;
        self.law.before_input(&self.engine);
        if let Input::RequestArrived { request, command, .. } = &input {
            requests::tell(&mut self.law, &self.engine, *request, command);
        }
        if let Input::RecordsPersisted { upto } = &input {
            self.law.durable(*upto);
        }
        if let Input::PersistFailed { .. } = &input {
            self.law.refused(&self.disk);
        }
        self.engine.handle(self.now, input);
        self.drain()?;
        self.law.after_input(&self.engine, self.now.mono)?;
        let checked = self.engine.check();
        checked.map_err(|found| Violation { invariant: "CHECK", what: found.to_string() })
    }

    fn drain(&mut self) -> Result<(), Violation> {
        while let Some(effect) = self.engine.poll_effect() {
            self.say(|| format!("            {}", show_effect(&effect)));
            self.summary.digest.everything(&effect);
            self.summary.visits.effect(&effect);
            self.law.on_effect(&self.engine, &effect)?;
            self.carry_out(effect)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, effect: Effect) -> Result<(), Violation> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others are for readers")]
        match effect {
            Effect::Spawn { process, definition, .. } => {
                if let Some(lives) = self.nature.living_of(process) {
                    let what = format!("a copy is started while process {} lives", lives.pid);
                    return broken("INV-2", what);
                }
                self.starting.push((process, app_of(&definition)));
            }
            Effect::Adopt { process, instance } => {
                let app = self.disk.instances.get(&instance).map(|one| app_of(&one.definition));
                self.nature.adopt(process, app.expect("it was found for this instance"));
            }
            Effect::Track { process, identity } => self.nature.track(process, identity),
            Effect::Signal { process, scope, signal } => {
                let row = self.engine.table().get(process.slot);
                let app = self.nature.owner(process);
                let app = app.or_else(|| row.map(|row| app_of(row.definition())));
                for (identity, of) in self.nature.signal(process, scope, signal) {
                    if of.is_none() || of != app {
                        let what = format!("process {} is nobody's and signaled", identity.pid);
                        return broken("INV-16", what);
                    }
                }
            }
            Effect::ReadPidFile { definition, .. } => {
                self.reads.push((definition.id, app_of(&definition)));
            }
            Effect::RunVerb { definition, verb } => {
                if self.verbs.iter().any(|(id, ..)| *id == definition.id) {
                    return broken("INV-2", format!("{}: two commands at once", definition.id));
                }
                self.verbs.push((definition.id, app_of(&definition), verb));
            }
            Effect::Persist { epoch, seq, record } => self.under_way.push((epoch, seq, *record)),
            Effect::Respond { request, outcome } => {
                let done = if let Outcome::Desired(done) = &outcome { Some(done) } else { None };
                self.requests.answered(request)?;
                self.law.answered(request, done)?;
            }
            Effect::Finish => self.is_over = true,
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, choices: &mut Choices) -> Result<(), Violation> {
        let count = self.starting.len();
        if count == 0 {
            return Ok(());
        }
        let (process, app) = self.starting.remove(choices.below(count));
        if choices.one_in(self.start_failures) {
            self.happened(Trouble::StartFails);
            return self.feed(Input::StartFailed { process, reason: "no".to_string() });
        }
        let manners = *choices.pick(&self.manners);
        self.born(process, app, manners)
    }

    fn born(&mut self, process: ProcessRef, app: App, manners: Manners) -> Result<(), Violation> {
        let identity = self.nature.born(process, app, manners);
        self.feed(Input::PidTold { process, identity })?;
        self.feed(Input::ProcessStarted { process })
    }

    /// The master is told of an exit.
    fn report(&mut self, choices: &mut Choices) -> Result<(), Violation> {
        let count = self.nature.reports.len();
        if count == 0 {
            return Ok(());
        }
        let input = self.nature.reports.remove(choices.below(count));
        if matches!(input, Input::ProcessExited { group_left: true, .. }) {
            self.happened(Trouble::GroupLeft);
        }
        self.feed(input)
    }

    /// A process that was told to exit does.
    fn die(&mut self, choices: &mut Choices) -> Result<(), Violation> {
        let dying = |world: &Self| -> Vec<usize> {
            let all = world.nature.beings.iter().enumerate();
            all.filter(|(_, one)| one.dying.is_some()).map(|(place, _)| place).collect()
        };
        let places = dying(self);
        if !places.is_empty() {
            self.nature.die(*choices.pick(&places), Exit::Code(0));
        }
        Ok(())
    }

    /// Somebody writes a pid file.
    fn scribble(&mut self, choices: &mut Choices) {
        let Some(app) = self.file_app() else { return };
        let of_app: Vec<u32> = self
            .nature
            .beings
            .iter()
            .filter(|one| one.of == Some(app) && one.dying.is_none())
            .map(|one| one.identity.pid)
            .collect();
        let file = match choices.below(8) {
            0 => PidFile::Absent,
            1 => PidFile::Torn,
            2 => PidFile::Number(100 + u32::from(choices.byte())),
            3 => PidFile::Number(self.nature.stranger().pid),
            _ if of_app.is_empty() => return,
            _ => PidFile::Number(*choices.pick(&of_app)),
        };
        if !self.reads.is_empty() {
            self.happened(Trouble::FileLate);
        }
        self.nature.files.insert(app, file);
    }

    fn file_app(&self) -> Option<App> {
        let slots = self.engine.table().slots();
        let rows = slots.filter_map(|slot| self.engine.table().get(slot));
        let mut rows = rows.map(|row| row.definition());
        let found = rows.find(|one| one.liveness.looks_every_ms().is_some() && !one.is_service());
        found.map(|definition| app_of(definition))
    }

    fn read_file(&mut self, choices: &mut Choices) -> Result<(), Violation> {
        let count = self.reads.len();
        if count == 0 {
            return Ok(());
        }
        let (instance, app) = self.reads.remove(choices.below(count));
        self.sight(instance, app)
    }

    fn sight(&mut self, instance: InstanceId, app: App) -> Result<(), Violation> {
        let file = self.nature.files.get(&app).copied().unwrap_or(PidFile::Absent);
        let sighting = match file {
            PidFile::Absent => Sighting::Nothing,
            PidFile::Torn => {
                self.happened(Trouble::FileTorn);
                Sighting::Nothing
            }
            PidFile::Number(pid) => match self.nature.prove(app, pid) {
                Some(identity) => {
                    self.law.proven(instance, identity);
                    Sighting::Proven(identity)
                }
                None => {
                    match self.nature.is_used_again(pid) {
                        Some(true) => self.happened(Trouble::FileReused),
                        Some(false) => self.happened(Trouble::FileForeign),
                        None => {}
                    }
                    Sighting::Nothing
                }
            },
        };
        self.feed(Input::PidFileRead { instance, sighting })
    }

    fn end_verb(&mut self, choices: &mut Choices) -> Result<(), Violation> {
        let count = self.verbs.len();
        if count == 0 {
            if choices.one_in(4) {
                self.happened(Trouble::ServiceFlips);
                self.nature.up.values_mut().for_each(|up| *up = !*up);
            }
            return Ok(());
        }
        let place = choices.below(count);
        if choices.one_in(8) {
            self.happened(Trouble::VerbHangs);
            let is_status = self.verbs[place].2 == VerbKind::Status;
            // What it does until it is killed may have had its effect, or not.
            self.pass(if is_status { 30_000 } else { 180_000 })?;
        }
        let fails = choices.one_in(4);
        self.finish_verb(place, fails)
    }

    fn finish_verb(&mut self, place: usize, fails: bool) -> Result<(), Violation> {
        if place >= self.verbs.len() {
            return Ok(());
        }
        let (instance, app, verb) = self.verbs.remove(place);
        let is_up = self.nature.up.entry(app).or_default();
        let succeeds = match verb {
            VerbKind::Status => *is_up,
            VerbKind::Start | VerbKind::Stop | VerbKind::Restart => !fails,
        };
        match verb {
            VerbKind::Start | VerbKind::Restart if succeeds => *is_up = true,
            VerbKind::Stop if succeeds => *is_up = false,
            VerbKind::Start | VerbKind::Stop | VerbKind::Restart | VerbKind::Status => {}
        }
        let result = if succeeds {
            VerbResult::Done
        } else {
            self.happened(Trouble::VerbFails);
            VerbResult::Failed("exit code 1".to_string())
        };
        self.feed(Input::VerbEnded { instance, verb, result })
    }

    fn request(&mut self, choices: &mut Choices) -> Result<(), Violation> {
        for input in
            self.requests.draw(choices, &self.engine, &self.nature, &mut self.summary.visits)
        {
            if let Some((id, identity)) = requests::proof(&input) {
                self.law.proven(id, identity);
            }
            self.feed(input)?;
        }
        Ok(())
    }

    fn write(&mut self, count: usize) -> Result<(), Violation> {
        let count = count.min(self.under_way.len());
        let mut upto = None;
        for (_, seq, record) in self.under_way.drain(..count) {
            self.disk.apply(&record);
            upto = Some(seq);
        }
        upto.map_or(Ok(()), |upto| self.feed(Input::RecordsPersisted { upto }))
    }

    fn refuse(&mut self) -> Result<(), Violation> {
        self.happened(Trouble::DiskRefuses);
        let epoch = self.epoch;
        self.epoch = StoreEpoch(epoch.0 + 1);
        self.under_way.clear();
        self.feed(Input::PersistFailed { epoch, reason: "full".to_string() })
    }

    fn reload(&mut self, choices: &mut Choices) -> Result<(), Violation> {
        self.config = Config::draw(choices);
        let set = std::sync::Arc::new(self.config.set());
        self.feed(Input::Configured { set })
    }

    /// The master is killed and started again. Of what was on its way to the disk, some has got
    /// there.
    fn kill(&mut self, choices: &mut Choices) -> Result<(), Violation> {
        self.happened(Trouble::MasterKilled);
        self.say(|| "the master is killed and starts again".to_string());
        let kept = choices.below(self.under_way.len() + 1);
        for (_, _, record) in self.under_way.drain(..).take(kept) {
            self.disk.apply(&record);
        }
        configure(&mut self.disk, self.config, choices);
        let ids: BTreeMap<App, InstanceId> = self
            .disk
            .instances
            .values()
            .map(|one| (app_of(&one.definition), one.definition.id))
            .collect();
        let apps = self.nature.left_behind(|app| ids.contains_key(&app));
        let left: Vec<InstanceId> = apps.iter().map(|app| ids[app]).collect();
        if !left.is_empty() {
            self.happened(Trouble::LeavesProcesses);
        }
        (self.starting, self.reads, self.verbs) = (Vec::new(), Vec::new(), Vec::new());
        self.requests = requests::Requests::default();
        self.is_ending = false;
        self.epoch = StoreEpoch::default();
        self.law.begin(&self.disk);
        let found = Found { leftovers: &left, ..Found::default() };
        self.engine = Engine::with_found(self.disk.clone(), found, choices.seed(), self.now);
        self.drain()
    }

    fn pass(&mut self, ms: u64) -> Result<(), Violation> {
        let end = self.now.mono.after_ms(ms);
        while let Some((due, reason)) = self.engine.poll_timeout()
            && due <= end
        {
            if matches!(reason, openctrl_core::engine::TimerReason::BeatDue(_)) {
                self.happened(Trouble::PingExpired);
            }
            self.go_to(due.max(self.now.mono));
            self.feed(Input::TimeAdvanced)?;
            if self.is_over {
                return Ok(());
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

    /// Nothing goes wrong any more, and time passes. Then everything has to be as it is wanted.
    fn heal(&mut self) -> Result<(), Violation> {
        self.say(|| "from here on nothing goes wrong".to_string());
        let end = self.now.mono.after_ms(HEALING_MS);
        while self.now.mono < end && !self.is_over {
            self.heal_once()?;
            self.pass(2_000)?;
        }
        self.settle()?;
        if self.is_over {
            return Ok(());
        }
        if self.is_ending {
            return broken("INV-9", "the shutdown does not come to its end".to_string());
        }
        self.requests.all_answered()?;
        law::at_rest(&self.engine, &self.disk)?;
        self.all_as_wanted()
    }

    fn heal_once(&mut self) -> Result<(), Violation> {
        self.settle()?;
        while let Some((process, app)) = self.starting.pop() {
            self.born(process, app, Manners::Exits)?;
        }
        // What the master knows nothing of ends by itself.
        let ends = |world: &Self, one: &nature::Being| {
            one.dying.is_some() || (one.of.is_some() && !world.nature.is_watched(one))
        };
        while let Some(place) = self.nature.beings.iter().position(|one| ends(self, one)) {
            self.nature.die(place, Exit::Code(0));
        }
        while let Some(input) = self.nature.reports.pop() {
            self.feed(input)?;
        }
        if let Some(app) = self.file_app() {
            let own = self.nature.beings.iter().find(|one| one.of == Some(app));
            let file = own.map_or(PidFile::Absent, |one| PidFile::Number(one.identity.pid));
            self.nature.files.insert(app, file);
        }
        while let Some((instance, app)) = self.reads.pop() {
            self.sight(instance, app)?;
        }
        while !self.verbs.is_empty() {
            self.finish_verb(0, false)?;
        }
        for input in self.requests.beats(&self.engine, &self.nature) {
            if let Some((id, identity)) = requests::proof(&input) {
                self.law.proven(id, identity);
            }
            self.feed(input)?;
        }
        self.settle()
    }

    fn settle(&mut self) -> Result<(), Violation> {
        while !self.under_way.is_empty() && !self.is_over {
            self.write(usize::MAX)?;
        }
        Ok(())
    }

    fn all_as_wanted(&self) -> Result<(), Violation> {
        for slot in self.engine.table().slots() {
            let Some(row) = self.engine.table().get(slot) else { continue };
            let (definition, Desired { goal, .. }) = (row.definition(), row.desired());
            let runs = row.state().process == Process::Live;
            let app = app_of(definition);
            let is_there = if definition.is_service() {
                self.nature.up.get(&app).copied().unwrap_or_default()
            } else {
                let mut beings = self.nature.beings.iter();
                beings.any(|one| one.of == Some(app) && self.nature.is_watched(one))
            };
            // One whose runs are limited is ended and started over and over.
            if definition.policy.run_limit_ms.is_some() && *goal == Goal::Up {
                continue;
            }
            if runs != is_there || runs != (*goal == Goal::Up) {
                let what = format!(
                    "{} is wanted {goal:?}, runs: {runs}, is there: {is_there}",
                    definition.id
                );
                return broken("INV-9", what);
            }
        }
        Ok(())
    }
}

/// Which app or service this is the definition of.
fn app_of(definition: &Definition) -> App {
    App::of(definition).expect("only the configuration makes instances here")
}

fn configure(disk: &mut Image, config: Config, choices: &mut Choices) {
    let seed = choices.word();
    let mut number = seed;
    disk.configure(config.set(), || {
        number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
        number
    });
}
