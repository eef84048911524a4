//! The whole engine as plain data, and back: a trace begins with it.
//!
//! What is shared stays shared: whether a change has its instance's own definition or another one
//! with the same content makes a difference. Rendered JSON is not kept, it can be rendered again.
//! What it is checked for on its way back is what the engine takes for granted; a trace comes from
//! a file.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::revisions::RevisionsV1;
use super::runs::FactsV1;
use crate::backoff::Backoff;
use crate::codec::{Decode, Encode};
use crate::counters::{Counter, Counters, Metrics, Totals};
use crate::engine::Engine;
use crate::engine::commits::{Change, Commit, Commits};
use crate::engine::dials::Dials;
use crate::engine::frozen::numbers::{count, nth, number_of, small};
use crate::engine::life::Life;
use crate::engine::outbox::Outbox;
use crate::engine::supervisor::Processes;
use crate::engine::timers::{TimerReason, Timers};
use crate::formats::{
    DefinitionV1, Masks, MasterV1, action_number, into_url, key_bytes, nth_action, star_key,
};
use crate::ids::{EventId, Generation, KeyEpoch, RecordSeq, RequestId, SlotId, StoreEpoch};
use crate::instance::{Definition, Goal, Instance, Operation, OperationKind, State, Table};
use crate::time::{Time, Wall};

#[derive(Encode, Decode)]
pub(crate) struct EngineV1 {
    master: MasterV1,
    key_epoch: u32,
    /// Every definition, once; elsewhere they are named by their place here.
    definitions: Vec<DefinitionV1>,
    slots: Vec<Option<InstanceV1>>,
    free: Vec<u32>,
    last_generation: u64,
    alive: u64,
    commits: CommitsV1,
    dials: [Vec<(u64, String)>; 2],
    timers: Vec<(u64, TimerV1)>,
    life: u8,
    rng: ([u8; 32], u64, u128),
    next_event: u64,
    last_event_time: u64,
}

#[derive(Encode, Decode)]
struct InstanceV1 {
    definition: u32,
    staged: Option<u32>,
    unsaved: (u32, u32),
    state: u8,
    generation: u64,
    gauges: [i32; 5],
    counters: [[u64; 3]; 4],
    totals_unsaved: bool,
    last_checkpoint: Option<u64>,
    healthy_since: Option<u64>,
    restart_attempts: u32,
    start_after_stop: bool,
    is_wanted_down: bool,
    steps_done: u8,
    restarts: Vec<u64>,
    gave_up: bool,
    group_left: bool,
    operations: Vec<OperationV1>,
    awaiting_start: Vec<u64>,
    facts: FactsV1,
}

#[derive(Encode, Decode)]
struct OperationV1 {
    request: u64,
    /// The URL of a PUT; none is a DELETE.
    replace: Option<String>,
    committing: bool,
    starts: bool,
}

#[derive(Encode, Decode)]
struct CommitsV1 {
    epoch: u32,
    last_seq: u64,
    queue: Vec<(u64, u64, ChangeV1)>,
    staged_master: Option<MasterV1>,
}

#[derive(Encode, Decode)]
enum ChangeV1 {
    Create(u32),
    Patch(u32, u32, Option<u8>),
    Replace(u32, u32),
    Delete(u32),
    SetAlias(String),
    RotateKey(u32),
}

#[derive(Encode, Decode)]
enum TimerV1 {
    Tick,
    Grace(u32),
    Leftover(u32),
    Restart(u32),
    DialWait(u64),
    ShutdownLimit,
}

const LIVES: [Life; 3] = [Life::Serving, Life::ShuttingDown, Life::Finished];

impl Engine {
    /// The engine as it stands. Effects that were not taken out are not part of it.
    pub(crate) fn freeze(&self, masks: &mut Masks) -> (EngineV1, RevisionsV1) {
        let mut definitions = Definitions::default();
        let (rows, free) = self.table.parts();
        let slots = rows
            .iter()
            .map(|row| Some(InstanceV1::new(row.as_ref()?, &mut definitions, masks)))
            .collect();
        let commits = CommitsV1::new(&self.commits, &mut definitions, masks);
        let dial = |(request, target): (&RequestId, &String), masks: &mut Masks| {
            (request.0, masks.url(target))
        };
        let under_way = self.dials.under_way.iter().map(|one| dial(one, masks)).collect();
        let waiting = self.dials.waiting.iter().map(|(id, to)| dial((id, to), masks)).collect();
        let revisions = RevisionsV1::new(&self.table, &definitions.all);
        let engine = EngineV1 {
            master: MasterV1::new(&self.master, masks),
            key_epoch: self.key_epoch.0,
            definitions: definitions.all.iter().map(|one| DefinitionV1::new(one, masks)).collect(),
            slots,
            free: free.iter().map(|slot| slot.0).collect(),
            last_generation: self.processes.last_generation.0,
            alive: self.processes.alive as u64,
            commits,
            dials: [under_way, waiting],
            timers: self.timers.armed().map(|(at, why)| (at.as_micros(), why.into())).collect(),
            life: number_of(&LIVES, self.life),
            rng: (self.rng.get_seed(), self.rng.get_stream(), self.rng.get_word_pos()),
            next_event: self.out.next_event.0,
            last_event_time: self.out.last_event_time.as_micros(),
        };
        (engine, revisions)
    }

