//! The scenario of a run: the weights of all actions, drawn for each run (swarm testing), and the
//! initial content of the disk. Then, step by step, the next action.
//!
//! Only actions that a driver can cause happen here; the invariants check whether the engine
//! handles them.

mod action;
mod healing;
mod output;
mod perform;
mod words;

use std::sync::Arc;

use openctrl_core::counters::{SavedTotals, Totals};
use openctrl_core::engine::{Engine, Input};
use openctrl_core::event::WindowLimits;
use openctrl_core::ids::{InstanceId, ProcessRef, RequestId};
use openctrl_core::instance::{
    BackoffPolicy, Boot, Definition, Desired, Goal, Policy, Restart, RestartLimit, StopPolicy,
    StopStep,
};
use openctrl_core::master::MasterIdentity;
use openctrl_core::occasion::Occasions;
use openctrl_core::process::{Scope, Signal};
use openctrl_core::store::{Image, Record};
use openctrl_core::url::InstanceUrl;

use self::action::{Action, Legal};

pub use self::healing::heal;
use crate::choice::Choices;
use crate::oracle::Oracle;
use crate::world::{Character, Hub, Keeper, OnTerm, Prints, Remains, World};

/// What one run is like.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The initial content of the disk: up to three instances.
    pub image: Image,
    /// What its generator is seeded with.
    pub seed: [u8; 32],
    /// How much of the past the event stream keeps.
    window: WindowLimits,
    /// How many read it.
    readers: usize,
    /// By action.
    weights: [usize; Action::ALL.len()],
    /// One start in this many fails.
    start_failures: usize,
    /// Weights of [`OnTerm`], in its order.
    on_term: [usize; 3],
    /// Weights of [`Prints`], in its order.
    prints: [usize; 4],
    /// One process in this many starts others; 0 for none.
    forks: usize,
    /// Whether processes outlive the master.
    survives: bool,
}

/// An operator who has requested a shutdown once is in a hurry.
const AGAIN: usize = 16;

/// The result of an action.
#[derive(Debug)]
pub enum Outcome {
    /// An input for the engine.
    Told(Input),
    /// The last output of a process, and its exit.
    Ended(Vec<Input>),
    /// An input about a process that has exited or never existed.
    Late(Input),
    /// An event that the engine does not receive.
    Untold(Untold),
    /// A reader of the event stream reads about so many bytes, or comes back; perhaps it has
    /// forgotten what it has seen.
    Reads {
        /// Which.
        reader: usize,
        /// About this many bytes.
        max_bytes: usize,
        /// Whether it has lost its state.
        afresh: bool,
    },
    /// The master is another one, and finds a state and what is left of processes; or it
    /// refuses to start.
    Restarted(Box<Result<(Image, Remains), String>>, [u8; 32]),
}

/// Events that the engine does not receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untold {
    /// Nothing was possible.
    Nothing,
    /// So many ms went by.
    TimePasses(u64),
    /// The wall clock stepped by this many seconds.
    WallSteps(i64),
    /// The machine was suspended for this many seconds, and no timer could be due.
    Slept(u64),
    /// The rest of the group of this process exited.
    LeftoverEnds(ProcessRef),
    /// A process printed less than a line.
    PrintsAPart(ProcessRef),
    /// Only totals were written, or a write of them was refused: no request waits for them.
    TotalsWritten,
    /// The disk hangs for this many ms.
    DiskStalls(u64),
    /// The disk is full for this many writes.
    DiskFills(usize),
    /// A body was turned down before the engine heard of it.
    BadBody,
    /// The client that sent this went away.
    ClientLeaves(RequestId),
    /// A reader of the event stream went away.
    ReaderLeaves(usize),
}

impl Scenario {
    /// Draws the scenario of a run.
    pub fn draw(choices: &mut Choices) -> Self {
        let weights = Action::ALL.map(|(action, ..)| action.weight(*choices.pick(&[0, 1, 4, 12])));
        Self {
            weights,
            start_failures: *choices.pick(&[1_000, 8, 2]),
            on_term: [4, *choices.pick(&[0, 1, 4]), *choices.pick(&[0, 1, 4])],
            prints: [
                8,
                *choices.pick(&[0, 1]),
                *choices.pick(&[0, 0, 1, 4]),
                *choices.pick(&[0, 1, 4]),
            ],
            forks: *choices.pick(&[0, 4, 1]),
            window: WindowLimits {
                max_events: *choices.pick(&[1_000, 64, 8, 1]),
                max_bytes: *choices.pick(&[1_000_000, 16_384, 2_048]),
            },
            readers: choices.below(4),
            image: image(choices),
            seed: choices.seed(),
            survives: choices.one_in(2),
        }
    }

