//! One run: faults under the eyes of all invariants, deaths of the master among them, then a world
//! that heals, then the question whether everything has come right.

mod course;

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use openctrl_core::engine::Effect;
use openctrl_core::trace::Digest;

pub use self::course::Run;
pub(crate) use self::course::is_about_a_process;
use crate::choice::Choices;
use crate::coverage::Coverage;
use crate::invariants::{self, Violation};
use crate::scenario::Scenario;

/// The result of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Inputs that the engine took.
    pub inputs: u64,
    /// Inputs that the machine of the control API took, in a run that has it.
    pub control_inputs: Option<u64>,
    /// Effects that it gave.
    pub effects: u64,
    /// How often the master died and was started again.
    pub restarts: u64,
    /// For how long the simulated machine was awake, in ms.
    pub simulated_ms: u64,
    /// The digest of all effects.
    pub digest: Digest,
    /// Its coverage.
    pub coverage: Coverage,
}

impl Report {
    /// Adds the result of another run.
    pub fn add(&mut self, other: &Self) {
        self.inputs += other.inputs;
        let control_inputs = self.control_inputs.into_iter().chain(other.control_inputs);
        self.control_inputs = control_inputs.reduce(|sum, inputs| sum + inputs);
        self.effects += other.effects;
        self.restarts += other.restarts;
        self.simulated_ms += other.simulated_ms;
        self.digest.word(other.digest.0);
        self.coverage.add(&other.coverage);
    }
}

/// A run in which something did not hold.
#[derive(Debug)]
pub struct Failure {
    /// What.
    pub violation: Violation,
    /// The choices that led to it: the run of these bytes fails in the same way.
    pub choices: Vec<u8>,
    /// What happened before it, the latest last.
    pub timeline: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.timeline {
            writeln!(f, "{line}")?;
        }
        write!(f, "{}", self.violation)
    }
}

/// Does a whole run. One that fails is done again, to keep its timeline.
///
/// # Errors
/// The first invariant that does not hold.
pub fn run(choices: &mut Choices) -> Result<Report, Box<Failure>> {
    match attempt(choices, false) {
        Ok(run) => Ok(run.into_report()),
        Err(_) => {
            let bytes = choices.taken().to_vec();
            let Err((violation, timeline)) = attempt(&mut Choices::from_bytes(&bytes[..]), true)
            else {
                let what = "a run that failed does not fail again".to_string();
                let violation = Violation { invariant: "INV-10", what };
                return Err(Box::new(Failure { violation, choices: bytes, timeline: Vec::new() }));
            };
            Err(Box::new(Failure { violation, choices: bytes, timeline }))
        }
    }
}

/// Does the run of a seed.
///
/// # Errors
/// The first invariant that does not hold.
pub fn run_seed(seed: u64) -> Result<Report, Box<Failure>> {
    run(&mut Choices::from_seed(seed))
}

/// Does the run of a seed twice.
///
/// # Errors
/// The first invariant that does not hold, INV-10 among them.
pub fn run_twice(seed: u64) -> Result<Report, Box<Failure>> {
    let mut choices = Choices::from_seed(seed);
    let report = run(&mut choices)?;
    let again = run_seed(seed)?;
    invariants::compare(report.digest, again.digest).map(|()| report).map_err(|what| {
        let violation = Violation { invariant: "INV-10", what };
        Box::new(Failure { violation, choices: choices.taken().to_vec(), timeline: Vec::new() })
    })
}

/// The violation in the run of these choices, if there is one.
pub fn violation(mut choices: Choices) -> Option<Violation> {
    attempt(&mut choices, false).err().map(|(violation, _)| violation)
}

/// The line with the command that runs a seed again.
pub fn reproduce(seed: u64) -> String {
    format!("REPRODUCE: cargo run --release -p openctrl-sim -- run --seed {seed}")
}

/// A run whose effects are altered before anybody sees them: for tests of the invariants.
///
/// # Errors
/// The first invariant that does not hold.
pub fn run_tampered(
    choices: &mut Choices,
    tamper: impl FnMut(Effect) -> Vec<Effect> + 'static,
) -> Result<Report, Violation> {
    let scenario = Scenario::draw(choices);
    let mut run = Run::of(&scenario);
    run.tamper(tamper);
    run.whole(choices, &scenario).map(|()| run.into_report())
}

/// A run in which the engine does not check itself: for tests of what only that check finds.
///
/// # Errors
/// The first invariant that does not hold.
pub fn run_unchecked(choices: &mut Choices) -> Result<Report, Violation> {
    let scenario = Scenario::draw(choices);
    let mut run = Run::of(&scenario);
    run.leave_engine_unchecked();
    run.whole(choices, &scenario).map(|()| run.into_report())
}

/// Does a run; a panic counts as a violation. Returns the timeline of one that fails, if it is
/// asked for.
fn attempt(choices: &mut Choices, keeps_timeline: bool) -> Result<Run, (Violation, Vec<String>)> {
    let scenario = Scenario::draw(choices);
    let mut run = Run::of(&scenario);
    if keeps_timeline {
        run.keep_timeline();
    }
    let done = catch_unwind(AssertUnwindSafe(|| run.whole(choices, &scenario)));
    match done {
        Ok(Ok(())) => Ok(run),
        Ok(Err(violation)) => Err((violation, run.into_timeline())),
        Err(payload) => Err((panicked(payload.as_ref()), run.into_timeline())),
    }
}

/// A panic, as a violation.
pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Violation {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let what = text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("no reason");
    Violation { invariant: "PANIC", what: what.to_string() }
}
