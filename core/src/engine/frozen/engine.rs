//! Converts the whole engine to plain data and back, for the start of a trace.
//!
//! Rendered JSON is not included, because it can be rendered again. When it is converted back,
//! everything that the engine assumes is checked, because a trace comes from a file.

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::backoff::Backoff;
use crate::counters::Metrics;
use crate::engine::Engine;
use crate::engine::commits::{Change, Commit, Commits};
use crate::engine::dials::Dials;
use crate::engine::frozen::numbers::{count, nth, number_of, small};
use crate::engine::frozen::presence::run_of;
use crate::engine::life::Life;
use crate::engine::links::Links;
use crate::engine::outbox::Outbox;
use crate::engine::reload::Reload;
use crate::engine::supervisor::Processes;
use crate::engine::timers::{TimerReason, Timers};
use crate::engine::webhooks::Webhooks;
use crate::engine::zones::Zones;
use crate::formats::v2::definition::{DefinitionV2, DesiredV2};
use crate::formats::v2::engine::{
    BatchesV2, ChangeV2, CommitsV2, EngineV2, FactsV2, HealthV2, InstanceV2, MasterV1, OperationV2,
    ProcessStateV2, ReadinessV2, TimerV2, WatchingV2,
};
use crate::formats::v2::presence::{DesireV2, PresenceV2};
use crate::formats::{
    FormatError, Masks, action_number, counter_words, counters_of, expect_of, expected_by,
    into_url, key_bytes, nth_action, star_key,
};
use crate::ids::{
    EventId, Generation, InstanceId, KeyEpoch, RecordSeq, RequestId, RunId, SlotId, StoreEpoch,
};
use crate::instance::{
    Definition, Desired, Health, Instance, Operation, OperationKind, Process, Readiness, Snapshot,
    State, Table, Watching,
};
use crate::time::{Now, Time, Wall};
use crate::webhook::HookId;

const LIVES: [Life; 3] = [Life::Serving, Life::ShuttingDown, Life::Finished];

impl Engine {
    /// The current engine, without pending effects.
    pub(crate) fn freeze(&self, masks: &mut Masks) -> EngineV2 {
        let (rows, free) = self.table.parts();
        let slots = rows.iter().map(|row| Some(InstanceV2::new(row.as_ref()?, masks))).collect();
        let commits = CommitsV2::new(&self.commits, masks);
        let dial = |(request, target): (&RequestId, &String), masks: &mut Masks| {
            (request.0, masks.url(target))
        };
        let under_way = self.dials.under_way.iter().map(|one| dial(one, masks)).collect();
        let waiting = self.dials.waiting.iter().map(|(id, to)| dial((id, to), masks)).collect();
        EngineV2 {
            master: MasterV1::new(&self.master, masks),
            key_epoch: self.key_epoch.0,
            slots,
            free: free.iter().map(|slot| slot.0).collect(),
            last_generation: self.processes.last_generation.0,
            alive: self.processes.alive as u64,
            has_leases: self.processes.has_leases,
            commits,
            dials: [under_way, waiting],
            timers: self.timers.armed().map(|(at, why)| (at.as_micros(), why.into())).collect(),
            life: number_of(&LIVES, self.life),
            rng: (self.rng.get_seed(), self.rng.get_stream(), self.rng.get_word_pos()),
            next_event: self.out.next_event.0,
            last_event_time: self.out.last_event_time.as_micros(),
            reload: self.reload.as_ref().map(|reload| masked(reload, masks)),
            batches: BatchesV2::new(&self.out.batches, masks),
            ahead: self.links.frozen_order(),
            zones: self.zones.freeze(),
            webhooks: self.webhooks.freeze(masks),
        }
    }

