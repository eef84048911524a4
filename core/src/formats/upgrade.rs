//! From version 1 to version 2: the only step, for state files and traces.
//!
//! Frozen together with version 2. Version 1 had one launch, one policy except for `restart`, and
//! no revisions. Its assumptions are written here as numbers, and do not follow the defaults of
//! later versions.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::FormatError;
use super::v1::engine::{
    ChangeV1, CommitsV1, DefinitionV1, EngineV1, FactsV1, InstanceV1, OperationV1, TimerV1,
};
use super::v1::stored::{EntryV1, ImageV1, InstanceV1 as StoredInstanceV1, TotalsV1};
use super::v1::traced::{CallV1, HeaderV1, InputV1, RecordV1};
use super::v2::definition::{
    BootV2, DefinitionV2, DesiredV2, GoalV2, LaunchV2, LivenessV2, OnceV2, OriginV2, PolicyV2,
    RestartV2, ScopeV2, SetupV2, StopV2,
};
use super::v2::engine::{
    AlarmV2, BatchesV2, ChangeV2, CommitsV2, EngineV2, FactsV2, HealthV2, InstanceV2, OperationV2,
    ProcessStateV2, ReadinessV2, ReasonV2, TimerV2, WatchingV2,
};
use super::v2::stored::{EntryV2, PutInstanceV2, TotalsV2};
use super::v2::traced::{CallerV2, CommandV2, DoorV2, HeaderV2, InputV2, RecordV2, TrustV2};

/// TERM, KILL after 5 s.
const STOP_STEPS: [(u8, u64); 2] = [(15, 5_000), (9, 0)];
const BACKOFF_MS: [u64; 3] = [1_000, 60_000, 60_000];
const SILENCE_MS: u64 = 15_000;
const HISTORY: u16 = 10;

impl ImageV1 {
    /// The entries that make the same state.
    pub(crate) fn into_entries(self) -> Vec<EntryV2<'static>> {
        let instances = self.instances.into_iter();
        let instances = instances.map(|one| EntryV2::PutInstance(Box::new(one.into())));
        core::iter::once(EntryV2::PutMaster(self.master)).chain(instances).collect()
    }
}

impl From<EntryV1> for EntryV2<'_> {
    fn from(entry: EntryV1) -> Self {
        match entry {
            EntryV1::Put(instance) => Self::PutInstance(Box::new(instance.into())),
            EntryV1::Remove(id) => Self::RemoveInstance(id),
            EntryV1::Master(master) => Self::PutMaster(master),
            EntryV1::Totals(totals) => {
                Self::Totals(totals.into_iter().map(|(id, totals)| (id, totals.into())).collect())
            }
        }
    }
}

impl From<StoredInstanceV1> for PutInstanceV2 {
    fn from(instance: StoredInstanceV1) -> Self {
        let StoredInstanceV1 { id, url, alias, restart, peer, tags, totals } = instance;
        let definition = DefinitionV1 { id, url, alias, restart, peer, tags };
        Self { definition: definition.into(), desired: desired(), totals: totals.into() }
    }
}

impl From<TotalsV1> for TotalsV2 {
    /// Totals are the counts of earlier processes: no process of version 1 survives its master.
    fn from(totals: TotalsV1) -> Self {
        Self { mode: totals.mode, counters: totals.bytes.map(|bytes| [bytes, 0, 0]), run: None }
    }
}

/// No instance of version 1 is stopped for longer than its master lives.
const fn desired() -> DesiredV2 {
    DesiredV2 { goal: GoalV2::Up, once: OnceV2::No, restart: false, values: Vec::new(), cas: 0 }
}

impl From<DefinitionV1> for DefinitionV2 {
    fn from(definition: DefinitionV1) -> Self {
        let DefinitionV1 { id, url, alias, restart, peer, tags } = definition;
        // A line with `ERROR` in it has no meaning for a command of its own any more.
        let error_mark = !url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("exec:"));
        Self {
            id,
            revision: 1,
            label: None,
            origin: OriginV2::Api,
            alias,
            launch: LaunchV2::Runtime(url),
            setup: SetupV2 {
                user: None,
                group: None,
                umask: None,
                cwd: None,
                env: Vec::new(),
                clear_env: false,
                open_files: None,
                memory_bytes: None,
            },
            policy: PolicyV2 {
                restart: if restart { RestartV2::OnFailure } else { RestartV2::Never },
                limit: None,
                boot: BootV2::Restart,
                backoff_ms: BACKOFF_MS,
                prompt_ms: None,
                stop: StopV2 {
                    steps: STOP_STEPS.to_vec(),
                    scope: ScopeV2::Group,
                    restart_signal: None,
                },
                run_limit_ms: None,
                history: HISTORY,
                lease_ms: None,
            },
            liveness: LivenessV2::Checkpoint { silence_ms: SILENCE_MS, error_mark },
            clears_values: false,
            peer,
            tags,
        }
    }
}

