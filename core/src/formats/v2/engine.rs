//! The whole engine as it stands in the header of a trace segment, version 2.

use alloc::string::String;
use alloc::vec::Vec;

use super::definition::{DefinitionV2, DesiredV2, GoalV2};
use super::presence::{DesireV2, PresenceV2};
use super::stored::RunV2;
use crate::codec::{Decode, Encode};
pub(crate) use crate::formats::v1::engine::{LastEndV1, MasterV1};

#[derive(Encode, Decode)]
pub(crate) struct EngineV2 {
    pub(crate) master: MasterV1,
    pub(crate) key_epoch: u32,
    pub(crate) slots: Vec<Option<InstanceV2>>,
    pub(crate) free: Vec<u32>,
    pub(crate) last_generation: u64,
    pub(crate) alive: u64,
    /// Whether a process may have a lease.
    pub(crate) has_leases: bool,
    pub(crate) commits: CommitsV2,
    pub(crate) dials: [Vec<(u64, String)>; 2],
    pub(crate) timers: Vec<(u64, TimerV2)>,
    pub(crate) life: u8,
    pub(crate) rng: ([u8; 32], u64, u128),
    pub(crate) next_event: u64,
    pub(crate) last_event_time: u64,
    /// The configuration that was read last, and whether it is still to be applied.
    pub(crate) reload: Option<(Vec<(DefinitionV2, DesiredV2)>, bool)>,
    pub(crate) batches: BatchesV2,
    /// Of each slot that is stopped in order: those that exit before it.
    pub(crate) ahead: Vec<(u32, Vec<u32>)>,
    /// The time zones of schedules, by name.
    pub(crate) zones: Vec<(String, ZoneV2)>,
    pub(crate) webhooks: Vec<HookV2>,
}

/// A webhook.
#[derive(Encode, Decode)]
pub(crate) struct HookV2 {
    /// What it reports: a bit for each occasion.
    pub(crate) wants: u8,
    pub(crate) waiting: Vec<DeliveryV2>,
    pub(crate) tries: u32,
    pub(crate) is_under_way: bool,
    /// Delivered, failed and discarded.
    pub(crate) counts: [u64; 3],
    pub(crate) failure: Option<String>,
}

#[derive(Encode, Decode)]
pub(crate) struct DeliveryV2 {
    pub(crate) id: u64,
    /// Error, recovered, flapping, ready: 0 to 3.
    pub(crate) occasion: u8,
    pub(crate) time: u64,
    pub(crate) instance: u32,
    pub(crate) alias: String,
    pub(crate) kind: String,
    pub(crate) tags: Vec<(String, String)>,
    /// The status: stopped, running, error, 0 to 2.
    pub(crate) status: u8,
    pub(crate) reason: String,
    pub(crate) restarts: u64,
}

/// What an instance knows of the files that it is restarted for.
#[derive(Default, Encode, Decode)]
pub(crate) struct WatchingV2 {
    pub(crate) is_on: bool,
    /// The first change, and when it was reported.
    pub(crate) changed: Option<(String, u64)>,
    pub(crate) cause: Option<String>,
}

/// What webhooks know of an instance.
#[derive(Default, Encode, Decode)]
pub(crate) struct AlarmV2 {
    pub(crate) in_error: bool,
    pub(crate) is_flapping: bool,
    pub(crate) is_well: bool,
    pub(crate) is_known: bool,
    pub(crate) restarts: Vec<u64>,
}

#[derive(Encode, Decode)]
pub(crate) enum ZoneV2 {
    Asked,
    Missing,
    /// The first offset, and the later ones with the time that they begin at.
    Offsets(i32, Vec<(u64, i32)>),
}

/// Actions on many instances that are not answered yet.
#[derive(Default, Encode, Decode)]
pub(crate) struct BatchesV2 {
    pub(crate) last_part: u64,
    pub(crate) open: Vec<BatchV2>,
}

#[derive(Encode, Decode)]
pub(crate) struct BatchV2 {
    pub(crate) request: u64,
    /// The number of the action.
    pub(crate) action: u8,
    /// Each instance, with its part or its result.
    pub(crate) items: Vec<(u32, PartV2)>,
}

#[derive(Encode, Decode)]
pub(crate) enum PartV2 {
    /// The id of the part.
    Missing(u64),
    /// The status: stopped, running, error, 0 to 2.
    Done(u8),
    NoInstance,
    Configured,
    ShuttingDown,
    NotDurable(String),
}

