//! An instance as a resource of the control API: its name, its phase and conditions, and the
//! events that a change of them makes (control contract A).
//!
//! Owns: these views of an instance as values. Does not own: the tables that decide about an
//! instance, JSON, durability.

mod facts;
mod name;
mod phase;
mod tracker;

pub use facts::{Ending, Fact, Identity, PROCESS_API_VERSION, PROCESS_KIND};
pub use name::{Names, Renamed, resource_name};
pub use phase::{
    Activity, Assessment, Condition, ConditionStatus, ConditionType, DaemonPhase, Health, Phase,
    Situation, Trouble,
};
pub use tracker::{ResourceState, TimedCondition};
