//! The desired state of an instance: durable, and changed by commands without a new definition.

use alloc::collections::BTreeMap;
use alloc::string::String;

/// The desired state of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Desired {
    /// Whether it has to run.
    pub goal: Goal,
    /// Whether it runs once and is disabled afterwards.
    pub once: Once,
    /// Whether a requested start is pending. A running process is stopped first.
    pub restart: bool,
    /// Values that clients keep with the instance: JSON texts by name.
    pub values: BTreeMap<String, String>,
    /// The version of all of this: a change that expects another one is refused.
    pub cas: Cas,
}

impl Desired {
    /// It has to run: a start is carried out as soon as there is no process.
    pub const fn start(&mut self) {
        self.goal = Goal::Up;
        self.restart = true;
    }

    /// It has to be stopped, and stay so.
    pub const fn stop(&mut self) {
        self.goal = Goal::Down;
        self.restart = false;
    }
}

/// Whether an instance has to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Goal {
    /// It runs; its restart policy decides what happens when it exits.
    #[default]
    Up,
    /// It is stopped until it is started by request.
    Down,
}

/// Whether an instance runs once and is disabled afterwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cas(pub u64);