impl TryFrom<HeaderV1> for HeaderV2 {
    type Error = FormatError;

    fn try_from(header: HeaderV1) -> Result<Self, FormatError> {
        let HeaderV1 { product, boot, sequence, started, has_text, engine } = header;
        let (engine, control) = (engine.try_into()?, None);
        Ok(Self { product, boot, sequence, started, has_text, engine, control })
    }
}

impl TryFrom<EngineV1> for EngineV2 {
    type Error = FormatError;

    fn try_from(engine: EngineV1) -> Result<Self, FormatError> {
        let definitions = Definitions(engine.definitions);
        let slot = |slot: Option<InstanceV1>| {
            slot.map(|instance| definitions.instance(instance)).transpose()
        };
        Ok(Self {
            master: engine.master,
            key_epoch: engine.key_epoch,
            slots: engine.slots.into_iter().map(slot).collect::<Result<_, _>>()?,
            free: engine.free,
            has_leases: false,
            last_generation: engine.last_generation,
            alive: engine.alive,
            commits: definitions.commits(engine.commits)?,
            dials: engine.dials,
            timers: engine.timers.into_iter().map(|(at, why)| (at, why.into())).collect(),
            life: engine.life,
            rng: engine.rng,
            next_event: engine.next_event,
            last_event_time: engine.last_event_time,
            reload: None,
            batches: BatchesV2::default(),
            ahead: Vec::new(),
            zones: Vec::new(),
            webhooks: Vec::new(),
        })
    }
}

/// The definitions of an engine of version 1, which are named by their places.
struct Definitions(Vec<DefinitionV1>);

impl Definitions {
    fn at(&self, place: u32) -> Result<DefinitionV2, FormatError> {
        let found = usize::try_from(place).ok().and_then(|place| self.0.get(place));
        found.cloned().map(Into::into).ok_or(FormatError::Missing("a definition"))
    }

    fn commits(&self, commits: CommitsV1) -> Result<CommitsV2, FormatError> {
        let CommitsV1 { epoch, last_seq, queue, staged_master } = commits;
        let commit = |(seq, request, change)| Ok((seq, request, self.change(change)?));
        let queue = queue.into_iter().map(commit).collect::<Result<_, FormatError>>()?;
        Ok(CommitsV2 { epoch, last_seq, queue, staged_master })
    }

    fn change(&self, change: ChangeV1) -> Result<ChangeV2, FormatError> {
        Ok(match change {
            ChangeV1::Create(place) => ChangeV2::Create(self.at(place)?),
            ChangeV1::Patch(slot, place, action) => {
                ChangeV2::Patch(slot, self.at(place)?, action, GoalV2::Up)
            }
            ChangeV1::Replace(slot, place) => ChangeV2::Replace(slot, self.at(place)?),
            ChangeV1::Delete(slot) => ChangeV2::Delete(slot),
            ChangeV1::SetAlias(alias) => ChangeV2::SetAlias(alias),
            ChangeV1::RotateKey(bytes) => ChangeV2::RotateKey(bytes),
        })
    }

