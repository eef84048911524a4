//! FROZEN: the whole engine as it stands in the header of a trace segment, version 1.

use alloc::string::String;
use alloc::vec::Vec;

use crate::codec::{Decode, Encode};

#[derive(Encode, Decode)]
pub(crate) struct EngineV1 {
    pub(crate) master: MasterV1,
    pub(crate) key_epoch: u32,
    /// Every definition, once; elsewhere they are named by their place here.
    pub(crate) definitions: Vec<DefinitionV1>,
    pub(crate) slots: Vec<Option<InstanceV1>>,
    pub(crate) free: Vec<u32>,
    pub(crate) last_generation: u64,
    pub(crate) alive: u64,
    pub(crate) commits: CommitsV1,
    pub(crate) dials: [Vec<(u64, String)>; 2],
    pub(crate) timers: Vec<(u64, TimerV1)>,
    pub(crate) life: u8,
    pub(crate) rng: ([u8; 32], u64, u128),
    pub(crate) next_event: u64,
    pub(crate) last_event_time: u64,
}

/// The master, without its key: only how long that is.
#[derive(Encode, Decode)]
pub(crate) struct MasterV1 {
    pub(crate) mid: String,
    pub(crate) alias: String,
    pub(crate) key_bytes: u32,
}

#[derive(Clone, Encode, Decode)]
pub(crate) struct DefinitionV1 {
    pub(crate) id: u32,
    pub(crate) url: String,
    pub(crate) alias: String,
    pub(crate) restart: bool,
    pub(crate) peer: [String; 3],
    pub(crate) tags: Vec<(String, String)>,
}

#[derive(Encode, Decode)]
pub(crate) struct InstanceV1 {
    pub(crate) definition: u32,
    pub(crate) staged: Option<u32>,
    pub(crate) unsaved: (u32, u32),
    /// Stopped, starting, retrying, cancelling, running, failing, stopping, stopping while failing,
    /// discarding, failed: 0 to 9.
    pub(crate) state: u8,
    pub(crate) generation: u64,
    pub(crate) gauges: [i32; 5],
    pub(crate) counters: [[u64; 3]; 4],
    pub(crate) totals_unsaved: bool,
    pub(crate) last_checkpoint: Option<u64>,
    pub(crate) healthy_since: Option<u64>,
    pub(crate) restart_attempts: u32,
    pub(crate) start_after_stop: bool,
    pub(crate) group_left: bool,
    pub(crate) operations: Vec<OperationV1>,
    pub(crate) awaiting_start: Vec<u64>,
    pub(crate) facts: FactsV1,
}

#[derive(Encode, Decode)]
pub(crate) struct OperationV1 {
    pub(crate) request: u64,
    /// The URL of a PUT; none is a DELETE.
    pub(crate) replace: Option<String>,
    pub(crate) committing: bool,
    pub(crate) starts: bool,
}

#[derive(Encode, Decode)]
pub(crate) struct CommitsV1 {
    pub(crate) epoch: u32,
    pub(crate) last_seq: u64,
    pub(crate) queue: Vec<(u64, u64, ChangeV1)>,
    pub(crate) staged_master: Option<MasterV1>,
}

#[derive(Encode, Decode)]
pub(crate) enum ChangeV1 {
    Create(u32),
    Patch(u32, u32, Option<u8>),
    Replace(u32, u32),
    Delete(u32),
    SetAlias(String),
    RotateKey(u32),
}

#[derive(Encode, Decode)]
pub(crate) enum TimerV1 {
    Tick,
    Grace(u32),
    Leftover(u32),
    Restart(u32),
    DialWait(u64),
    ShutdownLimit,
}

#[derive(Encode, Decode)]
pub(crate) struct FactsV1 {
    pub(crate) status: u8,
    /// Slot, generation, and both clocks when it came to life.
    pub(crate) alive: Option<(u32, u64, [u64; 2])>,
    pub(crate) counts: [u64; 4],
    pub(crate) last_exit: Option<(u64, LastEndV1)>,
    pub(crate) next_restart: Option<(u64, u64)>,
}

#[derive(Encode, Decode)]
pub(crate) enum LastEndV1 {
    Code(i32, bool),
    Signal(i32, bool),
    NotStarted(String),
}
