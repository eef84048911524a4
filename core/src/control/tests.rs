//! Tests of the machine with a real engine: the events of an instance, and when they are shown.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde_json::json;

use super::*;
use alloc::boxed::Box;

use crate::command::{Amend, Caller, Command, Door, InstanceAction, Trust};
use crate::doors::control::{DeleteRequest, candidate_rules};
use crate::engine::{Effect, Engine, Input};
use crate::expect::Expect;
use crate::ids::{ProcessRef, RecordSeq, RequestId};
use crate::master::MasterIdentity;
use crate::output::OutputParser;
use crate::process::Exit;
use crate::store::Image;
use crate::time::{Time, Wall};
use crate::url::InstanceUrl;

/// An engine, the machine, and a disk that can fail.
struct World {
    engine: Engine,
    control: Control,
    now: Now,
    requests: u64,
    process: Option<ProcessRef>,
    instance: Option<InstanceId>,
    image: ControlImage,
    shown: Vec<Arc<StoredEvent>>,
    answers: Vec<(u64, String)>,
    disk_fails: bool,
    /// The records and events that wait for the disk.
    records: Vec<(StoreEpoch, RecordSeq)>,
    kept: Vec<Kept>,
    processes: BTreeMap<InstanceId, String>,
}

impl World {
    fn new() -> Self {
        let image = Image::new(MasterIdentity::from_random([1; 8], [1; 16]));
        Self::with(image, ControlImage::default())
    }

    fn with(image: Image, control: ControlImage) -> Self {
        let now = Now { mono: Time::ZERO, wall: Wall::from_micros(1_790_000_000_000_000) };
        let machine = Control::new(&control, now);
        let mut world = Self {
            engine: Engine::new(image, [7; 32], now),
            control: machine,
            now,
            requests: 0,
            process: None,
            instance: None,
            image: control,
            shown: Vec::new(),
            answers: Vec::new(),
            disk_fails: false,
            records: Vec::new(),
            kept: Vec::new(),
            processes: BTreeMap::new(),
        };
        world.after(Cause::Other);
        world.sync();
        world
    }

