//! Effects as short lines of text, without keys and with names instead of ids.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use serde_json::Value;

use super::super::{Effect, Engine, TimerReason};
use crate::command::{PingOutcome, Reply};
use crate::counters::SavedTotals;
use crate::event::{Event, LogRun};
use crate::ids::{InstanceId, KeyEpoch, ProcessRef, SlotId};
use crate::instance::{ProcessFacts, Reason};
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
            self.instance(instance.definition.id)
        };
        match reason {
            TimerReason::Tick => "Tick".to_string(),
            TimerReason::StopStep(slot) => format!("Grace of {}", of(slot)),
            TimerReason::Leftover(slot) => format!("Leftover of {}", of(slot)),
            TimerReason::Restart(slot) => format!("Restart of {}", of(slot)),
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
            Effect::ShowInstance(view) => format!("show {}", self.object(&view.json())),
            Effect::ShowProcess { instance, facts } => {
                format!("process of {}: {}", self.instance(*instance), shown_facts(facts))
            }
            Effect::Publish(event) => self.event(event),
            Effect::PublishLogs(run) => self.logs(run),
            Effect::CloseStreams { keep_from: None, .. } => "close all streams".to_string(),
            Effect::CloseStreams { keep_from: Some(KeyEpoch(epoch)), .. } => {
                format!("close the streams opened before key {}", epoch + 1)
            }
            Effect::Respond { request, reply } => {
                format!("answer {}: {}", request.0, self.reply(reply))
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
            Effect::Dial { request, target } => format!("dial {target} for {}", request.0),
            Effect::AnnounceKey(key) => format!("announce {}", self.key(key.reveal())),
            Effect::Finish => "finish".to_string(),
        }
    }

    fn event(&mut self, event: &Event) -> String {
        let (id, kind) = (event.id.0, event.kind.as_str());
        let time = if self.times { format!(" at {}", event.time) } else { String::new() };
        format!("event {id}{time} {kind} {}", self.object(&event.object.json()))
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

    fn reply(&mut self, reply: &Reply) -> String {
        match reply {
            Reply::Instance(json) => format!("200 {}", self.object(json)),
            Reply::Created(json) => format!("201 {}", self.object(json)),
            Reply::Deleted => "204".to_string(),
            Reply::AliasSet => "200 info".to_string(),
            Reply::Pinged(report) => match &report.outcome {
                PingOutcome::Connected { latency_ms } => format!("200 connected, {latency_ms} ms"),
                PingOutcome::Failed(reason) => format!("200 not connected, {reason}"),
            },
            Reply::Refused(refusal) => format!("{} {refusal}", refusal.status()),
        }
    }

    fn record(&mut self, record: &Record) -> String {
        match record {
            Record::PutInstance { definition, totals } => {
                let url = definition.url().as_str();
                let alias = match definition.alias.as_str() {
                    "" => String::new(),
                    alias => format!(" alias={alias}"),
                };
                format!("put{} {url}{alias}", self.totals(definition.id, totals))
            }
            Record::RemoveInstance(id) => format!("remove {}", self.instance(*id)),
            Record::PutMaster(identity) => {
                let key = self.key(identity.key.reveal());
                format!("put the master, {key}, alias {:?}", identity.alias)
            }
        }
    }

    fn totals(&mut self, id: InstanceId, saved: &SavedTotals) -> String {
        format!(" {} at {}", self.instance(id), saved.totals.tcprx)
    }

    /// An instance object: what is always there, and what is not at its default.
    fn object(&mut self, json: &[u8]) -> String {
        let object: Value = serde_json::from_slice(json).expect("objects are JSON");
        let text = |field: &str| object[field].as_str().expect("a string").to_string();
        if text("id") == "********" {
            return format!(
                "the key instance, {}, alias {:?}",
                self.key(&text("url")),
                text("alias")
            );
        }
        let id = InstanceId::parse(&text("id")).expect("an instance id");
        let mut shown = format!("{} {} {}", self.instance(id), text("url"), text("status"));
        if !text("alias").is_empty() {
            write!(shown, " alias={}", text("alias")).expect("a String takes everything");
        }
        if object["restart"] == false {
            shown.push_str(" restart=false");
        }
        if object["meta"]["tags"].as_object().is_some_and(|tags| !tags.is_empty()) {
            write!(shown, " tags={}", object["meta"]["tags"]).expect("a String takes everything");
        }
        for field in ["mode", "ping", "pool", "tcps", "udps", "tcprx"] {
            if object[field] != 0 {
                write!(shown, " {field}={}", object[field]).expect("a String takes everything");
            }
        }
        for other in ["tcptx", "udprx", "udptx"] {
            assert_eq!(object[other], object["tcprx"], "stories move all four counters alike");
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
