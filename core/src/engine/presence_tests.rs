//! The engine with instances from a configuration file, in a small world that does anything a real
//! one may do: late and torn pid files, reports of strangers, commands that fail, a disk that
//! refuses. What has to hold in any of them is checked after every step.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::{Effect, Engine, Found, Input, Sighting, VerbResult};
use crate::command::{Caller, Command, Desire, Door, Outcome, Trust};
use crate::ids::{InstanceId, ProcessRef, RecordSeq, RequestId, RunId, StoreEpoch};
use crate::instance::{
    BackoffPolicy, Beat, BeatVia, Cas, Definition, Exec, Label, Launch, Liveness, Origin, Output,
    Policy, Restart, StopPolicy, StopStep, Toggle, Values, ValuesEdit, Verb, VerbKind, Verbs,
};
use crate::master::MasterIdentity;
use crate::process::{Exit, Identity, Scope, Signal};
use crate::store::{Image, Record};
use crate::time::{Now, Time, Wall};
use crate::url::InstanceUrl;

/// How many runs are remembered.
const HISTORY: u16 = 4;

/// Part of every text that must not be found in a trace.
pub(crate) const SECRET: &str = "hush";

/// What the world does next. Numbers choose among what there is.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Started(usize),
    StartFailed(usize),
    Exited(usize, bool),
    FileRead(usize, u8),
    TrackedGone(usize),
    VerbEnded(usize, bool),
    Persisted(usize),
    DiskFails,
    Desire(u8, Option<usize>, bool, u8),
    Timer,
    Configured(bool),
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4usize).prop_map(Step::Started),
        1 => (0..4usize).prop_map(Step::StartFailed),
        4 => (0..4usize, any::<bool>()).prop_map(|(nth, left)| Step::Exited(nth, left)),
        6 => (0..4usize, 0..4u8).prop_map(|(nth, what)| Step::FileRead(nth, what)),
        2 => (0..4usize).prop_map(Step::TrackedGone),
        6 => (0..4usize, any::<bool>()).prop_map(|(nth, done)| Step::VerbEnded(nth, done)),
        8 => (0..6usize).prop_map(Step::Persisted),
        1 => Just(Step::DiskFails),
        6 => (0..4u8, proptest::option::of(0..7usize), any::<bool>(), 0..4u8)
            .prop_map(|(of, toggle, stale, beat)| Step::Desire(of, toggle, stale, beat)),
        6 => Just(Step::Timer),
        1 => any::<bool>().prop_map(Step::Configured),
    ]
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    now: Now,
    /// Every input, when it was, and its effects.
    pub(crate) told: Vec<(Now, Input, Vec<Effect>)>,
    disk: Image,
    under_way: Vec<(StoreEpoch, RecordSeq, Record)>,
    epoch: StoreEpoch,
    starting: Vec<ProcessRef>,
    /// Children that live, and the orders to end them that they got.
    alive: BTreeMap<ProcessRef, (Identity, u32)>,
    /// Processes that the engine watches beside them.
    tracked: Vec<(ProcessRef, Identity)>,
    files: Vec<InstanceId>,
    verbs: Vec<(InstanceId, VerbKind)>,
    next_pid: u32,
    next_request: u64,
    /// Requests and whether their CAS was made up.
    asked: BTreeMap<RequestId, bool>,
    /// Runs that were recorded, by instance, in order.
    recorded: BTreeMap<InstanceId, Vec<RunId>>,
    failed: bool,
    finished: bool,
}

