//! Events and rules of the control API in journal and snapshot, version 2.
//!
//! The texts of an event are borrowed when it is written: events are written far more often than
//! anything else.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use crate::codec::{Decode, Encode};

/// An event in the files, version 2.
#[derive(Encode, Decode)]
pub(crate) struct EventV2<'a> {
    pub(crate) id: u64,
    pub(crate) time: u64,
    pub(crate) topic: Cow<'a, str>,
    pub(crate) daemon: [Cow<'a, str>; 3],
    pub(crate) resource: Option<[Cow<'a, str>; 3]>,
    pub(crate) subject: SubjectV2,
    pub(crate) severity: u8,
    pub(crate) reason: Cow<'a, str>,
    pub(crate) message: Cow<'a, str>,
    pub(crate) attributes: Vec<(Cow<'a, str>, Cow<'a, str>)>,
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
pub(crate) struct KeptV2<'a> {
    pub(crate) events: Vec<EventV2<'a>>,
    pub(crate) rules: Option<RulesV2>,
    pub(crate) upto: u64,
}

/// All that is durable, in a snapshot.
#[derive(Encode, Decode)]
pub(crate) struct ControlV2<'a> {
    pub(crate) events: Vec<EventV2<'a>>,
    pub(crate) next_id: u64,
    pub(crate) rules: RulesV2,
    pub(crate) was_changed: bool,
    pub(crate) ages: Vec<(u32, u64)>,
    /// The age of the next instance.
    pub(crate) next_age: u64,
}
