//! Effects as short lines of text, without keys and with names instead of ids.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use super::super::{Effect, Engine, TimerReason};
use crate::command::{DialOutcome, Outcome};
use crate::counters::{Metrics, SavedTotals, Totals};
use crate::doors::v2::Rejection;
use crate::event::{Event, LogRun, Object};
use crate::ids::{InstanceId, KeyEpoch, ProcessRef, SlotId};
use crate::instance::{
    Cas, Definition, Desired, InstanceView, Once, PastRun, ProcessFacts, Reason, RunShown,
};
use crate::master::MasterIdentity;
use crate::output::OutputItem;
use crate::process::Scope;
use crate::store::Record;

const LETTERS: [&str; 26] = [
    "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S",
    "T", "U", "V", "W", "X", "Y", "Z",
];

/// Who is called what: instances by a letter, keys by a number, in the order they appear.
#[derive(Default)]
pub(super) struct Names {
    instances: Vec<InstanceId>,
    keys: Vec<String>,
    /// Whether the time of each event is told.
    pub(super) times: bool,
    /// Whether what became of processes is told.
    pub(super) facts: bool,
}

impl Names {
    /// The instances that have a name.
    pub(super) fn instances(&self) -> BTreeMap<&'static str, InstanceId> {
        LETTERS.into_iter().zip(self.instances.iter().copied()).collect()
    }

    /// The name of a timer.
    pub(super) fn timer(&mut self, reason: TimerReason, engine: &Engine) -> String {
        let mut of = |slot: SlotId| {
            let instance = engine.table().get(slot).expect("a timer belongs to a live slot");
            self.instance(instance.definition().id)
        };
        match reason {
            TimerReason::Tick => "Tick".to_string(),
            TimerReason::StopStep(slot) => format!("Grace of {}", of(slot)),
            TimerReason::Leftover(slot) => format!("Leftover of {}", of(slot)),
            TimerReason::Restart(slot) => format!("Restart of {}", of(slot)),
            TimerReason::Look(slot) => format!("Look of {}", of(slot)),
            TimerReason::BeatDue(slot) => format!("BeatDue of {}", of(slot)),
            TimerReason::Hold(slot) => format!("Hold of {}", of(slot)),
            TimerReason::RunLimit(slot) => format!("RunLimit of {}", of(slot)),
            TimerReason::DialWait(request) => format!("DialWait of {}", request.0),
            TimerReason::ShutdownLimit => "ShutdownLimit".to_string(),
        }
    }

    /// The line of an effect.
    pub(super) fn effect(&mut self, effect: &Effect) -> String {
        match effect {
            Effect::ShowMaster(face) => {
                let key = self.key(face.identity.key.reveal());
                format!("show the master, {key}, alias {:?}", face.identity.alias)
            }
            Effect::ShowInstance(view) => format!("show {}", self.instance_object(view)),
            Effect::ShowProcess { instance, facts } => {
                format!("process of {}: {}", self.instance(*instance), shown_facts(facts))
            }
            Effect::Publish(event) => self.event(event),
            Effect::PublishLogs(run) => self.logs(run),
            Effect::CloseStreams { keep_from: None, .. } => "close all streams".to_string(),
            Effect::CloseStreams { keep_from: Some(KeyEpoch(epoch)), .. } => {
                format!("close the streams opened before key {}", epoch + 1)
            }
            Effect::Respond { request, outcome } => {
                format!("answer {}: {}", request.0, self.outcome(outcome))
            }
            Effect::Persist { epoch, seq, record } => {
                let epoch = if epoch.0 == 0 { "" } else { " in a new epoch" };
                format!("persist {}{epoch}: {}", seq.0, self.record(record))
            }
            Effect::SaveTotals(totals) => {
                let each = totals.iter().map(|(id, saved)| self.totals(*id, saved));
                format!("save totals:{}", each.collect::<String>())
            }
            Effect::Spawn { process, definition } => {
                let (id, url) = (self.instance(definition.id), definition.url().as_str());
                format!("spawn {} for {id}: {url}", process_name(*process))
            }
            Effect::Adopt { process, instance } => {
                format!("adopt {} of {}", process_name(*process), self.instance(*instance))
            }
            Effect::Signal { process, scope, signal } => {
                let alone = if *scope == Scope::Leader { " alone" } else { "" };
                format!("{} to {}{alone}", signal.name(), process_name(*process))
            }
            Effect::Track { process, identity } => {
                format!("watch process {} for {}", identity.pid, process_name(*process))
            }
            Effect::ReadPidFile { definition, .. } => {
                format!("read the pid file of {}", self.instance(definition.id))
            }
            Effect::RunVerb { definition, verb } => {
                format!("{} {}", verb.name(), self.instance(definition.id))
            }
            Effect::ShowRun { instance, shown, .. } => {
                format!("runs of {}: {}", self.instance(*instance), shown_run(shown))
            }
            Effect::Dial { request, target } => format!("dial {target} for {}", request.0),
            Effect::AnnounceKey(key) => format!("announce {}", self.key(key.reveal())),
            Effect::Finish => "finish".to_string(),
        }
    }

    fn event(&mut self, event: &Event) -> String {
        let (id, kind) = (event.id.0, event.kind.as_str());
        let time = if self.times { format!(" at {}", event.time) } else { String::new() };
        format!("event {id}{time} {kind} {}", self.object(&event.object))
    }

    fn logs(&mut self, run: &LogRun) -> String {
        let mut text = format!("event {} log {}:", run.first.0, self.instance(run.instance));
        for item in &run.batch.items[run.items.clone()] {
            match item {
                OutputItem::Log(line) => {
                    let line = core::str::from_utf8(run.batch.text_of(line)).expect("UTF-8");
                    write!(text, " {line:?}").expect("a String takes everything");
                }
                OutputItem::Checkpoint(_) => panic!("a checkpoint is no log line: {run:?}"),
            }
        }
        text
    }

    /// The answer as the REST API gives it.
    fn outcome(&mut self, outcome: &Outcome) -> String {
        match outcome {
            Outcome::Done { after: view, .. } | Outcome::Replaced(view) => {
                format!("200 {}", self.instance_object(view))
            }
            Outcome::Created(view) => format!("201 {}", self.instance_object(view)),
            Outcome::Removed => "204".to_string(),
            Outcome::AliasSet => "200 info".to_string(),
            Outcome::KeyRotated(master) => format!("200 {}", self.key_instance(master)),
            Outcome::Dialed(report) => match &report.outcome {
                DialOutcome::Connected { latency_ms } => format!("200 connected, {latency_ms} ms"),
                DialOutcome::Failed(reason) => format!("200 not connected, {reason}"),
            },
            Outcome::Desired(done) => {
                let stale = if done.is_stale { "stale, " } else { "" };
                format!("{stale}before: {}", shown_run(&done.before))
            }
            Outcome::Stale(view) => {
                let (rejection, revision) = (Rejection::Stale, view.definition.revision);
                format!("{} at revision {}", rejection.status(), revision.0)
            }
            Outcome::Refused(refusal) => {
                let rejection = Rejection::from(refusal.clone());
                format!("{} {rejection}", rejection.status())
            }
        }
    }

    fn record(&mut self, record: &Record) -> String {
        match record {
            Record::PutInstance { definition, totals, .. } => {
                let url = definition.url().as_str();
                let alias = match definition.alias.as_str() {
                    "" => String::new(),
                    alias => format!(" alias={alias}"),
                };
                format!("put{} {url}{alias}", self.totals(definition.id, totals))
            }
            Record::RemoveInstance(id) => format!("remove {}", self.instance(*id)),
            Record::SetDesired { id, desired } if desired.cas == Cas::default() => {
                format!("set desired of {} to {:?}", self.instance(*id), desired.goal)
            }
            Record::SetDesired { id, desired } => {
                format!("desired of {}: {}", self.instance(*id), shown_desired(desired))
            }
            Record::AddRun { id, run, .. } => {
                format!("run of {}: {}", self.instance(*id), shown_past(run))
            }
            Record::PutRuns { id, .. } => format!("runs of {}", self.instance(*id)),
            Record::ReserveEvents(upto) => format!("reserve events below {}", upto.0),
            Record::PutMaster(identity) => {
                let key = self.key(identity.key.reveal());
                format!("put the master, {key}, alias {:?}", identity.alias)
            }
        }
    }

    fn totals(&mut self, id: InstanceId, saved: &SavedTotals) -> String {
        format!(" {} at {}", self.instance(id), saved.totals().tcprx)
    }

    fn object(&mut self, object: &Object) -> String {
        match object {
            Object::Key(master) => self.key_instance(master),
            Object::Instance(view) => self.instance_object(view),
        }
    }

    fn key_instance(&mut self, master: &MasterIdentity) -> String {
        let key = self.key(master.key.reveal());
        format!("the key instance, {key}, alias {:?}", master.alias)
    }

    /// An instance: what is always there, and what is not at its default.
    fn instance_object(&mut self, view: &InstanceView) -> String {
        let Definition { id, alias, meta, .. } = view.definition.as_ref();
        let (url, restarts) = (view.definition.url(), view.definition.restarts());
        let mut shown = format!("{} {} {}", self.instance(*id), url.as_str(), view.status.as_str());
        if !alias.is_empty() {
            write!(shown, " alias={alias}").expect("a String takes everything");
        }
        if !restarts {
            shown.push_str(" restart=false");
        }
        if !meta.tags.is_empty() {
            let tags = serde_json::to_string(&meta.tags).expect("strings always encode");
            write!(shown, " tags={tags}").expect("a String takes everything");
        }
        let Metrics { mode, ping, pool, tcps, udps } = view.metrics;
        for (field, gauge) in
            [("mode", mode), ("ping", ping), ("pool", pool), ("tcps", tcps), ("udps", udps)]
        {
            if gauge != 0 {
                write!(shown, " {field}={gauge}").expect("a String takes everything");
            }
        }
        let Totals { tcprx, tcptx, udprx, udptx } = view.totals;
        if tcprx != 0 {
            write!(shown, " tcprx={tcprx}").expect("a String takes everything");
        }
        for other in [tcptx, udprx, udptx] {
            assert_eq!(other, tcprx, "stories move all four counters alike");
        }
        shown
    }

    fn instance(&mut self, id: InstanceId) -> &'static str {
        let known = self.instances.iter().position(|known| *known == id);
        let index = known.unwrap_or_else(|| {
            self.instances.push(id);
            self.instances.len() - 1
        });
        LETTERS[index]
    }

    fn key(&mut self, key: &str) -> String {
        let known = self.keys.iter().position(|known| known == key);
        let index = known.unwrap_or_else(|| {
            self.keys.push(key.to_string());
            self.keys.len() - 1
        });
        format!("key {}", index + 1)
    }
}