    /// The engine that was frozen.
    ///
    /// # Errors
    /// What no engine can have been.
    pub(crate) fn thaw(frozen: EngineV2) -> Result<Self, FormatError> {
        let slots = frozen
            .slots
            .into_iter()
            .map(|row| row.map(InstanceV2::thaw).transpose())
            .collect::<Result<Vec<_>, _>>()?;
        let with_process = |row: &&Option<Instance>| {
            // The processes of a service are not the master's.
            row.as_ref().is_some_and(|instance| {
                instance.state().has_process() && !instance.definition().is_service()
            })
        };
        let alive = usize::try_from(count(frozen.alive)?).unwrap_or(usize::MAX);
        if alive < slots.iter().filter(with_process).count() {
            return Err(FormatError::Contradiction(
                "there are fewer processes than instances that have one",
            ));
        }
        let free = frozen.free.into_iter().map(SlotId).collect();
        let table = Table::restored(slots, free)
            .ok_or(FormatError::Contradiction("the table contradicts itself"))?;
        let commits = frozen.commits.thaw(&table)?;
        let mut timers = Timers::default();
        for (at, reason) in frozen.timers {
            timers.arm(reason.into(), Time::from_micros(count(at)?));
        }
        let (seed, stream, position) = frozen.rng;
        let mut rng = ChaCha8Rng::from_seed(seed);
        rng.set_stream(stream);
        rng.set_word_pos(position);
        let dial = |(request, target)| (RequestId(request), target);
        let [under_way, waiting] = frozen.dials;
        let mut engine = Self {
            master: frozen.master.into_master()?,
            key_epoch: KeyEpoch(small(frozen.key_epoch)?),
            table,
            processes: Processes {
                last_generation: Generation(count(frozen.last_generation)?),
                alive,
                has_leases: frozen.has_leases,
            },
            commits,
            dials: Dials {
                under_way: under_way.into_iter().map(dial).collect(),
                waiting: waiting.into_iter().map(dial).collect(),
            },
            timers,
            life: *nth(&LIVES, frozen.life)?,
            rng,
            out: Outbox {
                effects: VecDeque::new(),
                next_event: EventId(count(frozen.next_event)?),
                last_event_time: Wall::from_micros(frozen.last_event_time),
                batches: frozen.batches.thaw()?,
            },
            reload: frozen.reload.map(reload).transpose()?,
            zones: Zones::thaw(frozen.zones),
            webhooks: Webhooks::thaw(frozen.webhooks)?,
            links: Links::default(),
        };
        // What is about to stop is not ready: the links need to know it.
        engine.operations(Now::default()).restore_order(frozen.ahead);
        engine.link_all(Now::default());
        Ok(engine)
    }
}

impl InstanceV2 {
    fn new(instance: &Instance, masks: &mut Masks) -> Self {
        let snapshot = Snapshot::from(instance);
        let State { process, health } = snapshot.state;
        let operations = snapshot.operations.iter();
        let Metrics { mode, ping, pool, tcps, udps } = snapshot.metrics;
        let is_configured = snapshot.definition.is_configured();
        Self {
            definition: DefinitionV2::masked(&snapshot.definition, masks),
            staged: snapshot.staged.map(|one| DefinitionV2::masked(&one, masks)),
            unsaved: (snapshot.unsaved_records, snapshot.unsaved_resets),
            desired: DesiredV2::masked(&snapshot.desired, masks),
            staged_goal: snapshot.staged_goal.map(Into::into),
            process: process_of(process),
            health: health_of(health),
            generation: snapshot.generation.0,
            gauges: [mode, ping, pool, tcps, udps],
            counters: counter_words(&snapshot.counters),
            totals_unsaved: snapshot.totals_unsaved,
            last_checkpoint: snapshot.last_checkpoint.map(Time::as_micros),
            interval_ms: snapshot.interval_ms,
            run: snapshot.run.map(|run| run.0),
            healthy_since: snapshot.healthy_since.map(Time::as_micros),
            restart_attempts: snapshot.backoff.attempts,
            steps_done: snapshot.steps_done,
            restarts: snapshot.restarts.iter().map(|at| at.as_micros()).collect(),
            gave_up: snapshot.gave_up,
            group_left: snapshot.group_left,
            operations: operations.map(|operation| OperationV2::new(operation, masks)).collect(),
            awaiting_start: snapshot.awaiting_start.iter().map(|request| request.0).collect(),
            facts: FactsV2::new(&snapshot.facts, masks),
            presence: is_configured.then(|| PresenceV2::new(&snapshot.presence, masks)),
            readiness: (&snapshot.readiness).into(),
            alarm: (&snapshot.alarm).into(),
            watching: WatchingV2::new(&snapshot.watching, masks),
        }
    }

