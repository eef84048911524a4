//! Inputs, effects and changes as text, one line each, safe on a terminal: for timelines.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write};

use super::replay::{Change, Glance};
use crate::command::{Amend, Command, DialOutcome, Outcome, Refusal};
use crate::engine::{Effect, Input, Sighting, VerbResult};
use crate::event::Subject;
use crate::expect::Expect;
use crate::ids::ProcessRef;
use crate::output::{OutputBatch, OutputItem};
use crate::process::Exit;
use crate::store::Record;

/// A text without control characters: they are escaped.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            // Also what turns the direction of a text around, or hides in it.
            let is_plain = letter == '"' || letter == '\'' || letter == '\\';
            if is_plain {
                f.write_char(letter)?;
            } else {
                write!(f, "{}", letter.escape_debug())?;
            }
        }
        Ok(())
    }
}

/// An input in a line.
pub fn show_input(input: &Input) -> String {
    match input {
        Input::RequestArrived { request, caller: _, command } => {
            format!("request {}: {}", request.0, show_command(command))
        }
        Input::ProcessStarted { process } => format!("{} started", name(*process)),
        Input::PidTold { process, identity } => {
            format!("{} has the number {}", name(*process), identity.pid)
        }
        Input::PidFileRead { instance, sighting: Sighting::Proven(identity) } => {
            format!("the pid file of {instance} names process {}", identity.pid)
        }
        Input::PidFileRead { instance, sighting: Sighting::Nothing } => {
            format!("the pid file of {instance} names no process of it")
        }
        Input::TrackedGone { process, identity } => {
            format!("process {} of {} ended", identity.pid, name(*process))
        }
        Input::VerbEnded { instance, verb, result: VerbResult::Done } => {
            format!("{} of {instance} succeeded", verb.name())
        }
        Input::VerbEnded { instance, verb, result: VerbResult::Failed(reason) } => {
            format!("{} of {instance} failed: {}", verb.name(), Shown(reason))
        }
        Input::Configured { set } => format!("a configuration of {} instances", set.len()),
        Input::StartFailed { process, reason } => {
            format!("{} could not be started: {}", name(*process), Shown(reason))
        }
        Input::OutputRead { process, batch } => {
            format!("{} printed {}", name(*process), show_batch(batch))
        }
        Input::ProcessExited { process, exit, group_left } => {
            let left = if *group_left { ", leaving a group" } else { "" };
            match exit {
                Exit::Code(code) => format!("{} exited with {code}{left}", name(*process)),
                Exit::Signal(signal) => format!("{} died of signal {signal}{left}", name(*process)),
            }
        }
        Input::RecordsPersisted { upto } => format!("durable up to record {}", upto.0),
        Input::PersistFailed { epoch, reason } => {
            format!("the store failed in epoch {}: {}", epoch.0, Shown(reason))
        }
        Input::Dialled { request, outcome: DialOutcome::Connected { latency_ms } } => {
            format!("the dial for request {} connected in {latency_ms} ms", request.0)
        }
        Input::Dialled { request, outcome: DialOutcome::Failed(reason) } => {
            format!("the dial for request {} failed: {}", request.0, Shown(reason))
        }
        Input::TimeAdvanced => "a deadline was reached".to_string(),
        Input::ShutdownRequested => "shutdown was requested".to_string(),
    }
}