fn process_name(process: ProcessRef) -> String {
    format!("p{}", process.generation.0)
}

fn shown_facts(facts: &ProcessFacts) -> String {
    let ProcessFacts { starts, failures, restarts, exits, .. } = facts;
    let mut text = facts.alive.map_or_else(
        || facts.status.as_str().to_string(),
        |(process, _)| format!("{} {}", process_name(process), facts.status.as_str()),
    );
    write!(text, ", {starts} starts, {failures} failures, {restarts} restarts, {exits} exits")
        .expect("a String takes everything");
    if let Some(exit) = &facts.last_exit {
        write!(text, ", last {:?}", exit.end).expect("a String takes everything");
    }
    if let Some((_, delay_ms)) = facts.next_restart {
        write!(text, ", next in {delay_ms} ms").expect("a String takes everything");
    }
    if facts.reason != Reason::None {
        write!(text, ", because: {}", facts.reason).expect("a String takes everything");
    }
    if facts.limit_reached.is_some() {
        text.push_str(", no restarts are left");
    }
    text
}

/// The run under way, what is wanted, and how many runs ended.
fn shown_run(shown: &RunShown) -> String {
    let run = shown.run.map_or("none".to_string(), |run| {
        let seen = if run.last_seen.is_some() { ", seen" } else { "" };
        format!("pid {}{seen}", run.pid)
    });
    let heard = if shown.heard.is_some() { ", heard" } else { "" };
    format!("{run}{heard}; {}; {} ended", shown_desired(&shown.desired), shown.past.len())
}

fn shown_desired(desired: &Desired) -> String {
    let Desired { goal, once, restart, values, cas } = desired;
    let restart = if *restart { " restart" } else { "" };
    let once = match once {
        Once::No => String::new(),
        Once::Armed | Once::Consumed => format!(" once {once:?}"),
    };
    format!("{goal:?}{once}{restart} {} values, cas {}", values.len(), cas.0)
}

fn shown_past(run: &PastRun) -> String {
    let flags = [
        (run.disabled, " disabled"),
        (run.restart, " restart"),
        (run.once, " once"),
        (run.shutdown, " shutdown"),
    ];
    let flags: String = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| *name).collect();
    format!("pid {}, exit code {}{flags}", run.pid, run.exit_code)
}