    fn thaw(self) -> Result<Instance, FormatError> {
        let [mode, ping, pool, tcps, udps] = self.gauges;
        let operations = self.operations.into_iter().map(OperationV2::thaw);
        Ok(Instance::from(Snapshot {
            definition: thaw(self.definition)?,
            staged: self.staged.map(thaw).transpose()?,
            staged_goal: self.staged_goal.map(Into::into),
            unsaved_records: small(self.unsaved.0)?,
            unsaved_resets: small(self.unsaved.1)?,
            desired: self.desired.into(),
            state: state_of(self.process, self.health)?,
            generation: Generation(self.generation),
            steps_done: self.steps_done,
            restarts: self.restarts.into_iter().map(Time::from_micros).collect(),
            gave_up: self.gave_up,
            group_left: self.group_left,
            healthy_since: self.healthy_since.map(Time::from_micros),
            backoff: Backoff { attempts: self.restart_attempts },
            metrics: Metrics { mode, ping, pool, tcps, udps },
            counters: counters_of(self.counters)?,
            totals_unsaved: self.totals_unsaved,
            last_checkpoint: self.last_checkpoint.map(Time::from_micros),
            interval_ms: self.interval_ms,
            run: self.run.map(RunId),
            operations: operations.collect::<Result<_, _>>()?,
            awaiting_start: self.awaiting_start.into_iter().map(RequestId).collect(),
            facts: self.facts.thaw()?,
            presence: self.presence.map(PresenceV2::thaw).transpose()?.unwrap_or_default(),
            readiness: self.readiness.into(),
            alarm: self.alarm.into(),
            watching: self.watching.into(),
        }))
    }
}

type ReloadV2 = (Vec<(DefinitionV2, DesiredV2)>, bool);

fn masked(reload: &Reload, masks: &mut Masks) -> ReloadV2 {
    let one = |(definition, desired): &(Definition, Desired)| {
        (DefinitionV2::masked(definition, masks), DesiredV2::masked(desired, masks))
    };
    (reload.set.iter().map(one).collect(), reload.is_due)
}

fn reload((set, is_due): ReloadV2) -> Result<Reload, FormatError> {
    let one = |(definition, desired): (DefinitionV2, DesiredV2)| {
        Ok((definition.into_definition()?, desired.into()))
    };
    let set = set.into_iter().map(one).collect::<Result<Vec<_>, FormatError>>()?;
    Ok(Reload { set: Arc::new(set), is_due })
}

impl WatchingV2 {
    fn new(watching: &Watching, masks: &mut Masks) -> Self {
        let Watching { is_on, changed, cause } = watching;
        let changed = changed.as_ref();
        Self {
            is_on: *is_on,
            changed: changed.map(|(path, since)| (masks.prose(path), since.as_micros())),
            cause: cause.as_ref().map(|path| masks.prose(path)),
        }
    }
}

impl From<WatchingV2> for Watching {
    fn from(watching: WatchingV2) -> Self {
        let WatchingV2 { is_on, changed, cause } = watching;
        let changed = changed.map(|(path, since)| (path, Time::from_micros(since)));
        Self { is_on, changed, cause }
    }
}

impl From<&Readiness> for ReadinessV2 {
    fn from(readiness: &Readiness) -> Self {
        // The rest follows from the other instances.
        let &Readiness { met, done, asked, missed, failed_live, late, announced, .. } = readiness;
        Self { met, done, asked, missed, failed_live, late, announced }
    }
}

impl From<ReadinessV2> for Readiness {
    fn from(readiness: ReadinessV2) -> Self {
        let ReadinessV2 { met, done, asked, missed, failed_live, late, announced } = readiness;
        Self { met, done, asked, missed, failed_live, late, announced, ..Self::default() }
    }
}

fn thaw(definition: DefinitionV2) -> Result<Arc<Definition>, FormatError> {
    definition.into_definition().map(Arc::new)
}

const fn process_of(process: Process) -> ProcessStateV2 {
    match process {
        Process::Absent => ProcessStateV2::Absent,
        Process::Spawning => ProcessStateV2::Spawning,
        Process::Cancelled => ProcessStateV2::Cancelled,
        Process::Live => ProcessStateV2::Live,
        Process::Ending => ProcessStateV2::Ending,
    }
}

const fn health_of(health: Health) -> HealthV2 {
    match health {
        Health::Unknown => HealthV2::Unknown,
        Health::Well => HealthV2::Well,
        Health::Failing => HealthV2::Failing,
        Health::Failed => HealthV2::Failed,
    }
}