/// An effect in a line.
pub fn show_effect(effect: &Effect) -> String {
    match effect {
        Effect::ShowMaster(face) => format!("show the master, key epoch {}", face.key_epoch.0),
        Effect::ShowInstance(view) => format!("show {}", view.definition.id),
        Effect::ShowProcess { instance, .. } => {
            format!("show what became of the processes of {instance}")
        }
        Effect::Publish(event) => {
            let subject = match event.object.subject() {
                Subject::Key => "the key instance".to_string(),
                Subject::Instance(id) => id.to_string(),
            };
            format!("event {}: {} of {subject}", event.id.0, event.kind.as_str())
        }
        Effect::PublishLogs(run) => {
            let (first, count) = (run.first.0, run.items.len());
            format!("events {first}..{}: log lines of {}", first + count as u64, run.instance)
        }
        Effect::CloseStreams { keep_from: Some(epoch), .. } => {
            format!("close the streams of keys before epoch {}", epoch.0)
        }
        Effect::CloseStreams { keep_from: None, .. } => "close all streams".to_string(),
        Effect::Respond { request, outcome } => {
            format!("answer request {}: {}", request.0, show_outcome(outcome))
        }
        Effect::Persist { epoch, seq, record } => {
            let what = match record {
                Record::PutInstance { definition, .. } => format!("put {}", definition.id),
                Record::RemoveInstance(id) => format!("remove {id}"),
                Record::SetDesired { id, .. } => format!("set the desired state of {id}"),
                Record::PutMaster(_) => "put the master".to_string(),
                Record::AddRun { id, .. } => format!("a run of {id}"),
                Record::PutRuns { id, .. } => format!("the runs of {id}"),
                Record::ReserveEvents(upto) => format!("reserve events below {}", upto.0),
            };
            format!("persist record {} of epoch {}: {what}", seq.0, epoch.0)
        }
        Effect::SaveTotals(totals) => format!("save the totals of {} instances", totals.len()),
        Effect::Spawn { process, definition } => {
            let url = definition.url().as_str();
            format!("spawn {} for {}: {}", name(*process), definition.id, Shown(url))
        }
        Effect::Adopt { process, instance } => format!("adopt {} of {instance}", name(*process)),
        Effect::Signal { process, scope: _, signal } => {
            format!("send {} to {}", signal.name(), name(*process))
        }
        Effect::Track { process, identity } => {
            format!("watch process {} for {}", identity.pid, name(*process))
        }
        Effect::ReadPidFile { definition, .. } => {
            format!("read the pid file of {}", definition.id)
        }
        Effect::RunVerb { definition, verb } => format!("{} {}", verb.name(), definition.id),
        Effect::ShowRun { instance, .. } => format!("show the runs of {instance}"),
        Effect::Dial { request, target } => format!("dial {} for {}", Shown(target), request.0),
        Effect::AnnounceKey(_) => "announce the new key".to_string(),
        Effect::Finish => "finish".to_string(),
    }
}

/// A change of an instance in a line.
pub fn show_change(change: &Change) -> String {
    match (&change.before, &change.after) {
        (Some(before), Some(after)) if before.id == after.id => difference(before, after),
        (Some(before), Some(after)) => format!("{} was deleted, {} is new", before.id, after.id),
        (Some(before), None) => format!("{} was deleted", before.id),
        (None, Some(after)) => format!("{} is new, {:?}", after.id, after.state),
        (None, None) => String::new(),
    }
}

fn difference(before: &Glance, after: &Glance) -> String {
    let mut shown = format!("{}:", after.id);
    let mut field = |name: &str, before: &dyn fmt::Debug, after: &dyn fmt::Debug| {
        let (before, after) = (format!("{before:?}"), format!("{after:?}"));
        if before != after {
            shown.push_str(&format!(" {name} {before} → {after}"));
        }
    };
    field("state", &before.state, &after.state);
    field("process", &before.generation.0, &after.generation.0);
    let (old, new) = (before.metrics, after.metrics);
    field("mode", &old.mode, &new.mode);
    field("ping", &old.ping, &new.ping);
    field("pool", &old.pool, &new.pool);
    field("tcps", &old.tcps, &new.tcps);
    field("udps", &old.udps, &new.udps);
    let (old, new) = (before.totals, after.totals);
    field("tcprx", &old.tcprx, &new.tcprx);
    field("tcptx", &old.tcptx, &new.tcptx);
    field("udprx", &old.udprx, &new.udprx);
    field("udptx", &old.udptx, &new.udptx);
    shown
}

