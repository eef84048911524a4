//! Replays traces of the real master (`docs/operators/TRACE.md`), checks the invariants at every
//! step, and shrinks a trace that violates one.
//!
//! A trace starts in the middle of a run. The replay assumes that everything before it was correct,
//! and everything that it does not record: the files on disk, the readers of the event stream, and
//! how long clients wait.

mod beside;
mod cut;
mod player;
mod steps;

use std::panic::{AssertUnwindSafe, catch_unwind};

use openctrl_core::trace::Replay;

use self::beside::Beside;
use self::cut::cut_after;
use self::player::Player;
pub use self::steps::{About, Step, Steps};
use crate::invariants::Violation;
use crate::run::panicked;
use crate::shrink::{Limits, Shrunk, shrink};

/// How a file begins that is a segment of a trace.
const MAGIC: &[u8] = b"OPENCTRT";

/// What a recording and its replay must have in common: effects and states.
const RECORDED: &str = "INV-10";

/// Checks that a trace does not allow, for each invariant.
pub const NOT_JUDGED: &str = "not judged, as a trace does not tell of it: \
what an earlier run left behind (INV-2), the files on the disk (INV-5), readers (INV-6); \
taken as the engine has it at the beginning: totals (INV-7) and what is wanted (INV-9)";

/// Whether a file is a segment of a trace.
pub fn is_trace(file: &[u8]) -> bool {
    file.starts_with(MAGIC)
}

/// The result of a replay.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Number of replayed inputs.
    pub told: usize,
    /// Number of inputs that no driver could have sent, as far as the simulated world can tell.
    pub impossible: usize,
    /// The violation: an invariant, or the recorded digests (INV-10).
    pub violation: Option<Violation>,
    /// The result of the comparison with the recording, in words.
    pub digests: String,
    /// What happened, the latest last.
    pub timeline: Vec<String>,
}

/// A trace that was made small.
#[derive(Clone, Debug)]
pub struct Small {
    /// It as a segment.
    pub segment: Vec<u8>,
    /// How many steps are left.
    pub steps: usize,
    /// How many there were.
    pub steps_before: usize,
    /// How many lists of steps were tried.
    pub tries: u32,
}

/// Replays a trace as it was recorded, then lets the world heal and asks whether everything comes
/// right.
///
/// # Errors
/// Why the segment cannot be read.
pub fn replay(segment: &[u8]) -> Result<Outcome, String> {
    let trace = Steps::read(segment)?;
    let mut player = Player::new(&trace);
    player.run.keep_timeline();
    let violation = attempt(&mut player, |player| {
        trace.steps.iter().try_for_each(|step| player.tell_as_recorded(step))
    });
    let Compared { digests, found } = compare(segment)?;
    let (told, impossible) = (player.told, player.impossible);
    let violation = violation.or(found.map(|(_, found)| found));
    Ok(Outcome { told, impossible, violation, digests, timeline: player.run.into_timeline() })
}

/// Shrinks a trace in which `violation` was found to one with the same violation. What was found by
/// comparing with the recording, or of the machine of the control API, is only cut after that
/// point: recorded digests depend on everything before, and so do the ids of stored events.
///
/// # Errors
/// Why the segment cannot be read or shrunk.
pub fn make_small(
    segment: &[u8],
    violation: &Violation,
    limits: Limits,
    mut progress: impl FnMut(u32, usize),
) -> Result<Small, String> {
    let trace = Steps::read(segment)?;
    let invariant = violation.invariant;
    if let Some((number, found)) = compare(segment)?.found
        && found.invariant == invariant
    {
        let (segment, steps_before) = cut_after(segment, number)?;
        let steps = usize::try_from(number).unwrap_or(usize::MAX);
        return Ok(Small { segment, steps, steps_before, tries: 0 });
    }
    let mut tries = 0;
    let mut fails = |steps: &[Step]| {
        tries += 1;
        progress(tries, steps.len());
        fails_so(&trace, steps, invariant)
    };
    if !fails(&trace.steps) {
        return Err(format!(
            "{invariant} does not hold of what was recorded, but of what a driver could have told it: \
             nothing can be left out"
        ));
    }
    let Shrunk { items, tries, .. } = shrink(trace.steps.clone(), limits, Step::simpler, fails);
    let (segment, steps) = record(&trace, &items);
    Ok(Small { segment, steps, steps_before: trace.steps.len(), tries })
}

fn fails_so(trace: &Steps, steps: &[Step], invariant: &str) -> bool {
    let mut player = Player::new(trace);
    let found = attempt(&mut player, |player| steps.iter().try_for_each(|step| player.tell(step)));
    found.is_some_and(|found| found.invariant == invariant)
}

/// The steps as a separate segment, and how many of them could be replayed.
fn record(trace: &Steps, steps: &[Step]) -> (Vec<u8>, usize) {
    let mut player = Player::new(trace);
    player.run.record(trace.header.clone());
    let told =
        catch_unwind(AssertUnwindSafe(|| steps.iter().try_for_each(|step| player.tell(step))));
    let segment = player.run.recorded(matches!(told, Ok(Ok(()))));
    (segment.expect("no master dies in a trace"), player.told)
}

/// Tells the steps, heals, and asks whether everything has come right.
fn attempt<'a>(
    player: &mut Player<'a>,
    tell: impl FnOnce(&mut Player<'a>) -> Result<(), Violation>,
) -> Option<Violation> {
    let done = catch_unwind(AssertUnwindSafe(|| {
        tell(player)?;
        player.run.rest()
    }));
    match done {
        Ok(done) => done.err(),
        Err(payload) => Some(panicked(payload.as_ref())),
    }
}

/// What a replay says of the machine of the control API and of the recording.
struct Compared {
    /// The result of the comparison with the recorded digests, in words.
    digests: String,
    /// The first input at which something does not hold, and what.
    found: Option<(u64, Violation)>,
}

/// Compares with the recorded digests, and looks at the machine of the control API.
fn compare(segment: &[u8]) -> Result<Compared, String> {
    let mut replay = Replay::new(segment).map_err(|error| error.to_string())?;
    let (mut beside, mut found) = (Beside::default(), None);
    let told = catch_unwind(AssertUnwindSafe(|| {
        while let Some(step) = replay.step() {
            let looked = beside.look(&step, replay.control());
            found = found.take().or(looked.err().map(|violation| (step.number, violation)));
        }
    }));
    let summary = replay.summary();
    let (effects, states) = (summary.effects_checked, summary.states_checked);
    if !replay.is_comparable() {
        let digests = format!("nothing compared: the format has version {}", replay.version());
        return Ok(Compared { digests, found });
    }
    let checked = format!("{effects} digests of effects and {states} of states compared");
    let digests = match &summary.difference {
        Some(difference) => format!("{checked}: input {} differs", difference.number),
        None if told.is_err() => format!("{checked}: equal until the engine panics"),
        None => format!("{checked}: all equal"),
    };
    let differs =
        summary.difference.map(|difference| (difference.number, differs_at(difference.number)));
    Ok(Compared { digests, found: found.or(differs) })
}

fn differs_at(number: u64) -> Violation {
    let what = format!("input {number} came to another digest when it was recorded");
    Violation { invariant: RECORDED, what }
}