#[derive(Encode, Decode)]
pub(crate) struct InstanceV2 {
    pub(crate) definition: DefinitionV2,
    pub(crate) staged: Option<DefinitionV2>,
    pub(crate) unsaved: (u32, u32),
    pub(crate) desired: DesiredV2,
    /// The goal of the newest record on its way.
    pub(crate) staged_goal: Option<GoalV2>,
    pub(crate) process: ProcessStateV2,
    pub(crate) health: HealthV2,
    pub(crate) generation: u64,
    pub(crate) gauges: [i32; 5],
    pub(crate) counters: [[u64; 3]; 4],
    pub(crate) totals_unsaved: bool,
    pub(crate) last_checkpoint: Option<u64>,
    pub(crate) interval_ms: u64,
    /// The run whose raw counts these are.
    pub(crate) run: Option<u128>,
    pub(crate) healthy_since: Option<u64>,
    pub(crate) restart_attempts: u32,
    /// How many steps of a stop were done.
    pub(crate) steps_done: u8,
    /// When restarts were that a limit counts, oldest first.
    pub(crate) restarts: Vec<u64>,
    pub(crate) gave_up: bool,
    pub(crate) group_left: bool,
    pub(crate) operations: Vec<OperationV2>,
    pub(crate) awaiting_start: Vec<u64>,
    pub(crate) facts: FactsV2,
    /// Only instances of a Patrol configuration have one.
    pub(crate) presence: Option<PresenceV2>,
    pub(crate) readiness: ReadinessV2,
    pub(crate) alarm: AlarmV2,
    pub(crate) watching: WatchingV2,
}

#[derive(Default, Encode, Decode)]
pub(crate) struct ReadinessV2 {
    pub(crate) met: bool,
    pub(crate) done: bool,
    pub(crate) asked: u32,
    pub(crate) missed: u32,
    pub(crate) failed_live: bool,
    pub(crate) late: bool,
    pub(crate) announced: bool,
}

#[derive(Encode, Decode)]
pub(crate) struct OperationV2 {
    pub(crate) request: u64,
    /// The revisions that the request takes; any if there are none.
    pub(crate) expected: Option<Vec<u64>>,
    /// The URL of a PUT; none is a DELETE.
    pub(crate) replace: Option<String>,
    /// A changed configuration; takes precedence.
    pub(crate) redefine: Option<DefinitionV2>,
    pub(crate) committing: bool,
    pub(crate) starts: bool,
}

#[derive(Encode, Decode)]
pub(crate) struct CommitsV2 {
    pub(crate) epoch: u32,
    pub(crate) last_seq: u64,
    pub(crate) queue: Vec<(u64, u64, ChangeV2)>,
    pub(crate) staged_master: Option<MasterV1>,
}

#[derive(Encode, Decode)]
pub(crate) enum ChangeV2 {
    Create(DefinitionV2),
    /// With the number of the action, and the goal that the record stores.
    Patch(u32, DefinitionV2, Option<u8>, GoalV2),
    Replace(u32, DefinitionV2),
    Delete(u32),
    SetAlias(String),
    RotateKey(u32),
    Configure(DefinitionV2, DesiredV2),
    /// With its slot, and whether the CAS was another one.
    Desire(u32, DesireV2, bool),
    /// With its slot, and the run that ended.
    Shown(u32, Option<RunV2>),
}

#[derive(Encode, Decode)]
pub(crate) enum TimerV2 {
    Tick,
    Grace(u32),
    Leftover(u32),
    Restart(u32),
    DialWait(u64),
    ShutdownLimit,
    Look(u32),
    BeatDue(u32),
    Hold(u32),
    RunLimit(u32),
    Ready(u32),
    Live(u32),
    ShutdownOrder,
    Schedule(u32),
    ReadyLimit(u32),
    Recovered(u32),
    Redeliver(u8),
    FilesChanged(u32),
}

#[derive(Encode, Decode)]
pub(crate) enum ProcessStateV2 {
    Absent,
    Spawning,
    Cancelled,
    Live,
    Ending,
}

#[derive(Encode, Decode)]
pub(crate) enum HealthV2 {
    Unknown,
    Well,
    Failing,
    Failed,
}

#[derive(Encode, Decode)]
pub(crate) struct FactsV2 {
    pub(crate) status: u8,
    /// Slot, generation, and both clocks when it came to life.
    pub(crate) alive: Option<(u32, u64, [u64; 2])>,
    pub(crate) counts: [u64; 4],
    pub(crate) last_exit: Option<(u64, LastEndV1)>,
    pub(crate) next_restart: Option<(u64, u64)>,
    pub(crate) reason: ReasonV2,
    /// At most so many restarts in so many milliseconds.
    pub(crate) limit_reached: Option<(u32, u64)>,
    pub(crate) ready: Option<bool>,
    pub(crate) waits_for: Option<String>,
    /// The next time of a schedule, and its text.
    pub(crate) next_run: Option<(Option<u64>, String)>,
}

#[derive(Encode, Decode)]
pub(crate) enum ReasonV2 {
    None,
    /// For a shutdown, an operation, a stop or a restart: 0 to 3.
    Stopping(u8),
    Stopped(u8),
    Code(i32),
    Signal(i32),
    NotStarted(String),
    Complained(String),
    Silent(u64),
    /// Numbers as in `Stopping`, and what keeps the process alive.
    CannotEnd(u8, Option<String>),
    NotLive(String),
    NotReady(u64),
    FileChanged(String),
    LeaseExpired,
}