fn definition(id: u32, launch: Launch, liveness: Liveness) -> Definition {
    let url = InstanceUrl::parse("demo:x").expect("a URL");
    let step = |signal, wait_ms| StopStep { signal, wait_ms };
    let steps = vec![step(Signal::USR1, 50), step(Signal::TERM, 50), step(Signal::KILL, 0)];
    let mut stop = StopPolicy::new(steps, Scope::Group).expect("three steps");
    stop.restart_signal = Some(Signal::USR2);
    let backoff =
        BackoffPolicy { first_ms: 0, longest_ms: 500, healthy_ms: 1_000, prompt_ms: None };
    let policy = Policy {
        restart: Restart::Always,
        stop,
        backoff,
        history: HISTORY,
        run_limit_ms: (id == 1).then_some(5_000),
        ..Policy::default()
    };
    Definition {
        label: Some(Label(alloc::format!("app/{id}"))),
        origin: Origin::Config,
        launch,
        liveness,
        policy,
        clears_values: id == 2,
        ..Definition::new(InstanceId(id), url, "app".to_string())
    }
}

/// Why a command failed.
fn refused() -> alloc::string::String {
    alloc::format!("no a://{SECRET}@host")
}

/// One instance of each kind: awaited, with a pid file, with reports, and a service.
fn definitions() -> Vec<Definition> {
    let url = || InstanceUrl::parse("app://x").expect("a URL");
    let exec = || {
        let argv = vec!["/app".to_string(), SECRET.to_string()];
        Launch::Exec(Exec { shown: url(), argv, output: Output::Pipe })
    };
    let verb = || Verb { argv: vec!["x".to_string()], ignored_codes: Vec::new() };
    let verbs =
        Verbs { shown: url(), start: verb(), status: verb(), stop: verb(), restart: verb() };
    let file = Liveness::PidFile { path: "/pid".to_string(), every_ms: 200, verify: false };
    let beat = Liveness::Beat { via: BeatVia::Http, timeout_ms: 300, grace_ms: 100 };
    let probe = Liveness::Probe { every_ms: 200, timeout_ms: 100 };
    vec![
        definition(1, exec(), Liveness::Exit),
        definition(2, exec(), file),
        definition(3, exec(), beat),
        definition(4, Launch::Verbs(Box::new(verbs)), probe),
    ]
}

impl World {
    pub(crate) fn new() -> Self {
        let mut disk = Image::new(MasterIdentity::from_random([1; 8], [1; 16]));
        let mut number = 0;
        let set = definitions().into_iter().map(|one| (one, crate::instance::Desired::default()));
        disk.configure(set, || {
            number += 1;
            number << 32
        });
        let now = Now { mono: Time::ZERO, wall: Wall::from_micros(1_000_000_000) };
        let mut world = Self {
            engine: Engine::new(disk.clone(), [7; 32], now),
            now,
            told: Vec::new(),
            disk,
            under_way: Vec::new(),
            epoch: StoreEpoch::default(),
            starting: Vec::new(),
            alive: BTreeMap::new(),
            tracked: Vec::new(),
            files: Vec::new(),
            verbs: Vec::new(),
            next_pid: 100,
            next_request: 0,
            asked: BTreeMap::new(),
            recorded: BTreeMap::new(),
            failed: false,
            finished: false,
        };
        world.drain();
        world
    }

    fn tell(&mut self, input: Input) {
        self.told.push((self.now, input.clone(), Vec::new()));
        self.engine.handle(self.now, input);
        self.drain();
        self.check();
        assert_eq!(self.engine.check(), Ok(()));
    }

