//! A definition and what is desired of an instance, version 2: the same in state files and traces.

use alloc::string::String;
use alloc::vec::Vec;

use crate::codec::{Decode, Encode};

#[derive(Encode, Decode)]
pub(crate) struct DefinitionV2 {
    pub(crate) id: u32,
    pub(crate) revision: u64,
    pub(crate) label: Option<String>,
    pub(crate) origin: OriginV2,
    pub(crate) alias: String,
    pub(crate) launch: LaunchV2,
    pub(crate) setup: SetupV2,
    pub(crate) policy: PolicyV2,
    pub(crate) liveness: LivenessV2,
    /// Whether a run that ends takes the values of the instance with it.
    pub(crate) clears_values: bool,
    /// Id, kind and alias.
    pub(crate) peer: [String; 3],
    pub(crate) tags: Vec<(String, String)>,
}

#[derive(Encode, Decode)]
pub(crate) enum OriginV2 {
    Api,
    Config,
    Manifest,
    Fleet,
}

#[derive(Encode, Decode)]
pub(crate) enum LaunchV2 {
    /// The URL that the runtime gets.
    Runtime(String),
    Exec {
        shown: String,
        argv: Vec<String>,
        output: OutputV2,
    },
    /// The commands that start the service, tell its status, stop it and restart it.
    Verbs {
        shown: String,
        verbs: [VerbV2; 4],
    },
}

#[derive(Encode, Decode)]
pub(crate) enum OutputV2 {
    Pipe,
    Files { directory: String, merge: bool },
}

#[derive(Encode, Decode)]
pub(crate) struct VerbV2 {
    pub(crate) argv: Vec<String>,
    pub(crate) ignored_codes: Vec<u8>,
}

#[derive(Encode, Decode)]
pub(crate) struct SetupV2 {
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) umask: Option<u16>,
    pub(crate) cwd: Option<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) clear_env: bool,
    pub(crate) open_files: Option<u64>,
    pub(crate) memory_bytes: Option<u64>,
}

#[derive(Encode, Decode)]
pub(crate) struct PolicyV2 {
    pub(crate) restart: RestartV2,
    /// At most so many restarts in so many milliseconds.
    pub(crate) limit: Option<(u32, u64)>,
    pub(crate) boot: BootV2,
    /// The first delay, the longest delay and the time after which delays start afresh, in ms.
    pub(crate) backoff_ms: [u64; 3],
    pub(crate) prompt_ms: Option<u64>,
    pub(crate) stop: StopV2,
    pub(crate) run_limit_ms: Option<u64>,
    pub(crate) history: u16,
    pub(crate) lease_ms: Option<u64>,
}

#[derive(Encode, Decode)]
pub(crate) enum RestartV2 {
    Never,
    OnFailure,
    Always,
}

#[derive(Encode, Decode)]
pub(crate) enum BootV2 {
    Restart,
    Saved,
    Always,
}

#[derive(Encode, Decode)]
pub(crate) struct StopV2 {
    /// The number of a signal on Linux, and how many milliseconds it is given.
    pub(crate) steps: Vec<(u8, u64)>,
    pub(crate) scope: ScopeV2,
    pub(crate) restart_signal: Option<u8>,
}

#[derive(Encode, Decode)]
pub(crate) enum ScopeV2 {
    Group,
    Leader,
}

#[derive(Encode, Decode)]
pub(crate) enum LivenessV2 {
    Exit,
    Checkpoint { silence_ms: u64, error_mark: bool },
    PidFile { path: String, every_ms: u64, verify: bool },
    Beat { via: BeatViaV2, timeout_ms: u64, grace_ms: u64 },
    Probe { every_ms: u64, timeout_ms: u64 },
}

#[derive(Encode, Decode)]
pub(crate) enum BeatViaV2 {
    Http,
    Udp,
}

#[derive(Encode, Decode)]
pub(crate) struct DesiredV2 {
    pub(crate) goal: GoalV2,
    pub(crate) once: OnceV2,
    pub(crate) restart: bool,
    pub(crate) values: Vec<(String, String)>,
    pub(crate) cas: u64,
}

#[derive(Encode, Decode)]
pub(crate) enum GoalV2 {
    Up,
    Down,
}

#[derive(Encode, Decode)]
pub(crate) enum OnceV2 {
    No,
    Armed,
    Consumed,
}
