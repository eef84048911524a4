//! Inputs and effects as text, one line each, safe on a terminal: for timelines, simulations and
//! stories. No key gets in.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write};

use super::{Effect, Input, Sighting, VerbResult};
use crate::command::{Amend, Caller, Command, DialOutcome, Outcome, Refusal, Trust};
use crate::counters::{Metrics, SavedTotals, Totals};
use crate::event::{LogRun, Object};
use crate::expect::Expect;
use crate::ids::{InstanceId, ProcessRef, StoreEpoch};
use crate::instance::{
    Cas, CheckKind, Desired, InstanceView, Once, PastRun, ProcessFacts, Reason, RunShown,
};
use crate::master::{ApiKey, MasterFace, MasterIdentity};
use crate::output::{OutputBatch, OutputItem};
use crate::process::{Exit, Scope};
use crate::store::Record;
use crate::time::Wall;
use crate::webhook::{DeliveryResult, HookShown};

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
        Input::RequestArrived { request, caller, command } => {
            format!("request {}{}: {}", request.0, show_trust(caller), show_command(command))
        }
        Input::ProcessStarted { process } => format!("{} started", name(*process)),
        Input::PidTold { process, identity } => {
            format!("{} is process {}", name(*process), identity.pid)
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
        Input::FilesChanged { instance, path } => {
            format!("{} changed, which {instance} watches", Shown(path))
        }
        Input::WatchFailed { instance, reason } => {
            format!("files of {instance} cannot be watched: {}", Shown(reason))
        }
        Input::WebhooksConfigured { hooks } => format!("there are {} webhooks", hooks.len()),
        Input::DeliveryEnded { hook, delivery, result: DeliveryResult::Answered(status) } => {
            format!("webhook {} answers {status} to {delivery}", hook.0)
        }
        Input::DeliveryEnded { hook, delivery, result: DeliveryResult::Failed(reason) } => {
            format!("webhook {} does not take {delivery}: {}", hook.0, Shown(reason))
        }
        Input::ZoneRead { name, zone } => {
            let found = if zone.is_some() { "is read" } else { "is missing" };
            format!("{} {found}", show_zone(name))
        }
        Input::CheckEnded { process, check, failure: None } => {
            format!("{} passed its {} check", name(*process), check_name(*check))
        }
        Input::CheckEnded { process, check, failure: Some(reason) } => {
            let check = check_name(*check);
            format!("{} failed its {check} check: {}", name(*process), Shown(reason))
        }
        Input::Configured { set } => format!("a configuration of {} instances", set.len()),
        Input::StartFailed { process, reason } => {
            format!("{} could not be started: {}", name(*process), Shown(reason))
        }
        Input::StartLost { process, may_have_run } => {
            let state = if *may_have_run { "may have run" } else { "did not run" };
            format!("the start of {} was lost; it {state}", name(*process))
        }
        Input::KillFailed { process, reason } => {
            format!("{} could not be killed: {}", name(*process), Shown(reason))
        }
        Input::OutputRead { process, batch } => {
            format!("{} printed {}", name(*process), show_batch(batch))
        }
        Input::LeaseExpired { process } => format!("the lease of {} expired", name(*process)),
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

/// What a renderer of effects calls things. By default: ids as they are, no key, no texts of
/// definitions.
pub trait Names {
    /// An instance.
    fn instance(&mut self, id: InstanceId) -> String {
        id.to_string()
    }

    /// An API key.
    fn key(&mut self, _key: &ApiKey) -> String {
        "a key".to_string()
    }

    /// The master, with its key of this epoch.
    fn master(&mut self, face: &MasterFace) -> String {
        format!("the master, key {}", face.key_epoch.0 + 1)
    }

    /// The identity of the master, as a record or an event holds it.
    fn identity(&mut self, _identity: &MasterIdentity) -> Option<String> {
        None
    }

    /// An instance as clients see it.
    fn view(&mut self, view: &InstanceView) -> String {
        let Metrics { mode, ping, pool, tcps, udps } = view.metrics;
        let mut shown = format!("{} {}", self.instance(view.definition.id), view.status.as_str());
        for (field, gauge) in
            [("mode", mode), ("ping", ping), ("pool", pool), ("tcps", tcps), ("udps", udps)]
        {
            if gauge != 0 {
                shown.push_str(&format!(" {field}={gauge}"));
            }
        }
        let Totals { tcprx, tcptx, udprx, udptx } = view.totals;
        for (field, total) in
            [("tcprx", tcprx), ("tcptx", tcptx), ("udprx", udprx), ("udptx", udptx)]
        {
            if total != 0 {
                shown.push_str(&format!(" {field}={total}"));
            }
        }
        shown
    }

    /// The outcome of a command.
    fn outcome(&mut self, outcome: &Outcome) -> String {
        show_outcome(outcome)
    }

    /// The store epoch of a record, with a leading space if it is named at all.
    fn epoch(&mut self, epoch: StoreEpoch) -> String {
        format!(" of epoch {}", epoch.0)
    }

    /// The time of an event, with a leading space if it is named at all.
    fn time(&mut self, _time: Wall) -> String {
        String::new()
    }
}

/// The names by default.
struct Plain;

impl Names for Plain {}

/// An effect in a line.
pub fn show_effect(effect: &Effect) -> String {
    show_effect_with(effect, &mut Plain)
}

/// An effect in a line, with names of the caller's.
pub fn show_effect_with(effect: &Effect, names: &mut impl Names) -> String {
    match effect {
        Effect::ShowMaster(face) => format!("show {}", names.master(face)),
        Effect::ShowInstance(view) => format!("show {}", names.view(view)),
        Effect::ShowProcess { instance, facts } => {
            format!("process of {}: {}", names.instance(*instance), show_facts(facts))
        }
        Effect::Publish(event) => {
            let (id, time, kind) = (event.id.0, names.time(event.time), event.kind.as_str());
            format!("event {id}{time} {kind} {}", show_object(&event.object, names))
        }
        Effect::PublishLogs(run) => {
            let (first, instance) = (run.first.0, names.instance(run.instance));
            let stream = run.batch.stream.shown().map(|name| format!(" {name}"));
            let stream = stream.unwrap_or_default();
            format!("event {first} log {instance}{stream}:{}", show_lines(run))
        }
        Effect::CloseStreams { keep_from: Some(epoch), .. } => {
            format!("close the streams opened before key {}", epoch.0 + 1)
        }
        Effect::CloseStreams { keep_from: None, .. } => "close all streams".to_string(),
        Effect::Respond { request, outcome } => {
            format!("answer {}: {}", request.0, names.outcome(outcome))
        }
        Effect::Persist { epoch, seq, record } => {
            format!("persist {}{}: {}", seq.0, names.epoch(*epoch), show_record(record, names))
        }
        Effect::SaveTotals(totals) => {
            let each = totals.iter().map(|(id, saved)| show_totals(*id, saved, names));
            format!("save totals:{}", each.collect::<String>())
        }
        Effect::Spawn { process, run: _, definition } => {
            let url = definition.url().as_str();
            let instance = names.instance(definition.id);
            format!("spawn {} for {instance}: {}", name(*process), Shown(url))
        }
        Effect::Adopt { process, instance } => {
            format!("adopt {} of {}", name(*process), names.instance(*instance))
        }
        Effect::Signal { process, scope, signal } => {
            let alone = if *scope == Scope::Leader { " alone" } else { "" };
            format!("{} to {}{alone}", signal.name(), name(*process))
        }
        Effect::Track { process, identity } => {
            format!("watch process {} for {}", identity.pid, name(*process))
        }
        Effect::ReadPidFile { definition, .. } => {
            format!("read the pid file of {}", names.instance(definition.id))
        }
        Effect::RunVerb { definition, verb } => {
            format!("{} {}", verb.name(), names.instance(definition.id))
        }
        Effect::ShowRun { instance, shown, .. } => {
            format!("runs of {}: {}", names.instance(*instance), show_run(shown))
        }
        Effect::Dial { request, target } => format!("dial {} for {}", Shown(target), request.0),
        Effect::AnnounceKey(key) => format!("announce {}", names.key(key)),
        Effect::RenewLeases => "renew all leases".to_string(),
        Effect::Finish => "finish".to_string(),
        Effect::ReadZone { name } => format!("read {}", show_zone(name)),
        Effect::Watch { definition } => {
            let paths: Vec<_> =
                definition.checks.watch.paths.iter().map(|path| Shown(path).to_string()).collect();
            format!("watch {} for {}", paths.join(", "), names.instance(definition.id))
        }
        Effect::Unwatch { instance } => format!("watch nothing for {}", names.instance(*instance)),
        Effect::Deliver { hook, delivery } => {
            let (what, id) = (delivery.occasion.as_str(), names.instance(delivery.instance));
            let (status, reason) = (delivery.status.as_str(), Shown(&delivery.reason));
            let restarts = delivery.restarts;
            let shown =
                format!("deliver to {}: {id} {what}, {status}, {restarts} restarts", hook.0);
            if delivery.reason.is_empty() { shown } else { format!("{shown}: {reason}") }
        }
        Effect::ShowHook { hook, shown } => {
            let HookShown { delivered, failed, discarded, failure } = &**shown;
            let counts = format!("{delivered} delivered, {failed} failed, {discarded} discarded");
            match failure {
                None => format!("webhook {}: {counts}", hook.0),
                Some(failure) => format!("webhook {}: {counts}: {}", hook.0, Shown(failure)),
            }
        }
        Effect::Check { process, check, target, timeout_ms: _ } => {
            let target = target.to_string();
            format!("{} check of {}: {}", check_name(*check), name(*process), Shown(&target))
        }
    }
}

const fn check_name(check: CheckKind) -> &'static str {
    match check {
        CheckKind::Ready => "ready",
        CheckKind::Live => "live",
    }
}