    fn drain(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            if let Some((_, _, effects)) = self.told.last_mut() {
                effects.push(effect.clone());
            }
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn { process, .. } => {
                let is_of_slot = |other: &ProcessRef| other.slot == process.slot;
                let lives = self.alive.keys().chain(&self.starting).any(is_of_slot);
                assert!(!lives, "a second process is started beside one that lives");
                self.starting.push(process);
            }
            Effect::Track { process, identity } => {
                assert!(identity.pid >= 100, "a stranger is watched to be signaled");
                self.tracked.retain(|(other, _)| *other != process);
                self.tracked.push((process, identity));
            }
            Effect::Signal { process, scope: _, signal: _ } => {
                if let Some((_, orders)) = self.alive.get_mut(&process) {
                    *orders += 1;
                }
            }
            Effect::ReadPidFile { definition, .. } => self.files.push(definition.id),
            Effect::RunVerb { definition, verb } => {
                let busy = self.verbs.iter().any(|(id, _)| *id == definition.id);
                assert!(!busy, "two commands of a service at once");
                self.verbs.push((definition.id, verb));
            }
            Effect::Persist { epoch, seq, record } => {
                if let Record::AddRun { id, run, .. } = &*record
                    && epoch == self.epoch
                {
                    let runs = self.recorded.entry(*id).or_default();
                    if !runs.contains(&run.id) {
                        runs.push(run.id);
                    }
                }
                self.under_way.push((epoch, seq, *record));
            }
            Effect::Respond { request, outcome } => {
                let made_up = self.asked.remove(&request).expect("one answer for each request");
                if let Outcome::Desired(done) = outcome {
                    assert_eq!(done.is_stale, made_up, "a CAS is stale if it is made up");
                }
            }
            Effect::Finish => self.finished = true,
            Effect::ShowMaster(_)
            | Effect::ShowInstance(_)
            | Effect::ShowProcess { .. }
            | Effect::ShowRun { .. }
            | Effect::Publish(_)
            | Effect::PublishLogs(_)
            | Effect::CloseStreams { .. }
            | Effect::SaveTotals(_)
            | Effect::Adopt { .. }
            | Effect::Dial { .. }
            | Effect::Check { .. }
            | Effect::ReadZone { .. }
            | Effect::Watch { .. }
            | Effect::Unwatch { .. }
            | Effect::Deliver { .. }
            | Effect::ShowHook { .. }
            | Effect::RenewLeases
            | Effect::AnnounceKey(_) => {}
        }
    }

    fn identity(&mut self) -> Identity {
        self.next_pid += 1;
        Identity { pid: self.next_pid, start_ticks: self.next_pid.into() }
    }

    fn nth_alive(&self, nth: usize) -> Option<(ProcessRef, Identity)> {
        let count = self.alive.len();
        let (process, (identity, _)) = self.alive.iter().nth(nth.checked_rem(count)?)?;
        Some((*process, *identity))
    }

    pub(crate) fn take(&mut self, step: &Step) {
        match *step {
            Step::Started(nth) => {
                let Some(place) = nth.checked_rem(self.starting.len()) else { return };
                let (process, identity) = (self.starting.remove(place), self.identity());
                self.alive.insert(process, (identity, 0));
                self.tell(Input::PidTold { process, identity });
                self.tell(Input::ProcessStarted { process });
            }
            Step::StartFailed(nth) => {
                let Some(place) = nth.checked_rem(self.starting.len()) else { return };
                let process = self.starting.remove(place);
                self.tell(Input::StartFailed { process, reason: "no".to_string() });
            }
            Step::Exited(nth, group_left) => {
                let Some((process, _)) = self.nth_alive(nth) else { return };
                self.alive.remove(&process);
                let exit = Exit::Code(i32::try_from(nth).expect("small"));
                self.tell(Input::ProcessExited { process, exit, group_left });
            }
            Step::FileRead(nth, what) => self.read_file(nth, what),
            Step::TrackedGone(nth) => {
                let Some(place) = nth.checked_rem(self.tracked.len()) else { return };
                let (process, identity) = self.tracked.remove(place);
                self.tell(Input::TrackedGone { process, identity });
            }
            Step::VerbEnded(nth, done) => {
                let Some(place) = nth.checked_rem(self.verbs.len()) else { return };
                let (instance, verb) = self.verbs.remove(place);
                let result = if done { VerbResult::Done } else { VerbResult::Failed(refused()) };
                self.tell(Input::VerbEnded { instance, verb, result });
            }
            Step::Persisted(count) => self.persist(count),
            Step::DiskFails => {
                self.failed = true;
                self.under_way.clear();
                let epoch = self.epoch;
                self.epoch = StoreEpoch(epoch.0 + 1);
                // What is to be recorded again has not been recorded.
                for (id, runs) in &mut self.recorded {
                    let kept: BTreeSet<RunId> =
                        self.disk.instances[id].runs.iter().map(|run| run.id).collect();
                    let last = runs.iter().rposition(|run| kept.contains(run));
                    runs.truncate(last.map_or(0, |last| last + 1));
                }
                self.tell(Input::PersistFailed { epoch, reason: "full".to_string() });
            }
            Step::Desire(of, toggle, is_stale, beat) => self.ask(of, toggle, is_stale, beat),
            Step::Timer => {
                if let Some((due, _)) = self.engine.poll_timeout() {
                    self.now.mono = due;
                    self.now.wall = Wall::from_micros(1_000_000_000 + due.as_micros());
                    self.tell(Input::TimeAdvanced);
                }
            }
            Step::Configured(changed) => {
                let mut set: Vec<_> = definitions()
                    .into_iter()
                    .map(|one| (one, crate::instance::Desired::default()))
                    .collect();
                if changed {
                    set[0].0.alias = "another".to_string();
                    let umask = u16::try_from(self.next_pid % 8).expect("small");
                    set[1].0.setup.edit(|setup| setup.umask = Some(umask));
                }
                self.tell(Input::Configured { set: Arc::new(set) });
            }
        }
    }

    fn read_file(&mut self, nth: usize, what: u8) {
        let Some(place) = nth.checked_rem(self.files.len()) else { return };
        let instance = self.files.remove(place);
        let slot = self.engine.table().find(instance);
        let child = self.alive.iter().find(|(process, _)| Some(process.slot) == slot);
        let sighting = match (what, child) {
            (0 | 1, Some((_, (identity, _)))) => Sighting::Proven(*identity),
            (2, _) => Sighting::Proven(self.identity()),
            _ => Sighting::Nothing,
        };
        self.tell(Input::PidFileRead { instance, sighting });
    }

    fn persist(&mut self, count: usize) {
        let count = count.min(self.under_way.len());
        let mut upto = None;
        for (_, seq, record) in self.under_way.drain(..count) {
            self.disk.apply(&record);
            upto = Some(seq);
        }
        if let Some(upto) = upto {
            self.tell(Input::RecordsPersisted { upto });
        }
    }

    fn ask(&mut self, of: u8, toggle: Option<usize>, is_stale: bool, beat: u8) {
        let ids: Vec<InstanceId> = self
            .engine
            .table()
            .slots()
            .filter_map(|slot| Some(self.engine.table().get(slot)?.definition().id))
            .collect();
        let Some(id) = ids.get(usize::from(of) % ids.len().max(1)).copied() else { return };
        let slot = self.engine.table().find(id).expect("it is there");
        let row = self.engine.table().get(slot).expect("it is there");
        let reports = matches!(row.definition().liveness, Liveness::Beat { .. });
        let child = self.alive.iter().find(|(process, _)| process.slot == slot);
        let child = child.map(|(_, (identity, _))| *identity);
        let beat = match beat {
            _ if !reports => None,
            0 => None,
            1 => Some(Beat { pid: child.map_or(0, |one| one.pid), proven: child }),
            2 => Some(Beat { pid: 7, proven: None }),
            _ => {
                let identity = self.identity();
                Some(Beat { pid: identity.pid, proven: Some(identity) })
            }
        };
        let values =
            ValuesEdit::Merge(Values::from([("k".to_string(), alloc::format!("{SECRET}{of}"))]));
        let expect = if is_stale { Cas(1) } else { Cas(0) };
        let toggle = toggle.map(|toggle| Toggle::ALL[toggle]);
        let desire = Box::new(Desire { expect, values, toggle, beat, shows_instance: false });
        self.next_request += 1;
        let request = RequestId(self.next_request);
        self.asked.insert(request, is_stale);
        let caller = Caller { door: Door::Patrol, trust: Trust::Open };
        let command = Command::Desire { id, desire };
        self.tell(Input::RequestArrived { request, caller, command });
    }

    /// What holds at any time.
    fn check(&self) {
        let rows = || self.engine.table().slots().filter_map(|slot| self.engine.table().get(slot));
        let alive =
            rows().filter(|row| row.state().has_process() && !row.definition().is_service());
        assert_eq!(self.engine.processes.alive, alive.count(), "the processes that are counted");
        for slot in self.engine.table().slots() {
            let row = self.engine.table().get(slot).expect("a taken slot");
            let presence = row.presence();
            // Runs are recorded once each, in order, and the last of them are remembered.
            let recorded = self.recorded.get(&row.definition().id).map_or(&[][..], Vec::as_slice);
            let past: Vec<RunId> = presence.past.iter().map(|run| run.id).collect();
            assert!(past.len() <= HISTORY.into());
            let first = recorded.len().saturating_sub(past.len());
            if !self.failed {
                assert_eq!(recorded[first..], past, "the runs of {}", row.definition().id);
            }
            let distinct: BTreeSet<&RunId> = past.iter().collect();
            assert_eq!(distinct.len(), past.len(), "a run is recorded twice");
            if let Some(run) = presence.run {
                assert!(!past.contains(&run.id), "a run under way is recorded");
            }
            // What nothing is known of cannot be ended, and is not waited for.
            let is_ending = row.state().is_stopping() && !row.state().is_spawning();
            assert!(!is_ending || presence.can_signal(), "a stop waits for nobody");
            assert!(row.desired().cas.0 > 0, "a CAS is never 0");
        }
    }

    /// Lets everything on its way arrive: the disk and the engine then say the same.
    pub(crate) fn settle(&mut self) {
        self.persist(usize::MAX);
        while !self.under_way.is_empty() {
            self.persist(usize::MAX);
        }
        if self.failed {
            return;
        }
        for slot in self.engine.table().slots() {
            let row = self.engine.table().get(slot).expect("a taken slot");
            let stored = &self.disk.instances[&row.definition().id];
            let mut desired = (*stored.desired).clone();
            // A start that is tried uses the request up at once, and counts when it succeeded.
            desired.restart &= row.desired().restart;
            assert_eq!(&desired, row.desired(), "what is wanted of {}", row.definition().id);
            let ids = |runs: &alloc::collections::VecDeque<Arc<crate::instance::PastRun>>| {
                runs.iter().map(|run| run.id).collect::<Vec<_>>()
            };
            assert_eq!(ids(&stored.runs), ids(&row.presence().past));
            assert_eq!(row.presence().pending, 0);
            assert!(row.presence().staged.is_none() && row.presence().answers.is_empty());
        }
        assert!(self.asked.is_empty(), "every request is answered");
    }

    /// Ends everything that was ordered to end, until the engine has finished.
    fn shut_down(&mut self) {
        self.tell(Input::ShutdownRequested);
        for _ in 0..200 {
            if self.finished {
                return;
            }
            self.persist(usize::MAX);
            for _ in 0..self.starting.len() {
                self.take(&Step::Started(0));
            }
            let ended: Vec<ProcessRef> =
                self.alive.iter().filter(|(_, (_, orders))| *orders > 1).map(|(p, _)| *p).collect();
            for process in ended {
                self.alive.remove(&process);
                let exit = Exit::Signal(9);
                self.tell(Input::ProcessExited { process, exit, group_left: false });
            }
            while !self.tracked.is_empty() {
                self.take(&Step::TrackedGone(0));
            }
            self.take(&Step::Timer);
        }
        panic!("the engine does not come to its end");
    }
}

