//! The header and the records of a trace segment, version 2.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::definition::{DefinitionV2, DesiredV2, PolicyV2, SetupV2};
use super::engine::{EngineV2, ZoneV2};
use super::machine::ControlInputV2;
use super::presence::{DesireV2, IdentityV2};
use crate::codec::{Decode, Encode};
pub(crate) use crate::formats::v1::traced::{
    EndReasonV1, EndV1, ExitV1, MetaV1, OutcomeV1, ProcessV1,
};

#[derive(Encode, Decode)]
pub(crate) struct HeaderV2 {
    pub(crate) product: String,
    pub(crate) boot: u32,
    pub(crate) sequence: u32,
    pub(crate) started: (u64, u64),
    pub(crate) has_text: bool,
    pub(crate) engine: EngineV2,
    /// The machine of the control API, a `MachineV2`, if there is one and it is not too large.
    pub(crate) control: Option<Vec<u8>>,
}

#[derive(Encode, Decode)]
pub(crate) enum RecordV2 {
    /// An input: the time that passed on both clocks since the last one, and the digest of all
    /// effects before it.
    Input { micros: i64, wall_micros: i64, effects: [u8; 4], input: InputV2 },
    /// The fingerprint of the engine here.
    State([u8; 8]),
    /// An input of the machine of the control API, as an input of the engine.
    Control { micros: i64, wall_micros: i64, effects: [u8; 4], input: ControlInputV2 },
    /// After an input at which the machine had effects: the digest of all of its effects, and the
    /// ids of processes that it asked for.
    Followed { effects: [u8; 4], pids: Vec<(ProcessV1, i32)> },
    /// The fingerprint of the machine here.
    ControlState([u8; 8]),
}

#[derive(Encode, Decode)]
pub(crate) enum InputV2 {
    Request(u64, CallerV2, CommandV2),
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
    KillFailed(ProcessV1, String),
    PidTold(ProcessV1, IdentityV2),
    /// Of an instance, with the process that the file is proven to name.
    PidFileRead(u32, Option<IdentityV2>),
    TrackedGone(ProcessV1, IdentityV2),
    /// Of an instance: start, status, stop or restart, 0 to 3; and why it failed.
    VerbEnded(u32, u8, Option<String>),
    Configured(Vec<(DefinitionV2, DesiredV2)>),
    /// Whether the check was a live check, and why it failed if it did.
    CheckEnded(ProcessV1, bool, Option<String>),
    /// The name of a time zone, and its offsets.
    ZoneRead(String, ZoneV2),
    /// Whether the process may have run.
    StartLost(ProcessV1, bool),
    /// What each webhook reports: a bit for each occasion.
    WebhooksConfigured(Vec<u8>),
    /// The webhook and the report; the status of the answer, or why there was none.
    DeliveryEnded(u8, u64, Result<u16, String>),
    /// Of an instance: the path.
    FilesChanged(u32, String),
    /// Of an instance: why its files cannot be watched.
    WatchFailed(u32, String),
    LeaseExpired(ProcessV1),
}

#[derive(Encode, Decode)]
pub(crate) struct CallerV2 {
    pub(crate) door: DoorV2,
    pub(crate) trust: TrustV2,
}

#[derive(Encode, Decode)]
pub(crate) enum DoorV2 {
    V2,
    Patrol,
    Control,
}

#[derive(Encode, Decode)]
pub(crate) enum TrustV2 {
    /// The epoch of the key.
    Key(u32),
    Peer {
        uid: u32,
        gid: u32,
        pid: u32,
    },
    Open,
    /// The number of the role; nothing of the token itself.
    Token(u8),
}

/// Where revisions are expected, a request takes any if there are none.
#[derive(Encode, Decode)]
pub(crate) enum CommandV2 {
    SetAlias(Option<String>),
    Create(String, String),
    Amend {
        id: u32,
        expected: Option<Vec<u64>>,
        alias: Option<String>,
        action: Option<u8>,
        restart: Option<bool>,
        meta: Option<Box<MetaV1>>,
        policy: Option<Box<EditV2>>,
    },
    Replace {
        id: u32,
        expected: Option<Vec<u64>>,
        url: String,
    },
    Remove {
        id: u32,
        expected: Option<Vec<u64>>,
    },
    RotateKey(u32),
    Dial(String),
    Desire(u32, DesireV2),
    /// The instances and the number of the action.
    Act(Vec<u32>, u8),
}

/// New values in policy and setup.
#[derive(Encode, Decode)]
pub(crate) struct EditV2 {
    /// The numbers of the fields that are edited; the others mean nothing.
    pub(crate) fields: Vec<u8>,
    pub(crate) policy: PolicyV2,
    pub(crate) setup: SetupV2,
}