fn show_command(command: &Command) -> String {
    match command {
        Command::SetAlias(_) => "set the alias of the master".to_string(),
        Command::Desire { id, desire } => match (desire.toggle, desire.beat) {
            (Some(toggle), _) => format!("desire {toggle:?} of {id}"),
            (None, Some(beat)) => format!("report of {id} as process {}", beat.pid),
            (None, None) => format!("values of {id}"),
        },
        Command::Create { url, .. } => format!("create {}", Shown(url.as_str())),
        Command::Amend { id, expect, amend } => {
            format!("patch {id}{}{}", show_expect(expect), show_amend(amend))
        }
        Command::Replace { id, expect, url } => {
            format!("replace {id}{} by {}", show_expect(expect), Shown(url.as_str()))
        }
        Command::Remove { id, expect } => format!("delete {id}{}", show_expect(expect)),
        Command::RotateKey(_) => "rotate the key".to_string(),
        Command::Dial(target) => format!("ping {}", Shown(target)),
    }
}

fn show_expect(expect: &Expect) -> String {
    match expect {
        Expect::Any => String::new(),
        Expect::OneOf(revisions) => {
            let numbers: Vec<String> =
                revisions.iter().map(|revision| revision.0.to_string()).collect();
            format!(" if at revision {}", numbers.join(" or "))
        }
    }
}

fn show_amend(amend: &Amend) -> String {
    let mut shown = String::new();
    let Amend { alias, action, restart, meta, policy } = amend;
    if alias.is_some() {
        shown.push_str(" alias");
    }
    if let Some(action) = action {
        shown.push_str(&format!(" action {action:?}"));
    }
    if let Some(restart) = restart {
        shown.push_str(&format!(" restart {restart}"));
    }
    if meta.is_some() {
        shown.push_str(" meta");
    }
    if let Some(policy) = policy {
        shown.push_str(&format!(" policy {:?}", policy.fields));
    }
    shown
}

fn show_outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done { .. } => "the instance".to_string(),
        Outcome::Created(_) => "created".to_string(),
        Outcome::Replaced(_) => "replaced".to_string(),
        Outcome::Removed => "deleted".to_string(),
        Outcome::AliasSet => "alias set".to_string(),
        Outcome::Desired(done) if done.is_stale => "stale".to_string(),
        Outcome::Desired(_) => "desired".to_string(),
        Outcome::Stale(_) => "another revision than expected".to_string(),
        Outcome::KeyRotated(_) => "the new key".to_string(),
        Outcome::Dialed(report) => match &report.outcome {
            DialOutcome::Connected { latency_ms } => format!("connected in {latency_ms} ms"),
            DialOutcome::Failed(_) => "not connected".to_string(),
        },
        Outcome::Refused(refusal) => format!("refused, {}", show_refusal(refusal)),
    }
}

fn show_refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NotAdmitted => "its key is no longer in force".to_string(),
        Refusal::NoInstance => "no such instance".to_string(),
        Refusal::Configured => "configured".to_string(),
        Refusal::SameUrl => "same URL".to_string(),
        Refusal::TooLarge { bytes, limit } => format!("{bytes} bytes, more than {limit}"),
        Refusal::Busy => "too many requests wait".to_string(),
        Refusal::CannotEnd => "its process cannot be killed".to_string(),
        Refusal::Full { limit } => format!("there are {limit} instances"),
        Refusal::NotDurable { reason } => format!("not durable: {}", Shown(reason)),
        Refusal::ShuttingDown => "shutting down".to_string(),
    }
}

/// The content of a batch, in numbers; its lines too if their text was recorded.
fn show_batch(batch: &OutputBatch) -> String {
    let (mut lines, mut bytes, mut errors, mut checkpoints) = (0, 0, 0, 0);
    for item in &batch.items {
        match item {
            OutputItem::Checkpoint(_) => checkpoints += 1,
            OutputItem::Log(line) => {
                lines += 1;
                bytes += u64::from(line.kept_bytes());
                errors += usize::from(line.is_error);
            }
        }
    }
    let mut shown = format!("{checkpoints} checkpoints, {lines} lines of {bytes} bytes");
    if errors > 0 {
        shown.push_str(&format!(", {errors} with ERROR"));
    }
    for item in &batch.items {
        if let OutputItem::Log(line) = item
            && let text = batch.text_of(line)
            && !text.is_empty()
        {
            shown.push_str(&format!(" \"{}\"", Shown(&String::from_utf8_lossy(text))));
        }
    }
    shown
}

fn name(process: ProcessRef) -> String {
    format!("p{}", process.generation.0)
}