fn state_of(process: ProcessStateV2, health: HealthV2) -> Result<State, FormatError> {
    let process = match process {
        ProcessStateV2::Absent => Process::Absent,
        ProcessStateV2::Spawning => Process::Spawning,
        ProcessStateV2::Cancelled => Process::Cancelled,
        ProcessStateV2::Live => Process::Live,
        ProcessStateV2::Ending => Process::Ending,
    };
    let health = match health {
        HealthV2::Unknown => Health::Unknown,
        HealthV2::Well => Health::Well,
        HealthV2::Failing => Health::Failing,
        HealthV2::Failed => Health::Failed,
    };
    let state = State { process, health };
    let is_known = State::ALL.contains(&state);
    is_known
        .then_some(state)
        .ok_or(FormatError::Contradiction("a process and its health do not fit"))
}

impl OperationV2 {
    fn new(operation: &Operation, masks: &mut Masks) -> Self {
        let Operation { request, expect, kind, committing, starts } = operation;
        let (replace, redefine) = match kind {
            OperationKind::Replace(url) => (Some(masks.url(url.as_str())), None),
            OperationKind::Redefine(definition) => {
                (None, Some(DefinitionV2::masked(definition, masks)))
            }
            OperationKind::Delete => (None, None),
        };
        let (expected, committing, starts) = (expected_by(expect), *committing, *starts);
        Self { request: request.0, expected, replace, redefine, committing, starts }
    }

    fn thaw(self) -> Result<Operation, FormatError> {
        let Self { request, expected, replace, redefine, committing, starts } = self;
        let kind = match (redefine, replace) {
            (Some(definition), _) => OperationKind::Redefine(thaw(definition)?),
            (None, Some(url)) => OperationKind::Replace(into_url(&url)?),
            (None, None) => OperationKind::Delete,
        };
        let (request, expect) = (RequestId(request), expect_of(expected));
        Ok(Operation { request, expect, kind, committing, starts })
    }
}

impl CommitsV2 {
    fn new(commits: &Commits, masks: &mut Masks) -> Self {
        let queue = commits.queue.iter().map(|Commit { seq, request, change }| {
            let change = match change {
                Change::Create(definition) => {
                    ChangeV2::Create(DefinitionV2::masked(definition, masks))
                }
                Change::Patch { slot, definition, action, goal } => {
                    let definition = DefinitionV2::masked(definition, masks);
                    ChangeV2::Patch(slot.0, definition, action.map(action_number), (*goal).into())
                }
                Change::Replace { slot, definition } => {
                    ChangeV2::Replace(slot.0, DefinitionV2::masked(definition, masks))
                }
                Change::Delete(slot) => ChangeV2::Delete(slot.0),
                Change::Configure(definition, desired) => ChangeV2::Configure(
                    DefinitionV2::masked(definition, masks),
                    DesiredV2::masked(desired, masks),
                ),
                Change::Desire { slot, desire, is_stale } => {
                    ChangeV2::Desire(slot.0, DesireV2::masked(desire, masks), *is_stale)
                }
                Change::Shown { slot, run } => {
                    ChangeV2::Shown(slot.0, run.as_deref().map(|run| run_of(run, masks)))
                }
                Change::SetAlias(alias) => ChangeV2::SetAlias(masks.text(alias)),
                Change::RotateKey(key) => ChangeV2::RotateKey(key_bytes(key)),
            };
            (seq.0, request.0, change)
        });
        Self {
            epoch: commits.epoch.0,
            last_seq: commits.last_seq.0,
            queue: queue.collect(),
            staged_master: commits.staged_master.as_ref().map(|one| MasterV1::new(one, masks)),
        }
    }

    fn thaw(self, table: &Table) -> Result<Commits, FormatError> {
        let mut reserved = BTreeSet::new();
        let mut queue = VecDeque::new();
        for (seq, request, change) in self.queue {
            let change = match change {
                ChangeV2::Create(definition) => {
                    Change::Create(reserve(definition, table, &mut reserved)?)
                }
                ChangeV2::Configure(definition, desired) => {
                    let definition = reserve(definition, table, &mut reserved)?;
                    Change::Configure(definition, Arc::new(desired.into()))
                }
                ChangeV2::Desire(slot, desire, is_stale) => {
                    let desire = Box::new(desire.into_desire()?);
                    Change::Desire { slot: SlotId(slot), desire, is_stale }
                }
                ChangeV2::Shown(slot, run) => {
                    let run = run.map(|run| Arc::new(run.into()));
                    Change::Shown { slot: SlotId(slot), run }
                }
                ChangeV2::Patch(slot, definition, action, goal) => Change::Patch {
                    slot: SlotId(slot),
                    definition: thaw(definition)?,
                    action: action.map(nth_action).transpose()?,
                    goal: goal.into(),
                },
                ChangeV2::Replace(slot, definition) => {
                    Change::Replace { slot: SlotId(slot), definition: thaw(definition)? }
                }
                ChangeV2::Delete(slot) => Change::Delete(SlotId(slot)),
                ChangeV2::SetAlias(alias) => Change::SetAlias(alias),
                ChangeV2::RotateKey(bytes) => Change::RotateKey(star_key(bytes)?),
            };
            queue.push_back(Commit { seq: RecordSeq(seq), request: RequestId(request), change });
        }
        Ok(Commits {
            epoch: StoreEpoch(small(self.epoch)?),
            last_seq: RecordSeq(count(self.last_seq)?),
            queue,
            reserved,
            staged_master: self.staged_master.map(MasterV1::into_master).transpose()?,
        })
    }
}