fn show_object(object: &Object, names: &mut impl Names) -> String {
    match object {
        Object::Key(identity) => {
            let identity = names.identity(identity).map(|shown| format!(", {shown}"));
            format!("the key instance{}", identity.unwrap_or_default())
        }
        Object::Instance(view) => names.view(view),
    }
}

/// The lines of a run, each after a space; how many there are if their text was not recorded.
fn show_lines(run: &LogRun) -> String {
    if run.batch.text().is_empty() {
        return format!(" {} lines", run.items.len());
    }
    let items = run.batch.items.get(run.items.clone()).unwrap_or_default();
    let mut shown = String::new();
    for item in items {
        match item {
            OutputItem::Log(line) => {
                let text = String::from_utf8_lossy(run.batch.text_of(line));
                shown.push_str(&format!(" {text:?}"));
            }
            OutputItem::Checkpoint(_) => shown.push_str(" a checkpoint"),
        }
    }
    shown
}

fn show_record(record: &Record, names: &mut impl Names) -> String {
    match record {
        Record::PutInstance { definition, totals, .. } => {
            let url = Shown(definition.url().as_str());
            let alias = match definition.alias.as_str() {
                "" => String::new(),
                alias => format!(" alias={}", Shown(alias)),
            };
            format!("put{} {url}{alias}", show_totals(definition.id, totals, names))
        }
        Record::RemoveInstance(id) => format!("remove {}", names.instance(*id)),
        Record::SetDesired { id, desired } if desired.cas == Cas::default() => {
            format!("set desired of {} to {:?}", names.instance(*id), desired.goal)
        }
        Record::SetDesired { id, desired } => {
            format!("desired of {}: {}", names.instance(*id), show_desired(desired))
        }
        Record::AddRun { id, run, .. } => {
            format!("run of {}: {}", names.instance(*id), show_past(run))
        }
        Record::PutRuns { id, .. } => format!("runs of {}", names.instance(*id)),
        Record::PutMaster(identity) => {
            let identity = names.identity(identity).map(|shown| format!(", {shown}"));
            format!("put the master{}", identity.unwrap_or_default())
        }
        Record::ReserveEvents(upto) => format!("reserve events below {}", upto.0),
    }
}

