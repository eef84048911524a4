//! The loop: notices in, effects out, one at a time.
//!
//! Nothing here decides anything about an instance. The clock is read once a batch.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use openctrl_core::command::{Caller, Command, Outcome};
use openctrl_core::control::{Attached, Cause, ControlInput};
use openctrl_core::doors::patrol::config::HookName;
use openctrl_core::engine::{Effect, Engine, Input, VerbResult};
use openctrl_core::event::{EventKind, LogRun, Subject};
use openctrl_core::history::Unfinished;
use openctrl_core::ids::{InstanceId, ProcessRef, RequestId};
use openctrl_core::instance::{Instance, Marks, Ready, VerbKind};
use openctrl_core::keeper::Note;
use openctrl_core::limits::GRACE_MS;
use openctrl_core::line::UnfinishedLine;
use openctrl_core::output::OutputBatch;
use openctrl_core::process::{self, Identity, Scope};
use openctrl_core::stream::Stream;
use openctrl_core::time::{Now, Time, Wall};
use tokio::signal::unix::Signal;
use tokio::sync::oneshot;

use crate::daemon::clock::Clock;
use crate::daemon::console::Console;
use crate::daemon::control::ControlHands;
use crate::daemon::dial::dial;
use crate::daemon::file_watch::FileWatch;
use crate::daemon::first_thread::until;
use crate::daemon::gate::Gate;
use crate::daemon::hub::Publisher;
use crate::daemon::inbox::{Inbox, Mailbox, Notice};
use crate::daemon::logs::Logs;
use crate::daemon::notified::{Listening, listen};
use crate::daemon::patrol::{Door, read_pid_file, run_verb, track, variable};
use crate::daemon::probe;
use crate::daemon::process::{
    Children, Ended, Leftover, Signaled, Spawner, Survivor, Sweep, has_descendants, signal_tracked,
};
use crate::daemon::standstill::{Freeze, Frozen};
use crate::daemon::store::StoreWriter;
use crate::daemon::trace::Recorder;
use crate::daemon::usage::Processes;
use crate::daemon::webhook::Webhooks;
use crate::daemon::zones::read_zone;

/// A wait that nothing else ends.
const LONG: Duration = Duration::from_secs(3600);

/// After how many inputs the engine checks itself again: that takes time linear in its instances.
const CHECK_EVERY: u64 = 1024;

/// What effects are carried out with.
#[derive(Debug)]
pub(crate) struct Hands {
    pub(crate) publisher: Publisher,
    pub(crate) spawner: Spawner,
    pub(crate) store: StoreWriter,
    /// Where lines of instances are repeated; `None` with `console=off`.
    pub(crate) stdout: Option<Console>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) processes: Arc<Processes>,
    pub(crate) mailbox: Mailbox,
    pub(crate) files: FileWatch,
    /// The webhooks, if there are any.
    pub(crate) webhooks: Option<Webhooks>,
    /// The Patrol door, if there is one.
    pub(crate) door: Option<Arc<Door>>,
    /// What the last master left behind, until the engine asks for it.
    pub(crate) leftovers: BTreeMap<InstanceId, Leftover>,
    /// What outlived the last master, until the engine asks for it.
    pub(crate) survivors: BTreeMap<InstanceId, Survivor>,
}

/// What the loop leaves at its end.
pub(crate) struct Finished {
    pub(crate) hands: Hands,
    pub(crate) control: Option<ControlHands>,
    /// The names of processes that cannot be killed.
    pub(crate) left: Option<String>,
    /// The time by which everything is to have ended.
    pub(crate) kill_at: Instant,
}

/// The program is to be replaced, once the loop may pause.
#[derive(Debug)]
struct Leaving {
    freeze: Freeze,
    /// Whether all readers pause.
    is_quiet: bool,
}