/// A configuration that keeps fewer runs, and one that keeps more after it: a run that the disk
/// refused is recorded in between, and what is shown is what is stored.
#[test]
fn runs_that_are_no_longer_kept_are_dropped_here_as_on_the_disk() {
    let mut world = World::new();
    let app = InstanceId(1);
    let slot = world.engine.table().find(app);
    let keep = |world: &mut World, most| {
        let mut set = definitions();
        set.iter_mut().for_each(|one| one.policy.history = most);
        let set = set.into_iter().map(|one| (one, crate::instance::Desired::default()));
        world.tell(Input::Configured { set: Arc::new(set.collect()) });
        world.persist(usize::MAX);
    };
    let runs = |world: &World| {
        let row = slot.and_then(|slot| world.engine.table().get(slot)).expect("the first app");
        let past = &row.presence().past;
        let ids = |runs: &alloc::collections::VecDeque<Arc<crate::instance::PastRun>>| {
            runs.iter().map(|run| run.id).collect::<Vec<_>>()
        };
        (ids(past), ids(&world.disk.instances[&app].runs))
    };
    for _ in 0..HISTORY {
        world.persist(usize::MAX);
        let place = loop {
            let of_app = |process: &ProcessRef| Some(process.slot) == slot;
            match world.starting.iter().position(of_app) {
                Some(place) => break place,
                None => world.take(&Step::Timer),
            }
        };
        world.take(&Step::Started(place));
        world.persist(usize::MAX);
        let nth = world.alive.keys().position(|process| Some(process.slot) == slot);
        world.take(&Step::Exited(nth.expect("it was started"), false));
    }
    world.take(&Step::DiskFails);
    assert_eq!(runs(&world).0.len(), usize::from(HISTORY));
    keep(&mut world, 2);
    let is_unsaved = |world: &World| {
        let row = slot.and_then(|slot| world.engine.table().get(slot)).expect("the first app");
        row.presence().unsaved
    };
    while is_unsaved(&world) {
        world.take(&Step::Timer);
    }
    world.persist(usize::MAX);
    keep(&mut world, HISTORY);
    let (shown, stored) = runs(&world);
    assert_eq!((shown.len(), &shown), (2, &stored));
}