fn show_totals(id: InstanceId, saved: &SavedTotals, names: &mut impl Names) -> String {
    format!(" {} at {}", names.instance(id), saved.totals().tcprx)
}

fn show_facts(facts: &ProcessFacts) -> String {
    let ProcessFacts { starts, failures, restarts, exits, .. } = facts;
    let mut text = facts.alive.map_or_else(
        || facts.status.as_str().to_string(),
        |(process, _)| format!("{} {}", name(process), facts.status.as_str()),
    );
    text.push_str(&format!(
        ", {starts} starts, {failures} failures, {restarts} restarts, {exits} exits"
    ));
    if let Some(exit) = &facts.last_exit {
        text.push_str(&format!(", last {:?}", exit.end));
    }
    if let Some((_, delay_ms)) = facts.next_restart {
        text.push_str(&format!(", next in {delay_ms} ms"));
    }
    if facts.reason != Reason::None {
        text.push_str(&format!(", because: {}", Shown(&facts.reason.to_string())));
    }
    if facts.limit_reached.is_some() {
        text.push_str(", no restarts are left");
    }
    match facts.ready {
        Some(true) => text.push_str(", ready"),
        Some(false) if facts.alive.is_some() => text.push_str(", not ready"),
        Some(false) | None => {}
    }
    if let Some(next) = &facts.next_run {
        text.push_str(&format!(", waits for {}", Shown(&next.text)));
    }
    if let Some(name) = &facts.waits_for {
        text.push_str(&format!(", waits for {}", Shown(name)));
    }
    text
}

