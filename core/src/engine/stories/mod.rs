//! Stories: tests of the engine as transcripts of inputs (`>`) and the effects they cause.
//!
//! The transcripts are the specification of the engine's behavior in the terms of the contract;
//! each story names the rule that it shows. [`Teller`] drives one engine through virtual time and
//! writes the transcript; how an effect reads is `lines`'. Instances are called A, B, … in the
//! order they appear, processes by their generation, keys by their number: no key is ever shown.

mod actions;
mod changes;
mod checks;
mod facts;
mod handover;
mod life_cycle;
mod lines;
mod patrol;
mod pings;
mod policies;
mod restarts;
mod rotation;
mod schedules;
mod shutdown;
mod storage;
mod survivors;
mod watches;
mod webhooks;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use self::lines::Names;
use super::{Effect, Engine, Found, Input, TimerReason};
use crate::command::{Caller, Command, DialOutcome};
use crate::doors::v2::{Secrets, decode_actions, decode_create, decode_patch};
use crate::expect::Expect;
use crate::ids::Revision;
use crate::ids::{InstanceId, ProcessRef, RecordSeq, RequestId, StoreEpoch};
use crate::instance::{CheckKind, Marks, Zone};
use crate::master::{ApiKey, MasterIdentity};
use crate::occasion::Occasions;
use crate::output::OutputParser;
use crate::process::Exit;
use crate::store::Image;
use crate::stream::Stream;
use crate::time::{Now, Time, Wall};
use crate::url::InstanceUrl;
use crate::webhook::{DeliveryId, DeliveryResult, HookId};

/// The wall clock at the start of every story: 2026-06-09T10:00:00Z.
const DAWN_MICROS: u64 = 1_780_999_200_000_000;

/// A world of one engine, its clocks, and the transcript of what happens in it.
struct Teller {
    engine: Engine,
    now: Now,
    names: Names,
    instances: BTreeMap<&'static str, InstanceId>,
    requests: u64,
    /// What the next request expects.
    expect: Expect,
    last_persist: (StoreEpoch, RecordSeq),
    /// What was sent to each webhook last.
    deliveries: BTreeMap<HookId, DeliveryId>,
    /// The process that `started`, `log`, `exited` … are about: the one started last.
    process: Option<ProcessRef>,
    last_started: Option<ProcessRef>,
    told: String,
    told_at: Option<Time>,
}

impl Teller {
    /// A master without instances.
    fn new() -> Self {
        Self::with(Image::new(MasterIdentity::from_random([1; 8], [1; 16])))
    }

    /// A master that starts with `image`.
    fn with(image: Image) -> Self {
        Self::finding(image, Found::default())
    }

    /// A master that starts with `image` and finds processes of these instances.
    fn after_a_crash(image: Image, leftovers: &[InstanceId]) -> Self {
        Self::finding(image, Found { leftovers, ..Found::default() })
    }

    /// A master that starts with `image` and finds this of the one before.
    fn finding(image: Image, found: Found<'_>) -> Self {
        let now = Now { mono: Time::ZERO, wall: Wall::from_micros(DAWN_MICROS) };
        let mut teller = Self {
            engine: Engine::with_found(image, found, [7; 32], now),
            now,
            names: Names::default(),
            instances: BTreeMap::new(),
            requests: 0,
            expect: Expect::Any,
            last_persist: (StoreEpoch(0), RecordSeq(0)),
            deliveries: BTreeMap::new(),
            process: None,
            last_started: None,
            told: String::new(),
            told_at: None,
        };
        teller.line("> the master starts");
        teller.drain();
        teller
    }

    /// A master with instance A running as p1; the steps before are not printed.
    fn with_running(url: &str) -> Self {
        let mut teller = Self::new();
        teller.create(url).persisted().started();
        teller.untold()
    }

    /// Drops the transcript so far.
    fn untold(mut self) -> Self {
        self.told.clear();
        self.told_at = None;
        self
    }

    // Requests.

