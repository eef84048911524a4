//! Rules over stored events: EventRule and DerivedEvent (control contract A "Rules", B 4, 5, D
//! 10-12).
//!
//! Owns: the valid specs of rules, when they fire, and their timers as data. Does not own: ids and
//! times of the events that they publish, durability, the clock.

mod decode;
mod derived;
mod derived_spec;
mod event_rule;
mod event_rule_spec;
mod keys;
mod memory;
mod operator;
mod set;
mod spec;
mod template;

pub use decode::SpecError;
pub use derived::{DerivedMemory, DerivedPhase, DerivedStatus};
pub use event_rule::EventRuleStatus;
pub use memory::{Correlated, KeyMemory, Memory, RuleMemory};
pub use operator::KeyState;
pub use set::{Changed, PlannedRule, RuleSet, RuleStatus, RulesChange, Statuses};
pub use spec::{API_VERSION, RuleKind, RuleRef, RuleSpec};

/// Keys of one rule that are remembered; the one not seen for the longest is dropped first.
pub const KEYS_MAX: usize = 4_096;

/// Rules that a master keeps.
pub const RULES_MAX: usize = 1_000;
