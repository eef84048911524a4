//! What happens next: the legal actions of a world, weighted anew for each run (swarm testing),
//! and the input that the chosen one comes to.
//!
//! Only what a driver may do is done here; whether the engine copes is the invariants' business.

use std::sync::Arc;

use openctrl_core::api::PingOutcome;
use openctrl_core::engine::{Engine, Exit, Input};
use openctrl_core::ids::{Generation, InstanceId, ProcessRef, RequestId, SlotId};
use openctrl_core::output::{OutputBatch, OutputParser};
use openctrl_core::store::Image;

use crate::choice::Choices;
use crate::world::{Crash, Died, Phase, Tail, World};

/// Something that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// A client sends a request.
    Request,
    /// It becomes known what became of a process being started.
    StartOutcome,
    /// A process prints.
    Print,
    /// A process that was asked to end does.
    End,
    /// A process exits by itself.
    Crash,
    /// What is left of a group ends by itself.
    LeftoverEnds,
    /// Records become durable.
    Persist,
    /// The disk refuses what is on its way.
    DiskFails,
    /// A dial ends.
    Dialled,
    /// The next timer is due.
    TimerDue,
    /// Some time passes, without a timer being due.
    TimePasses,
    /// The wall clock steps.
    WallSteps,
    /// A process that is gone, or never was, says something.
    Late,
    /// The operator wants the master to end.
    Shutdown,
    /// The master dies and is started again.
    Dies,
}

impl Action {
    const ALL: [Self; 15] = [
        Self::Request,
        Self::StartOutcome,
        Self::Print,
        Self::End,
        Self::Crash,
        Self::LeftoverEnds,
        Self::Persist,
        Self::DiskFails,
        Self::Dialled,
        Self::TimerDue,
        Self::TimePasses,
        Self::WallSteps,
        Self::Late,
        Self::Shutdown,
        Self::Dies,
    ];

    /// Its weight in a run that drew `wild`. What every run needs to get anywhere is never left
    /// out; the end comes in one run of four, and rarely enough that most see much before it.
    fn weight(self, wild: usize) -> usize {
        match self {
            Self::Request | Self::StartOutcome | Self::End | Self::Persist | Self::TimerDue => {
                wild.max(2)
            }
            Self::Print
            | Self::Crash
            | Self::LeftoverEnds
            | Self::DiskFails
            | Self::Dialled
            | Self::TimePasses
            | Self::WallSteps
            | Self::Late
            | Self::Dies => wild,
            Self::Shutdown => wild / 12,
        }
    }
}

/// The weights of one run, and how wild its faults are.
#[derive(Debug)]
pub struct Scenario {
    weights: [usize; Action::ALL.len()],
    /// One start in so many fails.
    start_failures: usize,
}

/// What an action came to.
#[derive(Debug)]
pub enum Outcome {
    /// The engine is told something.
    Told(Input),
    /// The engine is told something of a process that is gone, or never was.
    Late(Input),
    /// Something happened that the engine is not told.
    Untold,
    /// The master is another one, and finds a state and processes of these instances; or it
    /// refuses to start.
    Restarted(Result<(Image, Vec<InstanceId>), String>),
}

impl Scenario {
    /// Draws the weights of a run.
    pub fn draw(choices: &mut Choices) -> Self {
        let weights = Action::ALL.map(|action| action.weight(*choices.pick(&[0, 1, 4, 12])));
        Self { weights, start_failures: [1_000, 8, 2][choices.below(3)] }
    }

    /// Lets one legal action happen.
    pub fn step(
        &self,
        choices: &mut Choices,
        world: &mut World,
        engine: &Engine,
        known: &[InstanceId],
    ) -> Outcome {
        let mut weights = self.weights;
        for (weight, action) in weights.iter_mut().zip(Action::ALL) {
            *weight *= usize::from(is_legal(action, world, engine)) * rate(action);
        }
        match choices.weighted(&weights) {
            Some(index) => self.perform(Action::ALL[index], choices, world, engine, known),
            None => Outcome::Untold,
        }
    }

