//! Renders the status machine as a page: both tables, the rules of the decision, and their result
//! under the policy of the v2 API. A test keeps `docs/contributors/STATUS.md` equal to this text.

use alloc::vec::Vec;
use core::fmt;

use super::action::{Action, Actions};
use super::decide::{Decision, Situation, Why, decide};
use super::desired::{Desired, Goal};
use super::health::{Health, HealthEvent};
use super::policy::{Policy, Restart};
use super::process_table::{Process, ProcessEvent};
use super::state::State;
use super::step::{InstanceEvent, step};
use crate::process::Signal;

/// The page.
#[derive(Clone, Copy, Debug)]
pub struct StatusPage;

/// What can happen to an instance, as commands and processes have it: the events of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occurrence {
    /// It should run.
    StartWanted,
    /// It should be stopped.
    StopWanted,
    /// The restart timer ran out.
    RestartDue,
    /// The process was started.
    Started,
    /// The process could not be started.
    StartFailed,
    /// The process exited with code 0.
    ExitedClean,
    /// The process exited with another code or by a signal.
    ExitedFailed,
    /// The process printed a line with `ERROR`.
    ErrorLogged,
    /// The process printed a checkpoint.
    CheckpointSeen,
    /// No checkpoint for too long, after at least one.
    FellSilent,
    /// The time of one step of the stop is over.
    GraceElapsed,
    /// A process that an earlier run of the master left behind was found.
    LeftBehind,
}

impl Occurrence {
    const ALL: [Self; 12] = [
        Self::StartWanted,
        Self::StopWanted,
        Self::RestartDue,
        Self::Started,
        Self::StartFailed,
        Self::ExitedClean,
        Self::ExitedFailed,
        Self::ErrorLogged,
        Self::CheckpointSeen,
        Self::FellSilent,
        Self::GraceElapsed,
        Self::LeftBehind,
    ];
}

/// An instance with only the parts that the decision depends on.
struct Model<'a> {
    policy: &'a Policy,
    desired: Desired,
    at: Situation,
    done: Vec<Action>,
}

impl<'a> Model<'a> {
    /// An instance that rests in `state`.
    fn at_rest(policy: &'a Policy, state: State) -> Self {
        let has_to_stop = state.is_stopping() || state == State::STOPPED;
        let goal = if has_to_stop { Goal::Down } else { Goal::Up };
        let mut at = at_rest(state);
        let desired = Desired { goal, ..Desired::default() };
        at.restart_is_armed = matches!(decide(policy, &desired, at), Decision::SpawnAt(_));
        Self { policy, desired, at, done: Vec::new() }
    }

    fn happens(&mut self, occurrence: Occurrence) {
        match occurrence {
            Occurrence::StartWanted if self.at.state.accepts_start() => self.desired.start(),
            Occurrence::StartWanted => {}
            Occurrence::StopWanted => self.desired.stop(),
            Occurrence::RestartDue if !self.at.restart_is_armed => {}
            Occurrence::RestartDue => {
                self.at.restart_is_armed = false;
                if self.at.state.has_process() {
                    self.desired.restart = true;
                } else {
                    self.step(InstanceEvent::SpawnOrdered);
                }
            }
            Occurrence::Started => self.step(InstanceEvent::Spawned),
            Occurrence::StartFailed => self.step(InstanceEvent::SpawnFailed),
            Occurrence::ExitedClean => self.step(InstanceEvent::EndedWell),
            Occurrence::ExitedFailed => self.step(InstanceEvent::EndedBadly),
            Occurrence::ErrorLogged => self.step(InstanceEvent::Complaint),
            Occurrence::CheckpointSeen => self.step(InstanceEvent::Beat),
            Occurrence::FellSilent => self.step(InstanceEvent::Missed),
            Occurrence::GraceElapsed => self.step(InstanceEvent::StepElapsed),
            Occurrence::LeftBehind => self.step(InstanceEvent::Found),
        }
        loop {
            match decide(self.policy, &self.desired, self.at) {
                Decision::Spawn => self.step(InstanceEvent::SpawnOrdered),
                Decision::End(_) => self.step(InstanceEvent::EndOrdered),
                Decision::Keep | Decision::SpawnAt(_) => return,
            }
        }
    }