    fn feed(&mut self, input: Input) {
        let cause = Cause::of(&self.engine, &input);
        self.engine.handle(self.now, input);
        self.after(cause);
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "two effects are of interest")]
    fn after(&mut self, cause: Cause) {
        let mut effects = Vec::new();
        while let Some(effect) = self.engine.poll_effect() {
            effects.push(effect);
        }
        let pids = |_| Some(4711);
        let observed = self.control.observe(self.now, cause, &self.engine, &effects, &pids);
        for effect in effects {
            match effect {
                Effect::Persist { epoch, seq, .. } => self.records.push((epoch, seq)),
                Effect::Spawn { process, definition, .. } => {
                    self.process = Some(process);
                    self.instance = Some(definition.id);
                }
                _ => {}
            }
        }
        self.kept.extend(observed.attached.into_iter().map(|attached| attached.kept));
        self.drain();
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are for readers")]
    fn drain(&mut self) {
        while let Some(effect) = self.control.poll_effect() {
            match effect {
                ControlEffect::Keep(kept) => self.kept.push(kept),
                ControlEffect::Show(events) => self.shown.extend(events),
                ControlEffect::ShowProcess(entry) => {
                    self.processes.insert(entry.id, entry.name.to_string());
                }
                ControlEffect::RemoveProcess(id) => {
                    self.processes.remove(&id);
                }
                ControlEffect::Noted { ticket, is_kept } => {
                    self.answers.push((ticket.0, is_kept.to_string()));
                }
                ControlEffect::Answer { ticket, reply } => {
                    self.answers.push((ticket.0, reply.status.to_string()));
                }
                _ => {}
            }
        }
    }

    /// Lets the disk write all that waits for it.
    fn sync(&mut self) {
        for _ in 0..100 {
            let (kept, records) =
                (core::mem::take(&mut self.kept), core::mem::take(&mut self.records));
            let Some(epoch) = kept.last().map(|kept| kept.epoch) else {
                if let Some((_, upto)) = records.last() {
                    self.feed(Input::RecordsPersisted { upto: *upto });
                    continue;
                }
                return;
            };
            if self.disk_fails {
                let refused = records.last().map(|(epoch, _)| *epoch);
                self.control.on_keep_failed(self.now, epoch, refused, "no space left");
                self.drain();
                if let Some(epoch) = refused {
                    let reason = "no space left".to_string();
                    self.feed(Input::PersistFailed { epoch, reason });
                }
                return;
            }
            for kept in kept {
                self.image.apply(&kept);
                self.control.on_kept(self.now, kept.upto);
            }
            self.drain();
            if let Some((_, upto)) = records.last() {
                self.feed(Input::RecordsPersisted { upto: *upto });
            }
        }
        panic!("the disk is never done");
    }

    fn call(&mut self, command: Command) {
        self.requests += 1;
        let caller = Caller { door: Door::Control, trust: Trust::Open };
        self.feed(Input::RequestArrived { request: RequestId(self.requests), caller, command });
    }

    fn create(&mut self, alias: &str) -> InstanceId {
        let url = InstanceUrl::parse("demo://host").expect("a URL");
        self.call(Command::Create { url, alias: alias.to_string() });
        self.sync();
        self.instance.expect("it is started")
    }

    fn started(&mut self) {
        let process = self.process.expect("it was ordered");
        self.feed(Input::ProcessStarted { process });
        self.sync();
    }

    fn exited(&mut self, exit: Exit) {
        let process = self.process.expect("it was ordered");
        self.feed(Input::ProcessExited { process, exit, group_left: false });
        self.sync();
    }

    fn prints(&mut self, line: &str) {
        let mut parser = OutputParser::default();
        let batch = Arc::new(parser.push(format!("{line}\n").as_bytes()));
        let process = self.process.expect("it was ordered");
        self.feed(Input::OutputRead { process, batch });
        self.sync();
    }

    fn patch(&mut self, id: InstanceId, amend: Amend) {
        self.call(amending(id, amend));
        self.sync();
    }

    fn act(&mut self, id: InstanceId, action: InstanceAction) {
        self.patch(id, Amend { action: Some(action), ..Amend::default() });
    }

    fn alias(&mut self, id: InstanceId, alias: &str) {
        self.patch(id, Amend { alias: Some(alias.to_string()), ..Amend::default() });
    }

    fn wait_ms(&mut self, ms: u64) {
        let end = self.now.mono.after_ms(ms);
        loop {
            let engine = self.engine.poll_timeout().map(|(due, _)| due);
            let due = engine.into_iter().chain(self.control.poll_timeout()).min();
            let Some(due) = due.filter(|due| *due <= end) else { break };
            let due = due.max(self.now.mono);
            let passed_ms = due.ms_since(self.now.mono);
            self.now.mono = due;
            self.now.wall = Wall::from_micros(self.now.wall.as_micros() + passed_ms * 1_000);
            if engine.is_some_and(|due| due <= self.now.mono) {
                self.feed(Input::TimeAdvanced);
            }
            self.control.on_time(self.now);
            self.drain();
            self.sync();
        }
        self.now.mono = end;
    }

    fn rules(&mut self, request: RulesRequest) {
        self.requests += 1;
        self.control.request(self.now, Ticket(self.requests), request);
        self.drain();
        self.sync();
    }

    fn apply(&mut self, resources: serde_json::Value) {
        let rules = candidate_rules(&json!({"spec": {"resources": resources}})).expect("good");
        self.rules(RulesRequest::Apply(rules, false, false));
    }

    /// The topics shown since the last time, with details that distinguish them.
    fn told(&mut self) -> String {
        let mut text = String::new();
        for event in core::mem::take(&mut self.shown) {
            let of = event.daemon.instance.replace(&*instance_text(&event), "ID");
            text += &format!("{} {of} {:?}\n", event.topic, event.attributes);
        }
        text
    }

    fn topics(&mut self) -> Vec<String> {
        let topics = self.shown.drain(..).map(|event| event.topic.to_string());
        topics.filter(|topic| !topic.contains("changed")).collect()
    }
}

fn amending(id: InstanceId, amend: Amend) -> Command {
    Command::Amend { id, expect: Expect::Any, amend: Box::new(amend) }
}

fn instance_text(event: &StoredEvent) -> String {
    event.managed_by().map_or_else(|| "?".to_string(), |id| id.to_string())
}

fn any_of(name: &str, topic: &str, emit: &str) -> serde_json::Value {
    json!({"apiVersion": "net.routerd.net/v1alpha1", "kind": "EventRule", "metadata": {"name": name},
        "spec": {"pattern": {"operator": "any_of", "topic": topic}, "emit": {"topic": emit}}})
}