    /// The engine that was frozen.
    ///
    /// # Errors
    /// What no engine can have been.
    pub(crate) fn thaw(frozen: EngineV1, revisions: &RevisionsV1) -> Result<Self, String> {
        let definitions = frozen
            .definitions
            .into_iter()
            .enumerate()
            .map(|(place, one)| {
                let revision = revisions.of_definition(place)?;
                Ok(Arc::new(Definition { revision, ..one.into_definition()? }))
            })
            .collect::<Result<Vec<_>, String>>()?;
        let slots = frozen
            .slots
            .into_iter()
            .map(|row| row.map(|row| row.thaw(&definitions, revisions)).transpose())
            .collect::<Result<Vec<_>, _>>()?;
        let with_process = |row: &&Option<Instance>| {
            row.as_ref().is_some_and(|instance| instance.state.has_process())
        };
        let alive = usize::try_from(count(frozen.alive)?).unwrap_or(usize::MAX);
        if alive < slots.iter().filter(with_process).count() {
            return Err("there are fewer processes than instances that have one".into());
        }
        let free = frozen.free.into_iter().map(SlotId).collect();
        let table = Table::restored(slots, free).ok_or("the table contradicts itself")?;
        let commits = frozen.commits.thaw(&definitions, &table)?;
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
        Ok(Self {
            master: frozen.master.into_master()?,
            key_epoch: KeyEpoch(small(frozen.key_epoch)?),
            table,
            processes: Processes {
                last_generation: Generation(count(frozen.last_generation)?),
                alive,
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
            },
        })
    }
}

/// Every definition once, in the order they were first met.
#[derive(Default)]
struct Definitions {
    all: Vec<Arc<Definition>>,
    places: BTreeMap<usize, u32>,
}

impl Definitions {
    fn place(&mut self, definition: &Arc<Definition>) -> u32 {
        let address = Arc::as_ptr(definition).addr();
        *self.places.entry(address).or_insert_with(|| {
            self.all.push(Arc::clone(definition));
            u32::try_from(self.all.len() - 1).expect("fewer definitions than 2^32")
        })
    }
}

impl InstanceV1 {
    fn new(instance: &Instance, definitions: &mut Definitions, masks: &mut Masks) -> Self {
        let operations = instance.operations.iter();
        Self {
            definition: definitions.place(&instance.definition),
            staged: instance.staged.as_ref().map(|staged| definitions.place(staged)),
            unsaved: (instance.unsaved_records, instance.unsaved_resets),
            state: number_of(&State::ALL, instance.state),
            generation: instance.generation.0,
            gauges: gauges(instance),
            counters: counters(instance),
            totals_unsaved: instance.totals_unsaved,
            last_checkpoint: instance.last_checkpoint.map(Time::as_micros),
            healthy_since: instance.healthy_since.map(Time::as_micros),
            restart_attempts: instance.backoff.attempts,
            start_after_stop: instance.desired.restart,
            is_wanted_down: instance.desired.goal == Goal::Down,
            steps_done: instance.steps_done,
            restarts: instance.restarts.iter().map(|at| at.as_micros()).collect(),
            gave_up: instance.gave_up,
            group_left: instance.group_left,
            operations: operations.map(|operation| OperationV1::new(operation, masks)).collect(),
            awaiting_start: instance.awaiting_start.iter().map(|request| request.0).collect(),
            facts: FactsV1::new(&instance.facts, masks),
        }
    }

    fn thaw(
        self,
        definitions: &[Arc<Definition>],
        revisions: &RevisionsV1,
    ) -> Result<Instance, String> {
        let [mode, ping, pool, tcps, udps] = self.gauges;
        let [tcprx, tcptx, udprx, udptx] = self.counters;
        let operations = self.operations.into_iter().map(|one| one.thaw(revisions));
        let definition = nth(definitions, self.definition)?;
        let mut instance = Instance::new(Arc::clone(definition), mode, Totals::default());
        instance.staged = self.staged.map(|place| nth(definitions, place).cloned()).transpose()?;
        instance.unsaved_records = small(self.unsaved.0)?;
        instance.unsaved_resets = small(self.unsaved.1)?;
        instance.state = *nth(&State::ALL, self.state)?;
        instance.generation = Generation(self.generation);
        instance.metrics = Metrics { mode, ping, pool, tcps, udps };
        instance.counters = Counters {
            tcprx: counter(tcprx)?,
            tcptx: counter(tcptx)?,
            udprx: counter(udprx)?,
            udptx: counter(udptx)?,
        };
        instance.totals_unsaved = self.totals_unsaved;
        instance.last_checkpoint = self.last_checkpoint.map(Time::from_micros);
        instance.healthy_since = self.healthy_since.map(Time::from_micros);
        instance.backoff = Backoff { attempts: self.restart_attempts };
        instance.desired.goal = if self.is_wanted_down { Goal::Down } else { Goal::Up };
        instance.desired.restart = self.start_after_stop;
        instance.steps_done = self.steps_done;
        instance.restarts = self.restarts.into_iter().map(Time::from_micros).collect();
        instance.gave_up = self.gave_up;
        instance.group_left = self.group_left;
        instance.operations = operations.collect::<Result<_, _>>()?;
        instance.awaiting_start = self.awaiting_start.into_iter().map(RequestId).collect();
        instance.facts = self.facts.thaw()?;
        Ok(instance)
    }
}

