//! Carries out each action.

use std::sync::Arc;

use openctrl_core::command::{Caller, Command, DialOutcome};
use openctrl_core::engine::{Engine, Input};
use openctrl_core::event::Subject;
use openctrl_core::expect::Expect;
use openctrl_core::ids::Revision;
use openctrl_core::ids::{Generation, InstanceId, ProcessRef, RequestId, SlotId};
use openctrl_core::instance::{CheckKind, Ready, Stderr, Zone};
use openctrl_core::output::{OutputBatch, OutputParser};
use openctrl_core::process::Exit;
use openctrl_core::stream::Stream;
use openctrl_core::time::Wall;
use openctrl_core::webhook::DeliveryResult;

use super::action::Action;
use super::{Outcome, Scenario, Untold, output};
use crate::choice::Choices;
use crate::object::Shown;
use crate::oracle::Oracle;
use crate::world::{
    Character, Crash, Died, Fault, Keeper, OnTerm, Phase, Prints, Process, Tail, World,
};

impl Scenario {
    pub(super) fn perform(
        &self,
        action: Action,
        choices: &mut Choices,
        world: &mut World,
        engine: &Engine,
        oracle: &Oracle,
    ) -> Outcome {
        match action {
            Action::TimePasses => time_passes(choices, world, engine),
            Action::TimerDue => timer_due(choices, world, engine),
            Action::Persist => {
                let count = choices.below(world.disk.queued()) + 1;
                told(world.disk.write(count))
            }
            Action::StartOutcome => self.start_outcome(choices, world),
            Action::Read => Outcome::Reads {
                reader: choices.below(world.hub.readers()),
                max_bytes: 64 << choices.below(8),
                afresh: choices.one_in(6),
            },
            Action::Request => request(choices, world, oracle),
            Action::Print => prints(choices, world),
            Action::Dialled => {
                let which = choices.below(world.clients.dials().len());
                let request = world.clients.dials().nth(which).expect("it is legal only then");
                Outcome::Told(dialled(choices, world, request))
            }
            Action::End => {
                let now = world.clock.now().mono;
                let process = pick(choices, world, |process| process.is_ending(now));
                Outcome::Ended(ends(choices, world, process))
            }
            Action::Exit => {
                let process = pick(choices, world, |process| process.phase == Phase::Alive);
                world.happened(Fault::ExitsUnasked);
                Outcome::Ended(ends(choices, world, process))
            }
            Action::LeftoverEnds => {
                let process = pick(choices, world, |process| process.group_left);
                world.processes.leftover_gone(process);
                world.happened(Fault::LeftoverEnds);
                Outcome::Untold(Untold::LeftoverEnds(process))
            }
            Action::ReaderLeaves => {
                let reader = choices.below(world.hub.readers());
                world.hub.leave(reader);
                Outcome::Untold(Untold::ReaderLeaves(reader))
            }
            Action::Retry => retries(choices, world, oracle),
            Action::WallSteps => {
                let seconds = choices.below(7_200) as i64 - 3_600;
                world.clock.step_wall(seconds);
                world.happened(Fault::WallSteps);
                Outcome::Untold(Untold::WallSteps(seconds))
            }
            Action::Suspend => suspends(choices, world, engine),
            Action::DiskFails => {
                let (after, count) = (choices.below(12), 1 + choices.below(4));
                let group = choices.below(world.disk.queued()) + 1;
                let outcome = told(world.disk.write_refused(group, after, count));
                if is_refusal(&outcome) {
                    world.happened(Fault::DiskRefuses);
                }
                if world.disk.lingers() {
                    world.happened(Fault::CutRefused);
                }
                outcome
            }
            Action::DiskStalls => {
                let ms = choices.below(20_000) as u64;
                world.disk.stall_until(world.clock.now().mono.after_ms(ms));
                world.happened(Fault::DiskStalls);
                Outcome::Untold(Untold::DiskStalls(ms))
            }
            Action::DiskFills => {
                let writes = 1 + choices.below(8);
                world.disk.fill_for(writes);
                world.happened(Fault::DiskFills);
                Outcome::Untold(Untold::DiskFills(writes))
            }
            Action::Late => {
                world.happened(Fault::LateInput);
                Outcome::Late(late(choices, world))
            }
            Action::Shutdown => {
                let is_first = oracle.shutdowns == 0;
                world.happened(if is_first { Fault::Shutdown } else { Fault::ShutdownTwice });
                Outcome::Told(Input::ShutdownRequested)
            }
            Action::Dies => dies(choices, world),
            Action::ZoneRead => Outcome::Told(zone_read(world)),
            Action::FilesChange => {
                let which = choices.below(world.watched.len());
                let instance = world.watched.iter().nth(which).copied();
                let instance = instance.expect("it is legal only then");
                world.happened(Fault::FilesChange);
                Outcome::Told(if choices.one_in(8) {
                    Input::WatchFailed { instance, reason: "too many".to_string() }
                } else {
                    Input::FilesChanged { instance, path: "/srv/a".to_string() }
                })
            }
            Action::Delivered => {
                let which = choices.below(world.deliveries.len());
                let results = [
                    DeliveryResult::Answered(204),
                    DeliveryResult::Answered(503),
                    DeliveryResult::Answered(404),
                    DeliveryResult::Failed("refused".to_string()),
                ];
                let result = choices.pick(&results).clone();
                Outcome::Told(delivered(world, which, result))
            }
            Action::Checked => {
                let which = choices.below(world.checks.len());
                let fails = choices.one_in(2);
                Outcome::Told(checked(world, which, fails))
            }
        }
    }