/// The engine, its hands, and what is under way between them.
#[derive(Debug)]
pub(crate) struct Reactor {
    engine: Engine,
    recorder: Recorder,
    hands: Hands,
    control: Option<ControlHands>,
    /// The effects of a step, for the control API to look at; empty between steps.
    effects: Vec<Effect>,
    clock: Clock,
    waiting: HashMap<RequestId, oneshot::Sender<Outcome>>,
    next_request: u64,
    children: Children,
    /// The patterns for the lines of processes, and those that say by themselves that they are ready.
    marks: HashMap<ProcessRef, Marks>,
    listening: HashMap<ProcessRef, Listening>,
    /// Processes of which a line is shown that has not ended, and whose they are.
    unfinished: HashMap<(ProcessRef, Stream), InstanceId>,
    /// Whose output the engine handles.
    printing: Option<ProcessRef>,
    /// Tells when a child has ended, an adopted one too.
    child_ended: Signal,
    /// When what is left is killed, once the end was asked for.
    kill_at: Option<Instant>,
    /// Processes that were not started here, by what they are watched for.
    tracked: HashMap<ProcessRef, Identity>,
    /// What tells the descendants of processes whose instances may outlive them.
    followed: HashMap<ProcessRef, String>,
    /// When to wake the readers of events next, if something waits for that.
    wake_at: Option<Time>,
    /// How many inputs the engine was told.
    inputs: u64,
    /// The lines within which readers of output pause.
    paused: Vec<(ProcessRef, Stream, UnfinishedLine)>,
    /// The program is about to be replaced.
    leaving: Option<Leaving>,
    /// Whether the engine was found to contradict itself.
    is_contradicted: bool,
    is_finished: bool,
}

impl Reactor {
    /// A loop around an engine; carries out what the engine wants at its start.
    pub(crate) fn new(
        engine: Engine,
        recorder: Recorder,
        hands: Hands,
        control: Option<ControlHands>,
        clock: Clock,
        child_ended: Signal,
        now: Now,
    ) -> Self {
        let children = Children::new(hands.spawner.keeper(), hands.spawner.groups());
        let mut reactor = Self {
            engine,
            recorder,
            hands,
            control,
            effects: Vec::new(),
            clock,
            waiting: HashMap::new(),
            next_request: 0,
            children,
            marks: HashMap::new(),
            listening: HashMap::new(),
            unfinished: HashMap::new(),
            printing: None,
            child_ended,
            kill_at: None,
            tracked: HashMap::new(),
            followed: HashMap::new(),
            wake_at: None,
            inputs: 0,
            paused: Vec::new(),
            leaving: None,
            is_contradicted: false,
            is_finished: false,
        };
        reactor.drain(now, Cause::Other);
        for (_, survivor) in std::mem::take(&mut reactor.hands.survivors) {
            reactor.hands.spawner.discard(survivor);
        }
        // Clients are answered before the first step.
        reactor.hands.publisher.flush();
        reactor.hands.spawner.listen();
        reactor.end_step();
        reactor
    }

    /// Goes on after the requests of another program of this master, of which this is the last.
    pub(crate) fn after_request(self, last_request: u64) -> Self {
        Self { next_request: last_request, ..self }
    }

    /// Runs until the engine is done. To be run on the first thread of the program, see
    /// [`Children`], within [`crate::daemon::first_thread::block_on`].
    pub(crate) async fn run(mut self, mut inbox: Inbox) -> Finished {
        let mut batch = Vec::new();
        while !self.is_finished {
            let timer = self.engine.poll_timeout().map(|(due, _)| due);
            let control = self.control.as_ref().and_then(ControlHands::poll_timeout);
            let deadline = timer.into_iter().chain(control).chain(self.wake_at).min();
            let deadline = deadline.map(|deadline| self.clock.instant(deadline));
            // A timeout is no news: the clock is looked at in any case.
            let limit = deadline.unwrap_or_else(|| Instant::now() + LONG);
            let limit = self.hands.store.due().map_or(limit, |due| limit.min(due));
            tokio::select! {
                biased;
                _ = self.child_ended.recv() => self.children.reap_adopted(),
                is_called_off = news_of(&mut self.leaving, self.hands.mailbox.readers()) => {
                    if is_called_off {
                        self.stay();
                    }
                }
                _ = until(limit, inbox.fill(&mut batch)) => {}
            }
            self.step(&mut batch);
            self.leave_if_still(&inbox).await;
        }
        let left = self.sweep(&mut inbox).await;
        self.recorder.finish(&self.engine);
        let Self { hands, control, kill_at, .. } = self;
        Finished { hands, control, left, kill_at: kill_at.unwrap_or_else(Instant::now) }
    }