impl OperationV1 {
    fn new(operation: &Operation, masks: &mut Masks) -> Self {
        let Operation { request, expect: _, kind, committing, starts } = operation;
        let replace = match kind {
            OperationKind::Replace(url) => Some(masks.url(url.as_str())),
            OperationKind::Delete => None,
        };
        Self { request: request.0, replace, committing: *committing, starts: *starts }
    }

    fn thaw(self, revisions: &RevisionsV1) -> Result<Operation, String> {
        let Self { request, replace, committing, starts } = self;
        let kind = match replace {
            Some(url) => OperationKind::Replace(into_url(&url)?),
            None => OperationKind::Delete,
        };
        let request = RequestId(request);
        let expect = revisions.expected_by(request);
        Ok(Operation { request, expect, kind, committing, starts })
    }
}

impl CommitsV1 {
    fn new(commits: &Commits, definitions: &mut Definitions, masks: &mut Masks) -> Self {
        let queue = commits.queue.iter().map(|Commit { seq, request, change }| {
            let change = match change {
                Change::Create(definition) => ChangeV1::Create(definitions.place(definition)),
                Change::Patch { slot, definition, action } => {
                    let action = action.map(action_number);
                    ChangeV1::Patch(slot.0, definitions.place(definition), action)
                }
                Change::Replace { slot, definition } => {
                    ChangeV1::Replace(slot.0, definitions.place(definition))
                }
                Change::Delete(slot) => ChangeV1::Delete(slot.0),
                Change::SetAlias(alias) => ChangeV1::SetAlias(masks.text(alias)),
                Change::RotateKey(key) => ChangeV1::RotateKey(key_bytes(key)),
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

    fn thaw(self, definitions: &[Arc<Definition>], table: &Table) -> Result<Commits, String> {
        let mut reserved = BTreeSet::new();
        let mut queue = VecDeque::new();
        for (seq, request, change) in self.queue {
            let definition = |place| nth(definitions, place).cloned();
            let change = match change {
                ChangeV1::Create(place) => {
                    let definition = definition(place)?;
                    if table.find(definition.id).is_some() || !reserved.insert(definition.id) {
                        return Err("an instance is created twice".into());
                    }
                    Change::Create(definition)
                }
                ChangeV1::Patch(slot, place, action) => Change::Patch {
                    slot: SlotId(slot),
                    definition: definition(place)?,
                    action: action.map(nth_action).transpose()?,
                },
                ChangeV1::Replace(slot, place) => {
                    Change::Replace { slot: SlotId(slot), definition: definition(place)? }
                }
                ChangeV1::Delete(slot) => Change::Delete(SlotId(slot)),
                ChangeV1::SetAlias(alias) => Change::SetAlias(alias),
                ChangeV1::RotateKey(bytes) => Change::RotateKey(star_key(bytes)?),
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

impl From<TimerReason> for TimerV1 {
    fn from(reason: TimerReason) -> Self {
        match reason {
            TimerReason::Tick => Self::Tick,
            TimerReason::StopStep(slot) => Self::Grace(slot.0),
            TimerReason::Leftover(slot) => Self::Leftover(slot.0),
            TimerReason::Restart(slot) => Self::Restart(slot.0),
            TimerReason::DialWait(request) => Self::DialWait(request.0),
            TimerReason::ShutdownLimit => Self::ShutdownLimit,
        }
    }
}

impl From<TimerV1> for TimerReason {
    fn from(reason: TimerV1) -> Self {
        match reason {
            TimerV1::Tick => Self::Tick,
            TimerV1::Grace(slot) => Self::StopStep(SlotId(slot)),
            TimerV1::Leftover(slot) => Self::Leftover(SlotId(slot)),
            TimerV1::Restart(slot) => Self::Restart(SlotId(slot)),
            TimerV1::DialWait(request) => Self::DialWait(RequestId(request)),
            TimerV1::ShutdownLimit => Self::ShutdownLimit,
        }
    }
}

pub(super) fn gauges(instance: &Instance) -> [i32; 5] {
    let Metrics { mode, ping, pool, tcps, udps } = instance.metrics;
    [mode, ping, pool, tcps, udps]
}

fn counter([base, reset_point, last_raw]: [u64; 3]) -> Result<Counter, String> {
    if reset_point > last_raw {
        return Err("a counter was reset beyond its value".into());
    }
    Ok(Counter { base, reset_point, last_raw })
}

pub(super) fn counters(instance: &Instance) -> [[u64; 3]; 4] {
    let Counters { tcprx, tcptx, udprx, udptx } = instance.counters;
    [tcprx, tcptx, udprx, udptx].map(|one| [one.base, one.reset_point, one.last_raw])
}