    fn create(&mut self, url: &str) -> &mut Self {
        let body = format!("{{\"url\":\"{url}\"}}");
        let (url, alias) =
            decode_create(body.as_bytes(), Secrets::Shown).expect("stories create what is valid");
        self.request(&format!("create {}", url.as_str()), Command::Create { url, alias })
    }

    /// The same with an alias.
    fn create_named(&mut self, alias: &str, url: &str) -> &mut Self {
        let body = format!("{{\"url\":\"{url}\",\"alias\":\"{alias}\"}}");
        let (url, alias) =
            decode_create(body.as_bytes(), Secrets::Shown).expect("stories create what is valid");
        let text = format!("create {alias}: {}", url.as_str());
        self.request(&text, Command::Create { url, alias })
    }

    /// The next request is only for this revision.
    fn at_revision(&mut self, revision: u64) -> &mut Self {
        self.line(&format!("> only at revision {revision}:"));
        self.expect = Expect::OneOf(alloc::vec![Revision(revision)]);
        self
    }

    /// A PATCH as it comes over the wire: one that is refused never reaches the engine.
    fn patch(&mut self, instance: &'static str, body: &str) -> &mut Self {
        match decode_patch(body.as_bytes()) {
            Ok(amend) => {
                let (id, expect) = (self.id(instance), core::mem::take(&mut self.expect));
                let command = Command::Amend { id, expect, amend: amend.into() };
                let shown = &body[..body.floor_char_boundary(60)];
                let cut = if shown.len() < body.len() { "…" } else { "" };
                self.request(&format!("patch {instance} {shown}{cut}"), command)
            }
            Err(rejection) => {
                let status = rejection.status();
                self.line(&format!("> patch {instance} is refused: {status} {rejection}"));
                self
            }
        }
    }

    fn act(&mut self, instance: &'static str, action: &str) -> &mut Self {
        self.patch(instance, &format!("{{\"action\":\"{action}\"}}"))
    }