    /// Pauses once nothing is under way: for good if the program is replaced, and else until
    /// that has failed.
    async fn leave_if_still(&mut self, inbox: &Inbox) {
        let is_quiet = self.leaving.as_ref().is_some_and(|leaving| leaving.is_quiet);
        let is_idle = || self.waiting.is_empty() && inbox.is_empty() && self.engine.is_settled();
        if !is_quiet || !is_idle() {
            return;
        }
        let Some(Leaving { freeze, .. }) = self.leaving.take() else { return };
        self.hands.publisher.flush();
        self.hands.spawner.settle().await;
        self.hands.store.settle().await;
        std::mem::take(&mut self.recorder).finish(&self.engine);
        let run_of = |process: &ProcessRef| self.engine.run_of(*process);
        let unfinished = self.paused.iter();
        let notify = self.listening.iter();
        let frozen = Frozen {
            engine: self.engine.hand_over(),
            last_request: self.next_request,
            unfinished: unfinished
                .filter_map(|(process, stream, line)| {
                    Some((run_of(process)?, *stream, line.clone()))
                })
                .collect(),
            notify: notify
                .filter_map(|(process, listening)| Some((run_of(process)?, listening.number())))
                .collect(),
        };
        let Freeze { frozen: to, resume } = freeze;
        if to.send(frozen).is_ok() {
            // Nothing is ever sent.
            let _ = resume.await;
        }
        tracing::warn!("Master.upgrade: a trace, if there is one, ends here");
        self.stay();
    }

    /// The program is not replaced: readers go on.
    fn stay(&mut self) {
        self.leaving = None;
        self.paused.clear();
        self.hands.mailbox.readers().open();
    }

    /// Ends what still descends from the master, and the keeper; returns the names of what cannot be
    /// killed.
    async fn sweep(&self, inbox: &mut Inbox) -> Option<String> {
        let Hands { door, spawner, .. } = &self.hands;
        spawner.cease().await;
        if door.is_some() {
            spawner.finish_keeper().await;
            return None;
        }
        let kill_at = self.kill_at.unwrap_or_else(Instant::now);
        let mut left = Sweep::new(kill_at, self.children.keeper()).run(inbox).await;
        spawner.finish_keeper().await;
        if spawner.has_keeper() {
            // A start that was under way may have come to life after the first look. With its keeper
            // ended, its process is a child of the master.
            left = Sweep::new(Instant::now(), None).run(inbox).await;
        }
        spawner.remove_groups().await;
        left
    }

    /// Processes of no instance are not the engine's to end.
    fn begin_end(&mut self) {
        let now = Instant::now();
        if self.kill_at.is_none() {
            // Services outlive the master, and apps have signals of their own.
            match &self.hands.door {
                Some(door) => door.happened(HookName::Shutdown),
                None => self.children.terminate_strays(),
            }
            self.kill_at = Some(now + Duration::from_millis(GRACE_MS));
        } else {
            self.kill_at = Some(now);
        }
    }

    fn step(&mut self, batch: &mut Vec<Notice>) {
        let now = self.hands.publisher.advance(self.clock.sample());
        self.children.begin_step();
        if self.engine.poll_timeout().is_some_and(|(deadline, _)| deadline <= now.mono) {
            self.tell(now, Input::TimeAdvanced);
        }
        for notice in batch.drain(..) {
            self.take(now, notice);
        }
        let control_at = self.control.as_ref().and_then(ControlHands::poll_timeout);
        if control_at.is_some_and(|due| due <= now.mono) {
            self.tell_control(now, ControlInput::TimeAdvanced);
        }
        self.wake_at = self.hands.publisher.wake(now.mono);
        self.end_step();
        let control = self.control.as_ref().map(ControlHands::machine);
        self.recorder.hand_over(&self.engine, control, now);
    }

    /// What a step ordered of other threads is handed over at its end, so that each is woken once.
    fn end_step(&mut self) {
        self.hands.store.hand_over();
        if let Some(control) = &self.control {
            control.end_step();
        }
    }