    fn perform(
        &self,
        action: Action,
        choices: &mut Choices,
        world: &mut World,
        engine: &Engine,
        known: &[InstanceId],
    ) -> Outcome {
        Outcome::Told(match action {
            Action::Request => {
                let request = world.clients.next_request();
                Input::RequestArrived { request, call: world.clients.call(choices, known) }
            }
            Action::StartOutcome => {
                let process = *choices.pick(&world.processes.in_phase(Phase::Spawning));
                if choices.one_in(self.start_failures) {
                    start_fails(world, process)
                } else {
                    starts(world, process)
                }
            }
            Action::Print => {
                let process = *choices.pick(&world.processes.printing());
                prints(choices, world, process)
            }
            Action::End => {
                let process = *choices.pick(&world.processes.ending());
                ends(choices, world, process)
            }
            Action::Crash => {
                let process = *choices.pick(&world.processes.in_phase(Phase::Alive));
                ends(choices, world, process)
            }
            Action::LeftoverEnds => {
                let process = *choices.pick(&leftovers(world));
                world.processes.leftover_gone(process);
                return Outcome::Untold;
            }
            Action::Persist => {
                let count = choices.below(world.disk.queued()) + 1;
                return told(world.disk.write(count));
            }
            Action::DiskFails => {
                let (after, count) = (choices.below(12), 1 + choices.below(4));
                let group = choices.below(world.disk.queued()) + 1;
                return told(world.disk.write_refused(group, after, count));
            }
            Action::Dialled => {
                let request = *choices.pick(&world.clients.dials());
                dialled(choices, world, request)
            }
            Action::TimerDue => {
                let (due, _) = engine.poll_timeout().expect("it is legal only then");
                let late_ms = if choices.one_in(8) { choices.below(100) as u64 } else { 0 };
                world.clock.advance_to(due.max(world.clock.now().mono).after_ms(late_ms));
                Input::TimeAdvanced
            }
            Action::TimePasses => {
                let then = world.clock.now().mono.after_ms(choices.below(2_000) as u64);
                let due = engine.poll_timeout().map_or(then, |(due, _)| due);
                world.clock.advance_to(then.min(due));
                return Outcome::Untold;
            }
            Action::WallSteps => {
                world.clock.step_wall(choices.below(7_200) as i64 - 3_600);
                return Outcome::Untold;
            }
            Action::Late => return Outcome::Late(late(choices, world)),
            Action::Shutdown => Input::ShutdownRequested,
            Action::Dies => return Outcome::Restarted(dies(choices, world)),
        })
    }
}

/// The next thing that is pending in a world without faults, if anything is: starts succeed, what
/// was asked to end does, records become durable, dials end.
///
/// # Errors
/// The master died while it wrote.
pub fn heal(world: &mut World) -> Result<Option<Input>, Died> {
    if let Some(process) = world.processes.in_phase(Phase::Spawning).first() {
        return Ok(Some(starts(world, *process)));
    }
    if let Some(process) = world.processes.ending().first() {
        return Ok(Some(ends(&mut Choices::from_bytes(&[]), world, *process)));
    }
    while world.disk.queued() > 0 {
        if let Some(input) = world.disk.write(usize::MAX)? {
            return Ok(Some(input));
        }
    }
    let dials = world.clients.dials();
    Ok(dials.first().map(|request| dialled(&mut Choices::from_bytes(&[]), world, *request)))
}

fn is_legal(action: Action, world: &World, engine: &Engine) -> bool {
    match action {
        Action::Request
        | Action::TimePasses
        | Action::WallSteps
        | Action::Late
        | Action::Shutdown
        | Action::Dies => true,
        Action::StartOutcome => !world.processes.in_phase(Phase::Spawning).is_empty(),
        Action::Print => !world.processes.printing().is_empty(),
        Action::Crash => !world.processes.in_phase(Phase::Alive).is_empty(),
        Action::End => !world.processes.ending().is_empty(),
        Action::LeftoverEnds => !leftovers(world).is_empty(),
        Action::Persist | Action::DiskFails => world.disk.queued() > 0,
        Action::Dialled => !world.clients.dials().is_empty(),
        Action::TimerDue => engine.poll_timeout().is_some(),
    }
}

/// How often an action happens compared to others of the same weight.
fn rate(action: Action) -> usize {
    match action {
        Action::Shutdown | Action::WallSteps | Action::Dies => 1,
        Action::DiskFails | Action::Crash | Action::Late | Action::LeftoverEnds => 4,
        Action::TimePasses | Action::TimerDue | Action::End | Action::Dialled => 12,
        Action::Request | Action::StartOutcome | Action::Print | Action::Persist => 24,
    }
}

fn told(written: Result<Option<Input>, Died>) -> Outcome {
    written.expect("nobody dies in here").map_or(Outcome::Untold, Outcome::Told)
}

