//! What is wanted of an instance at the moment: durable, and changed by commands without a new
//! definition.

use alloc::collections::BTreeMap;
use alloc::string::String;

/// What is wanted of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// Whether it has to run.
    pub goal: Goal,
    /// Whether it runs once and is disabled afterwards.
    pub once: Once,
    /// Whether a restart was asked for and not carried out yet.
    pub restart: bool,
    /// Values that clients keep with the instance: JSON texts by name.
    pub values: BTreeMap<String, String>,
    /// The version of all of this: a change that expects another one is refused.
    pub cas: Cas,
}

/// Whether an instance has to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Goal {
    /// It runs; its restart policy says what happens when it exits.
    #[default]
    Up,
    /// It is stopped until it is started by request.
    Down,
}

/// Whether an instance runs once and is disabled afterwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Once {
    /// No.
    #[default]
    No,
    /// Its next run is the last.
    Armed,
    /// Its last run is under way or over.
    Consumed,
}

/// The version of a [`Desired`], for compare-and-swap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cas(pub u64);