    fn step(&mut self, event: InstanceEvent) {
        let step = step(self.policy, &self.desired, self.at, event);
        self.at.state = step.next;
        for action in step.actions.iter() {
            match action {
                Action::ScheduleRestart => self.at.restart_is_armed = true,
                Action::CancelRestart => self.at.restart_is_armed = false,
                Action::Spawn => self.desired.restart = false,
                Action::Release
                | Action::ClearLive
                | Action::Adopt
                | Action::FirstStep
                | Action::NextStep
                | Action::Publish => {}
            }
            self.done.push(action);
        }
    }
}

/// Words for the actions: `StartLater` if a start remains to be carried out.
fn words(model: &Model<'_>) -> Vec<&'static str> {
    let mut words = Vec::new();
    if model.desired.restart {
        words.push("StartLater");
    }
    let steps = model.policy.stop.steps();
    let word_of = |signal: Option<Signal>| match signal {
        Some(Signal::TERM) => "Terminate",
        Some(Signal::KILL) => "Kill",
        Some(other) => other.name(),
        None => "",
    };
    let of = |action: &Action| match action {
        Action::Release => "Release",
        Action::ClearLive => "ClearLive",
        Action::ScheduleRestart => "ScheduleRestart",
        Action::CancelRestart => "CancelRestart",
        Action::Adopt => "Adopt",
        Action::Spawn => "Spawn",
        Action::FirstStep => word_of(steps.first().map(|step| step.signal)),
        Action::NextStep => word_of(steps.get(1).map(|step| step.signal)),
        Action::Publish => "Publish",
    };
    words.extend(model.done.iter().map(of));
    words
}

impl fmt::Display for StatusPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# The status machine\n")?;
        writeln!(
            f,
            "Rendered from `core/src/instance/status_page.rs`; do not edit by hand.\n\n\
             An instance has a process state and a health state, each with its own table. After every\n\
             event and every command, `decide` returns the next action. It depends on both states, the\n\
             policy and the desired state. The status in the v2 API follows from the health.\n"
        )?;
        process_table(f)?;
        health_table(f)?;
        decision(f)?;
        product(f)
    }
}

fn process_table(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "## Process\n\n| process | event | next | actions |\n|---|---|---|---|")?;
    for process in Process::ALL {
        for event in ProcessEvent::ALL {
            let (next, actions) = process.on(event);
            if next != process || !actions.is_empty() {
                write!(f, "| {process:?} | {event:?} | {next:?} |")?;
                end_row(f, actions)?;
            }
        }
    }
    writeln!(f, "\nEvery other pair of state and event changes nothing.\n")
}

fn health_table(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(
        f,
        "## Health\n\nThe column *process* has the process states before the event. A start or an exit that did not take\n\
         place does not change the health.\n"
    )?;
    writeln!(
        f,
        "| health | shown as | event | process | next | actions |\n|---|---|---|---|---|---|"
    )?;
    for health in Health::ALL {
        for event in HealthEvent::ALL {
            let mut seen: Vec<(Health, Actions)> = Vec::new();
            let occurs =
                |process: &Process| State::ALL.contains(&State { process: *process, health });
            for process in Process::ALL.into_iter().filter(occurs) {
                let cell = health.on(event, process);
                if cell == (health, Actions::NONE) || seen.contains(&cell) {
                    continue;
                }
                seen.push(cell);
                let status = health.status().as_str();
                write!(f, "| {health:?} | {status} | {event:?} |")?;
                let alike =
                    |process: &Process| occurs(process) && health.on(event, *process) == cell;
                for process in Process::ALL.into_iter().filter(alike) {
                    write!(f, " {process:?}")?;
                }
                write!(f, " | {:?} |", cell.0)?;
                end_row(f, cell.1)?;
            }
        }
    }
    writeln!(f, "\nEvery other row changes nothing.\n")
}

fn end_row(f: &mut fmt::Formatter<'_>, actions: Actions) -> fmt::Result {
    actions.iter().try_for_each(|action| write!(f, " {action:?}"))?;
    writeln!(f, " |")
}

