//! One run: faults under the eyes of all invariants, deaths of the master among them, then a world
//! that heals, then the question whether everything has come right.

use std::collections::VecDeque;
use std::fmt;

use openctrl_core::engine::{Effect, Engine, Input};
use openctrl_core::ids::InstanceId;
use openctrl_core::instance::{Definition, State};
use openctrl_core::master::MasterIdentity;
use openctrl_core::store::{Image, Record, SavedTotals, encode};
use openctrl_core::time::Time;
use openctrl_core::url::InstanceUrl;

use crate::choice::Choices;
use crate::coverage::Coverage;
use crate::invariants::{self, Digest, Invariant, Scene, Violation};
use crate::oracle::Oracle;
use crate::scenario::{self, Outcome, Scenario};
use crate::world::World;

/// How much time everything has to come right in: a longest back-off (72 s), a silence that is
/// found late (20 s), a stop (5 s), and a tick to save totals at.
const HEALING_MS: u64 = 120_000;

/// How many steps are done after the master's end, none of which may do anything.
const AFTER_END: usize = 10;

/// The last things that happened, for whoever looks into a failure.
const HISTORY_MAX: usize = 400;

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Inputs that the engine took.
    pub inputs: u64,
    /// Effects that it gave.
    pub effects: u64,
    /// How often the master died and was started again.
    pub restarts: u64,
    /// Simulated time, in ms.
    pub simulated_ms: u64,
    /// The digest of all effects.
    pub digest: Digest,
    /// The cells of the status machine that it went through.
    pub coverage: Coverage,
}

/// A run in which something did not hold.
#[derive(Debug)]
pub struct Failure {
    /// What.
    pub violation: Violation,
    /// What happened before it, the latest last.
    pub history: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.history {
            writeln!(f, "  {line}")?;
        }
        write!(f, "{}", self.violation)
    }
}

/// Does a whole run.
///
/// # Errors
/// The first invariant that does not hold.
pub fn run(choices: &mut Choices) -> Result<Report, Box<Failure>> {
    run_tampered(choices, |effect| vec![effect])
}

/// Does the run of a seed twice.
///
/// # Errors
/// The first invariant that does not hold, INV-10 among them.
pub fn run_seed(seed: u64) -> Result<Report, Box<Failure>> {
    let report = run(&mut Choices::from_seed(seed))?;
    let again = run(&mut Choices::from_seed(seed))?;
    match invariants::compare(report.digest, again.digest) {
        Ok(()) => Ok(report),
        Err(what) => {
            let violation = Violation { invariant: "INV-10", what };
            Err(Box::new(Failure { violation, history: Vec::new() }))
        }
    }
}

/// The line that tells how to see the run of a seed again.
pub fn reproduce(seed: u64) -> String {
    format!("REPRODUCE: cargo run --release -p openctrl-sim -- run --seed {seed}")
}

/// A run whose effects are altered before anybody sees them: for tests of the invariants.
///
/// # Errors
/// The first invariant that does not hold.
pub fn run_tampered(
    choices: &mut Choices,
    tamper: impl FnMut(Effect) -> Vec<Effect>,
) -> Result<Report, Box<Failure>> {
    let scenario = Scenario::draw(choices);
    let steps = 60 + choices.below(400);
    let image = image(choices);
    let seed = std::array::from_fn(|_| choices.byte());
    let mut run = Run::new(image, seed, tamper);
    match run.all(choices, &scenario, steps) {
        Ok(()) => Ok(run.report),
        Err(violation) => {
            Err(Box::new(Failure { violation, history: run.history.into_iter().collect() }))
        }
    }
}

/// What the master finds on its disk: up to three instances.
fn image(choices: &mut Choices) -> Image {
    let mut image = Image::new(MasterIdentity::from_random([1; 8], [1; 16]));
    for id in 0..choices.below(4) {
        let url = InstanceUrl::parse("demo:stored").expect("a valid URL");
        let id = InstanceId(u32::try_from(id).expect("three at most"));
        let mut definition = Definition::new(id, url, String::new());
        definition.restart = choices.one_in(2);
        let mut totals = SavedTotals::default();
        totals.totals.tcprx = choices.below(1_000) as u64;
        image.apply(&Record::PutInstance { definition: definition.into(), totals });
    }
    image
}