    /// An input is recorded before the engine is told it: one that it panics at is the last.
    fn tell(&mut self, now: Now, input: Input) {
        if let Some(door) = &self.hands.door {
            self.tell_failed_start(door, &input);
        }
        self.printing =
            if let Input::OutputRead { process, .. } = &input { Some(*process) } else { None };
        let cause = Cause::of(&self.engine, &input);
        let control = self.control.as_ref().map(ControlHands::machine);
        self.recorder.input(&self.engine, control, now, &input);
        self.engine.handle(now, input);
        self.drain(now, cause);
        self.check_engine();
    }

    /// Lets the engine check itself from time to time, until a check fails: that is reported once.
    fn check_engine(&mut self) {
        self.inputs += 1;
        if self.is_contradicted || !self.inputs.is_multiple_of(CHECK_EVERY) {
            return;
        }
        if let Err(found) = self.engine.check() {
            self.is_contradicted = true;
            self.recorder.contradicted(found);
        }
    }

    fn tell_failed_start(&self, door: &Door, input: &Input) {
        let table = self.engine.table();
        #[expect(clippy::wildcard_enum_match_arm, reason = "no other input is a failed start")]
        let slot = match input {
            Input::StartFailed { process, .. } => table.current(*process),
            Input::VerbEnded { instance, verb: VerbKind::Start, result: VerbResult::Failed(_) } => {
                table.find(*instance)
            }
            _ => None,
        };
        let definition = slot.and_then(|slot| table.get(slot)).map(|row| row.definition());
        if let Some(label) = definition.and_then(|definition| definition.label.as_ref()) {
            door.start_tried(label, HookName::StartFailed);
        }
    }

    /// Tells the engine what a notice is to it: nothing, if it is no more than a sign of life.
    fn take(&mut self, now: Now, notice: Notice) {
        match notice {
            Notice::Fact(mut input) => {
                if let Input::OutputRead { process, batch } = &mut input {
                    if let Some(marks) = self.marks.get_mut(process) {
                        marks.mark(Arc::make_mut(batch));
                    }
                    let (process, stream) = (*process, batch.stream);
                    self.clear_unfinished(process, stream, now.wall);
                }
                if let Input::TrackedGone { process, identity } = &input
                    && self.tracked.get(process) == Some(identity)
                {
                    self.tracked.remove(process);
                }
                if matches!(input, Input::ShutdownRequested) {
                    self.begin_end();
                }
                if let Input::StartFailed { process, .. } = &input {
                    self.children.not_started();
                    self.forget_checks(*process);
                }
                self.tell(now, input);
            }
            Notice::Request(caller, command, answer) => {
                self.request(now, caller, command, answer);
            }
            Notice::Spawned(process, newcomer) => {
                self.children.take(process, newcomer);
                if let Some(listening) = self.listening.get_mut(&process) {
                    listening.started(self.children.pid(process));
                }
                self.tell(now, Input::ProcessStarted { process });
            }
            Notice::Unfinished(process, stream, text) => {
                self.show_unfinished(process, stream, Unfinished { time: now.wall, text });
            }
            Notice::Exited(process) => {
                for stream in Stream::ALL {
                    self.clear_unfinished(process, stream, now.wall);
                }
                self.forget_checks(process);
                let (before, exited) = self.reap(process);
                before.into_iter().for_each(|input| self.tell(now, input));
                let is_over = matches!(exited, Input::ProcessExited { group_left: false, .. });
                self.tell(now, exited);
                if is_over {
                    // What is shown of its end is known to the keeper before.
                    self.hands.spawner.gone(process);
                }
            }
            Notice::KeptEnded(process, ended, has_group) => {
                self.children.ended(process, ended, has_group);
            }
            Notice::KeeperLost(pid) => {
                tracing::warn!("Master.run: keeper {pid} was lost; its children keep running");
                self.children.keeper_lost(pid);
            }
            Notice::StartLost(process, keeper) => {
                let may_have_run = self.children.may_have_run(keeper);
                self.forget_checks(process);
                self.tell(now, Input::StartLost { process, may_have_run });
            }
            Notice::Orphaned(process) => self.children.orphaned(process),
            Notice::KeeperStarted(pid) => self.children.keeper_is(pid),
            Notice::Ask(ask) => {
                if let Some(input) = self.control.as_mut().map(|control| control.ask(ask)) {
                    self.tell_control(now, input);
                }
            }
            Notice::Control(input) => self.tell_control(now, input),
            Notice::Several(notices) => notices.into_iter().for_each(|it| self.take(now, it)),
            Notice::Tokens(change, done) => self.hands.store.save_tokens(change, done),
            Notice::Paused(process, lines) => {
                let lines = lines.into_iter().map(|(stream, line)| (process, stream, line));
                self.paused.extend(lines);
            }
            Notice::Trial(answer) => drop(answer.send(self.engine.hand_over())),
            Notice::Freeze(freeze) => {
                self.hands.mailbox.readers().close();
                self.leaving = Some(Leaving { freeze, is_quiet: false });
            }
            // One that no longer waits is no matter.
            Notice::Ping(answer) => drop(answer.send(())),
        }
    }