/// An app that is awaited is ended, as any other instance; one that is found goes on.
#[test]
fn what_outlived_its_master_goes_on_if_it_can_be_found() {
    let mut disk = Image::new(MasterIdentity::from_random([1; 8], [1; 16]));
    let set = definitions().into_iter().map(|one| (one, crate::instance::Desired::default()));
    let mut number = 0;
    disk.configure(set, || {
        number += 1;
        number << 32
    });
    let left: Vec<InstanceId> = disk.instances.keys().copied().take(3).collect();
    let now = Now { mono: Time::ZERO, wall: Wall::from_micros(1_000_000_000) };
    let found = Found { leftovers: &left, ..Found::default() };
    let mut engine = Engine::with_found(disk, found, [7; 32], now);
    let (mut adopted, mut signaled) = (Vec::new(), Vec::new());
    while let Some(effect) = engine.poll_effect() {
        assert!(!matches!(effect, Effect::Spawn { .. }), "{effect:?}");
        if let Effect::Adopt { process, instance } = effect {
            adopted.push((instance, process));
        } else if let Effect::Signal { process, signal, .. } = effect {
            signaled.push((process, signal));
        }
    }
    assert_eq!(adopted.iter().map(|(id, _)| *id).collect::<Vec<_>>(), left);
    assert_eq!(signaled, [(adopted[0].1, Signal::USR1)]);
    for (id, process) in &adopted[1..] {
        let presence = engine.table().get(process.slot).expect("a taken slot").presence();
        assert!(presence.run.is_some() && presence.can_signal(), "{id}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_the_world_does(steps in proptest::collection::vec(step(), 0..120)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        world.settle();
        world.shut_down();
    }
}