    fn instance(&self, instance: InstanceV1) -> Result<InstanceV2, FormatError> {
        let (process, health) = match instance.state {
            0 => (ProcessStateV2::Absent, HealthV2::Unknown),
            1 => (ProcessStateV2::Spawning, HealthV2::Unknown),
            2 => (ProcessStateV2::Spawning, HealthV2::Failed),
            3 => (ProcessStateV2::Cancelled, HealthV2::Unknown),
            4 => (ProcessStateV2::Live, HealthV2::Well),
            5 => (ProcessStateV2::Live, HealthV2::Failing),
            6 => (ProcessStateV2::Ending, HealthV2::Well),
            7 => (ProcessStateV2::Ending, HealthV2::Failing),
            8 => (ProcessStateV2::Ending, HealthV2::Unknown),
            9 => (ProcessStateV2::Absent, HealthV2::Failed),
            _ => return Err(FormatError::Unknown("a state")),
        };
        // An instance that stops and is not started again was stopped by request, or waits for an
        // operation.
        let is_ending = matches!(process, ProcessStateV2::Cancelled | ProcessStateV2::Ending);
        let restart = instance.start_after_stop;
        let is_stopped = is_ending && !restart && instance.operations.is_empty();
        let goal = if is_stopped { GoalV2::Down } else { GoalV2::Up };
        let steps_done = u8::from(matches!(process, ProcessStateV2::Ending));
        Ok(InstanceV2 {
            definition: self.at(instance.definition)?,
            staged: instance.staged.map(|place| self.at(place)).transpose()?,
            unsaved: instance.unsaved,
            desired: DesiredV2 { goal, restart, ..desired() },
            staged_goal: None,
            process,
            health,
            generation: instance.generation,
            gauges: instance.gauges,
            counters: instance.counters,
            totals_unsaved: instance.totals_unsaved,
            last_checkpoint: instance.last_checkpoint,
            interval_ms: 0,
            run: None,
            healthy_since: instance.healthy_since,
            restart_attempts: instance.restart_attempts,
            steps_done,
            restarts: Vec::new(),
            gave_up: false,
            group_left: instance.group_left,
            operations: instance.operations.into_iter().map(Into::into).collect(),
            awaiting_start: instance.awaiting_start,
            facts: instance.facts.into(),
            presence: None,
            readiness: ReadinessV2::default(),
            alarm: AlarmV2::default(),
            watching: WatchingV2::default(),
        })
    }
}

impl From<TimerV1> for TimerV2 {
    fn from(reason: TimerV1) -> Self {
        match reason {
            TimerV1::Tick => Self::Tick,
            TimerV1::Grace(slot) => Self::Grace(slot),
            TimerV1::Leftover(slot) => Self::Leftover(slot),
            TimerV1::Restart(slot) => Self::Restart(slot),
            TimerV1::DialWait(request) => Self::DialWait(request),
            TimerV1::ShutdownLimit => Self::ShutdownLimit,
        }
    }
}

impl From<OperationV1> for OperationV2 {
    fn from(operation: OperationV1) -> Self {
        let OperationV1 { request, replace, committing, starts } = operation;
        Self { request, expected: None, replace, redefine: None, committing, starts }
    }
}

impl From<FactsV1> for FactsV2 {
    fn from(facts: FactsV1) -> Self {
        let FactsV1 { status, alive, counts, last_exit, next_restart } = facts;
        let (reason, limit_reached) = (ReasonV2::None, None);
        let (ready, waits_for) = (None, None);
        Self {
            status,
            alive,
            counts,
            last_exit,
            next_restart,
            reason,
            limit_reached,
            ready,
            waits_for,
            next_run: None,
        }
    }
}

impl From<RecordV1> for RecordV2 {
    fn from(record: RecordV1) -> Self {
        match record {
            RecordV1::Input { micros, wall_micros, effects, input } => {
                Self::Input { micros, wall_micros, effects, input: input.into() }
            }
            RecordV1::State(fingerprint) => Self::State(fingerprint),
        }
    }
}

impl From<InputV1> for InputV2 {
    fn from(input: InputV1) -> Self {
        match input {
            // The driver of version 1 had already checked the key.
            InputV1::Request(request, call) => {
                let caller = CallerV2 { door: DoorV2::V2, trust: TrustV2::Open };
                Self::Request(request, caller, call.into())
            }
            InputV1::Started(process) => Self::Started(process),
            InputV1::StartFailed(process, reason) => Self::StartFailed(process, reason),
            InputV1::Output(process, items, text) => Self::Output(process, items, text),
            InputV1::Exited(process, exit, group_left) => Self::Exited(process, exit, group_left),
            InputV1::Persisted(upto) => Self::Persisted(upto),
            InputV1::PersistFailed(epoch, reason) => Self::PersistFailed(epoch, reason),
            InputV1::Dialled(request, outcome) => Self::Dialled(request, outcome),
            InputV1::TimeAdvanced => Self::TimeAdvanced,
            InputV1::Shutdown => Self::Shutdown,
        }
    }
}

impl From<CallV1> for CommandV2 {
    fn from(call: CallV1) -> Self {
        let expected = None;
        match call {
            CallV1::SetAlias(alias) => Self::SetAlias(alias),
            CallV1::Create(url, alias) => Self::Create(url, alias),
            CallV1::Patch { id, alias, action, restart, meta } => {
                let meta = meta.map(Box::new);
                Self::Amend { id, expected, alias, action, restart, meta, policy: None }
            }
            CallV1::Replace(id, url) => Self::Replace { id, expected, url },
            CallV1::Delete(id) => Self::Remove { id, expected },
            CallV1::RotateKey(bytes) => Self::RotateKey(bytes),
            CallV1::Ping(target) => Self::Dial(target),
        }
    }
}