fn show_zone(name: &str) -> String {
    let name = if name.is_empty() { "of the system" } else { name };
    format!("the time zone {}", Shown(name))
}

fn show_trust(caller: &Caller) -> String {
    match caller.trust {
        Trust::Key(epoch) => format!(" with key {}", epoch.0 + 1),
        Trust::Token(role) => format!(" with a token of the role {}", role.as_str()),
        Trust::Peer { uid, .. } => format!(" of user {uid}"),
        Trust::Open => String::new(),
    }
}

fn name(process: ProcessRef) -> String {
    format!("p{}", process.generation.0)
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
        Command::Act { ids, action } => {
            format!("{} {} instances", action.as_str(), ids.len())
        }
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

pub(super) fn show_outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done { .. } => "the instance".to_string(),
        Outcome::Created(_) => "created".to_string(),
        Outcome::Replaced(_) => "replaced".to_string(),
        Outcome::Removed => "deleted".to_string(),
        Outcome::AliasSet => "alias set".to_string(),
        Outcome::Desired(done) => {
            let stale = if done.is_stale { "stale, " } else { "" };
            format!("{stale}before: {}", show_run(&done.before))
        }
        Outcome::Acted(acted) => {
            let refused = acted.iter().filter(|one| one.result.is_err()).count();
            format!("{} done, {refused} refused", acted.len() - refused)
        }
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
        Refusal::TakesRole(role) => format!("it takes the role {}", role.as_str()),
        Refusal::NoInstance => "no such instance".to_string(),
        Refusal::Configured => "it stands in a configuration file".to_string(),
        Refusal::SameUrl => "same URL".to_string(),
        Refusal::TooLarge { bytes, limit } => format!("{bytes} bytes, more than {limit}"),
        Refusal::Circle { path } => format!("a circle: {}", Shown(path)),
        Refusal::Crowded => "too many actions on many instances are under way".to_string(),
        Refusal::Busy => "too many requests wait".to_string(),
        Refusal::CannotEnd => "its process cannot be killed".to_string(),
        Refusal::Full { limit } => format!("there are {limit} instances"),
        Refusal::NotDurable { reason } => format!("not durable: {}", Shown(reason)),
        Refusal::ShuttingDown => "shutting down".to_string(),
    }
}

/// What a batch holds, in numbers; its lines too if their text was recorded.
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
    if let Some(stream) = batch.stream.shown() {
        shown.push_str(&format!(" on {stream}"));
    }
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

/// The run under way, what is wanted, and how many runs ended.
fn show_run(shown: &RunShown) -> String {
    let run = shown.run.map_or("none".to_string(), |run| {
        let seen = if run.last_seen.is_some() { ", seen" } else { "" };
        format!("pid {}{seen}", run.pid)
    });
    let heard = if shown.heard.is_some() { ", heard" } else { "" };
    format!("{run}{heard}; {}; {} ended", show_desired(&shown.desired), shown.past.len())
}

fn show_desired(desired: &Desired) -> String {
    let Desired { goal, once, restart, values, cas } = desired;
    let restart = if *restart { " restart" } else { "" };
    let once = match once {
        Once::No => String::new(),
        Once::Armed | Once::Consumed => format!(" once {once:?}"),
    };
    format!("{goal:?}{once}{restart} {} values, cas {}", values.len(), cas.0)
}

fn show_past(run: &PastRun) -> String {
    let flags = [
        (run.disabled, " disabled"),
        (run.restart, " restart"),
        (run.once, " once"),
        (run.shutdown, " shutdown"),
    ];
    let flags: String = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| *name).collect();
    format!("pid {}, exit code {}{flags}", run.pid, run.exit_code)
}