    fn request(
        &mut self,
        now: Now,
        caller: Caller,
        command: Command,
        answer: oneshot::Sender<Outcome>,
    ) {
        self.next_request += 1;
        let request = RequestId(self.next_request);
        self.waiting.insert(request, answer);
        self.tell(now, Input::RequestArrived { request, caller, command });
    }

    /// Shows how a line of a process looks that has not ended. That is no event and no line yet, so
    /// the engine has no part in it, but that it says whose process it is.
    fn show_unfinished(&mut self, process: ProcessRef, stream: Stream, unfinished: Unfinished) {
        let Hands { publisher, logs, processes, .. } = &mut self.hands;
        if let Some(instance) = processes.instance_of(process) {
            self.unfinished.insert((process, stream), instance);
            publisher.show_unfinished((instance, stream), unfinished.time, &unfinished.text);
            logs.set_unfinished((instance, stream), Some(unfinished));
        }
    }

    /// The line has ended, or nothing more comes of it.
    fn clear_unfinished(&mut self, process: ProcessRef, stream: Stream, time: Wall) {
        if let Some(instance) = self.unfinished.remove(&(process, stream)) {
            let Hands { publisher, logs, .. } = &mut self.hands;
            logs.set_unfinished((instance, stream), None);
            publisher.show_unfinished((instance, stream), time, "");
        }
    }

    /// Reaps a child only here, between signals: its group's number cannot come to mean another.
    /// Returns what the engine is told: a line about the end, where there is something to say,
    /// whether its lease expired, and the end.
    fn reap(&mut self, process: ProcessRef) -> (Vec<Input>, Input) {
        let Ended { exit, group_left, note, has_lost_lease } =
            self.children.reap(process, self.engine.run_of(process));
        let note = note.map(|note| {
            let batch = Arc::new(OutputBatch::note(&format!("{exit} ({note})")));
            self.hands.processes.explain_exit(process, note);
            Input::OutputRead { process, batch }
        });
        let variable = self.followed.remove(&process);
        let group_left = group_left || variable.is_some_and(|variable| has_descendants(&variable));
        let expired = has_lost_lease.then_some(Input::LeaseExpired { process });
        let before = note.into_iter().chain(expired).collect();
        (before, Input::ProcessExited { process, exit, group_left })
    }

    /// An input of the machine of the control API, if there is one.
    fn tell_control(&mut self, now: Now, input: ControlInput) {
        if let Some(control) = &mut self.control {
            control.tell(now, input, &self.engine, &mut self.hands.store, &mut self.recorder);
        }
    }

    fn drain(&mut self, now: Now, cause: Cause) {
        if self.control.is_none() {
            while let Some(effect) = self.engine.poll_effect() {
                self.recorder.effect(&effect);
                self.carry_out(effect, &mut Vec::new());
            }
            return;
        }
        let mut effects = std::mem::take(&mut self.effects);
        while let Some(effect) = self.engine.poll_effect() {
            self.recorder.effect(&effect);
            effects.push(effect);
        }
        let pids = |process| self.children.pid(process);
        let (control, recorder) = (self.control.as_mut(), &mut self.recorder);
        let mut attached = control.map_or_else(Vec::new, |control| {
            control.observe(now, cause, &self.engine, &effects, &pids, recorder)
        });
        effects.drain(..).for_each(|effect| self.carry_out(effect, &mut attached));
        self.effects = effects;
        if let Some(control) = &mut self.control {
            control.after_effects(&mut self.hands.store);
        }
    }