    fn start_outcome(&self, choices: &mut Choices, world: &mut World) -> Outcome {
        let process = pick(choices, world, |process| process.phase == Phase::Spawning);
        if choices.one_in(self.start_failures) {
            world.gone(process, false);
            if choices.one_in(3) {
                world.happened(Fault::StartLost);
                let may_have_run = choices.one_in(2);
                return Outcome::Told(Input::StartLost { process, may_have_run });
            }
            world.happened(Fault::StartFails);
            let reason = "no such file".to_string();
            return Outcome::Told(Input::StartFailed { process, reason });
        }
        let character = self.character(choices);
        if character.prints == Prints::Nothing {
            world.happened(Fault::SaysNothing);
        }
        Outcome::Told(starts(world, process, character))
    }
}

pub(super) fn starts(world: &mut World, process: ProcessRef, character: Character) -> Input {
    world.started(process, character);
    let definition = world.processes.get(process).map(|process| &process.definition);
    if definition.is_some_and(|definition| definition.checks.ready == Some(Ready::Notify)) {
        // Some time it says so.
        world.checks.push((process, CheckKind::Ready));
    }
    Input::ProcessStarted { process }
}

/// The exit of a process: the rest of its output first.
pub(super) fn ends(choices: &mut Choices, world: &mut World, reference: ProcessRef) -> Vec<Input> {
    let mut told = Vec::new();
    let Some(process) = world.processes.get_mut(reference) else { return told };
    let (killed, character) = (process.killed || process.is_evicted, process.character);
    let (is_read, has_lost_lease) = (!process.adopted, process.has_lost_lease);
    let is_asked = process.terminated_at.is_some();
    let mut batch = if is_read { process.close_output() } else { OutputBatch::default() };
    while !batch.is_empty() {
        told.push(Input::OutputRead { process: reference, batch: Arc::new(batch) });
        batch = process.close_output();
    }
    let group_left = !killed && character.forks && choices.below(2) == 0;
    world.gone(reference, group_left);
    let exit = exit(choices, killed);
    if !told.is_empty() {
        world.happened(Fault::LastLineUnterminated);
    }
    if group_left {
        world.happened(Fault::GroupLeft);
    }
    match character.on_term {
        OnTerm::Late(_) if is_asked => world.happened(Fault::TermLate),
        OnTerm::Ignores if is_asked && killed => world.happened(Fault::TermIgnored),
        OnTerm::Obeys | OnTerm::Late(_) | OnTerm::Ignores => {}
    }
    if has_lost_lease {
        told.push(Input::LeaseExpired { process: reference });
    }
    told.push(Input::ProcessExited { process: reference, exit, group_left });
    told
}

pub(super) fn dialled(choices: &mut Choices, world: &mut World, request: RequestId) -> Input {
    world.clients.dialled(request);
    let outcome = if choices.one_in(2) {
        world.happened(Fault::DialFails);
        DialOutcome::Failed("refused".to_string())
    } else {
        DialOutcome::Connected { latency_ms: 3 }
    };
    Input::Dialled { request, outcome }
}

/// A check ends: what it connected to answers, or not.
pub(super) fn checked(world: &mut World, which: usize, fails: bool) -> Input {
    let (process, check) = world.checks.remove(which);
    let failure = fails.then(|| "refused".to_string());
    if fails {
        world.happened(Fault::CheckFails);
    }
    Input::CheckEnded { process, check, failure }
}

/// A time zone was read: that of the world is an hour ahead, and the first change comes soon.
pub(super) fn zone_read(world: &mut World) -> Input {
    let name = world.zones.remove(0);
    let soon = world.clock.now().wall.as_micros() + 90_000_000;
    let zone = Zone { offset_s: 3_600, changes: vec![(Wall::from_micros(soon), 7_200)] };
    Input::ZoneRead { name, zone: Some(zone) }
}

