//! What happens, in words, for the timeline of a failure.

use openctrl_core::command::{Caller, Command, DialOutcome, Outcome, Trust};
use openctrl_core::counters::Metrics;
use openctrl_core::engine::{Effect, Input};
use openctrl_core::event::{Object, Subject};
use openctrl_core::instance::InstanceView;
use openctrl_core::output::{OutputBatch, OutputItem};
use openctrl_core::process::Exit;
use openctrl_core::store::Record;

use crate::object::on_wire_each;

/// An input.
pub fn input(input: &Input) -> String {
    match input {
        Input::RequestArrived { request, caller, command: asked } => {
            format!("request {} {}: {}", request.0, of(caller), command(asked))
        }
        Input::ProcessStarted { process } => {
            format!("process {} came to life", process.generation.0)
        }
        Input::StartFailed { process, reason } => {
            format!("process {} did not start: {reason}", process.generation.0)
        }
        Input::OutputRead { process, batch } => {
            format!("process {} printed {}", process.generation.0, printed(batch))
        }
        Input::ProcessExited { process, exit, group_left } => {
            let how = match exit {
                Exit::Code(code) => format!("exited with {code}"),
                Exit::Signal(signal) => format!("was ended by signal {signal}"),
            };
            let left = if *group_left { "; others of its group are left" } else { "" };
            format!("process {} {how}{left}", process.generation.0)
        }
        Input::RecordsPersisted { upto } => format!("all records up to {} are durable", upto.0),
        Input::PersistFailed { epoch, reason } => {
            format!("records of epoch {} were refused: {reason}", epoch.0)
        }
        Input::Dialled { request, outcome } => {
            format!("the dial of request {} {}", request.0, dialled(outcome))
        }
        Input::PidTold { process, identity } => {
            format!("process {} is {identity:?}", process.generation.0)
        }
        Input::PidFileRead { instance, sighting } => {
            format!("the pid file of {instance} says {sighting:?}")
        }
        Input::TrackedGone { identity, .. } => format!("{identity:?} is gone"),
        Input::VerbEnded { instance, verb, result } => {
            format!("{} of {instance} ended: {result:?}", verb.name())
        }
        Input::Configured { set } => format!("a configuration of {} was read", set.len()),
        Input::TimeAdvanced => "a timer is due".to_string(),
        Input::ShutdownRequested => "the master is to shut down".to_string(),
    }
}

/// An effect.
pub fn effect(effect: &Effect) -> String {
    match effect {
        Effect::ShowMaster(face) => {
            format!("show master {:?}, key epoch {}", face.identity.alias, face.key_epoch.0)
        }
        Effect::ShowInstance(view) => {
            format!("show {}: {}", view.definition.id, instance(view))
        }
        Effect::ShowProcess { instance, facts } => {
            let running = facts.alive.map_or(0, |(process, _)| process.generation.0);
            format!("show what became of the processes of {instance}, now {running}")
        }
        Effect::Publish(event) => {
            let (id, kind) = (event.id.0, event.kind.as_str());
            format!(
                "event {id}: {kind} {}: {}",
                subject(event.object.subject()),
                object(&event.object)
            )
        }
        Effect::PublishLogs(run) => {
            let (first, count) = (run.first.0, run.items.len());
            format!("events from {first}: {count} log lines of {}", run.instance)
        }
        Effect::CloseStreams { keep_from, .. } => match keep_from {
            Some(epoch) => format!("close the streams of keys before epoch {}", epoch.0),
            None => "close all streams".to_string(),
        },
        Effect::Respond { request, outcome } => {
            format!("answer {}: {}", request.0, answer(outcome))
        }
        Effect::Persist { epoch, seq, record } => {
            format!("write record {} of epoch {}: {}", seq.0, epoch.0, written(record))
        }
        Effect::SaveTotals(totals) => {
            let ids: Vec<String> = totals.iter().map(|(id, _)| id.to_string()).collect();
            format!("save totals of {}", ids.join(", "))
        }
        Effect::Spawn { process, definition } => {
            format!("start process {} of {}", process.generation.0, definition.id)
        }
        Effect::Adopt { process, instance } => {
            format!("adopt what is left of {instance} as process {}", process.generation.0)
        }
        Effect::Signal { process, scope: _, signal } => {
            format!("{} to the group of process {}", signal.name(), process.generation.0)
        }
        Effect::Dial { request, target } => format!("dial {target} for request {}", request.0),
        Effect::AnnounceKey(_) => "announce the new key".to_string(),
        Effect::Track { process, identity } => {
            format!("watch {identity:?} for process {}", process.generation.0)
        }
        Effect::ReadPidFile { definition, .. } => format!("read the pid file of {}", definition.id),
        Effect::RunVerb { definition, verb } => format!("{} {}", verb.name(), definition.id),
        Effect::ShowRun { instance, .. } => format!("show the run of {instance}"),
        Effect::Finish => "finish".to_string(),
    }
}