    /// The world in which it takes place.
    pub fn world(&self) -> World {
        self.world_with(self.image.clone())
    }

    /// The same world with another content of the disk.
    pub fn world_with(&self, image: Image) -> World {
        let keeper = self.survives.then(Keeper::default);
        World { keeper, ..World::new(image, Hub::new(self.window, self.readers)) }
    }

    /// Whether the master has the control API: in a third of the runs, and not in the simplest.
    pub fn has_control(&self) -> bool {
        self.seed[0] % 3 == 1
    }

    /// What the webhooks of the master report: in half of the runs there are two.
    pub fn webhooks(&self) -> Vec<Occasions> {
        let some = Occasions::parse("error,recovered").expect("two occasions");
        if self.seed[1] % 2 == 1 { vec![Occasions::ALL, some] } else { Vec::new() }
    }

    /// How many read the event stream.
    pub fn readers(&self) -> usize {
        self.readers
    }

    /// Lets one legal action happen.
    pub fn step(
        &self,
        choices: &mut Choices,
        world: &mut World,
        engine: &Engine,
        oracle: &Oracle,
    ) -> Outcome {
        let legal = Legal::of(world, engine);
        let mut weights = self.weights;
        for (weight, (action, _, rate)) in weights.iter_mut().zip(Action::ALL) {
            *weight *= usize::from(legal.allows(action)) * rate;
        }
        if oracle.shutdowns > 0 {
            weights[Action::Shutdown as usize] *= AGAIN;
        }
        match choices.weighted(&weights) {
            Some(index) => {
                let (action, ..) = Action::ALL[index];
                self.perform(action, choices, world, engine, oracle)
            }
            None => Outcome::Untold(Untold::Nothing),
        }
    }

    fn character(&self, choices: &mut Choices) -> Character {
        let on_term = match choices.weighted(&self.on_term) {
            Some(1) => OnTerm::Late(choices.below(8_000) as u64),
            Some(2) => OnTerm::Ignores,
            Some(_) | None => OnTerm::Obeys,
        };
        let prints = match choices.weighted(&self.prints) {
            Some(1) => Prints::Nothing,
            Some(2) => Prints::Floods,
            Some(3) => Prints::Garbage,
            Some(_) | None => Prints::Checkpoints,
        };
        let forks = self.forks > 0 && choices.below(self.forks) == 0;
        Character { on_term, prints, forks }
    }
}

/// The initial content of the disk.
fn image(choices: &mut Choices) -> Image {
    let mut image = Image::new(MasterIdentity::from_random([1; 8], [1; 16]));
    for id in 0..choices.below(4) {
        let url = InstanceUrl::parse("demo:stored").expect("a valid URL");
        let id = InstanceId(u32::try_from(id).expect("three at most"));
        let mut definition = Definition::new(id, url, String::new());
        definition.policy = policy(choices);
        let tcprx = choices.below(1_000) as u64;
        let totals = SavedTotals::from_totals(0, Totals { tcprx, ..Totals::default() });
        let goal = *choices.pick(&[Goal::Up, Goal::Down]);
        let desired = Arc::new(Desired { goal, ..Desired::default() });
        let definition = definition.into();
        image.apply(&Record::PutInstance { definition, desired, totals });
    }
    image
}

/// That of the v2 API with and without `restart`, or any other.
fn policy(choices: &mut Choices) -> Policy {
    let restart = *choices.pick(&[Restart::OnFailure, Restart::Never, Restart::Always]);
    let mut policy = Policy { restart, ..Policy::default() };
    if choices.one_in(2) {
        return policy;
    }
    policy.boot = *choices.pick(&[Boot::Restart, Boot::Saved, Boot::Always]);
    if choices.one_in(3) {
        let (max, window_ms) = (*choices.pick(&[0, 1, 3]), *choices.pick(&[1_000, 60_000]));
        policy.limit = Some(RestartLimit { max, window_ms });
    }
    if choices.one_in(3) {
        policy.backoff = BackoffPolicy {
            first_ms: 100,
            longest_ms: 1_000,
            healthy_ms: 5_000,
            prompt_ms: choices.one_in(2).then_some(3_000),
        };
    }
    let signals: &[(Signal, u64)] = choices.pick::<&[(Signal, u64)]>(&[
        &[(Signal::TERM, 5_000), (Signal::KILL, 0)],
        &[(Signal::USR1, 1_000), (Signal::TERM, 2_000), (Signal::KILL, 0)],
        &[(Signal::KILL, 0)],
    ]);
    let steps =
        signals.iter().map(|(signal, wait_ms)| StopStep { signal: *signal, wait_ms: *wait_ms });
    policy.stop = StopPolicy::new(steps.collect(), Scope::Group).expect("one to four steps");
    policy.history = *choices.pick(&[10, 0, 1]);
    policy
}