/// The definition of an instance that is being created, whose id no other one has.
fn reserve(
    definition: DefinitionV2,
    table: &Table,
    reserved: &mut BTreeSet<InstanceId>,
) -> Result<Arc<Definition>, FormatError> {
    let definition = thaw(definition)?;
    if table.find(definition.id).is_some() || !reserved.insert(definition.id) {
        return Err(FormatError::Contradiction("an instance is created twice"));
    }
    Ok(definition)
}

impl From<TimerReason> for TimerV2 {
    fn from(reason: TimerReason) -> Self {
        match reason {
            TimerReason::Tick => Self::Tick,
            TimerReason::StopStep(slot) => Self::Grace(slot.0),
            TimerReason::Leftover(slot) => Self::Leftover(slot.0),
            TimerReason::Restart(slot) => Self::Restart(slot.0),
            TimerReason::DialWait(request) => Self::DialWait(request.0),
            TimerReason::ShutdownLimit => Self::ShutdownLimit,
            TimerReason::Look(slot) => Self::Look(slot.0),
            TimerReason::BeatDue(slot) => Self::BeatDue(slot.0),
            TimerReason::Hold(slot) => Self::Hold(slot.0),
            TimerReason::RunLimit(slot) => Self::RunLimit(slot.0),
            TimerReason::Ready(slot) => Self::Ready(slot.0),
            TimerReason::Live(slot) => Self::Live(slot.0),
            TimerReason::ShutdownOrder => Self::ShutdownOrder,
            TimerReason::ReadyLimit(slot) => Self::ReadyLimit(slot.0),
            TimerReason::Schedule(slot) => Self::Schedule(slot.0),
            TimerReason::Recovered(slot) => Self::Recovered(slot.0),
            TimerReason::FilesChanged(slot) => Self::FilesChanged(slot.0),
            TimerReason::Redeliver(hook) => Self::Redeliver(hook.0),
        }
    }
}

impl From<TimerV2> for TimerReason {
    fn from(reason: TimerV2) -> Self {
        match reason {
            TimerV2::Tick => Self::Tick,
            TimerV2::Grace(slot) => Self::StopStep(SlotId(slot)),
            TimerV2::Leftover(slot) => Self::Leftover(SlotId(slot)),
            TimerV2::Restart(slot) => Self::Restart(SlotId(slot)),
            TimerV2::DialWait(request) => Self::DialWait(RequestId(request)),
            TimerV2::ShutdownLimit => Self::ShutdownLimit,
            TimerV2::Look(slot) => Self::Look(SlotId(slot)),
            TimerV2::BeatDue(slot) => Self::BeatDue(SlotId(slot)),
            TimerV2::Hold(slot) => Self::Hold(SlotId(slot)),
            TimerV2::RunLimit(slot) => Self::RunLimit(SlotId(slot)),
            TimerV2::Ready(slot) => Self::Ready(SlotId(slot)),
            TimerV2::Live(slot) => Self::Live(SlotId(slot)),
            TimerV2::ShutdownOrder => Self::ShutdownOrder,
            TimerV2::ReadyLimit(slot) => Self::ReadyLimit(SlotId(slot)),
            TimerV2::Schedule(slot) => Self::Schedule(SlotId(slot)),
            TimerV2::Recovered(slot) => Self::Recovered(SlotId(slot)),
            TimerV2::FilesChanged(slot) => Self::FilesChanged(SlotId(slot)),
            TimerV2::Redeliver(hook) => Self::Redeliver(HookId(hook)),
        }
    }
}