fn of(caller: &Caller) -> String {
    match caller.trust {
        Trust::Key(epoch) => format!("with the key of epoch {}", epoch.0),
        Trust::Peer { .. } | Trust::Open => "without a key".to_string(),
    }
}

fn command(command: &Command) -> String {
    match command {
        Command::SetAlias(alias) => format!("set the master's alias to {alias:?}"),
        Command::Create { url, alias } => format!("create {} {alias:?}", url.as_str()),
        Command::Amend { id, expect, amend } => format!("amend {id} at {expect:?}: {amend:?}"),
        Command::Replace { id, expect, url } => {
            format!("replace the URL of {id} at {expect:?} by {}", url.as_str())
        }
        Command::Remove { id, expect } => format!("delete {id} at {expect:?}"),
        Command::Desire { id, desire } => format!("want of {id}: {desire:?}"),
        Command::RotateKey(_) => "a new API key".to_string(),
        Command::Dial(target) => format!("dial {target}"),
    }
}

fn printed(batch: &OutputBatch) -> String {
    let (mut points, mut logs, mut errors) = (0, 0, 0);
    for item in &batch.items {
        match item {
            OutputItem::Checkpoint(_) => points += 1,
            OutputItem::Log(line) => (logs, errors) = (logs + 1, errors + u32::from(line.is_error)),
        }
    }
    format!("{points} checkpoints and {logs} other lines, {errors} with ERROR")
}

fn dialled(outcome: &DialOutcome) -> String {
    match outcome {
        DialOutcome::Connected { latency_ms } => format!("connected in {latency_ms} ms"),
        DialOutcome::Failed(reason) => format!("failed: {reason}"),
    }
}

fn subject(subject: Subject) -> String {
    match subject {
        Subject::Key => "the key".to_string(),
        Subject::Instance(id) => id.to_string(),
    }
}

fn object(object: &Object) -> String {
    match object {
        Object::Key(_) => "the key instance".to_string(),
        Object::Instance(view) => instance(view),
    }
}

/// Status and numbers of an instance.
fn instance(view: &InstanceView) -> String {
    let Metrics { mode: _, ping, pool, tcps, udps } = view.metrics;
    let (gauges, totals) = ([ping, pool, tcps, udps], on_wire_each(view.totals));
    format!("{}, gauges {gauges:?}, totals {totals:?}", view.status.as_str())
}

fn answer(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done { after, .. } => format!("shows {}", instance(after)),
        Outcome::Created(view) => format!("created {}: {}", view.definition.id, instance(view)),
        Outcome::Replaced(view) => format!("replaced, {}", instance(view)),
        Outcome::Stale(view) => format!("stale: it is at {:?}", view.definition.revision),
        Outcome::Desired(done) => format!("wanted: {done:?}"),
        Outcome::Removed => "deleted".to_string(),
        Outcome::AliasSet => "the alias is set".to_string(),
        Outcome::KeyRotated(_) => "the key instance".to_string(),
        Outcome::Dialed(report) => dialled(&report.outcome),
        Outcome::Refused(refusal) => format!("refused: {refusal:?}"),
    }
}

fn written(record: &Record) -> String {
    match record {
        Record::PutInstance { definition, .. } => format!("put {}", definition.id),
        Record::RemoveInstance(id) => format!("remove {id}"),
        Record::SetDesired { id, .. } => format!("set the desired state of {id}"),
        Record::AddRun { id, .. } => format!("add a run of {id}"),
        Record::PutRuns { id, .. } => format!("put the runs of {id}"),
        Record::PutMaster(_) => "put the master".to_string(),
        Record::ReserveEvents(upto) => format!("reserve events below {}", upto.0),
    }
}