    /// The same action on many instances.
    fn act_on(&mut self, instances: &[&'static str], action: &str) -> &mut Self {
        let ids = instances.iter().map(|instance| self.id(instance)).collect();
        let body = format!("{{\"action\":\"{action}\",\"all\":true}}");
        let action = decode_actions(body.as_bytes()).expect("stories name an action").action;
        let text = format!("{} {}", action.as_str(), instances.join(" and "));
        self.request(&text, Command::Act { ids, action })
    }

    /// The process of an instance.
    fn process_of(&self, instance: &str) -> ProcessRef {
        let table = self.engine.table();
        let slot = table.find(self.id(instance)).expect("the story did not delete it");
        let generation = table.get(slot).expect("it is there").lifecycle().generation();
        ProcessRef { slot, generation }
    }

    fn put(&mut self, instance: &'static str, url: &str) -> &mut Self {
        let (id, new) = (self.id(instance), InstanceUrl::parse(url).expect("a valid URL"));
        let expect = core::mem::take(&mut self.expect);
        self.request(&format!("put {instance} {url}"), Command::Replace { id, expect, url: new })
    }

    fn delete(&mut self, instance: &'static str) -> &mut Self {
        let (id, expect) = (self.id(instance), core::mem::take(&mut self.expect));
        let command = Command::Remove { id, expect };
        self.request(&format!("delete {instance}"), command)
    }

    fn set_alias(&mut self, alias: &str) -> &mut Self {
        self.request(&format!("alias {alias:?}"), Command::SetAlias(Some(alias.to_string())))
    }

    fn rotate_key(&mut self, fill: u8) -> &mut Self {
        self.request("rotate the key", Command::RotateKey(ApiKey::from_random([fill; 16])))
    }

    fn ping(&mut self, target: &str) -> &mut Self {
        self.request(&format!("ping {target}"), Command::Dial(target.to_string()))
    }

    fn request(&mut self, text: &str, command: Command) -> &mut Self {
        let epoch = self.engine.under_way().face.key_epoch;
        self.request_of(Caller::v2(epoch), text, command)
    }

    fn request_of(&mut self, caller: Caller, text: &str, command: Command) -> &mut Self {
        self.requests += 1;
        let request = RequestId(self.requests);
        let text = format!("request {}: {text}", request.0);
        self.feed(&text, Input::RequestArrived { request, caller, command })
    }

    // The disk.

    /// Everything on its way is durable.
    fn persisted(&mut self) -> &mut Self {
        self.persisted_upto(self.last_persist.1.0)
    }

    /// Records up to this number are durable.
    fn persisted_upto(&mut self, upto: u64) -> &mut Self {
        let upto = RecordSeq(upto);
        self.feed(&format!("durable up to {}", upto.0), Input::RecordsPersisted { upto })
    }

    /// Nothing on its way will be.
    fn disk_fails(&mut self) -> &mut Self {
        let epoch = self.last_persist.0;
        let input = Input::PersistFailed { epoch, reason: "no space left".to_string() };
        self.feed("the disk refuses", input)
    }

    // The process started last, or another after `about`.

    fn about(&mut self, process: ProcessRef) -> &mut Self {
        self.process = Some(process);
        self
    }

    fn current(&self) -> ProcessRef {
        self.process.expect("a process was started")
    }

    fn started(&mut self) -> &mut Self {
        let process = self.current();
        self.process_feed("started", Input::ProcessStarted { process })
    }

    fn start_failed(&mut self, reason: &str) -> &mut Self {
        let (process, reason) = (self.current(), reason.to_string());
        self.process_feed("cannot be started", Input::StartFailed { process, reason })
    }

    fn start_lost(&mut self, may_have_run: bool) -> &mut Self {
        let input = Input::StartLost { process: self.current(), may_have_run };
        let text = if may_have_run { "may have run" } else { "did not run" };
        self.process_feed(&format!("is lost with its keeper and {text}"), input)
    }

    fn kill_failed(&mut self, reason: &str) -> &mut Self {
        let (process, reason) = (self.current(), reason.to_string());
        self.process_feed("cannot be killed", Input::KillFailed { process, reason })
    }

    fn log(&mut self, line: &str) -> &mut Self {
        self.log_on(Stream::Stdout, line)
    }

    fn log_on(&mut self, stream: Stream, line: &str) -> &mut Self {
        let mut batch = OutputParser::of(stream).push(format!("{line}\n").as_bytes());
        let row = self.engine.table().get(self.current().slot);
        if let Some(mut marks) = row.and_then(|row| Marks::of(&row.definition().checks)) {
            marks.mark(&mut batch);
        }
        let batch = Arc::new(batch);
        let input = Input::OutputRead { process: self.current(), batch };
        let stream = stream.shown().map(|name| format!(" on {name}")).unwrap_or_default();
        self.process_feed(&format!("prints {line:?}{stream}"), input)
    }

    /// A check of the process ended: with a failure, or with success.
    fn checked(&mut self, check: CheckKind, failure: Option<&str>) -> &mut Self {
        let (process, failure) = (self.current(), failure.map(str::to_string));
        let result = failure.as_ref().map_or("passes".to_string(), |why| format!("fails ({why})"));
        let text = format!("{result} its {check:?} check");
        self.process_feed(&text, Input::CheckEnded { process, check, failure })
    }

    /// A file changed that an instance watches.
    fn file_changed(&mut self, instance: &'static str, path: &str) -> &mut Self {
        let (id, path) = (self.id(instance), path.to_string());
        let text = format!("{path} changed, which {instance} watches");
        self.feed(&text, Input::FilesChanged { instance: id, path })
    }

    /// The master has webhooks that report this.
    fn webhooks(&mut self, events: &[&str]) -> &mut Self {
        let parse = |events: &&str| Occasions::parse(events).expect("stories name events");
        let hooks = events.iter().map(parse).collect();
        self.feed("the webhooks are known", Input::WebhooksConfigured { hooks })
    }

    /// What was sent to a webhook last is answered with this status.
    fn answered(&mut self, hook: u8, status: u16) -> &mut Self {
        self.delivery_ended(hook, DeliveryResult::Answered(status))
    }

    fn delivery_ended(&mut self, hook: u8, result: DeliveryResult) -> &mut Self {
        let hook = HookId(hook);
        let delivery = *self.deliveries.get(&hook).expect("something was sent");
        let text = format!("webhook {}: {result:?}", hook.0);
        self.feed(&text, Input::DeliveryEnded { hook, delivery, result })
    }

    /// A time zone was read.
    fn zone_read(&mut self, name: &str, zone: Option<Zone>) -> &mut Self {
        let found = if zone.is_some() { "is read" } else { "is missing" };
        let input = Input::ZoneRead { name: name.to_string(), zone };
        self.feed(&format!("the time zone {name:?} {found}"), input)
    }

    /// A checkpoint whose gauges are 1 to 5, and whose counters all stand at `count`.
    fn checkpoint(&mut self, count: u64) -> &mut Self {
        let line = format!(
            "CHECK_POINT|MODE=1|PING=2ms|POOL=3|TCPS=4|UDPS=5\
             |TCPRX={count}|TCPTX={count}|UDPRX={count}|UDPTX={count}\n"
        );
        let batch = Arc::new(OutputParser::default().push(line.as_bytes()));
        let input = Input::OutputRead { process: self.current(), batch };
        self.process_feed(&format!("prints a checkpoint at {count}"), input)
    }

    fn lease_expired(&mut self) -> &mut Self {
        let process = self.current();
        self.process_feed("lost its lease", Input::LeaseExpired { process })
    }

    fn exited(&mut self, code: i32) -> &mut Self {
        let input = Input::ProcessExited {
            process: self.current(),
            exit: Exit::Code(code),
            group_left: false,
        };
        self.process_feed(&format!("exits with {code}"), input)
    }

    fn killed(&mut self) -> &mut Self {
        let input = Input::ProcessExited {
            process: self.current(),
            exit: Exit::Signal(9),
            group_left: false,
        };
        self.process_feed("is gone by signal 9", input)
    }

    fn exited_leaving_a_group(&mut self, code: i32) -> &mut Self {
        let input = Input::ProcessExited {
            process: self.current(),
            exit: Exit::Code(code),
            group_left: true,
        };
        self.process_feed(&format!("exits with {code} and leaves a group"), input)
    }

    fn process_feed(&mut self, text: &str, input: Input) -> &mut Self {
        let text = format!("p{} {text}", self.current().generation.0);
        self.feed(&text, input)
    }

    // Dials, time and the operator.

    fn dialled(&mut self, request: u64, latency_ms: u64) -> &mut Self {
        let outcome = DialOutcome::Connected { latency_ms };
        let input = Input::Dialled { request: RequestId(request), outcome };
        self.feed(&format!("dial for {request} connects"), input)
    }

    /// Lets time pass without a timer coming due.
    fn advance(&mut self, ms: u64) -> &mut Self {
        let then = self.now.mono.after_ms(ms);
        let due = self.engine.poll_timeout();
        assert!(due.is_none_or(|(due, _)| due > then), "a timer is due before: {due:?}");
        self.move_to(then);
        self
    }

    /// The process that was started last, whatever the story is about.
    fn newest(&self) -> ProcessRef {
        self.last_started.expect("a process was started")
    }

    /// A story that begins as this one has gone so far.
    fn clone_story(&self) -> Self {
        let Self { engine, names, instances, .. } = self;
        let (engine, names, instances) = (engine.clone(), names.clone(), instances.clone());
        let copy = Self {
            engine,
            now: self.now,
            names,
            instances,
            requests: self.requests,
            expect: Expect::Any,
            last_persist: self.last_persist,
            deliveries: self.deliveries.clone(),
            process: self.process,
            last_started: self.last_started,
            told: String::new(),
            told_at: None,
        };
        copy.untold()
    }

    /// Advances to the next timer and reports it to the engine.
    fn next_timer(&mut self) -> &mut Self {
        let (due, reasons) = self.next_due().expect("a timer is armed");
        self.move_to(due);
        let names: Vec<String> =
            reasons.into_iter().map(|reason| self.names.timer(reason, &self.engine)).collect();
        let text = if names.is_empty() { "Tick".to_string() } else { names.join(", ") };
        self.feed(&format!("due: {text}"), Input::TimeAdvanced)
    }

    /// Advances tick by tick to the first timer; ticks without an effect are not printed. Stops at the one
    /// of another kind.
    fn past_ticks(&mut self) -> &mut Self {
        for _ in 0..100 {
            match self.next_due() {
                Some((due, reasons)) if reasons.is_empty() => self.quiet_tick(due),
                Some(_) | None => return self.next_timer(),
            }
        }
        panic!("nothing but ticks is due; so far:\n{}", self.told);
    }

    /// Lets so much time pass with nothing but ticks.
    fn wait(&mut self, ms: u64) -> &mut Self {
        let then = self.now.mono.after_ms(ms);
        while let Some((due, reasons)) = self.next_due().filter(|(due, _)| *due <= then) {
            assert!(reasons.is_empty(), "{reasons:?} are due while the story waits");
            self.quiet_tick(due);
        }
        self.advance(then.ms_since(self.now.mono))
    }

    /// When something is due next, and what but the tick.
    fn next_due(&self) -> Option<(Time, Vec<TimerReason>)> {
        let (due, _) = self.engine.poll_timeout()?;
        let at_once = self.engine.timers().filter(|(at, _)| *at == due);
        let reasons = at_once.map(|(_, reason)| reason);
        Some((due, reasons.filter(|reason| *reason != TimerReason::Tick).collect()))
    }

    fn quiet_tick(&mut self, due: Time) {
        self.move_to(due);
        let before = (self.told.len(), self.told_at);
        self.line("> due: Tick");
        self.engine.handle(self.now, Input::TimeAdvanced);
        if self.drain() == 0 {
            self.told.truncate(before.0);
            self.told_at = before.1;
        }
    }

    /// Sets the wall clock back; monotonic time continues.
    fn wall_steps_back(&mut self, ms: u64) -> &mut Self {
        let micros = self.now.wall.as_micros() - ms * 1_000;
        self.now.wall = Wall::from_micros(micros);
        self.line(&format!("> the wall clock steps back by {ms} ms"));
        self
    }

    fn shutdown(&mut self) -> &mut Self {
        self.feed("shutdown is requested", Input::ShutdownRequested)
    }

    // Telling.

    fn id(&self, instance: &str) -> InstanceId {
        *self.instances.get(instance).expect("the story created it")
    }

    fn move_to(&mut self, then: Time) {
        let passed = then.as_micros() - self.now.mono.as_micros();
        let wall = Wall::from_micros(self.now.wall.as_micros() + passed);
        self.now = Now { mono: then, wall };
    }

    fn feed(&mut self, text: &str, input: Input) -> &mut Self {
        self.line(&format!("> {text}"));
        self.engine.handle(self.now, input);
        self.drain();
        self
    }

    /// Prints every effect; returns how many there were.
    fn drain(&mut self) -> usize {
        let mut count = 0;
        while let Some(effect) = self.engine.poll_effect() {
            if let Effect::Spawn { process, .. } | Effect::Adopt { process, .. } = &effect {
                (self.process, self.last_started) = (Some(*process), Some(*process));
            } else if let Effect::Persist { epoch, seq, .. } = &effect {
                self.last_persist = (*epoch, *seq);
            } else if let Effect::Deliver { hook, delivery } = &effect {
                self.deliveries.insert(*hook, delivery.id);
            }
            if matches!(effect, Effect::ShowProcess { .. }) && !self.names.facts {
                continue;
            }
            let text = self.names.effect(&effect);
            self.line(&format!("  {text}"));
            count += 1;
        }
        self.instances = self.names.instances();
        count
    }

    fn line(&mut self, text: &str) {
        let changed = self.told_at.replace(self.now.mono) != Some(self.now.mono);
        let seconds = if changed {
            let ms = self.now.mono.as_micros() / 1_000;
            format!("{}.{:03}", ms / 1_000, ms % 1_000)
        } else {
            String::new()
        };
        writeln!(self.told, "{seconds:<9}{text}").expect("a String takes everything");
    }
}

impl fmt::Display for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told)
    }
}
