//! What a master hands over to the program that replaces it, version 2.

use alloc::string::String;
use alloc::vec::Vec;

use super::engine::EngineV2;
use crate::codec::{Decode, Encode};

/// The engine, with all texts as they are.
#[derive(Encode, Decode)]
pub(crate) struct HandedEngineV2 {
    pub(crate) key: String,
    pub(crate) engine: EngineV2,
    /// Of each instance that has any: its slot and its runs.
    pub(crate) runs: Vec<(u32, HandedRunsV2)>,
}

/// The current run, and the past ones that are remembered.
#[derive(Encode, Decode)]
pub(crate) struct HandedRunsV2 {
    pub(crate) current: Option<HandedRunV2>,
    pub(crate) ended: Vec<EndedRunV2>,
}

#[derive(Encode, Decode)]
pub(crate) struct HandedRunV2 {
    pub(crate) id: u128,
    pub(crate) generation: u64,
    /// Spawned, found, survivor: 0 to 2.
    pub(crate) origin: u8,
    /// By both clocks.
    pub(crate) started: [u64; 2],
    pub(crate) last_seen: [u64; 2],
}

#[derive(Encode, Decode)]
pub(crate) struct EndedRunV2 {
    pub(crate) run: HandedRunV2,
    pub(crate) ended: [u64; 2],
    /// The code, or the signal.
    pub(crate) exit: Result<i32, i32>,
    /// Numbers as in the reasons of the engine.
    pub(crate) requested: Option<u8>,
}

/// All that a master hands over.
#[derive(Encode, Decode)]
pub(crate) struct HandoverV2 {
    pub(crate) product: String,
    pub(crate) generation: u32,
    pub(crate) boot: u32,
    /// The readings of the monotonic clock of the system at time 0 of the engine, and at the start
    /// of the first program.
    pub(crate) clock: [u64; 2],
    pub(crate) last_request: u64,
    pub(crate) engine: Vec<u8>,
    /// The next event, and the shown time.
    pub(crate) next_event: u64,
    pub(crate) time: u64,
    pub(crate) window: Vec<HandedBlockV2>,
    pub(crate) logs: Vec<HandedLogV2>,
    /// Of standard error: those that say so.
    pub(crate) unfinished: Vec<(u128, bool, HandedLineV2)>,
    pub(crate) descriptors: Vec<(i32, RoleV2)>,
    /// The certificate that was made in memory, and its key, both as DER.
    pub(crate) certificate: Option<(Vec<u8>, Vec<u8>)>,
}

/// Events of the stream, encoded.
#[derive(Encode, Decode)]
pub(crate) struct HandedBlockV2 {
    pub(crate) first: u64,
    pub(crate) frames: Vec<u8>,
    pub(crate) ends: Vec<u32>,
    /// Start and end of a place with a secret, and what is there without it.
    pub(crate) secrets: Vec<(u32, u32, Vec<u8>)>,
}

#[derive(Encode, Decode)]
pub(crate) struct HandedLogV2 {
    pub(crate) instance: u32,
    pub(crate) gone: u64,
    /// Event, and number of a line of an earlier run.
    pub(crate) last_gone: Option<(u64, u32)>,
    pub(crate) blocks: Vec<LogBlockV2>,
}

#[derive(Encode, Decode)]
pub(crate) struct LogBlockV2 {
    pub(crate) first: (u64, u32),
    pub(crate) time: u64,
    pub(crate) is_stderr: bool,
    pub(crate) text: Vec<u8>,
    pub(crate) lines: Vec<(u32, u64)>,
}

#[derive(Encode, Decode)]
pub(crate) struct HandedLineV2 {
    pub(crate) held: Vec<u8>,
    pub(crate) segment: u32,
    pub(crate) is_segment_cut: bool,
    pub(crate) returns: u64,
    pub(crate) seen_bytes: u64,
}

/// What a descriptor is for.
#[derive(Encode, Decode)]
pub(crate) enum RoleV2 {
    StateLock,
    Tcp,
    Channel,
    /// With the path of the socket.
    Socket(Vec<u8>),
    /// With the id of the run.
    Notify(u128),
    Inherited,
}
