//! The effects of the machine.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde_json::Value;

use crate::doors::control::{ProcessEntry, Reply};
use crate::event::StoredEvent;
use crate::ids::{InstanceId, RecordSeq};
use crate::instance::Definition;
use crate::rules::{RuleRef, RuleStatus};
use crate::store::Kept;
use crate::time::Wall;

/// Who asked. Handed out by the driver, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// An order to the driver.
#[derive(Clone, Debug)]
pub enum ControlEffect {
    /// Make this durable and report it, in order.
    Keep(Kept),
    /// Append these events, which are durable, to the log that readers see.
    Show(Vec<Arc<StoredEvent>>),
    /// The creation of this instance is being stored: its managed socket can be made meanwhile.
    /// [`Self::ShowProcess`] or [`Self::RemoveProcess`] follows.
    ExpectProcess {
        /// Its id.
        id: InstanceId,
        /// Its name.
        name: Arc<str>,
        /// Its definition.
        definition: Arc<Definition>,
    },
    /// Let reads see this instance; its managed socket has its name.
    ShowProcess(Arc<ProcessEntry>),
    /// The instance was deleted, or its creation refused: remove it and its managed socket.
    RemoveProcess(InstanceId),
    /// The current process of the instance printed a checkpoint.
    SawCheckpoint(InstanceId, Wall),
    /// Let reads see this rule.
    ShowRule {
        /// Which.
        rule: RuleRef,
        /// Its spec as it was applied.
        source: Arc<Value>,
        /// Its status.
        status: RuleStatus,
    },
    /// These are all rules.
    RulesInForce {
        /// Which.
        rules: BTreeSet<RuleRef>,
        /// How often they were changed.
        generation: u64,
        /// When they were last changed.
        last_change: Option<Wall>,
    },
    /// A stored rule cannot be read any more, and why.
    RuleLost(RuleRef, String),
    /// Whether events and changes can be made durable.
    Durable {
        /// Whether.
        is_durable: bool,
        /// Since when.
        time: Wall,
    },
    /// A note is durable, or could not be made so.
    Noted {
        /// Whose.
        ticket: Ticket,
        /// Whether it is durable.
        is_kept: bool,
    },
    /// Answer a request.
    Answer {
        /// Whose.
        ticket: Ticket,
        /// With what.
        reply: Reply,
    },
    /// A controller handled something.
    Ran {
        /// Its name.
        controller: &'static str,
        /// The handled topic.
        trigger: String,
        /// What failed: the name of the instance, and why.
        error: Option<(String, String)>,
    },
}

/// Events that are to be made durable in one piece with a change.
#[derive(Clone, Debug)]
pub struct Attached {
    /// The change.
    pub seq: RecordSeq,
    /// Its events.
    pub kept: Kept,
}