#[test]
fn a_life_makes_these_events() {
    let mut world = World::new();
    let mut text = format!("created\n{}", {
        world.create("web");
        world.told()
    });
    let id = world.instance.expect("it is there");
    let mut step = |name: &str, world: &mut World| text += &format!("{name}\n{}", world.told());
    world.started();
    step("started", &mut world);
    world
        .prints("CHECK_POINT|MODE=1|PING=2ms|POOL=3|TCPS=4|UDPS=5|TCPRX=1|TCPTX=2|UDPRX=3|UDPTX=4");
    step("checkpoint", &mut world);
    world.prints("ERROR no route");
    step("error", &mut world);
    world
        .prints("CHECK_POINT|MODE=1|PING=2ms|POOL=3|TCPS=4|UDPS=5|TCPRX=1|TCPTX=2|UDPRX=3|UDPTX=4");
    step("checkpoint", &mut world);
    world.wait_ms(30_000);
    step("silence", &mut world);
    world.exited(Exit::Code(3));
    step("exit 3", &mut world);
    world.wait_ms(60_000);
    world.started();
    step("restarted", &mut world);
    world.act(id, InstanceAction::Stop);
    world.exited(Exit::Signal(15));
    step("stopped", &mut world);
    world.alias(id, "site");
    step("renamed", &mut world);
    world.act(id, InstanceAction::Start);
    let process = world.process.expect("it was ordered");
    world.feed(Input::StartFailed { process, reason: "no such file".to_string() });
    world.sync();
    step("start failed", &mut world);
    world.patch(id, Amend { restart: Some(false), ..Amend::default() });
    step("no restart", &mut world);
    world.call(Command::Remove { id, expect: Expect::Any });
    world.sync();
    step("deleted", &mut world);
    assert!(world.processes.is_empty());
    insta::assert_snapshot!(text);
}

#[test]
fn a_crash_is_told_in_this_order() {
    let mut world = World::new();
    world.create("web");
    world.started();
    world.topics();
    world.exited(Exit::Signal(9));
    world.wait_ms(60_000);
    world.started();
    assert_eq!(
        world.topics(),
        [
            "routerd.daemon.lifecycle.crashed",
            "openctrl.instance.restart.scheduled",
            "routerd.daemon.lifecycle.started",
            "routerd.daemon.lifecycle.ready",
        ]
    );
}

#[test]
fn ids_rise_by_one_and_go_on_after_a_restart() {
    let mut world = World::new();
    world.create("web");
    world.started();
    let ids: Vec<u64> = world.image.events.iter().map(|event| event.id.0).collect();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
    let last = *ids.last().expect("there are events");
    let image = Image::new(MasterIdentity::from_random([1; 8], [1; 16]));
    let mut next = World::with(image, world.image.clone());
    next.create("db");
    assert_eq!(next.shown[0].id.0, last + 1);
    assert!(next.shown[0].time >= world.shown.last().expect("shown").time);
}

#[test]
fn nothing_is_shown_before_it_is_durable() {
    let mut world = World::new();
    let url = InstanceUrl::parse("demo://host").expect("a URL");
    world.call(Command::Create { url, alias: "web".to_string() });
    assert_eq!((world.kept.len(), world.shown.len()), (1, 0));
    world.sync();
    assert_eq!(world.topics()[0], "openctrl.instance.created");
}

#[test]
fn a_refused_change_has_no_event_and_the_rest_keeps_its_order() {
    let mut world = World::new();
    let id = world.create("web");
    world.started();
    let last = world.image.events.back().expect("events").id.0;
    world.topics();
    world.disk_fails = true;
    world.call(amending(id, Amend { alias: Some("site".to_string()), ..Amend::default() }));
    let process = world.process.expect("it runs");
    let exit = Exit::Code(1);
    world.feed(Input::ProcessExited { process, exit, group_left: false });
    world.control.note(world.now, Ticket(77), id, Fact::CommandReceived("renew".to_string()));
    world.drain();
    world.sync();
    assert!(world.shown.is_empty());
    assert_eq!(world.answers, [(77, "false".to_string())]);
    assert_eq!(world.control.names().name(id).as_deref(), Some("web"), "the name is back");
    // The disk is tried again, and takes what happened meanwhile.
    world.disk_fails = false;
    world.wait_ms(1_000);
    let ids: Vec<u64> = world.shown.iter().map(|event| event.id.0).collect();
    assert_eq!(ids, (last + 1..=last + ids.len() as u64).collect::<Vec<_>>());
    assert!(world.shown.iter().all(|event| event.daemon.instance != "site"));
    assert_eq!(
        world.topics()[..3],
        [
            "routerd.daemon.lifecycle.crashed",
            "openctrl.instance.restart.scheduled",
            "routerd.daemon.command.received",
        ]
    );
}