/// A try to deliver a report has ended.
pub(super) fn delivered(world: &mut World, which: usize, result: DeliveryResult) -> Input {
    let (hook, delivery) = world.deliveries.remove(which);
    if result != DeliveryResult::Answered(204) {
        world.happened(Fault::DeliveryFails);
    }
    Input::DeliveryEnded { hook, delivery, result }
}

/// One of the processes that `fit`, of which there is at least one.
fn pick(choices: &mut Choices, world: &World, fits: impl Fn(&Process) -> bool) -> ProcessRef {
    let count = world.processes.iter().filter(|process| fits(process)).count();
    let which = choices.below(count);
    let process = world.processes.iter().filter(|process| fits(process)).nth(which);
    process.expect("it is legal only then").reference
}

fn time_passes(choices: &mut Choices, world: &mut World, engine: &Engine) -> Outcome {
    let now = world.clock.now().mono;
    let then = now.after_ms(choices.below(2_000) as u64);
    let due = engine.poll_timeout().map_or(then, |(due, _)| due);
    world.clock.advance_to(then.min(due));
    Outcome::Untold(Untold::TimePasses(world.clock.now().mono.ms_since(now)))
}

fn timer_due(choices: &mut Choices, world: &mut World, engine: &Engine) -> Outcome {
    let (due, _) = engine.poll_timeout().expect("it is legal only then");
    let late_ms = if choices.one_in(8) { choices.below(100) as u64 } else { 0 };
    if late_ms > 0 {
        world.happened(Fault::TimerLate);
    }
    world.clock.advance_to(due.max(world.clock.now().mono).after_ms(late_ms));
    Outcome::Told(Input::TimeAdvanced)
}

/// Some seconds up to some hours, after which everything is due at once.
fn suspends(choices: &mut Choices, world: &mut World, engine: &Engine) -> Outcome {
    let seconds = 10 << choices.below(11);
    world.clock.sleep(seconds);
    world.happened(Fault::Suspend);
    match engine.poll_timeout() {
        Some((due, _)) if due <= world.clock.now().mono => Outcome::Told(Input::TimeAdvanced),
        Some(_) | None => Outcome::Untold(Untold::Slept(seconds)),
    }
}

fn told(written: Result<Option<Input>, Died>) -> Outcome {
    let told = written.expect("nobody dies in here");
    told.map_or(Outcome::Untold(Untold::TotalsWritten), Outcome::Told)
}

fn is_refusal(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Told(Input::PersistFailed { .. }))
}

fn request(choices: &mut Choices, world: &mut World, oracle: &Oracle) -> Outcome {
    let known: Vec<InstanceId> = oracle.known().collect();
    match world.clients.command(choices, &known) {
        Some(mut command) => {
            expects(choices, oracle, &mut command);
            let caller = Caller::v2(world.hub.key_epoch());
            arrives(world, caller, command)
        }
        None => {
            world.happened(Fault::BadBody);
            Outcome::Untold(Untold::BadBody)
        }
    }
}

/// Some clients only change an object that they have seen, now or before.
fn expects(choices: &mut Choices, oracle: &Oracle, command: &mut Command) {
    let (Command::Amend { id, expect, .. }
    | Command::Replace { id, expect, .. }
    | Command::Remove { id, expect }) = command
    else {
        return;
    };
    let seen = oracle.shown.get(&Subject::Instance(*id)).and_then(Shown::definition);
    if let Some(seen) = seen.filter(|_| choices.one_in(6)) {
        let earlier = u64::from(choices.one_in(4));
        *expect = Expect::OneOf(vec![Revision(seen.revision.0.saturating_sub(earlier))]);
    }
}

fn arrives(world: &mut World, caller: Caller, command: Command) -> Outcome {
    let (request, caller, command) = world.clients.send(caller, command);
    Outcome::Told(Input::RequestArrived { request, caller, command })
}

/// A client disconnects, or repeats a request with the key that it had then.
fn retries(choices: &mut Choices, world: &mut World, oracle: &Oracle) -> Outcome {
    let which = choices.below(world.clients.sent().len());
    let sent = world.clients.sent().nth(which).cloned();
    let (request, caller, command) = sent.expect("it is legal only then");
    let asked = oracle.ledger.asked.get(&request);
    if asked.is_some_and(|asked| asked.answers == 0) {
        world.happened(Fault::ClientAborts);
    }
    if choices.one_in(3) {
        return Outcome::Untold(Untold::ClientLeaves(request));
    }
    world.happened(Fault::RequestRepeated);
    let command = anew(command, world);
    arrives(world, caller, command)
}

/// The same command; but a new key is drawn for each request.
fn anew(command: Command, world: &mut World) -> Command {
    if let Command::RotateKey(_) = command {
        return Command::RotateKey(world.clients.new_key());
    }
    command
}

