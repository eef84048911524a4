//! Events and rules of the control API in journal and snapshot, version 2.

use alloc::string::String;
use alloc::vec::Vec;

use crate::codec::{Decode, Encode};

/// An event in the files, version 2.
#[derive(Encode, Decode)]
pub(crate) struct EventV2 {
    pub(crate) id: u64,
    pub(crate) time: u64,
    pub(crate) topic: String,
    pub(crate) daemon: [String; 3],
    pub(crate) resource: Option<[String; 3]>,
    pub(crate) subject: SubjectV2,
    pub(crate) severity: u8,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) attributes: Vec<(String, String)>,
}

#[derive(Encode, Decode)]
pub(crate) enum SubjectV2 {
    None,
    Process(u32),
    EventRule(String),
    DerivedEvent(String),
}

#[derive(Encode, Decode)]
pub(crate) struct RuleV2 {
    pub(crate) is_derived: bool,
    pub(crate) name: String,
    pub(crate) source: String,
}

#[derive(Encode, Decode)]
pub(crate) struct RulesV2 {
    pub(crate) generation: u64,
    pub(crate) time: u64,
    pub(crate) put: Vec<RuleV2>,
    pub(crate) remove: Vec<RuleV2>,
}

#[derive(Encode, Decode)]
pub(crate) struct KeptV2 {
    pub(crate) events: Vec<EventV2>,
    pub(crate) rules: Option<RulesV2>,
    pub(crate) upto: u64,
}

/// All that is durable, in a snapshot.
#[derive(Encode, Decode)]
pub(crate) struct ControlV2 {
    pub(crate) events: Vec<EventV2>,
    pub(crate) next_id: u64,
    pub(crate) rules: RulesV2,
    pub(crate) was_changed: bool,
    pub(crate) ages: Vec<(u32, u64)>,
    /// The age of the next instance.
    pub(crate) next_age: u64,
}