/// An engine in its world, with the books and the invariants of its boot.
pub struct Run<T> {
    engine: Engine,
    /// The world.
    pub world: World,
    /// The books.
    pub oracle: Oracle,
    invariants: Vec<Box<dyn Invariant>>,
    tamper: T,
    /// What it came to so far.
    pub report: Report,
    history: VecDeque<String>,
    /// After how many more effects the master dies, if it is about to.
    dies_in: Option<u64>,
}

impl<T: FnMut(Effect) -> Vec<Effect>> Run<T> {
    /// A master that starts with `image`; nothing has happened yet.
    pub fn new(image: Image, seed: [u8; 32], tamper: T) -> Self {
        let world = World::new(image.clone());
        let oracle = Oracle::new(&image);
        Self {
            engine: Engine::new(image, seed, world.clock.now()),
            world,
            oracle,
            invariants: invariants::all(),
            tamper,
            report: Report::default(),
            history: VecDeque::new(),
            dies_in: None,
        }
    }

    /// Lets the master die after so many more effects.
    pub fn die_in(&mut self, effects: u64) {
        self.dies_in = Some(effects);
    }

    /// Whether it has done so: it does nothing any more.
    pub fn is_dead(&self) -> bool {
        self.dies_in == Some(0)
    }

    /// Carries out what the master orders at its start.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn begin(&mut self) -> Result<(), Violation> {
        self.drain(false, &[])?;
        self.check(|invariant, scene| invariant.after_input(scene, None), false)
    }

    /// Goes on with the master that found `image` and processes of `leftovers` after a crash: a new
    /// boot, with new books. What was asked for and not answered stays so.
    ///
    /// # Errors
    /// It found what no crash may leave, or the first invariant that does not hold.
    pub fn restart(
        &mut self,
        found: Result<(Image, Vec<InstanceId>), String>,
        seed: [u8; 32],
    ) -> Result<(), Violation> {
        let broken = |what| Violation { invariant: "INV-5", what };
        let (image, leftovers) =
            found.map_err(|error| broken(format!("a start after a crash is refused: {error}")))?;
        self.remember(|| format!("             the master died; left behind: {leftovers:?}"));
        invariants::judge(&self.oracle.ledger, &image).map_err(broken)?;
        self.report.restarts += 1;
        self.report.digest.add(&format!("{:?}", encode(&image, 0)));
        if !leftovers.is_empty() {
            self.report.coverage.left_behind();
        }
        self.dies_in = None;
        self.oracle = Oracle::new(&image);
        self.invariants = invariants::all();
        let now = self.world.clock.now();
        self.engine = Engine::with_leftovers(image, &leftovers, seed, now);
        self.begin()
    }

    fn all(
        &mut self,
        choices: &mut Choices,
        scenario: &Scenario,
        steps: usize,
    ) -> Result<(), Violation> {
        self.begin()?;
        let mut after_end = 0;
        for _ in 0..steps {
            after_end = if self.oracle.finished { after_end + 1 } else { 0 };
            if choices.is_exhausted() || after_end > AFTER_END {
                break;
            }
            let known = self.oracle.known();
            match scenario.step(choices, &mut self.world, &self.engine, &known) {
                Outcome::Told(input) => self.feed(input, false)?,
                Outcome::Late(input) => self.feed(input, true)?,
                Outcome::Untold => {}
                Outcome::Restarted(found) => {
                    self.restart(found, std::array::from_fn(|_| choices.byte()))?;
                }
            }
        }
        self.rest()
    }

    /// Lets everything that is pending come right, and time pass; then asks whether it has.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn rest(&mut self) -> Result<(), Violation> {
        self.heal()?;
        self.report.simulated_ms = self.world.clock.now().mono.ms_since(Time::ZERO);
        self.check(|invariant, scene| invariant.at_rest(scene), false)
    }

    fn heal(&mut self) -> Result<(), Violation> {
        const NOBODY_DIES: &str = "nobody dies any more";
        let end = self.world.clock.now().mono.after_ms(HEALING_MS);
        while !self.oracle.finished {
            let input = match scenario::heal(&mut self.world).expect(NOBODY_DIES) {
                Some(input) => input,
                None => match self.engine.poll_timeout() {
                    Some((due, _)) if due <= end => {
                        self.world.clock.advance_to(due);
                        Input::TimeAdvanced
                    }
                    Some(_) | None => break,
                },
            };
            self.feed(input, false)?;
        }
        // The end waits for the store.
        self.world.disk.write(usize::MAX).expect(NOBODY_DIES);
        Ok(())
    }

    /// Tells the engine something and carries out what it orders.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn feed(&mut self, input: Input, is_late: bool) -> Result<(), Violation> {
        // After the end, all that processes do is late.
        let is_late = is_late || (self.oracle.finished && is_about_a_process(&input));
        let now = self.world.clock.now();
        self.remember(|| format!("{:>10} > {input:?}", now.mono.as_micros() / 1_000));
        self.check(|invariant, scene| invariant.before_input(scene, &input), is_late)?;
        self.report.coverage.before_input(&self.engine, &self.oracle, &input);
        let states = self.states();
        self.oracle.on_input(&self.world, &input, is_late);
        self.engine.handle(now, input.clone());
        self.report.inputs += 1;
        self.drain(is_late, &states)?;
        if self.is_dead() {
            return Ok(());
        }
        if matches!(input, Input::TimeAdvanced) {
            self.forget_quiet_tick();
        }
        self.report.coverage.after_input(&states, &self.engine, &input);
        self.check(|invariant, scene| invariant.after_input(scene, Some(&input)), is_late)
    }

    fn drain(&mut self, is_late: bool, states: &[(InstanceId, State)]) -> Result<(), Violation> {
        while let Some(effect) = self.engine.poll_effect() {
            for effect in (self.tamper)(effect) {
                if self.is_dead() {
                    return Ok(());
                }
                self.dies_in.iter_mut().for_each(|left| *left -= 1);
                let text = format!("{effect:?}");
                self.report.digest.add(&text);
                self.report.effects += 1;
                self.remember(|| format!("             {text}"));
                self.check(|invariant, scene| invariant.on_effect(scene, &effect), is_late)?;
                self.report.coverage.on_effect(states, &self.oracle, &effect);
                self.oracle.on_effect(&self.world, &effect);
                self.world.carry_out(&effect);
            }
        }
        Ok(())
    }

    fn check(
        &mut self,
        mut ask: impl FnMut(&mut dyn Invariant, Scene<'_>) -> invariants::Verdict,
        is_late: bool,
    ) -> Result<(), Violation> {
        let Self { engine, world, oracle, invariants, .. } = self;
        let scene = Scene { engine, world, oracle, is_late };
        for invariant in invariants {
            if let Err(what) = ask(invariant.as_mut(), scene) {
                return Err(Violation { invariant: invariant.id(), what });
            }
        }
        Ok(())
    }

    fn states(&self) -> Vec<(InstanceId, State)> {
        let table = self.engine.table();
        let rows = table.slots().filter_map(|slot| table.get(slot));
        rows.map(|instance| (instance.definition.id, instance.state)).collect()
    }

    fn remember(&mut self, line: impl FnOnce() -> String) {
        if self.history.len() == HISTORY_MAX {
            self.history.pop_front();
        }
        self.history.push_back(line());
    }

    fn forget_quiet_tick(&mut self) {
        self.history.pop_back_if(|line| line.ends_with("> TimeAdvanced"));
    }
}

fn is_about_a_process(input: &Input) -> bool {
    matches!(
        input,
        Input::ProcessStarted { .. }
            | Input::StartFailed { .. }
            | Input::OutputRead { .. }
            | Input::ProcessExited { .. }
    )
}