fn prints(choices: &mut Choices, world: &mut World) -> Outcome {
    let reference = pick(choices, world, Process::is_printing);
    let process = world.processes.get_mut(reference).expect("it was just picked");
    let output::Printed { text, kept_back, faults } = output::printed(choices, process);
    let has_two = process.definition.checks.stderr == Stderr::Apart;
    let stream = if has_two && choices.one_in(3) { Stream::Stderr } else { Stream::Stdout };
    let mut batch = process.print(stream, &text, kept_back);
    process.mark(&mut batch);
    if stream == Stream::Stderr {
        world.happened(Fault::WritesToStderr);
    }
    faults.into_iter().for_each(|fault| world.happened(fault));
    if batch.is_empty() {
        return Outcome::Untold(Untold::PrintsAPart(reference));
    }
    Outcome::Told(Input::OutputRead { process: reference, batch: Arc::new(batch) })
}

fn exit(choices: &mut Choices, killed: bool) -> Exit {
    if killed {
        return Exit::Signal(9);
    }
    *choices.pick(&[Exit::Code(0), Exit::Code(1), Exit::Signal(11)])
}

/// Input of a process that has exited or never existed.
fn late(choices: &mut Choices, world: &World) -> Input {
    let is_gone = |process: &Process| process.phase == Phase::Gone;
    let process = if world.processes.iter().any(is_gone) {
        pick(choices, world, is_gone)
    } else {
        ProcessRef { slot: SlotId(choices.byte().into()), generation: Generation(0) }
    };
    match choices.below(7) {
        5 => Input::StartLost { process, may_have_run: choices.one_in(2) },
        4 => Input::CheckEnded { process, check: CheckKind::Ready, failure: None },
        0 => Input::ProcessStarted { process },
        1 => Input::StartFailed { process, reason: "late".to_string() },
        3 => Input::KillFailed { process, reason: "late".to_string() },
        2 => {
            let batch = OutputParser::default().push(&output::late(choices));
            Input::OutputRead { process, batch: Arc::new(batch) }
        }
        _ => {
            let (exit, group_left) = (exit(choices, false), choices.one_in(2));
            Input::ProcessExited { process, exit, group_left }
        }
    }
}

/// The master dies, sometimes in the middle of a write, and the next one starts, which sometimes
/// dies as well before it serves.
fn dies(choices: &mut Choices, world: &mut World) -> Outcome {
    let seed = choices.seed();
    let part = Tail::Part(choices.byte());
    let (all_missing, missing) = (Tail::Unwritten(u8::MAX), Tail::Unwritten(choices.byte()));
    let crash = Crash {
        power_loss: choices.one_in(3),
        tail: *choices.pick(&[Tail::All, Tail::Nothing, part, all_missing, missing]),
        names: 0,
    };
    if world.disk.queued() > 0 && choices.one_in(2) {
        let group = choices.below(world.disk.queued()) + 1;
        // Between the write and its sync most often: two steps, where a snapshot has a dozen.
        let range = 2 << choices.below(4);
        world.disk.files.die_in(choices.below(range));
        // Nobody is left to hear how it went.
        if world.disk.write(group).is_err() {
            world.happened(Fault::DiesInAWrite);
        }
    }
    let names = world.disk.files.unsynced_names();
    let crash = Crash { names: choices.below(names + 1), ..crash };
    count_losses(world, crash);
    let dies_in = choices.one_in(4).then(|| choices.below(14));
    let keeper_dies = world.keeper.is_some() && choices.one_in(4);
    if keeper_dies {
        world.happened(Fault::KeeperLost);
    }
    // How long no master runs matters to what has a lease.
    if world.keeper.as_ref().is_some_and(Keeper::has_leases) && choices.one_in(2) {
        world.clock.sleep(1 << choices.below(7));
    }
    let found = world.restart(crash, dies_in, keeper_dies, || choices.one_in(2));
    Outcome::Restarted(found.into(), seed)
}

fn count_losses(world: &mut World, crash: Crash) {
    let Crash { power_loss, tail, names } = crash;
    world.happened(if power_loss { Fault::PowerLost } else { Fault::MasterKilled });
    if power_loss && names < world.disk.files.unsynced_names() {
        world.happened(Fault::NamesLost);
    }
    if !world.disk.files.has_unsynced_bytes() {
        return;
    }
    match tail {
        Tail::Nothing => world.happened(Fault::TailLost),
        Tail::Part(_) => world.happened(Fault::TailTorn),
        Tail::Unwritten(_) if power_loss => world.happened(Fault::TailOfZeros),
        Tail::Unwritten(_) | Tail::All => {}
    }
}