    /// `attached` are the events that are stored together with changes.
    fn carry_out(&mut self, effect: Effect, attached: &mut Vec<Attached>) {
        let Hands {
            publisher,
            spawner,
            store,
            stdout,
            logs,
            processes,
            mailbox,
            files,
            webhooks,
            door,
            ..
        } = &mut self.hands;
        match effect {
            Effect::ShowMaster(face) => publisher.show_master(face),
            Effect::ShowInstance(view) => publisher.show_instance(view),
            Effect::ShowProcess { instance, facts } => {
                let alive = facts.alive.map(|(process, _)| process);
                let pid = alive.and_then(|process| self.children.pid(process));
                spawner.note(instance, &facts);
                processes.show(instance, facts, pid);
            }
            Effect::Publish(event) => {
                logs.follow(&event);
                processes.follow(&event);
                if let (EventKind::Delete, Subject::Instance(id)) =
                    (event.kind, event.object.subject())
                {
                    spawner.deleted(id);
                }
                publisher.publish(event);
            }
            Effect::PublishLogs(run) => {
                // First of all: who has seen the event finds the line here.
                logs.append(self.printing, &run);
                if let Some(stdout) = stdout {
                    forward(stdout, &run);
                }
                publisher.publish_logs(run);
            }
            Effect::CloseStreams { keep_from, time } => publisher.close_streams(keep_from, time),
            Effect::Respond { request, outcome } => {
                if let Some(answer) = self.waiting.remove(&request) {
                    publisher.flush();
                    match &self.control {
                        Some(control) => control.answer(answer, outcome),
                        // A client that did not wait is told nothing.
                        None => drop(answer.send(outcome)),
                    }
                }
            }
            Effect::RenewLeases => spawner.renew_leases(),
            Effect::Persist { epoch, seq, record } => {
                let place = attached.iter().position(|attached| attached.seq == seq);
                let caused = place.map(|place| attached.swap_remove(place).kept);
                store.persist(epoch, seq, *record, caused);
            }
            Effect::SaveTotals(totals) => store.save_totals(totals),
            Effect::Spawn { process, run, definition } => {
                if let (Some(door), Some(label)) = (door.as_ref(), &definition.label) {
                    door.start_tried(label, HookName::Start);
                }
                if definition.liveness.tracks() {
                    self.followed.insert(process, variable(&definition));
                }
                let mut note = Note::default();
                if spawner.has_keeper() {
                    processes.with_facts(definition.id, |facts, _| note = Note::of(facts));
                }
                self.children.ordered();
                if let Some(marks) = Marks::of(&definition.checks) {
                    self.marks.insert(process, marks);
                }
                if definition.checks.ready == Some(Ready::Notify) {
                    match listen(process, run, None, mailbox.clone()) {
                        Ok(listening) => drop(self.listening.insert(process, listening)),
                        Err(error) => {
                            let id = definition.id;
                            tracing::warn!("Master.run: {id} cannot say that it is ready: {error}");
                        }
                    }
                }
                spawner.spawn((process, run), definition, note);
            }
            Effect::Track { process, identity } => {
                self.tracked.insert(process, identity);
                track(process, identity, mailbox.clone());
            }
            Effect::ReadPidFile { definition, leader } => {
                read_pid_file(definition, leader, mailbox.clone());
            }
            Effect::RunVerb { definition, verb } => {
                if let (Some(door), Some(label), VerbKind::Start) =
                    (door.as_ref(), &definition.label, verb)
                {
                    door.start_tried(label, HookName::Start);
                }
                run_verb(definition, verb, mailbox.clone());
            }
            Effect::ShowRun { label, instance, shown } => {
                if let Some(door) = door {
                    door.show(label, instance, *shown);
                }
            }
            Effect::Adopt { process, instance } => self.adopt(process, instance),
            Effect::Signal { process, scope, signal } => self.signal(process, scope, signal),
            Effect::Dial { request, target } => {
                let mailbox = mailbox.clone();
                tokio::spawn(async move {
                    let outcome = dial(&target).await;
                    mailbox.fact(Notice::Fact(Input::Dialled { request, outcome }));
                });
            }
            Effect::AnnounceKey(key) => {
                let key = key.reveal();
                tracing::info!("Master.handlePatchInstance: API key regenerated: {key}");
            }
            Effect::Finish => self.is_finished = true,
            Effect::ReadZone { name } => read_zone(name, mailbox.clone()),
            Effect::Watch { definition } => {
                files.watch(definition.id, definition.checks.watch.clone());
            }
            Effect::Unwatch { instance } => files.unwatch(instance),
            Effect::Deliver { hook, delivery } => {
                if let Some(webhooks) = webhooks {
                    webhooks.deliver(hook, &delivery, mailbox.clone());
                }
            }
            Effect::ShowHook { hook, shown } => {
                if let Some(webhooks) = webhooks {
                    webhooks.show(hook, *shown);
                }
            }
            Effect::Check { process, check, target, timeout_ms } => {
                probe::check(process, check, target, timeout_ms, mailbox.clone());
            }
        }
    }

