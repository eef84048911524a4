//! FROZEN: the header, the records and the end of a trace segment, version 1.

use alloc::string::String;
use alloc::vec::Vec;

use super::engine::EngineV1;
use crate::codec::{Decode, Encode};

#[derive(Encode, Decode)]
pub(crate) struct HeaderV1 {
    pub(crate) product: String,
    pub(crate) boot: u32,
    pub(crate) sequence: u32,
    pub(crate) started: (u64, u64),
    pub(crate) has_text: bool,
    pub(crate) engine: EngineV1,
}

#[derive(Encode, Decode)]
pub(crate) enum RecordV1 {
    /// An input: the time that passed on both clocks since the last one, and the digest of all
    /// effects before it.
    Input { micros: i64, wall_micros: i64, effects: [u8; 4], input: InputV1 },
    /// The fingerprint of the engine here.
    State([u8; 8]),
}

#[derive(Encode, Decode)]
pub(crate) struct EndV1 {
    pub(crate) why: EndReasonV1,
    pub(crate) effects: Option<u64>,
    pub(crate) state: Option<u64>,
}

#[derive(Encode, Decode)]
pub(crate) enum EndReasonV1 {
    Continued,
    Lost(u64),
    Finished,
    Panicked,
}

/// A slot and a generation.
#[derive(Clone, Copy, Encode, Decode)]
pub(crate) struct ProcessV1(pub(crate) u32, pub(crate) u64);

#[derive(Encode, Decode)]
pub(crate) enum InputV1 {
    Request(u64, CallV1),
    Started(ProcessV1),
    StartFailed(ProcessV1, String),
    /// The items of a read, and the text of its lines.
    Output(ProcessV1, Vec<u8>, Option<Vec<u8>>),
    Exited(ProcessV1, ExitV1, bool),
    Persisted(u64),
    PersistFailed(u32, String),
    Dialled(u64, OutcomeV1),
    TimeAdvanced,
    Shutdown,
}

#[derive(Encode, Decode)]
pub(crate) enum CallV1 {
    SetAlias(Option<String>),
    Create(String, String),
    Patch {
        id: u32,
        alias: Option<String>,
        action: Option<u8>,
        restart: Option<bool>,
        meta: Option<MetaV1>,
    },
    Replace(u32, String),
    Delete(u32),
    RotateKey(u32),
    Ping(String),
}

#[derive(Encode, Decode)]
pub(crate) struct MetaV1 {
    pub(crate) peer: Option<[String; 3]>,
    pub(crate) tags: Option<Vec<(String, String)>>,
}

#[derive(Encode, Decode)]
pub(crate) enum ExitV1 {
    Code(i32),
    Signal(i32),
}

#[derive(Encode, Decode)]
pub(crate) enum OutcomeV1 {
    Connected(u64),
    Failed(String),
}