/// The result of `decide` in each state, by desired state and restart policy.
fn decision(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let order = [Why::Shutdown, Why::Operation, Why::Stop, Why::Restart];
    writeln!(
        f,
        "## Decision\n\n\
         Reasons to end the process come first, in this order: {order:?}. The last is a requested\n\
         start. Without such a reason, the restart policy decides. `SpawnAt` waits for the back-off, and\n\
         then ends a process that still runs. An instance that reached its limit of restarts stays as it is.\n"
    )?;
    writeln!(
        f,
        "| state | has to end | start requested | Never | OnFailure | Always | limit reached |"
    )?;
    writeln!(f, "|---|---|---|---|---|---|---|")?;
    let start = Desired { goal: Goal::Up, restart: true, ..Desired::default() };
    let stop = Desired { goal: Goal::Down, ..Desired::default() };
    let keep = Desired::default();
    for state in State::ALL {
        let says = |restart: Restart, desired: &Desired, gave_up: bool| {
            let policy = Policy { restart, ..Policy::default() };
            let at = Situation { gave_up, ..at_rest(state) };
            match decide(&policy, desired, at) {
                Decision::Keep => "",
                Decision::Spawn => "Spawn",
                Decision::SpawnAt(_) => "SpawnAt",
                Decision::End(_) => "End",
            }
        };
        let columns = [
            says(Restart::OnFailure, &stop, false),
            says(Restart::OnFailure, &start, false),
            says(Restart::Never, &keep, false),
            says(Restart::OnFailure, &keep, false),
            says(Restart::Always, &keep, false),
            says(Restart::Always, &keep, true),
        ];
        write!(f, "| {state:?} |")?;
        columns.iter().try_for_each(|column| write!(f, " {column} |"))?;
        writeln!(f)?;
    }
    writeln!(f, "\nAn empty cell is `Keep`.\n")
}

/// An instance in `state` of which nothing is asked.
const fn at_rest(state: State) -> Situation {
    Situation {
        state,
        queue_is_empty: true,
        draining: false,
        gave_up: false,
        restart_is_armed: false,
        is_held: false,
        is_needed: false,
    }
}

/// The result of both tables and the decision.
fn product(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(
        f,
        "## Under the policy of the v2 API\n\n\
         Restart on failure, start with the master, TERM, and KILL 5 s later. `StartLater` means that\n\
         the instance is started after the process has exited.\n"
    )?;
    let policy = Policy::default();
    let cells = || {
        let pairs = State::ALL
            .into_iter()
            .flat_map(|state| Occurrence::ALL.into_iter().map(move |event| (state, event)));
        pairs.map(|(state, event)| {
            let mut model = Model::at_rest(&policy, state);
            model.happens(event);
            (state, event, model)
        })
    };
    writeln!(f, "| state | shown as | event | next | actions, in order |\n|---|---|---|---|---|")?;
    for (state, event, model) in cells() {
        let (next, words) = (model.at.state, words(&model));
        if next != state || !words.is_empty() {
            let status = state.status().as_str();
            write!(f, "| {state:?} | {status} | {event:?} | {next:?} |")?;
            words.iter().try_for_each(|word| write!(f, " {word}"))?;
            writeln!(f, " |")?;
        }
    }
    writeln!(f, "\nEvery other pair of state and event changes nothing.\n")?;
    writeln!(f, "The states are these pairs:\n\n| state | process | health |\n|---|---|---|")?;
    for state in State::ALL {
        writeln!(f, "| {state:?} | {:?} | {:?} |", state.process, state.health)?;
    }
    writeln!(f, "\n```dot\ndigraph status {{")?;
    for (state, event, model) in cells().filter(|(state, _, model)| model.at.state != *state) {
        writeln!(f, "  {state:?} -> {:?} [label=\"{event:?}\"];", model.at.state)?;
    }
    writeln!(f, "}}\n```")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn the_page_under_docs_is_these_tables() {
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!("status_table", StatusPage));
        let page = StatusPage.to_string();
        assert_eq!(
            include_str!("../../../docs/contributors/STATUS.md"),
            page,
            "docs/contributors/STATUS.md is stale: copy the snapshot's text there"
        );
    }

    /// `status_v2.md` is the page of the one table of ten states that came before: each cell with
    /// its shown status, next state and actions in order.
    #[test]
    fn under_the_policy_of_v2_the_machine_is_that_of_the_first_release() {
        let golden = include_str!("../../testdata/status_v2.md");
        let page = StatusPage.to_string();
        let rows = |page: &str, from: &str| -> Vec<alloc::string::String> {
            let start = page.find(from).expect("the table is there");
            let table = page[start..].lines().skip(2);
            table.take_while(|line| line.starts_with('|')).map(ToString::to_string).collect()
        };
        let head = "| state | shown as | event | next | actions, in order |";
        let (expected, got) = (rows(golden, head), rows(&page, head));
        assert_eq!(expected.len(), 37);
        assert_eq!(got, expected);
        let graph = |page: &str| page[page.find("```dot").expect("a graph")..].to_string();
        assert_eq!(graph(&page), graph(golden));
    }
}