/// Nothing but the events of the refused change was pending. The disk is still tried again, and later
/// events are stored.
#[test]
fn a_refused_change_that_was_alone_does_not_stop_later_events() {
    let mut world = World::new();
    let id = world.create("web");
    world.started();
    world.topics();
    world.disk_fails = true;
    world.call(amending(id, Amend { alias: Some("site".to_string()), ..Amend::default() }));
    world.sync();
    assert_eq!(world.control.pending(), 0);
    world.wait_ms(10_000);
    world.disk_fails = false;
    world.wait_ms(10_000);
    world.control.note(world.now, Ticket(77), id, Fact::CommandReceived("renew".to_string()));
    world.drain();
    world.sync();
    assert_eq!(world.answers, [(77, "true".to_string())]);
    assert_eq!(world.topics(), ["routerd.daemon.command.received"]);
}

#[test]
fn rules_that_cannot_be_saved_are_not_in_force() {
    let mut world = World::new();
    world.apply(json!([any_of("a", "x", "out")]));
    world.disk_fails = true;
    world.apply(json!([any_of("b", "x", "out")]));
    assert_eq!(world.answers, [(1, "200".to_string()), (2, "503".to_string())]);
    assert_eq!((world.control.rules().len(), world.control.rules().generation()), (1, 1));
    world.disk_fails = false;
    world.apply(json!([any_of("c", "x", "out")]));
    assert_eq!(world.answers.last(), Some(&(3, "200".to_string())));
    assert_eq!((world.control.rules().len(), world.control.rules().generation()), (2, 2));
}

#[test]
fn a_firing_is_kept_with_its_cause() {
    let mut world = World::new();
    world.apply(json!([any_of("r", "openctrl.instance.created", "born")]));
    let url = InstanceUrl::parse("demo://host").expect("a URL");
    world.call(Command::Create { url, alias: "web".to_string() });
    let topics: Vec<&str> = world.kept[0].events.iter().map(|event| &*event.topic).collect();
    assert_eq!(topics, ["openctrl.instance.created", "born"]);
}

#[test]
fn rules_are_there_again_after_a_restart() {
    let mut world = World::new();
    let derived = json!({"apiVersion": "net.routerd.net/v1alpha1", "kind": "DerivedEvent", "metadata": {"name": "up"},
        "spec": {"topic": "web.up", "inputs": [{"field": "${Process/web.status.phase}", "equals": "Running"}]}});
    world.apply(json!([any_of("r", "web.up.*", "seen"), derived]));
    world.rules(RulesRequest::Plan(Vec::new(), false));
    let image = Image::new(MasterIdentity::from_random([1; 8], [1; 16]));
    let mut next = World::with(image, world.image.clone());
    assert_eq!((next.control.rules().len(), next.control.rules().generation()), (2, 1));
    next.create("web");
    next.topics();
    next.started();
    let topics = next.topics();
    let seen: Vec<&str> =
        topics.iter().map(String::as_str).filter(|t| !t.starts_with("routerd")).collect();
    assert_eq!(seen, ["web.up.asserted", "seen"]);
    assert_eq!(next.control.status_field("web", "phase"), "Running");
    next.rules(RulesRequest::Delete(DeleteRequest {
        target: "EventRule/r".to_string(),
        ..DeleteRequest::default()
    }));
    assert_eq!(next.control.rules().len(), 1);
    assert!(next.image.rules.keys().all(|rule| &*rule.name == "up"));
}

#[test]
fn the_name_of_a_deleted_instance_goes_to_the_next() {
    let mut world = World::new();
    let first = world.create("web");
    let second = world.create("web");
    assert_eq!(world.processes[&second], second.to_string());
    world.topics();
    world.call(Command::Remove { id: first, expect: Expect::Any });
    world.sync();
    let process = ProcessRef { generation: crate::ids::Generation(1), slot: crate::ids::SlotId(0) };
    world.feed(Input::ProcessStarted { process });
    world.feed(Input::ProcessExited { process, exit: Exit::Signal(15), group_left: false });
    world.sync();
    assert_eq!(world.processes.get(&second).map(String::as_str), Some("web"));
    assert!(world.topics().contains(&"openctrl.instance.renamed".to_string()));
}

#[test]
fn timers_of_rules_fire() {
    let mut world = World::new();
    let rule = json!({"apiVersion": "net.routerd.net/v1alpha1", "kind": "EventRule", "metadata": {"name": "r"},
        "spec": {"pattern": {"operator": "absence", "trigger": "routerd.daemon.lifecycle.crashed", "expected": "routerd.daemon.lifecycle.ready", "duration": "2m"}, "emit": {"topic": "stuck"}}});
    world.apply(json!([rule]));
    let id = world.create("web");
    world.patch(id, Amend { restart: Some(false), ..Amend::default() });
    world.started();
    world.exited(Exit::Code(1));
    world.topics();
    world.wait_ms(119_000);
    assert!(!world.topics().contains(&"stuck".to_string()));
    world.wait_ms(2_000);
    assert_eq!(world.topics(), ["stuck"]);
}