    fn forget_checks(&mut self, process: ProcessRef) {
        self.marks.remove(&process);
        self.listening.remove(&process);
    }

    fn adopt(&mut self, process: ProcessRef, instance: InstanceId) {
        let slot = self.engine.table().find(instance);
        let row = slot.and_then(|slot| self.engine.table().get(slot));
        if let Some(marks) = row.and_then(|row| Marks::of(&row.definition().checks)) {
            self.marks.insert(process, marks);
        }
        if let Some(mut survivor) = self.hands.survivors.remove(&instance) {
            self.children.attach(process, &survivor);
            if let Some(socket) = survivor.take_notify() {
                let mailbox = self.hands.mailbox.clone();
                // Without its socket it is not ready before the time for that is over.
                if let Ok(mut listening) = listen(process, survivor.run(), Some(socket), mailbox) {
                    listening.started(self.children.pid(process));
                    self.listening.insert(process, listening);
                }
            }
            return self.hands.spawner.attach(process, survivor);
        }
        let leftover = self.hands.leftovers.remove(&instance);
        let mut leftover = leftover.expect("the engine was told of just these");
        self.children.adopt(process, &mut leftover);
        if self.hands.door.is_some() {
            self.follow_survivor(process, &leftover);
        }
        self.hands.spawner.adopt(process, leftover);
    }

    /// What a Patrol server has to know of a process that it did not start itself.
    fn follow_survivor(&mut self, process: ProcessRef, leftover: &Leftover) {
        let row =
            self.engine.table().current(process).and_then(|slot| self.engine.table().get(slot));
        let tracks = |row: &&Instance| row.definition().liveness.tracks();
        if let Some(row) = row.filter(tracks) {
            self.followed.insert(process, variable(row.definition()));
        }
        if let Some(identity) = leftover.identity() {
            self.hands.mailbox.fact(Notice::Fact(Input::PidTold { process, identity }));
        }
    }

    fn signal(&mut self, process: ProcessRef, scope: Scope, signal: process::Signal) {
        if let Some(identity) = self.tracked.get(&process)
            && !self.children.is_running(process, identity.pid)
        {
            signal_tracked(*identity, scope, signal);
            if scope == Scope::Leader {
                return;
            }
        }
        let run = self.engine.run_of(process);
        match self.children.signal((process, run), scope, signal) {
            Signaled::Sent => {}
            Signaled::Held(reason) => {
                self.hands.mailbox.fact(Notice::Fact(Input::KillFailed { process, reason }));
            }
            Signaled::Over => self.hands.spawner.gone(process),
        }
    }
}

/// Waits until a pause is called off, which is true, or all readers pause, once.
async fn news_of(leaving: &mut Option<Leaving>, readers: &Gate) -> bool {
    let Some(Leaving { freeze, is_quiet }) = leaving else { return std::future::pending().await };
    tokio::select! {
        () = freeze.frozen.closed() => true,
        () = readers.is_clear(), if !*is_quiet => {
            *is_quiet = true;
            false
        }
    }
}

/// Forwards lines of output to standard output, each with whose it is (Contract §7).
fn forward(stdout: &Console, run: &LogRun) {
    let tail = format!(" [{}]\n", run.instance);
    stdout.write_lines(run.lines(), |out, (_, line)| {
        out.extend_from_slice(run.batch.text_of(line));
        if line.cut_bytes > 0 {
            out.extend_from_slice(format!(" … ({} bytes cut)", line.cut_bytes).as_bytes());
        }
        out.extend_from_slice(tail.as_bytes());
    });
}