/// The master dies, sometimes in the middle of a write, and the next one starts, which sometimes
/// dies as well before it serves.
fn dies(choices: &mut Choices, world: &mut World) -> Result<(Image, Vec<InstanceId>), String> {
    if world.disk.queued() > 0 && choices.one_in(2) {
        let group = choices.below(world.disk.queued()) + 1;
        world.disk.files.die_in(choices.below(16));
        // Nobody is left to hear how it went.
        let _ = world.disk.write(group);
    }
    let part = Tail::Part(choices.byte());
    let crash = Crash {
        power_loss: choices.one_in(3),
        tail: *choices.pick(&[Tail::All, Tail::Nothing, part, Tail::Zeros]),
        names: choices.below(world.disk.files.unsynced_names() + 1),
    };
    let dies_in = choices.one_in(4).then(|| choices.below(14));
    world.restart(crash, dies_in, || choices.one_in(2))
}

fn leftovers(world: &World) -> Vec<ProcessRef> {
    let left = world.processes.iter().filter(|process| process.group_left);
    left.map(|process| process.reference).collect()
}

fn starts(world: &mut World, process: ProcessRef) -> Input {
    world.processes.started(process);
    Input::ProcessStarted { process }
}

fn start_fails(world: &mut World, process: ProcessRef) -> Input {
    world.processes.gone(process, false);
    Input::StartFailed { process, reason: "no such file".to_string() }
}

fn ends(choices: &mut Choices, world: &mut World, process: ProcessRef) -> Input {
    let killed = world.processes.get(process).is_some_and(|process| process.killed);
    let group_left = !killed && choices.one_in(6);
    world.processes.gone(process, group_left);
    let exit = exit(choices, killed);
    Input::ProcessExited { process, exit, group_left }
}

fn exit(choices: &mut Choices, killed: bool) -> Exit {
    if killed {
        return Exit::Signal(9);
    }
    [Exit::Code(0), Exit::Code(1), Exit::Signal(11)][choices.below(3)]
}

fn dialled(choices: &mut Choices, world: &mut World, request: RequestId) -> Input {
    world.clients.dialled(request);
    let outcome = if choices.one_in(2) {
        PingOutcome::Failed("refused".to_string())
    } else {
        PingOutcome::Connected { latency_ms: 3 }
    };
    Input::Dialled { request, outcome }
}

fn prints(choices: &mut Choices, world: &mut World, process: ProcessRef) -> Input {
    let mut counters = world.processes.get(process).map_or([0; 4], |process| process.counters);
    let batch = batch(choices, &mut counters);
    if let Some(process) = world.processes.get_mut(process) {
        process.counters = counters;
    }
    Input::OutputRead { process, batch }
}

/// One to three lines.
fn batch(choices: &mut Choices, counters: &mut [u64; 4]) -> Arc<OutputBatch> {
    let mut text = String::new();
    for _ in 0..=choices.below(3) {
        match choices.below(6) {
            0 | 1 => text.push_str("a line\n"),
            2 => text.push_str("an ERROR line\n"),
            _ => text.push_str(&checkpoint(choices, counters)),
        }
    }
    Arc::new(OutputParser::default().push(text.as_bytes()))
}

/// A checkpoint whose counters went on, mostly; they may also start over, jump, or overflow.
fn checkpoint(choices: &mut Choices, counters: &mut [u64; 4]) -> String {
    let digits = counters.each_mut().map(|counter| {
        match choices.below(16) {
            0 => *counter = choices.below(50) as u64,
            1 => *counter = choices.word(),
            2 => *counter = u64::MAX,
            3 => return "18446744073709551616".to_string(),
            _ => *counter = counter.saturating_add(choices.below(1_000) as u64),
        }
        counter.to_string()
    });
    let [tcprx, tcptx, udprx, udptx] = digits;
    let gauge = choices.below(100);
    format!(
        "CHECK_POINT|MODE=1|PING={gauge}ms|POOL=2|TCPS={gauge}|UDPS=3\
         |TCPRX={tcprx}|TCPTX={tcptx}|UDPRX={udprx}|UDPTX={udptx}\n"
    )
}

/// What a process says that is gone, or that never was.
fn late(choices: &mut Choices, world: &World) -> Input {
    let gone = world.processes.in_phase(Phase::Gone);
    let stranger = ProcessRef { slot: SlotId(choices.byte().into()), generation: Generation(0) };
    let process = if gone.is_empty() { stranger } else { *choices.pick(&gone) };
    match choices.below(4) {
        0 => Input::ProcessStarted { process },
        1 => Input::StartFailed { process, reason: "late".to_string() },
        2 => Input::OutputRead { process, batch: batch(choices, &mut [7; 4]) },
        _ => Input::ProcessExited {
            process,
            exit: exit(choices, false),
            group_left: choices.one_in(2),
        },
    }
}
