//! What only instances of a Patrol configuration have, in the header and the inputs of a trace
//! segment, version 2.

use alloc::string::String;
use alloc::vec::Vec;

use super::definition::DesiredV2;
use super::stored::RunV2;
use crate::codec::{Decode, Encode};

/// The number of a process, and when it started, in clock ticks since the machine did.
pub(crate) type IdentityV2 = (u32, u64);

/// What is known of an instance that is found, and its runs.
#[derive(Encode, Decode)]
pub(crate) struct PresenceV2 {
    pub(crate) run: Option<OpenRunV2>,
    pub(crate) heard: Option<u64>,
    pub(crate) by_report: bool,
    pub(crate) has_leader: bool,
    pub(crate) leader: Option<IdentityV2>,
    pub(crate) tracked: Option<IdentityV2>,
    /// Starts do not wait, wait for a look, wait for reports: 0 to 2.
    pub(crate) hold: u8,
    pub(crate) verb: Option<u8>,
    pub(crate) retries: bool,
    pub(crate) restarting: bool,
    pub(crate) start_requested: bool,
    pub(crate) past: Vec<RunV2>,
    pub(crate) staged: Option<DesiredV2>,
    pub(crate) pending: u32,
    pub(crate) unshown: u32,
    pub(crate) answers: Vec<AnswerV2>,
    pub(crate) unsaved: bool,
    pub(crate) unsaved_runs: Vec<RunV2>,
}

#[derive(Encode, Decode)]
pub(crate) struct OpenRunV2 {
    pub(crate) id: u128,
    pub(crate) pid: u32,
    pub(crate) started: u64,
    pub(crate) last_seen: Option<u64>,
    /// On the monotonic clock.
    pub(crate) since: u64,
}

/// An answer that waits until a record is durable.
#[derive(Encode, Decode)]
pub(crate) struct AnswerV2 {
    pub(crate) request: u64,
    pub(crate) run: Option<OpenRunV2>,
    pub(crate) heard: Option<u64>,
    /// The last sign of life was a report, the process is awaited, the master was shutting down,
    /// the CAS was another one, the answer is the instance after the change.
    pub(crate) flags: [bool; 5],
    pub(crate) leader: Option<IdentityV2>,
    pub(crate) desired: DesiredV2,
    pub(crate) past: Vec<RunV2>,
}

/// A change of what is wanted, and a report.
#[derive(Encode, Decode)]
pub(crate) struct DesireV2 {
    pub(crate) expect: u64,
    /// Whether the values take the place of all.
    pub(crate) replaces: bool,
    pub(crate) values: Vec<(String, String)>,
    /// 1 to 7, as in Patrol's requests.
    pub(crate) toggle: Option<u8>,
    pub(crate) beat: Option<BeatV2>,
    pub(crate) shows_instance: bool,
}

#[derive(Encode, Decode)]
pub(crate) struct BeatV2 {
    pub(crate) pid: u32,
    pub(crate) proven: Option<IdentityV2>,
}
