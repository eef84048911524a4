//! The machine of the control API in the header of a trace segment, and its inputs, version 2.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::control::{RuleV2, SubjectV2};
use super::definition::DefinitionV2;
use crate::codec::{Decode, Encode};

/// The machine without pending effects.
#[derive(Encode, Decode)]
pub(crate) struct MachineV2 {
    /// Every id with its alias, the oldest first.
    pub(crate) names: Vec<(u32, String)>,
    pub(crate) known: Vec<KnownV2>,
    pub(crate) created: Vec<u32>,
    pub(crate) rules: RuleSetV2,
    pub(crate) outlet: OutletV2,
    /// Who waits, each for an event.
    pub(crate) waiting: Vec<(u64, u64, WaitingV2)>,
    /// States that wait, each for an event.
    pub(crate) held: Vec<(u64, HeldV2)>,
    pub(crate) retry_at: Option<u64>,
}

#[derive(Encode, Decode)]
pub(crate) struct KnownV2 {
    pub(crate) id: u32,
    /// None if it is the one that the engine has.
    pub(crate) definition: Option<Box<DefinitionV2>>,
    pub(crate) staged: Option<Box<DefinitionV2>>,
    pub(crate) state: ResourceStateV2,
    /// The number of the state of process and health.
    pub(crate) seen: u8,
    /// Starts, failed starts, exits.
    pub(crate) counts: [u64; 3],
    pub(crate) next_restart: Option<(u64, u64)>,
    pub(crate) last_checkpoint: Option<u64>,
}

#[derive(Encode, Decode)]
pub(crate) struct ResourceStateV2 {
    /// Activity and trouble.
    pub(crate) situation: (u8, u8),
    pub(crate) restart_due: bool,
    pub(crate) checkpoint_seen: bool,
    /// Of the phase, of three conditions, of the last change.
    pub(crate) times: [u64; 5],
    pub(crate) was_ready: bool,
}

#[derive(Encode, Decode)]
pub(crate) struct HeldV2 {
    pub(crate) id: u32,
    pub(crate) generation: u64,
    pub(crate) state: ResourceStateV2,
}

#[derive(Encode, Decode)]
pub(crate) enum WaitingV2 {
    Note,
    /// The status of the answer, and the rules before.
    Rules(u16, Box<RuleSetV2>),
}

#[derive(Encode, Decode)]
pub(crate) struct OutletV2 {
    pub(crate) next_id: u64,
    pub(crate) last_time: u64,
    pub(crate) pending: Vec<PendingV2>,
    pub(crate) unkept: u64,
    pub(crate) epoch: u32,
    pub(crate) is_durable: bool,
}

#[derive(Encode, Decode)]
pub(crate) struct PendingV2 {
    pub(crate) id: u64,
    pub(crate) event: Option<PublishedV2>,
    /// The epoch of the change that caused it.
    pub(crate) cause: Option<u32>,
}

/// An event without its texts.
#[derive(Encode, Decode)]
pub(crate) struct PublishedV2 {
    pub(crate) id: u64,
    pub(crate) time: u64,
    pub(crate) topic: String,
    pub(crate) subject: SubjectV2,
}

#[derive(Encode, Decode)]
pub(crate) struct RuleSetV2 {
    pub(crate) generation: u64,
    pub(crate) last_change: Option<u64>,
    pub(crate) rules: Vec<(RuleV2, RuleMemoryV2)>,
}

#[derive(Encode, Decode)]
pub(crate) enum RuleMemoryV2 {
    Event {
        fire_count: u64,
        last_fired: Option<u64>,
        /// The one that was not seen for the longest first.
        keys: Vec<KeyV2>,
    },
    Derived {
        asserted: Option<bool>,
        pending: Option<(bool, u64)>,
        /// When it was last asserted and retracted.
        published: [Option<u64>; 2],
    },
}

#[derive(Encode, Decode)]
pub(crate) struct KeyV2 {
    pub(crate) key: String,
    pub(crate) due: Option<u64>,
    pub(crate) state: KeyStateV2,
}

#[derive(Encode, Decode)]
pub(crate) enum KeyStateV2 {
    Seen(Vec<bool>),
    Place(u64),
    Times(Vec<u64>),
    Count(u64),
    Waiting(Option<PublishedV2>),
}

#[derive(Encode, Decode)]
pub(crate) enum ControlInputV2 {
    /// Ticket, instance, word (received, executed, rejected: 0 to 2), command.
    Noted(u64, u32, u8, String),
    /// Ticket, rules, whether others are removed.
    Apply(u64, Vec<RuleV2>, bool),
    /// Ticket, target, API version.
    Delete(u64, String, String),
    Kept(u64),
    KeepFailed(u32, Option<u32>, String),
    TimeAdvanced,
}
